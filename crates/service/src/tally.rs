//! Log lines for frequent events, at a bounded rate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The interval between two lines about the same kind of event. The later line has the number of events since the
/// earlier one.
const WINDOW: Duration = Duration::from_secs(10);

/// A kind of event: its origin and its stable code.
pub type TallyEvent = (&'static str, &'static str);

/// Counts events. Logs the first of each kind at once, and further ones at most once in a window.
#[derive(Clone)]
pub struct Tally {
    log: fn(TallyEvent, u64),
    /// The events that are not logged yet; `None` while no window runs.
    counts: Arc<Mutex<Option<BTreeMap<TallyEvent, u64>>>>,
}

impl fmt::Debug for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tally").finish_non_exhaustive()
    }
}

impl Tally {
    /// Logs with `log`.
    pub fn new(log: fn(TallyEvent, u64)) -> Self {
        Self {
            log,
            counts: Arc::default(),
        }
    }

    /// Counts `count` of `event`. Called on a runtime.
    pub fn add(&self, event: TallyEvent, count: u64) {
        let mut counts = self.counts();
        if let Some(counts) = counts.as_mut() {
            *counts.entry(event).or_default() += count;
            return;
        }
        *counts = Some(BTreeMap::new());
        drop(counts);
        (self.log)(event, count);
        tokio::spawn(self.clone().log_windows());
    }

    async fn log_windows(self) {
        loop {
            tokio::time::sleep(WINDOW).await;
            let mut counts = self.counts();
            let Some(counted) = counts.take_if(|counts| !counts.is_empty()) else {
                *counts = None;
                return;
            };
            *counts = Some(BTreeMap::new());
            drop(counts);
            for (event, count) in counted {
                (self.log)(event, count);
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Option<BTreeMap<TallyEvent, u64>>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
