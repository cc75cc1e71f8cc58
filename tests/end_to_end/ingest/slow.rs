//! Connections that are idle or slow do not stop the others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use api::proto::WriteRequest;
use api::proto::ingest_service_client::IngestServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::post::post;
use super::{Running, event, events};
use crate::program::Vouch;
use crate::service::{Service, error_info};

fn request(ndjson: String) -> WriteRequest {
    WriteRequest {
        ndjson: ndjson.into(),
        ..WriteRequest::default()
    }
}

/// A request that announces `length` bytes and has sent `body`.
fn announce(address: &str, length: usize, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head =
        format!("POST /v1/events HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// Who announces much and sends little holds little: everybody else is served.
#[tokio::test(flavor = "multi_thread")]
async fn announced_bytes_stop_no_writer() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let mut slow: Vec<TcpStream> = (0..4)
        .map(|_| announce(&address, 64 << 20, b"\n"))
        .collect();
    let mut client = IngestServiceClient::new(running.service.channel().await);
    for number in 0..10 {
        for stream in &mut slow {
            stream.write_all(b"\n").unwrap();
        }
        let answer = post(&address, "/v1/events", &[], event(number).as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let written = client.write(request(event(100 + number))).await;
        assert_eq!(written.unwrap().into_inner().accepted, 1);
    }
    assert_eq!(running.count().await, 20);
}

/// Who has sent much and goes on slowly makes way where others find no memory, and is told so.
#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_make_way() {
    let running = Running::start_with(&["--max-waiting-bytes=65536"]);
    let address = running.service.http_address.clone();
    // Each takes what a connection may take, and one of them the lane.
    let slow: Vec<TcpStream> = (0..4)
        .map(|_| announce(&address, 60_000, &[b'\n'; 14_000]))
        .collect();
    // Slow bodies that wait for each other make way one after the other, so a writer may have to come again.
    let mut tries = 0;
    loop {
        tries += 1;
        let answer = post(&address, "/v1/events", &[], event(1).as_bytes());
        match answer.status {
            429 if tries < 20 => {}
            status => {
                assert_eq!(status, 200, "{answer:?}");
                break;
            }
        }
    }
    let mut client = IngestServiceClient::new(running.service.channel().await);
    loop {
        tries += 1;
        match client.write(request(event(2))).await {
            Err(status) if error_info(&status).code == "overloaded" && tries < 20 => {}
            written => {
                assert_eq!(written.unwrap().into_inner().accepted, 1);
                break;
            }
        }
    }
    let mut made_way = 0;
    for mut stream in slow {
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        let mut answer = Vec::new();
        // Those that need not make way are still waited for.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        if answer.starts_with("http/1.1 429 ") {
            assert!(answer.contains("retry-after: 5"), "{answer}");
            assert!(answer.contains("\"overloaded\""), "{answer}");
        } else if !answer.is_empty() {
            // One that waited its turn for long and then sent nothing.
            assert!(answer.starts_with("http/1.1 408 "), "{answer}");
        }
        made_way += usize::from(!answer.is_empty());
    }
    assert!(made_way > 0);
}

/// The messages of streams are counted while they come, and are smaller than those of `Write`.
#[tokio::test(flavor = "multi_thread")]
async fn streams_have_a_limit_for_messages() {
    let running = Running::start();
    let (requests, waiting) = mpsc::channel(4);
    requests.send(request(events(0..10))).await.unwrap();
    let large = event(10).replace('}', &format!(", \"x\": \"{}\"}}", "x".repeat(20 << 20)));
    requests.send(request(large.clone())).await.unwrap();
    let mut client = IngestServiceClient::new(running.service.channel().await);
    let answers = client.write_stream(ReceiverStream::new(waiting)).await;
    let mut answers = answers.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let status = answers.message().await.unwrap_err();
    assert_eq!(
        (status.code(), error_info(&status).code.as_str()),
        (Code::InvalidArgument, "request_too_large")
    );
    assert!(status.message().contains("16777216"), "{status}");
    // As one request it is only refused for its size as an event.
    let written = client.write(request(large)).await.unwrap().into_inner();
    assert_eq!(written.refused[0].code, "event_too_large");
}

/// Posts an event on an open connection.
async fn post_on(stream: &mut tokio::net::TcpStream, address: &str, number: i64) -> String {
    let body = event(number);
    let length = body.len();
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// However many idle connections there are, the store can open its files.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_stop_no_writer() {
    let vouch = Vouch::new();
    vouch.ensure_store();
    let serve = vouch.command(&["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -n 128; exec \"$@\"", "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(vouch.path(""));
    let service = Service::spawn(limited, false);
    let address = service.http_address.clone();
    let mut open = tokio::net::TcpStream::connect(&address).await.unwrap();
    let answer = post_on(&mut open, &address, 1).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut idle = Vec::new();
    for port in [&service.http_address, &service.address] {
        for _ in 0..200 {
            idle.push(TcpStream::connect(port).unwrap());
        }
    }
    for number in 2..10 {
        let answer = post_on(&mut open, &address, number).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// The connections of one address leave place for those of others.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_have_a_limit_each() {
    let running = Running::start_with(&["--max-connections-per-address=4"]);
    let address = running.service.http_address.clone();
    let idle: Vec<TcpStream> = (0..4)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    let mut refused = TcpStream::connect(&address).unwrap();
    let mut answer = String::new();
    refused.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("too_many_connections"), "{answer}");
    // All of 127.0.0.0/8 is this machine.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(address.parse().unwrap()).await.unwrap();
    let answer = post_on(&mut other, &address, 1).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(idle);
}
