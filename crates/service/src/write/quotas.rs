//! Quotas on the workspaces, days and producers that senders create.
//!
//! Each of them has a permanent cost: files, entries of a log, memory of every node. The quotas stop a sender that
//! puts a changing value in place of a name.

mod days;
mod producers;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Event, Rejection, RejectionCode, WorkspaceId};
use store::{BatchNumber, Store};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use self::days::Days;
use self::producers::{CountedProducer, Producers};
use super::decode::{Decoded, RefusedRecord};
use super::error::WriteError;

const HOUR: Duration = Duration::from_hours(1);
/// The shortest interval between two reads of the names of workspaces.
const LISTING_AGE: Duration = Duration::from_secs(10);

/// The workspaces, days and producers that senders may create through one node. An import may create any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestQuotas {
    /// New workspaces within an hour; 1,000 by default.
    pub new_workspaces_per_hour: usize,
    /// New workspaces in one request; 100 by default.
    pub new_workspaces_per_request: usize,
    /// Days of the events of one request, those of each workspace counted alone; 1,000 by default.
    pub days_per_request: usize,
    /// Days more than a week ago of the events of all requests within an hour, those of each workspace counted alone;
    /// 5,000 by default. Each is a file or more.
    pub past_days_per_hour: usize,
    /// Producers of numbered batches whose numbers are remembered in a workspace; 1,000 by default.
    pub producers: usize,
}

impl Default for IngestQuotas {
    fn default() -> Self {
        Self {
            new_workspaces_per_hour: 1_000,
            new_workspaces_per_request: 100,
            days_per_request: 1_000,
            past_days_per_hour: 5_000,
            producers: 1_000,
        }
    }
}

/// The workspaces and producers that this node knows.
#[derive(Debug)]
pub(super) struct Quotas {
    store: Store,
    limits: IngestQuotas,
    known: Mutex<HashSet<WorkspaceId>>,
    /// Serialises the admission of new workspaces.
    making: AsyncMutex<Making>,
    days: Days,
    producers: Arc<Producers>,
}

#[derive(Debug, Default)]
struct Making {
    /// The time of the last read of the names of workspaces.
    listed: Option<Instant>,
    /// The workspaces that were created within the last hour.
    made: VecDeque<(Instant, WorkspaceId)>,
}

impl Quotas {
    /// Quotas for writes to `store`.
    pub(super) fn new(store: Store, limits: IngestQuotas) -> Self {
        Self {
            days: Days::new(&limits),
            producers: Arc::new(Producers::new(store.clone(), limits.producers)),
            store,
            limits,
            known: Mutex::default(),
            making: AsyncMutex::default(),
        }
    }

    /// Refuses the events that would create too many workspaces or days. Returns the producer of a numbered batch,
    /// which counts.
    ///
    /// # Errors
    /// [`WriteError::TooManyProducers`]; for a numbered batch also [`WriteError::TooManyWorkspaces`] and
    /// [`WriteError::TooManyDays`], as it is stored as a whole or not at all, so that a retry is the same batch.
    pub(super) async fn admit(
        &self,
        decoded: &mut Decoded,
        number: Option<&BatchNumber>,
    ) -> Result<Option<CountedProducer>, WriteError> {
        let producer = match number {
            Some(number) => Some(self.producers.count(number).await?),
            None => None,
        };
        let refused = self.refused_workspaces(&decoded.events).await;
        let refused = &refused;
        let mut days = self.days.of_request();
        if number.is_some() {
            for event in &decoded.events {
                if let Some(rejection) = refused.get(event.workspace()) {
                    return Err(WriteError::TooManyWorkspaces(rejection.clone()));
                }
                if let Some(rejection) = days.fault(event) {
                    return Err(WriteError::TooManyDays(rejection));
                }
            }
        }
        refuse(decoded, |event| {
            let rejection = refused.get(event.workspace()).cloned();
            rejection.or_else(|| days.fault(event))
        });
        Ok(producer)
    }

    /// The workspaces of events that cannot be created, with the reasons.
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

    /// Reads the names of workspaces, and removes those that are gone.
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

    fn known(&self) -> MutexGuard<'_, HashSet<WorkspaceId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the events that `rejection` refuses.
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
