//! The minimum rates of bodies and of answers.
//!
//! Only the time counts that the service waits for its client, not the reverse. A body or an answer that is too slow
//! is dropped, and its memory is released.

use std::time::Duration;

use service::write::{Budget, WriteError};
use tokio::time::{Instant, sleep};

/// In each window of waiting for a body, [`LEAST_BYTES`] have to arrive.
const WINDOW: Duration = Duration::from_secs(30);
/// 1 KiB a second.
const LEAST_BYTES: usize = 30 << 10;
/// The longest wait for a whole body.
const DEADLINE: Duration = Duration::from_mins(5);
/// A client that reads nothing of an answer for this long counts as gone.
pub(crate) const LONGEST_STALL: Duration = Duration::from_mins(1);
/// The minimum rate of a large answer per second, after [`LONGEST_STALL`]: 64 KiB.
const LEAST_ANSWER_BYTES: usize = 64 << 10;
/// A body for which the service has waited this long is cancelled when other requests have no memory.
const GRACE: Duration = Duration::from_secs(5);
/// The interval of the checks of a body.
const TICK: Duration = Duration::from_millis(500);

/// The pace of one body.
#[derive(Debug)]
pub(crate) struct Pace {
    window: Duration,
    /// The longest wait for the whole body.
    deadline: Duration,
    /// The time that the service has waited for it.
    waited: Duration,
    /// The same since the window began.
    in_window: Duration,
    /// The bytes that arrived since the window began.
    window_bytes: usize,
}

impl Default for Pace {
    /// The pace of the body of a request.
    fn default() -> Self {
        Self::new(WINDOW, DEADLINE)
    }
}

impl Pace {
    fn new(window: Duration, deadline: Duration) -> Self {
        Self {
            window,
            deadline,
            waited: Duration::ZERO,
            in_window: Duration::ZERO,
            window_bytes: 0,
        }
    }

    /// The pace of an answer of `bytes` to a client that may read too slowly for the time `stall`.
    pub(crate) fn of_answer(stall: Duration, bytes: usize) -> Self {
        let seconds = (bytes / LEAST_ANSWER_BYTES) as u64;
        Self::new(stall, stall + Duration::from_secs(seconds))
    }

    /// Waits for the next part of a body, which `bytes` measures.
    ///
    /// # Errors
    /// [`WriteError::BodyStalled`] when the body is too slow, [`WriteError::GaveWay`] when it is slow and other
    /// requests have no memory in `budget`.
    pub(crate) async fn next<T>(
        &mut self,
        budget: &Budget,
        part: impl Future<Output = T>,
        bytes: impl Fn(&T) -> usize,
    ) -> Result<T, WriteError> {
        tokio::pin!(part);
        loop {
            let begun = Instant::now();
            let came = tokio::select! {
                biased;
                part = &mut part => Some(part),
                () = sleep(TICK) => None,
            };
            let came_bytes = came.as_ref().map_or(0, &bytes);
            self.waited(begun.elapsed(), came_bytes, budget.is_short())?;
            if let Some(part) = came {
                return Ok(part);
            }
        }
    }

    fn waited(&mut self, time: Duration, bytes: usize, is_short: bool) -> Result<(), WriteError> {
        self.waited += time;
        self.in_window += time;
        self.window_bytes += bytes;
        if self.in_window >= self.window {
            if self.window_bytes < LEAST_BYTES {
                return Err(WriteError::BodyStalled {
                    bytes: self.window_bytes,
                    within: self.window,
                });
            }
            self.in_window = Duration::ZERO;
            self.window_bytes = 0;
        }
        if self.waited >= self.deadline {
            return Err(WriteError::BodyLate(self.deadline));
        }
        if is_short && self.waited >= GRACE {
            return Err(WriteError::GaveWay);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The number of waits of `seconds` with `bytes` each after which a body is dropped.
    fn let_go(seconds: u32, bytes: usize, is_short: bool) -> (u32, WriteError) {
        let mut pace = Pace::default();
        let mut waits = 0;
        loop {
            waits += 1;
            match pace.waited(SECOND * seconds, bytes, is_short) {
                Ok(()) => assert!(waits < 10_000),
                Err(error) => return (waits, error),
            }
        }
    }

    /// A line end now and then is not enough.
    #[test]
    fn dribble_is_let_go() {
        for (seconds, waits) in [(15, 2), (1, 30)] {
            let (after, error) = let_go(seconds, 1, false);
            assert_eq!(after, waits);
            assert!(matches!(error, WriteError::BodyStalled { .. }), "{error}");
        }
    }

    /// A slow line has minutes, and seconds when other requests have no memory.
    #[test]
    fn slow_body_makes_way() {
        let (after, error) = let_go(1, 100 << 10, false);
        assert_eq!(after, 300);
        assert!(matches!(error, WriteError::BodyLate(_)), "{error}");
        let (after, error) = let_go(1, 100 << 10, true);
        assert_eq!(after, 5);
        assert!(matches!(error, WriteError::GaveWay), "{error}");
    }

    /// The time that the client waits for the service does not count.
    #[tokio::test]
    async fn part_that_comes_at_once_is_no_wait() {
        let budget = Budget::new(1 << 20, 1 << 20);
        let mut pace = Pace::default();
        for _ in 0..1_000 {
            let part = pace.next(&budget, async { 7 }, |part| *part).await;
            assert_eq!(part.unwrap(), 7);
        }
        assert!(pace.waited < GRACE && pace.window_bytes == 7_000);
    }
}
