//! A node: this test binary, started once more by a test, serves a store.

use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use engine::{Engine, EngineConfig};
use server::{Server, ServerConfig};
use store::{Clock, IngestOptions, MaintenanceOptions, Store, StoreOptions};
use tokio::sync::mpsc;
use tracing_subscriber::filter::LevelFilter;

use super::failpoint::{Deadly, Failpoint, LAST_WORDS, Write};

/// The environment variable that makes a process a node; the path of its store.
const STORE: &str = "VOUCH_CRASH_NODE";
/// Where the process is to die.
const FAILPOINT: &str = "VOUCH_CRASH_AT";
/// By how many seconds the clock of the process is ahead.
const CLOCK: &str = "VOUCH_CRASH_CLOCK_AHEAD";
/// How the test is called that is a node.
const TEST: &str = "crash::node::process";
const LISTENING: &str = "listening on ";

/// The age from which the segments of a vanished node are folded.
pub(super) const ABANDONED_AFTER: Duration = Duration::from_millis(400);

/// As in the service, but with every interval in milliseconds.
fn options(failpoint: Option<Failpoint>) -> IngestOptions {
    // Each segment is folded at once where many commits are needed.
    let is_hasty = failpoint.is_some_and(|failpoint| failpoint.point.write == Write::Checkpoint);
    IngestOptions {
        linger: Duration::from_millis(5),
        fold_interval: Duration::from_millis(40),
        abandoned_after: ABANDONED_AFTER,
        unfolded_bytes: if is_hasty { 64 << 10 } else { 4 << 20 },
        patience: Duration::from_secs(5),
        ..IngestOptions::default()
    }
}

/// As in the service, but with every interval in milliseconds.
fn maintenance_options(failpoint: Option<Failpoint>) -> MaintenanceOptions {
    let cleans = failpoint.is_some_and(|failpoint| failpoint.point.write.is_of_cleaning());
    let mut options = MaintenanceOptions {
        compaction_interval: Duration::from_millis(100),
        vacuum_interval: Duration::ZERO,
        retention_interval: Duration::ZERO,
        ..MaintenanceOptions::default()
    };
    // A process that is to die while it cleans comes to that sooner without merging everything first.
    options.compaction.settle_after = Duration::from_secs(if cleans { 60 } else { 0 });
    options.compaction.rest_factor = u32::from(!cleans);
    options
}

/// Not a test when it is run as one: it is a node where a test has started it as that.
#[test]
fn process() {
    let Ok(path) = std::env::var(STORE) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let failpoint = std::env::var(FAILPOINT).ok();
    let failpoint = failpoint.map(|text| text.parse().unwrap());
    let ahead = std::env::var(CLOCK).ok();
    let ahead = ahead.map(|text| TimeDelta::seconds(text.parse().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(serve(&path, failpoint, ahead));
}

async fn serve(path: &str, failpoint: Option<Failpoint>, ahead: Option<TimeDelta>) {
    let disk = Store::open(path, &StoreOptions::default()).unwrap();
    let objects = Deadly::new(disk.object_store(), failpoint);
    let store = Store::with_object_store(Arc::new(objects), disk.url().clone());
    let store = match ahead {
        Some(ahead) => store.with_clock(Clock::Shifted(ahead)),
        None => store,
    };
    let ingest = store.ingest(options(failpoint));
    let config = EngineConfig {
        memory_bytes: 256 << 20,
        partitions: 2,
        ..EngineConfig::default()
    };
    let engine = Engine::new(store.clone(), config).unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(ServerConfig {
        grpc: local,
        http: local,
        drain: Duration::from_secs(10),
        ..ServerConfig::default()
    })
    .unwrap();
    say(&format!("{LISTENING}{}", server.grpc_address()));
    let stop = async { server::stop_signal().await.unwrap() };
    let maintenance =
        tokio::spawn(async move { store.maintain(maintenance_options(failpoint)).await });
    server.serve(engine, ingest.clone(), stop).await.unwrap();
    maintenance.abort();
    ingest.close().await.unwrap();
}

/// Tells the test something.
fn say(words: &str) {
    let words = format!("\n{words}\n");
    std::io::stdout().write_all(words.as_bytes()).unwrap();
}

/// What a process has said.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// The address it serves at.
    Listening(String),
    /// The failpoint at which it dies.
    LastWords(String),
    /// It has ended.
    Ended(ExitStatus),
}

/// The end of a process.
#[derive(Debug)]
pub(super) struct Ended {
    /// How it ended.
    pub(super) status: ExitStatus,
    /// The failpoint at which it has killed itself.
    pub(super) failpoint: Option<String>,
}

/// A node from outside; killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Arc<Mutex<Child>>,
    pid: String,
    said: mpsc::UnboundedReceiver<Said>,
    address: Option<String>,
    failpoint: Option<String>,
    status: Option<ExitStatus>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Starts a node on the store in `directory`, whose clock is `ahead`; what it logs is added to `log`.
    pub(super) fn start(
        directory: &Path,
        log: &Path,
        failpoint: Option<Failpoint>,
        ahead: Option<TimeDelta>,
    ) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([TEST, "--exact", "--nocapture", "--test-threads", "1"])
            .env(STORE, directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.unwrap());
        if let Some(failpoint) = failpoint {
            command.env(FAILPOINT, failpoint.to_string());
        }
        if let Some(ahead) = ahead {
            command.env(CLOCK, ahead.num_seconds().to_string());
        }
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let pid = child.id().to_string();
        let child = Arc::new(Mutex::new(child));
        let (sender, said) = mpsc::unbounded_channel();
        let waited = Arc::clone(&child);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let listening = line.strip_prefix(LISTENING).map(str::to_owned);
                let last_words = line.strip_prefix(LAST_WORDS).map(str::to_owned);
                let heard = listening
                    .map(Said::Listening)
                    .or(last_words.map(Said::LastWords));
                if let Some(heard) = heard {
                    // Nobody listens any more when the test has failed.
                    let _ = sender.send(heard);
                }
            }
            let status = waited.lock().unwrap().wait().unwrap();
            let _ = sender.send(Said::Ended(status));
        });
        Self {
            child,
            pid,
            said,
            address: None,
            failpoint: None,
            status: None,
        }
    }

    /// Its address, when it serves; `None` when it has died before.
    pub(super) async fn listening(&mut self) -> Option<String> {
        while self.address.is_none() && self.failpoint.is_none() && self.status.is_none() {
            self.hear().await;
        }
        self.address.clone()
    }

    /// Waits until it is about to kill itself, or has ended.
    pub(super) async fn dying(&mut self) {
        while self.failpoint.is_none() && self.status.is_none() {
            self.hear().await;
        }
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            if let Some(status) = self.status {
                return Ended {
                    status,
                    failpoint: self.failpoint.clone(),
                };
            }
            self.hear().await;
        }
    }

    async fn hear(&mut self) {
        match self.said.recv().await.unwrap() {
            Said::Listening(address) => self.address = Some(address),
            Said::LastWords(failpoint) => self.failpoint = Some(failpoint),
            Said::Ended(status) => self.status = Some(status),
        }
    }

    /// Kills it with SIGKILL.
    pub(super) fn kill(&self) {
        // It may have ended by itself.
        let _ = self.child.lock().unwrap().kill();
    }

    /// Sends it a signal by its name, such as `STOP`.
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid])
            .stderr(Stdio::null())
            .status();
        sent.unwrap();
    }
}
