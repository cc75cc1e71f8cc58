//! `regexp_extract` and `regexp_extract_all`: what a group of a regular expression captured.

use std::hash::{Hash, Hasher};

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;
use serde_json::Value;

use super::text_match::text_argument;
use super::text_result::TextResult;
use crate::resources::Resources;

/// The text of group `group` in the first match; missing when nothing matches or the group took no
/// part. Group 0 is the whole match.
pub(crate) fn regexp_extract(
    text: Expr,
    regex: Regex,
    group: usize,
    resources: &Resources,
) -> Expr {
    extract(text, regex, group, Matches::First, resources)
}

/// The texts of group `group` in all matches, as a JSON array, without those in which it took no part.
pub(crate) fn regexp_extract_all(
    text: Expr,
    regex: Regex,
    group: usize,
    resources: &Resources,
) -> Expr {
    extract(text, regex, group, Matches::All, resources)
}

fn extract(
    text: Expr,
    regex: Regex,
    group: usize,
    matches: Matches,
    resources: &Resources,
) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(RegexpExtract {
        regex,
        group,
        matches,
        signature,
        resources: resources.clone(),
    })
    .call(vec![text])
}

/// Which matches are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Matches {
    First,
    All,
}

#[derive(Debug)]
struct RegexpExtract {
    regex: Regex,
    group: usize,
    matches: Matches,
    signature: Signature,
    resources: Resources,
}

impl RegexpExtract {
    fn title(&self) -> &'static str {
        match self.matches {
            Matches::First => "regexp_extract",
            Matches::All => "regexp_extract_all",
        }
    }

    fn first<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.regex.captures(text)?;
        found.get(self.group).map(|group| group.as_str())
    }

    /// Writes the array of a text match by match: one of all its parts may take fifty times its memory.
    fn write_all(&self, text: &str, result: &mut TextResult) -> Result<()> {
        let found = self.regex.captures_iter(text);
        let groups = found.filter_map(|found| Some(found.get(self.group)?.as_str()));
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
}

impl PartialEq for RegexpExtract {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
            && (self.group, self.matches) == (other.group, other.matches)
    }
}

impl Eq for RegexpExtract {}

impl Hash for RegexpExtract {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.regex.as_str(), self.group, self.matches).hash(state);
    }
}

impl ScalarUDFImpl for RegexpExtract {
    fn name(&self) -> &str {
        self.title()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(format!(
            "{}({}, {:?}, {})",
            self.name(),
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
        let mut values = TextResult::new(self.title(), texts.len(), &self.resources);
        for text in texts.as_string_view() {
            match (self.matches, text) {
                (Matches::First, text) => values.append(text.and_then(|text| self.first(text)))?,
                (Matches::All, Some(text)) => self.write_all(text, &mut values)?,
                (Matches::All, None) => values.append_null(),
            }
        }
        Ok(ColumnarValue::Array(values.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_gives_its_group() {
        let all = |pattern: &str, group: usize, text: &str| {
            let function = RegexpExtract {
                regex: Regex::new(pattern).unwrap(),
                group,
                matches: Matches::All,
                signature: Signature::any(1, Volatility::Immutable),
                resources: Resources::default(),
            };
            let mut texts = TextResult::new("regexp_extract_all", 1, &function.resources);
            function.write_all(text, &mut texts).unwrap();
            let texts = texts.finish().unwrap();
            texts.as_string_view().value(0).to_owned()
        };
        assert_eq!(all(r"(\d)(x)?", 1, "1 2x \"3"), r#"["1","2","3"]"#);
        assert_eq!(all(r"(\d)(x)?", 2, "1 2x 3"), r#"["x"]"#);
        assert_eq!(all("z", 0, "1 2x 3"), "[]");
    }
}
