//! Functions over the result of a query: `rate(query).series_sum()`.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::Outer;
use crate::grammar::call::{call, chained_call};
use crate::grammar::failure::Parsed;
use crate::grammar::tail::{Clause, clauses};
use crate::token::Tokens;

/// An outer function; `input` starts at its name, and `(` follows.
pub(super) fn outer(input: Tokens<'_>) -> Parsed<'_, Outer> {
    let (mut rest, call) = call(input)?;
    let mut chain = Vec::new();
    while let (after, Some(next)) = opt(chained_call).parse(rest)? {
        chain.push(next);
        rest = after;
    }
    let allowed = [
        Clause::Limit,
        Clause::Offset,
        Clause::Slimit,
        Clause::Soffset,
    ];
    let (rest, tail) = clauses(rest, &allowed)?;
    let outer = Outer {
        call,
        chain,
        limit: tail.limit,
        offset: tail.offset,
        slimit: tail.slimit,
        soffset: tail.soffset,
        span: rest.span_from(input),
    };
    Ok((rest, outer))
}
