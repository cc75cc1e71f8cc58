//! The completions among the arguments of a function.

use super::context::{Arguments, Caller, Context, in_expression};
use super::expression::{self, Need, Purpose, literal};
use super::functions;
use super::levels::{Item, Level};
use super::query::{is_pattern, since_comma};
use super::scope::Scope;
use super::{LiteralKind, Wanted};
use crate::quoting;
use crate::signature::{self, Parameter, Role, Signature};

/// The index at which the last argument of the items starts, after its name. A query without brackets takes the commas
/// up to the next named argument.
pub(super) fn last_start(items: &[Item<'_>]) -> usize {
    let named = |at: usize| {
        items.get(at).is_some_and(|item| item.word().is_some())
            && items
                .get(at + 1)
                .is_some_and(|item| item.symbol() == Some("="))
    };
    let mut start = if named(0) { 2 } else { 0 };
    for (at, item) in items.iter().enumerate() {
        if item.symbol() == Some(",") && named(at + 1) {
            start = at + 3;
        }
    }
    start
}

/// The completions after the comma that may end a query without brackets: the name of the next argument.
pub(super) fn next_name(items: &[Item<'_>]) -> Option<Wanted> {
    match items {
        [.., comma] if comma.symbol() == Some(",") => {
            Some(Wanted::Arguments(vec!["B", "C", "alias"]))
        }
        [.., comma, name] if comma.symbol() == Some(",") && name.word().is_some() => {
            Some(Wanted::Symbols(vec!["="]))
        }
        _ => None,
    }
}

/// The last argument of the items: its name, and its items so far.
fn last<'s, 'a>(items: &'s [Item<'a>]) -> (Option<&'a str>, &'s [Item<'a>]) {
    let rest = since_comma(items);
    match rest {
        [name, equals, value @ ..] if equals.symbol() == Some("=") && name.word().is_some() => {
            (name.word(), value)
        }
        _ => (None, rest),
    }
}

/// The context of the brackets that open among arguments.
pub(super) fn opened<'a>(
    arguments: &Arguments<'a>,
    items: &[Item<'a>],
    level: &Level<'a>,
) -> Context<'a> {
    let (_, value) = last(items);
    let word = expression::state(value).word;
    match (arguments.of, level.open, word) {
        (Caller::Outer, "(", Some(function)) => Context::Arguments(Arguments {
            of: Caller::Outer,
            function,
            field: None,
        }),
        (Caller::Outer, "(", None) if value.is_empty() && !is_eval(arguments) => {
            Context::Query { statement: false }
        }
        _ => in_expression(Purpose::Argument, value, level),
    }
}

/// Whether these are the arguments of `eval`.
fn is_eval(arguments: &Arguments<'_>) -> bool {
    arguments.function.eq_ignore_ascii_case("eval")
}

/// The completions after `items`.
pub(super) fn wanted(arguments: &Arguments<'_>, items: &[Item<'_>], scope: &Scope) -> Vec<Wanted> {
    let (name, value) = last(items);
    if !value.is_empty() {
        return after_start(arguments, items, value, scope);
    }
    let index = items
        .iter()
        .filter(|item| item.symbol() == Some(","))
        .count();
    let mut found = match arguments.of {
        Caller::Outer => outer(arguments, name, index, scope),
        Caller::Show => vec![
            Wanted::Sources,
            Wanted::Arguments(vec!["from", "keyin", "field", "index"]),
            literal(LiteralKind::Text),
            literal(LiteralKind::Pattern),
            Wanted::Symbols(vec!["["]),
        ],
        Caller::Window => vec![literal(LiteralKind::Number)],
        Caller::Chained => expression::operand(Purpose::Argument, scope),
        Caller::Query if name.is_some() => expression::operand(Purpose::Argument, scope),
        Caller::Query => {
            let name = arguments.function.to_lowercase();
            let signature = signature::function(&name);
            in_query(arguments, items, signature.as_ref(), index, scope)
        }
    };
    if name.is_none() {
        found.push(Wanted::Symbols(vec![")"]));
    }
    found
}

