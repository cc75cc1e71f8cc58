//! Sends answers in pieces whose memory is counted until they are sent, and drops answers of clients that do not
//! read.
//!
//! A client opens the window of its HTTP/2 stream as it reads, and only then hyper polls for more of an answer. So an
//! unread answer stays in memory. Here a task owns the rest of an answer: a few pieces at a time are on their way to
//! the socket, and each releases its memory when the connection drops it. When a client reads too slowly for too
//! long, the task drops the rest.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body as _, Frame};
use service::write::{Budget, Reservation, Share, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::CONTENT_LENGTH;
use tonic::codegen::http::{HeaderMap, Response};

use crate::answer_error;
use crate::connections::Closing;
use crate::ingest::{LONGEST_STALL, Pace};

/// The default limit of an HTTP/2 frame.
const PIECE_BYTES: usize = 16 << 10;
/// The most pieces of an answer that are on their way to the socket.
const PIECES: u32 = 4;
/// Answers up to this size are not counted: their calls take more memory.
const SMALL_BYTES: u64 = 1 << 10;

type Item = Result<Frame<Bytes>, Status>;

/// The memory of an answer that was counted before it was written; an extension of its response.
#[derive(Debug, Clone)]
pub(crate) struct Prepaid(Arc<Mutex<Option<Reservation>>>);

impl Prepaid {
    /// An answer with this memory.
    pub(crate) fn new(reservation: Reservation) -> Self {
        Self(Arc::new(Mutex::new(Some(reservation))))
    }

    fn take(&self) -> Option<Reservation> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
    }
}

/// The options for sending the answers of a service.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    /// While requests wait for this memory, answers of slow clients are dropped.
    pub(crate) budget: Budget,
    /// The share of the client; `None` does not count answers.
    pub(crate) share: Option<Share>,
    /// Closes the connection.
    pub(crate) closing: Option<Closing>,
    /// The end of an answer that is dropped.
    pub(crate) end: fn(Status) -> Item,
    /// The time for which a client may read too slowly.
    pub(crate) stall: Duration,
}

/// Ends a gRPC answer with its status.
pub(crate) fn as_trailers(status: Status) -> Item {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

/// A piece on its way. It is dropped after it was written to the socket.
struct Piece {
    bytes: Bytes,
    _memory: Option<Reservation>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Sending {
    /// The response, with a body that is sent in pieces.
    pub(crate) fn sent(self, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        if body.is_end_stream() {
            return Response::from_parts(parts, body);
        }
        let length = body.size_hint().exact();
        // A small body is sent in one packet with its head.
        if length.is_some_and(|length| length <= SMALL_BYTES) {
            return Response::from_parts(parts, body);
        }
        if let Some(length) = length {
            let headers = &mut parts.headers;
            headers.entry(CONTENT_LENGTH).or_insert(length.into());
        }
        let prepaid = parts.extensions.remove::<Prepaid>();
        let prepaid = prepaid.and_then(|prepaid| prepaid.take());
        let (frames, receiver) = mpsc::unbounded_channel();
        let task = Task {
            sending: self,
            frames,
            on_way: Arc::new(Semaphore::new(PIECES as usize)),
        };
        tokio::spawn(task.run(body, prepaid));
        let body = StreamBody::new(UnboundedReceiverStream::new(receiver));
        Response::from_parts(parts, Body::new(body))
    }
}

/// Sends one answer.
struct Task {
    sending: Sending,
    frames: mpsc::UnboundedSender<Item>,
    on_way: Arc<Semaphore>,
}

impl Task {
    async fn run(self, body: Body, prepaid: Option<Reservation>) {
        let Err(error) = self.send(body, prepaid).await else {
            return;
        };
        // The rest of the answer is dropped. Pieces in the connection remain until the client reads them.
        let error = match error {
            WriteError::BodyStalled { .. } | WriteError::BodyLate(_) => {
                answer_error::stalled_reader(LONGEST_STALL)
            }
            _ => answer_error::no_memory(),
        };
        self.give((self.sending.end)(error.into()));
        let all_sent = timeout(self.sending.stall, self.on_way.acquire_many(PIECES));
        if let (Err(_), Some(closing)) = (all_sent.await, &self.sending.closing) {
            closing.close();
        }
    }

    async fn send(
        &self,
        mut body: Body,
        mut prepaid: Option<Reservation>,
    ) -> Result<(), WriteError> {
        let mut pace = self.pace(0);
        loop {
            match self.next(&mut body, &mut pace).await? {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        pace = self.pace(data.len());
                        self.message(data, prepaid.take(), &mut pace).await?;
                    }
                    Err(trailers) => self.give(Ok(trailers)),
                },
                Some(Err(status)) => {
                    self.give((self.sending.end)(status));
                    return self.all_sent(&mut pace).await;
                }
                None => return self.all_sent(&mut pace).await,
            }
        }
    }

    /// The next part of the answer; `None` when the client has left. A stream may pause for any time when all of its
    /// parts are sent.
    async fn next(&self, body: &mut Body, pace: &mut Pace) -> Result<Option<Item>, WriteError> {
        tokio::select! {
            biased;
            frame = body.frame() => return Ok(frame),
            () = self.frames.closed() => return Ok(None),
            sent = self.all_sent(pace) => sent?,
        }
        tokio::select! {
            frame = body.frame() => Ok(frame),
            () = self.frames.closed() => Ok(None),
        }
    }

    /// Sends `data`, for which `prepaid` memory is already held.
    async fn message(
        &self,
        data: Bytes,
        prepaid: Option<Reservation>,
        pace: &mut Pace,
    ) -> Result<(), WriteError> {
        let Sending { budget, share, .. } = &self.sending;
        let mut held = prepaid.or_else(|| Some(budget.request(share.as_ref()?)));
        if let Some(held) = held.as_mut().filter(|_| data.len() as u64 > SMALL_BYTES) {
            held.grow_to(data.len()).await?;
        }
        for (index, bytes) in pieces(data).into_iter().enumerate() {
            let length = bytes.len();
            // The first pieces do not wait for the client.
            let taken = if index < PIECES as usize { 0 } else { length };
            let permit = Arc::clone(&self.on_way).acquire_owned();
            let permit = pace.next(budget, permit, |_| taken).await?;
            if self.frames.is_closed() {
                return Ok(());
            }
            let piece = Piece {
                bytes,
                _memory: held.as_mut().map(|held| held.split(length)),
                // The semaphore is never closed.
                _permit: permit.ok(),
            };
            self.give(Ok(Frame::data(Bytes::from_owner(piece))));
        }
        Ok(())
    }

    /// Waits until all pieces are sent.
    async fn all_sent(&self, pace: &mut Pace) -> Result<(), WriteError> {
        let all = self.on_way.acquire_many(PIECES);
        let all = pace.next(&self.sending.budget, all, |_| 0).await?;
        drop(all);
        Ok(())
    }

    fn give(&self, item: Item) {
        // A client that has left reads nothing.
        let _ = self.frames.send(item);
    }

    fn pace(&self, bytes: usize) -> Pace {
        Pace::of_answer(self.sending.stall, bytes)
    }
}

