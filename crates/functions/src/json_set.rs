//! `set`: the different members of a list.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

use crate::text_match::text_argument;

/// The members of a JSON array without those that repeat an earlier one; any other JSON value is a list
/// of itself. Members are the same when their JSON texts are.
pub fn json_set(list: Expr) -> Expr {
    udf().call(vec![list])
}

pub(crate) fn udf() -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(JsonSet { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonSet {
    signature: Signature,
}

fn distinct(json: &str) -> Option<String> {
    let members = match serde_json::from_str(json).ok()? {
        Value::Array(members) => members,
        other => vec![other],
    };
    let mut seen = HashSet::new();
    let members = members.iter().map(Value::to_string);
    let first: Vec<String> = members
        .filter(|member| seen.insert(member.clone()))
        .collect();
    Some(format!("[{}]", first.join(",")))
}

impl ScalarUDFImpl for JsonSet {
    fn name(&self) -> &str {
        "set"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lists = text_argument(&args)?;
        let mut sets = StringViewBuilder::with_capacity(lists.len());
        for list in lists.as_string_view() {
            sets.append_option(list.and_then(distinct));
        }
        Ok(ColumnarValue::Array(Arc::new(sets.finish()) as ArrayRef))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_once_where_they_first_stood() {
        let cases = [
            (
                r#"["b","a","b",1,"1",null,null]"#,
                r#"["b","a",1,"1",null]"#,
            ),
            (r#"[{"x":[1]},{"x":[1]}]"#, r#"[{"x":[1]}]"#),
            (r#""a""#, r#"["a"]"#),
            ("[]", "[]"),
        ];
        for (list, expected) in cases {
            assert_eq!(distinct(list).as_deref(), Some(expected));
        }
    }
}
