//! The clock of a node, and its difference from the time of the store.
//!
//! The store's time is the modification time of an object that a node puts: the object store's, or that of the
//! file system. A node whose clock differs from it by more than five minutes neither drops nor deletes
//! anything, and refuses no event by its date. On a local disk of one machine both are the same clock; then only
//! objects with a later time show that it is wrong.
//!
//! After a comparison the store's time follows a monotonic clock: setting the node's clock changes nothing
//! of it, and the next comparison corrects what it lacks after a machine has slept.

use std::fmt;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStoreExt;

use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;
use crate::store::Store;

/// By how much the clock of a node may differ from the store's.
const BOUND: Duration = Duration::from_mins(5);
/// How often a running node compares its clock.
const INTERVAL: Duration = Duration::from_mins(1);
/// For how long a comparison counts where one event, or a batch, depends on it.
const FRESH: Duration = Duration::from_mins(5);
/// The same where events or files are about to go: the comparison is made anew for each run, not for each of
/// its steps.
const IMMEDIATE: Duration = Duration::from_secs(5);
/// How long events wait for a comparison that their time of receipt is taken from.
const PATIENCE: Duration = Duration::from_secs(5);

/// When this process read a clock first.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The clock of a node.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The clock of this machine.
    System,
    /// The clock of the machine with an offset, which may be negative.
    Shifted(TimeDelta),
    /// The clock of a test.
    #[cfg(test)]
    Given {
        /// The Unix milliseconds that really are, which a test lets pass.
        time_ms: Arc<AtomicI64>,
        /// By how much the clock is set ahead of them, or behind.
        ahead_ms: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The time now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => machine_time(),
            Self::Shifted(by) => machine_time() + *by,
            #[cfg(test)]
            Self::Given { time_ms, ahead_ms } => {
                let now_ms = time_ms.load(Ordering::SeqCst) + ahead_ms.load(Ordering::SeqCst);
                DateTime::from_timestamp_millis(now_ms).unwrap_or_default()
            }
        }
    }

    /// Milliseconds that have passed since some moment. Setting the clock does not change them.
    fn running_ms(&self) -> i64 {
        match self {
            Self::System | Self::Shifted(_) => {
                i64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(i64::MAX)
            }
            #[cfg(test)]
            Self::Given { time_ms, .. } => time_ms.load(Ordering::SeqCst),
        }
    }

    fn read(&self) -> Reading {
        Reading {
            node_ms: self.now().timestamp_millis(),
            running_ms: self.running_ms(),
        }
    }

    /// The clock of a test, at the time that really is.
    #[cfg(test)]
    pub(crate) fn given(time_ms: &Arc<AtomicI64>) -> Self {
        Self::Given {
            time_ms: Arc::clone(time_ms),
            ahead_ms: Arc::default(),
        }
    }
}

/// What the clock of a node shows at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Unix milliseconds, as the clock is set.
    node_ms: i64,
    /// See [`Clock::running_ms`].
    running_ms: i64,
}

/// The comparisons of a node's clock; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparison(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    measured: Option<Measured>,
    /// The latest time of an object that was there before a comparison, in Unix milliseconds.
    latest_ms: i64,
}

/// One comparison.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// When it was made, by the clock of the node.
    at: Reading,
    /// By how much the store's time is ahead of the node's.
    offset_ms: i64,
    /// By how much the node's time is ahead of the store's, or of a later object there.
    difference_ms: i64,
    /// By how much the store's own time is behind an object there.
    behind_ms: i64,
}

impl Measured {
    /// The comparison of a put of an object, which the store dates `store_ms`, between two readings of the node's
    /// clock; there is another object of `latest_ms`.
    fn new(before: Reading, after: Reading, store_ms: i64, latest_ms: i64) -> Self {
        // The clock may have been set meanwhile.
        let passed_ms = after.running_ms.saturating_sub(before.running_ms).max(0);
        // A time within the put is no difference, however long the put took.
        let node_near = |time_ms: i64| time_ms.clamp(after.node_ms - passed_ms, after.node_ms);
        let reference_ms = store_ms.max(latest_ms);
        Self {
            at: after,
            offset_ms: store_ms - node_near(store_ms),
            difference_ms: node_near(reference_ms) - reference_ms,
            behind_ms: reference_ms - store_ms,
        }
    }

