//! `WorkspaceService`: messages to changes of settings, and results to messages.

use api::convert::{
    hold_to_message, new_hold_from_message, placed_to_message, retention_run_to_message,
    settings_to_message, undone_to_message,
};
use api::proto::workspace_service_server::WorkspaceService;
use api::proto::{
    GetSettingsRequest, GetSettingsResponse, ListHoldsRequest, ListHoldsResponse, PlaceHoldRequest,
    PlaceHoldResponse, ReleaseHoldRequest, ReleaseHoldResponse, RunRetentionRequest,
    RunRetentionResponse, SetRetentionRequest, SetRetentionResponse, UndoRetentionRequest,
    UndoRetentionResponse,
};
use api::{Error, ErrorCode, RequestError};
use events::WorkspaceId;
use events::settings::{InvalidRetention, RetentionMode, Settings};
use service::Workspaces;
use tonic::{Request, Response, Status};

/// Reads and changes the settings of workspaces over gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    workspaces: Workspaces,
}

impl Service {
    /// A door to `workspaces`.
    pub(crate) fn new(workspaces: Workspaces) -> Self {
        Self { workspaces }
    }

    async fn settings(&self, id: &str) -> Result<Settings, Error> {
        self.workspaces.settings(&workspace(id)?).await
    }
}

#[tonic::async_trait]
impl WorkspaceService for Service {
    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        let settings = self.settings(&request.get_ref().workspace).await?;
        Ok(Response::new(GetSettingsResponse {
            settings: Some(settings_to_message(&settings)),
        }))
    }

    async fn set_retention(
        &self,
        request: Request<SetRetentionRequest>,
    ) -> Result<Response<SetRetentionResponse>, Status> {
        self.workspaces.check_change()?;
        let message = request.into_inner();
        let retention = message.retention.parse();
        let retention = retention.map_err(|error: InvalidRetention| {
            Error::new(ErrorCode::InvalidSetting, error.to_string())
        })?;
        let workspace = workspace(&message.workspace)?;
        let (settings, next_run) = self
            .workspaces
            .set_retention(&workspace, retention, &message.by, message.create)
            .await?;
        Ok(Response::new(SetRetentionResponse {
            settings: Some(settings_to_message(&settings)),
            next_run: next_run.as_ref().map(retention_run_to_message),
        }))
    }

    async fn place_hold(
        &self,
        request: Request<PlaceHoldRequest>,
    ) -> Result<Response<PlaceHoldResponse>, Status> {
        self.workspaces.check_change()?;
        let message = request.into_inner();
        let workspace = workspace(&message.workspace)?;
        let create = message.create;
        let hold = new_hold_from_message(message).map_err(Error::from)?;
        let placed = self.workspaces.place_hold(&workspace, hold, create).await?;
        Ok(Response::new(placed_to_message(&placed)))
    }

    async fn release_hold(
        &self,
        request: Request<ReleaseHoldRequest>,
    ) -> Result<Response<ReleaseHoldResponse>, Status> {
        self.workspaces.check_change()?;
        let message = request.into_inner();
        let workspace = workspace(&message.workspace)?;
        let released = self
            .workspaces
            .release_hold(&workspace, &message.name, &message.by)
            .await?;
        Ok(Response::new(ReleaseHoldResponse {
            hold: Some(hold_to_message(&released)),
        }))
    }

    async fn list_holds(
        &self,
        request: Request<ListHoldsRequest>,
    ) -> Result<Response<ListHoldsResponse>, Status> {
        let settings = self.settings(&request.get_ref().workspace).await?;
        Ok(Response::new(ListHoldsResponse {
            holds: settings.holds.iter().map(hold_to_message).collect(),
        }))
    }

    async fn run_retention(
        &self,
        request: Request<RunRetentionRequest>,
    ) -> Result<Response<RunRetentionResponse>, Status> {
        let message = request.into_inner();
        let mode = match (message.dry_run, message.confirm) {
            (true, _) => RetentionMode::DryRun,
            (false, true) => RetentionMode::Confirmed,
            (false, false) => RetentionMode::Guarded,
        };
        if mode != RetentionMode::DryRun {
            self.workspaces.check_change()?;
        }
        let workspace = workspace(&message.workspace)?;
        let run = self.workspaces.expire(&workspace, mode).await?;
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
            self.workspaces.check_change()?;
        }
        let workspace = workspace(&message.workspace)?;
        let undone = self
            .workspaces
            .undo_retention(&workspace, message.version, &message.by, message.dry_run)
            .await?;
        Ok(Response::new(UndoRetentionResponse {
            undone: undone.as_ref().map(undone_to_message),
        }))
    }
}

fn workspace(id: &str) -> Result<WorkspaceId, Error> {
    id.parse()
        .map_err(|error| RequestError::Workspace(error).into())
}
