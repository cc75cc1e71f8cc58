//! The syntax tree of DQL, with the span of every part in the text.
//!
//! The tree keeps what the text says and decides nothing that needs a store, a clock or a field
//! catalogue. Context-dependent quoting is settled here: a backquoted word in value position is a
//! [`ExprKind::String`], a quoted string in field position of an aggregate stays a string and is read
//! as a field by the code that knows the function.

mod time;
pub mod visit;

use crate::diagnostic::Diagnostic;
use crate::span::{Span, TextId};
use crate::texts::Texts;

pub use time::{
    Civil, Duration, DurationPart, DurationUnit, Preset, Range, Rollup, Step, TimePoint,
    TimePointKind, Window,
};

/// A list of statements separated by `;`.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The statements in order; never empty.
    pub statements: Vec<Statement>,
    /// The texts besides the query that spans may be in.
    pub texts: Texts,
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// A query over a namespace.
    Select(Box<Select>),
    /// A metadata question, `show_…(…)`.
    Show(Box<Show>),
    /// A function applied to the result of a query, `cumsum(…)`, `eval(…)`.
    Outer(Box<Outer>),
}

impl Statement {
    /// Where it is.
    pub fn span(&self) -> Span {
        match self {
            Self::Select(select) => select.span,
            Self::Show(show) => show.span,
            Self::Outer(outer) => outer.span,
        }
    }
}

/// `namespace::sources:(target){where}[window] tail`.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The namespace with its indexes, if written.
    pub namespace: Option<Namespace>,
    /// The data sources; empty in the projection-only form `M:::(x)`.
    pub sources: Vec<Source>,
    /// The projection; `None` and an empty list both mean every field.
    pub target: Option<Vec<Item>>,
    /// The elements of `{…}`, joined by AND; `None` when there are no braces.
    pub conditions: Option<Vec<Expr>>,
    /// The time expression `[…]`.
    pub window: Option<Window>,
    /// Query-level `SHIFT`.
    pub shift: Option<Duration>,
    /// The keys of `BY`.
    pub by: Vec<ByItem>,
    /// The conditions of `HAVING`, joined by AND.
    pub having: Vec<Expr>,
    /// The keys of `ORDER BY`.
    pub order_by: Vec<OrderKey>,
    /// The key of `SORDER BY`.
    pub sorder_by: Option<OrderKey>,
    /// `LIMIT`: rows of a group.
    pub limit: Option<Count>,
    /// `OFFSET`: rows of a group to skip.
    pub offset: Option<Count>,
    /// `SLIMIT`: groups.
    pub slimit: Option<Count>,
    /// `SOFFSET`: groups to skip.
    pub soffset: Option<Count>,
    /// `FILTER … WITH` or `LINK … WITH`, which today's language no longer has; [`crate::check()`] rejects
    /// it.
    pub link: Option<Link>,
    /// The whole query.
    pub span: Span,
}

impl Select {
    /// A query without clauses.
    pub fn over(namespace: Option<Namespace>, sources: Vec<Source>, span: Span) -> Self {
        Self {
            namespace,
            sources,
            target: None,
            conditions: None,
            window: None,
            shift: None,
            by: Vec::new(),
            having: Vec::new(),
            order_by: Vec::new(),
            sorder_by: None,
            limit: None,
            offset: None,
            slimit: None,
            soffset: None,
            link: None,
            span,
        }
    }
}

/// A join of the language's first generation: `LINK query [LINK query …] WITH {a = b}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Which word joins.
    pub kind: LinkKind,
    /// The joined queries; one for `FILTER`.
    pub queries: Vec<Select>,
    /// The elements of the `{…}` after `WITH`.
    pub conditions: Vec<Expr>,
    /// From the first word to the closing brace.
    pub span: Span,
}

/// The word of a [`Link`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// `FILTER`: keep the rows that have a partner.
    Filter,
    /// `LINK`: add the partner's columns.
    Link,
}

/// A namespace such as `TAE`, with its optional index list: `L("a","b")` or `L["a"]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Namespace {
    /// The name as written.
    pub name: Ident,
    /// The index names; empty when none was written.
    pub indexes: Vec<Ident>,
}

/// A name with its span.
#[derive(Debug, Clone, PartialEq)]
pub struct Ident {
    /// The name without quotes and escapes.
    pub text: String,
    /// Its span, quotes included.
    pub span: Span,
}

/// A source of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// An exact name of the namespace's class field.
    Name(Ident),
    /// `*`: everything.
    All(Span),
    /// A pattern over the class field, ``re(`.*`)``.
    Regex(Ident),
    /// The rows of another query.
    Subquery {
        /// The inner query.
        query: Box<Select>,
        /// Its alias.
        alias: Option<Ident>,
    },
}

/// One item of the projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The expression; [`ExprKind::Star`] for every field.
    pub expr: Expr,
    /// `SHIFT` of this column.
    pub shift: Option<Duration>,
    /// `AS alias`.
    pub alias: Option<Ident>,
}

/// One key of `BY`.
#[derive(Debug, Clone, PartialEq)]
pub struct ByItem {
    /// The key.
    pub expr: Expr,
    /// `AS alias`.
    pub alias: Option<Ident>,
    /// A direction after the key, which is accepted and has no effect; [`crate::check()`] warns.
    pub direction: Option<Direction>,
}

