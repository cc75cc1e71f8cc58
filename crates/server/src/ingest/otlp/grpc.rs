//! `opentelemetry.proto.collector.logs.v1.LogsService`.

use tonic::{Request, Response, Status};

use super::{WORKSPACE_HEADER, export};
use crate::ingest::error::WriteError;
use crate::ingest::writer::Writer;
use crate::proto::otlp::logs_service_server::LogsService;
use crate::proto::otlp::{ExportLogsServiceRequest, ExportLogsServiceResponse};

/// Stores log records that come by gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    writer: Writer,
}

impl Service {
    /// Stores with `writer`.
    pub(crate) fn new(writer: Writer) -> Self {
        Self { writer }
    }

    async fn store(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<ExportLogsServiceResponse, WriteError> {
        let workspace = request.metadata().get(WORKSPACE_HEADER).cloned();
        let workspace = workspace
            .as_ref()
            .map(|workspace| {
                workspace.to_str().map_err(|error| {
                    WriteError::Request(format!("`{WORKSPACE_HEADER}` is no text: {error}"))
                })
            })
            .transpose()?;
        let request = request.into_inner();
        let size_bytes = prost::Message::encoded_len(&request);
        let held = self.writer.budget().reserve(size_bytes).await?;
        let partial_success = export(&self.writer, workspace, request, held).await?;
        Ok(ExportLogsServiceResponse { partial_success })
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let stored = self.store(request).await;
        stored.map(Response::new).map_err(|error| error.status())
    }
}
