//! Texts that are no CSV, separators, spreadsheets, Arrow streams, and what holds nothing.

use arrow::ipc::writer::StreamWriter;

use super::*;

/// A line of a log that has commas.
const LOG_LINE: &str = "userId=42, ip=10.0.0.1, msg=login failed\n";

fn arrow_stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// What reading through a mapping ends with, and how many events and refusals came before.
fn mapped(name: &str, content: &str, program: &str) -> (usize, usize, Option<String>) {
    let mapping = MappingSource::program("test", program).unwrap();
    let fixture = file(name, content);
    let input = Input::open(&fixture.path).unwrap();
    let reader = EventReader::open(input, Some(mapping), Some("acme".parse().unwrap())).unwrap();
    let (mut events, mut refused, mut error) = (0, 0, None);
    for item in reader {
        match item {
            Ok(decoded) => {
                events += ids_of(&decoded.days).len();
                refused += decoded.refused.len();
            }
            Err(fatal) => error = Some(fatal.to_string()),
        }
    }
    (events, refused, error)
}

#[test]
fn a_text_that_is_no_csv_is_not_read_as_one() {
    for content in [LOG_LINE.to_owned(), LOG_LINE.repeat(3)] {
        for name in ["one.txt", "one", "one.csv"] {
            let message = refused_file(name, &content);
            for part in ["none of `userId=42`, `ip=10.0.0.1`, ", "give NDJSON"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
    let no_date = refused_file("x.csv", "df_title,city\nlogin,Oslo\n");
    let expected = "none of `df_title`, `city` is `date` or `time`";
    assert!(no_date.contains(expected), "{no_date}");
}

#[test]
fn a_first_line_that_no_mapping_can_use_is_told() {
    let program = "{date: .at, df_title: .what}";
    let (events, refused, error) = mapped("one.txt", &LOG_LINE.repeat(3), program);
    assert_eq!((events, refused), (0, 2));
    let error = error.unwrap();
    assert!(
        error.contains("first line was taken for the names"),
        "{error}"
    );
    assert!(error.contains("`userId=42`, `ip=10.0.0.1`"), "{error}");
    let good = mapped("x.csv", "at,what\n1,a\nsoon,b\n", program);
    assert_eq!(good, (1, 1, None));
}

#[test]
fn nothing_read_is_an_error() {
    let no_rows = arrow_stream(&[batch("x.ndjson", TWO).slice(0, 0)]);
    for (name, content) in [
        ("x.csv", b"date,df_title\n".to_vec()),
        ("x.ndjson", b"\n \n".to_vec()),
        ("x.parquet", parquet_of(&batch("x.ndjson", TWO).slice(0, 0))),
        ("x.arrow", no_rows),
    ] {
        match read(name, content) {
            (ids, refused, Some(ReadError::NoRecords { .. })) => {
                assert!(ids.is_empty() && refused.is_empty());
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let (_, _, error) = mapped("x.csv", "at,what\n", "{date: .at}");
    assert!(error.unwrap().contains("holds no records"));
}

#[test]
fn semicolons_and_tabs_separate_values_too() {
    for delimiter in [";", "\t"] {
        let text = "date|df_event_id|df_title\n1|a|\"x, y|z\"\n2|b|c,d,e,f\n";
        let text = text.replace('|', delimiter);
        for name in ["x.csv", "x.tsv", "x.txt", "x"] {
            let rows = rows(name, &text);
            assert_eq!(rows[0]["df_title"], format!("x, y{delimiter}z"), "{name}");
            assert_eq!(rows[1]["df_title"], "c,d,e,f", "{name}");
        }
    }
    let quoted = "date,\"a;b;c;d\",df_event_id\n1,x,e\n";
    assert_eq!(
        rows("x.csv", quoted)[0]["attributes"],
        json!({"a;b;c;d": "x"})
    );
}

#[test]
fn a_spreadsheet_is_named_as_one() {
    let sheet = b"PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml..PK\x03\x04..xl/workbook.xml";
    let other = b"PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml..PK\x03\x04..word/document.xml";
    let open = b"PK\x03\x04\x14\0\0\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK";
    for (name, content, expected) in [
        (
            "x.xlsx",
            &b"PK\x03\x04"[..],
            "is an Excel workbook (XLSX); export each sheet as CSV",
        ),
        (
            "x.csv",
            sheet,
            "is an Excel workbook (XLSX); export each sheet as CSV",
        ),
        ("x", other, "is a Word document"),
        (
            "x.ods",
            open,
            "is an OpenDocument spreadsheet; export each sheet as CSV",
        ),
        (
            "x.xls",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0",
            "export each sheet as CSV",
        ),
        (
            "x.zip",
            b"PK\x03\x04\x14\0\0\0\x08\0trail.json",
            "is a ZIP archive; unpack it first",
        ),
    ] {
        let message = refused_file(name, content);
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn a_cell_may_hold_any_character() {
    let text = "time,df_event_id,df_title\n1,a,\"x\0y\"\n2,b,\u{1}\u{feff}\n";
    for name in ["x.csv", "standard input"] {
        let rows = rows(name, text);
        assert_eq!(rows[0]["df_title"], "x\0y");
        assert_eq!(rows[1]["df_title"], "\u{1}\u{feff}");
    }
}

#[test]
fn an_arrow_stream_is_read_like_parquet() {
    let events = batch("x.ndjson", TWO);
    let stream = arrow_stream(&[events.clone(), events.slice(1, 1)]);
    assert_eq!(read_whole("x.arrow", &stream), ["a", "b", "b"]);
    assert_eq!(read_whole("standard input", zstd(&stream)), ["a", "b", "b"]);
    for cut in [stream.len() - 30, stream.len() / 2, 20] {
        let (_, _, error) = read("x.arrow", &stream[..cut]);
        let error = error.unwrap().to_string();
        assert!(
            error.contains("as an Arrow IPC stream after row"),
            "{error}"
        );
    }
    for position in (4..stream.len()).step_by(31) {
        let mut damaged = stream.clone();
        damaged[position] ^= 0x55;
        let (_, _, error) = read("x.arrow", damaged);
        let is_panic = error.is_some_and(|error| error.to_string().contains("a defect"));
        assert!(!is_panic, "{position}");
    }
}

#[test]
fn columns_of_one_name_are_refused() {
    let column = || Arc::new(StringArray::from(vec!["1"])) as ArrayRef;
    let twice = parquet(vec![("date", column()), ("a", column()), ("a", column())]);
    let message = refused_file("x.parquet", twice);
    assert!(message.contains("two columns are called `a`"), "{message}");
}

#[test]
fn rows_of_a_json_answer_are_records() {
    let answer = json!({"content": [{
        "series": [
            {"columns": ["time", "df_title"], "values": [[1, "a"], [2, null]]},
            {"tags": {"city": "Oslo"}, "columns": ["time"], "values": [[3]]},
        ],
        "query_parse": {},
    }]});
    let rows = rows("x.json", answer.to_string());
    let titles: Vec<_> = rows.iter().map(|row| &row["df_title"]).collect();
    assert_eq!(titles, [&json!("a"), &Value::Null, &Value::Null]);
    assert_eq!(rows[2]["city"], "Oslo");
    let ids: std::collections::BTreeSet<_> = rows
        .iter()
        .map(|row| row["df_event_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 3);
    let other = json!({"date": 1, "content": [{"series": [], "query_parse": {}}]});
    let event = &super::rows("x.json", other.to_string())[0];
    assert_eq!(event["attributes"]["content"][0]["series"], json!([]));
}

#[test]
fn a_key_given_twice_is_refused() {
    let text = "{\"date\":1,\"df_event_id\":\"a\"}\n\
        {\"date\":1,\"df_user_name\":\"eve\",\"df_user_name\":\"adam\"}\n\
        {\"date\":1,\"x\":{\"y\":1,\"y\":1}}\n\
        {\"date\":1,\"attributes\":{\"y\":1,\"y\":2}}\n\
        {\"date\":1,\"attributes\":\"{\\\"y\\\":1,\\\"y\\\":2}\"}\n\
        {\"date\":1,\"x\":1,\"\\u0078\":1}\n";
    let (ids, refused) = read_in_part("x.ndjson", text);
    assert_eq!(ids, ["a"]);
    let lines = (2..=6).map(|line| format!("{line}: duplicate_key"));
    assert_eq!(refused, lines.collect::<Vec<_>>());
    let column = Arc::new(StringArray::from(vec![r#"{"y":1,"y":2}"#]));
    let date = Arc::new(StringArray::from(vec!["1"]));
    let rows = parquet(vec![("date", date as ArrayRef), ("attributes", column)]);
    assert_eq!(read_in_part("x.parquet", rows).1, ["1: duplicate_key"]);
}
