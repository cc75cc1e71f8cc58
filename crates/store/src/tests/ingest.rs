//! Ingest: events that arrive one by one.

mod backlog;
mod unreliable;
pub(super) mod write;
