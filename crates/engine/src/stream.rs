//! An answer as a stream of batches, without a ceiling.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use api::{StreamItem, Summary};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use plan::{BoundQuery, BoundShow, BoundStatement, SeriesSchema, Type};

use crate::describe;
use crate::engine::Running;
use crate::error::EngineError;
use crate::prepared::{Prepared, Run};
use crate::rows::RowFilter;

type Items = BoxStream<'static, Result<StreamItem, EngineError>>;

/// The most rows of a batch of an answer that is computed as a whole.
const BATCH_ROWS: usize = 8192;

/// The items of a streamed answer.
pub(crate) fn items(prepared: Prepared) -> Items {
    stream::once(async move {
        match open(&prepared).await {
            Err(EngineError::MissingFile(_)) => open(&prepared).await,
            opened => opened,
        }
    })
    .try_flatten()
    .boxed()
}

async fn open(prepared: &Prepared) -> Result<Items, EngineError> {
    let (run, statement) = prepared.open().await?;
    match statement {
        BoundStatement::Query(query) => rows(run, *query).await,
        BoundStatement::Show(show) => match *show {
            BoundShow::Rows(query) => rows(run, query).await,
            show => whole(run, BoundStatement::Show(Box::new(show))).await,
        },
        series => whole(run, series).await,
    }
}

/// The answer to a statement that is known only as a whole.
async fn whole(run: Run, statement: BoundStatement) -> Result<Items, EngineError> {
    let answer = run.whole(statement).await?;
    let schema = StreamColumns::new(&answer.batch.schema).schema;
    let batches = answer.batch.batches(BATCH_ROWS)?;
    let summary = finished(&run, answer.summary)?;
    let items = std::iter::once(StreamItem::Schema(schema))
        .chain(batches.into_iter().map(StreamItem::Batch))
        .chain([StreamItem::End(summary)]);
    // The answer is charged as long as it is sent.
    let charge = answer.charge;
    let items: Vec<StreamItem> = items.collect();
    Ok(stream::iter(items)
        .map(move |item| {
            let _charged = &charge;
            Ok(item)
        })
        .boxed())
}

/// The rows of a query, as they come.
async fn rows(run: Run, query: BoundQuery) -> Result<Items, EngineError> {
    let started = Instant::now();
    let (running, mut batches) = run.engine.start(&run, query).await?;
    // The first batch is read before the schema is sent, so that a file that is gone meanwhile is no error.
    let first = batches.try_next().await?;
    let columns = StreamColumns::new(&running.query.schema());
    let schema = StreamItem::Schema(Arc::clone(&columns.schema));
    let open = Open {
        filter: RowFilter::new(&running.lowered, running.query.limits),
        run,
        running,
        batches,
        columns,
        first,
        started,
    };
    let rows = stream::try_unfold(Some(Box::new(open)), |open| async move {
        let Some(mut open) = open else {
            return Ok(None);
        };
        let item = open.next().await?;
        let open = matches!(item, StreamItem::Batch(_)).then_some(open);
        Ok(Some((item, open)))
    });
    Ok(stream::once(async { Ok(schema) }).chain(rows).boxed())
}

/// A stream that has sent its schema.
struct Open {
    run: Run,
    running: Running,
    batches: SendableRecordBatchStream,
    filter: RowFilter,
    columns: StreamColumns,
    first: Option<RecordBatch>,
    started: Instant,
}

impl Open {
    async fn next(&mut self) -> Result<StreamItem, EngineError> {
        loop {
            let batch = match self.first.take() {
                Some(batch) => Some(batch),
                None => self.batches.try_next().await?,
            };
            let Some(batch) = batch else {
                let engine = &self.run.engine;
                let summary = engine.summary(&self.run, &self.running, &self.filter, self.started);
                return Ok(StreamItem::End(finished(&self.run, summary.await?)?));
            };
            let rows = self.filter.pass(&batch)?;
            if rows.num_rows() > 0 {
                return self.columns.batch(rows.columns()).map(StreamItem::Batch);
            }
        }
    }
}

/// The summary as its reader takes it.
fn finished(run: &Run, mut summary: Summary) -> Result<Summary, EngineError> {
    summary.warnings = run.parsed.located(summary.warnings);
    describe::describe(&mut summary, run.parsed.single()?, &run.request.options);
    Ok(summary)
}

/// The columns of a streamed answer: keys, time, values. A value that repeats a key of the same name is left out, because
/// a file cannot have two columns of one name.
pub(crate) struct StreamColumns {
    /// The columns as a stream has them.
    pub(crate) schema: SchemaRef,
    indices: Vec<usize>,
}

impl StreamColumns {
    /// For keys and values with their types.
    pub(crate) fn new(schema: &SeriesSchema) -> Self {
        let keys = schema.keys.iter();
        let keys = keys.map(|(name, value_type)| (name.as_str(), *value_type, "tag"));
        let values = schema.columns.iter();
        let values = values.map(|(name, value_type)| (name.as_str(), *value_type, "value"));
        let all = keys.chain([("time", Type::Int, "time")]).chain(values);
        let mut fields: Vec<Field> = Vec::new();
        let mut indices = Vec::new();
        for (index, (name, value_type, role)) in all.enumerate() {
            if fields.iter().any(|field| field.name() == name) {
                continue;
            }
            let mut metadata = HashMap::from([("vouch.role".to_owned(), role.to_owned())]);
            if value_type == Type::Json {
                metadata.insert("vouch.type".to_owned(), "json".to_owned());
            }
            fields.push(Field::new(name, value_type.exported(), true).with_metadata(metadata));
            indices.push(index);
        }
        Self {
            schema: Arc::new(Schema::new(fields)),
            indices,
        }
    }

    /// Keys, time and values as a batch of the stream.
    pub(crate) fn batch(&self, arrays: &[ArrayRef]) -> Result<RecordBatch, EngineError> {
        let columns = self
            .indices
            .iter()
            .zip(self.schema.fields())
            .map(|(index, field)| arrow::compute::cast(&arrays[*index], field.data_type()))
            .collect::<Result<Vec<_>, _>>();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns?)?)
    }
}
