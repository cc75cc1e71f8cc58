//! Nodes on one store that die and come back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};

use super::expiring::Expiring;
use super::failpoint::Write;
use super::importer;
use super::model::{Life, Model};
use super::node::{Ended, Process};
use super::plan::{Ending, Outcome, Plan};
use super::remains;

/// How long a process may live without reaching its failpoint.
const FAILPOINT_PATIENCE: Duration = Duration::from_secs(6);

/// A process that serves, as clients see it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) address: String,
    /// A connection to it, made when it is used.
    pub(super) channel: Channel,
    pub(super) life: Life,
    /// When it was started.
    pub(super) began: Instant,
}

/// What a test has in common with its processes and clients.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) directory: PathBuf,
    pub(super) log: PathBuf,
    pub(super) model: Model,
    pub(super) expiring: Expiring,
    pub(super) plan: Arc<Mutex<Plan>>,
    /// By how much the clock of the first of several nodes is ahead.
    ahead: TimeDelta,
    /// The nodes; none where one is dead.
    nodes: Vec<watch::Sender<Option<Node>>>,
    /// Whether clients are to come to an end.
    pub(super) is_ending: watch::Sender<bool>,
    /// Whether nodes are to come to an end.
    is_over: watch::Sender<bool>,
    lives: AtomicUsize,
    /// How many processes were to die when they create a table.
    fresh: AtomicUsize,
    numbers: AtomicUsize,
}

impl Cluster {
    pub(super) fn new(
        directory: PathBuf,
        log: PathBuf,
        nodes: usize,
        plan: Arc<Mutex<Plan>>,
        ahead: TimeDelta,
    ) -> Self {
        Self {
            directory,
            log,
            model: Model::default(),
            expiring: Expiring::default(),
            plan,
            ahead,
            nodes: (0..nodes).map(|_| watch::Sender::new(None)).collect(),
            is_ending: watch::Sender::new(false),
            is_over: watch::Sender::new(false),
            lives: AtomicUsize::new(0),
            fresh: AtomicUsize::new(0),
            numbers: AtomicUsize::new(0),
        }
    }

    /// How many nodes there are, dead or alive.
    pub(super) fn size(&self) -> usize {
        self.nodes.len()
    }

    /// How many processes were started so far.
    pub(super) fn lives(&self) -> usize {
        self.lives.load(Ordering::SeqCst)
    }

    /// The newest workspace; there is a new one whenever the creation of a table is needed.
    pub(super) fn newest_workspace(&self) -> String {
        format!("new-{}", self.fresh.load(Ordering::SeqCst))
    }

    /// A number that is given once.
    pub(super) fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// A node, when it is alive.
    pub(super) fn node(&self, place: usize) -> Option<Node> {
        self.nodes[place].borrow().clone()
    }

    /// Whether clients are to come to an end.
    pub(super) fn ends(&self) -> bool {
        *self.is_ending.borrow() || self.model.has_problems()
    }

    /// Tells the nodes to stop.
    pub(super) fn stop(&self) {
        self.is_over.send_replace(true);
    }

    /// Sees to it that there is what a process needs to come to its end.
    async fn prepare(&self, ending: Ending) {
        let Ending::At(failpoint) = ending else {
            return;
        };
        let write = failpoint.point.write;
        if write == Write::TableCreation {
            self.fresh.fetch_add(1, Ordering::SeqCst);
        }
        if write == Write::Expiry {
            self.expiring.fill(&self.directory, self.number()).await;
        }
        if write == Write::Checkpoint {
            importer::until_a_checkpoint_is_near(self).await;
        }
        if write.is_of_cleaning() {
            remains::leave_data_files(&self.directory, self.number());
        }
    }

    /// By how much the clock of the node in a place is ahead.
    fn ahead(&self, place: usize) -> Option<TimeDelta> {
        (place == 0 && self.size() > 1).then_some(self.ahead)
    }

