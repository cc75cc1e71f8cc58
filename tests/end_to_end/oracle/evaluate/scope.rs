//! What an expression is evaluated over, and what names and kinds mean there.

use std::collections::HashMap;

use dql::ast::{BinaryOp, ByItem, Call, Expr, ExprKind, Field, Item, PathStep, Select, UnaryOp};
use serde_json::Value as Json;

use super::aggregate;
use super::value::{Kind, Value};
use super::{Run, point, text, window};

/// Rows with names.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(super) names: Vec<(String, Kind)>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// The place of the row's own time, which a key called `time` may hide.
    pub(super) time: usize,
    /// Events have attributes and other names for some fields; the rows of a query do not.
    pub(super) are_events: bool,
}

impl Rows {
    /// The place of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let name = match events::field(name) {
            Some(field) if self.are_events => field.name,
            _ => name,
        };
        self.names.iter().position(|(known, _)| known == name)
    }

    /// The time of a row.
    pub(super) fn time<'r>(&self, row: &'r [Value]) -> &'r Value {
        &row[self.time]
    }
}

/// The rows of one group with the values of the keys.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    pub(super) keys: Vec<Value>,
    pub(super) rows: Vec<&'a [Value]>,
    /// The rows of earlier windows, by how much earlier.
    pub(super) earlier: Vec<(i64, Vec<&'a [Value]>)>,
}

impl<'a> Group<'a> {
    pub(super) fn new(keys: Vec<Value>) -> Self {
        Self {
            keys,
            rows: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// Adds a row of a window that is so much earlier.
    pub(super) fn add(&mut self, shift: i64, row: &'a [Value]) {
        if shift == 0 {
            return self.rows.push(row);
        }
        match self.earlier.iter_mut().find(|(known, _)| *known == shift) {
            Some((_, rows)) => rows.push(row),
            None => self.earlier.push((shift, vec![row])),
        }
    }

    /// The group as an item sees it, which may be that of an earlier window.
    pub(super) fn moved(&self, item: &Item) -> Self {
        let Some(shift) = &item.shift else {
            return self.clone();
        };
        let shift = window::length_ms(shift);
        let rows = self.earlier.iter().find(|(known, _)| *known == shift);
        Self {
            rows: rows.map(|(_, rows)| rows.clone()).unwrap_or_default(),
            ..Self::new(self.keys.clone())
        }
    }
}

/// One row or one group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Over<'a> {
    Row(&'a [Value]),
    Group(&'a Group<'a>),
    /// Nothing: only kinds are asked.
    Nothing,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) select: &'a Select,
    pub(super) source: &'a Rows,
    /// Whether the aliases of the projection are names; not inside the projection.
    pub(super) aliases: bool,
    /// Whether the aliases of the keys are names; not in `{…}` and in the keys themselves.
    pub(super) key_aliases: bool,
    pub(super) over: Over<'a>,
    /// The rows of the source that match the conditions, from which `drain` learns.
    pub(super) matching: &'a [&'a [Value]],
    /// The row whose fields stand beside a value of `distinct_by_collapse`.
    pub(super) beside: Option<&'a [Value]>,
    /// The values of calls along the rows of a group, by their text.
    pub(super) known: Option<&'a HashMap<String, Value>>,
    /// Whether it stands for a step without events, in which aggregates have no value, not even counts.
    pub(super) is_gap: bool,
    /// The window of the query, which a sub-query without one reads too.
    pub(super) range: (i64, i64),
}

impl<'a> Scope<'a> {
    pub(super) fn over(self, over: Over<'a>) -> Self {
        Self { over, ..self }
    }

    pub(super) fn without_aliases(self) -> Self {
        Self {
            aliases: false,
            ..self
        }
    }

    /// The value of an item of the projection.
    pub(super) fn item_value(&self, item: &Item) -> Value {
        match self.over {
            Over::Group(group) => {
                let moved = group.moved(item);
                self.over(Over::Group(&moved)).value(&item.expr)
            }
            _ => self.value(&item.expr),
        }
    }

    /// How much earlier than written the whole query reads.
    pub(super) fn shift_ms(&self) -> i64 {
        self.select.shift.as_ref().map_or(0, window::length_ms)
    }

