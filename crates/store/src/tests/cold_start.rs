//! What the first question of a process reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use events::TimeRange;

use super::faults::{Delegate, Fault, interpose};
use super::ingest::write::{by_hand, write};
use super::*;

const FILES: i64 = 100;
const SEGMENTS: i64 = 40;

/// Counts the requests for data files and segments.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<BTreeMap<String, usize>>>);

impl Counted {
    /// How often each object below a path with `part` was asked for.
    fn of(&self, part: &str) -> Vec<usize> {
        let counted = self.0.lock().unwrap();
        let counted = counted.iter().filter(|(path, _)| path.contains(part));
        counted.map(|(_, count)| *count).collect()
    }
}

#[async_trait::async_trait]
impl Delegate for Counted {
    fn fault(&self, path: &Path, is_put: bool) -> Option<Fault> {
        if !is_put {
            *self.0.lock().unwrap().entry(path.to_string()).or_default() += 1;
        }
        None
    }
}

/// A workspace with many small files on each of two days, and many segments on the first of them. Every
/// second event in a segment is in a file too.
async fn store_of_small_objects() -> Root {
    let root = Root::in_memory();
    let store = root.open();
    // So little memory that each event has a file of its own.
    let mut import = store.import(ImportOptions { memory_bytes: 1 });
    for number in 0..FILES {
        for date_ms in [DAY_START_MS, DAY_START_MS + DAY_MS] {
            let event = event("w", date_ms, &format!("{number}"));
            import.push(event).await.unwrap();
        }
    }
    let imported = import.finish().await.unwrap();
    assert_eq!(imported.workspaces[0].files, 2 * FILES as usize);
    let ingest = root.open().ingest(by_hand());
    for number in 0..SEGMENTS {
        let events = [
            event("w", DAY_START_MS, &format!("{number}")),
            event("w", DAY_START_MS, &format!("new {number}")),
        ];
        write(&ingest, events).await;
    }
    ingest.kill().await;
    root
}

/// The ids of all segments are looked for in the files of their day at once: each object is fetched once,
/// also when its rows are read afterwards.
#[tokio::test]
async fn a_first_question_fetches_each_small_object_once() {
    let root = store_of_small_objects().await;
    let counted = Counted::default();
    let store = interpose(&root, counted.clone());
    let view = store.view(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(view.recent_rows(), SEGMENTS as u64);
    assert_eq!(counted.of("segments/"), [1; SEGMENTS as usize]);
    assert_eq!(counted.of("day=2026-11-21/"), [1; FILES as usize]);
    assert_eq!(counted.of("day=2026-11-22/"), [0; 0]);

    read(&store, &view.table.unwrap()).await;
    assert_eq!(counted.of("day=2026-11-21/"), [1; FILES as usize]);
    assert_eq!(counted.of("day=2026-11-22/"), [1; FILES as usize]);
}

/// Which workspaces there are is found without looking at all entries of their logs.
#[tokio::test]
async fn workspaces_are_found_without_listing_long_logs() {
    let root = Root::in_memory();
    let store = root.open();
    for number in 0..21 {
        import(&store, [event("w", DAY_START_MS, &number.to_string())]).await;
    }
    let counted = Counted::default();
    let store = interpose(&root, counted.clone());
    assert_eq!(store.workspaces().await.unwrap(), [workspace("w")]);
    assert_eq!(counted.of("_delta_log"), [1], "the hint");
}

/// Nothing is opened that the window of a question does not need.
#[tokio::test]
async fn a_question_about_another_day_opens_no_file() {
    let root = store_of_small_objects().await;
    let counted = Counted::default();
    let store = interpose(&root, counted.clone());
    let window = TimeRange {
        from_ms: DAY_START_MS + DAY_MS,
        to_ms: DAY_START_MS + 2 * DAY_MS,
    };
    let view = store.view_within(&workspace("w"), &[window]).await;
    let view = view.unwrap().unwrap();
    assert_eq!(view.recent_rows(), 0);
    assert_eq!(counted.of("day="), [0; 0]);
    // A later question about the day has all its events, each once.
    let view = store.view(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(view.recent_rows(), SEGMENTS as u64);
}

/// What was found out about ids is kept when segments go and come, and only as far as it still holds.
#[tokio::test]
async fn segments_that_go_and_come_leave_each_event_seen_once() {
    let root = store_of_small_objects().await;
    let counted = Counted::default();
    let store = interpose(&root, counted.clone());
    let seen = super::ingest::write::seen_ids(&store, "w").await;
    assert_eq!(seen.len(), 2 * FILES as usize + SEGMENTS as usize);

    let ingest = root.open().ingest(by_hand());
    let again = [
        event("w", DAY_START_MS, "new 1"),
        event("w", DAY_START_MS, "newer"),
    ];
    write(&ingest, again.clone()).await;
    store.catch_up(&[]).await.unwrap();
    root.open().fold().await.unwrap();
    write(&ingest, again).await;
    let fresh = super::ingest::write::seen_ids(&root.open(), "w").await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(super::ingest::write::seen_ids(&store, "w").await, fresh);
    }
    // Folds have made new files on the day.
    let fetched = counted.of("day=2026-11-21/");
    assert!(fetched.len() > FILES as usize);
    assert!(fetched.iter().all(|count| *count == 1), "{fetched:?}");
}