    fn start(&self, place: usize, ending: Option<Ending>) -> (Process, Instant, Life) {
        let failpoint = match ending {
            Some(Ending::At(failpoint)) => Some(failpoint),
            _ => None,
        };
        let life = self.lives.fetch_add(1, Ordering::SeqCst);
        if self.size() == 1 {
            remains::age(&self.directory);
        }
        let began = Instant::now();
        let process = Process::start(&self.directory, &self.log, failpoint, self.ahead(place));
        (process, began, life)
    }

    /// Lets processes live and die in one place as the plan says.
    pub(super) async fn live_and_die(self: Arc<Self>, place: usize) {
        loop {
            let ending = self
                .plan
                .lock()
                .unwrap()
                .next(self.size(), self.ahead(place).is_none());
            let Some(ending) = ending.filter(|_| !self.model.has_problems()) else {
                return;
            };
            self.prepare(ending).await;
            let (mut process, began, life) = self.start(place, Some(ending));
            let outcome = match process.listening().await {
                None => Outcome::AsPlanned,
                Some(address) => {
                    self.publish(place, Some(node(address, life, began)));
                    bring_about(ending, &mut process).await
                }
            };
            process.kill();
            let ended = process.ended().await;
            self.publish(place, None);
            let outcome = self.judge(ending, outcome, &ended);
            self.plan.lock().unwrap().note(ending, outcome);
        }
    }

    /// Lets a process live in one place until everything is over; it must stop when it is told to.
    pub(super) async fn live(self: Arc<Self>, place: usize) {
        let (mut process, began, life) = self.start(place, None);
        let address = process.listening().await.unwrap();
        self.publish(place, Some(node(address, life, began)));
        let mut over = self.is_over.subscribe();
        tokio::select! {
            ended = process.ended() => {
                self.model.problem(format!("a node has ended by itself: {ended:?}"));
                self.publish(place, None);
                return;
            }
            _ = over.wait_for(|over| *over) => {}
        }
        self.publish(place, None);
        process.signal("TERM");
        let ended = process.ended().await;
        if !ended.status.success() {
            self.model
                .problem(format!("a node did not stop well: {ended:?}"));
        }
    }

    fn publish(&self, place: usize, node: Option<Node>) {
        self.nodes[place].send_replace(node);
    }

    /// What came of an ending, by how the process has ended.
    fn judge(&self, ending: Ending, outcome: Outcome, ended: &Ended) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        if ended.status.signal() != Some(9) {
            self.model
                .problem(format!("a node has ended by itself: {ended:?}"));
        }
        match (ending, &ended.failpoint) {
            (Ending::At(failpoint), Some(words)) if *words == failpoint.to_string() => {
                Outcome::AsPlanned
            }
            (Ending::At(_), None) => Outcome::NotReached,
            (_, None) => outcome,
            (_, Some(words)) => {
                self.model
                    .problem(format!("killed at {words}, not at {ending:?}"));
                outcome
            }
        }
    }
}

fn node(address: String, life: Life, began: Instant) -> Node {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    Node {
        channel: endpoint.connect_lazy(),
        address,
        life,
        began,
    }
}

/// Waits until a process is dead, or is to be killed now.
async fn bring_about(ending: Ending, process: &mut Process) -> Outcome {
    match ending {
        Ending::At(_) => {
            let ended = tokio::time::timeout(FAILPOINT_PATIENCE, process.dying()).await;
            match ended {
                Ok(()) => Outcome::AsPlanned,
                Err(_) => Outcome::NotReached,
            }
        }
        Ending::Killed(after) => {
            tokio::time::sleep(after).await;
            Outcome::AsPlanned
        }
        Ending::Asleep { after, pause, then } => {
            tokio::time::sleep(after).await;
            process.signal("STOP");
            tokio::time::sleep(pause).await;
            process.signal("CONT");
            tokio::time::sleep(then).await;
            Outcome::AsPlanned
        }
    }
}
