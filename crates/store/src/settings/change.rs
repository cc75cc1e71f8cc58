//! Changing the settings of a workspace: each change is one commit, with an audit event about itself.

use chrono::NaiveDate;
use events::{TimeRange, WorkspaceId};
use serde_json::{Map, Value, json};

use super::Settings;
use crate::data_file::StagedFile;
use crate::error::StoreError;
use crate::expiry;
use crate::hold::{HeldEvents, Hold, NewHold, check_actor};
use crate::log::{self, Change, Operation, Outcome};
use crate::record::Record;
use crate::retention::Retention;
use crate::snapshot::Snapshot;
use crate::store::Store;

/// More holds than this would make every look at the log of a table slow.
const MOST_HOLDS: usize = 1_000;

/// What became of a hold that was to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedHold {
    /// The hold as it stands now.
    pub hold: Hold,
    /// Whether it stood already, with the same reason and the same events.
    pub stood_already: bool,
    /// Of which days events had been dropped before the hold was placed: those before this day;
    /// `None` when the hold begins later.
    pub dropped_before: Option<NaiveDate>,
}

/// What a change of settings is to be committed with.
struct Changed<'a> {
    settings: Settings,
    record: Record<'a>,
}

impl Store {
    /// What is set for `workspace`; the defaults when it has no table yet.
    ///
    /// # Errors
    ///
    /// As for [`Store::snapshot`] and [`Snapshot::settings`].
    pub async fn settings(&self, workspace: &WorkspaceId) -> Result<Settings, StoreError> {
        match self.snapshot(workspace).await? {
            Some(snapshot) => snapshot.settings(),
            None => Ok(Settings::default()),
        }
    }

    /// Sets how long the events of `workspace` are kept, on behalf of `by`; gives the settings as they
    /// are then. A workspace without a table gets one.
    ///
    /// This drops nothing: the next retention run does. [`Store::expire`] tells what that would be.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidSetting`] when `by` is empty or too long; else as for committing.
    pub async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        retention: Retention,
        by: &str,
    ) -> Result<Settings, StoreError> {
        check_actor(by)?;
        let mut taken = None;
        loop {
            let newest = self.newest_after(workspace, taken).await?;
            let before = newest.settings()?;
            if before.retention == Some(retention) {
                return Ok(before);
            }
            let settings = Settings {
                retention: Some(retention),
                ..before.clone()
            };
            let changed = Changed {
                record: retention_record(&before, retention, by),
                settings,
            };
            match self.commit_settings(&newest, &changed).await? {
                Outcome::Committed => return Ok(changed.settings),
                Outcome::Taken => taken = Some(newest.version + 1),
            }
        }
    }

    /// Places a hold in `workspace`. A workspace without a table gets one.
    ///
    /// When this returns, no retention run drops what the hold covers. The same hold again changes
    /// nothing, so that it may be sent again when the answer was lost.
    ///
    /// # Errors
    ///
    /// [`StoreError::HoldTooLate`] when a retention run dropped events of the hold while it was being
    /// placed: then it was not placed. [`StoreError::HoldExists`] when the name belongs to another
    /// hold, [`StoreError::InvalidSetting`] when it says too little or too much; else as for committing.
    pub async fn place_hold(
        &self,
        workspace: &WorkspaceId,
        hold: NewHold,
    ) -> Result<PlacedHold, StoreError> {
        hold.check()?;
        let mut looked_at = None;
        let mut taken = None;
        loop {
            let newest = self.newest_after(workspace, taken).await?;
            let first = *looked_at.get_or_insert(newest.version);
            let lost = expiry::dropped_since(self.location(), &newest, first, &hold.events).await?;
            if let Some(lost) = lost {
                return Err(StoreError::HoldTooLate {
                    name: hold.name,
                    first_day: lost.first_day,
                    last_day: lost.last_day,
                    events: lost.events,
                });
            }
            let before = newest.settings()?;
            let dropped_before = before
                .dropped_before
                .filter(|day| hold.events.begins_before(*day));
            if let Some(standing) = before.holds.iter().find(|other| other.name == hold.name) {
                return if hold.is(standing) {
                    Ok(PlacedHold {
                        hold: standing.clone(),
                        stood_already: true,
                        dropped_before,
                    })
                } else {
                    Err(StoreError::HoldExists { name: hold.name })
                };
            }
            let placed = hold.clone().placed(self.location().now());
            let changed = placing(before, &placed)?;
            match self.commit_settings(&newest, &changed).await? {
                Outcome::Committed => {
                    return Ok(PlacedHold {
                        hold: placed,
                        stood_already: false,
                        dropped_before,
                    });
                }
                Outcome::Taken => taken = Some(newest.version + 1),
            }
        }
    }

    /// Releases the hold called `name`, on behalf of `by`, and gives it as it was. What it held goes with
    /// the next retention run, unless another hold covers it.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownHold`] when there is none of that name, [`StoreError::InvalidSetting`] when
    /// `by` is empty or too long; else as for committing.
    pub async fn release_hold(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        by: &str,
    ) -> Result<Hold, StoreError> {
        check_actor(by)?;
        let unknown = |settings: Settings| StoreError::UnknownHold {
            name: name.to_owned(),
            standing: settings.holds.into_iter().map(|hold| hold.name).collect(),
        };
        let mut taken = None;
        loop {
            // A table is not made for this.
            if self.snapshot(workspace).await?.is_none() {
                return Err(unknown(Settings::default()));
            }
            let newest = self.newest_after(workspace, taken).await?;
            let mut settings = newest.settings()?;
            let Some(index) = settings.holds.iter().position(|hold| hold.name == name) else {
                return Err(unknown(settings));
            };
            let released = settings.holds.remove(index);
            let changed = Changed {
                record: release_record(&released, by),
                settings,
            };
            match self.commit_settings(&newest, &changed).await? {
                Outcome::Committed => return Ok(released),
                Outcome::Taken => taken = Some(newest.version + 1),
            }
        }
    }

    async fn commit_settings(
        &self,
        newest: &Snapshot,
        changed: &Changed<'_>,
    ) -> Result<Outcome, StoreError> {
        let record = changed.record.stage(self, newest).await?;
        let metadata = newest.metadata_with(&changed.settings);
        let change = Change {
            operation: Operation::SetProperties,
            adds: std::slice::from_ref(&record),
            removes: &[],
            metadata: Some(&metadata),
        };
        let outcome = log::append(self.location(), newest, change).await;
        self.settle(newest, &outcome, [record]).await;
        outcome
    }

    /// What follows a commit: a checkpoint when one is due, or the removal of the staged files when it
    /// was not made. When that is unknown they stay.
    pub(crate) async fn settle(
        &self,
        newest: &Snapshot,
        outcome: &Result<Outcome, StoreError>,
        staged: impl IntoIterator<Item = StagedFile>,
    ) {
        match outcome {
            Ok(Outcome::Committed) => {
                let version = newest.version + 1;
                self.checkpoint_if_due(&newest.workspace, version).await;
            }
            Err(StoreError::CommitUnknown { .. }) => {}
            Ok(Outcome::Taken) | Err(_) => {
                for file in staged {
                    file.delete(self.location()).await;
                }
            }
        }
    }
}