/// Splits bytes into pieces with separate allocations.
fn pieces(data: Bytes) -> Vec<Bytes> {
    if data.len() <= PIECE_BYTES {
        return vec![data];
    }
    data.chunks(PIECE_BYTES)
        .map(Bytes::copy_from_slice)
        .collect()
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;

    const ANSWER_BYTES: usize = 1 << 20;
    const LONG: Duration = Duration::from_secs(60);

    fn answer() -> Response<Body> {
        let frames = [
            Frame::data(Bytes::from(vec![b'x'; ANSWER_BYTES])),
            Frame::trailers(HeaderMap::from_iter([(
                "grpc-status".parse().unwrap(),
                "0".parse().unwrap(),
            )])),
        ];
        let frames = frames.into_iter().map(Ok::<_, Status>);
        Response::new(Body::new(StreamBody::new(stream::iter(frames))))
    }

    fn sending(budget: &Budget, stall: Duration) -> Sending {
        Sending {
            budget: budget.clone(),
            share: Some(budget.share()),
            closing: None,
            end: as_trailers,
            stall,
        }
    }

    async fn wait_until(is_so: impl Fn() -> bool) {
        let is_so = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, is_so).await.unwrap();
    }

    /// Reads the bytes and the status of an answer.
    async fn received(mut body: Body) -> (usize, String) {
        let (mut bytes, mut status) = (0, String::new());
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(piece) => bytes += piece.len(),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    status = trailers["grpc-status"].to_str().unwrap().to_owned();
                }
            }
        }
        (bytes, status)
    }

    /// An answer arrives whole, and is counted until the connection has dropped its pieces.
    #[tokio::test]
    async fn answers_are_counted_until_they_are_sent() {
        let budget = Budget::new(8 << 20, 4 << 20);
        let mut body = sending(&budget, LONG).sent(answer()).into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert!(
            budget.held_bytes() >= ANSWER_BYTES,
            "{}",
            budget.held_bytes()
        );
        // The connection drops it.
        let first = first.into_data().unwrap().len();
        let (rest, status) = received(body).await;
        assert_eq!((first + rest, status.as_str()), (ANSWER_BYTES, "0"));
        assert_eq!(budget.held_bytes(), 0);
    }

    /// Of an unread answer, only the pieces on their way stay in memory.
    #[tokio::test]
    async fn unread_answer_is_let_go() {
        let budget = Budget::new(8 << 20, 4 << 20);
        let stall = Duration::from_millis(20);
        let body = sending(&budget, stall).sent(answer()).into_body();
        wait_until(|| budget.held_bytes() >= ANSWER_BYTES).await;
        let on_way = PIECES as usize * PIECE_BYTES;
        wait_until(|| budget.held_bytes() <= on_way).await;
        let (bytes, status) = received(body).await;
        assert_eq!((bytes, status.as_str()), (on_way, "4"));
        assert_eq!(budget.held_bytes(), 0);
    }

    /// When a client still reads nothing, its connection is closed.
    #[tokio::test]
    async fn client_that_takes_nothing_loses_its_connection() {
        let budget = Budget::new(8 << 20, 4 << 20);
        let closing = Closing::default();
        let mut sending = sending(&budget, Duration::from_millis(20));
        sending.closing = Some(closing.clone());
        let body = sending.sent(answer()).into_body();
        wait_until(|| closing.is_closing()).await;
        drop(body);
        wait_until(|| budget.held_bytes() == 0).await;
    }

    /// An answer without available memory is refused.
    #[tokio::test]
    async fn answers_share_memory() {
        let budget = Budget::with_patience(2 << 20, 1 << 20, Duration::from_millis(20));
        let share = budget.share();
        let held: Vec<Reservation> = stream::iter(0..2)
            .then(|_| async {
                let mut held = budget.request(&share);
                held.grow_to(400 << 10).await.unwrap();
                held
            })
            .collect()
            .await;
        let body = sending(&budget, LONG).sent(answer()).into_body();
        assert_eq!(received(body).await, (0, "14".to_owned()));
        drop(held);
    }
}
