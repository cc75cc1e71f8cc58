//! Settings of a workspace and results of retention runs.

use chrono::{DateTime, NaiveDate};
use events::settings::{
    Dropped, HeldEvents, Hold, NewHold, PlacedHold, Retention, RetentionOutcome, RetentionRun,
    Settings, Undone,
};
use events::{TimeRange, WorkspaceId};

use super::{MessageError, RequestError};
use crate::proto;

/// Settings as a message.
pub fn settings_to_message(settings: &Settings) -> proto::WorkspaceSettings {
    proto::WorkspaceSettings {
        retention: settings.retention_in_force().to_string(),
        retention_is_set: settings.retention.is_some(),
        dropped_before: settings.dropped_before.map(day_text).unwrap_or_default(),
        confirmed_before: settings.confirmed_before.map(day_text).unwrap_or_default(),
        older_events: settings.older_events,
        drop_undone: settings.drop_undone,
        holds: settings.holds.iter().map(hold_to_message).collect(),
    }
}

/// The settings of a message.
pub fn settings_from_message(message: proto::WorkspaceSettings) -> Result<Settings, MessageError> {
    let retention = retention(&message.retention)?;
    let holds = message.holds.into_iter().map(hold_from_message);
    Ok(Settings {
        retention: message.retention_is_set.then_some(retention),
        holds: holds.collect::<Result<_, _>>()?,
        dropped_before: optional_day(&message.dropped_before)?,
        confirmed_before: optional_day(&message.confirmed_before)?,
        older_events: message.older_events,
        drop_undone: message.drop_undone,
    })
}

/// A hold as a message.
pub fn hold_to_message(hold: &Hold) -> proto::Hold {
    proto::Hold {
        name: hold.name.clone(),
        reason: hold.reason.clone(),
        placed_by: hold.placed_by.clone(),
        placed_at_ms: hold.placed_at.timestamp_millis(),
        events: Some(held_to_message(&hold.events)),
    }
}

/// The hold of a message.
pub fn hold_from_message(message: proto::Hold) -> Result<Hold, MessageError> {
    let placed_at = DateTime::from_timestamp_millis(message.placed_at_ms);
    let events = message.events.ok_or(MessageError::Missing("events"))?;
    Ok(Hold {
        name: message.name,
        reason: message.reason,
        placed_by: message.placed_by,
        placed_at: placed_at.ok_or(MessageError::UnknownKind)?,
        events: held_from_message(events).map_err(|_| MessageError::UnknownKind)?,
    })
}

/// The hold of a request.
pub fn new_hold_from_message(message: proto::PlaceHoldRequest) -> Result<NewHold, RequestError> {
    let events = message.events.ok_or(RequestError::NothingHeld)?;
    Ok(NewHold {
        name: message.name,
        reason: message.reason,
        placed_by: message.by,
        events: held_from_message(events)?,
    })
}

/// A request for a hold; with `create` in a workspace that may be new.
pub fn new_hold_to_message(
    workspace: &WorkspaceId,
    hold: &NewHold,
    create: bool,
) -> proto::PlaceHoldRequest {
    proto::PlaceHoldRequest {
        workspace: workspace.to_string(),
        name: hold.name.clone(),
        reason: hold.reason.clone(),
        by: hold.placed_by.clone(),
        events: Some(held_to_message(&hold.events)),
        create,
    }
}

/// The result of placing a hold, as a message.
pub fn placed_to_message(placed: &PlacedHold) -> proto::PlaceHoldResponse {
    proto::PlaceHoldResponse {
        hold: Some(hold_to_message(&placed.hold)),
        stood_already: placed.stood_already,
        dropped_before: placed.dropped_before.map(day_text).unwrap_or_default(),
    }
}

/// The result of placing a hold.
pub fn placed_from_message(message: proto::PlaceHoldResponse) -> Result<PlacedHold, MessageError> {
    let hold = message.hold.ok_or(MessageError::Missing("hold"))?;
    Ok(PlacedHold {
        hold: hold_from_message(hold)?,
        stood_already: message.stood_already,
        dropped_before: optional_day(&message.dropped_before)?,
    })
}

