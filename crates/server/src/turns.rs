//! Whose question runs next: so many run at a time, so many more wait, and no workspace keeps the others out.
//!
//! A turn that is free goes to whoever comes. When others wait, at most half of the turns (rounded up) are for
//! one workspace: a turn that ends goes to the first in the queue whose workspaces have less. Of a full queue,
//! the workspace that has more than half of it loses its newest place to another one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Scope;
use events::WorkspaceId;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::status;

/// The longest that a question waits for its turn.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// For which workspaces a question is; its turn counts for each of them. Questions about all workspaces count
/// together, as one more workspace would, and those about none count for nothing.
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

/// How many turns, or places in the queue, are each workspace's.
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

/// A question that waits.
#[derive(Debug)]
struct Waiting {
    number: u64,
    asker: Asker,
    /// Gets the turn; dropped without one, the question is refused.
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
    /// Takes a question out of the queue.
    fn take(&mut self, index: usize) -> Option<Waiting> {
        let waiting = self.queue.remove(index)?;
        self.queued.remove(&waiting.asker);
        Some(waiting)
    }

    /// The question that gets the next one of `most` turns: the first whose workspaces have less than half of
    /// them, or else the first of all.
    fn next(&mut self, most: usize) -> Option<Waiting> {
        let has_less = |waiting: &Waiting| !self.running.reaches(&waiting.asker, most.div_ceil(2));
        let index = self.queue.iter().position(has_less).unwrap_or(0);
        let next = self.take(index)?;
        self.running.add(&next.asker);
        Some(next)
    }

    /// Room in the full queue of `most` places for `asker`: the newest place of a workspace that has more than
    /// half of them. `None` when there is no such place, or `asker` has half itself.
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
            // The turn of one who has left ends at once, and goes to another.
            drop(granted.send(Turn { turns, asker }));
        }
    }
}

/// The place in the queue of a question; it is free again when its question is dropped.
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

/// What a question gets when it comes.
enum Admission {
    Runs(Turn),
    /// Its number in the queue, and where the turn will come.
    Waits(u64, oneshot::Receiver<Turn>),
    Refused,
}

impl Turns {
    /// So many at a time, and so many more in the queue.
    pub(crate) fn new(most_running: usize, most_waiting: usize) -> Self {
        Self(Arc::new(Shared {
            most_running,
            most_waiting,
            state: Mutex::default(),
        }))
    }

    /// A turn, at `end` at the latest.
    ///
    /// # Errors
    /// The queue is full, or the turn did not come in time.
    pub(crate) async fn turn(&self, asker: Asker, end: Instant) -> Result<Turn, Status> {
        let refused = || status::from_too_many_questions(self.0.most_running, self.0.most_waiting);
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
        // While a turn is free no question waits: a turn that ends is handed over at once.
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

    /// The turns that run and the questions that wait.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.0.state();
        assert_eq!(state.queued.total, state.queue.len());
        (state.running.total, state.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tonic::Code;

    use super::*;

    fn of(id: &str) -> Asker {
        Asker::from(&Scope::Workspaces(vec![id.parse().unwrap()]))
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// What a question that waits has got by now.
    macro_rules! got {
        ($waiting:expr) => {
            $waiting.as_mut().now_or_never().map(Result::unwrap)
        };
    }

    /// A question that has begun to wait.
    macro_rules! waits {
        ($turns:expr, $asker:expr) => {{
            let mut turn = Box::pin($turns.turn($asker, later()));
            assert!(turn.as_mut().now_or_never().is_none());
            turn
        }};
    }

    /// One workspace has all turns while nobody else asks; from then on, turns that end go to others until it
    /// has half of them.
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
                // It has waited for longer.
                assert!(got!(own[0]).is_none());
            }
            running.pop();
            assert!(got!(own[0]).is_some());
        }
    }

    /// A turn that no other workspace wants goes to the one that has half already.
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

    /// A question about several workspaces counts for each, and those about all count together.
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

    /// A workspace that fills the queue keeps no other from waiting: its newest question is refused.
    #[tokio::test]
    async fn a_full_queue_has_room_for_another_workspace() {
        let turns = Turns::new(1, 4);
        let running = turns.turn(of("busy"), later()).await.unwrap();
        let mut own: Vec<_> = (0..4).map(|_| waits!(turns, of("busy"))).collect();
        let refused = turns.turn(of("busy"), later()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let _others = [waits!(turns, of("other")), waits!(turns, of("other"))];
        for newest in [own.pop().unwrap(), own.pop().unwrap()] {
            let refused = newest.await.unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted);
        }
        // Each has half now.
        let refused = turns.turn(of("third"), later()).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(turns.counts(), (1, 4));
        drop(running);
        assert!(got!(own[0]).is_some());
    }

    /// Who leaves gives up the place in the queue, also when the turn has just been granted.
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

    /// A question waits for no longer than its time.
    #[tokio::test]
    async fn a_wait_has_an_end() {
        let turns = Turns::new(1, 4);
        let _running = turns.turn(of("a"), later()).await.unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        let refused = turns.turn(of("b"), soon).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(turns.counts(), (1, 0));
    }
}
