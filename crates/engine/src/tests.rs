//! The memory and the size of questions, over stores in memory.

use api::{QueryOptions, QueryRequest, Scope, StreamItem};
use events::{Defaults, Event, TimeRange};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use plan::BoundStatement;
use scan::column_bytes;
use serde_json::{Value, json};
use store::{ImportOptions, Store, StoreOptions};

use crate::{Engine, EngineConfig, EngineError};

/// 2026-11-21T00:00:00Z.
const DATE_MS: i64 = 1_795_219_200_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A store with events of some days, each with a text of so many bytes.
pub(crate) async fn store(days: i64, events_a_day: i64, message_bytes: usize) -> Store {
    let store = Store::open("memory:///", &StoreOptions::default()).unwrap();
    let mut import = store.import(ImportOptions::default());
    for (day, number) in (0..days).flat_map(|day| (0..events_a_day).map(move |at| (day, at))) {
        let record = json!({
            "date": DATE_MS + day * DAY_MS + number,
            "df_workspace": "acme",
            "df_event_id": format!("event-{day}-{number}"),
            "df_message": format!("{number} {}", "abcdefgh".repeat(message_bytes / 8)),
        });
        let Value::Object(record) = record else {
            unreachable!()
        };
        let event = Event::from_json_identified_by_content(record, &Defaults::default()).unwrap();
        import.push(event).await.unwrap();
    }
    import.finish().await.unwrap();
    store
}

pub(crate) fn engine(store: &Store, memory_bytes: usize) -> Engine {
    let config = EngineConfig {
        memory_bytes,
        partitions: 1,
        ..EngineConfig::default()
    };
    Engine::new(store.clone(), config).unwrap()
}

pub(crate) fn request(query: &str) -> QueryRequest {
    let time_range = Some(TimeRange::new(DATE_MS, DATE_MS + 100 * DAY_MS).unwrap());
    QueryRequest {
        query: query.to_owned(),
        scope: Scope::All,
        options: QueryOptions {
            time_range,
            ..QueryOptions::default()
        },
    }
}

