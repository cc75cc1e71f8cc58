//! Statements, and functions over the series of queries.

use chrono_tz::Tz;
use datafusion::logical_expr::Expr;
use dql::{Span, TextId};
use functions::NoteId;
use functions::points::PointFunction;

use super::{BoundQuery, BoundShow, FillMode, Limits, Notes};
use crate::types::Type;

/// A statement without open questions.
#[derive(Debug, Clone)]
pub enum BoundStatement {
    /// A query.
    Query(Box<BoundQuery>),
    /// A function over the series of a query.
    Series(Box<SeriesPlan>),
    /// A SHOW function.
    Show(Box<BoundShow>),
}

impl BoundStatement {
    /// The columns of the answer.
    pub fn schema(&self) -> SeriesSchema {
        match self {
            Self::Query(query) => query.schema(),
            Self::Series(plan) => plan.schema(),
            Self::Show(show) => show.schema(),
        }
    }
}

/// The columns of an answer: texts that name a series, then `time`, then values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSchema {
    /// The names and types of the keys. The series of a function have keys of text.
    pub keys: Vec<(String, Type)>,
    /// The names and types of the columns after `time`.
    pub columns: Vec<(String, Type)>,
}

/// A plan whose answer is series: functions over the answers of queries.
#[derive(Debug, Clone)]
pub enum SeriesPlan {
    /// The answer to a query.
    Query {
        /// The query.
        query: Box<BoundQuery>,
        /// Its part of the text.
        span: Span,
    },
    /// A plan that a text in quotes describes.
    Quoted {
        /// The text, which findings without a span are about.
        text: TextId,
        /// The plan.
        input: Box<Self>,
    },
    /// A function of the series of another plan.
    Function(Box<SeriesCall>),
    /// Arithmetic between the series of several plans.
    Eval(Box<Eval>),
    /// The clauses that follow the functions. The limits of series are those of groups, those of rows are those of each
    /// series.
    Limit {
        /// The limits.
        limits: Limits,
        /// The plan.
        input: Box<Self>,
    },
}

/// A call of a function of series.
#[derive(Debug, Clone)]
pub struct SeriesCall {
    /// The name of the function, as the documentation has it.
    pub name: String,
    /// The function with its arguments.
    pub function: SeriesFunction,
    /// Where its series come from.
    pub input: SeriesPlan,
    /// Its columns.
    pub schema: SeriesSchema,
    /// What an answer reports about it.
    pub notes: Notes,
}

/// What becomes of the series of an answer.
#[derive(Debug, Clone)]
pub enum SeriesFunction {
    /// Each number is replaced by the value of an expression over its column, [`number_column`]; rows without a number
    /// are left out.
    Numbers(Vec<Expr>),
    /// Each point is replaced by the result of a function of it and those before it; points without a result are left
    /// out.
    Points {
        /// The function.
        function: PointFunction,
        /// The note of a whole number that does not fit into 64 bits and is missing.
        overflow: NoteId,
    },
    /// The points of each window are replaced by their mean.
    Window {
        /// The width of a window in milliseconds.
        width_ms: i64,
        /// The zone whose clock windows follow.
        time_zone: Tz,
    },
    /// The rows of each series are replaced by one.
    Summary {
        /// What is computed of each column.
        summary: Summary,
        /// The note of a whole number that does not fit into 64 bits and is missing.
        overflow: NoteId,
    },
    /// The rows of each series are replaced by the number of those that fulfil a condition; null counts as false. It
    /// is over the columns of an input as the source of a query: [`source_column`] and [`SOURCE_TIME`].
    CountFilter(Expr),
    /// The series that share the values of these keys are replaced by the sum of their points at each time.
    SeriesSum {
        /// The indices of the keys that are kept.
        keys: Vec<usize>,
        /// The note of a whole number that does not fit into 64 bits and is missing.
        overflow: NoteId,
    },
    /// The series with the largest or smallest newest number of their first column are kept.
    Extreme {
        /// How many are kept.
        count: usize,
        /// Whether those with the largest are.
        largest: bool,
    },
    /// The series that are away from all others are kept.
    Outliers {
        /// The distance up to which series are near each other.
        reach: f64,
    },
    /// Missing values are replaced.
    Fill(FillMode),
}

