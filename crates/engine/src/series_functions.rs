//! Functions over the series of queries: `cumsum(…)`, `rate(…).series_sum()`, `eval(A / B, A = …)`.
//!
//! They run on what the limits of the inner query let through, which the answer says.

mod across;
mod eval;
mod fill;
mod numbers;
mod points;
mod summary;
mod window;

use std::future::Future;
use std::pin::Pin;

use api::Summary;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use dql::{Code, Diagnostic, Severity};
use functions::NoteMetrics;
use plan::{Eval, Limit, Limits, SeriesCall, SeriesFunction, SeriesPlan, Type};
use std::sync::Arc;

use crate::error::EngineError;
use crate::prepared::Run;
use crate::series_batch::{SeriesAnswer, SeriesBatch};

/// The most series that a function takes.
const MOST_SERIES: usize = 10_000;
/// The same for `dbscan`, which compares each with each.
const MOST_COMPARED_SERIES: usize = 1_000;

type Evaluated<'a> = Pin<Box<dyn Future<Output = Result<SeriesAnswer, EngineError>> + Send + 'a>>;

/// Answers a plan of functions.
///
/// # Errors
/// As a query; more series than a function takes.
pub(crate) async fn answer(run: &Run, plan: &SeriesPlan) -> Result<SeriesAnswer, EngineError> {
    let mut answer = evaluate(run, plan).await?;
    let summary = &mut answer.summary;
    summary.rows = answer.batch.rows() as u64;
    summary.search_after = None;
    let keys = answer.batch.schema.keys.iter();
    summary.group_by = keys.map(|(name, _)| name.clone()).collect();
    Ok(answer)
}

fn evaluate<'a>(run: &'a Run, plan: &'a SeriesPlan) -> Evaluated<'a> {
    Box::pin(async move {
        match plan {
            SeriesPlan::Query { query, .. } => {
                run.engine
                    .series_of_query(run, query.as_ref().clone())
                    .await
            }
            SeriesPlan::Quoted { text, input } => {
                let mut answer = match evaluate(run, input).await {
                    Ok(answer) => answer,
                    Err(EngineError::Query(findings)) => {
                        return Err(EngineError::Query(run.parsed.located_in(*text, findings)));
                    }
                    Err(error) => return Err(error),
                };
                let warnings = std::mem::take(&mut answer.summary.warnings);
                answer.summary.warnings = run.parsed.located_in(*text, warnings);
                Ok(answer)
            }
            SeriesPlan::Function(call) => {
                let input = evaluate(run, &call.input).await?;
                // A chain of functions ends soon after the question was cancelled.
                tokio::task::yield_now().await;
                function(run, call, input).await
            }
            SeriesPlan::Eval(eval) => evaluate_eval(run, eval).await,
            SeriesPlan::Limit { limits, input } => limited(evaluate(run, input).await?, *limits),
        }
    })
}

async fn function(
    run: &Run,
    call: &SeriesCall,
    answer: SeriesAnswer,
) -> Result<SeriesAnswer, EngineError> {
    check_size(&call.name, &answer.batch)?;
    let notes = NoteMetrics::new(call.notes.ids());
    let mut evaluation = Evaluation::new(run, notes.clone());
    evaluation.warnings.clone_from(&call.notes.warnings);
    let (schema, batch) = (&call.schema, &answer.batch);
    let mut summary = answer.summary;
    let mut overflowed = None;
    let mut noted = |(batch, is_overflow): (SeriesBatch, bool), note| {
        overflowed = is_overflow.then_some(note);
        batch
    };
    let batch = match &call.function {
        SeriesFunction::Numbers(values) => {
            points::each_number(&mut evaluation, values, schema, batch)?
        }
        SeriesFunction::Points { function, overflow } => {
            let points = points::along_points(&mut evaluation, *function, schema, batch)?;
            noted(points, *overflow)
        }
        SeriesFunction::Window {
            width_ms,
            time_zone,
        } => {
            summary.step_ms = Some(*width_ms);
            window::window(&mut evaluation, *width_ms, *time_zone, schema, batch)?
        }
        SeriesFunction::Summary { summary, overflow } => {
            let rows = summary::summary(&mut evaluation, *summary, schema, batch)?;
            noted(rows, *overflow)
        }
        SeriesFunction::CountFilter(condition) => {
            summary::count_filter(&evaluation, condition, schema, batch)?
        }
        SeriesFunction::SeriesSum { keys, overflow } => {
            let sums = across::series_sum(&mut evaluation, keys, schema, batch)?;
            noted(sums, *overflow)
        }
        SeriesFunction::Extreme { count, largest } => across::extreme(*count, *largest, batch)?,
        SeriesFunction::Outliers { reach } => {
            across::outliers(&mut evaluation, *reach, batch).await?
        }
        SeriesFunction::Fill(mode) => fill::fill(&mut evaluation, mode, schema, batch)?,
    };
    let occurrences = call.notes.occurrences.iter();
    let met = occurrences
        .filter(|occurrence| notes.met(occurrence.note) > 0 || overflowed == Some(occurrence.note));
    summary.warnings.extend(evaluation.warnings);
    summary
        .warnings
        .extend(met.map(|occurrence| occurrence.warning.clone()));
    Ok(SeriesAnswer {
        batch,
        summary,
        charge: answer.charge,
    })
}

