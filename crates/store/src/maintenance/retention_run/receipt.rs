//! The audit event about what a retention run has dropped.

use events::settings::RetentionRun;
use serde_json::{Map, Value, json};

use crate::delta::audit_event::AuditEvent;
use crate::root::paths;

/// The receipt of a run that drops something.
pub(super) fn receipt(run: &RetentionRun) -> AuditEvent {
    AuditEvent {
        action: "retention.expired",
        title: "Expired events dropped",
        message: message(run),
        by: None,
        attributes: attributes(run),
    }
}

fn message(run: &RetentionRun) -> String {
    let dropped = &run.dropped;
    let kept = match run.held_events {
        0 => String::new(),
        events => {
            let names: Vec<&str> = run.held_by.keys().map(String::as_str).collect();
            format!("; {events} kept by the holds `{}`", names.join("`, `"))
        }
    };
    format!(
        "older than {}, so before {}: {} events of {} days dropped, {} bytes{kept}",
        run.retention,
        paths::day_text(run.kept_from),
        dropped.events,
        dropped.day_count(),
        dropped.size_bytes,
    )
}

fn attributes(run: &RetentionRun) -> Map<String, Value> {
    let dropped = &run.dropped;
    let days = dropped.days.iter().map(
        |(first, last)| json!({"first": paths::day_text(*first), "last": paths::day_text(*last)}),
    );
    Map::from_iter([
        ("retention".to_owned(), json!(run.retention.to_string())),
        ("retention_is_set".to_owned(), json!(run.retention_is_set)),
        (
            "kept_from".to_owned(),
            json!(paths::day_text(run.kept_from)),
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
            json!({"events": run.held_events, "by_hold": run.held_by}),
        ),
    ])
}
