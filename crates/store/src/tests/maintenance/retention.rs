//! Retention and legal holds.

mod clocks;
mod crashes;
mod damage;
mod doors;
mod interleaved;
mod settings;
mod undo;
mod years;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use events::settings::{
    HeldEvents, NewHold, RetentionMode, RetentionOutcome, RetentionRun, Settings,
};
use events::{Origin, RejectionCode, TimeRange};

use crate::root::clock::Clock;
use crate::tests::hooked::{Hook, Request, dead, hooked};
use crate::tests::virtual_time::{Modified, dated};
use crate::tests::*;
use crate::{BatchNumber, IngestOptions, MaintenanceOptions, WriteBatch};

/// A time that tests turn, of nodes and of the store.
#[derive(Clone)]
struct Time {
    time_ms: Arc<AtomicI64>,
    modified: Modified,
}

impl Time {
    fn at(now_ms: i64) -> Self {
        // On a disk the marker is there before time is told.
        let now = DateTime::from_timestamp_millis(now_ms).unwrap();
        let modified = [(paths::marker(), now)].into();
        Self {
            time_ms: Arc::new(AtomicI64::new(now_ms)),
            modified: Arc::new(Mutex::new(modified)),
        }
    }

    fn now_ms(&self) -> i64 {
        self.time_ms.load(Ordering::SeqCst)
    }

    fn turn(&self, days: i64) {
        self.time_ms.fetch_add(days * DAY_MS, Ordering::SeqCst);
    }

    fn open(&self, root: &Root) -> Store {
        self.open_at(root.location.clone())
    }

    fn open_hooked(&self, root: &Root, hook: Hook) -> Store {
        self.open_at(hooked(root, hook))
    }

    fn open_at(&self, mut location: Location) -> Store {
        location.objects = dated(&location.objects, &self.time_ms, &self.modified);
        location.clock = Clock::given(&self.time_ms);
        Store::from_location(location)
    }
}

/// An event of a user on a day, counted from [`DAY_START_MS`].
fn of_user(day: i64, id: &str, user: &str) -> Event {
    let record = json!({
        "df_workspace": "w",
        "date": DAY_START_MS + day * DAY_MS + 5,
        "df_event_id": id,
        "df_user_name": user,
        "client": {"zone": day},
    });
    let Value::Object(record) = record else {
        unreachable!("an object was made");
    };
    Event::from_json(record, &Defaults::default(), || {
        unreachable!("it has an id")
    })
    .unwrap()
}

fn hold(name: &str, range: TimeRange, user: Option<&str>) -> NewHold {
    NewHold {
        name: name.to_owned(),
        reason: "court order".to_owned(),
        placed_by: "legal".to_owned(),
        events: HeldEvents {
            range,
            user: user.map(str::to_owned),
        },
    }
}

/// Some days from [`DAY_START_MS`] on, `to` itself outside.
fn days(from: i64, to: i64) -> TimeRange {
    TimeRange::new(DAY_START_MS + from * DAY_MS, DAY_START_MS + to * DAY_MS).unwrap()
}

async fn expire(store: &Store) -> RetentionRun {
    store
        .expire(&workspace("w"), RetentionMode::Confirmed)
        .await
        .unwrap()
        .unwrap()
}

async fn set(store: &Store, retention: &str) {
    let retention = retention.parse().unwrap();
    store
        .set_retention(&workspace("w"), retention, "ops")
        .await
        .unwrap();
}

/// The ids of the events that were given, sorted; the store's own are left out.
async fn given_ids(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot(&workspace("w")).await.unwrap();
    let mut found = Vec::new();
    for file in snapshot.iter().flat_map(|snapshot| snapshot.files.iter()) {
        for ids in file.file_ref().event_ids(store.location()).await.unwrap() {
            found.extend(ids.iter().flatten().map(str::to_owned));
        }
    }
    found.retain(|id| id.len() < 30);
    found.sort_unstable();
    found
}

