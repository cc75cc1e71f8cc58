//! How far a proof of many runs has come, in a file, so that the next run goes on there.

use std::io::Write;
use std::process::Command;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A number that the environment may set.
pub(super) fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The lines of one proof in the file that `VOUCH_PROOF_RECORD` names. Each has the seed, the commit that was tested
/// since the line before, and what has been done in all.
#[derive(Debug)]
pub(super) struct Record {
    file: Option<String>,
    proof: String,
    seed: u64,
    commit: String,
}

impl Record {
    pub(super) fn new(proof: &str, seed: u64) -> Self {
        let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
        let commit = head.map_or(String::new(), |head| {
            String::from_utf8_lossy(&head.stdout).trim().to_owned()
        });
        Self {
            file: std::env::var("VOUCH_PROOF_RECORD").ok(),
            proof: proof.to_owned(),
            seed,
            commit,
        }
    }

    /// What runs of the same proof and seed have done.
    pub(super) fn resumed<T: DeserializeOwned + Default>(&self) -> T {
        let file = self.file.as_ref();
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        let text = text.unwrap_or_default();
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let is_own =
            |line: &Value| line["proof"] == self.proof.as_str() && line["seed"] == self.seed;
        let last = lines.rfind(is_own);
        last.map_or_else(T::default, |mut line| {
            serde_json::from_value(line["counts"].take()).unwrap()
        })
    }

    pub(super) fn note(&self, counts: &impl Serialize) {
        let line = json!({
            "proof": self.proof,
            "seed": self.seed,
            "commit": self.commit,
            "counts": counts,
        });
        println!("{line}");
        if let Some(path) = &self.file {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            // At once: proofs of several kinds share the file.
            file.unwrap()
                .write_all(format!("{line}\n").as_bytes())
                .unwrap();
        }
    }
}
