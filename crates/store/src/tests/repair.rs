//! Tables that are repaired: nothing that can be read is lost, nothing comes back that was dropped, and nothing is
//! there twice.

mod dropped;
mod entries;
mod files;
mod interrupted;

use events::settings::{HeldEvents, NewHold};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::*;
use crate::{RepairStep, TableRepair};

fn entry(version: u64) -> Path {
    Path::from(format!("workspace=w/_delta_log/{version:020}.json"))
}

async fn put(root: &Root, path: &Path, bytes: impl Into<object_store::PutPayload>) {
    root.location.objects.put(path, bytes.into()).await.unwrap();
}

async fn bytes_of(root: &Root, path: &Path) -> Vec<u8> {
    let found = root.location.objects.get(path).await.unwrap();
    found.bytes().await.unwrap().to_vec()
}

async fn delete(root: &Root, path: &Path) {
    root.location.objects.delete(path).await.unwrap();
}

async fn table_of(versions: i64) -> Root {
    let root = Root::in_memory();
    for number in 1..=versions {
        import(
            &root.open(),
            [event("w", DAY_START_MS + number, &number.to_string())],
        )
        .await;
    }
    root
}

/// The ids without those of audit events.
async fn ids(root: &Root) -> Vec<String> {
    let mut ids = stored_ids(&root.open(), "w").await;
    ids.retain(|id| id.len() < 8);
    ids
}

fn numbers(numbers: impl Iterator<Item = i64>) -> Vec<String> {
    let mut numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    numbers.sort_unstable();
    numbers
}

/// Shows the repair, which must change nothing, and does it, which must make everything whole.
async fn repair(root: &Root) -> TableRepair {
    let before = objects(&root.open()).await;
    let id = workspace("w");
    let shown = root.open().repair_table(&id, None).await.unwrap().unwrap();
    assert_eq!(objects(&root.open()).await, before);
    let done = root.open().repair_table(&id, Some("ada")).await;
    let done = done.unwrap().unwrap();
    // Damaged files are looked for only once the log is repaired.
    let log = |repair: &TableRepair| {
        let steps = repair.steps.iter();
        let steps = steps.filter(|step| !matches!(step, RepairStep::File { .. }));
        steps.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(log(&done), log(&shown));
    assert_eq!(root.open().verify_log(&id).await.unwrap(), []);
    assert_whole(&root.open(), "w").await;
    assert_eq!(root.open().verify_segments().await.unwrap().faults, []);
    let again = root.open().repair_table(&id, Some("ada")).await.unwrap();
    assert_eq!(again.unwrap(), TableRepair::default());
    done
}

/// What the log is rebuilt of.
fn rebuilt(repair: &TableRepair) -> &crate::RebuiltLog {
    let [RepairStep::Rebuild(rebuilt), ..] = &repair.steps[..] else {
        panic!("{repair:?}");
    };
    rebuilt
}

async fn newest(root: &Root) -> Snapshot {
    let snapshot = root.open().snapshot(&workspace("w")).await.unwrap();
    snapshot.unwrap()
}

async fn text_of(root: &Root, path: &Path) -> String {
    String::from_utf8(bytes_of(root, path).await).unwrap()
}

async fn delete_log(root: &Root) {
    for path in objects(&root.open()).await {
        if path.contains("_delta_log") {
            delete(root, &path.as_str().into()).await;
        }
    }
}

/// The bytes of everything that was set aside.
async fn set_aside(root: &Root) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for path in objects(&root.open()).await {
        if path.starts_with("set-aside/") {
            found.push(bytes_of(root, &path.as_str().into()).await);
        }
    }
    found
}

/// A path of a data file of the first day that no version names.
fn unnamed() -> Path {
    let name = uuid::Uuid::new_v4();
    Path::from(format!("workspace=w/day=2026-11-21/{name}.parquet"))
}

