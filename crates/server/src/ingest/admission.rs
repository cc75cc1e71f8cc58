//! A layer before gRPC services that bounds the bodies of requests in size and time and counts their memory.
//!
//! A whole message is in memory before its method is called, so its memory is counted while it arrives. Bytes that
//! cannot be counted yet are not read, and wait at the client.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use api::Error;
use futures::FutureExt;
use service::write::{Budget, Door, Reservation, Share, WriteError, Writer};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Extensions, Request, Response};
use tonic::server::NamedService;

use super::incoming::counted;
use super::messages::{MessageLimit, limited};
use super::pace::LONGEST_STALL;
use super::service::STREAM_BYTES;
use super::status::{collector_error, status};
use crate::answer_error;
use crate::connections::Peer;
use crate::sending::{Sending, as_trailers};
use service::Tally;

/// The methods whose clients send any number of messages, with pauses.
const STREAMS: [&str; 3] = [
    "/vouch.v1.IngestService/WriteStream",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Counts a refusal, and returns the status for the client.
pub(super) type Refuse = Arc<dyn Fn(&WriteError) -> Status + Send + Sync>;

/// The limits for the messages of a service.
#[derive(Clone)]
pub(crate) struct Intake {
    budget: Budget,
    /// The shares of addresses in the budget.
    share: fn(&Peer) -> &Share,
    /// The limit for the message of a request.
    single: MessageLimit,
    /// The limit for each message of a stream.
    streamed: MessageLimit,
    refuse: Refuse,
    /// Whether answers are counted as well.
    counts_answers: bool,
}

impl fmt::Debug for Intake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Intake").finish_non_exhaustive()
    }
}

impl Intake {
    /// The intake of a service that stores events with `writer`.
    pub(crate) fn of_writes(writer: &Writer, door: Door) -> Self {
        let bytes = writer.limits().decompressed_bytes;
        let decoded = (door == Door::OtlpGrpc).then(|| *writer.limits());
        let counting = writer.clone();
        let refuse = move |error: &WriteError| {
            counting.count(door, Err(error));
            match door {
                Door::OtlpGrpc => collector_error(error).into(),
                _ => status(error),
            }
        };
        Self {
            budget: writer.budget().clone(),
            share: |peer| &peer.share,
            single: MessageLimit {
                bytes,
                too_large: |limit| WriteError::TooLarge {
                    limit,
                    decompressed: true,
                    option: "--max-decompressed-bytes",
                },
                decoded,
            },
            streamed: MessageLimit {
                bytes: bytes.min(STREAM_BYTES),
                too_large: |limit| WriteError::MessageTooLarge { limit },
                decoded,
            },
            refuse: Arc::new(refuse),
            // An acknowledgement of durable events does not wait for memory.
            counts_answers: false,
        }
    }

    /// The intake of another service, whose messages have at most `bytes`; `name` is its name in the log.
    pub(crate) fn of_questions(budget: Budget, name: &'static str, bytes: usize) -> Self {
        let log = Tally::new(|(service, code), count| {
            tracing::warn!(service, code, count, "requests were refused");
        });
        let limit = MessageLimit {
            bytes,
            too_large: |limit| WriteError::MessageTooLarge { limit },
            decoded: None,
        };
        Self {
            budget,
            share: |peer| &peer.question_share,
            single: limit,
            streamed: limit,
            refuse: Arc::new(move |error| {
                log.add((name, error.code().as_str()), 1);
                question_status(error)
            }),
            counts_answers: true,
        }
    }
}

/// The status for the client of a service that stores no events.
fn question_status(error: &WriteError) -> Status {
    match error {
        WriteError::MessageTooLarge { limit } => answer_error::request_too_large(*limit).into(),
        WriteError::Overloaded { .. } => answer_error::no_memory().into(),
        other => status(other),
    }
}

/// Counts the requests and the answers of a service.
#[derive(Debug, Clone)]
pub(crate) struct BudgetLayer<S> {
    service: S,
    intake: Intake,
}

