//! The body of a gRPC request, read as memory is available.

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use service::write::WriteError;
use tonic::Status;
use tonic::body::Body;

use super::admission::{Held, Refuse};
use super::body::frame_bytes;
use super::messages::{MessageLimit, PREFIX_BYTES};
use super::pace::Pace;

/// The body, with messages within the limit that arrive fast enough. A stream may pause for any time between
/// messages, but not within one. Any other request has one message.
pub(super) fn counted(
    body: Body,
    held: Held,
    limit: MessageLimit,
    is_stream: bool,
    refuse: Refuse,
) -> Body {
    let incoming = Incoming {
        body,
        held,
        limit,
        is_stream,
        framing: Framing::new(if is_stream { usize::MAX } else { 1 }),
        pace: Pace::default(),
        refusal: None,
    };
    let frames = stream::unfold(Some(incoming), move |incoming| {
        let refuse = refuse.clone();
        async move {
            let mut incoming = incoming?;
            match incoming.next().await {
                Ok(frame) => Some((frame?, Some(incoming))),
                Err(error) => Some((Err(refuse(&error)), None)),
            }
        }
    });
    Body::new(StreamBody::new(frames.boxed()))
}

/// A body that is being read.
struct Incoming {
    body: Body,
    held: Held,
    limit: MessageLimit,
    is_stream: bool,
    framing: Framing,
    pace: Pace,
    /// Why the next bytes are refused.
    refusal: Option<WriteError>,
}

impl Incoming {
    async fn next(&mut self) -> Result<Option<Result<Frame<Bytes>, Status>>, WriteError> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        let frame = if self.is_stream && self.framing.is_between() {
            // The method has taken the messages before.
            self.held.release();
            self.pace = Pace::default();
            self.body.frame().await
        } else {
            let frame = self.body.frame();
            self.pace
                .next(&self.held.budget, frame, frame_bytes)
                .await?
        };
        let frame = match frame {
            Some(Ok(frame)) => frame,
            other => return Ok(other),
        };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Ok(Some(Ok(trailers))),
        };
        if let Err(before) = self.framing.read(&data, self.limit.bytes) {
            let refusal = (self.limit.too_large)(self.limit.bytes);
            if before == 0 {
                return Err(refusal);
            }
            // The messages before it are complete.
            data.truncate(before);
            self.refusal = Some(refusal);
        }
        if !data.is_empty() {
            self.held.grow_by(data.len()).await?;
        }
        Ok(Some(Ok(Frame::data(data))))
    }
}

/// Where messages begin and end (gRPC over HTTP/2, Length-Prefixed-Message).
#[derive(Debug)]
struct Framing {
    /// The number of messages that may follow.
    messages: usize,
    /// The received part of the prefix of the next message.
    prefix: Vec<u8>,
    /// The missing bytes of the message.
    left: usize,
}

impl Framing {
    fn new(messages: usize) -> Self {
        Self {
            messages,
            prefix: Vec::with_capacity(PREFIX_BYTES),
            left: 0,
        }
    }

    fn is_between(&self) -> bool {
        self.left == 0 && self.prefix.is_empty()
    }