    fn is_over_bound(&self) -> bool {
        self.difference_ms.unsigned_abs() > bound_ms()
    }

    /// The store's time `now`, in Unix milliseconds.
    fn store_ms(&self, now: Reading) -> i64 {
        let passed_ms = now.running_ms - self.at.running_ms;
        self.at.node_ms + self.offset_ms + passed_ms
    }

    /// Whether it is younger than `age`, and the node's clock has not jumped since.
    fn is_recent(&self, age: Duration, now: Reading) -> bool {
        let passed_ms = u64::try_from(now.running_ms - self.at.running_ms);
        let is_young = passed_ms.is_ok_and(|passed_ms| Duration::from_millis(passed_ms) < age);
        is_young && !self.has_jumped(now)
    }

    /// Whether the node's clock was set since, or its machine has slept.
    fn has_jumped(&self, now: Reading) -> bool {
        let expected_ms = self.store_ms(now) - self.offset_ms;
        now.node_ms.abs_diff(expected_ms) > bound_ms()
    }
}

impl Comparison {
    fn measured(&self) -> Option<Measured> {
        self.state().measured
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a comparison in, and logs when the clock has become wrong or right.
    fn note(&self, measured: Measured) {
        let before = self.state().measured.replace(measured);
        let was_over = before.is_some_and(|before| before.is_over_bound());
        let difference = Difference(measured.difference_ms);
        if measured.is_over_bound() && !was_over {
            tracing::warn!(
                "the clock of this node is {difference}: until it is set, nothing is dropped or deleted, and no event is refused by its date"
            );
        } else if was_over && !measured.is_over_bound() {
            tracing::info!("the clock of this node agrees with the store again");
        }
    }
}

impl Location {
    /// The store's time by the newest comparison, in Unix milliseconds; the node's own before the first.
    pub(crate) fn corrected_ms(&self) -> i64 {
        let now = self.clock.read();
        let measured = self.comparison.measured();
        measured.map_or(now.node_ms, |measured| measured.store_ms(now))
    }

    /// The store's time, in Unix milliseconds. Compares before when that was never done, or the clock was set since.
    /// `None` when no comparison has ever worked: then nothing is known but the node's own time.
    pub(crate) async fn measured_ms(&self) -> Option<i64> {
        let known = self.comparison.measured();
        if known.is_none_or(|known| known.has_jumped(self.clock.read())) {
            // An error is reported by the next operation on the object store.
            let _ = tokio::time::timeout(PATIENCE, self.compare()).await;
        }
        let measured = self.comparison.measured();
        measured.map(|measured| measured.store_ms(self.clock.read()))
    }

    /// The same, or the node's own time where nothing else is known.
    pub(crate) async fn store_ms(&self) -> i64 {
        let measured_ms = self.measured_ms().await;
        measured_ms.unwrap_or_else(|| self.now_ms())
    }

    /// A time that the store's has certainly reached, in Unix milliseconds; `None` when none is known, or the clock of
    /// the node differs from the store's. Writes nothing: a process that has not compared takes the time of the
    /// newest comparison of any process.
    pub(crate) async fn reached_ms(&self) -> Option<i64> {
        let now = self.clock.read();
        if let Some(measured) = self.comparison.measured() {
            return (!measured.is_over_bound()).then(|| measured.store_ms(now));
        }
        let probe = self.objects.head(&paths::probe()).await.ok()?;
        let probe_ms = probe.last_modified.timestamp_millis();
        let latest_ms = self.comparison.state().latest_ms.max(probe_ms);
        (!is_later(latest_ms, now.node_ms)).then_some(probe_ms)
    }

    /// The store's time after a comparison that is fresh, in Unix milliseconds; `None` when the right time is not
    /// known.
    pub(crate) async fn trusted_ms(&self) -> Option<i64> {
        let measured = self.compared(FRESH).await.ok()?;
        let is_known = measured.behind_ms.unsigned_abs() <= bound_ms();
        is_known.then(|| measured.store_ms(self.clock.read()))
    }

    /// The latest known time, in Unix milliseconds: the node's clock, or an object of the store.
    pub(crate) fn latest_ms(&self) -> i64 {
        let latest_ms = self.comparison.state().latest_ms;
        self.now_ms().max(latest_ms)
    }

