//! How large a text and its parts may be.
//!
//! All later work grows with these numbers, some of it faster than they do, so they are checked as soon as
//! a text is parsed. The reasons for the values are in `docs/operations.md`.

use crate::ast::{
    BinaryOp, Call, Expr, ExprKind, InSet, Outer, Quoted, Script, Select, Source, Statement,
};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, limited};
use crate::span::Span;

/// A limit of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeLimit {
    /// Its name in messages and in the documentation.
    pub name: &'static str,
    /// The unit it counts, in the plural.
    pub what: &'static str,
    /// The largest number allowed.
    pub most: usize,
}

/// The bytes of a text, or of all texts of a request together.
pub const TEXT_BYTES: SizeLimit = limit("text_bytes", "bytes of text", 256 << 10);
/// The statements of a text.
pub const STATEMENTS: SizeLimit = limit("statements", "statements", 100);
/// The sources of a query.
pub const SOURCES: SizeLimit = limit("sources", "sources", 1_000);
/// The columns of a query.
pub const COLUMNS: SizeLimit = limit("columns", "columns", 500);
/// The keys of `BY`, and those of `ORDER BY`.
pub const KEYS: SizeLimit = limit("keys", "keys", 100);
/// The conditions of a statement: operands of `AND` and `OR`, elements of `{…}`, branches of `CASE`.
pub const CONDITIONS: SizeLimit = limit("conditions", "conditions", 2_000);
/// The members of a list.
pub const LIST_MEMBERS: SizeLimit = limit("list_members", "members", 10_000);
/// The arguments of a call.
pub const ARGUMENTS: SizeLimit = limit("arguments", "arguments", 500);
/// The queries inside a statement, and the columns that SHIFT reads another window for.
pub const SUBQUERIES: SizeLimit = limit("subqueries", "inner queries and SHIFT windows", 32);
/// The functions chained to a function over queries.
pub const CHAINED_FUNCTIONS: SizeLimit = limit("chained_functions", "chained functions", 16);

/// Every limit, in the order of the documentation.
pub const ALL: [SizeLimit; 10] = [
    TEXT_BYTES,
    STATEMENTS,
    SOURCES,
    COLUMNS,
    KEYS,
    CONDITIONS,
    LIST_MEMBERS,
    ARGUMENTS,
    SUBQUERIES,
    CHAINED_FUNCTIONS,
];

const fn limit(name: &'static str, what: &'static str, most: usize) -> SizeLimit {
    SizeLimit { name, what, most }
}

impl SizeLimit {
    /// The error that there are `found` where fewer are allowed.
    #[must_use]
    pub fn exceeded(self, found: usize, span: Span) -> Diagnostic {
        let Self { name, what, most } = self;
        let message = format!("{found} {what}, and the limit `{name}` allows {most}");
        Diagnostic::error(Code::QuestionTooLarge, message, span)
            .with_hint("split the question, or ask for less at a time")
    }
}

/// Checks the length of a text, before anything reads it.
///
/// # Errors
/// The text is longer than [`TEXT_BYTES`]. The error is about its part after that.
pub fn check_text(text: &str) -> Result<(), Box<Diagnostic>> {
    if text.len() <= TEXT_BYTES.most {
        return Ok(());
    }
    // The part is drawn below its line, so it is short.
    let mut start = TEXT_BYTES.most;
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let span = Span::new(start, start);
    Err(Box::new(TEXT_BYTES.exceeded(text.len(), span)))
}

/// Checks the parts of a script; clauses of a request may have added some.
///
/// # Errors
/// Every part that is too large.
pub fn check_limits(script: &Script) -> Result<(), Vec<Diagnostic>> {
    of_statements(&script.statements)
}

