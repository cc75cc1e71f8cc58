//! The methods of `QueryService`: message in, engine, message out.

use std::pin::Pin;

use api::convert::{
    answer_to_message, candidates_to_message, explanation_to_message, request_from_message,
    stage_from_message, summary_to_message, unscoped_request_from_message, validation_to_message,
};
use api::proto::query_service_server::QueryService;
use api::proto::query_stream_response::Item;
use api::proto::{
    CompleteRequest, CompleteResponse, ExplainRequest, ExplainResponse, QueryRequest,
    QueryResponse, QueryStreamResponse, ValidateRequest, ValidateResponse,
};
use api::{ArrowStreamEncoder, MAX_MESSAGE_BYTES, RequestError, StreamItem};
use engine::{Engine, EngineError};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::ingest::admission::Held;
use crate::questions::Questions;
use crate::sending::Prepaid;
use crate::status;
use crate::turns::Asker;

/// The default number of candidates of a completion.
const DEFAULT_CANDIDATES: usize = 50;
/// The most candidates of a completion.
const MOST_CANDIDATES: u32 = 500;

/// Answers queries with an engine.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    engine: Engine,
    questions: Questions,
}

impl Service {
    /// A service over `engine`.
    pub(crate) fn new(engine: Engine, questions: Questions) -> Self {
        Self { engine, questions }
    }

    /// Runs a request among the other queries.
    async fn run<T, W>(
        &self,
        held: Held,
        request: api::QueryRequest,
        work: impl FnOnce(Engine, api::QueryRequest) -> W,
    ) -> Result<Response<T>, Status>
    where
        T: Message + 'static,
        W: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let time = self.questions.time(request.options.timeout);
        let query = request.query.clone();
        let asker = Asker::from(&request.scope);
        let work = work(self.engine.clone(), request);
        // An answer that waits for memory keeps its turn, so the number of waiting answers is bounded.
        let work = async move { response(&held, work.await?).await };
        self.questions.answer(&query, asker, time, work).await
    }
}

#[tonic::async_trait]
impl QueryService for Service {
    async fn query(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<QueryResponse>, Status> {
        let (held, message) = parts(request)?;
        self.run(held, question(message)?, answered).await
    }

    type QueryStreamStream =
        Pin<Box<dyn Stream<Item = Result<QueryStreamResponse, Status>> + Send>>;

    async fn query_stream(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<Self::QueryStreamStream>, Status> {
        let mut request = question(request.into_inner())?;
        let time = self.questions.stream_time(request.options.timeout);
        request.options.timeout = Some(time);
        let text = request.query.clone();
        let query = request.query.clone();
        let asker = Asker::from(&request.scope);
        let mut encoder = ArrowStreamEncoder::default();
        let items = self.engine.query_stream(request);
        let messages =
            items.flat_map(move |item| stream::iter(messages(&mut encoder, &text, item)));
        let messages = self.questions.stream(query, asker, time, messages).await?;
        Ok(Response::new(Box::pin(messages)))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let (held, message) = parts(request)?;
        let stage = stage_from_message(message.stage);
        let stage = stage.map_err(|error| status::from_request_error(&error))?;
        let request = question(message.request.ok_or_else(no_question)?)?;
        self.run(held, request, move |engine, request| async move {
            let explanation = engine.explain(&request, stage).await;
            let explanation =
                explanation.map_err(|error| status::from_engine_error(&request.query, &error))?;
            Ok(explanation_to_message(&request.query, explanation))
        })
        .await
    }

    async fn validate(
        &self,
        request: Request<ValidateRequest>,
    ) -> Result<Response<ValidateResponse>, Status> {
        let (held, message) = parts(request)?;
        let message = message.request.ok_or_else(no_question)?;
        let request = unscoped_request_from_message(message)
            .map_err(|error| status::from_request_error(&error))?;
        let check = move || {
            let validation = engine::validate(&request);
            validation_to_message(&request.query, &validation)
        };
        response(&held, self.questions.check(check).await?).await
    }

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<CompleteResponse>, Status> {
        let (held, message) = parts(request)?;
        let request = question(message.request.ok_or_else(no_question)?)?;
        let offset = usize::try_from(message.offset).unwrap_or(usize::MAX);
        let most = match message.max_candidates {
            0 => DEFAULT_CANDIDATES,
            most => most.min(MOST_CANDIDATES) as usize,
        };
        self.run(held, request, move |engine, request| async move {
            let found = engine.complete(&request, offset, most).await;
            let found = found.map_err(|error| status::from_engine_error(&request.query, &error))?;
            Ok(candidates_to_message(&request.query, found))
        })
        .await
    }
}

/// The message with the answers to a query.
async fn answered(engine: Engine, request: api::QueryRequest) -> Result<QueryResponse, Status> {
    let text = request.query.as_str();
    let answers = engine.query(&request).await;
    let answers = answers.map_err(|error| status::from_engine_error(text, &error))?;
    let mut content = Vec::with_capacity(answers.len());
    for answer in answers {
        content.push(answer_to_message(text, answer));
        tokio::task::yield_now().await;
    }
    let response = QueryResponse { content };
    let size_bytes = response.encoded_len();
    if size_bytes > MAX_MESSAGE_BYTES {
        return Err(status::from_answer_too_large(size_bytes));
    }
    Ok(response)
}

/// The memory of a request, and its message.
fn parts<T>(request: Request<T>) -> Result<(Held, T), Status> {
    let (_, extensions, message) = request.into_parts();
    let held = Held::of(&extensions).map_err(|error| error.status())?;
    Ok((held, message))
}

/// The response with an answer, whose memory is counted until it is sent.
async fn response<T: Message>(held: &Held, message: T) -> Result<Response<T>, Status> {
    let memory = held.answer(message.encoded_len()).await?;
    let mut response = Response::new(message);
    response.extensions_mut().insert(Prepaid::new(memory));
    Ok(response)
}

fn no_question() -> Status {
    status::from_request_error(&RequestError::NoQuestion)
}

fn question(message: QueryRequest) -> Result<api::QueryRequest, Status> {
    request_from_message(message).map_err(|error| status::from_request_error(&error))
}

/// The messages for one item of a streamed answer about `query`.
fn messages(
    encoder: &mut ArrowStreamEncoder,
    query: &str,
    item: Result<StreamItem, EngineError>,
) -> Vec<Result<QueryStreamResponse, Status>> {
    let item = match item {
        Ok(item) => item,
        Err(error) => return vec![Err(status::from_engine_error(query, &error))],
    };
    let parts = match encoder.encode(&item) {
        Ok(parts) => parts,
        Err(error) => return vec![Err(status::from_encoding_error(&error))],
    };
    let mut items: Vec<Item> = parts.into_iter().map(Item::ArrowIpc).collect();
    if let StreamItem::End(summary) = &item {
        items.push(Item::Summary(summary_to_message(query, summary)));
    }
    items
        .into_iter()
        .map(|item| Ok(QueryStreamResponse { item: Some(item) }))
        .collect()
}
