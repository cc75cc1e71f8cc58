//! Different events with the same id.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;

use object_store::ObjectStoreExt;

use crate::WriteBatch;
use crate::read_view::LISTING_AGE;
use crate::tests::ingest::write::{by_hand, numbered, segments, write};
use crate::tests::*;

/// The id, the title and the own id of each event that a question reads, sorted by title.
async fn seen(store: &Store) -> Vec<(String, String, Option<String>)> {
    let view = store.view(&workspace("w")).await.unwrap().unwrap();
    let mut rows = view.recent.to_vec();
    if let Some(table) = &view.table {
        for batch in read(store, table).await {
            rows.push(as_views(&batch));
        }
    }
    let rows = concat_batches(&events::view_schema(), &rows).unwrap();
    let column = |name: &str| rows.column_by_name(name).unwrap().as_string_view().clone();
    let (ids, titles, own) = (
        column("df_event_id"),
        column("df_title"),
        column("vouch_conflict"),
    );
    let mut seen: Vec<_> = (0..rows.num_rows())
        .map(|row| {
            let own = own.is_valid(row).then(|| own.value(row).to_owned());
            (ids.value(row).to_owned(), titles.value(row).to_owned(), own)
        })
        .collect();
    seen.sort_by(|one, other| one.1.cmp(&other.1));
    seen
}

fn as_views(batch: &RecordBatch) -> RecordBatch {
    let schema = events::view_schema();
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).unwrap();
        arrow::compute::cast(column, field.data_type()).unwrap()
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

/// Each title once; the one of `own` under the id `1`, the others under ids made of it.
fn assert_kept(seen: &[(String, String, Option<String>)], titles: &[&str], own: &str) {
    let found: Vec<&str> = seen.iter().map(|(_, title, _)| title.as_str()).collect();
    assert_eq!(found, titles, "{seen:?}");
    for (id, title, conflict) in seen {
        if title == own {
            assert_eq!((id.as_str(), conflict.as_deref()), ("1", None), "{seen:?}");
        } else {
            assert!(id.starts_with("1~") && id.len() == 18, "{seen:?}");
            assert_eq!(conflict.as_deref(), Some("1"), "{seen:?}");
        }
    }
}

fn named(title: &str) -> Event {
    titled("w", DAY_START_MS, "1", title)
}

/// Both are seen before they are folded and afterwards, and neither comes twice when it is sent again.
#[tokio::test]
async fn both_events_of_one_id_are_kept() {
    for root in Root::all() {
        let store = root.open();
        let ingest = store.ingest(by_hand());
        for title in [
            "harmless",
            "delete all backups",
            "harmless",
            "delete all backups",
        ] {
            write(&ingest, [named(title)]).await;
        }
        write(&ingest, [named("third"), named("harmless"), named("third")]).await;
        let titles = ["delete all backups", "harmless", "third"];
        let before = seen(&store).await;
        assert_kept(&before, &titles, "harmless");
        let other = root.open();
        assert_eq!(seen(&other).await, before);
        let folded = other.fold().await.unwrap();
        assert_eq!(
            (folded.stored, folded.repeated, folded.conflicts),
            (3, 4, 2)
        );
        assert_eq!(seen(&other).await, before);
        for title in titles {
            write(&ingest, [named(title)]).await;
        }
        assert_eq!(seen(&store).await, before);
        let folded = store.fold().await.unwrap();
        assert_eq!(
            (folded.stored, folded.repeated, folded.conflicts),
            (0, 3, 0)
        );
        compact(&store, "w").await;
        assert_eq!(seen(&store).await, before);
        assert_whole(&store, "w").await;
        ingest.close().await.unwrap();
    }
}

