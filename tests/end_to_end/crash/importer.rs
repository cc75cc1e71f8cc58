//! Imports beside the nodes.

use chrono::Utc;
use events::{Defaults, Event};
use serde_json::Value;
use store::{ImportOptions, Store};

use super::cluster::Cluster;
use super::model::SentEvent;

const WORKSPACE: &str = "acme";

/// A checkpoint is written at each version that is a multiple of this.
const CHECKPOINT_VERSIONS: u64 = 20;
/// How many versions before a checkpoint it is near.
const NEAR: u64 = 3;

/// Imports single events until the next commits of nodes make a checkpoint due.
pub(super) async fn until_a_checkpoint_is_near(cluster: &Cluster) {
    let store = super::open(&cluster.directory);
    for _ in 0..CHECKPOINT_VERSIONS {
        let snapshot = store.snapshot(&WORKSPACE.parse().unwrap()).await.unwrap();
        let version = snapshot.map_or(0, |snapshot| snapshot.version);
        if version % CHECKPOINT_VERSIONS >= CHECKPOINT_VERSIONS - NEAR {
            return;
        }
        let marker = format!("i-{}", cluster.number());
        let event = SentEvent {
            workspace: WORKSPACE.to_owned(),
            line: format!(
                "{{\"date\": {}, \"df_workspace\": \"{WORKSPACE}\", \"df_title\": \"{marker}\"}}",
                Utc::now().timestamp_millis()
            ),
            marker,
        };
        let events = [event];
        cluster.model.sending(&events);
        import(&store, &events[0].line).await;
        cluster.model.acknowledged(&events, None, None);
    }
}

async fn import(store: &Store, line: &str) {
    let Value::Object(record) = serde_json::from_str(line).unwrap() else {
        unreachable!("an object was made");
    };
    let event = Event::from_json_identified_by_content(record, &Defaults::default());
    let mut import = store.import(ImportOptions::default());
    import.push(event.unwrap()).await.unwrap();
    import.finish().await.unwrap();
}
