//! `POST /v1/events`, and the common parts of the answers of the HTTP doors.

use api::{ErrorCode, ErrorKind};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use service::write::{AskedOptions, Door, WriteError, WriteOptions, WriteReceipt, Writer};
use url::form_urlencoded;

use super::body::{media_type, receive_for};
use crate::connections::Peer;
use crate::web::is_of_browser;

/// The path for events.
pub(crate) const PATH: &str = "/v1/events";

/// Media types of NDJSON. A missing type counts as NDJSON as well.
const NDJSON: [&str; 4] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "",
];
const JSON: &str = "application/json";

/// Stores events.
pub(crate) async fn events(State(writer): State<Writer>, request: Request) -> Response {
    let stored = store(&writer, request).await;
    writer.count(Door::Http, stored.as_ref());
    match stored {
        Ok(receipt) => answer(receipt),
        Err(error) => failed(&error),
    }
}

async fn store(writer: &Writer, request: Request) -> Result<WriteReceipt, WriteError> {
    let options = options(writer, request.uri().query().unwrap_or_default())?;
    let (head, body) = request.into_parts();
    let media_type = media_type(&head.headers);
    let is_single = media_type == JSON;
    if media_type.is_empty() && is_of_browser(&head.headers) {
        // A page of any site may send a body without a type, and without a preflight request only such a body.
        return Err(WriteError::Unsupported(
            "a body without Content-Type is not read from a browser; use application/x-ndjson"
                .to_owned(),
        ));
    }
    if !is_single && !NDJSON.contains(&media_type.as_str()) {
        return Err(WriteError::Unsupported(format!(
            "Content-Type `{media_type}` is not read here; use application/x-ndjson with one JSON object \
             a line, or application/json with a single object"
        )));
    }
    let source = Peer::source(Door::Http, &head.extensions);
    let received = receive_for(writer, &head, body).await?;
    let text = received.bytes;
    writer
        .write(source, options, received.held, move |decoder, workspace| {
            if is_single {
                return decoder.take_text(&text, workspace);
            }
            decoder.take_lines(&text, workspace)
        })
        .await
}

fn options(writer: &Writer, query: &str) -> Result<WriteOptions, WriteError> {
    let (mut workspace, mut mapping, mut producer) = (String::new(), String::new(), String::new());
    let (mut number, mut all_or_nothing) = (0, false);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |wanted: &str| {
            WriteError::Request(format!("`{value}` is no value for `{name}`: {wanted}"))
        };
        match &*name {
            "workspace" => workspace = value.into_owned(),
            "mapping" => mapping = value.into_owned(),
            "producer" => producer = value.into_owned(),
            "number" => {
                number = value
                    .parse()
                    .map_err(|_| wrong("give a whole number from 1"))?;
            }
            "all_or_nothing" => {
                all_or_nothing = value.parse().map_err(|_| wrong("give true or false"))?;
            }
            _ => {
                return Err(WriteError::Request(format!(
                    "there is no parameter `{name}`; there are workspace, mapping, producer, number and \
                     all_or_nothing"
                )));
            }
        }
    }
    writer.options(&AskedOptions {
        workspace: &workspace,
        mapping: &mapping,
        producer: &producer,
        number,
        all_or_nothing,
    })
}

/// The result of a request. When nothing is stored and a record is refused, the status is an error, for clients that
/// check nothing else.
fn answer(receipt: WriteReceipt) -> Response {
    let nothing_stored = receipt.accepted == 0 && !receipt.refused.is_empty();
    let mut content = json!({
        "accepted": receipt.accepted,
        "refused": receipt.refused.iter().map(|refused| json!({
            "index": refused.index,
            "code": refused.rejection.code.as_str(),
            "reason": refused.rejection.message,
        })).collect::<Vec<Value>>(),
    });
    if !receipt.token.is_empty() {
        content["token"] = receipt.token.into();
    }
    if !nothing_stored {
        return json_response(StatusCode::OK, &content);
    }
    content["error_code"] = ErrorCode::NothingStored.as_str().into();
    content["message"] = "nothing of the request is stored, see `refused`".into();
    json_response(ErrorCode::NothingStored.kind().http_status(), &content)
}

/// The answer to a request that failed, as JSON.
pub(super) fn failed(error: &WriteError) -> Response {
    let error = error.public();
    let info = error.info();
    let mut content = json!({"error_code": info.code, "message": info.message});
    if let Some(expected) = info.expected_number {
        content["expected_number"] = expected.into();
    }
    let mut response = json_response(error.kind().http_status(), &content);
    tell_what_helps(error.kind(), &mut response);
    response
}

/// Headers with hints for a retry.
pub(super) fn tell_what_helps(kind: ErrorKind, response: &mut Response) {
    if let Some(seconds) = kind.retry_after_s() {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if kind == ErrorKind::Unsupported {
        let encodings = HeaderValue::from_static("gzip, zstd, identity");
        response.headers_mut().insert(ACCEPT_ENCODING, encodings);
    }
}

/// A JSON value as an answer.
pub(crate) fn json_response(status: StatusCode, content: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{content}\n")));
    *response.status_mut() = status;
    let json = HeaderValue::from_static(JSON);
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
