//! The rows of a query: those of its source inside its window that match its conditions.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, in_subquery, lit};
use events::TimeRange;
use events::fields::DATE;
use functions::json_elements::json_elements;
use functions::pinned::{pinned, pinned_test};

use super::{is_one_row, key_columns, limited};
use crate::bind::{ELEMENT, SHIFT, SOURCE_TIME, column, membership_place, source_column};
use crate::bound::{BoundQuery, BoundSource};
use crate::combine::all_of;

/// The rows of a query. Where columns are moved in time they come once for each window, and the column
/// `shift` tells by how many milliseconds they are moved forward.
pub(super) fn source(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    if query.column_shifts_ms.is_empty() {
        return unshifted(query, events);
    }
    let own = (query.shift_ms, query.window);
    let mut branches = std::iter::once(own).chain(query.shifted_windows());
    let branch = |shift_ms: i64, window: TimeRange| {
        let rows = inside(query, window, events)?;
        let columns = rows.schema().columns().into_iter().map(Expr::Column);
        // The branches differ in this constant only, and must not be told apart by it too early.
        let columns: Vec<Expr> = columns
            .chain([pinned(lit(shift_ms)).alias(SHIFT)])
            .collect();
        LogicalPlanBuilder::from(rows).project(columns)?.build()
    };
    let Some((shift_ms, window)) = branches.next() else {
        return unshifted(query, events);
    };
    let first = LogicalPlanBuilder::from(branch(shift_ms, window)?);
    branches
        .try_fold(first, |all, (shift_ms, window)| {
            all.union(branch(shift_ms, window)?)
        })?
        .build()
}

/// The rows of a query's own window.
pub(super) fn unshifted(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    inside(query, query.window, events)
}

/// The rows of the source inside a window that match the conditions.
fn inside(query: &BoundQuery, window: TimeRange, events: &LogicalPlan) -> Result<LogicalPlan> {
    let builder = match &query.source {
        BoundSource::Events => {
            LogicalPlanBuilder::from(events.clone()).filter(within(column(DATE), window))?
        }
        BoundSource::Query(inner) => {
            let builder = LogicalPlanBuilder::from(subquery(inner, events)?);
            let time = column(SOURCE_TIME);
            match window {
                TimeRange::ALL => builder,
                // Summaries of a whole window have no time and are not outside any window.
                window => builder.filter(time.clone().is_null().or(within(time, window)))?,
            }
        }
    };
    let Some(filter) = &query.filter else {
        return builder.build();
    };
    let filter = with_memberships(query, filter.clone(), events)?;
    let filter = match query.source {
        BoundSource::Events => filter,
        BoundSource::Query(_) => opaque(filter, builder.plan())?,
    };
    builder.filter(filter)?.build()
}

/// The same condition, of which the optimiser does not conclude that what it tests is constant: rows of a
/// query are sorted by all that they have. A test of a membership has to stay what it is.
fn opaque(filter: Expr, rows: &LogicalPlan) -> Result<Expr> {
    let mut conditions = Vec::new();
    for condition in split_conjunction_owned(filter) {
        let asks = condition.exists(|part| Ok(matches!(part, Expr::InSubquery(_))))?;
        conditions.push(match asks {
            true => condition,
            false => pinned_test(condition, rows),
        });
    }
    Ok(all_of(conditions).unwrap_or_else(|| lit(true)))
}

/// The rows of a query inside another: its time, columns and keys under names that no step of the
/// query around it uses.
fn subquery(query: &BoundQuery, events: &LogicalPlan) -> Result<LogicalPlan> {
    let plan = limited(query, events, 0)?.plan;
    let values = (0..query.columns.len()).map(|index| column(&format!("v{index}")));
    let outputs = values.chain(key_columns(query));
    // What one row holds is constant, and so is the time of a summary: see `pinned`.
    let is_one_row = is_one_row(query);
    let is_pinned = |index: usize| {
        // A test of a computed key would make the key constant that its groups are sorted by.
        let key = index.checked_sub(query.columns.len());
        let key = key.and_then(|index| query.keys.get(index));
        is_one_row
            // So would a test in HAVING the values that it tests.
            || query.having.is_some()
            || key.is_some_and(|key| !matches!(key.expr, Expr::Column(_)))
            // A condition around it would be rewritten with all that it is computed of: in queries inside
            // queries that grows with each level.
            || query.columns.get(index).is_some_and(|output| grows(&output.expr))
    };
    let renamed = outputs.enumerate().map(|(index, output)| {
        let value = if is_pinned(index) {
            pinned(output)
        } else {
            output
        };
        value.alias(source_column(index))
    });
    let time = match &query.time {
        Expr::Column(_) if !is_one_row => column("time"),
        _ => pinned(column("time")),
    };
    LogicalPlanBuilder::from(plan)
        .project(std::iter::once(time.alias(SOURCE_TIME)).chain(renamed))?
        .build()
}

/// Whether an expression names more than one column, or one more than once.
fn grows(expr: &Expr) -> bool {
    let mut count = 0;
    let counted = expr.apply(|part| {
        count += usize::from(matches!(part, Expr::Column(_)));
        Ok(match count {
            ..2 => TreeNodeRecursion::Continue,
            _ => TreeNodeRecursion::Stop,
        })
    });
    counted.is_err() || count > 1
}

/// The filter with the plans of its sub-queries in the places that binding left for them.
fn with_memberships(query: &BoundQuery, filter: Expr, events: &LogicalPlan) -> Result<Expr> {
    let mut tests = HashMap::new();
    for (index, membership) in query.memberships.iter().enumerate() {
        let members = subquery(&membership.members, events)?;
        let member = membership.member.clone();
        let mut members = LogicalPlanBuilder::from(members);
        if membership.is_list {
            let list = json_elements(column(&source_column(0)));
            members = members
                .project(vec![list.alias(ELEMENT)])?
                .unnest_column(ELEMENT)?;
        }
        let members = members
            .filter(member.clone().is_not_null())?
            .project(vec![member.alias("member")])?
            .build()?;
        let test = in_subquery(membership.value.clone(), Arc::new(members));
        tests.insert(membership_place(index), test);
    }
    let filled = filter.transform_up(|expr| {
        Ok(match tests.get(&expr) {
            Some(test) => Transformed::yes(test.clone()),
            None => Transformed::no(expr),
        })
    })?;
    Ok(filled.data)
}

fn within(time: Expr, window: TimeRange) -> Expr {
    time.clone()
        .gt_eq(lit(window.from_ms))
        .and(time.lt(lit(window.to_ms)))
}
