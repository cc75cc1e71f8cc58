//! Schedules queries: bounds the running and the waiting ones, with a fair share for each workspace.
//!
//! A free turn is granted at once. When queries wait, one workspace gets at most half of the turns (rounded up): a
//! turn that ends is granted to the first query in the queue whose workspaces have less. In a full queue, a workspace
//! with more than half of the slots loses its newest slot to another workspace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::{Error, ErrorCode, Scope};
use events::WorkspaceId;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// The longest wait for a turn.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The workspaces of a query. Its turn counts for each of them. Queries about all workspaces count together, as one
/// more workspace; those about none do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asker(BTreeSet<Option<WorkspaceId>>);

impl From<&Scope> for Asker {
    fn from(scope: &Scope) -> Self {
        match scope {
            Scope::All => Self([None].into()),
            Scope::Workspaces(workspaces) => Self(workspaces.iter().cloned().map(Some).collect()),
        }
    }
}

/// The number of turns, or of slots in the queue, per workspace.
#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_workspace: BTreeMap<Option<WorkspaceId>, usize>,
}

impl Counts {
    fn add(&mut self, asker: &Asker) {
        self.total += 1;
        for workspace in &asker.0 {
            *self.by_workspace.entry(workspace.clone()).or_default() += 1;
        }
    }

    fn remove(&mut self, asker: &Asker) {
        self.total -= 1;
        for workspace in &asker.0 {
            if let Some(count) = self.by_workspace.get_mut(workspace) {
                *count -= 1;
                if *count == 0 {
                    self.by_workspace.remove(workspace);
                }
            }
        }
    }

    /// Whether any workspace of the asker has `least` or more.
    fn reaches(&self, asker: &Asker, least: usize) -> bool {
        let mut counts = asker.0.iter().filter_map(|id| self.by_workspace.get(id));
        counts.any(|count| *count >= least)
    }
}

/// A waiting query.
#[derive(Debug)]
struct Waiting {
    number: u64,
    asker: Asker,
    /// Receives the turn. The query is refused when the sender is dropped.
    granted: oneshot::Sender<Turn>,
}

#[derive(Debug, Default)]
struct State {
    running: Counts,
    queued: Counts,
    queue: VecDeque<Waiting>,
    next_number: u64,
}

impl State {
    /// Removes a query from the queue.
    fn take(&mut self, index: usize) -> Option<Waiting> {
        let waiting = self.queue.remove(index)?;
        self.queued.remove(&waiting.asker);
        Some(waiting)
    }

    /// The query that gets the next of `most` turns: the first whose workspaces have less than half of them,
    /// otherwise the first.
    fn next(&mut self, most: usize) -> Option<Waiting> {
        let has_less = |waiting: &Waiting| !self.running.reaches(&waiting.asker, most.div_ceil(2));
        let index = self.queue.iter().position(has_less).unwrap_or(0);
        let next = self.take(index)?;
        self.running.add(&next.asker);
        Some(next)
    }

    /// The slot of a full queue of `most` slots that `asker` may take: the newest slot of a workspace with more than
    /// half of them. `None` when there is no such workspace, or `asker` has half itself.
    fn to_give_way(&self, most: usize, asker: &Asker) -> Option<usize> {
        let half = most.div_ceil(2);
        if self.queued.reaches(asker, half) {
            return None;
        }
        let gives_way = |waiting: &Waiting| self.queued.reaches(&waiting.asker, half + 1);
        self.queue.iter().rposition(gives_way)
    }
}

#[derive(Debug)]
struct Shared {
    most_running: usize,
    most_waiting: usize,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grants turns. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Shared>);

/// Permission to run, for as long as it exists.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    asker: Asker,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.0.state();
        state.running.remove(&self.asker);
        let next = state.next(self.turns.0.most_running);
        drop(state);
        if let Some(Waiting { asker, granted, .. }) = next {
            let turns = self.turns.clone();
            // A turn whose receiver has left ends at once and is granted to another query.
            drop(granted.send(Turn { turns, asker }));
        }
    }
}

