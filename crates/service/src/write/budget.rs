//! The memory that requests share.
//!
//! A request takes memory as its bytes arrive, so a request that only announces many bytes holds none. Two rules
//! prevent deadlocks of growing requests:
//!
//! * A **lane**: half of the memory is reserved for one request at a time. A request without other memory takes the
//!   lane when it is free, and can then grow to the largest request without waiting again. So one request always
//!   makes progress, no matter how many hold a part of the memory that they need.
//! * A **share**: the requests of one address take at most half of the memory outside of the lane. Beyond that they
//!   make progress only in the lane.
//!
//! Large requests take **turns** on half of the processors, so that small requests and queries are not delayed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::error::WriteError;

/// The bytes of one permit.
const UNIT_BYTES: usize = 1 << 10;

/// Requests that hold more take turns.
const LARGE_BYTES: usize = 1 << 20;

/// The longest that a request waits for memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// A number of bytes that all clones share.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The memory outside of the lane.
    free: Arc<Semaphore>,
    units: u32,
    lane: Arc<Semaphore>,
    lane_bytes: usize,
    /// The requests that wait for memory now.
    waiting: AtomicUsize,
    patience: Duration,
    /// The shares of addresses with open connections.
    shares: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
    /// The permits for decompressing or decoding large requests: fewer than processors.
    turns: Arc<Semaphore>,
}

/// The memory of a [`Budget`] outside of the lane that the requests of one address may take.
#[derive(Debug, Clone)]
pub struct Share {
    left: Arc<Semaphore>,
}

/// The permit of a large request to use a processor. It is released on drop.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// The memory of one request. It is released on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    share: Share,
    bytes: usize,
    free: Option<OwnedSemaphorePermit>,
    of_share: Option<OwnedSemaphorePermit>,
    lane: Option<OwnedSemaphorePermit>,
}

/// Counts a waiting request until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Budget {
    /// A budget of `bytes` for requests of at most `request_bytes` each.
    pub fn new(bytes: usize, request_bytes: usize) -> Self {
        Self::with_patience(bytes, request_bytes, PATIENCE)
    }

    /// The same, for requests that wait at most `patience` for memory.
    pub fn with_patience(bytes: usize, request_bytes: usize, patience: Duration) -> Self {
        let lane_bytes = request_bytes.min(bytes / 2);
        let units = (bytes - lane_bytes) / UNIT_BYTES;
        let units = units.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            shared: Arc::new(Shared {
                free: Arc::new(Semaphore::new(units)),
                units: u32::try_from(units).unwrap_or(u32::MAX),
                lane: Arc::new(Semaphore::new(1)),
                lane_bytes,
                waiting: AtomicUsize::new(0),
                patience,
                shares: Mutex::default(),
                turns: Arc::new(Semaphore::new(processors().div_ceil(2))),
            }),
        }
    }

    /// The share of an address, which all of its connections use.
    pub fn share_of(&self, address: IpAddr) -> Share {
        let shares = self.shared.shares.lock();
        let mut shares = shares.unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = shares.get(&address).and_then(Weak::upgrade) {
            return Share { left };
        }
        shares.retain(|_, left| left.strong_count() > 0);
        let share = self.share();
        shares.insert(address, Arc::downgrade(&share.left));
        share
    }

    /// The share of a sender with an unknown address.
    pub fn share(&self) -> Share {
        Share {
            left: Arc::new(Semaphore::new((self.shared.units / 2).max(1) as usize)),
        }
    }

    /// A request with this share that holds no memory yet.
    pub fn request(&self, share: &Share) -> Reservation {
        Reservation {
            budget: self.clone(),
            share: share.clone(),
            bytes: 0,
            free: None,
            of_share: None,
            lane: None,
        }
    }

    /// Whether requests wait for memory.
    pub fn is_short(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > 0
    }

    /// The bytes that requests hold; the lane counts as a whole.
    pub fn held_bytes(&self) -> usize {
        let held = self.shared.units as usize - self.shared.free.available_permits();
        let in_lane = match self.shared.lane.available_permits() {
            0 => self.shared.lane_bytes,
            _ => 0,
        };
        held * UNIT_BYTES + in_lane
    }
}

