//! What was sent, what was acknowledged, and whether a store holds just that.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many parts of batches are remembered.
const RECENT: usize = 30;

/// How late another node may see what one has acknowledged.
const SEEN_AFTER: Duration = Duration::from_secs(1);

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(super) struct SentEvent {
    pub(super) workspace: String,
    /// What tells it from every other event of the test; its title.
    pub(super) marker: String,
    /// Its JSON.
    pub(super) line: String,
}

/// The events of one batch in one workspace that were sent for the first time.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) workspace: String,
    pub(super) markers: Vec<String>,
    /// What it was acknowledged with.
    pub(super) token: Option<String>,
}

/// The life of a process, counted over the test.
pub(super) type Life = usize;

/// What is known of the events of one workspace.
#[derive(Debug, Default)]
struct Known {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    /// How many events were first acknowledged by whom, and when.
    acknowledgements: Vec<(usize, Option<Life>, Instant)>,
}

/// What is known of all events.
#[derive(Debug, Default)]
pub(super) struct Model {
    workspaces: Mutex<BTreeMap<String, Known>>,
    recent: Mutex<VecDeque<Part>>,
    problems: Mutex<Vec<String>>,
}

impl Model {
    /// Events are about to be sent.
    pub(super) fn sending(&self, events: &[SentEvent]) {
        let mut workspaces = self.workspaces.lock().unwrap();
        let mut parts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for event in events {
            let known = workspaces.entry(event.workspace.clone()).or_default();
            if known.sent.insert(event.marker.clone()) {
                let part = parts.entry(&event.workspace).or_default();
                part.push(event.marker.clone());
            }
        }
        let mut recent = self.recent.lock().unwrap();
        recent.extend(parts.into_iter().map(|(workspace, markers)| Part {
            workspace: workspace.to_owned(),
            markers,
            token: None,
        }));
        while recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// Events were acknowledged: by a process with a token, or by an import.
    pub(super) fn acknowledged(
        &self,
        events: &[SentEvent],
        life: Option<Life>,
        token: Option<&str>,
    ) {
        let now = Instant::now();
        let mut workspaces = self.workspaces.lock().unwrap();
        let mut new: BTreeMap<&str, usize> = BTreeMap::new();
        for event in events {
            let known = workspaces.get_mut(&event.workspace).unwrap();
            if known.acknowledged.insert(event.marker.clone()) {
                *new.entry(&event.workspace).or_default() += 1;
            }
        }
        for (workspace, count) in new {
            let known = workspaces.get_mut(workspace).unwrap();
            known.acknowledgements.push((count, life, now));
        }
        let is_acknowledged = |marker: &String| events.iter().any(|event| event.marker == *marker);
        for part in self.recent.lock().unwrap().iter_mut() {
            if part.markers.iter().any(is_acknowledged) {
                part.token = token.map(str::to_owned);
            }
        }
    }

    /// What was sent last, in parts.
    pub(super) fn recent(&self) -> Vec<Part> {
        self.recent.lock().unwrap().iter().cloned().collect()
    }

    /// The workspaces to which something was sent.
    pub(super) fn workspaces(&self) -> Vec<String> {
        self.workspaces.lock().unwrap().keys().cloned().collect()
    }

    /// How many events a question to a process must find at least: what that process has acknowledged,
    /// what was acknowledged before it `began`, and what was acknowledged by anybody a while ago.
    pub(super) fn least(&self, workspace: &str, life: Life, began: Instant) -> usize {
        let now = Instant::now();
        let workspaces = self.workspaces.lock().unwrap();
        let acknowledgements = &workspaces[workspace].acknowledgements;
        let is_due =
            |by: Option<Life>, at: Instant| by == Some(life) || at < began || at + SEEN_AFTER < now;
        let due = acknowledgements
            .iter()
            .filter(|(_, by, at)| is_due(*by, *at));
        due.map(|(count, ..)| count).sum()
    }

    /// How many events were sent so far.
    pub(super) fn most(&self, workspace: &str) -> usize {
        self.workspaces.lock().unwrap()[workspace].sent.len()
    }

    /// How many events were sent and acknowledged in all.
    pub(super) fn totals(&self) -> (usize, usize) {
        let workspaces = self.workspaces.lock().unwrap();
        let sent = workspaces.values().map(|known| known.sent.len()).sum();
        let acknowledged = workspaces.values().map(|known| known.acknowledged.len());
        (sent, acknowledged.sum())
    }

    /// Compares with the markers that a workspace holds, each as often as it is there.
    pub(super) fn compare(&self, when: &str, workspace: &str, found: &[String]) {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for marker in found {
            *counts.entry(marker).or_default() += 1;
        }
        let workspaces = self.workspaces.lock().unwrap();
        let known = &workspaces[workspace];
        for marker in &known.acknowledged {
            if !counts.contains_key(marker.as_str()) {
                self.problem(format!("{when}: lost in {workspace}: {marker}"));
            }
        }
        for (marker, count) in counts {
            if count > 1 {
                self.problem(format!("{when}: {count} times in {workspace}: {marker}"));
            }
            if !known.sent.contains(marker) {
                self.problem(format!("{when}: never sent to {workspace}: {marker}"));
            }
        }
    }

    /// Something is wrong.
    pub(super) fn problem(&self, problem: String) {
        self.problems.lock().unwrap().push(problem);
    }

    /// Whether anything is wrong, so that there is no need to go on.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.lock().unwrap().is_empty()
    }

    /// What is wrong so far.
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }
}

#[test]
fn a_loss_a_double_and_an_invention_are_noticed() {
    let model = Model::default();
    let event = |marker: &str| SentEvent {
        workspace: "w".to_owned(),
        marker: marker.to_owned(),
        line: String::new(),
    };
    let events = [event("a"), event("b"), event("c")];
    model.sending(&events);
    model.acknowledged(&events[..2], Some(7), Some("token"));
    let began = Instant::now();
    assert_eq!(model.least("w", 7, began), 2);
    assert_eq!(model.most("w"), 3);
    assert_eq!(model.recent()[0].token.as_deref(), Some("token"));
    model.compare("in time", "w", &["a", "b", "c"].map(str::to_owned));
    model.compare("in time", "w", &["b", "a"].map(str::to_owned));
    assert_eq!(model.problems(), [""; 0]);
    model.compare("late", "w", &["a", "c", "c", "d"].map(str::to_owned));
    let mut problems = model.problems();
    problems.sort();
    assert_eq!(
        problems,
        [
            "late: 2 times in w: c",
            "late: lost in w: b",
            "late: never sent to w: d"
        ]
    );
}
