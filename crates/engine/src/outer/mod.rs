//! Functions over the result of a query: `cumsum(…)`, `rate(…).series_sum()`, `eval(A / B, A = …)`.
//!
//! Each takes the series of an answer and gives series; they run on what the limits of the inner query
//! let through, which the answer says.

mod arithmetic;
mod series;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use dql::ast::{Arg, Call, Count, Expr, ExprKind, Outer, Select, Statement};
use dql::{Diagnostic, Severity, Span};

use crate::answer::{Answer, Series};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::prepare::{self, Parsed};
use crate::request::QueryRequest;

type Evaluation<'a> = Pin<Box<dyn Future<Output = Result<Answer, EngineError>> + Send + 'a>>;

/// How deep queries in quotes may hold others.
pub(crate) const DEEPEST: usize = 8;

/// Answers a statement with outer functions.
pub(crate) async fn answer(
    engine: &Engine,
    request: &QueryRequest,
    parsed: &Parsed,
    outer: &Outer,
) -> Result<Answer, EngineError> {
    let started = Instant::now();
    let scope = Scope {
        engine,
        request,
        parsed,
        depth: 0,
    };
    let mut answer = scope.outer(outer).await?;
    answer.summary.cost = started.elapsed();
    Ok(answer)
}

/// What the parts of a statement are answered with.
#[derive(Clone, Copy)]
struct Scope<'a> {
    engine: &'a Engine,
    request: &'a QueryRequest,
    parsed: &'a Parsed,
    depth: usize,
}

