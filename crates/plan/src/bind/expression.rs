//! Expressions: literals, fields, arithmetic, CASE.

use arrow::datatypes::DataType;
use datafusion::functions::expr_fn::{nullif, power};
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, lit, when};
use datafusion::scalar::ScalarValue;
use dql::ast::{BinaryOp, Expr as AstExpr, ExprKind, UnaryOp};
use dql::{Code, Diagnostic, Span};
use functions::finite::finite;
use functions::json::{json_number, json_text};
use functions::whole_number::{WholeOperator, whole_number};
use functions::{EXPRESSION_PARTS, NoteId};

use super::window::fixed_ms;
use super::{Bind, Binder, Names, describe, wrong};
use crate::types::{Type, Typed};

/// A whole number that a query computes of two others. Equal ones share their note, so that they stay equal.
#[derive(Debug)]
pub(super) struct WholeNumber {
    operator: WholeOperator,
    left: Expr,
    right: Expr,
    overflow: NoteId,
}

impl Binder<'_> {
    /// Binds an expression: over groups while there is a grouping, else over rows.
    pub(super) fn expression(&mut self, expr: &AstExpr) -> Bind<Typed> {
        if let Some(count) = self.context.resources.count_part() {
            return Err(Box::new(EXPRESSION_PARTS.exceeded(count, expr.span)));
        }
        if self.grouping.is_some()
            && let Some(key) = self.matching_key(expr)
        {
            return Ok(key);
        }
        match &expr.kind {
            ExprKind::Nil => Ok(Typed::new(lit(ScalarValue::Null), Type::Null)),
            ExprKind::Bool(value) => Ok(Typed::new(lit(*value), Type::Bool)),
            ExprKind::Int(value) => Ok(Typed::new(lit(*value), Type::Int)),
            ExprKind::Float(value) => Ok(Typed::new(lit(*value), Type::Float)),
            ExprKind::String(value) => Ok(Typed::new(lit(value.clone()), Type::String)),
            ExprKind::Duration(value) => Ok(Typed::new(lit(fixed_ms(value)?), Type::Int)),
            ExprKind::Field(field) if self.grouping.is_some() => self.grouped_field(field, expr),
            ExprKind::Field(field) => self.field(field, expr.span),
            ExprKind::Call(call) => self.call(call, expr.span),
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(
                operand.as_deref(),
                branches,
                otherwise.as_deref(),
                expr.span,
            ),
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => self.negative(operand, expr.span),
            ExprKind::Binary { op, left, right } if is_arithmetic(*op) => {
                self.arithmetic(*op, left, right, expr.span)
            }
            ExprKind::Unary { .. } | ExprKind::Binary { .. } | ExprKind::In { .. } => {
                let condition = self.condition(expr, false)?;
                Ok(Typed::new(condition.is_true(), Type::Bool))
            }
            ExprKind::Star => Err(wrong(
                Code::InvalidExpression,
                "`*` stands alone or inside `count(*)`",
                expr.span,
            )),
            ExprKind::Regex(_) => Err(wrong(
                Code::InvalidExpression,
                "a pattern stands on the right of a comparison",
                expr.span,
            )),
            ExprKind::Array(_) => Err(wrong(
                Code::InvalidExpression,
                "a list stands behind IN",
                expr.span,
            )),
            ExprKind::Placeholder(name) => {
                let message = format!("`{name}` is a place that a dashboard fills before it asks");
                Err(wrong(Code::UnfilledPlaceholder, message, expr.span))
            }
            ExprKind::Subquery(_) | ExprKind::Quoted(_) => Err(wrong(
                Code::InvalidExpression,
                "a query stands in place of a source, or behind IN",
                expr.span,
            )),
        }
    }

    /// The value as a number. Attributes give their numbers; text has to be converted in the query.
    pub(super) fn number(&mut self, value: Typed, written: &AstExpr) -> Bind<Typed> {
        match value.value_type {
            Type::Int | Type::Float => Ok(value),
            Type::Null => Ok(Typed::new(cast(value.expr, DataType::Float64), Type::Float)),
            Type::Json => {
                let other = value
                    .attribute
                    .map(|attribute| self.not_a_number(&attribute));
                Ok(Typed::new(json_number(value.expr, other), Type::Float))
            }
            Type::String | Type::Bool => {
                let found = describe(written, value.value_type);
                let message = match self.names {
                    Names::Series(_) => format!("arithmetic needs numbers, and {found}"),
                    _ => format!("a number is needed, and {found}"),
                };
                let hint = self.number_hint("convert it", written);
                Err(wrong(Code::TypeMismatch, message, written.span)
                    .with_hint(hint)
                    .into())
            }
        }
    }

    /// How text is used as a number; the functions of queries do not exist in functions over their results.
    pub(super) fn number_hint(&self, what: &str, text: &AstExpr) -> String {
        let name = dql::column_name(text);
        match self.names {
            Names::Series(_) => {
                format!("compare a number: a column of the query such as `float({name}) AS number`")
            }
            _ => format!("{what}: `float({name})`"),
        }
    }

    fn negative(&mut self, operand: &AstExpr, span: Span) -> Bind<Typed> {
        let value = self.expression(operand)?;
        let value = self.number(value, operand)?;
        Ok(match value.value_type {
            Type::Int => {
                let zero = Typed::new(lit(0_i64), Type::Int);
                self.whole_number(WholeOperator::Subtract, zero, value, span)
            }
            _ => {
                let negative = Expr::Negative(Box::new(value.expr));
                Typed::new(finite(negative), Type::Float)
            }
        })
    }

    /// Two whole numbers combined; the answer says when a result has more than 64 bits.
    pub(super) fn whole_number(
        &mut self,
        operator: WholeOperator,
        left: Typed,
        right: Typed,
        span: Span,
    ) -> Typed {
        let (left, right) = (left.expr, right.expr);
        let is_same = |known: &&WholeNumber| {
            (known.operator, &known.left, &known.right) == (operator, &left, &right)
        };
        let known = self.whole_numbers.iter().find(is_same);
        let overflow = match known.map(|known| known.overflow) {
            Some(overflow) => overflow,
            None => {
                let overflow = self.number_overflow(span);
                self.whole_numbers.push(WholeNumber {
                    operator,
                    left: left.clone(),
                    right: right.clone(),
                    overflow,
                });
                overflow
            }
        };
        Typed::new(whole_number(operator, left, right, overflow), Type::Int)
    }

    /// A whole number that does not fit into 64 bits.
    pub(super) fn number_overflow(&mut self, span: Span) -> NoteId {
        let message = "whole numbers beyond 64 bits are missing from the answer";
        let warning = Diagnostic::warning(Code::NumberOverflow, message, span);
        self.occurrence(warning.with_hint("compute with floats: `float(…)`"))
    }

    fn arithmetic(
        &mut self,
        op: BinaryOp,
        left: &AstExpr,
        right: &AstExpr,
        span: Span,
    ) -> Bind<Typed> {
        let left_value = self.expression(left)?;
        let left_value = self.number(left_value, left)?;
        let right_value = self.expression(right)?;
        let right_value = self.number(right_value, right)?;
        let both_int = left_value.value_type == Type::Int && right_value.value_type == Type::Int;
        if both_int && let Some(operator) = whole_operator(op) {
            return Ok(self.whole_number(operator, left_value, right_value, span));
        }
        let left = cast(left_value.expr, DataType::Float64);
        let right = cast(right_value.expr, DataType::Float64);
        // Dividing by zero has no result, and an answer has no word for infinity.
        let divisor = |right: Expr| nullif(right, lit(0.0));
        let expr = match op {
            BinaryOp::Add => binary_expr(left, Operator::Plus, right),
            BinaryOp::Subtract => binary_expr(left, Operator::Minus, right),
            BinaryOp::Multiply => binary_expr(left, Operator::Multiply, right),
            BinaryOp::Divide => binary_expr(left, Operator::Divide, divisor(right)),
            BinaryOp::Modulo => binary_expr(left, Operator::Modulo, divisor(right)),
            _ => power(left, right),
        };
        Ok(Typed::new(finite(expr), Type::Float))
    }

    fn case(
        &mut self,
        operand: Option<&AstExpr>,
        branches: &[(AstExpr, AstExpr)],
        otherwise: Option<&AstExpr>,
        span: Span,
    ) -> Bind<Typed> {
        let mut conditions = Vec::new();
        let mut values = Vec::new();
        for (test, value) in branches {
            conditions.push(match operand {
                Some(operand) => self.compare(BinaryOp::Eq, operand, test, false)?,
                None => self.condition(test, false)?,
            });
            values.push(self.expression(value)?);
        }
        let default = otherwise.map(|value| self.expression(value)).transpose()?;
        let value_type = common_type(values.iter().chain(&default), span)?;
        let as_common = |value: Typed| convert(value, value_type);
        let mut pairs = conditions.into_iter().zip(values);
        let Some((condition, value)) = pairs.next() else {
            return Err(wrong(
                Code::InvalidExpression,
                "CASE needs at least one WHEN",
                span,
            ));
        };
        let mut builder = when(condition, as_common(value));
        for (condition, value) in pairs {
            builder = builder.when(condition, as_common(value));
        }
        let none = Typed::new(lit(ScalarValue::Null), Type::Null);
        let expr = builder
            .otherwise(as_common(default.unwrap_or(none)))
            .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), span))?;
        Ok(Typed::new(expr, value_type))
    }
}

