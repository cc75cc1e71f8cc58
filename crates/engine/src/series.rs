//! Rows into series: one a group, in the order in which the plan gives them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use plan::{Lowered, Type};
use serde_json::{Number, Value};

use crate::answer::Series;

/// Builds series from batches of rows, whose groups lie together.
#[derive(Debug)]
pub(crate) struct SeriesBuilder {
    name: Option<String>,
    keys: Vec<(String, Type)>,
    columns: Vec<(String, Type)>,
    series: Vec<Series>,
    /// The keys of the last series: `1` and `"1"` are the same tag and two groups.
    last_keys: Option<Vec<Value>>,
}

impl SeriesBuilder {
    /// For the rows of a lowered query; `name` is that of every series.
    pub(crate) fn new(name: Option<String>, lowered: &Lowered) -> Self {
        Self {
            name,
            keys: lowered.keys.clone(),
            columns: lowered.columns.clone(),
            series: Vec::new(),
            last_keys: None,
        }
    }

    /// Adds rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let (keys, values) = batch.columns().split_at(self.keys.len());
        let keys = self.cells(keys, |index| self.keys[index].1)?;
        let values = self.cells(values, |index| match index {
            0 => Type::Int,
            _ => self.columns[index - 1].1,
        })?;
        for row in 0..batch.num_rows() {
            let keys = keys.iter().map(|key| key.value(row)).collect();
            let values = values.iter().map(|cell| cell.value(row)).collect();
            self.series_of(keys).values.push(values);
        }
        Ok(())
    }

    /// The series.
    pub(crate) fn finish(self) -> Vec<Series> {
        self.series
    }

    fn cells(
        &self,
        columns: &[ArrayRef],
        value_type: impl Fn(usize) -> Type,
    ) -> Result<Vec<Cells>> {
        columns
            .iter()
            .enumerate()
            .map(|(index, column)| Cells::new(column, value_type(index)))
            .collect()
    }

    fn series_of(&mut self, keys: Vec<Value>) -> &mut Series {
        if self.last_keys.as_ref() != Some(&keys) {
            let tags = keys.iter().cloned().map(tag);
            let names = self.keys.iter().map(|(name, _)| name.clone());
            let columns = self.columns.iter().map(|(name, _)| name.clone());
            self.series.push(Series {
                name: self.name.clone(),
                tags: names.zip(tags).collect(),
                columns: std::iter::once("time".to_owned()).chain(columns).collect(),
                values: Vec::new(),
            });
            self.last_keys = Some(keys);
        }
        let last = self.series.len() - 1;
        &mut self.series[last]
    }
}

/// The text of a key; tags are text in every answer, null where the events lack the key.
fn tag(value: Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value,
        other => Value::String(other.to_string()),
    }
}

/// A column of an answer, read cell by cell.
#[derive(Debug)]
enum Cells {
    Bool(ArrayRef),
    Int(ArrayRef),
    Float(ArrayRef),
    Text(ArrayRef),
    Json(ArrayRef),
}

impl Cells {
    fn new(column: &ArrayRef, value_type: Type) -> Result<Self> {
        Ok(match value_type {
            Type::Bool => Self::Bool(Arc::clone(column)),
            Type::Int => Self::Int(cast(column, &DataType::Int64)?),
            Type::Float => Self::Float(cast(column, &DataType::Float64)?),
            Type::Json => Self::Json(cast(column, &DataType::Utf8View)?),
            Type::Null | Type::String => Self::Text(cast(column, &DataType::Utf8View)?),
        })
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Self::Bool(column)
            | Self::Int(column)
            | Self::Float(column)
            | Self::Text(column)
            | Self::Json(column)
                if column.is_null(row) =>
            {
                Value::Null
            }
            Self::Bool(column) => Value::Bool(column.as_boolean().value(row)),
            Self::Int(column) => Value::from(column.as_primitive::<Int64Type>().value(row)),
            Self::Float(column) => {
                let number = Number::from_f64(column.as_primitive::<Float64Type>().value(row));
                number.map_or(Value::Null, Value::Number)
            }
            Self::Text(column) => Value::from(column.as_string_view().value(row)),
            Self::Json(column) => {
                let text = column.as_string_view().value(row);
                serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
            }
        }
    }
}
