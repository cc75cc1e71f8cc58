//! Random files and queries.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::expr_fn::{count, first_value, max, min, sum};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Operator, SortExpr, binary_expr, col, expr, lit,
};
use events::fields::{DATE, DOOR, EVENT_ID, RECEIVED, SOURCE};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// The first date.
pub(super) const FIRST_DATE: i64 = 1_795_219_200_000;
/// Dates are after the first one, by less than this. Many events have the same.
const DATES: i64 = 40;

/// The columns of the events; all others are missing everywhere.
pub(super) const NUMBERS: [&str; 2] = ["df_date_range", RECEIVED];
pub(super) const TEXTS: [&str; 6] = [
    SOURCE,
    "df_user_name",
    "result",
    "country",
    "df_message",
    DOOR,
];

/// The values of texts: few, and with common beginnings.
const VALUES: [&str; 6] = [
    "audit",
    "authentication",
    "Failure",
    "Success",
    "",
    "a text that is too long to be inside a view of sixteen bytes",
];

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) files: Vec<FileCase>,
    /// Events that are in no file.
    pub(super) recent: Vec<Row>,
    pub(super) filters: Vec<Filter>,
    pub(super) shape: Shape,
    pub(super) partitions: usize,
    pub(super) batch_rows: usize,
    pub(super) cache_bytes: usize,
}

/// An event; its id follows from its place.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) date: i64,
    pub(super) numbers: [Option<i64>; NUMBERS.len()],
    pub(super) texts: [Option<&'static str>; TEXTS.len()],
}