fn placing(before: Settings, placed: &Hold) -> Result<Changed<'_>, StoreError> {
    let mut settings = before;
    if settings.holds.len() >= MOST_HOLDS {
        return Err(StoreError::InvalidSetting {
            setting: "holds",
            reason: format!("there are {MOST_HOLDS} of them already; release some first"),
        });
    }
    let place = settings
        .holds
        .partition_point(|other| other.name < placed.name);
    settings.holds.insert(place, placed.clone());
    Ok(Changed {
        record: Record {
            action: "hold.placed",
            title: "Legal hold placed",
            message: format!("hold `{}`: {}", placed.name, placed.reason),
            by: Some(&placed.placed_by),
            attributes: hold_attributes(placed),
        },
        settings,
    })
}

fn release_record<'a>(released: &Hold, by: &'a str) -> Record<'a> {
    Record {
        action: "hold.released",
        title: "Legal hold released",
        message: format!("hold `{}`: {}", released.name, released.reason),
        by: Some(by),
        attributes: hold_attributes(released),
    }
}

fn retention_record<'a>(before: &Settings, retention: Retention, by: &'a str) -> Record<'a> {
    let previous = before.retention_in_force();
    let default = match before.retention {
        Some(_) => "",
        None => ", the default",
    };
    Record {
        action: "retention.set",
        title: "Retention set",
        message: format!("events are kept {retention}; before: {previous}{default}"),
        by: Some(by),
        attributes: Map::from_iter([
            ("retention".to_owned(), json!(retention.to_string())),
            ("previous_retention".to_owned(), json!(previous.to_string())),
            (
                "previous_was_default".to_owned(),
                json!(before.retention.is_none()),
            ),
        ]),
    }
}

fn hold_attributes(hold: &Hold) -> Map<String, Value> {
    let HeldEvents { range, user } = &hold.events;
    let bound = |bound_ms: i64, open: i64| (bound_ms != open).then_some(bound_ms);
    let about = json!({
        "name": hold.name,
        "reason": hold.reason,
        "placed_by": hold.placed_by,
        "placed_at": hold.placed_at.timestamp_millis(),
        "from_ms": bound(range.from_ms, TimeRange::ALL.from_ms),
        "to_ms": bound(range.to_ms, TimeRange::ALL.to_ms),
        "user": user,
    });
    Map::from_iter([("hold".to_owned(), about)])
}