/// The slot of a query in the queue. It is released on drop.
struct Place<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.0.state();
        let mut queue = state.queue.iter();
        if let Some(index) = queue.position(|waiting| waiting.number == self.number) {
            state.take(index);
        }
    }
}

/// The admission of a new query.
enum Admission {
    Runs(Turn),
    /// Its number in the queue, and the receiver of its turn.
    Waits(u64, oneshot::Receiver<Turn>),
    Refused,
}

impl Turns {
    /// At most `most_running` turns, and `most_waiting` slots in the queue.
    pub(crate) fn new(most_running: usize, most_waiting: usize) -> Self {
        Self(Arc::new(Shared {
            most_running,
            most_waiting,
            state: Mutex::default(),
        }))
    }

    /// Waits for a turn until `end`.
    ///
    /// # Errors
    /// The queue is full, or no turn was granted in time.
    pub(crate) async fn turn(&self, asker: Asker, end: Instant) -> Result<Turn, Error> {
        let refused = || too_many(self.0.most_running, self.0.most_waiting);
        let (number, granted) = match self.admit(asker) {
            Admission::Runs(turn) => return Ok(turn),
            Admission::Waits(number, granted) => (number, granted),
            Admission::Refused => return Err(refused()),
        };
        let turns = self;
        let _place = Place { turns, number };
        let end = end.min(Instant::now() + LONGEST_WAIT);
        match timeout_at(end, granted).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(refused()),
        }
    }

    fn admit(&self, asker: Asker) -> Admission {
        let mut state = self.0.state();
        // No query waits while a turn is free: a turn that ends is granted at once.
        if state.running.total < self.0.most_running {
            state.running.add(&asker);
            let turns = self.clone();
            return Admission::Runs(Turn { turns, asker });
        }
        if state.queue.len() >= self.0.most_waiting {
            match state.to_give_way(self.0.most_waiting, &asker) {
                Some(index) => drop(state.take(index)),
                None => return Admission::Refused,
            }
        }
        let (granted, receiver) = oneshot::channel();
        let number = state.next_number;
        state.next_number += 1;
        state.queued.add(&asker);
        state.queue.push_back(Waiting {
            number,
            asker,
            granted,
        });
        Admission::Waits(number, receiver)
    }

    /// The numbers of running and of waiting queries.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.0.state();
        assert_eq!(state.queued.total, state.queue.len());
        (state.running.total, state.queue.len())
    }
}

