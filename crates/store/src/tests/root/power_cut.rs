//! A local disk whose power is cut: what was acknowledged is there, once, and whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::root::synced_fs::power_cut::{self, Names};
use crate::tests::ingest::write::seen;
use crate::tests::*;
use crate::{BatchNumber, CompactionOptions, IngestOptions, WriteBatch};

const WORKSPACES: [&str; 2] = ["v", "w"];
const WRITES: u64 = 15;

fn open(path: &Path) -> Store {
    Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

/// Cuts the power now, and looks at what is left.
async fn cut(root: &Path, scratch: &Path, acknowledged: &[BTreeSet<String>; 2]) {
    let synced = power_cut::synced(root);
    for names in [Names::Synced, Names::All] {
        let left = scratch.join(format!("{names:?}"));
        synced.restore(root, &left, names).unwrap();
        let store = open(&left);
        for round in 0..2 {
            for (name, expected) in WORKSPACES.iter().zip(acknowledged) {
                let ids = seen(&store, name).await.unwrap().unwrap_or_default();
                let found: BTreeSet<String> = ids.iter().cloned().collect();
                assert_eq!(found.len(), ids.len(), "doubled, {names:?}, round {round}");
                let lost: Vec<_> = expected.difference(&found).collect();
                assert!(lost.is_empty(), "lost {lost:?}, {names:?}, round {round}");
            }
            let folded = store.fold().await.unwrap();
            assert!(folded.failed.is_empty(), "{:?}", folded.failed);
        }
        for name in WORKSPACES {
            let Some(verification) = store.verify(&workspace(name)).await.unwrap() else {
                continue;
            };
            assert_eq!(verification.faults, []);
        }
        std::fs::remove_dir_all(&left).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    let directory = tempfile::tempdir().unwrap();
    let root: PathBuf = directory.path().canonicalize().unwrap().join("store");
    let scratch = directory.path().join("after");
    power_cut::watch(&root);
    let store = open(&root);
    store.init().await.unwrap();
    let ingest = store.ingest(IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..IngestOptions::default()
    });
    let mut acknowledged: [BTreeSet<String>; 2] = Default::default();
    for number in 1..=WRITES {
        for (name, expected) in WORKSPACES.iter().zip(&mut acknowledged) {
            let id = format!("sent {number}");
            let events = vec![event(name, DAY_START_MS, &id)];
            let number = Some(BatchNumber {
                producer: "p".to_owned(),
                workspace: workspace(name),
                number,
            });
            let batch = WriteBatch {
                events,
                origin: Origin::default(),
                number,
                all_or_nothing: false,
            };
            ingest.write(batch).await.unwrap();
            expected.insert(id);
        }
        match number % 5 {
            1 => {
                let id = format!("imported {number}");
                import(&store, [event("w", DAY_START_MS, &id)]).await;
                acknowledged[1].insert(id);
            }
            3 => assert!(store.fold().await.unwrap().failed.is_empty()),
            4 => {
                let options = CompactionOptions {
                    settle_after: Duration::ZERO,
                    ..CompactionOptions::default()
                };
                store.compact(&workspace("w"), &options).await.unwrap();
            }
            _ => {}
        }
        cut(&root, &scratch, &acknowledged).await;
    }
}