/// A damaged checkpoint or hint is set aside, and a new checkpoint stands for the log.
#[tokio::test]
async fn a_damaged_checkpoint_is_replaced() {
    for name in [
        "00000000000000000020.checkpoint.parquet",
        "_last_checkpoint",
    ] {
        let root = table_of(21).await;
        let path = Path::from(format!("workspace=w/_delta_log/{name}"));
        put(&root, &path, "x").await;
        let done = repair(&root).await;
        assert_eq!(done.steps.len(), 2, "{done:?}");
        assert_eq!(ids(&root).await, numbers(1..=21));
        let aside = objects(&root.open()).await;
        let aside = aside.iter().find(|path| path.starts_with("set-aside/"));
        assert_eq!(bytes_of(&root, &aside.unwrap().as_str().into()).await, b"x");
    }
}

/// A damaged entry that a checkpoint sums up goes, with those before it.
#[tokio::test]
async fn a_damaged_entry_before_a_checkpoint_is_set_aside() {
    let root = table_of(22).await;
    delete(&root, &entry(5)).await;
    repair(&root).await;
    assert_eq!(ids(&root).await, numbers(1..=22));
    assert!(!objects(&root.open()).await.contains(&entry(4).to_string()));
}

/// Whichever entry is lost, cut or changed, no event is lost or doubled; also when files were merged.
#[tokio::test]
async fn a_log_that_lost_an_entry_is_rebuilt_from_data_files() {
    let sound = table_of(3).await;
    compact(&sound.open(), "w").await;
    import(&sound.open(), [event("w", DAY_START_MS, "4")]).await;
    for version in 0..=5 {
        for cut in [None, Some(40)] {
            let root = sound.copy().await;
            match cut {
                None => delete(&root, &entry(version)).await,
                Some(bytes) => {
                    let content = bytes_of(&root, &entry(version)).await;
                    put(&root, &entry(version), content[..bytes].to_vec()).await;
                }
            }
            if version == 5 && cut.is_none() {
                // Nothing says that it was there: this process alone has not read it.
                continue;
            }
            repair(&root).await;
            assert_eq!(ids(&root).await, numbers(1..=4), "{version} {cut:?}");
        }
    }
}

/// The newest entry that a head names is lost: its events come back.
#[tokio::test]
async fn a_log_that_lost_its_end_is_rebuilt() {
    let root = table_of(2).await;
    let store = root.open();
    let node = uuid::Uuid::new_v4();
    store.snapshot(&workspace("w")).await.unwrap();
    let (none, mut head) = (Default::default(), Default::default());
    store.put_head(node, &none, &mut head).await.unwrap();
    delete(&root, &entry(2)).await;
    assert_eq!(root.open().verify_segments().await.unwrap().faults.len(), 1);
    let done = repair(&root).await;
    assert_eq!(done.version, Some(3));
    assert_eq!(ids(&root).await, numbers(1..=2));
    // A process that has read the lost entry goes on.
    assert_eq!(
        store
            .snapshot(&workspace("w"))
            .await
            .unwrap()
            .unwrap()
            .version,
        3
    );
    import(&store, [event("w", DAY_START_MS, "9")]).await;
    assert_eq!(ids(&root).await.len(), 3);
}

/// Without any log a question is an error, and the rebuilt one has each event once, and every hold.
#[tokio::test]
async fn a_lost_log_is_rebuilt_from_data_files() {
    let root = table_of(4).await;
    compact(&root.open(), "w").await;
    let hold = NewHold {
        name: "case".to_owned(),
        reason: "court order".to_owned(),
        placed_by: "legal".to_owned(),
        events: HeldEvents::all(),
    };
    let store = root.open();
    store.place_hold(&workspace("w"), hold).await.unwrap();
    for path in objects(&root.open()).await {
        if path.contains("_delta_log") {
            delete(&root, &path.as_str().into()).await;
        }
    }
    let error = root.open().snapshot(&workspace("w")).await.unwrap_err();
    assert!(matches!(error, StoreError::LogMissing { .. }), "{error}");
    assert_eq!(root.open().workspaces().await.unwrap(), [workspace("w")]);
    let done = repair(&root).await;
    let RepairStep::Rebuild(rebuilt) = &done.steps[0] else {
        panic!("{done:?}");
    };
    assert!(rebuilt.settings_lost);
    assert_eq!(rebuilt.holds, ["case"]);
    assert_eq!(ids(&root).await, numbers(1..=4));
    let settings = root.open().settings(&workspace("w")).await.unwrap();
    assert_eq!(settings.holds.len(), 1);
    assert!(settings.is_withheld());
}

