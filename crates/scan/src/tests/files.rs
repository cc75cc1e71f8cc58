//! The files of a case.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::NaiveDate;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use events::fields::{DATE, DOOR, EVENT_ID, RECEIVED};
use events::{Delivery, Origin};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use store::{Constant, DataFile, Store};

use super::case::{Case, FileCase, NUMBERS, Row, TEXTS, id};

/// The columns of rows, without the missing ones, in the order of the table.
fn columns(file: usize, rows: &[Row], missing: &BTreeSet<&'static str>) -> RecordBatch {
    let schema = events::view_schema();
    let fields = schema.fields().iter();
    let columns = fields.filter_map(|field| {
        let name = field.name().as_str();
        let column: ArrayRef = if name == DATE {
            Arc::new(rows.iter().map(|row| row.date).collect::<Int64Array>())
        } else if name == EVENT_ID {
            let ids = (0..rows.len()).map(|row| Some(id(file, row)));
            Arc::new(ids.collect::<StringArray>())
        } else if let Some(index) = NUMBERS.iter().position(|number| *number == name) {
            let numbers = rows.iter().map(|row| row.numbers[index]);
            Arc::new(numbers.collect::<Int64Array>())
        } else {
            let index = TEXTS.iter().position(|text| *text == name)?;
            let texts = rows.iter().map(|row| row.texts[index]);
            Arc::new(texts.collect::<StringArray>())
        };
        (!missing.contains(name)).then_some((name, column, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn encode(case: &FileCase, batch: &RecordBatch) -> Vec<u8> {
    let statistics = match case.has_page_index {
        true => EnabledStatistics::Page,
        false => EnabledStatistics::Chunk,
    };
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(case.row_group_rows))
        .set_data_page_row_count_limit(case.page_rows)
        .set_write_batch_size(case.page_rows)
        .set_dictionary_enabled(case.has_dictionaries)
        .set_statistics_enabled(statistics)
        .set_column_bloom_filter_enabled(EVENT_ID.into(), true)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Writes the files as the store has them.
pub(super) async fn write(case: &Case, store: &Store) -> Vec<Arc<DataFile>> {
    let mut files = Vec::new();
    for (index, file) in case.files.iter().enumerate() {
        let batch = columns(index, &file.rows, &file.missing);
        let bytes = encode(file, &batch);
        let path = Path::from(format!("workspace=w/day=2026-11-21/{index}.parquet"));
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let rows = batch.num_rows() as u64;
        let mut data_file = DataFile::unproved(path.clone(), day, bytes.len() as u64, rows);
        store.object_store().put(&path, bytes.into()).await.unwrap();
        add_log_entry(file, &mut data_file);
        files.push(Arc::new(data_file));
    }
    files
}

/// What the log says of a file.
fn add_log_entry(case: &FileCase, file: &mut DataFile) {
    if let Some((received_ms, door)) = case.delivery {
        file.received_range_ms = Some((received_ms, received_ms));
        file.delivery = Some(Arc::new(Delivery {
            received_ms: Some(received_ms),
            origin: Origin {
                door: Some(door.to_owned()),
                ..Origin::default()
            },
        }));
    }
    if !case.is_logged {
        return;
    }
    let dates = case.rows.iter().map(|row| row.date);
    file.date_range_ms = dates.clone().min().zip(dates.max());
    let logged = TEXTS.iter().enumerate().filter(|(_, column)| {
        // The log has no statistics of long texts and of doors.
        !case.missing.contains(*column) && !["df_message", DOOR].contains(*column)
    });
    let constants = logged.filter_map(|(index, column)| {
        let mut values = case.rows.iter().map(|row| row.texts[index]);
        let first = values.next()?;
        values.all(|value| value == first).then(|| Constant {
            column,
            text: first.map(Box::from),
        })
    });
    file.constants = constants.collect();
}

/// Events in memory, in all columns of the table.
pub(super) fn recent(case: &Case) -> Vec<RecordBatch> {
    if case.recent.is_empty() {
        return Vec::new();
    }
    let batch = columns(case.files.len(), &case.recent, &BTreeSet::new());
    vec![widened(&batch)]
}

/// A batch in all columns of the table, and in their types.
fn widened(batch: &RecordBatch) -> RecordBatch {
    let schema = events::view_schema();
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name());
        let missing = || arrow::array::new_null_array(field.data_type(), batch.num_rows());
        column.map_or_else(missing, |column| {
            arrow::compute::cast(column, field.data_type()).unwrap()
        })
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

/// The same events as files without anything in a log.
pub(super) fn reference_files(case: &Case) -> Vec<Vec<u8>> {
    let files = case.files.iter().enumerate().map(|(index, file)| {
        let batch = columns(index, &file.rows, &file.missing);
        let batch = match file.delivery {
            Some((received_ms, door)) => with_delivery(&batch, received_ms, door),
            None => batch,
        };
        encode(file, &batch)
    });
    let recent = recent(case).into_iter().map(|batch| {
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    });
    files.chain(recent).collect()
}

fn with_delivery(batch: &RecordBatch, received_ms: i64, door: &str) -> RecordBatch {
    let rows = batch.num_rows();
    let schema = batch.schema();
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    fields.push(Arc::new(Field::new(RECEIVED, DataType::Int64, true)));
    columns.push(Arc::new(Int64Array::from_value(received_ms, rows)));
    fields.push(Arc::new(Field::new(DOOR, DataType::Utf8View, true)));
    let doors = std::iter::repeat_n(Some(door), rows);
    columns.push(Arc::new(doors.collect::<StringViewArray>()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}
