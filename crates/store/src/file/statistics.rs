//! What the log says about the content of a file, so that readers can leave the file out.
//!
//! The form is the one of the Delta protocol ("Per-file Statistics"): the number of records, and
//! for some columns the smallest and the largest value and the number of nulls. Long texts are
//! cut; a cut maximum is made larger than every text that it is the prefix of.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int64Type};
use events::fields;
use serde_json::{Map, Value, json};

/// The columns with statistics: `date`, what audit questions select by, and when events came.
pub(crate) const STATISTICS_COLUMNS: [&str; 13] = [
    fields::DATE,
    fields::EVENT_ID,
    fields::SOURCE,
    fields::STATUS,
    fields::WORKSPACE,
    "df_title",
    "df_user_id",
    "df_user_name",
    "df_user_email",
    "action",
    "result",
    "client_ip",
    fields::RECEIVED,
];

/// The characters that are kept of a text.
const TEXT_LIMIT_CHARACTERS: usize = 32;

/// A text column that has the same value in all rows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constant {
    /// The name of the column.
    pub column: &'static str,
    /// The value; `None` when no row has one.
    pub text: Option<Box<str>>,
}

/// The statistics of a file that readers use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStatistics {
    /// How many events the file holds.
    pub(crate) rows: u64,
    /// The smallest and the largest `date`, both inclusive, in Unix milliseconds.
    pub(crate) date_range_ms: Option<(i64, i64)>,
    /// The same of `vouch_received`; `None` also when some events have none.
    pub(crate) received_range_ms: Option<(i64, i64)>,
    /// The text columns that have the same value in all rows, of those that are known.
    pub(crate) constants: Box<[Constant]>,
}

impl FileStatistics {
    /// Reads the statistics in an entry of the log; `None` without a number of records.
    pub(crate) fn parse(statistics: &Value) -> Option<Self> {
        let value = |name: &str, column: &str| statistics.get(name)?.get(column)?.as_i64();
        let range = |column| value("minValues", column).zip(value("maxValues", column));
        let has_nulls = value("nullCount", fields::RECEIVED) != Some(0);
        let rows = statistics.get("numRecords")?.as_u64()?;
        Some(Self {
            rows,
            constants: constants(statistics, rows),
            date_range_ms: range(fields::DATE),
            received_range_ms: range(fields::RECEIVED).filter(|_| !has_nulls),
        })
    }
}

fn constants(statistics: &Value, rows: u64) -> Box<[Constant]> {
    // After rows of a file were deleted, its bounds may be those of rows that it no longer has.
    if statistics.get("tightBounds").and_then(Value::as_bool) == Some(false) {
        return Box::default();
    }
    let constant = |column: &'static str| {
        let value = |name: &str| statistics.get(name)?.get(column);
        let nulls = value("nullCount")?.as_u64()?;
        if nulls == rows {
            return Some(Constant { column, text: None });
        }
        // A cut minimum is never equal to a cut maximum, which is made larger.
        let (least, most) = (value("minValues")?.as_str()?, value("maxValues")?.as_str()?);
        (nulls == 0 && least == most).then(|| Constant {
            column,
            text: Some(least.into()),
        })
    };
    // Where no row has a number, the delivery of the file may have it.
    let texts = STATISTICS_COLUMNS.into_iter();
    let texts = texts.filter(|column| ![fields::DATE, fields::RECEIVED].contains(column));
    texts.filter_map(constant).collect()
}

/// Gathers the statistics of a file while it is written.
#[derive(Debug, Default)]
pub(crate) struct StatisticsCollector {
    rows: u64,
    columns: Vec<Column>,
}

#[derive(Debug, Default)]
struct Column {
    name: &'static str,
    nulls: u64,
    bounds: Option<Bounds>,
}

#[derive(Debug)]
enum Bounds {
    Number { least: i64, most: i64 },
    Text { least: String, most: String },
}

