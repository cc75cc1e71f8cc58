//! `QueryService`: messages to requests, and answers to messages.

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
use api::{Answer, ArrowStreamEncoder, Error, MAX_MESSAGE_BYTES, RequestError, StreamItem};
use futures::{Stream, StreamExt};
use prost::Message;
use service::Queries;
use tonic::{Request, Response, Status};

use crate::answer_error;
use crate::ingest::admission::Held;
use crate::sending::Prepaid;

/// The default number of candidates of a completion.
const DEFAULT_CANDIDATES: usize = 50;
/// The most candidates of a completion.
const MOST_CANDIDATES: u32 = 500;

/// Answers queries over gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    queries: Queries,
}

impl Service {
    /// A door to `queries`.
    pub(crate) fn new(queries: Queries) -> Self {
        Self { queries }
    }
}

#[tonic::async_trait]
impl QueryService for Service {
    async fn query(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<QueryResponse>, Status> {
        let (held, message) = parts(request)?;
        let request = request_from_message(message).map_err(Error::from)?;
        let encode = async move |query: String, answers| {
            response(&held, encoded(&query, answers).await?).await
        };
        Ok(self.queries.query(request, encode).await?)
    }

    type QueryStreamStream =
        Pin<Box<dyn Stream<Item = Result<QueryStreamResponse, Status>> + Send>>;

    async fn query_stream(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<Self::QueryStreamStream>, Status> {
        let request = request_from_message(request.into_inner()).map_err(Error::from)?;
        let text = request.query.clone();
        let mut encoder = ArrowStreamEncoder::default();
        let encode = move |item| messages(&mut encoder, &text, &item);
        let messages = self.queries.stream(request, encode).await?;
        let messages = messages.map(|message| message.map_err(Status::from));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let (held, message) = parts(request)?;
        let stage = stage_from_message(message.stage).map_err(Error::from)?;
        let request = question(message.request)?;
        let encode = async move |query: String, explanation| {
            response(&held, explanation_to_message(&query, explanation)).await
        };
        Ok(self.queries.explain(request, stage, encode).await?)
    }

    async fn validate(
        &self,
        request: Request<ValidateRequest>,
    ) -> Result<Response<ValidateResponse>, Status> {
        let (held, message) = parts(request)?;
        let message = message.request.ok_or_else(no_question)?;
        let request = unscoped_request_from_message(message).map_err(Error::from)?;
        let query = request.query.clone();
        let validation = self.queries.validate(request).await?;
        Ok(response(&held, validation_to_message(&query, &validation)).await?)
    }

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<CompleteResponse>, Status> {
        let (held, message) = parts(request)?;
        let request = question(message.request)?;
        let offset = usize::try_from(message.offset).unwrap_or(usize::MAX);
        let most = match message.max_candidates {
            0 => DEFAULT_CANDIDATES,
            most => most.min(MOST_CANDIDATES) as usize,
        };
        let encode = async move |query: String, found| {
            response(&held, candidates_to_message(&query, found)).await
        };
        Ok(self.queries.complete(request, offset, most, encode).await?)
    }
}

/// The message with the answers to a query.
async fn encoded(query: &str, answers: Vec<Answer>) -> Result<QueryResponse, Error> {
    let mut content = Vec::with_capacity(answers.len());
    for answer in answers {
        content.push(answer_to_message(query, answer));
        tokio::task::yield_now().await;
    }
    let response = QueryResponse { content };
    let size_bytes = response.encoded_len();
    if size_bytes > MAX_MESSAGE_BYTES {
        return Err(answer_error::answer_too_large(size_bytes));
    }
    Ok(response)
}

/// The memory of a request, and its message.
fn parts<T>(request: Request<T>) -> Result<(Held, T), Error> {
    let (_, extensions, message) = request.into_parts();
    let held = Held::of(&extensions).map_err(|error| error.public())?;
    Ok((held, message))
}

/// The response with an answer, whose memory is counted until it is sent.
async fn response<T: Message>(held: &Held, message: T) -> Result<Response<T>, Error> {
    let memory = held.answer(message.encoded_len()).await?;
    let mut response = Response::new(message);
    response.extensions_mut().insert(Prepaid::new(memory));
    Ok(response)
}

fn no_question() -> Error {
    RequestError::NoQuestion.into()
}

fn question(message: Option<QueryRequest>) -> Result<api::QueryRequest, Error> {
    Ok(request_from_message(message.ok_or_else(no_question)?)?)
}

/// The messages for one item of a streamed answer about `query`.
fn messages(
    encoder: &mut ArrowStreamEncoder,
    query: &str,
    item: &StreamItem,
) -> Result<Vec<QueryStreamResponse>, Error> {
    let parts = encoder.encode(item);
    let parts = parts.map_err(|error| answer_error::not_encoded(&error))?;
    let mut items: Vec<Item> = parts.into_iter().map(Item::ArrowIpc).collect();
    if let StreamItem::End(summary) = item {
        items.push(Item::Summary(summary_to_message(query, summary)));
    }
    let messages = items.into_iter();
    Ok(messages
        .map(|item| QueryStreamResponse { item: Some(item) })
        .collect())
}
