//! Visitors over the syntax tree.
//!
//! A visitor implements the methods for the nodes it is interested in. The default of each method walks the
//! parts of its node in the order of the text, so a visitor that overrides one calls the `walk_` function itself
//! to go on below the node, or does not to leave its parts out.
//!
//! ```
//! use dql::ast::Select;
//! use dql::ast::visit::{Visit, walk_select};
//!
//! /// Counts the queries of a script.
//! struct Queries(usize);
//!
//! impl<'a> Visit<'a> for Queries {
//!     fn visit_select(&mut self, select: &'a Select) {
//!         self.0 += 1;
//!         walk_select(self, select);
//!     }
//! }
//!
//! let script = dql::parse("TAE::audit:(*) {client_ip IN (TAE::audit:(distinct(client_ip)))}")?;
//! let mut queries = Queries(0);
//! queries.visit_script(&script);
//! assert_eq!(queries.0, 2);
//! # Ok::<(), Vec<dql::Diagnostic>>(())
//! ```

use super::{
    Call, Expr, ExprKind, InSet, Item, Link, Outer, Quoted, Script, Select, Show, Source,
    Statement, Window,
};

/// Defines a visitor trait and its walks, for shared or for mutable references.
macro_rules! visitor {
    ($(#[$doc:meta])* $Visit:ident, $($mut:tt)?) => {
        $(#[$doc])*
        pub trait $Visit<'a> {
            /// Visits a script.
            fn visit_script(&mut self, script: &'a $($mut)? Script) {
                walk_script(self, script);
            }

            /// Visits a statement.
            fn visit_statement(&mut self, statement: &'a $($mut)? Statement) {
                walk_statement(self, statement);
            }

            /// Visits a query: a statement, or a part of one.
            fn visit_select(&mut self, select: &'a $($mut)? Select) {
                walk_select(self, select);
            }

            /// Visits a SHOW function.
            fn visit_show(&mut self, show: &'a $($mut)? Show) {
                walk_show(self, show);
            }

            /// Visits a function over the result of a query.
            fn visit_outer(&mut self, outer: &'a $($mut)? Outer) {
                walk_outer(self, outer);
            }

            /// Visits a source.
            fn visit_source(&mut self, source: &'a $($mut)? Source) {
                walk_source(self, source);
            }

            /// Visits an item of the projection.
            fn visit_item(&mut self, item: &'a $($mut)? Item) {
                self.visit_expr(&$($mut)? item.expr);
            }

            /// Visits a window.
            fn visit_window(&mut self, window: &'a $($mut)? Window) {
                walk_window(self, window);
            }

            /// Visits a join of the language's first generation.
            fn visit_link(&mut self, link: &'a $($mut)? Link) {
                walk_link(self, link);
            }

            /// Visits an expression.
            fn visit_expr(&mut self, expr: &'a $($mut)? Expr) {
                walk_expr(self, expr);
            }

            /// Visits a call.
            fn visit_call(&mut self, call: &'a $($mut)? Call) {
                walk_call(self, call);
            }

            /// Visits the right side of `IN`.
            fn visit_in_set(&mut self, set: &'a $($mut)? InSet) {
                walk_in_set(self, set);
            }

            /// Visits a query in quotes.
            fn visit_quoted(&mut self, quoted: &'a $($mut)? Quoted) {
                walk_quoted(self, quoted);
            }
        }

        /// Visits the statements of a script.
        pub fn walk_script<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), script: &'a $($mut)? Script) {
            for statement in &$($mut)? script.statements {
                visitor.visit_statement(statement);
            }
        }

        /// Visits the query or function of a statement.
        pub fn walk_statement<'a>(
            visitor: &mut (impl $Visit<'a> + ?Sized),
            statement: &'a $($mut)? Statement,
        ) {
            match statement {
                Statement::Select(select) => visitor.visit_select(select),
                Statement::Show(show) => visitor.visit_show(show),
                Statement::Outer(outer) => visitor.visit_outer(outer),
            }
        }

        /// Visits the sources and clauses of a query.
        pub fn walk_select<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), select: &'a $($mut)? Select) {
            for source in &$($mut)? select.sources {
                visitor.visit_source(source);
            }
            if let Some(items) = &$($mut)? select.target {
                for item in items {
                    visitor.visit_item(item);
                }
            }
            if let Some(conditions) = &$($mut)? select.conditions {
                for condition in conditions {
                    visitor.visit_expr(condition);
                }
            }
            if let Some(window) = &$($mut)? select.window {
                visitor.visit_window(window);
            }
            for key in &$($mut)? select.by {
                visitor.visit_expr(&$($mut)? key.expr);
            }
            for condition in &$($mut)? select.having {
                visitor.visit_expr(condition);
            }
            for key in &$($mut)? select.order_by {
                visitor.visit_expr(&$($mut)? key.expr);
            }
            if let Some(key) = &$($mut)? select.sorder_by {
                visitor.visit_expr(&$($mut)? key.expr);
            }
            if let Some(link) = &$($mut)? select.link {
                visitor.visit_link(link);
            }
        }

        /// Visits the call and the clauses of a SHOW function.
        pub fn walk_show<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), show: &'a $($mut)? Show) {
            visitor.visit_call(&$($mut)? show.call);
            if let Some(conditions) = &$($mut)? show.conditions {
                for condition in conditions {
                    visitor.visit_expr(condition);
                }
            }
            if let Some(window) = &$($mut)? show.window {
                visitor.visit_window(window);
            }
        }

        /// Visits the calls of a function over the result of a query.
        pub fn walk_outer<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), outer: &'a $($mut)? Outer) {
            visitor.visit_call(&$($mut)? outer.call);
            for call in &$($mut)? outer.chain {
                visitor.visit_call(call);
            }
        }

        /// Visits the query of a source.
        pub fn walk_source<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), source: &'a $($mut)? Source) {
            match source {
                Source::Name(_) | Source::All(_) | Source::Regex(_) => {}
                Source::Subquery { query, .. } => visitor.visit_select(query),
            }
        }

        /// Visits the arguments of the rollup function.
        pub fn walk_window<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), window: &'a $($mut)? Window) {
            if let Some(rollup) = &$($mut)? window.rollup {
                for value in &$($mut)? rollup.args {
                    visitor.visit_expr(value);
                }
            }
        }

        /// Visits the joined queries and the conditions of the join.
        pub fn walk_link<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), link: &'a $($mut)? Link) {
            for query in &$($mut)? link.queries {
                visitor.visit_select(query);
            }
            for condition in &$($mut)? link.conditions {
                visitor.visit_expr(condition);
            }
        }

        /// Visits the parts of an expression.
        pub fn walk_expr<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), expr: &'a $($mut)? Expr) {
            match &$($mut)? expr.kind {
                ExprKind::Nil
                | ExprKind::Bool(_)
                | ExprKind::Int(_)
                | ExprKind::Float(_)
                | ExprKind::String(_)
                | ExprKind::Duration(_)
                | ExprKind::Star
                | ExprKind::Field(_)
                | ExprKind::Regex(_)
                | ExprKind::Placeholder(_) => {}
                ExprKind::Array(elements) => {
                    for element in elements {
                        visitor.visit_expr(element);
                    }
                }
                ExprKind::Call(call) => visitor.visit_call(call),
                ExprKind::Unary { operand, .. } => visitor.visit_expr(operand),
                ExprKind::Binary { left, right, .. } => {
                    visitor.visit_expr(left);
                    visitor.visit_expr(right);
                }
                ExprKind::In { expr, set, .. } => {
                    visitor.visit_expr(expr);
                    visitor.visit_in_set(set);
                }
                ExprKind::Case {
                    operand,
                    branches,
                    otherwise,
                } => {
                    if let Some(operand) = operand {
                        visitor.visit_expr(operand);
                    }
                    for (condition, result) in branches {
                        visitor.visit_expr(condition);
                        visitor.visit_expr(result);
                    }
                    if let Some(otherwise) = otherwise {
                        visitor.visit_expr(otherwise);
                    }
                }
                ExprKind::Subquery(query) => visitor.visit_select(query),
                ExprKind::Quoted(quoted) => visitor.visit_quoted(quoted),
            }
        }

        /// Visits the arguments of a call.
        pub fn walk_call<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), call: &'a $($mut)? Call) {
            for arg in &$($mut)? call.args {
                visitor.visit_expr(&$($mut)? arg.value);
            }
        }

        /// Visits the elements or the query of the right side of `IN`.
        pub fn walk_in_set<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), set: &'a $($mut)? InSet) {
            match set {
                InSet::List(elements) => {
                    for element in elements {
                        visitor.visit_expr(element);
                    }
                }
                InSet::Named(_) => {}
                InSet::Subquery(query) => visitor.visit_select(query),
            }
        }

        /// Visits the statement of a query in quotes that can be read.
        pub fn walk_quoted<'a>(visitor: &mut (impl $Visit<'a> + ?Sized), quoted: &'a $($mut)? Quoted) {
            match quoted {
                Quoted::Query(_, statement) => visitor.visit_statement(statement),
                Quoted::Unreadable(..) => {}
            }
        }
    };
}

visitor!(
    /// Visits the nodes of a tree.
    Visit,
);

/// The same over a tree that the visitor changes.
pub mod mutable {
    use super::*;

    visitor!(
        /// Visits the nodes of a tree and may change them.
        VisitMut,
        mut
    );
}

pub use mutable::VisitMut;

/// Calls `visit` with an expression and its parts, each before its own parts, but not with those of queries inside
/// it.
pub fn for_each_expr<'a>(expr: &'a Expr, visit: impl FnMut(&'a Expr)) {
    Parts(visit).visit_expr(expr);
}

struct Parts<F>(F);

impl<'a, F: FnMut(&'a Expr)> Visit<'a> for Parts<F> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        (self.0)(expr);
        walk_expr(self, expr);
    }

    fn visit_select(&mut self, _: &'a Select) {}

    fn visit_quoted(&mut self, _: &'a Quoted) {}
}
