//! An answer as columns: what functions over series take and return, and what is streamed as batches.

use std::ops::Range;
use std::sync::Arc;

use api::{Answer, Series, Summary};
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::DataType;
use plan::{SeriesSchema, Type};
use serde_json::Value;

use crate::cells::Cells;
use crate::charge::Charge;
use crate::error::EngineError;
use crate::stream::StreamColumns;

/// An answer whose series are columns.
#[derive(Debug)]
pub(crate) struct SeriesAnswer {
    /// The series.
    pub(crate) batch: SeriesBatch,
    /// What is known of the answer as a whole.
    pub(crate) summary: Summary,
    /// What the rows of its queries are charged to.
    pub(crate) charge: Option<Arc<Charge>>,
}

impl SeriesAnswer {
    /// The answer with series of values.
    pub(crate) fn into_answer(self) -> Result<Answer, EngineError> {
        let series = self.batch.series()?;
        Ok(Answer::new(series, self.summary).with_reservation(self.charge))
    }
}

/// Series one after the other, the rows of all in the same columns.
#[derive(Debug, Clone)]
pub(crate) struct SeriesBatch {
    /// The name of every series.
    pub(crate) name: Option<String>,
    /// The columns. Keys are texts.
    pub(crate) schema: SeriesSchema,
    /// The tags of each series.
    pub(crate) tags: Vec<Tags>,
    /// The index after the last row of each series.
    pub(crate) ends: Vec<usize>,
    /// The time of each row, in Unix milliseconds.
    pub(crate) times: Int64Array,
    /// The columns after the time, in the types that leave the engine.
    pub(crate) columns: Vec<ArrayRef>,
}

/// The values of the keys of a series.
pub(crate) type Tags = Vec<Option<String>>;

impl SeriesBatch {
    /// One series without keys, whose columns are texts; none without a row.
    pub(crate) fn of_texts(name: &str, schema: SeriesSchema, rows: &[Vec<String>]) -> Self {
        let column = |index: usize| {
            let texts = rows.iter().map(|row| row.get(index).map(String::as_str));
            Arc::new(texts.collect::<StringArray>()) as ArrayRef
        };
        let is_empty = rows.is_empty();
        Self {
            name: Some(name.to_owned()),
            tags: if is_empty {
                Vec::new()
            } else {
                vec![Vec::new()]
            },
            ends: if is_empty {
                Vec::new()
            } else {
                vec![rows.len()]
            },
            times: Int64Array::new_null(rows.len()),
            columns: (0..schema.columns.len()).map(column).collect(),
            schema,
        }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    /// The rows of each series.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        (0..self.ends.len()).map(|index| self.range(index))
    }

    /// The rows of one series.
    pub(crate) fn range(&self, index: usize) -> Range<usize> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[index]
    }

    /// The tag of each row that is the value of a key.
    pub(crate) fn key(&self, key: usize) -> ArrayRef {
        let tags = self.tags.iter().zip(self.ranges());
        let tags = tags.flat_map(|(tags, rows)| rows.map(move |_| tags[key].as_deref()));
        Arc::new(tags.collect::<StringArray>())
    }

    /// The time of a row.
    pub(crate) fn time(&self, row: usize) -> Option<i64> {
        self.times.is_valid(row).then(|| self.times.value(row))
    }

    /// Rows of a series, oldest first; those without a time before all others.
    pub(crate) fn oldest_first(&self, rows: Range<usize>) -> Vec<usize> {
        // Answers are newest first, and where times are equal so is the order between them.
        let mut rows: Vec<usize> = rows.rev().collect();
        rows.sort_by_key(|row| self.time(*row));
        rows
    }

    /// Some series, each with some of its rows. Series without a row are left out.
    pub(crate) fn take(&self, series: &[(usize, Vec<usize>)]) -> Result<Self, EngineError> {
        let kept = || series.iter().filter(|(_, rows)| !rows.is_empty());
        let rows = kept().flat_map(|(_, rows)| rows.iter().map(|row| *row as u64));
        let rows: UInt64Array = rows.collect();
        let columns = self.columns.iter().map(|column| take(column, &rows, None));
        let columns: Result<Vec<ArrayRef>, _> = columns.collect();
        let times: ArrayRef = Arc::new(self.times.clone());
        let times = take(&times, &rows, None)?;
        Ok(Self {
            name: self.name.clone(),
            schema: self.schema.clone(),
            tags: kept().map(|(index, _)| self.tags[*index].clone()).collect(),
            ends: ends(kept().map(|(_, rows)| rows.len())),
            times: Int64Array::from(times.to_data()),
            columns: columns?,
        })
    }

    /// The series as values.
    fn series(&self) -> Result<Vec<Series>, EngineError> {
        let types = self
            .schema
            .columns
            .iter()
            .map(|(_, value_type)| *value_type);
        let cells = self.columns.iter().zip(types);
        let cells = cells.map(|(column, value_type)| Cells::new(column, value_type));
        let cells: Vec<Cells> = cells.collect::<Result<_, _>>()?;
        let names = self.schema.columns.iter().map(|(name, _)| name.clone());
        let names: Vec<String> = std::iter::once("time".to_owned()).chain(names).collect();
        let row = |row: usize| {
            let time = self.time(row).map_or(Value::Null, Value::from);
            let values = cells.iter().map(|cells| cells.value(row));
            std::iter::once(time).chain(values).collect()
        };
        let series = self
            .tags
            .iter()
            .zip(self.ranges())
            .map(|(tags, rows)| Series {
                name: self.name.clone(),
                tags: self
                    .schema
                    .keys
                    .iter()
                    .zip(tags)
                    .map(|((name, _), tag)| {
                        (name.clone(), tag.clone().map_or(Value::Null, Value::from))
                    })
                    .collect(),
                columns: names.clone(),
                values: rows.map(row).collect(),
            });
        Ok(series.collect())
    }

    /// The rows of a stream, at most so many in a batch.
    pub(crate) fn batches(&self, batch_rows: usize) -> Result<Vec<RecordBatch>, EngineError> {
        let columns = StreamColumns::new(&self.schema);
        let keys = (0..self.schema.keys.len()).map(|key| self.key(key));
        let times: ArrayRef = Arc::new(self.times.clone());
        let arrays: Vec<ArrayRef> = keys
            .chain([times])
            .chain(self.columns.iter().cloned())
            .collect();
        let all = columns.batch(&arrays)?;
        let starts = (0..all.num_rows()).step_by(batch_rows.max(1));
        let batch = |start| all.slice(start, batch_rows.min(all.num_rows() - start));
        Ok(starts.map(batch).collect())
    }
}

