//! Texts that functions make, charged to a memory pool as long as they exist.

use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, FieldRef};
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::options::reservation;

/// Texts of one batch of rows that take fewer bytes are not charged: there is always room for them.
const LEAST_BYTES: usize = 64 << 10;

/// The same plan, in which the texts that functions make are charged to the pool of the session's
/// [`FunctionOptions`](crate::FunctionOptions), whichever part of the plan calls them. It has to be optimised already: the optimiser does not know these functions.
///
/// # Errors
/// When DataFusion refuses the rewritten plan, which it never should.
pub fn with_charged_texts(plan: LogicalPlan) -> Result<LogicalPlan> {
    let charged = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| expr.transform_up(|part| Ok(charged(part))))
    })?;
    Ok(charged.data)
}

fn charged(part: Expr) -> Transformed<Expr> {
    match part {
        Expr::ScalarFunction(mut call) if makes_text(&call.func, call.args.len()) => {
            let function = Charged {
                function: call.func,
            };
            call.func = Arc::new(ScalarUDF::new_from_impl(function));
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    }
}

/// Whether a function makes text of text. One that takes other types only, makes short texts.
fn makes_text(function: &ScalarUDF, arguments: usize) -> bool {
    let texts = vec![DataType::Utf8View; arguments];
    matches!(function.return_type(&texts), Ok(DataType::Utf8View))
}

/// A function whose texts are charged.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Charged {
    pub(crate) function: Arc<ScalarUDF>,
}

impl Charged {
    /// The same texts. What they share with the arguments of the function is not charged again.
    fn charge(
        texts: &StringViewArray,
        arguments: &[ArrayRef],
        config: &ConfigOptions,
    ) -> Result<Option<ArrayRef>> {
        let mut known: HashSet<NonNull<u8>> = HashSet::new();
        if texts.data_buffers().is_empty() {
            return Ok(None);
        }
        for argument in arguments {
            let buffers = argument
                .as_string_view_opt()
                .map(StringViewArray::data_buffers);
            known.extend(buffers.into_iter().flatten().map(Buffer::data_ptr));
        }
        let is_new = |buffer: &Buffer| !known.contains(&buffer.data_ptr());
        let new = texts.data_buffers().iter().filter(|buffer| is_new(buffer));
        let new_bytes = new.map(Buffer::capacity).sum();
        if new_bytes < LEAST_BYTES {
            return Ok(None);
        }
        let reservation = reservation(config, "texts of functions");
        reservation.try_grow(new_bytes)?;
        let reservation = Arc::new(reservation);
        let charged = |buffer: &Buffer| {
            if !is_new(buffer) {
                return buffer.clone();
            }
            Buffer::from(Bytes::from_owner(ChargedBuffer {
                buffer: buffer.clone(),
                _reservation: Arc::clone(&reservation),
            }))
        };
        let buffers: Vec<Buffer> = texts.data_buffers().iter().map(charged).collect();
        let (views, nulls) = (texts.views().clone(), texts.nulls().cloned());
        let texts = StringViewArray::try_new(views, buffers, nulls)?;
        Ok(Some(Arc::new(texts)))
    }
}

/// A buffer with what it is charged to.
struct ChargedBuffer {
    buffer: Buffer,
    _reservation: Arc<MemoryReservation>,
}

impl AsRef<[u8]> for ChargedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl ScalarUDFImpl for Charged {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(args)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.function.evaluate_bounds(inputs)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.function.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.function.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.function.strictly_order_preserving(inputs)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.placement(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments = args.args.iter().filter_map(|argument| match argument {
            ColumnarValue::Array(array) => Some(Arc::clone(array)),
            ColumnarValue::Scalar(_) => None,
        });
        let arguments: Vec<ArrayRef> = arguments.collect();
        let config = Arc::clone(&args.config_options);
        let result = self.function.invoke_with_args(args)?;
        let ColumnarValue::Array(array) = &result else {
            return Ok(result);
        };
        let charged = match array.as_string_view_opt() {
            Some(texts) => Self::charge(texts, &arguments, &config)?,
            None => None,
        };
        Ok(charged.map_or(result, ColumnarValue::Array))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
    use datafusion::functions::expr_fn::{substr, upper};
    use datafusion::logical_expr::lit;

    use super::*;
    use crate::notes::NoteMetrics;
    use crate::options::FunctionOptions;

    /// What a function of a column makes of `text`.
    fn made(call: Expr, text: &ArrayRef, pool: &Arc<dyn MemoryPool>) -> Result<ArrayRef> {
        let Expr::ScalarFunction(call) = charged(call).data else {
            panic!("a function is called")
        };
        let field = Arc::new(Field::new("text", DataType::Utf8View, true));
        let args = call.args.iter().map(|argument| match argument {
            Expr::Literal(value, _) => ColumnarValue::Scalar(value.clone()),
            _ => ColumnarValue::Array(Arc::clone(text)),
        });
        let mut config = ConfigOptions::default();
        config.extensions.insert(FunctionOptions {
            pool: Arc::clone(pool),
            notes: NoteMetrics::default(),
        });
        let made = call.func.invoke_with_args(ScalarFunctionArgs {
            args: args.collect(),
            arg_fields: vec![Arc::clone(&field); call.args.len()],
            number_rows: text.len(),
            return_field: field,
            config_options: Arc::new(config),
        })?;
        made.into_array(text.len())
    }

    /// Texts are charged while any array has them, and what an array shares with the argument is not.
    #[test]
    fn new_texts_are_charged_as_long_as_they_exist() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(8 << 20));
        let long = "x".repeat(1 << 20);
        let texts = [Some("short"), None, Some(long.as_str())];
        let texts: ArrayRef = Arc::new(texts.into_iter().collect::<StringViewArray>());
        let column = || datafusion::logical_expr::col("text");
        let made_upper = made(upper(column()), &texts, &pool).unwrap();
        assert_eq!(made_upper.as_string_view().value(2), long.to_uppercase());
        assert!(made_upper.is_null(1));
        let charged = pool.reserved();
        assert!(charged >= 1 << 20);
        let part = made_upper.slice(2, 1);
        drop(made_upper);
        assert_eq!(pool.reserved(), charged);
        let shared = made(substr(column(), lit(2_i64)), &texts, &pool).unwrap();
        assert_eq!(shared.as_string_view().value(0), "hort");
        assert_eq!(pool.reserved(), charged);
        drop(part);
        assert_eq!(pool.reserved(), 0);
    }

    /// A function fails when the pool has no room for what it makes.
    #[test]
    fn texts_without_room_are_refused() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
        let long = "x".repeat(2 << 20);
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![long]));
        let error = made(upper(datafusion::logical_expr::col("text")), &texts, &pool).unwrap_err();
        assert!(error.to_string().contains("texts of functions"), "{error}");
        assert_eq!(pool.reserved(), 0);
    }
}
