//! The words of the language, and a cursor over them that nom parsers take as input.

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::failure::{Failed, Failure};
use crate::span::{Span, TextId};

/// How deep brackets, prefix operators and right operands may nest. Even a debug build needs less than
/// 768 KiB of stack for it.
pub(crate) const MAX_DEPTH: usize = 64;

/// One token with its span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) span: Span,
}

/// The kinds of token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'a> {
    /// A run of letters, digits, `_`, `.` and `@`: a name, keyword, number or duration. The
    /// grammar decides which.
    Word(&'a str),
    /// `'…'`, `"…"` or a base64 string, decoded.
    Quoted(String),
    /// `` `…` ``, decoded.
    Backquoted(String),
    /// ``re`…` ``, `re'…'` or `re"…"`, decoded.
    Regex(String),
    /// `#{name}` or `${name}` outside of quotes.
    Placeholder(&'a str),
    /// An operator, bracket or separator.
    Symbol(&'static str),
}

/// A position in the tokens of one text; cheap to copy, so that every parser gets its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    id: TextId,
    all: &'a [Token<'a>],
    at: usize,
    depth: usize,
}

impl<'a> Tokens<'a> {
    /// The start of the tokens of `text`.
    pub(crate) fn new(text: &'a str, all: &'a [Token<'a>]) -> Self {
        let id = all.first().map(|token| token.span.text);
        Self {
            text,
            id: id.unwrap_or_default(),
            all,
            at: 0,
            depth: 0,
        }
    }

    /// The token `ahead` tokens from here.
    pub(crate) fn peek(self, ahead: usize) -> Option<&'a TokenKind<'a>> {
        self.all.get(self.at + ahead).map(|token| &token.kind)
    }

    /// The same tokens without the first `count`.
    pub(crate) fn skip(self, count: usize) -> Self {
        Self {
            at: (self.at + count).min(self.all.len()),
            ..self
        }
    }

    /// The number of tokens before this position.
    pub(crate) fn index(self) -> usize {
        self.at
    }

    /// Whether all tokens were read.
    pub(crate) fn is_empty(self) -> bool {
        self.at >= self.all.len()
    }

    /// The span of the token `ahead` tokens from here, or the end of the text.
    pub(crate) fn span_at(self, ahead: usize) -> Span {
        let end = self
            .all
            .last()
            .map_or(self.text.len(), |token| token.span.end);
        self.all
            .get(self.at + ahead)
            .map_or(Span::new(end, end).of(self.id), |token| token.span)
    }

    /// The span of the next token, or the end of the text.
    pub(crate) fn span(self) -> Span {
        self.span_at(0)
    }

    /// The text that was written without blanks around the symbol here, such as `todo-app` at its `-`.
    pub(crate) fn glued(self) -> Option<&'a str> {
        let before = self
            .at
            .checked_sub(1)
            .and_then(|index| self.all.get(index))?;
        let after = self.all.get(self.at + 1)?;
        let words = matches!(
            (&before.kind, &after.kind),
            (TokenKind::Word(_), TokenKind::Word(_))
        );
        let glued = words && self.is_adjacent(0) && self.is_adjacent(1);
        glued
            .then(|| self.text.get(before.span.start..after.span.end))
            .flatten()
    }

    /// The span of everything from `start` up to here.
    pub(crate) fn span_from(self, start: Tokens<'_>) -> Span {
        let from = start.span().start;
        let last = self.at.checked_sub(1).and_then(|last| self.all.get(last));
        let end = last.map_or(from, |token| token.span.end.max(from));
        Span::new(from, end).of(self.id)
    }

    /// The text of the token `ahead` tokens from here.
    pub(crate) fn text_at(self, ahead: usize) -> &'a str {
        // The brackets around a clause are not in its text.
        if let Some(TokenKind::Symbol(symbol)) = self.peek(ahead) {
            return symbol;
        }
        let span = self.span_at(ahead);
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The word `ahead` tokens from here.
    pub(crate) fn word(self, ahead: usize) -> Option<&'a str> {
        match self.peek(ahead) {
            Some(TokenKind::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Whether the token `ahead` tokens from here is `symbol`.
    pub(crate) fn is_symbol(self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek(ahead), Some(TokenKind::Symbol(found)) if *found == symbol)
    }

    /// Whether the token `ahead` tokens from here is the word `keyword`, in any case.
    pub(crate) fn is_keyword(self, ahead: usize, keyword: &str) -> bool {
        self.word(ahead)
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    /// Whether no blank precedes the token `ahead` tokens from here.
    pub(crate) fn is_adjacent(self, ahead: usize) -> bool {
        let before = (self.at + ahead)
            .checked_sub(1)
            .and_then(|index| self.all.get(index));
        match (before, self.all.get(self.at + ahead)) {
            (Some(before), Some(token)) => before.span.end == token.span.start,
            _ => false,
        }
    }

    /// Whether `::` starts `ahead` tokens from here.
    pub(crate) fn is_double_colon(self, ahead: usize) -> bool {
        self.is_symbol(ahead, ":") && self.is_symbol(ahead + 1, ":") && self.is_adjacent(ahead + 1)
    }

    /// One level deeper, or the error that there are too many levels.
    pub(crate) fn deeper(self) -> Result<Self, Failed> {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::diagnosed(
                Diagnostic::error(
                    Code::TooDeep,
                    format!("the query nests deeper than {MAX_DEPTH} levels"),
                    self.span(),
                )
                .with_hint(
                    "take inner parts out, or write long lists of alternatives with `IN [...]`",
                ),
            ));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    /// Inside a query among others, which takes the stack of two levels.
    pub(crate) fn inside_query(self) -> Result<Self, Failed> {
        self.deeper()?.deeper()
    }

    /// The same position at the nesting level of `outer`.
    pub(crate) fn at_level_of(self, outer: Tokens<'_>) -> Self {
        Self {
            depth: outer.depth,
            ..self
        }
    }
}
