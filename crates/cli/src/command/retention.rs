//! `vouch retention`.

use std::io::{self, Write};

use api::Scope;
use events::WorkspaceId;
use events::settings::{
    Dropped, Retention, RetentionMode, RetentionOutcome, RetentionRun, Settings, Undone,
};

use crate::admin_backend::AdminBackend;
use crate::arguments::{AdminArgs, RetentionCommand};
use crate::command::hold;
use crate::failure::Failure;
use crate::output::{counted, size};

/// Why retention runs drop nothing in a workspace.
pub(super) const WITHHELD: &str =
    "older events were imported, so nothing is dropped until a retention is set";

/// Shows, sets or runs the retention.
pub(crate) async fn run(command: RetentionCommand) -> Result<(), Failure> {
    match command {
        RetentionCommand::Show { admin, workspace } => show(&admin, workspace).await,
        RetentionCommand::Set {
            admin,
            workspace,
            retention,
            by,
            new,
        } => {
            let by = by.name()?;
            set(&admin, &workspace, retention, &by, new.create).await
        }
        RetentionCommand::Run {
            admin,
            workspace,
            dry_run,
            confirm,
        } => {
            let mode = match (dry_run, confirm) {
                (true, _) => RetentionMode::DryRun,
                (false, true) => RetentionMode::Confirmed,
                (false, false) => RetentionMode::Guarded,
            };
            expire(&admin, workspace, mode).await
        }
        RetentionCommand::Undo {
            admin,
            workspace,
            by,
            version,
            dry_run,
        } => {
            let by = by.name()?;
            let backend = AdminBackend::open(&admin).await?;
            let undone = backend
                .undo_retention(&workspace, version, &by, dry_run)
                .await?;
            let mut out = io::stdout();
            write!(out, "workspace {workspace}: ")?;
            match undone {
                Some(undone) => tell_undone(&undone, &mut out)?,
                None => writeln!(out, "it has no events")?,
            }
            Ok(())
        }
    }
}

async fn show(admin: &AdminArgs, scope: Option<Scope>) -> Result<(), Failure> {
    let backend = AdminBackend::open(admin).await?;
    let mut out = io::stdout();
    for workspace in backend.chosen(scope).await? {
        let settings = backend.settings(&workspace).await?;
        tell_settings(&workspace, &settings, &mut out)?;
    }
    Ok(())
}

async fn set(
    admin: &AdminArgs,
    workspace: &WorkspaceId,
    retention: Retention,
    by: &str,
    create: bool,
) -> Result<(), Failure> {
    let backend = AdminBackend::open(admin).await?;
    let (_, next_run) = backend
        .set_retention(workspace, retention, by, create)
        .await?;
    let mut out = io::stdout();
    writeln!(out, "workspace {workspace}: events are kept {retention}")?;
    match next_run {
        Some(expiry) => {
            write!(out, "next run: ")?;
            tell_run(&expiry, &mut out)?;
        }
        None => writeln!(out, "what the next run would drop is not known")?,
    }
    Ok(())
}

async fn expire(
    admin: &AdminArgs,
    scope: Option<Scope>,
    mode: RetentionMode,
) -> Result<(), Failure> {
    let backend = AdminBackend::open(admin).await?;
    let mut out = io::stdout();
    for workspace in backend.chosen(scope).await? {
        let run = backend.expire(&workspace, mode).await?;
        write!(out, "workspace {workspace}: ")?;
        match run {
            Some(expiry) => tell_run(&expiry, &mut out)?,
            None => writeln!(out, "it has no events")?,
        }
    }
    Ok(())
}

fn tell_undone(undone: &Undone, out: &mut impl Write) -> io::Result<()> {
    let Undone {
        restored,
        dropped_version,
        ..
    } = undone;
    let what = format!(
        "{} of {}, which version {dropped_version} has dropped",
        counted(restored.events, "event"),
        days(restored)
    );
    if undone.repeated > 0 {
        let repeated = counted(undone.repeated, "event");
        writeln!(
            out,
            "{} {what}; {repeated} of its files are there anyway",
            verb(undone)
        )?;
    } else {
        writeln!(out, "{} {what}", verb(undone))?;
    }
    if undone.version.is_some() {
        writeln!(
            out,
            "  nothing is dropped until another retention is set, or `vouch retention run --confirm`"
        )?;
    }
    Ok(())
}

