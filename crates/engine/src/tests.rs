//! The memory and the size of questions, over stores in memory.

use events::{Defaults, Event, TimeRange};
use futures::StreamExt;
use plan::Delivery;
use serde_json::{Value, json};
use store::{ImportOptions, Store, StoreOptions};

use crate::whole::Whole;
use crate::{Engine, EngineConfig, EngineError, QueryOptions, QueryRequest, Scope, prepare};

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

/// The whole answer to a query.
pub(crate) async fn whole(engine: &Engine, request: &QueryRequest) -> Whole {
    let parsed = prepare::read(request, engine.memory()).unwrap();
    let statement = parsed.single().unwrap();
    let whole = engine.whole(request, &parsed, statement, Delivery::Stream);
    whole.await.unwrap()
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
