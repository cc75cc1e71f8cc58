//! Expressions.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{ident, nested, plain, text};
use crate::Span;
use crate::ast::*;

/// A field with its path.
pub(super) fn field() -> impl Strategy<Value = Field> {
    let step = prop_oneof![
        3 => text().prop_map(PathStep::Key),
        1 => any::<u64>().prop_map(PathStep::Index),
    ];
    let name = text().prop_map(|name| name.replace('@', ""));
    (
        name,
        prop_oneof![3 => Just(Vec::new()), 1 => vec(step, 1..4)],
    )
        .prop_map(|(name, path)| Field { name, path })
}

/// A length of time.
pub(super) fn duration() -> impl Strategy<Value = Duration> {
    use DurationUnit as Unit;
    let unit = select(vec![
        Unit::Year,
        Unit::Month,
        Unit::Week,
        Unit::Day,
        Unit::Hour,
        Unit::Minute,
        Unit::Second,
        Unit::Millisecond,
        Unit::Microsecond,
        Unit::Nanosecond,
        Unit::Step,
        Unit::StepSecond,
        Unit::StepMillisecond,
    ]);
    let amount = prop_oneof![(0_u32..1000).prop_map(f64::from), 0.0..1e6_f64];
    let part = (amount, unit).prop_map(|(amount, unit)| DurationPart { amount, unit });
    (any::<bool>(), vec(part, 1..4)).prop_map(|(negative, parts)| Duration {
        negative,
        parts,
        span: Span::default(),
    })
}

/// An expression of this kind.
pub(super) fn expr_of(kind: ExprKind) -> Expr {
    Expr {
        kind,
        span: Span::default(),
    }
}

/// The expression of a quoted text where only fields make sense.
pub(super) fn as_field(expr: Expr) -> Expr {
    match expr.kind {
        ExprKind::String(_) => expr_of(ExprKind::Star),
        kind => expr_of(kind),
    }
}

/// The operands of a chain of `op`.
pub(super) fn operands(op: BinaryOp, expr: Expr) -> Vec<Expr> {
    match expr.kind {
        ExprKind::Binary {
            op: inner,
            left,
            right,
        } if inner == op => {
            let mut all = operands(op, *left);
            all.extend(operands(op, *right));
            all
        }
        kind => vec![expr_of(kind)],
    }
}

/// A balanced chain, the left half the larger one.
pub(super) fn balanced(op: BinaryOp, mut all: Vec<Expr>) -> Expr {
    if all.len() == 1 {
        return all.remove(0);
    }
    let right = all.split_off(all.len().div_ceil(2));
    let (left, right) = (Box::new(balanced(op, all)), Box::new(balanced(op, right)));
    expr_of(ExprKind::Binary { op, left, right })
}

/// An infix operation as the parser builds it.
pub(super) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    use BinaryOp as Op;
    match op {
        Op::Or | Op::And => {
            let mut all = operands(op, left);
            all.extend(operands(op, right));
            balanced(op, all)
        }
        Op::Match | Op::NotMatch => {
            let pattern = match right.kind {
                ExprKind::String(_) | ExprKind::Regex(_) => right,
                _ => expr_of(ExprKind::Regex("p".to_owned())),
            };
            let left = Box::new(as_field(left));
            expr_of(ExprKind::Binary {
                op,
                left,
                right: Box::new(pattern),
            })
        }
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => expr_of(ExprKind::Binary {
            op,
            left: Box::new(as_field(left)),
            right: Box::new(right),
        }),
        _ => expr_of(ExprKind::Binary {
            op,
            left: Box::new(left),
            right: Box::new(right),
        }),
    }
}

/// A negated expression as the parser builds it.
pub(super) fn minus(operand: Expr) -> Expr {
    match operand.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Duration(_) => operand,
        _ => expr_of(ExprKind::Unary {
            op: UnaryOp::Minus,
            operand: Box::new(operand),
        }),
    }
}

/// An expression without parts.
pub(super) fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        Just(ExprKind::Nil),
        any::<bool>().prop_map(ExprKind::Bool),
        prop_oneof![any::<i64>(), -9_i64..10, Just(i64::MIN)].prop_map(ExprKind::Int),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(ExprKind::Float),
        text().prop_map(ExprKind::String),
        text().prop_map(ExprKind::Regex),
        duration().prop_map(ExprKind::Duration),
        Just(ExprKind::Star),
        field().prop_map(ExprKind::Field),
        field().prop_map(ExprKind::Field),
        select(vec!["#{host}", "${host:csv}", "$x"])
            .prop_map(|name| ExprKind::Placeholder(name.to_owned())),
    ]
    .prop_map(expr_of)
}

/// Any expression.
pub(super) fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let set = prop_oneof![
            vec(inner.clone(), 0..3).prop_map(InSet::List),
            ident().prop_map(InSet::Named),
            nested(inner.clone()).prop_map(InSet::Subquery),
        ];
        let branches = vec((inner.clone(), inner.clone()), 1..3);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|elements| expr_of(ExprKind::Array(elements))),
            call(inner.clone()).prop_map(|call| expr_of(ExprKind::Call(call))),
            inner.clone().prop_map(minus),
            boxed.clone().prop_map(|operand| expr_of(ExprKind::Unary {
                op: UnaryOp::Not,
                operand
            })),
            (operator(), inner.clone(), inner.clone())
                .prop_map(|(op, left, right)| binary(op, left, right)),
            (operator(), inner.clone(), inner.clone())
                .prop_map(|(op, left, right)| binary(op, left, right)),
            (inner.clone(), any::<bool>(), set).prop_map(|(expr, negated, set)| {
                expr_of(ExprKind::In {
                    expr: Box::new(as_field(expr)),
                    negated,
                    set,
                })
            }),
            (option::of(boxed.clone()), branches, option::of(boxed)).prop_map(
                |(operand, branches, otherwise)| expr_of(ExprKind::Case {
                    operand,
                    branches,
                    otherwise
                })
            ),
            nested(inner).prop_map(|query| expr_of(ExprKind::Subquery(query))),
        ]
    })
}

/// An infix operator.
pub(super) fn operator() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp as Op;
    select(vec![
        Op::Or,
        Op::And,
        Op::Eq,
        Op::NotEq,
        Op::Lt,
        Op::LtEq,
        Op::Gt,
        Op::GtEq,
        Op::Match,
        Op::NotMatch,
        Op::Add,
        Op::Subtract,
        Op::Multiply,
        Op::Divide,
        Op::Modulo,
        Op::Power,
    ])
}

/// A call, also of functions in which backquotes mean something else.
pub(super) fn call(inner: impl Strategy<Value = Expr>) -> impl Strategy<Value = Call> {
    let arg = (option::of(plain()), inner, option::weighted(0.2, ident()))
        .prop_map(|(name, value, alias)| Arg { name, value, alias });
    let name = select(vec![
        "f",
        "count",
        "match",
        "search",
        "REGEXP_extract",
        "order",
        "re",
    ]);
    (name, vec(arg, 0..4)).prop_map(|(name, args)| {
        // `re('…')` with one argument is a pattern and no call.
        let name = if name == "re" && args.len() == 1 {
            "f"
        } else {
            name
        };
        Call {
            name: Ident {
                text: name.to_owned(),
                span: Span::default(),
            },
            args,
        }
    })
}
