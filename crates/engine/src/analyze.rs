//! Runs a query for the metrics of its operators and the counts of its notes.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::metrics::MetricType;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use functions::{NoteId, NoteMetrics};
use futures::TryStreamExt;
use plan::Notes;

use crate::error::EngineError;

/// Runs a plan to its end. Returns its operators with their metrics, then a line for each note of the query.
///
/// # Errors
/// The error of the query.
pub(crate) async fn run(
    plan: Arc<dyn ExecutionPlan>,
    state: &SessionState,
    notes: &Notes,
    metrics: &NoteMetrics,
) -> Result<String, EngineError> {
    let mut batches = execute_stream(Arc::clone(&plan), state.task_ctx())?;
    while batches.try_next().await?.is_some() {
        // Batches that are always ready would never let a cancelled call end.
        tokio::task::yield_now().await;
    }
    let operators = DisplayableExecutionPlan::with_metrics(plan.as_ref())
        .set_metric_types(vec![MetricType::Summary]);
    let mut text = operators.indent(false).to_string();
    for line in note_lines(notes, metrics) {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "note     {line}");
    }
    Ok(text)
}

/// What functions counted for each note of a query. Several notes may have the same line.
fn note_lines(notes: &Notes, metrics: &NoteMetrics) -> BTreeSet<String> {
    let count = |note: NoteId| {
        let (met, rows) = (metrics.met(note), metrics.rows(note));
        format!("{met} of {rows} rows")
    };
    let observations = notes.observations.iter().flat_map(|observation| {
        let name = &observation.attribute.name;
        let present = format!("`{name}` present: {}", count(observation.present));
        let not_numbers = observation.not_numbers.iter();
        let not_numbers =
            not_numbers.map(move |note| format!("`{name}` not a number: {}", count(*note)));
        not_numbers.chain([present]).collect::<Vec<_>>()
    });
    let occurrences = notes.occurrences.iter();
    let occurrences = occurrences.map(|occurrence| {
        let code = occurrence.warning.code;
        format!("{code}: {}", count(occurrence.note))
    });
    observations.chain(occurrences).collect()
}
