//! Columns of batches as values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use plan::Type;
use serde_json::{Number, Value};

/// A column of an answer, read cell by cell.
#[derive(Debug)]
pub(crate) enum Cells {
    Bool(ArrayRef),
    Int(ArrayRef),
    Float(ArrayRef),
    Text(ArrayRef),
    Json(ArrayRef),
}

impl Cells {
    /// Reads a column of a type.
    pub(crate) fn new(column: &ArrayRef, value_type: Type) -> Result<Self> {
        Ok(match value_type {
            Type::Bool => Self::Bool(Arc::clone(column)),
            Type::Int => Self::Int(cast(column, &DataType::Int64)?),
            Type::Float => Self::Float(cast(column, &DataType::Float64)?),
            Type::Json => Self::Json(cast(column, &DataType::Utf8View)?),
            Type::Null | Type::String => Self::Text(cast(column, &DataType::Utf8View)?),
        })
    }

    /// The bytes of the text in a row; 0 where there is none. JSON becomes values that are about as large.
    pub(crate) fn text_bytes(&self, row: usize) -> usize {
        match self {
            Self::Text(column) | Self::Json(column) if column.is_valid(row) => {
                column.as_string_view().value(row).len()
            }
            _ => 0,
        }
    }

    /// The value in a row.
    pub(crate) fn value(&self, row: usize) -> Value {
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
