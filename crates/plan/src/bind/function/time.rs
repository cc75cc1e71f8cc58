//! The time of a query.

use datafusion::logical_expr::lit;

use super::Function;
use crate::types::{Type, Typed};

pub(super) const FUNCTIONS: &[Function] = &[Function::scalar("now", |binder, _| {
    Ok(Typed::new(lit(binder.context.now_ms), Type::Int))
})];