/// Whichever segment goes first after a fold, no event is shown twice.
#[tokio::test]
async fn segments_that_go_one_by_one_after_a_fold_double_nothing() {
    for gone in 0..2 {
        let root = Root::in_memory();
        let reader = root.open();
        let ingest = root.open().ingest(by_hand());
        import(&reader, [titled("w", DAY_START_MS, "0", "z")]).await;
        write(&ingest, [named("a")]).await;
        assert_eq!(seen(&reader).await.len(), 2);
        write(&ingest, [named("b")]).await;
        tokio::time::sleep(LISTING_AGE).await;
        let before = seen(&reader).await;
        assert_kept(&before[..2], &["a", "b"], "a");
        ingest.kill().await;
        let objects = reader.object_store();
        let mut segment_objects = Vec::new();
        for path in segments(&reader).await {
            let path = Path::from(path);
            let bytes = objects.get(&path).await.unwrap().bytes().await.unwrap();
            segment_objects.push((path, bytes));
        }
        root.open().fold().await.unwrap();
        // As if they were not deleted yet, and then one was.
        for (path, bytes) in &segment_objects {
            objects.put(path, bytes.clone().into()).await.unwrap();
        }
        tokio::time::sleep(LISTING_AGE).await;
        assert_eq!(seen(&reader).await, before, "{gone}");
        objects.delete(&segment_objects[gone].0).await.unwrap();
        tokio::time::sleep(LISTING_AGE).await;
        assert_eq!(seen(&reader).await, before, "{gone}");
        assert_eq!(seen(&root.open()).await, before, "{gone}");
    }
}

/// What is shown under an id of its own and comes in with that id is shown once.
#[tokio::test]
async fn an_event_that_comes_with_the_id_that_it_was_given_is_shown_once() {
    let root = Root::in_memory();
    let store = root.open();
    let ingest = store.ingest(by_hand());
    write(&ingest, [named("a"), named("b")]).await;
    let before = seen(&store).await;
    let again = titled("w", DAY_START_MS, &before[1].0, "b");
    write(&ingest, [again]).await;
    let titles: Vec<String> = seen(&store)
        .await
        .into_iter()
        .map(|(_, title, _)| title)
        .collect();
    assert_eq!(titles, ["a", "b"]);
    ingest.close().await.unwrap();
    assert_eq!(seen(&store).await.len(), 2);
}

/// The event that is in the table has the id, whichever a reader saw first.
#[tokio::test]
async fn an_event_of_the_table_keeps_its_id() {
    let root = Root::in_memory();
    let store = root.open();
    let ingest = store.ingest(by_hand());
    write(&ingest, [named("a"), named("b")]).await;
    assert_kept(&seen(&store).await, &["a", "b"], "a");
    let summary = import(&root.open(), [named("b"), named("c")]).await;
    assert_eq!((summary.stored, summary.conflicts), (2, 1));
    let before = seen(&store).await;
    assert_kept(&before, &["a", "b", "c"], "b");
    let folded = store.fold().await.unwrap();
    assert_eq!(
        (folded.stored, folded.repeated, folded.conflicts),
        (1, 1, 1)
    );
    assert_eq!(seen(&store).await, before);
    ingest.close().await.unwrap();
}

/// Imports that run at the same time compare what each has stored with what the other commits first.
#[tokio::test]
async fn imports_at_the_same_time_keep_both_events() {
    for root in Root::all() {
        let (one, other) = (root.open(), root.open());
        let [mut first, mut second] = [&one, &other].map(|store| {
            let import = store.import(ImportOptions { memory_bytes: 1 });
            import.from_origin(through("import"))
        });
        for title in ["a", "b"] {
            first.push(named(title)).await.unwrap();
        }
        for title in ["b", "c", "a"] {
            second.push(named(title)).await.unwrap();
        }
        // Others of the same millisecond, between which an event may move when its id changes.
        for id in ["0", "2", "1a", "1~"] {
            second
                .push(titled("w", DAY_START_MS, id, &format!("z{id}")))
                .await
                .unwrap();
        }
        assert_eq!(first.finish().await.unwrap().conflicts, 1);
        let second = second.finish().await.unwrap();
        assert_eq!(
            (second.stored, second.repeated, second.conflicts),
            (5, 2, 1)
        );
        let seen = seen(&root.open()).await;
        assert_kept(&seen[..3], &["a", "b", "c"], "a");
        assert_eq!(seen.len(), 7);
        assert_whole(&root.open(), "w").await;
        compact(&root.open(), "w").await;
        assert_whole(&root.open(), "w").await;
    }
}

