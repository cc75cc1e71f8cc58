//! The memory of gRPC requests that are being read.
//!
//! A message is in memory as a whole before its method is called, so what it takes is counted while it
//! arrives. What cannot be counted yet is not read, and waits at the client.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Extensions, Request, Response};
use tonic::server::NamedService;

use super::budget::{Budget, Reservation};
use super::error::{WriteError, of_message};

/// A client that sends nothing more for this long is let go, and with it the memory it holds.
const STALL: Duration = Duration::from_secs(30);

/// The method that goes on as long as its client likes. It counts its messages itself, one by one.
const ENDLESS: &str = "/vouch.v1.IngestService/WriteStream";

/// Counts the requests of a service against a budget, and says which limit a message exceeds.
#[derive(Debug, Clone)]
pub(crate) struct Admission<S> {
    service: S,
    budget: Budget,
    message_bytes: usize,
}

/// The memory of a request, as an extension of it.
#[derive(Debug, Clone, Default)]
struct Held {
    reservation: Arc<Mutex<Reservation>>,
}

impl Held {
    fn join(&self, more: Reservation) {
        let mut held = self
            .reservation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.join(more);
    }

    fn take(&self) -> Reservation {
        let mut held = self
            .reservation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut held)
    }
}

/// Memory for a message of `bytes`: what was counted while it arrived, and what it takes beyond that.
///
/// # Errors
/// [`WriteError::Overloaded`].
pub(super) async fn admitted(
    extensions: &Extensions,
    budget: &Budget,
    bytes: usize,
) -> Result<Reservation, WriteError> {
    let held = extensions.get::<Held>().map(Held::take);
    let mut held = held.unwrap_or_default();
    let missing = bytes.saturating_sub(held.bytes());
    if missing > 0 {
        held.join(budget.reserve(missing).await?);
    }
    Ok(held)
}

impl<S> Admission<S> {
    /// Counts the requests of `service`, which takes messages of `message_bytes`, against `budget`.
    pub(crate) fn new(service: S, budget: Budget, message_bytes: usize) -> Self {
        Self {
            service,
            budget,
            message_bytes,
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
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() == ENDLESS {
            return self.service.call(request).boxed();
        }
        let held = Held::default();
        let budget = self.budget.clone();
        let counting = held.clone();
        let mut request = request.map(|body| counted(body, budget, counting));
        request.extensions_mut().insert(held);
        let limit = self.message_bytes;
        let answered = self.service.call(request).map(move |response| {
            let response = response?;
            Ok(match response.extensions().get::<Status>() {
                Some(status) => of_message(status.clone(), limit).into_http(),
                None => response,
            })
        });
        answered.boxed()
    }
}

/// A body that is read as far as there is memory for it.
fn counted(body: Body, budget: Budget, held: Held) -> Body {
    let frames = stream::unfold(Some(body), move |body| {
        let (budget, held) = (budget.clone(), held.clone());
        async move {
            let mut body = body?;
            let frame = match tokio::time::timeout(STALL, body.frame()).await {
                Ok(frame) => frame?,
                Err(_) => return Some((Err(WriteError::BodyStalled(STALL).status()), None)),
            };
            let bytes = match &frame {
                Ok(frame) => frame.data_ref().map_or(0, |data| data.len()),
                Err(_) => 0,
            };
            match budget.reserve(bytes).await {
                Ok(more) => held.join(more),
                Err(error) => return Some((Err(error.status()), None)),
            }
            Some((frame, Some(body)))
        }
    });
    Body::new(StreamBody::new(frames.boxed()))
}
