//! Function calls: which family a name belongs to.

use dql::ast::Call;
use dql::{Code, Span};

use super::aggregate::{AGGREGATES, is_aggregate};
use super::derived::DERIVED;
use super::name::nearest;
use super::pick::PICKERS;
use super::point::{POINTS, is_point_function};
use super::predicate::text_test_of;
use super::scalar::SCALARS;
use super::{Bind, Binder, not_supported, wrong};
use crate::types::{Type, Typed};

/// Functions that test text, under every spelling.
const TESTS: [&str; 9] = [
    "re",
    "regex",
    "regexp",
    "match",
    "search",
    "wildcard",
    "query_string",
    "querystring",
    "cidr",
];

/// Why a function is not answered.
fn reason(name: &str) -> &'static str {
    match name {
        "count_series" => {
            "events form no series before they are grouped; `count_distinct(key)` counts groups"
        }
        "histogram_quantile" => {
            "it reads buckets that a metric was counted into; `percentile(x, n)` reads the values"
        }
        "change_score" => "no public description says how the score is computed",
        "unwrap" => "it makes metric samples of log lines; name the field itself",
        _ => "it has no meaning on events yet",
    }
}

impl Binder<'_> {
    /// Binds a call in value position.
    pub(super) fn call(&mut self, call: &Call, span: Span) -> Bind<Typed> {
        let name = call.name.text.to_ascii_lowercase();
        if is_aggregate(&name) {
            return self.aggregate(&name, call, span);
        }
        if text_test_of(&name).is_some() {
            let expr = dql::ast::Expr {
                kind: dql::ast::ExprKind::Call(call.clone()),
                span,
            };
            let condition = self.condition(&expr, false)?;
            return Ok(Typed::new(condition.is_true(), Type::Bool));
        }
        if let Some(value) = self.scalar(&name, call, span)? {
            return Ok(value);
        }
        if name == "fill" {
            return self.fill(call, span);
        }
        if is_point_function(&name) {
            return self.point(&name, call);
        }
        if PICKERS.contains(&name.as_str()) {
            let message = format!("`{name}` stands alone in the projection");
            return Err(wrong(Code::InvalidExpression, message, span));
        }
        let known = AGGREGATES
            .iter()
            .chain(&DERIVED)
            .chain(&TESTS)
            .chain(&SCALARS)
            .chain(&PICKERS)
            .chain(&POINTS)
            .copied();
        // What no language has was refused before; what is left is known and not answered here.
        let what = format!("the function `{name}`");
        let error = not_supported(&what, reason(&name), call.name.span);
        Err(match nearest(&name, known) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")).into(),
            None => error,
        })
    }
}
