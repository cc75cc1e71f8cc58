//! How far a long run has come, in a file, so that it can be resumed.

use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

/// What has become of the mutations so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// How many there were.
    pub(super) done: u64,
    /// How many answers were an error that names the object.
    pub(super) refused: u64,
    /// How many removed objects, and changed bytes of checkpoints, nothing needs.
    pub(super) harmless: u64,
    /// How many removals nothing in the store tells, as `docs/store.md` says.
    pub(super) unnoticeable: u64,
}

/// The file that `VOUCH_MUTATION_RECORD` names, for one kind of object.
pub(super) struct Record {
    path: Option<String>,
    kind: String,
    seed: u64,
    commit: String,
}

impl Record {
    pub(super) fn new(kind: &str, seed: u64) -> Self {
        let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
        let commit = head.map_or(String::new(), |head| {
            String::from_utf8_lossy(&head.stdout).trim().to_owned()
        });
        Self {
            path: std::env::var("VOUCH_MUTATION_RECORD").ok(),
            kind: kind.to_owned(),
            seed,
            commit,
        }
    }

    /// How far a run of the same kind, seed and commit has come.
    pub(super) fn resumed(&self) -> Counts {
        let text = self
            .path
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok());
        let text = text.unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut own = lines.filter(|line| {
            line["kind"] == self.kind.as_str()
                && line["seed"] == self.seed
                && line["commit"] == self.commit.as_str()
        });
        let count = |line: &Value, name: &str| line[name].as_u64().unwrap();
        own.next_back().map_or(Counts::default(), |line| Counts {
            done: count(&line, "done"),
            refused: count(&line, "refused"),
            harmless: count(&line, "harmless"),
            unnoticeable: count(&line, "unnoticeable"),
        })
    }

    pub(super) fn note(&self, counts: &Counts) {
        let Counts {
            done,
            refused,
            harmless,
            unnoticeable,
        } = counts;
        let line = json!({
            "kind": self.kind,
            "seed": self.seed,
            "commit": self.commit,
            "done": done,
            "refused": refused,
            "harmless": harmless,
            "unnoticeable": unnoticeable,
        });
        println!("{line}");
        if let Some(path) = &self.path {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            writeln!(file.unwrap(), "{line}").unwrap();
        }
    }
}
