//! Diagnostics as text for people.

use crate::diagnostic::{Diagnostic, Severity};
use crate::span::Span;

/// A line and column as editors count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// The position of byte `offset` of `text`. An offset inside a character counts as its start, one after
/// the text as its end.
pub fn position(text: &str, offset: usize) -> Position {
    let before = &text[..boundary(text, offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// Draws a diagnostic with the lines it is about:
///
/// ```text
/// error[parse_error]: expected a clause such as `BY` or `LIMIT`, or the end of the query, found `LIMTI`
///  --> 1:10
///   |
/// 1 | TAE::*:() LIMTI 10
///   |           ^^^^^
///   = hint: did you mean `LIMIT`?
/// ```
///
/// A diagnostic of another origin is drawn with the lines of that text, and its name precedes the
/// position.
pub fn render(text: &str, diagnostic: &Diagnostic) -> String {
    let (text, name) = match &diagnostic.origin {
        Some(origin) => (origin.text.as_str(), format!("{}:", origin.name)),
        None => (text, String::new()),
    };
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut drawn = format!("{severity}[{}]: {}\n", diagnostic.code, diagnostic.message);
    let mut margin = 0;
    if let Some(span) = diagnostic.span {
        let mut marks = vec![Mark::new(text, span, '^', "")];
        if let Some((span, words)) = &diagnostic.label {
            marks.push(Mark::new(text, *span, '-', words));
        }
        margin = marks
            .iter()
            .map(|mark| mark.position.line)
            .max()
            .unwrap_or(1)
            .to_string()
            .len();
        let start = position(text, span.start);
        drawn.push_str(&format!(
            "{:margin$}--> {name}{}:{}\n{:margin$} |\n",
            "", start.line, start.column, ""
        ));
        marks.sort_by_key(|mark| mark.position.line);
        draw(&mut drawn, text, &marks, margin);
    }
    if let Some(hint) = &diagnostic.hint {
        drawn.push_str(&format!("{:margin$} = hint: {hint}\n", ""));
    }
    drawn
}

/// Something to underline.
struct Mark<'a> {
    position: Position,
    length: usize,
    sign: char,
    words: &'a str,
}

impl<'a> Mark<'a> {
    /// Underlines the part of `span` on its first line.
    fn new(text: &str, span: Span, sign: char, words: &'a str) -> Self {
        let start = boundary(text, span.start);
        let end = boundary(text, span.end.max(span.start));
        let first_line = text[start..end].lines().next().unwrap_or_default();
        Self {
            position: position(text, start),
            length: first_line.chars().count().max(1),
            sign,
            words,
        }
    }
}

/// Draws each marked line once, with its marks below it.
fn draw(drawn: &mut String, text: &str, marks: &[Mark<'_>], margin: usize) {
    let mut shown: Option<usize> = None;
    for mark in marks {
        let Position { line, column } = mark.position;
        let source = text
            .split('\n')
            .nth(line - 1)
            .unwrap_or_default()
            .trim_end_matches('\r');
        if shown != Some(line) {
            if shown.is_some_and(|before| before + 1 < line) {
                drawn.push_str("...\n");
            }
            drawn.push_str(&format!("{line:margin$} | {source}\n"));
            shown = Some(line);
        }
        // A tab stays a tab, so that the mark is below the character in every terminal.
        let indent: String = source
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let signs = mark.sign.to_string().repeat(mark.length);
        let line = format!("{:margin$} | {indent}{signs} {}", "", mark.words);
        drawn.push_str(line.trim_end());
        drawn.push('\n');
    }
}

/// The start of the character that `offset` lies in, or the end of the text.
fn boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
