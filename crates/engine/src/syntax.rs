//! The queries inside a syntax tree.

use dql::ast::visit::{self, Visit, VisitMut, mutable};
use dql::ast::{Call, Select, Show};

/// The queries that a function over queries, and those inside it, work on.
pub(crate) fn queries(call: &Call) -> Vec<&Select> {
    let mut queries = Queries(Vec::new());
    visit::walk_call(&mut queries, call);
    queries.0
}

/// The same, to change them.
pub(crate) fn queries_mut(call: &mut Call) -> Vec<&mut Select> {
    let mut queries = QueriesMut(Vec::new());
    mutable::walk_call(&mut queries, call);
    queries.0
}

/// The queries directly inside a query: its sources, and those in its expressions.
pub(crate) fn inner_queries_mut(select: &mut Select) -> Vec<&mut Select> {
    let mut queries = QueriesMut(Vec::new());
    mutable::walk_select(&mut queries, select);
    queries.0
}

/// The outermost queries of a part of a tree.
struct Queries<'a>(Vec<&'a Select>);

impl<'a> Visit<'a> for Queries<'a> {
    fn visit_select(&mut self, select: &'a Select) {
        self.0.push(select);
    }

    /// Checking refuses SHOW inside of other statements.
    fn visit_show(&mut self, _: &'a Show) {}
}

/// The same, to change them.
struct QueriesMut<'a>(Vec<&'a mut Select>);

impl<'a> VisitMut<'a> for QueriesMut<'a> {
    fn visit_select(&mut self, select: &'a mut Select) {
        self.0.push(select);
    }

    fn visit_show(&mut self, _: &'a mut Show) {}
}
