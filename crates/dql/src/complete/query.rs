//! The completions in a statement.

use super::expression::{self, Need, Purpose, literal};
use super::functions;
use super::levels::Item;
use super::scope::Scope;
use super::{LiteralKind, Wanted};
use crate::grammar::is_namespace;

/// The state of an unfinished statement.
#[derive(Debug)]
pub(super) enum Stage<'s, 'a> {
    /// Nothing is written yet.
    Start,
    /// A word: a namespace, a source or the name of a function.
    Word(&'a str),
    /// A namespace with its indexes.
    Indexed,
    /// A possible namespace, and one colon.
    Colon,
    /// After `::` or the comma between sources: a source is needed.
    Source,
    /// A source.
    AfterSource(Item<'a>),
    /// After the colon before the columns.
    Target,
    /// A column without parentheses.
    Item(&'s [Item<'a>]),
    /// A clause, with its content. Other clauses may follow when it is complete.
    Clause {
        /// Its keyword; empty before the first one.
        name: &'static str,
        /// The items after the keyword.
        content: &'s [Item<'a>],
        /// The clauses before it.
        seen: Vec<&'static str>,
        /// The kind of statement.
        statement: Kind,
    },
    /// After the dot that chains a function.
    Chain,
    /// A chained function without its parentheses.
    Chained,
    /// After AS: the name of an inner query.
    Alias,
}

/// The kinds of statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A query.
    Select,
    /// SHOW.
    Show,
    /// A function over the result of a query.
    Outer,
}

impl Kind {
    /// The keywords of the clauses it may have.
    fn clauses(self) -> &'static [&'static str] {
        match self {
            Kind::Select => &[
                "{",
                "[",
                "BY",
                "ORDER BY",
                "LIMIT",
                "HAVING",
                "SORDER BY",
                "SLIMIT",
                "OFFSET",
                "SOFFSET",
                "SHIFT",
            ],
            Kind::Show => &["{", "[", "LIMIT", "OFFSET"],
            Kind::Outer => &["LIMIT", "OFFSET", "SLIMIT", "SOFFSET"],
        }
    }
}

/// The state of the statement of `items`, whose names go into `scope`. Inside brackets, where `statement` is
/// false, only a query is possible.
pub(super) fn stage<'s, 'a>(
    text: &str,
    items: &'s [Item<'a>],
    statement: bool,
    scope: &mut Scope,
) -> Stage<'s, 'a> {
    let Some(first) = items.first() else {
        return Stage::Start;
    };
    let colon = |at: usize| items.get(at).is_some_and(|item| item.symbol() == Some(":"));
    let grouped = items
        .get(1)
        .is_some_and(|item| matches!(item, Item::Group { .. }));
    let namespace = 1 + usize::from(grouped);
    if expression::is_name(*first) && colon(namespace) && colon(namespace + 1) {
        scope.namespace = first.name().map(str::to_owned);
        return sources(text, items, namespace + 2, scope);
    }
    if colon(namespace) && items.len() == namespace + 1 {
        return Stage::Colon;
    }
    if let Some(word) = first.word() {
        if items.len() == 1 {
            return Stage::Word(word);
        }
        if grouped && items.len() == 2 && is_namespace(word) {
            return Stage::Indexed;
        }
        if statement && items[1].is_group("(") && !is_pattern(word) {
            let show = word
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("show_"));
            return if show {
                clauses(items, 2, Kind::Show, scope)
            } else {
                outer(items, scope)
            };
        }
    }
    sources(text, items, 0, scope)
}

/// Whether a function of this name holds a pattern.
pub(super) fn is_pattern(word: &str) -> bool {
    ["re", "regex", "regexp"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

/// After a function over the result of a query.
fn outer<'s, 'a>(items: &'s [Item<'a>], scope: &mut Scope) -> Stage<'s, 'a> {
    let mut at = 2;
    while let Some(word) = items.get(at).and_then(|item| item.word())
        && word.starts_with('.')
    {
        let name = if word == "." { at + 1 } else { at };
        if items.get(name).is_none() {
            return Stage::Chain;
        }
        if !items.get(name + 1).is_some_and(|item| item.is_group("(")) {
            return Stage::Chained;
        }
        at = name + 2;
    }
    clauses(items, at, Kind::Outer, scope)
}

/// From the sources on, which start at `at`.
fn sources<'s, 'a>(
    text: &str,
    items: &'s [Item<'a>],
    mut at: usize,
    scope: &mut Scope,
) -> Stage<'s, 'a> {
    loop {
        let Some(item) = items.get(at).copied() else {
            return Stage::Source;
        };
        if item.symbol() == Some(":") {
            return target(items, at + 1, scope);
        }
        let pattern = item.word().is_some_and(is_pattern)
            && items.get(at + 1).is_some_and(|next| next.is_group("("));
        at += 1 + usize::from(pattern);
        if !pattern {
            scope.add_source(text, item);
        }
        if item.is_group("(") && items.get(at).is_some_and(|next| next.is_keyword("AS")) {
            at += 1;
            if items.get(at).is_none() {
                return Stage::Alias;
            }
        }
        let alias = |next: &Item<'_>| next.word().is_some() && keyword(items, at).is_none();
        if item.is_group("(") && items.get(at).is_some_and(alias) {
            at += 1;
        }
        match items.get(at).map(|next| next.symbol()) {
            None => return Stage::AfterSource(item),
            Some(Some(",")) => at += 1,
            Some(Some(":")) => return target(items, at + 1, scope),
            Some(_) => return clauses(items, at, Kind::Select, scope),
        }
    }
}

