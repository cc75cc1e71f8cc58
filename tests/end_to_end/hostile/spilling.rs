//! Very many groups under little memory.

use std::time::Duration;

use api::{QueryOptions, QueryRequest, Scope};
use engine::{Engine, EngineConfig, EngineError};
use events::{Defaults, Event, TimeRange};
use futures::future;
use store::{ImportOptions, Store, StoreOptions};
use tokio::time::timeout;

const EVENTS: u64 = 40_000;
const DATE_MS: u64 = 1_795_000_000_000;

async fn store() -> Store {
    let store = Store::open("memory://", &StoreOptions::default()).unwrap();
    // Several files, so that several partitions read them.
    for part in 0..4 {
        let mut import = store.import(ImportOptions::default());
        for number in (part..EVENTS).step_by(4) {
            let event = format!(
                r#"{{"date": {}, "df_event_id": "event-{number}", "df_title": "a title of some length {number}", "df_workspace": "acme"}}"#,
                DATE_MS + number
            );
            let record = serde_json::from_str(&event).unwrap();
            let event = Event::from_json_identified_by_content(record, &Defaults::default());
            import.push(event.unwrap()).await.unwrap();
        }
        import.finish().await.unwrap();
    }
    store
}

fn question(query: &str) -> QueryRequest {
    let from = i64::try_from(DATE_MS).unwrap();
    QueryRequest {
        query: query.to_owned(),
        scope: Scope::All,
        options: QueryOptions {
            time_range: Some(TimeRange::new(from, from + 86_400_000).unwrap()),
            ..QueryOptions::default()
        },
    }
}

/// More groups than memory holds are spilled, in several partitions, by several questions at a time; each
/// question is answered or refused, and none waits for another for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_groups_under_little_memory_come_to_an_end() {
    let store = store().await;
    for memory_bytes in [1 << 20, 4 << 20, 16 << 20] {
        let config = EngineConfig {
            memory_bytes,
            partitions: 4,
            partition_events: 1,
            batch_rows: 512,
            ..EngineConfig::default()
        };
        let engine = Engine::new(store.clone(), config).unwrap();
        let requests = [
            question("TAE::audit:(count(*)) BY df_title SLIMIT 10"),
            question(
                "TAE::audit:(count_distinct(df_title), last(df_title)) BY df_event_id SLIMIT 10",
            ),
            question(
                "TAE::(TAE::audit:(count(*) AS n) BY df_title SLIMIT 10000):(sum(n)) BY df_title SLIMIT 5",
            ),
            question("TAE::audit:(df_title) {df_title IN (TAE::audit:(df_title))} LIMIT 5"),
        ];
        let answers = requests.iter().map(|request| engine.query(request));
        let answers = timeout(Duration::from_secs(300), future::join_all(answers)).await;
        for answer in answers.expect("an end") {
            let is_told = matches!(answer, Ok(_) | Err(EngineError::ResourcesExhausted(_)));
            assert!(is_told, "{answer:?}");
        }
    }
}

/// An answer stops to grow at its bound, before it is built.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_stops_at_its_bound() {
    let config = EngineConfig {
        answer_bytes: 100_000,
        ..EngineConfig::default()
    };
    let engine = Engine::new(store().await, config).unwrap();
    let asked = engine.query(&question("TAE::audit:(*) LIMIT 10000")).await;
    assert!(
        matches!(asked, Err(EngineError::AnswerTooLarge(100_000))),
        "{asked:?}"
    );
    let asked = engine.query(&question("TAE::audit:(*) LIMIT 10")).await;
    assert_eq!(asked.unwrap()[0].summary.rows, 10);
}
