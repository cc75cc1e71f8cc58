//! What tells a node the time, and how far that is from the time of the store.
//!
//! The store's time is the one that it gives to an object that a node puts: the object store's, or that of the
//! file system. A node whose clock differs from it by more than five minutes neither drops nor deletes
//! anything, and refuses no event by its date. On a local disk of one machine both are the same clock; then only
//! objects with a later time show that it is wrong.

use std::fmt;
#[cfg(test)]
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStoreExt;

use crate::error::StoreError;
use crate::location::Location;
use crate::paths;
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

/// What tells the time of a node.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The clock of this machine.
    System,
    /// A clock that is ahead of the machine's by a time, or behind it by a negative one.
    Shifted(TimeDelta),
    /// Unix milliseconds that a test sets.
    #[cfg(test)]
    Given(Arc<AtomicI64>),
}

impl Clock {
    /// The time now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Shifted(by) => Utc::now() + *by,
            #[cfg(test)]
            Self::Given(time_ms) => {
                DateTime::from_timestamp_millis(time_ms.load(Ordering::SeqCst)).unwrap_or_default()
            }
        }
    }
}

/// What a node knows of its clock; clones share it.
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
    /// When it was made.
    at: Instant,
    /// The same by the clock of the node, in Unix milliseconds.
    node_ms: i64,
    /// By how much the store's time is ahead of the node's.
    offset_ms: i64,
    /// By how much the node's time is ahead of the store's, or of a later object there.
    difference_ms: i64,
    /// By how much the store's own time is behind an object there.
    behind_ms: i64,
}

impl Measured {
    /// The comparison of a put of an object, which the store dates `store_ms`, while the node's clock went from
    /// `before_ms` to `after_ms`; there is another object of `latest_ms`.
    fn new(before_ms: i64, after_ms: i64, store_ms: i64, latest_ms: i64) -> Self {
        // A time within the put is no difference, however long the put took.
        let node_near = |time_ms: i64| {
            let first_ms = before_ms.min(after_ms);
            time_ms.clamp(first_ms, before_ms.max(after_ms))
        };
        let reference_ms = store_ms.max(latest_ms);
        Self {
            at: Instant::now(),
            node_ms: after_ms,
            offset_ms: store_ms - node_near(store_ms),
            difference_ms: node_near(reference_ms) - reference_ms,
            behind_ms: reference_ms - store_ms,
        }
    }

    fn is_over_bound(&self) -> bool {
        self.difference_ms.unsigned_abs() > bound_ms()
    }

    /// Whether it is younger than `age`, and the node's clock has not jumped since.
    fn is_recent(&self, age: Duration, now_ms: i64) -> bool {
        let elapsed = self.at.elapsed();
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let expected_ms = self.node_ms.saturating_add(elapsed_ms);
        elapsed < age && now_ms.abs_diff(expected_ms) <= bound_ms()
    }
}

impl Comparison {
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
    /// The time here, corrected by the newest comparison with the store's, in Unix milliseconds. It is the
    /// node's own before the first comparison, and may fall when the node's clock is set.
    pub(crate) fn corrected_ms(&self) -> i64 {
        let measured = self.comparison.state().measured;
        self.now_ms() + measured.map_or(0, |measured| measured.offset_ms)
    }

    /// The same after a comparison that is fresh; `None` when the right time is not known.
    pub(crate) async fn trusted_ms(&self) -> Option<i64> {
        let measured = self.compared(FRESH).await.ok()?;
        let is_known = measured.behind_ms.unsigned_abs() <= bound_ms();
        is_known.then(|| self.now_ms() + measured.offset_ms)
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
        let measured = self.compared(IMMEDIATE).await?;
        if measured.is_over_bound() {
            return Err(StoreError::ClockDiffers {
                difference_ms: measured.difference_ms,
            });
        }
        Ok(self.now() + TimeDelta::milliseconds(measured.offset_ms))
    }

