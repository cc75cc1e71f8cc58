//! `window(query, '5m')`: the points of each series in wider steps.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use dql::ast::{Arg, Call, ExprKind};
use dql::{Code, Diagnostic, Severity};
use plan::Type;
use serde_json::Value;

use super::points::{number, warn_of_others};
use super::wrong;
use crate::error::EngineError;
use crate::whole::Whole;

/// Numbers added up, and how many they are.
type Means = Vec<(f64, u64)>;

/// Puts the mean of the points of each window in their place, at the start of the window. Windows are
/// aligned as steps are. Rows without a time are in none, and stay.
pub(super) fn window(
    call: &Call,
    others: &[&Arg],
    zone: Tz,
    whole: &mut Whole,
) -> Result<(), EngineError> {
    let width = others
        .first()
        .and_then(|argument| match &argument.value.kind {
            ExprKind::String(text) => api::duration_ms(text),
            _ => None,
        });
    let Some(width_ms) = width.filter(|width_ms| *width_ms > 0) else {
        let message = "the width of `window` is a duration in quotes such as '5m'".to_owned();
        return Err(wrong(Code::WrongArgumentKind, message, call.name.span));
    };
    warn_of_others(whole);
    let mut timeless = 0;
    for (_, value_type) in &mut whole.columns {
        *value_type = Type::Float;
    }
    for series in &mut whole.answer.series {
        let mut windows: BTreeMap<i64, Means> = BTreeMap::new();
        let mut rest = Vec::new();
        for row in &series.values {
            let cells = row.iter().skip(1).map(Value::as_f64);
            let Some(time) = row[0].as_i64() else {
                let floats =
                    cells.map(|cell| cell.map_or(Value::Null, |cell| number(cell, Type::Float)));
                rest.push(std::iter::once(Value::Null).chain(floats).collect());
                continue;
            };
            let means = windows
                .entry(functions::step_start::step_start_ms(time, width_ms, zone))
                .or_insert_with(|| vec![(0.0, 0); whole.columns.len()]);
            for (mean, value) in means.iter_mut().zip(cells) {
                if let Some(value) = value {
                    *mean = (mean.0 + value, mean.1 + 1);
                }
            }
        }
        timeless += rest.len();
        let row = |(start, means): (i64, Means)| {
            let cells = means.into_iter().map(|(sum, count)| match count {
                0 => Value::Null,
                count => number(sum / count as f64, Type::Float),
            });
            std::iter::once(Value::from(start)).chain(cells).collect()
        };
        series.values = windows.into_iter().rev().map(row).chain(rest).collect();
    }
    whole.answer.summary.step_ms = Some(width_ms);
    if timeless > 0 {
        let message =
            format!("rows without a time are in no window, and stay as they are: {timeless}");
        let warning = Diagnostic::new(Severity::Warning, Code::WindowIgnored, message, None);
        let warning = warning.with_hint("give the query a step, as in `[1d::1m]`");
        whole.answer.summary.warnings.push(warning);
    }
    Ok(())
}
