//! Which format an input is in.

use std::io::Read as _;

use super::error::ReadError;
use super::input::Input;

/// A format that records are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header row.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// How much of the content decides.
const HEAD_BYTES: u64 = 64 * 1024;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// What files of other kinds begin with.
const OTHER_KINDS: [(&[u8], &str, &str); 13] = [
    (b"\x89PNG", "is a PNG image", CONVERT),
    (b"\xff\xd8\xff", "is a JPEG image", CONVERT),
    (b"GIF8", "is a GIF image", CONVERT),
    (b"%PDF", "is a PDF document", CONVERT),
    (
        b"PK\x03\x04",
        "is a ZIP archive (or an Office document)",
        "unpack it first",
    ),
    (
        b"BZh",
        "is compressed with bzip2",
        "unpack it first with `bunzip2`, or use gzip or zstd",
    ),
    (
        b"\xfd7zXZ\0",
        "is compressed with xz",
        "unpack it first with `unxz`, or use gzip or zstd",
    ),
    (
        b"\x1f\x8b",
        "is compressed twice",
        "unpack it once first with `gunzip`",
    ),
    (
        b"\xff\xfe",
        "is UTF-16 text",
        "convert it with `iconv -f UTF-16 -t UTF-8`",
    ),
    (
        b"\xfe\xff",
        "is UTF-16 text",
        "convert it with `iconv -f UTF-16 -t UTF-8`",
    ),
    (b"Obj\x01", "is an Avro file", CONVERT),
    (b"ARROW1", "is an Arrow IPC file", CONVERT),
    (b"SQLite format 3", "is an SQLite database", CONVERT),
];

const CONVERT: &str = "give NDJSON (one JSON object a line), CSV with a header, or Parquet";

impl Format {
    /// The format of an input: from the end of its name (`.gz` and `.zst` aside) where that says
    /// it, and from its content.
    ///
    /// # Errors
    /// A [`ReadError`] when the input cannot be read, is empty, or is in another format; it says
    /// which, and what to do.
    pub fn detect(input: &Input) -> Result<Self, ReadError> {
        let mut head = Vec::new();
        let read = input
            .decompressed()?
            .take(HEAD_BYTES)
            .read_to_end(&mut head);
        // An input cut off within its head is still read as far as it goes.
        if let Err(source) = read
            && head.is_empty()
        {
            return Err(ReadError::from_io(input.name(), 0, source));
        }
        if head.is_empty() {
            return Err(ReadError::Empty {
                name: input.name().to_owned(),
            });
        }
        detect(input.name(), &head).map_err(|(looks_like, advice)| ReadError::NotRecognised {
            name: input.name().to_owned(),
            looks_like: looks_like.to_owned(),
            advice: advice.to_owned(),
        })
    }
}

type Unreadable = (&'static str, &'static str);

fn detect(name: &str, head: &[u8]) -> Result<Format, Unreadable> {
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    for (magic, looks_like, advice) in OTHER_KINDS {
        if head.starts_with(magic) {
            return Err((looks_like, advice));
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        return Err(("is a tar archive", "unpack it first"));
    }
    if head.contains(&0) {
        return Err(("holds binary data of an unknown kind", CONVERT));
    }
    let text = head
        .strip_prefix(UTF8_BOM)
        .unwrap_or(head)
        .trim_ascii_start();
    match (extension(name).as_str(), text.first()) {
        ("parquet", _) => Err(("is called Parquet but is none", CONVERT)),
        ("csv", _) => Ok(Format::Csv),
        (_, Some(b'{')) => check_lines(text),
        (_, Some(b'[')) => Err((
            "holds a JSON array",
            "make it one object a line with `jq -c '.[]'`",
        )),
        (_, Some(b'<')) => Err(("looks like XML or HTML", CONVERT)),
        ("ndjson" | "jsonl" | "json", _) => Ok(Format::Ndjson),
        (_, Some(_)) if first_line(text).contains(&b',') => Ok(Format::Csv),
        (_, Some(_)) => Err(("looks like plain text", CONVERT)),
        (_, None) => Ok(Format::Ndjson),
    }
}

/// Whether a text that begins with an object holds one object a line.
fn check_lines(text: &[u8]) -> Result<Format, Unreadable> {
    let first = first_line(text);
    let rest = text[first.len()..].trim_ascii_start();
    let first_is_open =
        serde_json::from_slice::<serde::de::IgnoredAny>(first).is_err_and(|error| error.is_eof());
    if first_is_open && rest.first().is_some_and(|byte| *byte != b'{') {
        return Err((
            "holds JSON spread over several lines",
            "make it one object a line with `jq -c .`",
        ));
    }
    Ok(Format::Ndjson)
}

fn first_line(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'\n').next().unwrap_or(text)
}

/// The end of the name in lower case, without the ends that tell a compression.
fn extension(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let plain = [".gz", ".zst", ".zstd"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    plain
        .rsplit_once('.')
        .map_or(String::new(), |(_, end)| end.to_owned())
}