/// Whoever takes an id beforehand, also the one that an event would get because of it, does not keep the event out.
#[tokio::test]
async fn taken_ids_keep_no_event_out() {
    let root = Root::in_memory();
    let store = root.open();
    import(&store, [named("a"), named("b")]).await;
    let short = seen(&store).await[1].0.clone();
    let root = Root::in_memory();
    let store = root.open();
    let taken = titled("w", DAY_START_MS, &short, "taken");
    import(&store, [named("a"), taken]).await;
    let ingest = store.ingest(by_hand());
    write(&ingest, [named("b")]).await;
    let before = seen(&store).await;
    assert_eq!(before.len(), 3);
    assert_eq!(
        (before[1].0.len(), before[1].2.as_deref()),
        (2 + 64, Some("1"))
    );
    store.fold().await.unwrap();
    assert_eq!(seen(&store).await, before);
    ingest.close().await.unwrap();
}

/// An export carries the ids that events were given, and is known when it comes again.
#[tokio::test]
async fn an_exported_event_is_known_by_its_id() {
    let root = Root::in_memory();
    let store = root.open();
    import(&store, [named("a"), named("b")]).await;
    let before = seen(&store).await;
    let exported = before
        .iter()
        .map(|(id, title, _)| titled("w", DAY_START_MS, id, title));
    let summary = import(&store, exported).await;
    assert_eq!((summary.stored, summary.repeated), (0, 2));
    assert_eq!(seen(&store).await, before);
}

/// In another store the ids may have other events; whoever has an event there already keeps it once.
#[tokio::test]
async fn an_event_that_was_exported_under_a_made_id_is_known_under_its_own() {
    let root = Root::in_memory();
    import(&root.open(), [named("a"), named("b")]).await;
    let exported = seen(&root.open()).await;
    assert_kept(&exported, &["a", "b"], "a");
    let root = Root::in_memory();
    let store = root.open();
    import(&store, [named("b")]).await;
    let again = || {
        let events = exported.iter();
        events.map(|(id, title, _)| titled("w", DAY_START_MS, id, title))
    };
    let ingest = store.ingest(by_hand());
    write(&ingest, again()).await;
    let before = seen(&store).await;
    assert_kept(&before, &["a", "b"], "b");
    let summary = import(&store, again()).await;
    assert_eq!(
        (summary.stored, summary.repeated, summary.conflicts),
        (1, 1, 1)
    );
    assert_eq!(seen(&store).await, before);
    assert_eq!(store.fold().await.unwrap().stored, 0);
    assert_eq!(seen(&store).await, before);
    ingest.close().await.unwrap();
}

/// Very many different events with one id are all kept, and are no more batches than others.
#[tokio::test]
async fn very_many_events_with_one_id_are_kept() {
    const EVENTS: usize = 3000;
    let root = Root::in_memory();
    let store = root.open();
    let ingest = store.ingest(by_hand());
    for _ in 0..2 {
        for part in 0..3 {
            let events = (0..EVENTS / 3).map(|number| named(&format!("{part} {number}")));
            write(&ingest, events).await;
        }
    }
    let view = store.view(&workspace("w")).await.unwrap().unwrap();
    assert!(view.recent.len() <= 2, "{}", view.recent.len());
    let before = seen(&store).await;
    assert_eq!(before.len(), EVENTS);
    let folded = store.fold().await.unwrap();
    assert_eq!(folded.stored, EVENTS as u64);
    assert_eq!(seen(&store).await, before);
    ingest.close().await.unwrap();
}

/// An event that a mapping made of a record.
fn mapped(title: &str, who: &str) -> Event {
    let record = json!({
        "date": DAY_START_MS, "df_workspace": "w", "df_event_id": "1", "df_title": title,
        "attributes": {"who": who},
    });
    let record = record.as_object().unwrap().clone();
    Event::from_json_identified_by_content(record, &Defaults::default()).unwrap()
}

fn through_mapping(door: &str) -> Origin {
    Origin {
        door: Some(Origin::door(door, Some("okta"))),
        ..Origin::default()
    }
}

