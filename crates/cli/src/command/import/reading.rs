//! Reading on other threads, so that decoding and storing go on at the same time.

use events::read::{Decoded, Input, ReadError};
use events::{EventReader, MappingSource, WorkspaceId};
use tokio::sync::mpsc;

/// Portions that wait for the store; with those in the making, they bound the memory.
const WAITING_PORTIONS: usize = 2;

/// Reads everything in the input. An error is the last thing given.
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
                // Nobody listens any more when the import has failed already.
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
