//! Several imports into the same tables at the same time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use object_store::ObjectStoreExt;

use crate::tests::hooked::{Hook, Request, hooked};
use crate::tests::ingest::write::{by_hand, seen_ids, segments, write};
use crate::tests::*;

#[tokio::test]
async fn two_imports_of_the_same_events_store_each_once() {
    for root in Root::all() {
        let (one, other) = (root.open(), root.open());
        let mut first = one.import(ImportOptions { memory_bytes: 1 });
        let mut second = other.import(ImportOptions { memory_bytes: 1 });
        for number in 0..20 {
            let event = event("w", DAY_START_MS + number, &number.to_string());
            first.push(event.clone()).await.unwrap();
            second.push(event).await.unwrap();
        }
        second
            .push(event("w", DAY_START_MS, "only in the second"))
            .await
            .unwrap();
        let first = first.finish().await.unwrap();
        let second = second.finish().await.unwrap();
        assert_eq!((first.stored, first.repeated), (20, 0));
        assert_eq!((second.stored, second.repeated), (1, 20));
        assert_eq!(second.workspaces[0].files, 1);
        let ids = stored_ids(&root.open(), "w").await;
        assert_eq!(ids.len(), 21);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 21);
        let named = root
            .open()
            .snapshot(&workspace("w"))
            .await
            .unwrap()
            .unwrap();
        let data = objects(&one).await;
        let data = data.iter().filter(|path| path.contains("/day=")).count();
        assert_eq!(data, named.files.len(), "files without a use are gone");
    }
}

#[tokio::test]
async fn a_file_loses_only_the_rows_that_others_stored_first() {
    for root in Root::all() {
        let (one, other) = (root.open(), root.open());
        let slow = one.import(ImportOptions { memory_bytes: 5000 });
        let mut slow = slow.from_origin(through("import"));
        for number in 0..10 {
            // The last event is large enough to have all of them written, into one file.
            let title = "x".repeat(if number == 9 { 5000 } else { 1 });
            let event = titled("w", DAY_START_MS + number, &format!("id {number}"), &title);
            slow.push(event).await.unwrap();
        }
        // Version 0 and the file.
        assert_eq!(objects(&one).await.len(), 2);
        import(
            &other,
            [3, 7].map(|number| titled("w", DAY_START_MS + number, &format!("id {number}"), "x")),
        )
        .await;
        let summary = slow.finish().await.unwrap();
        assert_eq!((summary.stored, summary.repeated), (8, 2));
        assert_eq!(summary.workspaces[0].version, Some(2));
        let events = stored(&root.open(), "w").await;
        assert_eq!(events.len(), 10);
        assert!(events.contains(&(DAY_START_MS + 3, "id 3".to_owned())));
        assert!(events.contains(&(DAY_START_MS + 4, "id 4".to_owned())));
        let snapshot = one.snapshot(&workspace("w")).await.unwrap().unwrap();
        let mut ranges: Vec<_> = snapshot
            .files
            .iter()
            .map(|file| file.date_range_ms)
            .collect();
        ranges.sort_unstable();
        let expected = [(0, 9), (3, 7)];
        assert_eq!(
            ranges,
            expected.map(|(from, to)| Some((DAY_START_MS + from, DAY_START_MS + to)))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_imports_with_common_ids_store_each_once() {
    for root in Root::all() {
        let imports: Vec<_> = (0..12_i64)
            .map(|number| {
                let store = root.open();
                tokio::spawn(async move {
                    let mut import = store.import(ImportOptions::default());
                    // Each id is in three imports.
                    for id in number * 10..number * 10 + 30 {
                        let date_ms = DAY_START_MS + (id % 2) * DAY_MS + id;
                        let event = event("w", date_ms, &id.to_string());
                        import.push(event).await.unwrap();
                    }
                    import.finish().await.unwrap()
                })
            })
            .collect();
        let mut stored_events = 0;
        let mut repeated = 0;
        for import in imports {
            let summary = import.await.unwrap();
            stored_events += summary.stored;
            repeated += summary.repeated;
        }
        assert_eq!((stored_events, repeated), (140, 12 * 30 - 140));
        let store = root.open();
        let expected: BTreeSet<String> = (0..140).map(|id| id.to_string()).collect();
        let ids = stored_ids(&store, "w").await;
        assert_eq!(ids.len(), 140);
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected);
        let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
        assert_eq!(snapshot.rows(), 140);
    }
}

#[tokio::test]
async fn a_store_sees_what_others_commit() {
    for root in Root::all() {
        let (one, other) = (root.open(), root.open());
        for number in 1..=5_i64 {
            let event = event("w", DAY_START_MS + number, &number.to_string());
            let summary = import(&one, [event]).await;
            let version = summary.workspaces[0].version;
            let snapshot = other.snapshot(&workspace("w")).await.unwrap().unwrap();
            assert_eq!(Some(snapshot.version), version);
            assert_eq!(snapshot.rows(), u64::try_from(number).unwrap());
        }
    }
}

/// A node that folds many segments deletes one after each listing of another node: that one still reads
/// the others.
#[tokio::test]
async fn segments_that_vanish_one_by_one_do_not_fail_a_listing() {
    const SEGMENTS: usize = 30;
    let root = Root::in_memory();
    let ingest = root.open().ingest(by_hand());
    for id in 0..SEGMENTS {
        write(&ingest, [event("w", DAY_START_MS, &format!("{id:02}"))]).await;
    }
    ingest.kill().await;
    let newest = Mutex::new(segments(&root.open()).await);
    let is_listed = AtomicBool::new(false);
    let objects = Arc::clone(&root.location.objects);
    let hook = Arc::new((newest, is_listed));
    let hook: Hook = Arc::new(move |request| {
        let (newest, is_listed) = &*hook;
        let vanishes = match request {
            Request::List => {
                is_listed.store(true, Ordering::SeqCst);
                false
            }
            _ => is_listed.swap(false, Ordering::SeqCst),
        };
        let vanishing = vanishes.then(|| newest.lock().unwrap().pop()).flatten();
        let objects = Arc::clone(&objects);
        Box::pin(async move {
            match vanishing {
                Some(path) => objects.delete(&Path::from(path)).await,
                None => Ok(()),
            }
        })
    });
    let seen = seen_ids(&Store::from_location(hooked(&root, hook)), "w").await;
    assert!(
        seen.len() < SEGMENTS && seen.len() > SEGMENTS / 2,
        "{}",
        seen.len()
    );
}
