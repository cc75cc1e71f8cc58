//! Functions over the result of a query: `cumsum(…)`, `rate(…).series_sum()`, `eval(A / B, A = …)`.
//!
//! Each takes the series of an answer and gives series; they run on what the limits of the inner query
//! let through, which the answer says.

mod across;
mod arithmetic;
mod collapse;
mod condition;
mod explain;
mod function;
mod points;
mod predicate;
mod regroup;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use api::{Answer, QueryRequest};
use dql::ast::{Arg, Call, Count, Expr, ExprKind, Outer, Quoted, Select, Show, Statement};
use dql::{Code, Diagnostic, Severity, Span, TextId};
use plan::{Delivery, Type};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::prepare::{self, Parsed};
use crate::whole::Whole;

pub(crate) use explain::below;

/// What becomes of a part of a statement.
type Evaluation<'a, T = Whole> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// Answers a statement with outer functions.
pub(crate) async fn answer(scope: Scope<'_>, outer: &Outer) -> Result<Whole, EngineError> {
    let started = Instant::now();
    let mut whole = scope.outer(outer).await?;
    whole.answer.summary.cost = started.elapsed();
    Ok(whole)
}

/// What the parts of a statement are answered with.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    engine: &'a Engine,
    request: &'a QueryRequest,
    parsed: &'a Parsed,
    /// Whether the inner queries have default limits.
    delivery: Delivery,
}

impl<'a> Scope<'a> {
    /// For the statements of a text.
    pub(crate) fn new(
        engine: &'a Engine,
        request: &'a QueryRequest,
        parsed: &'a Parsed,
        delivery: Delivery,
    ) -> Self {
        Self {
            engine,
            request,
            parsed,
            delivery,
        }
    }

