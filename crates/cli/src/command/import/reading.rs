//! Reads on other threads, so that decoding and storing overlap.

use events::read::{Decoded, Input, ReadError};
use events::{EventReader, MappingSource, WorkspaceId};
use tokio::sync::mpsc;

/// The most decoded portions in the queue. Together with those being decoded they bound the memory.
const WAITING_PORTIONS: usize = 2;

/// Reads the whole input. An error is the last item.
pub(super) fn read_in_background(
    input: Input,
    mapping: Option<MappingSource>,
    workspace: Option<WorkspaceId>,
) -> mpsc::Receiver<Result<Decoded, ReadError>> {
    let (sender, receiver) = mpsc::channel(WAITING_PORTIONS);
    tokio::task::spawn_blocking(move || {
        let reader = match EventReader::open(input, mapping, workspace) {
            Ok(reader) => reader,
            Err(error) => {
                // The receiver is gone when the import has failed.
                let _ = sender.blocking_send(Err(error));
                return;
            }
        };
        for decoded in reader {
            if sender.blocking_send(decoded).is_err() {
                return;
            }
        }
    });
    receiver
}