/// What a mapping makes of a record may change; the record stays the same event.
#[tokio::test]
async fn another_version_of_a_mapping_does_not_double_events() {
    let root = Root::in_memory();
    let store = root.open();
    let mut import = store
        .import(ImportOptions::default())
        .from_origin(through_mapping("import"));
    import.push(mapped("Login", "eve")).await.unwrap();
    assert_eq!(import.finish().await.unwrap().stored, 1);
    let ingest = store.ingest(by_hand());
    for (title, who) in [("Sign-in", "eve"), ("Sign-in", "adam")] {
        let batch = WriteBatch {
            events: vec![mapped(title, who)],
            origin: through_mapping("http"),
            number: None,
            all_or_nothing: false,
        };
        ingest.write(batch).await.unwrap();
    }
    let before = seen(&store).await;
    assert_kept(&before, &["Login", "Sign-in"], "Login");
    store.fold().await.unwrap();
    assert_eq!(seen(&store).await, before);
    ingest.close().await.unwrap();
}

/// An earlier version does not say that a mapping made an event, which got an id by its fields then.
#[tokio::test]
async fn an_event_that_got_its_id_before_its_mapping_was_known_is_not_doubled() {
    let root = Root::in_memory();
    let store = root.open();
    let mut import = store.import(ImportOptions::default());
    for who in ["eve", "adam"] {
        import.push(mapped("Login", who)).await.unwrap();
    }
    assert_eq!(import.finish().await.unwrap().conflicts, 1);
    let before = seen(&store).await;
    let import = store.import(ImportOptions::default());
    let mut import = import.from_origin(through_mapping("import"));
    for (title, who) in [("Sign-in", "adam"), ("Login", "adam"), ("Sign-in", "eve")] {
        import.push(mapped(title, who)).await.unwrap();
    }
    let summary = import.finish().await.unwrap();
    assert_eq!((summary.stored, summary.repeated), (0, 3));
    assert_eq!(seen(&store).await, before);
}

/// When, how and from whom events came, is in their columns, or in the log and in columns after compaction.
#[tokio::test]
async fn the_delivery_of_events_is_kept() {
    let root = Root::in_memory();
    let store = root.open();
    let ingest = store.ingest(by_hand());
    let sent = Origin {
        sender: Some("192.0.2.1".to_owned()),
        ..through("http")
    };
    let batch = WriteBatch {
        origin: sent.clone(),
        ..numbered(1, [titled("w", DAY_START_MS, "1", "sent")])
    };
    ingest.write(batch).await.unwrap();
    store.fold().await.unwrap();
    import(&store, [titled("w", DAY_START_MS, "2", "imported")]).await;
    let snapshot = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let tags = snapshot
        .files
        .iter()
        .filter_map(|file| file.delivery.as_deref());
    let tags: Vec<&Origin> = tags.map(|tag| &tag.origin).collect();
    assert_eq!(tags, [&through("import")]);
    let ranges: Vec<_> = snapshot
        .files
        .iter()
        .map(|file| file.received_range_ms)
        .collect();
    assert!(
        ranges
            .iter()
            .all(|range| range.is_some_and(|(first, last)| first == last))
    );
    compact(&store, "w").await;
    let compacted = store.snapshot(&workspace("w")).await.unwrap().unwrap();
    let [file] = compacted.files.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", compacted.files);
    };
    assert_eq!(file.delivery, None);
    let received: Vec<i64> = ranges.iter().flatten().map(|(first, _)| *first).collect();
    let range = (
        *received.iter().min().unwrap(),
        *received.iter().max().unwrap(),
    );
    assert_eq!(file.received_range_ms, Some(range));
    let rows = concat_batches(&events::schema(), &read(&store, &compacted).await).unwrap();
    let text = |name: &str, row: usize| {
        let column = rows.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let of_row = |row| ["vouch_sender", "vouch_door", "vouch_batch"].map(|name| text(name, row));
    assert_eq!(
        of_row(0),
        [sent.sender, sent.door, Some("collector/1".to_owned())]
    );
    assert_eq!(of_row(1), [None, through("import").door, None]);
    ingest.close().await.unwrap();
}
