//! The namespace and the sources: where the rows come from.

use datafusion::logical_expr::{Expr, in_list, lit};
use dql::Code;
use dql::ast::{Namespace, Range, Select, Source};
use events::fields::SOURCE;

use super::name::column;
use super::{Bind, BindContext, Binder, Delivery, Names, bind_query, not_supported, wrong};
use crate::bound::{BoundQuery, BoundSource, Key, Shape};
use crate::combine::{any_of, distinct};
use crate::types::Typed;

/// The namespaces of audit events: their own, and the one older documents put them in.
const NAMESPACES: [&str; 3] = ["TAE", "E", "event"];

/// The sources of a query.
#[derive(Debug)]
pub(super) struct Sources {
    /// Where the rows come from.
    pub(super) rows: BoundSource,
    /// The condition that the sources put on them.
    pub(super) filter: Option<Expr>,
    /// The name of the series.
    pub(super) name: Option<String>,
    /// Whether the window chooses among the rows. It does not where it was handed to the sub-query
    /// instead: a point of that query may begin before the window does.
    pub(super) in_window: bool,
}

impl<'a> Binder<'a> {
    /// Checks the namespace and binds the sources; after a sub-query the names of the query are its
    /// columns.
    pub(super) fn source(&mut self, select: &'a Select) -> Bind<Sources> {
        let sources = self.named_lists(&select.sources)?;
        check_namespace(select, &sources)?;
        if let [Source::Subquery { query, .. }] = sources.as_slice() {
            return self.subquery(query);
        }
        let mut patterns = Vec::new();
        let mut names = Vec::new();
        let mut everything = sources.is_empty();
        for source in sources {
            match source {
                Source::All(_) => everything = true,
                Source::Name(name) if name.text == "*" => everything = true,
                Source::Name(name) => names.push(name),
                Source::Regex(pattern) if pattern.text == ".*" => everything = true,
                Source::Regex(pattern) => patterns.push((pattern.text.as_str(), pattern.span)),
                Source::Subquery { query, .. } => {
                    let reason = "DQL reads the rows of one query, and does not join several";
                    let error =
                        not_supported("a sub-query beside other sources", reason, query.span);
                    return Err(error
                        .with_hint(
                            "name its only column such as ``AS `@known` `` to test fields with IN",
                        )
                        .into());
                }
            }
        }
        let series_name = (patterns.is_empty() && !everything).then(|| {
            names
                .iter()
                .map(|name| name.text.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        });
        let mut filters = Vec::new();
        if !patterns.is_empty() {
            filters.push(self.matched_by_any(column(SOURCE), &patterns)?);
        }
        if !names.is_empty() {
            let names = names.iter().map(|name| lit(name.text.clone()));
            filters.push(in_list(column(SOURCE), distinct(names), false));
        }
        let filter = if everything { None } else { any_of(filters) };
        Ok(Sources {
            rows: BoundSource::Events,
            filter,
            name: series_name,
            in_window: true,
        })
    }

    /// Binds a query inside this one: it reads the request's window, else its own, else this query's,
    /// and is never cut off by a default limit. What it does not name itself moves with this query's
    /// SHIFT.
    pub(super) fn inner(&mut self, query: &Select) -> Bind<BoundQuery> {
        let context = BindContext {
            search_after: None,
            cursor_time: None,
            time_range: self.context.time_range.map(|_| self.read_range()),
            inherited_range: Some(self.read_range()),
            delivery: Delivery::Stream,
            single_field: false,
            depth: self.context.depth + 1,
            ..self.context.clone()
        };
        let mut inner =
            bind_query(query, &context).map_err(|errors| match errors.into_iter().next() {
                Some(error) => Box::new(error),
                None => wrong(Code::InvalidQuery, "the sub-query is wrong", query.span),
            })?;
        inner.page = None;
        self.notes
            .warnings
            .extend(inner.notes.warnings.iter().cloned());
        self.notes
            .observations
            .extend(inner.notes.observations.iter().cloned());
        self.notes
            .occurrences
            .extend(inner.notes.occurrences.iter().cloned());
        Ok(inner)
    }

    fn subquery(&mut self, query: &'a Select) -> Bind<Sources> {
        let inner = self.inner(query)?;
        self.names = Names::Query(output_names(&inner));
        self.rows_are_unique = gives_unique_rows(&inner);
        // The `time` of an interval of numbers is no time.
        let has_times = !matches!(inner.shape, Shape::Histogram { .. });
        let in_window = has_times && has_window(query) && self.context.time_range.is_none();
        Ok(Sources {
            rows: BoundSource::Query(Box::new(inner)),
            filter: None,
            name: None,
            in_window,
        })
    }
}

/// The column that holds the time of a sub-query's row. It is not called `time`, because steps are:
/// DataFusion 55 would take a condition on the one for a condition on the other.
pub const SOURCE_TIME: &str = "qt";

/// The column that holds an output of a sub-query: its columns count from 0, its keys go on.
pub fn source_column(index: usize) -> String {
    format!("q{index}")
}

/// The names an outer query can use: the inner one's columns, then its keys, and `time`.
fn output_names(inner: &BoundQuery) -> Vec<(String, Typed)> {
    let columns = inner
        .columns
        .iter()
        .map(|output| (output.name.clone(), output.value_type));
    let keys = inner
        .keys
        .iter()
        .map(|key| (key.name.clone(), key.value_type));
    let outputs = columns
        .chain(keys)
        .enumerate()
        .map(|(index, (name, value_type))| {
            (name, Typed::new(column(&source_column(index)), value_type))
        });
    let time = Typed::new(column(SOURCE_TIME), crate::types::Type::Int);
    let mut names: Vec<(String, Typed)> = Vec::new();
    for (name, value) in outputs.chain([("time".to_owned(), time)]) {
        if !names.iter().any(|(known, _)| *known == name) {
            names.push((name, value));
        }
    }
    names
}

/// Whether no two rows of a query can be equal in what an outer query sees of them: it gives one row a
/// group, a step or a value, and shows all keys.
fn gives_unique_rows(inner: &BoundQuery) -> bool {
    let is_shown = |(index, key): (usize, &Key)| {
        let shadow = inner.columns.iter().find(|shown| shown.name == key.name);
        shadow.is_none_or(|shown| shown.expr == column(&format!("k{index}")))
    };
    match inner.shape {
        Shape::Rows | Shape::Extreme { .. } => false,
        Shape::Newest
        | Shape::Aggregate { .. }
        | Shape::Distinct { .. }
        | Shape::Histogram { .. } => inner.keys.iter().enumerate().all(is_shown),
    }
}

/// Whether the text of a query names a range of time.
pub(super) fn has_window(query: &Select) -> bool {
    let open = Range::Bounds {
        from: None,
        to: None,
    };
    query
        .window
        .as_ref()
        .is_some_and(|window| window.range != open)
}

fn check_namespace(select: &Select, sources: &[&Source]) -> Bind<()> {
    let from_subquery = matches!(sources, [Source::Subquery { .. }]);
    let Some(Namespace { name, indexes }) = &select.namespace else {
        if from_subquery {
            return Ok(());
        }
        let error = wrong(
            Code::UnknownNamespace,
            "the query names no namespace, which means metrics",
            select.span,
        );
        return Err(error
            .with_hint("this store holds audit events: write `TAE::…`")
            .into());
    };
    if !NAMESPACES.contains(&name.text.as_str()) {
        let known = NAMESPACES
            .iter()
            .find(|known| known.eq_ignore_ascii_case(&name.text));
        let hint = match known {
            Some(known) => format!("namespaces are case-sensitive: write `{known}::`"),
            None => "this store holds audit events: write `TAE::…` (or `E::…`)".to_owned(),
        };
        let message = format!("the namespace `{}` is not in this store", name.text);
        return Err(wrong(Code::UnknownNamespace, message, name.span)
            .with_hint(hint)
            .into());
    }
    match indexes.iter().find(|index| index.text != "default") {
        Some(index) => Err(not_supported(
            "an index",
            "audit events have only the default one",
            index.span,
        )),
        None => Ok(()),
    }
}
