//! The settings, holds and retention runs of workspaces.

use api::{Error, ErrorCode};
use events::WorkspaceId;
use events::settings::{
    Hold, NewHold, PlacedHold, Retention, RetentionMode, RetentionRun, Settings, Undone,
};
use store::{SettingsError, Store, StoreError};

use crate::error::{from_engine, from_settings};

/// The access that a port grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading settings.
    Read,
    /// Changing settings too, and thereby dropping events.
    Change,
}

/// Reads and changes the settings of workspaces. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workspaces {
    store: Store,
    access: Access,
}

impl Workspaces {
    pub(crate) fn new(store: Store, access: Access) -> Self {
        Self { store, access }
    }

    /// Checks that the port grants changes. Every change checks it again; a door calls this before it decodes a request.
    ///
    /// # Errors
    /// [`ErrorCode::ReadOnlyPort`].
    pub fn check_change(&self) -> Result<(), Error> {
        match self.access {
            Access::Change => Ok(()),
            Access::Read => Err(Error::new(
                ErrorCode::ReadOnlyPort,
                "settings and holds are not changed through this port; start the service with \
                 `vouch serve --admin ADDR|unix:PATH` and ask there, or use the command with --store",
            )),
        }
    }

    /// Returns the settings of a workspace.
    ///
    /// # Errors
    /// The workspace is not known, or the store fails.
    pub async fn settings(&self, workspace: &WorkspaceId) -> Result<Settings, Error> {
        self.require(workspace).await?;
        self.store.settings(workspace).await.map_err(store_error)
    }

    /// Sets the retention of a workspace on behalf of `by`. Returns the new settings, and what the next retention run
    /// would drop if that is known. With `create`, a workspace that is not in the store is created.
    ///
    /// # Errors
    /// The port grants no changes, the workspace is not known, or the store refuses the change.
    pub async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        retention: Retention,
        by: &str,
        create: bool,
    ) -> Result<(Settings, Option<RetentionRun>), Error> {
        self.check_change()?;
        self.require_unless(create, workspace).await?;
        let settings = self.store.set_retention(workspace, retention, by).await;
        let settings = settings.map_err(|error| from_settings(&error))?;
        let next_run = match self.store.expire(workspace, RetentionMode::DryRun).await {
            Ok(next_run) => next_run,
            Err(error) => {
                tracing::warn!(%workspace, %error, "what a new retention drops is not known");
                None
            }
        };
        Ok((settings, next_run))
    }

    /// Places a hold; `create` as for [`Workspaces::set_retention`].
    ///
    /// # Errors
    /// As for [`Workspaces::set_retention`].
    pub async fn place_hold(
        &self,
        workspace: &WorkspaceId,
        hold: NewHold,
        create: bool,
    ) -> Result<PlacedHold, Error> {
        self.check_change()?;
        self.require_unless(create, workspace).await?;
        let placed = self.store.place_hold(workspace, hold).await;
        placed.map_err(|error| from_settings(&error))
    }

    /// Releases the hold `name` on behalf of `by` and returns it.
    ///
    /// # Errors
    /// As for [`Workspaces::set_retention`].
    pub async fn release_hold(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        by: &str,
    ) -> Result<Hold, Error> {
        self.check_change()?;
        self.require(workspace).await?;
        let released = self.store.release_hold(workspace, name, by).await;
        released.map_err(|error| from_settings(&error))
    }

    /// Runs the retention of a workspace within `mode`. Returns `None` when the workspace has no events.
    ///
    /// # Errors
    /// As for [`Workspaces::set_retention`]; every port grants a dry run.
    pub async fn expire(
        &self,
        workspace: &WorkspaceId,
        mode: RetentionMode,
    ) -> Result<Option<RetentionRun>, Error> {
        if mode != RetentionMode::DryRun {
            self.check_change()?;
        }
        self.require(workspace).await?;
        self.store
            .expire(workspace, mode)
            .await
            .map_err(store_error)
    }

    /// Restores events that a retention run has dropped, on behalf of `by`. With `dry_run`, returns what would be
    /// restored.
    ///
    /// # Errors
    /// As for [`Workspaces::expire`].
    pub async fn undo_retention(
        &self,
        workspace: &WorkspaceId,
        version: Option<u64>,
        by: &str,
        dry_run: bool,
    ) -> Result<Option<Undone>, Error> {
        if !dry_run {
            self.check_change()?;
        }
        self.require(workspace).await?;
        let undone = self.store.undo_drop(workspace, version, by, dry_run).await;
        undone.map_err(|error| from_settings(&error))
    }

    /// Checks that a workspace is in the store.
    async fn require(&self, workspace: &WorkspaceId) -> Result<(), Error> {
        let required = engine::require_workspace(&self.store, workspace).await;
        required.map_err(|error| from_engine("", &error))
    }

    async fn require_unless(&self, create: bool, workspace: &WorkspaceId) -> Result<(), Error> {
        if create {
            return Ok(());
        }
        self.require(workspace).await
    }
}

fn store_error(error: StoreError) -> Error {
    from_settings(&SettingsError::from(error))
}
