//! `IngestService`.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use api::proto::ingest_service_server::IngestService;
use api::proto::write_stream_response::Outcome;
use api::proto::{RefusedRecord, WriteRequest, WriteResponse, WriteStreamResponse};
use futures::{Stream, StreamExt, stream};
use service::write::{
    AskedOptions, Door, Reservation, Source, WriteError, WriteOptions, WriteReceipt, Writer,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tonic::{Request, Response, Status, Streaming};

use super::admission::Held;
use super::status::status;

/// The bytes of one stream that are stored concurrently, and the largest of its messages.
pub(crate) const STREAM_BYTES: usize = 16 << 20;
/// The requests of one stream that are stored concurrently.
const STREAM_REQUESTS: usize = 1_024;
/// The most refusals that are reported with their reasons: most clients accept messages up to 4 MiB.
const REASONS: usize = 1_000;

/// Stores events from gRPC.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    writer: Writer,
    stopping: watch::Receiver<bool>,
}

impl Service {
    /// A service over `writer`. When `stopping` becomes true, streams end after the messages that they have read.
    pub(crate) fn new(writer: Writer, stopping: watch::Receiver<bool>) -> Self {
        Self { writer, stopping }
    }
}

#[tonic::async_trait]
impl IngestService for Service {
    async fn write(
        &self,
        request: Request<WriteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let written = async {
            let held = Held::of(&extensions)?;
            let sender = held.sender;
            let held = held.message(request.ndjson.len()).await?;
            write(&self.writer, sender, request, held).await
        };
        let written = written.await;
        self.writer.count(Door::Grpc, written.as_ref());
        let written = written.map(response);
        written.map(Response::new).map_err(|error| status(&error))
    }

    type WriteStreamStream =
        Pin<Box<dyn Stream<Item = Result<WriteStreamResponse, Status>> + Send>>;

    async fn write_stream(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        let (_, extensions, requests) = request.into_parts();
        let queue = Queue {
            writer: self.writer.clone(),
            held: Held::of(&extensions).map_err(|error| status(&error))?,
            place: Arc::new(Semaphore::new(STREAM_BYTES)),
            last_numbered: None,
            read: 0,
        };
        let start = Some((requests, self.stopping.clone(), queue));
        // Requests are read one after the other, and only when there is room. Nothing is read after a failure of the
        // stream itself.
        let admitted = stream::unfold(start, |reading| async move {
            let (mut requests, mut stopping, mut queue) = reading?;
            let item = tokio::select! {
                biased;
                _ = stopping.wait_for(|is_stopping| *is_stopping) => {
                    return Some((Err(status(&WriteError::stopping())), None));
                }
                item = requests.next() => item?,
            };
            let admitted = match item {
                Ok(request) => queue.admit(request).await,
                Err(status) => Err(status),
            };
            let reading = admitted.is_ok().then_some((requests, stopping, queue));
            Some((admitted, reading))
        });
        let answers = admitted.map(|admitted| async { Ok(admitted?.answer().await) });
        Ok(Response::new(Box::pin(answers.buffered(STREAM_REQUESTS))))
    }
}

/// The requests of a stream, in their order.
struct Queue {
    writer: Writer,
    /// The memory of the message that is being read.
    held: Held,
    place: Arc<Semaphore>,
    /// Resolves when the previous numbered batch is done.
    last_numbered: Option<oneshot::Receiver<()>>,
    read: u64,
}

/// A request with its permits.
struct Admitted {
    writer: Writer,
    request: WriteRequest,
    sender: Option<IpAddr>,
    /// Its memory.
    held: Result<Reservation, WriteError>,
    index: u64,
    _place: OwnedSemaphorePermit,
    /// For a numbered batch: the signal of the previous batch, and its own signal.
    turn: Option<(Option<oneshot::Receiver<()>>, oneshot::Sender<()>)>,
}

impl Queue {
    async fn admit(&mut self, request: WriteRequest) -> Result<Admitted, Status> {
        let bytes = request.ndjson.len();
        let held = self.held.message(bytes).await;
        let place = admit(self.place.clone(), bytes).await?;
        let turn = (request.number > 0).then(|| {
            let (done, waiting) = oneshot::channel();
            (self.last_numbered.replace(waiting), done)
        });
        let index = self.read;
        self.read += 1;
        Ok(Admitted {
            writer: self.writer.clone(),
            request,
            sender: self.held.sender,
            held,
            index,
            _place: place,
            turn,
        })
    }
}

impl Admitted {
    async fn answer(self) -> WriteStreamResponse {
        // Numbered batches in another order would look like a gap.
        let done = match self.turn {
            None => None,
            Some((before, done)) => {
                if let Some(before) = before {
                    // Independent of the outcome: the store knows the next number.
                    let _ = before.await;
                }
                Some(done)
            }
        };
        let written = match self.held {
            Ok(held) => write(&self.writer, self.sender, self.request, held).await,
            Err(error) => Err(error),
        };
        self.writer.count(Door::Grpc, written.as_ref());
        drop(done);
        WriteStreamResponse {
            request: self.index,
            outcome: Some(match written {
                Ok(receipt) => Outcome::Written(response(receipt)),
                Err(error) => Outcome::Error(error.public().into_info()),
            }),
        }
    }
}

/// Waits for room among the requests of the stream. A request that exceeds all of it takes all of it.
async fn admit(place: Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
    let bytes = u32::try_from(bytes.clamp(1, STREAM_BYTES)).unwrap_or(u32::MAX);
    let admitted = place.acquire_many_owned(bytes).await;
    admitted.map_err(|error| status(&WriteError::Defect(error.to_string())))
}

async fn write(
    writer: &Writer,
    sender: Option<IpAddr>,
    request: WriteRequest,
    held: Reservation,
) -> Result<WriteReceipt, WriteError> {
    let options = options(writer, &request)?;
    let ndjson = request.ndjson;
    let source = Source {
        door: Door::Grpc,
        sender,
    };
    writer
        .write(source, options, held, move |decoder, workspace| {
            decoder.take_lines(&ndjson, workspace)
        })
        .await
}

fn options(writer: &Writer, request: &WriteRequest) -> Result<WriteOptions, WriteError> {
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
    Ok(options)
}

fn response(receipt: WriteReceipt) -> WriteResponse {
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
