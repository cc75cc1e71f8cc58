//! Reading on another thread, so that decoding and storing go on at the same time.

use events::read::{Decoded, ReadError};
use events::{EventReader, MappingError};
use tokio::sync::mpsc;

/// A batch is handed over at this number of records, or of bytes.
const BATCH_RECORDS: usize = 1_024;
const BATCH_BYTES: usize = 1 << 20;
/// Batches that wait for the store; with the one in the making, they bound the memory.
const WAITING_BATCHES: usize = 4;

/// Why a file is not read on.
#[derive(Debug)]
pub(super) enum Problem {
    /// The file is damaged, or is something else.
    Read(ReadError),
    /// The mapping does not compile.
    Mapping(MappingError),
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<MappingError> for Problem {
    fn from(error: MappingError) -> Self {
        Self::Mapping(error)
    }
}

/// Reads everything that the reader made by `open` finds. A problem is the last thing given.
pub(super) fn read_in_background(
    open: impl FnOnce() -> Result<EventReader, Problem> + Send + 'static,
) -> mpsc::Receiver<Vec<Result<Decoded, Problem>>> {
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
    tokio::task::spawn_blocking(move || {
        let reader = match open() {
            Ok(reader) => reader,
            Err(problem) => {
                // Nobody listens any more when the import has failed already.
                let _ = sender.blocking_send(vec![Err(problem)]);
                return;
            }
        };
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        for decoded in reader {
            batch_bytes += size_bytes(&decoded);
            batch.push(decoded.map_err(Problem::Read));
            if batch.len() >= BATCH_RECORDS || batch_bytes >= BATCH_BYTES {
                batch_bytes = 0;
                if sender.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return;
                }
            }
        }
        let _ = sender.blocking_send(batch);
    });
    receiver
}

fn size_bytes(decoded: &Result<Decoded, ReadError>) -> usize {
    match decoded {
        Ok(Decoded::Event(event)) => event.size_bytes(),
        Ok(Decoded::Refused { rejection, .. }) => rejection.message.len(),
        Err(_) => 0,
    }
}
