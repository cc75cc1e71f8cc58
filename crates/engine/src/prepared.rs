//! A request that is parsed and checked: what its statements mean, and their answers.

use std::sync::Arc;

use api::{Answer, Explanation, QueryRequest, Stage, StreamItem};
use datafusion::arrow::datatypes::SchemaRef;
use dql::ast::Statement;
use futures::Stream;
use plan::{BoundStatement, Delivery};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::prepare::{self, Parsed, ResolvedScope};
use crate::series_batch::SeriesAnswer;
use crate::stream::StreamColumns;
use crate::{describe, explain, paging, series_functions, show, stream, timeout};

/// A request whose text is right as far as no store is needed. Cheap to clone.
///
/// Each use binds its statements anew, so that a window such as `[1h]` moves with the clock when a question is asked
/// again.
#[derive(Debug, Clone)]
pub struct Prepared {
    engine: Engine,
    request: Arc<QueryRequest>,
    parsed: Arc<Parsed>,
}

impl Engine {
    /// Parses the texts of a request, puts its clauses into the statements, and checks them as far as no store is
    /// needed. Nothing that follows parses a text again.
    ///
    /// # Errors
    /// What is wrong with the text, or with the clauses.
    pub fn prepare(&self, request: QueryRequest) -> Result<Prepared, EngineError> {
        Ok(Prepared {
            engine: self.clone(),
            parsed: Arc::new(prepare::read(&request, self.memory())?),
            request: Arc::new(request),
        })
    }
}

impl Prepared {
    /// The columns of the streamed answer to the only statement.
    ///
    /// # Errors
    /// What is wrong with the statement, or that there are several.
    pub fn schema(&self) -> Result<SchemaRef, EngineError> {
        let bound = self
            .parsed
            .bind(self.parsed.single()?, &self.request, Delivery::Stream)?;
        Ok(StreamColumns::new(&bound.schema()).schema)
    }

    /// Answers every statement with series, each within the limits of one message.
    ///
    /// # Errors
    /// The first statement without an answer decides; there are no partial answers.
    pub async fn answer(&self) -> Result<Vec<Answer>, EngineError> {
        timeout::within(self.request.options.timeout, self.answers()).await
    }

    async fn answers(&self) -> Result<Vec<Answer>, EngineError> {
        paging::check(&self.request, &self.parsed)?;
        let mut answers = Vec::with_capacity(self.parsed.script.statements.len());
        for statement in &self.parsed.script.statements {
            // A file can be replaced and removed while a query reads: the newest snapshot then has the same events in
            // other files. A file that the newest snapshot misses too is an error.
            let mut answer = match self.answer_to(statement).await {
                Err(EngineError::MissingFile(_)) => self.answer_to(statement).await?,
                answer => answer?,
            };
            let summary = &mut answer.summary;
            summary.warnings = self.parsed.located(std::mem::take(&mut summary.warnings));
            describe::describe(summary, statement, &self.request.options);
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn answer_to(&self, statement: &Statement) -> Result<Answer, EngineError> {
        let run = self.run().await?;
        match self
            .parsed
            .bind(statement, &self.request, Delivery::Series)?
        {
            BoundStatement::Query(query) => self.engine.answer_query(&run, *query).await,
            other => run.whole(other).await?.into_answer(),
        }
    }

    /// Answers the only statement with all its rows: first the schema, then batches, then the end. A stream that stops
    /// without [`StreamItem::End`] is incomplete, and its last item says why.
    pub fn stream(self) -> impl Stream<Item = Result<StreamItem, EngineError>> + Send + 'static {
        timeout::items_within(self.request.options.timeout, stream::items(self))
    }

    /// What a stream is opened with: a run of the statement, and what the statement means.
    pub(crate) async fn open(&self) -> Result<(Run, BoundStatement), EngineError> {
        paging::check(&self.request, &self.parsed)?;
        let statement = self.parsed.single()?;
        let run = self.run().await?;
        let bound = self
            .parsed
            .bind(statement, &self.request, Delivery::Stream)?;
        Ok((run, bound))
    }

    /// Shows a stage of the only statement on its way to an answer. Only [`Stage::Analyze`] runs it.
    ///
    /// # Errors
    /// As [`Prepared::answer`].
    pub async fn explain(&self, stage: Stage) -> Result<Explanation, EngineError> {
        let limit = self.request.options.timeout;
        let limit = limit.filter(|_| stage == Stage::Analyze);
        timeout::within(limit, self.explanation(stage)).await
    }

    async fn explanation(&self, stage: Stage) -> Result<Explanation, EngineError> {
        if stage == Stage::Ast {
            return Ok(explain::of_text(
                format!("{:#?}\n", self.parsed.script),
                Vec::new(),
            ));
        }
        let statement = self.parsed.single()?;
        let run = self.run().await?;
        let bound = self
            .parsed
            .bind(statement, &self.request, Delivery::Series)?;
        let mut explained = explain::statement(&run, statement, &bound, stage).await?;
        explained.warnings = self.parsed.located(explained.warnings);
        Ok(explained)
    }

    /// Settles what the statements may read, before any is bound.
    async fn run(&self) -> Result<Run, EngineError> {
        Ok(Run {
            scope: prepare::resolve_scope(self.engine.store(), &self.request).await?,
            engine: self.engine.clone(),
            request: Arc::clone(&self.request),
            parsed: Arc::clone(&self.parsed),
        })
    }
}

/// One run of a statement.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) request: Arc<QueryRequest>,
    pub(crate) parsed: Arc<Parsed>,
    /// The workspaces that it may read.
    pub(crate) scope: ResolvedScope,
}

impl Run {
    /// The answer to a statement that is known only as a whole.
    pub(crate) async fn whole(
        &self,
        statement: BoundStatement,
    ) -> Result<SeriesAnswer, EngineError> {
        match statement {
            BoundStatement::Query(query) => self.engine.series_of_query(self, *query).await,
            BoundStatement::Series(plan) => series_functions::answer(self, &plan).await,
            BoundStatement::Show(show) => show::answer(self, *show).await,
        }
    }
}
