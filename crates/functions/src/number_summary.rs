//! `histogram_auto`: how the numbers of a list are spread.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

use crate::literals;

/// The parts of a summary that are lists.
pub const LISTS: [&str; 3] = ["lower_bounds", "upper_bounds", "counts"];

/// The parts that are numbers, each with the percentage of the values that do not exceed it.
pub const RANKS: [(&str, u8); 7] = [
    ("min", 0),
    ("p50", 50),
    ("p75", 75),
    ("p90", 90),
    ("p95", 95),
    ("p99", 99),
    ("max", 100),
];

/// A structure of [`LISTS`] as JSON text and [`RANKS`] as floats, of a list of floats; missing parts for a
/// list without values.
pub fn number_summary(list: Expr) -> Expr {
    summary_udf().call(vec![list])
}

pub(crate) fn summary_udf() -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(NumberSummary { signature })
}

/// A part of a summary: those of [`LISTS`] count from 0, and those of [`RANKS`] go on.
///
/// A function of its own, because DataFusion 55 moves its own below the aggregate and then finds two
/// columns of one name.
pub fn summary_part(summary: Expr, index: usize) -> Expr {
    part_udf().call(vec![summary, lit(index as i64)])
}

pub(crate) fn part_udf() -> ScalarUDF {
    let signature = Signature::any(2, Volatility::Immutable);
    ScalarUDF::new_from_impl(SummaryPart { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SummaryPart {
    signature: Signature,
}

impl ScalarUDFImpl for SummaryPart {
    fn name(&self) -> &str {
        "summary_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a part depends on its index")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some(Some(ScalarValue::Int64(Some(index)))) = args.scalar_arguments.get(1) else {
            return internal_err!("the index of a part has to be a literal");
        };
        let data_type = match usize::try_from(*index) {
            Ok(index) if index < LISTS.len() => DataType::Utf8View,
            _ => DataType::Float64,
        };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let index = usize::try_from(literals::int(&args, 1)?).unwrap_or(usize::MAX);
        let summaries = args.args[0].to_array(args.number_rows)?;
        match summaries.as_struct().columns().get(index) {
            Some(part) => Ok(ColumnarValue::Array(Arc::clone(part))),
            None => internal_err!("a summary has no part {index}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NumberSummary {
    signature: Signature,
}

impl ScalarUDFImpl for NumberSummary {
    fn name(&self) -> &str {
        "number_summary"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = args.args[0].to_array(args.number_rows)?;
        let lists = lists.as_list::<i32>();
        let summaries: Vec<Option<Summary>> = (0..lists.len())
            .map(|row| {
                let values = lists.is_valid(row).then(|| lists.value(row))?;
                Summary::of(
                    values
                        .as_primitive::<Float64Type>()
                        .iter()
                        .flatten()
                        .collect(),
                )
            })
            .collect();
        let text = |part: usize| {
            let texts = summaries.iter().map(|summary| {
                let summary = summary.as_ref()?;
                Some(summary.lists[part].as_str())
            });
            Arc::new(texts.collect::<StringViewArray>()) as ArrayRef
        };
        let number = |part: usize| {
            let numbers = summaries
                .iter()
                .map(|summary| Some(summary.as_ref()?.ranks[part]));
            Arc::new(numbers.collect::<Float64Array>()) as ArrayRef
        };
        let columns = (0..LISTS.len()).map(text);
        let columns = columns.chain((0..RANKS.len()).map(number)).collect();
        let parts = StructArray::try_new(fields(), columns, None)?;
        Ok(ColumnarValue::Array(Arc::new(parts)))
    }
}

fn fields() -> Fields {
    let lists = LISTS.map(|name| Field::new(name, DataType::Utf8View, true));
    let ranks = RANKS.map(|(name, _)| Field::new(name, DataType::Float64, true));
    lists.into_iter().chain(ranks).collect()
}

/// How the values of one group are spread.
#[derive(Debug, PartialEq)]
struct Summary {
    lists: [String; LISTS.len()],
    ranks: [f64; RANKS.len()],
}

impl Summary {
    /// Intervals of one width from the smallest value to the largest, 1 + log2(n) of them, rounded up.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let width = most - least;
        let is_spread = width > 0.0 && width.is_finite();
        let intervals = match is_spread {
            true => values.len().next_power_of_two().trailing_zeros() + 1,
            false => 1,
        };
        let bound = |index: u32| least + width * f64::from(index) / f64::from(intervals);
        let lower: Vec<f64> = match is_spread {
            true => (0..intervals).map(bound).collect(),
            false => vec![least],
        };
        let upper = lower
            .iter()
            .skip(1)
            .copied()
            .chain([most])
            .collect::<Vec<f64>>();
        let starts: Vec<usize> = lower
            .iter()
            .map(|lower| values.partition_point(|value| value < lower))
            .collect();
        let ends = starts.iter().skip(1).copied().chain([values.len()]);
        let counts: Vec<usize> = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| end - start)
            .collect();
        let rank = |(_, percent): (&str, u8)| {
            let rank = (f64::from(percent) * values.len() as f64 / 100.0).ceil() as usize;
            values[rank.clamp(1, values.len()) - 1]
        };
        Some(Self {
            lists: [
                serde_json::Value::from(lower).to_string(),
                serde_json::Value::from(upper).to_string(),
                serde_json::Value::from(counts).to_string(),
            ],
            ranks: RANKS.map(rank),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_intervals_of_one_width() {
        let summary = Summary::of(vec![8.0, 0.0, 2.0, 1.0, 4.0]).unwrap();
        assert_eq!(summary.lists[0], "[0.0,2.0,4.0,6.0]");
        assert_eq!(summary.lists[1], "[2.0,4.0,6.0,8.0]");
        assert_eq!(summary.lists[2], "[2,1,1,1]");
        assert_eq!(summary.ranks, [0.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]);
    }

    #[test]
    fn equal_values_are_one_interval() {
        let summary = Summary::of(vec![3.0, 3.0]).unwrap();
        assert_eq!(summary.lists, ["[3.0]", "[3.0]", "[2]"]);
        assert_eq!(Summary::of(Vec::new()), None);
        let widest = Summary::of(vec![f64::MIN, f64::MAX]).unwrap();
        assert_eq!(widest.lists[2], "[2]");
    }
}
