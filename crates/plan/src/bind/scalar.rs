//! Functions of one row: conversions, text, rounding.

use arrow::datatypes::DataType;
use datafusion::functions::expr_fn as builtin;
use datafusion::logical_expr::{Expr, cast, lit, try_cast};
use dql::ast::{Call, Expr as AstExpr, ExprKind};
use dql::{Code, Span};
use functions::PatternError;
use functions::concat::concat;
use functions::finite::finite;
use functions::float_text::float_text;
use functions::json_set::json_set;
use functions::regexp_extract::{regexp_extract, regexp_extract_all};
use functions::regexp_replace::regexp_replace;
use functions::whole_number::WholeOperator;

use super::predicate::{as_text, refused};
use super::{Bind, Binder, arguments, describe, wrong};
use crate::types::{Type, Typed};

/// Every function of one row.
pub(super) const SCALARS: [&str; 27] = [
    "int",
    "uint",
    "float",
    "string",
    "bool",
    "md5",
    "lower",
    "upper",
    "trim",
    "ltrim",
    "rtrim",
    "length",
    "substr",
    "concat",
    "regexp_replace",
    "regexp_extract",
    "regexp_extract_all",
    "set",
    "drain",
    "abs",
    "round",
    "ceil",
    "floor",
    "log",
    "log2",
    "log10",
    "now",
];

