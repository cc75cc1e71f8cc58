//! How many workspaces, days and producers senders may make.
//!
//! Each of them costs the store something for good: files, entries of a log, memory of every node. So a
//! sender that puts a changing value where a name belongs is stopped here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use events::{Event, Rejection, RejectionCode, WorkspaceId};
use store::{BatchNumber, Store};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::decode::{Decoded, RefusedRecord};
use super::error::WriteError;

const HOUR: Duration = Duration::from_hours(1);
/// A producer that sends nothing for this long no longer counts.
const PRODUCER_IDLE: Duration = Duration::from_hours(24);
/// The names of workspaces are read from the store at most this often.
const LISTING_AGE: Duration = Duration::from_secs(10);

/// How many workspaces, days and producers senders may make through one node. An import may make any
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestQuotas {
    /// New workspaces within an hour; 1,000 by default.
    pub new_workspaces_per_hour: usize,
    /// New workspaces in one request; 100 by default.
    pub new_workspaces_per_request: usize,
    /// Days of the events of one request, those of each workspace counted alone; 1,000 by default.
    pub days_per_request: usize,
    /// Producers of numbered batches that have sent something to a workspace within a day; 1,000 by
    /// default.
    pub producers: usize,
}

impl Default for IngestQuotas {
    fn default() -> Self {
        Self {
            new_workspaces_per_hour: 1_000,
            new_workspaces_per_request: 100,
            days_per_request: 1_000,
            producers: 1_000,
        }
    }
}

/// Which workspaces and producers there are, as far as this node knows.
#[derive(Debug)]
pub(super) struct Quotas {
    store: Store,
    limits: IngestQuotas,
    known: Mutex<HashSet<WorkspaceId>>,
    /// Held by who admits new workspaces.
    making: AsyncMutex<Making>,
    producers: Mutex<Producers>,
}

/// When each producer of a workspace has stored its newest batch.
#[derive(Debug, Default)]
struct Producers {
    seen: HashMap<WorkspaceId, HashMap<String, Instant>>,
    /// When idle ones were forgotten.
    pruned: Option<Instant>,
}

impl Producers {
    fn forget_idle(&mut self) {
        self.pruned = Some(Instant::now());
        self.seen.retain(|_, of_workspace| {
            of_workspace.retain(|_, seen| seen.elapsed() < PRODUCER_IDLE);
            !of_workspace.is_empty()
        });
    }
}

#[derive(Debug, Default)]
struct Making {
    /// When the store was asked for its workspaces.
    listed: Option<Instant>,
    /// The workspaces that were made within the last hour.
    made: VecDeque<(Instant, WorkspaceId)>,
}

impl Quotas {
    /// Quotas for what is written to `store`.
    pub(super) fn new(store: Store, limits: IngestQuotas) -> Self {
        Self {
            store,
            limits,
            known: Mutex::default(),
            making: AsyncMutex::default(),
            producers: Mutex::default(),
        }
    }

    /// Refuses the events that would make too many workspaces or days.
    ///
    /// # Errors
    /// [`WriteError::TooManyProducers`]; and [`WriteError::NewWorkspace`] for a numbered batch, which is
    /// stored as a whole or not at all, so that it stays the same batch when it is sent again.
    pub(super) async fn admit(
        &self,
        decoded: &mut Decoded,
        number: Option<&BatchNumber>,
    ) -> Result<(), WriteError> {
        if let Some(number) = number {
            self.check_producer(number)?;
        }
        let refused = self.refused_workspaces(&decoded.events).await;
        if let (Some(_), Some(rejection)) = (number, refused.values().next()) {
            return Err(WriteError::NewWorkspace(rejection.clone()));
        }
        let mut days = BTreeSet::new();
        refuse(decoded, |event| {
            if let Some(rejection) = refused.get(event.workspace()) {
                return Some(rejection.clone());
            }
            let day = (event.workspace().clone(), event.day());
            self.refused_day(&mut days, day)
        });
        Ok(())
    }

    fn refused_day(
        &self,
        days: &mut BTreeSet<(WorkspaceId, NaiveDate)>,
        day: (WorkspaceId, NaiveDate),
    ) -> Option<Rejection> {
        let limit = self.limits.days_per_request;
        if days.contains(&day) {
            return None;
        }
        if days.len() < limit {
            days.insert(day);
            return None;
        }
        let message = format!(
            "the request has events of more than {limit} days, the most that this service takes \
             (--max-days); send the events of one day together, or import them with `vouch import`"
        );
        Some(Rejection::new(RejectionCode::TooManyDays, message))
    }

