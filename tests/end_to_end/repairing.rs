//! Damaged stores, and what is done about them.

use std::path::PathBuf;
use std::time::Duration;

use events::{Defaults, Event, Origin};
use serde_json::{Value, json};
use store::{IngestOptions, Store, StoreOptions, WriteBatch};

use crate::program::{ALL_OF_TIME, Vouch};

const WORKSPACES: [&str; 3] = ["a", "b", "c"];

fn event(workspace: &str) -> Event {
    let record = json!({
        "df_workspace": workspace,
        "date": 1_795_172_400_000_i64,
        "df_event_id": workspace,
        "df_title": "Sign in",
    });
    let Value::Object(record) = record else {
        unreachable!("an object was made");
    };
    Event::from_json_identified_by_content(record, &Defaults::default()).unwrap()
}

/// Leaves a segment with an event of each workspace, as a node does that is killed; returns its file.
async fn leave_segment(vouch: &Vouch) -> PathBuf {
    vouch.ensure_store();
    let path = vouch.path("vouch-data");
    let store = Store::open(path.to_str().unwrap(), &StoreOptions::default()).unwrap();
    let ingest = store.ingest(IngestOptions {
        fold_interval: Duration::from_hours(1),
        ..IngestOptions::default()
    });
    let batch = WriteBatch {
        events: WORKSPACES.map(event).to_vec(),
        origin: Origin::default(),
        number: None,
        all_or_nothing: false,
    };
    ingest.write(batch).await.unwrap();
    let segments = std::fs::read_dir(path.join("segments")).unwrap();
    let segments: Vec<PathBuf> = segments.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(segments.len(), 1);
    segments[0].clone()
}

fn count<'a>(workspace: &'a str, arguments: &mut Vec<&'a str>) {
    arguments.extend(["query", "--workspace", workspace]);
    arguments.extend(ALL_OF_TIME);
    arguments.extend(["--format", "csv", "TAE::audit:(count(*))"]);
}

/// A segment that has lost the events of one workspace disturbs that one only, and is set aside with a record.
#[tokio::test]
async fn a_damaged_segment_disturbs_one_workspace_until_it_is_set_aside() {
    let vouch = Vouch::new();
    let segment = leave_segment(&vouch).await;
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() - 1]).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    let ask = |workspace: &str| {
        let mut arguments = Vec::new();
        count(workspace, &mut arguments);
        vouch.run(&arguments)
    };
    for _ in 0..2 {
        ask("a").expect_status(0);
        ask("b").expect_status(0);
        ask("c").expect_status(3).expect_error(&name);
        ask("*").expect_status(3).expect_error(&name);
        vouch
            .run(&["stats", "--format", "json"])
            .expect_status(3)
            .expect_output("\"workspace\":\"b\"")
            .expect_error(&name);
        // What is whole is folded, and the segment stays.
        vouch
            .run(&["compact"])
            .expect_status(3)
            .expect_output(&name);
        vouch.run(&["verify"]).expect_status(3).expect_output(&name);
    }
    for _ in 0..2 {
        vouch
            .run(&["repair", "segments"])
            .expect_status(0)
            .expect_output("  whole: 1 event of workspace a")
            .expect_output("  lost:  1 event of workspace c: it is cut off")
            .expect_output("nothing was changed");
    }
    vouch
        .run(&["repair", "segments", "--apply", "--by", "ada"])
        .expect_status(0)
        .expect_output(&format!("segments/{name} is now set-aside/{name}"))
        .expect_output("workspace c");
    assert!(vouch.path("vouch-data/set-aside").join(&name).exists());
    vouch
        .run(&["repair", "segments"])
        .expect_status(0)
        .expect_output("no segment is damaged");
    ask("c").expect_status(0);
    vouch.run(&["stats"]).expect_status(0);
    vouch.run(&["compact"]).expect_status(0);
    vouch.run(&["verify"]).expect_status(0);
    let record = [
        "query",
        "--workspace",
        "c",
        "--format",
        "csv",
        "TAE::audit:(action, df_user_name, events_lost)",
    ];
    vouch
        .run(&record)
        .expect_status(0)
        .expect_output("segment.set_aside,ada,1");
}

