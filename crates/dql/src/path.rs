//! Field names with a path into the JSON they hold: `message@request.headers["user-agent"][0]`.

use crate::ast::{Field, PathStep};
use crate::lexer::word;

/// The field that `text` names. The part after `@` is a path if it can be read as one; otherwise the
/// whole text is a name.
pub(crate) fn field(text: &str) -> Field {
    if let Some((name, path)) = text.split_once('@')
        && let Some(path) = steps(path)
        && !path.is_empty()
    {
        return Field {
            name: name.to_owned(),
            path,
        };
    }
    Field {
        name: text.to_owned(),
        path: Vec::new(),
    }
}

/// The steps of a path whose first key has no dot before it; `None` when it is not a path.
pub(crate) fn steps(path: &str) -> Option<Vec<PathStep>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = bracketed(inner)?;
            steps.push(step);
            rest = after;
        } else {
            let dotted = if steps.is_empty() {
                rest
            } else {
                rest.strip_prefix('.')?
            };
            let end = dotted.find(['.', '[']).unwrap_or(dotted.len());
            let key = &dotted[..end];
            if !is_plain_key(key) {
                return None;
            }
            steps.push(PathStep::Key(key.to_owned()));
            rest = &dotted[end..];
        }
    }
    Some(steps)
}

/// Whether `key` is written after a dot; others are in brackets.
fn is_word(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| word::is_word_char(c) && c != '.')
}

/// Whether `key` can follow a dot.
fn is_plain_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(['.', '[', ']', '"', '\'', '`', '\\'])
}

/// The step between brackets, and the text after the closing one.
fn bracketed(inner: &str) -> Option<(PathStep, &str)> {
    let quote = inner.chars().next()?;
    if quote != '"' && quote != '\'' {
        let (digits, rest) = inner.split_once(']')?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        return plain
            .then(|| digits.parse().ok())
            .flatten()
            .map(|index| (PathStep::Index(index), rest));
    }
    let mut key = String::new();
    let mut characters = inner.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => key.push(characters.next()?.1),
            _ if c == quote => {
                let rest = inner[at + 1..].strip_prefix(']')?;
                return Some((PathStep::Key(key), rest));
            }
            _ => key.push(c),
        }
    }
    None
}

/// The field as text without outer quotes, which [`field`] reads back.
pub(crate) fn text_of(field: &Field) -> String {
    let mut text = field.name.clone();
    for (position, step) in field.path.iter().enumerate() {
        if position == 0 {
            text.push('@');
        }
        match step {
            PathStep::Index(index) => text.push_str(&format!("[{index}]")),
            PathStep::Key(key) if is_word(key) => {
                if position > 0 {
                    text.push('.');
                }
                text.push_str(key);
            }
            PathStep::Key(key) => {
                let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
                text.push_str(&format!("[\"{escaped}\"]"));
            }
        }
    }
    text
}
