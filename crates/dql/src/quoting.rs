//! Where a backquoted word is a text and not a field: parser and printer must agree on it.

use crate::signature;

/// Whether argument `index` of `count` arguments of `function` (in lower case) is a text, so that a
/// backquoted word there is a string literal (Guance documentation, DQL definition and functions).
pub(crate) fn takes_text(function: &str, index: usize, count: usize) -> bool {
    match signature::function(function) {
        Some(signature) => signature.takes_text(index, count),
        None => function.starts_with("show_"),
    }
}

/// Whether a backquoted argument is the text of a query, as the outer functions take it.
pub(crate) fn is_query_text(text: &str) -> bool {
    text.contains("::") || text.contains(":(")
}
