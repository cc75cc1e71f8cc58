//! The audit event about what a retention run has dropped.

use serde_json::{Map, Value, json};

use super::RetentionRun;
use crate::delta::audit_event::AuditEvent;
use crate::root::paths;

/// The receipt of `expiry`, which drops something.
pub(super) fn receipt(expiry: &RetentionRun) -> AuditEvent {
    AuditEvent {
        action: "retention.expired",
        title: "Expired events dropped",
        message: message(expiry),
        by: None,
        attributes: attributes(expiry),
    }
}

fn message(expiry: &RetentionRun) -> String {
    let dropped = &expiry.dropped;
    let kept = match expiry.held_events {
        0 => String::new(),
        events => {
            let names: Vec<&str> = expiry.held_by.keys().map(String::as_str).collect();
            format!("; {events} kept by the holds `{}`", names.join("`, `"))
        }
    };
    format!(
        "older than {}, so before {}: {} events of {} days dropped, {} bytes{kept}",
        expiry.retention,
        paths::day_text(expiry.kept_from),
        dropped.events,
        dropped.day_count(),
        dropped.size_bytes,
    )
}

fn attributes(expiry: &RetentionRun) -> Map<String, Value> {
    let dropped = &expiry.dropped;
    let days = dropped.days.iter().map(
        |(first, last)| json!({"first": paths::day_text(*first), "last": paths::day_text(*last)}),
    );
    Map::from_iter([
        ("retention".to_owned(), json!(expiry.retention.to_string())),
        (
            "retention_is_set".to_owned(),
            json!(expiry.retention_is_set),
        ),
        (
            "kept_from".to_owned(),
            json!(paths::day_text(expiry.kept_from)),
        ),
        (
            "dropped".to_owned(),
            json!({
                "events": dropped.events,
                "bytes": dropped.size_bytes,
                "day_count": dropped.day_count(),
                "days": Value::from_iter(days),
            }),
        ),
        (
            "held".to_owned(),
            json!({"events": expiry.held_events, "by_hold": expiry.held_by}),
        ),
    ])
}
