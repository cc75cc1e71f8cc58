//! A store with events in several data files, and copies of it with a damaged object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use events::{Defaults, Event, Origin};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use store::{
    CompactionOptions, ImportOptions, Ingest, IngestOptions, Store, StoreOptions, WriteBatch,
};

use super::mutate::Mutation;

/// 2026-11-21T00:00:00Z.
pub(super) const START_MS: i64 = 1_795_219_200_000;
pub(super) const DAYS: i64 = 3;

/// The versions of a store with a log, of which the last is made by a fold, and the checkpoint that is needed.
const VERSIONS: i64 = 42;
const CHECKPOINT: i64 = 40;

/// After so many versions the files of each day become one, so that questions read few.
const COMPACTED: i64 = 33;

/// The events of a day in it.
const EVENTS: i64 = 164;

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
        Self::of(&store).await
    }

    /// A store whose log begins at a checkpoint, with events in segments, and a head that names the newest version.
    pub(super) async fn with_log() -> Self {
        let store = empty();
        // The compaction of a day is a version, and the fold.
        let parts = VERSIONS - DAYS - 1;
        for part in 0..parts {
            // All on one day, so that each makes one file.
            let numbers = (0..DAYS * EVENTS / parts).map(|number| number * parts + part);
            import(&store, numbers.map(|number| number * DAYS + part % DAYS)).await;
            if part + 1 == COMPACTED {
                compact(&store).await;
            }
        }
        let first = DAYS * DAYS * EVENTS;
        // Its last fold makes the newest version, and then it puts its head.
        let ingest = ingest(&store, first..first + 20).await;
        ingest.close().await.unwrap();
        ingest_parts(&store, first + 20, 3).await;
        let snapshot = store.snapshot(&"w".parse().unwrap()).await.unwrap();
        assert_eq!(snapshot.unwrap().version, VERSIONS as u64);
        let objects = store.object_store();
        for version in 0..CHECKPOINT {
            let entry = format!("workspace=w/_delta_log/{version:020}.json");
            objects.delete(&entry.as_str().into()).await.unwrap();
        }
        Self::of(&store).await
    }

    async fn of(store: &Store) -> Self {
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

    /// The newest object whose path begins with `directory` and ends with `end`.
    pub(super) fn newest(&self, directory: &str, end: &str) -> Option<&Path> {
        let mut paths = self.objects.keys().rev();
        paths.find(|path| path.as_ref().starts_with(directory) && path.as_ref().ends_with(end))
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

    /// A store of its own in which one object has other bytes, or is gone.
    pub(super) async fn with(&self, mutation: &Mutation) -> Store {
        let store = self.open().await;
        let objects = store.object_store();
        match &mutation.bytes {
            Some(bytes) => drop(
                objects
                    .put(&mutation.path, bytes.clone().into())
                    .await
                    .unwrap(),
            ),
            None => objects.delete(&mutation.path).await.unwrap(),
        }
        store
    }
}

/// A store of its own with the objects of another one, of which nothing is in a cache.
pub(super) async fn copy_of(store: &Store) -> Store {
    let copy = empty();
    let (from, to) = (store.object_store(), copy.object_store());
    let paths: Vec<Path> = from
        .list(None)
        .map_ok(|object| object.location)
        .try_collect()
        .await
        .unwrap();
    for path in paths {
        let bytes = from.get(&path).await.unwrap().bytes().await.unwrap();
        to.put(&path, bytes.into()).await.unwrap();
    }
    copy
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

/// A node that has taken events in and folds nothing by itself.
async fn ingest(store: &Store, numbers: std::ops::Range<i64>) -> Ingest {
    let ingest = store.ingest(IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..IngestOptions::default()
    });
    write(&ingest, numbers).await;
    ingest
}

async fn write(ingest: &Ingest, numbers: std::ops::Range<i64>) {
    let events = numbers.map(|number| {
        let event = Event::from_json(event(number), &Defaults::default(), || unreachable!());
        event.unwrap()
    });
    let batch = WriteBatch {
        origin: Origin::default(),
        events: events.collect(),
        number: None,
        all_or_nothing: false,
    };
    ingest.write(batch).await.unwrap();
}

/// Leaves segments as a node does that is killed.
async fn ingest_parts(store: &Store, first: i64, segments: i64) {
    let node = ingest(store, first..first + 20).await;
    for segment in 1..segments {
        write(&node, first + segment * 20..first + segment * 20 + 20).await;
    }
}

pub(super) async fn compact(store: &Store) {
    let options = CompactionOptions {
        settle_after: Duration::ZERO,
        rest_factor: 0,
        ..CompactionOptions::default()
    };
    for workspace in store.known_workspaces().await.unwrap() {
        // Of a damaged store.
        let _ = store.compact(&workspace, &options).await;
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
