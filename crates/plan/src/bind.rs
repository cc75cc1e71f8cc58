//! From a syntax tree to a bound query: resolves names and types, window and limits.
//!
//! `bind` reads no clock, no store and no request besides its [`BindContext`]. Each clause has a file, and a mistake in
//! one does not hide those in the next. Each family of functions has a file in `function`.

mod arguments;
mod call;
mod comparison;
mod expression;
mod function;
mod grouping;
mod limits;
mod list;
mod membership;
mod name;
mod operand;
mod order;
mod page;
mod pick;
mod point;
mod predicate;
mod series;
mod series_expression;
mod series_function;
mod shift;
mod show;
mod source;
mod target;
mod window;
mod window_limits;

use chrono_tz::Tz;
use datafusion::logical_expr::Expr;
use dql::ast::visit::{Visit, walk_call, walk_expr};
use dql::ast::{BinaryOp, Call, Expr as AstExpr, ExprKind, InSet, Item, Select, UnaryOp};
use dql::{Code, Diagnostic, Span};
use events::TimeRange;
use functions::{NoteId, Resources};

use crate::bound::{BoundQuery, Computed, InSubquery, Key, Notes, Occurrence, moved_back};
use crate::combine::{all_of, all_of_filter};
use crate::types::{Type, Typed};

use expression::WholeNumber;
use function::Templates;
use list::NamedList;
pub(crate) use membership::{ELEMENT, in_subquery_column};
pub(crate) use name::column;
pub use name::nearest_field;
pub(crate) use order::sort_keys;
pub use page::Position;
pub(crate) use page::after;
use page::{PageBinding, PageInput};
use point::Along;
pub use series::bind;
pub(crate) use shift::SHIFT;
pub use show::SHOW_FUNCTIONS;
use show::bind_show;
pub use source::{SOURCE_TIME, source_column};
pub use window_limits::limit_points;

/// The input of binding besides the text of the query.
#[derive(Debug, Clone)]
pub struct BindContext {
    /// Unix milliseconds that count as now.
    pub now_ms: i64,
    /// The zone of dates, presets and steps.
    pub time_zone: Tz,
    /// The request's window, which overrides the one in the text.
    pub time_range: Option<TimeRange>,
    /// The window of the query around this one, which it has when it names none itself.
    pub inherited_range: Option<TimeRange>,
    /// The cursor of the page before.
    pub search_after: Option<Position>,
    /// Only events before this Unix time, whose unit follows from its magnitude, newest first, in a page
    /// that ends between two milliseconds.
    pub cursor_time: Option<i64>,
    /// Whether the answer has default limits.
    pub delivery: Delivery,
    /// Whether a query without SLIMIT gets as many groups as one message may have, instead of fewer.
    pub every_group: bool,
    /// Whether the query may show one column besides the time only.
    pub single_field: bool,
    /// The widest window allowed, in milliseconds.
    pub longest_window_ms: Option<i64>,
    /// The resources that the query may use, together with its sub-queries.
    pub resources: Resources,
    /// The number of queries around it.
    pub depth: u32,
}

impl BindContext {
    /// The context of a query at a time, in Unix milliseconds: in UTC, answered with series, without options of a request
    /// or limits on memory.
    pub fn at(now_ms: i64) -> Self {
        Self {
            now_ms,
            time_zone: Tz::UTC,
            time_range: None,
            inherited_range: None,
            search_after: None,
            cursor_time: None,
            delivery: Delivery::Series,
            every_group: false,
            single_field: false,
            longest_window_ms: None,
            resources: Resources::default(),
            depth: 0,
        }
    }
}

/// How an answer is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// As series in one message: limits apply, also when the query has none.
    Series,
    /// As a stream of batches: only the query's own limits apply.
    Stream,
}

/// The result of binding a part; the finding is boxed because it is large and rare.
pub(crate) type BindResult<T> = Result<T, Box<Diagnostic>>;

/// Binds a query.
///
/// # Errors
/// As [`bind`].
fn bind_query(select: &Select, context: &BindContext) -> Result<BoundQuery, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let items = select.target.as_deref().unwrap_or_default();
    let bound = Binder::new(items, context).query(select, &mut errors);
    match bound {
        Some(query) if errors.is_empty() => Ok(query),
        _ => Err(errors),
    }
}

/// An error about a part of the text.
pub(crate) fn wrong(code: Code, message: impl Into<String>, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message, span))
}

/// The error for a construct of DQL that is understood but not answered.
pub(crate) fn not_supported(what: &str, reason: &str, span: Span) -> Box<Diagnostic> {
    wrong(
        Code::NotSupported,
        format!("{what} is not supported: {reason}"),
        span,
    )
}

/// The columns that the names of a query resolve to.
#[derive(Debug)]
enum Names {
    /// The fields of an event.
    Events,
    /// The columns of a sub-query, in order.
    Query(Vec<(String, Typed)>),
    /// The columns of the series that a function takes.
    Series(Vec<(String, Typed)>),
}