/// A retention run as a message.
pub fn retention_run_to_message(expiry: &RetentionRun) -> proto::RetentionRun {
    let (outcome, version) = match expiry.outcome {
        RetentionOutcome::Nothing => (proto::RetentionOutcome::Nothing, None),
        RetentionOutcome::Dropped { version } => (proto::RetentionOutcome::Dropped, Some(version)),
        RetentionOutcome::DryRun => (proto::RetentionOutcome::DryRun, None),
        RetentionOutcome::Withheld => (proto::RetentionOutcome::Withheld, None),
        RetentionOutcome::Unconfirmed => (proto::RetentionOutcome::Unconfirmed, None),
        RetentionOutcome::Undone => (proto::RetentionOutcome::Undone, None),
    };
    let held_by = expiry.held_by.iter().map(|(name, events)| proto::HeldBy {
        name: name.clone(),
        events: *events,
    });
    proto::RetentionRun {
        workspace: expiry.workspace.to_string(),
        outcome: outcome.into(),
        version,
        retention: expiry.retention.to_string(),
        retention_is_set: expiry.retention_is_set,
        kept_from: day_text(expiry.kept_from),
        dropped_days: days_to_message(&expiry.dropped),
        dropped_events: expiry.dropped.events,
        dropped_bytes: expiry.dropped.size_bytes,
        held_events: expiry.held_events,
        held_by: held_by.collect(),
        foreign_events: expiry.foreign_events,
    }
}

/// The retention run of a message.
pub fn retention_run_from_message(
    message: proto::RetentionRun,
) -> Result<RetentionRun, MessageError> {
    let version = message.version.ok_or(MessageError::Missing("version"));
    let outcome = match message.outcome() {
        proto::RetentionOutcome::Nothing => RetentionOutcome::Nothing,
        proto::RetentionOutcome::Dropped => RetentionOutcome::Dropped { version: version? },
        proto::RetentionOutcome::DryRun => RetentionOutcome::DryRun,
        proto::RetentionOutcome::Withheld => RetentionOutcome::Withheld,
        proto::RetentionOutcome::Unconfirmed => RetentionOutcome::Unconfirmed,
        proto::RetentionOutcome::Undone => RetentionOutcome::Undone,
        proto::RetentionOutcome::Unspecified => return Err(MessageError::UnknownKind),
    };
    let held_by = message.held_by.into_iter();
    Ok(RetentionRun {
        workspace: message
            .workspace
            .parse()
            .map_err(|_| MessageError::Missing("workspace"))?,
        outcome,
        retention: retention(&message.retention)?,
        retention_is_set: message.retention_is_set,
        kept_from: day(&message.kept_from)?,
        dropped: Dropped {
            days: days_from_message(&message.dropped_days)?,
            events: message.dropped_events,
            size_bytes: message.dropped_bytes,
        },
        held_events: message.held_events,
        held_by: held_by.map(|held| (held.name, held.events)).collect(),
        foreign_events: message.foreign_events,
    })
}

/// An undone drop as a message.
pub fn undone_to_message(undone: &Undone) -> proto::UndoneDrop {
    proto::UndoneDrop {
        workspace: undone.workspace.to_string(),
        dropped_version: undone.dropped_version,
        version: undone.version,
        days: days_to_message(&undone.restored),
        events: undone.restored.events,
        bytes: undone.restored.size_bytes,
        repeated_events: undone.repeated,
    }
}

/// The undone drop of a message.
pub fn undone_from_message(message: proto::UndoneDrop) -> Result<Undone, MessageError> {
    Ok(Undone {
        workspace: message
            .workspace
            .parse()
            .map_err(|_| MessageError::Missing("workspace"))?,
        dropped_version: message.dropped_version,
        version: message.version,
        restored: Dropped {
            days: days_from_message(&message.days)?,
            events: message.events,
            size_bytes: message.bytes,
        },
        repeated: message.repeated_events,
    })
}

fn days_to_message(dropped: &Dropped) -> Vec<proto::DayRange> {
    let days = dropped.days.iter();
    let ranges = days.map(|(first, last)| proto::DayRange {
        first: day_text(*first),
        last: day_text(*last),
    });
    ranges.collect()
}

fn days_from_message(
    ranges: &[proto::DayRange],
) -> Result<Vec<(NaiveDate, NaiveDate)>, MessageError> {
    let days = |range: &proto::DayRange| Ok((day(&range.first)?, day(&range.last)?));
    ranges.iter().map(days).collect()
}

fn held_to_message(held: &HeldEvents) -> proto::HeldEvents {
    let bound = |bound_ms: i64, open: i64| (bound_ms != open).then_some(bound_ms);
    proto::HeldEvents {
        from_ms: bound(held.range.from_ms, TimeRange::ALL.from_ms),
        to_ms: bound(held.range.to_ms, TimeRange::ALL.to_ms),
        user: held.user.clone(),
    }
}

fn held_from_message(message: proto::HeldEvents) -> Result<HeldEvents, RequestError> {
    Ok(HeldEvents {
        range: TimeRange::new(
            message.from_ms.unwrap_or(TimeRange::ALL.from_ms),
            message.to_ms.unwrap_or(TimeRange::ALL.to_ms),
        )?,
        user: message.user,
    })
}

