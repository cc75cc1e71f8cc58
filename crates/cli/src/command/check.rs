//! `vouch check`.

use std::io::{self, Write};

use dql::{Diagnostic, Severity};

use crate::failure::{Failure, drawn};

/// Prints the canonical form of `query`, or its diagnostics.
pub(crate) fn run(query: &str) -> Result<(), Failure> {
    let wrong = |diagnostics| Failure::Question {
        query: query.to_owned(),
        diagnostics,
    };
    let script = dql::parse(query).map_err(wrong)?;
    let findings = dql::check(&script).into_iter();
    let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) = findings
        .map(|finding| script.texts.located(finding))
        .partition(|finding| finding.severity == Severity::Error);
    io::stderr().write_all(drawn(query, &warnings).as_bytes())?;
    if !errors.is_empty() {
        return Err(wrong(errors));
    }
    writeln!(io::stdout(), "{script}")?;
    Ok(())
}
