//! How much the doors of the service take.

use clap::Args;
use server::ConnectionLimits;
use service::{IngestLimits, IngestQuotas};
use store::ScrubOptions;

/// How much `vouch serve` takes at a time.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// The bytes of a request with events, as it is sent
    #[arg(long, value_name = "BYTES", default_value_t = IngestLimits::default().request_bytes)]
    pub(crate) max_request_bytes: usize,
    /// The bytes of a request with events, when it is decompressed
    #[arg(long, value_name = "BYTES", default_value_t = IngestLimits::default().decompressed_bytes)]
    pub(crate) max_decompressed_bytes: usize,
    /// The records of a request, and the events that a mapping makes of them
    #[arg(long, value_name = "NUMBER", default_value_t = IngestLimits::default().events)]
    pub(crate) max_events: usize,
    /// The bytes of one record
    #[arg(long, value_name = "BYTES", default_value_t = IngestLimits::default().event_bytes)]
    pub(crate) max_event_bytes: usize,
    /// The bytes of all requests together that are read or wait to be durable; others wait
    #[arg(long, value_name = "BYTES", default_value_t = IngestLimits::default().waiting_bytes)]
    pub(crate) max_waiting_bytes: usize,
    /// The workspaces that senders may make within an hour
    #[arg(long, value_name = "NUMBER", default_value_t = IngestQuotas::default().new_workspaces_per_hour)]
    pub(crate) max_new_workspaces: usize,
    /// The workspaces that one request may make
    #[arg(long, value_name = "NUMBER", default_value_t = IngestQuotas::default().new_workspaces_per_request)]
    pub(crate) max_new_workspaces_per_request: usize,
    /// The days that the events of one request may have, those of each workspace counted alone
    #[arg(long, value_name = "NUMBER", default_value_t = IngestQuotas::default().days_per_request)]
    pub(crate) max_days: usize,
    /// The days more than a week ago that the events of all requests within an hour may have, those of each workspace
    /// counted alone
    #[arg(long, value_name = "NUMBER", default_value_t = IngestQuotas::default().past_days_per_hour)]
    pub(crate) max_past_days: usize,
    /// The producers of numbered batches that a workspace may have within a week
    #[arg(long, value_name = "NUMBER", default_value_t = IngestQuotas::default().producers)]
    pub(crate) max_producers: usize,
    /// The bytes of data files that are read again and compared in a second, in the background; 0 reads none
    #[arg(long, value_name = "BYTES", default_value_t = ScrubOptions::default().bytes_per_second)]
    pub(crate) scrub_bytes_per_second: u64,
    /// The connections to each port; never more than a quarter of the files that the process may open
    #[arg(long, value_name = "NUMBER", default_value_t = ConnectionLimits::default().per_port)]
    pub(crate) max_connections: usize,
    /// The connections to each port from one address
    #[arg(long, value_name = "NUMBER", default_value_t = ConnectionLimits::default().per_address)]
    pub(crate) max_connections_per_address: usize,
}

impl LimitArgs {
    /// How everything is read again in the background.
    pub(crate) fn scrub(&self) -> ScrubOptions {
        ScrubOptions {
            bytes_per_second: self.scrub_bytes_per_second,
            ..ScrubOptions::default()
        }
    }

    /// How much is taken at a time.
    pub(crate) fn limits(&self) -> IngestLimits {
        IngestLimits {
            request_bytes: self.max_request_bytes,
            decompressed_bytes: self.max_decompressed_bytes,
            events: self.max_events,
            event_bytes: self.max_event_bytes,
            waiting_bytes: self.max_waiting_bytes,
        }
    }

    /// What senders may make.
    pub(crate) fn quotas(&self) -> IngestQuotas {
        IngestQuotas {
            new_workspaces_per_hour: self.max_new_workspaces,
            new_workspaces_per_request: self.max_new_workspaces_per_request,
            days_per_request: self.max_days,
            past_days_per_hour: self.max_past_days,
            producers: self.max_producers,
        }
    }

    /// How many connections there may be.
    pub(crate) fn connections(&self) -> ConnectionLimits {
        ConnectionLimits {
            per_port: self.max_connections,
            per_address: self.max_connections_per_address,
        }
    }
}
