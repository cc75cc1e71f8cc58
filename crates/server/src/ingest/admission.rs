//! The memory of gRPC requests that are being read.
//!
//! A message is in memory as a whole before its method is called, so what it takes is counted while it
//! arrives. What cannot be counted yet is not read, and waits at the client.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Extensions, Request, Response};
use tonic::server::NamedService;

use super::body::frame_bytes;
use super::budget::{Budget, Reservation, Share};
use super::error::{WriteError, of_message};
use super::limits::IngestLimits;
use super::messages::{MessageLimit, limited};
use super::pace::Pace;
use super::service::STREAM_BYTES;
use crate::connections::Peer;

/// The method that goes on as long as its client likes, so that its messages have a limit of their own.
const ENDLESS: &str = "/vouch.v1.IngestService/WriteStream";

/// Counts the requests of a service against a budget, and says which limit a message exceeds.
#[derive(Debug, Clone)]
pub(crate) struct Admission<S> {
    service: S,
    /// The same service with the limit for messages of streams.
    streams: S,
    budget: Budget,
    message_bytes: usize,
    decoded: Option<IngestLimits>,
}

/// The memory of the message that is being read, as an extension of its request.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The address that the message comes from.
    pub(super) sender: Option<IpAddr>,
    budget: Budget,
    share: Share,
    reservation: Arc<Mutex<Option<Reservation>>>,
}

impl Held {
    /// That of a request on a connection of its own.
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
    async fn grow_by(&self, bytes: usize) -> Result<(), WriteError> {
        let mut reservation = self.take();
        let grown = reservation.grow_by(bytes).await;
        self.put_back(reservation);
        grown
    }

    /// Holds the memory of the message again, which was taken.
    pub(super) fn put_back(&self, reservation: Reservation) {
        *self.lock() = Some(reservation);
    }

    /// Whether a part of a message is in memory.
    fn is_amid_message(&self) -> bool {
        self.lock().is_some()
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

    /// Memory for a message of `bytes` that has come: what was counted while it arrived, and what it takes
    /// beyond that.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`].
    pub(super) async fn message(&self, bytes: usize) -> Result<Reservation, WriteError> {
        let mut reservation = self.take();
        reservation.grow_to(bytes).await?;
        Ok(reservation)
    }

    /// That of a request.
    ///
    /// # Errors
    /// [`WriteError::Defect`] when the request did not come through an [`Admission`].
    pub(super) fn of(extensions: &Extensions) -> Result<Self, WriteError> {
        let held = extensions.get::<Self>().cloned();
        held.ok_or_else(|| WriteError::Defect("its memory was not counted".to_owned()))
    }
}

impl<S> Admission<S> {
    /// Counts the requests of `service`, which takes messages of `message_bytes`, against `budget`;
    /// `streams` is the same service for streams of messages. Requests of OTLP have limits of what they are when they
    /// are decoded.
    pub(crate) fn new(
        service: S,
        streams: S,
        budget: Budget,
        message_bytes: usize,
        decoded: Option<IngestLimits>,
    ) -> Self {
        Self {
            service,
            streams,
            budget,
            message_bytes,
            decoded,
        }
    }
}

impl<S: NamedService> NamedService for Admission<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.service.poll_ready(context) {
            Poll::Ready(Ok(())) => self.streams.poll_ready(context),
            other => other,
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        let held = Held {
            sender: peer.map(|peer| peer.address),
            budget: self.budget.clone(),
            share: peer.map_or_else(|| self.budget.share(), |peer| peer.share.clone()),
            reservation: Arc::default(),
        };
        let limit = self.message_bytes;
        let is_endless = request.uri().path() == ENDLESS;
        let message_limit = match is_endless {
            true => MessageLimit {
                bytes: limit.min(STREAM_BYTES),
                too_large: |limit| WriteError::MessageTooLarge { limit },
                decoded: self.decoded,
            },
            false => MessageLimit {
                bytes: limit,
                too_large,
                decoded: self.decoded,
            },
        };
        let (mut parts, body) = request.into_parts();
        let body = counted(body, held.clone());
        let body = limited(&mut parts.headers, body, held.clone(), message_limit);
        parts.extensions.insert(held);
        let request = Request::from_parts(parts, body);
        if is_endless {
            return self.streams.call(request).boxed();
        }
        let answered = self.service.call(request).map(move |response| {
            let response = response?;
            Ok(match response.extensions().get::<Status>() {
                Some(status) => of_message(status.clone(), too_large(limit)).into_http(),
                None => response,
            })
        });
        answered.boxed()
    }
}

fn too_large(limit: usize) -> WriteError {
    WriteError::TooLarge {
        limit,
        decompressed: true,
        option: "--max-decompressed-bytes",
    }
}

/// A body that is read as far as there is memory for it. A stream may rest between its messages as long
/// as its client likes, but not amid one.
fn counted(body: Body, held: Held) -> Body {
    let start = Some((body, Pace::default()));
    let frames = stream::unfold(start, move |reading| {
        let held = held.clone();
        async move {
            let (mut body, mut pace) = reading?;
            let frame = if held.is_amid_message() {
                let frame = pace.next(&held.budget, body.frame(), frame_bytes);
                match frame.await {
                    Ok(frame) => frame?,
                    Err(error) => return Some((Err(error.status()), None)),
                }
            } else {
                pace = Pace::default();
                body.frame().await?
            };
            let bytes = frame
                .as_ref()
                .ok()
                .and_then(Frame::data_ref)
                .map_or(0, Bytes::len);
            if bytes > 0
                && let Err(error) = held.grow_by(bytes).await
            {
                return Some((Err(error.status()), None));
            }
            Some((frame, Some((body, pace))))
        }
    });
    Body::new(StreamBody::new(frames.boxed()))
}
