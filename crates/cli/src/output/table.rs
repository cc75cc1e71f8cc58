//! Answers as tables for a terminal.

use std::fmt;

use api::{Answer, Series};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement};
use serde_json::Value;

use super::rfc3339;

/// A column with fewer characters than this on average is hard to read.
const READABLE_WIDTH: u16 = 14;

/// The text of null.
const NULL: &str = "-";

/// The tables of an answer: one per series, with its keys above it; or a single one with the keys as its first
/// columns when no series has more than one row.
pub(crate) fn answer_tables(answer: &Answer, width: Option<u16>) -> String {
    let series = &answer.series;
    let single_rows = series.iter().all(|series| series.values.len() <= 1);
    if series.len() > 1
        && single_rows
        && series
            .iter()
            .all(|series| series.columns == series_columns(answer))
    {
        return merged(answer).to_string(width);
    }
    let mut text = String::new();
    for (position, series) in series.iter().enumerate() {
        if position > 0 {
            text.push('\n');
        }
        text.push_str(&caption(series));
        text.push_str(&Table::from_series(series).to_string(width));
    }
    text
}

fn series_columns(answer: &Answer) -> &[String] {
    answer.series.first().map_or(&[], |series| &series.columns)
}

fn merged(answer: &Answer) -> Table {
    let keys = answer
        .series
        .first()
        .map(|series| series.tags.iter().map(|(key, _)| key.clone()));
    let columns = keys
        .into_iter()
        .flatten()
        .chain(series_columns(answer).iter().cloned());
    let rows = answer.series.iter().flat_map(|series| {
        series.values.iter().map(|row| {
            let tags = series.tags.iter().map(|(_, value)| value);
            tags.chain(row).cloned().collect()
        })
    });
    Table {
        columns: columns.collect(),
        rows: rows.collect(),
    }
}

fn caption(series: &Series) -> String {
    if series.tags.is_empty() {
        return String::new();
    }
    let tags = series
        .tags
        .iter()
        .map(|(key, value)| format!("{key} = {}", shown("", value)));
    format!("{}\n", tags.collect::<Vec<_>>().join(", "))
}

/// A table of values.
#[derive(Debug)]
pub(crate) struct Table {
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
    /// The rows, one value a column.
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    fn from_series(series: &Series) -> Self {
        Self {
            columns: series.columns.clone(),
            rows: series.values.clone(),
        }
    }

    /// The table as text, at most `width` characters wide. If it has too many columns for that, it is written as
    /// records, one line per value. Columns without any value are omitted, and a line below names them.
    pub(crate) fn to_string(&self, width: Option<u16>) -> String {
        let filled = |column: &usize| {
            let value = |row: &Vec<Value>| row.get(*column).is_some_and(|value| !value.is_null());
            self.rows.is_empty() || self.rows.iter().any(value)
        };
        let all = 0..self.columns.len();
        let (columns, empty): (Vec<usize>, Vec<usize>) =
            if all.clone().any(|column| filled(&column)) {
                all.partition(filled)
            } else {
                // A row without any value is still an answer.
                (all.collect(), Vec::new())
            };
        let too_many = |width: u16| columns.len() > usize::from(width / READABLE_WIDTH);
        let text = if width.is_some_and(too_many) {
            self.records(&columns)
        } else {
            self.table(&columns, width)
        };
        let empty: Vec<&str> = empty
            .iter()
            .map(|column| self.columns[*column].as_str())
            .collect();
        format!("{text}\n{}", LeftOut(&empty))
    }

    fn table(&self, columns: &[usize], width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(columns.iter().map(|column| escaped(&self.columns[*column])));
        for row in &self.rows {
            table.add_row(columns.iter().map(|column| self.cell(row, *column)));
        }
        match width {
            Some(width) => {
                table
                    .set_content_arrangement(ContentArrangement::Dynamic)
                    .set_width(width);
                // A time on two lines is hard to read.
                let time = columns
                    .iter()
                    .position(|column| self.columns[*column] == "time");
                if let Some(time) = time.and_then(|position| table.column_mut(position)) {
                    time.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        table.to_string()
    }

    fn records(&self, columns: &[usize]) -> String {
        let names: Vec<String> = columns
            .iter()
            .map(|column| escaped(&self.columns[*column]))
            .collect();
        let longest = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or_default();
        let record = |row: &Vec<Value>| {
            let filled = columns.iter().zip(&names).filter_map(|(column, name)| {
                let value = row.get(*column).filter(|value| !value.is_null())?;
                Some(format!(
                    "{name:longest$}  {}\n",
                    shown(&self.columns[*column], value)
                ))
            });
            filled.collect::<String>()
        };
        self.rows.iter().map(record).collect::<Vec<_>>().join("\n")
    }

    fn cell(&self, row: &[Value], column: usize) -> Cell {
        let value = row.get(column).unwrap_or(&Value::Null);
        let cell = Cell::new(shown(&self.columns[column], value));
        match value {
            Value::Number(_) if self.columns[column] != "time" => {
                cell.set_alignment(CellAlignment::Right)
            }
            _ => cell,
        }
    }
}

/// A line that names the columns that a table omits.
struct LeftOut<'a>(&'a [&'a str]);

impl fmt::Display for LeftOut<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] | ["time"] => Ok(()),
            columns => writeln!(formatter, "without a value: {}", columns.join(", ")),
        }
    }
}

