//! `count_filter(query, condition)`: how many points of each series fulfil a condition on their columns.
//!
//! The condition means what it means in `{…}`: the types of columns are known, keys are text.

use dql::ast::{Arg, BinaryOp, Call, Expr, ExprKind, InSet, UnaryOp};
use dql::{Code, Diagnostic, Severity, Span};
use plan::Type;
use serde_json::Value;

use super::predicate::{Kind, Operand, Predicate, Test};
use super::wrong;
use crate::error::EngineError;
use crate::whole::Whole;

/// The name of the only column (Guance documentation, outer functions).
const COLUMN: &str = "filter_count";

/// Puts the number of points that fulfil the condition in the place of each series.
pub(super) fn count_filter(
    call: &Call,
    others: &[&Arg],
    whole: &mut Whole,
) -> Result<(), EngineError> {
    let Some(condition) = others.first().map(|argument| &argument.value) else {
        let message = "`count_filter` needs a condition such as `n > 5`".to_owned();
        return Err(wrong(Code::WrongArgumentCount, message, call.name.span));
    };
    let mut binder = Binder {
        whole,
        warnings: Vec::new(),
    };
    let predicate = binder.predicate(condition)?;
    let warnings = binder.warnings;
    for series in &mut whole.answer.series {
        let is_counted = |row: &&Vec<Value>| predicate.holds(series, row);
        let count = series.values.iter().filter(is_counted).count();
        series.values = vec![vec![Value::from(0), Value::from(count)]];
    }
    whole.columns = vec![(COLUMN.to_owned(), Type::Int)];
    whole.answer.summary.warnings.extend(warnings);
    Ok(())
}

/// An operand and what its values are.
type Typed = (Operand, Type);

/// Finds what the names in a condition stand for.
struct Binder<'w> {
    whole: &'w Whole,
    warnings: Vec<Diagnostic>,
}

