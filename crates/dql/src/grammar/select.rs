//! A query: `namespace::sources:(target){where}[window] tail`.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::{Ident, Item, Namespace, Select, Source};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::expr::{Context, expression, field_if_quoted};
use crate::grammar::failure::{Failure, Parsed};
use crate::grammar::source::{parenthesised_sources, sources};
use crate::grammar::tail::{Clause, Tail, clauses, shift};
use crate::grammar::terminal::{List, alias, closing, list, name};
use crate::grammar::unexpected::unexpected;
use crate::span::Span;
use crate::token::{TokenKind, Tokens};

/// The namespaces of the language (Guance documentation, DQL functions), used to explain a single colon.
const NAMESPACES: [&str; 30] = [
    "M",
    "metric",
    "L",
    "logging",
    "BL",
    "backup_log",
    "O",
    "object",
    "OH",
    "object_history",
    "CO",
    "custom_object",
    "COH",
    "custom_object_history",
    "E",
    "event",
    "UE",
    "T",
    "tracing",
    "R",
    "rum",
    "P",
    "profile",
    "profiling",
    "S",
    "security",
    "N",
    "network",
    "F",
    "TAE",
];

/// Whether `word` is a namespace of the language.
pub(crate) fn is_namespace(word: &str) -> bool {
    NAMESPACES.contains(&word)
}

/// Whether a query with a namespace or with `source:` starts here, where other things may start as well.
pub(super) fn query_starts(input: Tokens<'_>) -> bool {
    if namespace_length(input).is_some() {
        return true;
    }
    matches!(
        input.peek(0),
        Some(TokenKind::Word(_) | TokenKind::Backquoted(_))
    ) && input.is_symbol(1, ":")
}

/// The number of tokens of the namespace with its indexes, if one comes next; `::` follows them.
pub(super) fn namespace_length(input: Tokens<'_>) -> Option<usize> {
    if !matches!(
        input.peek(0)?,
        TokenKind::Word(_) | TokenKind::Backquoted(_)
    ) {
        return None;
    }
    let close = match input.peek(1) {
        Some(TokenKind::Symbol("(")) => ")",
        Some(TokenKind::Symbol("[")) => "]",
        _ => return input.is_double_colon(1).then_some(1),
    };
    let mut length = 2;
    while !input.is_symbol(length, close) {
        match input.peek(length)? {
            TokenKind::Symbol(",")
            | TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Backquoted(_) => {
                length += 1;
            }
            _ => return None,
        }
    }
    input.is_double_colon(length + 1).then_some(length + 1)
}

/// A query.
pub(super) fn select(input: Tokens<'_>) -> Parsed<'_, Box<Select>> {
    query(input, &Clause::OF_QUERY)
}

/// `(query)`; `input` starts at `(`.
pub(super) fn select_in_parentheses(input: Tokens<'_>) -> Parsed<'_, Box<Select>> {
    let (rest, query) = select(input.skip(1).inside_query()?)?;
    let (rest, _) = closing(rest, ")", input.span(), "the query")?;
    Ok((rest.at_level_of(input), query))
}

/// A query with some of the clauses.
pub(super) fn query<'a>(input: Tokens<'a>, allowed: &[Clause]) -> Parsed<'a, Box<Select>> {
    let (rest, namespace) = namespace(input)?;
    let (rest, (sources, target)) = sources_and_target(rest, namespace.as_ref())?;
    let (rest, tail) = clauses(rest, allowed)?;
    Ok((
        rest,
        assembled((namespace, sources, target), *tail, rest.span_from(input)),
    ))
}

/// The query of its parts.
fn assembled(
    origin: (Option<Namespace>, Vec<Source>, Option<Vec<Item>>),
    tail: Tail,
    span: Span,
) -> Box<Select> {
    let (namespace, sources, target) = origin;
    Box::new(Select {
        namespace,
        sources,
        target,
        conditions: tail.conditions,
        window: tail.window,
        shift: tail.shift,
        by: tail.by,
        having: tail.having,
        order_by: tail.order_by,
        sorder_by: tail.sorder_by,
        limit: tail.limit,
        offset: tail.offset,
        slimit: tail.slimit,
        soffset: tail.soffset,
        link: tail.link,
        span,
    })
}

