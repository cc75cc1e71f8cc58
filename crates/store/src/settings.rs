//! The settings of a workspace, in the properties of its Delta table.
//!
//! | property | is |
//! |---|---|
//! | `vouch.retention` | how long events are kept, when it was set: `90d`, `7y` |
//! | `vouch.holds` | the legal holds: a JSON array |
//! | `vouch.droppedBefore` | the first day that no retention run has dropped yet |
//! | `vouch.confirmedBefore` | the first day that setting the retention has not confirmed to be dropped |
//! | `vouch.olderEvents` | `true` once an import brought events that were older than the default retention, while none was set |
//! | `vouch.dropUndone` | `true` once a drop was undone or a rebuilt log may lack settings, until an operator confirms that events may go |
//!
//! They are part of the table's log, so that changing them and dropping events conflict like any two
//! commits.

mod change;
pub(crate) mod dropped_since;
pub(crate) mod error;
pub(crate) mod held_rows;
pub(crate) mod hold;
mod hold_json;

use events::WorkspaceId;
use events::settings::{InvalidRetention, Settings};

use crate::delta::log::TableMetadata;
use crate::delta::snapshot::Snapshot;
use crate::error::StoreError;
use crate::root::paths;

const RETENTION: &str = "vouch.retention";
const HOLDS: &str = "vouch.holds";
const DROPPED_BEFORE: &str = "vouch.droppedBefore";
const CONFIRMED_BEFORE: &str = "vouch.confirmedBefore";
const OLDER_EVENTS: &str = "vouch.olderEvents";
const DROP_UNDONE: &str = "vouch.dropUndone";

/// Reads the settings in the metadata of the table of `workspace`.
///
/// # Errors
///
/// [`StoreError::Unsupported`] when a property cannot be understood.
pub(crate) fn read(
    metadata: &TableMetadata,
    workspace: &WorkspaceId,
) -> Result<Settings, StoreError> {
    parse(metadata).map_err(|(property, reason)| StoreError::Unsupported {
        workspace: workspace.clone(),
        reason: format!("has a property `{property}` that cannot be understood ({reason})"),
    })
}

/// Reads the settings in the metadata of a table; the error is the property and the reason.
fn parse(metadata: &TableMetadata) -> Result<Settings, (&'static str, String)> {
    let property = |name: &str| metadata.property(name);
    let retention = property(RETENTION)
        .map(str::parse)
        .transpose()
        .map_err(|error: InvalidRetention| (RETENTION, error.to_string()))?;
    let holds = property(HOLDS).map(hold_json::parse).transpose();
    let day = |name: &'static str| {
        let day = property(name)
            .map(|text| paths::parse_day(text).ok_or((name, format!("`{text}` is no day"))));
        day.transpose()
    };
    let flag = |name: &'static str| match property(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err((name, format!("`{other}` is neither `true` nor `false`"))),
    };
    Ok(Settings {
        retention,
        holds: holds.map_err(|reason| (HOLDS, reason))?.unwrap_or_default(),
        dropped_before: day(DROPPED_BEFORE)?,
        confirmed_before: day(CONFIRMED_BEFORE)?,
        older_events: flag(OLDER_EVENTS)?,
        drop_undone: flag(DROP_UNDONE)?,
    })
}

/// The metadata of a table with these settings in it and everything else as it was.
pub(crate) fn write(settings: &Settings, metadata: &TableMetadata) -> TableMetadata {
    let mut metadata = metadata.clone();
    let holds = (!settings.holds.is_empty()).then(|| hold_json::text(&settings.holds));
    for (name, value) in [
        (
            RETENTION,
            settings.retention.map(|retention| retention.to_string()),
        ),
        (HOLDS, holds),
        (DROPPED_BEFORE, settings.dropped_before.map(paths::day_text)),
        (
            CONFIRMED_BEFORE,
            settings.confirmed_before.map(paths::day_text),
        ),
        (
            OLDER_EVENTS,
            settings.older_events.then(|| true.to_string()),
        ),
        (DROP_UNDONE, settings.drop_undone.then(|| true.to_string())),
    ] {
        metadata.set_property(name, value);
    }
    metadata
}

impl Snapshot {
    /// The settings of the workspace at this version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] when a property cannot be understood: then nothing may be dropped.
    pub fn settings(&self) -> Result<Settings, StoreError> {
        read(&self.metadata, &self.workspace)
    }

    /// The metadata of the next version with these settings.
    pub(crate) fn metadata_with(&self, settings: &Settings) -> TableMetadata {
        write(settings, self.metadata_to_commit())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};
    use events::TimeRange;
    use events::settings::{HeldEvents, Hold};

    use super::*;

    fn settings() -> Settings {
        let hold = |name: &str, from_ms, to_ms, user: Option<&str>| Hold {
            name: name.to_owned(),
            reason: "court \"order\"".to_owned(),
            placed_by: "legal@acme.example".to_owned(),
            placed_at: DateTime::from_timestamp_millis(1_795_219_200_123).unwrap(),
            events: HeldEvents {
                range: TimeRange { from_ms, to_ms },
                user: user.map(str::to_owned),
            },
        };
        Settings {
            retention: Some("7y".parse().unwrap()),
            holds: vec![
                hold("all", i64::MIN, i64::MAX, None),
                hold("from", -5, i64::MAX, Some("Zoë")),
                hold("range", 0, 9, None),
                hold("to", i64::MIN, 9, None),
            ],
            dropped_before: NaiveDate::from_ymd_opt(987, 1, 2),
            confirmed_before: NaiveDate::from_ymd_opt(988, 1, 2),
            older_events: true,
            drop_undone: true,
        }
    }

    #[test]
    fn settings_come_back() {
        let mut before = TableMetadata::new(0);
        before.set_property("delta.appendOnly", Some("false".to_owned()));
        for settings in [settings(), Settings::default()] {
            let metadata = write(&settings, &before);
            assert_eq!(parse(&metadata), Ok(settings.clone()));
            assert_eq!(metadata.property("delta.appendOnly"), Some("false"));
            let cleared = write(&Settings::default(), &metadata);
            assert_eq!(cleared, before);
        }
        assert_eq!(parse(&TableMetadata::new(0)), Ok(Settings::default()));
    }

    #[test]
    fn what_cannot_be_understood_is_never_taken_for_nothing() {
        for (property, value) in [
            (RETENTION, "forever"),
            (HOLDS, "x"),
            (HOLDS, "{}"),
            (HOLDS, r#"[{"name":"a"}]"#),
            (
                HOLDS,
                r#"[{"name":"a","reason":"b","placedBy":"c","placedAt":0,"until":5}]"#,
            ),
            (
                HOLDS,
                r#"[{"name":"a","reason":"b","placedBy":"c","placedAt":0,"user":5}]"#,
            ),
            (DROPPED_BEFORE, "yesterday"),
            (CONFIRMED_BEFORE, "2024-02-30"),
            (OLDER_EVENTS, "True"),
            (DROP_UNDONE, ""),
        ] {
            let mut metadata = TableMetadata::new(0);
            metadata.set_property(property, Some(value.to_owned()));
            let (wrong, _) = parse(&metadata).unwrap_err();
            assert_eq!(wrong, property, "{value}");
        }
    }
}