impl Binder<'_> {
    fn predicate(&mut self, written: &Expr) -> Result<Predicate, EngineError> {
        if self.type_of(written).is_some() {
            return self.truth(written);
        }
        match &written.kind {
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => Ok(not(self.predicate(operand)?)),
            ExprKind::Binary { op, left, right } => match op {
                BinaryOp::And => Ok(Predicate::And(
                    Box::new(self.predicate(left)?),
                    Box::new(self.predicate(right)?),
                )),
                BinaryOp::Or => Ok(Predicate::Any(vec![
                    self.predicate(left)?,
                    self.predicate(right)?,
                ])),
                BinaryOp::NotEq => Ok(not(self.comparison(Test::Equal, left, right)?)),
                other => match Test::of(*other) {
                    Some(test) => self.comparison(test, left, right),
                    None => self.truth(written),
                },
            },
            ExprKind::In {
                expr,
                negated,
                set: InSet::List(items),
            } => {
                let members = items.iter().map(|item| self.member(expr, item));
                let is_member = Predicate::Any(members.collect::<Result<_, _>>()?);
                Ok(match negated {
                    true => not(is_member),
                    false => is_member,
                })
            }
            _ => self.truth(written),
        }
    }

    /// A value in the place of a condition.
    fn truth(&self, written: &Expr) -> Result<Predicate, EngineError> {
        let (operand, value_type) = self.operand(written)?;
        match value_type {
            Type::Bool | Type::Json | Type::Null => Ok(Predicate::IsTrue(operand)),
            other => {
                let message = format!("a condition is needed, and {}", describe(written, other));
                Err(wrong(Code::TypeMismatch, message, written.span))
            }
        }
    }

    /// A value equals a member of a list, where text that is a number meets numbers.
    fn member(&mut self, tested: &Expr, item: &Expr) -> Result<Predicate, EngineError> {
        let (operand, value_type) = self.operand(tested)?;
        match &item.kind {
            ExprKind::String(text) if value_type.is_number() => match text.parse::<f64>() {
                Ok(number) => {
                    let member = match text.parse::<i64>() {
                        Ok(whole) => Value::from(whole),
                        Err(_) => Value::from(number),
                    };
                    let member = Operand::Constant(member);
                    Ok(Predicate::Compares(
                        Kind::Numbers,
                        Test::Equal,
                        operand,
                        member,
                    ))
                }
                Err(_) => Err(mismatch(
                    Test::Equal,
                    (tested, value_type),
                    (item, Type::String),
                )),
            },
            _ => self.comparison(Test::Equal, tested, item),
        }
    }

    fn comparison(
        &mut self,
        test: Test,
        left: &Expr,
        right: &Expr,
    ) -> Result<Predicate, EngineError> {
        use Type::{Bool, Float, Int, Json, Null, String};
        let (one, one_type) = self.operand(left)?;
        let (other, other_type) = self.operand(right)?;
        let is_equal = test == Test::Equal;
        let compares = |kind, one, other| Ok(Predicate::Compares(kind, test, one, other));
        match (one_type, other_type) {
            (_, Null) if is_equal => Ok(Predicate::IsMissing(one)),
            (Null, _) if is_equal => Ok(Predicate::IsMissing(other)),
            (Bool, Bool | Json) | (Json, Bool) if is_equal => compares(Kind::Truths, one, other),
            (Int | Float, Int | Float | Json) | (Json, Int | Float) => {
                compares(Kind::Numbers, one, other)
            }
            (Json, Json) => compares(Kind::Attributes, one, other),
            (String, String | Json) | (Json, String) => compares(Kind::Texts, one, other),
            (Int, String) if is_time(left) => compares(Kind::Numbers, one, time(right)?),
            (String, Int) if is_time(right) => compares(Kind::Numbers, time(left)?, other),
            (String, Int | Float) if is_equal && is_number(right) => {
                let number = self.number_as_text(&other, right.span, left);
                compares(Kind::Texts, one, number)
            }
            (Int | Float, String) if is_equal && is_number(left) => {
                let number = self.number_as_text(&one, left.span, right);
                compares(Kind::Texts, number, other)
            }
            _ => Err(mismatch(test, (left, one_type), (right, other_type))),
        }
    }

    /// A number that is compared with text stands for its own text, which is said.
    fn number_as_text(&mut self, number: &Operand, span: Span, text: &Expr) -> Operand {
        let written = match number {
            Operand::Constant(value) => value.to_string(),
            _ => String::new(),
        };
        let message = format!(
            "{}, so it is compared with the text '{written}'",
            describe(text, Type::String)
        );
        let warning = Diagnostic::new(Severity::Warning, Code::NumberAsText, message, Some(span));
        self.warnings.push(warning.with_hint(number_hint(text)));
        Operand::Constant(Value::from(written))
    }

    /// The type of a column or a key of that name.
    fn type_of(&self, written: &Expr) -> Option<Type> {
        if is_constant(written) {
            return None;
        }
        let name = dql::column_name(written);
        let mut columns = self.whole.columns.iter();
        let column = columns.find(|(known, _)| *known == name);
        let key = || self.whole.keys.contains(&name).then_some(Type::String);
        column
            .map(|(_, value_type)| *value_type)
            .or_else(key)
            .or_else(|| is_time(written).then_some(Type::Int))
    }

    fn operand(&self, written: &Expr) -> Result<Typed, EngineError> {
        if let Some(value_type) = self.type_of(written) {
            return Ok((Operand::Named(dql::column_name(written)), value_type));
        }
        let constant = |value: Value, value_type| Ok((Operand::Constant(value), value_type));
        match &written.kind {
            ExprKind::Nil => constant(Value::Null, Type::Null),
            ExprKind::Bool(truth) => constant(Value::from(*truth), Type::Bool),
            ExprKind::Int(number) => constant(Value::from(*number), Type::Int),
            ExprKind::Float(number) => constant(Value::from(*number), Type::Float),
            ExprKind::String(text) => constant(Value::from(text.as_str()), Type::String),
            ExprKind::Field(_) => Err(self.unknown(written)),
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => Ok((
                Operand::Negative(Box::new(self.number(operand)?)),
                Type::Float,
            )),
            ExprKind::Binary { op, left, right } if is_arithmetic(*op) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                let arithmetic = Operand::Arithmetic(*op, Box::new(left), Box::new(right));
                Ok((arithmetic, Type::Float))
            }
            _ => {
                let message = "`count_filter` compares the columns of points: `n > 5 AND n != 7`";
                let error = Diagnostic::error(Code::InvalidExpression, message, written.span)
                    .with_hint("test text, lists and patterns in the `{…}` of the query");
                Err(EngineError::Query(vec![error]))
            }
        }
    }

    /// An operand of arithmetic.
    fn number(&self, written: &Expr) -> Result<Operand, EngineError> {
        match self.operand(written)? {
            (operand, Type::Int | Type::Float | Type::Json | Type::Null) => Ok(operand),
            (_, other) => {
                let message = format!("arithmetic needs numbers, and {}", describe(written, other));
                let error = Diagnostic::error(Code::TypeMismatch, message, written.span);
                let error = match other {
                    Type::String => error.with_hint(number_hint(written)),
                    _ => error,
                };
                Err(EngineError::Query(vec![error]))
            }
        }
    }

    fn unknown(&self, written: &Expr) -> EngineError {
        let message = format!("the query has no column `{}`", dql::column_name(written));
        let columns = self.whole.columns.iter().map(|(name, _)| name.as_str());
        let keys = self.whole.keys.iter().map(String::as_str);
        let shown: Vec<&str> = columns.chain(keys).collect();
        let error = Diagnostic::error(Code::UnknownField, message, written.span)
            .with_hint(format!("its columns and keys are `{}`", shown.join("`, `")));
        EngineError::Query(vec![error])
    }
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn is_time(written: &Expr) -> bool {
    matches!(&written.kind, ExprKind::Field(field) if field.name == "time" && field.path.is_empty())
}

