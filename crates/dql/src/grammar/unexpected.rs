//! Errors about a token that does not fit.

use crate::ast::Statement;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::keyword::{CLAUSES, is_reserved, nearest};
use crate::token::{TokenKind, Tokens};

/// The error that `wanted` was expected at `input`.
pub(super) fn unexpected(input: Tokens<'_>, wanted: &str) -> Diagnostic {
    let error = Diagnostic::error(
        Code::ParseError,
        format!("expected {wanted}, found {}", found(input)),
        input.span(),
    );
    match advice(input) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The error for tokens after a complete statement.
pub(super) fn after_statement(input: Tokens<'_>, statement: &Statement) -> Diagnostic {
    if let Some(TokenKind::Symbol(symbol @ (")" | "]" | "}"))) = input.peek(0) {
        return Diagnostic::error(
            Code::ParseError,
            format!("`{symbol}` closes nothing"),
            input.span(),
        )
        .with_hint("remove it, or add the bracket that opens it");
    }
    let wanted = match statement {
        Statement::Select(_) => "a clause such as `BY` or `LIMIT`, or the end of the query",
        Statement::Show(_) => "`{`, `[`, `LIMIT`, `OFFSET` or the end of the query",
        Statement::Outer(_) => "`.`, `LIMIT` or the end of the query",
    };
    unexpected(input, wanted)
}

/// The next token as messages name it.
fn found(input: Tokens<'_>) -> String {
    if input.is_empty() {
        return "the end of the query".to_owned();
    }
    let text = input.text_at(0);
    let short: String = text.chars().take(40).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    match input.peek(0) {
        Some(TokenKind::Backquoted(_)) => format!("the name {short}{dots}"),
        _ => format!("`{short}{dots}`"),
    }
}

/// The likely meaning of the next token, and how DQL writes it.
fn advice(input: Tokens<'_>) -> Option<String> {
    match input.peek(0)? {
        TokenKind::Word(word) => word_advice(input, word),
        TokenKind::Symbol("-") if let Some(name) = input.glued() => Some(format!(
            "a name that holds `-` stands in backquotes: `{name}`"
        )),
        TokenKind::Symbol(symbol) => symbol_advice(input, symbol).map(str::to_owned),
        TokenKind::Placeholder(name) => Some(format!(
            "`{name}` is filled by a dashboard, put a value in its place"
        )),
        TokenKind::Quoted(_) | TokenKind::Backquoted(_) | TokenKind::Regex(_) => None,
    }
}

/// Advice about a word: a habit of SQL, a missing blank or a misspelling.
fn word_advice(input: Tokens<'_>, word: &str) -> Option<String> {
    if word.bytes().all(|byte| byte == b'.') && word.len() > 1 {
        return Some("`...` stands for something left out, write it in full".to_owned());
    }
    let sql = match word.to_ascii_uppercase().as_str() {
        "LIKE" => Some("DQL has no `LIKE`, write `field = wildcard('a*')` or `field = match('a')`"),
        "ILIKE" | "CONTAINS" => Some("write `field = match('text')` for a text inside a field"),
        "RLIKE" | "REGEXP" | "MATCH" => {
            Some("write `field = re('pattern')` or `field = match('text')`")
        }
        "IS" => Some("DQL tests for missing values with `field = nil` and `field != nil`"),
        "BETWEEN" => Some("DQL has no `BETWEEN`, write `field >= 1 AND field <= 9`"),
        "GROUP" => Some("DQL groups with `BY` alone: `BY field`"),
        "WHERE" => Some("DQL writes conditions in braces: `{field = 'value'}`"),
        "FROM" => Some("DQL writes the source first: `namespace::source:(fields)`"),
        "UNION" | "JOIN" => Some("DQL has no joins, ask two queries separated by `;`"),
        "TZ" => Some("the time zone belongs to the request, not to the query"),
        "ORDER" | "SORDER" => Some("write `ORDER BY field` or `SORDER BY field`"),
        _ => None,
    };
    if let Some(sql) = sql {
        return Some(sql.to_owned());
    }
    if let Some((keyword, rest)) = glued(word) {
        return Some(format!("a blank is missing: `{keyword} {rest}`"));
    }
    let operators = ["AND", "OR", "NOT", "IN", "ASC", "DESC"];
    let next_is_by = input.is_keyword(1, "BY");
    let near = nearest(
        word,
        CLAUSES
            .iter()
            .filter_map(|clause| clause.strip_suffix(" BY"))
            .filter(|_| next_is_by),
    )
    .map(|order| format!("{order} BY"))
    .or_else(|| nearest(word, CLAUSES.into_iter().chain(operators)).map(str::to_owned))
    .filter(|near| !near.eq_ignore_ascii_case(word));
    near.map(|near| format!("did you mean `{near}`?"))
}

/// A clause keyword that is written without a blank before the next word: `BYhost`, `LIMIT10`.
fn glued(word: &str) -> Option<(&str, &str)> {
    if is_reserved(word) {
        return None;
    }
    [
        "BY", "LIMIT", "OFFSET", "SLIMIT", "SOFFSET", "SHIFT", "HAVING", "AND",
    ]
    .iter()
    .find_map(|keyword| {
        let start = word.get(..keyword.len())?;
        let rest = word.get(keyword.len()..)?;
        let written_as_keyword =
            start == *keyword || rest.starts_with(|c: char| c.is_ascii_digit());
        (start.eq_ignore_ascii_case(keyword) && written_as_keyword && !rest.is_empty())
            .then_some((start, rest))
    })
}

/// Advice about a symbol.
fn symbol_advice(input: Tokens<'_>, symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "==" => "DQL compares with a single `=`",
        "<>" => "DQL writes `!=`",
        "!" => "DQL negates with `NOT`",
        "&" => "DQL joins conditions with `AND` or `&&`",
        "|" => "DQL joins conditions with `OR` or `||`",
        ":" => {
            "write `namespace::source:(fields)`: two colons behind the namespace, one before the fields"
        }
        "-" if input.is_symbol(1, "-") => "comments start with `#`",
        "/" if input.is_symbol(1, "/") || input.is_symbol(1, "*") => "comments start with `#`",
        _ => return None,
    })
}
