//! The program `vouch`, run in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The path of the program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vouch-under-test");

/// A window that holds every event of [`events`].
pub(crate) const ALL_OF_TIME: [&str; 4] = [
    "--from",
    "2026-10-01T00:00:00Z",
    "--to",
    "2026-11-21T00:00:00Z",
];

/// The events of `cases/events.ndjson`: 41, of them 27 in `acme` and 14 in `beta`.
pub(crate) fn events() -> String {
    std::fs::read_to_string(folder().join("cases/events.ndjson")).unwrap()
}

/// The folder of the tests.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory to run the program in; its store is in `vouch-data`.
pub(crate) struct Vouch {
    directory: TempDir,
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit status.
    pub(crate) status: i32,
    /// The standard output.
    pub(crate) stdout: Vec<u8>,
    /// The standard error.
    pub(crate) stderr: String,
}

impl Vouch {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A directory whose store holds [`events`].
    pub(crate) fn with_events() -> Self {
        let vouch = Self::new();
        vouch.write("events.ndjson", events());
        vouch.run(&["import", "events.ndjson"]).expect_status(0);
        vouch
    }

    /// Makes the store when there is none yet: a service needs one.
    pub(crate) fn ensure_store(&self) {
        if !self.path("vouch-data").exists() {
            self.run(&["init"]).expect_status(0);
        }
    }

    /// The path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// A command that runs the program here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_remove("VOUCH_STORE")
            .env_remove("RUST_LOG");
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        self.run_with_input(arguments, b"")
    }

    /// Runs the program with something on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A program that reads nothing closes the pipe, which is its right.
        let writer = std::thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Done {
            status: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The answer of `vouch query --format json` over all workspaces and all of time, without the time
    /// it took.
    pub(crate) fn json(&self, query: &str) -> Value {
        self.json_with(&["--workspace", "*"], query)
    }

    /// The same with other arguments in front.
    pub(crate) fn json_with(&self, arguments: &[&str], query: &str) -> Value {
        let mut all = vec!["query", "--format", "json"];
        all.extend(arguments);
        all.extend(ALL_OF_TIME);
        all.push(query);
        let done = self.run(&all).expect_status(0);
        let mut content: Value = serde_json::from_slice(&done.stdout).unwrap();
        for answer in content["content"].as_array_mut().unwrap() {
            for changing in ["cost", "watermark_ms"] {
                answer.as_object_mut().unwrap().remove(changing).unwrap();
            }
        }
        content
    }

    /// The only number of an answer, such as that of `TAE::*:(count(*))`.
    pub(crate) fn number(&self, query: &str) -> i64 {
        self.json(query)["content"][0]["series"][0]["values"][0][1]
            .as_i64()
            .unwrap()
    }
}

impl Done {
    /// Fails unless the program ended with `status`.
    #[track_caller]
    pub(crate) fn expect_status(self, status: i32) -> Self {
        let stdout = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.status, status, "\n{stdout}\n{}", self.stderr);
        self
    }

    /// Fails unless standard error holds `text`.
    #[track_caller]
    pub(crate) fn expect_error(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no `{text}` in\n{}",
            self.stderr
        );
        self
    }

    /// Fails unless standard output holds `text`.
    #[track_caller]
    pub(crate) fn expect_output(self, text: &str) -> Self {
        let stdout = self.text();
        assert!(stdout.contains(text), "no `{text}` in\n{stdout}");
        self
    }

    /// The standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }
}
