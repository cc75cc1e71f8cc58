//! The calls about the settings of a workspace.

use api::MessageError;
use api::convert::{
    hold_from_message, new_hold_to_message, placed_from_message, retention_run_from_message,
    settings_from_message, undone_from_message,
};
use api::proto::{
    GetSettingsRequest, ReleaseHoldRequest, RunRetentionRequest, SetRetentionRequest,
    UndoRetentionRequest,
};
use events::WorkspaceId;
use events::settings::{
    Hold, NewHold, PlacedHold, Retention, RetentionMode, RetentionRun, Settings, Undone,
};

use super::{Client, ClientError, refused};

impl Client {
    /// Returns the settings of a workspace.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn settings(&self, workspace: &WorkspaceId) -> Result<Settings, ClientError> {
        let message = GetSettingsRequest {
            workspace: workspace.to_string(),
        };
        let response = self.workspaces().get_settings(message).await;
        let settings = response.map_err(refused)?.into_inner().settings;
        let settings = settings.ok_or(MessageError::Missing("settings"))?;
        Ok(settings_from_message(settings)?)
    }

    /// Sets the retention of a workspace on behalf of `by`. Returns the new settings, and what the next retention run
    /// would drop if that is known. With `create`, a workspace that is not in the store is created.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn set_retention(
        &self,
        workspace: &WorkspaceId,
        retention: Retention,
        by: &str,
        create: bool,
    ) -> Result<(Settings, Option<RetentionRun>), ClientError> {
        let message = SetRetentionRequest {
            workspace: workspace.to_string(),
            retention: retention.to_string(),
            by: by.to_owned(),
            create,
        };
        let response = self.workspaces().set_retention(message).await;
        let response = response.map_err(refused)?.into_inner();
        let settings = response.settings.ok_or(MessageError::Missing("settings"))?;
        let next_run = response
            .next_run
            .map(retention_run_from_message)
            .transpose()?;
        Ok((settings_from_message(settings)?, next_run))
    }

    /// Places a hold. With `create`, a workspace that is not in the store is created.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn place_hold(
        &self,
        workspace: &WorkspaceId,
        hold: &NewHold,
        create: bool,
    ) -> Result<PlacedHold, ClientError> {
        let message = new_hold_to_message(workspace, hold, create);
        let response = self.workspaces().place_hold(message).await;
        Ok(placed_from_message(
            response.map_err(refused)?.into_inner(),
        )?)
    }

    /// Releases the hold `name` on behalf of `by` and returns it.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn release_hold(
        &self,
        workspace: &WorkspaceId,
        name: &str,
        by: &str,
    ) -> Result<Hold, ClientError> {
        let message = ReleaseHoldRequest {
            workspace: workspace.to_string(),
            name: name.to_owned(),
            by: by.to_owned(),
        };
        let response = self.workspaces().release_hold(message).await;
        let hold = response.map_err(refused)?.into_inner().hold;
        Ok(hold_from_message(
            hold.ok_or(MessageError::Missing("hold"))?,
        )?)
    }

    /// Runs the retention of a workspace within `mode`. Returns `None` when the workspace has no events.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn expire(
        &self,
        workspace: &WorkspaceId,
        mode: RetentionMode,
    ) -> Result<Option<RetentionRun>, ClientError> {
        let message = RunRetentionRequest {
            workspace: workspace.to_string(),
            dry_run: mode == RetentionMode::DryRun,
            confirm: mode == RetentionMode::Confirmed,
        };
        let response = self.workspaces().run_retention(message).await;
        let run = response.map_err(refused)?.into_inner().run;
        Ok(run.map(retention_run_from_message).transpose()?)
    }

    /// Restores, on behalf of `by`, events that a retention run has dropped: the run that made `version`, or the
    /// newest run that is not undone. With `dry_run` it only reports them. Returns `None` when the workspace has no
    /// events.
    ///
    /// # Errors
    /// Any [`ClientError`] but those of connecting.
    pub async fn undo_retention(
        &self,
        workspace: &WorkspaceId,
        version: Option<u64>,
        by: &str,
        dry_run: bool,
    ) -> Result<Option<Undone>, ClientError> {
        let message = UndoRetentionRequest {
            workspace: workspace.to_string(),
            version,
            by: by.to_owned(),
            dry_run,
        };
        let response = self.workspaces().undo_retention(message).await;
        let undone = response.map_err(refused)?.into_inner().undone;
        Ok(undone.map(undone_from_message).transpose()?)
    }
}