/// What a retention run has dropped stays dropped, and what a hold kept stays, whether or not the entry of the run is
/// there.
#[tokio::test]
async fn receipted_drops_stay_dropped() {
    let old_ms = chrono::Utc::now().timestamp_millis() - 400 * DAY_MS;
    let sound = Root::in_memory();
    let store = sound.open();
    let now_ms = chrono::Utc::now().timestamp_millis();
    import(
        &store,
        [
            event("w", old_ms, "old"),
            event("w", old_ms - 10 * DAY_MS, "held"),
            event("w", now_ms, "new"),
        ],
    )
    .await;
    let id = workspace("w");
    let hold = NewHold {
        name: "case".to_owned(),
        reason: "court order".to_owned(),
        placed_by: "legal".to_owned(),
        events: HeldEvents {
            range: events::TimeRange::new(old_ms - 10 * DAY_MS, old_ms - 10 * DAY_MS + 1).unwrap(),
            user: None,
        },
    };
    store.place_hold(&id, hold).await.unwrap();
    store
        .set_retention(&id, "1y".parse().unwrap(), "ops")
        .await
        .unwrap();
    store
        .expire(&id, events::settings::RetentionMode::Confirmed)
        .await
        .unwrap();
    assert_eq!(ids(&sound).await, ["held", "new"]);
    let version = store.snapshot(&id).await.unwrap().unwrap().version;
    for later in [false, true] {
        let root = sound.copy().await;
        if later {
            import(&root.open(), [event("w", now_ms, "later")]).await;
        }
        let content = bytes_of(&root, &entry(version)).await;
        put(&root, &entry(version), content[..50].to_vec()).await;
        repair(&root).await;
        let mut expected = vec!["held", "new"];
        expected.splice(1..1, later.then_some("later"));
        assert_eq!(ids(&root).await, expected, "{later}");
        let settings = root.open().settings(&id).await.unwrap();
        assert_eq!(settings.holds.len(), 1);
        assert_eq!(settings.retention, Some("1y".parse().unwrap()));
    }
}

/// A damaged data file is set aside with a record, and what is whole of it is kept.
#[tokio::test]
async fn a_damaged_data_file_is_set_aside_with_a_record() {
    let root = Root::in_memory();
    import(&root.open(), [event("w", DAY_START_MS, "1")]).await;
    import(&root.open(), [event("w", DAY_START_MS + DAY_MS, "2")]).await;
    let snapshot = root
        .open()
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap();
    let file = snapshot.files[0].path.clone();
    let mut content = bytes_of(&root, &file).await;
    content[200] ^= 1;
    put(&root, &file, content.clone()).await;
    let done = repair(&root).await;
    let [
        RepairStep::File {
            path, lost, kept, ..
        },
    ] = &done.steps[..]
    else {
        panic!("{done:?}");
    };
    assert_eq!((path.as_str(), *lost, *kept), (file.as_ref(), 1, 0));
    assert_eq!(ids(&root).await, ["2"]);
    let paths = objects(&root.open()).await;
    assert!(!paths.contains(&file.to_string()));
    let aside = paths
        .iter()
        .find(|path| path.starts_with("set-aside/"))
        .unwrap();
    assert_eq!(bytes_of(&root, &aside.as_str().into()).await, content);
    // The audit event is the third one.
    assert_eq!(stored_ids(&root.open(), "w").await.len(), 2);
}
