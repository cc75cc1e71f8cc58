//! Short ways to write syntax trees.

use dql::Span;
use dql::ast::{
    Arg, BinaryOp, Call, Count, Duration, DurationPart, DurationUnit, Expr, ExprKind, Field, Ident,
    Item, Namespace, PathStep, Select, Source, UnaryOp,
};

pub(crate) fn expr(kind: ExprKind) -> Expr {
    Expr {
        kind,
        span: Span::default(),
    }
}

pub(crate) fn ident(text: &str) -> Ident {
    Ident {
        text: text.to_owned(),
        span: Span::default(),
    }
}

/// A field; steps of a JSON path stand behind `@`, with dots between them, numbers as indexes.
pub(crate) fn field(text: &str) -> Expr {
    let (name, path) = text.split_once('@').unwrap_or((text, ""));
    let steps = path.split('.').filter(|step| !step.is_empty());
    let path = steps.map(|step| match step.parse() {
        Ok(index) => PathStep::Index(index),
        Err(_) => PathStep::Key(step.to_owned()),
    });
    expr(ExprKind::Field(Field {
        name: name.to_owned(),
        path: path.collect(),
    }))
}

pub(crate) fn text(value: &str) -> Expr {
    expr(ExprKind::String(value.to_owned()))
}

pub(crate) fn int(value: i64) -> Expr {
    expr(ExprKind::Int(value))
}

pub(crate) fn float(value: f64) -> Expr {
    expr(ExprKind::Float(value))
}

pub(crate) fn not(operand: Expr) -> Expr {
    expr(ExprKind::Unary {
        op: UnaryOp::Not,
        operand: Box::new(operand),
    })
}

pub(crate) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    expr(ExprKind::Binary {
        op,
        left: Box::new(left),
        right: Box::new(right),
    })
}

pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|value| Arg {
        name: None,
        value,
        alias: None,
    });
    expr(ExprKind::Call(Call {
        name: ident(name),
        args: arguments.collect(),
    }))
}

/// A call with one more argument, which has a name.
pub(crate) fn named_call(name: &str, arguments: Vec<Expr>, named: (&str, Expr)) -> Expr {
    let mut call = call(name, arguments);
    if let ExprKind::Call(call) = &mut call.kind {
        call.args.push(Arg {
            name: Some(ident(named.0)),
            value: named.1,
            alias: None,
        });
    }
    call
}

pub(crate) fn item(expr: Expr, alias: Option<&str>) -> Item {
    Item {
        expr,
        shift: None,
        alias: alias.map(ident),
    }
}

pub(crate) fn count(value: u64) -> Count {
    Count {
        value,
        span: Span::default(),
    }
}

pub(crate) fn duration(amount: u32, unit: DurationUnit) -> Duration {
    Duration {
        negative: false,
        parts: vec![DurationPart {
            amount: f64::from(amount),
            unit,
        }],
        span: Span::default(),
    }
}

/// A query of audit events without any clause.
pub(crate) fn select(sources: Vec<Source>) -> Select {
    let namespace = Namespace {
        name: ident("TAE"),
        indexes: Vec::new(),
    };
    Select::over(Some(namespace), sources, Span::default())
}
