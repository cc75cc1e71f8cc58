//! Values of expressions.

use dql::ast::{BinaryOp, Call, Expr, ExprKind, UnaryOp};
use regex::Regex;
use serde_json::Value as Json;

use super::aggregate;
use super::scope::{Over, Scope, is_arithmetic};
use super::value::{Kind, Value};
use super::{digest, point, template, text, window};

impl Scope<'_> {
    /// The value of an expression.
    pub(super) fn value(&self, expr: &Expr) -> Value {
        let known = self.known.filter(|known| !known.is_empty());
        if let Some(value) = known.and_then(|known| known.get(&expr.to_string())) {
            return value.clone();
        }
        if let Some(key) = self.key(expr) {
            return key;
        }
        match &expr.kind {
            ExprKind::Nil => Value::Missing,
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Int(value) => Value::Int(*value),
            ExprKind::Float(value) => Value::Float(*value),
            ExprKind::String(value) => Value::Text(value.clone()),
            ExprKind::Duration(value) => Value::Int(window::length_ms(value)),
            ExprKind::Field(field) => match self.over {
                Over::Row(row) => self.field(field, row),
                _ => {
                    let item = self.aliased(&field.name);
                    let item = item.unwrap_or_else(|| panic!("`{field}` is not grouped"));
                    self.without_aliases().item_value(item)
                }
            },
            ExprKind::Call(call) => self.call(call, expr),
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => match self.value(operand) {
                Value::Int(number) => Value::Int(-number),
                other => other
                    .number()
                    .map_or(Value::Missing, |number| Value::Float(-number)),
            },
            ExprKind::Binary { op, left, right } if is_arithmetic(*op) => {
                arithmetic(*op, &self.value(left), &self.value(right))
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(expr, operand.as_deref(), branches, otherwise.as_deref()),
            _ => Value::Bool(self.condition(expr)),
        }
    }

    fn case(
        &self,
        whole: &Expr,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Value {
        let fits = |test: &Expr| match operand {
            Some(operand) => self.compares(BinaryOp::Eq, operand, test),
            None => self.condition(test),
        };
        let branch = branches.iter().find(|(test, _)| fits(test));
        let value = match (branch, otherwise) {
            (Some((_, value)), _) | (None, Some(value)) => self.value(value),
            (None, None) => Value::Missing,
        };
        match self.kind(whole) {
            Kind::Float => value.number().map_or(Value::Missing, Value::Float),
            Kind::Text => value.text().map_or(Value::Missing, Value::Text),
            _ => value,
        }
    }

    /// The template of a text among those that `drain` learns from the rows of the query.
    fn template(&self, call: &Call, text: &Value) -> Value {
        let Some(text) = text.text() else {
            return Value::Missing;
        };
        let place = (std::ptr::from_ref(self.select).addr(), format!("{call}"));
        if !self.run.learnt.borrow().contains_key(&place) {
            let lines = self
                .matching
                .iter()
                .filter_map(|row| self.over(Over::Row(row)).value(&call.args[0].value).text());
            let lines: Vec<String> = lines.collect();
            let number = |index: usize, default: f64| match call.args.get(index) {
                Some(argument) => match argument.value.kind {
                    ExprKind::Int(number) => number as f64,
                    ExprKind::Float(number) => number,
                    ref other => panic!("{other:?} is no number"),
                },
                None => default,
            };
            let learnt = template::learnt(&lines, number(1, 0.0), number(2, 1000.0) as usize);
            self.run.learnt.borrow_mut().insert(place.clone(), learnt);
        }
        let learnt = self.run.learnt.borrow();
        Value::Text(template::template(&text, &learnt[&place]))
    }

    fn call(&self, call: &Call, expr: &Expr) -> Value {
        let name = call.name.text.to_lowercase();
        if aggregate::is_aggregate(&name) {
            return self.aggregate(&name, call);
        }
        if name == "fill" {
            return self.value(&call.args[0].value);
        }
        if point::is_point_function(&name) {
            // It is known when all rows are.
            return Value::Missing;
        }
        if text::is_test(&name) {
            return Value::Bool(self.condition(expr));
        }
        let arguments: Vec<Value> = call
            .args
            .iter()
            .map(|argument| self.value(&argument.value))
            .collect();
        match name.as_str() {
            "drain" => self.template(call, &arguments[0]),
            "set" => members(&arguments[0]),
            "now" => Value::Int(self.run.now_ms),
            "concat" => Value::Text(arguments.iter().filter_map(Value::text).collect()),
            "int" | "uint" | "float" | "bool" | "string" => conversion(&name, &arguments[0]),
            "abs" | "round" | "ceil" | "floor" | "log" | "log2" | "log10" => {
                rounding(&name, &arguments)
            }
            _ => text_function(&name, &arguments),
        }
    }
}

/// The different members of a list; anything else is a list of itself.
fn members(value: &Value) -> Value {
    let members = match value {
        Value::Missing => return Value::Missing,
        Value::Json(Json::Array(members)) => members.clone(),
        other => vec![other.cell()],
    };
    let mut texts = std::collections::HashSet::new();
    let mut different: Vec<Json> = Vec::new();
    for member in members {
        let text = member.to_string();
        if texts.insert(text) {
            different.push(member);
        }
    }
    Value::Json(Json::Array(different))
}

fn arithmetic(op: BinaryOp, left: &Value, right: &Value) -> Value {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        let whole = match op {
            BinaryOp::Add => Some(left.checked_add(*right)),
            BinaryOp::Subtract => Some(left.checked_sub(*right)),
            BinaryOp::Multiply => Some(left.checked_mul(*right)),
            BinaryOp::Modulo => Some(left.checked_rem(*right)),
            _ => None,
        };
        if let Some(whole) = whole {
            return whole.map_or(Value::Missing, Value::Int);
        }
    }
    let Some((left, right)) = left.number().zip(right.number()) else {
        return Value::Missing;
    };
    Value::finite(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo => left % right,
        _ => left.powf(right),
    })
}

