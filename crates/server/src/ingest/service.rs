//! `IngestService`.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status, Streaming};

use super::budget::Reservation;
use super::error::WriteError;
use super::writer::{AskedOptions, Receipt, WriteOptions, Writer};
use crate::proto::ingest_service_server::IngestService;
use crate::proto::write_stream_response::Outcome;
use crate::proto::{RefusedRecord, WriteRequest, WriteResponse, WriteStreamResponse};

/// The bytes of one stream that are stored at the same time.
const STREAM_BYTES: usize = 16 << 20;
/// The requests of one stream that are stored at the same time.
const STREAM_REQUESTS: usize = 1_024;
/// The refusals whose reasons are told; a message has 4 MiB for most clients.
const REASONS: usize = 1_000;

/// Stores what comes by gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    writer: Writer,
}

impl Service {
    /// Stores with `writer`.
    pub(crate) fn new(writer: Writer) -> Self {
        Self { writer }
    }
}

#[tonic::async_trait]
impl IngestService for Service {
    async fn write(
        &self,
        request: Request<WriteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let written = write(&self.writer, request.into_inner()).await;
        written
            .map(Response::new)
            .map_err(|error| error.status())
    }

    type WriteStreamStream =
        Pin<Box<dyn Stream<Item = Result<WriteStreamResponse, Status>> + Send>>;

    async fn write_stream(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        let writer = self.writer.clone();
        let place = Arc::new(Semaphore::new(STREAM_BYTES));
        // One request after the other is read, and only when there is place for it.
        let admitted = request.into_inner().enumerate().then(move |(index, item)| {
            let place = place.clone();
            async move {
                let request = item?;
                let held = admit(place, request.ndjson.len()).await?;
                Ok::<_, Status>((index as u64, request, held))
            }
        });
        let outcomes = admitted.map(move |admitted| {
            let writer = writer.clone();
            async move {
                let (index, request, held) = admitted?;
                let written = write(&writer, request).await;
                drop(held);
                Ok(WriteStreamResponse {
                    request: index,
                    outcome: Some(match written {
                        Ok(written) => Outcome::Written(written),
                        Err(error) => Outcome::Error(error.told().1),
                    }),
                })
            }
        });
        Ok(Response::new(Box::pin(outcomes.buffered(STREAM_REQUESTS))))
    }
}

/// Waits for a place among the requests of the stream. One that is larger than all places takes them all.
async fn admit(place: Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
    let bytes = u32::try_from(bytes.clamp(1, STREAM_BYTES)).unwrap_or(u32::MAX);
    let admitted = place.acquire_many_owned(bytes).await;
    admitted.map_err(|error| WriteError::Defect(error.to_string()).status())
}

async fn write(writer: &Writer, request: WriteRequest) -> Result<WriteResponse, WriteError> {
    let (options, held) = prepare(writer, &request).await?;
    let ndjson = request.ndjson;
    let receipt = writer
        .write(options, move |decoder, workspace| {
            decoder.take_lines(&ndjson, workspace)
        })
        .await?;
    drop(held);
    Ok(response(receipt))
}

async fn prepare(
    writer: &Writer,
    request: &WriteRequest,
) -> Result<(WriteOptions, Reservation), WriteError> {
    let options = writer.options(&AskedOptions {
        workspace: &request.workspace,
        mapping: &request.mapping,
        producer: &request.producer,
        number: request.number,
        all_or_nothing: request.all_or_nothing,
    })?;
    let limit = writer.limits().decompressed_bytes;
    if request.ndjson.len() > limit {
        return Err(WriteError::TooLarge {
            limit,
            decompressed: true,
            option: "--max-decompressed-bytes",
        });
    }
    let held = writer.budget().reserve(request.ndjson.len()).await?;
    Ok((options, held))
}

fn response(receipt: Receipt) -> WriteResponse {
    let refused = receipt.refused.into_iter().enumerate();
    WriteResponse {
        accepted: receipt.accepted,
        refused: refused
            .map(|(position, refused)| RefusedRecord {
                index: refused.index as u64,
                code: refused.rejection.code.to_string(),
                reason: if position < REASONS {
                    refused.rejection.message
                } else {
                    String::new()
                },
            })
            .collect(),
        token: receipt.token,
    }
}
