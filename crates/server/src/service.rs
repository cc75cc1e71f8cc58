//! Each method: message in, engine, message out.

use std::pin::Pin;

use engine::{Engine, EngineError, StreamItem};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::arrow_stream::Encoder;
use crate::convert::{
    answer_to_message, candidates_to_message, explanation_to_message, request_from_message,
    stage_from_message, summary_to_message, unscoped_request_from_message, validation_to_message,
};
use crate::proto::query_service_server::QueryService;
use crate::proto::query_stream_response::Item;
use crate::proto::{
    CompleteRequest, CompleteResponse, ExplainRequest, ExplainResponse, QueryRequest,
    QueryResponse, QueryStreamResponse, ValidateRequest, ValidateResponse,
};
use crate::{MAX_MESSAGE_BYTES, convert, status};

/// The candidates of a completion where the client does not say how many it wants.
const DEFAULT_CANDIDATES: usize = 50;
/// The most candidates of a completion.
const MOST_CANDIDATES: u32 = 500;

/// Answers questions with an engine.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    engine: Engine,
}

impl Service {
    /// Answers with `engine`.
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl QueryService for Service {
    async fn query(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<QueryResponse>, Status> {
        let request = question(request.into_inner())?;
        let text = request.query.as_str();
        let answers = self
            .engine
            .query(&request)
            .await
            .map_err(|error| status::of_engine_error(text, &error))?;
        let content = answers
            .into_iter()
            .map(|answer| answer_to_message(text, answer));
        let response = QueryResponse {
            content: content.collect(),
        };
        let size_bytes = response.encoded_len();
        if size_bytes > MAX_MESSAGE_BYTES {
            return Err(status::of_answer_too_large(size_bytes));
        }
        Ok(Response::new(response))
    }

    type QueryStreamStream =
        Pin<Box<dyn Stream<Item = Result<QueryStreamResponse, Status>> + Send>>;

    async fn query_stream(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<Self::QueryStreamStream>, Status> {
        let request = question(request.into_inner())?;
        let text = request.query.clone();
        let mut encoder = Encoder::default();
        let messages = self
            .engine
            .query_stream(request)
            .flat_map(move |item| stream::iter(messages(&mut encoder, &text, item)));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let message = request.into_inner();
        let stage = stage_from_message(message.stage);
        let stage = stage.map_err(|error| status::of_request_error(&error))?;
        let request = question(message.request.ok_or_else(no_question)?)?;
        let explanation = self
            .engine
            .explain(&request, stage)
            .await
            .map_err(|error| status::of_engine_error(&request.query, &error))?;
        Ok(Response::new(explanation_to_message(
            &request.query,
            explanation,
        )))
    }

    async fn validate(
        &self,
        request: Request<ValidateRequest>,
    ) -> Result<Response<ValidateResponse>, Status> {
        let message = request.into_inner().request.ok_or_else(no_question)?;
        let request = unscoped_request_from_message(message)
            .map_err(|error| status::of_request_error(&error))?;
        let validation = engine::validate(&request);
        Ok(Response::new(validation_to_message(
            &request.query,
            &validation,
        )))
    }

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<CompleteResponse>, Status> {
        let message = request.into_inner();
        let request = question(message.request.ok_or_else(no_question)?)?;
        let offset = usize::try_from(message.offset).unwrap_or(usize::MAX);
        let most = match message.max_candidates {
            0 => DEFAULT_CANDIDATES,
            most => most.min(MOST_CANDIDATES) as usize,
        };
        let found = self
            .engine
            .complete(&request, offset, most)
            .await
            .map_err(|error| status::of_engine_error(&request.query, &error))?;
        Ok(Response::new(candidates_to_message(&request.query, found)))
    }
}

fn no_question() -> Status {
    status::of_request_error(&convert::RequestError::NoQuestion)
}

fn question(message: QueryRequest) -> Result<engine::QueryRequest, Status> {
    request_from_message(message).map_err(|error| status::of_request_error(&error))
}

/// The messages for one item of a streamed answer about `query`.
fn messages(
    encoder: &mut Encoder,
    query: &str,
    item: Result<StreamItem, EngineError>,
) -> Vec<Result<QueryStreamResponse, Status>> {
    let item = match item {
        Ok(item) => item,
        Err(error) => return vec![Err(status::of_engine_error(query, &error))],
    };
    let parts = match encoder.encode(&item) {
        Ok(parts) => parts,
        Err(error) => return vec![Err(status::of_encoding_error(&error))],
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
