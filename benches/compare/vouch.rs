//! Vouch: its program, a service over a store, and questions by gRPC.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use api::{Answer, QueryOptions, QueryRequest, Scope};
use client::Client;
use serde_json::Value;

use crate::Result;
use crate::rows::Answered;

/// A running `vouch serve`, and a connection to it.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    client: Client,
}

impl Service {
    /// Starts the program over a store.
    pub(crate) async fn start(program: &Path, store: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .arg("--store")
            .arg(store)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the service has no output")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        // The second line tells the address for HTTP; who did not wait for it would break the pipe.
        stdout.read_line(&mut String::new())?;
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address.ok_or("the service does not say where it listens")?;
        let client = Client::connect(address).await?;
        Ok(Self { child, client })
    }

    /// Asks; the answer has the named columns, which may be keys of groups.
    pub(crate) async fn ask(&self, dql: &str, scope: Scope, wanted: &[&str]) -> Result<Answered> {
        let request = QueryRequest {
            query: dql.to_owned(),
            scope,
            options: QueryOptions::default(),
        };
        let started = Instant::now();
        let answers = self.client.query(&request).await;
        let took = started.elapsed();
        let answers = answers.map_err(|error| format!("{error}\nin {dql}"))?;
        let rows = answers.iter().flat_map(|answer| rows(answer, wanted));
        Ok(Answered {
            took,
            rows: rows.collect(),
        })
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It only answers questions here, and nothing depends on how it ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rows(answer: &Answer, wanted: &[&str]) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for series in &answer.series {
        let cell = |row: &Vec<Value>, name: &str| {
            let tag = series.tags.iter().find(|(tag, _)| tag == name);
            let column = series.columns.iter().position(|column| column == name);
            tag.map(|(_, value)| value.clone())
                .or_else(|| row.get(column?).cloned())
                .unwrap_or_default()
        };
        let chosen = |row: &Vec<Value>| wanted.iter().map(|name| cell(row, name)).collect();
        rows.extend(series.values.iter().map(chosen));
    }
    rows
}

/// The `vouch` program of this workspace, built with optimisations beside this one.
pub(crate) fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    // Together with this program, so that the libraries are those that it was built with.
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--package",
            "vouch-benches",
            "--bin",
            "compare",
        ])
        .args(["--package", "cli", "--bin", "vouch"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    if !status.success() {
        return Err("vouch cannot be built".into());
    }
    let own = env::current_exe()?;
    let program = own.with_file_name("vouch");
    match program.is_file() {
        true => Ok(program),
        false => Err(format!("there is no {}; name it with --vouch", program.display()).into()),
    }
}

/// The most memory that a process had at a time, in bytes.
pub(crate) fn peak_memory(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: u64 = kilobytes.ok_or("the system does not tell")?.parse()?;
    Ok(kilobytes * 1024)
}
