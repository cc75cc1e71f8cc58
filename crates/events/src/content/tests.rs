use serde_json::{Map, json};

use super::*;
use crate::batch::EventBatchBuilder;
use crate::delivery::Origin;
use crate::event::Defaults;
use crate::fields::column;
use crate::identity::{batch_id, import_id};
use crate::packed::PackedEvents;
use crate::workspace::WorkspaceId;

/// Two events, one with few fields and one with all, as they came to the program of commit 43a7e8a.
const PINNED: &str = include_str!("pinned.ndjson");

fn records() -> Vec<Map<String, Value>> {
    let lines = PINNED.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn event(record: Value, workspace: &str) -> Event {
    let Value::Object(record) = record else {
        panic!("{record} is no object");
    };
    let workspace: WorkspaceId = workspace.parse().unwrap();
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    Event::from_json_identified_by_content(record, &defaults).unwrap()
}

fn digest(record: Value, sent: Sent) -> ContentDigest {
    ContentDigest::of_event(&event(record, "acme"), sent)
}

/// What `vouch import` of 43a7e8a gave these two lines.
#[test]
fn ids_of_imports_stay() {
    let content = blake3::hash(PINNED.as_bytes());
    let ids = [1, 2].map(|line| import_id(content.as_bytes(), line, 0));
    assert_eq!(
        ids,
        [
            "1706c3b5-f78e-814c-89eb-a2009efa57fa",
            "93878827-c956-8162-92d1-dc966fb5d0a3"
        ]
    );
}

/// What `POST /v1/events` of 43a7e8a gave them.
#[test]
fn ids_from_content_stay() {
    let ids: Vec<String> = records()
        .into_iter()
        .map(|record| event(Value::Object(record), "acme").id().to_owned())
        .collect();
    assert_eq!(
        ids,
        [
            "13a062b7-7a36-8c53-a699-84c6352e00d0",
            "e363f91d-375f-84e0-aaee-b4f72e9d344d"
        ]
    );
}

/// What the same gave them as batch 1 of producer `agent-7` in workspace `beta`, and the digest of that
/// batch in `vouch.producers`.
#[test]
fn ids_and_digests_of_numbered_batches_stay() {
    let workspace: WorkspaceId = "beta".parse().unwrap();
    let defaults = Defaults {
        workspace: Some(&workspace),
    };
    let mut packed = PackedEvents::default();
    let mut ids = Vec::new();
    for (index, record) in (0..).zip(records()) {
        let event = Event::from_json_identified_by(record, &defaults, |content_id| {
            batch_id("agent-7", &workspace, 1, [index, 0], &content_id)
        });
        let event = event.unwrap();
        ids.push(event.id().to_owned());
        packed.push(&event);
    }
    assert_eq!(
        ids,
        [
            "16a6df23-3891-8efd-b0ce-e6865326a63c",
            "9a360bbc-adda-8885-8ec2-420c51e10a1f"
        ]
    );
    let mut hasher = blake3::Hasher::new();
    packed
        .iter()
        .for_each(|event| event.digest_into(&mut hasher));
    assert_eq!(
        hasher.finalize().to_hex().as_str(),
        "ae3d8a18fbedcb49c31ee4252cb7d07a9d21c4889883c6f6da0f5eeef77837d5"
    );
}

/// Digests are compared with those that other versions compute. The first event has no attributes, so
/// that both are over its fields.
#[test]
fn content_digests_stay() {
    let digests: Vec<[String; 2]> = records()
        .into_iter()
        .map(|record| {
            [Sent::Fields, Sent::Record]
                .map(|sent| digest(Value::Object(record.clone()), sent).to_string())
        })
        .collect();
    let expected = [
        ["7b925219b1ad7c21508c6cb7e3a0584e7c5a40f99d1182981c97f1931e039c32"; 2],
        [
            "a91301b0f3c7d6579666e050a2dd05ebdc687a2496a5ef984d608aa8ffe4116c",
            "c86bb9e068b9ffcbac4099a62dfaefb648359e291023e65f914712d519dcac1e",
        ],
    ];
    assert_eq!(digests, expected);
}

#[test]
fn what_vouch_filled_in_is_not_content() {
    let sent = json!({"date": 1, "df_title": "a", "x": {"b": 1, "a": 2}});
    let filled = json!({
        "time": "1970-01-01T00:00:00.001Z", "df_event_id": "e", "df_source": "audit", "df_status": "info",
        "df_title": "a", "attributes": {"x": {"a": 2, "b": 1}},
    });
    let other_workspace = event(sent.clone(), "beta");
    let expected = digest(sent.clone(), Sent::Fields);
    assert_eq!(digest(filled, Sent::Fields), expected);
    assert_eq!(
        ContentDigest::of_event(&other_workspace, Sent::Fields),
        expected
    );
    for other in [
        json!({"date": 2, "df_title": "a", "x": {"b": 1, "a": 2}}),
        json!({"date": 1, "df_message": "a", "x": {"b": 1, "a": 2}}),
        json!({"date": 1, "df_title": "a", "x": {"b": 1, "a": 3}}),
        json!({"date": 1, "df_title": "a"}),
        json!({"date": 1, "df_title": "a", "x": {"b": 1, "a": 2}, "df_status": "error"}),
        json!({"date": 1, "df_title": "a", "x": {"b": 1, "a": 2}, "df_date_range": 0}),
        json!({"date": 1, "df_title": "a", "x": {"b": 1, "a": 2}, "city": ""}),
    ] {
        assert_ne!(digest(other.clone(), Sent::Fields), expected, "{other}");
    }
}

#[test]
fn of_a_mapped_event_its_record_is_the_content() {
    let record = json!({"at": 1, "who": "eve"});
    let mapped = json!({"date": 1, "df_user_name": "eve", "attributes": record});
    let by_other_version = json!({
        "date": 1000, "df_user_id": "eve", "action": "login",
        "attributes": {"who": "eve", "at": 1, "recorded": {"workspace": "node-1"}},
    });
    let expected = digest(mapped, Sent::Record);
    assert_eq!(digest(by_other_version.clone(), Sent::Record), expected);
    assert_ne!(digest(by_other_version, Sent::Fields), expected);
    let other = json!({"date": 1, "attributes": {"at": 1, "who": "adam"}});
    assert_ne!(digest(other, Sent::Record), expected);
    // A mapping that keeps nothing of the record.
    let [a, b] = ["a", "b"].map(|title| json!({"date": 1, "df_title": title}));
    assert_ne!(digest(a, Sent::Record), digest(b, Sent::Record));
}

#[test]
fn a_row_has_the_digest_of_its_event() {
    let mut batch = EventBatchBuilder::new();
    let events: Vec<Event> = records()
        .into_iter()
        .map(|record| event(Value::Object(record), "acme"))
        .collect();
    events.iter().for_each(|event| batch.append(event));
    let batch = batch.finish().unwrap();
    let fewer: Vec<usize> = (0..batch.num_columns())
        .filter(|index| *index != column("df_event_id").unwrap())
        .collect();
    let fewer = batch.project(&fewer).unwrap();
    for (row, event) in events.iter().enumerate() {
        for sent in [Sent::Fields, Sent::Record] {
            let expected = ContentDigest::of_event(event, sent);
            assert_eq!(ContentDigest::of_row(&batch, row, sent), expected);
            assert_eq!(ContentDigest::of_row(&fewer, row, sent), expected);
        }
    }
}

/// A field as a later version may add one.
fn later(number: u32, set_by: SetBy) -> Field {
    Field {
        number,
        name: "later",
        set_by,
        ..FIELDS[1]
    }
}

#[test]
fn a_field_that_is_added_later_changes_no_digest_of_an_event_without_it() {
    let event = event(json!({"date": 1, "df_title": "a", "x": 1}), "acme");
    let with = |added: &[(Field, Option<ValueRef<'_>>)]| {
        let values = FIELDS.iter().enumerate();
        let values = values.map(|(column, field)| (field, event.value(column)));
        let added = added.iter().map(|(field, value)| (field, *value));
        ContentDigest::of(Sent::Fields, values.chain(added))
    };
    let today = ContentDigest::of_event(&event, Sent::Fields);
    let value = Some(ValueRef::Int(5));
    assert_eq!(with(&[(later(99, SetBy::Producer), None)]), today);
    assert_eq!(with(&[(later(99, SetBy::Vouch), value)]), today);
    let first = with(&[(later(99, SetBy::Producer), value)]);
    let second = with(&[(later(100, SetBy::Producer), value)]);
    assert!(first != today && second != today && first != second);
}

fn content(record: Value, door: &str) -> Content {
    let mut batch = EventBatchBuilder::new();
    batch.append(&event(record, "acme"));
    let delivery = Delivery {
        origin: Origin {
            door: (!door.is_empty()).then(|| door.to_owned()),
            ..Origin::default()
        },
        ..Delivery::default()
    };
    Content::of_row(&batch.finish().unwrap(), 0, Some(&delivery))
}

/// Of records, what a mapping made of them may differ; of fields, nothing; of events from before, it is unknown what
/// they were.
#[test]
fn the_same_record_is_the_same_event() {
    let record =
        |title: &str, who: &str| json!({"date": 1, "df_title": title, "attributes": {"who": who}});
    let is_same = |door: &str, other: &str, title: &str, who: &str| {
        let [one, other] = [
            content(record("a", "eve"), door),
            content(record(title, who), other),
        ];
        assert_eq!(one.is_same(&other), other.is_same(&one));
        one.is_same(&other)
    };
    for door in ["", "http", "http:okta"] {
        for other in ["", "grpc", "import:okta"] {
            assert!(is_same(door, other, "a", "eve"), "{door} {other}");
            assert!(!is_same(door, other, "a", "adam"), "{door} {other}");
            // Of two events of which nothing is known, both may be what a producer sent.
            let are_records = door != "http" && other != "grpc" && door != other;
            assert_eq!(
                is_same(door, other, "b", "eve"),
                are_records,
                "{door} {other}"
            );
        }
    }
}

/// What Vouch records twice because it was interrupted is one event; nobody else can take its id beforehand.
#[test]
fn an_event_of_vouch_is_known_by_its_id() {
    let [first, again] = [1, 2].map(|date| json!({"date": date, "df_title": "Hold placed"}));
    let [first, again] =
        [first, again].map(|record| (content(record.clone(), "vouch"), content(record, "http")));
    assert!(first.0.is_same(&again.0));
    assert!(!first.0.is_same(&again.1) && !first.1.is_same(&again.0));
}

/// What was exported with the fields of Vouch is the same event when it comes again.
#[test]
fn an_exported_event_is_the_same_again() {
    let exported = json!({"date": 1, "df_title": "a", "vouch_received": 5, "vouch_door": "http"});
    assert!(
        content(json!({"date": 1, "df_title": "a"}), "http").is_same(&content(exported, "http"))
    );
    let exported = json!({"date": 1, "x": 1, "vouch_sender": "192.0.2.1", "recorded": {"y": 1}});
    let sent = json!({"date": 1, "x": 1, "recorded": {"y": 1}});
    assert!(content(sent, "http").is_same(&content(exported, "http")));
}

/// What is in a set of contents is what is the same as one of them.
#[test]
fn a_set_has_what_is_the_same() {
    let doors = ["", "http", "http:okta", "vouch"];
    let records = [("a", "eve"), ("b", "eve"), ("a", "adam")];
    let contents = || {
        doors.iter().flat_map(|door| {
            records.iter().map(move |(title, who)| {
                let record = json!({"date": 1, "df_title": title, "attributes": {"who": who}});
                content(record, door)
            })
        })
    };
    for one in contents() {
        for other in contents() {
            let mut set = Contents::default();
            assert!(set.insert(&one));
            assert_eq!(
                set.insert(&other),
                !one.is_same(&other),
                "{one:?} {other:?}"
            );
        }
    }
}
