//! Trees as the parser makes them, for property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::Span;
use crate::ast::*;
use crate::grammar::quoted;
use crate::texts::Texts;

/// Pieces of queries, good and bad.
pub(super) const FRAGMENTS: &[&str] = &[
    "TAE",
    "::",
    ":",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    "*",
    "+",
    "-",
    "/",
    "%",
    "^",
    "=",
    "!=",
    "=~",
    "!~",
    "<",
    "<=",
    "&&",
    "||",
    "AND",
    "or",
    "NOT",
    "in",
    "NOT IN",
    "BY",
    "ORDER BY",
    "SORDER BY",
    "HAVING",
    "LIMIT",
    "SLIMIT",
    "offset",
    "SHIFT",
    "AS",
    "desc",
    "CASE",
    "WHEN",
    "THEN",
    "else",
    "END",
    "nil",
    "true",
    "re",
    "re('a.*')",
    "re`b`",
    "b64'YQ=='",
    "'a'",
    "\"b\"",
    "`c`",
    "`*`",
    "df_title",
    "a@b",
    "a@b[0]",
    "@c",
    "1",
    "2.5",
    "1e3",
    "5m",
    "-1h",
    "0x1f",
    "count(",
    "f(",
    "show_event_source(",
    "rate(",
    "match(",
    "identifier('x')",
    "#{v}",
    "${v}",
    "# c\n",
    "\n",
    "[1d]",
    "[1d::1h]",
    "[TODAY]",
    "2020-11-11 10:00:00",
    "now()",
    "auto",
    ".g()",
    ".",
    "...",
    "==",
    "<>",
    "LIKE",
    "M::cpu",
    "FILTER",
    "LINK",
    "WITH",
    "'",
    "`",
    "\"",
    "\\",
    "‘",
    "，",
];

/// Texts with everything that quoting must survive.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c_]{1,3}",
        1 => "[a-z@.0-9]{0,4}",
        1 => "['\"`\\\\ #{}\\[\\]@.:n\n\t*-]{0,5}",
        1 => "\\PC{0,3}",
        1 => select(vec!["limit", "1h", "5", "*", "re", "a::b", "order", "case", "使用率👍", "b64", ""]).prop_map(str::to_owned),
    ]
}

/// A name.
fn ident() -> impl Strategy<Value = Ident> {
    text().prop_map(|text| Ident {
        text,
        span: Span::default(),
    })
}

/// A name that needs no quotes.
fn plain() -> impl Strategy<Value = Ident> {
    "[a-c]{1,3}".prop_map(|text| Ident {
        text,
        span: Span::default(),
    })
}

