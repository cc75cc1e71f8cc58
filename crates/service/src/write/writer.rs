//! Stores the request of any door.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use api::ErrorCode;
use events::{Mapping, MappingSource, Origin, WorkspaceId};
use store::{BatchNumber, Ingest, WriteBatch};
use tokio::runtime::Handle;

use super::IngestConfig;
use super::budget::{Budget, Reservation};
use super::decode::{Decoded, Decoder, Grow, RefusedRecord};
use super::error::WriteError;
use super::limits::IngestLimits;
use super::quotas::Quotas;
use crate::metrics::Metrics;
use crate::tally::Tally;

/// The longest name of a producer, in bytes.
const MAX_PRODUCER_BYTES: usize = 128;

/// Stores the events of all doors. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    ingest: Ingest,
    config: Arc<IngestConfig>,
    budget: Budget,
    quotas: Arc<Quotas>,
    metrics: Metrics,
    log: Tally,
}

/// The doors, by their names in metrics and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `POST /v1/events`.
    Http,
    /// `IngestService`.
    Grpc,
    /// OTLP over HTTP.
    OtlpHttp,
    /// OTLP over gRPC.
    OtlpGrpc,
}

impl Door {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::OtlpHttp => "otlp_http",
            Self::OtlpGrpc => "otlp_grpc",
        }
    }
}

/// The origin of a request.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The door of the request.
    pub door: Door,
    /// The address of its sender.
    pub sender: Option<IpAddr>,
}

impl Source {
    fn origin(self, mapping: Option<&MappingSource>) -> Origin {
        Origin {
            sender: self.sender.map(|sender| sender.to_string()),
            door: Some(Origin::door(
                self.door.as_str(),
                mapping.map(MappingSource::name),
            )),
            batch: None,
        }
    }
}

/// The options of a request to store events.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The workspace of events that name none.
    pub workspace: Option<WorkspaceId>,
    /// The mapping of the records.
    pub mapping: Option<MappingSource>,
    /// The number of the batch.
    pub number: Option<BatchNumber>,
    /// Whether one refused record refuses the request.
    pub all_or_nothing: bool,
}

/// The same options as texts of a request. Empty texts and 0 mean that the option is absent.
#[derive(Debug, Default)]
pub struct AskedOptions<'a> {
    /// See [`WriteOptions::workspace`].
    pub workspace: &'a str,
    /// The name of the mapping.
    pub mapping: &'a str,
    /// The producer of a numbered batch.
    pub producer: &'a str,
    /// The number of the batch.
    pub number: u64,
    /// See [`WriteOptions::all_or_nothing`].
    pub all_or_nothing: bool,
}

/// The result of a write.
#[derive(Debug)]
pub struct WriteReceipt {
    /// The number of durable events.
    pub accepted: u64,
    /// The refused records and events, in the order of the records.
    pub refused: Vec<RefusedRecord>,
    /// The token of the write; empty when nothing was stored.
    pub token: String,
}

impl Writer {
    /// A writer to `ingest`.
    pub(crate) fn new(ingest: Ingest, config: IngestConfig, metrics: Metrics) -> Self {
        let IngestLimits {
            waiting_bytes,
            decompressed_bytes,
            ..
        } = config.limits;
        Self {
            budget: Budget::new(waiting_bytes, decompressed_bytes),
            quotas: Arc::new(Quotas::new(ingest.store().clone(), config.quotas)),
            ingest,
            config: Arc::new(config),
            metrics,
            log: Tally::new(|(door, code), count| {
                tracing::warn!(door, code, count, "records or requests were refused");
            }),
        }
    }

    /// Counts the result of a request, and logs refusals, because some senders do not report them.
    pub fn count(&self, door: Door, outcome: Result<&WriteReceipt, &WriteError>) {
        let door = door.as_str();
        match outcome {
            Ok(receipt) => {
                self.metrics.accepted(door, receipt.accepted);
                let mut by_code: BTreeMap<&'static str, u64> = BTreeMap::new();
                for refused in &receipt.refused {
                    *by_code.entry(refused.rejection.code.as_str()).or_default() += 1;
                }
                for (code, count) in by_code {
                    self.metrics.refused_events(door, code, count);
                    self.log.add((door, code), count);
                }
            }
            Err(error) => self.refused(door, error.code()),
        }
    }

    /// Counts a request that was refused with `code` before its door read it.
    pub fn count_refusal(&self, door: Door, code: ErrorCode) {
        self.refused(door.as_str(), code);
    }

    fn refused(&self, door: &'static str, code: ErrorCode) {
        let code = code.as_str();
        self.metrics.refused_request(door, code);
        self.log.add((door, code), 1);
    }

    /// The limits of the doors.
    pub fn limits(&self) -> &IngestLimits {
        &self.config.limits
    }

    /// The memory that requests share.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The mapping for log records.
    pub fn otlp_mapping(&self) -> Option<&MappingSource> {
        self.config.otlp_mapping.as_ref()
    }

    /// Parses the texts of a request.
    ///
    /// # Errors
    /// [`WriteError::Request`] or [`WriteError::UnknownMapping`].
    pub fn options(&self, asked: &AskedOptions<'_>) -> Result<WriteOptions, WriteError> {
        let workspace = match asked.workspace {
            "" => None,
            id => Some(workspace(id)?),
        };
        Ok(WriteOptions {
            number: number(asked, workspace.as_ref())?,
            workspace,
            mapping: self.mapping(asked.mapping)?,
            all_or_nothing: asked.all_or_nothing,
        })
    }

