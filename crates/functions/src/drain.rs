//! `drain` in two phases: an aggregate learns templates from every row, a function of one row then finds
//! that of each.

use std::collections::BTreeSet;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use serde::{Deserialize, Serialize};

use crate::literals;
use crate::log_template::{Templates, masked};
use crate::notes::{self, NoteId};
use crate::text_match::text_argument;

/// The most different lines that templates are learnt from.
pub const MOST_LINES: usize = 20_000;

/// How templates are learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrainOptions {
    /// The share of words that a line has in common with its template, above 0 up to 1.
    pub threshold: f64,
    /// The most templates.
    pub most: i64,
}

/// The notes of a call of `drain`.
#[derive(Debug, Clone, Copy)]
pub struct DrainNotes {
    /// There are more templates than are learnt.
    pub too_many_templates: NoteId,
    /// There are more different lines than [`MOST_LINES`].
    pub too_many_lines: NoteId,
}

/// The aggregate that learns the templates of a text, as text for [`template_of`].
pub fn learn_templates(text: Expr, options: DrainOptions) -> Expr {
    learn_udf().call(vec![text, lit(options.threshold), lit(options.most)])
}

/// The template of a text, among those that were learnt.
pub fn template_of(text: Expr, learnt: Expr, notes: DrainNotes) -> Expr {
    let notes = [notes.too_many_templates, notes.too_many_lines].map(NoteId::literal);
    template_udf().call([text, learnt].into_iter().chain(notes).collect())
}

pub(crate) fn learn_udf() -> AggregateUDF {
    AggregateUDF::new_from_impl(LearnTemplates {
        signature: Signature::any(3, Volatility::Immutable),
    })
}

pub(crate) fn template_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(TemplateOf {
        signature: Signature::any(4, Volatility::Immutable),
    })
}

/// The indices of the notes among the arguments of [`template_of`].
pub(crate) const NOTES: [usize; 2] = [2, 3];

/// What was learnt, as text.
#[derive(Debug, Serialize, Deserialize)]
struct Learnt {
    templates: Templates,
    /// Whether there are more different lines than were learnt from.
    is_sampled: bool,
}

/// One text for all rows, which a join repeats without copying it.
fn learnt_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LearnTemplates {
    signature: Signature,
}

