//! JSON values as serde_json writes them: no blanks, numbers and escapes in one form.

use std::fmt::Write as _;

use serde_json::Value;

use super::Unusual;
use super::scan::{Scanner, plain_integer};

/// Deeper values are unusual; serde_json refuses those beyond 127.
const MAX_DEPTH: usize = 64;

/// Objects with more keys are unusual: each key is compared with those before it.
const MAX_KEYS: usize = 64;

/// Writes the next value to `out`. `keys` is used for those of the objects in it.
pub(super) fn value<'c>(
    scanner: &mut Scanner<'c>,
    out: &mut String,
    keys: &mut Vec<&'c str>,
    depth: usize,
) -> Result<(), Unusual> {
    match scanner.peek().ok_or(Unusual)? {
        b'"' => text(scanner, out),
        b'{' => {
            let first_key = keys.len();
            out.push('{');
            members(scanner, out, keys, depth)?;
            out.push('}');
            keys.truncate(first_key);
            Ok(())
        }
        b'[' => items(scanner, out, keys, depth),
        _ => scalar(scanner.plain()?, out),
    }
}

/// Writes the members of the object that is next, without braces, and adds its keys to `keys`.
pub(super) fn members<'c>(
    scanner: &mut Scanner<'c>,
    out: &mut String,
    keys: &mut Vec<&'c str>,
    depth: usize,
) -> Result<(), Unusual> {
    let first_key = keys.len();
    scanner.take(b'{')?;
    if depth == MAX_DEPTH {
        return Err(Unusual);
    }
    if scanner.peek() == Some(b'}') {
        return scanner.take(b'}');
    }
    loop {
        let key = scanner.key()?;
        add_key(keys, first_key, key)?;
        write_key(key, out);
        value(scanner, out, keys, depth + 1)?;
        match scanner.next() {
            Some(b',') => out.push(','),
            Some(b'}') => return Ok(()),
            _ => return Err(Unusual),
        }
    }
}

/// Writes a key that needs no escapes, and the colon.
pub(super) fn write_key(key: &str, out: &mut String) {
    out.push('"');
    out.push_str(key);
    out.push_str("\":");
}

/// Adds a key to those from `first` on, if it is not among them.
pub(super) fn add_key<'c>(
    keys: &mut Vec<&'c str>,
    first: usize,
    key: &'c str,
) -> Result<(), Unusual> {
    let siblings = keys.get(first..).unwrap_or_default();
    if siblings.len() == MAX_KEYS || siblings.contains(&key) {
        return Err(Unusual);
    }
    keys.push(key);
    Ok(())
}

fn items<'c>(
    scanner: &mut Scanner<'c>,
    out: &mut String,
    keys: &mut Vec<&'c str>,
    depth: usize,
) -> Result<(), Unusual> {
    scanner.take(b'[')?;
    if depth == MAX_DEPTH {
        return Err(Unusual);
    }
    out.push('[');
    if scanner.peek() == Some(b']') {
        out.push(']');
        return scanner.take(b']');
    }
    loop {
        value(scanner, out, keys, depth + 1)?;
        match scanner.next() {
            Some(b',') => out.push(','),
            Some(b']') => {
                out.push(']');
                return Ok(());
            }
            _ => return Err(Unusual),
        }
    }
}

fn text(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Unusual> {
    let quoted = scanner.quoted()?;
    if quoted.is_escaped && !quoted.is_canonical() {
        let mut text = String::new();
        quoted.unescape_into(&mut text)?;
        out.push_str(&Value::from(text).to_string());
        return Ok(());
    }
    out.push('"');
    out.push_str(quoted.text);
    out.push('"');
    Ok(())
}

/// Writes a number or a word.
pub(super) fn scalar(plain: &str, out: &mut String) -> Result<(), Unusual> {
    if matches!(plain, "true" | "false" | "null") || plain_integer(plain).is_some() {
        out.push_str(plain);
        return Ok(());
    }
    match serde_json::from_str(plain) {
        // Writing to a String cannot fail.
        Ok(Value::Number(number)) => write!(out, "{number}").map_err(|_| Unusual),
        _ => Err(Unusual),
    }
}
