//! The questions the engine takes.

use std::sync::Arc;
use std::time::Instant;

use api::{Answer, Explanation, QueryRequest, Stage, StreamItem, Summary};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use functions::{NoteMetrics, with_charged_texts};
use futures::{Stream, TryStreamExt, stream};
use plan::{BoundQuery, Lowered};
use store::{ReadView, Store};

use crate::charge::Charge;
use crate::error::EngineError;
use crate::prepared::Run;
use crate::rows::RowFilter;
use crate::series::SeriesBuilder;
use crate::series_batch::{SeriesAnswer, SeriesBatchBuilder};
use crate::session::{EngineConfig, Session};
use crate::{analyze, explain, paging, prepare, summary};

/// Answers questions over a store. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    store: Store,
    session: Session,
    answer_bytes: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("store", &self.store.url().as_str())
            .finish_non_exhaustive()
    }
}

/// A query that runs: what it means, and what it reads.
pub(crate) struct Running {
    pub(crate) query: BoundQuery,
    pub(crate) lowered: Lowered,
    pub(crate) views: Vec<ReadView>,
    /// What functions have met while it ran.
    pub(crate) notes: NoteMetrics,
    /// See [`Summary::watermark_ms`].
    watermark_ms: Option<i64>,
}

impl Engine {
    /// An engine over a store.
    ///
    /// # Errors
    /// When the place for spilled data cannot be set up.
    pub fn new(store: Store, config: EngineConfig) -> Result<Self, EngineError> {
        Ok(Self {
            answer_bytes: config.answer_bytes,
            session: Session::new(config, &store)?,
            store,
        })
    }

    /// The store that the engine reads.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The memory of all questions.
    pub(crate) fn memory(&self) -> Arc<dyn MemoryPool> {
        self.session.memory()
    }

    /// What all questions share.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// [Prepares](Engine::prepare) and [answers](crate::Prepared::answer) a request.
    ///
    /// # Errors
    /// As both.
    pub async fn query(&self, request: &QueryRequest) -> Result<Vec<Answer>, EngineError> {
        self.prepare(request.clone())?.answer().await
    }

