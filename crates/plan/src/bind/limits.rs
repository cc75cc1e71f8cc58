//! `LIMIT`, `OFFSET`, `SLIMIT`, `SOFFSET`.

use dql::Code;
use dql::ast::{Count, Select};

use super::{BindResult, Binder, Delivery, wrong};
use crate::bound::{Limit, Limits};

/// Rows of a group, and groups, when the query has no limit of its own.
const DEFAULT_COUNT: u64 = 1000;
/// The most rows of a group, and the most groups, in one message.
pub(super) const LARGEST_COUNT: u64 = 10_000;

impl Binder<'_> {
    /// The limits of the query, with the defaults of its delivery.
    pub(super) fn limits(&mut self, select: &Select, step_ms: Option<i64>) -> BindResult<Limits> {
        // A default limit on rows must not cut a series of points short.
        let default_rows = if step_ms.is_some() {
            LARGEST_COUNT
        } else {
            DEFAULT_COUNT
        };
        let default_groups = if self.context.every_group {
            LARGEST_COUNT
        } else {
            DEFAULT_COUNT
        };
        Ok(Limits {
            limit: self.limit("LIMIT", select.limit, default_rows)?,
            offset: select.offset.map_or(0, |count| count.value),
            slimit: self.limit("SLIMIT", select.slimit, default_groups)?,
            soffset: select.soffset.map_or(0, |count| count.value),
        })
    }

    fn limit(&mut self, clause: &str, count: Option<Count>, default: u64) -> BindResult<Limit> {
        match (count, self.context.delivery) {
            (Some(count), Delivery::Series) if count.value > LARGEST_COUNT => {
                let message = format!("{clause} is at most {LARGEST_COUNT}");
                let error = wrong(Code::LimitTooLarge, message, count.span);
                Err(error
                    .with_hint("a stream or an export has no ceiling")
                    .into())
            }
            (Some(count), _) => Ok(Limit::Asked(count.value)),
            (None, Delivery::Series) => Ok(Limit::Default(default)),
            (None, Delivery::Stream) => Ok(Limit::Unlimited),
        }
    }
}
