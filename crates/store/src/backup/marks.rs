//! Roots that are no store: one that holds backups, and one into which a backup is being restored.

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::marker::Marker;
use crate::root::paths;
use crate::root::synced_fs;

use super::BackupRoot;
use super::manifest::{BackupFault, BackupSummary, Manifest};

/// Which backup is being restored. While it is there and the marker is not, the root is no store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RestoreMark {
    /// The marker that the store gets when the restore is done.
    pub(super) marker: Marker,
    /// The backup.
    pub(super) backup: BackupSummary,
    /// The digest of its manifest.
    pub(super) manifest: String,
    /// What is damaged or missing of it, once everything is copied and compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) faults: Option<Vec<BackupFault>>,
}

impl RestoreMark {
    pub(super) fn new(marker: &Marker, manifest: &Manifest) -> Result<Self, StoreError> {
        Ok(Self {
            marker: marker.restored(),
            backup: manifest.summary.clone(),
            manifest: manifest.digest()?,
            faults: None,
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt {
            path: paths::RESTORE_MARKER.to_owned(),
            reason: error.to_string(),
        })
    }

    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec_pretty(self).map_err(|error| StoreError::NotRestored {
            reason: error.to_string(),
        })
    }
}

impl Location {
    /// Makes sure that the root neither holds backups nor is being restored.
    pub(crate) async fn refuse_other_marks(&self) -> Result<(), StoreError> {
        let url = || self.url.to_string();
        if let Some(mark) = self.restore_mark().await? {
            return Err(StoreError::RestoreUnfinished {
                url: url(),
                backup: mark.backup.number,
            });
        }
        match self.backup_marker().await? {
            None => Ok(()),
            Some(marker) => Err(StoreError::BackupHere {
                url: url(),
                id: marker.id(),
            }),
        }
    }

    /// The marker of the store whose backups the root holds.
    async fn backup_marker(&self) -> Result<Option<Marker>, StoreError> {
        let bytes = self.mark(&paths::backup_marker()).await?;
        bytes.map(|bytes| Marker::decode(&bytes)).transpose()
    }

    /// Which backup is being restored into the root.
    pub(super) async fn restore_mark(&self) -> Result<Option<RestoreMark>, StoreError> {
        let bytes = self.mark(&paths::restore_marker()).await?;
        bytes.map(|bytes| RestoreMark::decode(&bytes)).transpose()
    }

    async fn mark(&self, path: &Path) -> Result<Option<bytes::Bytes>, StoreError> {
        match self.objects.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes this a root of backups.
    pub(super) async fn create_backup_marker(&self, marker: &Marker) -> Result<(), StoreError> {
        self.refuse_store().await?;
        self.create_mark(&paths::backup_marker(), marker.encode()?)
            .await
    }

    /// Makes this a root into which a backup is being restored.
    pub(super) async fn create_restore_mark(&self, mark: &RestoreMark) -> Result<(), StoreError> {
        self.create_mark(&paths::restore_marker(), mark.encode()?)
            .await
    }

    /// Changes what is noted about a restore.
    pub(super) async fn replace_restore_mark(&self, mark: &RestoreMark) -> Result<(), StoreError> {
        let bytes = mark.encode()?;
        self.objects
            .put(&paths::restore_marker(), bytes.into())
            .await?;
        Ok(())
    }

    async fn create_mark(&self, path: &Path, bytes: Vec<u8>) -> Result<(), StoreError> {
        if let Some(directory) = self.directory() {
            synced_fs::create_root(directory).await?;
        }
        let options = PutMode::Create.into();
        self.objects.put_opts(path, bytes.into(), options).await?;
        Ok(())
    }

    /// Makes sure that there is no store, and nothing of one.
    pub(super) async fn refuse_store(&self) -> Result<(), StoreError> {
        match self.read_marker().await? {
            None => self.refuse_data().await,
            Some(marker) => Err(StoreError::StoreExists {
                url: self.url.to_string(),
                found: format!("the marker of store {}", marker.id()),
            }),
        }
    }
}

impl BackupRoot {
    /// The marker of the store whose backups these are.
    pub(super) async fn marker(&self) -> Result<Marker, StoreError> {
        let marker = self.location.backup_marker().await?;
        marker.ok_or_else(|| StoreError::NoBackup {
            url: self.url().to_string(),
        })
    }

    /// Makes sure that these are the backups of the store with this marker. A restored store has others: those
    /// that it was made of stay as they are.
    pub(super) async fn check_owner(&self, marker: &Marker) -> Result<(), StoreError> {
        let found = self.marker().await?;
        if (found.id(), found.incarnation()) != (marker.id(), marker.incarnation()) {
            return Err(StoreError::NotBackedUp {
                reason: format!(
                    "`{}` holds backups of store {}, incarnation {}, and this is store {}, incarnation {}; choose another place and begin there with --new",
                    self.url(),
                    found.id(),
                    found.incarnation(),
                    marker.id(),
                    marker.incarnation()
                ),
            });
        }
        if found != *marker {
            // A newer version has changed the format of the store.
            let bytes = marker.encode()?;
            let objects = &self.location.objects;
            objects.put(&paths::backup_marker(), bytes.into()).await?;
        }
        Ok(())
    }
}
