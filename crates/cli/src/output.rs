//! Answers as tables, JSON, CSV, NDJSON, Arrow and Parquet.

mod batches;
mod destination;
#[cfg(test)]
mod round_trip;
mod summary;
mod table;

use std::io::{self, IsTerminal, Write};

pub(crate) use batches::batch_writer;
pub(crate) use destination::Destination;
pub(crate) use summary::{counted, rfc3339, size, summarise};
pub(crate) use table::{Table, answer_tables};

/// Writes a note to standard error.
pub(crate) fn eprint_note(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{text}")
}

/// The width of the terminal, or `None` when standard output is not a terminal.
pub(crate) fn terminal_width() -> Option<u16> {
    if io::stdout().is_terminal() {
        comfy_table::Table::new().width()
    } else {
        None
    }
}