async fn evaluate_eval(run: &Run, eval: &Eval) -> Result<SeriesAnswer, EngineError> {
    let mut operands = Vec::with_capacity(eval.operands.len());
    let mut charges = Vec::with_capacity(eval.operands.len());
    let mut known: Option<Summary> = None;
    for (name, plan) in &eval.operands {
        let SeriesAnswer {
            batch,
            mut summary,
            charge,
        } = evaluate(run, plan).await?;
        check_size("eval", &batch)?;
        let numbers = numbers::numbers(&batch, &mut summary.warnings)?;
        summary.warnings.extend(eval::shared_times(&batch, name));
        known = Some(match known {
            Some(known) => joined(known, &summary),
            None => summary,
        });
        operands.push(eval::Operand { batch, numbers });
        charges.push(charge);
    }
    let Some(summary) = known else {
        let message = "`eval` has no query";
        let error = Diagnostic::new(Severity::Error, Code::MissingQuery, message, None);
        return Err(EngineError::Query(vec![error]));
    };
    let evaluation = Evaluation::new(run, NoteMetrics::default());
    Ok(SeriesAnswer {
        batch: eval::eval(&evaluation, eval, &operands).await?,
        summary,
        charge: charges.into_iter().flatten().next(),
    })
}

/// What is known of two answers together.
fn joined(mut known: Summary, new: &Summary) -> Summary {
    known.warnings.extend(new.warnings.iter().cloned());
    known.total_hits.value += new.total_hits.value;
    known.total_hits.exact &= new.total_hits.exact;
    known.has_more |= new.has_more;
    known.window.from_ms = known.window.from_ms.min(new.window.from_ms);
    known.window.to_ms = known.window.to_ms.max(new.window.to_ms);
    known.step_ms = known.step_ms.or(new.step_ms);
    known
}

/// The clauses after the functions: whole series, and the rows of each.
fn limited(answer: SeriesAnswer, limits: Limits) -> Result<SeriesAnswer, EngineError> {
    let mut series: Vec<(usize, Vec<usize>)> = answer
        .batch
        .ranges()
        .map(Iterator::collect)
        .enumerate()
        .collect();
    let groups_cut = cut(&mut series, limits.soffset, limits.slimit);
    let mut rows_cut = false;
    for (_, rows) in &mut series {
        rows_cut |= cut(rows, limits.offset, limits.limit);
    }
    let mut summary = answer.summary;
    let cuts = [
        (groups_cut, Code::SlimitReached, "SLIMIT", "groups"),
        (rows_cut, Code::LimitReached, "LIMIT", "rows"),
    ];
    for (_, code, clause, what) in cuts.into_iter().filter(|(is_cut, ..)| *is_cut) {
        let message = format!(
            "the answer was cut off at the {clause} behind the function: there are more {what}"
        );
        let warning = Diagnostic::new(Severity::Warning, code, message, None);
        summary.warnings.push(warning);
        summary.has_more = true;
    }
    Ok(SeriesAnswer {
        batch: answer.batch.take(&series)?,
        summary,
        charge: answer.charge,
    })
}

/// Leaves out the first and keeps at most as many as the limit; whether some after them were cut off.
fn cut<T>(items: &mut Vec<T>, offset: u64, limit: Limit) -> bool {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    items.drain(..number(offset).min(items.len()));
    let wanted = limit.count().map_or(usize::MAX, number);
    let is_cut = items.len() > wanted;
    items.truncate(wanted);
    is_cut
}

/// Refuses more series than a function can take in little time.
fn check_size(name: &str, batch: &SeriesBatch) -> Result<(), EngineError> {
    let most = match name {
        "dbscan" => MOST_COMPARED_SERIES,
        _ => MOST_SERIES,
    };
    let found = batch.ends.len();
    if found <= most {
        return Ok(());
    }
    let reason = format!("`{name}` takes at most {most} series, and the query gives {found}");
    Err(EngineError::ResourcesExhausted(reason))
}

/// What a function evaluates expressions with, and what it warns of.
struct Evaluation<'r> {
    run: &'r Run,
    notes: NoteMetrics,
    warnings: Vec<Diagnostic>,
}

impl<'r> Evaluation<'r> {
    fn new(run: &'r Run, notes: NoteMetrics) -> Self {
        let warnings = Vec::new();
        Self {
            run,
            notes,
            warnings,
        }
    }

    /// The values of expressions over columns of `rows` rows, each in the form in which its type leaves the engine.
    fn expressions(
        &self,
        exprs: &[(&Expr, Type)],
        columns: Vec<(String, ArrayRef)>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, EngineError> {
        let fields = columns
            .iter()
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let state = self.run.engine.session().evaluating(&self.notes);
        let values = exprs.iter().map(|(expr, value_type)| {
            let physical = state.create_physical_expr((*expr).clone(), &df_schema)?;
            let values = physical.evaluate(&batch)?.into_array(rows)?;
            Ok(cast(&values, &value_type.exported())?)
        });
        values.collect()
    }

    /// The rows of series that fulfil a condition.
    fn condition(
        &self,
        condition: &Expr,
        batch: &SeriesBatch,
    ) -> Result<BooleanArray, EngineError> {
        let columns = batch.columns.iter().cloned();
        let keys = (0..batch.schema.keys.len()).map(|key| batch.key(key));
        let types = batch.schema.columns.iter().chain(&batch.schema.keys);
        let sources = columns.chain(keys).zip(types).enumerate();
        let sources = sources.map(|(index, (column, (_, value_type)))| {
            let column = match value_type {
                Type::Null => new_null_array(&DataType::Null, column.len()),
                other => cast(&column, &other.planned())?,
            };
            Ok((plan::source_column(index), column))
        });
        let mut columns = sources.collect::<Result<Vec<_>, EngineError>>()?;
        let times: ArrayRef = Arc::new(batch.times.clone());
        columns.push((plan::SOURCE_TIME.to_owned(), times));
        let fulfilled = self.expressions(&[(condition, Type::Bool)], columns, batch.rows())?;
        Ok(fulfilled[0].as_boolean().clone())
    }
}