    /// Follows the messages through `data`.
    ///
    /// # Errors
    /// The number of bytes of `data` before a message that exceeds `limit`, or that is one too many.
    fn read(&mut self, data: &[u8], limit: usize) -> Result<(), usize> {
        let mut rest = data;
        while !rest.is_empty() {
            if self.left > 0 {
                let (part, after) = rest.split_at(self.left.min(rest.len()));
                self.left -= part.len();
                rest = after;
                continue;
            }
            let before = data.len() - rest.len();
            let missing = PREFIX_BYTES - self.prefix.len();
            let (part, after) = rest.split_at(missing.min(rest.len()));
            self.prefix.extend_from_slice(part);
            rest = after;
            if let Ok([_, length @ ..]) = <[u8; PREFIX_BYTES]>::try_from(self.prefix.as_slice()) {
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if length > limit || self.messages == 0 {
                    return Err(before);
                }
                self.prefix.clear();
                self.messages -= 1;
                self.left = length;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use service::write::Budget;

    const LIMIT: MessageLimit = MessageLimit {
        bytes: 100,
        too_large: |limit| WriteError::MessageTooLarge { limit },
        decoded: None,
    };

    fn message(length: u8) -> Vec<u8> {
        let mut message = vec![0, 0, 0, 0, length];
        message.resize(PREFIX_BYTES + usize::from(length), b'x');
        message
    }

    /// A body that sends these parts and then nothing.
    fn silent(parts: Vec<Vec<u8>>) -> Body {
        let frames = parts
            .into_iter()
            .map(|part| Ok::<_, Status>(Frame::data(Bytes::from(part))));
        Body::new(StreamBody::new(
            stream::iter(frames).chain(stream::pending()),
        ))
    }

    fn incoming(parts: Vec<Vec<u8>>, is_stream: bool, budget: &Budget) -> Incoming {
        Incoming {
            body: silent(parts),
            held: Held::new(budget.clone()),
            limit: LIMIT,
            is_stream,
            framing: Framing::new(if is_stream { usize::MAX } else { 1 }),
            pace: Pace::of_answer(Duration::from_millis(100), 0),
            refusal: None,
        }
    }

    /// A client that sends nothing, or a part of its message, is disconnected, and its memory is released.
    #[tokio::test]
    async fn silent_client_is_let_go() {
        let budget = Budget::new(1 << 20, 1 << 19);
        for parts in [vec![], vec![message(50)[..20].to_vec()], vec![message(50)]] {
            let count = parts.len();
            let mut incoming = incoming(parts, false, &budget);
            for _ in 0..count {
                assert!(incoming.next().await.unwrap().is_some());
                assert!(budget.held_bytes() > 0);
            }
            let error = incoming.next().await.unwrap_err();
            assert!(matches!(error, WriteError::BodyStalled { .. }), "{error}");
            drop(incoming);
            assert_eq!(budget.held_bytes(), 0);
        }
    }

    /// A stream that pauses between messages holds no memory.
    #[tokio::test]
    async fn stream_rests_between_messages() {
        let budget = Budget::new(1 << 20, 1 << 19);
        let sent = [message(3), message(100), message(0)].concat();
        for length in [1, 7, sent.len()] {
            let parts: Vec<Vec<u8>> = sent.chunks(length).map(<[u8]>::to_vec).collect();
            let count = parts.len();
            let mut incoming = incoming(parts, true, &budget);
            for _ in 0..count {
                assert!(incoming.next().await.unwrap().is_some());
            }
            let rests = tokio::time::timeout(Duration::from_secs(1), incoming.next());
            assert!(rests.await.is_err());
            assert_eq!(budget.held_bytes(), 0);
        }
    }

    /// The messages before one that is too large are taken, and a request has one message.
    #[tokio::test]
    async fn large_messages_are_refused() {
        let budget = Budget::new(1 << 20, 1 << 19);
        let sent = [message(3), message(101)].concat();
        for (parts, is_stream) in [(vec![sent], true), (vec![message(3), message(3)], false)] {
            let mut incoming = incoming(parts, is_stream, &budget);
            let Ok(Some(Ok(frame))) = incoming.next().await else {
                panic!("no frame")
            };
            assert_eq!(frame.into_data().unwrap(), message(3));
            let error = incoming.next().await.unwrap_err();
            assert!(
                matches!(error, WriteError::MessageTooLarge { .. }),
                "{error}"
            );
        }
    }

    /// The service counts refusals and returns its own status.
    #[tokio::test]
    async fn refusals_are_told() {
        let held = Held::new(Budget::new(1 << 20, 1 << 19));
        let refuse: Refuse = Arc::new(|_| Status::data_loss("as the service says"));
        let body = counted(silent(vec![message(101)]), held, LIMIT, false, refuse);
        let error = body.collect().await.unwrap_err();
        assert_eq!(error.message(), "as the service says");
    }
}
