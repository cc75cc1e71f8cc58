//! Stages of the queries inside functions, below the names of the functions.

use api::{Explanation, Stage};
use dql::ast::{Call, Expr, ExprKind, Outer, Select, Statement};

use super::{Evaluation, Scope, argument_query, is_alias, missing_query, no_query, readable};
use crate::error::EngineError;
use crate::prepare;

impl<'a> Scope<'a> {
    /// A stage of each query inside functions.
    pub(crate) fn explain(self, outer: &'a Outer, stage: Stage) -> Evaluation<'a, Explanation> {
        Box::pin(async move {
            let mut inner = self.explain_call(&outer.call, stage).await?;
            for chained in &outer.chain {
                inner = below(format!("function {}", name(chained)), inner);
            }
            Ok(inner)
        })
    }

    fn explain_call(self, call: &'a Call, stage: Stage) -> Evaluation<'a, Explanation> {
        Box::pin(async move {
            if name(call) != "eval" {
                let value = argument_query(call)?;
                let inner = self.explain_value(value, stage).await?;
                return Ok(below(format!("function {}", name(call)), inner));
            }
            let mut whole: Option<Explanation> = None;
            for argument in call.args.iter().filter(|argument| !is_alias(argument)) {
                let Some(letter) = &argument.name else {
                    continue;
                };
                let inner = self.explain_value(&argument.value, stage).await?;
                let part = below(format!("query    {}", letter.text), inner);
                whole = Some(match whole {
                    Some(whole) => behind(whole, part),
                    None => part,
                });
            }
            let whole = whole.ok_or_else(|| missing_query(call))?;
            Ok(below("function eval".to_owned(), whole))
        })
    }

    fn explain_value(self, value: &'a Expr, stage: Stage) -> Evaluation<'a, Explanation> {
        Box::pin(async move {
            match &value.kind {
                ExprKind::Subquery(select) => self.explain_select(select, stage).await,
                ExprKind::Call(call) => self.explain_call(call, stage).await,
                ExprKind::Quoted(quoted) => {
                    let (text, statement) = readable(quoted)?;
                    let explained = match statement {
                        Statement::Outer(outer) => self.explain(outer, stage).await,
                        Statement::Select(select) => self.explain_select(select, stage).await,
                        Statement::Show(show) => Err(super::show_inside(show)),
                    };
                    explained.map_err(|error| self.outside(text, error))
                }
                _ => Err(no_query(value)),
            }
        })
    }

    async fn explain_select(
        self,
        select: &Select,
        stage: Stage,
    ) -> Result<Explanation, EngineError> {
        let query = prepare::bind_select(self.parsed, select, self.request, self.delivery)?;
        self.engine.explain_query(self.request, &query, stage).await
    }
}

fn name(call: &Call) -> String {
    call.name.text.to_ascii_lowercase()
}

/// An explanation below a line.
pub(crate) fn below(line: String, inner: Explanation) -> Explanation {
    let mut text = line;
    text.push('\n');
    for inner_line in inner.text.lines() {
        text.push_str(&format!("    {inner_line}\n"));
    }
    Explanation { text, ..inner }
}

/// Two explanations, one behind the other.
fn behind(first: Explanation, second: Explanation) -> Explanation {
    let sum = |left: Option<u64>, right: Option<u64>| Some(left? + right?);
    Explanation {
        text: first.text + &second.text,
        files: sum(first.files, second.files),
        bytes: sum(first.bytes, second.bytes),
        warnings: first.warnings.into_iter().chain(second.warnings).collect(),
    }
}
