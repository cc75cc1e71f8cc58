//! What questions and imports cost as more days are stored.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::Path;

use api::Scope;
use serde_json::Value;

use crate::Result;
use crate::literals::{END_MS, LARGEST};
use crate::load::{emptied, generate, vouch};
use crate::report::median;
use crate::vouch::{Service, peak_memory};

const EVENTS_A_DAY: u64 = 10_000;
const DAY_MS: i64 = 86_400_000;

/// The numbers of days in one store after the other; a year comes on top of a year.
const DAYS: [i64; 3] = [62, 365, 730];

/// Imports and asks, and prints a line for each number of days.
pub(crate) async fn measure(program: &Path, folder: &Path, runs: usize) -> Result<()> {
    println!(
        "| days | events imported | import s | events/s | newest 100 ms | one id ms | peak MiB |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let folder = emptied(folder)?;
    let (store, input) = (folder.join("store"), folder.join("events.ndjson.zst"));
    let mut stored = 0;
    for days in DAYS {
        // The newest days are stored first, so that all stores have the same newest day.
        let (new, to_ms) = (days - stored, END_MS - stored * DAY_MS);
        let events = EVENTS_A_DAY * new.unsigned_abs();
        let arguments = [
            ("--seed", days.to_string()),
            ("--days", new.to_string()),
            ("--events", events.to_string()),
            ("--to", to_ms.to_string()),
        ];
        let arguments = arguments.into_iter();
        generate(
            program,
            arguments.flat_map(|(name, value)| [name.to_owned(), value]),
            &input,
        )?;
        let import = vouch(program, "import", &store, &[&input])?.as_secs_f64();
        stored = days;
        let service = Service::start(program, &store).await?;
        let (newest, id) = ask(&service, days, runs).await?;
        println!(
            "| {days} | {events} | {import:.1} | {:.0} | {newest:.1} | {id:.1} | {:.0} |",
            events as f64 / import,
            peak_memory(service.id())? as f64 / f64::from(1 << 20)
        );
    }
    emptied(&folder)?;
    Ok(())
}

/// The medians of the newest 100 of all days, and of an event by its id among all days.
async fn ask(service: &Service, days: i64, runs: usize) -> Result<(f64, f64)> {
    let (mut newest, mut id) = (Vec::new(), Vec::new());
    for run in 0..=i64::try_from(runs)? {
        let to_ms = END_MS - run * 60_000;
        let all = format!("[{}:{to_ms}]", END_MS - days * DAY_MS);
        let listed = format!("TAE::audit:(df_event_id, df_title) {all} LIMIT 100");
        let answered = service.ask(&listed, scope()?, &["df_event_id"]).await?;
        let newest_ms = answered.took.as_secs_f64() * 1000.0;
        // An event of some day or other.
        let day_ms = END_MS - (run * 37 % days) * DAY_MS;
        let listed = format!(
            "TAE::audit:(df_event_id) [{}:{day_ms}] LIMIT 1",
            day_ms - DAY_MS
        );
        let found = service.ask(&listed, scope()?, &["df_event_id"]).await?.rows;
        let found = found
            .first()
            .and_then(|row| row.first().and_then(Value::as_str));
        let found = found.ok_or("a day has no events")?;
        let wanted = format!("TAE::audit:(*) {{df_event_id = '{found}'}} {all}");
        let answered = service.ask(&wanted, scope()?, &["df_event_id"]).await?;
        if answered.rows.len() != 1 {
            return Err(format!("{wanted} finds {} events", answered.rows.len()).into());
        }
        if run > 0 {
            newest.push(newest_ms);
            id.push(answered.took.as_secs_f64() * 1000.0);
        }
    }
    Ok((median(newest), median(id)))
}

fn scope() -> Result<Scope> {
    Ok(Scope::Workspaces(vec![LARGEST.parse()?]))
}
