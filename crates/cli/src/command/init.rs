//! `vouch init`.

use std::io::{self, Write};

use crate::arguments::InitArgs;
use crate::backend::locate_store;
use crate::failure::Failure;

/// Creates an empty store.
pub(crate) async fn run(arguments: InitArgs) -> Result<(), Failure> {
    let store = locate_store(&arguments.store)?;
    let marker = store.init().await?;
    writeln!(io::stdout(), "store {} at {}", marker.id(), store.url())?;
    Ok(())
}
