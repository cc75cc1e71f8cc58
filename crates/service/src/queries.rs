//! Answers queries, streams, explanations and the calls of editors.

use api::{Answer, Candidates, Error, Explanation, QueryRequest, Stage, StreamItem, Validation};
use engine::{Engine, EngineError};
use futures::{Stream, StreamExt, stream};

use crate::error::from_engine;
use crate::scheduler::{QueryLimits, QueryRuntime, Scheduler};
use crate::turns::Asker;

/// Answers queries with an engine. Cheap to clone.
///
/// Each method passes its result to a function of the door, which encodes it. The function is a part of the query: a
/// response that waits for memory keeps the turn of its query, so the number of waiting responses is bounded.
#[derive(Debug, Clone)]
pub struct Queries {
    engine: Engine,
    scheduler: Scheduler,
}

impl Queries {
    pub(crate) fn new(engine: Engine, runtime: &QueryRuntime, limits: QueryLimits) -> Self {
        Self {
            engine,
            scheduler: Scheduler::new(runtime, limits),
        }
    }

    /// Answers every statement of a request.
    ///
    /// # Errors
    /// The errors of the query and of `encode`; too many queries, or the timeout.
    pub async fn query<T, F>(
        &self,
        request: QueryRequest,
        encode: impl FnOnce(String, Vec<Answer>) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let run = |engine: Engine, request: QueryRequest| async move {
            let answers = engine.query(&request).await;
            (request.query, answers)
        };
        self.run(request, run, encode).await
    }

    /// Returns a stage of a query.
    ///
    /// # Errors
    /// As for [`Queries::query`].
    pub async fn explain<T, F>(
        &self,
        request: QueryRequest,
        stage: Stage,
        encode: impl FnOnce(String, Explanation) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let run = move |engine: Engine, request: QueryRequest| async move {
            let explanation = engine.explain(&request, stage).await;
            (request.query, explanation)
        };
        self.run(request, run, encode).await
    }

    /// Returns at most `most` candidates at byte `offset` of the text of a request.
    ///
    /// # Errors
    /// As for [`Queries::query`].
    pub async fn complete<T, F>(
        &self,
        request: QueryRequest,
        offset: usize,
        most: usize,
        encode: impl FnOnce(String, Candidates) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let run = move |engine: Engine, request: QueryRequest| async move {
            let found = engine.complete(&request, offset, most).await;
            (request.query, found)
        };
        self.run(request, run, encode).await
    }

    /// Validates a request without running it. It does not wait for queries.
    ///
    /// # Errors
    /// Too many calls, or the timeout.
    pub async fn validate(&self, request: QueryRequest) -> Result<Validation, Error> {
        self.scheduler
            .check(move || engine::validate(&request))
            .await
    }

    /// Streams the answer to one statement. `encode` makes the messages of each item.
    ///
    /// # Errors
    /// Too many streams.
    pub async fn stream<T: Send + 'static>(
        &self,
        mut request: QueryRequest,
        mut encode: impl FnMut(StreamItem) -> Result<Vec<T>, Error> + Send + 'static,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + 'static, Error> {
        let time = self.scheduler.stream_time(request.options.timeout);
        request.options.timeout = Some(time);
        let query = request.query.clone();
        let text = query.clone();
        let asker = Asker::from(&request.scope);
        let items = self.engine.query_stream(request);
        let messages = items.flat_map(move |item| {
            let item = item.map_err(|error| from_engine(&text, &error));
            let messages = match item.and_then(&mut encode) {
                Ok(messages) => messages.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            stream::iter(messages)
        });
        self.scheduler.stream(query, asker, time, messages).await
    }

    /// Runs a request among the other queries.
    async fn run<A, R, T, F>(
        &self,
        request: QueryRequest,
        run: impl FnOnce(Engine, QueryRequest) -> R,
        encode: impl FnOnce(String, A) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        A: Send,
        R: Future<Output = (String, Result<A, EngineError>)> + Send + 'static,
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let time = self.scheduler.time(request.options.timeout);
        let query = request.query.clone();
        let asker = Asker::from(&request.scope);
        let running = run(self.engine.clone(), request);
        let work = async move {
            let (query, found) = running.await;
            let found = found.map_err(|error| from_engine(&query, &error))?;
            encode(query, found).await
        };
        self.scheduler.answer(&query, asker, time, work).await
    }
}
