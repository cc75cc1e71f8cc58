//! Which format an input is in.

use std::io::Read as _;

use memchr::memmem;

use super::error::ReadError;
use super::input::Input;

/// A format that records are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Separated values with a header row.
    Csv {
        /// What separates them: `,`, `;` or a tab.
        delimiter: u8,
    },
    /// Apache Parquet.
    Parquet,
    /// An Arrow IPC stream.
    ArrowStream,
}

/// How much of the content decides.
const HEAD_BYTES: u64 = 64 * 1024;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// What each message of an Arrow IPC stream begins with.
const ARROW_CONTINUATION: &[u8] = b"\xff\xff\xff\xff";

/// What separates the values of a CSV file; the first counts when others are as frequent.
const DELIMITERS: [u8; 3] = *b",;\t";

/// What files of other kinds begin with.
const OTHER_KINDS: [(&[u8], &str, &str); 13] = [
    (b"\x89PNG", "is a PNG image", CONVERT),
    (b"\xff\xd8\xff", "is a JPEG image", CONVERT),
    (b"GIF8", "is a GIF image", CONVERT),
    (b"%PDF", "is a PDF document", CONVERT),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "is an old Office document, such as an Excel workbook (XLS)",
        EXPORT_SHEET,
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
    (
        b"ARROW1",
        "is an Arrow IPC file",
        "write it as an Arrow IPC stream or as Parquet",
    ),
    (b"SQLite format 3", "is an SQLite database", CONVERT),
];

/// What to give instead of another format.
pub(super) const CONVERT: &str =
    "give NDJSON (one JSON object a line), CSV with a header, Parquet, or an Arrow IPC stream";

const EXPORT_SHEET: &str = "export each sheet as CSV first (in Excel: Save As, CSV UTF-8)";

/// A member that every Office Open XML document has.
const OFFICE_MEMBER: &[u8] = b"[Content_Types].xml";

/// What the names of the other members begin with.
const OFFICE_KINDS: [(&[u8], &str, &str); 4] = [
    (b"xl/", "is an Excel workbook (XLSX)", EXPORT_SHEET),
    (b"word/", "is a Word document", CONVERT),
    (b"ppt/", "is a PowerPoint document", CONVERT),
    (b"", "is an Office document", CONVERT),
];

/// The first member of an OpenDocument spreadsheet, which is not compressed.
const OPEN_DOCUMENT_SHEET: &[u8] = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet";

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
    if head.starts_with(ARROW_CONTINUATION) {
        return Ok(Format::ArrowStream);
    }
    let extension = extension(name);
    if head.starts_with(b"PK\x03\x04") {
        return Err(archive(&extension, head));
    }
    for (magic, looks_like, advice) in OTHER_KINDS {
        if head.starts_with(magic) {
            return Err((looks_like, advice));
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        return Err(("is a tar archive", "unpack it first"));
    }
    let text = head
        .strip_prefix(UTF8_BOM)
        .unwrap_or(head)
        .trim_ascii_start();
    let first = first_line(text);
    let csv = Format::Csv {
        delimiter: delimiter(first),
    };
    match (extension.as_str(), text.first()) {
        ("parquet", _) => Err(("is called Parquet but is none", CONVERT)),
        ("csv" | "tsv", _) => Ok(csv),
        // Values may hold U+0000; a header or the first record of a text hardly does.
        (_, _) if first.contains(&0) => Err(("holds binary data of an unknown kind", CONVERT)),
        (_, Some(b'{')) => check_lines(text),
        (_, Some(b'[')) => Err((
            "holds a JSON array",
            "make it one object a line with `jq -c '.[]'`",
        )),
        (_, Some(b'<')) => Err(("looks like XML or HTML", CONVERT)),
        ("ndjson" | "jsonl" | "json", _) => Ok(Format::Ndjson),
        (_, Some(_)) if DELIMITERS.iter().any(|byte| first.contains(byte)) => Ok(csv),
        (_, Some(_)) => Err(("looks like plain text", CONVERT)),
        (_, None) => Ok(Format::Ndjson),
    }
}

/// What a ZIP archive is, by its name and the names of its first members.
fn archive(extension: &str, head: &[u8]) -> Unreadable {
    let has = |member: &[u8]| memmem::find(head, member).is_some();
    if matches!(extension, "xlsx" | "xlsm") {
        return ("is an Excel workbook (XLSX)", EXPORT_SHEET);
    }
    if has(OPEN_DOCUMENT_SHEET) {
        return ("is an OpenDocument spreadsheet", EXPORT_SHEET);
    }
    let mut kinds = OFFICE_KINDS.iter();
    let office = kinds.find(|(member, _, _)| has(OFFICE_MEMBER) && has(member));
    office.map_or(
        ("is a ZIP archive", "unpack it first"),
        |(_, looks_like, advice)| (*looks_like, *advice),
    )
}

/// What separates the names of a header: what occurs most often in it, outside of quotes.
fn delimiter(header: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut is_quoted = false;
    for byte in header {
        is_quoted ^= *byte == b'"';
        if let Some(index) = DELIMITERS.iter().position(|delimiter| delimiter == byte)
            && !is_quoted
        {
            counts[index] += 1;
        }
    }
    let mut most = 0;
    for (index, count) in counts.iter().enumerate() {
        if *count > counts[most] {
            most = index;
        }
    }
    DELIMITERS[most]
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
