//! A store that is not there is no empty store.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::ingest::post::{get, post};
use crate::program::{Vouch, folder};
use crate::service::{Service, question};

/// Two minutes, after which something that should happen has not happened.
const PATIENCE: Duration = Duration::from_mins(2);

/// An event of workspace `acme`.
fn event(id: &str) -> String {
    format!("{{\"date\": 1795000000000, \"df_event_id\": \"{id}\", \"df_workspace\": \"acme\"}}")
}

fn put(service: &Service, id: &str) -> u16 {
    let body = event(id);
    post(&service.http_address, "/v1/events", &[], body.as_bytes()).status
}

/// The readiness, when it is no longer `status`.
async fn readiness_changes_from(service: &Service, status: u16) -> u16 {
    let begun = Instant::now();
    loop {
        let answer = get(&service.http_address, "/readyz");
        if answer.status != status {
            return answer.status;
        }
        assert!(begun.elapsed() < PATIENCE, "it stays {status}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// While the store is away, no question is answered, no event is acknowledged and nothing is made in its place;
/// when it is back, all goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_and_comes_back() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let mut client = service.client().await;
    let count = || question("TAE::*:(count(*))");
    client.query(count()).await.unwrap();
    assert_eq!(put(&service, "before"), 200);
    let (store, away) = (vouch.path("vouch-data"), vouch.path("away"));
    for leaves_mount_point in [false, true] {
        std::fs::rename(&store, &away).unwrap();
        if leaves_mount_point {
            std::fs::create_dir(&store).unwrap();
        }
        assert_eq!(put(&service, "lost"), 503);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let status = client.query(count()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
        assert!(status.message().contains("not there"), "{status}");
        assert_eq!(readiness_changes_from(&service, 200).await, 503);
        assert_eq!(put(&service, "lost"), 503);
        assert_eq!(store.exists(), leaves_mount_point);
        if leaves_mount_point {
            assert_eq!(std::fs::read_dir(&store).unwrap().count(), 0);
            std::fs::remove_dir(&store).unwrap();
        }
        std::fs::rename(&away, &store).unwrap();
        assert_eq!(readiness_changes_from(&service, 503).await, 200);
        assert_eq!(put(&service, "after"), 200);
    }
    let answer = client.query(count()).await.unwrap().into_inner();
    let row = &answer.content[0].series[0].rows[0];
    let kind = row.values[1].kind.clone().unwrap();
    assert_eq!(kind, api::proto::value::Kind::IntValue(43));
}

/// Nothing but `init`, and an import into a directory that does not exist, makes a store.
#[test]
fn a_root_without_a_store_is_refused() {
    let commands: [&[&str]; 8] = [
        &["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"],
        &["query", "--workspace", "*", "TAE::*:(count(*)) [1d]"],
        &["stats"],
        &["verify"],
        &["compact"],
        &["upgrade"],
        &["retention", "show", "--workspace", "acme"],
        &["repair", "segments"],
    ];
    let vouch = Vouch::new();
    let store = vouch.path("vouch-data");
    for is_mount_point in [false, true] {
        if is_mount_point {
            std::fs::create_dir(&store).unwrap();
        }
        for command in commands {
            vouch
                .run(command)
                .expect_status(2)
                .expect_error("vouch init");
        }
        assert_eq!(store.exists(), is_mount_point);
    }
    // The mount point of a volume, and an address without events, are not taken for a new store.
    vouch
        .run_with_input(&["import", "-"], event("a").as_bytes())
        .expect_status(2)
        .expect_error("vouch init");
    assert_eq!(std::fs::read_dir(&store).unwrap().count(), 0);
    std::fs::remove_dir(&store).unwrap();
    vouch
        .run_with_input(&["import", "-"], event("a").as_bytes())
        .expect_status(0);
    assert!(store.join("vouch-store.json").exists());
}

/// `init` prints the id, and refuses to do it again.
#[test]
fn a_store_is_made_once() {
    let vouch = Vouch::new();
    let made = vouch.run(&["init", "--store", "deep/er"]).expect_status(0);
    let marker = std::fs::read_to_string(vouch.path("deep/er/vouch-store.json")).unwrap();
    let marker: serde_json::Value = serde_json::from_str(&marker).unwrap();
    let id = marker["id"].as_str().unwrap();
    assert!(made.text().contains(id), "{made:?}");
    for _ in 0..2 {
        vouch
            .run(&["init", "--store", "deep/er"])
            .expect_status(2)
            .expect_error("already");
    }
    vouch
        .run(&["stats", "--store", "deep/er"])
        .expect_status(0)
        .expect_error("holds no events");
}

fn copy(from: &Path, to: &Path) {
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

/// A store of version 0.1.0 is asked as it is, and gets its marker from `upgrade`. Without the marker it is
/// refused then.
#[test]
fn a_store_of_version_0_1_0_gets_its_marker() {
    let vouch = Vouch::new();
    let store = vouch.path("vouch-data");
    copy(&folder().join("../data/stores/0.1.0"), &store);
    let marker = store.join("vouch-store.json");
    vouch.run(&["stats"]).expect_status(0);
    vouch.run(&["verify"]).expect_status(0);
    vouch.run(&["upgrade", "--dry-run"]).expect_status(0);
    assert!(!marker.exists());
    vouch.run(&["upgrade"]).expect_status(0);
    assert!(marker.exists());
    vouch.run(&["verify"]).expect_status(0);
    std::fs::rename(&marker, vouch.path("marker")).unwrap();
    for command in [&["stats"][..], &["serve"], &["upgrade"]] {
        vouch
            .run(command)
            .expect_status(3)
            .expect_error("`vouch-store.json` is missing");
    }
    std::fs::rename(vouch.path("marker"), &marker).unwrap();
    vouch.run(&["stats"]).expect_status(0);
}
