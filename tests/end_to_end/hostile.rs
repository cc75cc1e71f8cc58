//! Questions that are made to hurt: too many parts, patterns and results that grow, computations without an
//! end. A service lives on, keeps their time and their memory, and acknowledges events meanwhile.
//!
//! `VOUCH_HOSTILE_SEED` and `VOUCH_HOSTILE_QUESTIONS` choose which random ones are asked, and how many;
//! `VOUCH_HOSTILE_GRACE_MS` how much longer than its time a call may take, and `VOUCH_HOSTILE_WRITE_MS` how
//! long a write may. The two are wide by default, for busy machines. With `VOUCH_PROOF_RECORD=FILE` a long run
//! writes its seed, commit and counts to a file, and goes on there.
//!
//! | module | is |
//! |---|---|
//! | `spilling` | very many groups under little memory |
//! | `texts` | hostile texts, each of a kind and a size |

mod spilling;
mod texts;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::proto::query_service_client::QueryServiceClient;
use api::proto::{CompleteRequest, ExplainRequest, QueryRequest, Severity, Stage, ValidateRequest};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::ingest::post::post;
use crate::oracle::random::Random;
use crate::program::Vouch;
use crate::record::{Record, from_environment};
use crate::service::{Service, error_info, question};

/// The time of each random question.
const SEARCH_TIME: Duration = Duration::from_millis(250);
/// Clients that ask at the same time.
const CLIENTS: u64 = 4;
/// After so many random questions the counts are recorded.
const ROUND: u64 = 1_000;
/// What the process may take at most: the memory of questions, of caches and of a debug build.
const MOST_BYTES: u64 = 1 << 30;

/// A service with little memory for questions.
fn small_service(vouch: &Vouch) -> Service {
    let arguments = [
        "--max-query-bytes",
        "67108864",
        "--max-waiting-questions",
        "8",
    ];
    Service::start_with(vouch, &arguments)
}

fn in_time(query: &str, time: Duration) -> QueryRequest {
    QueryRequest {
        search_timeout: format!("{}ms", time.as_millis()),
        ..question(query)
    }
}

/// The code of the answer to a question: `ok`, or what it is refused with.
async fn outcome(client: &mut QueryServiceClient<Channel>, query: &str) -> String {
    let asked = client.query(in_time(query, Duration::from_secs(120)));
    match timeout(Duration::from_secs(180), asked).await.unwrap() {
        Ok(_) => "ok".to_owned(),
        Err(status) => code(&status),
    }
}

fn code(status: &Status) -> String {
    match status.details() {
        [] => format!("{:?}: {}", status.code(), status.message()),
        _ => error_info(status).code,
    }
}

/// Long lists of any kind are answered up to their limit, and refused beyond it. Each of the larger ones
/// ended the process, or took it for a minute, while lists were joined as chains.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_are_answered_or_refused() {
    let vouch = Vouch::with_events();
    let mut service = small_service(&vouch);
    let mut client = service.client().await;
    let too_large = "question_too_large";
    for (query, expected) in [
        (texts::list("ok", "true", 10_000), "ok"),
        (texts::list("ok", "true", 10_001), too_large),
        (texts::numbered_list("result", "re'a", "'", 900), "ok"),
        (
            texts::numbered_list("result", "re'a", "'", 8_000),
            too_large,
        ),
        (texts::conditions(", ", 2_000), "ok"),
        (texts::conditions(" OR ", 2_000), "ok"),
        (texts::conditions(", ", 10_000), too_large),
        (texts::sources(900), "ok"),
        (texts::sources(15_000), too_large),
        (texts::list("result", r"re'\pL{60}'", 400), too_large),
        (texts::columns(500), "ok"),
        (texts::columns(30_000), too_large),
        ("TAE::audit:(count(*)) [1d];".repeat(9_000), too_large),
    ] {
        let found = outcome(&mut client, &query).await;
        let shown: String = query.chars().take(60).collect();
        assert_eq!(found, expected, "{shown}… of {} bytes", query.len());
        assert!(service.is_running());
    }
}

