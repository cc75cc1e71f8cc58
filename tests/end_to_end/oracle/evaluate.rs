//! What a query means, evaluated row by row with loops and sorts.
//!
//! It shares nothing with the engine but the syntax tree and the names of fields, and is slow on purpose:
//! every clause is the most direct reading of what the language says.

mod across;
mod aggregate;
mod condition;
mod digest;
mod event;
mod expression;
mod group;
mod order;
mod outer;
mod pick;
mod point;
mod row;
mod run_of_points;
mod scope;
mod series;
mod show;
mod statistics;
mod template;
mod text;
mod value;
mod window;

use std::cell::RefCell;
use std::collections::HashMap;

use chrono_tz::Tz;
use dql::ast::{Expr, ExprKind, Select, Source, Statement, Step};
use serde_json::Value as Json;

pub(crate) use event::rows_of;
pub(crate) use scope::Rows;
pub(crate) use value::{Kind, Value};

use scope::{Over, Scope};

const DAY_MS: i64 = 86_400_000;

/// Templates of texts, each as its words.
type Templates = Vec<Vec<String>>;

/// A request: the events it may see and how to read its text.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) events: &'a Rows,
    /// The workspaces it may see.
    pub(crate) workspaces: Vec<String>,
    pub(crate) now_ms: i64,
    pub(crate) zone: Tz,
    /// The request's window, which overrides those in the text.
    pub(crate) time_range: Option<(i64, i64)>,
    /// The width that `auto` chose.
    pub(crate) auto_step_ms: Option<i64>,
    /// The values of sub-queries behind IN, by where they stand.
    members: RefCell<HashMap<usize, Vec<Value>>>,
    /// The templates that calls of `drain` learn, by the query and the call.
    learnt: RefCell<HashMap<(usize, String), Templates>>,
    /// The starts of steps, by the ends of their window and their width.
    steps: RefCell<HashMap<[i64; 3], Vec<i64>>>,
}

/// The answer to a query.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) name: Option<String>,
    pub(crate) keys: Vec<String>,
    /// The columns after `time`.
    pub(crate) columns: Vec<String>,
    pub(crate) groups: Vec<OutputGroup>,
    /// Whether a limit cut off rows of a group.
    pub(crate) rows_cut: bool,
    /// Whether a limit cut off groups.
    pub(crate) groups_cut: bool,
    /// The rows of the source that matched the conditions.
    pub(crate) hits: u64,
    /// Whether whole numbers and others of one value are the same, as where functions computed with all.
    pub(crate) numbers_by_value: bool,
    kinds: Vec<Kind>,
    key_kinds: Vec<Kind>,
}

/// The rows of a group, each the time and then the columns.
#[derive(Debug)]
pub(crate) struct OutputGroup {
    pub(crate) keys: Vec<Value>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(events: &'a Rows, now_ms: i64, zone: Tz) -> Self {
        Self {
            events,
            workspaces: Vec::new(),
            now_ms,
            zone,
            time_range: None,
            auto_step_ms: None,
            members: RefCell::default(),
            learnt: RefCell::default(),
            steps: RefCell::default(),
        }
    }

    /// Answers a statement.
    pub(crate) fn statement(&self, statement: &Statement) -> Output {
        match statement {
            Statement::Select(select) => self.answer(select),
            Statement::Outer(outer) => self.outer(outer),
            Statement::Show(show) => self.show(show),
        }
    }

    /// Answers a query in one message, which has default limits.
    pub(crate) fn answer(&self, select: &Select) -> Output {
        self.select(select, None, true)
    }

