//! The messages and services of the package `vouch.v1`, generated from `query.proto`.
#![expect(
    missing_docs,
    reason = "protobuf has no place for a comment on what a oneof becomes"
)]

tonic::include_proto!("vouch.v1");

/// The interface in protobuf's own form, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
