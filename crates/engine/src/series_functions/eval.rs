//! `eval`: arithmetic between the series of several queries.
//!
//! Points are paired by their tags and their time. A query with fewer keys pairs with every group of the others that has
//! the same values of these, and one row without a time with every time. A point without a partner in each of the
//! queries that the expression reads has no result.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use dql::{Code, Diagnostic, Severity};
use plan::{Eval, SeriesSchema, Type, number_column};

use super::Evaluation;
use super::numbers::Numbers;
use crate::error::EngineError;
use crate::series_batch::{SeriesBatch, Tags, ends};

/// The series of an expression over the answers of its queries.
pub(super) async fn eval(
    evaluation: &Evaluation<'_>,
    eval: &Eval,
    operands: &[SeriesBatch],
) -> Result<SeriesBatch, EngineError> {
    // The query with the most keys decides the groups of the result, and that with the most points the times, because a
    // value without a time pairs with all of them.
    let points = |batch: &SeriesBatch| {
        let series = 0..batch.ends.len();
        series.filter(|index| !is_timeless(batch, *index)).count()
    };
    let widest = operands.iter();
    let widest = widest.max_by_key(|batch| (batch.schema.keys.len(), points(batch)));
    let Some(widest) = widest else {
        return Ok(SeriesBatch::of_texts(
            "",
            SeriesSchema {
                keys: Vec::new(),
                columns: Vec::new(),
            },
            &[],
        ));
    };
    let groups: Vec<Groups<'_>> = operands.iter().map(Groups::new).collect();
    let inputs = Inputs::new(eval, operands)?;
    let mut pairs = Pairs {
        columns: vec![Vec::new(); eval.inputs.len()],
        times: Vec::new(),
    };
    let (mut tags, mut lengths): (Vec<Tags>, Vec<usize>) = (Vec::new(), Vec::new());
    for index in 0..widest.ends.len() {
        let before = pairs.times.len();
        let partners = groups.iter().map(|groups| groups.partner(widest, index));
        let partners: Vec<Option<Partner<'_>>> = partners.collect();
        pairs.add_series(&inputs, &partners, (widest, index)).await;
        if pairs.times.len() > before {
            tags.push(widest.tags[index].clone());
            lengths.push(pairs.times.len() - before);
        }
    }
    let rows = pairs.times.len();
    let columns = pairs.columns.into_iter().enumerate();
    let columns = columns.map(|(index, numbers)| {
        (
            number_column(index),
            Arc::new(Float64Array::from(numbers)) as ArrayRef,
        )
    });
    let value = evaluation.expression(&eval.value, columns.collect(), rows, Type::Float)?;
    Ok(SeriesBatch {
        name: None,
        schema: SeriesSchema {
            keys: widest.schema.keys.clone(),
            columns: vec![(eval.name.clone(), Type::Float)],
        },
        tags,
        ends: ends(lengths.into_iter()),
        times: pairs.times.into(),
        columns: vec![value],
    })
}

/// The warning that rows of the answer called `letter` share the time of another in their series, so that only one of
/// them can be computed with.
pub(super) fn shared_times(batch: &SeriesBatch, letter: &str) -> Option<Diagnostic> {
    let shared = |rows: std::ops::Range<usize>| {
        let times: BTreeSet<Option<i64>> = rows.clone().map(|row| batch.time(row)).collect();
        rows.len() - times.len()
    };
    let count: usize = batch.ranges().map(shared).sum();
    let message = format!(
        "rows of `{letter}` share the time of another, and one of each time is computed with: {count} were not"
    );
    let warning = Diagnostic::new(Severity::Warning, Code::SharedTime, message, None);
    let hint = "summarise them by an aggregate with a step: `[1d::1h]`";
    (count > 0).then(|| warning.with_hint(hint))
}

/// Whether a series is one row that summarises a whole window.
fn is_timeless(batch: &SeriesBatch, index: usize) -> bool {
    let rows = batch.range(index);
    rows.len() == 1 && batch.time(rows.start).is_none()
}

/// The numbers that the expression reads, by the index of the input.
struct Inputs<'e> {
    eval: &'e Eval,
    numbers: Vec<Numbers>,
}

impl<'e> Inputs<'e> {
    fn new(eval: &'e Eval, operands: &[SeriesBatch]) -> Result<Self, EngineError> {
        let numbers = eval.inputs.iter().map(|(operand, column)| {
            let batch = &operands[*operand];
            let value_type = batch.schema.columns[*column].1;
            Ok(Numbers::of_column(&batch.columns[*column], value_type)?.0)
        });
        Ok(Self {
            eval,
            numbers: numbers.collect::<Result<_, EngineError>>()?,
        })
    }
}

/// The points that have partners in all queries.
struct Pairs {
    /// The numbers of each input.
    columns: Vec<Vec<Option<f64>>>,
    times: Vec<Option<i64>>,
}

