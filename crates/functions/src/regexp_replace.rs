//! `regexp_replace`: each match of a regular expression replaced.

use std::borrow::Cow;
use std::sync::LazyLock;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use regex::Regex;

use crate::literals;
use crate::patterns::{Purpose, of_call};
use crate::text_match::text_argument;
use crate::text_result::TextResult;

/// A group in a replacement, `\1`, which the library spells `${1}`.
static GROUP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\\{1,2}(\d+)").ok());

/// Every match in `text` replaced; missing where a text is.
pub fn regexp_replace(text: Expr, pattern: &str, replacement: Expr) -> Expr {
    udf().call(vec![text, lit(pattern), replacement])
}

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(RegexpReplace {
        signature: Signature::any(3, Volatility::Immutable),
    })
}

/// Not DataFusion's `regexp_replace`, which has other groups and no bound.
const NAME: &str = "replace_matches";

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpReplace {
    signature: Signature,
}

impl RegexpReplace {
    fn replace(
        regex: &Regex,
        text: &str,
        replacement: &str,
        result: &mut TextResult,
    ) -> Result<()> {
        let groups = replacement.bytes().filter(|byte| *byte == b'$').count();
        let mut expanded = String::new();
        let mut end = 0;
        for found in regex.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            result.write(&text[end..whole.start()])?;
            end = whole.end();
            // A group is no longer than the match, so this is checked before anything is expanded.
            let most_bytes = groups.saturating_mul(whole.len());
            result.reserve(most_bytes.saturating_add(replacement.len()))?;
            expanded.clear();
            found.expand(replacement, &mut expanded);
            result.write(&expanded)?;
        }
        result.write(&text[end..])?;
        result.end();
        Ok(())
    }
}

impl ScalarUDFImpl for RegexpReplace {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let compiled = of_call(Purpose::Find, &[literals::text(&args, 1)?])?;
        let regex = compiled.regex()?;
        let texts = text_argument(&args)?;
        let replacements = args.args[2].to_array(args.number_rows)?;
        let replacements = cast(&replacements, &DataType::Utf8View)?;
        let replacements = replacements.as_string_view();
        let mut result = TextResult::new("regexp_replace", &args);
        for (text, replacement) in texts.as_string_view().iter().zip(replacements) {
            match (text, replacement) {
                (Some(text), Some(replacement)) => {
                    Self::replace(regex, text, &spelt(replacement), &mut result)?;
                }
                _ => result.append_null(),
            }
        }
        Ok(ColumnarValue::Array(result.finish()?))
    }
}

/// A replacement as the library spells it.
fn spelt(replacement: &str) -> Cow<'_, str> {
    match GROUP.as_ref() {
        Some(group) if replacement.contains('\\') => group.replace_all(replacement, "$${$1}"),
        _ => Cow::Borrowed(replacement),
    }
}
