//! Limits on the sizes of requests and events and on the memory of waiting ones.

/// Limits of the doors of ingest. A refusal names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestLimits {
    /// The bytes of a request as it is sent; 64 MiB by default.
    pub request_bytes: usize,
    /// The bytes of a request when it is decompressed, and of a gRPC message; 128 MiB by default.
    pub decompressed_bytes: usize,
    /// The records of a request, and the events that a mapping makes of them; 100,000 by default.
    pub events: usize,
    /// The bytes of one record; 16 MiB by default.
    pub event_bytes: usize,
    /// The bytes of all requests together that are being read or wait to be durable; 256 MiB by default. Their events
    /// take about twice that in addition. When it is reached, requests wait, and are refused as `overloaded` after a
    /// long wait.
    pub waiting_bytes: usize,
}

impl IngestLimits {
    /// The most memory of a request while it is decoded, in bytes: four times the limit when decompressed. Structs
    /// take more memory than their encoding.
    pub fn decoded_bytes(&self) -> usize {
        self.decompressed_bytes.saturating_mul(4)
    }
}

impl Default for IngestLimits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            request_bytes: 64 * MIB,
            decompressed_bytes: 128 * MIB,
            events: 100_000,
            event_bytes: 16 * MIB,
            waiting_bytes: 256 * MIB,
        }
    }
}
