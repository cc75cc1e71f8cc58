//! `vouch init`.

use std::io::{self, Write};

use crate::answers::locate_store;
use crate::arguments::InitArguments;
use crate::failure::Failure;

/// Makes a new, empty store.
pub(crate) async fn run(arguments: InitArguments) -> Result<(), Failure> {
    let store = locate_store(&arguments.store)?;
    let marker = store.init().await?;
    writeln!(io::stdout(), "store {} at {}", marker.id(), store.url())?;
    Ok(())
}
