//! `IN` and `NOT IN`.

use datafusion::logical_expr::{Expr, in_list, lit};
use dql::ast::{Expr as AstExpr, ExprKind, InSet, Select};
use dql::{Code, Diagnostic, Span};
use functions::json::json_number;

use super::comparison::number_literal;
use super::list::gives_lists;
use super::name::column;
use super::predicate::{as_text, opposite_if};
use super::source::source_column;
use super::{Bind, Binder, describe, not_supported, wrong};
use crate::bound::Membership;
use crate::combine::{any_of, distinct};
use crate::types::{Type, Typed};

/// The members of a list by what they are compared with.
#[derive(Debug, Default)]
struct Members<'a> {
    texts: Vec<Expr>,
    numbers: Vec<Expr>,
    bools: Vec<Expr>,
    patterns: Vec<(&'a str, Span)>,
    nil: bool,
}

impl Binder<'_> {
    /// Binds `expr IN set`, or with `negated` its opposite.
    pub(super) fn membership(&mut self, expr: &AstExpr, set: &InSet, negated: bool) -> Bind<Expr> {
        let items = match set {
            InSet::List(items) => items,
            InSet::Subquery(query) => {
                let condition = self.membership_in_query(expr, query)?;
                return Ok(opposite_if(negated, condition));
            }
            InSet::Named(name) if !self.in_filter => return Err(asked_elsewhere(name.span)),
            InSet::Named(name) => {
                let query = self.named_list(name)?;
                let condition = self.membership_in_query(expr, query)?;
                return Ok(opposite_if(negated, condition));
            }
        };
        let value = self.expression(expr)?;
        let mut members = Members::default();
        for item in items {
            match &item.kind {
                ExprKind::Nil => members.nil = true,
                ExprKind::Regex(pattern) => members.patterns.push((pattern, item.span)),
                _ if value.value_type == Type::String
                    && let Some(number) = number_literal(item) =>
                {
                    members.texts.push(self.number_as_text(number, item, expr));
                }
                _ => add_member(&mut members, value.value_type, item, expr)?,
            }
        }
        let condition = self.is_member(value, members)?;
        Ok(opposite_if(negated, condition))
    }

    /// Whether a value is among some members: one test for all of a kind.
    fn is_member(&self, value: Typed, members: Members<'_>) -> Bind<Expr> {
        let mut tests = Vec::new();
        if !members.patterns.is_empty() {
            tests.push(self.matched_by_any(as_text(value.clone()), &members.patterns)?);
        }
        if members.nil {
            tests.push(value.expr.clone().is_null());
        }
        if !members.texts.is_empty() {
            let texts = distinct(members.texts);
            tests.push(in_list(as_text(value.clone()), texts, false));
        }
        if !members.numbers.is_empty() {
            let numbers = distinct(members.numbers);
            tests.push(in_list(as_number(value.clone()), numbers, false));
        }
        for member in distinct(members.bools) {
            tests.push(value.expr.clone().eq(member));
        }
        Ok(any_of(tests).unwrap_or_else(|| lit(false)))
    }

    /// `expr IN (query)`: the query has one column, whose values are the members.
    fn membership_in_query(&mut self, expr: &AstExpr, query: &Select) -> Bind<Expr> {
        if !self.in_filter {
            return Err(asked_elsewhere(query.span));
        }
        let value = self.expression(expr)?;
        let members = self.inner(query)?;
        let [only] = members.columns.as_slice() else {
            let message = format!(
                "a query behind IN has one column, and this one has {}",
                members.columns.len()
            );
            return Err(wrong(Code::WrongArgumentKind, message, query.span));
        };
        let is_list = gives_lists(query);
        let member = match is_list {
            true => Typed::new(column(ELEMENT), Type::Json),
            false => Typed::new(column(&source_column(0)), only.value_type),
        };
        let (value, member) = match (value.value_type, member.value_type) {
            (left, right) if left.is_number() && right.is_number() => (value.expr, member.expr),
            (left, Type::Json) if left.is_number() && is_list => (value.expr, as_number(member)),
            (left, right) if left.is_number() || right.is_number() => {
                let message = format!(
                    "{}, and the query gives {}",
                    describe(expr, left),
                    right.name()
                );
                return Err(wrong(Code::TypeMismatch, message, expr.span.to(query.span)));
            }
            _ => (as_text(value), as_text(member)),
        };
        self.memberships.push(Membership {
            value,
            members: Box::new(members),
            is_list,
            member,
        });
        Ok(membership_place(self.memberships.len() - 1))
    }
}

fn asked_elsewhere(span: Span) -> Box<Diagnostic> {
    let reason = "only a condition in `{…}` can ask another query";
    not_supported("IN with a query here", reason, span)
}

/// The column that holds an element of a list of members.
pub(crate) const ELEMENT: &str = "element";

/// The place in a filter that lowering fills with the test of a membership.
pub(crate) fn membership_place(index: usize) -> Expr {
    column(&format!("in{index}"))
}

fn as_number(value: Typed) -> Expr {
    match value.value_type {
        Type::Json => json_number(value.expr, None),
        _ => value.expr,
    }
}

/// Files a member under the type it is compared as. Lists may mix kinds (as in the vendor's samples):
/// numbers meet text as their own text, and text that is a number meets numbers.
fn add_member(
    members: &mut Members<'_>,
    value_type: Type,
    item: &AstExpr,
    tested: &AstExpr,
) -> Bind<()> {
    match (&item.kind, value_type) {
        (ExprKind::String(text), Type::String | Type::Json | Type::Null) => {
            members.texts.push(lit(text.clone()))
        }
        (ExprKind::Int(number), Type::Int | Type::Float | Type::Json) => {
            members.numbers.push(lit(*number))
        }
        (ExprKind::Float(number), Type::Int | Type::Float | Type::Json) => {
            members.numbers.push(lit(*number))
        }
        (ExprKind::String(text), Type::Int | Type::Float) if text.parse::<f64>().is_ok() => {
            let number: f64 = text.parse().unwrap_or_default();
            members
                .numbers
                .push(text.parse::<i64>().map_or_else(|_| lit(number), lit));
        }
        (ExprKind::Bool(value), Type::Bool) => members.bools.push(lit(*value)),
        (ExprKind::Bool(value), Type::Json) => members.bools.push(lit(value.to_string())),
        (ExprKind::String(_) | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_), _) => {
            let message = format!(
                "{}, which this member of the list can never equal",
                describe(tested, value_type)
            );
            return Err(wrong(Code::TypeMismatch, message, item.span));
        }
        (ExprKind::Unary { .. }, _) if negative_number(item).is_some() => {
            let number = negative_number(item).unwrap_or_default();
            if value_type == Type::String {
                members.texts.push(lit(number.to_string()));
            } else {
                members.numbers.push(lit(number));
            }
        }
        _ => {
            return Err(wrong(
                Code::InvalidExpression,
                "a list holds text, numbers, booleans, nil and patterns",
                item.span,
            ));
        }
    }
    Ok(())
}

fn negative_number(item: &AstExpr) -> Option<f64> {
    let ExprKind::Unary {
        op: dql::ast::UnaryOp::Minus,
        operand,
    } = &item.kind
    else {
        return None;
    };
    match operand.kind {
        ExprKind::Int(number) => Some(-(number as f64)),
        ExprKind::Float(number) => Some(-number),
        _ => None,
    }
}
