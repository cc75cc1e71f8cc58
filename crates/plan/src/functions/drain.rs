//! `drain` in two phases: an aggregate learns templates from every row, a function of one row then finds
//! that of each.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::mem::size_of_val;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::log_template::{Templates, masked};
use super::text_match::text_argument;
use crate::occurrence::Occurrence;

/// The most different lines that templates are learnt from.
pub(crate) const MOST_LINES: usize = 20_000;

/// How templates are learnt, and what was learnt.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The share of words that a line has in common with its template, above 0 up to 1.
    pub(crate) threshold: f64,
    /// The most templates.
    pub(crate) most: usize,
    /// There are more templates.
    pub(crate) too_many_templates: Arc<Occurrence>,
    /// There are more different lines than [`MOST_LINES`].
    pub(crate) too_many_lines: Arc<Occurrence>,
    learnt: OnceLock<Templates>,
}

impl Drain {
    /// Nothing is learnt yet.
    pub(crate) fn new(
        threshold: f64,
        most: usize,
        too_many_templates: Arc<Occurrence>,
        too_many_lines: Arc<Occurrence>,
    ) -> Self {
        Self {
            threshold,
            most,
            too_many_templates,
            too_many_lines,
            learnt: OnceLock::new(),
        }
    }

    /// The aggregate that learns the templates of a text.
    pub(crate) fn learn(self: &Arc<Self>, text: Expr) -> Expr {
        AggregateUDF::new_from_impl(LearnTemplates(Shared::new(self))).call(vec![text])
    }

    /// The template of a text. `learnt` is the column of the aggregate: it makes sure that the templates
    /// are learnt before the first row is looked at.
    pub(crate) fn template(self: &Arc<Self>, text: Expr, learnt: Expr) -> Expr {
        ScalarUDF::new_from_impl(TemplateOf(Shared::new(self))).call(vec![text, learnt])
    }
}

/// What both phases hold; two are equal when they are the same.
#[derive(Debug)]
struct Shared {
    drain: Arc<Drain>,
    signature: Signature,
}

impl Shared {
    fn new(drain: &Arc<Drain>) -> Self {
        Self {
            drain: Arc::clone(drain),
            signature: Signature::variadic_any(Volatility::Immutable),
        }
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.drain, &other.drain)
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.drain).hash(state);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LearnTemplates(Shared);

impl AggregateUDFImpl for LearnTemplates {
    fn name(&self) -> &str {
        "learn_templates"
    }

    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Lines {
            drain: Arc::clone(&self.0.drain),
            lines: BTreeSet::new(),
            bytes: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let lines = DataType::new_list(DataType::Utf8, true);
        Ok(vec![Arc::new(Field::new(args.name, lines, true))])
    }
}

/// The different masked lines, in an order that has nothing to do with their texts: those that are left
/// when there are too many are a sample of all, and the same one in whatever order lines come.
#[derive(Debug)]
struct Lines {
    drain: Arc<Drain>,
    lines: BTreeSet<(u64, String)>,
    bytes: usize,
}

impl Lines {
    fn add(&mut self, line: String) {
        let bytes = line.len();
        if self.lines.insert((scattered(&line), line)) {
            self.bytes += bytes;
        }
        if self.lines.len() > MOST_LINES
            && let Some((_, dropped)) = self.lines.pop_last()
        {
            self.bytes -= dropped.len();
            self.drain.too_many_lines.happen();
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
        let templates = Templates::learn(&lines, self.drain.threshold, self.drain.most);
        if templates.is_full {
            self.drain.too_many_templates.happen();
        }
        let is_first = self.drain.learnt.set(templates).is_ok();
        Ok(ScalarValue::from(is_first))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes + self.lines.len() * 2 * size_of::<(u64, String)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let lines = std::mem::take(&mut self.lines).into_iter();
        let lines: Vec<ScalarValue> = lines.map(|(_, line)| ScalarValue::from(line)).collect();
        let list = ScalarValue::new_list_nullable(&lines, &DataType::Utf8);
        Ok(vec![ScalarValue::List(list)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for lines in states[0].as_list::<i32>().iter().flatten() {
            for line in lines.as_string::<i32>().iter().flatten() {
                self.add(line.to_owned());
            }
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TemplateOf(Shared);

impl ScalarUDFImpl for TemplateOf {
    fn name(&self) -> &str {
        "template_of"
    }

    fn signature(&self) -> &Signature {
        &self.0.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = text_argument(&args)?;
        let Some(templates) = self.0.drain.learnt.get() else {
            return exec_err!("a template was asked for before it was learnt");
        };
        let mut found = StringViewBuilder::with_capacity(texts.len()).with_deduplicate_strings();
        for text in texts.as_string_view() {
            found.append_option(text.map(|text| templates.of(&masked(text)).to_owned()));
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish()) as ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use dql::{Diagnostic, Span};

    fn occurrence() -> Arc<Occurrence> {
        let warning = Diagnostic::warning("drain_limit", "there are more", Span::default());
        Arc::new(Occurrence::new(warning))
    }

    fn lines(drain: &Arc<Drain>) -> Lines {
        Lines {
            drain: Arc::clone(drain),
            lines: BTreeSet::new(),
            bytes: 0,
        }
    }

    #[test]
    fn parts_and_their_order_make_no_difference() {
        let texts: Vec<String> = (0..MOST_LINES + 500)
            .map(|index| {
                format!("{index:b} failed")
                    .replace('0', "a")
                    .replace('1', "b")
            })
            .collect();
        let learn = |parts: [&[String]; 2]| {
            let drain = Arc::new(Drain::new(0.5, 10, occurrence(), occurrence()));
            let mut whole = lines(&drain);
            for part in parts {
                let mut lines = lines(&drain);
                let array: ArrayRef = Arc::new(StringArray::from_iter_values(part));
                lines.update_batch(&[array]).unwrap();
                let state = lines.state().unwrap()[0].to_array().unwrap();
                whole.merge_batch(&[state]).unwrap();
            }
            assert!(drain.too_many_lines.warning().is_some());
            whole.lines
        };
        let (left, right) = texts.split_at(7_000);
        assert_eq!(learn([left, right]), learn([right, left]));
    }
}
