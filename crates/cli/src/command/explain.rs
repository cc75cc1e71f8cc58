//! `vouch explain`.

use std::io::{self, Write};

use api::{Scope, Stage};

use super::query_text;
use crate::arguments::{ExplainArgs, StageName};
use crate::backend::Backend;
use crate::failure::{Failure, drawn};
use crate::output::{counted, size};

/// Prints a stage of a query.
pub(crate) async fn run(arguments: ExplainArgs) -> Result<(), Failure> {
    let ExplainArgs {
        mut target,
        stage,
        analyze,
        query,
    } = arguments;
    let query = query_text(query)?;
    if stage == StageName::Ast {
        // The syntax tree does not depend on workspaces.
        target.workspace = Some(Scope::All);
    }
    let backend = match stage {
        StageName::Ast => Backend::without_store(&target).await?,
        _ => Backend::open(&target).await?,
    };
    let request = backend.request(&target, query).await?;
    let stage = match analyze {
        true => Stage::Analyze,
        false => stage.into(),
    };
    let explanation = backend.explain(&request, stage).await?;
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
