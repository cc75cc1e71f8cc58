//! Named lists: a second source whose values IN compares,
//! ``TAE::audit, (TAE::audit:(collect_distinct(x) AS `@known`)):(*) {y IN `@known`}``.

use dql::Code;
use dql::ast::{Ident, Item, Select, Source};

use super::function::is_list_call;
use super::name::nearest;
use super::{BindResult, Binder, wrong};

/// A source that feeds conditions instead of rows.
#[derive(Debug)]
pub(super) struct NamedList<'a> {
    /// Its name, `@` included.
    name: &'a Ident,
    /// The query that finds its values.
    query: &'a Select,
    /// Whether a condition reads it.
    is_used: bool,
}

impl<'a> Binder<'a> {
    /// Takes the named lists out of the sources, and returns the others.
    pub(super) fn named_lists(&mut self, sources: &'a [Source]) -> BindResult<Vec<&'a Source>> {
        let mut others = Vec::new();
        for source in sources {
            match (source, name_of(source)) {
                (Source::Subquery { query, .. }, Some(name)) if sources.len() > 1 => {
                    if self.lists.iter().any(|known| known.name.text == name.text) {
                        let message = format!("two lists are named `{}`", name.text);
                        return Err(wrong(Code::DuplicateList, message, name.span));
                    }
                    self.lists.push(NamedList {
                        name,
                        query,
                        is_used: false,
                    });
                }
                (source, _) => others.push(source),
            }
        }
        match (self.lists.first(), others.is_empty()) {
            (Some(list), true) => {
                let message = "a query needs a source of rows besides its lists";
                let error = wrong(Code::MissingSource, message, list.name.span);
                Err(error.with_hint("name a source such as `*`").into())
            }
            _ => Ok(others),
        }
    }

    /// The query of a list.
    pub(super) fn named_list(&mut self, name: &Ident) -> BindResult<&'a Select> {
        if let Some(list) = self
            .lists
            .iter_mut()
            .find(|list| list.name.text == name.text)
        {
            list.is_used = true;
            return Ok(list.query);
        }
        let known: Vec<&str> = self
            .lists
            .iter()
            .map(|list| list.name.text.as_str())
            .collect();
        let message = format!("there is no list `{}`", name.text);
        let hint = match (known.as_slice(), nearest(&name.text, known.iter().copied())) {
            ([], _) => "write the values, `IN ['a', 'b']`, or a query, `IN (TAE::…)`".to_owned(),
            (_, Some(near)) => format!("did you mean `{near}`?"),
            (known, None) => format!("the lists of this query are `{}`", known.join("`, `")),
        };
        Err(wrong(Code::UnknownList, message, name.span)
            .with_hint(hint)
            .into())
    }

    /// Whether a text is the name of a list.
    pub(super) fn is_named_list(&self, text: &str) -> bool {
        self.lists.iter().any(|list| list.name.text == text)
    }

    /// Warns of lists that no condition reads.
    pub(super) fn warn_about_lists(&mut self) {
        for list in std::mem::take(&mut self.lists) {
            if !list.is_used {
                let message = format!("no condition asks the list `{}`", list.name.text);
                let warning = self.warn(Code::UnusedList, message, list.name.span);
                warning.hint = Some(format!("test a field with ``IN `{}` ``", list.name.text));
            }
        }
    }
}

/// Whether each row of a query holds a list of values.
pub(super) fn returns_lists(query: &Select) -> bool {
    match query.target.as_deref() {
        Some([item]) => is_list_call(&item.expr),
        _ => false,
    }
}

/// The sources of rows: all but the lists among several.
pub(super) fn row_sources(select: &Select) -> Vec<&Source> {
    let sources = select.sources.iter();
    let is_alone = select.sources.len() == 1;
    sources
        .filter(|source| is_alone || name_of(source).is_none())
        .collect()
}

/// The name of a source that is a list: the alias of its only column, or its own, that begins with `@`.
fn name_of(source: &Source) -> Option<&Ident> {
    let Source::Subquery { query, alias } = source else {
        return None;
    };
    let column: Option<&Item> = query.target.as_ref().and_then(|items| items.first());
    let names = column.and_then(|item| item.alias.as_ref());
    names
        .into_iter()
        .chain(alias)
        .find(|name| name.text.starts_with('@'))
}
