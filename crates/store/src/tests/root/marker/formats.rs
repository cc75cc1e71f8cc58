//! Stores of older and newer versions, and object stores that lack something.

use super::*;

/// Unknown keys are ignored, and a newer format is refused with the version that is needed.
#[tokio::test]
async fn a_newer_format_is_refused_with_the_version_that_reads_it() {
    let root = bucket();
    let marker = root.open().init().await.unwrap();
    let mut written: Value = serde_json::from_slice(&marker.encode().unwrap()).unwrap();
    written["later"] = json!({"more": 1});
    let objects = &root.location.objects;
    let put = async |value: &Value| {
        let bytes = value.to_string().into_bytes();
        objects.put(&paths::marker(), bytes.into()).await.unwrap();
    };
    put(&written).await;
    assert_eq!(root.open().marker().await.unwrap(), Some(marker));
    put(&json!({"format": 2, "program": "9.1.0", "id": 7})).await;
    let store = root.open();
    for error in [
        store.check_present().await.unwrap_err(),
        store.check_writable().await.unwrap_err(),
        store.view(&workspace("w")).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NewerFormat { .. }), "{error}");
        assert!(error.to_string().contains("version 9.1.0"), "{error}");
    }
    put(&json!({"format": "x"})).await;
    let error = root.open().check_present().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

/// Stores whose writes are refused are read all the same.
#[tokio::test]
async fn reading_needs_no_permission_to_write() {
    for root in [
        Root::on_disk(),
        crate::tests::fixture::fixture("0.1.0"),
        bucket(),
    ] {
        let store = root.open();
        if root.location.url.scheme() == "s3" {
            store.init().await.unwrap();
        }
        if store.marker().await.unwrap().is_some() {
            import(&store, [event("w", DAY_START_MS, "a")]).await;
            ingest(&store).write(batch("b")).await.unwrap();
        }
        let read_only: Hook = Arc::new(|request| {
            let refused = matches!(request, Request::Put | Request::Delete);
            Box::pin(async move {
                let error = || object_store::Error::PermissionDenied {
                    path: String::new(),
                    source: "read only".into(),
                };
                if refused { Err(error()) } else { Ok(()) }
            })
        });
        let store = Store::from_location(hooked(&root, read_only));
        store.check_present().await.unwrap();
        let workspaces = store.workspaces().await.unwrap();
        assert!(!workspaces.is_empty());
        assert_eq!(store.verify_segments().await.unwrap().faults, []);
        for workspace in workspaces {
            let view = store.view(&workspace).await.unwrap().unwrap();
            assert!(view.rows() > 0);
            let verification = store.verify(&workspace).await.unwrap().unwrap();
            assert_eq!(verification.faults, []);
        }
        let error = store.probe_object_store().await.unwrap_err();
        assert!(error.to_string().contains("cannot be created"), "{error}");
    }
}

/// A service finds out at its start what the object store cannot do, and leaves nothing behind.
#[tokio::test]
async fn a_start_finds_out_what_the_object_store_lacks() {
    let fails = |what: Request| -> Hook {
        Arc::new(move |request| {
            let is_refused = request == what;
            Box::pin(async move {
                if is_refused {
                    Err(crate::tests::hooked::dead())
                } else {
                    Ok(())
                }
            })
        })
    };
    let root = bucket();
    root.open().init().await.unwrap();
    root.open().probe_object_store().await.unwrap();
    assert_eq!(objects(&root.open()).await, [""; 0]);
    for (what, words) in [
        (Request::Put, "cannot be created"),
        (Request::List, "cannot be listed"),
        (Request::Delete, "cannot be deleted"),
    ] {
        let store = Store::from_location(hooked(&root, fails(what)));
        let error = store.probe_object_store().await.unwrap_err();
        assert!(matches!(error, StoreError::Lacking { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Of version 0.1.0, a store has no marker. It is read without one, and gets one at the first write.
#[tokio::test]
async fn a_store_of_version_0_1_0_gets_a_marker_at_its_first_write() {
    let root = crate::tests::fixture::fixture("0.1.0");
    let store = root.open();
    for workspace in store.workspaces().await.unwrap() {
        store.view(&workspace).await.unwrap().unwrap();
    }
    assert_eq!(store.marker().await.unwrap(), None);
    let made = store.init().await.unwrap_err();
    assert!(matches!(made, StoreError::StoreExists { .. }), "{made}");
    let before = LogState::read(
        &store
            .snapshot(&workspace("nordlicht"))
            .await
            .unwrap()
            .unwrap()
            .metadata,
    );
    assert_eq!(before, Ok(None));

    // Two processes at the same moment make one marker.
    let other = root.open();
    let (one, two) = futures::join!(store.check_writable(), other.check_writable());
    one.unwrap();
    two.unwrap();
    let marker = store.marker().await.unwrap().unwrap();
    store.fold().await.unwrap();
    let id = marker.id().to_string();
    for name in ["acme-production", "nordlicht"] {
        let snapshot = store.snapshot(&workspace(name)).await.unwrap().unwrap();
        assert_eq!(snapshot.metadata.property("vouch.store"), Some(id.as_str()));
        // Who has read the store without a marker goes on.
        assert!(other.view(&workspace(name)).await.unwrap().is_some());
        assert_whole(&root.open(), name).await;
    }
}

/// A segment of version 0.1.0 or without an id is of any store.
#[tokio::test]
async fn segments_without_an_id_are_taken() {
    let root = bucket();
    let store = root.open();
    store.init().await.unwrap();
    let ingest = ingest(&store);
    ingest.write(batch("a")).await.unwrap();
    let segment = store.segments(Duration::ZERO).await.unwrap()[0].clone();
    let anonymous = Segment::new(segment.key, Default::default(), segment.batches.clone());
    let bytes = anonymous.encode().unwrap();
    let path = paths::segment(&segment.key);
    let put = PutMode::Overwrite.into();
    let objects = &root.location.objects;
    objects.put_opts(&path, bytes.into(), put).await.unwrap();
    let view = root.open().view(&workspace("w")).await.unwrap().unwrap();
    assert_eq!(view.rows(), 1);
}