impl Reservation {
    /// The bytes that the request holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes memory until the request holds `bytes`; waits for memory that is not free.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] when the wait is too long.
    pub async fn grow_to(&mut self, bytes: usize) -> Result<(), WriteError> {
        let held_units = self.free.as_ref().map_or(0, |held| held.num_permits());
        let more = bytes.div_ceil(UNIT_BYTES).saturating_sub(held_units);
        if self.lane.is_none() && more > 0 {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            self.take(more).await?;
        }
        self.bytes = self.bytes.max(bytes);
        Ok(())
    }

    /// A turn when the request is large. It has none while it waits for memory. Turns are granted in the order of
    /// arrival.
    pub async fn turn(&self) -> Option<Turn> {
        if self.bytes <= LARGE_BYTES {
            return None;
        }
        let turns = Arc::clone(&self.budget.shared.turns);
        // The semaphore is never closed.
        let permit = turns.acquire_owned().await.ok();
        permit.map(|permit| Turn { _permit: permit })
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`].
    pub async fn grow_by(&mut self, bytes: usize) -> Result<(), WriteError> {
        self.grow_to(self.bytes.saturating_add(bytes)).await
    }

    /// Splits off the memory of `bytes`, which is then released on its own. The lane is released as a whole, with the
    /// rest.
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        let units = bytes.div_ceil(UNIT_BYTES);
        let part = |held: &mut Option<OwnedSemaphorePermit>| {
            let held = held.as_mut()?;
            held.split(units.min(held.num_permits()))
        };
        self.bytes -= bytes;
        Self {
            budget: self.budget.clone(),
            share: self.share.clone(),
            bytes,
            free: part(&mut self.free),
            of_share: part(&mut self.of_share),
            lane: None,
        }
    }

    /// Takes `more` units, or the lane.
    async fn take(&mut self, more: u32) -> Result<(), WriteError> {
        let shared = Arc::clone(&self.budget.shared);
        let overloaded = WriteError::Overloaded {
            waited: shared.patience,
        };
        let of_share = Arc::clone(&self.share.left).try_acquire_many_owned(more);
        if let Ok(of_share) = of_share {
            if let Ok(free) = Arc::clone(&shared.free).try_acquire_many_owned(more) {
                self.join(free, of_share);
                return Ok(());
            }
            let free = Arc::clone(&shared.free).acquire_many_owned(more);
            let lane = Arc::clone(&shared.lane).acquire_owned();
            let _waiting = Waiting::new(&shared.waiting);
            return tokio::select! {
                biased;
                free = free => self.joined(free, of_share, overloaded),
                lane = lane => self.entered(lane, overloaded),
                () = tokio::time::sleep(shared.patience) => Err(overloaded),
            };
        }
        // Slow requests must not be cancelled for an address that has its share.
        let lane = Arc::clone(&shared.lane).acquire_owned();
        match tokio::time::timeout(shared.patience, lane).await {
            Ok(lane) => self.entered(lane, overloaded),
            Err(_) => Err(overloaded),
        }
    }

    fn join(&mut self, free: OwnedSemaphorePermit, of_share: OwnedSemaphorePermit) {
        for (held, more) in [(&mut self.free, free), (&mut self.of_share, of_share)] {
            match held {
                Some(held) => held.merge(more),
                None => *held = Some(more),
            }
        }
    }

    // The semaphores are never closed, so the only error is a lack of memory.
    fn joined(
        &mut self,
        free: Result<OwnedSemaphorePermit, AcquireError>,
        of_share: OwnedSemaphorePermit,
        overloaded: WriteError,
    ) -> Result<(), WriteError> {
        self.join(free.map_err(|_| overloaded)?, of_share);
        Ok(())
    }

    fn entered(
        &mut self,
        lane: Result<OwnedSemaphorePermit, AcquireError>,
        overloaded: WriteError,
    ) -> Result<(), WriteError> {
        self.lane = Some(lane.map_err(|_| overloaded)?);
        Ok(())
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn budget() -> Budget {
        Budget::with_patience(20 * KIB, 10 * KIB, Duration::from_millis(10))
    }

    /// A request without memory is refused after a while, and gets memory when others have released it.
    #[tokio::test]
    async fn long_wait_is_refused() {
        let budget = budget();
        let [mut first, mut second, mut third] = [(); 3].map(|()| budget.request(&budget.share()));
        first.grow_to(5 * KIB).await.unwrap();
        second.grow_to(4 * KIB + 1).await.unwrap();
        assert!(!budget.is_short());
        // The lane.
        second.grow_to(9 * KIB).await.unwrap();
        let refused = third.grow_to(1).await.unwrap_err();
        assert!(matches!(refused, WriteError::Overloaded { .. }));
        assert_eq!((third.bytes(), budget.held_bytes()), (0, 20 * KIB));
        drop(first);
        third.grow_by(5 * KIB).await.unwrap();
        drop((second, third));
        assert_eq!(budget.held_bytes(), 0);
    }

    /// No matter how many requests hold a part of their memory, one of them can finish.
    #[tokio::test]
    async fn one_of_many_that_grow_gets_on() {
        let budget = budget();
        let mut requests: Vec<Reservation> =
            (0..10).map(|_| budget.request(&budget.share())).collect();
        for request in &mut requests {
            request.grow_to(KIB).await.unwrap();
        }
        let mut finished = 0;
        for mut request in requests {
            finished += usize::from(request.grow_to(10 * KIB).await.is_ok());
        }
        assert_eq!(finished, 10, "each after the one before it");
    }

    /// An address with its full share leaves the rest to others, no matter how many connections it has.
    #[tokio::test]
    async fn address_keeps_to_its_share() {
        let budget = budget();
        let [address, neighbour] = [[127, 0, 0, 2], [127, 0, 0, 1]].map(IpAddr::from);
        let connections: Vec<Share> = (0..7).map(|_| budget.share_of(address)).collect();
        let mut requests: Vec<Reservation> = connections
            .iter()
            .map(|share| budget.request(share))
            .collect();
        let mut refused = 0;
        for request in &mut requests {
            refused += usize::from(request.grow_to(KIB).await.is_err());
        }
        assert_eq!(refused, 1, "five in the share, one in the lane");
        let mut other = budget.request(&budget.share_of(neighbour));
        other.grow_to(5 * KIB).await.unwrap();
    }

    /// The share of an address is complete again when its connections are gone, and is then removed.
    #[tokio::test]
    async fn shares_are_forgotten() {
        let budget = budget();
        for last in 0..100 {
            let share = budget.share_of([127, 0, 0, last].into());
            let mut request = budget.request(&share);
            request.grow_to(5 * KIB).await.unwrap();
        }
        assert_eq!(budget.shared.shares.lock().unwrap().len(), 1);
    }

    /// A large request waits while another has the turn; a small one does not.
    #[tokio::test]
    async fn large_requests_take_turns() {
        let budget = Budget::new(20 << 20, 10 << 20);
        let [mut large, mut small] = [(); 2].map(|()| budget.request(&budget.share()));
        large.grow_to(LARGE_BYTES + 1).await.unwrap();
        small.grow_to(LARGE_BYTES).await.unwrap();
        let mut turns = Vec::new();
        for _ in 0..processors().div_ceil(2) {
            turns.push(large.turn().await.unwrap());
        }
        let waits = tokio::time::timeout(Duration::from_millis(10), large.turn());
        assert!(waits.await.is_err());
        assert!(small.turn().await.is_none());
        turns.pop();
        assert!(large.turn().await.is_some());
    }

    /// A request that exceeds all memory takes the lane.
    #[tokio::test]
    async fn largest_request_passes() {
        let budget = Budget::with_patience(4 * KIB, 100 * KIB, Duration::from_millis(10));
        let mut request = budget.request(&budget.share());
        request.grow_to(90 * KIB).await.unwrap();
    }
}
