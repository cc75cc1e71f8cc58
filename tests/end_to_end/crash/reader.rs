//! Questions to nodes that are killed: what was acknowledged is in the answers, and nothing twice.

use std::sync::Arc;
use std::time::Duration;

use api::{QueryOptions, QueryRequest, Scope};
use client::{Client, ClientError};
use events::TimeRange;
use serde_json::Value;

use crate::oracle::random::Random;

use super::cluster::{Cluster, Node};
use super::model::Part;

/// How long a reader waits for an answer of a node that may be dead.
const PATIENCE: Duration = Duration::from_secs(3);

/// All events of a workspace, and how many of them are different.
const QUESTION: &str = "TAE::*:(count(*), count_distinct(df_title))";

/// Asks the node in one place until clients are to come to an end; gives the number of its answers.
pub(super) async fn ask(cluster: Arc<Cluster>, place: usize, seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut answers = 0;
    while !cluster.ends() {
        let parts = cluster.model.recent();
        if let (Some(node), false) = (cluster.node(place), parts.is_empty()) {
            let part = random.pick(&parts);
            let is_about_all = random.percent(50);
            let asked = async {
                match is_about_all {
                    true => check_all(&cluster, &node, &part.workspace).await,
                    false => check_part(&cluster, &node, part).await,
                }
            };
            let is_answered = tokio::time::timeout(PATIENCE, asked).await;
            answers += usize::from(is_answered == Ok(true));
        }
        tokio::time::sleep(Duration::from_millis(random.below(120) as u64)).await;
    }
    answers
}

/// Asks for the events of a batch: all of them where it was acknowledged, otherwise all or none.
async fn check_part(cluster: &Cluster, node: &Node, part: &Part) -> bool {
    let Part {
        workspace,
        markers,
        token,
    } = part;
    let query = format!(
        "TAE::*:(count(*), count_distinct(df_title)) {{df_title IN ['{}']}}",
        markers.join("', '")
    );
    let mut question = question(&query, workspace);
    let tokens = token.iter().map(|token| token.parse().unwrap());
    question.options.after = tokens.collect();
    let counts = match count(&node.address, &question).await {
        Ok(counts) => counts,
        Err(error) => return is_dead(cluster, workspace, &error, token.is_some()),
    };
    let whole = (markers.len(), markers.len());
    if counts != whole && (token.is_some() || counts != (0, 0)) {
        cluster.model.problem(format!(
            "{counts:?} events of {part:?} as process {} sees it",
            node.life
        ));
    }
    true
}

/// Asks for all events of a workspace; whether there was an answer.
async fn check_all(cluster: &Cluster, node: &Node, workspace: &str) -> bool {
    let model = &cluster.model;
    let least = model.least(workspace, node.life, node.began);
    let answer = count(&node.address, &question(QUESTION, workspace)).await;
    let most = model.most(workspace);
    let (all, different) = match answer {
        Ok(counts) => counts,
        Err(error) => return is_dead(cluster, workspace, &error, least > 0),
    };
    if all != different {
        model.problem(format!(
            "{all} events, {different} different in {workspace}"
        ));
    }
    if all < least || all > most {
        let Node { life, .. } = node;
        model.problem(format!(
            "{all} events in {workspace} as process {life} sees it, not {least} to {most}"
        ));
    }
    true
}

/// Takes note of a question without an answer, unless the node is dead or has nothing yet.
fn is_dead(cluster: &Cluster, workspace: &str, error: &ClientError, has_events: bool) -> bool {
    if let ClientError::Refused(refusal) = error
        && (has_events || refusal.code != dql::Code::UnknownWorkspace.into())
    {
        let problem = format!("no answer about {workspace}: {refusal:?}");
        cluster.model.problem(problem);
    }
    false
}

async fn count(address: &str, question: &QueryRequest) -> Result<(usize, usize), ClientError> {
    let client = Client::connect(address).await?;
    let answers = client.query(question).await?;
    let row = answers[0].series.first().map(|series| &series.values[0]);
    let number = |column: usize| row.map_or(0, |row| whole(&row[column]));
    Ok((number(1), number(2)))
}

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// A question about all events of a workspace.
pub(super) fn question(query: &str, workspace: &str) -> QueryRequest {
    let all = TimeRange::new(0, 4_000_000_000_000).unwrap();
    QueryRequest {
        query: query.to_owned(),
        scope: Scope::Workspaces(vec![workspace.parse().unwrap()]),
        options: QueryOptions {
            time_range: Some(all),
            ..QueryOptions::default()
        },
    }
}