/// The store's own events as (action, user, message, attributes), by date and action.
async fn records(store: &Store) -> Vec<(String, Option<String>, String, Value)> {
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let mut found = Vec::new();
    for batch in read(store, &snapshot).await {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_string::<i32>()
                .clone()
        };
        let dates = batch.column_by_name(fields::DATE).unwrap();
        let dates = dates.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let text = |name: &str| {
                let column = column(name);
                arrow::array::Array::is_valid(&column, row).then(|| column.value(row).to_owned())
            };
            if text("product").as_deref() == Some("vouch") {
                let attributes = serde_json::from_str(&text("attributes").unwrap()).unwrap();
                found.push((
                    dates.value(row),
                    text("action").unwrap(),
                    text("df_user_name"),
                    text("df_message").unwrap(),
                    attributes,
                ));
            }
        }
    }
    found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    found
        .into_iter()
        .map(|(_, action, user, message, attributes)| (action, user, message, attributes))
        .collect()
}

#[tokio::test]
async fn older_days_are_dropped_with_a_receipt() {
    for root in Root::all() {
        let time = Time::at(DAY_START_MS + DAY_MS - 1);
        let store = time.open(&root);
        import(
            &store,
            (0..5).map(|day| of_user(-100 - day, &day.to_string(), "Zoë")),
        )
        .await;
        import(
            &store,
            [of_user(-90, "at", "Zoë"), of_user(-91, "before", "Zoë")],
        )
        .await;
        set(&store, "90d").await;
        let preview = store
            .expire(&workspace("w"), RetentionMode::DryRun)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(preview.outcome, RetentionOutcome::DryRun);
        assert_eq!(given_ids(&store).await.len(), 7, "a dry run drops nothing");

        let expiry = expire(&store).await;
        assert_eq!(expiry.outcome, RetentionOutcome::Dropped { version: 4 });
        assert_eq!(expiry.dropped, preview.dropped);
        assert_eq!((expiry.dropped.events, expiry.dropped.day_count()), (6, 6));
        assert_eq!(expiry.dropped.days.len(), 2);
        assert_eq!(given_ids(&store).await, ["at"]);
        let settings = store.settings(&workspace("w")).await.unwrap();
        assert_eq!(settings.dropped_before, Some(expiry.kept_from));
        assert_eq!(expiry.kept_from.to_string(), "2026-08-23");
        assert_whole(&store, "w").await;

        let records = records(&time.open(&root)).await;
        let actions: Vec<&str> = records.iter().map(|(action, ..)| action.as_str()).collect();
        assert_eq!(actions, ["retention.expired", "retention.set"]);
        assert_eq!(records[1].1.as_deref(), Some("ops"));
        let (_, user, message, attributes) = &records[0];
        assert_eq!(user, &None);
        assert!(message.contains("6 events of 6 days dropped"), "{message}");
        assert_eq!(attributes["retention"], "90d");
        assert_eq!(attributes["dropped"]["events"], 6);
        assert_eq!(attributes["dropped"]["bytes"], expiry.dropped.size_bytes);
        assert_eq!(attributes["dropped"]["days"][0]["first"], "2026-08-09");

        assert_eq!(expire(&store).await.outcome, RetentionOutcome::Nothing);
        time.turn(1);
        assert_eq!(expire(&store).await.dropped.events, 1);
    }
}

