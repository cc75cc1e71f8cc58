//! OTLP logs: records of collectors, as the OpenTelemetry protocol sends them.
//!
//! | module | is |
//! |---|---|
//! | `record` | a log record as the JSON object that an event is made of |
//! | `json` | the JSON form of a request |
//! | `extent` | the memory of a request, before it is decoded |
//! | `grpc`, `http` | the two transports |

pub(super) mod extent;
pub(crate) mod grpc;
pub(crate) mod http;
mod json;
mod record;

use std::collections::BTreeSet;

use api::proto::otlp::{ExportLogsPartialSuccess, ExportLogsServiceRequest};
use prost::Message;
use service::write::{
    Reservation, Source, WriteError, WriteOptions, WriteReceipt, Writer, workspace,
};

/// The path of OTLP over HTTP.
pub(crate) const PATH: &str = "/v1/logs";

/// The header, or metadata, with the workspace of records that name none.
const WORKSPACE_HEADER: &str = "x-vouch-workspace";

/// The most refusals that are reported with their reasons.
const REASONS: usize = 5;

/// Stores log records.
async fn export(
    writer: &Writer,
    source: Source,
    workspace_header: Option<&str>,
    request: ExportLogsServiceRequest,
    held: Reservation,
) -> Result<WriteReceipt, WriteError> {
    let mapping = writer.otlp_mapping().cloned();
    let is_mapped = mapping.is_some();
    let options = WriteOptions {
        workspace: workspace_header.map(workspace).transpose()?,
        mapping,
        ..WriteOptions::default()
    };
    writer
        .write(source, options, held, move |decoder, given| {
            for resource_logs in &request.resource_logs {
                let resource = record::Origin::of(resource_logs.resource.as_ref());
                for scope_logs in &resource_logs.scope_logs {
                    let origin = resource.with_scope(scope_logs.scope.as_ref());
                    for record in &scope_logs.log_records {
                        let size_bytes = origin.size_bytes + record.encoded_len();
                        let workspace = match origin.workspace(record, given) {
                            Ok(workspace) => workspace,
                            Err(rejection) => {
                                decoder.take(size_bytes, None, || Err(rejection))?;
                                continue;
                            }
                        };
                        decoder.take(size_bytes, workspace.as_ref(), || {
                            if is_mapped {
                                record::original(record, &origin)
                            } else {
                                record::event(record, &origin)
                            }
                        })?;
                    }
                }
            }
            Ok(())
        })
        .await
}

/// The report about refused records; `None` when there are none.
fn partial_success(receipt: &WriteReceipt) -> Option<ExportLogsPartialSuccess> {
    let records: BTreeSet<usize> = receipt
        .refused
        .iter()
        .map(|refused| refused.index)
        .collect();
    if records.is_empty() {
        return None;
    }
    let reasons: Vec<String> = receipt
        .refused
        .iter()
        .take(REASONS)
        .map(|refused| {
            let rejection = &refused.rejection;
            format!(
                "record {}: {}: {}",
                refused.index, rejection.code, rejection.message
            )
        })
        .collect();
    let mut error_message = reasons.join("; ");
    if receipt.refused.len() > REASONS {
        let more = receipt.refused.len() - REASONS;
        error_message.push_str(&format!("; and {more} more"));
    }
    Some(ExportLogsPartialSuccess {
        rejected_log_records: i64::try_from(records.len()).unwrap_or(i64::MAX),
        error_message,
    })
}
