//! The completions in an expression.

use super::functions;
use super::levels::Item;
use super::scope::Scope;
use super::{LiteralKind, Wanted};
use crate::ast::{Expr, ExprKind};
use crate::keyword::is_reserved;
use crate::path;
use crate::signature::Role;
use crate::span::Span;
use crate::token::TokenKind;

/// The clause an expression is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A column of the answer.
    Column,
    /// A condition on single events.
    Condition,
    /// A key of BY.
    Key,
    /// A condition on groups.
    Having,
    /// A key of ORDER BY or SORDER BY.
    Order,
    /// An argument.
    Argument,
}

/// The next element of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// A value.
    Operand,
    /// A list or a query, after IN.
    Set,
    /// An operator or the end, after a value.
    Operator,
    /// `IN`, after NOT.
    In,
    /// A name, after AS.
    Alias,
    /// A duration, after SHIFT.
    Shift,
    /// Nothing: an alias or a direction ended it.
    End,
}

/// The last word of a CASE that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Start,
    When,
    Then,
    Else,
}

/// The state of an unfinished expression.
#[derive(Debug)]
pub(super) struct State<'a> {
    /// The next element.
    pub(super) need: Need,
    /// Whether the next or last value is compared with another one.
    pub(super) comparing: bool,
    /// The field that it is compared with.
    pub(super) field: Option<String>,
    /// The word that ends it, if that can be the name of a function.
    pub(super) word: Option<&'a str>,
    /// Whether it ends in a call.
    pub(super) called: bool,
    /// Whether it contained SHIFT.
    shifted: bool,
    case: Vec<Case>,
    /// The operand that started last, if nothing was added to it.
    operand: Option<Item<'a>>,
}

/// The comparison operators.
const COMPARISONS: [&str; 8] = ["=", "!=", ">", ">=", "<", "<=", "=~", "!~"];

/// The state of the expression of `items`.
pub(super) fn state<'a>(items: &[Item<'a>]) -> State<'a> {
    let mut state = State {
        need: Need::Operand,
        comparing: false,
        field: None,
        word: None,
        called: false,
        shifted: false,
        case: Vec::new(),
        operand: None,
    };
    for item in items {
        state.step(*item);
    }
    state
}

impl<'a> State<'a> {
    /// Reads `item`.
    fn step(&mut self, item: Item<'a>) {
        let called = item.is_group("(") && self.word.is_some();
        let word = item.word().filter(|word| !is_reserved(word));
        self.need = match self.need {
            Need::Operand => self.operand(item),
            Need::Operator => self.operator(item),
            Need::In if item.is_keyword("IN") => self.set(),
            Need::In => self.operand(item),
            Need::Set => Need::Operator,
            Need::Alias | Need::End => Need::End,
            Need::Shift if item.symbol().is_some() => Need::Shift,
            Need::Shift => {
                self.shifted = true;
                Need::Operator
            }
        };
        self.called = called;
        self.word = word.filter(|_| self.need == Need::Operator);
    }

    /// After `item` where a value was needed.
    fn operand(&mut self, item: Item<'a>) -> Need {
        if item.is_keyword("CASE") {
            self.case.push(Case::Start);
            self.comparing = false;
            return Need::Operand;
        }
        if item.is_keyword("WHEN") {
            return self.branch(Case::When);
        }
        match item.symbol() {
            Some("*") => {}
            Some(_) => return Need::Operand,
            None if item.is_keyword("NOT") => return Need::Operand,
            None => {}
        }
        self.operand = Some(item);
        Need::Operator
    }

