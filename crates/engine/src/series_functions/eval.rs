//! `eval`: arithmetic between the series of several queries.
//!
//! Points are paired by their tags and their time. A query with fewer keys pairs with every group of the others that has
//! the same values of these, and one row without a time with every time. A point without a partner in each of the
//! queries that the expression reads has no result.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use dql::{Code, Diagnostic, Severity};
use plan::{Eval, SeriesSchema, Type, number_column};

use super::Evaluation;
use super::numbers::Numbers;
use crate::error::EngineError;
use crate::series_batch::{SeriesBatch, Tags, ends};

/// The answer of a query, and the numbers of its columns.
pub(super) struct Operand {
    pub(super) batch: SeriesBatch,
    pub(super) numbers: Vec<Numbers>,
}

/// The series of an expression over the answers of its queries; there is at least one.
pub(super) async fn eval(
    evaluation: &Evaluation<'_>,
    eval: &Eval,
    operands: &[Operand],
) -> Result<SeriesBatch, EngineError> {
    let groups: Vec<Groups<'_>> = operands
        .iter()
        .map(|operand| Groups::new(&operand.batch))
        .collect();
    // The query with the most keys decides the groups of the result, and that with the most points the times, because a
    // value without a time pairs with all of them.
    let widest = groups.iter().enumerate();
    let widest =
        widest.max_by_key(|(_, groups)| (groups.batch.schema.keys.len(), groups.timed_series()));
    let widest = widest.map_or(0, |(index, _)| index);
    let mut pairs = Pairs {
        columns: vec![Vec::new(); eval.inputs.len()],
        times: Vec::new(),
    };
    let batch = &operands[widest].batch;
    let (mut tags, mut lengths): (Vec<Tags>, Vec<usize>) = (Vec::new(), Vec::new());
    for (index, series) in groups[widest].series.iter().enumerate() {
        let before = pairs.times.len();
        let partners = groups.iter().map(|groups| groups.partner(batch, index));
        let partners: Vec<Option<&Series<'_>>> = partners.collect();
        pairs.add_series(eval, operands, &partners, series).await;
        if pairs.times.len() > before {
            tags.push(batch.tags[index].clone());
            lengths.push(pairs.times.len() - before);
        }
    }
    let rows = pairs.times.len();
    let columns = pairs.columns.into_iter().enumerate();
    let columns = columns.map(|(index, numbers)| {
        let numbers: ArrayRef = Arc::new(Float64Array::from(numbers));
        (number_column(index), numbers)
    });
    let columns = evaluation.expressions(&[(&eval.value, Type::Float)], columns.collect(), rows)?;
    Ok(SeriesBatch {
        name: None,
        schema: SeriesSchema {
            keys: batch.schema.keys.clone(),
            columns: vec![(eval.name.clone(), Type::Float)],
        },
        tags,
        ends: ends(lengths.into_iter()),
        times: pairs.times.into(),
        columns,
    })
}

/// The warning that rows of the answer called `letter` share the time of another in their series, so that only one of
/// them can be computed with.
pub(super) fn shared_times(batch: &SeriesBatch, letter: &str) -> Option<Diagnostic> {
    let shared = |rows: Range<usize>| {
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

/// The points that have partners in all queries.
struct Pairs {
    /// The numbers of each input.
    columns: Vec<Vec<Option<f64>>>,
    times: Vec<Option<i64>>,
}

impl Pairs {
    /// Adds the points of a series of the widest answer, with the partners that it has in each answer.
    async fn add_series(
        &mut self,
        eval: &Eval,
        operands: &[Operand],
        partners: &[Option<&Series<'_>>],
        series: &Series<'_>,
    ) {
        let timed = partners
            .iter()
            .flatten()
            .find(|partner| !partner.is_timeless);
        let series = match timed {
            Some(partner) if series.is_timeless => partner,
            _ => series,
        };
        let mut seen = BTreeSet::new();
        for row in series.range.clone() {
            // An evaluation that was cancelled ends here.
            tokio::task::consume_budget().await;
            let time = series.batch.time(row);
            if !seen.insert(time) {
                continue;
            }
            let numbers = eval.inputs.iter().map(|(operand, column)| {
                let row = partners[*operand]?.row(time)?;
                Some(operands[*operand].numbers[*column].float(row))
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

/// The series of an answer, also by their tags.
struct Groups<'b> {
    batch: &'b SeriesBatch,
    series: Vec<Series<'b>>,
    by_tags: HashMap<&'b [Option<String>], usize>,
}

impl<'b> Groups<'b> {
    fn new(batch: &'b SeriesBatch) -> Self {
        let mut by_tags = HashMap::with_capacity(batch.tags.len());
        for (index, tags) in batch.tags.iter().enumerate() {
            // Groups whose keys differ in their types only have the same tags; the first one is the partner.
            by_tags.entry(tags.as_slice()).or_insert(index);
        }
        Self {
            batch,
            series: batch
                .ranges()
                .map(|range| Series::new(batch, range))
                .collect(),
            by_tags,
        }
    }

    /// How many series have points in time.
    fn timed_series(&self) -> usize {
        let series = self.series.iter();
        series.filter(|series| !series.is_timeless).count()
    }

    /// The series with the same values of the keys that this answer has.
    fn partner(&self, widest: &SeriesBatch, index: usize) -> Option<&Series<'b>> {
        let value = |(name, _): &(String, Type)| {
            let mut keys = widest.schema.keys.iter();
            let key = keys.position(|(known, _)| known == name)?;
            Some(widest.tags[index][key].clone())
        };
        let tags: Option<Tags> = self.batch.schema.keys.iter().map(value).collect();
        let index = self.by_tags.get(tags?.as_slice())?;
        self.series.get(*index)
    }
}

/// A series that can be asked for its row at a time.
struct Series<'b> {
    batch: &'b SeriesBatch,
    range: Range<usize>,
    /// Whether it is one row that summarises a whole window.
    is_timeless: bool,
    rows: BTreeMap<Option<i64>, usize>,
}

impl<'b> Series<'b> {
    fn new(batch: &'b SeriesBatch, range: Range<usize>) -> Self {
        Self {
            batch,
            is_timeless: range.len() == 1 && batch.time(range.start).is_none(),
            rows: range.clone().map(|row| (batch.time(row), row)).collect(),
            range,
        }
    }

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

    use super::super::numbers::numbers;
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
            let batch = super::super::answer(&run, plan).await.unwrap().batch;
            let numbers = numbers(&batch, &mut Vec::new()).unwrap();
            operands.push(Operand { batch, numbers });
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
