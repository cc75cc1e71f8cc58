//! The clauses after sources and fields, in any order and each at most once.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::{
    ByItem, Count, Direction, Duration, Expr, Link, LinkKind, OrderKey, Select, Window,
};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::expr::{Context, expression, field_if_quoted, infix_follows};
use crate::grammar::failure::{Failed, Failure, Parsed};
use crate::grammar::select::{query, query_starts};
use crate::grammar::terminal::{List, alias, expect, keyword, list, symbol};
use crate::grammar::unexpected::unexpected;
use crate::grammar::window::{signed_duration, window};
use crate::lexer::word::{self, Word};
use crate::span::Span;
use crate::token::{TokenKind, Tokens};

/// A clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    Where,
    Window,
    Shift,
    By,
    Having,
    OrderBy,
    SorderBy,
    Limit,
    Offset,
    Slimit,
    Soffset,
    Filter,
    Link,
}

impl Clause {
    /// The clauses of a query.
    pub(super) const OF_QUERY: [Clause; 13] = [
        Clause::Where,
        Clause::Window,
        Clause::Shift,
        Clause::By,
        Clause::Having,
        Clause::OrderBy,
        Clause::SorderBy,
        Clause::Limit,
        Clause::Offset,
        Clause::Slimit,
        Clause::Soffset,
        Clause::Filter,
        Clause::Link,
    ];

    /// The clause that comes next.
    pub(super) fn at(input: Tokens<'_>) -> Option<Self> {
        let word = match input.peek(0)? {
            TokenKind::Symbol("{") => return Some(Clause::Where),
            TokenKind::Symbol("[") => return Some(Clause::Window),
            TokenKind::Word(word) => word.to_ascii_uppercase(),
            _ => return None,
        };
        Some(match word.as_str() {
            "SHIFT" => Clause::Shift,
            "BY" => Clause::By,
            "HAVING" => Clause::Having,
            "ORDER" => Clause::OrderBy,
            "SORDER" => Clause::SorderBy,
            "LIMIT" => Clause::Limit,
            "OFFSET" => Clause::Offset,
            "SLIMIT" => Clause::Slimit,
            "SOFFSET" => Clause::Soffset,
            "FILTER" => Clause::Filter,
            "LINK" => Clause::Link,
            _ => return None,
        })
    }

    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Clause::Where => "{…}",
            Clause::Window => "[…]",
            Clause::Shift => "SHIFT",
            Clause::By => "BY",
            Clause::Having => "HAVING",
            Clause::OrderBy => "ORDER BY",
            Clause::SorderBy => "SORDER BY",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Slimit => "SLIMIT",
            Clause::Soffset => "SOFFSET",
            Clause::Filter => "FILTER",
            Clause::Link => "LINK",
        }
    }

    /// The hint about a second one.
    fn advice(self) -> &'static str {
        match self {
            Clause::Where => "join the conditions with `,` inside one pair of braces",
            Clause::By | Clause::Having | Clause::OrderBy => {
                "list all keys behind the first, separated by `,`"
            }
            _ => "keep one of the two",
        }
    }
}

/// The content of the clauses.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) conditions: Option<Vec<Expr>>,
    pub(super) window: Option<Window>,
    pub(super) shift: Option<Duration>,
    pub(super) by: Vec<ByItem>,
    pub(super) having: Vec<Expr>,
    pub(super) order_by: Vec<OrderKey>,
    pub(super) sorder_by: Option<OrderKey>,
    pub(super) limit: Option<Count>,
    pub(super) offset: Option<Count>,
    pub(super) slimit: Option<Count>,
    pub(super) soffset: Option<Count>,
    pub(super) link: Option<Link>,
}

/// All clauses that follow; one that is not `allowed` here is an error.
pub(super) fn clauses<'a>(input: Tokens<'a>, allowed: &[Clause]) -> Parsed<'a, Box<Tail>> {
    let mut tail = Box::new(Tail::default());
    let mut seen: Vec<(Clause, Span)> = Vec::new();
    let mut rest = input;
    while let Some(clause) = Clause::at(rest) {
        let span = rest.span();
        if !allowed.contains(&clause) {
            if matches!(clause, Clause::Filter | Clause::Link) {
                break;
            }
            return Err(Failure::diagnosed(misplaced(clause, span, allowed)));
        }
        if let Some((_, first)) = seen.iter().find(|(earlier, _)| *earlier == clause) {
            return Err(repeated(clause, span, *first));
        }
        seen.push((clause, span));
        (rest, ()) = read(rest, clause, &mut tail)?;
    }
    Ok((rest, tail))
}