    fn select(
        &self,
        select: &Select,
        inherited: Option<(i64, i64)>,
        default_limits: bool,
    ) -> Output {
        let range = self.range(select, inherited);
        let rows = self.source(select, range);
        let scope = self.scope(select, &rows, range);
        let matching = |rows: &'_ Rows| -> Vec<usize> {
            let holds = |place: &usize| {
                let row = Over::Row(&rows.rows[*place]);
                let scope = scope.over(row).without_key_aliases();
                let mut conditions = select.conditions.iter().flatten();
                conditions.all(|condition| scope.condition(condition))
            };
            (0..rows.rows.len()).filter(holds).collect()
        };
        let mut earlier: Vec<(i64, Rows)> = Vec::new();
        for shift in select
            .target
            .iter()
            .flatten()
            .filter_map(|item| item.shift.as_ref())
        {
            let shift = window::length_ms(shift);
            if !earlier.iter().any(|(known, _)| *known == shift) {
                earlier.push((
                    shift,
                    self.source(select, (range.0 - shift, range.1 - shift)),
                ));
            }
        }
        let rows_of = |rows: &'_ Rows| -> Vec<Vec<Value>> {
            matching(rows)
                .into_iter()
                .map(|place| rows.rows[place].clone())
                .collect()
        };
        let present = rows_of(&rows);
        let present: Vec<&[Value]> = present.iter().map(Vec::as_slice).collect();
        let earlier: Vec<(i64, Vec<Vec<Value>>)> = earlier
            .iter()
            .map(|(shift, rows)| (*shift, rows_of(rows)))
            .collect();
        let earlier: Vec<(i64, Vec<&[Value]>)> = earlier
            .iter()
            .map(|(shift, rows)| (*shift, rows.iter().map(Vec::as_slice).collect()))
            .collect();
        let hits = present.len() as u64;
        let scope = Scope {
            matching: &present,
            ..scope
        };
        let groups = group::groups(scope, &present, &earlier);
        let ordered = order::limited(scope, groups, default_limits);
        let columns = group::columns(&scope);
        let keys = select.by.iter();
        Output {
            name: series_name(select),
            keys: group::key_names(select),
            kinds: columns.iter().map(|(_, kind)| *kind).collect(),
            columns: columns.into_iter().map(|(name, _)| name).collect(),
            key_kinds: keys
                .map(|key| scope.without_key_aliases().kind(&key.expr))
                .collect(),
            groups: ordered.groups,
            rows_cut: ordered.rows_cut,
            groups_cut: ordered.groups_cut,
            hits,
            numbers_by_value: false,
        }
    }

    fn scope<'s>(&'s self, select: &'s Select, rows: &'s Rows, range: (i64, i64)) -> Scope<'s> {
        Scope {
            run: self,
            select,
            source: rows,
            aliases: true,
            key_aliases: true,
            over: Over::Nothing,
            matching: &[],
            beside: None,
            known: None,
            is_gap: false,
            range,
        }
    }

    /// The window: the request's, else the text's, else that of the query around it, else the last day;
    /// all of time over a query that has one of its own.
    fn range(&self, select: &Select, inherited: Option<(i64, i64)>) -> (i64, i64) {
        let shift = select.shift.as_ref().map_or(0, window::length_ms);
        let (from, to) = self.written_range(select, inherited);
        (from.saturating_sub(shift), to.saturating_sub(shift))
    }

    fn written_range(&self, select: &Select, inherited: Option<(i64, i64)>) -> (i64, i64) {
        if let Some(range) = self.time_range {
            // A query inside of another reads what that reads, which its SHIFT has moved.
            return inherited.unwrap_or(range);
        }
        match &select.window {
            Some(window) if window::names_range(Some(window)) => {
                window::range(window, self.now_ms, self.zone)
            }
            _ => inherited.unwrap_or_else(|| match has_own_window(select) {
                true => (i64::MIN, i64::MAX),
                false => (self.now_ms - DAY_MS, self.now_ms),
            }),
        }
    }

    fn source(&self, select: &Select, range: (i64, i64)) -> Rows {
        let inside = |time: &Value| match time {
            Value::Int(time) => range.0 <= *time && *time < range.1,
            _ => true,
        };
        if let [Source::Subquery { query, .. }] = row_sources(select).as_slice() {
            let mut rows = self.select(query, Some(range), false).into_rows();
            // A query without a window of its own has read this one already.
            let items = query.target.iter().flatten();
            let calls = items.filter_map(|item| pick::picker(&item.expr));
            // The edges of intervals are no times.
            let is_histogram = calls.into_iter().any(|call| call.name.text == "histogram");
            let has_own = window::names_range(query.window.as_ref()) && self.time_range.is_none();
            if has_own && !is_histogram {
                let time = rows.time;
                rows.rows.retain(|row| inside(&row[time]));
            }
            return rows;
        }
        let mut rows = self.events.clone();
        let source = rows.column("df_source").unwrap();
        let time = rows.time;
        rows.rows.retain(|row| {
            let name = row[source].text().unwrap();
            let is_named = |source: &Source| match source {
                Source::Name(wanted) => wanted.text == name,
                Source::Regex(pattern) => text::matches_whole(&name, &pattern.text),
                Source::All(_) => true,
                Source::Subquery { .. } => panic!("a sub-query beside other sources"),
            };
            inside(&row[time]) && row_sources(select).into_iter().any(is_named)
        });
        rows
    }

    /// The members that a query behind IN gives.
    fn members(&self, query: &Select, scope: &Scope<'_>) -> Vec<Value> {
        let place = std::ptr::from_ref(query).addr();
        if let Some(members) = self.members.borrow().get(&place) {
            return members.clone();
        }
        let output = self.select(query, Some(scope.range), false);
        let rows = output.groups.into_iter().flat_map(|group| group.rows);
        let items = query.target.iter().flatten();
        let is_list = items.filter(|item| {
            let makes_list =
                |name: &str| ["collect", "collect_distinct", "field_values"].contains(&name);
            matches!(&item.expr.kind, ExprKind::Call(call) if makes_list(&call.name.text))
        });
        let is_list = is_list.count() > 0;
        let members: Vec<Value> = rows
            .flat_map(|row| match &row[1] {
                Value::Json(Json::Array(members)) if is_list => {
                    members.iter().cloned().map(Value::of_json).collect()
                }
                member => vec![member.clone()],
            })
            .filter(|member| !member.is_missing())
            .collect();
        self.members.borrow_mut().insert(place, members.clone());
        members
    }

    /// The step of a query in milliseconds.
    fn step_ms(&self, select: &Select) -> Option<i64> {
        match select.window.as_ref()?.step.as_ref()? {
            Step::Every(duration) => Some(window::length_ms(duration)),
            Step::Auto { .. } => self.auto_step_ms,
        }
    }
}

