//! The fields that Vouch sets, of files that have them in the log and not in columns.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_expr::utils::collect_columns;
use events::{Delivery, FIELDS, SetBy, ValueRef};

/// Whether an expression uses a field that Vouch sets.
pub(crate) fn is_needed(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let is_set = |column: &Column| {
        let mut fields = FIELDS.iter().filter(|field| field.set_by == SetBy::Vouch);
        fields.any(|field| field.name == column.name())
    };
    collect_columns(expr).iter().any(is_set)
}

/// Replaces the columns that a delivery sets by its values.
pub(crate) fn with_values(
    expr: Arc<dyn PhysicalExpr>,
    delivery: &Delivery,
) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform(|part| {
        let column = part.downcast_ref::<Column>();
        let value = column.and_then(|column| delivery.value(column.name()));
        Ok(match value {
            None => Transformed::no(part),
            Some(ValueRef::Int(number)) => Transformed::yes(lit(number)),
            Some(ValueRef::Text(text)) => {
                let text = ScalarValue::Utf8View(Some(text.to_owned()));
                Transformed::yes(lit(text))
            }
        })
    })
    .data()
}
