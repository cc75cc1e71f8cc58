//! `mode`: the most frequent value of a group, the smallest of several.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
};

use crate::json::{number_of_json, text_of_json};

/// The most frequent value; of several the smallest, where the texts of `json` values come before
/// numbers. Missing values do not take part.
pub fn mode(value: Expr, json: bool) -> Expr {
    udf(json).call(vec![value])
}

/// `mode`, or `json_mode` of JSON values.
pub(crate) fn udf(json: bool) -> AggregateUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    AggregateUDF::new_from_impl(Mode { json, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mode {
    json: bool,
    signature: Signature,
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        if self.json { "json_mode" } else { "mode" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counts {
            json: self.json,
            value_type: args.return_field.data_type().clone(),
            counts: HashMap::new(),
            value_bytes: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |part: &str, item: DataType| {
            let name = format!("{}[{part}]", args.name);
            Arc::new(Field::new(name, DataType::new_list(item, true), true))
        };
        Ok(vec![
            list("values", args.return_field.data_type().clone()),
            list("counts", DataType::UInt64),
        ])
    }
}

/// How often each value came.
#[derive(Debug)]
struct Counts {
    json: bool,
    value_type: DataType,
    counts: HashMap<ScalarValue, u64>,
    value_bytes: usize,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, counts: impl Iterator<Item = u64>) -> Result<()> {
        for (row, count) in counts.enumerate() {
            if values.is_null(row) {
                continue;
            }
            let mut value = ScalarValue::try_from_array(values, row)?;
            // A view would keep the whole batch alive.
            value.compact();
            let bytes = value.size();
            let known = self.counts.entry(value).or_insert_with(|| {
                self.value_bytes += bytes;
                0
            });
            *known += count;
        }
        Ok(())
    }

    fn order(&self, left: &ScalarValue, right: &ScalarValue) -> Ordering {
        if let (true, Some(left), Some(right)) = (self.json, text(left), text(right)) {
            let by_number = match (number_of_json(left), number_of_json(right)) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                (left, right) => left.is_some().cmp(&right.is_some()),
            };
            return by_number
                .then_with(|| text_of_json(left).cmp(&text_of_json(right)))
                .then_with(|| left.cmp(right));
        }
        left.partial_cmp(right).unwrap_or(Ordering::Equal)
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], std::iter::repeat_n(1, values[0].len()))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let most = self
            .counts
            .iter()
            .max_by(|(left, left_count), (right, right_count)| {
                left_count
                    .cmp(right_count)
                    .then_with(|| self.order(right, left))
            });
        match most {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.value_type),
        }
    }

    fn size(&self) -> usize {
        let entry = size_of::<(ScalarValue, u64)>();
        size_of_val(self) + self.counts.capacity() * entry + self.value_bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<ScalarValue>, Vec<ScalarValue>) = self
            .counts
            .drain()
            .map(|(value, count)| (value, ScalarValue::from(count)))
            .unzip();
        let list = |values: &[ScalarValue], item: &DataType| {
            ScalarValue::List(ScalarValue::new_list_nullable(values, item))
        };
        Ok(vec![
            list(&values, &self.value_type),
            list(&counts, &DataType::UInt64),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return Ok(());
        };
        for row in 0..values.len() {
            let counts = counts.as_list::<i32>().value(row);
            let counts = counts.as_primitive::<UInt64Type>();
            let values = values.as_list::<i32>().value(row);
            self.add(&values, counts.iter().flatten())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};

    fn counts(json: bool, value_type: DataType) -> Counts {
        Counts {
            json,
            value_type,
            counts: HashMap::new(),
            value_bytes: 0,
        }
    }

    #[test]
    fn the_smallest_of_the_most_frequent_wins() {
        let mut whole = counts(false, DataType::Int64);
        assert_eq!(whole.evaluate().unwrap(), ScalarValue::Int64(None));
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(10), None, Some(9), Some(3)]));
        whole.update_batch(&[values]).unwrap();
        assert_eq!(whole.evaluate().unwrap(), ScalarValue::Int64(Some(3)));
    }

    #[test]
    fn parts_merge() {
        let texts = |texts: Vec<&str>| Arc::new(StringViewArray::from(texts)) as ArrayRef;
        let mut left = counts(true, DataType::Utf8View);
        left.update_batch(&[texts(vec!["10", "9", "\"b\""])])
            .unwrap();
        let mut right = counts(true, DataType::Utf8View);
        right
            .update_batch(&[texts(vec!["10", "9", "\"b\"", "true"])])
            .unwrap();
        let state = right.state().unwrap();
        let state: Vec<ArrayRef> = state.iter().map(|part| part.to_array().unwrap()).collect();
        left.merge_batch(&state).unwrap();
        let text = ScalarValue::Utf8View(Some("\"b\"".to_owned()));
        assert_eq!(left.evaluate().unwrap(), text);
    }
}