/// From the columns on, which start at `at`.
fn target<'s, 'a>(items: &'s [Item<'a>], at: usize, scope: &mut Scope) -> Stage<'s, 'a> {
    let Some(first) = items.get(at).copied() else {
        return Stage::Target;
    };
    if let Item::Group {
        open: "(", inner, ..
    } = first
    {
        scope.add_aliases(inner);
        return clauses(items, at + 1, Kind::Select, scope);
    }
    let tail = (at + 1..items.len()).find(|next| starts_clause(items, *next));
    match tail {
        Some(tail) => {
            if let [.., word, alias] = &items[at..tail]
                && word.is_keyword("AS")
                && let Some(alias) = alias.name()
            {
                scope.add_alias(alias);
            }
            clauses(items, tail, Kind::Select, scope)
        }
        None => Stage::Item(&items[at..]),
    }
}

/// Whether a clause starts at `at`, after a column without parentheses.
fn starts_clause(items: &[Item<'_>], at: usize) -> bool {
    let glued = items[at - 1].span().end == items[at].span().start
        && items[at - 1].word().is_some_and(|word| word.contains('@'));
    keyword(items, at).is_some_and(|name| name != "SHIFT")
        || items[at].is_group("{")
        || (items[at].is_group("[") && !glued)
}

/// The clause whose keyword is at `at`.
fn keyword(items: &[Item<'_>], at: usize) -> Option<&'static str> {
    let item = items.get(at)?;
    let words: [(&str, &'static str); 11] = [
        ("BY", "BY"),
        ("ORDER", "ORDER BY"),
        ("SORDER", "SORDER BY"),
        ("HAVING", "HAVING"),
        ("LIMIT", "LIMIT"),
        ("OFFSET", "OFFSET"),
        ("SLIMIT", "SLIMIT"),
        ("SOFFSET", "SOFFSET"),
        ("SHIFT", "SHIFT"),
        ("FILTER", "FILTER"),
        ("LINK", "LINK"),
    ];
    words
        .iter()
        .find(|(word, _)| item.is_keyword(word))
        .map(|(_, name)| *name)
}

/// The clauses from `at` on.
fn clauses<'s, 'a>(
    items: &'s [Item<'a>],
    at: usize,
    statement: Kind,
    scope: &mut Scope,
) -> Stage<'s, 'a> {
    let mut seen = Vec::new();
    let mut name = "";
    let mut start = at.min(items.len());
    let mut index = start;
    while let Some(item) = items.get(index) {
        if index > start && items[index - 1].is_keyword("AS") && name == "BY" {
            item.name()
                .into_iter()
                .for_each(|alias| scope.add_alias(alias));
        }
        let found = match item {
            Item::Group { open, .. } if !holds_group(name, &items[start..index]) => {
                Some(*open).filter(|open| *open != "(")
            }
            _ if is_by_of_order(name, &items[start..index]) => None,
            _ => keyword(items, index),
        };
        if let Some(found) = found {
            seen.push(found);
            name = found;
            start = index + 1;
        }
        index += 1;
    }
    Stage::Clause {
        name,
        content: &items[start..],
        seen,
        statement,
    }
}

/// Whether the word `BY` comes next in the clause.
fn is_by_of_order(name: &str, content: &[Item<'_>]) -> bool {
    matches!(name, "ORDER BY" | "SORDER BY") && content.is_empty()
}

/// Whether brackets after `content` belong to the clause: a list after IN, a call, a path.
pub(super) fn holds_group(name: &str, content: &[Item<'_>]) -> bool {
    if !matches!(name, "BY" | "HAVING" | "ORDER BY" | "SORDER BY") {
        return false;
    }
    let state = expression::state(since_comma(content));
    state.need != Need::Operator && state.need != Need::End
        || content
            .last()
            .is_some_and(|last| last.word().is_some_and(|word| word.contains('@')))
}

/// The items after the last comma.
pub(super) fn since_comma<'s, 'a>(items: &'s [Item<'a>]) -> &'s [Item<'a>] {
    let start = items
        .iter()
        .rposition(|item| item.symbol() == Some(","))
        .map_or(0, |comma| comma + 1);
    &items[start..]
}

/// The completions at `stage`; `close` ends a query in brackets.
pub(super) fn wanted(
    stage: &Stage<'_, '_>,
    statement: bool,
    close: Option<&'static str>,
    scope: &Scope,
) -> Vec<Wanted> {
    match stage {
        Stage::Start => start(statement),
        Stage::Indexed => vec![Wanted::Symbols(vec!["::"])],
        Stage::Word(word) if is_namespace(word) => vec![Wanted::Symbols(vec!["::", "(", "[", ":"])],
        Stage::Word(_) => {
            let mut found = vec![Wanted::Symbols(vec!["::", ":", "(", "[", ","])];
            found.extend(next_clauses(Kind::Select, &[], "", close));
            found
        }
        Stage::Colon => {
            let mut found = vec![Wanted::Symbols(vec![":", "("])];
            found.extend(expression::operand(Purpose::Column, scope));
            found
        }
        Stage::Source => vec![
            Wanted::Symbols(vec!["*", "(", ":"]),
            Wanted::Sources,
            literal(LiteralKind::Pattern),
        ],
        Stage::AfterSource(source) => {
            let mut symbols = vec![":", ","];
            if source.word().is_some_and(is_pattern) {
                symbols.push("(");
            }
            let mut found = vec![Wanted::Symbols(symbols)];
            found.extend(next_clauses(Kind::Select, &[], "", close));
            if source.is_group("(") {
                found.push(Wanted::Keywords(vec!["AS"]));
                found.push(literal(LiteralKind::Name));
            }
            found
        }
        Stage::Target => {
            let mut found = vec![Wanted::Symbols(vec!["("])];
            found.extend(expression::operand(Purpose::Column, scope));
            found
        }
        Stage::Item(items) => {
            let mut found = expression::wanted(items, Purpose::Column, None, scope);
            if !matches!(expression::state(items).need, Need::Operand | Need::Alias) {
                found.extend(next_clauses(Kind::Select, &[], "", close));
            }
            found
        }
        Stage::Clause {
            name,
            content,
            seen,
            statement,
        } => clause(name, content, seen, *statement, close, scope),
        Stage::Chain => vec![Wanted::Functions(functions::chained())],
        Stage::Chained => vec![Wanted::Symbols(vec!["("])],
        Stage::Alias => vec![literal(LiteralKind::Name)],
    }
}

/// The completions at the start of a statement, or of a query inside one.
fn start(statement: bool) -> Vec<Wanted> {
    let mut found = vec![Wanted::Namespaces];
    if statement {
        found.push(Wanted::Functions(functions::show()));
        found.push(Wanted::Functions(functions::outer()));
    }
    found
}

/// The completions in or after a clause.
fn clause(
    name: &'static str,
    content: &[Item<'_>],
    seen: &[&'static str],
    statement: Kind,
    close: Option<&'static str>,
    scope: &Scope,
) -> Vec<Wanted> {
    let purpose = match name {
        "BY" => Purpose::Key,
        "HAVING" => Purpose::Having,
        "ORDER BY" | "SORDER BY" => Purpose::Order,
        "LIMIT" | "OFFSET" | "SLIMIT" | "SOFFSET" if content.is_empty() => {
            return vec![literal(LiteralKind::Number)];
        }
        "SHIFT" if !content.iter().any(|item| item.word().is_some()) => {
            return vec![literal(LiteralKind::Duration), Wanted::Symbols(vec!["-"])];
        }
        "FILTER" | "LINK" => return Vec::new(),
        _ => return next_clauses(statement, seen, name, close),
    };
    let mut items = content;
    if purpose == Purpose::Order {
        match content.split_first() {
            Some((_, rest)) => items = rest,
            None => return vec![Wanted::Keywords(vec!["BY"])],
        }
    }
    let items = since_comma(items);
    let mut found = expression::wanted(items, purpose, None, scope);
    let need = expression::state(items).need;
    if purpose == Purpose::Key && matches!(need, Need::Operator | Need::End) {
        found.push(Wanted::Keywords(vec!["ASC", "DESC"]));
    }
    if matches!(need, Need::Operator | Need::End) {
        found.extend(next_clauses(statement, seen, name, close));
    }
    found
}

/// The clauses that may follow, and the symbols that end the statement.
fn next_clauses(
    statement: Kind,
    seen: &[&'static str],
    last: &str,
    close: Option<&'static str>,
) -> Vec<Wanted> {
    let (mut symbols, keywords): (Vec<&'static str>, Vec<&'static str>) = statement
        .clauses()
        .iter()
        .filter(|clause| !seen.contains(clause))
        .partition(|clause| matches!(**clause, "{" | "["));
    symbols.push(close.unwrap_or(";"));
    if close.is_some() {
        symbols.push(",");
    }
    if statement == Kind::Outer && last.is_empty() {
        symbols.insert(0, ".");
    }
    vec![Wanted::Symbols(symbols), Wanted::Keywords(keywords)]
}
