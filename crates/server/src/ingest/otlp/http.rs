//! `POST /v1/logs`: OTLP over HTTP, in protobuf and in JSON.

use api::proto::otlp::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use prost::Message;
use serde_json::{Value, json};
use service::write::{Door, WriteError, WriteReceipt, Writer};

use super::extent::{Form, admit};
use super::{WORKSPACE_HEADER, export, json, partial_success};
use crate::connections::Peer;
use crate::ingest::body::{media_type, receive_for, text};
use crate::ingest::http::{failed, tell_what_helps};
use crate::ingest::status::collector_error;

impl Form {
    /// The form in the headers of a request.
    ///
    /// # Errors
    /// [`WriteError::Unsupported`].
    fn of(headers: &HeaderMap) -> Result<Self, WriteError> {
        match media_type(headers).as_str() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            other => Err(WriteError::Unsupported(format!(
                "Content-Type `{other}` is not read here; use application/x-protobuf or application/json"
            ))),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Stores log records from HTTP.
pub(crate) async fn logs(State(writer): State<Writer>, request: Request) -> Response {
    let form = match Form::of(request.headers()) {
        Ok(form) => form,
        Err(error) => {
            writer.count(Door::OtlpHttp, Err(&error));
            return failed(&error);
        }
    };
    let stored = store(&writer, form, request).await;
    writer.count(Door::OtlpHttp, stored.as_ref());
    match stored {
        Ok(receipt) => respond(form, StatusCode::OK, partial_success(&receipt)),
        Err(error) => refuse(form, &error),
    }
}

async fn store(writer: &Writer, form: Form, request: Request) -> Result<WriteReceipt, WriteError> {
    let (head, body) = request.into_parts();
    let source = Peer::source(Door::OtlpHttp, &head.extensions);
    let received = receive_for(writer, &head, body).await?;
    let (bytes, mut held) = (received.bytes, received.held);
    admit(form, bytes.clone(), writer.limits(), &mut held).await?;
    let turn = held.turn().await;
    let request = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        match form {
            Form::Protobuf => ExportLogsServiceRequest::decode(bytes)
                .map_err(|error| WriteError::Body(error.to_string())),
            Form::Json => json::request(&bytes).map_err(WriteError::Body),
        }
    })
    .await
    .map_err(|error| WriteError::Defect(error.to_string()))??;
    let workspace = text(&head.headers, &HeaderName::from_static(WORKSPACE_HEADER));
    export(writer, source, workspace, request, held).await
}

fn respond(
    form: Form,
    status: StatusCode,
    partial_success: Option<ExportLogsPartialSuccess>,
) -> Response {
    let body = match form {
        Form::Protobuf => ExportLogsServiceResponse { partial_success }.encode_to_vec(),
        Form::Json => match partial_success {
            None => json!({}),
            // The JSON mapping of Protobuf has 64-bit integers as texts.
            Some(partial) => json!({"partialSuccess": {
                "rejectedLogRecords": partial.rejected_log_records.to_string(),
                "errorMessage": partial.error_message,
            }}),
        }
        .to_string()
        .into_bytes(),
    };
    response(form, status, body)
}

/// A failure has the form of google.rpc.Status.
fn refuse(form: Form, error: &WriteError) -> Response {
    let error = collector_error(error);
    let (kind, info) = (error.kind(), error.info());
    let code = kind.grpc_code();
    let body = match form {
        Form::Protobuf => api::status::rpc_status(code, info).encode_to_vec(),
        Form::Json => {
            let content: Value = json!({"code": i32::from(code), "message": info.message});
            content.to_string().into_bytes()
        }
    };
    let mut response = response(form, kind.http_status(), body);
    tell_what_helps(kind, &mut response);
    response
}

fn response(form: Form, status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static(form.media_type());
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