/// The index after the last row of each series, of how many rows each has.
pub(crate) fn ends(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let end = |sum: &mut usize, length: usize| {
        *sum += length;
        Some(*sum)
    };
    lengths.scan(0, end).collect()
}

/// Collects the rows of an answer, whose groups follow each other, as a batch.
#[derive(Debug)]
pub(crate) struct SeriesBatchBuilder {
    name: Option<String>,
    /// With the types of the keys of the query.
    schema: SeriesSchema,
    tags: Vec<Tags>,
    ends: Vec<usize>,
    /// The keys of the last series: `1` and `"1"` are the same tag and two groups.
    last_keys: Option<Vec<Value>>,
    /// The time and the columns, batch by batch.
    parts: Vec<Vec<ArrayRef>>,
    rows: usize,
    charge: Charge,
}

impl SeriesBatchBuilder {
    /// For the rows of a query with these columns.
    pub(crate) fn new(name: Option<String>, schema: SeriesSchema, charge: Charge) -> Self {
        Self {
            name,
            schema,
            tags: Vec::new(),
            ends: Vec::new(),
            last_keys: None,
            parts: Vec::new(),
            rows: 0,
            charge,
        }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// The answer becomes too large, or the memory pool has no room for it.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let (keys, values) = batch.columns().split_at(self.schema.keys.len());
        let types = self
            .schema
            .columns
            .iter()
            .map(|(_, value_type)| *value_type);
        let types = std::iter::once(Type::Int).chain(types);
        let columns = values.iter().zip(types);
        let columns = columns.map(|(column, value_type)| cast(column, &value_type.exported()));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let text_bytes = columns.iter().map(text_bytes).sum();
        self.charge
            .values(batch.num_rows() * columns.len(), text_bytes)?;
        self.parts.push(columns);
        let keys = keys.iter().zip(&self.schema.keys);
        let keys = keys.map(|(column, (_, value_type))| Cells::new(column, *value_type));
        let keys: Vec<Cells> = keys.collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let keys: Vec<Value> = keys.iter().map(|key| key.value(row)).collect();
            self.rows += 1;
            match self.ends.last_mut() {
                Some(end) if self.last_keys.as_ref() == Some(&keys) => *end = self.rows,
                _ => self.begin(keys)?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, keys: Vec<Value>) -> Result<(), EngineError> {
        let tags: Tags = keys.iter().map(text_of_tag).collect();
        let names = self.schema.keys.iter().chain(&self.schema.columns);
        let texts = names.map(|(name, _)| name.len());
        let texts = texts.chain(tags.iter().map(|tag| tag.as_ref().map_or(0, String::len)));
        self.charge.series(texts.sum())?;
        self.tags.push(tags);
        self.ends.push(self.rows);
        self.last_keys = Some(keys);
        Ok(())
    }

    /// The series, and what they are charged to.
    ///
    /// # Errors
    /// The texts of a column have more bytes than an array can have.
    pub(crate) fn finish(self) -> Result<(SeriesBatch, Charge), EngineError> {
        let column = |index: usize, value_type: Type| {
            let parts: Vec<&dyn Array> =
                self.parts.iter().map(|part| part[index].as_ref()).collect();
            match parts.is_empty() {
                true => Ok(arrow::array::new_empty_array(&value_type.exported())),
                false => concat(&parts),
            }
        };
        let times = column(0, Type::Int)?;
        let columns = self.schema.columns.iter().enumerate();
        let columns = columns.map(|(index, (_, value_type))| column(index + 1, *value_type));
        let columns: Result<Vec<ArrayRef>, _> = columns.collect();
        let batch = SeriesBatch {
            times: Int64Array::from(times.to_data()),
            columns: columns?,
            name: self.name,
            schema: self.schema.with_text_keys(),
            tags: self.tags,
            ends: self.ends,
        };
        Ok((batch, self.charge))
    }
}

/// The bytes of the texts of a column.
fn text_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8 => arrow::array::AsArray::as_string::<i32>(column)
            .value_data()
            .len(),
        _ => 0,
    }
}

/// The text of a key; tags are text in every answer, null where the events lack the key.
pub(crate) fn text_of_tag(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
