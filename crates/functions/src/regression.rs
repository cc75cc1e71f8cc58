//! `corr` and `slope`: how two numbers go together.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility,
};

/// What is told about the pairs of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Regression {
    /// Pearson's coefficient.
    Correlation,
    /// The slope of the line through the pairs from which `y` has the least squared distances.
    Slope,
}

impl Regression {
    /// The aggregate over two floats. A pair with a missing part does not take part; where `x`, or for the
    /// coefficient `y`, does not vary, there is no result.
    pub fn of(self, y: Expr, x: Expr) -> Expr {
        self.udf().call(vec![y, x])
    }

    pub(crate) fn udf(self) -> AggregateUDF {
        let float = DataType::Float64;
        let signature = Signature::exact(vec![float.clone(), float], Volatility::Immutable);
        let function = RegressionFunction {
            regression: self,
            signature,
        };
        AggregateUDF::new_from_impl(function)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegressionFunction {
    regression: Regression,
    signature: Signature,
}

impl AggregateUDFImpl for RegressionFunction {
    fn name(&self) -> &str {
        match self.regression {
            Regression::Correlation => "correlation",
            Regression::Slope => "slope",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Pairs::new(self.regression)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let floats = DataType::new_list(DataType::Float64, true);
        Ok(vec![Arc::new(Field::new(args.name, floats, true))])
    }
}

/// A sum with twice the digits of a float, so that it does not depend on the order of what is added.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct LongSum {
    high: f64,
    low: f64,
}

impl LongSum {
    fn product(left: f64, right: f64) -> Self {
        let high = left * right;
        Self {
            high,
            low: left.mul_add(right, -high),
        }
    }

    fn plus(self, other: Self) -> Self {
        let high = self.high + other.high;
        let part = high - self.high;
        let lost = (self.high - (high - part)) + (other.high - part);
        let low = lost + self.low + other.low;
        Self {
            high: high + low,
            low: low - ((high + low) - high),
        }
    }

    fn times(self, other: Self) -> Self {
        let product = Self::product(self.high, other.high);
        Self {
            low: product.low + self.high * other.low + self.low * other.high,
            ..product
        }
    }

    fn minus(self, other: Self) -> f64 {
        let negative = Self {
            high: -other.high,
            low: -other.low,
        };
        self.plus(negative).high
    }
}

/// The sums over pairs, in this order: how many there are, `y`, `x`, `y²`, `x²`, `xy`.
const SUMS: usize = 6;

/// The pairs so far.
#[derive(Debug)]
struct Pairs {
    regression: Regression,
    sums: [LongSum; SUMS],
    /// The smallest and largest `y`, the smallest and largest `x`.
    ends: [f64; 4],
}

impl Pairs {
    fn new(regression: Regression) -> Self {
        Self {
            regression,
            sums: [LongSum::default(); SUMS],
            ends: [
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::INFINITY,
                f64::NEG_INFINITY,
            ],
        }
    }

    fn add(&mut self, sums: [LongSum; SUMS], ends: [f64; 4]) {
        for (sum, other) in self.sums.iter_mut().zip(sums) {
            *sum = sum.plus(other);
        }
        let [least_y, most_y, least_x, most_x] = self.ends;
        self.ends = [
            least_y.min(ends[0]),
            most_y.max(ends[1]),
            least_x.min(ends[2]),
            most_x.max(ends[3]),
        ];
    }

    fn result(&self) -> Option<f64> {
        let [count, y, x, yy, xx, xy] = self.sums;
        let [least_y, most_y, least_x, most_x] = self.ends;
        let together = count.times(xy).minus(x.times(y));
        let spread_x = count.times(xx).minus(x.times(x));
        let spread_y = count.times(yy).minus(y.times(y));
        let result = match self.regression {
            _ if least_x >= most_x => return None,
            Regression::Slope if least_y >= most_y => return Some(0.0),
            Regression::Slope => together / spread_x,
            Regression::Correlation if least_y >= most_y => return None,
            Regression::Correlation => {
                let spread = spread_x * spread_y;
                let spread = match spread.is_normal() {
                    true => spread.sqrt(),
                    // Too large or too small for a float, unlike their roots.
                    false => spread_x.sqrt() * spread_y.sqrt(),
                };
                // Rounding must not lead beyond what the coefficient can be.
                (together / spread).clamp(-1.0, 1.0)
            }
        };
        Some(result).filter(|result| result.is_finite())
    }
}

impl Accumulator for Pairs {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let ys = values[0].as_primitive::<Float64Type>().iter();
        let xs = values[1].as_primitive::<Float64Type>().iter();
        for (y, x) in ys.zip(xs).filter_map(|(y, x)| y.zip(x)) {
            let single = |value: f64| LongSum::product(value, 1.0);
            let sums = [
                single(1.0),
                single(y),
                single(x),
                LongSum::product(y, y),
                LongSum::product(x, x),
                LongSum::product(x, y),
            ];
            self.add(sums, [y, y, x, x]);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.result()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sums = self.sums.iter().flat_map(|sum| [sum.high, sum.low]);
        let parts: Vec<ScalarValue> = sums.chain(self.ends).map(ScalarValue::from).collect();
        let list = ScalarValue::new_list_nullable(&parts, &DataType::Float64);
        Ok(vec![ScalarValue::List(list)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for parts in states[0].as_list::<i32>().iter().flatten() {
            let parts = parts.as_primitive::<Float64Type>().values();
            let (sums, ends) = parts.split_at(parts.len().min(2 * SUMS));
            let mut merged = [LongSum::default(); SUMS];
            for (sum, parts) in merged.iter_mut().zip(sums.chunks_exact(2)) {
                *sum = LongSum {
                    high: parts[0],
                    low: parts[1],
                };
            }
            if let &[least_y, most_y, least_x, most_x] = ends {
                self.add(merged, [least_y, most_y, least_x, most_x]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;

    fn pairs(regression: Regression, pairs: &[(Option<f64>, Option<f64>)]) -> Pairs {
        let (ys, xs): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let mut all = Pairs::new(regression);
        let arrays: [ArrayRef; 2] = [
            Arc::new(Float64Array::from(ys)),
            Arc::new(Float64Array::from(xs)),
        ];
        all.update_batch(&arrays).unwrap();
        all
    }

    #[test]
    fn lines_are_found_exactly() {
        let line = |x: f64| (Some(3.0 * x + 7.0), Some(x));
        let some: Vec<_> = (0..9).map(|x| line(1.7e9 + f64::from(x))).collect();
        assert_eq!(pairs(Regression::Slope, &some).result(), Some(3.0));
        assert_eq!(pairs(Regression::Correlation, &some).result(), Some(1.0));
        let down: Vec<_> = some.iter().map(|(y, x)| (y.map(|y| -y), *x)).collect();
        assert_eq!(pairs(Regression::Correlation, &down).result(), Some(-1.0));
    }

    #[test]
    fn what_does_not_vary_has_no_result() {
        let missing = [(Some(1.0), None), (Some(2.0), Some(5.0)), (None, Some(6.0))];
        let level = [
            (Some(0.1), Some(1.0)),
            (Some(0.1), Some(2.0)),
            (Some(0.1), Some(4.0)),
        ];
        for few in [&missing[..], &[]] {
            assert_eq!(pairs(Regression::Slope, few).result(), None);
        }
        assert_eq!(pairs(Regression::Correlation, &level).result(), None);
        assert_eq!(pairs(Regression::Slope, &level).result(), Some(0.0));
    }

    #[test]
    fn parts_merge_in_any_order() {
        let all: Vec<_> = (0..40)
            .map(|index| {
                (
                    Some(f64::from(index * 37 % 11) / 7.0),
                    Some(f64::from(index) / 3.0),
                )
            })
            .collect();
        let merged = |parts: [&[(Option<f64>, Option<f64>)]; 2]| {
            let mut whole = Pairs::new(Regression::Correlation);
            for part in parts {
                let state = pairs(Regression::Correlation, part).state().unwrap();
                whole.merge_batch(&[state[0].to_array().unwrap()]).unwrap();
            }
            whole.result()
        };
        let (left, right) = all.split_at(13);
        assert_eq!(merged([left, right]), merged([right, left]));
        assert_eq!(
            merged([left, right]),
            pairs(Regression::Correlation, &all).result()
        );
    }
}