/// What is computed of the values of a column of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summary {
    /// The mean of the numbers.
    Mean,
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many values there are.
    Count,
    /// How many different ones.
    CountDistinct,
    /// The oldest value.
    First,
    /// The newest.
    Last,
}

/// Arithmetic between series of several plans.
#[derive(Debug, Clone)]
pub struct Eval {
    /// The plans and the names that the expression has for them.
    pub operands: Vec<(String, SeriesPlan)>,
    /// The columns that the expression reads, which are [`number_column`] in it: the index of the operand, and that of
    /// its column.
    pub inputs: Vec<(usize, usize)>,
    /// The value of a point.
    pub value: Expr,
    /// The name of the only column.
    pub name: String,
}

/// The column of a function's input, in the expressions of [`SeriesFunction::Numbers`] and [`Eval`].
pub fn number_column(index: usize) -> String {
    format!("n{index}")
}

impl SeriesPlan {
    /// The columns of the answer.
    pub fn schema(&self) -> SeriesSchema {
        match self {
            Self::Query { query, .. } => query.schema().with_text_keys(),
            Self::Quoted { input, .. } | Self::Limit { input, .. } => input.schema(),
            Self::Function(call) => call.schema.clone(),
            Self::Eval(eval) => eval.schema(),
        }
    }

    /// The queries whose answers it computes with, and their parts of the text.
    pub fn queries(&self) -> Vec<(&BoundQuery, Span)> {
        match self {
            Self::Query { query, span } => vec![(query, *span)],
            Self::Quoted { input, .. } | Self::Limit { input, .. } => input.queries(),
            Self::Function(call) => call.input.queries(),
            Self::Eval(eval) => eval
                .operands
                .iter()
                .flat_map(|(_, plan)| plan.queries())
                .collect(),
        }
    }

    /// The calls of functions in it.
    pub fn calls(&self) -> Vec<&SeriesCall> {
        match self {
            Self::Query { .. } => Vec::new(),
            Self::Quoted { input, .. } | Self::Limit { input, .. } => input.calls(),
            Self::Function(call) => {
                let mut calls = call.input.calls();
                calls.push(call);
                calls
            }
            Self::Eval(eval) => eval
                .operands
                .iter()
                .flat_map(|(_, plan)| plan.calls())
                .collect(),
        }
    }

    /// Calls a function with each of its queries and its part of the text.
    pub fn for_each_query_mut(&mut self, each: &mut dyn FnMut(&mut BoundQuery, Span)) {
        match self {
            Self::Query { query, span } => each(query, *span),
            Self::Quoted { input, .. } | Self::Limit { input, .. } => {
                input.for_each_query_mut(each)
            }
            Self::Function(call) => call.input.for_each_query_mut(each),
            Self::Eval(eval) => {
                for (_, plan) in &mut eval.operands {
                    plan.for_each_query_mut(each);
                }
            }
        }
    }
}

impl Eval {
    /// The keys are those of the operand with the most; which one that is of several is known when they have run, and
    /// makes no difference to their number.
    fn schema(&self) -> SeriesSchema {
        let keys = self.operands.iter().map(|(_, plan)| plan.schema().keys);
        SeriesSchema {
            keys: keys.max_by_key(Vec::len).unwrap_or_default(),
            columns: vec![(self.name.clone(), Type::Float)],
        }
    }
}

impl SeriesSchema {
    /// The same with keys of text, which all tags of series are.
    pub fn with_text_keys(mut self) -> Self {
        for (_, value_type) in &mut self.keys {
            *value_type = Type::String;
        }
        self
    }
}