/// The memory of the message that is being read, as an extension of its request.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The address of the sender.
    pub(super) sender: Option<IpAddr>,
    pub(super) budget: Budget,
    share: Share,
    reservation: Arc<Mutex<Option<Reservation>>>,
}

impl Held {
    /// The memory of a request on a connection of its own.
    #[cfg(test)]
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            sender: None,
            share: budget.share(),
            budget,
            reservation: Arc::default(),
        }
    }

    /// Takes memory for `bytes` more of the message.
    pub(super) async fn grow_by(&self, bytes: usize) -> Result<(), WriteError> {
        let mut reservation = self.take();
        let grown = reservation.grow_by(bytes).await;
        self.put_back(reservation);
        grown
    }

    /// Puts the memory of the message back after it was taken.
    pub(super) fn put_back(&self, reservation: Reservation) {
        *self.lock() = Some(reservation);
    }

    /// Releases the memory of the message.
    pub(super) fn release(&self) {
        *self.lock() = None;
    }

    /// Takes the memory of the message.
    pub(super) fn take(&self) -> Reservation {
        let held = self.lock().take();
        held.unwrap_or_else(|| self.budget.request(&self.share))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reservation>> {
        let held = self.reservation.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for a message of `bytes` that has arrived: the memory that was counted meanwhile, and the rest.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`].
    pub(super) async fn message(&self, bytes: usize) -> Result<Reservation, WriteError> {
        let mut reservation = self.take();
        reservation.grow_to(bytes).await?;
        Ok(reservation)
    }

    /// Memory for an answer of `bytes`.
    ///
    /// # Errors
    /// There is no memory.
    pub(crate) async fn answer(&self, bytes: usize) -> Result<Reservation, Error> {
        let mut reservation = self.budget.request(&self.share);
        let grown = reservation.grow_to(bytes).await;
        grown.map_err(|_| answer_error::no_memory())?;
        Ok(reservation)
    }

    /// The memory of a request.
    ///
    /// # Errors
    /// [`WriteError::Defect`] when the request did not pass a [`BudgetLayer`].
    pub(crate) fn of(extensions: &Extensions) -> Result<Self, WriteError> {
        let held = extensions.get::<Self>().cloned();
        held.ok_or_else(|| WriteError::Defect("its memory was not counted".to_owned()))
    }
}

impl<S> BudgetLayer<S> {
    /// The layer before `service`.
    pub(crate) fn new(service: S, intake: Intake) -> Self {
        Self { service, intake }
    }
}

impl<S: NamedService> NamedService for BudgetLayer<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for BudgetLayer<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let intake = &self.intake;
        let peer = request.extensions().get::<Peer>();
        let held = Held {
            sender: peer.map(|peer| peer.address),
            budget: intake.budget.clone(),
            share: peer.map_or_else(
                || intake.budget.share(),
                |peer| (intake.share)(peer).clone(),
            ),
            reservation: Arc::default(),
        };
        let sending = Sending {
            budget: intake.budget.clone(),
            share: intake.counts_answers.then(|| held.share.clone()),
            closing: peer.map(|peer| peer.closing.clone()),
            end: as_trailers,
            stall: LONGEST_STALL,
        };
        let is_stream = STREAMS.contains(&request.uri().path());
        let limit = if is_stream {
            intake.streamed
        } else {
            intake.single
        };
        let (mut parts, body) = request.into_parts();
        let refuse = || Arc::clone(&intake.refuse);
        let body = counted(body, held.clone(), limit, is_stream, refuse());
        let headers = &mut parts.headers;
        let body = limited(headers, body, held.clone(), limit, refuse());
        parts.extensions.insert(held);
        let answered = self.service.call(Request::from_parts(parts, body));
        let sent = answered.map(move |response| Ok(sending.sent(response?)));
        sent.boxed()
    }
}
