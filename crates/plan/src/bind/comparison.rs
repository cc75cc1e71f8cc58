//! `=`, `!=`, `<`, `<=`, `>`, `>=`, `=~`, `!~`, and the forms that stand on their right.

use datafusion::logical_expr::{Expr, Operator, binary_expr, lit, when};
use dql::Code;
use dql::ast::{BinaryOp, Expr as AstExpr, ExprKind};
use events::fields::DATE;
use functions::TextTest;
use functions::float_text::text_of_float;
use functions::json::{json_number, json_text};

use super::name::column;
use super::predicate::{as_text, opposite_if, text_test_of};
use super::source::SOURCE_TIME;
use super::{Bind, Binder, Names, arguments, describe, wrong};
use crate::types::{Type, Typed};

impl Binder<'_> {
    /// Binds a comparison, or with `negated` its opposite.
    pub(super) fn compare(
        &mut self,
        op: BinaryOp,
        left: &AstExpr,
        right: &AstExpr,
        negated: bool,
    ) -> Bind<Expr> {
        let (op, negated) = match op {
            BinaryOp::NotEq => (BinaryOp::Eq, !negated),
            BinaryOp::NotMatch => (BinaryOp::Match, !negated),
            other => (other, negated),
        };
        let condition = match (op, &right.kind) {
            (BinaryOp::Eq, ExprKind::Nil) => self.expression(left)?.expr.is_null(),
            (BinaryOp::Eq, ExprKind::Call(call))
                if call.name.text.eq_ignore_ascii_case("exists") =>
            {
                arguments::between(call, 0, 0)?;
                self.is_present(left)?
            }
            (BinaryOp::Eq, ExprKind::Call(call)) if text_test_of(&call.name.text).is_some() => {
                let pattern = arguments::between(call, 1, 1)?[0];
                let value = self.expression(left)?;
                self.text_test(value, call, pattern)?
            }
            (BinaryOp::Eq | BinaryOp::Match, ExprKind::Regex(pattern))
            | (BinaryOp::Match, ExprKind::String(pattern)) => {
                let value = self.expression(left)?;
                self.matched(value, TextTest::Regex, pattern, right.span)?
            }
            (BinaryOp::Match, _) => {
                return Err(wrong(
                    Code::TypeMismatch,
                    "`=~` and `!~` need a pattern in quotes",
                    right.span,
                ));
            }
            (_, ExprKind::Array(_)) => {
                let error = wrong(
                    Code::EqArray,
                    "a list is not compared with, it is searched",
                    right.span,
                );
                return Err(error.with_hint("use `IN [...]`").into());
            }
            (_, ExprKind::String(text)) if self.is_named_list(text) => {
                let message =
                    format!("`{text}` is a list, which is not compared with but searched");
                let error = wrong(Code::EqArray, message, right.span);
                return Err(error.with_hint(format!("write ``IN `{text}` ``")).into());
            }
            _ => self.compare_values(op, left, right)?,
        };
        Ok(opposite_if(negated, condition))
    }

    /// Present and not the empty text.
    fn is_present(&mut self, written: &AstExpr) -> Bind<Expr> {
        let value = self.expression(written)?;
        Ok(match value.value_type {
            Type::String | Type::Json => as_text(value).not_eq(lit("")),
            _ => value.expr.is_not_null(),
        })
    }

    fn compare_values(&mut self, op: BinaryOp, left: &AstExpr, right: &AstExpr) -> Bind<Expr> {
        let left_value = self.expression(left)?;
        let right_value = self.expression(right)?;
        if let (ExprKind::Field(_), ExprKind::Field(_)) = (&left.kind, &right.kind)
            && !matches!(self.names, Names::Series(_))
        {
            let warning = self.warn(
                Code::ColumnVsColumn,
                "two fields are compared with each other",
                right.span,
            );
            warning.hint = Some("put the value in quotes if it is meant as text".to_owned());
        }
        let operator = operator_of(op);
        use Type::{Bool, Float, Int, Json, Null, String};
        let (left_expr, right_expr) = match (left_value.value_type, right_value.value_type) {
            (Null, _) | (_, Null) if op == BinaryOp::Eq => {
                let other = if left_value.value_type == Null {
                    right_value
                } else {
                    left_value
                };
                return Ok(other.expr.is_null());
            }
            (Bool, Bool) if op == BinaryOp::Eq => (left_value.expr, right_value.expr),
            (String, String) | (Int | Float, Int | Float) => (left_value.expr, right_value.expr),
            (Json, Json) => return compare_attributes(operator, left_value.expr, right_value.expr),
            (Json, Int | Float) => (json_number(left_value.expr, None), right_value.expr),
            (Int | Float, Json) => (left_value.expr, json_number(right_value.expr, None)),
            (Json, String) | (String, Json) => (as_text(left_value), as_text(right_value)),
            (Json, Bool) | (Bool, Json) if op == BinaryOp::Eq => {
                (as_json_bool(left_value), as_json_bool(right_value))
            }
            (Int, String) if is_date(&left_value) => (left_value.expr, date_literal(right)?),
            (String, Int) if is_date(&right_value) => (date_literal(left)?, right_value.expr),
            (left_type, right_type) => match (number_literal(left), number_literal(right)) {
                (_, Some(number)) if op == BinaryOp::Eq && left_type == String => {
                    (left_value.expr, self.number_as_text(number, right, left))
                }
                (Some(number), _) if op == BinaryOp::Eq && right_type == String => {
                    (self.number_as_text(number, left, right), right_value.expr)
                }
                _ => return Err(self.mismatch(op, (left, left_type), (right, right_type))),
            },
        };
        Ok(binary_expr(left_expr, operator, right_expr))
    }

    /// A number that is compared with text stands for its own text, which is said.
    pub(super) fn number_as_text(
        &mut self,
        written: String,
        number: &AstExpr,
        text: &AstExpr,
    ) -> Expr {
        let message = format!(
            "{}, so it is compared with the text '{written}'",
            describe(text, Type::String)
        );
        let hint = match self.names {
            Names::Series(_) => self.number_hint("compare numbers", text),
            _ => format!("compare numbers with `float({})`", dql::column_name(text)),
        };
        self.warn(Code::NumberAsText, message, number.span).hint = Some(hint);
        lit(written)
    }

    fn mismatch(
        &self,
        op: BinaryOp,
        left: (&AstExpr, Type),
        right: (&AstExpr, Type),
    ) -> Box<dql::Diagnostic> {
        let ((left, left_type), (right, right_type)) = (left, right);
        let message = match op {
            BinaryOp::Eq => format!(
                "{} and {}: they are never equal",
                describe(left, left_type),
                describe(right, right_type)
            ),
            _ => format!(
                "{} and {}: they have no common order",
                describe(left, left_type),
                describe(right, right_type)
            ),
        };
        let error = wrong(Code::TypeMismatch, message, left.span.to(right.span));
        let text = match (left_type, right_type) {
            (Type::String, Type::Int | Type::Float) => Some(left),
            (Type::Int | Type::Float, Type::String) => Some(right),
            _ => None,
        };
        match text.filter(|text| matches!(text.kind, ExprKind::Field(_))) {
            Some(text) => error
                .with_hint(self.number_hint("compare numbers", text))
                .into(),
            None => error,
        }
    }
}

