//! Answers in every format hold the same rows.

use std::fs::File;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

use crate::program::{ALL_OF_TIME, Vouch};

type Row = Map<String, Value>;

/// The questions: rows with attributes of every type, points of groups, and no row at all.
const QUESTIONS: [&str; 4] = [
    "TAE::audit:(df_event_id, df_message, df_date_range, size, mfa, file, ratio, df_user_name = 'bob' AS is_bob)",
    "TAE::audit:(count(*) AS n, avg(df_date_range) AS mean, last(df_title) AS title) [2d::6h] BY df_user_name, mfa",
    "TAE::*:(*)",
    "TAE::audit:(df_title, size) {df_title = 'nobody did this'}",
];

#[test]
fn every_format_holds_the_rows_of_the_json_answer() {
    let vouch = Vouch::with_events();
    for question in QUESTIONS {
        let expected = json_rows(&vouch.json(question)["content"][0]);
        for format in ["csv", "ndjson", "arrow", "parquet"] {
            let file = format!("answer.{format}");
            let mut arguments = vec!["query", "--workspace", "*", "--format", format];
            arguments.extend(ALL_OF_TIME);
            arguments.push(question);
            let printed = vouch.run(&arguments).expect_status(0).stdout;
            arguments.splice(1..1, ["--output", &file]);
            vouch.run(&arguments).expect_status(0);
            let path = vouch.path(&file);
            let written = std::fs::read(&path).unwrap();
            assert!(format == "parquet" || written == printed, "{format}");
            match format {
                "csv" => assert_csv(&written, &expected, question),
                "ndjson" => assert_eq!(ndjson_rows(&written), expected, "{question}"),
                "arrow" => {
                    let batches = StreamReader::try_new(written.as_slice(), None).unwrap();
                    let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
                    assert_eq!(batch_rows(&batches), expected, "{question}");
                }
                _ => {
                    let reader =
                        ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap());
                    let batches: Vec<RecordBatch> = reader
                        .unwrap()
                        .build()
                        .unwrap()
                        .map(Result::unwrap)
                        .collect();
                    assert_eq!(batch_rows(&batches), expected, "{question}");
                }
            }
        }
    }
}

#[test]
fn a_stream_has_no_ceiling() {
    let vouch = Vouch::new();
    let generated = vouch
        .run(&["generate", "--events", "12000"])
        .expect_status(0)
        .stdout;
    vouch
        .run_with_input(&["import", "-"], &generated)
        .expect_status(0);
    let question = [
        "query",
        "--workspace",
        "*",
        "--format",
        "csv",
        "TAE::*:(df_event_id, df_title) [2026-11-01:2026-11-21]",
    ];
    let done = vouch
        .run(&question)
        .expect_status(0)
        .expect_error("12000 rows, 12000 events matched");
    assert_eq!(
        csv::Reader::from_reader(done.stdout.as_slice())
            .records()
            .count(),
        12_000
    );
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    let rows = vouch.json("TAE::*:(df_event_id)");
    assert_eq!(json_rows(&rows["content"][0]).len(), 1_000);
    assert!(
        rows["content"][0]["query_warning"]
            .as_str()
            .unwrap()
            .starts_with("limit_reached: ")
    );
}

/// The rows of an answer with their tags; values that are missing are left out.
fn json_rows(answer: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for series in answer["series"].as_array().unwrap() {
        let tags = series
            .get("tags")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let columns = series["columns"].as_array().unwrap();
        for values in series["values"].as_array().unwrap() {
            let named = columns.iter().zip(values.as_array().unwrap());
            let named =
                named.map(|(name, value)| (name.as_str().unwrap().to_owned(), value.clone()));
            let all = tags.clone().into_iter().chain(named);
            rows.push(sorted(all.filter(|(_, value)| !value.is_null())));
        }
    }
    rows
}

/// Names in one order, and tags as texts whatever they were.
fn sorted(entries: impl Iterator<Item = (String, Value)>) -> Row {
    let mut entries: Vec<(String, Value)> = entries.collect();
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    entries.into_iter().collect()
}

fn ndjson_rows(text: &[u8]) -> Vec<Row> {
    let rows = serde_json::Deserializer::from_slice(text).into_iter::<Row>();
    rows.map(|row| tags_as_text(row.unwrap())).collect()
}

fn batch_rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        for index in 0..batch.num_rows() {
            let mut row = events::row_json(batch, index).unwrap();
            for field in schema.fields() {
                let is_json = field.metadata().contains_key("vouch.type");
                if let Some(Value::String(text)) = row.get_mut(field.name()).filter(|_| is_json) {
                    let value = serde_json::from_str(text).unwrap();
                    row.insert(field.name().clone(), value);
                }
            }
            rows.push(tags_as_text(row));
        }
    }
    rows
}

/// `mfa` is a key of the second question, and keys are texts in series.
fn tags_as_text(row: Row) -> Row {
    let is_grouped = row.contains_key("n");
    sorted(row.into_iter().map(|(name, value)| match value {
        Value::Bool(flag) if is_grouped && name == "mfa" => (name, Value::from(flag.to_string())),
        value => (name, value),
    }))
}

/// Cells are texts as they are and JSON otherwise; an empty one is a missing value or an empty text.
fn assert_csv(text: &[u8], expected: &[Row], question: &str) {
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers().unwrap().clone();
    let mut count = 0;
    for (record, row) in reader.records().zip(expected) {
        for (name, cell) in header.iter().zip(record.unwrap().iter()) {
            let is_told = match row.get(name) {
                None => cell.is_empty(),
                Some(Value::String(text)) => cell == text,
                Some(other) => *cell == *other.to_string(),
            };
            assert!(
                is_told,
                "{question}: {name} is `{cell}`, not {:?}",
                row.get(name)
            );
        }
        count += 1;
    }
    assert_eq!(count, expected.len(), "{question}");
}