/// The state of binding one query.
struct Binder<'a> {
    context: &'a BindContext,
    names: Names,
    items: &'a [Item],
    /// Whether names resolve to aliases of items; not while an item itself is bound.
    aliases_visible: bool,
    /// The groups, while an expression over groups is bound.
    grouping: Option<Grouping>,
    /// The rows that a function of points runs along in the clause that is bound.
    along: Along,
    /// The columns computed along the rows of each group so far.
    computed: Vec<Computed>,
    key_texts: Vec<(Option<&'a str>, &'a AstExpr)>,
    /// Whole numbers that are computed of two others, each with its note.
    whole_numbers: Vec<WholeNumber>,
    in_subqueries: Vec<InSubquery>,
    /// Whether no two rows of the source are equal.
    rows_are_unique: bool,
    /// The sources that feed conditions.
    lists: Vec<NamedList<'a>>,
    /// The templates of `drain`, which a prepass over the rows computes.
    templates: Vec<Templates>,
    /// Whether a condition of `{…}` is bound; only there IN has sub-queries.
    in_filter: bool,
    /// The query's window, which a sub-query without one reads too.
    range: TimeRange,
    /// The milliseconds by which the window of the rows is before it.
    shift_ms: i64,
    /// The windows of columns that are moved, as in [`BoundQuery`].
    column_shifts_ms: Vec<i64>,
    /// The width of a point in milliseconds.
    step_ms: Option<i64>,
    notes: Notes,
}

/// The groups an expression is over: their keys, and their aggregates so far.
#[derive(Debug, Default)]
struct Grouping {
    keys: Vec<Key>,
    aggregates: Vec<Expr>,
    /// Where columns are moved in time: by how much the rows of the column that is bound are.
    shift_ms: Option<i64>,
}

impl Grouping {
    /// The column of the grouped rows that holds an aggregate; equal ones share it.
    fn column_of(&mut self, aggregate: Expr, value_type: Type) -> Typed {
        let aggregate = match self.shift_ms {
            Some(shift_ms) => shift::over_shift(aggregate, shift_ms),
            None => aggregate,
        };
        let known = self.aggregates.iter().position(|known| *known == aggregate);
        let index = known.unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        });
        Typed::new(column(&format!("a{index}")), value_type)
    }
}

impl<'a> Binder<'a> {
    /// For a query with these columns.
    fn new(items: &'a [Item], context: &'a BindContext) -> Self {
        Self {
            context,
            names: Names::Events,
            items,
            aliases_visible: true,
            grouping: None,
            along: Along::Nothing,
            computed: Vec::new(),
            key_texts: Vec::new(),
            whole_numbers: Vec::new(),
            in_subqueries: Vec::new(),
            rows_are_unique: true,
            lists: Vec::new(),
            templates: Vec::new(),
            in_filter: false,
            range: TimeRange::ALL,
            shift_ms: 0,
            column_shifts_ms: Vec::new(),
            step_ms: None,
            notes: Notes::default(),
        }
    }

    /// Binds every clause, in the order in which they need each other.
    fn query(&mut self, select: &'a Select, errors: &mut Vec<Diagnostic>) -> Option<BoundQuery> {
        let window = keep(errors, self.window(select));
        self.range = window.map_or(TimeRange::ALL, |window| window.range);
        self.step_ms = window.and_then(|window| window.step_ms);
        self.shift_ms = keep(errors, self.query_shift(select)).unwrap_or_default();
        let source = keep(errors, self.source(select));
        self.column_shifts_ms = keep(errors, self.column_shifts()).unwrap_or_default();
        let conditions = select.conditions.as_deref().unwrap_or_default();
        self.in_filter = true;
        let filter = self.conjuncts(conditions, errors);
        self.in_filter = false;
        self.warn_about_lists();
        let keys = self.keys(select, errors);
        let limits = keep(
            errors,
            self.limits(select, window.and_then(|window| window.step_ms)),
        );
        // The remaining clauses would only repeat the findings about these.
        let (window, source, keys, limits) = (window?, source?, keys?, limits?);
        let target = keep(errors, self.target(&keys, window.step_ms))?;
        keep(errors, self.check_single_field(&target, select))?;
        let having = self.having(select, &target, errors);
        let order = keep(errors, self.order(select, &target, &keys))?;
        let series_order = keep(errors, self.series_order(select, &target, &keys))?;
        let shape = self.finish_shape(target.shape);
        self.warn_about_order(select, &shape, window.step_ms);
        let step_ms = window.step_ms.filter(|_| target.has_steps);
        let input = PageInput {
            shape: &shape,
            step_ms,
            keys: &keys,
            order: &order,
            series_order: series_order.as_ref(),
        };
        let PageBinding { page, after } = keep(errors, self.page(select, &input))?;
        let filter = all_of(source.filter.into_iter().chain(filter));
        Some(BoundQuery {
            name: source.name,
            range: window.range,
            window: if source.in_window {
                self.read_range()
            } else {
                TimeRange::ALL
            },
            shift_ms: self.shift_ms,
            column_shifts_ms: std::mem::take(&mut self.column_shifts_ms),
            step_ms,
            time_zone: self.context.time_zone,
            source: source.rows,
            filter,
            after,
            in_subqueries: std::mem::take(&mut self.in_subqueries),
            prepass: self.templates.iter().map(Templates::aggregate).collect(),
            keys,
            shape,
            having,
            computed: std::mem::take(&mut self.computed),
            columns: target.columns,
            time: target.time,
            order,
            series_order,
            limits: self.limits_of_page(limits, page.as_ref()),
            page,
            notes: std::mem::take(&mut self.notes),
            resources: self.context.resources.clone(),
        })
    }

