//! Calls around a query: the parts that the bindings of functions over series share.
//!
//! A function leaves out values that are no numbers when it runs, so it takes columns of every type.

use chrono_tz::Tz;
use datafusion::logical_expr::Expr;
use dql::ast::{Arg, Call, Expr as AstExpr, ExprKind, Field};
use dql::{Code, Diagnostic};
use functions::NoteId;
use functions::points::PointFunction;

use super::name::column;
use super::series_expression::{self, SeriesNames};
use super::{BindContext, BindResult, function, wrong};
use crate::bound::{SeriesCall, SeriesFunction, SeriesPlan, SeriesSchema, Summary, number_column};
use crate::types::{Type, Typed};

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
    let mut binder = SeriesBinder {
        call,
        others,
        schema: input.schema(),
        names: SeriesNames::new(context),
    };
    let bound = binder.bind().map_err(|error| vec![*error])?;
    let keys = match &bound.function {
        SeriesFunction::SeriesSum { keys, .. } => keys
            .iter()
            .map(|key| binder.schema.keys[*key].clone())
            .collect(),
        _ => binder.schema.keys,
    };
    let columns = bound.columns;
    Ok(SeriesPlan::Function(Box::new(SeriesCall {
        name: call.name.text.to_ascii_lowercase(),
        function: bound.function,
        input,
        schema: SeriesSchema { keys, columns },
        notes: binder.names.into_notes(),
    })))
}

/// A bound function.
pub(super) struct BoundFunction {
    /// The function with its arguments.
    pub(super) function: SeriesFunction,
    /// The names and types of its columns.
    pub(super) columns: Vec<(String, Type)>,
}

/// The state of binding one function over series.
pub(super) struct SeriesBinder<'a> {
    call: &'a Call,
    others: &'a [&'a Arg],
    /// The columns of its input.
    schema: SeriesSchema,
    names: SeriesNames<'a>,
}

impl SeriesBinder<'_> {
    fn bind(&mut self) -> BindResult<BoundFunction> {
        let name = &self.call.name;
        let Some(bind) = function::over_series(&name.text) else {
            let name_text = name.text.to_ascii_lowercase();
            let message = format!("`{name_text}` is no function over the result of a query");
            return Err(wrong(Code::UnknownFunction, message, name.span));
        };
        bind(self)
    }

    /// The first argument besides the query.
    pub(super) fn argument(&self) -> Option<&AstExpr> {
        self.others.first().map(|argument| &argument.value)
    }

    /// The columns of its input.
    pub(super) fn schema(&self) -> &SeriesSchema {
        &self.schema
    }

    /// The zone whose clock windows follow.
    pub(super) fn time_zone(&self) -> Tz {
        self.names.context().time_zone
    }

    /// The note of a whole number that does not fit into 64 bits.
    pub(super) fn number_overflow(&mut self) -> NoteId {
        self.names.number_overflow(self.call.name.span)
    }

    /// The columns of the input with other types.
    pub(super) fn typed(&self, becomes: impl Fn(Type) -> Type) -> Vec<(String, Type)> {
        let columns = self.schema.columns.iter();
        columns
            .map(|(name, own)| (name.clone(), becomes(*own)))
            .collect()
    }

    /// A function that replaces the rows of each series by one.
    pub(super) fn summary(&mut self, summary: Summary) -> BoundFunction {
        let columns = self.typed(|own| match summary {
            Summary::Mean => Type::Float,
            Summary::Count | Summary::CountDistinct => Type::Int,
            Summary::First | Summary::Last => own,
            Summary::Sum | Summary::Min | Summary::Max => number_type(own),
        });
        let overflow = self.number_overflow();
        BoundFunction {
            function: SeriesFunction::Summary { summary, overflow },
            columns,
        }
    }

    /// A function of points.
    pub(super) fn points(&mut self, function: PointFunction) -> BoundFunction {
        let columns = self.typed(|own| {
            if function.keeps_whole_numbers() {
                number_type(own)
            } else {
                Type::Float
            }
        });
        let overflow = self.number_overflow();
        BoundFunction {
            function: SeriesFunction::Points { function, overflow },
            columns,
        }
    }

    /// A function of each number: the function of the same name inside a query.
    pub(super) fn numbers(&mut self) -> BindResult<BoundFunction> {
        let parameter = self.parameter()?;
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
        Ok(BoundFunction {
            function: SeriesFunction::Numbers(values),
            columns,
        })
    }

    /// The argument of a function of numbers.
    fn parameter(&self) -> BindResult<Option<ExprKind>> {
        let Some(argument) = self.argument() else {
            return Ok(None);
        };
        let is_round = self.call.name.text.eq_ignore_ascii_case("round");
        Ok(Some(match argument.kind {
            ExprKind::Float(digits) if is_round && digits.fract() == 0.0 => {
                ExprKind::Int(digits as i64)
            }
            ExprKind::Float(_) if is_round => {
                return Err(self.wrong("the digits of `round` are a whole number"));
            }
            ref number @ (ExprKind::Int(_) | ExprKind::Float(_)) => number.clone(),
            _ => {
                let message = format!("`{}` takes a number beside the query", self.call.name.text);
                return Err(self.wrong(message));
            }
        }))
    }

    /// The argument as a whole number from 1.
    pub(super) fn whole_number(&self) -> BindResult<usize> {
        let number = match self.argument().map(|argument| &argument.kind) {
            Some(ExprKind::Int(number)) => usize::try_from(*number).ok(),
            _ => None,
        };
        number.filter(|number| *number > 0).ok_or_else(|| {
            self.wrong(format!(
                "`{}` needs a whole number from 1 beside the query",
                self.call.name.text
            ))
        })
    }

    /// The argument as a condition on a point.
    pub(super) fn condition(&mut self) -> BindResult<Expr> {
        let others = self.others;
        let Some(argument) = others.first() else {
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

    /// The error about an argument.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Box<Diagnostic> {
        wrong(Code::WrongArgumentKind, message, self.call.name.span)
    }
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
