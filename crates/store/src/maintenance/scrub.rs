//! Reading everything again in the background, at a bounded rate, so that damage is found before a query meets it.
//!
//! A round compares the bytes of every active data file with the digest in the log, and checks logs, segments and
//! heads. What it reads is kept in no cache. Rows are not decoded: `vouch verify` does that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use tokio::time::{Instant, sleep};

use crate::delta::snapshot::DataFile;
use crate::delta::table;
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::file::digest::Digest;
use crate::root::paths;
use crate::store::Store;

/// How scrubbing works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubOptions {
    /// How many bytes of data files are read in a second at most; 4 MiB by default. With 0 nothing is read.
    pub bytes_per_second: u64,
    /// How long it waits before each round; an hour by default.
    pub rest: Duration,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self {
            bytes_per_second: 4 * 1024 * 1024,
            rest: Duration::from_hours(1),
        }
    }
}

/// What scrubbing has read since the store was opened, and found.
#[derive(Debug, Default)]
pub struct Scrubbing {
    files: AtomicU64,
    bytes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is wrong, by path.
    faults: BTreeMap<String, String>,
    last_round: Option<DateTime<Utc>>,
}

impl Scrubbing {
    /// How many data files were read.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// How many bytes of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many objects are damaged or missing, as far as is known.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.state().faults.len()
    }

    /// When the last complete round ended; `None` before that.
    #[must_use]
    pub fn last_round(&self) -> Option<DateTime<Utc>> {
        self.state().last_round
    }

    /// Notes a fault; it is logged when it is new.
    fn note(&self, round: &mut BTreeMap<String, String>, fault: &Fault) {
        let (path, reason) = (fault.path.clone(), fault.kind.to_string());
        let known = self.state().faults.insert(path.clone(), reason.clone());
        if known.is_none() {
            tracing::error!(%path, %reason, "an object of the store is damaged; see `vouch verify`");
        }
        round.insert(path, reason);
    }

    /// Takes what a whole round has found instead of the earlier result.
    fn end_round(&self, round: BTreeMap<String, String>, now: DateTime<Utc>) {
        let mut state = self.state();
        state.faults = round;
        state.last_round = Some(now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time in which less was read than may be makes up for at most this much more afterwards.
const MOST_CREDIT: Duration = Duration::from_secs(1);

/// Keeps reading at a rate.
struct Pace {
    bytes_per_second: u64,
    /// When the bytes that were read until now are due.
    due: Mutex<Instant>,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            due: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `bytes` more bytes are due.
    async fn keep(&self, bytes: u64) {
        let early = self.early(bytes, Instant::now());
        if early > Duration::from_millis(10) {
            sleep(early).await;
        }
    }

    /// How long to wait at the time `now` until `bytes` more bytes are due.
    fn early(&self, bytes: u64, now: Instant) -> Duration {
        let micros = u128::from(bytes) * 1_000_000 / u128::from(self.bytes_per_second.max(1));
        let takes = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(MOST_CREDIT).unwrap_or(now);
        let later = due.max(earliest).checked_add(takes);
        *due = later.unwrap_or(*due);
        due.saturating_duration_since(now)
    }
}

impl Store {
    /// Reads everything again and again; never ends, unless the options say to read nothing. The future may be dropped
    /// at any moment.
    pub async fn scrub(&self, options: ScrubOptions) {
        if options.bytes_per_second == 0 {
            return;
        }
        loop {
            sleep(options.rest).await;
            let begun = Instant::now();
            match self.scrub_round(options.bytes_per_second).await {
                Ok(faults) => {
                    let seconds = begun.elapsed().as_secs();
                    tracing::info!(faults, seconds, "everything in the store was read again");
                }
                Err(error) => tracing::warn!(%error, "the store could not be read again in full"),
            }
        }
    }

    /// Reads everything once; returns how many objects are damaged.
    ///
    /// # Errors
    ///
    /// When the object store fails.
    pub async fn scrub_round(&self, bytes_per_second: u64) -> Result<usize, StoreError> {
        let scrubbing = &self.activity().scrubbing;
        let mut round = BTreeMap::new();
        let pace = Pace::new(bytes_per_second);
        let segments = self.verify_segments().await?;
        for fault in &segments.faults {
            scrubbing.note(&mut round, fault);
        }
        pace.keep(segments.size_bytes).await;
        for workspace in self.workspaces_with_table().await? {
            let log = table::list_from(self.location(), &workspace, 0).await?;
            pace.keep(log.iter().map(|object| object.size).sum()).await;
            let faults = self.verify_log(&workspace).await?;
            for fault in &faults {
                scrubbing.note(&mut round, fault);
            }
            match self.snapshot(&workspace).await {
                Ok(Some(snapshot)) => {
                    for file in snapshot.files() {
                        let fault = self.scrub_file(&workspace, file, &pace).await?;
                        if let Some(fault) = fault {
                            scrubbing.note(&mut round, &fault);
                        }
                    }
                }
                Ok(None) => {}
                Err(StoreError::ObjectStore(error)) => return Err(error.into()),
                Err(error) => {
                    let path = paths::log(&workspace).to_string();
                    let fault = Fault::unreadable(path, error.to_string());
                    scrubbing.note(&mut round, &fault);
                }
            }
        }
        let faults = round.len();
        scrubbing.end_round(round, self.location().now());
        Ok(faults)
    }

    async fn scrub_file(
        &self,
        workspace: &WorkspaceId,
        file: &DataFile,
        pace: &Pace,
    ) -> Result<Option<Fault>, StoreError> {
        let path = file.path.to_string();
        let read = || self.digest_at(file, pace);
        let read = self.location().read_object(&file.path, read).await;
        let (size_bytes, digest) = match read {
            Ok(read) => read,
            Err(StoreError::NotFound { .. }) => {
                // It may have been merged into another one and deleted since.
                let newest = self.snapshot(workspace).await?;
                let mut named = newest.iter().flat_map(|snapshot| snapshot.files());
                let is_named = named.any(|other| other.path == file.path);
                return Ok(is_named.then_some(Fault {
                    path,
                    kind: FaultKind::Missing,
                }));
            }
            Err(StoreError::Corrupt { path, reason }) => {
                return Ok(Some(Fault::unreadable(path, reason)));
            }
            Err(error) => return Err(error),
        };
        let files = &self.activity().scrubbing.files;
        files.fetch_add(1, Ordering::Relaxed);
        let kind = if size_bytes != file.size_bytes {
            FaultKind::Size {
                found: size_bytes,
                logged: file.size_bytes,
            }
        } else if file.digest.is_some_and(|committed| committed != digest) {
            FaultKind::Changed
        } else {
            return Ok(None);
        };
        Ok(Some(Fault { path, kind }))
    }

    /// The size and the digest of a file, read at a rate.
    async fn digest_at(&self, file: &DataFile, pace: &Pace) -> Result<(u64, Digest), StoreError> {
        let mut content = self.location().objects.get(&file.path).await?.into_stream();
        let mut hasher = blake3::Hasher::new();
        let mut size_bytes = 0;
        while let Some(part) = content.try_next().await? {
            let bytes = part.len() as u64;
            size_bytes += bytes;
            hasher.update(&part);
            let scrubbed = &self.activity().scrubbing.bytes;
            scrubbed.fetch_add(bytes, Ordering::Relaxed);
            pace.keep(bytes).await;
            tokio::task::consume_budget().await;
        }
        Ok((size_bytes, hasher.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute in which nothing was read makes up for a second of reading.
    #[test]
    fn little_is_made_up_for() {
        let pace = Pace::new(1000);
        let begun = Instant::now();
        *pace.due.lock().unwrap() = begun;
        assert_eq!(pace.early(2000, begun), Duration::from_secs(2));
        let later = begun + Duration::from_mins(1);
        assert_eq!(pace.early(5000, later), Duration::from_secs(4));
        assert_eq!(pace.early(1000, later), Duration::from_secs(5));
    }
}
