//! `histogram(x, start, end, interval [, least])`.

use arrow::datatypes::DataType;
use datafusion::logical_expr::cast;
use dql::ast::{Expr as AstExpr, ExprKind};
use dql::{Code, Diagnostic};
use functions::bucket::{Buckets, bucket};

use super::Function;
use crate::bind::arguments::{self, Arguments};
use crate::bind::limits::LARGEST_COUNT;
use crate::bind::name::column;
use crate::bind::pick::Pick;
use crate::bind::{BindResult, Binder, wrong};
use crate::bound::Shape;
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[Function::rows("histogram", histogram)];

/// The number of values in each interval from `start` up to `end`; intervals with fewer than `least` have no row.
fn histogram(binder: &mut Binder<'_>, arguments: &Arguments<'_>) -> BindResult<Pick> {
    let values = &arguments.values;
    let number = binder.number_operand(values[0])?;
    let buckets = buckets(values)?;
    let least = values
        .get(4)
        .map(|least| arguments::count(least, "the least count of an interval"))
        .transpose()?;
    let message = format!(
        "values outside [{}, {}) are not counted",
        buckets.start, buckets.end
    );
    let span = arguments.call.name.span;
    let outside = binder.occurrence(Diagnostic::warning(Code::OutsideHistogram, message, span));
    let float = cast(number.expr, DataType::Float64);
    Ok(Pick {
        shape: Shape::Histogram {
            bucket: bucket(float, buckets, outside),
            buckets,
            least: least.unwrap_or(0),
        },
        value: Typed::new(column("hits"), Type::Int),
        other_columns: Vec::new(),
        time: column("time"),
    })
}

fn buckets(values: &[&AstExpr]) -> BindResult<Buckets> {
    let [start, end, width] = [1, 2, 3].map(|index| edge(values[index], values[0]));
    let (start, end, width) = (start?, end?, width?);
    if end <= start || width <= 0 {
        let message = "a histogram goes from a smaller to a larger number, in intervals above 0";
        let span = values[1].span.to(values[3].span);
        return Err(wrong(Code::WrongArgumentKind, message, span));
    }
    let count = end.abs_diff(start).div_ceil(width.unsigned_abs());
    if count > LARGEST_COUNT {
        let message = format!("the histogram has {count} intervals: at most {LARGEST_COUNT}");
        let error = wrong(Code::TooManyPoints, message, values[3].span);
        return Err(error.with_hint("widen the interval").into());
    }
    Ok(Buckets { start, end, width })
}

/// An edge of a histogram, or the width of its intervals.
fn edge(written: &AstExpr, value: &AstExpr) -> BindResult<i64> {
    match written.kind {
        ExprKind::Int(edge) => Ok(edge),
        ExprKind::Float(edge) if edge.fract() == 0.0 && edge.abs() < 9e15 => Ok(edge as i64),
        _ => {
            let message = "the edges of intervals are whole numbers, because `time` holds them";
            let hint = format!("scale the value: `{} * 100`", dql::column_name(value));
            let error = wrong(Code::WrongArgumentKind, message, written.span);
            Err(error.with_hint(hint).into())
        }
    }
}
