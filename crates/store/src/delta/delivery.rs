//! How the events of a file came, in the log. Files that an import has written have it there and not in their columns,
//! because it is known when they are committed; compaction writes it into columns.

use std::sync::Arc;

use events::Delivery;

/// The key under which the log holds it, among the tags of a file's entry.
pub(crate) const TAG: &str = "vouch.delivery";

pub(crate) fn parse(text: &str) -> serde_json::Result<Arc<Delivery>> {
    serde_json::from_str(text).map(Arc::new)
}

pub(crate) fn text(delivery: &Delivery) -> Option<String> {
    // Its keys are texts.
    serde_json::to_string(delivery).ok()
}