impl StatisticsCollector {
    /// Takes the rows of `batch` into account.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        if self.columns.is_empty() {
            self.columns = STATISTICS_COLUMNS
                .iter()
                .filter(|name| batch.column_by_name(name).is_some())
                .map(|name| Column {
                    name,
                    ..Column::default()
                })
                .collect();
        }
        self.rows += batch.num_rows() as u64;
        for column in &mut self.columns {
            if let Some(values) = batch.column_by_name(column.name) {
                column.add(values.as_ref());
            }
        }
    }

    /// The statistics as the log holds them: one JSON object in a text.
    pub(crate) fn finish(&self) -> String {
        let mut least = Map::new();
        let mut most = Map::new();
        let mut nulls = Map::new();
        for column in &self.columns {
            nulls.insert(column.name.to_owned(), json!(column.nulls));
            match &column.bounds {
                None => {}
                Some(Bounds::Number {
                    least: low,
                    most: high,
                }) => {
                    least.insert(column.name.to_owned(), json!(low));
                    most.insert(column.name.to_owned(), json!(high));
                }
                Some(Bounds::Text {
                    least: low,
                    most: high,
                }) => {
                    least.insert(column.name.to_owned(), json!(cut_down(low)));
                    if let Some(high) = cut_up(high) {
                        most.insert(column.name.to_owned(), json!(high));
                    }
                }
            }
        }
        json!({
            "numRecords": self.rows,
            "minValues": least,
            "maxValues": most,
            "nullCount": nulls,
        })
        .to_string()
    }
}

impl Column {
    fn add(&mut self, values: &dyn Array) {
        self.nulls += values.null_count() as u64;
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                if let (Some(low), Some(high)) = (min(values), max(values)) {
                    self.widen_numbers(low, high);
                }
            }
            DataType::Utf8 => {
                let values = values.as_string::<i32>();
                if let (Some(low), Some(high)) = (min_string(values), max_string(values)) {
                    self.widen_texts(low, high);
                }
            }
            _ => {}
        }
    }

    fn widen_numbers(&mut self, low: i64, high: i64) {
        match &mut self.bounds {
            Some(Bounds::Number { least, most }) => {
                *least = low.min(*least);
                *most = high.max(*most);
            }
            _ => {
                self.bounds = Some(Bounds::Number {
                    least: low,
                    most: high,
                });
            }
        }
    }

    fn widen_texts(&mut self, low: &str, high: &str) {
        match &mut self.bounds {
            Some(Bounds::Text { least, most }) => {
                if low < least.as_str() {
                    low.clone_into(least);
                }
                if high > most.as_str() {
                    high.clone_into(most);
                }
            }
            _ => {
                self.bounds = Some(Bounds::Text {
                    least: low.to_owned(),
                    most: high.to_owned(),
                });
            }
        }
    }
}

/// The beginning of `text`, which sorts before it.
fn cut_down(text: &str) -> String {
    text.chars().take(TEXT_LIMIT_CHARACTERS).collect()
}

/// A text of limited length that does not sort before `text`; `None` when there is none.
fn cut_up(text: &str) -> Option<String> {
    if text.chars().nth(TEXT_LIMIT_CHARACTERS).is_none() {
        return Some(text.to_owned());
    }
    let mut kept: Vec<char> = text.chars().take(TEXT_LIMIT_CHARACTERS).collect();
    while let Some(last) = kept.pop() {
        if let Some(next) = next_character(last) {
            kept.push(next);
            return Some(kept.into_iter().collect());
        }
    }
    None
}