/// `name::`, `name("index")::` or `name["index"]::`, if one comes next.
fn namespace(input: Tokens<'_>) -> Parsed<'_, Option<Namespace>> {
    if input.is_double_colon(0) {
        return Err(Failure::diagnosed(
            Diagnostic::error(
                Code::ParseError,
                "the namespace before `::` is missing",
                input.span(),
            )
            .with_hint("write a namespace, such as `TAE::*`"),
        ));
    }
    if namespace_length(input).is_none() {
        return Ok((input, None));
    }
    let (mut rest, name) = name(input)
        .map_err(|_| Failure::diagnosed(unexpected(input, "a namespace before `::`")))?;
    let mut indexes = Vec::new();
    if !rest.is_symbol(0, ":") {
        let close = if rest.is_symbol(0, "(") { ")" } else { "]" };
        let shape = List {
            close,
            what: "the indexes of the namespace",
            trailing_comma: false,
        };
        (rest, indexes) = list(rest, &shape, index)?;
        indexes.retain(|index: &Ident| !index.text.is_empty());
    }
    Ok((rest.skip(2), Some(Namespace { name, indexes })))
}

/// The name of an index.
fn index(input: Tokens<'_>) -> Parsed<'_, Ident> {
    name(input).map_err(|_| Failure::diagnosed(unexpected(input, "the name of an index")))
}

/// The sources and the projection of a query.
type Origin = (Vec<Source>, Option<Vec<Item>>);

/// `sources[:target]`, `:target`, or `(target)` directly after the namespace.
fn sources_and_target<'a>(input: Tokens<'a>, namespace: Option<&Namespace>) -> Parsed<'a, Origin> {
    if namespace.is_some() && input.is_symbol(0, ":") {
        let (rest, target) = target(input.skip(1))?;
        return Ok((rest, (Vec::new(), Some(target))));
    }
    let (rest, sources) = if input.is_symbol(0, "(") && !query_in_parentheses(input) {
        let (rest, listed) = opt(parenthesised_sources).parse(input)?;
        match listed {
            Some(sources) => (rest, sources),
            None if namespace.is_none() => {
                return Err(Failure::diagnosed(
                    unexpected(input, "a namespace and a source before the fields").with_hint(
                        "write `namespace::source:(fields)`, such as `TAE::*:(df_title)`",
                    ),
                ));
            }
            None => {
                let (rest, items) = items(input)?;
                return Ok((rest, (Vec::new(), Some(items))));
            }
        }
    } else {
        sources(input)?
    };
    if rest.is_symbol(0, "(") {
        let error = Diagnostic::error(
            Code::ParseError,
            "a `:` is missing before the fields",
            rest.span(),
        );
        return Err(Failure::diagnosed(
            error.with_hint("write `source:(fields)`"),
        ));
    }
    if !rest.is_symbol(0, ":") {
        return Ok((rest, (sources, None)));
    }
    if namespace.is_none() {
        reject_single_colon(input, rest, &sources)?;
    }
    let (rest, target) = target(rest.skip(1))?;
    Ok((rest, (sources, Some(target))))
}

/// Whether the parentheses that start here hold a query: a name and `::`, `:`, `{` or `[`.
pub(super) fn query_in_parentheses(input: Tokens<'_>) -> bool {
    let inner = input.skip(1);
    query_starts(inner)
        || (matches!(
            inner.peek(0),
            Some(TokenKind::Word(_) | TokenKind::Backquoted(_))
        ) && (inner.is_symbol(1, "{") || inner.is_symbol(1, "[")))
}

/// The error for `M:cpu`, which would otherwise read as the field `cpu` of a source `M`.
fn reject_single_colon(
    input: Tokens<'_>,
    rest: Tokens<'_>,
    sources: &[Source],
) -> Result<(), nom::Err<Failure>> {
    match sources {
        [Source::Name(name)]
            if !rest.is_symbol(1, "(") && !rest.is_symbol(1, ":") && is_namespace(&name.text) =>
        {
            Err(Failure::diagnosed(
                Diagnostic::error(
                    Code::ParseError,
                    format!(
                        "a namespace is followed by two colons, found one after `{}`",
                        name.text
                    ),
                    rest.span(),
                )
                .with_hint(format!(
                    "write `{}::{}:(fields)`",
                    name.text,
                    source_after(input)
                )),
            ))
        }
        _ => Ok(()),
    }
}

/// The word after `name:`, for a hint.
fn source_after(input: Tokens<'_>) -> &str {
    input.word(2).unwrap_or("source")
}

/// `(items)`, or one item without parentheses.
fn target(input: Tokens<'_>) -> Parsed<'_, Vec<Item>> {
    if input.is_symbol(0, "(") {
        return items(input);
    }
    let operand_follows = matches!(
        input.peek(0),
        Some(
            TokenKind::Word(_)
                | TokenKind::Backquoted(_)
                | TokenKind::Quoted(_)
                | TokenKind::Symbol("*")
        )
    );
    if !operand_follows {
        return Err(Failure::diagnosed(unexpected(
            input,
            "the fields in parentheses after `:`",
        )));
    }
    let (rest, item) = item(input)?;
    Ok((rest, vec![item]))
}

/// `(item, item)`.
fn items(input: Tokens<'_>) -> Parsed<'_, Vec<Item>> {
    list(
        input,
        &List {
            close: ")",
            what: "the fields",
            trailing_comma: false,
        },
        item,
    )
}

/// `expression [SHIFT duration] [AS alias]`.
fn item(input: Tokens<'_>) -> Parsed<'_, Item> {
    let (rest, expr) = expression(input, Context::Value)?;
    let (rest, shift) = opt(shift).parse(rest)?;
    let (rest, alias) = alias(rest)?;
    Ok((
        rest,
        Item {
            expr: field_if_quoted(expr),
            shift,
            alias,
        },
    ))
}
