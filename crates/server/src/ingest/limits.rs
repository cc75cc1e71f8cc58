//! How large requests and events may be, and what waits in memory.

/// Limits of the doors of ingest. What is beyond one is refused, and the refusal names it.
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
    /// The bytes of all requests together that are being read or wait to be durable; 256 MiB by default.
    /// Their events take about twice that beside them. Requests wait when it is reached, and are refused
    /// as `overloaded` when that takes long.
    pub waiting_bytes: usize,
}

impl IngestLimits {
    /// What a request may take in memory while it is decoded, in bytes: four times what it may have when it is
    /// decompressed. Structs take more than what is sent.
    pub(crate) fn decoded_bytes(&self) -> usize {
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
