//! Functions over the series of a query, with their arguments.
//!
//! Points with values that are no numbers are left out when the function runs, so columns of every type are arguments.

use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use dql::ast::{Arg, Call, Expr as AstExpr, ExprKind, Field};
use dql::{Code, Diagnostic};
use functions::points::PointFunction;

use super::name::column;
use super::series_expression::{self, SeriesNames};
use super::{Bind, BindContext, wrong};
use crate::bound::{
    FillMode, SeriesCall, SeriesFunction, SeriesPlan, SeriesSchema, Summary, number_column,
};
use crate::types::{Type, Typed};

/// The name of the only column of `count_filter` (Guance documentation, outer functions).
const FILTER_COUNT: &str = "filter_count";
/// The distance of `dbscan` up to which series are near, in standard deviations (Guance documentation, advanced
/// functions).
const DEFAULT_REACH: f64 = 0.5;

/// Binds a function of the series of a plan; `others` are its arguments besides the query.
///
/// # Errors
/// An argument is wrong.
pub(super) fn bind(
    call: &Call,
    others: &[&Arg],
    input: SeriesPlan,
    context: &BindContext,
) -> Result<SeriesPlan, Vec<Diagnostic>> {
    let mut binding = Binding {
        call,
        others,
        schema: input.schema(),
        names: SeriesNames::new(context),
    };
    let (function, columns) = binding.function().map_err(|error| vec![*error])?;
    let keys = match &function {
        SeriesFunction::SeriesSum { keys, .. } => keys
            .iter()
            .map(|key| binding.schema.keys[*key].clone())
            .collect(),
        _ => binding.schema.keys,
    };
    Ok(SeriesPlan::Function(Box::new(SeriesCall {
        name: call.name.text.to_ascii_lowercase(),
        function,
        input,
        schema: SeriesSchema { keys, columns },
        notes: binding.names.into_notes(),
    })))
}

/// The function, and its columns.
type Bound = (SeriesFunction, Vec<(String, Type)>);

struct Binding<'a> {
    call: &'a Call,
    others: &'a [&'a Arg],
    /// The columns of its input.
    schema: SeriesSchema,
    names: SeriesNames<'a>,
}

