//! Clients that send events until they are acknowledged, whatever dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use api::proto::ingest_service_client::IngestServiceClient;
use api::proto::{ErrorInfo, WriteRequest, WriteResponse};
use chrono::Utc;
use tonic::Status;

use crate::oracle::random::Random;
use crate::service::error_info;

use super::cluster::{Cluster, Node};
use super::model::SentEvent;

/// The workspaces that every producer writes to.
const WORKSPACES: [&str; 3] = ["acme", "beta", "gamma"];

/// How long a producer waits for an acknowledgement before it sends again.
const PATIENCE: Duration = Duration::from_millis(800);

/// Whether nothing is acknowledged when a call fails so, and sending again is the thing to do.
const SEND_AGAIN: [&str; 3] = ["overloaded", "outcome_unknown", "stopping"];

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many days ago events happened.
const DAYS_AGO: [i64; 2] = [1, 400];

/// Where the ids of events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// The events have their own.
    Own,
    /// They are derived from the batch or from the content.
    Derived,
}

/// A client with one batch on its way at a time.
#[derive(Debug)]
pub(super) struct Producer {
    name: String,
    ids: Ids,
    /// The last number of each workspace; `None` of a producer that gives none.
    numbers: Option<[u64; WORKSPACES.len()]>,
    random: Random,
    cluster: Arc<Cluster>,
    batches: u64,
    /// An event that was acknowledged.
    earlier: Option<SentEvent>,
}

impl Producer {
    pub(super) fn numbered(cluster: &Arc<Cluster>, name: &str, ids: Ids, seed: u64) -> Self {
        Self {
            numbers: Some([0; WORKSPACES.len()]),
            ..Self::unnumbered(cluster, name, ids, seed)
        }
    }

    pub(super) fn unnumbered(cluster: &Arc<Cluster>, name: &str, ids: Ids, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            ids,
            numbers: None,
            random: Random::new(seed),
            cluster: Arc::clone(cluster),
            batches: 0,
            earlier: None,
        }
    }

    /// Sends batches until clients are to come to an end; the last one is acknowledged then.
    pub(super) async fn run(mut self) {
        while !self.cluster.ends() {
            let (request, events) = match self.numbers {
                Some(_) => self.numbered_batch(),
                None => self.unnumbered_batch(),
            };
            self.cluster.model.sending(&events);
            while !self.send(&request, &events).await {
                if self.cluster.model.has_problems() {
                    return;
                }
            }
            self.earlier = events.into_iter().next();
            tokio::time::sleep(Duration::from_millis(self.random.below(12) as u64)).await;
        }
    }

    fn numbered_batch(&mut self) -> (WriteRequest, Vec<SentEvent>) {
        let place = self.random.below(WORKSPACES.len());
        let count = 1 + self.random.below(5);
        let workspace = WORKSPACES[place];
        let events = self.events(count, |_| workspace.to_owned());
        let numbers = self.numbers.as_mut().unwrap();
        numbers[place] += 1;
        let request = WriteRequest {
            workspace: workspace.to_owned(),
            producer: self.name.clone(),
            number: numbers[place],
            ..request(&events)
        };
        (request, events)
    }

    /// Events of several workspaces, also of the newest one.
    fn unnumbered_batch(&mut self) -> (WriteRequest, Vec<SentEvent>) {
        let newest = self.cluster.newest_workspace();
        let count = 1 + self.random.below(5);
        let mut events = self.events(count, |random| match random.percent(25) {
            true => newest.clone(),
            false => (*random.pick(&WORKSPACES)).to_owned(),
        });
        if self.random.percent(20) {
            // A source that delivers twice.
            events.extend(self.earlier.clone());
        }
        (request(&events), events)
    }

    fn events(
        &mut self,
        count: usize,
        workspace: impl Fn(&mut Random) -> String,
    ) -> Vec<SentEvent> {
        self.batches += 1;
        let events = (0..count).map(|place| {
            let workspace = workspace(&mut self.random);
            let marker = format!("{}-{}-{place}", self.name, self.batches);
            let ago_ms = self.random.choose(&DAYS_AGO) * DAY_MS;
            let date_ms = (Utc::now().timestamp_millis() / DAY_MS) * DAY_MS - ago_ms;
            let date_ms = date_ms + self.random.below(1_000_000) as i64;
            let id = match self.ids {
                Ids::Own => format!(", \"df_event_id\": \"id-{marker}\""),
                Ids::Derived => String::new(),
            };
            SentEvent {
                line: format!(
                    "{{\"date\": {date_ms}, \"df_workspace\": \"{workspace}\", \"df_title\": \"{marker}\"{id}}}"
                ),
                workspace,
                marker,
            }
        });
        events.collect()
    }

    /// Sends a batch to any node that is alive; whether it was acknowledged.
    async fn send(&mut self, request: &WriteRequest, events: &[SentEvent]) -> bool {
        let place = self.random.below(self.cluster.size());
        let Some(node) = self.cluster.node(place) else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            return false;
        };
        match tokio::time::timeout(PATIENCE, write(&node, request.clone())).await {
            Ok(Ok(written)) => {
                let accepted = usize::try_from(written.accepted).unwrap();
                if accepted != events.len() || !written.refused.is_empty() {
                    let problem = format!("not all of a batch is acknowledged: {written:?}");
                    self.cluster.model.problem(problem);
                }
                let model = &self.cluster.model;
                model.acknowledged(events, Some(node.life), Some(&written.token));
                true
            }
            Ok(Err(status)) => {
                if let Some(info) = told(&status)
                    && !SEND_AGAIN.contains(&info.code.as_str())
                {
                    let problem = format!("a batch of {} was refused: {info:?}", self.name);
                    self.cluster.model.problem(problem);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                false
            }
            // Nobody knows what became of it.
            Err(_) => false,
        }
    }
}

async fn write(node: &Node, request: WriteRequest) -> Result<WriteResponse, Status> {
    let mut client = IngestServiceClient::new(node.channel.clone());
    let written = client.write(request).await?;
    Ok(written.into_inner())
}

/// What the service says about a failure; `None` when the connection failed.
fn told(status: &Status) -> Option<ErrorInfo> {
    (!status.details().is_empty()).then(|| error_info(status))
}

fn request(events: &[SentEvent]) -> WriteRequest {
    let lines: Vec<&str> = events.iter().map(|event| event.line.as_str()).collect();
    WriteRequest {
        ndjson: lines.join("\n").into(),
        ..WriteRequest::default()
    }
}
