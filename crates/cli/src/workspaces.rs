//! Who knows what is set for workspaces: a store opened here, or a running service.

use engine::Scope;
use events::WorkspaceId;
use server::Client;
use store::{
    Hold, NewHold, PlacedHold, Retention, RetentionMode, RetentionRun, Settings, Store, Undone,
};

use crate::answers::open_store;
use crate::arguments::KeeperArguments;
use crate::failure::Failure;

/// Who knows what is set for workspaces.
pub(crate) enum Workspaces {
    /// A store in this process.
    Here(Store),
    /// A running service.
    Service(Client),
}

impl Workspaces {
    /// The one that the command line names.
    pub(crate) async fn open(arguments: &KeeperArguments) -> Result<Self, Failure> {
        match &arguments.server {
            Some(address) => {
                let client = Client::connect(address).await;
                let client = client.map_err(|error| Failure::of_client("", error))?;
                Ok(Self::Service(client))
            }
            None => Ok(Self::Here(open_store(&arguments.store).await?)),
        }
    }

    /// The workspaces that the command line names; all of the store when it names none.
    pub(crate) async fn chosen(&self, scope: Option<Scope>) -> Result<Vec<WorkspaceId>, Failure> {
        match (scope, self) {
            (Some(Scope::Workspaces(workspaces)), _) => Ok(workspaces),
            (_, Self::Here(store)) => Ok(store.known_workspaces().await?),
            (_, Self::Service(_)) => Err(Failure::Usage(
                "--server needs --workspace: one id, or several".to_owned(),
            )),
        }
    }

    /// What is set for a workspace.
    pub(crate) async fn settings(&self, workspace: &WorkspaceId) -> Result<Settings, Failure> {
        match self {
            Self::Here(store) => {
                require(store, workspace).await?;
                Ok(store.settings(workspace).await?)
            }
            Self::Service(client) => told(client.settings(workspace).await),
        }
    }

    /// Sets how long events are kept; returns the settings after that, and what the next run would drop. A
    /// workspace that is not in the store is made when `create` is set, and refused otherwise.
    pub(crate) async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        retention: Retention,
        by: &str,
        create: bool,
    ) -> Result<(Settings, Option<RetentionRun>), Failure> {
        match self {
            Self::Here(store) => {
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
                told(client.set_retention(workspace, retention, by, create).await)
            }
        }
    }

    /// Keeps events from being dropped; `create` as for [`Self::set_retention`].
    pub(crate) async fn place_hold(
        &self,
        workspace: &WorkspaceId,
        hold: NewHold,
        create: bool,
    ) -> Result<PlacedHold, Failure> {
        match self {
            Self::Here(store) => {
                if !create {
                    require(store, workspace).await?;
                }
                Ok(store.place_hold(workspace, hold).await?)
            }
            Self::Service(client) => told(client.place_hold(workspace, &hold, create).await),
        }
    }

    /// Ends a hold.
    pub(crate) async fn release_hold(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        by: &str,
    ) -> Result<Hold, Failure> {
        match self {
            Self::Here(store) => {
                require(store, workspace).await?;
                Ok(store.release_hold(workspace, name, by).await?)
            }
            Self::Service(client) => told(client.release_hold(workspace, name, by).await),
        }
    }

    /// Drops what is older than the retention, or tells what that would be.
    pub(crate) async fn expire(
        &self,
        workspace: &WorkspaceId,
        mode: RetentionMode,
    ) -> Result<Option<RetentionRun>, Failure> {
        match self {
            Self::Here(store) => {
                require(store, workspace).await?;
                Ok(store.expire(workspace, mode).await?)
            }
            Self::Service(client) => told(client.expire(workspace, mode).await),
        }
    }

    /// Brings back what a retention run has dropped, or reports what that would be.
    pub(crate) async fn undo_retention(
        &self,
        workspace: &WorkspaceId,
        version: Option<u64>,
        by: &str,
        dry_run: bool,
    ) -> Result<Option<Undone>, Failure> {
        match self {
            Self::Here(store) => {
                require(store, workspace).await?;
                Ok(store.undo_drop(workspace, version, by, dry_run).await?)
            }
            Self::Service(client) => {
                told(client.undo_retention(workspace, version, by, dry_run).await)
            }
        }
    }
}

async fn require(store: &Store, workspace: &WorkspaceId) -> Result<(), Failure> {
    let required = engine::require_workspace(store, workspace).await;
    required.map_err(|error| Failure::of_engine("", error))
}

fn told<T>(answer: Result<T, server::ClientError>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::of_client("", error))
}
