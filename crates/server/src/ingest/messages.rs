//! gRPC messages, decompressed and decoded as memory is available.
//!
//! The codec would do both at once and with the whole message, before its memory is counted.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use service::write::{IngestLimits, WriteError};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;

use super::admission::{Held, Refuse};
use super::body::{decompress, gzip_reader};
use super::otlp::extent::{Form, admit};

/// The header that names the compression of messages.
const ENCODING: &str = "grpc-encoding";

/// One byte for the compression flag and four for the length (gRPC over HTTP/2, Length-Prefixed-Message).
pub(super) const PREFIX_BYTES: usize = 5;

/// The limits of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageLimit {
    pub(super) bytes: usize,
    /// The error of a larger message.
    pub(super) too_large: fn(usize) -> WriteError,
    /// The limits of a decoded message, for messages that can expand: requests of OTLP.
    pub(super) decoded: Option<IngestLimits>,
}

/// Returns a body with plain messages within the limit. It applies to bodies whose headers announce gzip, in which
/// case that header is removed, and to messages with limits of their decoded size.
pub(super) fn limited(
    headers: &mut HeaderMap,
    body: Body,
    held: Held,
    limit: MessageLimit,
    refuse: Refuse,
) -> Body {
    let is_gzip = headers.get(ENCODING).map(|name| name.as_bytes()) == Some(b"gzip");
    if is_gzip {
        headers.remove(ENCODING);
    } else if limit.decoded.is_none() {
        return body;
    }
    let reading = Messages {
        body,
        is_gzip,
        held,
        limit,
        refuse,
        received: BytesMut::new(),
    };
    let frames = stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await {
            Ok(frame) => Some((Ok(frame?), Some(reading))),
            Err(status) => Some((Err(status), None)),
        }
    });
    Body::new(StreamBody::new(frames.boxed()))
}

/// A body whose messages are assembled.
struct Messages {
    body: Body,
    /// Whether messages may be compressed.
    is_gzip: bool,
    held: Held,
    limit: MessageLimit,
    refuse: Refuse,
    received: BytesMut,
}

impl Messages {
    /// The next message, or the trailers after the last one.
    async fn next(&mut self) -> Result<Option<Frame<Bytes>>, Status> {
        loop {
            let message = self.message().await;
            if let Some(message) = message.map_err(|error| (self.refuse)(&error))? {
                return Ok(Some(Frame::data(message)));
            }
            let Some(frame) = self.body.frame().await.transpose()? else {
                // The codec refuses a truncated message.
                let rest = self.received.split().freeze();
                return Ok((!rest.is_empty()).then(|| Frame::data(rest)));
            };
            match frame.into_data() {
                Ok(data) => self.received.extend_from_slice(&data),
                Err(trailers) => return Ok(Some(trailers)),
            }
        }
    }

    /// The first complete message, decompressed.
    async fn message(&mut self) -> Result<Option<Bytes>, WriteError> {
        let Some(mut prefix) = self.received.get(..PREFIX_BYTES) else {
            return Ok(None);
        };
        let is_compressed = prefix.get_u8() != 0;
        let length = usize::try_from(prefix.get_u32()).unwrap_or(usize::MAX);
        if length > self.limit.bytes {
            return Err(self.too_large());
        }
        if self.received.len() - PREFIX_BYTES < length {
            return Ok(None);
        }
        let message = self.received.split_to(PREFIX_BYTES + length).freeze();
        let message = match (is_compressed, self.is_gzip) {
            (false, _) => message,
            (true, true) => self.decompressed(message.slice(PREFIX_BYTES..)).await?,
            // The codec refuses it.
            (true, false) => return Ok(Some(message)),
        };
        if let Some(limits) = &self.limit.decoded {
            let mut reservation = self.held.take();
            let content = message.slice(PREFIX_BYTES..);
            let admitted = admit(Form::Protobuf, content, limits, &mut reservation).await;
            self.held.put_back(reservation);
            admitted?;
        }
        Ok(Some(message))
    }

    /// Decompresses a message. The result has a prefix as well.
    async fn decompressed(&mut self, message: Bytes) -> Result<Bytes, WriteError> {
        let mut reservation = self.held.take();
        let reader = gzip_reader(message.clone());
        let limit = self.limit.bytes;
        let plain = decompress(reader, &message, limit, &mut reservation).await;
        self.held.put_back(reservation);
        let plain = plain.map_err(|error| match error {
            WriteError::TooLarge { .. } => self.too_large(),
            other => other,
        })?;
        let mut message = BytesMut::with_capacity(PREFIX_BYTES + plain.len());
        message.put_u8(0);
        message.put_u32(u32::try_from(plain.len()).map_err(|_| self.too_large())?);
        message.extend_from_slice(&plain);
        Ok(message.freeze())
    }

