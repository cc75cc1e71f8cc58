//! Retention runs that meet a damaged file.

use events::settings::RetentionMode;

use super::*;
use crate::FaultKind;

/// A table with a file of one day, of which one event is held, on which one bit was flipped in a value.
async fn damaged(root: &Root) -> (Store, Path) {
    let time = Time::at(DAY_START_MS + 400 * DAY_MS);
    let store = time.open(root);
    let events = [("a", "Amara"), ("z", "Zoë")].map(|(id, user)| {
        let mut event = json!({
            "df_workspace": "w",
            "date": DAY_START_MS,
            "df_event_id": id,
            "df_user_name": user,
            "result": "Failure",
        });
        let record = event.as_object_mut().map(std::mem::take).unwrap();
        Event::from_json(record, &Defaults::default(), || {
            unreachable!("it has an id")
        })
        .unwrap()
    });
    import(&store, events).await;
    set(&store, "1y").await;
    let amara = hold("amara", TimeRange::ALL, Some("Amara"));
    store.place_hold(&workspace("w"), amara).await.unwrap();
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let path = snapshot.files[0].path.clone();
    let objects = store.object_store();
    let mut bytes = objects
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec();
    let value = bytes
        .windows(7)
        .position(|bytes| bytes == b"Failure")
        .unwrap();
    bytes[value] ^= 2;
    objects.put(&path, bytes.into()).await.unwrap();
    (time.open(root), path)
}

async fn is_changed(store: &Store, path: &Path) -> bool {
    let verification = store.verify(&workspace("w")).await.unwrap().unwrap();
    let mut faults = verification.faults.iter();
    faults.any(|fault| fault.path == path.as_ref() && fault.kind == FaultKind::Changed)
}

/// A copy of damaged rows would have a digest of its own, and nobody would find the damage again.
#[tokio::test]
async fn retention_run_refuses_damaged_file() {
    for root in Root::all() {
        let (store, path) = damaged(&root).await;
        assert!(is_changed(&store, &path).await);
        for mode in [RetentionMode::DryRun, RetentionMode::Confirmed] {
            let error = store.expire(&workspace("w"), mode).await.unwrap_err();
            let StoreError::Corrupt { path: named, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(named, path.as_ref());
        }
        assert!(is_changed(&store, &path).await);
        let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
        assert_eq!(snapshot.files[0].path, path);
    }
}
