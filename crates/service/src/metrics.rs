//! The metrics of the service, in the format of Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::{Outcomes, Scrubbing, Store};

use crate::write::Budget;

/// The media type of [`Metrics::text`].
pub const METRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The buckets of the durations of writes, in seconds.
const WRITE_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The counters of a service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    accepted: Family<Labels<1>, Counter>,
    refused_events: Family<Labels<2>, Counter>,
    refused_requests: Family<Labels<2>, Counter>,
    write_seconds: Histogram,
    registry: Arc<Registry>,
}

impl Metrics {
    /// Counters besides the state of the store and of the doors.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("vouch");
        let accepted = Family::default();
        registry.register(
            "events_accepted",
            "Events that were acknowledged as durable, by door",
            Family::clone(&accepted),
        );
        let refused_events = Family::default();
        registry.register(
            "events_refused",
            "Records and events that were refused while their request was taken, by door and code",
            Family::clone(&refused_events),
        );
        let refused_requests = Family::default();
        registry.register(
            "writes_failed",
            "Requests to store events that failed as a whole, by door and code",
            Family::clone(&refused_requests),
        );
        let write_seconds = Histogram::new(WRITE_SECONDS);
        registry.register(
            "write_seconds",
            "Time from a request that was read to its events being durable",
            write_seconds.clone(),
        );
        Self {
            accepted,
            refused_events,
            refused_requests,
            write_seconds,
            registry: Arc::new(registry),
        }
    }

    /// Counts events that are durable.
    pub(crate) fn accepted(&self, door: &'static str, events: u64) {
        self.accepted
            .get_or_create(&[("door", door)])
            .inc_by(events);
    }

    /// Counts events that were refused.
    pub(crate) fn refused_events(&self, door: &'static str, code: &'static str, events: u64) {
        let labels = [("door", door), ("code", code)];
        self.refused_events.get_or_create(&labels).inc_by(events);
    }

    /// Counts a request of which nothing is stored.
    pub(crate) fn refused_request(&self, door: &'static str, code: &'static str) {
        let labels = [("door", door), ("code", code)];
        self.refused_requests.get_or_create(&labels).inc();
    }

    /// Records the duration of storing the events of a request.
    pub(crate) fn write(&self, time: Duration) {
        self.write_seconds.observe(time.as_secs_f64());
    }

    /// All metrics as text, with the current values of `gauges`.
    ///
    /// # Errors
    /// When a metric cannot be written: a defect.
    pub fn text(&self, gauges: impl Collector) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let mut now = Registry::with_prefix("vouch");
        now.register_collector(Box::new(gauges));
        prometheus_client::encoding::text::encode_registry(&mut text, &self.registry)?;
        encode(&mut text, &now)?;
        Ok(text)
    }
}

/// The memory that requests share. Queries and writes have separate budgets.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// The memory of writes.
    pub writes: Budget,
    /// The memory of queries and of their answers.
    pub queries: Budget,
}

/// The gauges of the store and of the memory of requests.
#[derive(Debug, Clone)]
pub struct Gauges {
    pub(crate) store: Store,
    pub(crate) budgets: Budgets,
}

impl Gauges {
    /// The gauges of waiting events and requests.
    fn waiting(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let unfolded = self.store.unfolded();
        let age_s = unfolded.oldest_ms.map_or(0.0, |oldest_ms| {
            let now_ms = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
            Duration::from_millis(now_ms.saturating_sub(oldest_ms)).as_secs_f64()
        });
        for (name, help, value) in [
            (
                "unfolded_segments",
                "Segments that are not folded into tables, as far as this node knows",
                unfolded.segments as f64,
            ),
            (
                "unfolded_bytes",
                "What those segments take in memory",
                unfolded.memory_bytes as f64,
            ),
            (
                "unfolded_age_seconds",
                "The age of the oldest of them; 0 when there are none",
                age_s,
            ),
            (
                "ingest_budget_used_bytes",
                "Memory that requests hold of --max-waiting-bytes",
                self.budgets.writes.held_bytes() as f64,
            ),
            (
                "question_budget_used_bytes",
                "Memory that questions hold while they are read, and answers until they are sent",
                self.budgets.queries.held_bytes() as f64,
            ),
        ] {
            gauge(encoder, name, help, value)?;
        }
        Ok(())
    }

    /// Encodes the current values.
    ///
    /// # Errors
    /// When a metric cannot be written: a defect.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.waiting(encoder)?;
        clock(encoder, &self.store)?;
        let activity = self.store.activity();
        outcomes(
            encoder,
            "puts",
            "Writes of segments and probes",
            &activity.puts,
        )?;
        outcomes(
            encoder,
            "listings",
            "Listings of segments",
            &activity.listings,
        )?;
        outcomes(encoder, "folds", "Runs of the folding", &activity.folds)?;
        scrubbing(encoder, &activity.scrubbing)?;
        gauge(
            encoder,
            "retentions_waiting",
            "Workspaces with events older than their retention that wait until somebody says that they may go",
            activity.waiting_retentions() as f64,
        )?;
        counters(
            encoder,
            [
                (
                    "workspaces_not_folded",
                    "How often the events of one workspace could not be folded",
                    activity.workspaces_not_folded(),
                ),
                (
                    "repeated_events",
                    "Events that were stored already when they were folded",
                    activity.repeated_events(),
                ),
                (
                    "id_conflicts",
                    "Folded events whose id another event of the day had",
                    activity.id_conflicts(),
                ),
            ],
        )?;
        Ok(())
    }
}

fn clock(encoder: &mut DescriptorEncoder<'_>, store: &Store) -> fmt::Result {
    if let Some(difference_ms) = store.clock_difference_ms() {
        gauge(
            encoder,
            "clock_difference_seconds",
            "By how much the clock of this node is ahead of the store's time; negative when it is behind",
            difference_ms as f64 / 1_000.0,
        )?;
    }
    Ok(())
}

fn scrubbing(encoder: &mut DescriptorEncoder<'_>, scrubbing: &Scrubbing) -> fmt::Result {
    counters(
        encoder,
        [
            (
                "scrubbed_files",
                "Data files that were read again in the background",
                scrubbing.files(),
            ),
            ("scrubbed_bytes", "Their bytes", scrubbing.bytes()),
        ],
    )?;
    gauge(
        encoder,
        "scrub_faults",
        "Damaged or missing objects that reading again has found",
        scrubbing.faults() as f64,
    )?;
    let last = scrubbing.last_round();
    gauge(
        encoder,
        "scrub_last_round_timestamp_seconds",
        "When everything was read again last, Unix time; 0 before that",
        last.map_or(0.0, |last| last.timestamp() as f64),
    )
}

fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    counters: [(&str, &str, u64); N],
) -> fmt::Result {
    for (name, help, value) in counters {
        let counter = ConstCounter::new(value);
        let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
        counter.encode(metric)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(metric)
}

/// Both counters and the time since the last success.
fn outcomes(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    outcomes: &Outcomes,
) -> fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let help_text = format!("{help}, by outcome");
    let mut metric = encoder.encode_descriptor(name, &help_text, None, kind)?;
    for (outcome, count) in [
        ("succeeded", outcomes.succeeded()),
        ("failed", outcomes.failed()),
    ] {
        let labels = [("outcome", outcome)];
        ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
    }
    let since = outcomes.since_success().as_secs_f64();
    let name = format!("{name}_since_success_seconds");
    let help = format!("{help}: how long ago the last success was");
    gauge(encoder, &name, &help, since)
}
