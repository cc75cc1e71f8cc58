//! The methods of `WorkspaceService`: message in, store, message out.

use events::WorkspaceId;
use store::{RetentionMode, Store};
use tonic::{Request, Response, Status};

use crate::convert::{
    RequestError, hold_to_message, new_hold_from_message, placed_to_message,
    retention_run_to_message, settings_to_message, undone_to_message,
};
use crate::proto::workspace_service_server::WorkspaceService;
use crate::proto::{
    GetSettingsRequest, GetSettingsResponse, ListHoldsRequest, ListHoldsResponse, PlaceHoldRequest,
    PlaceHoldResponse, ReleaseHoldRequest, ReleaseHoldResponse, RunRetentionRequest,
    RunRetentionResponse, SetRetentionRequest, SetRetentionResponse, UndoRetentionRequest,
    UndoRetentionResponse,
};
use crate::status::{from_engine_error, from_read_only, from_request_error, from_settings_error};

/// The access that a port grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading settings.
    Read,
    /// Changing settings too, and thereby dropping events.
    Change,
}

/// Reads and changes the settings of workspaces.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    store: Store,
    access: Access,
}

impl Service {
    /// A service over `store`.
    pub(crate) fn new(store: Store, access: Access) -> Self {
        Self { store, access }
    }

    fn check_change(&self) -> Result<(), Status> {
        match self.access {
            Access::Change => Ok(()),
            Access::Read => Err(from_read_only()),
        }
    }

    /// The workspace `id`, which has to be in the store.
    async fn known(&self, id: &str) -> Result<WorkspaceId, Status> {
        let workspace = workspace(id)?;
        engine::require_workspace(&self.store, &workspace)
            .await
            .map_err(|error| from_engine_error("", &error))?;
        Ok(workspace)
    }

    /// The same; with `create` it may be a workspace without events.
    async fn known_or_new(&self, id: &str, create: bool) -> Result<WorkspaceId, Status> {
        if create {
            workspace(id)
        } else {
            self.known(id).await
        }
    }
}

#[tonic::async_trait]
impl WorkspaceService for Service {
    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        let workspace = self.known(&request.get_ref().workspace).await?;
        let settings = self.store.settings(&workspace).await;
        let settings = settings.map_err(|error| from_settings_error(&error.into()))?;
        Ok(Response::new(GetSettingsResponse {
            settings: Some(settings_to_message(&settings)),
        }))
    }

    async fn set_retention(
        &self,
        request: Request<SetRetentionRequest>,
    ) -> Result<Response<SetRetentionResponse>, Status> {
        self.check_change()?;
        let message = request.into_inner();
        let retention = message.retention.parse();
        let retention = retention.map_err(|error| from_settings_error(&error))?;
        let workspace = self
            .known_or_new(&message.workspace, message.create)
            .await?;
        let settings = self
            .store
            .set_retention(&workspace, retention, &message.by)
            .await
            .map_err(|error| from_settings_error(&error))?;
        let next_run = match self.store.expire(&workspace, RetentionMode::DryRun).await {
            Ok(next_run) => next_run,
            Err(error) => {
                tracing::warn!(%workspace, %error, "what a new retention drops is not known");
                None
            }
        };
        Ok(Response::new(SetRetentionResponse {
            settings: Some(settings_to_message(&settings)),
            next_run: next_run.as_ref().map(retention_run_to_message),
        }))
    }

    async fn place_hold(
        &self,
        request: Request<PlaceHoldRequest>,
    ) -> Result<Response<PlaceHoldResponse>, Status> {
        self.check_change()?;
        let message = request.into_inner();
        let workspace = self
            .known_or_new(&message.workspace, message.create)
            .await?;
        let hold = new_hold_from_message(message).map_err(|error| from_request_error(&error))?;
        let placed = self.store.place_hold(&workspace, hold).await;
        let placed = placed.map_err(|error| from_settings_error(&error))?;
        Ok(Response::new(placed_to_message(&placed)))
    }

    async fn release_hold(
        &self,
        request: Request<ReleaseHoldRequest>,
    ) -> Result<Response<ReleaseHoldResponse>, Status> {
        self.check_change()?;
        let message = request.into_inner();
        let workspace = self.known(&message.workspace).await?;
        let released = self
            .store
            .release_hold(&workspace, &message.name, &message.by)
            .await
            .map_err(|error| from_settings_error(&error))?;
        Ok(Response::new(ReleaseHoldResponse {
            hold: Some(hold_to_message(&released)),
        }))
    }

    async fn list_holds(
        &self,
        request: Request<ListHoldsRequest>,
    ) -> Result<Response<ListHoldsResponse>, Status> {
        let workspace = self.known(&request.get_ref().workspace).await?;
        let settings = self.store.settings(&workspace).await;
        let settings = settings.map_err(|error| from_settings_error(&error.into()))?;
        Ok(Response::new(ListHoldsResponse {
            holds: settings.holds.iter().map(hold_to_message).collect(),
        }))
    }

    async fn run_retention(
        &self,
        request: Request<RunRetentionRequest>,
    ) -> Result<Response<RunRetentionResponse>, Status> {
        let message = request.into_inner();
        if !message.dry_run {
            self.check_change()?;
        }
        let workspace = self.known(&message.workspace).await?;
        let mode = match (message.dry_run, message.confirm) {
            (true, _) => RetentionMode::DryRun,
            (false, true) => RetentionMode::Confirmed,
            (false, false) => RetentionMode::Guarded,
        };
        let run = self.store.expire(&workspace, mode).await;
        let run = run.map_err(|error| from_settings_error(&error.into()))?;
        Ok(Response::new(RunRetentionResponse {
            run: run.as_ref().map(retention_run_to_message),
        }))
    }

    async fn undo_retention(
        &self,
        request: Request<UndoRetentionRequest>,
    ) -> Result<Response<UndoRetentionResponse>, Status> {
        let message = request.into_inner();
        if !message.dry_run {
            self.check_change()?;
        }
        let workspace = self.known(&message.workspace).await?;
        let undone = self
            .store
            .undo_drop(&workspace, message.version, &message.by, message.dry_run)
            .await
            .map_err(|error| from_settings_error(&error))?;
        Ok(Response::new(UndoRetentionResponse {
            undone: undone.as_ref().map(undone_to_message),
        }))
    }
}

fn workspace(id: &str) -> Result<WorkspaceId, Status> {
    id.parse()
        .map_err(|error| from_request_error(&RequestError::Workspace(error)))
}