    /// The newest comparison when it is younger than `age`, else a new one.
    async fn compared(&self, age: Duration) -> Result<Measured, StoreError> {
        let known = self.comparison.state().measured;
        match known.filter(|known| known.is_recent(age, self.now_ms())) {
            Some(known) => Ok(known),
            None => self.compare().await,
        }
    }

    async fn compare(&self) -> Result<Measured, StoreError> {
        let path = paths::probe();
        let previous = match self.objects.head(&path).await {
            Ok(previous) => Some(previous.last_modified.timestamp_millis()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let before_ms = self.now_ms();
        self.objects.put(&path, Vec::new().into()).await?;
        let after_ms = self.now_ms();
        let put = self.objects.head(&path).await?;
        let latest_ms = {
            let mut state = self.comparison.state();
            state.latest_ms = state.latest_ms.max(previous.unwrap_or_default());
            state.latest_ms
        };
        let store_ms = put.last_modified.timestamp_millis();
        let measured = Measured::new(before_ms, after_ms, store_ms, latest_ms);
        self.comparison.note(measured);
        Ok(measured)
    }

    /// Takes note of the time of an object that was there before. The clock is compared anew when it is later
    /// than all that were known.
    pub(crate) fn saw_object_of(&self, time: Option<DateTime<Utc>>) {
        let mut state = self.comparison.state();
        let time_ms = time.map_or(0, |time| time.timestamp_millis());
        if time_ms > state.latest_ms {
            state.latest_ms = time_ms;
            let now_ms = state
                .measured
                .map(|measured| self.now_ms() + measured.offset_ms);
            let bound_ms = i64::try_from(bound_ms()).unwrap_or(i64::MAX);
            if now_ms.is_some_and(|now_ms| time_ms.saturating_sub(now_ms) > bound_ms) {
                state.measured = None;
            }
        }
    }
}

impl Store {
    /// By how much the clock of this node is ahead of the store's time when it was last compared, in
    /// milliseconds; negative when it is behind. `None` before the first comparison.
    #[must_use]
    pub fn clock_difference_ms(&self) -> Option<i64> {
        let measured = self.location().comparison.state().measured;
        measured.map(|measured| measured.difference_ms)
    }

    /// How the clock of this node differs from the store's time, in words; `None` when it agrees.
    #[must_use]
    pub fn clock_difference(&self) -> Option<String> {
        let measured = self.location().comparison.state().measured;
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

fn bound_ms() -> u64 {
    u64::try_from(BOUND.as_millis()).unwrap_or(u64::MAX)
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

    #[test]
    fn a_slow_put_is_no_difference() {
        let measured = Measured::new(1_000, 900_000, 450_000, 0);
        assert_eq!((measured.offset_ms, measured.difference_ms), (0, 0));
        assert!(!measured.is_over_bound());
    }

    #[test]
    fn a_difference_has_a_direction() {
        let day_ms = 24 * 60 * 60 * 1_000;
        let ahead = Measured::new(31 * day_ms, 31 * day_ms + 5, day_ms, 0);
        assert_eq!(ahead.difference_ms, 30 * day_ms);
        assert_eq!(ahead.offset_ms, -30 * day_ms);
        assert_eq!(
            Difference(ahead.difference_ms).to_string(),
            "30 days ahead of the store's time"
        );
        let behind = Measured::new(day_ms, day_ms + 5, 3 * day_ms + 5, 0);
        assert_eq!(
            Difference(behind.difference_ms).to_string(),
            "2 days behind the store's time"
        );
    }

    #[test]
    fn a_later_object_shows_that_both_clocks_are_behind() {
        let measured = Measured::new(1_000, 1_000, 1_000, 400_000);
        assert_eq!(measured.offset_ms, 0);
        assert!(measured.is_over_bound());
        assert_eq!(measured.behind_ms, 399_000);
    }
}
