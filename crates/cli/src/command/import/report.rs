//! The report of an import.

use std::io::{self, Write};

use events::Rejection;
use events::read::ReadError;
use store::ImportSummary;

use crate::output::{counted, size};

/// The number of refused records that are printed per file.
const SHOWN_REFUSALS: usize = 10;

/// The result of one file.
#[derive(Debug)]
pub(super) struct FileReport {
    name: String,
    /// The number of events that were passed to the store.
    pub(super) read: u64,
    refused: u64,
    /// The first refused records, one line each.
    shown: Vec<String>,
    failure: Option<String>,
}

impl FileReport {
    /// An empty report.
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            read: 0,
            refused: 0,
            shown: Vec::new(),
            failure: None,
        }
    }

    /// Adds a record that is not stored.
    pub(super) fn refuse(&mut self, line: u64, rejection: &Rejection) {
        self.refused += 1;
        if self.shown.len() < SHOWN_REFUSALS {
            let code = rejection.code.as_str();
            self.shown
                .push(format!("line {line}: {code}: {}", rejection.message));
        }
    }

    /// Sets the reason why the file was not read to its end.
    pub(super) fn failed(&mut self, error: &ReadError) {
        self.failure = Some(error.to_string());
    }

    /// Whether the whole file was read and accepted.
    pub(super) fn is_clean(&self) -> bool {
        self.refused == 0 && self.failure.is_none()
    }
}

/// Prints the result of each file and of each workspace.
pub(super) fn print(
    out: &mut impl Write,
    files: &[FileReport],
    summary: &ImportSummary,
) -> io::Result<()> {
    for file in files {
        writeln!(
            out,
            "{}: {} read, {} refused",
            file.name,
            counted(file.read, "event"),
            file.refused
        )?;
        for line in &file.shown {
            writeln!(out, "  {line}")?;
        }
        let hidden = file.refused - file.shown.len() as u64;
        if hidden > 0 {
            writeln!(out, "  and {hidden} more refused")?;
        }
        if let Some(failure) = &file.failure {
            writeln!(out, "  failed: {failure}")?;
        }
    }
    for workspace in &summary.workspaces {
        writeln!(
            out,
            "workspace {}: {} stored, {} repeated, {}{}, {}",
            workspace.workspace,
            workspace.stored,
            workspace.repeated,
            conflicts(workspace.conflicts),
            counted(workspace.files as u64, "file"),
            size(workspace.size_bytes),
        )?;
    }
    let read: u64 = files.iter().map(|file| file.read).sum();
    let refused: u64 = files.iter().map(|file| file.refused).sum();
    writeln!(
        out,
        "total: {read} read, {} stored, {} repeated, {}{refused} refused",
        summary.stored,
        summary.repeated,
        conflicts(summary.conflicts),
    )
}

/// The number of stored events with an id other than their own, if any.
fn conflicts(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!("{count} under an id of their own (`vouch_conflict`), "),
    }
}

#[cfg(test)]
mod tests {
    use events::RejectionCode;
    use store::WorkspaceSummary;

    use super::*;

    #[test]
    fn a_report_shows_the_first_refusals_and_counts_the_rest() {
        let mut file = FileReport::new("a.ndjson".into());
        file.read = 3;
        for line in 1..=12 {
            file.refuse(
                line,
                &Rejection::new(RejectionCode::MissingDate, "no `date`"),
            );
        }
        assert!(!file.is_clean());
        file.failed(&ReadError::Empty {
            name: "a.ndjson".into(),
        });
        let mut clean = FileReport::new("b.csv".into());
        clean.read = 1;
        assert!(clean.is_clean());
        let summary = ImportSummary {
            stored: 3,
            repeated: 1,
            conflicts: 0,
            workspaces: vec![WorkspaceSummary {
                workspace: "acme".parse().unwrap(),
                stored: 3,
                repeated: 1,
                conflicts: 0,
                version: Some(1),
                files: 2,
                size_bytes: 2_048,
            }],
        };
        let mut out = Vec::new();
        print(&mut out, &[file, clean], &summary).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(
            "a.ndjson: 3 events read, 12 refused\n  line 1: missing_date: no `date`\n"
        ));
        assert!(text.contains("  line 10: "));
        assert!(!text.contains("  line 11: "));
        assert!(text.contains("  and 2 more refused\n  failed: a.ndjson is empty\n"));
        assert!(text.ends_with(
            "b.csv: 1 event read, 0 refused\n\
             workspace acme: 3 stored, 1 repeated, 2 files, 2.0 kB\n\
             total: 4 read, 3 stored, 1 repeated, 12 refused\n"
        ));
    }
}
