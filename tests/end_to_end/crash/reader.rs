//! Questions to nodes that are killed: what was acknowledged is in the answers, and nothing twice.

use std::sync::Arc;
use std::time::Duration;

use engine::{QueryOptions, QueryRequest, Scope};
use events::TimeRange;
use serde_json::Value;
use server::{Client, ClientError};

use crate::oracle::random::Random;

use super::cluster::{Cluster, Node};

/// How long a reader waits for an answer of a node that may be dead.
const PATIENCE: Duration = Duration::from_secs(3);

/// All events of a workspace, and how many of them are different.
const QUESTION: &str = "TAE::*:(count(*), count_distinct(df_title))";

/// Asks the node in one place until clients are to come to an end; gives the number of its answers.
pub(super) async fn ask(cluster: Arc<Cluster>, place: usize, seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut answers = 0;
    while !cluster.ends() {
        let workspaces = cluster.model.workspaces();
        if let (Some(node), false) = (cluster.node(place), workspaces.is_empty()) {
            let workspace = random.pick(&workspaces);
            let asked = check(&cluster, &node, workspace);
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(true) => answers += 1,
                Ok(false) | Err(_) => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(random.below(40) as u64)).await;
    }
    answers
}

/// Asks one question; whether there was an answer.
async fn check(cluster: &Cluster, node: &Node, workspace: &str) -> bool {
    let model = &cluster.model;
    let least = model.least(workspace, node.life, node.began);
    let answer = count(&node.address, workspace).await;
    let most = model.most(workspace);
    let (all, different) = match answer {
        Ok(counts) => counts,
        Err(ClientError::Refused(refusal)) if refusal.code == "unknown_workspace" => (0, 0),
        Err(ClientError::Refused(refusal)) => {
            model.problem(format!("no answer about {workspace}: {refusal:?}"));
            return false;
        }
        // It is dead.
        Err(_) => return false,
    };
    if all != different {
        model.problem(format!("{all} events, {different} different in {workspace}"));
    }
    if all < least || all > most {
        let Node { life, .. } = node;
        model.problem(format!(
            "{all} events in {workspace} as process {life} sees it, not {least} to {most}"
        ));
    }
    true
}

async fn count(address: &str, workspace: &str) -> Result<(usize, usize), ClientError> {
    let client = Client::connect(address).await?;
    let answers = client.query(&question(QUESTION, workspace)).await?;
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
