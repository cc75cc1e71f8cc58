//! Plans of the scan: what generic rules see of them, which rows conditions see, and their metrics.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions, collect,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use functions::json::json_number;
use functions::{FunctionOptions, NoteId, NoteMetrics};
use futures::TryStreamExt;
use store::{Store, StoreOptions};

use super::case::{Case, FIRST_DATE, FileCase, Row, Shape, TEXTS, order};
use super::{files, sessions};
use crate::{EventTable, Events};

/// A file whose rows have these values of `df_user_name` and `df_message`.
fn file(texts: &[[&'static str; 2]]) -> FileCase {
    let rows = texts
        .iter()
        .zip(FIRST_DATE..)
        .map(|([name, message], date)| {
            let mut row = Row {
                date,
                numbers: [None, None],
                texts: [None; TEXTS.len()],
            };
            row.texts[1] = Some(name);
            row.texts[4] = Some(message);
            row
        });
    FileCase {
        rows: rows.collect(),
        missing: ["country"].into(),
        row_group_rows: 2,
        page_rows: 2,
        has_dictionaries: true,
        has_page_index: true,
        is_logged: true,
        delivery: None,
    }
}

/// A table of these files, and its session.
async fn table(files: Vec<FileCase>, notes: &NoteMetrics) -> (SessionContext, DataFrame) {
    let case = Case {
        files,
        recent: Vec::new(),
        filters: Vec::new(),
        shape: Shape::Rows(Vec::new()),
        partitions: 2,
        batch_rows: 100,
        cache_bytes: 1 << 20,
    };
    let store = Store::open("memory:///audit", &StoreOptions::default()).unwrap();
    let files = files::write(&case, &store).await;
    let mut config = SessionConfig::new().with_target_partitions(case.partitions);
    let context = SessionContext::new();
    config.options_mut().extensions.insert(FunctionOptions {
        pool: Arc::clone(&context.runtime_env().memory_pool),
        notes: notes.clone(),
    });
    let context = sessions::session(&store, config, case.cache_bytes);
    let events = Events {
        files: files.into(),
        recent: Vec::new(),
    };
    let table = context.read_table(Arc::new(EventTable::new(events)));
    (context, table.unwrap())
}

/// The node with a name.
fn find<'p>(plan: &'p Arc<dyn ExecutionPlan>, name: &str) -> Option<&'p Arc<dyn ExecutionPlan>> {
    if plan.name() == name {
        return Some(plan);
    }
    let mut children = plan.children().into_iter();
    children.find_map(|child| find(child, name))
}

fn is_positive(column: &str, note: NoteId) -> Expr {
    json_number(col(column), Some(note)).gt(lit(0_i64))
}

/// The plans over a table with filters, each with another operator of the scan.
async fn plans(table: &DataFrame, filters: &[Expr]) -> Vec<(&'static str, Arc<dyn ExecutionPlan>)> {
    let filters = filters.iter().cloned();
    let table = filters.fold(table.clone(), |table, filter| table.filter(filter).unwrap());
    let counted = table.clone().aggregate(vec![], vec![count(lit(1))]);
    let newest = table.clone().sort(order(true)).unwrap().limit(0, Some(5));
    let mut plans = Vec::new();
    for (name, table) in [
        ("AggregateScanExec", counted.unwrap()),
        ("OrderedScanExec", newest.unwrap()),
        ("DataSourceExec", table),
    ] {
        let plan = table.create_physical_plan().await.unwrap();
        assert!(find(&plan, name).is_some(), "{name}");
        plans.push((name, plan));
    }
    plans
}