/// What is too large is told by `Validate`, `Explain` and `Complete` too, and with its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_keeps_the_limits() {
    let vouch = Vouch::with_events();
    let mut service = small_service(&vouch);
    let mut client = service.client().await;
    let query = texts::conditions(", ", 10_000);
    let request = ValidateRequest {
        request: Some(question(&query)),
    };
    let validated = client.validate(request).await.unwrap().into_inner();
    let [finding] = validated.diagnostics.as_slice() else {
        panic!("{:?}", validated.diagnostics)
    };
    assert_eq!(finding.code, "question_too_large");
    assert_eq!(finding.severity(), Severity::Error);
    assert!(
        finding.message.contains("`conditions` allows 2000"),
        "{}",
        finding.message
    );
    assert!(
        finding
            .place
            .as_ref()
            .is_some_and(|place| place.column > 10_000)
    );
    let request = ExplainRequest {
        request: Some(question(&query)),
        stage: Stage::Ast.into(),
    };
    let refused = client.explain(request).await.unwrap_err();
    assert_eq!(code(&refused), "question_too_large");
    let long = format!("TAE::audit:(*) #{}", "x".repeat(300_000));
    let request = CompleteRequest {
        request: Some(question(&long)),
        ..CompleteRequest::default()
    };
    assert_eq!(
        code(&client.complete(request).await.unwrap_err()),
        "question_too_large"
    );
    let mut stream = client
        .query_stream(question(&long))
        .await
        .unwrap()
        .into_inner();
    let refused = stream.next().await.unwrap().unwrap_err();
    assert_eq!(code(&refused), "question_too_large");
    // A message that no question needs is not even read.
    let huge = format!("TAE::audit:(*) #{}", "x".repeat(2_000_000));
    let refused = client.query(question(&huge)).await.unwrap_err();
    assert_eq!(code(&refused), "request_too_large");
    assert!(service.is_running());
}

/// Texts that grow with each function or each inner query end with the memory of questions, not with that
/// of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growing_texts_end_with_the_memory_of_questions() {
    let vouch = Vouch::with_events();
    let mut service = small_service(&vouch);
    let mut client = service.client().await;
    for query in [
        texts::growing_replacements(8),
        texts::growing_queries(24),
        texts::large_replacement(100_000),
    ] {
        let found = outcome(&mut client, &query).await;
        assert_eq!(found, "resources_exhausted", "{}", &query[..60]);
        assert!(service.is_running());
    }
    assert!(
        service.peak_bytes() < MOST_BYTES,
        "{}",
        service.peak_bytes()
    );
    // Afterwards all memory is there again.
    let replaced = "TAE::audit:(regexp_replace(df_title, '(.)', '\\1$1') AS a) [7d]";
    assert_eq!(outcome(&mut client, replaced).await, "ok");
}

/// What random questions come to.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    asked: u64,
    /// Those that bind.
    bound: u64,
    /// Writes beside them that were acknowledged.
    written: u64,
    /// The most memory of a process that answered them.
    peak_bytes: u64,
}

/// Random hostile questions by every call, while events are written: the process lives, each call ends soon
/// after the time of its question, and every write is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_hostile_questions_hurt_nothing() {
    let seed = from_environment("VOUCH_HOSTILE_SEED", 1);
    let questions = from_environment("VOUCH_HOSTILE_QUESTIONS", 60);
    let record = Record::new("hostile questions", seed);
    let mut counts: Counts = record.resumed();
    let vouch = Vouch::with_events();
    let mut service = small_service(&vouch);
    while counts.asked < questions {
        let first = seed + counts.asked;
        let seeds = first..first + ROUND.min(questions - counts.asked);
        ask_round(&service, seeds, &mut counts).await;
        assert!(service.is_running());
        counts.peak_bytes = counts.peak_bytes.max(service.peak_bytes());
        assert!(service.peak_bytes() < MOST_BYTES, "{counts:?}");
        assert!(2 * counts.bound >= counts.asked, "{counts:?}");
        record.note(&counts);
    }
}