impl Output {
    /// The rows as another query sees them: its columns, its keys and its time by their names.
    fn into_rows(self) -> Rows {
        let mut names: Vec<(String, Kind)> = Vec::new();
        let mut places = Vec::new();
        let columns = self.columns.iter().zip(&self.kinds);
        let keys = self.keys.iter().zip(&self.key_kinds);
        let time = ("time".to_owned(), Kind::Int);
        let all = columns.chain(keys).chain([(&time.0, &time.1)]);
        for (place, (name, kind)) in all.enumerate() {
            if !names.iter().any(|(known, _)| known == name) {
                names.push((name.clone(), *kind));
                places.push(place);
            }
        }
        let mut rows = Vec::new();
        for group in self.groups {
            for row in group.rows {
                let all: Vec<&Value> = row[1..]
                    .iter()
                    .chain(&group.keys)
                    .chain(&row[..1])
                    .collect();
                let named = places.iter().map(|place| all[*place].clone());
                rows.push(named.chain([row[0].clone()]).collect());
            }
        }
        Rows {
            time: names.len(),
            names,
            rows,
            are_events: false,
        }
    }
}

/// The sources that rows come from, and not a named list.
fn row_sources(select: &Select) -> Vec<&Source> {
    let sources = select.sources.iter();
    sources
        .filter(|source| list_name(source).is_none())
        .collect()
}

/// The name of the list that a source is.
pub(super) fn list_name(source: &Source) -> Option<&str> {
    let Source::Subquery { query, .. } = source else {
        return None;
    };
    let mut items = query.target.iter().flatten();
    let alias = items.find_map(|item| item.alias.as_ref());
    alias
        .map(|alias| alias.text.as_str())
        .filter(|name| name.starts_with('@'))
}

fn has_own_window(select: &Select) -> bool {
    match row_sources(select).as_slice() {
        [Source::Subquery { query, .. }] => {
            window::names_range(query.window.as_ref()) || has_own_window(query)
        }
        _ => false,
    }
}

/// The names of the sources; none where one is a pattern, everything or a query.
fn series_name(select: &Select) -> Option<String> {
    let names = row_sources(select).into_iter().map(|source| match source {
        Source::Name(name) => Some(name.text.as_str()),
        _ => None,
    });
    names
        .collect::<Option<Vec<&str>>>()
        .map(|names| names.join(", "))
}

/// Whether an expression calls a function that `wanted` names.
fn calls(expr: &Expr, wanted: &dyn Fn(&str) -> bool) -> bool {
    let calls = |expr: &Expr| calls(expr, wanted);
    match &expr.kind {
        ExprKind::Call(call) => {
            wanted(&call.name.text.to_lowercase())
                || call.args.iter().any(|argument| calls(&argument.value))
        }
        ExprKind::Unary { operand, .. } => calls(operand),
        ExprKind::Binary { left, right, .. } => calls(left) || calls(right),
        ExprKind::In { expr, .. } => calls(expr),
        ExprKind::Case {
            operand,
            branches,
            otherwise,
        } => {
            operand.iter().chain(otherwise).any(|part| calls(part))
                || branches
                    .iter()
                    .any(|(test, value)| calls(test) || calls(value))
        }
        _ => false,
    }
}
