//! What the innermost open bracket is.

use super::expression::{self, Need, Purpose, literal};
use super::functions;
use super::levels::{Item, Level, levels};
use super::query::{self, Stage, since_comma};
use super::scope::Scope;
use super::{Completion, LiteralKind, Wanted, arguments, window};
use crate::grammar::is_namespace;
use crate::token::Token;

/// What brackets are.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// A query; a `statement` of its own can be another statement as well.
    Query {
        /// Whether it is not inside brackets.
        statement: bool,
    },
    /// Behind `::`: sources, a query, or columns.
    Sources,
    /// An expression, or several with commas between them.
    Expression(Purpose),
    /// A list of values that `field` is compared with.
    Elements {
        /// The field.
        field: Option<String>,
    },
    /// The arguments of a function.
    Arguments(Arguments<'a>),
    /// A window.
    Window,
    /// The indexes of a namespace.
    Indexes,
    /// A step of a path: `@items[`.
    Step,
    /// Nothing that could be told.
    Unknown,
}

/// The arguments of a function.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    /// Where the function stands.
    pub(super) of: Caller,
    /// Its name.
    pub(super) function: &'a str,
    /// The field that its result is compared with: `field = match(`.
    pub(super) field: Option<String>,
}

/// Where a function stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Inside a query.
    Query,
    /// Around a query.
    Outer,
    /// Behind a call around a query.
    Chained,
    /// As a SHOW statement.
    Show,
    /// Inside a window.
    Window,
}

/// What may stand behind `tokens`, the tokens of `text`; `chained` when a dot behind a call was just written.
pub(super) fn wanted(text: &str, tokens: &[Token<'_>], chained: bool) -> Completion {
    let levels = levels(tokens);
    let mut place = Place::Query { statement: true };
    let mut scope = Scope::default();
    let mut found = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let start = query_start(&place, &level.items);
        let items = start.map_or(level.items.as_slice(), |start| &level.items[start..]);
        if start.is_some() {
            place = Place::Query { statement: false };
        }
        if matches!(place, Place::Query { .. }) {
            scope = Scope::default();
        }
        place = match levels.get(index + 1) {
            Some(next) => opened(text, &place, items, next, &mut scope),
            None => {
                found = if chained {
                    chain(&place)
                } else {
                    innermost(text, &place, items, level, &mut scope)
                };
                if start.is_some() {
                    found.extend(arguments::next_name(items));
                }
                place
            }
        };
    }
    Completion {
        namespace: scope.namespace,
        sources: scope.sources,
        wanted: found,
        ..super::nothing(text.len())
    }
}

/// What may follow a dot behind a call.
fn chain(place: &Place<'_>) -> Vec<Wanted> {
    let mut found = functions::chained();
    if !matches!(place, Place::Query { .. }) {
        found = functions::of_roles(&[
            crate::signature::Role::Scalar,
            crate::signature::Role::Point,
        ]);
    }
    vec![Wanted::Functions(found)]
}

/// Where a query starts among the items of brackets that may hold one.
fn query_start(place: &Place<'_>, items: &[Item<'_>]) -> Option<usize> {
    let start = match place {
        Place::Sources | Place::Expression(_) => 0,
        Place::Arguments(_) => arguments::last_start(items),
        _ => return None,
    };
    let rest = &items[start..];
    let colon = |at: usize| rest.get(at).is_some_and(|item| item.symbol() == Some(":"));
    let [first, second, ..] = rest else {
        return None;
    };
    if !expression::is_name(*first) {
        return None;
    }
    let query = match second {
        Item::Group { open: "{", .. } => true,
        Item::Group { open: "[", .. } if matches!(place, Place::Sources) => true,
        Item::Group { .. } => colon(2) && (rest.len() == 3 || colon(3)),
        Item::Token(_) => colon(1),
    };
    query.then_some(start)
}

