//! Statements of every kind, and the plans of functions over the series of queries.

use dql::ast::{Arg, Call, Count, Expr as AstExpr, ExprKind, Outer, Quoted, Statement};
use dql::{Code, Diagnostic};

use super::{BindContext, bind_query, bind_show, series_expression, series_function, wrong};
use crate::bound::{BoundStatement, Limit, Limits, SeriesPlan};

/// The result of binding a plan: all findings of the queries in it.
type BindPlan = Result<SeriesPlan, Vec<Diagnostic>>;

/// Binds a statement.
///
/// # Errors
/// Every clause that is wrong has a finding, with its span.
pub fn bind(
    statement: &Statement,
    context: &BindContext,
) -> Result<BoundStatement, Vec<Diagnostic>> {
    Ok(match statement {
        Statement::Select(select) => BoundStatement::Query(Box::new(bind_query(select, context)?)),
        Statement::Outer(functions) => BoundStatement::Series(Box::new(outer(functions, context)?)),
        Statement::Show(show) => BoundStatement::Show(Box::new(bind_show(show, context)?)),
    })
}

/// Functions around a query, and the clauses that follow them.
fn outer(outer: &Outer, context: &BindContext) -> BindPlan {
    let mut plan = call(&outer.call, context)?;
    for chained in &outer.chain {
        let others: Vec<&Arg> = chained.args.iter().collect();
        plan = series_function::bind(chained, &others, plan, context)?;
    }
    let asked =
        |count: Option<Count>| count.map_or(Limit::Unlimited, |count| Limit::Asked(count.value));
    let skipped = |count: Option<Count>| count.map_or(0, |count| count.value);
    Ok(SeriesPlan::Limit {
        limits: Limits {
            limit: asked(outer.limit),
            offset: skipped(outer.offset),
            slimit: asked(outer.slimit),
            soffset: skipped(outer.soffset),
        },
        input: Box::new(plan),
    })
}

fn call(call: &Call, context: &BindContext) -> BindPlan {
    if call.name.text.eq_ignore_ascii_case("eval") {
        return eval(call, context);
    }
    let argument = call.args.iter().find(|argument| dql::is_query(argument));
    let argument = argument.ok_or_else(|| vec![missing_query(call)])?;
    let input = query(&argument.value, context)?;
    let others = call
        .args
        .iter()
        .filter(|other| !std::ptr::eq(*other, argument));
    let others: Vec<&Arg> = others.collect();
    series_function::bind(call, &others, input, context)
}

/// A query that is an argument.
fn query(value: &AstExpr, context: &BindContext) -> BindPlan {
    match &value.kind {
        ExprKind::Subquery(select) => Ok(SeriesPlan::Query {
            query: Box::new(bind_query(select, &alone(context))?),
            span: select.span,
        }),
        ExprKind::Call(inner) => call(inner, context),
        ExprKind::Quoted(written) => quoted(written, context),
        _ => Err(vec![*wrong(
            Code::MissingQuery,
            "a query is needed here",
            value.span,
        )]),
    }
}

/// Queries next to each other count their parts and notes apart.
fn alone(context: &BindContext) -> BindContext {
    BindContext {
        resources: context.resources.of_another_query(),
        ..context.clone()
    }
}

fn quoted(written: &Quoted, context: &BindContext) -> BindPlan {
    let Quoted::Query(text, statement) = written else {
        let Quoted::Unreadable(_, errors) = written else {
            return Err(Vec::new());
        };
        return Err(errors.clone());
    };
    let input = match statement {
        Statement::Select(select) => SeriesPlan::Query {
            query: Box::new(bind_query(select, &alone(context))?),
            span: select.span,
        },
        Statement::Outer(inner) => outer(inner, context)?,
        Statement::Show(show) => {
            let message = "a SHOW function has no series to compute with";
            return Err(vec![*wrong(Code::NotSupported, message, show.span)]);
        }
    };
    Ok(SeriesPlan::Quoted {
        text: *text,
        input: Box::new(input),
    })
}

/// `eval(expression, A = query, …, alias = 'name')`.
fn eval(call: &Call, context: &BindContext) -> BindPlan {
    let Some(expression) = call.args.iter().find(|argument| argument.name.is_none()) else {
        let message = "`eval` needs an expression such as `A / B`";
        return Err(vec![*wrong(
            Code::WrongArgumentKind,
            message,
            call.name.span,
        )]);
    };
    let (mut operands, mut errors, mut alias) = (Vec::new(), Vec::new(), None);
    for argument in &call.args {
        let Some(name) = &argument.name else {
            continue;
        };
        if name.text.eq_ignore_ascii_case("alias") {
            alias = series_function::text_of(&argument.value);
            continue;
        }
        match query(&argument.value, context) {
            Ok(plan) => operands.push((name.text.clone(), plan)),
            Err(found) => errors.extend(found),
        }
    }
    if operands.is_empty() && errors.is_empty() {
        errors.push(missing_query(call));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let name = alias.unwrap_or_else(|| dql::column_name(&expression.value));
    series_expression::eval(&expression.value, operands, name, context)
        .map(|eval| SeriesPlan::Eval(Box::new(eval)))
        .map_err(|error| vec![*error])
}

fn missing_query(call: &Call) -> Diagnostic {
    let message = format!("`{}` needs a query", call.name.text);
    Diagnostic::error(Code::MissingQuery, message, call.name.span)
}