    /// The item of the projection with this alias.
    pub(super) fn aliased(&self, name: &str) -> Option<&'a Item> {
        let mut items = self.select.target.iter().flatten();
        let has_name = |item: &&Item| item.alias.as_ref().is_some_and(|alias| alias.text == name);
        items.find(has_name).filter(|_| self.aliases)
    }

    /// The key of BY with this alias; in `{…}` there are none yet.
    fn aliased_key(&self, name: &str) -> Option<&'a Expr> {
        let mut keys = self.select.by.iter();
        let has_name = |key: &&ByItem| key.alias.as_ref().is_some_and(|alias| alias.text == name);
        keys.find(has_name)
            .map(|key| &key.expr)
            .filter(|_| self.key_aliases)
    }

    pub(super) fn without_key_aliases(self) -> Self {
        Self {
            key_aliases: false,
            ..self
        }
    }

    /// The value of a key of BY that `written` stands for, by its text, its alias or its meaning.
    pub(super) fn key(&self, written: &Expr) -> Option<Value> {
        let Over::Group(group) = self.over else {
            return None;
        };
        let visible = Self {
            aliases: true,
            ..*self
        };
        let index = self.select.by.iter().position(|key| {
            let alias = key.alias.as_ref().map(|alias| alias.text.as_str());
            alias.is_some() && alias == plain_name(written)
                || key.expr == *written
                || visible.meaning(&key.expr) == self.meaning(written)
        });
        index.map(|index| group.keys[index].clone())
    }

    /// A text that is the same for different names of the same thing.
    fn meaning(&self, written: &Expr) -> String {
        let Some(name) = plain_name(written) else {
            return written.to_string();
        };
        match (self.source.column(name), self.aliased(name)) {
            (Some(column), _) => self.source.names[column].0.clone(),
            (None, Some(item)) => self.without_aliases().meaning(&item.expr),
            (None, None) => written.to_string(),
        }
    }

    /// A field of a row.
    pub(super) fn field(&self, field: &Field, row: &[Value]) -> Value {
        let name = match field.name.as_str() {
            "" => "df_message",
            name => name,
        };
        if let Some(column) = self.source.column(name) {
            let value = &row[column];
            return match (value, field.path.as_slice()) {
                (value, []) => value.clone(),
                (Value::Json(json), path) => at(json, path),
                (Value::Text(text), path) => {
                    serde_json::from_str(text).map_or(Value::Missing, |json: Json| at(&json, path))
                }
                _ => Value::Missing,
            };
        }
        if let Some(item) = self.aliased(name) {
            return self.without_aliases().item_value(item);
        }
        if let Some(key) = self.aliased_key(name) {
            return self.without_key_aliases().value(key);
        }
        assert!(self.source.are_events, "no column `{name}`");
        let dotted = name.split('.').map(|key| PathStep::Key(key.to_owned()));
        let path: Vec<PathStep> = dotted.chain(field.path.iter().cloned()).collect();
        match &row[self.source.column("attributes").unwrap()] {
            Value::Json(json) => at(json, &path),
            _ => Value::Missing,
        }
    }

    /// The kind of an expression.
    pub(super) fn kind(&self, expr: &Expr) -> Kind {
        match &expr.kind {
            ExprKind::Nil => Kind::Nil,
            ExprKind::Int(_) | ExprKind::Duration(_) => Kind::Int,
            ExprKind::Float(_) => Kind::Float,
            ExprKind::String(_) => Kind::Text,
            ExprKind::Field(field) => self.field_kind(field),
            ExprKind::Call(call) => self.call_kind(call),
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => number_kind(self.kind(operand)),
            ExprKind::Binary { op, left, right } => {
                let kinds = (self.kind(left), self.kind(right));
                match op {
                    BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Modulo
                        if kinds == (Kind::Int, Kind::Int) =>
                    {
                        Kind::Int
                    }
                    op if is_arithmetic(*op) => Kind::Float,
                    _ => Kind::Bool,
                }
            }
            ExprKind::Case {
                branches,
                otherwise,
                ..
            } => branches
                .iter()
                .map(|(_, value)| value)
                .chain(otherwise.iter().map(AsRef::as_ref))
                .map(|value| self.kind(value))
                .fold(Kind::Nil, common),
            _ => Kind::Bool,
        }
    }

    /// Whether a key of BY is this name.
    fn names_key(&self, name: &str) -> bool {
        let mut keys = self.select.by.iter();
        keys.any(|key| plain_name(&key.expr) == Some(name))
    }

    fn kind_of_alias(&self, name: &str) -> Kind {
        let item = self.aliased(name);
        item.map_or(Kind::Json, |item| self.without_aliases().kind(&item.expr))
    }

    fn field_kind(&self, field: &Field) -> Kind {
        let visible = Self {
            aliases: true,
            ..*self
        };
        match (self.source.column(&field.name), self.aliased(&field.name)) {
            (Some(column), _) if field.path.is_empty() => self.source.names[column].1,
            (None, Some(item)) => self.without_aliases().kind(&item.expr),
            _ => match self.aliased_key(&field.name) {
                Some(key) => self.without_key_aliases().kind(key),
                None if self.names_key(&field.name) => visible.kind_of_alias(&field.name),
                None => Kind::Json,
            },
        }
    }

    pub(super) fn fill_kind(&self, call: &Call) -> Kind {
        let how = &call.args[1].value;
        match (self.kind(&call.args[0].value), &how.kind) {
            _ if point::is_word(how, "linear") => Kind::Float,
            (Kind::Int, ExprKind::Float(_)) => Kind::Float,
            (kind, _) => kind,
        }
    }

    fn call_kind(&self, call: &Call) -> Kind {
        let name = call.name.text.to_lowercase();
        let argument = || call.args.first().map(|argument| self.kind(&argument.value));
        match name.as_str() {
            "fill" => self.fill_kind(call),
            "default" => self.kind_with_default(call),
            "set" | "regexp_extract_all" | "field_values" => Kind::Json,
            "histogram" => Kind::Int,
            "count_filter" => Kind::Int,
            "collect" | "collect_distinct" => Kind::Json,
            "count" | "count_distinct" | "int" | "uint" | "length" | "now" => Kind::Int,
            "abs" | "sum" | "min" | "max" | "spread" => {
                number_kind(argument().unwrap_or(Kind::Float))
            }
            "first"
            | "last"
            | "last_row"
            | "mode"
            | "any"
            | "distinct"
            | "distinct_by_collapse"
            | "top"
            | "bottom" => self.kind(&aggregate::argument(call)),
            "difference" | "non_negative_difference" | "increase" | "cumsum" => {
                number_kind(argument().unwrap_or(Kind::Float))
            }
            name if point::is_point_function(name) => Kind::Float,
            "bool" => Kind::Bool,
            "float" | "round" | "ceil" | "floor" | "log" | "log2" | "log10" => Kind::Float,
            name if text::is_test(name) => Kind::Bool,
            name if aggregate::is_aggregate(name) => Kind::Float,
            _ => Kind::Text,
        }
    }
}

