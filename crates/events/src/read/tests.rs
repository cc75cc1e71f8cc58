use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    ArrayRef, MapBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::direct::DayEvents;
use crate::json::row_json;
use crate::mapping::MappingSource;
use crate::packed::PackedBatchBuilder;
use crate::rejection::RejectionCode;

mod formats;

/// A directory with one file.
struct Fixture {
    _directory: TempDir,
    path: PathBuf,
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Fixture {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    Fixture {
        _directory: directory,
        path,
    }
}

fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(content.as_ref(), 3).unwrap()
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    parquet_of(&batch)
}

fn parquet_of(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn reader(name: &str, content: impl AsRef<[u8]>) -> Result<(EventReader, Fixture), ReadError> {
    let fixture = file(name, content);
    let input = Input::open(&fixture.path)?;
    let reader = EventReader::open(input, None, Some("acme".parse().unwrap()))?;
    Ok((reader, fixture))
}

/// What was read: the ids of the events, `line: code` of what was refused, and the error at the end.
fn read(name: &str, content: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>, Option<ReadError>) {
    let (reader, _fixture) = reader(name, content).unwrap();
    let (mut ids, mut refused, mut error) = (Vec::new(), Vec::new(), None);
    for item in reader {
        assert!(error.is_none(), "something follows an error");
        match item {
            Ok(decoded) => {
                ids.extend(ids_of(&decoded.days));
                let codes = decoded.refused.iter();
                refused.extend(codes.map(|one| format!("{}: {}", one.line, one.rejection.code)));
            }
            Err(fatal) => error = Some(fatal),
        }
    }
    (ids, refused, error)
}

fn ids_of(days: &[DayEvents]) -> Vec<String> {
    let events = days.iter().flat_map(|day| day.events.iter());
    events.map(|event| event.id().to_owned()).collect()
}

fn read_whole(name: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    let (ids, refused, error) = read(name, content);
    assert!(error.is_none(), "{error:?}");
    assert!(refused.is_empty(), "{refused:?}");
    ids
}

fn read_in_part(name: &str, content: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    let (ids, refused, error) = read(name, content);
    assert!(error.is_none(), "{error:?}");
    (ids, refused)
}

/// The events as JSON objects.
fn rows(name: &str, content: impl AsRef<[u8]>) -> Vec<Value> {
    let batch = batch(name, content);
    (0..batch.num_rows())
        .map(|row| Value::Object(row_json(&batch, row).unwrap()))
        .collect()
}

fn batch(name: &str, content: impl AsRef<[u8]>) -> RecordBatch {
    let (reader, _fixture) = reader(name, content).unwrap();
    let mut batch = PackedBatchBuilder::new();
    for decoded in reader {
        let decoded = decoded.unwrap();
        assert_eq!(decoded.refused, []);
        let events = decoded.days.iter().flat_map(|day| day.events.iter());
        events.for_each(|event| batch.append(event));
    }
    batch.finish().unwrap()
}

fn refused_file(name: &str, content: impl AsRef<[u8]>) -> String {
    reader(name, content).err().unwrap().to_string()
}

const TWO: &str = "{\"date\":1,\"df_event_id\":\"a\"}\n{\"date\":2,\"df_event_id\":\"b\"}\n";

#[test]
fn lines_come_in_order_whatever_breaks_them() {
    assert_eq!(read_whole("x.ndjson", TWO), ["a", "b"]);
    assert_eq!(read_whole("x.json", TWO.trim_end()), ["a", "b"]);
    assert_eq!(read_whole("x", TWO.replace('\n', "\r\n")), ["a", "b"]);
    assert_eq!(
        read_whole("x.log", format!("\u{feff}\n \n{TWO}\n")),
        ["a", "b"]
    );
}

#[test]
fn a_line_that_is_no_event_is_refused_alone() {
    let mut text = b"{\"date\":1,\"df_event_id\":\"a\"}\n{\"date\":\n\n[1]\n{\"df_event_id\":\"x\"}\n{\"date\":1,\"x\":\"".to_vec();
    text.extend_from_slice(b"\xff\"}\n{\"date\":2,\"df_event_id\":\"b\"}");
    let (ids, refused) = read_in_part("x.ndjson", &text);
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(
        refused,
        [
            "2: malformed_json",
            "4: not_an_object",
            "5: missing_date",
            "6: invalid_utf8"
        ]
    );
}

#[test]
fn a_line_beyond_the_limit_is_refused_alone() {
    let long = "x".repeat(MAX_RECORD_BYTES + 1);
    let text = format!("{long}\n{TWO}{{\"date\":3,\"long\":\"{long}");
    let (ids, refused) = read_in_part("x.ndjson", text);
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(refused, ["1: line_too_long", "4: line_too_long"]);
    let text = format!("{{\"date\":3,\"long\":\"{long}\"}}\n{TWO}");
    let (ids, refused) = read_in_part("x.ndjson", zstd(text));
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(refused, ["1: line_too_long"]);
}

#[test]
fn compression_is_told_by_content() {
    assert_eq!(read_whole("x.ndjson.gz", gzip(TWO)), ["a", "b"]);
    assert_eq!(read_whole("x.ndjson", zstd(TWO)), ["a", "b"]);
    let (first, second) = TWO.split_at(TWO.find('\n').unwrap() + 1);
    assert_eq!(
        read_whole("x.gz", [gzip(first), gzip(second)].concat()),
        ["a", "b"]
    );
    assert_eq!(
        read_whole("x.zst", [zstd(first), zstd(second)].concat()),
        ["a", "b"]
    );
}

/// Many events without ids, in lines that compress badly.
fn many_lines() -> String {
    let mut lines = String::new();
    for index in 0..20_000_u32 {
        let noise = blake3::hash(&index.to_le_bytes()).to_hex();
        lines.push_str(&format!(
            "{{\"date\":{index},\"df_event_id\":\"e{index}\",\"noise\":\"{noise}\"}}\n"
        ));
    }
    lines
}

#[test]
fn a_truncated_input_gives_what_is_readable_and_then_an_error() {
    let lines = many_lines();
    for compressed in [gzip(&lines), zstd(&lines)] {
        let cut = &compressed[..compressed.len() * 2 / 3];
        let (items, refused, error) = read("x.ndjson.gz", cut);
        assert!(refused.is_empty(), "{refused:?}");
        assert!(
            items.len() > 5_000 && items.len() < 20_000,
            "{}",
            items.len()
        );
        let expected: Vec<String> = (0..items.len()).map(|index| format!("e{index}")).collect();
        assert_eq!(items, expected);
        match error {
            Some(ReadError::Truncated { after_line, .. }) => {
                assert_eq!(after_line, items.len() as u64);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_damaged_input_gives_an_error_and_no_panic() {
    let mut compressed = gzip(many_lines());
    let middle = compressed.len() / 2;
    compressed[middle..middle + 64].fill(0xaa);
    let (_, _, error) = read("x.ndjson.gz", compressed);
    assert!(error.is_some());
}

#[test]
fn without_an_id_it_is_derived_from_content_and_line() {
    let text = "{\"date\":1}\n{\"date\":1}\n";
    let ids = read_whole("x.ndjson", text);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids, read_whole("another-name.json.gz", gzip(text)));
    assert_ne!(
        ids,
        read_whole("x.ndjson", "{\"date\":1}\n{\"date\":1}\n\n")
    );
}

#[test]
fn without_an_id_a_truncated_input_is_refused() {
    let lines = many_lines().replace("df_event_id", "other");
    let compressed = gzip(lines);
    let (ids, refused, error) = read("x.ndjson.gz", &compressed[..compressed.len() / 2]);
    assert!(error.is_some());
    assert!(ids.is_empty());
    assert_eq!(refused[0], "1: missing_event_id");
    let numbers: Vec<&str> = refused
        .iter()
        .filter_map(|one| one.split(':').next())
        .collect();
    let expected: Vec<String> = (1..=refused.len())
        .map(|number| number.to_string())
        .collect();
    assert_eq!(numbers, expected);
}

#[test]
fn csv_rows_are_events() {
    let text = "\u{feff}date,df_title,a.b,df_date_range\r\n2023-11-14T22:13:20Z,\"one, \"\"two\"\"\nthree\",1,60\r\n1700000000000,,,\r\n";
    let rows = rows("x.csv", text);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["date"], 1_700_000_000_000_i64);
    assert_eq!(rows[0]["df_title"], "one, \"two\"\nthree");
    assert_eq!(rows[0]["df_date_range"], 60);
    assert_eq!(rows[0]["attributes"], json!({"a.b": "1"}));
    assert_eq!(rows[1].get("df_title"), None);
    assert_eq!(rows[1].get("attributes"), None);
}

#[test]
fn a_csv_row_that_does_not_fit_is_refused_alone() {
    let text = b"date,df_event_id\n1,a\n2\n3,b,c\n4,\xff\n5,e\n".to_vec();
    let (ids, refused) = read_in_part("x.csv", &text);
    assert_eq!(ids, ["a", "e"]);
    assert_eq!(
        refused,
        ["3: malformed_csv", "4: malformed_csv", "5: invalid_utf8"]
    );
    assert!(refused_file("x.csv", "date,date\n1,2\n").contains("two columns are called `date`"));
    assert!(refused_file("x.csv", "date,\n1,2\n").contains("column 2 has no name"));
}

#[test]
fn parquet_rows_are_events() {
    let bytes = parquet(vec![
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(vec![
                1_700_000_000_000_999,
                0,
            ])),
        ),
        (
            "df_event_id",
            Arc::new(StringArray::from(vec![Some("a"), None])),
        ),
        ("region", Arc::new(StringArray::from(vec!["eu", "us"]))),
    ]);
    let rows = rows("x.parquet", &bytes);
    assert_eq!(rows[0]["date"], 1_700_000_000_000_i64);
    assert_eq!(rows[0]["df_event_id"], "a");
    assert_eq!(rows[1]["attributes"], json!({"region": "us"}));
    assert_eq!(read_whole("x.gz", gzip(&bytes)).len(), 2);
    assert!(refused_file("x.parquet", &bytes[..bytes.len() - 9]).contains("Parquet"));
}

#[test]
fn what_was_exported_is_read_back_the_same() {
    let text = "{\"date\":1700000000123,\"df_title\":\"t\",\"df_event_id\":\"a\",\"df_date_range\":5,\"x\":{\"y\":[1,null,1.5]}}\n";
    let original = batch("x.ndjson", text);
    assert_eq!(batch("x.parquet", parquet_of(&original)), original);
    let line = Value::Object(row_json(&original, 0).unwrap()).to_string();
    assert_eq!(batch("x.ndjson", line), original);
}

#[test]
fn a_file_that_is_something_else_says_what_and_what_to_do() {
    for (name, content, expected) in [
        (
            "x.ndjson",
            &b"\x89PNG\r\n\x1a\n"[..],
            "is a PNG image; give NDJSON",
        ),
        ("x.ndjson", b"", "is empty"),
        (
            "x.json",
            b"[\n{\"date\":1}\n]",
            "holds a JSON array; make it one object a line with `jq -c '.[]'`",
        ),
        (
            "x.json",
            b"{\n  \"date\": 1\n}\n",
            "holds JSON spread over several lines; make it one object a line with `jq -c .`",
        ),
        ("x", b"just words\n", "looks like plain text"),
        (
            "x.parquet",
            b"{\"date\":1}",
            "is called Parquet but is none",
        ),
        (
            "x.ndjson",
            b"\xff\xfe{\0",
            "is UTF-16 text; convert it with `iconv",
        ),
        ("x.html", b"<html>", "looks like XML"),
        ("x", b"\x01\x02\0", "binary data"),
        ("x.xz", b"\xfd7zXZ\0\0", "compressed with xz"),
    ] {
        let message = refused_file(name, content);
        assert!(message.contains(expected), "{name}: {message}");
    }
    assert!(refused_file("x.ndjson.gz", gzip("")).contains("is empty"));
    let directory = TempDir::new().unwrap();
    assert!(matches!(
        Input::open(directory.path()),
        Err(ReadError::Open { .. })
    ));
    assert!(matches!(
        Input::open(&directory.path().join("none")),
        Err(ReadError::Open { .. })
    ));
}

#[test]
fn a_first_line_that_was_cut_off_does_not_refuse_the_file() {
    let text = format!("{{\"date\":1,\n{TWO}");
    let (ids, refused) = read_in_part("x.ndjson", text);
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(refused, ["1: malformed_json"]);
}

/// A row whose map has a key twice is refused, and the other rows are stored.
#[test]
fn rows_with_a_key_twice_are_refused_alone() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for keys in [["a", "a"], ["a", "b"]] {
        for key in keys {
            map.keys().append_value(key);
            map.values().append_value("x");
        }
        map.append(true).unwrap();
    }
    let bytes = parquet(vec![
        ("date", Arc::new(StringArray::from(vec!["1", "2"]))),
        ("df_event_id", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("context", Arc::new(map.finish())),
    ]);
    let (ids, refused) = read_in_part("x.parquet", bytes);
    assert_eq!(ids, ["b"]);
    assert_eq!(refused, ["1: duplicate_key"]);
}

#[test]
fn a_stream_is_read_like_a_file() {
    let input = Input::spool("standard input", gzip("{\"date\":1}\n").as_slice()).unwrap();
    let items: Vec<_> = EventReader::open(input, None, Some("acme".parse().unwrap()))
        .unwrap()
        .collect();
    assert!(
        matches!(items.as_slice(), [Ok(decoded)] if ids_of(&decoded.days).len() == 1),
        "{items:?}"
    );
}

#[test]
fn progress_ends_at_the_size_of_the_input() {
    for (name, content) in [
        ("x.gz", gzip(many_lines())),
        ("x.csv", b"date,df_event_id\n1,a\n".to_vec()),
        (
            "x.parquet",
            parquet(vec![("date", Arc::new(StringArray::from(vec!["1"])))]),
        ),
    ] {
        let (mut reader, _fixture) = reader(name, content).unwrap();
        let bytes_read = reader.input().bytes_read();
        let size_bytes = reader.input().size_bytes();
        assert!(reader.by_ref().all(|item| item.is_ok()));
        assert_eq!(bytes_read.load(Ordering::Relaxed), size_bytes, "{name}");
    }
}

#[test]
fn a_mapping_may_make_several_events_of_a_line() {
    let mapping = MappingSource::program("test", ".list[] | {date: .}").unwrap();
    let fixture = file("x.ndjson", "{\"list\":[1,\"x\",3]}\n{\"list\":[]}\n");
    let input = Input::open(&fixture.path).unwrap();
    let reader = EventReader::open(input, Some(mapping), Some("acme".parse().unwrap())).unwrap();
    let decoded: Vec<Decoded> = reader.map(Result::unwrap).collect();
    let ids = ids_of(&decoded[0].days);
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    match decoded[0].refused.as_slice() {
        [second, empty] => {
            assert_eq!((second.line, empty.line), (1, 2));
            assert_eq!(second.rejection.code, RejectionCode::InvalidDate);
            let message = &second.rejection.message;
            assert!(
                message.ends_with("(event 2 of 3 of this record)"),
                "{message}"
            );
            assert_eq!(empty.rejection.code, RejectionCode::MappingEmpty);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_portions_come_in_order() {
    let lines: String = (0..50_000)
        .map(|number| {
            format!("{{\"date\":{number},\"df_event_id\":\"{number}\",\"x\":\"{number:0>40}\"}}\n")
        })
        .collect();
    let expected: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
    assert_eq!(read_whole("x.ndjson", &lines), expected);
    let cut = &lines[..lines.len() - 2];
    let (ids, refused) = read_in_part("x.ndjson", cut);
    assert_eq!(ids, expected[..49_999]);
    assert_eq!(refused, ["50000: malformed_json"]);
    drop(reader("x.ndjson", &lines));
}
