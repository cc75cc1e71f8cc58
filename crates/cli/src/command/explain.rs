//! `vouch explain`.

use std::io::{self, Write};

use engine::Scope;

use super::query_text;
use crate::answers::Answers;
use crate::arguments::{ExplainArguments, StageName};
use crate::failure::{Failure, drawn};
use crate::output::{counted, size};

/// Shows how a question is understood.
pub(crate) async fn run(arguments: ExplainArguments) -> Result<(), Failure> {
    let ExplainArguments {
        mut ask,
        stage,
        query,
    } = arguments;
    let query = query_text(query)?;
    if stage == StageName::Ast {
        // The syntax tree has nothing to do with workspaces, so none need be chosen.
        ask.workspace = Some(Scope::All);
    }
    let answers = match stage {
        StageName::Ast => Answers::without_store(&ask).await?,
        _ => Answers::open(&ask).await?,
    };
    let request = answers.request(&ask, query).await?;
    let explanation = answers.explain(&request, stage.into()).await?;
    let mut out = io::stdout();
    writeln!(out, "{}", explanation.text.trim_end())?;
    if let (Some(files), Some(bytes)) = (explanation.files, explanation.bytes) {
        writeln!(
            out,
            "reads {}, at most {} ({bytes} bytes)",
            counted(files, "file"),
            size(bytes)
        )?;
    }
    io::stderr().write_all(drawn(&request.query, &explanation.warnings).as_bytes())?;
    Ok(())
}
