//! The HTTP port: its connections and its paths.

mod origin;

use std::time::Duration;

use api::ErrorCode;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use service::write::{Budget, Door, Writer};
use service::{METRICS_MEDIA_TYPE, Metrics, Readiness, Service};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::codegen::Service as _;

pub(crate) use origin::{Hosts, is_of_browser};

use crate::connections::{Connection, Listener, Peer, Port};
use crate::ingest::{LONGEST_STALL, http, otlp};
use crate::metrics::Parts;
use crate::sending::Sending;
use crate::serve::until;

/// The headers of a request have to arrive within this time after the previous request.
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);

/// The port for HTTP. hyper closes idle connections itself.
pub(crate) const PORT: Port = Port {
    name: "http",
    idle: None,
    refusal: b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n\
               Content-Type: application/json\r\n\r\n{\"error_code\":\"too_many_connections\",\
               \"message\":\"too many connections are open; close some, or raise --max-connections\"}\n",
};

/// The state of the paths other than those of ingest.
#[derive(Debug, Clone)]
struct Report {
    readiness: Readiness,
    metrics: Metrics,
    parts: Parts,
}

/// The routes of the HTTP port.
pub(crate) fn router(service: &Service, parts: Parts, hosts: Hosts) -> Router {
    let report = Report {
        readiness: service.readiness(),
        metrics: service.metrics().clone(),
        parts,
    };
    let writer = service.writer().clone();
    let reports = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(report);
    let (counted, budget) = (writer.clone(), writer.budget().clone());
    Router::new()
        .route(http::PATH, post(http::events))
        .route(otlp::PATH, post(otlp::http::logs))
        .with_state(writer)
        .merge(reports)
        .fallback(async |request: Request| {
            refusal(
                ErrorCode::NotFound,
                &format!(
                    "nothing is at `{}`; there are /v1/events, {}, /healthz, /readyz and /metrics",
                    request.uri().path(),
                    otlp::PATH
                ),
            )
        })
        .method_not_allowed_fallback(async |method: Method| {
            refusal(
                ErrorCode::MethodNotAllowed,
                &format!(
                    "{method} is not for this path; use POST for events and logs, GET for the others"
                ),
            )
        })
        .layer(middleware::from_fn_with_state(hosts, origin::check))
        .layer(middleware::from_fn_with_state(counted, count_refusals))
        .layer(middleware::from_fn_with_state(budget, send))
}

/// Drops answers that their clients do not read. Answers are not counted, so acknowledgements are sent even while
/// memory is short.
async fn send(State(budget): State<Budget>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let sending = Sending {
        budget,
        share: None,
        closing: peer.map(|peer| peer.closing.clone()),
        end: Err,
        stall: LONGEST_STALL,
    };
    let response = next.run(request).await;
    let response = sending.sent(response.map(tonic::body::Body::new));
    response.map(Body::new)
}

/// The code of a refusal, as an extension of its response.
#[derive(Debug, Clone, Copy)]
struct RefusalCode(ErrorCode);

/// Counts the requests to store events that no door has read, because some senders do not report failures.
async fn count_refusals(State(writer): State<Writer>, request: Request, next: Next) -> Response {
    let door = match request.uri().path() {
        http::PATH => Some(Door::Http),
        otlp::PATH => Some(Door::OtlpHttp),
        _ => None,
    };
    let response = next.run(request).await;
    if let (Some(door), Some(RefusalCode(code))) = (door, response.extensions().get()) {
        writer.count_refusal(door, *code);
    }
    response
}

async fn ready(State(report): State<Report>) -> Response {
    match report.readiness.check() {
        // The service is ready nevertheless: it answers queries and accepts events.
        Ok(()) => match report.readiness.clock_difference() {
            Some(difference) => {
                format!("ok, but the clock of this node is {difference}\n").into_response()
            }
            None => "ok\n".into_response(),
        },
        Err(not_ready) => refusal(ErrorCode::NotReady, &not_ready.to_string()),
    }
}

async fn figures(State(report): State<Report>) -> Response {
    match report.metrics.text(report.parts) {
        Ok(text) => ([(CONTENT_TYPE, METRICS_MEDIA_TYPE)], text).into_response(),
        Err(error) => refusal(
            ErrorCode::ExecutionFailed,
            &format!("the figures cannot be written: {error}"),
        ),
    }
}

/// Serves the connections of `listener` until `stopped` is true and the running requests have finished.
pub(crate) async fn serve(listener: Listener, router: Router, stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stop = Box::pin(until(stopped.clone()));
    loop {
        tokio::select! {
            () = &mut stop => break,
            connection = listener.accept() => {
                connections.spawn(converse(connection, router.clone(), stopped.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection.
async fn converse(connection: Connection, router: Router, stopped: watch::Receiver<bool>) {
    let peer = connection.peer().clone();
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().call(request.map(Body::new))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(connection), answer);
    let mut serving = std::pin::pin!(serving);
    // A failed connection has ended; its client notices that.
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = until(stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// A refusal as JSON.
pub(crate) fn refusal(code: ErrorCode, message: &str) -> Response {
    let content = json!({"error_code": code.as_str(), "message": message});
    let mut response = http::json_response(code.kind().http_status(), &content);
    response.extensions_mut().insert(RefusalCode(code));
    if code == ErrorCode::MethodNotAllowed {
        let methods = HeaderValue::from_static("GET, POST");
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}
