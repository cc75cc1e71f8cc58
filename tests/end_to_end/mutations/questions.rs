//! What is asked of a store: aggregates and newest rows, which read columns that stay in memory, and streams of rows,
//! which DataFusion's scan reads.

use api::{QueryOptions, QueryRequest, Scope, StreamItem};
use engine::{Engine, EngineConfig};
use events::settings::RetentionMode;
use futures::TryStreamExt;
use store::Store;

use super::store::{DAYS, START_MS};

const ANSWERS: [&str; 14] = [
    "TAE::audit:(count(*)) [30d]",
    "TAE::audit:(count(*)) {result = 'Failure'} [30d]",
    "TAE::audit:(count(*)) [30d] BY result",
    "TAE::audit:(count(*), count_distinct(df_user_name)) [30d] BY country",
    "TAE::audit:(sum(int(cost))) [30d] BY df_title",
    "TAE::audit:(max(length(df_message)), count_distinct(client_ip)) [30d]",
    "TAE::audit:(count(*)) {df_event_id = 'id-00000700'} [30d]",
    "TAE::audit:(df_message, note) {df_event_id = 'id-00000701'} [30d]",
    "TAE::audit:(df_event_id, df_user_name, country) [30d] LIMIT 7",
    "TAE::audit:(df_event_id, result) [30d] ORDER BY time ASC LIMIT 7",
    "TAE::audit:(*) {df_user_name = 'user 7'} [30d] LIMIT 50",
    "TAE::audit:(count(*)) {match(df_message, 'about 77')} [30d]",
    "TAE::audit:(count(*)) {country IN ['FR', 'JP'], result != 'Success'} [30d]",
    "TAE::audit:(count(df_user_team)) [30d]",
];

const STREAMS: [&str; 6] = [
    "TAE::audit:(*) [30d]",
    "TAE::audit:(df_event_id, df_title) {result = 'Failure'} [30d]",
    "TAE::audit:(df_message) {country = 'US'} [30d]",
    "TAE::audit:(df_event_id) {df_user_name = 'user 3'} [30d]",
    "TAE::audit:(client_ip, note) {df_title = 'Delete'} [30d]",
    "TAE::audit:(df_event_id, result) {match(df_message, 'about 5')} [30d]",
];

/// The questions in the order of their answers.
pub(super) fn texts() -> impl Iterator<Item = &'static str> {
    ANSWERS.into_iter().chain(STREAMS)
}

/// All answers as texts, each by an engine that knows nothing of the store yet.
pub(super) async fn ask_all(store: &Store) -> Vec<Result<String, String>> {
    let mut answers = Vec::new();
    for number in 0..texts().count() {
        // As a process of its own, or only the first question would meet damage.
        answers.push(ask(engine(store), number).await);
    }
    answers
}

/// All answers as texts by one engine, which is much faster; of a store without damage.
pub(super) async fn ask_one_engine(store: &Store) -> Vec<Result<String, String>> {
    let engine = engine(store);
    let mut answers = Vec::new();
    for number in 0..texts().count() {
        answers.push(ask(engine.clone(), number).await);
    }
    answers
}

fn engine(store: &Store) -> Engine {
    Engine::new(fresh(store), EngineConfig::default()).unwrap()
}

/// The answer to the question with a number.
async fn ask(engine: Engine, number: usize) -> Result<String, String> {
    match ANSWERS.get(number) {
        Some(text) => answer(engine, text).await,
        None => stream(engine, STREAMS[number - ANSWERS.len()]).await,
    }
}

/// What `verify` finds.
pub(super) async fn faults(store: &Store) -> Vec<String> {
    let store = fresh(store);
    let mut faults = store.verify_segments().await.unwrap().faults;
    for workspace in store.workspaces_with_table().await.unwrap() {
        match store.verify(&workspace).await {
            Ok(verification) => faults.extend(verification.unwrap().faults),
            Err(_) => faults.extend(store.verify_log(&workspace).await.unwrap()),
        }
    }
    let faults = faults.into_iter();
    faults
        .map(|fault| format!("{}: {}", fault.path, fault.kind))
        .collect()
}

/// Whatever may write to a damaged store does so.
pub(super) async fn maintain(store: &Store) {
    let store = fresh(store);
    let _ = store.fold().await;
    super::store::compact(&store).await;
    for workspace in store.workspaces_with_table().await.unwrap() {
        let _ = store.expire(&workspace, RetentionMode::Confirmed).await;
    }
}

fn fresh(store: &Store) -> Store {
    Store::with_object_store(store.object_store(), store.url().clone())
}

fn request(text: &str) -> QueryRequest {
    QueryRequest {
        query: text.to_owned(),
        scope: Scope::All,
        options: QueryOptions {
            now_ms: Some(START_MS + (DAYS + 1) * 86_400_000),
            ..QueryOptions::default()
        },
    }
}

/// The answer of a task of its own, so that a panic is told as one.
async fn answer(engine: Engine, text: &'static str) -> Result<String, String> {
    let asked = tokio::spawn(async move { engine.query(&request(text)).await });
    let answers = asked.await.map_err(|panic| format!("panicked: {panic}"))?;
    let answers = answers.map_err(|error| error.to_string())?;
    Ok(format!(
        "{:?}",
        answers
            .into_iter()
            .map(|answer| answer.series)
            .collect::<Vec<_>>()
    ))
}

async fn stream(engine: Engine, text: &'static str) -> Result<String, String> {
    let asked = tokio::spawn(async move {
        let items: Result<Vec<StreamItem>, _> =
            engine.query_stream(request(text)).try_collect().await;
        items
    });
    let items = asked.await.map_err(|panic| format!("panicked: {panic}"))?;
    let items = items.map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for item in items {
        if let StreamItem::Batch(batch) = item {
            rows.extend(
                (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1).columns())),
            );
        }
    }
    rows.sort_unstable();
    Ok(rows.concat())
}
