//! Asks every engine the same questions, in turn, and measures.

use std::path::Path;
use std::time::Duration;

use api::Scope;

use crate::dialect::Dialect;
use crate::literals::{Found, LARGEST, Literals};
use crate::peer::Peer;
use crate::question::Question;
use crate::report::{self, Line};
use crate::rows::{Answered, disagreement};
use crate::vouch::{Service, peak_memory};
use crate::work::Work;
use crate::{Result, Table};

/// The peers, in the order of the tables' columns.
pub(crate) const PEERS: [Dialect; 3] = [Dialect::DuckDb, Dialect::ClickHouse, Dialect::DataFusion];

/// Starting an engine is slow, and its first answer varies little.
const MOST_FIRST_RUNS: usize = 3;

/// What is measured with.
#[derive(Debug)]
pub(crate) struct Timing<'a> {
    pub(crate) work: &'a Work,
    pub(crate) program: &'a Path,
    pub(crate) python: &'a Path,
    pub(crate) found: &'a Found,
    pub(crate) runs: usize,
}

/// Engines that run.
struct Engines {
    vouch: Service,
    peers: Vec<Peer>,
}

impl Timing<'_> {
    /// Measures and prints a table.
    pub(crate) async fn measure(&self, table: Table, questions: &[&Question]) -> Result<()> {
        let mut lines = Vec::new();
        if table == Table::First {
            for question in questions {
                lines.push(self.first(question).await?);
            }
            report::table("first run after start", &lines);
            return Ok(());
        }
        let mut engines = self.start().await?;
        for question in questions {
            lines.push(self.running(&mut engines, table, question).await?);
        }
        match table {
            Table::Repeated => report::table("the same question again", &lines),
            Table::Warm | Table::First => report::table("warm", &lines),
        }
        let mut peaks = vec![peak_memory(engines.vouch.id())?];
        for peer in &engines.peers {
            peaks.push(peak_memory(peer.id())?);
        }
        report::memory(&peaks);
        engines.peers.into_iter().try_for_each(Peer::close)
    }

    async fn start(&self) -> Result<Engines> {
        let peer = |dialect| Peer::start(self.python, dialect, &self.work.peer(dialect));
        Ok(Engines {
            vouch: Service::start(self.program, &self.work.vouch()).await?,
            peers: PEERS.into_iter().map(peer).collect::<Result<_>>()?,
        })
    }

    /// Asks engines that run. The first run warms them and is not counted.
    async fn running(
        &self,
        engines: &mut Engines,
        table: Table,
        question: &Question,
    ) -> Result<Line> {
        let mut times = Vec::new();
        for run in 0..=self.runs {
            let literals = match table {
                Table::Repeated => Literals::of(self.found, 0),
                Table::Warm | Table::First => Literals::of(self.found, run),
            };
            let own = ask_vouch(&engines.vouch, question, literals).await?;
            let mut answers = vec![own];
            for (peer, dialect) in engines.peers.iter_mut().zip(PEERS) {
                answers.push(peer.ask(&question.sql(literals, dialect), question.columns)?);
            }
            let took = compared(question, &answers)?;
            if run > 0 {
                times.push(took);
            }
        }
        Ok(Line::new(question.name, &times))
    }

    /// Asks engines that are started for each question.
    async fn first(&self, question: &Question) -> Result<Line> {
        let mut times = Vec::new();
        for run in 0..self.runs.min(MOST_FIRST_RUNS) {
            // Literals that the other tables do not use.
            let literals = Literals::of(self.found, self.runs + 1 + run);
            let service = Service::start(self.program, &self.work.vouch()).await?;
            let mut answers = vec![ask_vouch(&service, question, literals).await?];
            drop(service);
            for dialect in PEERS {
                let mut peer = Peer::start(self.python, dialect, &self.work.peer(dialect))?;
                answers.push(peer.ask(&question.sql(literals, dialect), question.columns)?);
                peer.close()?;
            }
            times.push(compared(question, &answers)?);
        }
        Ok(Line::new(question.name, &times))
    }
}

/// Asks a service a question about the largest workspace, or about all.
pub(crate) async fn ask_vouch(
    service: &Service,
    question: &Question,
    literals: Literals<'_>,
) -> Result<Answered> {
    let scope = match question.is_about_all {
        true => Scope::All,
        false => Scope::Workspaces(vec![LARGEST.parse()?]),
    };
    service
        .ask(&question.dql(literals), scope, question.columns)
        .await
}

/// The times of answers that agree.
fn compared(question: &Question, answers: &[Answered]) -> Result<Vec<Duration>> {
    let [own, others @ ..] = answers else {
        return Ok(Vec::new());
    };
    for (other, dialect) in others.iter().zip(PEERS) {
        if let Some(difference) = disagreement(question.agreement, own, other) {
            let name = question.name;
            return Err(format!("{name}: {dialect:?} answers otherwise: {difference}").into());
        }
    }
    if own.rows.is_empty() {
        report::note(&format!(
            "{}: nothing matches; more events would",
            question.name
        ));
    }
    Ok(answers.iter().map(|answered| answered.took).collect())
}
