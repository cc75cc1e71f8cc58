//! `vouch hold`.

use std::io::{self, Write};

use events::TimeRange;
use events::settings::{HeldEvents, Hold, NewHold};

use crate::admin_backend::AdminBackend;
use crate::arguments::{HoldCommand, PlaceArgs};
use crate::failure::Failure;
use crate::output::rfc3339;

/// Places, releases or lists holds.
pub(crate) async fn run(command: HoldCommand) -> Result<(), Failure> {
    let mut out = io::stdout();
    match command {
        HoldCommand::Place(arguments) => place(arguments, &mut out).await,
        HoldCommand::Release {
            admin,
            workspace,
            by,
            name,
        } => {
            let by = by.name()?;
            let backend = AdminBackend::open(&admin).await?;
            let released = backend.release_hold(&workspace, &name, &by).await?;
            Ok(writeln!(out, "released {}", line(&released))?)
        }
        HoldCommand::List { admin, workspace } => {
            let backend = AdminBackend::open(&admin).await?;
            let settings = backend.settings(&workspace).await?;
            if settings.holds.is_empty() {
                writeln!(out, "workspace {workspace} has no holds")?;
            }
            for hold in &settings.holds {
                writeln!(out, "{}", origin(hold))?;
            }
            Ok(())
        }
    }
}

async fn place(arguments: PlaceArgs, out: &mut impl Write) -> Result<(), Failure> {
    let is_limited = arguments.from.is_some() || arguments.to.is_some() || arguments.user.is_some();
    if !is_limited && !arguments.all {
        let text = "say what to hold: --from, --to, --user, or --all for the whole workspace";
        return Err(Failure::Usage(text.to_owned()));
    }
    let range = TimeRange::new(
        arguments.from.unwrap_or(TimeRange::ALL.from_ms),
        arguments.to.unwrap_or(TimeRange::ALL.to_ms),
    );
    let hold = NewHold {
        name: arguments.name,
        reason: arguments.reason,
        placed_by: arguments.by.name()?,
        events: HeldEvents {
            range: range.map_err(|error| Failure::Usage(error.to_string()))?,
            user: arguments.user,
        },
    };
    let backend = AdminBackend::open(&arguments.admin).await?;
    let placed = backend
        .place_hold(&arguments.workspace, hold, arguments.new.create)
        .await?;
    let verb = if placed.stood_already {
        "stood already:"
    } else {
        "placed"
    };
    writeln!(out, "{verb} {}", line(&placed.hold))?;
    if let Some(day) = placed.dropped_before {
        writeln!(
            out,
            "events of days before {day} were dropped before it was placed; it holds what is left of them"
        )?;
    }
    Ok(())
}

/// A hold in one line.
fn line(hold: &Hold) -> String {
    let events = events(&hold.events);
    format!("hold `{}` on {events}: {}", hold.name, hold.reason)
}

/// A hold in one line, with its author and time.
pub(crate) fn origin(hold: &Hold) -> String {
    let day = hold.placed_at.date_naive();
    format!("{} (by {}, {day})", line(hold), hold.placed_by)
}

fn events(held: &HeldEvents) -> String {
    let whose = match &held.user {
        Some(user) => format!("events of {user}"),
        None => "all events".to_owned(),
    };
    let TimeRange { from_ms, to_ms } = held.range;
    match (
        from_ms == TimeRange::ALL.from_ms,
        to_ms == TimeRange::ALL.to_ms,
    ) {
        (true, true) => whose,
        (true, false) => format!("{whose} before {}", rfc3339(to_ms)),
        (false, true) => format!("{whose} from {} on", rfc3339(from_ms)),
        (false, false) => format!("{whose} in [{}, {})", rfc3339(from_ms), rfc3339(to_ms)),
    }
}