impl AggregateUDFImpl for LearnTemplates {
    fn name(&self) -> &str {
        "learn_templates"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(learnt_type())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let ScalarValue::Int64(Some(most)) = literals::of_expressions(args.exprs, 2)? else {
            return exec_err!("the number of templates has to be a literal");
        };
        let options = DrainOptions {
            threshold: literals::float_of_expressions(args.exprs, 1)?,
            most: *most,
        };
        Ok(Box::new(Lines::new(options)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let lines = DataType::new_list(DataType::Utf8, true);
        let is_sampled = format!("{}[is_sampled]", args.name);
        Ok(vec![
            Arc::new(Field::new(args.name, lines, true)),
            Arc::new(Field::new(is_sampled, DataType::Boolean, true)),
        ])
    }
}

/// The different masked lines, in an order that has nothing to do with their texts: those that are left
/// when there are too many are a sample of all, and the same one in whatever order lines come.
#[derive(Debug)]
struct Lines {
    options: DrainOptions,
    lines: BTreeSet<(u64, String)>,
    bytes: usize,
    is_sampled: bool,
}

impl Lines {
    fn new(options: DrainOptions) -> Self {
        Self {
            options,
            lines: BTreeSet::new(),
            bytes: 0,
            is_sampled: false,
        }
    }

    fn add(&mut self, line: String) {
        let bytes = line.len();
        if self.lines.insert((scattered(&line), line)) {
            self.bytes += bytes;
        }
        if self.lines.len() > MOST_LINES
            && let Some((_, dropped)) = self.lines.pop_last()
        {
            self.bytes -= dropped.len();
            self.is_sampled = true;
        }
    }
}

/// A hash that is the same in every process: FNV-1a.
fn scattered(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Accumulator for Lines {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let texts = cast(&values[0], &DataType::Utf8View)?;
        for text in texts.as_string_view().iter().flatten() {
            self.add(masked(text));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let lines = std::mem::take(&mut self.lines);
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        let most = usize::try_from(self.options.most).unwrap_or(usize::MAX);
        let learnt = Learnt {
            templates: Templates::learn(&lines, self.options.threshold, most),
            is_sampled: self.is_sampled,
        };
        let text = serde_json::to_string(&learnt);
        let text = text.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let text = ScalarValue::Utf8(Some(text));
        Ok(ScalarValue::Dictionary(
            Box::new(DataType::Int32),
            Box::new(text),
        ))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes + self.lines.len() * 2 * size_of::<(u64, String)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let lines = std::mem::take(&mut self.lines).into_iter();
        let lines: Vec<ScalarValue> = lines.map(|(_, line)| ScalarValue::from(line)).collect();
        let list = ScalarValue::new_list_nullable(&lines, &DataType::Utf8);
        Ok(vec![
            ScalarValue::List(list),
            ScalarValue::from(self.is_sampled),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for lines in states[0].as_list::<i32>().iter().flatten() {
            for line in lines.as_string::<i32>().iter().flatten() {
                self.add(line.to_owned());
            }
        }
        self.is_sampled |= states[1].as_boolean().true_count() > 0;
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TemplateOf {
    signature: Signature,
}

impl ScalarUDFImpl for TemplateOf {
    fn name(&self) -> &str {
        "template_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = text_argument(&args)?;
        let mut found = StringViewBuilder::with_capacity(texts.len()).with_deduplicate_strings();
        if let Some(Learnt {
            templates,
            is_sampled,
        }) = learnt(&args)?
        {
            for text in texts.as_string_view() {
                found.append_option(text.map(|text| templates.of(&masked(text)).to_owned()));
            }
            let all_if = |is_met: bool| if is_met { texts.len() } else { 0 };
            notes::count(&args, NOTES[0], all_if(templates.is_full));
            notes::count(&args, NOTES[1], all_if(is_sampled));
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish()) as ArrayRef))
    }
}

/// What was learnt, which is the same for all rows of a call; nothing for no rows.
fn learnt(args: &ScalarFunctionArgs) -> Result<Option<Learnt>> {
    let learnt = match &args.args[1] {
        ColumnarValue::Array(array) if array.is_empty() => return Ok(None),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(array, 0)?,
        ColumnarValue::Scalar(value) => value.clone(),
    };
    let text = match &learnt {
        ScalarValue::Dictionary(_, text) => text.try_as_str().flatten(),
        text => text.try_as_str().flatten(),
    };
    match text.map(serde_json::from_str) {
        Some(Ok(learnt)) => Ok(Some(learnt)),
        _ => exec_err!("{learnt} was not learnt by `learn_templates`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;

    #[test]
    fn parts_and_their_order_make_no_difference() {
        let texts: Vec<String> = (0..MOST_LINES + 500)
            .map(|index| {
                format!("{index:b} failed")
                    .replace('0', "a")
                    .replace('1', "b")
            })
            .collect();
        let options = DrainOptions {
            threshold: 0.5,
            most: 10,
        };
        let learn = |parts: [&[String]; 2]| {
            let mut whole = Lines::new(options);
            for part in parts {
                let mut lines = Lines::new(options);
                let array: ArrayRef = Arc::new(StringArray::from_iter_values(part));
                lines.update_batch(&[array]).unwrap();
                let state = lines.state().unwrap();
                let state: Vec<ArrayRef> =
                    state.iter().map(|part| part.to_array().unwrap()).collect();
                whole.merge_batch(&state).unwrap();
            }
            assert!(whole.is_sampled);
            whole.lines
        };
        let (left, right) = texts.split_at(7_000);
        assert_eq!(learn([left, right]), learn([right, left]));
    }
}
