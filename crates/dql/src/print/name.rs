//! Names and quoted texts.

use std::fmt;

use super::Printer;
use crate::ast::{Field, Ident};
use crate::keyword;
use crate::lexer::word::{self, Word};
use crate::path;

impl Printer<'_> {
    /// A name, in backquotes where it needs them.
    pub(super) fn name(&mut self, name: &Ident) -> fmt::Result {
        self.quoted_name(&name.text)
    }

    /// A field where a backquoted word is a field.
    pub(super) fn field(&mut self, field: &Field) -> fmt::Result {
        let text = path::text_of(field);
        if text == "*" {
            self.identifier_call(&text)
        } else {
            self.quoted_name(&text)
        }
    }

    /// A field where a backquoted word would be a text.
    pub(super) fn field_among_texts(&mut self, field: &Field) -> fmt::Result {
        let text = path::text_of(field);
        if is_plain(&text) {
            self.text(&text)
        } else {
            self.identifier_call(&text)
        }
    }

    /// A field where a backquoted word is a field unless it reads as a query.
    pub(super) fn field_among_arguments(&mut self, field: &Field) -> fmt::Result {
        if crate::quoting::is_query_text(&path::text_of(field)) {
            self.field_among_texts(field)
        } else {
            self.field(field)
        }
    }

    /// `identifier('name')`, the way to write a field that works everywhere.
    fn identifier_call(&mut self, text: &str) -> fmt::Result {
        if !self.quotes_names {
            return self.text(text);
        }
        self.text("identifier(")?;
        self.string(text)?;
        self.text(")")
    }

    /// `text` as a name.
    fn quoted_name(&mut self, text: &str) -> fmt::Result {
        if !self.quotes_names || is_plain(text) {
            return self.text(text);
        }
        self.in_backquotes(text)
    }

    /// `text` in backquotes.
    pub(super) fn in_backquotes(&mut self, text: &str) -> fmt::Result {
        self.out.write_char('`')?;
        for c in text.chars() {
            if matches!(c, '\\' | '`' | '"') {
                self.out.write_char('\\')?;
            }
            self.out.write_char(c)?;
        }
        self.out.write_char('`')
    }

    /// A string in single quotes.
    pub(super) fn string(&mut self, text: &str) -> fmt::Result {
        self.out.write_char('\'')?;
        for c in text.chars() {
            match c {
                '\\' => self.text("\\\\")?,
                '\'' => self.text("\\'")?,
                '\n' => self.text("\\n")?,
                '\r' => self.text("\\r")?,
                '\t' => self.text("\\t")?,
                _ => self.out.write_char(c)?,
            }
        }
        self.out.write_char('\'')
    }
}

/// Whether `text` reads as a name without quotes.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(word::is_word_char)
        && word::is_name(text)
        && !text.starts_with('.')
        && !keyword::is_reserved(text)
        && word::classify(text) == Word::Name
        && !word::is_mantissa(text)
}