impl Pairs {
    /// Adds the points of a series of the widest answer.
    async fn add_series(
        &mut self,
        inputs: &Inputs<'_>,
        partners: &[Option<Partner<'_>>],
        (widest, index): (&SeriesBatch, usize),
    ) {
        let timed = partners
            .iter()
            .flatten()
            .find(|partner| !partner.is_timeless);
        let (batch, index) = match (is_timeless(widest, index), timed) {
            (true, Some(partner)) => (partner.batch, partner.index),
            _ => (widest, index),
        };
        let mut seen = BTreeSet::new();
        for row in batch.range(index) {
            // An evaluation that was cancelled ends here.
            tokio::task::consume_budget().await;
            let time = batch.time(row);
            if !seen.insert(time) {
                continue;
            }
            let numbers = inputs.eval.inputs.iter().zip(&inputs.numbers);
            let numbers = numbers.map(|((operand, _), numbers)| {
                let row = partners[*operand].as_ref()?.row(time)?;
                Some(numbers.float(row))
            });
            if let Some(numbers) = numbers.collect::<Option<Vec<Option<f64>>>>() {
                self.times.push(time);
                for (column, number) in self.columns.iter_mut().zip(numbers) {
                    column.push(number);
                }
            }
        }
    }
}

/// The series of an answer by their tags.
struct Groups<'b> {
    batch: &'b SeriesBatch,
    series: HashMap<&'b [Option<String>], usize>,
}

impl<'b> Groups<'b> {
    fn new(batch: &'b SeriesBatch) -> Self {
        let mut series = HashMap::with_capacity(batch.tags.len());
        for (index, tags) in batch.tags.iter().enumerate() {
            // Groups whose keys differ in their types only have the same tags; the first one is the partner.
            series.entry(tags.as_slice()).or_insert(index);
        }
        Self { batch, series }
    }

    /// The series with the same values of the keys that this answer has.
    fn partner(&self, widest: &SeriesBatch, index: usize) -> Option<Partner<'b>> {
        let value = |(name, _): &(String, Type)| {
            let key = widest
                .schema
                .keys
                .iter()
                .position(|(known, _)| known == name)?;
            Some(widest.tags[index][key].clone())
        };
        let tags: Option<Tags> = self.batch.schema.keys.iter().map(value).collect();
        let index = *self.series.get(tags?.as_slice())?;
        let rows = self.batch.range(index);
        Some(Partner {
            batch: self.batch,
            index,
            is_timeless: is_timeless(self.batch, index),
            rows: rows.map(|row| (self.batch.time(row), row)).collect(),
        })
    }
}

/// A series that can be asked for its row at a time.
struct Partner<'b> {
    batch: &'b SeriesBatch,
    index: usize,
    is_timeless: bool,
    rows: BTreeMap<Option<i64>, usize>,
}

impl Partner<'_> {
    /// The row of a time.
    fn row(&self, time: Option<i64>) -> Option<usize> {
        let time = if self.is_timeless { None } else { time };
        self.rows.get(&time).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plan::{BoundStatement, SeriesPlan};

    use super::*;
    use crate::tests::{engine, request, store};

    const QUESTION: &str =
        "eval(A / B, A = \"TAE::audit:(count(*)) BY df_event_id\", B = \"TAE::audit:(count(*))\")";

    /// An evaluation that was cancelled ends while there are more points; otherwise each series has its partner.
    #[tokio::test]
    async fn series_are_paired_until_the_question_is_cancelled() {
        let store = store(1, 300, 0).await;
        let prepared = engine(&store, 1 << 30).prepare(request(QUESTION)).unwrap();
        let (run, BoundStatement::Series(plan)) = prepared.open().await.unwrap() else {
            panic!("a function is called")
        };
        let SeriesPlan::Limit { input, .. } = *plan else {
            panic!("the clauses after the functions are missing")
        };
        let SeriesPlan::Eval(question) = *input else {
            panic!("`eval` is missing")
        };
        let mut operands = Vec::new();
        for (_, plan) in &question.operands {
            operands.push(super::super::answer(&run, plan).await.unwrap().batch);
        }
        let evaluation = Evaluation::new(&run, functions::NoteMetrics::default());
        let cancelled = eval(&evaluation, &question, &operands);
        assert!(
            tokio::time::timeout(Duration::ZERO, cancelled)
                .await
                .is_err()
        );
        let answer = eval(&evaluation, &question, &operands).await.unwrap();
        assert_eq!(answer.schema.keys[0].0, "df_event_id");
        assert_eq!(answer.ends.len(), 300);
        let tags: BTreeSet<&Tags> = answer.tags.iter().collect();
        assert_eq!(tags.len(), 300);
        let shares = Numbers::of_column(&answer.columns[0], Type::Float)
            .unwrap()
            .0;
        assert!((0..answer.rows()).all(|row| shares.float(row) == Some(1.0 / 300.0)));
    }
}
