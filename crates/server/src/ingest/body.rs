//! The body of an HTTP request, read and decompressed within the limits.

use std::io::{self, Read};

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use bytes::{Buf, Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Frame;
use service::write::{Budget, IngestLimits, Reservation, WriteError, Writer};

use super::pace::Pace;
use crate::connections::Peer;

/// The largest part that is decompressed at once.
const PART_BYTES: usize = 1 << 20;
/// The smallest size of the first part.
const FIRST_PART_BYTES: usize = 16 << 10;

/// The largest window of a zstd frame, as a power of two: 8 MiB, which RFC 9659 allows in HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The compression of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// A body in memory.
#[derive(Debug)]
pub(crate) struct Received {
    /// The decompressed bytes.
    pub(crate) bytes: Bytes,
    /// Their memory.
    pub(crate) held: Reservation,
}

/// The media type of the body in lower case, without its parameters; empty when there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let text = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

/// The text of a header.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a body to its end and decompresses it, into memory that is added to `held`.
///
/// # Errors
/// When the body exceeds the limits, has an unknown compression, is damaged or too slow, or when there is no memory.
async fn receive(
    headers: &HeaderMap,
    body: Body,
    limits: &IngestLimits,
    budget: &Budget,
    mut held: Reservation,
) -> Result<Received, WriteError> {
    let encoding = encoding(headers)?;
    let sent = read(headers, body, limits, budget, &mut held).await?;
    let limit = limits.decompressed_bytes;
    let bytes = match encoding {
        Encoding::Identity => sent,
        Encoding::Gzip => decompress(gzip_reader(sent.clone()), &sent, limit, &mut held).await?,
        Encoding::Zstd => decompress(zstd_reader(sent.clone())?, &sent, limit, &mut held).await?,
    };
    Ok(Received { bytes, held })
}

/// Reads the body of a request to store events with `writer`.
///
/// # Errors
/// As for [`receive`].
pub(crate) async fn receive_for(
    writer: &Writer,
    head: &Parts,
    body: Body,
) -> Result<Received, WriteError> {
    let budget = writer.budget();
    let peer = head.extensions.get::<Peer>();
    let share = peer.map_or_else(|| budget.share(), |peer| peer.share.clone());
    let held = budget.request(&share);
    receive(&head.headers, body, writer.limits(), budget, held).await
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, WriteError> {
    match headers.get(CONTENT_ENCODING).map(|name| name.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(Encoding::Identity),
        Some(b"gzip" | b"x-gzip") => Ok(Encoding::Gzip),
        Some(b"zstd") => Ok(Encoding::Zstd),
        Some(other) => Err(WriteError::Unsupported(format!(
            "Content-Encoding `{}` is not read here; use gzip or zstd, or none",
            String::from_utf8_lossy(other)
        ))),
    }
}

async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limits: &IngestLimits,
    budget: &Budget,
    held: &mut Reservation,
) -> Result<Bytes, WriteError> {
    let limit = limits.request_bytes;
    let too_large = || WriteError::TooLarge {
        limit,
        decompressed: false,
        option: "--max-request-bytes",
    };
    let length = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut pace = Pace::default();
    let mut bytes = BytesMut::new();
    loop {
        let frame = pace.next(budget, body.frame(), frame_bytes).await?;
        let Some(frame) = frame else {
            return Ok(bytes.freeze());
        };
        let frame = frame.map_err(|error| WriteError::Body(error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(too_large());
        }
        held.grow_to(bytes.len() + data.len()).await?;
        bytes.extend_from_slice(&data);
    }
}

/// The number of bytes of a body in a frame.
pub(super) fn frame_bytes<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> usize {
    match frame {
        Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
        Some(Err(_)) | None => 0,
    }
}

/// Decompresses gzip members.
pub(super) fn gzip_reader(sent: Bytes) -> impl Read + Send + 'static {
    MultiGzDecoder::new(sent.reader())
}

fn zstd_reader(sent: Bytes) -> Result<impl Read + Send + 'static, WriteError> {
    let unreadable = |error: io::Error| WriteError::Body(error.to_string());
    let mut reader = zstd::Decoder::with_buffer(sent.reader()).map_err(unreadable)?;
    reader.window_log_max(ZSTD_WINDOW_LOG).map_err(unreadable)?;
    Ok(reader)
}

