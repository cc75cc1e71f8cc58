//! `regexp_extract`: what a group of a regular expression captured first.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use super::text_match::text_argument;

/// The text of group `group` in the first match; missing when nothing matches or the group took no
/// part. Group 0 is the whole match.
pub(crate) fn regexp_extract(text: Expr, regex: Regex, group: usize) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(RegexpExtract {
        regex,
        group,
        signature,
    })
    .call(vec![text])
}

#[derive(Debug)]
struct RegexpExtract {
    regex: Regex,
    group: usize,
    signature: Signature,
}

impl PartialEq for RegexpExtract {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.group == other.group
    }
}

impl Eq for RegexpExtract {}

impl Hash for RegexpExtract {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.regex.as_str(), self.group).hash(state);
    }
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &str {
        "regexp_extract"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!(
            "regexp_extract({}, {:?}, {})",
            args[0].schema_name(),
            self.regex.as_str(),
            self.group
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
        let mut values = StringViewBuilder::with_capacity(texts.len());
        for text in texts.as_string_view() {
            let found = text.and_then(|text| self.regex.captures(text));
            values.append_option(
                found
                    .and_then(|found| found.get(self.group))
                    .map(|group| group.as_str()),
            );
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}