/// What the brackets are that `level` opens behind `items`.
fn opened<'a>(
    text: &str,
    place: &Place<'a>,
    items: &[Item<'a>],
    level: &Level<'a>,
    scope: &mut Scope,
) -> Place<'a> {
    match place {
        Place::Query { statement } => {
            let stage = query::stage(text, items, *statement, scope);
            in_query(&stage, *statement, level)
        }
        Place::Sources if level.open == "(" && items.is_empty() => Place::Sources,
        Place::Sources if items.len() == 1 && level.open == "{" => {
            Place::Expression(Purpose::Condition)
        }
        Place::Sources if items.len() == 1 && level.open == "[" => Place::Window,
        Place::Sources => in_expression(Purpose::Column, since_comma(items), level),
        Place::Expression(purpose) => in_expression(*purpose, since_comma(items), level),
        Place::Elements { .. } => in_expression(Purpose::Argument, since_comma(items), level),
        Place::Arguments(arguments) => arguments::opened(arguments, items, level),
        Place::Window => match (level.open, items.last().and_then(|item| item.word())) {
            ("(", Some(function)) => call(Caller::Window, function, None),
            _ => Place::Unknown,
        },
        Place::Indexes | Place::Step | Place::Unknown => Place::Unknown,
    }
}

/// What the brackets are that open in a query at `stage`.
fn in_query<'a>(stage: &Stage<'_, 'a>, statement: bool, level: &Level<'a>) -> Place<'a> {
    match (stage, level.open) {
        (Stage::Start, "(") => Place::Query { statement: false },
        (Stage::Word(word), "(") if query::is_pattern(word) => call(Caller::Query, word, None),
        (Stage::Word(word), "(" | "[") if is_namespace(word) => Place::Indexes,
        (Stage::Word(word), "(") if statement => {
            let show = word
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("show_"));
            call(if show { Caller::Show } else { Caller::Outer }, word, None)
        }
        (Stage::Word(_), "(") => Place::Indexes,
        (Stage::AfterSource(source), "(") => match source.word() {
            Some(word) if query::is_pattern(word) => call(Caller::Query, word, None),
            _ => Place::Unknown,
        },
        (Stage::Source, "(") => Place::Sources,
        (Stage::Target | Stage::Colon, "(") => Place::Expression(Purpose::Column),
        (Stage::Item(items), "(") => in_expression(Purpose::Column, items, level),
        (Stage::Item(items), "[") if glued_path(items, level) => Place::Step,
        (Stage::Clause { name, content, .. }, _) if in_clause(name, content, level) => {
            let purpose = match *name {
                "BY" => Purpose::Key,
                "HAVING" => Purpose::Having,
                _ => Purpose::Order,
            };
            in_expression(purpose, since_comma(content), level)
        }
        (Stage::Chained, "(") => call(Caller::Chained, "", None),
        (Stage::Word(_) | Stage::AfterSource(_) | Stage::Item(_) | Stage::Clause { .. }, "{") => {
            Place::Expression(Purpose::Condition)
        }
        (Stage::Word(_) | Stage::AfterSource(_) | Stage::Item(_) | Stage::Clause { .. }, "[") => {
            Place::Window
        }
        _ => Place::Unknown,
    }
}

/// Whether brackets that open behind `content` belong to the clause.
fn in_clause(name: &str, content: &[Item<'_>], level: &Level<'_>) -> bool {
    if !matches!(name, "BY" | "HAVING" | "ORDER BY" | "SORDER BY") {
        return false;
    }
    level.open == "(" || level.open == "[" && query::holds_group(name, content)
}

/// Whether brackets open directly behind a path.
fn glued_path(items: &[Item<'_>], level: &Level<'_>) -> bool {
    items
        .last()
        .is_some_and(|item| item.span().end == level.span.start && expression::is_path(*item))
}

/// The arguments of a function.
fn call(of: Caller, function: &str, field: Option<String>) -> Place<'_> {
    Place::Arguments(Arguments {
        of,
        function,
        field,
    })
}

/// What the brackets are that open in an expression of `items`.
pub(super) fn in_expression<'a>(
    purpose: Purpose,
    items: &[Item<'a>],
    level: &Level<'a>,
) -> Place<'a> {
    let state = expression::state(items);
    match level.open {
        "[" if glued_path(items, level) => Place::Step,
        "(" => match state.word {
            Some(function) => call(
                Caller::Query,
                function.trim_start_matches('.'),
                state.field.filter(|_| state.comparing),
            ),
            None if state.need == Need::Set => Place::Query { statement: false },
            None => Place::Expression(purpose),
        },
        "[" => Place::Elements { field: state.field },
        _ => Place::Unknown,
    }
}

