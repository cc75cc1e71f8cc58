//! `vouch repair`: one function for each kind of damage.

use std::io::{self, Write};

use store::{DamagedSegment, SetAside, Store};

use crate::arguments::{RepairCommand, RepairObjectsArgs, RepairTableArgs};
use crate::backend::open_store;
use crate::failure::Failure;
use crate::output::counted;

/// Reports damage, or repairs it.
pub(crate) async fn run(command: RepairCommand) -> Result<(), Failure> {
    match command {
        RepairCommand::Segments(arguments) => segments(arguments).await,
        RepairCommand::Heads(arguments) => heads(arguments).await,
        RepairCommand::Table(arguments) => table(arguments).await,
    }
}

async fn segments(arguments: RepairObjectsArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let mut out = io::stdout();
    let damaged = store.damaged_segments().await?;
    if damaged.is_empty() {
        writeln!(out, "no segment is damaged")?;
        return Ok(());
    }
    for segment in &damaged {
        describe(segment, &mut out)?;
    }
    if !arguments.apply {
        writeln!(
            out,
            "nothing was changed; --apply moves them to `set-aside`"
        )?;
        return Ok(());
    }
    let by = arguments.by.name()?;
    set_aside(&store, &damaged, &by, &mut out).await
}

async fn heads(arguments: RepairObjectsArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let mut out = io::stdout();
    let damaged = store.damaged_heads().await?;
    if damaged.is_empty() {
        writeln!(out, "no head is damaged")?;
        return Ok(());
    }
    for fault in &damaged {
        writeln!(out, "{}: {}", fault.path, fault.kind)?;
    }
    if !arguments.apply {
        writeln!(
            out,
            "nothing was changed; --apply moves them to `set-aside`"
        )?;
        return Ok(());
    }
    let by = arguments.by.name()?;
    for fault in &damaged {
        let done = store.set_aside_head(&fault.path, Some(&by)).await?;
        writeln!(out, "{} is now {}", fault.path, done.path)?;
        tell_records(&done, &mut out)?;
    }
    Ok(())
}

async fn table(arguments: RepairTableArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let mut out = io::stdout();
    let workspace = &arguments.workspace;
    let by = if arguments.apply {
        Some(arguments.by.name()?)
    } else {
        None
    };
    let Some(repair) = store.repair_table(workspace, by.as_deref()).await? else {
        return Err(Failure::Refused(format!(
            "there is no workspace `{workspace}` in the store"
        )));
    };
    if repair.steps.is_empty() {
        writeln!(out, "workspace {workspace}: nothing is damaged")?;
        return Ok(());
    }
    for step in &repair.steps {
        for line in step.to_string().lines() {
            writeln!(out, "  {line}")?;
        }
    }
    match repair.version {
        Some(version) => writeln!(out, "workspace {workspace}: repaired, version {version}")?,
        None => writeln!(out, "nothing was changed; --apply repairs it")?,
    }
    Ok(())
}

fn describe(segment: &DamagedSegment, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", segment.path)?;
    for whole in &segment.whole {
        let events = counted(whole.events, "event");
        writeln!(out, "  whole: {events} of workspace {}", whole.workspace)?;
    }
    for lost in &segment.lost {
        let events = counted(lost.events, "event");
        let (workspace, reason) = (&lost.workspace, &lost.reason);
        writeln!(out, "  lost:  {events} of workspace {workspace}: {reason}")?;
    }
    if let Some(reason) = &segment.unlisted {
        writeln!(
            out,
            "  lost:  perhaps events of unknown workspaces: {reason}"
        )?;
    }
    Ok(())
}

async fn set_aside(
    store: &Store,
    damaged: &[DamagedSegment],
    by: &str,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut kept = 0;
    for segment in damaged {
        match store.set_aside_segment(&segment.path, Some(by)).await {
            Ok(done) => tell(&segment.path, &done, out)?,
            // Other segments may still be set aside.
            Err(error) => {
                kept += 1;
                writeln!(out, "{} stays: {error}", segment.path)?;
            }
        }
    }
    match kept {
        0 => Ok(()),
        kept => {
            let kept = counted(kept, "segment");
            Err(Failure::Engine(format!("not set aside: {kept}")))
        }
    }
}

fn tell(path: &str, done: &SetAside, out: &mut impl Write) -> io::Result<()> {
    let stored = counted(done.stored, "event");
    writeln!(out, "{path} is now {}: {stored} stored", done.path)?;
    tell_records(done, out)
}

fn tell_records(done: &SetAside, out: &mut impl Write) -> io::Result<()> {
    for workspace in &done.recorded {
        writeln!(
            out,
            "  an audit event in workspace {workspace} says what is lost"
        )?;
    }
    for (workspace, error) in &done.unrecorded {
        writeln!(out, "  no audit event in workspace {workspace}: {error}")?;
    }
    Ok(())
}
