//! `bucket`: the interval of a histogram that a number lies in.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

use crate::literals;
use crate::notes::{self, NoteId};

/// Intervals of one width from `start`; the last ends at `end`, which is not inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Buckets {
    /// The left edge of the first interval.
    pub start: i64,
    /// The right edge of the last, above `start`.
    pub end: i64,
    /// The width, above 0.
    pub width: i64,
}

impl Buckets {
    /// The left edges.
    pub fn edges(self) -> impl Iterator<Item = i64> {
        std::iter::successors(Some(self.start), move |edge| {
            edge.checked_add(self.width).filter(|edge| *edge < self.end)
        })
    }

    /// The left edge of the interval that a number lies in.
    fn of(self, value: f64) -> Option<i64> {
        if value < self.start as f64 || value >= self.end as f64 {
            return None;
        }
        let index = ((value - self.start as f64) / self.width as f64).floor();
        Some(
            self.start
                .saturating_add(self.width.saturating_mul(index as i64)),
        )
    }
}

/// The left edge of the interval in which a float lies; missing when it lies in none, which `outside` notes.
pub fn bucket(value: Expr, buckets: Buckets, outside: NoteId) -> Expr {
    let edges = [buckets.start, buckets.end, buckets.width].map(lit);
    let args = std::iter::once(value)
        .chain(edges)
        .chain([outside.literal()]);
    udf().call(args.collect())
}

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(Bucket {
        signature: Signature::any(5, Volatility::Immutable),
    })
}

/// The index of the note among the arguments.
pub(crate) const NOTE: usize = 4;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bucket {
    signature: Signature,
}

impl ScalarUDFImpl for Bucket {
    fn name(&self) -> &str {
        "bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [start, end, width] = [1, 2, 3].map(|index| literals::int(&args, index));
        let buckets = Buckets {
            start: start?,
            end: end?,
            width: width?,
        };
        let values = args.args[0].to_array(args.number_rows)?;
        let values = values.as_primitive::<Float64Type>();
        let edges: Int64Array = values
            .iter()
            .map(|value| value.and_then(|value| buckets.of(value)))
            .collect();
        notes::count(&args, NOTE, edges.null_count() - values.null_count());
        Ok(ColumnarValue::Array(Arc::new(edges) as Arc<dyn Array>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_half_open() {
        let buckets = Buckets {
            start: -5,
            end: 12,
            width: 5,
        };
        assert_eq!(buckets.edges().collect::<Vec<_>>(), [-5, 0, 5, 10]);
        for (value, expected) in [
            (-5.1, None),
            (-5.0, Some(-5)),
            (-0.1, Some(-5)),
            (0.0, Some(0)),
            (4.999, Some(0)),
            (11.9, Some(10)),
            (12.0, None),
        ] {
            assert_eq!(buckets.of(value), expected, "{value}");
        }
    }
}
