//! The completions at a position of a query that is being written.
//!
//! The text before the position need not be a query yet, so the grammar does not read it. Only the brackets
//! that are open at the position matter, and the tokens in each of them so far: `levels` finds them, `context`
//! classifies each one, and `query`, `window` and `expression` propose its next element.

mod arguments;
mod context;
mod expression;
mod functions;
mod levels;
mod query;
mod scope;
mod window;

use crate::lexer;
use crate::lexer::word::is_word_char;
use crate::span::Span;
use crate::token::{Token, TokenKind};

pub use functions::{FunctionRole, FunctionSignature};

/// The completions at a position of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The span that a proposal replaces: the word or the quoted text that the position is in or directly
    /// after, with its quotes and with its part after the position; otherwise empty, at the position.
    pub replace: Span,
    /// Its part before the position, without the opening quote. Proposals begin with it.
    pub typed: String,
    /// The namespace of the query around the position, as written.
    pub namespace: Option<String>,
    /// The sources of that query that are plain names.
    pub sources: Vec<String>,
    /// The kinds of completions, the most useful first. Empty inside a comment.
    pub wanted: Vec<Wanted>,
}

/// A kind of completions.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A namespace, with `::` after it.
    Namespaces,
    /// A source of [`Completion::namespace`].
    Sources,
    /// A field of the events of [`Completion::sources`].
    Fields,
    /// Names that the text itself defines: aliases, columns of an inner query, lists, the queries of `eval`.
    Names(Vec<String>),
    /// Names of arguments, with `=` after them.
    Arguments(Vec<&'static str>),
    /// A value of this field, which is canonical text. A value that is a text is in quotes.
    Values {
        /// The field.
        field: String,
    },
    /// Functions, with `(` after them.
    Functions(Vec<FunctionSignature>),
    /// Words of the language, in upper case; `ORDER BY` is one of them.
    Keywords(Vec<&'static str>),
    /// Operators, brackets and separators.
    Symbols(Vec<&'static str>),
    /// A literal or a new name, which only the author knows.
    Literal {
        /// Its kind.
        kind: LiteralKind,
        /// Usual ones.
        examples: &'static [&'static str],
    },
}

/// The kinds of literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteralKind {
    /// A number.
    Number,
    /// A length of time.
    Duration,
    /// A point in time in a window: a duration ago, a date, a Unix time.
    Time,
    /// The step of a window.
    Step,
    /// A text in quotes.
    Text,
    /// A pattern.
    Pattern,
    /// A query in quotes.
    Query,
    /// A new name.
    Name,
}

/// The completions at byte `offset` of `text`, complete or not. An offset inside a character counts as its start,
/// one after the text as its end.
///
/// ```
/// use dql::Wanted;
///
/// let text = "TAE::audit:(*) {result = ";
/// let completion = dql::complete(text, text.len());
/// assert_eq!(completion.namespace.as_deref(), Some("TAE"));
/// assert_eq!(completion.wanted[0], Wanted::Values { field: "result".to_owned() });
/// ```
pub fn complete(text: &str, offset: usize) -> Completion {
    let offset = floor_boundary(text, offset);
    let before = &text[..offset];
    let mut tokens = lexer::tokens_despite_errors(before);
    if in_comment(before, &tokens.tokens) {
        return nothing(offset);
    }
    if let Some(start) = tokens.open_quote {
        return in_quotes(text, offset, start, &tokens.tokens);
    }
    let mut start = offset;
    if let Some(last) = tokens.tokens.last()
        && last.span.end == offset
        && is_unfinished(&last.kind)
    {
        start = last.span.start;
        tokens.tokens.pop();
    }
    let typed = &text[start..offset];
    let dot = usize::from(typed.starts_with('.') && follows_call(&tokens.tokens));
    let after: usize = text[offset..]
        .chars()
        .take_while(|c| start < offset && typed.starts_with(is_word_char) && is_word_char(*c))
        .map(char::len_utf8)
        .sum();
    let mut completion = context::wanted(before, &tokens.tokens, dot == 1);
    let replace = Span::new(start + dot, offset + after);
    completion.typed = typed[dot..].to_owned();
    completion.replace = replace;
    completion
}

/// Whether more may be typed at the end of a token: a word, or the start of a longer operator.
fn is_unfinished(kind: &TokenKind<'_>) -> bool {
    match kind {
        TokenKind::Word(_) => true,
        TokenKind::Symbol(symbol) => matches!(*symbol, "!" | "&" | "|"),
        TokenKind::Quoted(_)
        | TokenKind::Backquoted(_)
        | TokenKind::Regex(_)
        | TokenKind::Placeholder(_) => false,
    }
}

/// Whether the tokens end in a call, after which `.` chains the next one.
fn follows_call(tokens: &[Token<'_>]) -> bool {
    tokens
        .last()
        .is_some_and(|token| token.kind == TokenKind::Symbol(")"))
}

/// The start of the character that `offset` lies in, or the end of the text.
fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Whether `before` ends inside a comment.
fn in_comment(before: &str, tokens: &[Token<'_>]) -> bool {
    let after = tokens.last().map_or(0, |token| token.span.end);
    let rest = &before[after..];
    let line = rest.rfind('\n').map_or(rest, |newline| &rest[newline..]);
    line.contains('#')
}

/// No completions.
fn nothing(offset: usize) -> Completion {
    Completion {
        replace: Span::new(offset, offset),
        typed: String::new(),
        namespace: None,
        sources: Vec::new(),
        wanted: Vec::new(),
    }
}

/// The completions in the quotes that open at `start`, after `tokens`.
fn in_quotes(text: &str, offset: usize, start: usize, tokens: &[Token<'_>]) -> Completion {
    let quoted = &text[start..];
    let prefix = quoted.find(['\'', '"', '`']).unwrap_or_default();
    let inner = start + prefix + 1;
    let typed = text.get(inner..offset).unwrap_or_default();
    let quote = quoted[prefix..].chars().next().unwrap_or('\'');
    let after = &text[offset..];
    // A later quote belongs to another text if brackets or separators precede it.
    let inside = after
        .find(quote)
        .filter(|at| !after[..*at].contains(['\n', '(', ')', '{', '}', '[', ']', ',', '\\']));
    let replace = Span::new(start, inside.map_or(offset, |at| offset + at + 1));
    let mut completion = context::wanted(&text[..start], tokens, false);
    let holds_query = completion.wanted.iter().any(|wanted| {
        matches!(
            wanted,
            Wanted::Literal {
                kind: LiteralKind::Query,
                ..
            }
        )
    });
    if holds_query && prefix == 0 && !typed.contains('\\') {
        let mut completion = complete(typed, typed.len());
        completion.replace.start += inner;
        completion.replace.end += inner;
        return completion;
    }
    completion
        .wanted
        .retain(|wanted| prefix == 0 && fits_in_quotes(wanted, quote));
    completion.replace = replace;
    completion.typed = typed.to_owned();
    completion
}

/// Whether something may be written in quotes of this kind.
fn fits_in_quotes(wanted: &Wanted, quote: char) -> bool {
    match wanted {
        Wanted::Values { .. } => true,
        Wanted::Literal { kind, .. } => {
            matches!(
                kind,
                LiteralKind::Text | LiteralKind::Pattern | LiteralKind::Name
            )
        }
        Wanted::Sources => true,
        Wanted::Fields | Wanted::Names(_) | Wanted::Namespaces => quote == '`',
        Wanted::Arguments(_) | Wanted::Functions(_) | Wanted::Keywords(_) | Wanted::Symbols(_) => {
            false
        }
    }
}
