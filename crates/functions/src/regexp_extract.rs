//! `regexp_extract` and `regexp_extract_all`: what a group of a regular expression captured.

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use regex::Regex;
use serde_json::Value;

use crate::literals;
use crate::patterns::{Purpose, of_call};
use crate::text_match::text_argument;
use crate::text_result::TextResult;

/// The text of group `group` in the first match; missing when nothing matches or the group took no
/// part. Group 0 is the whole match.
pub fn regexp_extract(text: Expr, pattern: &str, group: i64) -> Expr {
    Matches::First
        .udf()
        .call(vec![text, lit(pattern), lit(group)])
}

/// The texts of group `group` in all matches, as a JSON array, without those in which it took no part.
pub fn regexp_extract_all(text: Expr, pattern: &str, group: i64) -> Expr {
    Matches::All
        .udf()
        .call(vec![text, lit(pattern), lit(group)])
}

/// Which matches are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Matches {
    First,
    All,
}

impl Matches {
    pub(crate) fn udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(RegexpExtract {
            matches: self,
            signature: Signature::any(3, Volatility::Immutable),
        })
    }

    fn function_name(self) -> &'static str {
        match self {
            Self::First => "regexp_extract",
            Self::All => "regexp_extract_all",
        }
    }
}

fn first<'t>(regex: &Regex, group: usize, text: &'t str) -> Option<&'t str> {
    regex.captures(text)?.get(group).map(|group| group.as_str())
}

/// Writes the array of a text match by match: one of all its parts may take fifty times its memory.
fn write_all(regex: &Regex, group: usize, text: &str, result: &mut TextResult) -> Result<()> {
    let found = regex.captures_iter(text);
    let groups = found.filter_map(|found| Some(found.get(group)?.as_str()));
    let mut separator = "[";
    for group in groups {
        result.write(separator)?;
        result.write(&Value::from(group).to_string())?;
        separator = ",";
    }
    result.write(if separator == "[" { "[]" } else { "]" })?;
    result.end();
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexpExtract {
    matches: Matches,
    signature: Signature,
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &str {
        self.matches.function_name()
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
        let group = usize::try_from(literals::int(&args, 2)?).unwrap_or(usize::MAX);
        let texts = text_argument(&args)?;
        let mut values = TextResult::new(self.matches.function_name(), &args);
        for text in texts.as_string_view() {
            match (self.matches, text) {
                (Matches::First, text) => {
                    values.append(text.and_then(|text| first(regex, group, text)))?;
                }
                (Matches::All, Some(text)) => write_all(regex, group, text, &mut values)?,
                (Matches::All, None) => values.append_null(),
            }
        }
        Ok(ColumnarValue::Array(values.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_result::tests::result_of;

    #[test]
    fn every_match_has_its_group() {
        let all = |pattern: &str, group: usize, text: &str| {
            let mut texts = result_of("regexp_extract_all", 1);
            write_all(&Regex::new(pattern).unwrap(), group, text, &mut texts).unwrap();
            let texts = texts.finish().unwrap();
            texts.as_string_view().value(0).to_owned()
        };
        assert_eq!(all(r"(\d)(x)?", 1, "1 2x \"3"), r#"["1","2","3"]"#);
        assert_eq!(all(r"(\d)(x)?", 2, "1 2x 3"), r#"["x"]"#);
        assert_eq!(all("z", 0, "1 2x 3"), "[]");
    }
}
