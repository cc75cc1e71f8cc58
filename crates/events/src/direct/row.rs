//! Rows of record batches.

use std::collections::HashSet;
use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};
use serde_json::Value;

use super::scan::Scanner;
use super::{Cell, Days, Parts, Unusual};
use crate::fields::{self, ATTRIBUTES_COLUMN, DATE_COLUMN};
use crate::json::{text, timestamp, value_json};
use crate::time::check_date;

/// Makes events of the rows of one batch.
#[derive(Debug)]
pub(crate) struct RowDecoder<'c> {
    parts: Parts<'c>,
    columns: Vec<(Target, &'c dyn Array)>,
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
    /// A decoder of the rows of `batch`; `None` when two of its columns are one field, so that rows
    /// have to be looked at with care.
    pub(crate) fn new(batch: &'c RecordBatch) -> Option<Self> {
        let columns = targets(batch.schema_ref())?.into_iter();
        Some(Self {
            parts: Parts::new(),
            columns: columns
                .zip(batch.columns().iter().map(|column| column.as_ref()))
                .collect(),
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
                Target::Attributes => {
                    let attributes = text(*values, row).ok_or(Unusual)?;
                    let mut scanner = Scanner::new(attributes)?;
                    parts.attributes(&mut scanner)?;
                    if scanner.peek().is_some() {
                        return Err(Unusual);
                    }
                }
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

impl<'c> Parts<'c> {
    fn row_value(
        &mut self,
        column: usize,
        values: &'c dyn Array,
        row: usize,
    ) -> Result<(), Unusual> {
        if let Some(text) = text(values, row) {
            return self.set_text(column, text);
        }
        if column == DATE_COLUMN
            && let Some(moment) = timestamp(values, row)
        {
            let date_ms = moment.map_err(|_| Unusual)?.timestamp_millis();
            let date_ms = check_date(date_ms).map_err(|_| Unusual)?;
            return self.set(column, Cell::Int(date_ms));
        }
        let number = match values.data_type() {
            DataType::Int64 => values.as_primitive::<Int64Type>().value(row),
            _ => match value_json(values, row) {
                Ok(Value::Number(number)) => number.as_i64().ok_or(Unusual)?,
                _ => return Err(Unusual),
            },
        };
        let start = self.scratch.len();
        write!(self.scratch, "{number}").map_err(|_| Unusual)?;
        self.set_scratch(column, start)
    }

    fn unlisted_value(&mut self, key: &str, values: &dyn Array, row: usize) -> Result<(), Unusual> {
        let value = value_json(values, row).map_err(|_| Unusual)?;
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
        let is_new = column.is_none_or(|column| columns.insert(column)) && names.insert(name);
        is_new.then(|| match column {
            Some(ATTRIBUTES_COLUMN) => Target::Attributes,
            Some(column) => Target::Column(column),
            None => Target::Unlisted(Value::from(name.as_str()).to_string()),
        })
    });
    targets.collect()
}