    /// Whether events may be refused by their dates.
    pub(crate) async fn is_clock_right(&self) -> bool {
        let compared = self.compared(FRESH).await;
        compared.is_ok_and(|measured| !measured.is_over_bound())
    }

    /// The time by which events are dropped and files deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClockDiffers`] when the clock of the node differs from the store's time; else when they
    /// cannot be compared.
    pub(crate) async fn right_time(&self) -> Result<DateTime<Utc>, StoreError> {
        self.time_of(self.compared(IMMEDIATE).await?)
    }

    /// The same where the object store takes no object to compare with, for the `error` that says so: by the last
    /// comparison. On a local disk the clock of the node counts when there was none.
    ///
    /// # Errors
    ///
    /// [`StoreError::ClockDiffers`] as before; `error` when the time is not known.
    pub(crate) fn last_right_time(&self, error: StoreError) -> Result<DateTime<Utc>, StoreError> {
        let (measured, latest_ms) = {
            let state = self.comparison.state();
            (state.measured, state.latest_ms)
        };
        let now = self.clock.read();
        match measured {
            Some(measured) => self.time_of(measured),
            None if is_later(latest_ms, now.node_ms) => Err(StoreError::ClockDiffers {
                difference_ms: now.node_ms - latest_ms,
            }),
            None if self.directory().is_some() || self.is_in_memory() => Ok(self.now()),
            None => Err(error),
        }
    }

    /// The time now by a comparison, which must not show that the clock differs.
    fn time_of(&self, measured: Measured) -> Result<DateTime<Utc>, StoreError> {
        if measured.is_over_bound() {
            return Err(StoreError::ClockDiffers {
                difference_ms: measured.difference_ms,
            });
        }
        let now = self.clock.read();
        let ahead_ms = measured.store_ms(now) - now.node_ms;
        Ok(self.now() + TimeDelta::milliseconds(ahead_ms))
    }

    /// The newest comparison when it is younger than `age`, else a new one.
    async fn compared(&self, age: Duration) -> Result<Measured, StoreError> {
        let known = self.comparison.measured();
        match known.filter(|known| known.is_recent(age, self.clock.read())) {
            Some(known) => Ok(known),
            None => self.compare().await,
        }
    }