    /// The window that is read.
    fn read_range(&self) -> TimeRange {
        match self.range {
            TimeRange::ALL => TimeRange::ALL,
            range => moved_back(range, self.shift_ms),
        }
    }

    /// The conditions joined by AND.
    fn conjuncts(&mut self, conditions: &[AstExpr], errors: &mut Vec<Diagnostic>) -> Option<Expr> {
        let mut separate = Vec::new();
        for condition in conditions {
            separate_conjuncts(condition, false, &mut separate);
        }
        let mut asking = Vec::new();
        let mut others = Vec::new();
        for (condition, negated) in separate {
            let asked = self.in_subqueries.len();
            let bound = keep(errors, self.condition(condition, negated));
            // A test of a sub-query becomes a join, so it stays separate.
            match self.in_subqueries.len() > asked {
                true => asking.extend(bound),
                false => others.extend(bound),
            }
        }
        all_of(all_of_filter(others).into_iter().chain(asking))
    }

    /// The note of something that running the query may meet; the same one is reported once.
    fn occurrence(&mut self, warning: Diagnostic) -> NoteId {
        let occurrences = &mut self.notes.occurrences;
        let depth = i64::from(self.context.depth);
        // The occurrences of a sub-query are counted separately.
        let mut own = occurrences
            .iter()
            .filter(|occurrence| occurrence.note.depth() == depth);
        if let Some(known) = own.find(|known| known.announces(&warning)) {
            return known.note;
        }
        let note = self.context.resources.next_note(self.context.depth);
        occurrences.push(Occurrence { note, warning });
        note
    }

    fn warn(&mut self, code: Code, message: impl Into<String>, span: Span) -> &mut Diagnostic {
        let warnings = &mut self.notes.warnings;
        warnings.push(Diagnostic::warning(code, message, span));
        let last = warnings.len() - 1;
        &mut warnings[last]
    }
}

/// The conditions that all have to hold for a condition, or with `negated` for its opposite, each with
/// whether its own opposite is meant.
fn separate_conjuncts<'a>(
    condition: &'a AstExpr,
    negated: bool,
    found: &mut Vec<(&'a AstExpr, bool)>,
) {
    let splitting = match negated {
        true => BinaryOp::Or,
        false => BinaryOp::And,
    };
    match &condition.kind {
        ExprKind::Binary { op, left, right } if *op == splitting => {
            separate_conjuncts(left, negated, found);
            separate_conjuncts(right, negated, found);
        }
        ExprKind::Unary {
            op: UnaryOp::Not,
            operand,
        } => separate_conjuncts(operand, !negated, found),
        _ => found.push((condition, negated)),
    }
}

/// The value of a part, or its finding put to the others.
fn keep<T>(errors: &mut Vec<Diagnostic>, result: BindResult<T>) -> Option<T> {
    result.map_err(|error| errors.push(*error)).ok()
}

/// Whether a call in the expression, outside any sub-query, is one of those.
fn any_call(expr: &AstExpr, is_one: &dyn Fn(&Call) -> bool) -> bool {
    let mut search = CallSearch {
        is_one,
        found: false,
    };
    search.visit_expr(expr);
    search.found
}

struct CallSearch<'f> {
    is_one: &'f dyn Fn(&Call) -> bool,
    found: bool,
}

impl<'a> Visit<'a> for CallSearch<'_> {
    fn visit_expr(&mut self, expr: &'a AstExpr) {
        if !self.found {
            walk_expr(self, expr);
        }
    }

    fn visit_call(&mut self, call: &'a Call) {
        self.found |= (self.is_one)(call);
        walk_call(self, call);
    }

    /// Sets hold constants, and queries are bound on their own.
    fn visit_in_set(&mut self, _: &'a InSet) {}

    fn visit_select(&mut self, _: &'a Select) {}
}

/// A type in messages, with the text of its expression.
fn describe(expr: &AstExpr, value_type: Type) -> String {
    format!("`{}` is {}", dql::column_name(expr), value_type.name())
}