impl Binding<'_> {
    fn function(&mut self) -> Bind<Bound> {
        let name = self.call.name.text.to_ascii_lowercase();
        if let Some(summary) = summary(&name) {
            return Ok(self.summary(summary));
        }
        if let Some(function) = self.point_function(&name)? {
            let columns = self.typed(|value_type| match function.keeps_whole_numbers() {
                true => number_type(value_type),
                false => Type::Float,
            });
            let overflow = self.names.number_overflow(self.call.name.span);
            return Ok((SeriesFunction::Points { function, overflow }, columns));
        }
        Ok(match name.as_str() {
            "series_sum" => {
                let keys = self.kept_keys()?;
                let overflow = self.names.number_overflow(self.call.name.span);
                (
                    SeriesFunction::SeriesSum { keys, overflow },
                    self.typed(number_type),
                )
            }
            "top" | "bottom" => {
                let count = self.whole_number()?;
                let largest = name == "top";
                (
                    SeriesFunction::Extreme { count, largest },
                    self.typed(|own| own),
                )
            }
            "dbscan" => (self.outliers()?, self.typed(|own| own)),
            "fill" => self.fill()?,
            "window" => {
                let function = SeriesFunction::Window {
                    width_ms: self.width_ms()?,
                    time_zone: self.names.context().time_zone,
                };
                (function, self.typed(|_| Type::Float))
            }
            "count_filter" => {
                let condition = self.condition()?;
                let columns = vec![(FILTER_COUNT.to_owned(), Type::Int)];
                (SeriesFunction::CountFilter(condition), columns)
            }
            _ => self.numbers(&name)?,
        })
    }

    /// The columns of the input, each with the type of what it becomes.
    fn typed(&self, becomes: impl Fn(Type) -> Type) -> Vec<(String, Type)> {
        let columns = self.schema.columns.iter();
        columns
            .map(|(name, own)| (name.clone(), becomes(*own)))
            .collect()
    }

    fn summary(&mut self, summary: Summary) -> Bound {
        let columns = self.typed(|own| match summary {
            Summary::Mean => Type::Float,
            Summary::Count | Summary::CountDistinct => Type::Int,
            Summary::First | Summary::Last => own,
            Summary::Sum | Summary::Min | Summary::Max => number_type(own),
        });
        let overflow = self.names.number_overflow(self.call.name.span);
        (SeriesFunction::Summary { summary, overflow }, columns)
    }

    fn point_function(&self, name: &str) -> Bind<Option<PointFunction>> {
        Ok(Some(match name {
            "cumsum" => PointFunction::RunningSum,
            "difference" => PointFunction::Difference,
            "non_negative_difference" | "increase" => PointFunction::RisingDifference,
            "derivative" => PointFunction::Derivative,
            // Between the points of a series, the rate of the window and that of an instant are the same.
            "non_negative_derivative" | "rate" | "irate" => PointFunction::RisingDerivative,
            "moving_average" => PointFunction::MovingAverage(self.whole_number()?),
            _ => return Ok(None),
        }))
    }

    /// A function of each number, by the function of that name inside of queries.
    fn numbers(&mut self, name: &str) -> Bind<Bound> {
        if !matches!(
            name,
            "abs" | "ceil" | "floor" | "log" | "log2" | "log10" | "round"
        ) {
            let message = format!("`{name}` is no function over the result of a query");
            return Err(wrong(Code::UnknownFunction, message, self.call.name.span));
        }
        let parameter = self.parameter(name)?;
        let (mut values, mut columns) = (Vec::new(), Vec::new());
        for (index, (name, own)) in self.schema.columns.iter().enumerate() {
            let input = number_column(index);
            let input_type = number_type(*own);
            self.names.set_columns(vec![(
                input.clone(),
                Typed::new(column(&input), input_type),
            )]);
            let span = self.call.name.span;
            let argument = |kind| Arg {
                name: None,
                value: AstExpr { kind, span },
                alias: None,
            };
            let field = Field {
                name: input,
                path: Vec::new(),
            };
            let args = std::iter::once(ExprKind::Field(field)).chain(parameter.clone());
            let inside = Call {
                name: self.call.name.clone(),
                args: args.map(argument).collect(),
            };
            let value = self.names.expression(&AstExpr {
                kind: ExprKind::Call(inside),
                span,
            })?;
            columns.push((name.clone(), value.value_type));
            values.push(value.expr);
        }
        Ok((SeriesFunction::Numbers(values), columns))
    }

    /// The argument of a function of numbers.
    fn parameter(&self, name: &str) -> Bind<Option<ExprKind>> {
        let Some(argument) = self.others.first() else {
            return Ok(None);
        };
        Ok(Some(match argument.value.kind {
            ExprKind::Float(digits) if name == "round" && digits.fract() == 0.0 => {
                ExprKind::Int(digits as i64)
            }
            ExprKind::Float(_) if name == "round" => {
                return Err(self.wrong("the digits of `round` are a whole number"));
            }
            ref number @ (ExprKind::Int(_) | ExprKind::Float(_)) => number.clone(),
            _ => {
                let message = format!("`{}` takes a number beside the query", self.call.name.text);
                return Err(self.wrong(message));
            }
        }))
    }

    fn whole_number(&self) -> Bind<usize> {
        let number = self
            .others
            .first()
            .and_then(|argument| match argument.value.kind {
                ExprKind::Int(number) => usize::try_from(number).ok().filter(|number| *number > 0),
                _ => None,
            });
        number.ok_or_else(|| {
            self.wrong(format!(
                "`{}` needs a whole number from 1 beside the query",
                self.call.name.text
            ))
        })
    }

    fn kept_keys(&self) -> Bind<Vec<usize>> {
        let Some(argument) = self.others.first() else {
            return Ok(Vec::new());
        };
        let ExprKind::Array(items) = &argument.value.kind else {
            return Err(self.wrong("the tags to keep are a list: `sumBy = ['host']`"));
        };
        let kept: Vec<String> = items.iter().filter_map(text_of).collect();
        let keys = self.schema.keys.iter().enumerate();
        let keys = keys.filter(|(_, (name, _))| kept.contains(name));
        Ok(keys.map(|(index, _)| index).collect())
    }

    fn outliers(&self) -> Bind<SeriesFunction> {
        if self.schema.keys.is_empty() {
            return Err(self.wrong("`dbscan` compares the series of a query with BY"));
        }
        let reach = match self.others.first().map(|argument| &argument.value.kind) {
            Some(ExprKind::Int(number)) => *number as f64,
            Some(ExprKind::Float(number)) => *number,
            _ => DEFAULT_REACH,
        };
        Ok(SeriesFunction::Outliers { reach })
    }

    fn width_ms(&self) -> Bind<i64> {
        let width = self
            .others
            .first()
            .and_then(|argument| match &argument.value.kind {
                ExprKind::String(text) => dql::duration_ms(text),
                _ => None,
            });
        width
            .filter(|width_ms| *width_ms > 0)
            .ok_or_else(|| self.wrong("the width of `window` is a duration in quotes such as '5m'"))
    }

    fn fill(&self) -> Bind<Bound> {
        let argument = self.others.first().map(|argument| &argument.value.kind);
        let word = match argument {
            Some(ExprKind::Field(field)) if field.path.is_empty() => field.name.as_str(),
            Some(ExprKind::String(text)) => text.as_str(),
            _ => "",
        };
        if word.eq_ignore_ascii_case("previous") {
            return Ok((
                SeriesFunction::Fill(FillMode::Previous),
                self.typed(|own| own),
            ));
        }
        if word.eq_ignore_ascii_case("linear") {
            let columns = self.typed(|_| Type::Float);
            return Ok((SeriesFunction::Fill(FillMode::Linear), columns));
        }
        let (value, filled) = match argument {
            Some(ExprKind::Int(number)) => (ScalarValue::from(*number), Type::Int),
            Some(ExprKind::Float(number)) => (ScalarValue::from(*number), Type::Float),
            Some(ExprKind::String(text)) => (ScalarValue::from(text.as_str()), Type::String),
            Some(ExprKind::Nil) => (ScalarValue::Null, Type::Null),
            _ => return Err(self.wrong("`fill` takes a value, `PREVIOUS` or `LINEAR`")),
        };
        let columns = self.typed(|own| match (own, filled) {
            (own, Type::Null) => own,
            (Type::Null, filled) => filled,
            (own, filled) if own == filled => own,
            (own, filled) if own.is_number() && filled.is_number() => Type::Float,
            _ => Type::Json,
        });
        Ok((SeriesFunction::Fill(FillMode::Value(value)), columns))
    }

    fn condition(&mut self) -> Bind<Expr> {
        let Some(argument) = self.others.first() else {
            let message = "`count_filter` needs a condition such as `n > 5`";
            return Err(wrong(
                Code::WrongArgumentCount,
                message,
                self.call.name.span,
            ));
        };
        self.names
            .set_columns(series_expression::source_columns(&self.schema));
        self.names.condition(&argument.value)
    }

    fn wrong(&self, message: impl Into<String>) -> Box<Diagnostic> {
        wrong(Code::WrongArgumentKind, message, self.call.name.span)
    }
}

fn summary(name: &str) -> Option<Summary> {
    Some(match name {
        "avg" => Summary::Mean,
        "sum" => Summary::Sum,
        "min" => Summary::Min,
        "max" => Summary::Max,
        "count" => Summary::Count,
        "count_distinct" => Summary::CountDistinct,
        "first" => Summary::First,
        "last" => Summary::Last,
        _ => return None,
    })
}

/// The type of the numbers of a column.
pub(super) fn number_type(value_type: Type) -> Type {
    match value_type {
        Type::Int => Type::Int,
        _ => Type::Float,
    }
}

/// The name that an argument is.
pub(super) fn text_of(value: &AstExpr) -> Option<String> {
    match &value.kind {
        ExprKind::String(text) => Some(text.clone()),
        ExprKind::Field(field) if field.path.is_empty() => Some(field.name.clone()),
        _ => None,
    }
}
