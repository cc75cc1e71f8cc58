#![doc = include_str!("../README.md")]

mod workspace;

use std::time::Duration;

use api::convert::{
    answer_from_message, diagnostic_from_message, error_code_from_text, explanation_from_message,
    request_to_message, stage_to_message, summary_from_message,
};
use api::proto::query_service_client::QueryServiceClient;
use api::proto::query_stream_response::Item;
use api::proto::workspace_service_client::WorkspaceServiceClient;
use api::proto::{ExplainRequest, QueryStreamResponse};
use api::{
    Answer, ArrowStreamDecoder, ErrorCode, Explanation, MAX_MESSAGE_BYTES, MessageError,
    QueryRequest, Stage, StreamItem, fault_of_status, status,
};
use dql::{Code, Diagnostic, Fault};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time after which a service that disappeared is noticed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is not an address.
    #[error("`{address}` is no address of a service: {reason}; give `host:port` or `unix:PATH`")]
    Address {
        /// The text.
        address: String,
        /// The reason.
        reason: String,
    },
    /// No service answers at the address.
    #[error(
        "no service answers at `{address}`: {reason}; check the address and that `vouch serve` runs"
    )]
    Unreachable {
        /// The address.
        address: String,
        /// The error of the connection.
        reason: String,
    },
    /// The service refused the call or failed, with a reason.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The call failed without an error of the service.
    #[error("the call failed: {message} ({code:?})", message = .0.message(), code = .0.code())]
    Call(#[source] Box<Status>),
    /// The stream ended before its summary.
    #[error("the answer broke off; what came of it is not complete")]
    Incomplete,
    /// The answer cannot be decoded.
    #[error("{0}")]
    Answer(String),
}

/// The error of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The stable code.
    pub code: ErrorCode,
    /// The message.
    pub message: String,
    /// The diagnostics of the query text, when that is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// Who has to change something.
    pub fault: Fault,
}

/// A connection to a service.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects to the service at `address`, `host:port` or `unix:PATH`. The connection is not encrypted.
    ///
    /// # Errors
    /// [`ClientError::Address`] or [`ClientError::Unreachable`].
    pub async fn connect(address: &str) -> Result<Self, ClientError> {
        let endpoint = endpoint(address)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL);
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| ClientError::Unreachable {
                address: address.to_owned(),
                reason: innermost(&error),
            })?;
        Ok(Self { channel })
    }

    fn queries(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn workspaces(&self) -> WorkspaceServiceClient<Channel> {
        WorkspaceServiceClient::new(self.channel.clone())
    }

    /// Returns one answer per statement. *Now* is the time of the service.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn query(&self, request: &QueryRequest) -> Result<Vec<Answer>, ClientError> {
        let message = request_to_message(request);
        let response = self.queries().query(message).await.map_err(refused)?;
        let answers: Result<_, MessageError> = response
            .into_inner()
            .content
            .into_iter()
            .map(answer_from_message)
            .collect();
        Ok(answers?)
    }

    /// Streams the answer to one statement: the schema, batches, the end.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting, also as an item; after an error nothing follows.
    pub async fn query_stream(
        &self,
        request: &QueryRequest,
    ) -> Result<BoxStream<'static, Result<StreamItem, ClientError>>, ClientError> {
        let message = request_to_message(request);
        let response = self
            .queries()
            .query_stream(message)
            .await
            .map_err(refused)?;
        let messages = response
            .into_inner()
            .map(|message| message.map_err(refused));
        Ok(items(messages).boxed())
    }

    /// Returns a stage of a query.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn explain(
        &self,
        request: &QueryRequest,
        stage: Stage,
    ) -> Result<Explanation, ClientError> {
        let message = ExplainRequest {
            request: Some(request_to_message(request)),
            stage: stage_to_message(stage).into(),
        };
        let response = self.queries().explain(message).await.map_err(refused)?;
        Ok(explanation_from_message(response.into_inner()))
    }
}