    /// The workspaces of events that may not be made, and why.
    async fn refused_workspaces(&self, events: &[Event]) -> BTreeMap<WorkspaceId, Rejection> {
        let unknown = self.unknown(events.iter().map(Event::workspace));
        if unknown.is_empty() {
            return BTreeMap::new();
        }
        let mut making = self.making.lock().await;
        let now = Instant::now();
        let is_past = |(made, _): &(Instant, WorkspaceId)| now.duration_since(*made) > HOUR;
        while making.made.front().is_some_and(is_past) {
            making.made.pop_front();
        }
        if making
            .listed
            .is_none_or(|listed| now.duration_since(listed) > LISTING_AGE)
        {
            self.list(&mut making).await;
        }
        let mut refused = BTreeMap::new();
        let mut made = 0;
        for workspace in self.unknown(&unknown) {
            let of_hour = making.made.len() >= self.limits.new_workspaces_per_hour;
            if of_hour || made >= self.limits.new_workspaces_per_request {
                let rejection = self.no_workspace(&workspace, of_hour);
                refused.insert(workspace, rejection);
                continue;
            }
            made += 1;
            self.known().insert(workspace.clone());
            making.made.push_back((now, workspace));
        }
        refused
    }

    fn unknown<'a>(
        &self,
        workspaces: impl IntoIterator<Item = &'a WorkspaceId>,
    ) -> BTreeSet<WorkspaceId> {
        let known = self.known();
        let unknown = workspaces
            .into_iter()
            .filter(|workspace| !known.contains(*workspace));
        unknown.cloned().collect()
    }

    /// Learns which workspaces there are, and forgets those that are gone.
    async fn list(&self, making: &mut Making) {
        match self.store.workspace_folders().await {
            Ok(mut known) => {
                making.listed = Some(Instant::now());
                // They may not have a table yet.
                known.extend(making.made.iter().map(|(_, workspace)| workspace.clone()));
                *self.known() = known.into_iter().collect();
            }
            Err(error) => {
                tracing::warn!(%error, "the workspaces of the store are not known; new ones are counted");
            }
        }
    }

    fn no_workspace(&self, workspace: &WorkspaceId, of_hour: bool) -> Rejection {
        let (limit, within, option) = if of_hour {
            let limit = self.limits.new_workspaces_per_hour;
            (limit, "within an hour", "--max-new-workspaces")
        } else {
            let limit = self.limits.new_workspaces_per_request;
            (limit, "in one request", "--max-new-workspaces-per-request")
        };
        let message = format!(
            "workspace `{workspace}` is new, and this service makes {limit} new ones {within} ({option}); \
             check that the workspace is the name of a tenant and not a value that changes, or send it later"
        );
        Rejection::new(RejectionCode::TooManyWorkspaces, message)
    }

    fn check_producer(&self, number: &BatchNumber) -> Result<(), WriteError> {
        let limit = self.limits.producers;
        let mut producers = self.producers();
        if producers
            .pruned
            .is_none_or(|pruned| pruned.elapsed() > HOUR)
        {
            producers.forget_idle();
        }
        let Some(of_workspace) = producers.seen.get(&number.workspace) else {
            return Ok(());
        };
        if of_workspace.contains_key(&number.producer) || of_workspace.len() < limit {
            return Ok(());
        }
        Err(WriteError::TooManyProducers {
            workspace: number.workspace.clone(),
            limit,
        })
    }

    /// Remembers the producer of a batch that is stored; one whose number does not fit leaves nothing.
    pub(super) fn stored(&self, number: BatchNumber) {
        let mut producers = self.producers();
        let of_workspace = producers.seen.entry(number.workspace).or_default();
        of_workspace.insert(number.producer, Instant::now());
    }

    fn known(&self) -> MutexGuard<'_, HashSet<WorkspaceId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn producers(&self) -> MutexGuard<'_, Producers> {
        let producers = self.producers.lock();
        producers.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out the events that `rejection` refuses.
fn refuse(decoded: &mut Decoded, mut rejection: impl FnMut(&Event) -> Option<Rejection>) {
    let events = std::mem::take(&mut decoded.events);
    let record_of = std::mem::take(&mut decoded.record_of);
    for (event, index) in events.into_iter().zip(record_of) {
        match rejection(&event) {
            Some(rejection) => decoded.refused.push(RefusedRecord { index, rejection }),
            None => {
                decoded.events.push(event);
                decoded.record_of.push(index);
            }
        }
    }
    decoded.refused.sort_by_key(|refused| refused.index);
}