/// One key of `ORDER BY` or `SORDER BY`.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderKey {
    /// The key.
    pub expr: Expr,
    /// The direction; ascending when none was written.
    pub direction: Direction,
}

/// The direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The number after `LIMIT`, `OFFSET`, `SLIMIT` or `SOFFSET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number.
    pub value: u64,
    /// Its span.
    pub span: Span,
}

/// An expression with its span.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// Its kind.
    pub kind: ExprKind,
    /// Its span.
    pub span: Span,
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `nil` or `null`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer literal.
    Int(i64),
    /// A floating-point literal.
    Float(f64),
    /// A string: quoted, base64, or backquoted in value position.
    String(String),
    /// A duration literal such as `30s`.
    Duration(Duration),
    /// `*`: every field.
    Star,
    /// A field, with an optional path into the JSON it holds.
    Field(Field),
    /// A regular expression in value position: `re('…')`, ``re`…` ``.
    Regex(String),
    /// `[a, b]`.
    Array(Vec<Expr>),
    /// A function call.
    Call(Call),
    /// A prefix operator.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// An infix operator. A chain of the same `AND` or `OR` is a balanced tree, so that it is not deep.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `expr [NOT] IN set`.
    In {
        /// The tested value.
        expr: Box<Expr>,
        /// `NOT IN`.
        negated: bool,
        /// The set.
        set: InSet,
    },
    /// `CASE [operand] WHEN … THEN … ELSE … END`.
    Case {
        /// The compared value of the simple form.
        operand: Option<Box<Expr>>,
        /// The branches.
        branches: Vec<(Expr, Expr)>,
        /// The value when no branch fits.
        otherwise: Option<Box<Expr>>,
    },
    /// A query as a value or an argument.
    Subquery(Box<Select>),
    /// A query in quotes or backquotes as the argument of a function over queries.
    Quoted(Box<Quoted>),
    /// A placeholder that a dashboard fills before it sends the query, `#{name}` or `${name}`, outside of
    /// quotes. A query that still holds one cannot be answered; [`crate::check()`] rejects it.
    Placeholder(String),
}

/// A query in quotes.
#[derive(Debug, Clone, PartialEq)]
pub enum Quoted {
    /// One that can be read. Its spans are in a text of its own.
    Query(TextId, Statement),
    /// A text that is no query, as written, and its errors.
    Unreadable(String, Vec<Diagnostic>),
}

/// The right-hand side of `IN`.
#[derive(Debug, Clone, PartialEq)]
pub enum InSet {
    /// `[a, b]`.
    List(Vec<Expr>),
    /// A named list of a sub-query among the sources, ``IN `@name` ``.
    Named(Ident),
    /// `IN (query)`.
    Subquery(Box<Select>),
}

/// A field name: `df_title`, `` `user.name` ``, `message@request.headers["user-agent"][0]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The name before `@`, dots included; empty in `@path` (the default text field).
    pub name: String,
    /// The steps after `@`; empty without one.
    pub path: Vec<PathStep>,
}

/// One step of a JSON path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// `.key` or `["key"]`.
    Key(String),
    /// `[0]`.
    Index(u64),
}

/// A function call. A call chained to it by `.` in an expression, `f(x).g(y)`, is `g(f(x), y)`.
#[derive(Debug, Clone)]
pub struct Call {
    /// The function name as written; names ignore case, also in comparisons of trees.
    pub name: Ident,
    /// The arguments in order.
    pub args: Vec<Arg>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.name.text.eq_ignore_ascii_case(&other.name.text) && self.args == other.args
    }
}

/// One argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// `name =` before the value.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
    /// `AS alias` inside a call: `fill(avg(x) AS a, 0)`.
    pub alias: Option<Ident>,
}

/// A prefix operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Minus,
    /// `NOT`
    Not,
}

/// An infix operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `OR`, `||`
    Or,
    /// `AND`, `&&`, and `,` inside parentheses
    And,
    /// `=`
    Eq,
    /// `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `^`, right associative
    Power,
}

/// `show_name(args){where}[window] LIMIT n OFFSET n`.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    /// The function and its arguments.
    pub call: Call,
    /// The elements of `{…}`.
    pub conditions: Option<Vec<Expr>>,
    /// The time expression.
    pub window: Option<Window>,
    /// `LIMIT`.
    pub limit: Option<Count>,
    /// `OFFSET`.
    pub offset: Option<Count>,
    /// The whole statement.
    pub span: Span,
}

/// A function over a query's result, and the functions chained to it: `rate(…).series_sum()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outer {
    /// The first call; its arguments contain a query, as a sub-query or as text.
    pub call: Call,
    /// The calls after `.`, in order.
    pub chain: Vec<Call>,
    /// `SLIMIT`, `LIMIT` and `OFFSET` after the calls.
    pub limit: Option<Count>,
    /// `OFFSET`.
    pub offset: Option<Count>,
    /// `SLIMIT`.
    pub slimit: Option<Count>,
    /// `SOFFSET`.
    pub soffset: Option<Count>,
    /// The whole statement.
    pub span: Span,
}