/// What may stand behind `items`, which stand in the innermost brackets.
fn innermost(
    text: &str,
    place: &Place<'_>,
    items: &[Item<'_>],
    level: &Level<'_>,
    scope: &mut Scope,
) -> Vec<Wanted> {
    let close = match level.open {
        "(" => Some(")"),
        "[" => Some("]"),
        "{" => Some("}"),
        _ => None,
    };
    match place {
        Place::Query { statement } => {
            let stage = query::stage(text, items, *statement, scope);
            query::wanted(&stage, *statement, close, scope)
        }
        Place::Sources => behind_namespace(items, close, scope),
        Place::Expression(purpose) => expressions(items, *purpose, close, scope),
        Place::Elements { field } => {
            let rest = since_comma(items);
            let mut found = if rest.is_empty() {
                expression::value(field.as_deref(), scope)
            } else {
                expression::wanted(rest, Purpose::Argument, close, scope)
            };
            found.push(Wanted::Symbols(vec!["]"]));
            found
        }
        Place::Arguments(arguments) => arguments::wanted(arguments, items, scope),
        Place::Window => window::wanted(items),
        Place::Indexes if since_comma(items).is_empty() => vec![
            literal(LiteralKind::Text),
            literal(LiteralKind::Name),
            Wanted::Symbols(close.into_iter().collect()),
        ],
        Place::Step if items.is_empty() => {
            vec![literal(LiteralKind::Number), literal(LiteralKind::Text)]
        }
        Place::Indexes => vec![Wanted::Symbols(close.into_iter().chain([","]).collect())],
        Place::Step => vec![Wanted::Symbols(vec!["]"])],
        Place::Unknown => Vec::new(),
    }
}

/// What may stand in the parentheses behind `::`: sources, a query, or columns.
fn behind_namespace(items: &[Item<'_>], close: Option<&'static str>, scope: &Scope) -> Vec<Wanted> {
    let last = since_comma(items);
    let mut found = match items {
        [item] if expression::is_name(*item) => vec![
            Wanted::Symbols(vec!["::", "{", "[", ":"]),
            Wanted::Keywords(vec!["BY", "LIMIT"]),
        ],
        _ if items.is_empty() || expression::state(last).need == Need::Operand => {
            vec![Wanted::Namespaces, Wanted::Sources]
        }
        _ => Vec::new(),
    };
    found.extend(expression::wanted(last, Purpose::Column, close, scope));
    found
}

/// What may stand in brackets that hold expressions, or in parentheses a query.
fn expressions(
    items: &[Item<'_>],
    purpose: Purpose,
    close: Option<&'static str>,
    scope: &Scope,
) -> Vec<Wanted> {
    let parentheses = close == Some(")");
    let mut found = expression::wanted(since_comma(items), purpose, close, scope);
    match items {
        [] => {
            found.push(Wanted::Symbols(close.into_iter().collect()));
            if parentheses {
                found.push(Wanted::Namespaces);
            }
        }
        [item] if parentheses && expression::is_name(*item) => {
            found.push(Wanted::Symbols(vec!["::", ":"]));
        }
        [.., comma] if comma.symbol() == Some(",") && purpose == Purpose::Condition => {
            found.push(Wanted::Symbols(close.into_iter().collect()));
        }
        _ => {}
    }
    found
}
