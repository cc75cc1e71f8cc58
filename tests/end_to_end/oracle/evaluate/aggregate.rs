//! Aggregates over the rows of a group.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use dql::ast::{Call, Expr, ExprKind, Field, InSet};
use serde_json::Value as Json;

use super::scope::{Group, Over, Rows, Scope};
use super::statistics;
use super::value::{Kind, Value};

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
        "any",
        "stddev",
        "spread",
        "count_filter",
        "rate_over_count",
        "rate_over_sum",
        "collect",
        "collect_distinct",
        "field_values",
        "last_row",
        "mode",
        "default",
        "corr",
        "slope",
        "histogram_auto",
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
        if self.is_gap && name != "default" {
            return Value::Missing;
        }
        let count = |count: usize| Value::Int(i64::try_from(count).unwrap());
        if matches!(call.args[0].value.kind, ExprKind::Star) {
            return count(group.rows.len());
        }
        if name == "default" {
            return self.with_default(call);
        }
        if let Some(inner) = distinct_inside(name, call) {
            return self.aggregate("count_distinct", inner);
        }
        let present = self.present(call);
        let numbers: Vec<f64> = present
            .iter()
            .filter_map(|(_, value)| value.number())
            .collect();
        match name {
            "count" => count(present.len()),
            "count_distinct" => {
                let distinct: BTreeSet<String> =
                    present.iter().map(|(_, value)| value.raw()).collect();
                count(distinct.len())
            }
            "first" => present
                .first()
                .map_or(Value::Missing, |(_, value)| value.clone()),
            "last" | "last_row" | "any" => present
                .last()
                .map_or(Value::Missing, |(_, value)| value.clone()),
            "sum" => sum(present.iter().map(|(_, value)| value)),
            "mode" => mode(&present),
            "slope" => self.slope(&present),
            "corr" => self.correlation(&present, &call.args[1].value),
            "avg" if numbers.is_empty() => Value::Missing,
            "avg" => Value::finite(numbers.iter().sum::<f64>() / numbers.len() as f64),
            "min" => extreme(&present, Ordering::Less),
            "max" => extreme(&present, Ordering::Greater),
            "median" => nearest_rank(numbers, 50.0),
            "stddev" => deviation(&numbers),
            "spread" => spread(&present),
            "count_filter" => count(self.chosen(call, group)),
            "rate_over_count" => Value::finite(present.len() as f64 / self.seconds()),
            "rate_over_sum" if numbers.is_empty() => Value::Missing,
            "rate_over_sum" => Value::finite(numbers.iter().sum::<f64>() / self.seconds()),
            "collect" | "collect_distinct" | "field_values" if present.is_empty() => Value::Missing,
            "collect" | "collect_distinct" | "field_values" => collected(name, call, &present),
            "percentile" => match call.args[1].value.kind {
                ExprKind::Int(percent) => nearest_rank(numbers, percent as f64),
                ExprKind::Float(percent) => nearest_rank(numbers, percent),
                ref other => panic!("{other:?} is no percentage"),
            },
            _ => nearest_rank(numbers, percent(name).unwrap()),
        }
    }

    /// How many rows of a group have a value of the list.
    fn chosen(&self, call: &Call, group: &Group<'_>) -> usize {
        let ExprKind::Array(items) = &call.args[1].value.kind else {
            panic!("the values to count are a list");
        };
        let set = InSet::List(items.clone());
        let argument = argument(call);
        let rows = group.rows.iter();
        rows.filter(|row| self.over(Over::Row(row)).is_in(&argument, &set))
            .count()
    }

    /// The width of a point in seconds, of the window without steps.
    fn seconds(&self) -> f64 {
        let window_ms = self.range.1 - self.range.0;
        self.run.step_ms(self.select).unwrap_or(window_ms) as f64 / 1000.0
    }

    /// The slope of the line through the values over their seconds.
    fn slope(&self, present: &[(&[Value], Value)]) -> Value {
        // In milliseconds, of which the differences are exact.
        let points = present.iter().filter_map(|(row, value)| {
            let time_ms = self.source.time(row).number()?;
            Some((time_ms, value.number()?))
        });
        match statistics::slope(&points.collect::<Vec<_>>()).number() {
            Some(slope) => Value::finite(slope * 1000.0),
            None => Value::Missing,
        }
    }

    /// How the values go with those of another column.
    fn correlation(&self, present: &[(&[Value], Value)], other: &Expr) -> Value {
        let pairs = present.iter().filter_map(|(row, value)| {
            let other = self.over(Over::Row(row)).value(other);
            Some((value.number()?, other.number()?))
        });
        statistics::correlation(&pairs.collect::<Vec<_>>())
    }

    /// `default(x, v)`: `v` for a group without a value; a field stands for its newest one.
    fn with_default(&self, call: &Call) -> Value {
        let written = &call.args[0].value;
        let value = match &written.kind {
            ExprKind::Call(inner) if is_aggregate(&inner.name.text.to_lowercase()) => {
                self.value(written)
            }
            _ => self.aggregate("last", call),
        };
        let value = match value {
            Value::Missing => self.value(&call.args[1].value),
            value => value,
        };
        match (self.kind_with_default(call), value) {
            (Kind::Float, value) => value.number().map_or(Value::Missing, Value::Float),
            (Kind::Json, Value::Text(text)) => Value::Json(Json::from(text)),
            (Kind::Json, Value::Int(number)) => Value::Json(Json::from(number)),
            (Kind::Json, Value::Float(number)) => Value::Json(Json::from(number)),
            (_, value) => value,
        }
    }

    /// The kind of a value and of what stands for a missing one.
    pub(super) fn kind_with_default(&self, call: &Call) -> Kind {
        match (self.kind(&call.args[0].value), &call.args[1].value.kind) {
            (Kind::Int, ExprKind::Float(_)) => Kind::Float,
            (kind, _) => kind,
        }
    }

    /// How the numbers of a group are spread.
    pub(super) fn spread(&self, call: &Call) -> Vec<Value> {
        let present = self.present(call);
        let numbers = present.iter().filter_map(|(_, value)| value.number());
        statistics::spread(&numbers.collect::<Vec<_>>())
    }

    /// The order that `sort` names.
    fn by_sort(&self, call: &Call, left: &[Value], right: &[Value]) -> Ordering {
        let named = call.args.iter().find(|argument| argument.name.is_some());
        let Some(ExprKind::Array(keys)) = named.map(|argument| &argument.value.kind) else {
            return Ordering::Equal;
        };
        keys.iter().fold(Ordering::Equal, |order, key| {
            let ExprKind::String(key) = &key.kind else {
                panic!("{key:?} is no key of `sort`");
            };
            let (name, direction) = key.split_once(':').unwrap_or((key, "asc"));
            let field = Expr {
                kind: ExprKind::Field(Field {
                    name: name.to_owned(),
                    path: Vec::new(),
                }),
                span: dql::Span::default(),
            };
            let [left, right] = [left, right].map(|row| self.over(Over::Row(row)).value(&field));
            let ascending = left.ascending(&right);
            order.then(match direction {
                "asc" => ascending,
                _ => ascending.reverse(),
            })
        })
    }

    /// The rows of the group that have a value, oldest first or as `sort` says, with that value.
    pub(super) fn present(&self, call: &Call) -> Vec<(&[Value], Value)> {
        let Over::Group(group) = self.over else {
            panic!("there is no group");
        };
        let argument = argument(call);
        let mut rows = group.rows.clone();
        rows.sort_by(|left, right| {
            let written = self.by_sort(call, left, right);
            written.then_with(|| by_time(self.source, left, right))
        });
        rows.into_iter()
            .map(|row| (row, self.over(Over::Row(row)).value(&argument)))
            .filter(|(_, value)| !value.is_missing())
            .collect()
    }
}