impl<'a> Scope<'a> {
    fn outer(self, outer: &'a Outer) -> Evaluation<'a> {
        Box::pin(async move {
            let mut answer = self.call(&outer.call).await?;
            for chained in &outer.chain {
                answer.series = series::apply(chained, &[], answer.series)?;
            }
            limit(&mut answer, outer);
            answer.summary.rows = answer
                .series
                .iter()
                .map(|series| series.values.len() as u64)
                .sum();
            answer.summary.search_after = None;
            Ok(answer)
        })
    }

    fn call(self, call: &'a Call) -> Evaluation<'a> {
        Box::pin(async move {
            if call.name.text.eq_ignore_ascii_case("eval") {
                return self.eval(call).await;
            }
            let Some(at) = call.args.iter().position(is_query) else {
                let message = format!("`{}` needs a query", call.name.text);
                return Err(wrong("missing_query", message, call.name.span));
            };
            let mut answer = self.query(&call.args[at].value).await?;
            let others: Vec<&Arg> = call
                .args
                .iter()
                .enumerate()
                .filter(|(index, _)| *index != at)
                .map(|(_, arg)| arg)
                .collect();
            answer.series = series::apply(call, &others, answer.series)?;
            Ok(answer)
        })
    }

    /// The answer to a query in the place of an argument.
    fn query(self, value: &'a Expr) -> Evaluation<'a> {
        Box::pin(async move {
            match &value.kind {
                ExprKind::Subquery(select) => self.select(select).await,
                ExprKind::Call(call) => self.call(call).await,
                ExprKind::String(text) => self.text(text, value.span).await,
                _ => Err(wrong(
                    "missing_query",
                    "a query is needed here".to_owned(),
                    value.span,
                )),
            }
        })
    }

    async fn select(self, select: &Select) -> Result<Answer, EngineError> {
        let query = prepare::bind_select(self.parsed, select, self.request)?;
        self.engine.answer_query(self.request, query).await
    }

    /// The answer to a query in quotes. What is wrong with it is told about the quotes, because its own
    /// places are not places of the whole text.
    async fn text(self, text: &str, span: Span) -> Result<Answer, EngineError> {
        if self.depth == DEEPEST {
            let message = format!("queries in quotes are nested deeper than {DEEPEST}");
            return Err(wrong("too_deep", message, span));
        }
        let outside = |error| match error {
            EngineError::Query(findings) => EngineError::Query(
                findings
                    .into_iter()
                    .map(|finding| quoted(finding, span))
                    .collect(),
            ),
            other => other,
        };
        let parsed = prepare::parse(text).map_err(outside)?;
        let inner = Scope {
            parsed: &parsed,
            depth: self.depth + 1,
            ..self
        };
        let answer = match parsed.single().map_err(outside)? {
            Statement::Select(select) => inner.select(select).await,
            Statement::Outer(outer) => inner.outer(outer).await,
            Statement::Show(show) => {
                let message = "a SHOW function has no series to compute with".to_owned();
                Err(wrong("not_supported", message, show.span))
            }
        };
        let mut answer = answer.map_err(outside)?;
        let warnings = std::mem::take(&mut answer.summary.warnings);
        answer.summary.warnings = warnings
            .into_iter()
            .map(|warning| quoted(warning, span))
            .collect();
        Ok(answer)
    }

    /// `eval(expression, A = query, …, alias = 'name')`.
    async fn eval(self, call: &'a Call) -> Result<Answer, EngineError> {
        let Some(expression) = call.args.first().filter(|arg| arg.name.is_none()) else {
            let message = "`eval` needs an expression such as `A / B`".to_owned();
            return Err(wrong("wrong_argument_kind", message, call.name.span));
        };
        let mut operands = Vec::new();
        let mut alias = None;
        let mut whole: Option<Answer> = None;
        for argument in &call.args[1..] {
            let Some(name) = &argument.name else {
                let message = "the queries of `eval` have names: `A = \"…\"`".to_owned();
                return Err(wrong("wrong_argument_kind", message, argument.value.span));
            };
            if name.text.eq_ignore_ascii_case("alias") {
                alias = text_of(&argument.value);
                continue;
            }
            let answer = self.query(&argument.value).await?;
            operands.push((name.text.clone(), answer.series.clone()));
            whole = Some(match whole {
                Some(whole) => joined(whole, answer),
                None => answer,
            });
        }
        let Some(mut whole) = whole else {
            let message = "`eval` needs a query for each letter: `A = \"…\"`".to_owned();
            return Err(wrong("missing_query", message, call.name.span));
        };
        let name = alias.unwrap_or_else(|| dql::column_name(&expression.value));
        whole.series = arithmetic::eval(&expression.value, &operands, &name)?;
        Ok(whole)
    }
}

/// What is known of two answers together.
fn joined(mut whole: Answer, part: Answer) -> Answer {
    let (known, new) = (&mut whole.summary, part.summary);
    known.warnings.extend(new.warnings);
    known.total_hits.value += new.total_hits.value;
    known.total_hits.exact &= new.total_hits.exact;
    known.has_more |= new.has_more;
    known.window.from_ms = known.window.from_ms.min(new.window.from_ms);
    known.window.to_ms = known.window.to_ms.max(new.window.to_ms);
    if known.group_by.is_empty() {
        known.group_by = new.group_by;
    }
    whole
}

/// The clauses behind the calls: whole series, and the rows of each.
fn limit(answer: &mut Answer, outer: &Outer) {
    let count = |count: Option<Count>, default: usize| {
        count.map_or(default, |count| {
            usize::try_from(count.value).unwrap_or(usize::MAX)
        })
    };
    let groups = cut(
        &mut answer.series,
        count(outer.soffset, 0),
        count(outer.slimit, usize::MAX),
    );
    let mut rows = false;
    for series in &mut answer.series {
        rows |= cut(
            &mut series.values,
            count(outer.offset, 0),
            count(outer.limit, usize::MAX),
        );
    }
    let cuts = [
        (groups, "slimit_reached", "SLIMIT", "groups"),
        (rows, "limit_reached", "LIMIT", "rows"),
    ];
    for (_, code, clause, what) in cuts.into_iter().filter(|(is_cut, ..)| *is_cut) {
        let message = format!(
            "the answer was cut off at the {clause} behind the function: there are more {what}"
        );
        answer
            .summary
            .warnings
            .push(Diagnostic::new(Severity::Warning, code, message, None));
        answer.summary.has_more = true;
    }
}

/// Leaves out the first and keeps at most `wanted`; whether some behind them were cut off.
fn cut<T>(items: &mut Vec<T>, skipped: usize, wanted: usize) -> bool {
    items.drain(..skipped.min(items.len()));
    let is_cut = items.len() > wanted;
    items.truncate(wanted);
    is_cut
}

/// Whether an argument is the query of a call.
fn is_query(argument: &Arg) -> bool {
    let is_named = argument
        .name
        .as_ref()
        .is_some_and(|name| name.text.eq_ignore_ascii_case("dql"));
    let is_text = matches!(argument.value.kind, ExprKind::String(_));
    let is_written = matches!(
        argument.value.kind,
        ExprKind::Subquery(_) | ExprKind::Call(_)
    );
    is_named || argument.name.is_none() && (is_text || is_written)
}

fn text_of(value: &Expr) -> Option<String> {
    match &value.kind {
        ExprKind::String(text) => Some(text.clone()),
        ExprKind::Field(field) => Some(field.name.clone()),
        _ => None,
    }
}

/// A finding about a query in quotes, told about the quotes.
pub(crate) fn quoted(mut finding: Diagnostic, span: Span) -> Diagnostic {
    finding.message = format!("in the query in quotes: {}", finding.message);
    finding.span = Some(span);
    finding.label = None;
    finding
}

/// The error for a part of the text.
fn wrong(code: &'static str, message: String, span: Span) -> EngineError {
    EngineError::Query(vec![Diagnostic::error(code, message, span)])
}

/// A series with other rows.
fn with_values(
    series: &Series,
    columns: Vec<String>,
    values: Vec<Vec<serde_json::Value>>,
) -> Series {
    Series {
        name: series.name.clone(),
        tags: series.tags.clone(),
        columns,
        values,
    }
}
