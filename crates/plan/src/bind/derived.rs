//! Aggregates that are made of others: differences, rates, lists, counts of chosen values.

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as aggregates;
use datafusion::logical_expr::{Expr, ExprFunctionExt, cast, lit};
use dql::ast::{Call, ExprKind, InSet, Item};
use dql::{Code, Diagnostic, Span};
use events::TimeRange;
use functions::NoteId;
use functions::finite::finite;
use functions::json_array::{ArrayOptions, json_array};
use functions::number_summary::{LISTS, RANKS, number_summary, summary_part};
use functions::regression::Regression;
use functions::whole_number::{WholeOperator, narrowed, wide_sum};

use super::{Bind, Binder, Grouping, arguments, wrong};
use crate::bound::Column;
use crate::types::{Type, Typed};

/// Their names.
pub(super) const DERIVED: [&str; 13] = [
    "any",
    "sum",
    "stddev",
    "spread",
    "count_filter",
    "rate_over_count",
    "rate_over_sum",
    "collect",
    "collect_distinct",
    "field_values",
    "corr",
    "slope",
    "default",
];

/// The most values of a list that an aggregate makes.
const LONGEST_LIST: u64 = 10_000;

impl Binder<'_> {
    /// Binds a derived aggregate: an expression over columns of the grouped rows.
    pub(super) fn derived(
        &mut self,
        name: &str,
        call: &Call,
        span: Span,
        grouping: &mut Grouping,
    ) -> Bind<Typed> {
        match name {
            "count_filter" => return self.count_filter(call, grouping),
            "collect" | "collect_distinct" | "field_values" => {
                return self.collect(name, call, span, grouping);
            }
            "corr" => return self.correlation(call, grouping),
            _ => {}
        }
        let written = arguments::between(call, 1, 1)?[0];
        let value = self.aggregated(written)?;
        match name {
            // The newest value is as good as any, and always the same.
            "any" => {
                let (picked, value_type) = self.newest(value)?;
                return Ok(grouping.column_of(picked, value_type));
            }
            "rate_over_count" => {
                let count = grouping.column_of(aggregates::count(value.expr), Type::Int);
                return Ok(self.per_second(count));
            }
            _ => {}
        }
        let number = self.number(value, written)?;
        let float = cast(number.expr.clone(), DataType::Float64);
        Ok(match (name, number.value_type) {
            ("stddev", _) => grouping.column_of(aggregates::stddev(float), Type::Float),
            ("rate_over_sum", _) => {
                let sum = grouping.column_of(aggregates::sum(float), Type::Float);
                self.per_second(sum)
            }
            ("slope", _) => self.slope(float, grouping),
            ("sum", Type::Int) => {
                let sum = grouping.column_of(wide_sum(number.expr), Type::Int);
                Typed::new(narrowed(sum.expr, self.number_overflow(span)), Type::Int)
            }
            ("sum", value_type) => grouping.column_of(aggregates::sum(number.expr), value_type),
            (_, value_type) => {
                let largest = grouping.column_of(aggregates::max(number.expr.clone()), value_type);
                let smallest = grouping.column_of(aggregates::min(number.expr), value_type);
                match value_type {
                    Type::Int => {
                        self.whole_number(WholeOperator::Distance, largest, smallest, span)
                    }
                    _ => Typed::new(finite(largest.expr - smallest.expr), Type::Float),
                }
            }
        })
    }

    /// A sum divided by the seconds it was gathered in: those of the step, else of the window.
    fn per_second(&self, total: Typed) -> Typed {
        let window_ms = self.range.to_ms.saturating_sub(self.range.from_ms);
        let seconds = self.step_ms.unwrap_or(window_ms) as f64 / 1000.0;
        let rate = cast(total.expr, DataType::Float64) / lit(seconds);
        // An empty window has no seconds.
        Typed::new(finite(rate), Type::Float)
    }

    /// `slope(x)`: that of the straight line nearest to the values over time, per second.
    fn slope(&self, value: Expr, grouping: &mut Grouping) -> Typed {
        // Times count from the window, because those since 1970 leave a float few digits.
        let start_ms = match self.range {
            TimeRange::ALL => 0,
            range => range.from_ms,
        };
        // In milliseconds, which a float holds exactly.
        let times = cast(self.row_time() - lit(start_ms), DataType::Float64);
        let slope = grouping.column_of(Regression::Slope.of(value, times), Type::Float);
        Typed::new(slope.expr * lit(1000.0), Type::Float)
    }

    /// `corr(l, r)`: Pearson's coefficient of the rows that have both; missing where one does not vary.
    fn correlation(&mut self, call: &Call, grouping: &mut Grouping) -> Bind<Typed> {
        let mut floats = Vec::new();
        for written in arguments::between(call, 2, 2)? {
            let value = self.aggregated(written)?;
            let number = self.number(value, written)?;
            floats.push(cast(number.expr, DataType::Float64));
        }
        let [left, right] = [&floats[0], &floats[1]].map(Expr::clone);
        let coefficient = Regression::Correlation.of(left, right);
        Ok(grouping.column_of(coefficient, Type::Float))
    }

    /// `count_filter(x, ['a', 'b'])`: the events whose `x` is in the list.
    fn count_filter(&mut self, call: &Call, grouping: &mut Grouping) -> Bind<Typed> {
        let values = arguments::between(call, 2, 2)?;
        let ExprKind::Array(items) = &values[1].kind else {
            return Err(wrong(
                Code::WrongArgumentKind,
                "the values to count are a list: `['a', 'b']`",
                values[1].span,
            ));
        };
        let field = arguments::unquoted(values[0]);
        let chosen = self.membership(&field, &InSet::List(items.clone()), false)?;
        let count = aggregates::count(lit(1)).filter(chosen).build();
        let count = count
            .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), values[0].span))?;
        Ok(grouping.column_of(count, Type::Int))
    }

    /// `collect(x [, n])` and `field_values(x)`: the values, newest first; `collect_distinct(x [, n])`:
    /// each value once, in ascending order of its JSON text. `n` is the most that are kept.
    fn collect(
        &mut self,
        name: &str,
        call: &Call,
        span: Span,
        grouping: &mut Grouping,
    ) -> Bind<Typed> {
        let values = arguments::between(call, 1, 2)?;
        let (most, cut) = self.kept(values.get(1).copied(), span)?;
        let value = self.aggregated(values[0])?;
        let present: Expr = value.expr.clone().is_not_null();
        let distinct = name == "collect_distinct";
        let list = aggregates::array_agg(value.expr).filter(present);
        let list = match distinct {
            true => list.distinct().build(),
            false => list.order_by(self.time_order(false)).build(),
        };
        let list = list
            .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), values[0].span))?;
        let column = grouping.column_of(list, Type::Json);
        let options = ArrayOptions {
            json: value.value_type == Type::Json,
            sorted: distinct,
            most: i64::try_from(most).unwrap_or(i64::MAX),
        };
        Ok(Typed::new(
            json_array(column.expr, options, cut),
            Type::Json,
        ))
    }

    /// `histogram_auto(x)`: the columns of a summary of the numbers of a group.
    pub(super) fn histogram_auto(&mut self, call: &Call, item: &Item) -> Bind<Vec<Column>> {
        if let Some(alias) = &item.alias {
            let message = "`histogram_auto` makes several columns, which have names of their own";
            return Err(wrong(Code::InvalidExpression, message, alias.span));
        }
        let Some(mut grouping) = self.grouping.take() else {
            return Ok(Vec::new());
        };
        let column = self.numbers_of(call, &mut grouping);
        self.grouping = Some(grouping);
        let summary = number_summary(column?.expr);
        let lists = LISTS.map(|name| (name, Type::Json)).into_iter();
        let ranks = RANKS.map(|(name, _)| (name, Type::Float));
        let parts = lists.chain(ranks).enumerate();
        let columns = parts.map(|(index, (name, value_type))| Column {
            name: name.to_owned(),
            expr: summary_part(summary.clone(), index),
            value_type,
        });
        Ok(columns.collect())
    }

    /// The numbers of a group as a list.
    fn numbers_of(&mut self, call: &Call, grouping: &mut Grouping) -> Bind<Typed> {
        let written = arguments::between(call, 1, 1)?[0];
        let value = self.aggregated(written)?;
        let number = self.number(value, written)?;
        let float = cast(number.expr, DataType::Float64);
        let list = aggregates::array_agg(float.clone())
            .filter(float.is_not_null())
            .build()
            .map_err(|error| wrong(Code::InvalidExpression, error.to_string(), written.span))?;
        Ok(grouping.column_of(list, Type::Json))
    }

    /// How many values a list keeps: as many as asked for, else [`LONGEST_LIST`], and then the note that there are more.
    fn kept(&mut self, asked: Option<&dql::ast::Expr>, span: Span) -> Bind<(u64, Option<NoteId>)> {
        let Some(asked) = asked else {
            let message = format!("a list was cut off at {LONGEST_LIST} values: there are more");
            let warning = Diagnostic::warning(Code::ListCut, message, span);
            let hint = "narrow the groups, or show the rows themselves";
            return Ok((LONGEST_LIST, Some(self.occurrence(warning.with_hint(hint)))));
        };
        let most = arguments::count(asked, "the number of values")?;
        if most > LONGEST_LIST {
            let message = format!("a list has at most {LONGEST_LIST} values");
            return Err(wrong(Code::LimitTooLarge, message, asked.span));
        }
        Ok((most, None))
    }
}
