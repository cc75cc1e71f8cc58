//! What web pages may not send.

use super::post::{post, send};
use super::{Running, event};

/// A page of another site may make a browser send a body without a type, and nothing of it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_store_nothing() {
    let running = Running::start();
    let address = running.service.http_address.clone();
    let own = format!("http://{address}");
    for (headers, status, code) in [
        (
            vec![("Origin", "https://evil.example")],
            403,
            "foreign_origin",
        ),
        (
            vec![("Sec-Fetch-Site", "cross-site")],
            403,
            "foreign_origin",
        ),
        (
            vec![
                ("Sec-Fetch-Site", "cross-site"),
                ("Content-Type", "text/plain"),
            ],
            403,
            "foreign_origin",
        ),
        (
            vec![("Origin", own.as_str())],
            415,
            "unsupported_media_type",
        ),
    ] {
        for path in ["/v1/events", "/v1/logs"] {
            let answer = post(&address, path, &headers, event(1).as_bytes());
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{answer:?}"
            );
        }
    }
    assert_eq!(running.count().await, 0);
    let answer = post(&address, "/v1/events", &[], event(1).as_bytes());
    assert_eq!(
        answer.status, 200,
        "programs need not name a type: {answer:?}"
    );
}

/// A name that a site has made mean this machine is none of the service's, unless somebody says so.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_names_are_refused() {
    let running = Running::start_with(&["--allowed-host", "vouch.internal"]);
    let address = running.service.http_address.clone();
    for (host, status) in [
        ("evil.example", 403),
        ("vouch.internal", 200),
        ("localhost", 200),
    ] {
        // The first of two counts for nobody, so there must be one.
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{host}: {answer}"
        );
    }
    let answer = send("GET", &address, "/healthz", &[], 0, b"");
    assert_eq!(answer.status, 200);
}
