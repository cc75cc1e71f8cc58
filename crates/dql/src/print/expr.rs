//! Expressions, with the fewest parentheses that keep the tree.

use std::fmt;

use super::Printer;
use crate::ast::{Arg, BinaryOp, Call, Expr, ExprKind, InSet, Quoted, UnaryOp};
use crate::precedence;
use crate::quoting;
use crate::signature::{self, Parameter};

/// The level of expressions that never need parentheses.
const OPERAND: u8 = precedence::UNARY + 1;

impl Printer<'_> {
    /// An expression on its own.
    pub(super) fn expr(&mut self, expr: &Expr) -> fmt::Result {
        match &expr.kind {
            ExprKind::Nil => self.text("nil"),
            ExprKind::Bool(value) => write!(self.out, "{value}"),
            ExprKind::Int(value) => write!(self.out, "{value}"),
            ExprKind::Float(value) => write!(self.out, "{value:?}"),
            ExprKind::String(text) => self.string(text),
            ExprKind::Duration(duration) => self.duration(duration),
            ExprKind::Star => self.text("*"),
            ExprKind::Field(field) => self.field(field),
            ExprKind::Regex(pattern) => self.pattern(pattern),
            ExprKind::Array(elements) => self.array(elements),
            ExprKind::Call(call) => self.call(call),
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => {
                self.text("-")?;
                self.at_least(precedence::UNARY, operand)
            }
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => {
                self.text("NOT ")?;
                self.at_least(precedence::NOT, operand)
            }
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right),
            ExprKind::In { expr, negated, set } => {
                self.at_least(precedence::COMPARISON + 1, expr)?;
                self.text(if *negated { " NOT IN " } else { " IN " })?;
                self.set(set)
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => self.case(operand.as_deref(), branches, otherwise.as_deref()),
            ExprKind::Subquery(query) => {
                self.text("(")?;
                self.select(query)?;
                self.text(")")
            }
            ExprKind::Quoted(quoted) => match quoted.as_ref() {
                Quoted::Query(_, statement) => self.string(&statement.to_string()),
                Quoted::Unreadable(text, _) => self.string(text),
            },
            ExprKind::Placeholder(name) => self.text(name),
        }
    }

    /// An expression, in parentheses when it binds less tightly than `minimum`.
    fn at_least(&mut self, minimum: u8, expr: &Expr) -> fmt::Result {
        if level(expr) >= minimum {
            return self.expr(expr);
        }
        self.text("(")?;
        self.expr(expr)?;
        self.text(")")
    }

    /// An infix operator with its operands.
    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> fmt::Result {
        let own = precedence::of(op);
        let (left_minimum, right_minimum) = match op {
            BinaryOp::Or | BinaryOp::And => (own, own),
            BinaryOp::Power => (own + 1, own),
            _ if own == precedence::COMPARISON => (own + 1, own + 1),
            _ => (own, own + 1),
        };
        self.at_least(left_minimum, left)?;
        write!(self.out, " {} ", symbol(op))?;
        match &right.kind {
            ExprKind::Field(field) if own == precedence::COMPARISON => {
                self.field_among_texts(field)
            }
            _ => self.at_least(right_minimum, right),
        }
    }

    /// The right side of `IN`.
    fn set(&mut self, set: &InSet) -> fmt::Result {
        match set {
            InSet::List(elements) => self.array(elements),
            InSet::Named(name) => self.name(name),
            InSet::Subquery(query) => {
                self.text("(")?;
                self.select(query)?;
                self.text(")")
            }
        }
    }

    /// `[a, b]`.
    fn array(&mut self, elements: &[Expr]) -> fmt::Result {
        self.text("[")?;
        self.all(elements, ", ", Self::among_texts)?;
        self.text("]")
    }

    /// An expression where a lone backquoted word would be a text.
    fn among_texts(&mut self, expr: &Expr) -> fmt::Result {
        match &expr.kind {
            ExprKind::Field(field) => self.field_among_texts(field),
            _ => self.expr(expr),
        }
    }

    /// `re('pattern')`, which can hold every character, backquotes too.
    pub(super) fn pattern(&mut self, pattern: &str) -> fmt::Result {
        self.text("re(")?;
        self.string(pattern)?;
        self.text(")")
    }

    /// `function(arguments)`.
    pub(super) fn call(&mut self, call: &Call) -> fmt::Result {
        let function = call.name.text.to_ascii_lowercase();
        self.text(&function)?;
        self.text("(")?;
        for (index, arg) in call.args.iter().enumerate() {
            if index > 0 {
                self.text(", ")?;
            }
            let is_text =
                arg.name.is_some() || quoting::takes_text(&function, index, call.args.len());
            match &arg.value.kind {
                ExprKind::String(field) if !self.quotes_names && takes_field(&function, index) => {
                    self.text(field)?;
                }
                _ => self.arg(arg, is_text)?,
            }
        }
        self.text(")")
    }

    /// One argument.
    fn arg(&mut self, arg: &Arg, is_text: bool) -> fmt::Result {
        if let Some(name) = &arg.name {
            write!(self.out, "{} = ", name.text)?;
        }
        match &arg.value.kind {
            _ if arg.name.is_none() && reads_as_named(&arg.value) => {
                self.text("(")?;
                self.expr(&arg.value)?;
                self.text(")")?;
            }
            ExprKind::Field(field) if !is_text => self.field_among_arguments(field)?,
            _ if is_text => self.among_texts(&arg.value)?,
            _ => self.expr(&arg.value)?,
        }
        self.alias(arg.alias.as_ref())
    }

    /// `CASE … END`.
    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> fmt::Result {
        self.text("CASE")?;
        if let Some(operand) = operand {
            self.text(" ")?;
            self.expr(operand)?;
        }
        for (condition, result) in branches {
            self.text(" WHEN ")?;
            self.expr(condition)?;
            self.text(" THEN ")?;
            self.expr(result)?;
        }
        if let Some(otherwise) = otherwise {
            self.text(" ELSE ")?;
            self.expr(otherwise)?;
        }
        self.text(" END")
    }
}