/// The error of a query beyond the limits of running and waiting queries.
fn too_many(running: usize, waiting: usize) -> Error {
    let message = format!(
        "the service answers {running} questions of this kind at a time, and {waiting} more may \
         wait for at most {} s; ask again later",
        LONGEST_WAIT.as_secs()
    );
    Error::new(ErrorCode::TooManyQuestions, message)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn of(id: &str) -> Asker {
        Asker::from(&Scope::Workspaces(vec![id.parse().unwrap()]))
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Polls the turn of a waiting query.
    macro_rules! got {
        ($waiting:expr) => {
            $waiting.as_mut().now_or_never().map(Result::unwrap)
        };
    }

    /// Starts a query that waits.
    macro_rules! waits {
        ($turns:expr, $asker:expr) => {{
            let mut turn = Box::pin($turns.turn($asker, later()));
            assert!(turn.as_mut().now_or_never().is_none());
            turn
        }};
    }

    /// One workspace has all turns while no other has queries. After that, turns that end are granted to others until
    /// it has half of them.
    #[tokio::test]
    async fn a_workspace_has_half_of_the_turns_when_others_wait() {
        for (all, half) in [(4, 2), (5, 3), (2, 1)] {
            let turns = Turns::new(all, 64);
            let mut running = Vec::new();
            for _ in 0..all {
                running.push(turns.turn(of("busy"), later()).await.unwrap());
            }
            let mut own: Vec<_> = (0..all).map(|_| waits!(turns, of("busy"))).collect();
            let mut others: Vec<_> = (0..all - half)
                .map(|number| waits!(turns, of(&format!("other-{number}"))))
                .collect();
            let mut given = Vec::new();
            for other in &mut others {
                running.pop();
                given.push(got!(other).unwrap());
                // It has waited longer.
                assert!(got!(own[0]).is_none());
            }
            running.pop();
            assert!(got!(own[0]).is_some());
        }
    }

    /// A turn that no other workspace waits for is granted to the one that already has half.
    #[tokio::test]
    async fn no_turn_is_left_free() {
        let turns = Turns::new(2, 64);
        let first = turns.turn(of("busy"), later()).await.unwrap();
        let other = turns.turn(of("other"), later()).await.unwrap();
        let next = waits!(turns, of("busy"));
        drop(other);
        let next = next.await.unwrap();
        assert_eq!(turns.counts(), (2, 0));
        drop((first, next));
        assert_eq!(turns.counts(), (0, 0));
    }

    /// A query about several workspaces counts for each, and those about all count together.
    #[tokio::test]
    async fn a_question_counts_for_each_of_its_workspaces() {
        let both = Scope::Workspaces(vec!["a".parse().unwrap(), "b".parse().unwrap()]);
        for busy in [Asker::from(&both), Asker::from(&Scope::All)] {
            let turns = Turns::new(2, 64);
            let mut running = Vec::new();
            for _ in 0..2 {
                running.push(turns.turn(busy.clone(), later()).await.unwrap());
            }
            let mut own = waits!(turns, busy);
            let mut other = waits!(turns, of("c"));
            running.pop();
            assert!(got!(own).is_none());
            assert!(got!(other).is_some());
        }
    }

    /// A workspace that fills the queue does not exclude others: its newest query is refused.
    #[tokio::test]
    async fn a_full_queue_has_room_for_another_workspace() {
        let turns = Turns::new(1, 4);
        let running = turns.turn(of("busy"), later()).await.unwrap();
        let mut own: Vec<_> = (0..4).map(|_| waits!(turns, of("busy"))).collect();
        let refused = turns.turn(of("busy"), later()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooManyQuestions);
        let _others = [waits!(turns, of("other")), waits!(turns, of("other"))];
        for newest in [own.pop().unwrap(), own.pop().unwrap()] {
            let refused = newest.await.unwrap_err();
            assert_eq!(refused.code(), ErrorCode::TooManyQuestions);
        }
        // Each workspace has half now.
        let refused = turns.turn(of("third"), later()).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooManyQuestions);
        assert_eq!(turns.counts(), (1, 4));
        drop(running);
        assert!(got!(own[0]).is_some());
    }

    /// A caller that leaves releases its slot in the queue, even when the turn was just granted.
    #[tokio::test]
    async fn who_leaves_keeps_no_turn() {
        let turns = Turns::new(1, 4);
        let running = turns.turn(of("a"), later()).await.unwrap();
        let leaves = waits!(turns, of("b"));
        assert_eq!(turns.counts(), (1, 1));
        drop(leaves);
        assert_eq!(turns.counts(), (1, 0));
        let granted = waits!(turns, of("b"));
        drop(running);
        assert_eq!(turns.counts(), (1, 0));
        drop(granted);
        assert_eq!(turns.counts(), (0, 0));
    }

    /// A query waits no longer than its timeout.
    #[tokio::test]
    async fn a_wait_has_an_end() {
        let turns = Turns::new(1, 4);
        let _running = turns.turn(of("a"), later()).await.unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        let refused = turns.turn(of("b"), soon).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooManyQuestions);
        assert_eq!(turns.counts(), (1, 0));
    }
}
