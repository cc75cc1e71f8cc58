//! Metadata questions: `show_…(…){where}[window] LIMIT n OFFSET n`.

use crate::ast::Show;
use crate::grammar::call::call;
use crate::grammar::failure::Parsed;
use crate::grammar::tail::{Clause, clauses};
use crate::token::Tokens;

/// A SHOW statement; `input` starts at its name, and `(` follows.
pub(super) fn show(input: Tokens<'_>) -> Parsed<'_, Show> {
    let (rest, call) = call(input)?;
    let (rest, tail) = clauses(
        rest,
        &[Clause::Where, Clause::Window, Clause::Limit, Clause::Offset],
    )?;
    let show = Show {
        call,
        conditions: tail.conditions,
        window: tail.window,
        limit: tail.limit,
        offset: tail.offset,
        span: rest.span_from(input),
    };
    Ok((rest, show))
}
