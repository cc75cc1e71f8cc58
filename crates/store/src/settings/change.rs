//! Changing the settings of a workspace: each change is one commit, with an audit event about itself.

use async_trait::async_trait;
use chrono::DateTime;
use events::settings::{HeldEvents, Hold, NewHold, PlacedHold, Retention, Settings};
use events::{TimeRange, WorkspaceId};
use serde_json::{Map, Value, json};

use crate::delta::audit_event::AuditEvent;
use crate::delta::log::{Changes, CommitPlan, CommitPlanner, Operation};
use crate::delta::snapshot::Snapshot;
use crate::error::StoreError;
use crate::root::location::Location;
use crate::settings::dropped_since::dropped_since;
use crate::settings::error::SettingsError;
use crate::settings::hold::{check_actor, check_new};
use crate::store::Store;

/// More holds than this would make every read of the log of a table slow.
const MOST_HOLDS: usize = 1_000;

impl Store {
    /// The settings of `workspace`; the defaults when it has no table yet.
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

    /// Sets how long the events of `workspace` are kept, on behalf of `by`; returns the settings as they
    /// are then. A workspace without a table gets one.
    ///
    /// This drops nothing: the next retention run does. [`Store::expire`] returns what that would be.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Invalid`] when `by` is empty or too long; else as for committing.
    pub async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        retention: Retention,
        by: &str,
    ) -> Result<Settings, SettingsError> {
        check_actor(by)?;
        let mut planner = SetRetention {
            retention,
            by,
            now_ms: self.location().trusted_ms().await,
        };
        Ok(self.commit(workspace, &mut planner).await?.value)
    }

    /// Places a hold in `workspace`. A workspace without a table gets one.
    ///
    /// When this returns, no retention run drops what the hold covers. The same hold again changes
    /// nothing, so that it may be sent again when the answer was lost.
    ///
    /// # Errors
    ///
    /// [`SettingsError::HoldTooLate`] when a retention run dropped events of the hold while it was being
    /// placed: then it was not placed. [`SettingsError::HoldExists`] when the name belongs to another
    /// hold, [`SettingsError::Invalid`] when it says too little or too much; else as for committing.
    pub async fn place_hold(
        &self,
        workspace: &WorkspaceId,
        hold: NewHold,
    ) -> Result<PlacedHold, SettingsError> {
        check_new(&hold)?;
        let mut planner = PlaceHold {
            location: self.location(),
            hold,
            first_version: None,
        };
        Ok(self.commit(workspace, &mut planner).await?.value)
    }

    /// Releases the hold called `name`, on behalf of `by`, and returns it as it was. What it held goes with
    /// the next retention run, unless another hold covers it.
    ///
    /// # Errors
    ///
    /// [`SettingsError::UnknownHold`] when there is none of that name, [`SettingsError::Invalid`] when
    /// `by` is empty or too long; else as for committing.
    pub async fn release_hold(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        by: &str,
    ) -> Result<Hold, SettingsError> {
        check_actor(by)?;
        let mut planner = ReleaseHold { name, by };
        // A table is not made for this.
        match self.commit_existing(workspace, &mut planner).await? {
            Some(committed) => Ok(committed.value),
            None => Err(unknown_hold(name, Settings::default())),
        }
    }
}

/// The commit of a new hold.
struct PlaceHold<'a> {
    location: &'a Location,
    hold: NewHold,
    /// The version that the first check read.
    first_version: Option<u64>,
}

#[async_trait]
impl CommitPlanner for PlaceHold<'_> {
    type Value = PlacedHold;
    type Error = SettingsError;

    async fn plan(
        &mut self,
        newest: &Snapshot,
        _: u64,
    ) -> Result<CommitPlan<PlacedHold>, SettingsError> {
        let first = *self.first_version.get_or_insert(newest.version);
        let hold = &self.hold;
        let lost = dropped_since(self.location, newest, first, &hold.events).await?;
        if let Some(lost) = lost {
            return Err(SettingsError::HoldTooLate {
                name: hold.name.clone(),
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
                Ok(CommitPlan::Stop(PlacedHold {
                    hold: standing.clone(),
                    stood_already: true,
                    dropped_before,
                }))
            } else {
                let name = hold.name.clone();
                Err(SettingsError::HoldExists { name })
            };
        }
        let placed = hold.clone().placed(self.location.now());
        let settings = with_hold(before, &placed)?;
        let changes = changes(newest, &settings, placed_record(&placed));
        Ok(CommitPlan::Commit(
            Box::new(changes),
            PlacedHold {
                hold: placed,
                stood_already: false,
                dropped_before,
            },
        ))
    }
}

