//! The names that the text of a query defines.

use super::Wanted;
use super::levels::Item;
use crate::ast::{ExprKind, Select, Statement};
use crate::column_name;
use crate::grammar::parse;
use crate::token::{Token, TokenKind};

/// The names of the query around the position.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Its namespace.
    pub(super) namespace: Option<String>,
    /// Its sources with plain names.
    pub(super) sources: Vec<String>,
    /// The columns of its inner query, if it has one; then there are no other fields.
    columns: Option<Vec<String>>,
    /// The aliases of its columns and keys.
    aliases: Vec<String>,
    /// The names of lists from inner queries.
    pub(super) lists: Vec<String>,
}

impl Scope {
    /// The names that can be used like a field.
    pub(super) fn fields(&self) -> Vec<Wanted> {
        let mut names = self.aliases.clone();
        names.extend(self.columns.iter().flatten().cloned());
        let mut found = Vec::new();
        if !names.is_empty() {
            found.push(Wanted::Names(names));
        }
        if self.columns.is_none() {
            found.push(Wanted::Fields);
        }
        found
    }

    /// Notes a source.
    pub(super) fn add_source(&mut self, text: &str, item: Item<'_>) {
        if let Item::Group { inner, span, .. } = item {
            self.lists.extend(aliases(inner));
            let query = text
                .get(span.start + 1..span.end.saturating_sub(1))
                .unwrap_or_default();
            let columns = self.columns.get_or_insert_default();
            columns.extend(columns_of(query, inner));
            columns.push("time".to_owned());
        } else if let Some(name) = item.name().filter(|name| *name != "*") {
            self.sources.push(name.to_owned());
        }
    }

    /// Notes the aliases among `tokens`.
    pub(super) fn add_aliases(&mut self, tokens: &[Token<'_>]) {
        self.aliases.extend(aliases(tokens));
    }

    /// Notes an alias.
    pub(super) fn add_alias(&mut self, alias: &str) {
        self.aliases.push(alias.to_owned());
    }
}

/// The names after AS.
fn aliases(tokens: &[Token<'_>]) -> Vec<String> {
    tokens
        .windows(2)
        .filter(|pair| matches!(&pair[0].kind, TokenKind::Word(word) if word.eq_ignore_ascii_case("AS")))
        .filter_map(|pair| Item::Token(&pair[1]).name())
        .map(str::to_owned)
        .collect()
}

/// The columns of an inner query, or those that are found in one that does not parse.
fn columns_of(query: &str, tokens: &[Token<'_>]) -> Vec<String> {
    let Ok(script) = parse(query) else {
        return aliases(tokens);
    };
    match script.statements.as_slice() {
        [Statement::Select(select)] => columns(select),
        _ => Vec::new(),
    }
}

/// The names of the columns and keys of a query.
fn columns(select: &Select) -> Vec<String> {
    let named = |alias: &Option<crate::ast::Ident>, expr| {
        alias
            .as_ref()
            .map_or_else(|| column_name(expr), |alias| alias.text.clone())
    };
    let items = select
        .target
        .iter()
        .flatten()
        .filter(|item| !matches!(item.expr.kind, ExprKind::Star))
        .map(|item| named(&item.alias, &item.expr));
    let keys = select.by.iter().map(|key| named(&key.alias, &key.expr));
    items.chain(keys).collect()
}
