//! Trees as the parser makes them, for property tests.

mod expr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::Span;
use crate::ast::*;
use crate::grammar::quoted;
use crate::texts::Texts;

use expr::{as_field, call, duration, expr, leaf};

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

/// A number after a clause.
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