/// The completions after the start of an argument.
fn after_start(
    arguments: &Arguments<'_>,
    items: &[Item<'_>],
    value: &[Item<'_>],
    scope: &Scope,
) -> Vec<Wanted> {
    let mut found = expression::wanted(value, Purpose::Argument, Some(")"), scope);
    if let [only] = value
        && expression::is_name(*only)
    {
        let mut symbols = vec!["=", "::", ":"];
        if arguments.of == Caller::Outer {
            symbols.rotate_left(1);
        }
        found.push(Wanted::Symbols(symbols));
    }
    if expression::state(value).need == Need::Operator && items.len() > value.len() {
        found.push(Wanted::Symbols(vec![")"]));
    }
    found
}

/// The start of an argument of a function around a query.
fn outer(
    arguments: &Arguments<'_>,
    name: Option<&str>,
    index: usize,
    scope: &Scope,
) -> Vec<Wanted> {
    let query = || {
        vec![
            Wanted::Symbols(vec!["("]),
            Wanted::Namespaces,
            literal(LiteralKind::Query),
            Wanted::Functions(functions::outer()),
        ]
    };
    if is_eval(arguments) {
        return match name {
            Some(name) if name.eq_ignore_ascii_case("alias") => vec![literal(LiteralKind::Text)],
            Some(_) => query(),
            None if index == 0 => vec![
                literal(LiteralKind::Name),
                literal(LiteralKind::Number),
                Wanted::Arguments(vec!["A", "B", "alias"]),
                Wanted::Symbols(vec!["(", "-"]),
            ],
            None => vec![Wanted::Arguments(vec!["A", "B", "C", "alias"])],
        };
    }
    let signature = signature::outer(&arguments.function.to_lowercase());
    match (name, index) {
        (Some(name), _) if name.eq_ignore_ascii_case("dql") => query(),
        (Some(_), _) => vec![Wanted::Symbols(vec!["["]), literal(LiteralKind::Text)],
        (None, 0) => {
            let mut found = query();
            found.push(Wanted::Arguments(vec!["dql"]));
            found
        }
        (None, _) => {
            let mut found = match signature.and_then(|found| found.parameter(index - 1)) {
                Some(parameter) => parameter_value(parameter, None, scope),
                None => Vec::new(),
            };
            if let Some(signature) = signature
                && !signature.named.is_empty()
            {
                found.push(Wanted::Arguments(signature.named.to_vec()));
            }
            found
        }
    }
}

/// The start of an argument of a function inside a query.
fn in_query(
    arguments: &Arguments<'_>,
    items: &[Item<'_>],
    signature: Option<&Signature>,
    index: usize,
    scope: &Scope,
) -> Vec<Wanted> {
    if is_pattern(arguments.function) && index == 0 {
        let mut found = vec![literal(LiteralKind::Pattern), literal(LiteralKind::Text)];
        found.extend(scope.fields());
        return found;
    }
    let Some(signature) = signature else {
        return expression::operand(Purpose::Argument, scope);
    };
    let field = arguments.field.clone().or_else(|| {
        let text = quoting::takes_text(signature.name, index, index + 1) && index > 0;
        let first = items.first().filter(|_| text).copied();
        first.and_then(expression::field_text)
    });
    let mut found = Vec::new();
    if signature.role == Role::Point && index > 0 {
        found.push(Wanted::Keywords(vec!["LINEAR", "PREVIOUS", "NIL"]));
    }
    if let Some(parameter) = signature.parameter(index) {
        found.extend(parameter_value(parameter, field.as_deref(), scope));
    }
    if !signature.named.is_empty() {
        found.push(Wanted::Arguments(signature.named.to_vec()));
    }
    found
}

/// The completions for a parameter.
fn parameter_value(parameter: Parameter, field: Option<&str>, scope: &Scope) -> Vec<Wanted> {
    match parameter {
        Parameter::Any => match field {
            Some(_) => expression::value(field, scope),
            None => expression::operand(Purpose::Argument, scope),
        },
        Parameter::Field => expression::operand(Purpose::Argument, scope),
        Parameter::FieldOrStar => {
            let mut found = vec![Wanted::Symbols(vec!["*"])];
            found.extend(expression::operand(Purpose::Argument, scope));
            found
        }
        Parameter::Text => {
            let values = field.map(|field| Wanted::Values {
                field: field.to_owned(),
            });
            let mut found: Vec<Wanted> = values.into_iter().collect();
            found.push(literal(LiteralKind::Text));
            found.push(literal(LiteralKind::Pattern));
            found
        }
        Parameter::Number | Parameter::Whole | Parameter::Between(..) | Parameter::Above(..) => {
            vec![literal(LiteralKind::Number), Wanted::Symbols(vec!["-"])]
        }
        Parameter::List => vec![Wanted::Symbols(vec!["[", "("])],
    }
}
