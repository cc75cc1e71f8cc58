//! Aggregates over the rows of a group.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use dql::ast::{Call, Expr, ExprKind, Field};

use super::scope::{Over, Rows, Scope};
use super::value::Value;

/// Whether a function summarises a group.
pub(super) fn is_aggregate(name: &str) -> bool {
    let plain = [
        "count",
        "count_distinct",
        "sum",
        "avg",
        "min",
        "max",
        "first",
        "last",
        "percentile",
        "median",
    ];
    plain.contains(&name) || percent(name).is_some()
}

fn percent(name: &str) -> Option<f64> {
    name.strip_prefix('p')?.parse().ok()
}

/// The aggregated expression; text in quotes names a field.
pub(super) fn argument(call: &Call) -> Expr {
    let written = &call.args[0].value;
    match &written.kind {
        ExprKind::String(name) => Expr {
            kind: ExprKind::Field(Field {
                name: name.clone(),
                path: Vec::new(),
            }),
            span: written.span,
        },
        _ => written.clone(),
    }
}

impl Scope<'_> {
    /// The value of an aggregate.
    pub(super) fn aggregate(&self, name: &str, call: &Call) -> Value {
        let Over::Group(group) = self.over else {
            panic!("`{name}` stands where there is no group");
        };
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap());
        if matches!(call.args[0].value.kind, ExprKind::Star) {
            return count(group.rows.len());
        }
        let present = self.present(call);
        let numbers: Vec<f64> = present
            .iter()
            .filter_map(|(_, value)| value.number())
            .collect();
        let extreme = |wanted: Ordering| {
            let numbers = present
                .iter()
                .map(|(_, value)| value)
                .filter(|value| value.number().is_some());
            let best = numbers.reduce(|best, value| {
                match value.number().unwrap().total_cmp(&best.number().unwrap()) == wanted {
                    true => value,
                    false => best,
                }
            });
            best.map_or(Value::Missing, as_number)
        };
        match name {
            "count" => count(present.len()),
            "count_distinct" => {
                let distinct: BTreeSet<String> =
                    present.iter().map(|(_, value)| value.raw()).collect();
                count(distinct.len())
            }
            "first" => present.first().map_or(Value::Missing, |(_, value)| value.clone()),
            "last" => present.last().map_or(Value::Missing, |(_, value)| value.clone()),
            "sum" => present
                .iter()
                .filter(|(_, value)| value.number().is_some())
                .fold(Value::Missing, |sum, (_, value)| add(&sum, value)),
            "avg" if numbers.is_empty() => Value::Missing,
            "avg" => Value::finite(numbers.iter().sum::<f64>() / numbers.len() as f64),
            "min" => extreme(Ordering::Less),
            "max" => extreme(Ordering::Greater),
            "median" => nearest_rank(numbers, 50.0),
            "percentile" => match call.args[1].value.kind {
                ExprKind::Int(percent) => nearest_rank(numbers, percent as f64),
                ExprKind::Float(percent) => nearest_rank(numbers, percent),
                ref other => panic!("{other:?} is no percentage"),
            },
            _ => nearest_rank(numbers, percent(name).unwrap()),
        }
    }

    /// The rows of the group that have a value, oldest first, with that value.
    pub(super) fn present(&self, call: &Call) -> Vec<(&[Value], Value)> {
        let Over::Group(group) = self.over else {
            panic!("there is no group");
        };
        let argument = argument(call);
        let mut rows = group.rows.clone();
        rows.sort_by(|left, right| by_time(self.source, left, right));
        rows.into_iter()
            .map(|row| (row, self.over(Over::Row(row)).value(&argument)))
            .filter(|(_, value)| !value.is_missing())
            .collect()
    }
}

/// The order by time: of events, then by id and workspace; of other rows, then by every column.
pub(super) fn by_time(source: &Rows, left: &[Value], right: &[Value]) -> Ordering {
    let time = source.time(left).ascending(source.time(right));
    let columns: Vec<usize> = if source.are_events {
        ["df_event_id", "df_workspace"]
            .into_iter()
            .filter_map(|name| source.column(name))
            .collect()
    } else {
        (0..source.names.len()).collect()
    };
    columns.into_iter().fold(time, |order, column| {
        order.then_with(|| left[column].as_tie_break(&right[column]))
    })
}

/// The smallest value that at least `percent` of a hundred do not exceed.
pub(super) fn nearest_rank(mut numbers: Vec<f64>, percent: f64) -> Value {
    numbers.sort_by(f64::total_cmp);
    let count = numbers.len() as f64;
    let mut ranks = numbers.iter().enumerate();
    let fits = |(index, _): &(usize, &f64)| (*index as f64 + 1.0) * 100.0 >= percent * count;
    ranks
        .find(fits)
        .map_or(Value::Missing, |(_, number)| Value::Float(*number))
}

pub(super) fn add(sum: &Value, value: &Value) -> Value {
    match (sum, as_number(value)) {
        (Value::Missing, value) => value,
        (Value::Int(sum), Value::Int(value)) => Value::Int(sum.checked_add(value).unwrap()),
        (sum, value) => Value::Float(sum.number().unwrap() + value.number().unwrap()),
    }
}

/// An attribute's number is a float.
pub(super) fn as_number(value: &Value) -> Value {
    match value {
        Value::Int(number) => Value::Int(*number),
        other => other.number().map_or(Value::Missing, Value::Float),
    }
}