fn endpoint(address: &str) -> Result<Endpoint, ClientError> {
    let wrong = |reason: &str| ClientError::Address {
        address: address.to_owned(),
        reason: reason.to_owned(),
    };
    if address.starts_with("https://") {
        return Err(wrong("this version has no TLS"));
    }
    if let Some(path) = address.strip_prefix("unix:") {
        // The library panics at an invalid path.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(wrong("there is no path after `unix:`"));
        }
        let endpoint = Endpoint::from_shared(format!("unix:{path}"));
        return endpoint.map_err(|error| wrong(&innermost(&error)));
    }
    let url = match address.strip_prefix("http://") {
        Some(_) => address.to_owned(),
        None if address.contains("://") => return Err(wrong("it is an address of something else")),
        None => format!("http://{address}"),
    };
    let endpoint = Endpoint::from_shared(url).map_err(|error| wrong(&innermost(&error)))?;
    match endpoint.uri().port_u16() {
        Some(_) => Ok(endpoint),
        None => Err(wrong("it has no port")),
    }
}

/// The innermost error of a chain, which has the most information about a failed connection.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

fn refused(status: Status) -> ClientError {
    let Some(info) = status::error_info(&status) else {
        return ClientError::Call(Box::new(status));
    };
    let code = error_code_from_text(info.code);
    let fault = match code {
        ErrorCode::Query(Code::Unknown(_)) => fault_of_status(status.code()),
        known => known.fault(),
    };
    ClientError::Refused(Box::new(Refusal {
        code,
        message: info.message,
        diagnostics: info
            .diagnostics
            .into_iter()
            .map(diagnostic_from_message)
            .collect(),
        fault,
    }))
}

/// The items of a streamed answer; an error when the messages end before the summary.
fn items(
    messages: impl Stream<Item = Result<QueryStreamResponse, ClientError>> + Send + 'static,
) -> impl Stream<Item = Result<StreamItem, ClientError>> + Send + 'static {
    struct Reading<S> {
        messages: S,
        decoder: ArrowStreamDecoder,
        over: bool,
    }
    let reading = Reading {
        messages: Box::pin(messages),
        decoder: ArrowStreamDecoder::default(),
        over: false,
    };
    stream::unfold(reading, |mut reading| async move {
        if reading.over {
            return None;
        }
        let step = match reading.messages.next().await {
            None => Err(ClientError::Incomplete),
            Some(message) => message.and_then(|message| step(&mut reading.decoder, message)),
        };
        reading.over = match &step {
            Ok(found) => matches!(found.last(), Some(StreamItem::End(_))),
            Err(_) => true,
        };
        let found: Vec<Result<StreamItem, ClientError>> = match step {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        Some((stream::iter(found), reading))
    })
    .flatten()
}

fn step(
    decoder: &mut ArrowStreamDecoder,
    message: QueryStreamResponse,
) -> Result<Vec<StreamItem>, ClientError> {
    let unreadable = |error: arrow::error::ArrowError| ClientError::Answer(error.to_string());
    match message.item.ok_or(MessageError::UnknownKind)? {
        Item::ArrowIpc(bytes) => decoder.decode(bytes).map_err(unreadable),
        Item::Summary(summary) => {
            decoder.finish().map_err(unreadable)?;
            Ok(vec![StreamItem::End(summary_from_message(summary)?)])
        }
    }
}

impl From<MessageError> for ClientError {
    fn from(error: MessageError) -> Self {
        Self::Answer(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_bare() {
        assert_eq!(
            endpoint("localhost:50051").unwrap().uri().to_string(),
            "http://localhost:50051/"
        );
        assert_eq!(
            endpoint("http://[::1]:1").unwrap().uri().port_u16(),
            Some(1)
        );
    }

    #[test]
    fn a_wrong_address_says_why() {
        for (address, reason) in [
            ("https://vouch.example:443", "no TLS"),
            ("s3://bucket", "something else"),
            ("not an address", "invalid"),
            ("nonsense", "no port"),
        ] {
            let error = endpoint(address).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[tokio::test]
    async fn a_stream_without_a_summary_is_incomplete() {
        let found: Vec<_> = items(stream::empty()).collect().await;
        assert!(matches!(found[..], [Err(ClientError::Incomplete)]));
    }

    #[tokio::test]
    async fn nothing_follows_an_error() {
        let failed = || Err(refused(Status::internal("x")));
        let found: Vec<_> = items(stream::iter([failed(), failed()])).collect().await;
        assert!(matches!(found[..], [Err(ClientError::Call(_))]));
    }

    #[test]
    fn a_refusal_keeps_its_words() {
        let status = Status::from(api::Error::new(ErrorCode::InvalidRequest, "no scope"));
        let ClientError::Refused(refusal) = refused(status) else {
            panic!("not refused")
        };
        assert_eq!(refusal.code, ErrorCode::InvalidRequest);
        assert_eq!(refusal.fault, Fault::Request);
    }
}