/// Asks the questions of some seeds by several clients, and writes events meanwhile.
async fn ask_round(service: &Service, seeds: Range<u64>, counts: &mut Counts) {
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::task::spawn_blocking({
        let (address, done) = (service.http_address.clone(), Arc::clone(&done));
        move || write_until(&address, &done)
    });
    counts.asked += seeds.end - seeds.start;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let seeds = seeds.clone().filter(move |seed| seed % CLIENTS == client);
        clients.spawn(ask_all(service.client().await, seeds.collect()));
    }
    while let Some(bound) = clients.join_next().await {
        counts.bound += bound.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    assert!(written > 0);
    counts.written += written;
}

/// Asks the questions of some seeds one after the other; returns how many bind.
async fn ask_all(mut client: QueryServiceClient<Channel>, seeds: Vec<u64>) -> u64 {
    let mut bound = 0;
    let grace = from_environment("VOUCH_HOSTILE_GRACE_MS", 20_000);
    let patience = SEARCH_TIME + Duration::from_millis(grace);
    for seed in seeds {
        let mut random = Random::new(seed);
        let query = texts::random(&mut random);
        let shown: String = query.chars().take(200).collect();
        let call = random.below(5);
        let asked = timeout(patience, ask(&mut client, call, &query)).await;
        let outcome = asked.unwrap_or_else(|_| panic!("seed {seed}, call {call}: no end: {shown}"));
        if let Err(status) = outcome {
            let is_told = matches!(
                status.code(),
                Code::InvalidArgument | Code::ResourceExhausted | Code::DeadlineExceeded
            );
            assert!(is_told, "seed {seed}, call {call}: {status:?}: {shown}");
        }
        let request = ValidateRequest {
            request: Some(question(&query)),
        };
        // A text whose check finds no turn counts as one that does not bind.
        let Ok(validated) = client.validate(request).await else {
            continue;
        };
        let findings = validated.into_inner().diagnostics;
        let is_wrong = findings
            .iter()
            .any(|finding| finding.severity() == Severity::Error);
        bound += u64::from(!is_wrong);
    }
    bound
}

async fn ask(
    client: &mut QueryServiceClient<Channel>,
    call: usize,
    query: &str,
) -> Result<(), Status> {
    let request = in_time(query, SEARCH_TIME);
    match call {
        0 => {
            let request = ExplainRequest {
                request: Some(request),
                stage: Stage::Physical.into(),
            };
            client.explain(request).await.map(|_| ())
        }
        1 => {
            let mut stream = client.query_stream(request).await?.into_inner();
            while let Some(message) = stream.next().await {
                message?;
            }
            Ok(())
        }
        2 => {
            let request = CompleteRequest {
                offset: query.len() as u64,
                request: Some(request),
                ..CompleteRequest::default()
            };
            client.complete(request).await.map(|_| ())
        }
        _ => client
            .clone()
            .max_decoding_message_size(64 << 20)
            .query(request)
            .await
            .map(|_| ()),
    }
}

/// Writes an event every 100 ms until told to stop; how many were acknowledged, which is all of them.
fn write_until(address: &str, done: &AtomicBool) -> u64 {
    let most = Duration::from_millis(from_environment("VOUCH_HOSTILE_WRITE_MS", 20_000));
    let mut written = 0;
    while !done.load(Ordering::Relaxed) {
        let event = format!(
            r#"{{"date": 1795000000000, "df_event_id": "hostile-{written}", "df_title": "written meanwhile"}}"#
        );
        let started = std::time::Instant::now();
        let headers = [("Content-Type", "application/x-ndjson")];
        let answer = post(
            address,
            "/v1/events?workspace=acme",
            &headers,
            event.as_bytes(),
        );
        assert_eq!(
            answer.status,
            200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        assert!(
            started.elapsed() < most,
            "a write took {:?}",
            started.elapsed()
        );
        written += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    written
}