fn verb(undone: &Undone) -> &'static str {
    match undone.version {
        Some(_) => "brought back",
        None => "would bring back",
    }
}

fn tell_settings(
    workspace: &WorkspaceId,
    settings: &Settings,
    out: &mut impl Write,
) -> io::Result<()> {
    let retention = settings.retention_in_force();
    let origin = match settings.retention {
        Some(_) => "",
        None => ", the default",
    };
    writeln!(
        out,
        "workspace {workspace}: events are kept {retention}{origin}; {}",
        counted(settings.holds.len() as u64, "hold")
    )?;
    if settings.is_withheld() {
        writeln!(out, "  {WITHHELD}")?;
    }
    if settings.drop_undone {
        writeln!(
            out,
            "  a drop was undone or the log rebuilt, so nothing is dropped until another retention is set or a run is confirmed"
        )?;
    }
    if let Some(day) = settings.dropped_before {
        writeln!(out, "  dropped so far: days before {day}")?;
    }
    for hold in &settings.holds {
        writeln!(out, "  {}", hold::origin(hold))?;
    }
    Ok(())
}

fn tell_run(expiry: &RetentionRun, out: &mut impl Write) -> io::Result<()> {
    let retention = expiry.retention;
    let what = || {
        let dropped = &expiry.dropped;
        format!(
            "{} of {}, {}",
            counted(dropped.events, "event"),
            days(dropped),
            size(dropped.size_bytes)
        )
    };
    match expiry.outcome {
        RetentionOutcome::Nothing => {
            writeln!(out, "nothing to drop that is older than {retention}")?
        }
        RetentionOutcome::Dropped { .. } => writeln!(out, "dropped {}", what())?,
        RetentionOutcome::DryRun => writeln!(out, "would drop {}", what())?,
        RetentionOutcome::Unconfirmed => {
            writeln!(
                out,
                "nothing is dropped: a large share of the events is older than {retention}, and nobody has confirmed that they go"
            )?;
            writeln!(
                out,
                "  check the clock; `vouch retention run --confirm` would drop {}",
                what()
            )?;
        }
        RetentionOutcome::Undone => {
            writeln!(
                out,
                "nothing is dropped: a drop was undone or the log rebuilt, and no other retention was set and no run confirmed since"
            )?;
            writeln!(
                out,
                "  `vouch retention run --confirm` would drop {}",
                what()
            )?;
        }
        RetentionOutcome::Withheld => {
            writeln!(
                out,
                "nothing is dropped: nobody has set a retention, and events older than the default of {retention} were imported"
            )?;
            writeln!(out, "  setting it to {retention} would drop {}", what())?;
        }
    }
    if expiry.held_events > 0 {
        let held = counted(expiry.held_events, "older event");
        let by = expiry.held_by.iter();
        let by: Vec<String> = by
            .map(|(name, events)| format!("{name} ({events})"))
            .collect();
        writeln!(out, "  held: {held}, by {}", by.join(", "))?;
    }
    if expiry.foreign_events > 0 {
        let foreign = counted(expiry.foreign_events, "older event");
        writeln!(
            out,
            "  left: {foreign} in files of other software that cannot be taken out safely"
        )?;
    }
    Ok(())
}

/// The first few ranges of dropped days.
fn days(dropped: &Dropped) -> String {
    const SHOWN: usize = 3;
    let ranges = dropped.days.iter().take(SHOWN);
    let mut shown: Vec<String> = ranges
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first} to {last}")
            }
        })
        .collect();
    if dropped.days.len() > SHOWN {
        shown.push("…".to_owned());
    }
    format!(
        "{} ({})",
        counted(dropped.day_count(), "day"),
        shown.join(", ")
    )
}
