//! A store with events in several data files, and copies of it with a damaged object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use events::{Defaults, Event};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use store::{CompactionOptions, ImportOptions, Store, StoreOptions};

/// 2026-11-21T00:00:00Z.
pub(super) const START_MS: i64 = 1_795_219_200_000;
pub(super) const DAYS: i64 = 3;

/// The objects of a store that is whole.
pub(super) struct Sound {
    pub(super) objects: BTreeMap<Path, Bytes>,
    /// The data files that the newest version names.
    pub(super) data_files: BTreeSet<Path>,
}

impl Sound {
    pub(super) async fn new() -> Self {
        let store = empty();
        for part in 0..4 {
            import(&store, (0..DAYS * 150).map(|number| number * 4 + part)).await;
            if part == 1 {
                compact(&store).await;
            }
        }
        let snapshot = store.snapshot(&"w".parse().unwrap()).await.unwrap();
        let snapshot = snapshot.unwrap();
        let data_files = snapshot.files.iter().map(|file| file.path.clone());
        let store = store.object_store();
        let mut objects = BTreeMap::new();
        let paths: Vec<Path> = store
            .list(None)
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .unwrap();
        for path in paths {
            let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
            objects.insert(path, bytes);
        }
        Self {
            objects,
            data_files: data_files.collect(),
        }
    }

    /// A store of its own with all objects.
    pub(super) async fn open(&self) -> Store {
        let store = empty();
        for (path, bytes) in &self.objects {
            let content = bytes.clone().into();
            store.object_store().put(path, content).await.unwrap();
        }
        store
    }

    /// A store of its own in which one object has other bytes.
    pub(super) async fn with(&self, path: &Path, bytes: Bytes) -> Store {
        let store = self.open().await;
        store.object_store().put(path, bytes.into()).await.unwrap();
        store
    }
}

fn empty() -> Store {
    Store::open("memory://", &StoreOptions::default()).unwrap()
}

async fn import(store: &Store, numbers: impl Iterator<Item = i64>) {
    let mut import = store.import(ImportOptions::default());
    for number in numbers {
        let record = event(number);
        let event = Event::from_json(record, &Defaults::default(), || unreachable!());
        import.push(event.unwrap()).await.unwrap();
    }
    import.finish().await.unwrap();
}

async fn compact(store: &Store) {
    let options = CompactionOptions {
        settle_after: Duration::ZERO,
        rest_factor: 0,
        ..CompactionOptions::default()
    };
    for workspace in store.workspaces().await.unwrap() {
        store.compact(&workspace, &options).await.unwrap();
    }
}

fn event(number: i64) -> serde_json::Map<String, Value> {
    let of =
        |choices: &[&str]| choices[usize::try_from(number).unwrap() % choices.len()].to_owned();
    let noise = |salt: i64| (number * 7_919 + salt * 104_729) % 100_003;
    let record = json!({
        "df_workspace": "w",
        "df_source": "audit",
        "date": START_MS + number % DAYS * 86_400_000 + number * 1_000,
        "df_event_id": format!("id-{number:08}"),
        "df_title": of(&["Sign in", "Sign out", "Delete", "Create", "Update"]),
        "df_user_name": format!("user {}", noise(1) % 40),
        "df_message": format!("message {} about {} and {}", noise(2), noise(3), noise(4)),
        "result": of(&["Success", "Success", "Failure"]),
        "country": of(&["FR", "DE", "US", "CN", "IN", "BR", "JP"]),
        "client_ip": format!("10.0.{}.{}", noise(5) % 256, noise(6) % 256),
        "cost": noise(7),
        "note": format!("{:016x}", noise(8) * noise(9)),
    });
    let Value::Object(record) = record else {
        unreachable!("an object was made");
    };
    record
}