/// The error for a second clause of a kind.
fn repeated(clause: Clause, span: Span, first: Span) -> Failed {
    Failure::diagnosed(
        Diagnostic::error(
            Code::RepeatedClause,
            format!("{} stands twice", clause.name()),
            span,
        )
        .with_label(first, "first here")
        .with_hint(clause.advice()),
    )
}

/// The error for a clause in the wrong kind of statement.
fn misplaced(clause: Clause, span: Span, allowed: &[Clause]) -> Diagnostic {
    let names: Vec<String> = allowed
        .iter()
        .map(|clause| format!("`{}`", clause.name()))
        .collect();
    let statement = if allowed.contains(&Clause::Where) {
        "a SHOW statement"
    } else {
        "an outer function"
    };
    let error = Diagnostic::error(
        Code::ParseError,
        format!("{} cannot follow {statement}", clause.name()),
        span,
    );
    if allowed.contains(&Clause::Where) {
        error.with_hint(format!("here may stand {}", names.join(", ")))
    } else {
        error.with_hint("it belongs to the query inside the parentheses")
    }
}

/// Reads one clause into `tail`.
fn read<'a>(input: Tokens<'a>, clause: Clause, tail: &mut Tail) -> Parsed<'a, ()> {
    let rest = match clause {
        Clause::Where => set(&mut tail.conditions, conditions(input)?),
        Clause::Window => set(&mut tail.window, window(input)?),
        Clause::Shift => set(&mut tail.shift, shift(input)?),
        Clause::By => {
            let (rest, keys) = by(input.skip(1))?;
            tail.by = keys;
            rest
        }
        Clause::Having => {
            let (rest, conditions) =
                separated(input.skip(1), |input| expression(input, Context::Condition))?;
            tail.having = conditions;
            rest
        }
        Clause::OrderBy => {
            let (rest, _) = by_word(input)?;
            let (rest, keys) = separated(rest, order_key)?;
            tail.order_by = keys;
            rest
        }
        Clause::SorderBy => {
            let (rest, _) = by_word(input)?;
            set(&mut tail.sorder_by, order_key(rest)?)
        }
        Clause::Limit => set(&mut tail.limit, count(input, clause)?),
        Clause::Offset => set(&mut tail.offset, count(input, clause)?),
        Clause::Slimit => set(&mut tail.slimit, count(input, clause)?),
        Clause::Soffset => set(&mut tail.soffset, count(input, clause)?),
        Clause::Filter => set(&mut tail.link, link(input, LinkKind::Filter)?),
        Clause::Link => set(&mut tail.link, link(input, LinkKind::Link)?),
    };
    Ok((rest, ()))
}

/// Stores the value of a parser and returns the tokens after it.
fn set<'a, T>(slot: &mut Option<T>, (rest, value): (Tokens<'a>, T)) -> Tokens<'a> {
    *slot = Some(value);
    rest
}