pub(crate) fn of_statements(statements: &[Statement]) -> Result<(), Vec<Diagnostic>> {
    let mut found = Vec::new();
    for statement in statements {
        found.extend(Counter::of(statement, 0).found);
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(limited(found))
}

/// The counts of a statement so far.
#[derive(Debug, Default)]
struct Counter {
    conditions: usize,
    subqueries: usize,
    found: Vec<Diagnostic>,
}

impl Counter {
    /// Counts a statement; `subqueries` are counted already around it.
    fn of(statement: &Statement, subqueries: usize) -> Self {
        let mut counter = Self {
            subqueries,
            ..Self::default()
        };
        match statement {
            Statement::Select(select) => counter.select(select),
            Statement::Show(show) => {
                counter.call(&show.call);
                counter.conditions(show.conditions.iter().flatten());
            }
            Statement::Outer(outer) => counter.outer(outer),
        }
        counter
    }

    fn outer(&mut self, outer: &Outer) {
        self.call(&outer.call);
        self.list(CHAINED_FUNCTIONS, &outer.chain, |call| call.name.span);
        outer.chain.iter().for_each(|call| self.call(call));
    }

    fn select(&mut self, select: &Select) {
        self.list(SOURCES, &select.sources, span_of);
        for source in &select.sources {
            if let Source::Subquery { query, .. } = source {
                self.inner(query);
            }
        }
        let items = select.target.as_deref().unwrap_or_default();
        self.list(COLUMNS, items, |item| item.expr.span);
        for item in items {
            self.expr(&item.expr);
            if let Some(shift) = &item.shift {
                self.subquery(shift.span);
            }
        }
        self.list(KEYS, &select.by, |key| key.expr.span);
        self.list(KEYS, &select.order_by, |key| key.expr.span);
        self.conditions(select.conditions.iter().flatten());
        self.conditions(&select.having);
        let keys = select.by.iter().map(|key| &key.expr);
        let orders = select.order_by.iter().chain(&select.sorder_by);
        let orders = orders.map(|key| &key.expr);
        keys.chain(orders).for_each(|key| self.expr(key));
        if let Some(link) = &select.link {
            link.queries.iter().for_each(|query| self.inner(query));
            self.conditions(&link.conditions);
        }
    }

    fn inner(&mut self, query: &Select) {
        self.subquery(query.span);
        self.select(query);
    }

    fn subquery(&mut self, span: Span) {
        self.subqueries += 1;
        if self.subqueries == SUBQUERIES.most + 1 {
            self.exceeded(SUBQUERIES, self.subqueries, span);
        }
    }

    fn conditions<'a>(&mut self, conditions: impl IntoIterator<Item = &'a Expr>) {
        for condition in conditions {
            self.condition(condition.span);
            self.expr(condition);
        }
    }

    fn condition(&mut self, span: Span) {
        self.conditions += 1;
        if self.conditions == CONDITIONS.most + 1 {
            self.exceeded(CONDITIONS, self.conditions, span);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Array(members) => self.members(members),
            ExprKind::Call(call) => self.call(call),
            ExprKind::Unary { operand, .. } => self.expr(operand),
            ExprKind::Binary { op, left, right } => {
                self.expr(left);
                if matches!(op, BinaryOp::And | BinaryOp::Or) {
                    self.condition(right.span);
                }
                self.expr(right);
            }
            ExprKind::In { expr, set, .. } => {
                self.expr(expr);
                match set {
                    InSet::List(members) => self.members(members),
                    InSet::Subquery(query) => self.inner(query),
                    InSet::Named(_) => {}
                }
            }
            ExprKind::Case {
                operand,
                branches,
                otherwise,
            } => {
                for (when, then) in branches {
                    self.condition(when.span);
                    self.expr(when);
                    self.expr(then);
                }
                let ends = operand.iter().chain(otherwise);
                ends.for_each(|end| self.expr(end));
            }
            ExprKind::Subquery(query) => self.inner(query),
            ExprKind::Quoted(quoted) => {
                if let Quoted::Query(_, statement) = quoted.as_ref() {
                    self.subquery(expr.span);
                    let inner = Self::of(statement, self.subqueries);
                    self.subqueries = inner.subqueries;
                    self.found.extend(inner.found);
                }
            }
            _ => {}
        }
    }

    fn members(&mut self, members: &[Expr]) {
        self.list(LIST_MEMBERS, members, |member| member.span);
        members.iter().for_each(|member| self.expr(member));
    }

    fn call(&mut self, call: &Call) {
        self.list(ARGUMENTS, &call.args, |arg| arg.value.span);
        call.args.iter().for_each(|arg| self.expr(&arg.value));
    }

    /// Refuses a list that is too long, at its first part too many.
    fn list<T>(&mut self, limit: SizeLimit, parts: &[T], span: impl Fn(&T) -> Span) {
        if let Some(first) = parts.get(limit.most) {
            self.exceeded(limit, parts.len(), span(first));
        }
    }

    fn exceeded(&mut self, limit: SizeLimit, found: usize, span: Span) {
        self.found.push(limit.exceeded(found, span));
    }
}

fn span_of(source: &Source) -> Span {
    match source {
        Source::Name(name) | Source::Regex(name) => name.span,
        Source::All(span) => *span,
        Source::Subquery { query, .. } => query.span,
    }
}