/// Two attributes: by value where both are numbers, else by their texts.
fn compare_attributes(operator: Operator, left: Expr, right: Expr) -> Bind<Expr> {
    let numbers = [&left, &right].map(|value| json_number(value.clone(), None));
    let texts = [left, right].map(json_text);
    let both_numbers = numbers.clone().map(Expr::is_not_null);
    let compared = |[left, right]: [Expr; 2]| binary_expr(left, operator, right);
    let [is_left, is_right] = both_numbers;
    when(is_left.and(is_right), compared(numbers))
        .otherwise(compared(texts))
        .map_err(|error| {
            wrong(
                Code::InvalidExpression,
                error.to_string(),
                dql::Span::default(),
            )
        })
}

/// The text of a number that stands there as such.
pub(super) fn number_literal(written: &AstExpr) -> Option<String> {
    match written.kind {
        ExprKind::Int(value) => Some(value.to_string()),
        ExprKind::Float(value) => text_of_float(value),
        _ => None,
    }
}

fn operator_of(op: BinaryOp) -> Operator {
    match op {
        BinaryOp::Lt => Operator::Lt,
        BinaryOp::LtEq => Operator::LtEq,
        BinaryOp::Gt => Operator::Gt,
        BinaryOp::GtEq => Operator::GtEq,
        _ => Operator::Eq,
    }
}

fn as_json_bool(value: Typed) -> Expr {
    match value.value_type {
        Type::Bool => datafusion::logical_expr::cast(value.expr, arrow::datatypes::DataType::Utf8),
        _ => value.expr,
    }
}

fn is_date(value: &Typed) -> bool {
    value.expr == column(DATE) || value.expr == column(SOURCE_TIME)
}

/// A time as text in the place of Unix milliseconds.
fn date_literal(written: &AstExpr) -> Bind<Expr> {
    let ExprKind::String(text) = &written.kind else {
        return Err(wrong(
            Code::TypeMismatch,
            "a time is a number of milliseconds or RFC 3339 text",
            written.span,
        ));
    };
    events::parse_timestamp(text)
        .map(lit)
        .map_err(|error| wrong(Code::InvalidTime, error.to_string(), written.span))
}