/// A value in another kind; missing where it has no such value.
fn conversion(name: &str, value: &Value) -> Value {
    let text = value.text().map(|text| text.trim().to_owned());
    let (whole, number) = match (value, &text) {
        (Value::Bool(value), _) => (Some(i64::from(*value)), Some(f64::from(*value))),
        (Value::Int(value), _) => (Some(*value), Some(*value as f64)),
        (Value::Float(value), _) => (None, Some(*value)),
        (_, Some(text)) => (text.parse().ok(), text.parse::<f64>().ok()),
        (_, None) => (None, None),
    };
    let number = number.filter(|number| number.is_finite());
    let whole = whole.or_else(|| {
        let number = number?.trunc();
        (number.abs() < 9e18).then_some(number as i64)
    });
    let result = match name {
        "string" => value.text().map(Value::Text),
        "float" => number.map(Value::Float),
        "int" => whole.map(Value::Int),
        "uint" => whole.filter(|whole| *whole >= 0).map(Value::Int),
        _ => match value {
            Value::Bool(value) => Some(Value::Bool(*value)),
            Value::Int(value) => Some(Value::Bool(*value != 0)),
            Value::Float(value) => Some(Value::Bool(*value != 0.0)),
            _ => match text.unwrap_or_default().to_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "on" | "1" => Some(Value::Bool(true)),
                "false" | "f" | "no" | "n" | "off" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
        },
    };
    result.unwrap_or(Value::Missing)
}

fn rounding(name: &str, arguments: &[Value]) -> Value {
    if let ("abs", Value::Int(number)) = (name, &arguments[0]) {
        return Value::Int(number.abs());
    }
    let Some(number) = arguments[0].number() else {
        return Value::Missing;
    };
    Value::finite(match name {
        "abs" => number.abs(),
        "ceil" => number.ceil(),
        "floor" => number.floor(),
        "log" => number.ln(),
        "log2" => number.log2(),
        "log10" => number.log10(),
        _ => {
            let digits = arguments.get(1).and_then(Value::number).unwrap_or(0.0);
            let scale = 10_f64.powf(digits);
            (number * scale).round() / scale
        }
    })
}

fn text_function(name: &str, arguments: &[Value]) -> Value {
    let Some(text) = arguments[0].text() else {
        return Value::Missing;
    };
    let whole = |index: usize| match arguments.get(index) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    let pattern = || Regex::new(&arguments[1].text().unwrap()).unwrap();
    Value::Text(match name {
        "md5" => digest::md5(&text),
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "trim" => text.trim_matches(' ').to_owned(),
        "ltrim" => text.trim_start_matches(' ').to_owned(),
        "rtrim" => text.trim_end_matches(' ').to_owned(),
        "length" => return Value::Int(i64::try_from(text.chars().count()).unwrap()),
        "substr" => {
            let characters: Vec<char> = text.chars().collect();
            let count = i64::try_from(characters.len()).unwrap();
            let start = match whole(1).unwrap() {
                start if start < 0 => (count + start).max(0),
                start => start.min(count),
            };
            let length = whole(2).unwrap_or(count).min(count - start);
            let end = usize::try_from(start + length).unwrap();
            characters[usize::try_from(start).unwrap()..end]
                .iter()
                .collect()
        }
        "regexp_replace" => {
            let replacement = arguments[2].text().unwrap();
            pattern()
                .replace_all(&text, replacement.as_str())
                .into_owned()
        }
        "regexp_extract_all" => {
            let group = usize::try_from(whole(2).unwrap_or(0)).unwrap();
            let regex = pattern();
            let found = regex
                .captures_iter(&text)
                .filter_map(|found| found.get(group).map(|part| Json::from(part.as_str())));
            return Value::Json(Json::Array(found.collect()));
        }
        "regexp_extract" => {
            let group = usize::try_from(whole(2).unwrap_or(0)).unwrap();
            let regex = pattern();
            let captured = regex.captures(&text).and_then(|found| found.get(group));
            return captured.map_or(Value::Missing, |found| {
                Value::Text(found.as_str().to_owned())
            });
        }
        _ => panic!("the evaluator has no function `{name}`"),
    })
}
