//! Rows into series: one a group, in the order in which the plan gives them.

use api::Series;
use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use plan::{Lowered, Type};
use serde_json::Value;

use crate::cells::Cells;
use crate::charge::Charge;
use crate::error::EngineError;
use crate::series_batch::text_of_tag;

/// Builds series from batches of rows, whose groups lie together.
#[derive(Debug)]
pub(crate) struct SeriesBuilder {
    name: Option<String>,
    keys: Vec<(String, Type)>,
    columns: Vec<(String, Type)>,
    series: Vec<Series>,
    /// The keys of the last series: `1` and `"1"` are the same tag and two groups.
    last_keys: Option<Vec<Value>>,
    charge: Charge,
}

impl SeriesBuilder {
    /// For the rows of a lowered query; `name` is that of every series.
    pub(crate) fn new(name: Option<String>, lowered: &Lowered, charge: Charge) -> Self {
        Self {
            name,
            keys: lowered.keys.clone(),
            columns: lowered.columns.clone(),
            series: Vec::new(),
            last_keys: None,
            charge,
        }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// The answer becomes too large, or the memory pool has no room for it.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let (keys, values) = batch.columns().split_at(self.keys.len());
        let keys = self.cells(keys, |index| self.keys[index].1)?;
        let values = self.cells(values, |index| match index {
            0 => Type::Int,
            _ => self.columns[index - 1].1,
        })?;
        for row in 0..batch.num_rows() {
            let text_bytes = values.iter().map(|cell| cell.text_bytes(row)).sum();
            self.charge.values(values.len(), text_bytes)?;
            let keys = keys.iter().map(|key| key.value(row)).collect();
            let values = values.iter().map(|cell| cell.value(row)).collect();
            self.series_of(keys)?.values.push(values);
        }
        Ok(())
    }

    /// The series, and what they are charged to.
    pub(crate) fn finish(self) -> (Vec<Series>, Charge) {
        (self.series, self.charge)
    }

    fn cells(
        &self,
        columns: &[ArrayRef],
        value_type: impl Fn(usize) -> Type,
    ) -> Result<Vec<Cells>> {
        columns
            .iter()
            .enumerate()
            .map(|(index, column)| Cells::new(column, value_type(index)))
            .collect()
    }

    fn series_of(&mut self, keys: Vec<Value>) -> Result<&mut Series, EngineError> {
        if self.last_keys.as_ref() != Some(&keys) {
            let tags = keys.iter().map(text_of_tag);
            let tags = tags.map(|tag| tag.map_or(Value::Null, Value::from));
            let names = self.keys.iter().map(|(name, _)| name.clone());
            let columns = self.columns.iter().map(|(name, _)| name.clone());
            let series = Series {
                name: self.name.clone(),
                tags: names.zip(tags).collect(),
                columns: std::iter::once("time".to_owned()).chain(columns).collect(),
                values: Vec::new(),
            };
            let names = series.columns.iter().map(String::len);
            let tags = series.tags.iter();
            let tags = tags.map(|(name, tag)| name.len() + tag.as_str().map_or(0, str::len));
            self.charge.series(names.chain(tags).sum())?;
            self.series.push(series);
            self.last_keys = Some(keys);
        }
        let last = self.series.len() - 1;
        Ok(&mut self.series[last])
    }
}
