//! An answer as a stream of batches, without a ceiling.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use api::{QueryRequest, StreamItem, Summary};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use dql::ast::Statement;
use futures::TryStreamExt;
use futures::stream::{self, Stream};
use plan::{Delivery, Type};

use crate::describe;
use crate::engine::{Engine, Running};
use crate::error::EngineError;
use crate::paging;
use crate::prepare::{self, Parsed};
use crate::rows::RowFilter;
use crate::whole::Whole;

/// Where a stream is.
enum State {
    Start,
    Rows(Box<Open>),
    Whole(Box<Whole>),
    End(Box<Summary>),
    Done,
}

/// A stream that has told its schema.
struct Open {
    parsed: Parsed,
    running: Running,
    batches: SendableRecordBatchStream,
    filter: RowFilter,
    columns: Columns,
    /// The first batch, read before the schema was told so that a file gone meanwhile is no error.
    first: Option<RecordBatch>,
    started: Instant,
}

/// The items of a streamed answer.
pub(crate) fn items(
    engine: Engine,
    request: QueryRequest,
) -> impl Stream<Item = Result<StreamItem, EngineError>> + Send + 'static {
    stream::unfold(
        (engine, request, State::Start),
        |(engine, request, state)| async move {
            let (item, state) = match state {
                State::Start => match open(&engine, &request).await {
                    Ok(Opened::Rows(open)) => (
                        Ok(StreamItem::Schema(Arc::clone(&open.columns.schema))),
                        State::Rows(open),
                    ),
                    Ok(Opened::Whole(whole)) => (
                        Ok(StreamItem::Schema(whole.stream_columns().schema)),
                        State::Whole(whole),
                    ),
                    Err(error) => (Err(error), State::Done),
                },
                State::Rows(mut open) => match next(&engine, &request, &mut open).await {
                    Ok(item @ StreamItem::Batch(_)) => (Ok(item), State::Rows(open)),
                    last => (last, State::Done),
                },
                State::Whole(whole) => match whole.batch() {
                    Ok(batch) => {
                        let summary = Box::new(whole.answer.summary);
                        (Ok(StreamItem::Batch(batch)), State::End(summary))
                    }
                    Err(error) => (Err(error), State::Done),
                },
                State::End(summary) => (Ok(StreamItem::End(*summary)), State::Done),
                State::Done => return None,
            };
            Some((item, (engine, request, state)))
        },
    )
}

/// What a stream gives.
enum Opened {
    /// The rows of a query, as they come.
    Rows(Box<Open>),
    /// An answer that is known only as a whole.
    Whole(Box<Whole>),
}

async fn open(engine: &Engine, request: &QueryRequest) -> Result<Opened, EngineError> {
    match try_open(engine, request).await {
        Err(EngineError::MissingFile(_)) => try_open(engine, request).await,
        other => other,
    }
}

async fn try_open(engine: &Engine, request: &QueryRequest) -> Result<Opened, EngineError> {
    let started = Instant::now();
    let parsed = prepare::read(request, engine.memory())?;
    paging::check(request, &parsed)?;
    let statement = parsed.single()?;
    let Statement::Select(select) = statement else {
        let whole = engine.whole(request, &parsed, statement, Delivery::Stream);
        let mut whole = whole.await?;
        let summary = &mut whole.answer.summary;
        summary.warnings = parsed.located(std::mem::take(&mut summary.warnings));
        describe::describe(summary, statement, &request.options);
        return Ok(Opened::Whole(Box::new(whole)));
    };
    let query = prepare::bind_select(&parsed, select, request, Delivery::Stream)?;
    let (running, mut batches) = engine.start(request, query).await?;
    let first = batches.try_next().await?;
    let filter = RowFilter::new(&running.lowered, running.query.limits);
    let (keys, values) = (&running.lowered.keys, &running.lowered.columns);
    let named = |(name, value_type): &'_ (String, Type)| (name.clone(), *value_type);
    let columns = Columns::new(keys.iter().map(named), values.iter().map(named));
    Ok(Opened::Rows(Box::new(Open {
        parsed,
        running,
        batches,
        filter,
        columns,
        first,
        started,
    })))
}

async fn next(
    engine: &Engine,
    request: &QueryRequest,
    open: &mut Open,
) -> Result<StreamItem, EngineError> {
    loop {
        let batch = match open.first.take() {
            Some(batch) => Some(batch),
            None => open.batches.try_next().await?,
        };
        let Some(batch) = batch else {
            let mut summary = engine
                .summary(request, &open.running, &open.filter, open.started)
                .await?;
            summary.warnings = open.parsed.located(summary.warnings);
            describe::describe(&mut summary, open.parsed.single()?, &request.options);
            return Ok(StreamItem::End(summary));
        };
        let rows = open.filter.pass(&batch)?;
        if rows.num_rows() > 0 {
            return open.columns.select(&rows).map(StreamItem::Batch);
        }
    }
}

/// The columns of a streamed answer: keys, time, values. A value that repeats a key of the same name is
/// left out, because a file cannot have two columns of one name.
pub(crate) struct Columns {
    /// The columns as a stream tells them.
    pub(crate) schema: SchemaRef,
    indices: Vec<usize>,
}

impl Columns {
    /// For keys and values with their types.
    pub(crate) fn new(
        keys: impl Iterator<Item = (String, Type)>,
        values: impl Iterator<Item = (String, Type)>,
    ) -> Self {
        let keys = keys.map(|(name, value_type)| (name, value_type, "tag"));
        let values = values.map(|(name, value_type)| (name, value_type, "value"));
        let time = ("time".to_owned(), Type::Int, "time");
        let all = keys.chain([time]).chain(values);
        let mut fields: Vec<Field> = Vec::new();
        let mut indices = Vec::new();
        for (index, (name, value_type, role)) in all.enumerate() {
            if fields.iter().any(|field| *field.name() == name) {
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

    fn select(&self, batch: &RecordBatch) -> Result<RecordBatch, EngineError> {
        self.batch(batch.columns())
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