/// The call inside of `count(distinct(x))`.
fn distinct_inside<'c>(name: &str, call: &'c Call) -> Option<&'c Call> {
    match &call.args[0].value.kind {
        ExprKind::Call(inner)
            if name == "count" && inner.name.text.eq_ignore_ascii_case("distinct") =>
        {
            Some(inner)
        }
        _ => None,
    }
}

/// The sum of the numbers, whole where all are; one beyond 64 bits is missing.
fn sum<'v>(values: impl Iterator<Item = &'v Value>) -> Value {
    let numbers: Vec<&Value> = values.filter(|value| value.number().is_some()).collect();
    if numbers.is_empty() {
        return Value::Missing;
    }
    let whole = numbers.iter().map(|value| match value {
        Value::Int(number) => Some(i128::from(*number)),
        _ => None,
    });
    match whole.sum::<Option<i128>>() {
        Some(sum) => i64::try_from(sum).map_or(Value::Missing, Value::Int),
        None => Value::Float(numbers.iter().filter_map(|value| value.number()).sum()),
    }
}

/// The most frequent value, the smallest of several.
fn mode(present: &[(&[Value], Value)]) -> Value {
    let often = |value: &Value| {
        let same = present
            .iter()
            .filter(|(_, other)| other.raw() == value.raw());
        same.count()
    };
    let values = present.iter().map(|(_, value)| value);
    let best = values.min_by(|left, right| {
        let rarer = often(right).cmp(&often(left));
        rarer.then_with(|| left.ascending(right))
    });
    best.map_or(Value::Missing, Value::clone)
}

