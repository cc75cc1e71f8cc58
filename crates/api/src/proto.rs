//! The messages and services of the package `vouch.v1`, generated from the files in `proto/`.
#![expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::large_enum_variant,
    clippy::too_many_lines,
    reason = "generated code has its own style"
)]

tonic::include_proto!("vouch.v1");

/// The part of OTLP that takes logs, generated from `opentelemetry/logs.proto`.
pub mod otlp {
    tonic::include_proto!("opentelemetry.proto.collector.logs.v1");
}

/// The interfaces in protobuf's own form, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