#[tokio::test]
async fn held_events_stay_and_their_days_keep_nothing_else() {
    for root in Root::all() {
        let time = Time::at(DAY_START_MS + 400 * DAY_MS);
        let store = time.open(&root);
        for day in 0..4 {
            let users = [("a", "Amara"), ("z", "Zoë"), ("y", "Yann")];
            import(
                &store,
                users.map(|(id, user)| of_user(day, &format!("{id}{day}"), user)),
            )
            .await;
        }
        set(&store, "1y").await;
        for (name, range, user) in [
            ("amara", TimeRange::ALL, Some("AMARA")),
            ("second day", days(1, 2), None),
            ("days of zoë", days(0, 3), Some("zoë")),
        ] {
            let placed = store
                .place_hold(&workspace("w"), hold(name, range, user))
                .await;
            assert_eq!(placed.unwrap().dropped_before, None);
        }
        let before = store.snapshot(&workspace("w")).await.unwrap().unwrap();
        let expiry = expire(&store).await;
        let kept = ["a0", "a1", "a2", "a3", "y1", "z0", "z1", "z2"];
        assert_eq!(given_ids(&time.open(&root)).await, kept);
        assert_eq!((expiry.dropped.events, expiry.held_events), (4, 8));
        let by = [("amara", 3), ("days of zoë", 2), ("second day", 3)];
        let by = by.map(|(name, events)| (name.to_owned(), events));
        assert_eq!(expiry.held_by.into_iter().collect::<Vec<_>>(), by);
        assert_whole(&store, "w").await;
        assert_eq!(
            read(&store, &before).await.len(),
            before.files.len(),
            "old readers go on"
        );
        assert_eq!(expire(&store).await.outcome, RetentionOutcome::Nothing);

        let late = hold("late", TimeRange::ALL, None);
        let placed = store.place_hold(&workspace("w"), late).await.unwrap();
        assert_eq!(placed.dropped_before, Some(expiry.kept_from));
        for name in ["amara", "late"] {
            store
                .release_hold(&workspace("w"), name, "legal")
                .await
                .unwrap();
        }
        assert_eq!(expire(&store).await.dropped.events, 3);
        assert_eq!(given_ids(&store).await, ["a1", "y1", "z0", "z1", "z2"]);
        assert_whole(&store, "w").await;
    }
}

#[tokio::test]
async fn a_default_drops_what_grew_old_but_not_what_came_old() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    import(&store, [of_user(0, "a", "Zoë")]).await;
    assert_eq!(
        store.settings(&workspace("w")).await.unwrap(),
        Settings::default()
    );
    time.turn(800);
    assert_eq!(
        expire(&store).await.outcome,
        RetentionOutcome::Dropped { version: 2 }
    );
    assert_eq!(given_ids(&store).await, [""; 0]);

    let version = import(&store, [of_user(1, "b", "Zoë"), of_user(700, "c", "Zoë")]).await;
    assert_eq!(
        version.workspaces[0].version,
        Some(3),
        "noted in the same commit"
    );
    assert!(store.settings(&workspace("w")).await.unwrap().older_events);
    for now in 0..3 {
        time.turn(now * 500);
        let expiry = expire(&store).await;
        assert_eq!(expiry.outcome, RetentionOutcome::Withheld);
        assert!(expiry.dropped.events > 0);
        assert_eq!(given_ids(&store).await, ["b", "c"]);
    }
    set(&store, "2y").await;
    assert_eq!(expire(&store).await.dropped.events, 3);
    assert_eq!(given_ids(&store).await, [""; 0]);
    assert_whole(&store, "w").await;
    // Nobody needs to be told any more, as somebody has decided.
    import(&store, [of_user(1, "d", "Zoë")]).await;
    assert_eq!(expire(&store).await.dropped.events, 1);
}

/// A clock that is far ahead drops nothing by itself; a set retention and a confirmation do.
#[tokio::test]
async fn a_large_share_is_not_dropped_unconfirmed() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS + 40 * DAY_MS);
    let events = (0..40).map(|day| of_user(day, &day.to_string(), "Zoë"));
    import(&time.open(&root), events).await;
    let ahead = Time::at(DAY_START_MS + 787 * DAY_MS);
    let store = ahead.open(&root);
    let guarded = async |store: &Store| {
        let run = store.expire(&workspace("w"), RetentionMode::Guarded).await;
        run.unwrap().unwrap()
    };
    let expiry = guarded(&store).await;
    assert_eq!(expiry.outcome, RetentionOutcome::Unconfirmed);
    assert_eq!(expiry.dropped.events, 40);
    assert_eq!(given_ids(&store).await.len(), 40);

    // A set retention confirms what is older at that time, and a week more may go.
    let now = Time::at(DAY_START_MS + 45 * DAY_MS);
    set(&now.open(&root), "30d").await;
    let expiry = guarded(&now.open(&root)).await;
    assert!(matches!(expiry.outcome, RetentionOutcome::Dropped { .. }));
    assert_eq!(given_ids(&store).await.len(), 25);
    let later = Time::at(DAY_START_MS + 52 * DAY_MS);
    assert_eq!(guarded(&later.open(&root)).await.dropped.events, 7);
    let far = Time::at(DAY_START_MS + 80 * DAY_MS).open(&root);
    assert_eq!(guarded(&far).await.outcome, RetentionOutcome::Unconfirmed);
    expire(&far).await;
    assert_eq!(given_ids(&far).await, [""; 0]);
}

