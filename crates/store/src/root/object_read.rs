//! Reading one object, and distinguishing a damaged object from an object store that does not answer.

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;

impl Location {
    /// Reads what `read` reads of the object at `path`, once more when that fails.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when this object cannot be read although the store answers, as of a bad sector of a disk;
    /// [`StoreError::NotFound`]; [`StoreError::ObjectStore`] when the store does not answer.
    pub(crate) async fn read_object<T, F>(
        &self,
        path: &Path,
        read: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let first = read().await;
        if !matches!(first, Err(StoreError::ObjectStore(_))) {
            return first;
        }
        match read().await {
            Err(StoreError::ObjectStore(error)) => {
                self.check_answers().await?;
                Err(StoreError::Corrupt {
                    path: path.to_string(),
                    reason: format!("it cannot be read: {error}"),
                })
            }
            second => second,
        }
    }

    /// All bytes of the object at `path`.
    ///
    /// # Errors
    ///
    /// As for [`Location::read_object`].
    pub(crate) async fn bytes_of(&self, path: &Path) -> Result<Bytes, StoreError> {
        self.read_object(path, || async {
            Ok(self.objects.get(path).await?.bytes().await?)
        })
        .await
    }

    /// The error of an object at `path` that could not be read because of `error`: that it is damaged, if it cannot be
    /// read again.
    pub(crate) async fn explain_read(&self, path: &Path, error: StoreError) -> StoreError {
        match self.bytes_of(path).await {
            Err(damage @ StoreError::Corrupt { .. }) => damage,
            _ => error,
        }
    }

    /// Copies an object whose content cannot be read. On a disk this only adds a name.
    pub(crate) async fn copy_unread(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        match self.objects.copy_if_not_exists(from, to).await {
            // Of an attempt whose answer was lost.
            Ok(()) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves an object whose content cannot be read.
    pub(crate) async fn move_unread(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.copy_unread(from, to).await?;
        Ok(self.objects.delete(from).await?)
    }

    /// Makes sure that the object store answers at all.
    async fn check_answers(&self) -> Result<(), StoreError> {
        match self.objects.get(&paths::marker()).await {
            Ok(found) => found.bytes().await.map(drop).map_err(StoreError::from),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