    async fn compare(&self) -> Result<Measured, StoreError> {
        self.check_writable().await?;
        let path = paths::probe();
        let previous = match self.objects.head(&path).await {
            Ok(previous) => Some(previous.last_modified.timestamp_millis()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let before = self.clock.read();
        self.objects.put(&path, Vec::new().into()).await?;
        let after = self.clock.read();
        let put = self.objects.head(&path).await?;
        let latest_ms = {
            let mut state = self.comparison.state();
            state.latest_ms = state.latest_ms.max(previous.unwrap_or_default());
            state.latest_ms
        };
        let store_ms = put.last_modified.timestamp_millis();
        let measured = Measured::new(before, after, store_ms, latest_ms);
        self.comparison.note(measured);
        Ok(measured)
    }

    /// Takes note of the time of an object that was there before. The clock is compared anew when it is later
    /// than all that were known.
    pub(crate) fn saw_object_of(&self, time: DateTime<Utc>) {
        let time_ms = time.timestamp_millis();
        let mut state = self.comparison.state();
        if time_ms <= state.latest_ms {
            return;
        }
        state.latest_ms = time_ms;
        let now = self.clock.read();
        let is_outdated = |measured: Measured| is_later(time_ms, measured.store_ms(now));
        if state.measured.is_some_and(is_outdated) {
            state.measured = None;
        }
    }
}

impl Store {
    /// By how much the clock of this node is ahead of the store's time when it was last compared, in
    /// milliseconds; negative when it is behind. `None` before the first comparison.
    #[must_use]
    pub fn clock_difference_ms(&self) -> Option<i64> {
        let measured = self.location().comparison.measured();
        measured.map(|measured| measured.difference_ms)
    }

    /// How the clock of this node differs from the store's time, in words; `None` when it agrees.
    #[must_use]
    pub fn clock_difference(&self) -> Option<String> {
        let measured = self.location().comparison.measured();
        let over = measured.filter(Measured::is_over_bound);
        over.map(|measured| Difference(measured.difference_ms).to_string())
    }

    /// Compares the clock of this node with the store's time, again and again; never ends.
    pub(crate) async fn watch_clock(&self) {
        let mut has_failed = false;
        loop {
            let compared = self.location().compare().await;
            if let Err(error) = &compared
                && !has_failed
            {
                tracing::warn!(%error, "the clock of this node cannot be compared with the store's time");
            }
            has_failed = compared.is_err();
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only place where the clock of the machine is read"
)]
fn machine_time() -> DateTime<Utc> {
    Utc::now()
}

fn bound_ms() -> u64 {
    u64::try_from(BOUND.as_millis()).unwrap_or(u64::MAX)
}

/// Whether an object of `object_ms` shows that a clock which shows `clock_ms` is wrong.
fn is_later(object_ms: i64, clock_ms: i64) -> bool {
    let bound_ms = i64::try_from(bound_ms()).unwrap_or(i64::MAX);
    object_ms.saturating_sub(clock_ms) > bound_ms
}

/// Milliseconds by which a clock is ahead of the store, or behind it, in words.
pub(crate) struct Difference(pub(crate) i64);

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND_MS: u64 = 1_000;
        const UNITS: [(u64, &str); 4] = [
            (SECOND_MS, "s"),
            (60 * SECOND_MS, "min"),
            (60 * 60 * SECOND_MS, "h"),
            (24 * 60 * 60 * SECOND_MS, "days"),
        ];
        let size_ms = self.0.unsigned_abs();
        let fitting = UNITS.iter().rev().find(|(unit, _)| size_ms >= 2 * unit);
        let (unit_ms, unit) = fitting.unwrap_or(&UNITS[0]);
        let amount = size_ms / unit_ms;
        let direction = if self.0 < 0 { "behind" } else { "ahead of" };
        write!(formatter, "{amount} {unit} {direction} the store's time")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look at a clock that is `ahead_ms` ahead.
    fn at(ahead_ms: i64, running_ms: i64) -> Reading {
        Reading {
            node_ms: running_ms + ahead_ms,
            running_ms,
        }
    }

    #[test]
    fn a_slow_put_is_no_difference() {
        let measured = Measured::new(at(0, 1_000), at(0, 900_000), 450_000, 0);
        assert_eq!((measured.offset_ms, measured.difference_ms), (0, 0));
        assert!(!measured.is_over_bound());
    }

    #[test]
    fn a_difference_has_a_direction() {
        let day_ms = 24 * 60 * 60 * 1_000;
        let month_ms = 30 * day_ms;
        let ahead = Measured::new(at(month_ms, day_ms), at(month_ms, day_ms + 5), day_ms, 0);
        assert_eq!(ahead.difference_ms, month_ms);
        assert_eq!(ahead.offset_ms, -month_ms);
        assert_eq!(
            Difference(ahead.difference_ms).to_string(),
            "30 days ahead of the store's time"
        );
        let behind = Measured::new(at(0, day_ms), at(0, day_ms + 5), 3 * day_ms + 5, 0);
        assert_eq!(
            Difference(behind.difference_ms).to_string(),
            "2 days behind the store's time"
        );
    }

    #[test]
    fn a_later_object_shows_that_both_clocks_are_behind() {
        let measured = Measured::new(at(0, 1_000), at(0, 1_000), 1_000, 400_000);
        assert_eq!(measured.offset_ms, 0);
        assert!(measured.is_over_bound());
        assert_eq!(measured.behind_ms, 399_000);
    }

    /// A node 30 days behind is set right while its clock is compared, or after it: the store's time stays right.
    #[test]
    fn a_set_clock_changes_no_measured_time() {
        let month_ms = 30 * 24 * 60 * 60 * 1_000;
        let (behind, right) = (-month_ms, 0);
        let after = Measured::new(at(behind, 1_000), at(behind, 1_005), 1_003, 0);
        assert_eq!(after.offset_ms, month_ms - 2);
        assert!(!after.has_jumped(at(behind, 2_000)));
        assert!(after.has_jumped(at(right, 2_000)));
        assert_eq!(after.store_ms(at(right, 2_005)), 2_003);
        let during = Measured::new(at(behind, 1_000), at(right, 1_005), 1_003, 0);
        assert_eq!((during.offset_ms, during.difference_ms), (0, 0));
    }
}
