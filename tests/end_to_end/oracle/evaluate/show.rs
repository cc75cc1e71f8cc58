//! SHOW statements.

use std::collections::BTreeMap;

use dql::Span;
use dql::ast::{ExprKind, Select, Show, Source};
use serde_json::Value as Json;

use super::super::tree::{call, field, ident, item, select};
use super::scope::Over;
use super::value::{Kind, Value};
use super::{Output, OutputGroup, Run};

impl Run<'_> {
    /// Answers a SHOW statement.
    pub(crate) fn show(&self, show: &Show) -> Output {
        match show.call.name.text.to_lowercase().as_str() {
            "show_workspaces" => {
                let rows = self.workspaces.iter();
                let rows: Vec<Vec<Value>> = rows
                    .map(|name| vec![Value::Missing, Value::Text(name.clone())])
                    .collect();
                let hits = rows.len() as u64;
                table("show_workspaces", &["wsuuid"], rows, hits)
            }
            "show_event_source" | "show_audit_event_source" => {
                let distinct = call("distinct", vec![field("df_source")]);
                let query = Select {
                    target: Some(vec![item(distinct, Some("source"))]),
                    limit: show.limit,
                    offset: show.offset,
                    ..asked(show, Source::All(Span::default()))
                };
                Output {
                    name: Some("measurements".to_owned()),
                    ..self.answer(&query)
                }
            }
            _ => self.fields(show),
        }
    }

    /// The fields and attributes that events of a source have, with their types.
    fn fields(&self, show: &Show) -> Output {
        let source = match show.call.args.first().map(|argument| &argument.value.kind) {
            Some(ExprKind::String(name)) => Source::Name(ident(name)),
            _ => Source::All(Span::default()),
        };
        let query = asked(show, source);
        let range = self.range(&query, None);
        let events = self.source(&query, range);
        let scope = self.scope(&query, &events, range);
        let rows: Vec<&Vec<Value>> = events
            .rows
            .iter()
            .filter(|row| {
                let mut conditions = query.conditions.iter().flatten();
                conditions.all(|condition| scope.over(Over::Row(row)).condition(condition))
            })
            .collect();
        let mut found: Vec<(String, String)> = Vec::new();
        let mut paths: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for (place, (name, kind)) in events.names.iter().enumerate() {
            let present = rows.iter().filter(|row| !row[place].is_missing());
            match kind {
                Kind::Json => present.for_each(|row| {
                    if let Value::Json(json) = &row[place] {
                        add_paths("", json, &mut paths);
                    }
                }),
                _ if present.count() == 0 => {}
                Kind::Int => found.push((name.clone(), "int".to_owned())),
                _ => found.push((name.clone(), "string".to_owned())),
            }
        }
        found.extend(paths.into_iter().map(|(path, kinds)| {
            let all = |fits: &[&str]| kinds.iter().all(|kind| fits.contains(kind));
            let kind = match kinds[0] {
                kind if all(&[kind]) => kind,
                _ if all(&["int", "float"]) => "float",
                _ => "mixed",
            };
            (path, kind.to_owned())
        }));
        let number = |written: Option<dql::ast::Count>, default: usize| {
            written.map_or(default, |count| usize::try_from(count.value).unwrap())
        };
        let offset = number(show.offset, 0).min(found.len());
        found.drain(..offset);
        let limit = number(show.limit, usize::MAX);
        let rows_cut = found.len() > limit;
        found.truncate(limit);
        let cells = found
            .into_iter()
            .map(|(name, kind)| vec![Value::Missing, Value::Text(name), Value::Text(kind)]);
        Output {
            rows_cut,
            ..table(
                "fields",
                &["fieldKey", "fieldType"],
                cells.collect(),
                rows.len() as u64,
            )
        }
    }
}

/// A query over the events that a statement asks about.
fn asked(show: &Show, source: Source) -> Select {
    Select {
        conditions: show.conditions.clone(),
        window: show.window.clone(),
        ..select(vec![source])
    }
}

/// The dotted paths of an object with the types of what they lead to.
fn add_paths(before: &str, json: &Json, paths: &mut BTreeMap<String, Vec<&'static str>>) {
    let kind = match json {
        Json::Null => return,
        Json::Object(object) => {
            for (key, value) in object {
                let path = match before {
                    "" => key.clone(),
                    _ => format!("{before}.{key}"),
                };
                add_paths(&path, value, paths);
            }
            return;
        }
        Json::Bool(_) => "boolean",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Number(number) if number.is_f64() => "float",
        Json::Number(_) => "int",
    };
    paths.entry(before.to_owned()).or_default().push(kind);
}

/// One series of text columns; none without a row.
fn table(name: &str, columns: &[&str], rows: Vec<Vec<Value>>, hits: u64) -> Output {
    let groups = match rows.is_empty() {
        true => Vec::new(),
        false => vec![OutputGroup {
            keys: Vec::new(),
            rows,
        }],
    };
    Output {
        name: Some(name.to_owned()),
        keys: Vec::new(),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        groups,
        rows_cut: false,
        groups_cut: false,
        hits,
        numbers_by_value: false,
        kinds: vec![Kind::Text; columns.len()],
        key_kinds: Vec::new(),
    }
}
