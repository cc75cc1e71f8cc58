//! One event of the load as a line of JSON, in Vouch's own field names.

use std::fmt::{self, Write};

use super::kind::{Detail, KINDS, Kind, PAGES};
use super::people::{Person, Population, Workspace};
use super::words::{ASPECTS, QUERIES, REMARKS, REQUESTS, SERVICES, SIGN_IN_FAILURES};
use crate::random::{Random, Shares, mixed};
use crate::rhythm::HOUR_MS;

/// The number of distinct objects.
pub(super) const OPERATIONS: u64 = 60_000;

/// In a workspace, one hour in this many has a password attack on one account.
const HOURS_BETWEEN_ATTACKS: u64 = 40;

/// The length of a message in characters.
pub(super) const MESSAGE_CHARACTERS: std::ops::RangeInclusive<usize> = 60..=120;

const DAY_MS: i64 = 24 * HOUR_MS;

/// Writes events one after the other into the same buffers.
#[derive(Debug)]
pub(super) struct Writer {
    population: Population,
    kinds: Shares,
    pages: Shares,
    remarks: Shares,
    line: String,
    message: String,
}

/// The parts of an event.
struct Occurrence<'a> {
    date_ms: i64,
    kind: &'a Kind,
    workspace: &'a Workspace,
    person: &'a Person,
    /// The number of the object, below [`OPERATIONS`].
    operation: Option<u64>,
    /// The reason of the failure; `None` for a success.
    failure: Option<&'static str>,
    /// Whether the event belongs to a password attack.
    is_attack: bool,
}

impl Writer {
    /// A writer of events of `workspaces` workspaces.
    pub(super) fn new(workspaces: u32) -> Self {
        Self {
            population: Population::new(workspaces),
            kinds: Shares::of(KINDS.iter().map(|kind| kind.weight)),
            pages: Shares::zipf(PAGES.len()),
            remarks: Shares::zipf(REMARKS.len()),
            line: String::new(),
            message: String::new(),
        }
    }

    /// The next event, with its line end.
    pub(super) fn line(&mut self, date_ms: i64, random: &mut Random) -> &str {
        self.line.clear();
        self.message.clear();
        let population = &self.population;
        let occurrence = occurrence(population, &self.kinds, date_ms, random);
        let page = PAGES[self.pages.draw(random)];
        let message = &mut self.message;
        // Writing to a String cannot fail.
        let _ = write_message(message, &occurrence, &self.remarks, random);
        let _ = write_event(&mut self.line, &occurrence, page, message, random);
        &self.line
    }
}

fn occurrence<'a>(
    population: &'a Population,
    kinds: &Shares,
    date_ms: i64,
    random: &mut Random,
) -> Occurrence<'a> {
    let kind = &KINDS[kinds.draw(random)];
    let workspace = population.workspace(random);
    let mut person = population.person(workspace, random);
    let hour = date_ms.div_euclid(HOUR_MS).unsigned_abs();
    let attack = mixed(&[workspace.number, hour]);
    let is_attack = kind.detail == Detail::SignIn
        && attack.is_multiple_of(HOURS_BETWEEN_ATTACKS)
        && random.percent(60);
    if is_attack {
        let victim = (attack >> 32) % workspace.people.len() as u64;
        person = &workspace.people[usize::try_from(victim).unwrap_or_default()];
    }
    let failure = match kind.detail {
        Detail::SignIn if is_attack => Some(SIGN_IN_FAILURES[0]),
        Detail::SignIn => random.percent(7).then(|| *random.pick(&SIGN_IN_FAILURES)),
        _ => random.percent(2).then_some("permission denied"),
    };
    Occurrence {
        date_ms,
        kind,
        workspace,
        person,
        operation: (kind.category != "access").then(|| random.below(OPERATIONS)),
        failure,
        is_attack,
    }
}

/// Writes the action, then words of a remark up to a random length.
fn write_message(
    message: &mut String,
    occurrence: &Occurrence<'_>,
    remarks: &Shares,
    random: &mut Random,
) -> fmt::Result {
    write!(
        message,
        "{} {}",
        occurrence.person.name, occurrence.kind.verb
    )?;
    if let Some(operation) = occurrence.operation {
        message.push(' ');
        write_operation_name(message, operation)?;
    }
    if let Some(failure) = occurrence.failure {
        write!(message, ": refused, {failure}")?;
    }
    message.push_str(": ");
    let mut length = message.chars().count();
    let (least, most) = (*MESSAGE_CHARACTERS.start(), *MESSAGE_CHARACTERS.end());
    // Two more characters, because the separator at the end is removed.
    let wanted = least + 2 + usize::try_from(random.below(50)).unwrap_or_default();
    while length < wanted {
        let word = REMARKS[remarks.draw(random)];
        if length + word.len() > most {
            break;
        }
        message.push_str(word);
        message.push(' ');
        length += word.len() + 1;
    }
    message.truncate(message.trim_end_matches([' ', ':']).len());
    Ok(())
}