    fn outer(self, outer: &'a Outer) -> Evaluation<'a> {
        Box::pin(async move {
            let mut whole = self.call(&outer.call).await?;
            for chained in &outer.chain {
                let others: Vec<&Arg> = chained.args.iter().collect();
                whole = self.apply(chained, &others, whole).await?;
            }
            limit(&mut whole.answer, outer);
            let summary = &mut whole.answer.summary;
            let rows = whole.answer.series.iter().map(|series| series.values.len());
            summary.rows = rows.sum::<usize>() as u64;
            summary.search_after = None;
            summary.group_by.clone_from(&whole.keys);
            Ok(whole)
        })
    }

    async fn apply(self, call: &Call, others: &[&Arg], whole: Whole) -> Result<Whole, EngineError> {
        // A chain of functions ends soon after the question was given up.
        tokio::task::yield_now().await;
        let zone = self.request.options.time_zone.unwrap_or_default();
        function::apply(call, others, zone, whole).await
    }

    fn call(self, call: &'a Call) -> Evaluation<'a> {
        Box::pin(async move {
            if call.name.text.eq_ignore_ascii_case("eval") {
                return self.eval(call).await;
            }
            let value = argument_query(call)?;
            let whole = self.query(value).await?;
            let others = call
                .args
                .iter()
                .filter(|arg| !std::ptr::eq(&arg.value, value));
            let others: Vec<&Arg> = others.collect();
            self.apply(call, &others, whole).await
        })
    }

    /// The answer to a query in the place of an argument.
    fn query(self, value: &'a Expr) -> Evaluation<'a> {
        Box::pin(async move {
            match &value.kind {
                ExprKind::Subquery(select) => self.select(select).await,
                ExprKind::Call(call) => self.call(call).await,
                ExprKind::Quoted(quoted) => self.quoted(quoted).await,
                _ => Err(no_query(value)),
            }
        })
    }

    async fn select(self, select: &Select) -> Result<Whole, EngineError> {
        let query = prepare::bind_select(self.parsed, select, self.request, self.delivery)?;
        self.engine.answer_query(self.request, query).await
    }

    /// The answer to a query in quotes.
    async fn quoted(self, quoted: &'a Quoted) -> Result<Whole, EngineError> {
        let (text, statement) = readable(quoted)?;
        let whole = match statement {
            Statement::Select(select) => self.select(select).await,
            Statement::Outer(outer) => self.outer(outer).await,
            Statement::Show(show) => Err(show_inside(show)),
        };
        let mut whole = whole.map_err(|error| self.outside(text, error))?;
        let warnings = std::mem::take(&mut whole.answer.summary.warnings);
        whole.answer.summary.warnings = self.parsed.located_in(text, warnings);
        Ok(whole)
    }

    /// An error of a query in quotes. What is wrong with it is reported about the quotes, because its own offsets are
    /// not those of the text around it.
    fn outside(self, text: TextId, error: EngineError) -> EngineError {
        match error {
            EngineError::Query(findings) => {
                EngineError::Query(self.parsed.located_in(text, findings))
            }
            other => other,
        }
    }

    /// `eval(expression, A = query, …, alias = 'name')`.
    async fn eval(self, call: &'a Call) -> Result<Whole, EngineError> {
        let Some(expression) = call.args.iter().find(|arg| arg.name.is_none()) else {
            let message = "`eval` needs an expression such as `A / B`".to_owned();
            return Err(wrong(Code::WrongArgumentKind, message, call.name.span));
        };
        let mut operands = Vec::new();
        let mut alias = None;
        let mut known: Option<Answer> = None;
        for argument in &call.args {
            let Some(name) = &argument.name else {
                continue;
            };
            if is_alias(argument) {
                alias = text_of(&argument.value);
                continue;
            }
            let mut part = self.query(&argument.value).await?;
            function::check_size("eval", &part)?;
            points::warn_of_others(&mut part);
            arithmetic::warn_of_shared_times(&mut part, &name.text);
            known = Some(match known {
                Some(known) => joined(known, &part.answer),
                None => part.answer.clone(),
            });
            operands.push((name.text.clone(), part));
        }
        let Some(mut answer) = known else {
            return Err(missing_query(call));
        };
        let name = alias.unwrap_or_else(|| dql::column_name(&expression.value));
        let (keys, series) = arithmetic::eval(&expression.value, &operands, &name).await?;
        answer.series = series;
        Ok(Whole {
            answer,
            keys,
            columns: vec![(name, Type::Float)],
        })
    }
}

/// What is known of two answers together.
fn joined(mut whole: Answer, part: &Answer) -> Answer {
    let (known, new) = (&mut whole.summary, &part.summary);
    known.warnings.extend(new.warnings.iter().cloned());
    known.total_hits.value += new.total_hits.value;
    known.total_hits.exact &= new.total_hits.exact;
    known.has_more |= new.has_more;
    known.window.from_ms = known.window.from_ms.min(new.window.from_ms);
    known.window.to_ms = known.window.to_ms.max(new.window.to_ms);
    known.step_ms = known.step_ms.or(new.step_ms);
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
        (groups, Code::SlimitReached, "SLIMIT", "groups"),
        (rows, Code::LimitReached, "LIMIT", "rows"),
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

/// The argument of a call that is its query.
fn argument_query(call: &Call) -> Result<&Expr, EngineError> {
    let argument = call.args.iter().find(|argument| dql::is_query(argument));
    argument
        .map(|argument| &argument.value)
        .ok_or_else(|| missing_query(call))
}

fn missing_query(call: &Call) -> EngineError {
    let message = format!("`{}` needs a query", call.name.text);
    wrong(Code::MissingQuery, message, call.name.span)
}

fn show_inside(show: &Show) -> EngineError {
    let message = "a SHOW function has no series to compute with".to_owned();
    wrong(Code::NotSupported, message, show.span)
}

/// Whether an argument of `eval` names its column.
fn is_alias(argument: &Arg) -> bool {
    let name = argument.name.as_ref();
    name.is_some_and(|name| name.text.eq_ignore_ascii_case("alias"))
}

fn text_of(value: &Expr) -> Option<String> {
    match &value.kind {
        ExprKind::String(text) => Some(text.clone()),
        ExprKind::Field(field) if field.path.is_empty() => Some(field.name.clone()),
        _ => None,
    }
}

fn whole_number(call: &Call, others: &[&Arg]) -> Result<usize, EngineError> {
    let number = others
        .first()
        .and_then(|argument| match argument.value.kind {
            ExprKind::Int(number) => usize::try_from(number).ok().filter(|number| *number > 0),
            _ => None,
        });
    number.ok_or_else(|| {
        let message = format!(
            "`{}` needs a whole number from 1 beside the query",
            call.name.text
        );
        wrong(Code::WrongArgumentKind, message, call.name.span)
    })
}

/// A query in quotes that can be read, and its text.
fn readable(quoted: &Quoted) -> Result<(TextId, &Statement), EngineError> {
    match quoted {
        Quoted::Query(text, statement) => Ok((*text, statement)),
        Quoted::Unreadable(_, errors) => Err(EngineError::Query(errors.clone())),
    }
}

fn no_query(value: &Expr) -> EngineError {
    let message = "a query is needed here".to_owned();
    wrong(Code::MissingQuery, message, value.span)
}

/// The error for a part of the text.
fn wrong(code: Code, message: String, span: Span) -> EngineError {
    EngineError::Query(vec![Diagnostic::error(code, message, span)])
}
