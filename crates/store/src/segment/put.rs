//! Writing the object of a segment.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;
use crate::root::segment_key::SegmentKey;

/// How often a segment is sent before its outcome is called unknown.
const ATTEMPTS: u32 = 4;

/// How long to wait before a segment is sent again; twice as long each time.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Writes the object of a segment. No other node uses its name, so an object that is there after a lost
/// answer is an earlier attempt at the same.
pub(crate) async fn put(
    location: &Location,
    key: SegmentKey,
    bytes: Vec<u8>,
) -> Result<(), StoreError> {
    let path = paths::segment(&key);
    let bytes = Bytes::from(bytes);
    let mut attempt = 1;
    let mut mode = PutMode::Create;
    loop {
        let sent = location
            .objects
            .put_opts(&path, bytes.clone().into(), mode.clone().into())
            .await;
        let source = match sent {
            Ok(_) => return Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                match read(location, &path).await {
                    Ok(present) if present == bytes => return Ok(()),
                    Ok(_) => {
                        // An attempt that was cut off.
                        mode = PutMode::Overwrite;
                        continue;
                    }
                    // Also when it is gone again, because another node has folded it meanwhile: to
                    // send it once more does no harm.
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if attempt == ATTEMPTS {
            return Err(StoreError::OutcomeUnknown {
                path: path.to_string(),
                source,
            });
        }
        tracing::warn!(%path, error = %source, "a segment was not answered and is sent again");
        tokio::time::sleep(RETRY_AFTER * 2_u32.pow(attempt - 1)).await;
        attempt += 1;
    }
}

async fn read(location: &Location, path: &Path) -> object_store::Result<Bytes> {
    location.objects.get(path).await?.bytes().await
}