/// `{condition, condition}`.
fn conditions(input: Tokens<'_>) -> Parsed<'_, Vec<Expr>> {
    let shape = List {
        close: "}",
        what: "the conditions",
        trailing_comma: true,
    };
    list(input, &shape, |input| expression(input, Context::Condition))
}

/// `SHIFT duration`, if it comes next.
pub(super) fn shift(input: Tokens<'_>) -> Parsed<'_, Duration> {
    let (rest, _) = keyword("SHIFT").parse(input)?;
    expect("a duration such as `7d` after `SHIFT`", signed_duration)(rest)
}

/// The keys after `BY`, with or without parentheses round the whole list.
fn by(input: Tokens<'_>) -> Parsed<'_, Vec<ByItem>> {
    if input.is_symbol(0, "(") && !query_starts(input.skip(1)) && list_in_parentheses(input) {
        return list(
            input,
            &List {
                close: ")",
                what: "the keys of `BY`",
                trailing_comma: false,
            },
            by_item,
        );
    }
    separated(input, by_item)
}

/// Whether the parentheses that start here hold the whole list, and not the start of an expression.
fn list_in_parentheses(input: Tokens<'_>) -> bool {
    let mut depth = 0_usize;
    let mut length = 0;
    while let Some(kind) = input.peek(length) {
        match kind {
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => depth -= 1,
            _ => {}
        }
        length += 1;
        if depth == 0 {
            break;
        }
    }
    let after = input.skip(length);
    let expression = infix_follows(after) || after.is_symbol(0, ",") || direction(after).is_ok();
    !expression && !after.is_keyword(0, "AS")
}

/// `expression [AS alias] [ASC | DESC]`.
fn by_item(input: Tokens<'_>) -> Parsed<'_, ByItem> {
    let (rest, expr) = expression(input, Context::Value)?;
    let (rest, alias) = alias(rest)?;
    let (rest, direction) = opt(direction).parse(rest)?;
    Ok((
        rest,
        ByItem {
            expr: field_if_quoted(expr),
            alias,
            direction,
        },
    ))
}

/// The word `BY` of `ORDER BY` and `SORDER BY`.
fn by_word(input: Tokens<'_>) -> Parsed<'_, Span> {
    let first = input.text_at(0).to_ascii_uppercase();
    expect(&format!("`BY` after `{first}`"), keyword("BY"))(input.skip(1))
}

/// `expression [ASC | DESC]`.
fn order_key(input: Tokens<'_>) -> Parsed<'_, OrderKey> {
    let (rest, expr) = expression(input, Context::Value)?;
    let (rest, direction) = opt(direction).parse(rest)?;
    let direction = direction.unwrap_or(Direction::Ascending);
    Ok((
        rest,
        OrderKey {
            expr: field_if_quoted(expr),
            direction,
        },
    ))
}

/// `ASC` or `DESC`.
fn direction(input: Tokens<'_>) -> Parsed<'_, Direction> {
    let direction = match input.word(0) {
        Some(word) if word.eq_ignore_ascii_case("ASC") => Direction::Ascending,
        Some(word) if word.eq_ignore_ascii_case("DESC") => Direction::Descending,
        _ => return Err(Failure::elsewhere()),
    };
    Ok((input.skip(1), direction))
}

/// One or more elements with commas between them.
fn separated<'a, T>(
    input: Tokens<'a>,
    element: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, Vec<T>> {
    let (mut rest, first) = element(input)?;
    let mut found = vec![first];
    while let (after, Some(_)) = opt(symbol(",")).parse(rest)? {
        let (after, next) = element(after)?;
        found.push(next);
        rest = after;
    }
    Ok((rest, found))
}

/// The number after a clause such as `LIMIT`; `input` starts at the clause.
fn count(input: Tokens<'_>, clause: Clause) -> Parsed<'_, Count> {
    let rest = input.skip(1);
    let span = rest.span();
    match rest.word(0).map(word::classify) {
        Some(Word::Integer(value)) => Ok((rest.skip(1), Count { value, span })),
        Some(Word::Float(_) | Word::Duration(_) | Word::OutOfRange) => Err(bad_count(
            clause,
            &format!("needs a whole number, found `{}`", rest.text_at(0)),
            span,
        )),
        _ if rest.is_symbol(0, "-") && rest.word(1).is_some() => Err(bad_count(
            clause,
            "cannot be negative",
            span.to(rest.span_at(1)),
        )),
        _ => Err(Failure::diagnosed(unexpected(
            rest,
            &format!("a whole number after `{}`", clause.name()),
        ))),
    }
}

/// The error for a number that the clause does not take.
fn bad_count(clause: Clause, problem: &str, span: Span) -> Failed {
    Failure::diagnosed(
        Diagnostic::error(
            Code::InvalidNumber,
            format!("{} {problem}", clause.name()),
            span,
        )
        .with_hint(format!("write it as in `{} 10`", clause.name())),
    )
}

/// `FILTER query WITH {…}` or `LINK query [LINK query …] WITH {…}`.
fn link(input: Tokens<'_>, kind: LinkKind) -> Parsed<'_, Link> {
    let mut queries: Vec<Select> = Vec::new();
    let mut rest = input;
    while queries.is_empty() || (kind == LinkKind::Link && rest.is_keyword(0, "LINK")) {
        let (after, query) = joined_query(rest.skip(1))?;
        queries.push(*query);
        rest = after;
    }
    let (rest, _) = expect("`WITH` after the joined query", keyword("WITH"))(rest)?;
    if !rest.is_symbol(0, "{") {
        return Err(Failure::diagnosed(unexpected(rest, "`{` after `WITH`")));
    }
    let (rest, conditions) = conditions(rest)?;
    Ok((
        rest,
        Link {
            kind,
            queries,
            conditions,
            span: rest.span_from(input),
        },
    ))
}

/// A query that ends where the next `LINK` or `WITH` starts.
fn joined_query(input: Tokens<'_>) -> Parsed<'_, Box<Select>> {
    let joined = &Clause::OF_QUERY[..Clause::OF_QUERY.len() - 2];
    let (rest, query) = query(input.inside_query()?, joined)?;
    Ok((rest.at_level_of(input), query))
}
