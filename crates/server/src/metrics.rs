//! The gauges of a service: those of its operations, and its connections.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use service::Gauges;

use crate::connections::Counts;

/// The gauges of all parts of a service.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) gauges: Gauges,
    /// The name of each port and its connections.
    pub(crate) connections: Vec<(&'static str, Arc<Counts>)>,
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.gauges.encode(&mut encoder)?;
        let kind = ConstGauge::new(0_i64).metric_type();
        let mut metric =
            encoder.encode_descriptor("connections", "Open connections, by port", None, kind)?;
        for (port, counts) in &self.connections {
            let open = i64::try_from(counts.open()).unwrap_or(i64::MAX);
            let labels = [("port", *port)];
            ConstGauge::new(open).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
