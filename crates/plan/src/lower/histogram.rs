//! `histogram`: a row for every interval of numbers.

use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use functions::bucket::Buckets;

use super::key_column;
use super::shape::{hits, keys};
use crate::bind::column;
use crate::bound::BoundQuery;

/// The intervals of every group with at least `least` rows: the keys, `time` and `hits`. With a `least`
/// of 0 every interval has a row, also in a group whose rows lie in none.
pub(super) fn histogram(
    query: &BoundQuery,
    rows: LogicalPlan,
    bucket: &Expr,
    buckets: Buckets,
    least: u64,
) -> Result<LogicalPlan> {
    let mut groups = keys(&query.keys);
    groups.push(bucket.clone().alias("bucket"));
    let counted = LogicalPlanBuilder::from(rows.clone())
        .filter(bucket.clone().is_not_null())?
        .aggregate(groups, vec![hits()])?;
    let kept = 0..query.keys.len();
    if least > 0 {
        let shown = kept.map(key_column);
        return counted
            .filter(col("hits").gt_eq(lit(i64::try_from(least).unwrap_or(i64::MAX))))?
            .project(shown.chain([col("bucket").alias("time"), col("hits")]))?
            .build();
    }
    let edges = buckets.edges().map(|edge| vec![lit(edge)]).collect();
    let edges = LogicalPlanBuilder::values(edges)?.project(vec![col("column1").alias("edge")])?;
    let grid = if query.keys.is_empty() {
        edges
    } else {
        let every_key = keys(&query.keys).into_iter().enumerate();
        LogicalPlanBuilder::from(rows)
            .aggregate(
                every_key.map(|(index, key)| key.unalias().alias(format!("g{index}"))),
                Vec::<Expr>::new(),
            )?
            .cross_join(edges.build()?)?
    };
    let names = |prefix: &str, last: &str| -> Vec<Column> {
        let keys = kept.clone().map(|index| format!("{prefix}{index}"));
        let names = keys.chain([last.to_owned()]);
        names.map(Column::new_unqualified).collect()
    };
    // Rows that lack a key form a group like any other, so missing keys are equal here.
    let joined = grid.join_detailed(
        counted.build()?,
        JoinType::Left,
        (names("g", "edge"), names("k", "bucket")),
        None,
        NullEquality::NullEqualsNull,
    )?;
    let shown = kept.map(|index| column(&format!("g{index}")).alias(format!("k{index}")));
    let hits = coalesce(vec![col("hits"), lit(0_i64)]).alias("hits");
    joined
        .project(shown.chain([col("edge").alias("time"), hits]))?
        .build()
}