    /// After `item` where an operator was possible.
    fn operator(&mut self, item: Item<'a>) -> Need {
        if let Some(symbol) = item.symbol() {
            if COMPARISONS.contains(&symbol) {
                self.compare();
            } else if matches!(symbol, "&&" | "||") {
                self.comparing = false;
            }
            self.operand = None;
            return Need::Operand;
        }
        let Some(word) = item.word() else {
            self.operand = None;
            return Need::Operator;
        };
        match word.to_ascii_uppercase().as_str() {
            "AND" | "OR" => {
                self.comparing = false;
                Need::Operand
            }
            "IN" | "NOTIN" => self.set(),
            "NOT" => Need::In,
            "AS" => Need::Alias,
            "SHIFT" => Need::Shift,
            "ASC" | "DESC" => Need::End,
            "WHEN" => self.branch(Case::When),
            "THEN" => self.branch(Case::Then),
            "ELSE" => self.branch(Case::Else),
            "END" => {
                self.case.pop();
                self.operand = None;
                Need::Operator
            }
            _ if word.starts_with('.') => Need::Operator,
            _ => self.operand(item),
        }
    }

    /// Notes the operand before a comparison.
    fn compare(&mut self) {
        self.comparing = true;
        self.field = self.operand.and_then(field_text);
    }

    /// After IN.
    fn set(&mut self) -> Need {
        self.compare();
        Need::Set
    }

    /// After a word of CASE.
    fn branch(&mut self, part: Case) -> Need {
        if let Some(last) = self.case.last_mut() {
            *last = part;
        }
        self.comparing = false;
        self.operand = None;
        Need::Operand
    }
}

/// The canonical text of the field that an operand is.
pub(super) fn field_text(item: Item<'_>) -> Option<String> {
    let name = item.name()?;
    let starts_as_number = name.starts_with(|c: char| c.is_ascii_digit());
    if starts_as_number && item.word().is_some() {
        return None;
    }
    let field = Expr {
        kind: ExprKind::Field(path::field(name)),
        span: Span::default(),
    };
    Some(field.to_string())
}