    fn too_large(&self) -> WriteError {
        (self.limit.too_large)(self.limit.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tonic::Code;

    use super::*;
    use api::proto::otlp::LogRecord;
    use service::write::Budget;

    const LIMIT: MessageLimit = MessageLimit {
        bytes: 1 << 20,
        too_large: |limit| WriteError::MessageTooLarge { limit },
        decoded: None,
    };

    fn message(flag: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[flag], &length[..], content].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The output for a body that arrives in parts, and the memory that is held for it.
    async fn received(encoding: &str, parts: Vec<Vec<u8>>) -> Result<(Vec<u8>, usize), Status> {
        received_within(LIMIT, encoding, parts).await
    }

    async fn received_within(
        limit: MessageLimit,
        encoding: &str,
        parts: Vec<Vec<u8>>,
    ) -> Result<(Vec<u8>, usize), Status> {
        let budget = Budget::new(8 << 20, 4 << 20);
        let held = Held::new(budget.clone());
        let frames = parts
            .into_iter()
            .map(|part| Ok::<_, Status>(Frame::data(Bytes::from(part))));
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let mut headers =
            HeaderMap::from_iter([(ENCODING.parse().unwrap(), encoding.parse().unwrap())]);
        let refuse: Refuse = Arc::new(crate::ingest::status::status);
        let body = limited(&mut headers, body, held.clone(), limit, refuse);
        assert_eq!(headers.contains_key(ENCODING), encoding != "gzip");
        let bytes = body.collect().await?.to_bytes().to_vec();
        Ok((bytes, budget.held_bytes()))
    }

    /// Messages are whole no matter how their bytes arrive, and compressed ones are decompressed.
    #[tokio::test]
    async fn compressed_messages_are_plain() {
        let plain = [
            message(0, b"one"),
            message(0, b""),
            message(0, &[b'x'; 100_000]),
        ]
        .concat();
        let sent = [
            message(1, &gzip(b"one")),
            message(0, b""),
            message(1, &gzip(&[b'x'; 100_000])),
        ];
        let sent = sent.concat();
        for length in [1, 7, sent.len()] {
            let parts = sent.chunks(length).map(<[u8]>::to_vec).collect();
            let (bytes, _) = received("gzip", parts).await.unwrap();
            assert_eq!(bytes, plain);
        }
        let (bytes, _) = received("identity", vec![sent.clone()]).await.unwrap();
        assert_eq!(bytes, sent);
        // The codec refuses a truncated message.
        let (bytes, _) = received("gzip", vec![sent[..7].to_vec()]).await.unwrap();
        assert_eq!(bytes, sent[..7]);
    }

    /// A message of OTLP is measured before the codec decodes it, compressed or not.
    #[tokio::test]
    async fn messages_are_measured_before_they_are_decoded() {
        let limit = MessageLimit {
            decoded: Some(IngestLimits::default()),
            ..LIMIT
        };
        let records = [0x12, 0].repeat(100_001);
        let within = |tag: u8, content: &[u8]| {
            let mut field = vec![tag << 3 | 2];
            prost::encode_length_delimiter(content.len(), &mut field).unwrap();
            [field, content.to_vec()].concat()
        };
        let request = within(1, &within(2, &records));
        for (encoding, sent) in [
            ("identity", message(0, &request)),
            ("gzip", message(0, &request)),
            ("gzip", message(1, &gzip(&request))),
        ] {
            let refused = received_within(limit, encoding, vec![sent]).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
            assert!(refused.message().contains("--max-events"), "{refused}");
        }
        let request = within(1, &within(2, &records[..20_000]));
        let sent = message(0, &request);
        let received = received_within(limit, "identity", vec![sent.clone()]).await;
        let (bytes, held) = received.unwrap();
        assert_eq!(bytes, sent);
        assert!(held > 10_000 * size_of::<LogRecord>(), "{held}");
    }

    /// The decompressed bytes of a small message are counted, and refused beyond the limit before all are in memory.
    #[tokio::test]
    async fn bombs_are_refused() {
        let bomb = message(1, &gzip(&vec![0; 64 << 20]));
        let refused = received("gzip", vec![bomb]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let whole = message(1, &gzip(&vec![0; 1 << 20]));
        let (bytes, held) = received("gzip", vec![whole]).await.unwrap();
        assert_eq!(bytes.len(), PREFIX_BYTES + (1 << 20));
        assert!(held >= 1 << 20, "{held}");
        let announced = [&[1_u8], &u32::MAX.to_be_bytes()[..]].concat();
        let refused = received("gzip", vec![announced]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let damaged = message(1, b"no gzip at all");
        let refused = received("gzip", vec![damaged]).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}