#[derive(Debug, Clone)]
pub(super) struct FileCase {
    pub(super) rows: Vec<Row>,
    /// The columns that its version of the schema does not have.
    pub(super) missing: BTreeSet<&'static str>,
    pub(super) row_group_rows: usize,
    pub(super) page_rows: usize,
    pub(super) has_dictionaries: bool,
    pub(super) has_page_index: bool,
    /// Whether the log has statistics of the file.
    pub(super) is_logged: bool,
    /// The time of receipt and the door of all events, in the log only.
    pub(super) delivery: Option<(i64, &'static str)>,
}

#[derive(Debug, Clone)]
pub(super) enum Filter {
    Dates(i64, i64),
    Text(&'static str, TextTest, &'static str),
    OneOf(&'static str, Vec<&'static str>),
    Number(&'static str, Operator, i64),
    Null(&'static str, bool),
    Same(&'static str, &'static str),
    Id(usize, usize),
    Length(&'static str, i64),
    Or(Box<Filter>, Box<Filter>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TextTest {
    Equal,
    /// The `!=` of DQL, which holds for nulls.
    Different,
    /// The `!=` of SQL.
    NotEqual,
    Greater,
    Prefix,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// All rows.
    Rows(Vec<&'static str>),
    /// The newest or oldest rows.
    Ordered {
        columns: Vec<&'static str>,
        is_newest_first: bool,
        limit: usize,
    },
    Aggregate {
        keys: Vec<Key>,
        aggregates: Vec<(Aggregate, Option<Filter>)>,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Key {
    Column(&'static str),
    Step(i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Aggregate {
    Count,
    CountColumn(&'static str),
    CountDistinct(&'static str),
    Sum(&'static str),
    Min(&'static str),
    Max(&'static str),
    Last(&'static str),
}

fn date() -> impl Strategy<Value = i64> {
    (0..DATES).prop_map(|after| FIRST_DATE + after)
}

fn text_column() -> impl Strategy<Value = &'static str> {
    select(&TEXTS[..])
}

fn number_column() -> impl Strategy<Value = &'static str> {
    select(&NUMBERS[..])
}

fn column() -> impl Strategy<Value = &'static str> {
    prop_oneof![text_column(), number_column()]
}

fn value() -> impl Strategy<Value = &'static str> {
    select(&VALUES[..])
}

impl Row {
    fn any() -> impl Strategy<Value = Self> {
        let numbers = [option::of(0..9_i64), option::of(0..9_i64)];
        let texts: [_; TEXTS.len()] = std::array::from_fn(|_| option::of(value()));
        (date(), numbers, texts).prop_map(|(date, numbers, texts)| Self {
            date,
            numbers,
            texts,
        })
    }
}

impl FileCase {
    fn any() -> impl Strategy<Value = Self> {
        // Columns with one value are as common as others.
        let constants = vec((0..TEXTS.len(), option::of(value())), 0..4);
        let layout = (1..40_usize, 1..8_usize, any::<[bool; 3]>(), 0..8_u8);
        let delivery = option::of((0..9_i64, value()));
        let missing = btree_set(column(), 0..4);
        let rows = vec(Row::any(), 1..80);
        (rows, constants, missing, layout, delivery).prop_map(
            |(mut rows, constants, mut missing, layout, delivery)| {
                for row in &mut rows {
                    for (column, value) in &constants {
                        row.texts[*column] = *value;
                    }
                }
                let (row_group_rows, page_rows, flags, unsorted) = layout;
                let [has_dictionaries, has_page_index, is_logged] = flags;
                if delivery.is_some() {
                    missing.extend([RECEIVED, DOOR]);
                }
                // Files of other writers may be in any order.
                if unsorted > 0 {
                    rows.sort_by_key(|row| row.date);
                }
                Self {
                    rows,
                    missing,
                    row_group_rows,
                    page_rows,
                    has_dictionaries,
                    has_page_index,
                    is_logged,
                    delivery,
                }
            },
        )
    }
}

impl Filter {
    fn any() -> impl Strategy<Value = Self> {
        let test = select(vec![
            TextTest::Equal,
            TextTest::Equal,
            TextTest::Different,
            TextTest::NotEqual,
            TextTest::Greater,
            TextTest::Prefix,
        ]);
        let operator = select(vec![
            Operator::Eq,
            Operator::NotEq,
            Operator::Lt,
            Operator::LtEq,
            Operator::Gt,
            Operator::GtEq,
        ]);
        let leaf = prop_oneof![
            4 => (date(), date()).prop_map(|(one, other)| Self::Dates(one.min(other), one.max(other))),
            6 => (text_column(), test, value()).prop_map(|(column, test, value)| Self::Text(column, test, value)),
            2 => (text_column(), vec(value(), 1..4)).prop_map(|(column, values)| Self::OneOf(column, values)),
            3 => (number_column(), operator, 0..9_i64).prop_map(|(column, operator, number)| Self::Number(column, operator, number)),
            2 => (column(), any::<bool>()).prop_map(|(column, is_null)| Self::Null(column, is_null)),
            1 => (text_column(), text_column()).prop_map(|(one, other)| Self::Same(one, other)),
            1 => (0..4_usize, 0..80_usize).prop_map(|(file, row)| Self::Id(file, row)),
            1 => (text_column(), 0..20_i64).prop_map(|(column, length)| Self::Length(column, length)),
        ];
        let leaf = leaf.boxed();
        let or = (leaf.clone(), leaf.clone());
        prop_oneof![
            6 => leaf,
            1 => or.prop_map(|(one, other)| Self::Or(Box::new(one), Box::new(other))),
        ]
    }

    pub(super) fn expr(&self) -> Expr {
        match self {
            Self::Dates(from, to) => col(DATE).gt_eq(lit(*from)).and(col(DATE).lt(lit(*to))),
            Self::Text(column, test, value) => test.expr(column, value),
            Self::OneOf(column, values) => {
                let values = values.iter().map(|value| lit(*value));
                col(*column).in_list(values.collect(), false)
            }
            Self::Number(column, operator, number) => {
                binary_expr(col(*column), *operator, lit(*number))
            }
            Self::Null(column, true) => col(*column).is_null(),
            Self::Null(column, false) => col(*column).is_not_null(),
            Self::Same(one, other) => col(*one).eq(col(*other)),
            Self::Id(file, row) => col(EVENT_ID).eq(lit(id(*file, *row))),
            Self::Length(column, length) => {
                let length_of = datafusion::functions::unicode::expr_fn::char_length;
                length_of(col(*column)).gt(lit(*length))
            }
            Self::Or(one, other) => one.expr().or(other.expr()),
        }
    }
}

impl TextTest {
    fn expr(self, column: &str, value: &'static str) -> Expr {
        let column = col(column);
        match self {
            Self::Equal => column.eq(lit(value)),
            Self::Different => {
                let equal = column.eq(lit(value));
                binary_expr(equal, Operator::IsDistinctFrom, lit(true))
            }
            Self::NotEqual => column.not_eq(lit(value)),
            Self::Greater => column.gt(lit(value)),
            Self::Prefix => {
                let prefix: String = value.chars().take(3).collect();
                column.like(lit(format!("{prefix}%")))
            }
        }
    }
}

impl Key {
    fn any() -> impl Strategy<Value = Self> {
        let step = select(vec![1_i64, 7, 50, 1000]);
        prop_oneof![column().prop_map(Self::Column), step.prop_map(Self::Step)]
    }

    pub(super) fn expr(&self) -> Expr {
        match self {
            Self::Column(column) => col(*column),
            Self::Step(step) => functions::step_start::step_start(col(DATE), *step, Tz::UTC),
        }
    }
}

impl Aggregate {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            2 => Just(Self::Count),
            2 => column().prop_map(Self::CountColumn),
            2 => column().prop_map(Self::CountDistinct),
            1 => number_column().prop_map(Self::Sum),
            1 => column().prop_map(Self::Min),
            1 => column().prop_map(Self::Max),
            2 => column().prop_map(Self::Last),
        ]
    }

    pub(super) fn expr(self, filter: Option<&Filter>) -> Expr {
        let aggregate = match self {
            Self::Count => count(lit(1)),
            Self::CountColumn(column) => count(col(column)),
            Self::CountDistinct(column) => {
                let params = vec![col(column)];
                Expr::AggregateFunction(expr::AggregateFunction::new_udf(
                    count_udaf(),
                    params,
                    true,
                    None,
                    vec![],
                    None,
                ))
            }
            Self::Sum(column) => sum(col(column)),
            Self::Min(column) => min(col(column)),
            Self::Max(column) => max(col(column)),
            Self::Last(column) => first_value(col(column), order(true)),
        };
        match filter {
            Some(filter) => {
                let filtered = aggregate.filter(filter.expr());
                // The builder drops the order that the call has.
                let ordered = match self {
                    Self::Last(_) => filtered.order_by(order(true)),
                    _ => filtered,
                };
                ordered.build().unwrap()
            }
            None => aggregate,
        }
    }
}

/// Rows by date, then by id, so that no two are equal.
pub(super) fn order(is_newest_first: bool) -> Vec<SortExpr> {
    vec![
        col(DATE).sort(!is_newest_first, false),
        col(EVENT_ID).sort(true, false),
    ]
}

impl Shape {
    fn any() -> impl Strategy<Value = Self> {
        let columns = || vec(column(), 0..4);
        let ordered = (columns(), any::<bool>(), 1..30_usize);
        let aggregate = (Aggregate::any(), option::weighted(0.3, Filter::any()));
        let aggregates = (vec(Key::any(), 0..3), vec(aggregate, 1..4));
        prop_oneof![
            2 => columns().prop_map(Self::Rows),
            4 => ordered.prop_map(|(columns, is_newest_first, limit)| Self::Ordered {
                columns,
                is_newest_first,
                limit,
            }),
            6 => aggregates.prop_map(|(keys, aggregates)| Self::Aggregate { keys, aggregates }),
        ]
    }
}

impl Case {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let files = vec(FileCase::any(), 0..4);
        let recent = prop_oneof![3 => Just(Vec::new()), 1 => vec(Row::any(), 1..20)];
        let session = (
            1..4_usize,
            select(vec![3_usize, 64, 8192]),
            select(vec![0_usize, 1 << 20]),
        );
        (
            files,
            recent,
            vec(Filter::any(), 0..4),
            Shape::any(),
            session,
        )
            .prop_map(|(files, recent, filters, shape, session)| {
                let (partitions, batch_rows, cache_bytes) = session;
                Self {
                    files,
                    recent,
                    filters,
                    shape,
                    partitions,
                    batch_rows,
                    cache_bytes,
                }
            })
    }
}

/// The id of an event.
pub(super) fn id(file: usize, row: usize) -> String {
    format!("{file}-{row}")
}
