//! Backups of a running service, and what comes back of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::ingest::post::post;
use crate::program::{ALL_OF_TIME, Vouch};
use crate::service::Service;

/// An event of workspace `acme`, on the day that `ALL_OF_TIME` has too.
fn event(id: usize) -> String {
    format!(
        "{{\"date\": 1795000000000, \"df_event_id\": \"drill{id}\", \"df_workspace\": \"acme\"}}"
    )
}

fn put(address: &str, id: usize) -> u16 {
    post(address, "/v1/events", &[], event(id).as_bytes()).status
}

/// The ids of the events of the drill in a store, sorted.
fn ids(vouch: &Vouch, store: &str) -> Vec<String> {
    let mut arguments = vec!["query", "--store", store, "--workspace", "acme"];
    arguments.extend(ALL_OF_TIME);
    arguments.extend(["--format", "csv", "TAE::audit:(df_event_id)"]);
    let done = vouch.run(&arguments).expect_status(0);
    let text = done.text();
    let cells = text.split([',', '\n']);
    let ids = cells.filter(|cell| cell.starts_with("drill"));
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

/// A service is backed up while events come, dies, and is restored elsewhere: every event that was acknowledged
/// before the backup began is there once, and the restored store goes on, as the old one would.
#[test]
fn a_store_is_backed_up_while_it_is_used_and_restored() {
    let vouch = Vouch::with_events();
    let service = Service::start(&vouch);
    let address = service.http_address.clone();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (acknowledged, is_over) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
        std::thread::spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                let id = acknowledged.load(Ordering::SeqCst);
                assert_eq!(put(&address, id), 200);
                acknowledged.store(id + 1, Ordering::SeqCst);
            }
        })
    };
    let mut before = 0;
    for arguments in [
        &["backup", "--to", "backups", "--new"][..],
        &["backup", "--to", "backups"],
    ] {
        let first = acknowledged.load(Ordering::SeqCst);
        while acknowledged.load(Ordering::SeqCst) < first + 5 {
            std::thread::yield_now();
        }
        // What is folded meanwhile was in segments when the backup began.
        vouch.run(&["compact"]).expect_status(0);
        before = acknowledged.load(Ordering::SeqCst);
        let done = vouch.run(arguments).expect_status(0);
        done.expect_output(": complete; ")
            .expect_output("workspace beta: ");
    }
    is_over.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    // It is killed.
    drop(service);

    let restore = ["restore", "--from", "backups", "--store", "restored"];
    let by = ["--by", "ada"];
    vouch
        .run(&[&restore[..], &["--dry-run"]].concat())
        .expect_status(0)
        .expect_output("every object is what was copied");
    assert!(!vouch.path("restored").exists());
    vouch
        .run(&[&restore[..], &by].concat())
        .expect_status(0)
        .expect_output("an audit event in 2 workspaces says so");
    vouch
        .run(&[&restore[..], &by].concat())
        .expect_status(2)
        .expect_error("there is a store");
    let found = ids(&vouch, "restored");
    let mut distinct = found.clone();
    distinct.dedup();
    assert_eq!(found, distinct);
    for id in 0..before {
        assert!(found.contains(&format!("drill{id}")), "{id} of {before}");
    }
    let record = ["query", "--store", "restored", "--workspace", "beta"];
    let question = "TAE::audit:(action, df_user_name) {action = 'store.restored'}";
    vouch
        .run(&[&record[..], &["--format", "csv", question]].concat())
        .expect_status(0)
        .expect_output("store.restored,ada");

    // Both go on, each by itself.
    let new = 1_000_000;
    for store in ["restored", "vouch-data"] {
        let service = Service::start_with(&vouch, &["--store", store]);
        assert_eq!(put(&service.http_address, new), 200);
        drop(service);
        vouch.run(&["compact", "--store", store]).expect_status(0);
        vouch.run(&["verify", "--store", store]).expect_status(0);
        assert!(ids(&vouch, store).contains(&format!("drill{new}")));
    }
}

/// A root of backups is no store, backups begin on purpose, and a damaged store is told.
#[test]
fn backups_are_no_store_and_damage_is_told() {
    let vouch = Vouch::with_events();
    vouch
        .run(&["backup", "--to", "backups"])
        .expect_status(2)
        .expect_error("vouch backup --new");
    assert!(!vouch.path("backups").exists());
    vouch
        .run(&["backup", "--to", "backups", "--new"])
        .expect_status(0);
    for command in ["serve", "stats", "init", "verify", "compact"] {
        vouch
            .run(&[command, "--store", "backups"])
            .expect_status(2)
            .expect_error("vouch restore");
    }
    vouch
        .run_with_input(&["import", "--store", "other", "-"], event(0).as_bytes())
        .expect_status(0);
    let day = vouch.path("other/workspace=acme/day=2026-11-18");
    let file = std::fs::read_dir(day)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&file, "damaged").unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    vouch
        .run(&["backup", "--store", "other", "--to", "others", "--new"])
        .expect_status(3)
        .expect_output(": incomplete; ")
        .expect_output(name)
        .expect_error("the backup is incomplete");
    let restore = [
        "restore", "--from", "others", "--store", "made", "--by", "ada",
    ];
    vouch
        .run(&restore)
        .expect_status(3)
        .expect_error("--incomplete");
    vouch
        .run(&[&restore[..], &["--incomplete"]].concat())
        .expect_status(3)
        .expect_output(name);
    vouch
        .run(&["verify", "--store", "made"])
        .expect_status(3)
        .expect_output(name);
}
