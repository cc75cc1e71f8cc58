//! Text to tokens.
//!
//! The lexer knows quotes, comments and the shape of words, and not what a word means. It stops at
//! the first character that starts no token; the tokens before it are still parsed, because mistakes
//! earlier in the text are reported first.

mod base64;
mod quoted;
pub(crate) mod word;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::{map, recognize};
use nom::error::{Error, ErrorKind};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::{Span, TextId};
use crate::token::{Token, TokenKind};

/// The tokens of a text, up to its end or to the first error.
pub(crate) struct Lexed<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    pub(crate) error: Option<Diagnostic>,
}

/// Splits a text into tokens.
pub(crate) fn tokens(text: &str, id: TextId) -> Lexed<'_> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = next(text, at) {
        match next {
            Ok(token) => {
                at = token.span.end;
                let span = token.span.of(id);
                tokens.push(Token { span, ..token });
            }
            Err(mut error) => {
                error.span = error.span.map(|span| span.of(id));
                return Lexed {
                    tokens,
                    error: Some(*error),
                };
            }
        }
    }
    Lexed {
        tokens,
        error: None,
    }
}

/// The tokens of a text that may be wrong.
pub(crate) struct Tolerated<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    /// Where the quoted text starts that does not end.
    pub(crate) open_quote: Option<usize>,
}

/// Splits `text` into tokens and skips characters that start no token.
pub(crate) fn tokens_despite_errors(text: &str) -> Tolerated<'_> {
    let mut tokens = Vec::new();
    let mut open_quote = None;
    let mut at = 0;
    while let Some(next) = next(text, at) {
        match next {
            Ok(token) => {
                at = token.span.end;
                tokens.push(token);
            }
            Err(error) if error.code == Code::UnterminatedString => {
                open_quote = Some(text.len() - blank(&text[at..]).len());
                break;
            }
            Err(error) => at = error.span.map_or(text.len(), |span| span.end),
        }
    }
    Tolerated { tokens, open_quote }
}

/// The next token at or after byte `at`.
fn next(text: &str, at: usize) -> Option<Result<Token<'_>, Box<Diagnostic>>> {
    let rest = blank(&text[at..]);
    if rest.is_empty() {
        return None;
    }
    let start = text.len() - rest.len();
    Some(token(rest, start).map(|(after, kind)| Token {
        kind,
        span: Span::new(start, text.len() - after.len()),
    }))
}

/// Skips white space, comments and a byte order mark.
fn blank(mut text: &str) -> &str {
    loop {
        let trimmed = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if !trimmed.starts_with('#') || placeholder(trimmed).is_ok() {
            return trimmed;
        }
        text = trimmed.find('\n').map_or("", |end| &trimmed[end..]);
    }
}

/// The first token of `rest`, which starts at byte `start` of the whole text.
fn token(rest: &str, start: usize) -> Result<(&str, TokenKind<'_>), Box<Diagnostic>> {
    if let Some(result) = quoted::token(rest, start) {
        return result;
    }
    alt((
        map(word, TokenKind::Word),
        map(symbol, TokenKind::Symbol),
        map(placeholder, TokenKind::Placeholder),
    ))
    .parse(rest)
    .map_err(|_| Box::new(unknown_character(rest, start)))
}

/// `#{name}`, `${name}` or `$name`.
fn placeholder(text: &str) -> IResult<&str, &str> {
    let inner = |c: char| c.is_alphanumeric() || "_.:-".contains(c);
    alt((
        recognize(delimited(
            alt((tag("#{"), tag("${"))),
            take_while1(inner),
            tag("}"),
        )),
        recognize((
            tag("$"),
            take_while1(|c: char| c.is_alphanumeric() || c == '_'),
        )),
    ))
    .parse(text)
}

/// A run of word characters. A signed exponent belongs to the number before it: `1e-9`.
fn word(text: &str) -> IResult<&str, &str> {
    let (rest, run) = take_while1(word::is_word_char)(text)?;
    if word::is_mantissa(run) {
        let exponent: IResult<&str, &str> = recognize((
            alt((tag("+"), tag("-"))),
            take_while1(|c: char| c.is_ascii_digit()),
        ))
        .parse(rest);
        if let Ok((rest, digits)) = exponent {
            return Ok((rest, &text[..run.len() + digits.len()]));
        }
    }
    Ok((rest, run))
}

/// Operators, brackets and separators, longer ones first. `==` and the like are no part of the language; they
/// are tokens so that they can be explained.
const SYMBOLS: [&str; 30] = [
    "=~", "==", "!=", "!~", "<=", "<>", ">=", "&&", "||", "=", "<", ">", "!", "&", "|", "+", "-",
    "*", "/", "%", "^", "(", ")", "[", "]", "{", "}", ",", ";", ":",
];

/// One of the [`SYMBOLS`].
fn symbol(text: &str) -> IResult<&str, &'static str> {
    match SYMBOLS.iter().find(|symbol| text.starts_with(**symbol)) {
        Some(symbol) => Ok((&text[symbol.len()..], symbol)),
        None => Err(nom::Err::Error(Error::new(text, ErrorKind::Tag))),
    }
}

/// The error for a character that starts no token.
fn unknown_character(rest: &str, start: usize) -> Diagnostic {
    let found = rest.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
    let span = Span::new(start, start + found.len_utf8());
    if let Some(plain) = quoted::plain_quote(found) {
        return Diagnostic::error(
            Code::TypographicQuote,
            format!("`{found}` is a typographic quote"),
            span,
        )
        .with_hint(format!("write the plain quote {plain}"));
    }
    let shown = if found.is_control() || word::is_invisible(found) {
        format!("U+{:04X}", u32::from(found))
    } else {
        found.to_string()
    };
    let error = Diagnostic::error(
        Code::UnexpectedCharacter,
        format!("`{shown}` has no meaning outside of quotes"),
        span,
    );
    match fullwidth(found) {
        Some(plain) => error.with_hint(format!("write the plain character `{plain}`")),
        None if found == '\\' => error.with_hint("a backslash escapes only inside quotes"),
        None => error.with_hint("a name that holds it stands in backquotes, a text in quotes"),
    }
}

/// The ASCII character that a fullwidth or ideographic one means.
fn fullwidth(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '、' => Some(','),
        '。' => Some('.'),
        _ => None,
    }
}

/// Splits `text` after the leading characters that fit. Unlike `take_while`, it cannot fail.
fn split_while(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    let result: IResult<&str, &str> = take_while(fits)(text);
    result.map_or((text, ""), |(rest, run)| (rest, run))
}
