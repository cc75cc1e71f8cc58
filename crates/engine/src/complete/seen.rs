//! Sources, values and attributes as the newest events in scope have them.

use api::{Answer, QueryOptions, QueryRequest};
use dql::ast::{ExprKind, Ident, Source};
use dql::{Completion, Span};
use events::TimeRange;
use events::fields::{self, FieldType};
use serde_json::Value;
use store::ReadView;

use super::{CandidateKind, Found, written};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::prepare;

/// About how many of the newest events are read for values.
const EVENTS_FOR_VALUES: u64 = 500_000;
/// About how many of the newest events are read for attributes, which takes longer.
const EVENTS_FOR_ATTRIBUTES: u64 = 50_000;
/// The most different values looked at.
const MOST_VALUES: usize = 500;
/// Longer values are not offered.
const LONGEST_VALUE: usize = 200;

impl Engine {
    pub(super) async fn sources(
        &self,
        request: &QueryRequest,
        place: &Completion,
        found: &mut Found<'_>,
    ) -> Result<(), EngineError> {
        for (value, events) in self
            .seen(request, fields::SOURCE, &[], &place.typed)
            .await?
        {
            if let Value::String(text) = value {
                let name = Ident {
                    text,
                    span: Span::default(),
                };
                let text = Source::Name(name).to_string();
                found.add(text, CandidateKind::Source, events_seen(events));
            }
        }
        Ok(())
    }

    pub(super) async fn values(
        &self,
        request: &QueryRequest,
        place: &Completion,
        field: &str,
        found: &mut Found<'_>,
    ) -> Result<(), EngineError> {
        let seen = self.seen(request, field, &place.sources, &place.typed);
        for (value, events) in seen.await? {
            let kind = match value {
                Value::String(text) if text.chars().count() <= LONGEST_VALUE => {
                    ExprKind::String(text)
                }
                Value::Bool(value) => ExprKind::Bool(value),
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(value), _) => ExprKind::Int(value),
                    (None, Some(value)) => ExprKind::Float(value),
                    (None, None) => continue,
                },
                _ => continue,
            };
            let text = written(kind);
            found.add(text, CandidateKind::Value, events_seen(events));
        }
        Ok(())
    }

    /// The values of a field, the most frequent first, with the number of events that have each.
    async fn seen(
        &self,
        request: &QueryRequest,
        field: &str,
        sources: &[String],
        typed: &str,
    ) -> Result<Vec<(Value, u64)>, EngineError> {
        let is_number = fields::field(field).is_some_and(|one| one.field_type == FieldType::Int);
        let beginning = match typed.is_empty() || is_number {
            true => String::new(),
            false => {
                let typed = ExprKind::String(typed.to_owned());
                format!(", match({field}, {})", written(typed))
            }
        };
        let query = format!(
            "TAE::{}:(count(*), last({field})) {{{field} != nil{beginning}}} BY {field} SORDER BY count(*) \
             DESC SLIMIT {MOST_VALUES}",
            source_list(sources)
        );
        let answers = self.ask(request, query, EVENTS_FOR_VALUES).await?;
        let series = answers.into_iter().flat_map(|answer| answer.series);
        Ok(series
            .filter_map(|mut series| {
                // The key of a group is a text, whatever the value is.
                let mut row = series.values.pop()?;
                let value = row.pop()?;
                Some((value, row.pop()?.as_u64()?))
            })
            .collect())
    }

    pub(super) async fn attributes(
        &self,
        request: &QueryRequest,
        place: &Completion,
        found: &mut Found<'_>,
    ) -> Result<(), EngineError> {
        let source = match place.sources.as_slice() {
            [source] => written(ExprKind::String(source.clone())),
            _ => String::new(),
        };
        let query = format!("show_event_field({source})");
        let answers = self.ask(request, query, EVENTS_FOR_ATTRIBUTES).await?;
        let rows = answers
            .iter()
            .flat_map(|answer| &answer.series)
            .flat_map(|series| &series.values);
        for row in rows {
            if let [_, Value::String(path), Value::String(kind)] = row.as_slice()
                && fields::field(path).is_none()
            {
                let detail = format!("{kind}, an attribute");
                found.add_name(path, CandidateKind::Attribute, detail);
            }
        }
        Ok(())
    }

    /// Asks about the newest events. A question that cannot be asked has no answers.
    async fn ask(
        &self,
        request: &QueryRequest,
        query: String,
        events: u64,
    ) -> Result<Vec<Answer>, EngineError> {
        let time_range = match request.options.time_range {
            Some(range) => range,
            None => self.newest(request, events).await?,
        };
        let question = QueryRequest {
            query,
            scope: request.scope.clone(),
            options: QueryOptions {
                time_range: Some(time_range),
                now_ms: request.options.now_ms,
                timeout: request.options.timeout,
                ..QueryOptions::default()
            },
        };
        match self.query(&question).await {
            Err(EngineError::Query(_)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// A window that ends with the newest event and holds about this many, by whole files.
    async fn newest(&self, request: &QueryRequest, events: u64) -> Result<TimeRange, EngineError> {
        let scope = prepare::resolve_scope(self.store(), request).await?;
        let views = prepare::views(self.store(), &scope, &[TimeRange::ALL]).await?;
        let spans = views.iter().flat_map(ReadView::spans);
        let mut spans: Vec<(i64, i64, u64)> = spans
            .map(|(first_ms, last_ms, rows)| (last_ms, first_ms, rows))
            .collect();
        spans.sort_unstable_by(|one, other| other.cmp(one));
        let Some((newest_ms, mut oldest_ms, mut held)) = spans.first().copied() else {
            return Ok(TimeRange {
                from_ms: 0,
                to_ms: 0,
            });
        };
        for (_, first_ms, rows) in &spans[1..] {
            if held >= events {
                break;
            }
            oldest_ms = oldest_ms.min(*first_ms);
            held += rows;
        }
        Ok(TimeRange {
            from_ms: oldest_ms,
            to_ms: newest_ms.saturating_add(1),
        })
    }
}

/// Sources as they are written in a query.
fn source_list(sources: &[String]) -> String {
    let names = sources.iter().map(|name| {
        let name = Ident {
            text: name.clone(),
            span: Span::default(),
        };
        Source::Name(name).to_string()
    });
    match sources {
        [] => "*".to_owned(),
        _ => names.collect::<Vec<_>>().join(", "),
    }
}

fn events_seen(events: u64) -> String {
    match events {
        1 => "in 1 of the newest events".to_owned(),
        _ => format!("in {events} of the newest events"),
    }
}