/// A mistyped workspace is compared with the names at the root. The directory that is suggested has no log, so it was
/// not looked into.
#[tokio::test]
async fn a_mistyped_workspace_costs_no_look_into_the_others() {
    let store = store(1, 1, 8).await;
    let path = Path::from("workspace=acmes/no-log");
    store.object_store().put(&path, "x".into()).await.unwrap();
    let request = QueryRequest {
        scope: Scope::Workspaces(vec!["acmess".parse().unwrap()]),
        ..request("TAE::audit:(count(*))")
    };
    let answer = engine(&store, 64 << 20).query(&request).await;
    let Err(EngineError::UnknownWorkspace { suggestion, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(suggestion.as_deref(), Some("acmes"));
}

const MATCHES: &str = "TAE::audit:(count(*)) {match(df_message, 'gha')}";

/// The columns that an aggregate reads are charged before they are read.
#[tokio::test]
async fn columns_of_aggregates_are_charged() {
    let store = store(1, 200, 20_000).await;
    let engine = engine(&store, 2 << 20);
    let answer = engine.query(&request(MATCHES)).await;
    assert!(
        matches!(answer, Err(EngineError::ResourcesExhausted(_))),
        "{answer:?}"
    );
    assert_eq!(engine.memory().reserved(), 0);
}

/// When memory has room for one row group only, one after the other is read. Columns that are in memory already
/// take none.
#[tokio::test]
async fn row_groups_take_turns_under_little_memory() {
    let store = store(5, 200, 20_000).await;
    let engine = engine(&store, 6 << 20);
    for _ in 0..2 {
        let answers = engine.query(&request(MATCHES)).await.unwrap();
        assert_eq!(answers[0].series[0].values[0][1], json!(1000));
        drop(answers);
        assert_eq!(engine.memory().reserved(), 0);
    }
}

/// Many columns of long texts come in batches that memory has room for, and are charged as long as they exist.
#[tokio::test]
async fn computed_columns_are_charged_and_bounded() {
    let store = store(1, 100, 20_000).await;
    let engine = engine(&store, 96 << 20);
    let columns = (0..100).map(|at| format!("upper(substr(df_message, {at})) AS c{at}"));
    let columns: Vec<String> = columns.collect();
    let request = request(&format!("TAE::audit:({})", columns.join(", ")));
    let prepared = engine.prepare(request).unwrap();
    let (run, BoundStatement::Query(query)) = prepared.open().await.unwrap() else {
        panic!("a query is asked")
    };
    let (_running, mut batches) = engine.start(&run, *query).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await.unwrap() {
        let texts: usize = batch.columns().iter().map(column_bytes).sum();
        assert!(texts > batch.num_rows() * 1_000_000);
        assert!(engine.memory().reserved() > texts * 9 / 10);
        rows += batch.num_rows();
    }
    assert_eq!(rows, 100);
    drop(batches);
    assert_eq!(engine.memory().reserved(), 0);
}

/// The texts of conditions and of arguments of aggregates are charged, too: memory has room for the messages, and not
/// for them twice.
#[tokio::test]
async fn computed_conditions_and_arguments_are_charged() {
    let store = store(1, 200, 20_000).await;
    for query in [
        "TAE::audit:(count(*)) {upper(df_message) = 'X'}",
        "TAE::audit:(max(length(upper(df_message))))",
    ] {
        // Messages that another question has read take no memory of this one.
        let engine = engine(&store, 6 << 20);
        let answer = engine.query(&request(query)).await;
        let Err(EngineError::ResourcesExhausted(reason)) = answer else {
            panic!("{answer:?}")
        };
        assert!(reason.contains("texts of functions"), "{reason}");
        assert_eq!(engine.memory().reserved(), 0);
        engine.query(&request(query)).await.unwrap();
    }
}

/// `eval` takes as many series as any function, also in a stream, whose query has all groups.
#[tokio::test]
async fn eval_of_too_many_series_is_refused() {
    let store = store(1, 10_001, 0).await;
    let engine = engine(&store, 1 << 30);
    let query = "eval(A * 2, A = \"TAE::audit:(count(*)) BY df_event_id\")";
    let items = engine.query_stream(request(query));
    let items: Vec<Result<_, EngineError>> = items.collect().await;
    let [Err(EngineError::ResourcesExhausted(reason))] = items.as_slice() else {
        panic!("{} items", items.len())
    };
    assert!(reason.contains("10001"), "{reason}");
}

/// A prepared request knows the columns of its answer before it runs, whatever its statement is, and runs again.
#[tokio::test]
async fn columns_are_known_before_a_statement_runs() {
    let store = store(2, 3, 8).await;
    let engine = engine(&store, 64 << 20);
    for query in [
        "TAE::audit:(count(*) AS n, last(df_message)) [::1d] BY df_event_id",
        "abs(TAE::audit:(count(*) AS n, avg(date) AS a, last(df_message) AS m) BY df_event_id)",
        "cumsum(TAE::audit:(count(*) AS n) [::1d]).moving_average(2)",
        "series_sum((TAE::audit:(count(*) AS n) [::1d] BY df_event_id, df_message), sumBy = ['df_message'])",
        "fill((TAE::audit:(last(df_message) AS m, count(*) AS n) [::1d]), 'none')",
        "count_filter((TAE::audit:(count(*) AS n) [::1d] BY df_message), n > 0 AND df_message != '')",
        "eval(A.n / B, A = (TAE::audit:(count(*) AS n) [::1d] BY df_event_id), B = (TAE::audit:(count(*))), alias = 'share')",
        "show_event_source()",
        "show_event_field()",
        "show_workspaces()",
    ] {
        let prepared = engine.prepare(request(query)).unwrap();
        let known = prepared.schema().unwrap();
        for _ in 0..2 {
            let items: Vec<StreamItem> = prepared.clone().stream().try_collect().await.unwrap();
            let [StreamItem::Schema(schema), batches @ .., StreamItem::End(_)] = items.as_slice()
            else {
                panic!("{query}: {items:?}")
            };
            assert_eq!(schema, &known, "{query}");
            assert!(!batches.is_empty(), "{query}");
            for batch in batches {
                let StreamItem::Batch(batch) = batch else {
                    panic!("{query}: {batch:?}")
                };
                assert_eq!(batch.schema(), known, "{query}");
            }
        }
    }
}