    /// [Prepares](Engine::prepare) and [streams](crate::Prepared::stream) a request; an error of the request is the
    /// only item.
    pub fn query_stream(
        &self,
        request: QueryRequest,
    ) -> impl Stream<Item = Result<StreamItem, EngineError>> + Send + 'static {
        let prepared = self.prepare(request);
        let items = prepared.map(|prepared| prepared.stream());
        stream::once(async move { items }).try_flatten()
    }

    /// [Prepares](Engine::prepare) and [explains](crate::Prepared::explain) a request.
    ///
    /// # Errors
    /// As both.
    pub async fn explain(
        &self,
        request: &QueryRequest,
        stage: Stage,
    ) -> Result<Explanation, EngineError> {
        self.prepare(request.clone())?.explain(stage).await
    }

    /// Shows a stage of a bound query.
    pub(crate) async fn explain_query(
        &self,
        run: &Run,
        query: &BoundQuery,
        stage: Stage,
    ) -> Result<Explanation, EngineError> {
        let warnings = query.notes.warnings.clone();
        if stage == Stage::Bound {
            return Ok(explain::of_text(query.to_string(), warnings));
        }
        let views = prepare::views(&self.store, &run.scope, &query.windows()).await?;
        let events = prepare::events_plan(query, &views)?;
        let notes = NoteMetrics::new(query.notes.ids());
        let state = self.session.state(query, events.events, &notes);
        let lowered = plan::lower(query, &events.plan)?;
        let optimised = state.optimize(&lowered.plan)?;
        if stage == Stage::Logical {
            return Ok(explain::of_text(
                format!("{}\n", optimised.display_indent()),
                warnings,
            ));
        }
        let physical = self.physical_plan(&state, &lowered.plan).await?;
        let text = match stage {
            Stage::Analyze => analyze::run(physical, &state, &query.notes, &notes).await?,
            _ => displayable(physical.as_ref()).indent(false).to_string(),
        };
        Ok(Explanation {
            text,
            files: Some(events.files),
            bytes: Some(events.bytes),
            warnings,
        })
    }

    /// Answers a bound query with series.
    pub(crate) async fn answer_query(
        &self,
        run: &Run,
        query: BoundQuery,
    ) -> Result<Answer, EngineError> {
        let started = Instant::now();
        let (running, batches) = self.start(run, query).await?;
        let name = running.query.name.clone();
        let mut series = SeriesBuilder::new(name, &running.lowered, self.charge());
        let mut filter = RowFilter::new(&running.lowered, running.query.limits);
        collect(batches, &mut filter, |rows| series.add(rows)).await?;
        let (mut series, charge) = series.finish();
        let next_cursor_time = paging::end_between(&running.query, &mut series, &mut filter)?;
        let summary = Summary {
            next_cursor_time,
            ..self.summary(run, &running, &filter, started).await?
        };
        Ok(Answer::new(series, summary).with_reservation(charge))
    }

    /// Answers a bound query with columns, which functions over series take.
    pub(crate) async fn series_of_query(
        &self,
        run: &Run,
        query: BoundQuery,
    ) -> Result<SeriesAnswer, EngineError> {
        let started = Instant::now();
        let (running, batches) = self.start(run, query).await?;
        let (name, schema) = (running.query.name.clone(), running.query.schema());
        let mut series = SeriesBatchBuilder::new(name, schema, self.charge());
        let mut filter = RowFilter::new(&running.lowered, running.query.limits);
        collect(batches, &mut filter, |rows| series.add(rows)).await?;
        let (batch, charge) = series.finish()?;
        Ok(SeriesAnswer {
            batch,
            summary: self.summary(run, &running, &filter, started).await?,
            charge: Some(Arc::new(charge)),
        })
    }

    fn charge(&self) -> Charge {
        Charge::new(&self.memory(), self.answer_bytes)
    }

    /// Plans a bound query and starts to run it.
    pub(crate) async fn start(
        &self,
        run: &Run,
        query: BoundQuery,
    ) -> Result<(Running, SendableRecordBatchStream), EngineError> {
        let watermark_ms = self.store.watermark_ms().await;
        let views = prepare::views(&self.store, &run.scope, &query.windows()).await?;
        let events = prepare::events_plan(&query, &views)?;
        let notes = NoteMetrics::new(query.notes.ids());
        let state = self.session.state(&query, events.events, &notes);
        let lowered = plan::lower(&query, &events.plan)?;
        let batches = self.run(&state, &lowered.plan).await?;
        Ok((
            Running {
                query,
                lowered,
                views,
                notes,
                watermark_ms,
            },
            batches,
        ))
    }

    async fn run(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<SendableRecordBatchStream, EngineError> {
        let physical = self.physical_plan(state, plan).await?;
        Ok(execute_stream(physical, state.task_ctx())?)
    }

    /// How a plan is run. One that DataFusion's own check of it refuses is planned once more, without what
    /// led the optimiser astray; the check stays, because a plan that breaks it could answer wrongly.
    async fn physical_plan(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        match self.planned(state, plan).await {
            Err(DataFusionError::Context(check, _)) if check == "SanityCheckPlan" => {
                let plan = plan::with_opaque_conditions(plan.clone())?;
                self.planned(state, &plan).await
            }
            outcome => outcome,
        }
    }

    async fn planned(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let optimised = state.optimize(plan)?;
        let charged = with_charged_texts(optimised)?;
        let planner = state.query_planner();
        planner.create_physical_plan(&charged, state).await
    }

    /// The summary of an answer whose rows have all passed.
    pub(crate) async fn summary(
        &self,
        run: &Run,
        running: &Running,
        filter: &RowFilter,
        started: Instant,
    ) -> Result<Summary, EngineError> {
        let summarise = |counted| {
            summary::summarise(
                &running.query,
                &running.lowered,
                filter,
                &running.notes,
                counted,
                started.elapsed(),
                running.watermark_ms,
            )
        };
        let summary = summarise(None);
        if summary.total_hits.exact || !run.request.options.exact_total_hits {
            return Ok(summary);
        }
        let events = prepare::events_plan(&running.query, &running.views)?;
        let uncounted = NoteMetrics::default();
        let state = self
            .session
            .state(&running.query, events.events, &uncounted);
        let plan = plan::count_plan(&running.query, &events.plan)?;
        let batches: Vec<RecordBatch> = self.run(&state, &plan).await?.try_collect().await?;
        Ok(summarise(Some(count_of(&batches)?)))
    }
}

/// Passes the rows of an answer on, until there are no more.
async fn collect(
    mut batches: SendableRecordBatchStream,
    filter: &mut RowFilter,
    mut add: impl FnMut(&RecordBatch) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    while let Some(batch) = batches.try_next().await? {
        add(&filter.pass(&batch)?)?;
        // Batches that are always ready would never let a call end that is cancelled.
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn count_of(batches: &[RecordBatch]) -> Result<u64, EngineError> {
    let mut total = 0;
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        let counts = cast(batch.column(0), &DataType::Int64)?;
        total += counts
            .as_primitive::<Int64Type>()
            .iter()
            .flatten()
            .sum::<i64>();
    }
    Ok(total.unsigned_abs())
}
