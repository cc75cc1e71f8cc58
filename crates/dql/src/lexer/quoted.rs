//! Quoted tokens: strings, backquoted names, regular expressions and base64 strings.

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::lexer::base64;
use crate::span::Span;
use crate::token::TokenKind;

/// A token, and the text after it.
type Lexeme<'a> = Result<(&'a str, TokenKind<'a>), Box<Diagnostic>>;

/// The prefix of the opening quote.
enum Prefix {
    None,
    Regex,
    Base64,
}

/// The quoted token that `rest` starts with; `None` when it starts with none.
pub(super) fn token(rest: &str, start: usize) -> Option<Lexeme<'_>> {
    let word: usize = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let quote = rest[word..]
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"' | '`'))?;
    let prefix = match rest[..word].to_ascii_lowercase().as_str() {
        "" => Prefix::None,
        "re" | "regex" | "regexp" => Prefix::Regex,
        "b64" => Prefix::Base64,
        _ => return None,
    };
    Some(body(rest, start, word, quote, &prefix))
}

/// The token whose opening quote is after `word` bytes.
fn body<'a>(rest: &'a str, start: usize, word: usize, quote: char, prefix: &Prefix) -> Lexeme<'a> {
    let inner = &rest[word + 1..];
    let Some(length) = closing(inner, quote) else {
        return Err(Box::new(unterminated(
            inner,
            quote,
            Span::new(start + word, start + word + 1),
        )));
    };
    let text = unescape(&inner[..length], quote);
    let after = &inner[length + 1..];
    let span = Span::new(start, start + word + length + 2);
    let kind = match prefix {
        Prefix::None if quote == '`' => TokenKind::Backquoted(text),
        Prefix::None => TokenKind::Quoted(text),
        Prefix::Regex => TokenKind::Regex(text),
        Prefix::Base64 => TokenKind::Quoted(base64::decode(&text).map_err(|problem| {
            Box::new(
                Diagnostic::error(
                    Code::InvalidBase64,
                    format!("this base64 string {problem}"),
                    span,
                )
                .with_hint("write plain text in quotes without the prefix `b64`"),
            )
        })?),
    };
    Ok((after, kind))
}

/// The byte offset of the quote that closes `inner`.
fn closing(inner: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// The error for a quote that is never closed.
fn unterminated(inner: &str, quote: char, span: Span) -> Diagnostic {
    let what = if quote == '`' { "name" } else { "string" };
    let error = Diagnostic::error(
        Code::UnterminatedString,
        format!("the {what} that starts here is not closed"),
        span,
    );
    match inner.chars().find(|c| plain_quote(*c).is_some()) {
        Some(typographic) => error.with_hint(format!(
            "`{typographic}` is a typographic quote and closes nothing, write {}",
            spoken(quote)
        )),
        None if inner.ends_with(&format!("\\{quote}")) => error
            .with_hint("the last quote is escaped by a backslash, write `\\\\` for a backslash"),
        None => error.with_hint(format!("add {} behind the {what}", spoken(quote))),
    }
}

/// A quote as messages name it.
fn spoken(quote: char) -> &'static str {
    match quote {
        '`' => "a backquote",
        '"' => "`\"`",
        _ => "`'`",
    }
}

/// The plain quote that a typographic one was meant to be.
pub(super) fn plain_quote(c: char) -> Option<&'static str> {
    match c {
        '‘' | '’' | '‚' | '‛' | '′' | '＇' | '´' => Some("`'`"),
        '“' | '”' | '„' | '‟' | '″' | '＂' | '«' | '»' => Some("`\"`"),
        _ => None,
    }
}

/// The text between quotes with its escapes resolved. A backslash before a character that needs no escape
/// stays, so that `'\d'` is a usable pattern; in backquotes only quotes and the backslash can be escaped.
fn unescape(raw: &str, quote: char) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match characters.next() {
            Some(escaped @ ('\\' | '\'' | '"' | '`')) => text.push(escaped),
            Some('n') if quote != '`' => text.push('\n'),
            Some('r') if quote != '`' => text.push('\r'),
            Some('t') if quote != '`' => text.push('\t'),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}
