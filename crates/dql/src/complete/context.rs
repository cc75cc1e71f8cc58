//! The context of the innermost open bracket.

use super::expression::{self, Need, Purpose, literal};
use super::functions;
use super::levels::{Item, Level, levels};
use super::query::{self, Stage, since_comma};
use super::scope::Scope;
use super::{Completion, LiteralKind, Wanted, arguments, window};
use crate::grammar::is_namespace;
use crate::token::Token;

/// The content that brackets hold.
#[derive(Debug)]
pub(super) enum Context<'a> {
    /// A query; a `statement` of its own can be another statement as well.
    Query {
        /// Whether it is not inside brackets.
        statement: bool,
    },
    /// After `::`: sources, a query, or columns.
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
    /// Unknown.
    Unknown,
}

/// The arguments of a function.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    /// Where the function is called.
    pub(super) of: Caller,
    /// Its name.
    pub(super) function: &'a str,
    /// The field that its result is compared with: `field = match(`.
    pub(super) field: Option<String>,
}

/// Where a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Inside a query.
    Query,
    /// Around a query.
    Outer,
    /// After a call around a query.
    Chained,
    /// As a SHOW statement.
    Show,
    /// Inside a window.
    Window,
}

/// The completions after `tokens`, the tokens of `text`; `chained` after the dot that follows a call.
pub(super) fn wanted(text: &str, tokens: &[Token<'_>], chained: bool) -> Completion {
    let levels = levels(tokens);
    let mut context = Context::Query { statement: true };
    let mut scope = Scope::default();
    let mut found = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let start = query_start(&context, &level.items);
        let items = start.map_or(level.items.as_slice(), |start| &level.items[start..]);
        if start.is_some() {
            context = Context::Query { statement: false };
        }
        if matches!(context, Context::Query { .. }) {
            scope = Scope::default();
        }
        context = match levels.get(index + 1) {
            Some(next) => opened(text, &context, items, next, &mut scope),
            None => {
                found = if chained {
                    chain(&context)
                } else {
                    innermost(text, &context, items, level, &mut scope)
                };
                if start.is_some() {
                    found.extend(arguments::next_name(items));
                }
                context
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

/// The completions after the dot that follows a call.
fn chain(context: &Context<'_>) -> Vec<Wanted> {
    let mut found = functions::chained();
    if !matches!(context, Context::Query { .. }) {
        found = functions::of_roles(&[
            crate::signature::Role::Scalar,
            crate::signature::Role::Point,
        ]);
    }
    vec![Wanted::Functions(found)]
}

/// Where a query starts among the items of brackets that may hold one.
fn query_start(context: &Context<'_>, items: &[Item<'_>]) -> Option<usize> {
    let start = match context {
        Context::Sources | Context::Expression(_) => 0,
        Context::Arguments(_) => arguments::last_start(items),
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
        Item::Group { open: "[", .. } if matches!(context, Context::Sources) => true,
        Item::Group { .. } => colon(2) && (rest.len() == 3 || colon(3)),
        Item::Token(_) => colon(1),
    };
    query.then_some(start)
}

/// The context of the brackets that `level` opens after `items`.
fn opened<'a>(
    text: &str,
    context: &Context<'a>,
    items: &[Item<'a>],
    level: &Level<'a>,
    scope: &mut Scope,
) -> Context<'a> {
    match context {
        Context::Query { statement } => {
            let stage = query::stage(text, items, *statement, scope);
            in_query(&stage, *statement, level)
        }
        Context::Sources if level.open == "(" && items.is_empty() => Context::Sources,
        Context::Sources if items.len() == 1 && level.open == "{" => {
            Context::Expression(Purpose::Condition)
        }
        Context::Sources if items.len() == 1 && level.open == "[" => Context::Window,
        Context::Sources => in_expression(Purpose::Column, since_comma(items), level),
        Context::Expression(purpose) => in_expression(*purpose, since_comma(items), level),
        Context::Elements { .. } => in_expression(Purpose::Argument, since_comma(items), level),
        Context::Arguments(arguments) => arguments::opened(arguments, items, level),
        Context::Window => match (level.open, items.last().and_then(|item| item.word())) {
            ("(", Some(function)) => call(Caller::Window, function, None),
            _ => Context::Unknown,
        },
        Context::Indexes | Context::Step | Context::Unknown => Context::Unknown,
    }
}

/// The context of the brackets that open in a query at `stage`.
fn in_query<'a>(stage: &Stage<'_, 'a>, statement: bool, level: &Level<'a>) -> Context<'a> {
    match (stage, level.open) {
        (Stage::Start, "(") => Context::Query { statement: false },
        (Stage::Word(word), "(") if query::is_pattern(word) => call(Caller::Query, word, None),
        (Stage::Word(word), "(" | "[") if is_namespace(word) => Context::Indexes,
        (Stage::Word(word), "(") if statement => {
            let show = word
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("show_"));
            call(if show { Caller::Show } else { Caller::Outer }, word, None)
        }
        (Stage::Word(_), "(") => Context::Indexes,
        (Stage::AfterSource(source), "(") => match source.word() {
            Some(word) if query::is_pattern(word) => call(Caller::Query, word, None),
            _ => Context::Unknown,
        },
        (Stage::Source, "(") => Context::Sources,
        (Stage::Target | Stage::Colon, "(") => Context::Expression(Purpose::Column),
        (Stage::Item(items), "(") => in_expression(Purpose::Column, items, level),
        (Stage::Item(items), "[") if glued_path(items, level) => Context::Step,
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
            Context::Expression(Purpose::Condition)
        }
        (Stage::Word(_) | Stage::AfterSource(_) | Stage::Item(_) | Stage::Clause { .. }, "[") => {
            Context::Window
        }
        _ => Context::Unknown,
    }
}