/// The id of an object by its number.
pub(super) fn operation_id(number: u64) -> String {
    format!("op_{:012x}", mixed(&[number]) >> 16)
}

fn write_operation_name(text: &mut String, operation: u64) -> fmt::Result {
    let service = SERVICES[usize::try_from(operation % 20).unwrap_or_default()];
    let aspect = ASPECTS[usize::try_from(operation / 20 % 15).unwrap_or_default()];
    write!(text, "{service} {aspect} {operation}")
}

fn write_event(
    line: &mut String,
    occurrence: &Occurrence<'_>,
    page: &str,
    message: &str,
    random: &mut Random,
) -> fmt::Result {
    let Occurrence {
        date_ms,
        kind,
        workspace,
        person,
        operation,
        failure,
        ..
    } = occurrence;
    let status = match failure {
        Some(_) => "error",
        None if random.percent(2) => "warning",
        None => "info",
    };
    let origin = match kind.detail {
        Detail::SignIn => "front",
        Detail::Request => "openapi",
        Detail::Query if random.percent(20) => "openapi",
        _ => {
            random
                .weighted(&[("front", 84), ("manage", 6), ("inner", 10)], |it| it.1)
                .0
        }
    };
    let id = random.event_id();
    write!(
        line,
        r#"{{"date":{date_ms},"df_source":"audit","df_status":"{status}","df_origin":"{origin}","df_menu":"{} / {page}","df_event_id":"{id}","df_title":"{}","df_message":"{message}",{}"#,
        kind.area, kind.title, person.identity
    )?;
    if let Some(operation) = operation {
        let id = operation_id(*operation);
        write!(line, r#","df_operation_id":"{id}","df_operation_name":""#)?;
        write_operation_name(line, *operation)?;
        line.push('"');
    }
    let (suffix, result) = match failure {
        Some(_) => ("_failed", "Failure"),
        None => ("", "Success"),
    };
    write!(
        line,
        r#","df_workspace":"{}","action":"{}{suffix}","category":"{}","product":"observability","result":"{result}""#,
        workspace.id, kind.action, kind.category
    )?;
    if origin != "inner" {
        write_source(line, occurrence, random)?;
    }
    write_detail(line, occurrence, origin, random)?;
    line.push_str("}\n");
    Ok(())
}

/// Writes the source of the request: usually the address of the person, sometimes another one of the workspace.
fn write_source(
    line: &mut String,
    occurrence: &Occurrence<'_>,
    random: &mut Random,
) -> fmt::Result {
    let key = occurrence.person.key;
    let number = occurrence.workspace.number % 256;
    let (net, host) = match random.below(100) {
        _ if occurrence.is_attack => (113, key % 250),
        0..4 => (random.below(4) + 4, random.below(250)),
        4..20 => (2, key % 250),
        _ => (key % 2, (key >> 8) % 250),
    };
    let session = mixed(&[key, (occurrence.date_ms / DAY_MS).unsigned_abs()]);
    write!(
        line,
        r#","client_ip":"10.{number}.{net}.{}",{},"session_id":"ses_{session:016x}""#,
        host + 1,
        occurrence.person.equipment
    )
}

fn write_detail(
    line: &mut String,
    occurrence: &Occurrence<'_>,
    origin: &str,
    random: &mut Random,
) -> fmt::Result {
    if origin == "openapi" {
        write!(
            line,
            r#","token_id":"tkn_{:012x}""#,
            mixed(&[occurrence.person.key]) >> 16
        )?;
    }
    match occurrence.kind.detail {
        Detail::Nothing | Detail::SignIn => Ok(()),
        Detail::Query => write_query(line, random),
        Detail::Request => {
            let (method, path) = random.pick(&REQUESTS);
            let status = if random.percent(5) { 429 } else { 200 };
            let bytes = random.between(180, 48_000);
            write!(
                line,
                r#","attributes":{{"request":{{"method":"{method}","path":"{path}"}},"response":{{"status":{status},"bytes":{bytes}}}}}"#
            )
        }
        Detail::Person => {
            let other = random.pick(&occurrence.workspace.people);
            write!(line, r#","target_user":"{}""#, other.email)
        }
    }
}

fn write_query(line: &mut String, random: &mut Random) -> fmt::Result {
    let (kind, query) = random.pick(&QUERIES);
    let service = random.pick(&SERVICES);
    let host = random.below(400);
    let range_s = *random.pick(&[900_u64, 3_600, 21_600, 86_400, 604_800]);
    let cost = random.between(2, 40) * random.between(1, 40) + random.below(40);
    let hits = random.below(10) * random.below(400) * random.below(60);
    write!(
        line,
        r#","df_date_range":{range_s},"df_query_typeDQL":"{kind}","df_query":"{query} {{service = '{service}', host = 'host-{host}'}} [{range_s}s]","df_query_range":"{}","df_cost":"{cost}","df_hit_count":"{hits}""#,
        range_s * 1000
    )
}
