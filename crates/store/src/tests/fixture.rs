//! A store that an earlier version wrote: read, written to, and whole.

use std::path::{Path as FilePath, PathBuf};

use super::*;
use crate::delta::log::LogState;

/// The events of `data/stores/0.1.0`: in tables, in segments, and repeats between the two.
const EVENTS: [(&str, u64); 2] = [("acme-production", 117), ("nordlicht", 15)];

fn copy(from: &FilePath, to: &FilePath) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of a committed store.
pub(super) fn fixture(name: &str) -> Root {
    let stores = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/stores"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    copy(&stores.join(name), &path);
    Root {
        location: Location::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap(),
        _directory: Some(directory),
    }
}

async fn counts(store: &Store) -> Vec<(String, u64)> {
    let mut counts = Vec::new();
    for workspace in store.workspaces().await.unwrap() {
        let view = store.view(&workspace).await.unwrap();
        counts.push((workspace.to_string(), view.unwrap().rows()));
    }
    counts
}

fn expected() -> Vec<(String, u64)> {
    EVENTS.map(|(id, rows)| (id.to_owned(), rows)).to_vec()
}

/// A store of version 0.1.0 is read with its segments, folded, and written to.
#[tokio::test]
async fn a_store_of_version_0_1_0_is_read_and_upgraded() {
    let root = fixture("0.1.0");
    let store = root.open();
    assert_eq!(counts(&store).await, expected());
    let settings = store.settings(&workspace("acme-production")).await.unwrap();
    let holds: Vec<&str> = settings
        .holds
        .iter()
        .map(|hold| hold.name.as_str())
        .collect();
    assert_eq!(holds, ["case-18", "case-19", "inquiry"]);
    assert_eq!(settings.retention, Some("6y".parse().unwrap()));
    let before = store
        .snapshot(&workspace("acme-production"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(LogState::read(&before.metadata), Ok(None));

    store.fold().await.unwrap();
    for store in [store, root.open()] {
        assert_eq!(counts(&store).await, expected());
        assert_eq!(
            objects(&store)
                .await
                .iter()
                .filter(|path| path.starts_with("segments/"))
                .count(),
            0
        );
        for (id, _) in EVENTS {
            let snapshot = store.snapshot(&workspace(id)).await.unwrap().unwrap();
            let state = LogState::read(&snapshot.metadata).unwrap().unwrap();
            assert_eq!(
                (state.version, state.rows),
                (snapshot.version, snapshot.rows())
            );
            assert!(state.previous.is_some());
            assert_whole(&store, id).await;
        }
    }
}