/// How far the numbers are apart.
fn spread(present: &[(&[Value], Value)]) -> Value {
    let most = extreme(present, Ordering::Greater);
    match (most, extreme(present, Ordering::Less)) {
        (Value::Int(most), Value::Int(least)) => {
            most.checked_sub(least).map_or(Value::Missing, Value::Int)
        }
        (most, least) => match most.number().zip(least.number()) {
            Some((most, least)) => Value::Float(most - least),
            None => Value::Missing,
        },
    }
}

/// The smallest or largest of the numbers, as its kind.
fn extreme(present: &[(&[Value], Value)], wanted: Ordering) -> Value {
    let values = present.iter().map(|(_, value)| value);
    let numbers = values.filter(|value| value.number().is_some());
    let best = numbers.reduce(|best, value| {
        match value.number().unwrap().total_cmp(&best.number().unwrap()) == wanted {
            true => value,
            false => best,
        }
    });
    best.map_or(Value::Missing, as_number)
}

/// The values newest first, or each once in the order of its JSON.
fn collected(name: &str, call: &Call, present: &[(&[Value], Value)]) -> Value {
    let newest_first = present.iter().rev();
    let mut values: Vec<Json> = newest_first.map(|(_, value)| value.cell()).collect();
    if name == "collect_distinct" {
        values.sort_by_key(Json::to_string);
        values.dedup_by_key(|value| value.to_string());
    }
    if let Some(most) = call.args.get(1) {
        values.truncate(whole(&most.value));
    }
    Value::Json(Json::Array(values))
}

fn whole(written: &Expr) -> usize {
    match written.kind {
        ExprKind::Int(number) => usize::try_from(number).unwrap(),
        ref other => panic!("{other:?} is no number"),
    }
}

/// The deviation of a sample, which one value does not have.
fn deviation(numbers: &[f64]) -> Value {
    if numbers.len() < 2 {
        return Value::Missing;
    }
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let squares = numbers.iter().map(|number| (number - mean).powi(2));
    Value::finite((squares.sum::<f64>() / (numbers.len() as f64 - 1.0)).sqrt())
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

/// An attribute's number is a float.
pub(super) fn as_number(value: &Value) -> Value {
    match value {
        Value::Int(number) => Value::Int(*number),
        other => other.number().map_or(Value::Missing, Value::Float),
    }
}
