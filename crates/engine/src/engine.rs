//! The questions the engine takes.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use dql::Diagnostic;
use dql::ast::Statement;
use functions::{NoteMetrics, with_charged_texts};
use futures::{Stream, TryStreamExt};
use plan::{BoundQuery, Delivery, Lowered};
use store::{ReadView, Store};

use crate::answer::{Answer, Explanation, StreamItem, Summary};
use crate::charge::Charge;
use crate::error::EngineError;
use crate::prepare::Parsed;
use crate::request::{QueryRequest, Stage};
use crate::rows::RowFilter;
use crate::series::SeriesBuilder;
use crate::session::{EngineConfig, Session};
use crate::whole::Whole;
use crate::{analyze, describe, outer, paging, prepare, show, stream, summary, timeout};

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

    /// Answers every statement of a text with series, each within the limits of one message.
    ///
    /// # Errors
    /// The first statement without an answer decides; there are no partial answers.
    pub async fn query(&self, request: &QueryRequest) -> Result<Vec<Answer>, EngineError> {
        timeout::within(request.options.timeout, self.answers(request)).await
    }

    async fn answers(&self, request: &QueryRequest) -> Result<Vec<Answer>, EngineError> {
        let parsed = prepare::read(request, self.memory())?;
        paging::check(request, &parsed)?;
        let mut answers = Vec::with_capacity(parsed.script.statements.len());
        for statement in &parsed.script.statements {
            let mut answer = self.retrying(request, &parsed, statement).await?;
            let summary = &mut answer.summary;
            summary.warnings = parsed.located(std::mem::take(&mut summary.warnings));
            describe::describe(summary, statement, &request.options);
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Answers one statement with all its rows: first the schema, then batches, then the end. A stream
    /// that stops without [`StreamItem::End`] is incomplete, and its last item says why.
    pub fn query_stream(
        &self,
        request: QueryRequest,
    ) -> impl Stream<Item = Result<StreamItem, EngineError>> + Send + 'static {
        timeout::items_within(
            request.options.timeout,
            stream::items(self.clone(), request),
        )
    }

    /// Shows a stage of a statement on its way to an answer. Only [`Stage::Analyze`] runs it.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn explain(
        &self,
        request: &QueryRequest,
        stage: Stage,
    ) -> Result<Explanation, EngineError> {
        let limit = request.options.timeout.filter(|_| stage == Stage::Analyze);
        timeout::within(limit, self.explained(request, stage)).await
    }

    async fn explained(
        &self,
        request: &QueryRequest,
        stage: Stage,
    ) -> Result<Explanation, EngineError> {
        let parsed = prepare::read(request, self.memory())?;
        if stage == Stage::Ast {
            return Ok(explanation(format!("{:#?}\n", parsed.script), Vec::new()));
        }
        let mut explained = match parsed.single()? {
            Statement::Select(select) => {
                let query = prepare::bind_select(&parsed, select, request, Delivery::Series)?;
                self.explain_query(request, &query, stage).await?
            }
            Statement::Outer(outer) => {
                let scope = outer::Scope::new(self, request, &parsed, Delivery::Series);
                scope.explain(outer, stage).await?
            }
            Statement::Show(show) => show::explain(self, request, &parsed, show, stage).await?,
        };
        explained.warnings = parsed.located(explained.warnings);
        Ok(explained)
    }

    /// Shows a stage of a bound query.
    pub(crate) async fn explain_query(
        &self,
        request: &QueryRequest,
        query: &BoundQuery,
        stage: Stage,
    ) -> Result<Explanation, EngineError> {
        let warnings = query.notes.warnings.clone();
        if stage == Stage::Bound {
            return Ok(explanation(query.to_string(), warnings));
        }
        let views = prepare::views(&self.store, request, &query.windows()).await?;
        let events = prepare::events(query, &views);
        let (count, bytes) = (
            events.files.len() as u64,
            events.files.iter().map(|file| file.size_bytes).sum(),
        );
        let notes = NoteMetrics::new(query.notes.ids());
        let state = self.session.state(query, events.count(), &notes);
        let lowered = plan::lower(query, &prepare::events_plan(events)?)?;
        let optimised = state.optimize(&lowered.plan)?;
        if stage == Stage::Logical {
            return Ok(explanation(
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
            files: Some(count),
            bytes: Some(bytes),
            warnings,
        })
    }

    /// A file can be replaced and removed while a query reads: the newest snapshot then has the same
    /// events in other files. A file that the newest snapshot misses too is an error.
    async fn retrying(
        &self,
        request: &QueryRequest,
        parsed: &Parsed,
        statement: &Statement,
    ) -> Result<Answer, EngineError> {
        match self.answer(request, parsed, statement).await {
            Err(EngineError::MissingFile(_)) => self.answer(request, parsed, statement).await,
            other => other,
        }
    }

    async fn answer(
        &self,
        request: &QueryRequest,
        parsed: &Parsed,
        statement: &Statement,
    ) -> Result<Answer, EngineError> {
        match statement {
            Statement::Select(select) => {
                let query = prepare::bind_select(parsed, select, request, Delivery::Series)?;
                Ok(self.answer_query(request, query).await?.answer)
            }
            other => Ok(self
                .whole(request, parsed, other, Delivery::Series)
                .await?
                .answer),
        }
    }

    /// Answers a statement as a whole.
    pub(crate) async fn whole(
        &self,
        request: &QueryRequest,
        parsed: &Parsed,
        statement: &Statement,
        delivery: Delivery,
    ) -> Result<Whole, EngineError> {
        match statement {
            Statement::Show(show) => show::answer(self, request, parsed, show, delivery).await,
            Statement::Outer(outer) => {
                let scope = outer::Scope::new(self, request, parsed, delivery);
                outer::answer(scope, outer).await
            }
            Statement::Select(select) => {
                let query = prepare::bind_select(parsed, select, request, delivery)?;
                self.answer_query(request, query).await
            }
        }
    }

    /// Answers a bound query with series.
    pub(crate) async fn answer_query(
        &self,
        request: &QueryRequest,
        query: BoundQuery,
    ) -> Result<Whole, EngineError> {
        let started = Instant::now();
        let (running, mut batches) = self.start(request, query).await?;
        let mut filter = RowFilter::new(&running.lowered, running.query.limits);
        let charge = Charge::new(&self.memory(), self.answer_bytes);
        let name = running.query.name.clone();
        let mut series = SeriesBuilder::new(name, &running.lowered, charge);
        while let Some(batch) = batches.try_next().await? {
            let rows = filter.pass(&batch)?;
            series.add(&rows)?;
            // Batches that are always ready would never let a call end that is cancelled.
            tokio::task::yield_now().await;
        }
        let (mut series, charge) = series.finish();
        let next_cursor_time = paging::end_between(&running.query, &mut series, &mut filter)?;
        let summary = self.summary(request, &running, &filter, started).await?;
        let answer = Answer {
            series,
            summary: Summary {
                next_cursor_time,
                ..summary
            },
            _charge: Some(Arc::new(charge)),
        };
        let keys = running.lowered.keys.into_iter().map(|(name, _)| name);
        Ok(Whole {
            answer,
            keys: keys.collect(),
            columns: running.lowered.columns,
        })
    }

    /// Plans a bound query and starts to run it.
    pub(crate) async fn start(
        &self,
        request: &QueryRequest,
        query: BoundQuery,
    ) -> Result<(Running, SendableRecordBatchStream), EngineError> {
        let watermark_ms = self.store.watermark_ms().await;
        let views = prepare::views(&self.store, request, &query.windows()).await?;
        let events = prepare::events(&query, &views);
        let notes = NoteMetrics::new(query.notes.ids());
        let state = self.session.state(&query, events.count(), &notes);
        let lowered = plan::lower(&query, &prepare::events_plan(events)?)?;
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
        request: &QueryRequest,
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
        if summary.total_hits.exact || !request.options.exact_total_hits {
            return Ok(summary);
        }
        let events = prepare::events(&running.query, &running.views);
        let uncounted = NoteMetrics::default();
        let state = self
            .session
            .state(&running.query, events.count(), &uncounted);
        let plan = plan::count_plan(&running.query, &prepare::events_plan(events)?)?;
        let batches: Vec<RecordBatch> = self.run(&state, &plan).await?.try_collect().await?;
        Ok(summarise(Some(count_of(&batches)?)))
    }
}

fn explanation(text: String, warnings: Vec<Diagnostic>) -> Explanation {
    Explanation {
        text,
        files: None,
        bytes: None,
        warnings,
    }
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