/// The name that an expression is, without a path.
pub(super) fn plain_name(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Field(field) if field.path.is_empty() => Some(&field.name),
        _ => None,
    }
}

pub(super) fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Subtract
            | BinaryOp::Multiply
            | BinaryOp::Divide
            | BinaryOp::Modulo
            | BinaryOp::Power
    )
}

fn number_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Int => Kind::Int,
        _ => Kind::Float,
    }
}

/// The kind of a CASE whose branches have these kinds.
fn common(left: Kind, right: Kind) -> Kind {
    match (left, right) {
        (Kind::Nil, kind) | (kind, Kind::Nil) => kind,
        (left, right) if left == right => left,
        (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Kind::Float,
        (Kind::Text | Kind::Json, Kind::Text | Kind::Json) => Kind::Text,
        kinds => panic!("{kinds:?} have no common kind"),
    }
}

/// The value at a path, where a key may hold several steps with dots between them: the longest first.
fn at(json: &Json, path: &[PathStep]) -> Value {
    found(json, path).map_or(Value::Missing, |json| Value::of_json(json.clone()))
}

fn found<'j>(json: &'j Json, path: &[PathStep]) -> Option<&'j Json> {
    match (json, path) {
        (json, []) => Some(json),
        (Json::Array(items), [PathStep::Index(index), rest @ ..]) => {
            found(items.get(usize::try_from(*index).unwrap())?, rest)
        }
        (Json::Object(object), path) => {
            let keys: Vec<&str> = path
                .iter()
                .map_while(|step| match step {
                    PathStep::Key(key) => Some(key.as_str()),
                    PathStep::Index(_) => None,
                })
                .collect();
            (1..=keys.len()).rev().find_map(|count| {
                let value = object.get(&keys[..count].join("."))?;
                found(value, &path[count..])
            })
        }
        _ => None,
    }
}
