//! The peers, each in a Python process of its own, and the virtual environment that they come from.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Result;
use crate::dialect::Dialect;
use crate::rows::Answered;

/// What is installed from PyPI; the versions of one comparison are those of the next.
const PACKAGES: [&str; 4] = [
    "duckdb==2.0.0",
    "chdb==4.4.0",
    "datafusion==55.0.0",
    "pyarrow==26.0.1",
];

const SCRIPT: &str = include_str!("peer.py");

/// A peer that runs.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Rows {
        seconds: f64,
        columns: Vec<String>,
        rows: Vec<Vec<Value>>,
    },
    Error {
        error: String,
    },
}

impl Peer {
    /// Starts a peer over the data at `path`, which it makes when there are none.
    pub(crate) fn start(python: &Path, dialect: Dialect, path: &Path) -> Result<Self> {
        let name = match dialect {
            Dialect::DuckDb => "duckdb",
            Dialect::ClickHouse => "clickhouse",
            Dialect::DataFusion => "datafusion",
        };
        let mut child = Command::new(python)
            .args(["-c", SCRIPT, name])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, answers) = pipes.ok_or("a peer has no pipes")?;
        let mut peer = Self {
            child,
            requests,
            answers: BufReader::new(answers),
        };
        peer.answer()?;
        Ok(peer)
    }

    /// Runs a statement; the answer has the named columns.
    pub(crate) fn ask(&mut self, sql: &str, wanted: &[&str]) -> Result<Answered> {
        writeln!(self.requests, "{}", json!({ "sql": sql }))?;
        let failed = |error: &str| format!("{error}\nin {sql}");
        match self.answer()? {
            Reply::Error { error } => Err(failed(&error).into()),
            Reply::Rows {
                seconds,
                columns,
                rows,
            } => {
                let place = |name: &&str| columns.iter().position(|column| column == name);
                let places: Option<Vec<usize>> = wanted.iter().map(place).collect();
                let places = match places {
                    None if rows.is_empty() => Vec::new(),
                    places => places.ok_or_else(|| failed("a column is missing"))?,
                };
                let chosen = |row: Vec<Value>| places.iter().map(|at| row[*at].clone()).collect();
                Ok(Answered {
                    took: Duration::from_secs_f64(seconds),
                    rows: rows.into_iter().map(chosen).collect(),
                })
            }
        }
    }

    /// Runs a statement without an answer; gives the time it took.
    pub(crate) fn run(&mut self, sql: &str) -> Result<Duration> {
        Ok(self.ask(sql, &[])?.took)
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process when it has written everything.
    pub(crate) fn close(mut self) -> Result<()> {
        drop(self.requests);
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("a peer ended with {status}").into()),
        }
    }

    fn answer(&mut self) -> Result<Reply> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("a peer ended with {}", self.child.wait()?).into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// The Python interpreter of the virtual environment below `cache`, which is made when it is missing or
/// has other versions.
pub(crate) fn python(cache: &Path) -> Result<PathBuf> {
    let home = cache.join("compare-venv");
    let python = home.join("bin/python");
    let installed = home.join("installed");
    if fs::read_to_string(&installed).ok() == Some(PACKAGES.join("\n")) {
        return Ok(python);
    }
    fs::create_dir_all(cache)?;
    let done = |command: &mut Command| -> Result<()> {
        match command.status()? {
            status if status.success() => Ok(()),
            status => Err(format!("{command:?} ended with {status}").into()),
        }
    };
    done(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
    )?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    done(Command::new(&python).args(install).args(PACKAGES))?;
    fs::write(installed, PACKAGES.join("\n"))?;
    Ok(python)
}
