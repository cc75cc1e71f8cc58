//! The little language of `query_string` and `search`: words, phrases, AND, OR, NOT, groups.
//!
//! Blanks and commas mean AND, and the three operators count only in upper case. A word stands for
//! itself between word boundaries, with `*` for any run and `?` for one character of a word; `"…"` is
//! a phrase and `/…/` a regular expression found anywhere. Case does not count.

use regex::Regex;

use crate::patterns::Compiler;
use crate::resources::PatternError;

const DEEPEST_GROUP: usize = 64;

/// A parsed text query.
#[derive(Debug)]
pub(crate) enum TextQuery {
    /// The expression is found.
    Term(Regex),
    /// All hold.
    All(Vec<TextQuery>),
    /// One at least holds.
    Any(Vec<TextQuery>),
    /// It does not hold.
    Not(Box<TextQuery>),
}

impl TextQuery {
    /// Whether the text passes.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Term(regex) => regex.is_match(text),
            Self::All(parts) => parts.iter().all(|part| part.is_match(text)),
            Self::Any(parts) => parts.iter().any(|part| part.is_match(text)),
            Self::Not(part) => !part.is_match(text),
        }
    }
}

/// The words of `search`, all of which must occur; `#"…"` is a phrase.
pub(crate) fn words(text: &str, compiler: &mut Compiler) -> Result<TextQuery, PatternError> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(phrase) = rest.strip_prefix("#\"") {
            let (inside, after) = phrase
                .split_once('"')
                .ok_or("a phrase `#\"…` lacks its closing quote")?;
            parts.push(TextQuery::Term(term(inside, false, compiler)?));
            rest = after.trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            parts.push(TextQuery::Term(term(&rest[..end], false, compiler)?));
            rest = rest[end..].trim_start();
        }
    }
    if parts.is_empty() {
        return Err("there is no word to search for".into());
    }
    Ok(TextQuery::All(parts))
}

/// Parses a query string.
pub(crate) fn parse(text: &str, compiler: &mut Compiler) -> Result<TextQuery, PatternError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        position: 0,
        compiler,
    };
    let query = parser.any(0)?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err("a `)` has no opening `(`".into()),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Word(String),
    Phrase(String),
    Regex(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            ' ' | '\t' | '\r' | '\n' | ',' => {
                rest = &rest[1..];
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' => delimited(rest, '"', Token::Phrase)?,
            '/' => delimited(rest, '/', Token::Regex)?,
            '+' if rest.len() > 1 => {
                rest = &rest[1..];
                continue;
            }
            '-' | '!' if rest.len() > 1 => (Token::Not, 1),
            _ => word(rest),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn word(rest: &str) -> (Token, usize) {
    let length = rest
        .find(|next: char| next.is_whitespace() || matches!(next, '(' | ')' | '"' | ','))
        .unwrap_or(rest.len());
    let token = match &rest[..length] {
        "AND" | "&&" => Token::And,
        "OR" | "||" => Token::Or,
        "NOT" => Token::Not,
        word => Token::Word(word.to_owned()),
    };
    (token, length)
}

fn delimited(
    rest: &str,
    quote: char,
    token: fn(String) -> Token,
) -> Result<(Token, usize), String> {
    let mut inside = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((offset, character)) = characters.next() {
        if character == quote {
            return Ok((token(inside), offset + 1));
        }
        if character == '\\' {
            match characters.next() {
                Some((_, next)) if next == quote => inside.push(next),
                Some((_, next)) => inside.extend(['\\', next]),
                None => break,
            }
        } else {
            inside.push(character);
        }
    }
    Err(format!("a `{quote}` lacks its closing `{quote}`"))
}

struct Parser<'c> {
    tokens: Vec<Token>,
    position: usize,
    compiler: &'c mut Compiler,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.position += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<TextQuery, PatternError> {
        let mut parts = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(single(parts, TextQuery::Any))
    }

    fn all(&mut self, depth: usize) -> Result<TextQuery, PatternError> {
        let mut parts = vec![self.factor(depth)?];
        loop {
            let joined = self.take(&Token::And);
            match self.peek() {
                None | Some(Token::Or | Token::Close) if !joined => break,
                _ => parts.push(self.factor(depth)?),
            }
        }
        Ok(single(parts, TextQuery::All))
    }

    fn factor(&mut self, depth: usize) -> Result<TextQuery, PatternError> {
        if depth > DEEPEST_GROUP {
            return Err(format!("groups are nested deeper than {DEEPEST_GROUP}").into());
        }
        let token = self.peek().cloned();
        self.position += 1;
        match token {
            Some(Token::Open) => {
                let inside = self.any(depth + 1)?;
                if self.take(&Token::Close) {
                    Ok(inside)
                } else {
                    Err("a `(` lacks its `)`".into())
                }
            }
            Some(Token::Not) => Ok(TextQuery::Not(Box::new(self.factor(depth + 1)?))),
            Some(Token::Word(word)) => term(&word, true, self.compiler).map(TextQuery::Term),
            Some(Token::Phrase(phrase)) => term(&phrase, false, self.compiler).map(TextQuery::Term),
            Some(Token::Regex(pattern)) => regex(&pattern, self.compiler).map(TextQuery::Term),
            Some(Token::And | Token::Or) => Err("an operator lacks the word before it".into()),
            Some(Token::Close) => Err("there is nothing inside `()`".into()),
            None => Err("a word is missing at the end".into()),
        }
    }
}