/// The commit of another retention; it returns the settings.
struct SetRetention<'a> {
    retention: Retention,
    by: &'a str,
    /// The right time in Unix milliseconds; `None` when it is not known.
    now_ms: Option<i64>,
}

#[async_trait]
impl CommitPlanner for SetRetention<'_> {
    type Value = Settings;
    type Error = SettingsError;

    async fn plan(
        &mut self,
        newest: &Snapshot,
        _: u64,
    ) -> Result<CommitPlan<Settings>, SettingsError> {
        let before = newest.settings()?;
        if before.retention == Some(self.retention) {
            return Ok(CommitPlan::Stop(before));
        }
        let now = self.now_ms.and_then(DateTime::from_timestamp_millis);
        let settings = Settings {
            retention: Some(self.retention),
            // Without the right time, nothing is confirmed.
            confirmed_before: now
                .map(|now| self.retention.kept_from(now))
                .or(before.confirmed_before),
            drop_undone: false,
            ..before.clone()
        };
        let record = retention_record(&before, self.retention, self.by);
        Ok(CommitPlan::Commit(
            Box::new(changes(newest, &settings, record)),
            settings,
        ))
    }
}

/// The commit that ends a hold; it returns the hold as it was.
struct ReleaseHold<'a> {
    name: &'a str,
    by: &'a str,
}

#[async_trait]
impl CommitPlanner for ReleaseHold<'_> {
    type Value = Hold;
    type Error = SettingsError;

    async fn plan(&mut self, newest: &Snapshot, _: u64) -> Result<CommitPlan<Hold>, SettingsError> {
        let mut settings = newest.settings()?;
        let mut holds = settings.holds.iter();
        let Some(index) = holds.position(|hold| hold.name == self.name) else {
            return Err(unknown_hold(self.name, settings));
        };
        let released = settings.holds.remove(index);
        let record = release_record(&released, self.by);
        Ok(CommitPlan::Commit(
            Box::new(changes(newest, &settings, record)),
            released,
        ))
    }
}

fn unknown_hold(name: &str, settings: Settings) -> SettingsError {
    SettingsError::UnknownHold {
        name: name.to_owned(),
        standing: settings.holds.into_iter().map(|hold| hold.name).collect(),
    }
}

/// The commit of `settings`, with an audit event about it.
fn changes(newest: &Snapshot, settings: &Settings, record: AuditEvent) -> Changes {
    Changes {
        metadata: Some(newest.metadata_with(settings)),
        record: Some(record),
        ..Changes::new(Operation::SetProperties)
    }
}

fn with_hold(before: Settings, placed: &Hold) -> Result<Settings, SettingsError> {
    let mut settings = before;
    if settings.holds.len() >= MOST_HOLDS {
        return Err(SettingsError::Invalid {
            setting: "holds",
            reason: format!("there are {MOST_HOLDS} of them already; release some first"),
        });
    }
    let place = settings
        .holds
        .partition_point(|other| other.name < placed.name);
    settings.holds.insert(place, placed.clone());
    Ok(settings)
}

fn placed_record(placed: &Hold) -> AuditEvent {
    AuditEvent {
        action: "hold.placed",
        title: "Legal hold placed",
        message: format!("hold `{}`: {}", placed.name, placed.reason),
        by: Some(placed.placed_by.clone()),
        attributes: hold_attributes(placed),
    }
}

fn release_record(released: &Hold, by: &str) -> AuditEvent {
    AuditEvent {
        action: "hold.released",
        title: "Legal hold released",
        message: format!("hold `{}`: {}", released.name, released.reason),
        by: Some(by.into()),
        attributes: hold_attributes(released),
    }
}

fn retention_record(before: &Settings, retention: Retention, by: &str) -> AuditEvent {
    let previous = before.retention_in_force();
    let default = match before.retention {
        Some(_) => "",
        None => ", the default",
    };
    AuditEvent {
        action: "retention.set",
        title: "Retention set",
        message: format!("events are kept {retention}; before: {previous}{default}"),
        by: Some(by.into()),
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