/// A table that lost its log is named by `verify`, refused by questions, and rebuilt from its data files.
#[tokio::test]
async fn a_lost_log_is_rebuilt() {
    let vouch = Vouch::new();
    leave_segment(&vouch).await;
    vouch.run(&["compact"]).expect_status(0);
    vouch
        .run(&["repair", "table", "--workspace", "a"])
        .expect_status(0)
        .expect_output("workspace a: nothing is damaged");
    std::fs::remove_dir_all(vouch.path("vouch-data/workspace=a/_delta_log")).unwrap();
    let ask = |workspace: &str| {
        let mut arguments = Vec::new();
        count(workspace, &mut arguments);
        vouch.run(&arguments)
    };
    ask("a").expect_status(3).expect_error("vouch repair table");
    ask("b").expect_status(0);
    vouch
        .run(&["verify"])
        .expect_status(3)
        .expect_output("workspace a: its log cannot be read");
    let repair = ["repair", "table", "--workspace", "a", "--by", "ada"];
    vouch
        .run(&repair)
        .expect_status(0)
        .expect_output("1 events of 1 files that nothing names")
        .expect_output("nothing was changed; --apply repairs it");
    ask("a").expect_status(3);
    vouch
        .run(&[&repair[..], &["--apply"]].concat())
        .expect_status(0)
        .expect_output("workspace a: repaired, version ");
    ask("a").expect_status(0);
    vouch.run(&["verify"]).expect_status(0);
    let record = [
        "query",
        "--workspace",
        "a",
        "--format",
        "csv",
        "TAE::audit:(action, df_user_name)",
    ];
    vouch
        .run(&record)
        .expect_status(0)
        .expect_output("log.rebuilt,ada");
}

/// Whatever is wrong with one workspace, `verify` goes on with the others; one that has only segments is known.
#[tokio::test]
async fn verify_goes_on_after_any_error_of_one_workspace() {
    let vouch = Vouch::new();
    let segment = leave_segment(&vouch).await;
    let of = |workspace| ["verify", "--workspace", workspace];
    vouch
        .run(&of("a"))
        .expect_status(0)
        .expect_output("workspace a: it has no table yet");
    vouch.run(&of("nobody")).expect_status(1);
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() - 1]).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    for workspace in ["a", "nobody"] {
        vouch
            .run(&of(workspace))
            .expect_status(3)
            .expect_output(name)
            .expect_error("1 object outside of tables damaged");
    }
    std::fs::write(&segment, whole).unwrap();
    vouch.run(&["compact"]).expect_status(0);
    let other = Vouch::new();
    leave_segment(&other).await;
    other.run(&["compact"]).expect_status(0);
    let log = "vouch-data/workspace=a/_delta_log";
    std::fs::remove_dir_all(vouch.path(log)).unwrap();
    std::fs::rename(other.path(log), vouch.path(log)).unwrap();
    vouch
        .run(&["verify"])
        .expect_status(3)
        .expect_output("workspace a: its log cannot be read: ")
        .expect_output("workspace b: whole")
        .expect_output("workspace c: whole");
}

/// A damaged head of a node that has vanished is named until it is set aside.
#[tokio::test]
async fn a_damaged_head_is_set_aside() {
    let vouch = Vouch::new();
    leave_segment(&vouch).await;
    vouch.run(&["compact"]).expect_status(0);
    let head = "heads/00000000000040008000000000000000";
    let heads = vouch.path("vouch-data/heads");
    std::fs::create_dir_all(heads).unwrap();
    vouch.write(&format!("vouch-data/{head}"), "{}");
    vouch.run(&["verify"]).expect_status(3).expect_output(head);
    vouch
        .run(&["repair", "heads"])
        .expect_status(0)
        .expect_output(&format!("{head}: it cannot be read: it is cut off"))
        .expect_output("nothing was changed");
    vouch
        .run(&["repair", "heads", "--apply", "--by", "ada"])
        .expect_status(0)
        .expect_output(&format!("{head} is now set-aside/"))
        .expect_output("an audit event in workspace c says what is lost");
    vouch
        .run(&["repair", "heads"])
        .expect_status(0)
        .expect_output("no head is damaged");
    vouch.run(&["verify"]).expect_status(0);
}
