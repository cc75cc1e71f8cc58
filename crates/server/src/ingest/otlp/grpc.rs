//! `opentelemetry.proto.collector.logs.v1.LogsService`.

use api::proto::otlp::logs_service_server::LogsService;
use api::proto::otlp::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use prost::Message;
use service::write::{Door, Source, WriteError, Writer};
use tonic::{Request, Response, Status};

use super::{WORKSPACE_HEADER, export, partial_success};
use crate::ingest::admission::Held;
use crate::ingest::status::collector_error;

/// Stores log records from gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    writer: Writer,
}

impl Service {
    /// A service over `writer`.
    pub(crate) fn new(writer: Writer) -> Self {
        Self { writer }
    }

    async fn store(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<ExportLogsServiceResponse, WriteError> {
        let (metadata, extensions, request) = request.into_parts();
        let workspace = metadata
            .get(WORKSPACE_HEADER)
            .map(|workspace| {
                workspace.to_str().map_err(|error| {
                    WriteError::Request(format!("`{WORKSPACE_HEADER}` is no text: {error}"))
                })
            })
            .transpose()?;
        let held = Held::of(&extensions)?;
        let source = Source {
            door: Door::OtlpGrpc,
            sender: held.sender,
        };
        let held = held.message(request.encoded_len()).await?;
        let receipt = export(&self.writer, source, workspace, request, held).await?;
        self.writer.count(Door::OtlpGrpc, Ok(&receipt));
        let partial_success = partial_success(&receipt);
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
        stored.map(Response::new).map_err(|error| {
            self.writer.count(Door::OtlpGrpc, Err(&error));
            collector_error(&error).into()
        })
    }
}