pub(super) fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Power, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Modulo | Power)
}

/// The operators under which whole numbers stay whole.
fn whole_operator(op: BinaryOp) -> Option<WholeOperator> {
    match op {
        BinaryOp::Add => Some(WholeOperator::Add),
        BinaryOp::Subtract => Some(WholeOperator::Subtract),
        BinaryOp::Multiply => Some(WholeOperator::Multiply),
        BinaryOp::Modulo => Some(WholeOperator::Remainder),
        _ => None,
    }
}

/// The type that all values can have without losing anything.
pub(super) fn common_type<'v>(values: impl Iterator<Item = &'v Typed>, span: Span) -> Bind<Type> {
    let mut common = Type::Null;
    for value in values {
        common = match (common, value.value_type) {
            (Type::Null, other) | (other, Type::Null) => other,
            (left, right) if left == right => left,
            (left, right) if left.is_number() && right.is_number() => Type::Float,
            (Type::Json, Type::String) | (Type::String, Type::Json) => Type::String,
            (left, right) => {
                let message = format!(
                    "the values have no common type: {} and {}",
                    left.name(),
                    right.name()
                );
                return Err(wrong(Code::TypeMismatch, message, span));
            }
        };
    }
    Ok(common)
}

/// The value in a type that [`common_type`] found for it.
pub(super) fn convert(value: Typed, to: Type) -> Expr {
    match (value.value_type, to) {
        (from, to) if from == to => value.expr,
        (Type::Json, Type::String) => json_text(value.expr),
        (_, to) => cast(value.expr, to.planned()),
    }
}
