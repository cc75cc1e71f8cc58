//! Two builds of the `vouch` program beside each other, each over a store that it made itself.
//!
//! A third contender is the measured program again, with a process and a store of its own: what it differs
//! by from itself is the noise. The contenders take turns within a run, and another one begins each run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::Scope;

use crate::literals::{DAYS, END_MS, Found, LARGEST, Literals};
use crate::load::{bytes_on_disk, emptied, vouch};
use crate::question::Question;
use crate::ratio::{Bar, Compared, Rounds};
use crate::rows::{Answered, disagreement};
use crate::timing::ask_vouch;
use crate::vouch::Service;
use crate::work::Work;
use crate::{Result, Table, report};

/// Imports take much longer than questions, and vary less.
const MOST_IMPORTS: usize = 5;

/// How much more the measured program may cost than the other one.
const WARM: Bar = Bar::new(0.02).and_noise();
const FIRST: Bar = Bar::new(0.10);
const IMPORT: Bar = Bar::new(0.05);
const BYTES: Bar = Bar::new(0.02);

const DAY_MS: i64 = 86_400_000;

/// What takes part: the other program, the measured one, and the measured one again.
const CONTENDERS: usize = 3;

/// A program, and the store that it makes and reads.
#[derive(Debug)]
struct Contender<'a> {
    program: &'a Path,
    store: PathBuf,
}

/// What two programs are compared with.
#[derive(Debug)]
pub(crate) struct Against<'a> {
    work: &'a Work,
    contenders: [Contender<'a>; CONTENDERS],
    runs: usize,
}

impl<'a> Against<'a> {
    /// Compares `program` with `other`.
    pub(crate) fn new(work: &'a Work, program: &'a Path, other: &'a Path, runs: usize) -> Self {
        let contender = |program, name| Contender {
            program,
            store: work.against(name),
        };
        Self {
            work,
            contenders: [
                contender(other, "other"),
                contender(program, "measured"),
                contender(program, "again"),
            ],
            runs,
        }
    }

    /// Imports, asks, and prints a table for each kind of measurement.
    ///
    /// # Errors
    /// Also when a bar does not hold.
    pub(crate) async fn measure(&self, tables: &[Table], questions: &[&Question]) -> Result<()> {
        let mut holds = report::compared("import", "s", &[self.import()?]);
        holds &= report::compared("bytes an event", "bytes", &[self.bytes().await?]);
        let found = self.find().await?;
        for table in tables {
            let (title, lines) = match table {
                Table::Warm => ("warm", self.running(*table, questions, &found).await?),
                Table::Repeated => (
                    "the same question again",
                    self.running(*table, questions, &found).await?,
                ),
                Table::First => (
                    "first run after start",
                    self.first(questions, &found).await?,
                ),
            };
            holds &= report::compared(title, "ms", &lines);
        }
        match holds {
            true => Ok(()),
            false => Err("a bar does not hold".into()),
        }
    }

    /// The seconds of an import from NDJSON into a new store. The last import is kept, and compacted.
    fn import(&self) -> Result<Compared> {
        let mut rounds = Rounds::default();
        for run in 0..self.runs.clamp(1, MOST_IMPORTS) {
            let mut seconds = [0.0; CONTENDERS];
            for at in turns(run) {
                let Contender { program, store } = &self.contenders[at];
                // An import makes a store where no directory is.
                std::fs::remove_dir(emptied(store)?)?;
                let took = vouch(program, "import", store, &[&self.work.ndjson()])?;
                seconds[at] = took.as_secs_f64();
            }
            rounds.push(seconds);
        }
        for Contender { program, store } in &self.contenders {
            vouch(program, "compact", store, &[])?;
        }
        Ok(rounds.compared("import from NDJSON", IMPORT))
    }

    /// The bytes of the active files and of the logs.
    async fn bytes(&self) -> Result<Compared> {
        let mut bytes = [0.0; CONTENDERS];
        for (bytes, contender) in bytes.iter_mut().zip(&self.contenders) {
            *bytes = bytes_on_disk(&contender.store).await? as f64 / self.work.events as f64;
        }
        let mut rounds = Rounds::default();
        rounds.push(bytes);
        Ok(rounds.compared("after compaction", BYTES))
    }

