//! `regexp_replace`: each match of a regular expression replaced.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use super::text_match::text_argument;
use super::text_result::TextResult;
use crate::resources::Resources;

/// A group in a replacement, `\1`, which the library spells `${1}`.
static GROUP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\\{1,2}(\d+)").ok());

/// Every match in `text` replaced; missing where a text is.
pub(crate) fn regexp_replace(
    text: Expr,
    regex: Regex,
    replacement: Expr,
    resources: &Resources,
) -> Expr {
    let function = RegexpReplace {
        regex,
        signature: Signature::any(2, Volatility::Immutable),
        resources: resources.clone(),
    };
    ScalarUDF::new_from_impl(function).call(vec![text, replacement])
}

#[derive(Debug)]
struct RegexpReplace {
    regex: Regex,
    signature: Signature,
    resources: Resources,
}

impl RegexpReplace {
    fn replace(&self, text: &str, replacement: &str, result: &mut TextResult) -> Result<()> {
        let groups = replacement.bytes().filter(|byte| *byte == b'$').count();
        let mut expanded = String::new();
        let mut behind = 0;
        for found in self.regex.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            result.write(&text[behind..whole.start()])?;
            behind = whole.end();
            // A group is no longer than the match, so this is checked before anything is expanded.
            let most_bytes = groups.saturating_mul(whole.len());
            result.reserve(most_bytes.saturating_add(replacement.len()))?;
            expanded.clear();
            found.expand(replacement, &mut expanded);
            result.write(&expanded)?;
        }
        result.write(&text[behind..])?;
        result.end();
        Ok(())
    }
}

impl PartialEq for RegexpReplace {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for RegexpReplace {}

impl Hash for RegexpReplace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.regex.as_str().hash(state);
    }
}

impl ScalarUDFImpl for RegexpReplace {
    fn name(&self) -> &str {
        "regexp_replace"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!(
            "regexp_replace({}, {:?}, {})",
            args[0].schema_name(),
            self.regex.as_str(),
            args[1].schema_name()
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = text_argument(&args)?;
        let replacements = args.args[1].to_array(args.number_rows)?;
        let replacements = cast(&replacements, &DataType::Utf8View)?;
        let replacements = replacements.as_string_view();
        let mut result = TextResult::new("regexp_replace", texts.len(), &self.resources);
        for (text, replacement) in texts.as_string_view().iter().zip(replacements) {
            match (text, replacement) {
                (Some(text), Some(replacement)) => {
                    self.replace(text, &spelt(replacement), &mut result)?;
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
