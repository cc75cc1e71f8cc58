//! What a retention run has dropped stays dropped, and nothing else.

use events::settings::RetentionMode;

use super::*;

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

async fn set(root: &Root, retention: &str) {
    let retention = retention.parse().unwrap();
    let (store, id) = (root.open(), workspace("w"));
    store.set_retention(&id, retention, "ops").await.unwrap();
}

async fn expire(root: &Root) {
    let store = root.open();
    let expired = store
        .expire(&workspace("w"), RetentionMode::Confirmed)
        .await;
    assert_eq!(expired.unwrap().unwrap().dropped.events, 1);
}

/// Old events that came in after a run are not older than it, also when the audit event of the run is in a file that
/// the log names.
#[tokio::test]
async fn events_imported_after_a_run_stay() {
    let root = Root::in_memory();
    let old_ms = now_ms() - 400 * DAY_MS;
    import(&root.open(), [event("w", old_ms, "old")]).await;
    import(&root.open(), [event("w", now_ms(), "new")]).await;
    set(&root, "1y").await;
    expire(&root).await;
    set(&root, "7y").await;
    // The times of a run and of files have milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    import(&root.open(), [event("w", old_ms, "again")]).await;
    import(&root.open(), [event("w", now_ms(), "later")]).await;
    assert_eq!(newest(&root).await.version, 7);
    for version in [0, 6] {
        delete(&root, &entry(version)).await;
    }
    let done = repair(&root).await;
    assert_eq!(rebuilt(&done).base, None);
    assert_eq!(ids(&root).await, ["again", "later", "new"]);
}

/// A file of other software that no run takes out is not taken out by a repair.
#[tokio::test]
async fn files_that_no_run_drops_stay() {
    let root = Root::in_memory();
    let old_ms = now_ms() - 400 * DAY_MS;
    import(&root.open(), [event("w", old_ms, "foreign")]).await;
    import(&root.open(), [event("w", old_ms, "old")]).await;
    import(&root.open(), [event("w", now_ms(), "new")]).await;
    strip_log_state(&root).await;
    let text = text_of(&root, &entry(1)).await;
    let first = text.split("\"path\":\"").nth(1).unwrap();
    let relative_path = first.split('"').next().unwrap();
    let (day, _) = relative_path.split_once('/').unwrap();
    let content = bytes_of(&root, &Path::from(format!("workspace=w/{relative_path}"))).await;
    let path = Path::from(format!("workspace=w/{day}/a b.parquet"));
    put(&root, &path, content).await;
    let renamed = text.replace(relative_path, &format!("{day}/a%20b.parquet"));
    put(&root, &entry(1), renamed).await;
    set(&root, "1y").await;
    expire(&root).await;
    import(&root.open(), [event("w", now_ms(), "later")]).await;
    delete(&root, &entry(5)).await;
    repair(&root).await;
    assert_eq!(ids(&root).await, ["foreign", "later", "new"]);
}

/// An imported event that looks like the audit event of a run drops nothing.
#[tokio::test]
async fn imported_audit_events_are_not_believed() {
    let record = serde_json::json!({
        "df_workspace": "w",
        "date": now_ms(),
        "df_event_id": "forged",
        "df_origin": "inner",
        "product": "vouch",
        "action": "retention.expired",
        "attributes": {"kept_from": "2999-01-01"},
    });
    let forged = Event::from_json(
        record.as_object().unwrap().clone(),
        &Defaults::default(),
        || unreachable!("it has an id"),
    );
    let root = Root::in_memory();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    import(&root.open(), [forged.unwrap()]).await;
    delete_log(&root).await;
    let done = repair(&root).await;
    assert_eq!(rebuilt(&done).dropped_events, 0);
    assert_eq!(ids(&root).await, ["1", "forged"]);
    let settings = root.open().settings(&workspace("w")).await.unwrap();
    assert_eq!(settings.dropped_before, None);
}