/// Reads `reader` to its end, within the limit and the memory, which is added to `held`. `sent` is its compressed
/// form.
///
/// Each part waits for its memory and for its turn, so that large bodies do not occupy all processors.
///
/// # Errors
/// When the body exceeds the limit or is damaged, or when there is no memory.
pub(super) async fn decompress(
    mut reader: impl Read + Send + 'static,
    sent: &Bytes,
    limit: usize,
    held: &mut Reservation,
) -> Result<Bytes, WriteError> {
    let mut bytes = Vec::new();
    let mut part_bytes = (4 * sent.len()).clamp(FIRST_PART_BYTES, PART_BYTES);
    loop {
        let wanted = part_bytes.min(limit + 1 - bytes.len());
        held.grow_by(wanted).await?;
        let turn = held.turn().await;
        let before = bytes.len();
        let part = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut part = reader.by_ref().take(wanted as u64);
            part.read_to_end(&mut bytes).map(|_| (reader, bytes))
        });
        let part = part.await;
        let part = part.map_err(|error| WriteError::Defect(error.to_string()))?;
        (reader, bytes) = part.map_err(|error| {
            WriteError::Body(format!(
                "it is not what its Content-Encoding or grpc-encoding says, or is cut off: {error}"
            ))
        })?;
        if bytes.len() > limit {
            return Err(WriteError::TooLarge {
                limit,
                decompressed: true,
                option: "--max-decompressed-bytes",
            });
        }
        if bytes.len() < before + wanted {
            return Ok(bytes.into());
        }
        part_bytes = PART_BYTES.min(2 * part_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LIMITS: IngestLimits = IngestLimits {
        request_bytes: 1 << 20,
        decompressed_bytes: 3 << 20,
        events: 10,
        event_bytes: 1 << 20,
        waiting_bytes: 8 << 20,
    };

    async fn receive_as(encoding: &str, bytes: Vec<u8>) -> Result<Bytes, WriteError> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().unwrap())]);
        let budget = Budget::new(LIMITS.waiting_bytes, LIMITS.decompressed_bytes);
        let held = budget.request(&budget.share());
        let received = receive(&headers, Body::from(bytes), &LIMITS, &budget, held).await?;
        Ok(received.bytes)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn bodies_are_decompressed() {
        let text = b"some text".repeat(100_000);
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        assert_eq!(receive_as("gzip", gzip(&text)).await.unwrap(), text);
        assert_eq!(receive_as("zstd", zstd).await.unwrap(), text);
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(receive_as("gzip", two).await.unwrap(), "one two");
        assert_eq!(receive_as("identity", text.clone()).await.unwrap(), text);
        assert_eq!(receive_as("gzip", gzip(b"")).await.unwrap(), "");
    }

    #[tokio::test]
    async fn the_last_byte_of_the_limit_passes_and_the_next_does_not() {
        for (length, passes) in [(3 << 20, true), ((3 << 20) + 1, false), (30 << 20, false)] {
            let bomb = gzip(&vec![0; length]);
            match receive_as("gzip", bomb).await {
                Ok(bytes) => assert!(passes && bytes.len() == length),
                Err(error) => {
                    assert!(!passes, "{error}");
                    assert!(error.to_string().contains("3145728"), "{error}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_damaged_or_unknown_is_refused() {
        let mut cut = gzip(&b"text".repeat(1_000));
        cut.truncate(cut.len() - 9);
        for (encoding, bytes, code) in [
            ("gzip", cut, "malformed_body"),
            ("zstd", b"no zstd".to_vec(), "malformed_body"),
            ("br", Vec::new(), "unsupported_media_type"),
            ("identity", vec![0; (1 << 20) + 1], "request_too_large"),
        ] {
            let error = receive_as(encoding, bytes).await.unwrap_err();
            assert_eq!(error.code().as_str(), code, "{error}");
        }
    }
}