/// Whether a quoted argument names a field.
fn takes_field(function: &str, index: usize) -> bool {
    let parameter = signature::function(function).and_then(|signature| signature.parameter(index));
    matches!(parameter, Some(Parameter::Field | Parameter::FieldOrStar))
}

/// How tightly the text of an expression binds.
fn level(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Binary { op, .. } => precedence::of(*op),
        ExprKind::In { .. } => precedence::COMPARISON,
        ExprKind::Unary {
            op: UnaryOp::Not, ..
        } => precedence::NOT,
        ExprKind::Unary {
            op: UnaryOp::Minus, ..
        } => precedence::UNARY,
        _ => OPERAND,
    }
}

/// Whether the text of an argument would start with a word and `=`, which names an argument.
fn reads_as_named(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Binary {
            op: BinaryOp::Eq,
            left,
            ..
        } => matches!(
            left.kind,
            ExprKind::Field(_)
                | ExprKind::Nil
                | ExprKind::Bool(_)
                | ExprKind::Int(_)
                | ExprKind::Float(_)
                | ExprKind::Duration(_)
        ),
        ExprKind::Binary { left, .. } => reads_as_named(left),
        ExprKind::In { expr, .. } => reads_as_named(expr),
        _ => false,
    }
}

/// The text of an infix operator.
fn symbol(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "OR",
        BinaryOp::And => "AND",
        BinaryOp::Eq => "=",
        BinaryOp::NotEq => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::LtEq => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::GtEq => ">=",
        BinaryOp::Match => "=~",
        BinaryOp::NotMatch => "!~",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
        BinaryOp::Power => "^",
    }
}