/// Whether brackets that open after `content` belong to the clause.
fn in_clause(name: &str, content: &[Item<'_>], level: &Level<'_>) -> bool {
    if !matches!(name, "BY" | "HAVING" | "ORDER BY" | "SORDER BY") {
        return false;
    }
    level.open == "(" || level.open == "[" && query::holds_group(name, content)
}

/// Whether brackets open directly after a path.
fn glued_path(items: &[Item<'_>], level: &Level<'_>) -> bool {
    items
        .last()
        .is_some_and(|item| item.span().end == level.span.start && expression::is_path(*item))
}

/// The arguments of a function.
fn call(of: Caller, function: &str, field: Option<String>) -> Context<'_> {
    Context::Arguments(Arguments {
        of,
        function,
        field,
    })
}

/// The context of the brackets that open in an expression of `items`.
pub(super) fn in_expression<'a>(
    purpose: Purpose,
    items: &[Item<'a>],
    level: &Level<'a>,
) -> Context<'a> {
    let state = expression::state(items);
    match level.open {
        "[" if glued_path(items, level) => Context::Step,
        "(" => match state.word {
            Some(function) => call(
                Caller::Query,
                function.trim_start_matches('.'),
                state.field.filter(|_| state.comparing),
            ),
            None if state.need == Need::Set => Context::Query { statement: false },
            None => Context::Expression(purpose),
        },
        "[" => Context::Elements { field: state.field },
        _ => Context::Unknown,
    }
}

/// The completions after `items`, which are in the innermost brackets.
fn innermost(
    text: &str,
    context: &Context<'_>,
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
    match context {
        Context::Query { statement } => {
            let stage = query::stage(text, items, *statement, scope);
            query::wanted(&stage, *statement, close, scope)
        }
        Context::Sources => after_namespace(items, close, scope),
        Context::Expression(purpose) => expressions(items, *purpose, close, scope),
        Context::Elements { field } => {
            let rest = since_comma(items);
            let mut found = if rest.is_empty() {
                expression::value(field.as_deref(), scope)
            } else {
                expression::wanted(rest, Purpose::Argument, close, scope)
            };
            found.push(Wanted::Symbols(vec!["]"]));
            found
        }
        Context::Arguments(arguments) => arguments::wanted(arguments, items, scope),
        Context::Window => window::wanted(items),
        Context::Indexes if since_comma(items).is_empty() => vec![
            literal(LiteralKind::Text),
            literal(LiteralKind::Name),
            Wanted::Symbols(close.into_iter().collect()),
        ],
        Context::Step if items.is_empty() => {
            vec![literal(LiteralKind::Number), literal(LiteralKind::Text)]
        }
        Context::Indexes => vec![Wanted::Symbols(close.into_iter().chain([","]).collect())],
        Context::Step => vec![Wanted::Symbols(vec!["]"])],
        Context::Unknown => Vec::new(),
    }
}

/// The completions in the parentheses after `::`: sources, a query, or columns.
fn after_namespace(items: &[Item<'_>], close: Option<&'static str>, scope: &Scope) -> Vec<Wanted> {
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

/// The completions in brackets that hold expressions, or in parentheses a query.
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