impl Binder<'_> {
    /// Binds a function of one row; `None` when the name is none.
    pub(super) fn scalar(&mut self, name: &str, call: &Call, span: Span) -> Bind<Option<Typed>> {
        let typed = match name {
            "now" => {
                arguments::between(call, 0, 0)?;
                Typed::new(lit(self.context.now_ms), Type::Int)
            }
            "int" | "uint" | "float" | "string" | "bool" => self.conversion(name, call)?,
            "md5" | "lower" | "upper" | "trim" | "ltrim" | "rtrim" | "length" => {
                self.text_function(name, call)?
            }
            "substr" => self.substring(call)?,
            "concat" => {
                let parts = arguments::between(call, 1, usize::MAX)?;
                let parts = parts
                    .into_iter()
                    .map(|part| self.text(part))
                    .collect::<Bind<Vec<Expr>>>()?;
                Typed::new(concat(parts), Type::String)
            }
            "regexp_replace" | "regexp_extract" | "regexp_extract_all" => {
                self.regexp(name, call)?
            }
            "set" => self.set(call)?,
            "drain" => self.drain(call, span)?,
            "abs" | "ceil" | "floor" | "log" | "log2" | "log10" | "round" => {
                self.rounding(name, call, span)?
            }
            _ => return Ok(None),
        };
        Ok(Some(typed))
    }

    fn text(&mut self, argument: &AstExpr) -> Bind<Expr> {
        Ok(as_text(self.expression(argument)?))
    }

    /// The value that a function works on; text in quotes names a field there.
    pub(super) fn operand(&mut self, argument: &AstExpr) -> Bind<Typed> {
        self.expression(&arguments::unquoted(argument))
    }

    /// Text that is no number, and numbers out of range, become missing.
    fn conversion(&mut self, name: &str, call: &Call) -> Bind<Typed> {
        let argument = arguments::between(call, 1, 1)?[0];
        let value = self.operand(argument)?;
        let from = value.value_type;
        let plain = match from {
            Type::Json => as_text(value),
            Type::String => builtin::btrim(vec![value.expr]),
            _ => value.expr,
        };
        let float = || try_cast(plain.clone(), DataType::Float64);
        Ok(match name {
            "float" => Typed::new(finite(float()), Type::Float),
            "int" | "uint" => {
                let whole = match from {
                    Type::String | Type::Json => {
                        datafusion::functions::core::expr_fn::coalesce(vec![
                            try_cast(plain.clone(), DataType::Int64),
                            try_cast(builtin::trunc(vec![float()]), DataType::Int64),
                        ])
                    }
                    Type::Float => try_cast(builtin::trunc(vec![plain.clone()]), DataType::Int64),
                    _ => try_cast(plain.clone(), DataType::Int64),
                };
                match name {
                    "uint" => {
                        let unsigned =
                            datafusion::logical_expr::when(whole.clone().gt_eq(lit(0)), whole)
                                .end();
                        let unsigned = unsigned.map_err(|error| {
                            wrong(Code::InvalidExpression, error.to_string(), argument.span)
                        })?;
                        Typed::new(unsigned, Type::Int)
                    }
                    _ => Typed::new(whole, Type::Int),
                }
            }
            "bool" => Typed::new(try_cast(plain, DataType::Boolean), Type::Bool),
            _ => {
                let text = match from {
                    Type::Float => float_text(plain),
                    _ => cast(plain, DataType::Utf8View),
                };
                Typed::new(text, Type::String)
            }
        })
    }

    fn text_function(&mut self, name: &str, call: &Call) -> Bind<Typed> {
        let text = as_text(self.operand(arguments::between(call, 1, 1)?[0])?);
        Ok(match name {
            "md5" => Typed::new(builtin::md5(text), Type::String),
            "lower" => Typed::new(builtin::lower(text), Type::String),
            "upper" => Typed::new(builtin::upper(text), Type::String),
            "trim" => Typed::new(builtin::btrim(vec![text]), Type::String),
            "ltrim" => Typed::new(builtin::ltrim(vec![text]), Type::String),
            "rtrim" => Typed::new(builtin::rtrim(vec![text]), Type::String),
            _ => Typed::new(
                cast(builtin::character_length(text), DataType::Int64),
                Type::Int,
            ),
        })
    }

    /// `substr(text, start [, length])`: characters from 0; a negative start counts from the end.
    fn substring(&mut self, call: &Call) -> Bind<Typed> {
        let values = arguments::between(call, 2, 3)?;
        let text = as_text(self.operand(values[0])?);
        let start = whole_number(values[1])?;
        let length = values
            .get(2)
            .map(|length| arguments::count(length, "the length"))
            .transpose()?;
        let suffix = if start < 0 {
            builtin::right(text, lit(start.saturating_neg()))
        } else {
            builtin::substr(text, lit(start.saturating_add(1)))
        };
        let expr = match length {
            Some(length) => builtin::left(suffix, lit(i64::try_from(length).unwrap_or(i64::MAX))),
            None => suffix,
        };
        Ok(Typed::new(expr, Type::String))
    }

    fn regexp(&mut self, name: &str, call: &Call) -> Bind<Typed> {
        let values = arguments::between(call, if name == "regexp_replace" { 3 } else { 2 }, 3)?;
        let text = as_text(self.operand(values[0])?);
        let (ExprKind::String(pattern) | ExprKind::Regex(pattern)) = &values[1].kind else {
            return Err(wrong(
                Code::WrongArgumentKind,
                "the pattern is text in quotes",
                values[1].span,
            ));
        };
        let compiled = self.context.resources.compile_pattern(pattern);
        let groups = compiled.map_err(|error| match error {
            PatternError::Wrong(_) => {
                let message = format!("`{pattern}` is not a regular expression");
                wrong(Code::InvalidRegex, message, values[1].span)
            }
            other => refused(other, Code::InvalidRegex, values[1].span),
        })?;
        if name == "regexp_replace" {
            let replacement = self.text(values[2])?;
            let expr = regexp_replace(text, pattern, replacement);
            return Ok(Typed::new(expr, Type::String));
        }
        let group = values
            .get(2)
            .map_or(Ok(0), |group| arguments::count(group, "the group"))?;
        if group >= groups as u64 {
            let message = format!("the pattern has {} groups", groups - 1);
            return Err(wrong(Code::WrongArgumentKind, message, values[2].span));
        }
        let group = i64::try_from(group).unwrap_or(i64::MAX);
        if name == "regexp_extract_all" {
            let expr = regexp_extract_all(text, pattern, group);
            return Ok(Typed::new(expr, Type::Json));
        }
        let expr = regexp_extract(text, pattern, group);
        Ok(Typed::new(expr, Type::String))
    }

    /// `set(list)`: the different members of a list.
    fn set(&mut self, call: &Call) -> Bind<Typed> {
        let argument = arguments::between(call, 1, 1)?[0];
        let list = match &argument.kind {
            ExprKind::Array(items) => {
                let members = items
                    .iter()
                    .map(json_literal)
                    .collect::<Bind<Vec<serde_json::Value>>>()?;
                lit(serde_json::Value::from(members).to_string())
            }
            _ => {
                let value = self.operand(argument)?;
                match value.value_type {
                    Type::Json => value.expr,
                    other => {
                        let message =
                            format!("a list is needed, and {}", describe(argument, other));
                        let error = wrong(Code::TypeMismatch, message, argument.span);
                        let hint = "`collect(field)` makes a list of a group's values";
                        return Err(error.with_hint(hint).into());
                    }
                }
            }
        };
        Ok(Typed::new(json_set(list), Type::Json))
    }

    fn rounding(&mut self, name: &str, call: &Call, span: Span) -> Bind<Typed> {
        let values = arguments::between(
            call,
            1,
            if matches!(name, "round" | "log") {
                2
            } else {
                1
            },
        )?;
        let value = self.operand(values[0])?;
        let value = self.number(value, values[0])?;
        let float = cast(value.expr.clone(), DataType::Float64);
        let expr = match name {
            "abs" if value.value_type == Type::Int => {
                let zero = Typed::new(lit(0_i64), Type::Int);
                return Ok(self.whole_number(WholeOperator::Distance, value, zero, span));
            }
            "abs" => builtin::abs(float),
            "ceil" => builtin::ceil(float),
            "floor" => builtin::floor(float),
            "log" => match values.get(1) {
                Some(base) => {
                    let base = arguments::number(base, "the base")?;
                    builtin::ln(float) / builtin::ln(lit(base))
                }
                None => builtin::ln(float),
            },
            "log2" => builtin::log2(float),
            "log10" => builtin::log10(float),
            _ => {
                let digits = values
                    .get(1)
                    .map(|digits| whole_number(digits))
                    .transpose()?
                    .unwrap_or(0);
                builtin::round(vec![float, lit(digits.clamp(-300, 300))])
            }
        };
        Ok(Typed::new(finite(expr), Type::Float))
    }
}

/// A literal as JSON.
fn json_literal(written: &AstExpr) -> Bind<serde_json::Value> {
    Ok(match &written.kind {
        ExprKind::Nil => serde_json::Value::Null,
        ExprKind::Bool(value) => (*value).into(),
        ExprKind::Int(value) => (*value).into(),
        ExprKind::Float(value) => (*value).into(),
        ExprKind::String(value) => value.as_str().into(),
        _ => {
            let message = "the members of a list are numbers, texts, truth values and nil";
            return Err(wrong(Code::WrongArgumentKind, message, written.span));
        }
    })
}

fn whole_number(argument: &AstExpr) -> Bind<i64> {
    match &argument.kind {
        ExprKind::Int(number) => Ok(*number),
        ExprKind::Unary {
            op: dql::ast::UnaryOp::Minus,
            operand,
        } => whole_number(operand).map(i64::saturating_neg),
        _ => Err(wrong(
            Code::WrongArgumentKind,
            "a whole number is needed",
            argument.span,
        )),
    }
}
