//! What calls met while a question ran, as metrics.
//!
//! A function returns values and keeps nothing. What it met on the way, such as a number that does not fit into 64
//! bits, it counts in the metrics that come with the arguments of the call; without metrics it counts nothing. Each
//! call names by a literal argument which note of the question it is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, lit};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::metrics::Count;

use crate::options::FunctionOptions;
use crate::registry;

/// Names one note of a question. Ids of queries inside of others are larger than those of the queries around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteId(i64);

/// An id is its depth times this, plus its index.
const PER_DEPTH: i64 = 1 << 32;

impl NoteId {
    /// The note with an index, of a query that is inside of `depth` others. Indices are those of the whole question.
    pub fn new(depth: u32, index: u32) -> Self {
        Self(i64::from(depth) * PER_DEPTH + i64::from(index))
    }

    /// How many queries are around the one that the note is of.
    pub fn depth(self) -> i64 {
        self.0 / PER_DEPTH
    }

    /// The argument of a call.
    pub(crate) fn literal(self) -> Expr {
        lit(self.0)
    }
}

/// The argument of a call that may be about no note.
pub(crate) fn note_literal(note: Option<NoteId>) -> Expr {
    lit(ScalarValue::Int64(note.map(|note| note.0)))
}

/// The metrics of the notes of a question. Cheap to clone; clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct NoteMetrics(Arc<BTreeMap<NoteId, NoteCounts>>);

/// What was counted for one note.
#[derive(Debug, Default)]
struct NoteCounts {
    /// The rows that calls have evaluated.
    rows: Count,
    /// The rows in which they met what the note is about.
    met: Count,
}

impl NoteMetrics {
    /// Metrics of these notes, all 0.
    pub fn new(notes: impl IntoIterator<Item = NoteId>) -> Self {
        let counts = notes.into_iter().map(|note| (note, NoteCounts::default()));
        Self(Arc::new(counts.collect()))
    }

    /// How many rows calls have evaluated that are about a note. An operator may evaluate a row more than once.
    pub fn rows(&self, note: NoteId) -> usize {
        self.0.get(&note).map_or(0, |counts| counts.rows.value())
    }

    /// In how many rows they met what the note is about.
    pub fn met(&self, note: NoteId) -> usize {
        self.0.get(&note).map_or(0, |counts| counts.met.value())
    }
}

/// Counts that a call, whose argument at `index` is a note, met what the note is about in `met` of its rows.
pub(crate) fn count(args: &ScalarFunctionArgs, index: usize, met: usize) {
    let Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(note)))) = args.args.get(index) else {
        return;
    };
    let options = args.config_options.extensions.get::<FunctionOptions>();
    let counts = options.and_then(|options| options.notes.0.get(&NoteId(*note)));
    if let Some(counts) = counts {
        counts.rows.add(args.number_rows);
        counts.met.add(met);
    }
}

/// The largest note that calls in an expression are about: that of the innermost query. An expression without one can
/// be evaluated for any rows without a trace.
///
/// # Errors
/// None that is known.
pub fn innermost_note(expr: &Arc<dyn PhysicalExpr>) -> Result<Option<NoteId>> {
    let mut innermost = None;
    expr.apply(|part| {
        if let Some(call) = part.downcast_ref::<ScalarFunctionExpr>() {
            let indices = registry::note_arguments(call.fun());
            let notes = indices.iter().filter_map(|index| {
                let argument = call.args().get(*index)?.downcast_ref::<Literal>()?;
                match argument.value() {
                    ScalarValue::Int64(Some(note)) => Some(NoteId(*note)),
                    _ => None,
                }
            });
            innermost = innermost.max(notes.max());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(innermost)
}
