//! What Vouch relies on of an object store, tried at the start of a service and before a store is made.

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;
use crate::store::Store;

impl Store {
    /// Writes, lists and deletes a small object, to find out whether the object store can do what Vouch relies
    /// on: an object is created under a name once, is listed afterwards, and can be deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Lacking`], which says what the object store cannot do.
    pub async fn probe_object_store(&self) -> Result<(), StoreError> {
        self.location().probe_object_store().await
    }
}

impl Location {
    /// See [`Store::probe_object_store`].
    pub(crate) async fn probe_object_store(&self) -> Result<(), StoreError> {
        let path = paths::start_probe();
        let probed = self.probe_at(&path).await;
        if probed.is_err() {
            // It may be there, whatever has failed.
            let _ = self.objects.delete(&path).await;
        }
        probed.map_err(|lack| StoreError::Lacking {
            url: self.url.to_string(),
            lack,
        })
    }

    async fn probe_at(&self, path: &Path) -> Result<(), String> {
        let objects = &self.objects;
        let create = || objects.put_opts(path, PutPayload::default(), PutMode::Create.into());
        create().await.map_err(|error| {
            format!("an object cannot be created ({error}); allow this process to write")
        })?;
        match create().await {
            Err(Error::AlreadyExists { .. }) => {}
            Ok(_) => {
                return Err(
                    "a second object was created under the same name; use an object store that \
                     supports conditional writes (`If-None-Match: *`)"
                        .to_owned(),
                );
            }
            Err(error) => {
                return Err(format!(
                    "whether a name is taken cannot be found out ({error}); use an object store \
                     that supports conditional writes (`If-None-Match: *`)"
                ));
            }
        }
        let failed = |error: Error| {
            format!("objects cannot be listed ({error}); allow this process to list")
        };
        let listed = objects.list_with_delimiter(None).await.map_err(failed)?;
        if !listed.objects.iter().any(|object| object.location == *path) {
            return Err(
                "an object is not listed after it was written; use an object store with \
                        consistent listings"
                    .to_owned(),
            );
        }
        objects.delete(path).await.map_err(|error| {
            format!("an object cannot be deleted ({error}); allow this process to delete")
        })
    }
}
