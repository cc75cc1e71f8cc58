//! What hostile connections cost others: a writer and a reader that behave well, alone and beside each attack.
//!
//! Run it by `cargo run --release -p vouch-benches --bin neighbours [SECONDS] [PROGRAM]` (5 seconds a measurement,
//! the `vouch` beside this program). The attackers have the address 127.0.0.2, and take processor time of the same
//! machine.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::{QueryOptions, QueryRequest, Scope};
use client::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Open files of the service, fewer than there are idle connections.
const OPEN_FILES: u32 = 1024;

/// Events in a request of the writer.
const EVENTS: usize = 100;

/// 2026-11-21T00:00:00Z.
const DAY_START_MS: usize = 1_795_219_200_000;

const QUESTION: &str = "TAE::audit:(count(*)) [2026-11-21:2026-11-22] BY df_user_name";

/// The header of events as JSON lines.
const LINES: &str = "Content-Type: application/x-ndjson\r\n";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let program = match arguments.next() {
        Some(program) => PathBuf::from(program),
        None => std::env::current_exe()?.with_file_name("vouch"),
    };
    let time = Duration::from_secs(seconds);
    let directory = tempfile::tempdir()?;
    let service = Service::start(&program, directory.path()).await?;
    let load = Load::start(&service).await?;
    load.during(time).await;
    println!(
        "{:<44} {:>9} {:>6} {:>11} {:>6}",
        "beside", "events/s", "ratio", "questions/s", "ratio"
    );
    let mut before = load.during(time).await;
    if before.contains(&0.0) {
        return Err("nothing is answered even when there is no attack".into());
    }
    for attack in Attack::ALL {
        let mut attackers = attack.start(&service);
        // The service has met them before the measurement starts.
        sleep(Duration::from_secs(1)).await;
        let beside = load.during(time).await;
        attackers.shutdown().await;
        sleep(Duration::from_secs(1)).await;
        let after = load.during(time).await;
        let [events, questions] = [0, 1].map(|of| {
            let alone = f64::midpoint(before[of], after[of]);
            (beside[of], beside[of] / alone)
        });
        println!(
            "{:<44} {:>9.0} {:>6.2} {:>11.1} {:>6.2}",
            attack.name(),
            events.0,
            events.1,
            questions.0,
            questions.1
        );
        before = after;
    }
    Ok(())
}

/// A running `vouch serve`.
struct Service {
    child: Child,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Service {
    async fn start(program: &PathBuf, directory: &std::path::Path) -> Result<Self> {
        let store = directory.join("store");
        let made = Command::new(program)
            .args(["init", "--store"])
            .arg(&store)
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            return Err("the store cannot be made".into());
        }
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {OPEN_FILES}; exec \"$@\""), "sh"])
            .arg(program)
            .args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .arg("--store")
            .arg(&store)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the service has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut address = || -> Result<SocketAddr> {
            let line = lines.next().ok_or("the service has ended")??;
            let address = line.rsplit(' ').next().unwrap_or_default();
            Ok(address.trim_start_matches("http://").parse()?)
        };
        let (grpc, http) = (address()?, address()?);
        Ok(Self { child, grpc, http })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The store goes with its directory.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The writer and the reader.
struct Load {
    events: Arc<AtomicU64>,
    questions: Arc<AtomicU64>,
    /// They end with it.
    _tasks: JoinSet<Result<()>>,
}

impl Load {
    async fn start(service: &Service) -> Result<Self> {
        let (events, questions) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(write(service.http, Arc::clone(&events)));
        let client = Client::connect(&service.grpc.to_string()).await?;
        tasks.spawn(ask(client, Arc::clone(&questions)));
        Ok(Self {
            events,
            questions,
            _tasks: tasks,
        })
    }

    /// Acknowledged events and answered questions a second.
    async fn during(&self, time: Duration) -> [f64; 2] {
        let counts = || [&self.events, &self.questions].map(|count| count.load(Ordering::Relaxed));
        let before = counts();
        sleep(time).await;
        let after = counts();
        [0, 1].map(|of| (after[of] - before[of]) as f64 / time.as_secs_f64())
    }
}