fn is_number(written: &Expr) -> bool {
    matches!(written.kind, ExprKind::Int(_) | ExprKind::Float(_))
}

fn is_constant(written: &Expr) -> bool {
    is_number(written)
        || matches!(
            written.kind,
            ExprKind::Nil | ExprKind::Bool(_) | ExprKind::String(_)
        )
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Modulo, Multiply, Power, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Modulo | Power)
}

/// A time as text in the place of Unix milliseconds.
fn time(written: &Expr) -> Result<Operand, EngineError> {
    let ExprKind::String(text) = &written.kind else {
        let message = "a time is a number of milliseconds or RFC 3339 text".to_owned();
        return Err(wrong(Code::TypeMismatch, message, written.span));
    };
    match events::parse_timestamp(text) {
        Ok(time) => Ok(Operand::Constant(Value::from(time))),
        Err(error) => Err(wrong(Code::InvalidTime, error.to_string(), written.span)),
    }
}

fn mismatch(test: Test, left: (&Expr, Type), right: (&Expr, Type)) -> EngineError {
    let ((left, left_type), (right, right_type)) = (left, right);
    let reason = match test {
        Test::Equal => "they are never equal",
        _ => "they have no common order",
    };
    let message = format!(
        "{} and {}: {reason}",
        describe(left, left_type),
        describe(right, right_type)
    );
    let error = Diagnostic::error(Code::TypeMismatch, message, left.span.to(right.span));
    let text = match (left_type, right_type) {
        (Type::String, Type::Int | Type::Float) => Some(left),
        (Type::Int | Type::Float, Type::String) => Some(right),
        _ => None,
    };
    let text = text.filter(|text| !is_constant(text));
    EngineError::Query(vec![match text {
        Some(text) => error.with_hint(number_hint(text)),
        None => error,
    }])
}

/// How a column of text is compared as a number.
fn number_hint(text: &Expr) -> String {
    let name = dql::column_name(text);
    format!("compare a number: a column of the query such as `float({name}) AS number`")
}

fn describe(written: &Expr, value_type: Type) -> String {
    format!("`{}` is {}", dql::column_name(written), value_type.name())
}