/// The character after `character`, over the gap that the surrogates leave.
fn next_character(character: char) -> Option<char> {
    (character..=char::MAX).nth(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn short_texts_are_kept_and_long_ones_cut() {
        let short = "ConsoleLogin";
        assert_eq!(cut_down(short), short);
        assert_eq!(cut_up(short).as_deref(), Some(short));
        let long = "a".repeat(40);
        assert_eq!(cut_down(&long), "a".repeat(32));
        assert_eq!(cut_up(&long), Some(format!("{}b", "a".repeat(31))));
    }

    #[test]
    fn a_cut_maximum_covers_what_it_stands_for() {
        let long_texts = [
            "é".repeat(50),
            format!("{}\u{d7ff}rest", "x".repeat(31)),
            format!("{}{}", "y".repeat(30), "\u{10ffff}".repeat(9)),
        ];
        for text in long_texts {
            let high = cut_up(&text).unwrap();
            assert!(high > text, "{high:?} {text:?}");
            assert!(high.chars().count() <= TEXT_LIMIT_CHARACTERS);
            assert!(cut_down(&text) <= text);
        }
        assert_eq!(cut_up(&"\u{10ffff}".repeat(40)), None);
    }

    proptest! {
        #[test]
        fn bounds_cover_all_values(
            values in vec((any::<i64>(), option::of("\\PC{0,40}")), 1..40),
            batch_rows in 1_usize..10,
        ) {
            let mut collector = StatisticsCollector::default();
            for rows in values.chunks(batch_rows) {
                let dates: Int64Array = rows.iter().map(|(date, _)| Some(*date)).collect();
                let titles: StringArray = rows.iter().map(|(_, title)| title.as_deref()).collect();
                let columns: [(&str, ArrayRef); 2] =
                    [(fields::DATE, Arc::new(dates)), ("df_title", Arc::new(titles))];
                collector.add(&RecordBatch::try_from_iter(columns).unwrap());
            }
            let text = collector.finish();
            let dates = || values.iter().map(|(date, _)| *date);
            let read = FileStatistics::parse(&parsed(&text)).unwrap();
            prop_assert_eq!(read.rows, values.len() as u64);
            prop_assert_eq!(read.date_range_ms, dates().min().zip(dates().max()));
            let statistics: Value = serde_json::from_str(&text).unwrap();
            let titles: Vec<&str> = values.iter().filter_map(|(_, title)| title.as_deref()).collect();
            let nulls = values.len() - titles.len();
            prop_assert_eq!(&statistics["nullCount"]["df_title"], &json!(nulls));
            let bound = |name: &str| statistics[name].get("df_title").and_then(Value::as_str);
            let is_constant = titles.iter().all(|title| Some(title) == titles.first())
                && (nulls == 0 || titles.is_empty());
            let constant = Constant {
                column: "df_title",
                text: titles.first().map(|title| (*title).into()),
            };
            // A long text is cut, and then it is unknown that it is the only one.
            let is_whole = titles.iter().all(|title| title.chars().count() <= TEXT_LIMIT_CHARACTERS);
            let expected = (is_constant && is_whole).then_some(constant);
            prop_assert_eq!(read.constants.first(), expected.as_ref());
            for title in titles {
                prop_assert!(bound("minValues").is_some_and(|least| least <= title));
                prop_assert!(bound("maxValues").is_none_or(|most| most >= title));
            }
        }
    }

    #[test]
    fn the_parts_that_readers_need_are_read_back() {
        let text = r#"{"numRecords":2,"minValues":{"date":-5,"vouch_received":1},"maxValues":{"date":7,"vouch_received":2},"nullCount":{"vouch_received":0}}"#;
        let expected = FileStatistics {
            rows: 2,
            date_range_ms: Some((-5, 7)),
            received_range_ms: Some((1, 2)),
            constants: Box::default(),
        };
        let some = text.replace(r#""vouch_received":0"#, r#""vouch_received":1"#);
        let some = FileStatistics::parse(&parsed(&some));
        assert_eq!(some.and_then(|some| some.received_range_ms), None);
        assert_eq!(FileStatistics::parse(&parsed(text)), Some(expected));
        let bare = FileStatistics::parse(&parsed(r#"{"numRecords":2}"#));
        assert_eq!(bare.and_then(|bare| bare.date_range_ms), None);
        assert_eq!(FileStatistics::parse(&parsed("{}")), None);
    }

    #[test]
    fn columns_of_one_text_are_known() {
        let text = r#"{"numRecords":2,"minValues":{"df_source":"audit","df_status":"error"},"maxValues":{"df_source":"audit","df_status":"info"},"nullCount":{"df_source":0,"df_status":0,"df_title":2,"vouch_received":2}}"#;
        let constants = |text: &str| FileStatistics::parse(&parsed(text)).unwrap().constants;
        let known = |column, text: Option<&str>| Constant {
            column,
            text: text.map(Into::into),
        };
        // The delivery of a file may tell what no row of it has.
        let expected = [known("df_source", Some("audit")), known("df_title", None)];
        assert_eq!(*constants(text), expected);
        let some = text.replace(r#""df_source":0"#, r#""df_source":1"#);
        assert_eq!(*constants(&some), [known("df_title", None)]);
        let loose = text.replace("{\"numRecords\"", "{\"tightBounds\":false,\"numRecords\"");
        assert_eq!(*constants(&loose), []);
    }
}
