//! Events that arrive by date, and the background runs.

use super::*;

#[tokio::test]
async fn doors_refuse_the_future_and_dropped_days_only() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    import(&store, [of_user(-100, "old", "Zoë")]).await;
    set(&store, "90d").await;
    async fn code(store: &Store, day: i64) -> Option<RejectionCode> {
        let refusal = store.admission().refusal(&of_user(day, "x", "Zoë")).await;
        refusal.map(|refusal| refusal.code)
    }
    assert_eq!(code(&store, -91).await, None, "nothing is dropped yet");
    expire(&store).await;
    assert_eq!(code(&store, -91).await, Some(RejectionCode::DayDropped));
    assert_eq!(code(&store, -90).await, None);
    assert_eq!(code(&store, 1).await, Some(RejectionCode::DateInFuture));
    assert_eq!(code(&store, 0).await, None);

    let asked = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&asked);
    let hook: Hook = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    });
    let store = time.open_hooked(&root, hook);
    for day in -30..=0 {
        assert_eq!(code(&store, day).await, None);
    }
    assert_eq!(
        asked.load(Ordering::SeqCst),
        0,
        "recent events cost no request"
    );
    let mut admission = store.admission();
    let mut requests = Vec::new();
    for day in [-95, -92, -80] {
        admission.refusal(&of_user(day, "x", "Zoë")).await;
        requests.push(asked.load(Ordering::SeqCst));
    }
    assert!(
        requests[0] > 0 && requests[0] == requests[2],
        "{requests:?}"
    );
}

#[tokio::test]
async fn an_ingest_refuses_by_date_and_folds_old_events_for_good() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    import(&store, [of_user(-100, "old", "Zoë")]).await;
    set(&store, "90d").await;
    expire(&store).await;
    let ingest = store.ingest(IngestOptions::default());
    let batch = WriteBatch {
        events: [5, -80, -95, 0]
            .map(|day| of_user(day, &day.to_string(), "Zoë"))
            .to_vec(),
        origin: Origin::default(),
        number: None,
        all_or_nothing: false,
    };
    let written = ingest.write(batch).await.unwrap();
    let refused: Vec<(usize, RejectionCode)> = written
        .refused
        .iter()
        .map(|refused| (refused.index, refused.rejection.code))
        .collect();
    let expected = [
        (0, RejectionCode::DateInFuture),
        (2, RejectionCode::DayDropped),
    ];
    assert_eq!(refused, expected);
    ingest.close().await.unwrap();
    assert_eq!(given_ids(&store).await, ["-80", "0"]);
}

/// A device whose clock starts in 1970 does not turn the retention off; many old events wait for a confirmation.
#[tokio::test]
async fn old_events_of_a_service_make_no_note() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    let take = async |ids: std::ops::Range<i64>, day| {
        let ingest = store.ingest(IngestOptions::default());
        let events = ids.map(|id| of_user(day, &format!("{id:02}"), "Zoë"));
        let batch = WriteBatch {
            events: events.collect(),
            origin: Origin::default(),
            number: None,
            all_or_nothing: false,
        };
        assert_eq!(ingest.write(batch).await.unwrap().refused, []);
        ingest.close().await.unwrap();
    };
    let run = async || {
        let expiry = store.expire(&workspace("w"), RetentionMode::Guarded).await;
        expiry.unwrap().unwrap().outcome
    };
    take(0..1, -1000).await;
    assert_eq!(run().await, RetentionOutcome::Unconfirmed);
    assert_eq!(given_ids(&store).await, ["00"]);
    take(1..20, 0).await;
    assert!(!store.settings(&workspace("w")).await.unwrap().older_events);
    assert!(matches!(run().await, RetentionOutcome::Dropped { .. }));
    let recent: Vec<String> = (1..20).map(|id| format!("{id:02}")).collect();
    assert_eq!(given_ids(&store).await, recent);
    // An import is different: its user chose the events.
    import(&store, [of_user(-1000, "old", "Zoë")]).await;
    assert_eq!(run().await, RetentionOutcome::Withheld);
}

#[tokio::test]
async fn upkeep_runs_the_retention_of_every_workspace() {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS);
    let store = time.open(&root);
    let events = [event("v", DAY_START_MS, "1"), event("w", DAY_START_MS, "2")];
    import(&store, events).await;
    time.turn(800);
    set(&store, "30d").await;
    let damaged = "workspace=v/_delta_log/00000000000000000002.json".into();
    let objects = store.object_store();
    objects.put(&damaged, "{".into()).await.unwrap();
    let mut options = MaintenanceOptions {
        compaction_interval: Duration::from_millis(1),
        ..MaintenanceOptions::default()
    };
    options.compaction.rest_factor = 0;
    let maintenance = tokio::spawn({
        let store = store.clone();
        async move { store.maintain(options).await }
    });
    while !given_ids(&time.open(&root)).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    maintenance.abort();
}