#[tokio::test]
async fn settings_that_cannot_be_read_drop_nothing() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS + 100 * DAY_MS);
    let store = time.open(&root);
    import(&store, [of_user(0, "a", "Zoë")]).await;
    set(&store, "30d").await;
    strip_log_state(&root).await;
    let commit = "workspace=w/_delta_log/00000000000000000002.json";
    let objects = store.object_store();
    let path = Path::from(commit);
    let text = objects.get(&path).await.unwrap();
    let text = String::from_utf8(text.bytes().await.unwrap().to_vec()).unwrap();
    let newer = text.replace("\"30d\"", "\"one moon\"");
    assert_ne!(text, newer);
    objects.put(&path, newer.into()).await.unwrap();
    let store = time.open(&root);
    let error = store
        .expire(&workspace("w"), RetentionMode::Confirmed)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("vouch.retention"), "{error}");
    assert_eq!(given_ids(&store).await, ["a"]);
    import(&store, [of_user(100, "b", "Zoë")]).await;
}

/// Replaces a text in the first commit with events.
async fn rewrite_first_commit(root: &Root, from: &str, to: &str) {
    strip_log_state(root).await;
    let path = Path::from("workspace=w/_delta_log/00000000000000000001.json");
    let objects = &root.location.objects;
    let bytes = objects.get(&path).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let text = text.replace(from, to);
    objects.put(&path, text.into()).await.unwrap();
}

#[tokio::test]
async fn a_file_of_other_software_is_dropped_or_kept_as_a_whole() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS + 100 * DAY_MS);
    let events = [
        of_user(0, "a", "Amara"),
        of_user(0, "z", "Zoë"),
        of_user(1, "y", "Yann"),
    ];
    import(&time.open(&root), events).await;
    rewrite_first_commit(&root, "vouch.blake3", "other.tag").await;
    let store = time.open(&root);
    set(&store, "90d").await;
    let zoe = hold("zoë", TimeRange::ALL, Some("Zoë"));
    store.place_hold(&workspace("w"), zoe).await.unwrap();
    let preview = store
        .expire(&workspace("w"), RetentionMode::DryRun)
        .await
        .unwrap()
        .unwrap();
    let expiry = expire(&store).await;
    assert_eq!((expiry.dropped.events, expiry.held_events), (1, 2));
    assert_eq!(expiry.dropped, preview.dropped);
    assert_eq!(given_ids(&store).await, ["a", "z"]);
    store
        .release_hold(&workspace("w"), "zoë", "legal")
        .await
        .unwrap();
    assert_eq!(expire(&store).await.dropped.events, 2);
    assert_eq!(given_ids(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_file_whose_name_is_unclear_stays_and_is_told() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS + 100 * DAY_MS);
    import(
        &time.open(&root),
        [of_user(0, "a", "Amara"), of_user(1, "y", "Yann")],
    )
    .await;
    let before = time
        .open(&root)
        .snapshot(&workspace("w"))
        .await
        .unwrap()
        .unwrap();
    let file = &before.files[0];
    let renamed = "day=2026-11-21/a b.parquet";
    let objects = &root.location.objects;
    let bytes = objects
        .get(&file.path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let path = Path::from(format!("workspace=w/{renamed}"));
    objects.put(&path, bytes.into()).await.unwrap();
    rewrite_first_commit(&root, &file.relative_path, &renamed.replace(' ', "%20")).await;
    let store = time.open(&root);
    set(&store, "90d").await;
    let expiry = expire(&store).await;
    assert_eq!((expiry.dropped.events, expiry.foreign_events), (1, 1));
    assert_eq!(given_ids(&store).await, ["a"]);
}