    /// Asks services that run. The first run warms them and is not counted.
    async fn running(
        &self,
        table: Table,
        questions: &[&Question],
        found: &Found,
    ) -> Result<Vec<Compared>> {
        let mut services = Vec::new();
        for Contender { program, store } in &self.contenders {
            services.push(Service::start(program, store).await?);
        }
        let mut lines = Vec::new();
        for question in questions {
            let mut rounds = Rounds::default();
            for run in 0..=self.runs {
                let literals = match table {
                    Table::Repeated => Literals::of(found, 0),
                    Table::Warm | Table::First => Literals::of(found, run),
                };
                let mut answers = Vec::new();
                for at in turns(run) {
                    let answer = ask_vouch(&services[at], question, literals).await?;
                    answers.push((at, answer));
                }
                let took = agreed(question, answers)?;
                if run > 0 {
                    rounds.push(took);
                }
            }
            lines.push(rounds.compared(question.name, WARM));
        }
        Ok(lines)
    }

    /// Asks services that are started for each question.
    async fn first(&self, questions: &[&Question], found: &Found) -> Result<Vec<Compared>> {
        let mut lines = Vec::new();
        for question in questions {
            let mut rounds = Rounds::default();
            for run in 0..self.runs {
                // Literals that the other tables do not use.
                let literals = Literals::of(found, self.runs + 1 + run);
                let mut answers = Vec::new();
                for at in turns(run) {
                    let Contender { program, store } = &self.contenders[at];
                    let service = Service::start(program, store).await?;
                    answers.push((at, ask_vouch(&service, question, literals).await?));
                }
                rounds.push(agreed(question, answers)?);
            }
            lines.push(rounds.compared(question.name, FIRST));
        }
        Ok(lines)
    }

    /// Values for looking up, as the other program finds them.
    async fn find(&self) -> Result<Found> {
        let Contender { program, store } = &self.contenders[0];
        let service = Service::start(program, store).await?;
        let window = |from_ms, to_ms| format!("[{from_ms}:{to_ms}]");
        let all = window(END_MS - DAYS * DAY_MS, END_MS);
        let users =
            format!("TAE::audit:(count(*) AS n) {all} BY df_user_id SORDER BY n DESC SLIMIT 105");
        let users = texts(&service, &users, "df_user_id").await?;
        let (mut events, mut operations) = (Vec::new(), Vec::new());
        for day in 0..DAYS {
            let to_ms = END_MS - day * DAY_MS;
            let day = window(to_ms - DAY_MS, to_ms);
            let listed = format!("TAE::audit:(df_event_id) {day} LIMIT 2");
            events.extend(texts(&service, &listed, "df_event_id").await?);
            let listed = format!(
                "TAE::audit:(df_operation_id) {{df_operation_id = wildcard('*')}} {day} LIMIT 2"
            );
            operations.extend(texts(&service, &listed, "df_operation_id").await?);
        }
        Ok(Found {
            // Neither the busiest nor those with hardly any event.
            users: users.into_iter().skip(5).collect(),
            events,
            operations,
        })
    }
}

/// The texts of a column of an answer about the largest workspace.
async fn texts(service: &Service, dql: &str, column: &str) -> Result<Vec<String>> {
    let scope = Scope::Workspaces(vec![LARGEST.parse()?]);
    let answered = service.ask(dql, scope, &[column]).await?;
    let texts = answered.rows.iter().filter_map(|row| row.first()?.as_str());
    Ok(texts.map(str::to_owned).collect())
}

/// The contenders in the order of a run: another one begins each run, so that none profits from its turn.
fn turns(run: usize) -> impl Iterator<Item = usize> {
    (0..CONTENDERS).map(move |turn| (turn + run) % CONTENDERS)
}

/// The milliseconds of each contender, whose answers agree.
fn agreed(question: &Question, mut answers: Vec<(usize, Answered)>) -> Result<[f64; CONTENDERS]> {
    answers.sort_by_key(|(at, _)| *at);
    let mut ms = [0.0; CONTENDERS];
    for (at, answer) in &answers {
        if let Some(difference) = disagreement(question.agreement, &answers[0].1, answer) {
            let name = question.name;
            return Err(format!("{name}: the programs answer differently: {difference}").into());
        }
        ms[*at] = milliseconds(answer.took);
    }
    Ok(ms)
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
