//! An answer with the types of its columns, computed as a whole: what functions over results work on, and
//! what is streamed as one batch.

use std::sync::Arc;

use api::{Answer, Series};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use plan::Type;
use serde_json::Value;

use crate::error::EngineError;
use crate::stream::Columns;

/// An answer and what its columns hold.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    /// The answer.
    pub(crate) answer: Answer,
    /// The names of its keys; their values are texts.
    pub(crate) keys: Vec<String>,
    /// The names and types of its columns behind `time`.
    pub(crate) columns: Vec<(String, Type)>,
}

impl Whole {
    /// The columns of its batch.
    pub(crate) fn stream_columns(&self) -> Columns {
        let keys = self.keys.iter().map(|name| (name.clone(), Type::String));
        Columns::new(keys, self.columns.iter().cloned())
    }

    /// All its rows.
    pub(crate) fn batch(&self) -> Result<RecordBatch, EngineError> {
        let rows: Vec<(&Series, &Vec<Value>)> = self
            .answer
            .series
            .iter()
            .flat_map(|series| series.values.iter().map(move |row| (series, row)))
            .collect();
        let tag = |index: usize| {
            let tags = rows.iter().map(move |(series, _)| {
                let tag = series.tags.get(index)?;
                tag.1.as_str().map(str::to_owned)
            });
            Arc::new(tags.collect::<StringArray>()) as ArrayRef
        };
        let cell = |index: usize, value_type: Type| {
            array(rows.iter().map(|(_, row)| row.get(index)), value_type)
        };
        let keys = (0..self.keys.len()).map(tag);
        let values = self.columns.iter().enumerate();
        let values = values.map(|(index, (_, value_type))| cell(index + 1, *value_type));
        let arrays: Vec<ArrayRef> = keys.chain([cell(0, Type::Int)]).chain(values).collect();
        self.stream_columns().batch(&arrays)
    }
}

/// Values of a type as an Arrow array; JSON as its text.
fn array<'v>(values: impl Iterator<Item = Option<&'v Value>>, value_type: Type) -> ArrayRef {
    let present = values.map(|value| value.filter(|value| !value.is_null()));
    match value_type {
        Type::Bool => {
            let array: BooleanArray = present.map(|value| value?.as_bool()).collect();
            Arc::new(array)
        }
        Type::Int => {
            let array: Int64Array = present.map(|value| value?.as_i64()).collect();
            Arc::new(array)
        }
        Type::Float => {
            let array: Float64Array = present.map(|value| value?.as_f64()).collect();
            Arc::new(array)
        }
        Type::Null | Type::String => {
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let array: StringArray = present.map(|value| value.map(text)).collect();
            Arc::new(array)
        }
        Type::Json => {
            let array: StringArray = present.map(|value| value.map(Value::to_string)).collect();
            Arc::new(array)
        }
    }
}