fn single(mut parts: Vec<TextQuery>, join: fn(Vec<TextQuery>) -> TextQuery) -> TextQuery {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// A word or phrase between word boundaries. Scripts written without blanks, such as Chinese, have no
/// such boundaries, so an edge counts only next to an ASCII letter or digit.
fn term(text: &str, wildcards: bool, compiler: &mut Compiler) -> Result<Regex, PatternError> {
    let mut pattern = regex::escape(text);
    if wildcards {
        pattern = pattern.replace(r"\*", r"\w*").replace(r"\?", r"\w");
    }
    let bounded =
        |edge: Option<char>| edge.is_some_and(|edge| edge.is_ascii_alphanumeric() || edge == '_');
    let before = if bounded(text.chars().next()) {
        r"(?-u:\b)"
    } else {
        ""
    };
    let after = if bounded(text.chars().next_back()) {
        r"(?-u:\b)"
    } else {
        ""
    };
    regex(&format!("{before}{pattern}{after}"), compiler)
}

fn regex(pattern: &str, compiler: &mut Compiler) -> Result<Regex, PatternError> {
    let compiled = compiler.compile(pattern, true);
    compiled.map_err(|error| match error {
        PatternError::Wrong(_) => format!("`{pattern}` is not a regular expression").into(),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(query: &str, text: &str) -> bool {
        parse(query, &mut Compiler::default())
            .unwrap()
            .is_match(text)
    }

    #[test]
    fn blanks_mean_and() {
        assert!(matches("login failed", "Failed: user LOGIN"));
        assert!(!matches("login failed", "login ok"));
        assert!(matches("login, failed", "login failed"));
    }

    #[test]
    fn operators_groups_and_phrases() {
        assert!(matches(
            "(create OR delete) AND NOT role",
            "delete dashboard"
        ));
        assert!(!matches("(create OR delete) AND NOT role", "delete role"));
        assert!(matches("\"token created\"", "API token created"));
        assert!(!matches("\"token created\"", "created token"));
        assert!(matches("dash* -draft", "dashboards"));
        assert!(!matches("dash", "dashboards"));
        assert!(matches("/de.ete/", "undeleted"));
        assert!(matches("or", "this or that"));
    }

    #[test]
    fn chinese_needs_no_boundaries() {
        assert!(
            words("失败", &mut Compiler::default())
                .unwrap()
                .is_match("登录失败了")
        );
        assert!(
            words("#\"a b\" c", &mut Compiler::default())
                .unwrap()
                .is_match("c, a b")
        );
    }

    #[test]
    fn wrong_queries_say_what_is_wrong() {
        for (query, part) in [
            ("(a", "lacks its `)`"),
            ("a)", "no opening"),
            ("a AND", "missing at the end"),
            ("OR a", "lacks the word"),
            ("\"a", "closing"),
            ("", "missing"),
        ] {
            let PatternError::Wrong(message) = parse(query, &mut Compiler::default()).unwrap_err()
            else {
                panic!("{query}")
            };
            assert!(message.contains(part), "{query}: {message}");
        }
        assert!(parse(&"(".repeat(100_000), &mut Compiler::default()).is_err());
    }
}
