//! The backend of retention and holds: a store opened here, or a running service.

use api::Scope;
use client::Client;
use events::WorkspaceId;
use events::settings::{
    Hold, NewHold, PlacedHold, Retention, RetentionMode, RetentionRun, Settings, Undone,
};
use store::Store;

use crate::arguments::AdminArgs;
use crate::backend::open_store;
use crate::failure::Failure;

/// The backend of retention and holds.
pub(crate) enum AdminBackend {
    /// A store in this process.
    Local(Store),
    /// A running service.
    Service(Client),
}

impl AdminBackend {
    /// The backend that the command line names.
    pub(crate) async fn open(arguments: &AdminArgs) -> Result<Self, Failure> {
        match &arguments.server {
            Some(address) => {
                let client = Client::connect(address).await;
                let client = client.map_err(|error| Failure::from_client("", error))?;
                Ok(Self::Service(client))
            }
            None => Ok(Self::Local(open_store(&arguments.store).await?)),
        }
    }

    /// The workspaces that the command line names, or all of the store.
    pub(crate) async fn chosen(&self, scope: Option<Scope>) -> Result<Vec<WorkspaceId>, Failure> {
        match (scope, self) {
            (Some(Scope::Workspaces(workspaces)), _) => Ok(workspaces),
            (_, Self::Local(store)) => Ok(store.known_workspaces().await?),
            (_, Self::Service(_)) => Err(Failure::Usage(
                "--server needs --workspace: one id, or several".to_owned(),
            )),
        }
    }

    /// The settings of a workspace.
    pub(crate) async fn settings(&self, workspace: &WorkspaceId) -> Result<Settings, Failure> {
        match self {
            Self::Local(store) => {
                require(store, workspace).await?;
                Ok(store.settings(workspace).await?)
            }
            Self::Service(client) => from_service(client.settings(workspace).await),
        }
    }

    /// Sets the retention. Returns the new settings, and what the next run would drop. With `create`, a workspace
    /// that is not in the store is created; otherwise it is an error.
    pub(crate) async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        retention: Retention,
        by: &str,
        create: bool,
    ) -> Result<(Settings, Option<RetentionRun>), Failure> {
        match self {
            Self::Local(store) => {
                if !create {
                    require(store, workspace).await?;
                }
                let settings = store.set_retention(workspace, retention, by).await?;
                Ok((
                    settings,
                    store.expire(workspace, RetentionMode::DryRun).await?,
                ))
            }
            Self::Service(client) => {
                from_service(client.set_retention(workspace, retention, by, create).await)
            }
        }
    }

    /// Places a hold; `create` as for [`Self::set_retention`].
    pub(crate) async fn place_hold(
        &self,
        workspace: &WorkspaceId,
        hold: NewHold,
        create: bool,
    ) -> Result<PlacedHold, Failure> {
        match self {
            Self::Local(store) => {
                if !create {
                    require(store, workspace).await?;
                }
                Ok(store.place_hold(workspace, hold).await?)
            }
            Self::Service(client) => {
                from_service(client.place_hold(workspace, &hold, create).await)
            }
        }
    }

    /// Releases a hold.
    pub(crate) async fn release_hold(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        by: &str,
    ) -> Result<Hold, Failure> {
        match self {
            Self::Local(store) => {
                require(store, workspace).await?;
                Ok(store.release_hold(workspace, name, by).await?)
            }
            Self::Service(client) => from_service(client.release_hold(workspace, name, by).await),
        }
    }

    /// Drops events that are older than the retention, or reports what would be dropped.
    pub(crate) async fn expire(
        &self,
        workspace: &WorkspaceId,
        mode: RetentionMode,
    ) -> Result<Option<RetentionRun>, Failure> {
        match self {
            Self::Local(store) => {
                require(store, workspace).await?;
                Ok(store.expire(workspace, mode).await?)
            }
            Self::Service(client) => from_service(client.expire(workspace, mode).await),
        }
    }

    /// Restores events that a retention run has dropped, or reports what would be restored.
    pub(crate) async fn undo_retention(
        &self,
        workspace: &WorkspaceId,
        version: Option<u64>,
        by: &str,
        dry_run: bool,
    ) -> Result<Option<Undone>, Failure> {
        match self {
            Self::Local(store) => {
                require(store, workspace).await?;
                Ok(store.undo_drop(workspace, version, by, dry_run).await?)
            }
            Self::Service(client) => {
                from_service(client.undo_retention(workspace, version, by, dry_run).await)
            }
        }
    }
}

async fn require(store: &Store, workspace: &WorkspaceId) -> Result<(), Failure> {
    let required = engine::require_workspace(store, workspace).await;
    required.map_err(|error| Failure::from_engine("", error))
}

fn from_service<T>(answer: Result<T, client::ClientError>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::from_client("", error))
}