fn shown(column: &str, value: &Value) -> String {
    match value {
        Value::Null => NULL.to_owned(),
        Value::String(text) => escaped(text),
        Value::Number(number) => match (column, number.as_i64()) {
            ("time", Some(unix_ms)) => rfc3339(unix_ms),
            _ => number.to_string(),
        },
        other => escaped(&other.to_string()),
    }
}

/// A text without control characters, which could end a row or control the terminal.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            control if control.is_control() => control.escape_default().to_string(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {

    use api::Summary;
    use events::TimeRange;
    use serde_json::json;

    use super::*;

    fn answer(series: Vec<Series>) -> Answer {
        let summary = Summary::new(TimeRange::new(0, 1).unwrap());
        Answer::new(series, summary)
    }

    fn series(tags: &[(&str, Value)], columns: &[&str], values: Vec<Vec<Value>>) -> Series {
        Series {
            name: None,
            tags: tags
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            values,
        }
    }

    #[test]
    fn one_series_is_one_table() {
        let rows = vec![
            vec![
                json!(1_795_215_600_123_i64),
                json!("line\nbreak \u{1b}[31m"),
                json!(null),
                json!(2),
            ],
            vec![json!(null), json!("李雷"), json!(null), json!(0.5)],
        ];
        let series = series(&[], &["time", "df_title", "city", "n"], rows);
        let text = answer_tables(&answer(vec![series]), None);
        let expected = "\
┌──────────────────────────┬────────────────────────┬─────┐
│ time                     ┆ df_title               ┆ n   │
╞══════════════════════════╪════════════════════════╪═════╡
│ 2026-11-20T23:00:00.123Z ┆ line\\nbreak \\u{1b}[31m ┆   2 │
│ -                        ┆ 李雷                   ┆ 0.5 │
└──────────────────────────┴────────────────────────┴─────┘
without a value: city
";
        assert_eq!(text, expected);
    }

    #[test]
    fn groups_of_one_row_share_a_table() {
        let group = |name: Value, count: u64| {
            series(
                &[("df_user_name", name)],
                &["time", "count(*)"],
                vec![vec![json!(null), json!(count)]],
            )
        };
        let text = answer_tables(
            &answer(vec![group(json!("Zoë"), 3), group(json!(null), 1)]),
            None,
        );
        let expected = "\
┌──────────────┬──────────┐
│ df_user_name ┆ count(*) │
╞══════════════╪══════════╡
│ Zoë          ┆        3 │
│ -            ┆        1 │
└──────────────┴──────────┘
";
        assert_eq!(text, expected);
    }

    #[test]
    fn groups_of_several_rows_have_captions() {
        let rows = || vec![vec![json!(0), json!(1)], vec![json!(1), json!(2)]];
        let group = |name: &str| series(&[("df_origin", json!(name))], &["time", "n"], rows());
        let text = answer_tables(&answer(vec![group("front"), group("inner")]), None);
        assert_eq!(text.matches("df_origin = ").count(), 2);
        assert_eq!(text.matches("1970-01-01T00:00:00.001Z").count(), 2);
    }

    #[test]
    fn a_terminal_gets_lines_that_fit() {
        let rows = vec![vec![
            json!(0),
            json!("word ".repeat(30)),
            json!("x".repeat(100)),
        ]];
        let narrow = series(&[], &["time", "df_message", "df_title"], rows);
        let text = answer_tables(&answer(vec![narrow]), Some(80));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.contains("1970-01-01T00:00:00.000Z"), "{text}");
    }

    #[test]
    fn too_many_columns_for_a_terminal_become_records() {
        let names = ["time", "a", "bb", "c", "d", "e"];
        let row = |number: i64| {
            vec![
                json!(number),
                json!(1),
                json!(null),
                json!("x"),
                json!([2]),
                json!(null),
            ]
        };
        let mut second = row(1);
        second[2] = json!("only here");
        let wide = series(&[], &names, vec![row(0), second]);
        let text = answer_tables(&answer(vec![wide]), Some(60));
        let expected = "\
time  1970-01-01T00:00:00.000Z
a     1
c     x
d     [2]

time  1970-01-01T00:00:00.001Z
a     1
bb    only here
c     x
d     [2]

without a value: e
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_answer_without_rows_has_no_table() {
        assert_eq!(answer_tables(&answer(vec![]), None), "");
    }
}