/// Conditions with notes see only rows that all others leave, and those of outer queries only rows that those of inner
/// queries leave, in whatever order the filters are written.
#[tokio::test]
async fn conditions_see_no_row_that_an_earlier_stage_removes() {
    let (inner, outer) = (NoteId::new(1, 0), NoteId::new(0, 1));
    let rows = [
        ["1", "1"],
        ["no number", "0"],
        ["2", "no number"],
        ["3", "3"],
    ];
    let is_inner = is_positive("df_message", inner);
    let is_outer = is_positive("df_user_name", outer);
    let is_number = col("df_message").not_eq(lit("no number"));
    for filters in [
        [is_outer.clone(), is_inner.clone(), is_number.clone()],
        [is_number, is_inner, is_outer],
    ] {
        for index in 0..3 {
            let notes = NoteMetrics::new([inner, outer]);
            let (context, table) = table(vec![file(&rows)], &notes).await;
            let (name, plan) = plans(&table, &filters).await.swap_remove(index);
            collect(plan, context.task_ctx()).await.unwrap();
            assert!(notes.rows(inner) > 0 && notes.rows(outer) > 0, "{name}");
            assert_eq!((notes.met(inner), notes.met(outer)), (0, 0), "{name}");
        }
    }
}

/// Generic rules see the expressions of every operator, and can put it into a plan again.
#[tokio::test]
async fn operators_show_their_expressions_and_have_no_children() {
    let (_, table) = table(vec![file(&[["a", "b"]])], &NoteMetrics::default()).await;
    for (name, plan) in plans(&table, &[col("df_user_name").eq(lit("a"))]).await {
        let node = find(&plan, name).unwrap();
        let mut seen = String::new();
        let visited = node.apply_expressions(&mut |expr| {
            seen.push_str(&expr.to_string());
            Ok(TreeNodeRecursion::Continue)
        });
        visited.unwrap();
        assert!(seen.contains("df_user_name"), "{name}: {seen}");
        let with_children = |children| {
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Arc::clone(node).replace_children(children, options)
        };
        let same = with_children(Vec::new()).unwrap();
        assert_eq!(same.schema(), node.schema());
        if name != "DataSourceExec" {
            let child: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(node.schema()));
            assert!(with_children(vec![child]).is_err());
        }
    }
}

/// A partition without files has no rows; a table without files has one such partition.
#[tokio::test]
async fn partitions_may_be_empty() {
    for files in [Vec::new(), vec![file(&[["a", "b"]])]] {
        let (context, table) = table(files, &NoteMetrics::default()).await;
        let grouped = table.aggregate(vec![col("df_user_name")], vec![count(lit(1))]);
        let plan = grouped.unwrap().create_physical_plan().await.unwrap();
        let scan = find(&plan, "AggregateScanExec").unwrap();
        let batches = scan.execute(1, context.task_ctx()).unwrap();
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        assert_eq!(
            batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
            0
        );
    }
}

/// The sum of a metric over all partitions.
fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> Option<String> {
    let metrics = plan.metrics()?.aggregate_by_name();
    let mut metrics = metrics.iter().map(|metric| metric.value());
    let value = metrics.find(|value| value.name() == name)?;
    Some(value.to_string())
}

#[tokio::test]
async fn operators_report_what_they_read_and_prune() {
    let files = vec![
        file(&[["a", "b"], ["a", "c"]]),
        file(&[["b", "b"], ["c", "b"], ["d", "b"], ["e", "b"]]),
    ];
    let (context, table) = table(files, &NoteMetrics::default()).await;
    let filter = col("df_user_name").gt(lit("c"));
    for (name, plan) in plans(&table, &[filter]).await {
        collect(Arc::clone(&plan), context.task_ctx())
            .await
            .unwrap();
        let node = find(&plan, name).unwrap();
        let metric = |name| metric(node, name).unwrap();
        assert_eq!(
            metric("files_pruned_statistics"),
            "2 total → 1 matched",
            "{name}"
        );
        assert_ne!(metric("bytes_scanned"), "0", "{name}");
        if name != "DataSourceExec" {
            assert_eq!(
                metric("row_groups_pruned_statistics"),
                "2 total → 1 matched",
                "{name}"
            );
            assert_ne!(metric("column_cache_misses"), "0", "{name}");
        }
        // The partial aggregation has one row in each of the two partitions.
        assert_eq!(metric("output_rows"), "2", "{name}");
    }
}
