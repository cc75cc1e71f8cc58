//! Rows of record batches.

use std::collections::HashSet;
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Schema;
use serde_json::Value;

use super::scan::Scanner;
use super::{Days, Parts, Unusual};
use crate::fields::{self, ATTRIBUTES_COLUMN, DATE_COLUMN, FIELDS, FieldType};
use crate::json::{text, timestamp, value_json};

/// Makes events of the rows of one batch.
#[derive(Debug)]
pub(crate) struct RowDecoder<'c> {
    parts: Parts<'c>,
    columns: Vec<(Target, Values<'c>)>,
}

/// A column of the batch.
#[derive(Debug, Clone, Copy)]
enum Values<'c> {
    /// The form in which readers of this crate give texts.
    Views(&'c StringViewArray),
    Numbers(&'c Int64Array),
    Other(&'c dyn Array),
}

/// Where the values of a column of the batch go.
#[derive(Debug)]
enum Target {
    Column(usize),
    Attributes,
    /// Among the attributes, behind this key and its colon.
    Unlisted(String),
}

impl<'c> RowDecoder<'c> {
    /// A decoder of the rows of `batch`; `None` when two of its columns are one field, or one is a field that
    /// Vouch sets, so that rows have to be looked at with care.
    pub(crate) fn new(batch: &'c RecordBatch) -> Option<Self> {
        let targets = targets(batch.schema_ref())?.into_iter();
        let columns = targets.zip(batch.columns()).filter_map(|(target, values)| {
            let is_empty = values.null_count() == values.len();
            (!is_empty).then(|| (target, Values::of(values.as_ref())))
        });
        Some(Self {
            parts: Parts::new(),
            columns: columns.collect(),
        })
    }

    /// Adds the event in `row` to those of its workspace and day. An event that names no workspace
    /// is of the one given; one without an id gets the one that `derive_id` gives.
    pub(crate) fn decode(
        &mut self,
        row: usize,
        workspace: Option<&str>,
        derive_id: impl FnOnce() -> Option<String>,
        days: &mut Days,
    ) -> Result<(), Unusual> {
        let Self { parts, columns } = self;
        parts.clear();
        for (target, values) in columns {
            if values.is_null(row) {
                continue;
            }
            match target {
                Target::Column(column) => parts.row_value(*column, *values, row)?,
                Target::Attributes => parts.row_attributes(*values, row)?,
                Target::Unlisted(key) => parts.unlisted_value(key, *values, row)?,
            }
        }
        if !parts.given.is_empty() && !parts.unlisted.is_empty() {
            // They may share keys.
            return Err(Unusual);
        }
        parts.finish(workspace, derive_id, days)
    }
}

impl<'c> Values<'c> {
    fn of(values: &'c dyn Array) -> Self {
        if let Some(views) = values.as_string_view_opt() {
            Self::Views(views)
        } else if let Some(numbers) = values.as_primitive_opt() {
            Self::Numbers(numbers)
        } else {
            Self::Other(values)
        }
    }

    fn is_null(self, row: usize) -> bool {
        match self {
            Self::Views(views) => views.is_null(row),
            Self::Numbers(numbers) => numbers.is_null(row),
            Self::Other(values) => values.is_null(row),
        }
    }

    fn text(self, row: usize) -> Option<&'c str> {
        match self {
            Self::Views(views) => Some(views.value(row)),
            Self::Numbers(_) => None,
            Self::Other(values) => text(values, row),
        }
    }

    fn json(self, row: usize) -> Result<Value, Unusual> {
        let values: &dyn Array = match self {
            Self::Views(views) => views,
            Self::Numbers(numbers) => numbers,
            Self::Other(values) => values,
        };
        value_json(values, row).map_err(|_| Unusual)
    }
}

impl<'c> Parts<'c> {
    fn row_value(&mut self, column: usize, values: Values<'c>, row: usize) -> Result<(), Unusual> {
        if let Some(text) = values.text(row) {
            return self.set_text(column, text);
        }
        if column == DATE_COLUMN
            && let Values::Other(values) = values
            && let Some(moment) = timestamp(values, row)
        {
            let date_ms = moment.map_err(|_| Unusual)?.timestamp_millis();
            return self.set_integer(column, date_ms, "");
        }
        let number = match values {
            Values::Numbers(numbers) => numbers.value(row),
            _ => match values.json(row)? {
                Value::Number(number) => number.as_i64().ok_or(Unusual)?,
                _ => return Err(Unusual),
            },
        };
        if FIELDS[column].field_type == FieldType::Int {
            return self.set_integer(column, number, "");
        }
        let start = self.scratch.len();
        write!(self.scratch, "{number}").map_err(|_| Unusual)?;
        self.set_scratch(column, start)
    }

    fn row_attributes(&mut self, values: Values<'c>, row: usize) -> Result<(), Unusual> {
        let Some(text) = values.text(row) else {
            // A struct or a map.
            let Value::Object(object) = values.json(row)? else {
                return Err(Unusual);
            };
            let text = Value::Object(object).to_string();
            self.given.push_str(&text[1..text.len() - 1]);
            return Ok(());
        };
        let mut scanner = Scanner::new(text)?;
        self.attributes(&mut scanner)?;
        match scanner.peek() {
            None => Ok(()),
            Some(_) => Err(Unusual),
        }
    }

    fn unlisted_value(&mut self, key: &str, values: Values<'c>, row: usize) -> Result<(), Unusual> {
        let value = values.json(row)?;
        if value.is_null() {
            return Ok(());
        }
        if !self.unlisted.is_empty() {
            self.unlisted.push(',');
        }
        write!(self.unlisted, "{key}:{value}").map_err(|_| Unusual)
    }
}

fn targets(schema: &Schema) -> Option<Vec<Target>> {
    let mut columns = HashSet::new();
    let mut names = HashSet::new();
    let targets = schema.fields().iter().map(|field| {
        let name = field.name();
        let column = fields::column(name);
        let is_new = !fields::is_of_vouch(name)
            && column.is_none_or(|column| columns.insert(column))
            && names.insert(name);
        is_new.then(|| match column {
            Some(ATTRIBUTES_COLUMN) => Target::Attributes,
            Some(column) => Target::Column(column),
            None => Target::Unlisted(Value::from(name.as_str()).to_string()),
        })
    });
    targets.collect()
}
