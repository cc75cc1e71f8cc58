//! Refuses requests that a foreign web page caused.
//!
//! A page of any site can make a browser send requests to services on the machine and network of its user. Browsers
//! name the origin of such requests in a header; other programs send no such header.

use std::net::IpAddr;
use std::sync::Arc;

use api::ErrorCode;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use super::refusal;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host names that requests may use.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// Whether the service listens on loopback addresses only. Then requests have no reason to use another name.
    is_local: bool,
    allowed: Arc<[String]>,
}

impl Hosts {
    /// The names of a service that listens on `address`, and further ones in `allowed`.
    pub(crate) fn new(address: IpAddr, allowed: &[String]) -> Self {
        let allowed = allowed.iter().map(|name| name.to_ascii_lowercase());
        Self {
            is_local: address.to_canonical().is_loopback(),
            allowed: allowed.collect(),
        }
    }

    /// Whether a request may use `host`. Any address of the service is accepted. A name has to be configured, because
    /// any site can resolve its own name to this machine.
    fn knows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host().to_ascii_lowercase();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let is_own = |address: IpAddr| !self.is_local || address.to_canonical().is_loopback();
        name == "localhost"
            || name.parse::<IpAddr>().is_ok_and(is_own)
            || self.allowed.iter().any(|allowed| allowed == name)
    }
}

/// Whether a browser has sent a request.
pub(crate) fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE)
}

/// Passes a request on unless a foreign page has caused it.
pub(super) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match fault(&hosts, request.headers()) {
        None => next.run(request).await,
        Some((code, message)) => refusal(code, &message),
    }
}

fn fault(hosts: &Hosts, headers: &HeaderMap) -> Option<(ErrorCode, String)> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(HOST);
    let is_own_page = |origin: &str| {
        let rest = origin.split_once("://").map(|(_, rest)| rest);
        rest.is_some_and(|rest| host.is_some_and(|host| host.eq_ignore_ascii_case(rest)))
    };
    let foreign =
        "a page of another site may not send requests to this service; send them from a program";
    match text(SEC_FETCH_SITE) {
        None | Some("same-origin" | "none") => {}
        Some(_) => return Some((ErrorCode::ForeignOrigin, foreign.to_owned())),
    }
    if text(ORIGIN).is_some_and(|origin| !is_own_page(origin)) {
        return Some((ErrorCode::ForeignOrigin, foreign.to_owned()));
    }
    let is_checked = hosts.is_local || is_of_browser(headers);
    let host = host.filter(|host| is_checked && !hosts.knows(host))?;
    let message = format!(
        "this service is not called `{host}`; call it by its address, or name it with --allowed-host"
    );
    Some((ErrorCode::UnknownHost, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(address: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let hosts = Hosts::new(address.parse().unwrap(), &["Vouch.internal".to_owned()]);
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        fault(&hosts, &headers.collect()).map(|(code, _)| code.as_str())
    }

    /// Programs send no origin; browsers send that of the page.
    #[test]
    fn foreign_pages_are_refused() {
        let local = ("host", "127.0.0.1:8080");
        for (header, expected) in [
            (("user-agent", "curl"), None),
            (("sec-fetch-site", "same-origin"), None),
            (("sec-fetch-site", "none"), None),
            (("sec-fetch-site", "cross-site"), Some("foreign_origin")),
            (("sec-fetch-site", "same-site"), Some("foreign_origin")),
            (("origin", "http://127.0.0.1:8080"), None),
            (("origin", "http://127.0.0.1:3000"), Some("foreign_origin")),
            (("origin", "https://example.org"), Some("foreign_origin")),
            (("origin", "null"), Some("foreign_origin")),
        ] {
            for address in ["127.0.0.1", "0.0.0.0"] {
                assert_eq!(code(address, &[local, header]), expected, "{header:?}");
            }
        }
    }

    /// A site can resolve its own name to this machine. Then origin and host agree, but the name is not configured.
    #[test]
    fn local_service_knows_its_names() {
        for (host, is_known) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("127.8.9.1:80", true),
            ("[::1]:8080", true),
            ("vouch.internal:8080", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
            ("a b", false),
        ] {
            let expected = (!is_known).then_some("unknown_host");
            assert_eq!(code("127.0.0.1", &[("host", host)]), expected, "{host}");
            assert_eq!(code("::1", &[("host", host)]), expected, "{host}");
            assert_eq!(code("10.0.0.1", &[("host", host)]), None, "{host}");
        }
        assert_eq!(code("127.0.0.1", &[]), None, "HTTP/1.0 has no Host");
        let rebound = [("host", "evil.example"), ("origin", "http://evil.example")];
        for address in ["127.0.0.1", "0.0.0.0", "10.0.0.1"] {
            assert_eq!(code(address, &rebound), Some("unknown_host"), "{address}");
        }
        for host in ["10.0.0.1:8080", "vouch.internal:8080", "[fd00::1]:8080"] {
            let own = format!("http://{host}");
            let page = [("host", host), ("origin", own.as_str())];
            assert_eq!(code("0.0.0.0", &page), None, "{host}");
        }
    }
}