/// A field with its path.
fn field() -> impl Strategy<Value = Field> {
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
fn duration() -> impl Strategy<Value = Duration> {
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
fn expr_of(kind: ExprKind) -> Expr {
    Expr {
        kind,
        span: Span::default(),
    }
}

/// What a quoted text is where only fields make sense.
fn as_field(expr: Expr) -> Expr {
    match expr.kind {
        ExprKind::String(_) => expr_of(ExprKind::Star),
        kind => expr_of(kind),
    }
}

/// The operands of a chain of `op`.
fn operands(op: BinaryOp, expr: Expr) -> Vec<Expr> {
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
fn balanced(op: BinaryOp, mut all: Vec<Expr>) -> Expr {
    if all.len() == 1 {
        return all.remove(0);
    }
    let right = all.split_off(all.len().div_ceil(2));
    let (left, right) = (Box::new(balanced(op, all)), Box::new(balanced(op, right)));
    expr_of(ExprKind::Binary { op, left, right })
}

/// An infix operation as the parser builds it.
fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
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
fn minus(operand: Expr) -> Expr {
    match operand.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Duration(_) => operand,
        _ => expr_of(ExprKind::Unary {
            op: UnaryOp::Minus,
            operand: Box::new(operand),
        }),
    }
}

/// An expression without parts.
fn leaf() -> impl Strategy<Value = Expr> {
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
fn expr() -> impl Strategy<Value = Expr> {
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
fn operator() -> impl Strategy<Value = BinaryOp> {
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
fn call(inner: impl Strategy<Value = Expr>) -> impl Strategy<Value = Call> {
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

/// A small query inside an expression.
fn nested(inner: impl Strategy<Value = Expr>) -> impl Strategy<Value = Box<Select>> {
    (ident(), vec(source(), 1..3), option::of(vec(inner, 0..2))).prop_map(
        |(name, sources, conditions)| {
            let namespace = Some(Namespace {
                name,
                indexes: Vec::new(),
            });
            Box::new(Select {
                namespace,
                sources,
                conditions,
                ..empty()
            })
        },
    )
}

/// A source without query.
fn source() -> impl Strategy<Value = Source> {
    let name = ident().prop_filter("`*` is everything", |name| name.text != "*");
    prop_oneof![3 => name.prop_map(Source::Name), 1 => Just(Source::All(Span::default())), 1 => ident().prop_map(Source::Regex)]
}

/// A query that says nothing.
fn empty() -> Select {
    Select::over(None, Vec::new(), Span::default())
}

/// A point in time.
fn time_point() -> impl Strategy<Value = TimePoint> {
    let time = option::of((0_u32..24, 0_u32..60, 0_u32..60));
    prop_oneof![
        duration().prop_map(TimePointKind::Ago),
        (0..i64::MAX).prop_map(TimePointKind::Epoch),
        (0_i32..10_000, 1_u32..13, 1_u32..32, time).prop_map(|(year, month, day, time)| {
            TimePointKind::Civil(Civil {
                year,
                month,
                day,
                time,
            })
        }),
        Just(TimePointKind::Now),
    ]
    .prop_map(|kind| TimePoint {
        kind,
        span: Span::default(),
    })
}

/// A window.
fn window() -> impl Strategy<Value = Window> {
    use Preset::{LastMonth, LastWeek, ThisMonth, ThisWeek, Today, Yesterday};
    let range = prop_oneof![
        (option::of(time_point()), option::of(time_point()))
            .prop_map(|(from, to)| Range::Bounds { from, to }),
        select(vec![
            Today, Yesterday, ThisWeek, LastWeek, ThisMonth, LastMonth
        ])
        .prop_map(Range::Preset),
    ];
    let step = prop_oneof![
        duration().prop_map(Step::Every),
        option::of(any::<u64>()).prop_map(|points| Step::Auto {
            points,
            span: Span::default()
        }),
    ];
    let rollup = (plain(), vec(leaf(), 0..2)).prop_map(|(name, args)| Rollup { name, args });
    (range, option::of(step), option::of(rollup)).prop_map(|(range, step, rollup)| Window {
        range,
        step,
        rollup,
        span: Span::default(),
    })
}

/// A number behind a clause.
fn count() -> impl Strategy<Value = Option<Count>> {
    option::of(any::<u64>().prop_map(|value| Count {
        value,
        span: Span::default(),
    }))
}

/// A key of an order.
fn order_key() -> impl Strategy<Value = OrderKey> {
    (
        expr(),
        select(vec![Direction::Ascending, Direction::Descending]),
    )
        .prop_map(|(expr, direction)| OrderKey {
            expr: as_field(expr),
            direction,
        })
}

/// The namespace, sources and projection of a query.
fn origin() -> impl Strategy<Value = (Option<Namespace>, Vec<Source>, Option<Vec<Item>>)> {
    let indexes = vec(
        ident().prop_filter("an empty index is none", |index| !index.text.is_empty()),
        0..3,
    );
    let namespace = (ident(), indexes).prop_map(|(name, indexes)| Namespace { name, indexes });
    let subquery = (nested(leaf()), option::of(ident()))
        .prop_map(|(query, alias)| Source::Subquery { query, alias });
    let item = (
        expr(),
        option::weighted(0.2, duration()),
        option::of(ident()),
    )
        .prop_map(|(expr, shift, alias)| Item {
            expr: as_field(expr),
            shift,
            alias,
        });
    let sources = vec(prop_oneof![4 => source(), 1 => subquery], 1..3);
    (
        option::weighted(0.8, namespace),
        sources,
        option::of(vec(item, 0..3)),
    )
}

/// One key of `BY`.
fn by_item() -> impl Strategy<Value = ByItem> {
    let direction = option::weighted(
        0.2,
        select(vec![Direction::Ascending, Direction::Descending]),
    );
    (expr(), option::of(ident()), direction).prop_map(|(expr, alias, direction)| ByItem {
        expr: as_field(expr),
        alias,
        direction,
    })
}

/// A whole query.
fn select_statement() -> impl Strategy<Value = Select> {
    let filters = (
        option::of(vec(expr(), 0..3)),
        option::of(window()),
        option::weighted(0.2, duration()),
    );
    let groups = (
        vec(by_item(), 0..3),
        vec(expr(), 0..2),
        vec(order_key(), 0..2),
        option::of(order_key()),
    );
    let counts = (count(), count(), count(), count());
    (
        origin(),
        filters,
        groups,
        counts,
        option::weighted(0.1, link()),
    )
        .prop_map(|(origin, filters, groups, counts, link)| {
            let (namespace, sources, target) = origin;
            let (conditions, window, shift) = filters;
            let (by, having, order_by, sorder_by) = groups;
            let (limit, offset, slimit, soffset) = counts;
            Select {
                namespace,
                sources,
                target,
                conditions,
                window,
                shift,
                by,
                having,
                order_by,
                sorder_by,
                limit,
                offset,
                slimit,
                soffset,
                link,
                span: Span::default(),
            }
        })
}

/// A join of the first generation.
fn link() -> impl Strategy<Value = Link> {
    let kind = prop_oneof![Just(LinkKind::Filter), Just(LinkKind::Link)];
    (kind, vec(nested(leaf()), 1..3), vec(expr(), 0..2)).prop_map(
        |(kind, mut queries, conditions)| {
            if kind == LinkKind::Filter {
                queries.truncate(1);
            }
            Link {
                kind,
                queries: queries.into_iter().map(|query| *query).collect(),
                conditions,
                span: Span::default(),
            }
        },
    )
}

/// A SHOW statement.
fn show() -> impl Strategy<Value = Show> {
    (
        call(expr()),
        option::of(vec(expr(), 0..2)),
        option::of(window()),
        count(),
        count(),
    )
        .prop_map(|(mut call, conditions, window, limit, offset)| {
            call.name.text = "show_tag_value".to_owned();
            Show {
                call,
                conditions,
                window,
                limit,
                offset,
                span: Span::default(),
            }
        })
}

/// An outer function.
fn outer() -> impl Strategy<Value = Outer> {
    (
        call(expr()),
        vec(call(leaf()), 0..3),
        count(),
        count(),
        count(),
        count(),
    )
        .prop_map(|(mut call, chain, limit, offset, slimit, soffset)| {
            call.name.text = "rate".to_owned();
            Outer {
                call,
                chain,
                limit,
                offset,
                slimit,
                soffset,
                span: Span::default(),
            }
        })
}

/// A list of statements.
pub(super) fn script() -> impl Strategy<Value = Script> {
    let statement = prop_oneof![
        4 => select_statement().prop_map(|query| Statement::Select(Box::new(query))),
        1 => show().prop_map(|show| Statement::Show(Box::new(show))),
        1 => outer().prop_map(|outer| Statement::Outer(Box::new(outer))),
    ];
    vec(statement, 1..3).prop_map(|mut statements| {
        let mut texts = Texts::default();
        // The parser makes a text where a query is needed the query that it is.
        quoted::read(&mut statements, 0, &mut texts);
        Script { statements, texts }
    })
}