    fn mapping(&self, name: &str) -> Result<Option<MappingSource>, WriteError> {
        if name.is_empty() {
            return Ok(None);
        }
        let mut given = self.config.mappings.iter();
        let found = given.find(|mapping| mapping.name() == name).cloned();
        match found.map_or_else(|| MappingSource::shipped(name), Ok) {
            Ok(mapping) => Ok(Some(mapping)),
            Err(_) => {
                let shipped = Mapping::shipped_names();
                let given = self.config.mappings.iter().map(MappingSource::name);
                let known: Vec<String> = shipped
                    .map(str::to_owned)
                    .chain(given.map(str::to_owned))
                    .collect();
                Err(WriteError::UnknownMapping {
                    name: name.to_owned(),
                    known: known.join(", "),
                })
            }
        }
    }

    /// Stores the records that `take` passes to the decoder, and returns when they are durable. They are stored even
    /// when the caller leaves meanwhile. `held` is the memory of the request.
    ///
    /// # Errors
    /// When the records cannot be decoded, or the store fails. No event is acknowledged then.
    pub async fn write(
        &self,
        source: Source,
        options: WriteOptions,
        held: Reservation,
        take: impl FnOnce(&mut Decoder<'_>, Option<&WorkspaceId>) -> Result<(), WriteError>
        + Send
        + 'static,
    ) -> Result<WriteReceipt, WriteError> {
        let (config, ingest) = (self.config.clone(), self.ingest.clone());
        let (quotas, metrics) = (self.quotas.clone(), self.metrics.clone());
        let runtime = Handle::current();
        let storing = tokio::spawn(async move {
            let mut held = held;
            let begun = Instant::now();
            let mut turn = held.turn().await;
            let decoding = tokio::task::spawn_blocking(move || {
                let mut grow = |bytes| {
                    drop(turn.take());
                    runtime.block_on(async {
                        held.grow_to(bytes).await?;
                        turn = held.turn().await;
                        Ok(())
                    })
                };
                let decoded = decode(&options, &config.limits, &mut grow, take);
                (options, decoded, held)
            });
            let (options, decoded, held) = decoding
                .await
                .map_err(|error| WriteError::Defect(error.to_string()))?;
            let mut decoded = decoded?;
            let producer = quotas.admit(&mut decoded, options.number.as_ref()).await?;
            let receipt = store(&ingest, source, options, decoded).await;
            if receipt.is_ok() {
                metrics.write(begun.elapsed());
                if let Some(producer) = producer {
                    producer.stored();
                }
            }
            drop(held);
            receipt
        });
        storing
            .await
            .map_err(|error| WriteError::Defect(error.to_string()))?
    }
}

async fn store(
    ingest: &Ingest,
    source: Source,
    options: WriteOptions,
    decoded: Decoded,
) -> Result<WriteReceipt, WriteError> {
    let Decoded {
        events,
        record_of,
        mut refused,
    } = decoded;
    let is_void = options.all_or_nothing && !refused.is_empty();
    // An empty numbered batch is still a batch: the next number follows it.
    if is_void || (events.is_empty() && options.number.is_none()) {
        return Ok(WriteReceipt {
            accepted: 0,
            refused,
            token: String::new(),
        });
    }
    let written = ingest
        .write(WriteBatch {
            events,
            origin: source.origin(options.mapping.as_ref()),
            number: options.number,
            all_or_nothing: options.all_or_nothing,
        })
        .await?;
    let accepted = if options.all_or_nothing && !written.refused.is_empty() {
        0
    } else {
        record_of.len().saturating_sub(written.refused.len())
    };
    refused.extend(written.refused.into_iter().map(|event| RefusedRecord {
        index: record_of.get(event.index).copied().unwrap_or(event.index),
        rejection: event.rejection,
    }));
    refused.sort_by_key(|refused| refused.index);
    let token = written.token.map(|token| token.to_string());
    Ok(WriteReceipt {
        accepted: accepted as u64,
        refused,
        token: token.unwrap_or_default(),
    })
}

/// Parses the name of a workspace.
///
/// # Errors
/// [`WriteError::Request`] when the name is invalid.
pub fn workspace(id: &str) -> Result<WorkspaceId, WriteError> {
    id.parse()
        .map_err(|error| WriteError::Request(format!("{error}")))
}

fn decode(
    options: &WriteOptions,
    limits: &IngestLimits,
    grow: &mut Grow<'_>,
    take: impl FnOnce(&mut Decoder<'_>, Option<&WorkspaceId>) -> Result<(), WriteError>,
) -> Result<Decoded, WriteError> {
    let (mapping, number) = (options.mapping.as_ref(), options.number.as_ref());
    let mut decoder = Decoder::new(mapping, number, limits, grow)?;
    take(&mut decoder, options.workspace.as_ref())?;
    decoder.finish()
}

fn number(
    asked: &AskedOptions<'_>,
    workspace: Option<&WorkspaceId>,
) -> Result<Option<BatchNumber>, WriteError> {
    let wrong = |reason: &str| Err(WriteError::Request(reason.to_owned()));
    match (asked.producer, asked.number, workspace) {
        ("", 0, _) => Ok(None),
        ("", ..) => wrong(
            "`number` is given without `producer`; name the producer that numbers its batches",
        ),
        (_, 0, _) => {
            wrong("`producer` is given without `number`; number its batches from 1, without gaps")
        }
        (_, _, None) => {
            wrong("a numbered batch needs `workspace`: batches are numbered for each workspace")
        }
        (producer, ..) if producer.len() > MAX_PRODUCER_BYTES => {
            wrong("the name of a producer has at most 128 bytes")
        }
        (producer, number, Some(workspace)) => Ok(Some(BatchNumber {
            producer: producer.to_owned(),
            workspace: workspace.clone(),
            number,
        })),
    }
}