/// The completions in an expression of `items`, which ends with `close` or goes on after `,`.
pub(super) fn wanted(
    items: &[Item<'_>],
    purpose: Purpose,
    close: Option<&'static str>,
    scope: &Scope,
) -> Vec<Wanted> {
    let state = state(items);
    match state.need {
        Need::Operand if state.comparing => value(state.field.as_deref(), scope),
        Need::Operand => {
            let mut found = operand(purpose, scope);
            if state.case.last() == Some(&Case::Start) {
                found.insert(0, Wanted::Keywords(vec!["WHEN"]));
            }
            found
        }
        Need::Set => vec![
            Wanted::Symbols(vec!["[", "("]),
            Wanted::Names(scope.lists.clone()),
        ],
        Need::In => vec![Wanted::Keywords(vec!["IN"])],
        Need::Alias => vec![literal(LiteralKind::Name)],
        Need::Shift => vec![literal(LiteralKind::Duration), Wanted::Symbols(vec!["-"])],
        Need::Operator => after_operand(&state, items.last(), purpose, close),
        Need::End => vec![Wanted::Symbols(close.into_iter().chain([","]).collect())],
    }
}

/// The completions after a value.
fn after_operand(
    state: &State<'_>,
    last: Option<&Item<'_>>,
    purpose: Purpose,
    close: Option<&'static str>,
) -> Vec<Wanted> {
    let mut symbols: Vec<&'static str> = Vec::new();
    let mut keywords: Vec<&'static str> = Vec::new();
    if !state.comparing {
        symbols.extend(COMPARISONS);
        keywords.extend(["IN", "NOT IN"]);
    }
    match state.case.last() {
        Some(Case::Start) => keywords.insert(0, "WHEN"),
        Some(Case::When) => keywords.insert(0, "THEN"),
        Some(Case::Then) => keywords
            .splice(0..0, ["WHEN", "ELSE", "END"])
            .for_each(drop),
        Some(Case::Else) => keywords.insert(0, "END"),
        None => {
            symbols.extend(close.into_iter().chain([","]));
            match purpose {
                Purpose::Column if state.shifted => keywords.insert(0, "AS"),
                Purpose::Column => keywords.splice(0..0, ["AS", "SHIFT"]).for_each(drop),
                Purpose::Key | Purpose::Argument => keywords.insert(0, "AS"),
                Purpose::Order => keywords.splice(0..0, ["ASC", "DESC"]).for_each(drop),
                Purpose::Condition | Purpose::Having => {}
            }
        }
    }
    keywords.extend(["AND", "OR"]);
    symbols.extend(["+", "-", "*", "/", "%", "^", "&&", "||"]);
    if state.word.is_some() {
        symbols.push("(");
    }
    let path = last.is_some_and(|item| is_path(*item));
    if path {
        symbols.push("[");
    }
    if state.called || last.is_some_and(|item| item.is_group("[")) {
        symbols.push(".");
    }
    vec![Wanted::Keywords(keywords), Wanted::Symbols(symbols)]
}

/// The completions where a value starts.
pub(super) fn operand(purpose: Purpose, scope: &Scope) -> Vec<Wanted> {
    let roles: &[Role] = match purpose {
        Purpose::Column => &[
            Role::Aggregate,
            Role::Rows,
            Role::Point,
            Role::Scalar,
            Role::Predicate,
            Role::Data,
        ],
        Purpose::Condition => &[Role::Predicate, Role::Scalar],
        Purpose::Key => &[Role::Scalar],
        Purpose::Having | Purpose::Order => &[Role::Aggregate, Role::Scalar],
        Purpose::Argument => &[
            Role::Scalar,
            Role::Aggregate,
            Role::Predicate,
            Role::Point,
            Role::Data,
        ],
    };
    let mut found = scope.fields();
    found.push(Wanted::Functions(functions::of_roles(roles)));
    found.push(Wanted::Keywords(vec![
        "CASE", "NOT", "NIL", "TRUE", "FALSE",
    ]));
    found.extend(literals());
    let mut symbols = vec!["(", "[", "-", "+"];
    if matches!(purpose, Purpose::Column | Purpose::Argument) {
        symbols.insert(0, "*");
    }
    found.push(Wanted::Symbols(symbols));
    found
}

/// The completions where a value is compared with `field`.
pub(super) fn value(field: Option<&str>, scope: &Scope) -> Vec<Wanted> {
    let mut found = Vec::new();
    if let Some(field) = field {
        found.push(Wanted::Values {
            field: field.to_owned(),
        });
    }
    found.extend(literals());
    found.push(Wanted::Keywords(vec!["NIL", "TRUE", "FALSE", "CASE"]));
    found.push(Wanted::Functions(functions::of_roles(&[
        Role::Predicate,
        Role::Scalar,
        Role::Aggregate,
        Role::Data,
    ])));
    found.extend(scope.fields());
    found.push(Wanted::Symbols(vec!["(", "[", "-", "+"]));
    found
}

/// The literals that can be values.
fn literals() -> impl Iterator<Item = Wanted> {
    [
        LiteralKind::Text,
        LiteralKind::Number,
        LiteralKind::Duration,
        LiteralKind::Pattern,
    ]
    .into_iter()
    .map(literal)
}

/// A literal with usual ones.
pub(super) fn literal(kind: LiteralKind) -> Wanted {
    let examples: &[&str] = match kind {
        LiteralKind::Number | LiteralKind::Text | LiteralKind::Name | LiteralKind::Query => &[],
        LiteralKind::Duration => &["1h", "1d", "7d"],
        LiteralKind::Time => &["15m", "1h", "1d", "7d", "30d", "now()"],
        LiteralKind::Step => &["auto", "1m", "5m", "1h", "1d"],
        LiteralKind::Pattern => &["re('')"],
    };
    Wanted::Literal { kind, examples }
}

/// Whether an item is a part of a path that brackets can follow.
pub(super) fn is_path(item: Item<'_>) -> bool {
    item.is_group("[")
        || item
            .word()
            .is_some_and(|word| word.contains('@') || word.starts_with('.'))
}

/// Whether an item is a name in quotes or a word.
pub(super) fn is_name(item: Item<'_>) -> bool {
    match item {
        Item::Token(token) => matches!(
            token.kind,
            TokenKind::Word(_) | TokenKind::Backquoted(_) | TokenKind::Quoted(_)
        ),
        Item::Group { .. } => false,
    }
}