fn retention(text: &str) -> Result<Retention, MessageError> {
    text.parse().map_err(|_| MessageError::Missing("retention"))
}

fn day_text(day: NaiveDate) -> String {
    day.to_string()
}

fn day(text: &str) -> Result<NaiveDate, MessageError> {
    text.parse().map_err(|_| MessageError::Missing("day"))
}

/// The day of a text; `None` when the text is empty.
fn optional_day(text: &str) -> Result<Option<NaiveDate>, MessageError> {
    match text {
        "" => Ok(None),
        text => day(text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(987, 1, number).unwrap()
    }

    fn hold(name: &str, range: TimeRange, user: Option<&str>) -> Hold {
        Hold {
            name: name.to_owned(),
            reason: "court order".to_owned(),
            placed_by: "legal".to_owned(),
            placed_at: DateTime::from_timestamp_millis(1_795_219_200_123).unwrap(),
            events: HeldEvents {
                range,
                user: user.map(str::to_owned),
            },
        }
    }

    #[test]
    fn settings_come_back() {
        let all = Settings {
            retention: Some("7y".parse().unwrap()),
            holds: vec![
                hold("a", TimeRange::ALL, None),
                hold("b", TimeRange::new(-5, 9).unwrap(), Some("Zoë")),
            ],
            dropped_before: Some(a_day(2)),
            confirmed_before: Some(a_day(1)),
            older_events: true,
            drop_undone: true,
        };
        for settings in [all, Settings::default()] {
            let message = settings_to_message(&settings);
            assert_eq!(settings_from_message(message).unwrap(), settings);
        }
    }

    #[test]
    fn a_run_comes_back() {
        let run = |outcome| RetentionRun {
            workspace: "w".parse().unwrap(),
            outcome,
            retention: "90d".parse().unwrap(),
            retention_is_set: true,
            kept_from: a_day(30),
            dropped: Dropped {
                days: vec![(a_day(1), a_day(3)), (a_day(7), a_day(7))],
                events: 12,
                size_bytes: 345,
            },
            held_events: 6,
            held_by: [("a".to_owned(), 6)].into(),
            foreign_events: 1,
        };
        for outcome in [
            RetentionOutcome::Nothing,
            RetentionOutcome::Dropped { version: 9 },
            RetentionOutcome::DryRun,
            RetentionOutcome::Withheld,
            RetentionOutcome::Unconfirmed,
            RetentionOutcome::Undone,
        ] {
            let message = retention_run_to_message(&run(outcome));
            assert_eq!(retention_run_from_message(message).unwrap(), run(outcome));
        }
        let unknown = proto::RetentionRun {
            outcome: 99,
            ..retention_run_to_message(&run(RetentionOutcome::Nothing))
        };
        assert!(retention_run_from_message(unknown).is_err());
        for version in [None, Some(9)] {
            let undone = Undone {
                workspace: "w".parse().unwrap(),
                dropped_version: 8,
                version,
                restored: run(RetentionOutcome::Nothing).dropped,
                repeated: 3,
            };
            let message = undone_to_message(&undone);
            assert_eq!(undone_from_message(message).unwrap(), undone);
        }
    }

    #[test]
    fn a_hold_says_what_it_holds() {
        let workspace = "w".parse().unwrap();
        let new = NewHold {
            name: "a".to_owned(),
            reason: "r".to_owned(),
            placed_by: "p".to_owned(),
            events: HeldEvents::all(),
        };
        let message = new_hold_to_message(&workspace, &new, true);
        assert!(message.create);
        assert_eq!(new_hold_from_message(message.clone()).unwrap(), new);
        let nothing = proto::PlaceHoldRequest {
            events: None,
            ..message.clone()
        };
        let error = new_hold_from_message(nothing).unwrap_err();
        assert_eq!(error, RequestError::NothingHeld);
        let backwards = proto::HeldEvents {
            from_ms: Some(9),
            to_ms: Some(8),
            user: None,
        };
        let backwards = proto::PlaceHoldRequest {
            events: Some(backwards),
            ..message
        };
        assert!(new_hold_from_message(backwards).is_err());
        for (dropped_before, stood_already) in [(None, true), (Some(a_day(1)), false)] {
            let placed = PlacedHold {
                hold: hold("a", TimeRange::ALL, None),
                stood_already,
                dropped_before,
            };
            let message = placed_to_message(&placed);
            assert_eq!(placed_from_message(message).unwrap(), placed);
        }
    }
}
