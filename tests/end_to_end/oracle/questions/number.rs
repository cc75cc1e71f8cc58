//! How far a number depends on the order in which it was computed.

use dql::ast::{BinaryOp, Expr, ExprKind};

use super::{Gives, Questioner};

impl Questioner<'_> {
    /// What an expression that gives numbers gives.
    pub(super) fn number_of(&self, expr: &Expr) -> Gives {
        match &expr.kind {
            ExprKind::Binary { op, left, right } => {
                let operands = worst(self.number_of(left), self.number_of(right));
                match op {
                    BinaryOp::Add | BinaryOp::Subtract => operands,
                    _ => worst(operands, Gives::Fraction),
                }
            }
            ExprKind::Unary { operand, .. } => self.number_of(operand),
            ExprKind::Case {
                branches,
                otherwise,
                ..
            } => {
                let values = branches.iter().map(|(_, value)| value);
                let values = values.chain(otherwise.as_deref());
                values
                    .map(|value| self.number_of(value))
                    .fold(Gives::Number, worst)
            }
            ExprKind::Call(call) => {
                let arguments: Vec<&Expr> = call.args.iter().map(|arg| &arg.value).collect();
                self.number_of_call(&call.name.text, &arguments)
            }
            ExprKind::Field(_) => self.number_of_name(expr),
            _ => Gives::Number,
        }
    }

    fn number_of_call(&self, name: &str, arguments: &[&Expr]) -> Gives {
        let first = || {
            arguments
                .first()
                .map_or(Gives::Number, |first| self.number_of(first))
        };
        match name {
            "count" | "count_distinct" | "count_filter" | "length" | "now" | "histogram" => {
                Gives::Number
            }
            "abs"
            | "ceil"
            | "floor"
            | "float"
            | "int"
            | "uint"
            | "default"
            | "min"
            | "max"
            | "first"
            | "last"
            | "last_row"
            | "any"
            | "mode"
            | "spread"
            | "cumsum"
            | "difference"
            | "non_negative_difference"
            | "increase" => first(),
            "fill" => match &arguments[1].kind {
                ExprKind::Field(how) if how.name == "LINEAR" => worst(first(), Gives::Fraction),
                _ => first(),
            },
            "sum" => match first() {
                Gives::Number => Gives::Number,
                _ => Gives::Estimate,
            },
            "avg" | "rate_over_sum" => match first() {
                Gives::Number => Gives::Fraction,
                _ => Gives::Estimate,
            },
            "stddev" | "corr" | "slope" | "zscore" | "mad_score" | "moving_average" | "ewma" => {
                Gives::Estimate
            }
            // Its digits cut off an estimate at places that may be edges.
            "round" => match arguments.len() {
                1 => first(),
                _ => worst(first(), Gives::Fraction),
            },
            _ => worst(first(), Gives::Fraction),
        }
    }

    /// Values of events have few digits; those of queries may be any.
    fn number_of_name(&self, expr: &Expr) -> Gives {
        let name = dql::column_name(expr);
        let known = self.names.all.iter().find(|(known, _)| *known == name);
        match known {
            Some((_, gives @ (Gives::Number | Gives::Fraction | Gives::Estimate))) => *gives,
            _ if self.names.are_events => Gives::Number,
            _ => Gives::Fraction,
        }
    }
}

/// What arithmetic between two numbers gives at best.
fn worst(left: Gives, right: Gives) -> Gives {
    match (left, right) {
        (Gives::Estimate, _) | (_, Gives::Estimate) => Gives::Estimate,
        (Gives::Fraction, _) | (_, Gives::Fraction) => Gives::Fraction,
        _ => Gives::Number,
    }
}
