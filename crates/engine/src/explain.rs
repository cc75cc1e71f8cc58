//! The stages of a statement on its way to an answer.

use std::future::Future;
use std::pin::Pin;

use api::{Explanation, Stage};
use dql::Diagnostic;
use dql::ast::Statement;
use plan::{BoundShow, BoundStatement, SeriesPlan};

use crate::error::EngineError;
use crate::prepared::Run;

/// Shows a stage of a bound statement.
///
/// # Errors
/// The store fails, or DataFusion refuses the plan.
pub(crate) async fn statement(
    run: &Run,
    statement: &Statement,
    bound: &BoundStatement,
    stage: Stage,
) -> Result<Explanation, EngineError> {
    match (bound, statement) {
        (BoundStatement::Query(query), _) => run.engine.explain_query(run, query, stage).await,
        (BoundStatement::Series(plan), _) => series(run, plan, stage).await,
        (BoundStatement::Show(bound), Statement::Show(show)) => {
            let inner = self::show(run, bound, stage).await?;
            let name = show.call.name.text.to_ascii_lowercase();
            Ok(below(format!("show     {name}"), inner))
        }
        (BoundStatement::Show(bound), _) => show(run, bound, stage).await,
    }
}

async fn show(run: &Run, show: &BoundShow, stage: Stage) -> Result<Explanation, EngineError> {
    let read = stage.reads_files().then_some(0);
    match show.query() {
        Some(query) => run.engine.explain_query(run, query, stage).await,
        None => Ok(Explanation {
            text: "source   the workspaces of the store; no events are read\n".to_owned(),
            files: read,
            bytes: read,
            warnings: Vec::new(),
        }),
    }
}

type Explaining<'a> = Pin<Box<dyn Future<Output = Result<Explanation, EngineError>> + Send + 'a>>;

/// A stage of each query inside of functions, below the functions.
fn series<'a>(run: &'a Run, plan: &'a SeriesPlan, stage: Stage) -> Explaining<'a> {
    Box::pin(async move {
        match plan {
            SeriesPlan::Query { query, .. } => run.engine.explain_query(run, query, stage).await,
            SeriesPlan::Quoted { text, input } => {
                let mut inner = series(run, input, stage).await?;
                inner.warnings = run.parsed.located_in(*text, inner.warnings);
                Ok(inner)
            }
            SeriesPlan::Function(call) => {
                let mut inner = series(run, &call.input, stage).await?;
                if stage == Stage::Bound {
                    inner
                        .text
                        .push_str(&format!("with     {}\n", call.function));
                }
                let mut explained = below(format!("function {}", call.name), inner);
                explained
                    .warnings
                    .extend(call.notes.warnings.iter().cloned());
                Ok(explained)
            }
            SeriesPlan::Eval(eval) => {
                let mut all = of_text(String::new(), Vec::new());
                for (index, (name, operand)) in eval.operands.iter().enumerate() {
                    let inner = series(run, operand, stage).await?;
                    let part = below(format!("query    {name}"), inner);
                    all = if index == 0 {
                        part
                    } else {
                        followed(all, part)
                    };
                }
                if stage == Stage::Bound {
                    all.text.push_str(&format!("with     {}\n", eval.value));
                }
                Ok(below("function eval".to_owned(), all))
            }
            SeriesPlan::Limit { input, .. } => series(run, input, stage).await,
        }
    })
}

/// An explanation that reads nothing.
pub(crate) fn of_text(text: String, warnings: Vec<Diagnostic>) -> Explanation {
    Explanation {
        text,
        files: None,
        bytes: None,
        warnings,
    }
}

/// An explanation below a line.
fn below(line: String, inner: Explanation) -> Explanation {
    let mut text = line;
    text.push('\n');
    for inner_line in inner.text.lines() {
        text.push_str(&format!("    {inner_line}\n"));
    }
    Explanation { text, ..inner }
}

/// Two explanations, one after the other.
fn followed(first: Explanation, second: Explanation) -> Explanation {
    let sum = |left: Option<u64>, right: Option<u64>| Some(left? + right?);
    Explanation {
        text: first.text + &second.text,
        files: sum(first.files, second.files),
        bytes: sum(first.bytes, second.bytes),
        warnings: first.warnings.into_iter().chain(second.warnings).collect(),
    }
}
