//! Events by workspace and day.

use std::collections::HashMap;

use chrono::NaiveDate;

use crate::event::Event;
use crate::packed::PackedEvents;
use crate::time::day_of;
use crate::workspace::{WorkspaceId, WorkspaceIdError};

const DAY_MS: i64 = 86_400_000;

/// Events of one workspace and day, in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayEvents {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The UTC day.
    pub day: NaiveDate,
    /// The events.
    pub events: PackedEvents,
}

/// Sorts events by workspace and day.
#[derive(Debug, Default)]
pub(crate) struct Days {
    days: Vec<DayEvents>,
    /// The position in `days` by workspace and number of the day.
    places: HashMap<WorkspaceId, HashMap<i64, usize>>,
    /// The place of the event before, which is often that of the next one too.
    last: Option<(i64, usize)>,
}

impl Days {
    /// Where an event of the workspace goes that happened at `date_ms`.
    pub(crate) fn events_of(
        &mut self,
        workspace: &str,
        date_ms: i64,
    ) -> Result<&mut PackedEvents, WorkspaceIdError> {
        let number = date_ms.div_euclid(DAY_MS);
        let place = match self.last {
            Some((last, place))
                if last == number && self.days[place].workspace.as_str() == workspace =>
            {
                place
            }
            _ => self.place(workspace, date_ms, number)?,
        };
        self.last = Some((number, place));
        Ok(&mut self.days[place].events)
    }

    /// Adds an event that was made with care.
    pub(crate) fn push(&mut self, event: &Event) {
        // The name of a workspace that an event has is one.
        if let Ok(events) = self.events_of(event.workspace().as_str(), event.date_ms()) {
            events.push(event);
        }
    }

    fn place(
        &mut self,
        workspace: &str,
        date_ms: i64,
        number: i64,
    ) -> Result<usize, WorkspaceIdError> {
        let next = self.days.len();
        let known = self.places.get_mut(workspace);
        if let Some(place) = known.as_ref().and_then(|days| days.get(&number)) {
            return Ok(*place);
        }
        let id: WorkspaceId = workspace.parse()?;
        match known {
            Some(days) => {
                days.insert(number, next);
            }
            None => {
                self.places
                    .insert(id.clone(), HashMap::from([(number, next)]));
            }
        }
        self.days.push(DayEvents {
            workspace: id,
            day: day_of(date_ms),
            events: PackedEvents::default(),
        });
        Ok(next)
    }

    /// The events, days in the order in which their first event came.
    pub(crate) fn finish(mut self) -> Vec<DayEvents> {
        for day in &mut self.days {
            day.events.shrink();
        }
        self.days
    }
}
