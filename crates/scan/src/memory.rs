//! Charges the batches of a scan to the memory pool while the operator above works on them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

/// A reservation for the last batch of a scan.
pub(crate) fn reservation(context: &TaskContext) -> MemoryReservation {
    MemoryConsumer::new("scan of events").register(context.memory_pool())
}

/// The same batches, each charged until the next one is requested.
pub(crate) fn charged(
    batches: SendableRecordBatchStream,
    context: &TaskContext,
) -> SendableRecordBatchStream {
    let reservation = reservation(context);
    let schema = batches.schema();
    let batches = batches.and_then(move |batch| {
        let bytes = batch.columns().iter().map(column_bytes).sum();
        std::future::ready(reservation.try_resize(bytes).map(|()| batch))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// The bytes of the values of a column. Of buffers that it shares with other batches, only the used parts count.
pub fn column_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => {
            let views = column.as_string_view().views();
            // The lower half of a view is the length of its text.
            let texts = views.iter().map(|view| (*view as u32) as usize);
            size_of_val(&views[..]) + texts.sum::<usize>()
        }
        _ => {
            let data = column.to_data();
            let bytes = data.get_slice_memory_size();
            bytes.unwrap_or_else(|_| column.get_array_memory_size())
        }
    }
}

/// Charges a column of the batch under construction; `first` starts a new batch.
///
/// # Errors
/// When the pool has no room for it.
pub(crate) fn charge_column(
    reservation: &MemoryReservation,
    column: &ArrayRef,
    first: bool,
) -> Result<()> {
    match first {
        true => reservation.try_resize(column_bytes(column)),
        false => reservation.try_grow(column_bytes(column)),
    }
}
