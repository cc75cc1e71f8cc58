//! The brackets that are open at the end of a text.

use crate::span::Span;
use crate::token::{Token, TokenKind};

/// The items between an open bracket and the end; closed brackets are one item.
#[derive(Debug)]
pub(super) struct Level<'a> {
    /// The opening symbol; empty for the statement itself.
    pub(super) open: &'static str,
    /// The span of the opening symbol.
    pub(super) span: Span,
    /// The items after it.
    pub(super) items: Vec<Item<'a>>,
}

/// A token, or brackets with their content.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    /// A token that is no bracket.
    Token(&'a Token<'a>),
    /// Closed brackets.
    Group {
        /// The opening symbol.
        open: &'static str,
        /// The tokens between the brackets.
        inner: &'a [Token<'a>],
        /// The brackets and their content.
        span: Span,
    },
}

impl<'a> Item<'a> {
    /// The word it is.
    pub(super) fn word(self) -> Option<&'a str> {
        match self {
            Item::Token(Token {
                kind: TokenKind::Word(word),
                ..
            }) => Some(word),
            _ => None,
        }
    }

    /// Whether it is the word `keyword`, in any case.
    pub(super) fn is_keyword(self, keyword: &str) -> bool {
        self.word()
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    /// Its symbol, if it is not brackets.
    pub(super) fn symbol(self) -> Option<&'static str> {
        match self {
            Item::Token(Token {
                kind: TokenKind::Symbol(symbol),
                ..
            }) => Some(symbol),
            _ => None,
        }
    }

    /// The name it can be: a word or a quoted text.
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Item::Token(token) => match &token.kind {
                TokenKind::Word(word) => Some(word),
                TokenKind::Quoted(text) | TokenKind::Backquoted(text) => Some(text),
                _ => None,
            },
            Item::Group { .. } => None,
        }
    }

    /// Whether it is a group with this opening symbol.
    pub(super) fn is_group(self, wanted: &str) -> bool {
        matches!(self, Item::Group { open, .. } if open == wanted)
    }

    /// Its span.
    pub(super) fn span(self) -> Span {
        match self {
            Item::Token(token) => token.span,
            Item::Group { span, .. } => span,
        }
    }
}

/// The opening symbol of the brackets that `close` closes.
fn opening(close: &str) -> Option<&'static str> {
    match close {
        ")" => Some("("),
        "]" => Some("["),
        "}" => Some("{"),
        _ => None,
    }
}

/// The open brackets of the last statement, the outermost first. A closing bracket also closes what was left open
/// inside it; one that closes nothing is skipped.
pub(super) fn levels<'a>(tokens: &'a [Token<'a>]) -> Vec<Level<'a>> {
    let statement = || Level {
        open: "",
        span: Span::default(),
        items: Vec::new(),
    };
    let mut levels: Vec<(Level<'a>, usize)> = vec![(statement(), 0)];
    for (index, token) in tokens.iter().enumerate() {
        let TokenKind::Symbol(symbol) = token.kind else {
            push(&mut levels, Item::Token(token));
            continue;
        };
        match symbol {
            "(" | "[" | "{" => levels.push((
                Level {
                    open: symbol,
                    span: token.span,
                    items: Vec::new(),
                },
                index,
            )),
            ";" => levels = vec![(statement(), index)],
            _ => match opening(symbol) {
                Some(open) => close(&mut levels, open, tokens, index),
                None => push(&mut levels, Item::Token(token)),
            },
        }
    }
    levels.into_iter().map(|(level, _)| level).collect()
}

/// Adds an item to the innermost level.
fn push<'a>(levels: &mut [(Level<'a>, usize)], item: Item<'a>) {
    if let Some((level, _)) = levels.last_mut() {
        level.items.push(item);
    }
}

/// Closes the innermost level that `open` opened; the closing token is at `index`.
fn close<'a>(
    levels: &mut Vec<(Level<'a>, usize)>,
    open: &'static str,
    tokens: &'a [Token<'a>],
    index: usize,
) {
    // Looking no further than a few levels keeps the time linear, whatever the brackets are.
    let near = levels.len().saturating_sub(8).max(1);
    let Some(at) = (near..levels.len())
        .rev()
        .find(|at| levels[*at].0.open == open)
    else {
        return;
    };
    let (level, start) = levels.swap_remove(at);
    levels.truncate(at);
    push(
        levels,
        Item::Group {
            open,
            inner: &tokens[start + 1..index],
            span: level.span.to(tokens[index].span),
        },
    );
}