/// Sends one request after the other, and refused ones again.
async fn write(address: SocketAddr, acknowledged: Arc<AtomicU64>) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    for request in 0.. {
        let lines = (0..EVENTS).map(|index| {
            let number = request * EVENTS + index;
            let event = json!({
                "date": DAY_START_MS + number % 86_400_000, "df_event_id": format!("{number:016x}"),
                "df_title": "Modify monitor", "df_user_name": format!("user{}", number % 40),
            });
            format!("{event}\n")
        });
        let body: String = lines.collect();
        while !post(&mut stream, &body)
            .await
            .is_ok_and(|is_stored| is_stored)
        {
            sleep(Duration::from_millis(10)).await;
            stream = TcpStream::connect(address).await?;
        }
        acknowledged.fetch_add(EVENTS as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether the events were acknowledged.
async fn post(stream: &mut TcpStream, body: &str) -> Result<bool> {
    let head = head("/v1/events?workspace=acme", LINES, body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = vec![0; 16 * 1024];
    let length = stream.read(&mut answer).await?;
    Ok(answer[..length].starts_with(b"HTTP/1.1 200"))
}

async fn ask(client: Client, answered: Arc<AtomicU64>) -> Result<()> {
    let request = QueryRequest {
        query: QUESTION.to_owned(),
        scope: Scope::Workspaces(vec!["acme".parse()?]),
        options: QueryOptions::default(),
    };
    loop {
        match client.query(&request).await {
            Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
            Err(_) => {
                sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
    }
}

fn head(path: &str, headers: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n")
}

/// What attackers do.
#[derive(Clone, Copy)]
enum Attack {
    Idle,
    SlowHeads,
    SlowBodies,
    HugeBodies,
    Bombs,
    Otlp,
}

impl Attack {
    const ALL: [Self; 6] = [
        Self::Idle,
        Self::SlowHeads,
        Self::SlowBodies,
        Self::HugeBodies,
        Self::Bombs,
        Self::Otlp,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Idle => "2,000 idle connections",
            Self::SlowHeads => "256 heads at a byte a second",
            Self::SlowBodies => "256 bodies of 16 MiB at 1 KiB a second",
            Self::HugeBodies => "8 times bodies of 64 MiB",
            Self::Bombs => "8 times 1 GiB in a zstd body",
            Self::Otlp => "4 times OTLP with a resource of 15 MiB",
        }
    }

    fn start(self, service: &Service) -> JoinSet<()> {
        let (grpc, http) = (service.grpc, service.http);
        let mut attackers = JoinSet::new();
        let body: Arc<Vec<u8>> = Arc::new(match self {
            Self::Idle | Self::SlowHeads => Vec::new(),
            Self::SlowBodies => head("/v1/events", LINES, 16 << 20).into(),
            Self::HugeBodies => with_head("/v1/events", LINES, vec![b'\n'; 64 << 20]),
            Self::Bombs => with_head(
                "/v1/events",
                "Content-Type: application/x-ndjson\r\nContent-Encoding: zstd\r\n",
                bomb(),
            ),
            Self::Otlp => with_head("/v1/logs", "Content-Type: application/json\r\n", otlp()),
        });
        match self {
            Self::Idle => {
                for number in 0..2_000 {
                    let address = if number % 2 == 0 { grpc } else { http };
                    attackers.spawn(again(move || drip(address, Arc::default(), 0)));
                }
            }
            Self::SlowHeads => {
                let head = Arc::new(head("/v1/events", LINES, 10).into_bytes());
                for _ in 0..256 {
                    let head = Arc::clone(&head);
                    attackers.spawn(again(move || drip(http, Arc::clone(&head), 1)));
                }
            }
            Self::SlowBodies => {
                for _ in 0..256 {
                    let body = Arc::clone(&body);
                    attackers.spawn(again(move || drip(http, Arc::clone(&body), 1024)));
                }
            }
            Self::HugeBodies | Self::Bombs | Self::Otlp => {
                let count = if matches!(self, Self::Otlp) { 4 } else { 8 };
                for _ in 0..count {
                    let body = Arc::clone(&body);
                    attackers.spawn(again(move || send(http, Arc::clone(&body))));
                }
            }
        }
        attackers
    }
}

fn with_head(path: &str, headers: &str, body: Vec<u8>) -> Vec<u8> {
    let mut request = head(path, headers, body.len()).into_bytes();
    request.extend(body);
    request
}

/// A gibibyte of line ends, compressed.
fn bomb() -> Vec<u8> {
    let lines = std::io::Read::take(std::io::repeat(b'\n'), 1 << 30);
    zstd::encode_all(lines, 3).unwrap_or_default()
}

/// A thousand records that all have the attributes of their resource.
fn otlp() -> Vec<u8> {
    let value = "x".repeat(15 << 20);
    let resource = json!({"attributes": [{"key": "big", "value": {"stringValue": value}}]});
    let records: Vec<_> = (0..1_000)
        .map(|_| json!({"timeUnixNano": "1795219200000000000"}))
        .collect();
    let logs =
        json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
    logs.to_string().into_bytes()
}

/// Does it again, a little later, when the service has ended it.
async fn again<F: Future<Output = Result<()>>>(attempt: impl Fn() -> F) {
    loop {
        // What becomes of an attack does not matter.
        let _ = attempt().await;
        sleep(Duration::from_millis(500)).await;
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    Ok(socket.connect(address).await?)
}

/// Sends `start`, the first bytes at once when it is a head, and goes on at some bytes a second until the service ends
/// it.
async fn drip(address: SocketAddr, start: Arc<Vec<u8>>, bytes_a_second: usize) -> Result<()> {
    let mut stream = connect(address).await?;
    let mut sent = if bytes_a_second > 1 { start.len() } else { 0 };
    stream.write_all(&start[..sent]).await?;
    let filler = vec![b'\n'; bytes_a_second];
    let mut answer = [0; 1024];
    loop {
        let read = timeout(Duration::from_secs(1), stream.read(&mut answer)).await;
        if let Ok(Ok(0) | Err(_)) = read {
            return Ok(());
        }
        let next = start.get(sent..sent + 1).filter(|_| bytes_a_second == 1);
        sent += usize::from(next.is_some());
        stream.write_all(next.unwrap_or(&filler)).await?;
    }
}

/// Sends a request and reads the answer.
async fn send(address: SocketAddr, request: Arc<Vec<u8>>) -> Result<()> {
    let mut stream = connect(address).await?;
    stream.write_all(&request).await?;
    // Whatever the answer is.
    let _ = stream.read(&mut [0; 1024]).await?;
    Ok(())
}
