//! Events through every door of the service.
//!
//! | module | tests |
//! |---|---|
//! | `grpc` | `IngestService` |
//! | `http` | `POST /v1/events` |
//! | `otlp` | OTLP logs over gRPC and HTTP |
//! | `large` | large events and requests, and the limits |
//! | `slow` | connections that are idle or slow |
//! | `delivered` | when, how and from whom events came |
//! | `foreign` | what web pages may not send |
//! | `quotas` | how many workspaces, days and producers there may be |
//! | `observed` | readiness, metrics, and lines of the log |
//! | `post` | the HTTP client of these tests |

mod delivered;
mod foreign;
mod grpc;
mod http;
mod large;
mod observed;
mod otlp;
pub(crate) mod post;
mod quotas;
mod slow;

use api::proto::value::Kind;

use crate::program::Vouch;
use crate::service::{Service, question};

/// A date within the window of [`question`], Unix ms.
const DATE_MS: i64 = 1_795_000_000_000;

/// A service over an empty store.
struct Running {
    vouch: Vouch,
    service: Service,
}

impl Running {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let vouch = Vouch::new();
        let service = Service::start_with(&vouch, arguments);
        Self { vouch, service }
    }

    /// The only value of an answer, such as that of `TAE::*:(count(*))`.
    async fn value(&self, query: &str) -> Kind {
        let mut client = self.service.client().await;
        let response = client.query(question(query)).await.unwrap().into_inner();
        let row = response.content[0].series[0].rows[0].clone();
        row.values[1].kind.clone().unwrap()
    }

    /// How many events there are.
    async fn count(&self) -> i64 {
        match self.value("TAE::*:(count(*))").await {
            Kind::IntValue(count) => count,
            other => panic!("{other:?}"),
        }
    }

    /// Stops the service, which must go well.
    fn stop(mut self) -> Vouch {
        self.service.send_stop();
        assert!(self.service.wait().success());
        self.vouch
    }
}

/// An event of workspace `acme` with an id.
fn event(number: i64) -> String {
    let date = DATE_MS + number;
    format!(
        "{{\"date\": {date}, \"df_event_id\": \"e{number}\", \"df_workspace\": \"acme\", \"number\": {number}}}"
    )
}

/// Such events, one a line.
fn events(numbers: std::ops::Range<i64>) -> String {
    let lines: Vec<String> = numbers.map(event).collect();
    lines.join("\n")
}
