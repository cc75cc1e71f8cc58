//! One record into its events, the same way at every door.

use serde_json::{Map, Value};

use crate::event::{Defaults, Event};
use crate::fields::{self, RECORDED, RECORDED_WORKSPACE};
use crate::mapping::Mapping;
use crate::rejection::{Rejection, RejectionCode, excerpt};
use crate::workspace::WorkspaceId;

/// Turns records into events: through the mapping if there is one, else as objects in Vouch's field
/// names.
#[derive(Debug)]
pub struct RecordDecoder {
    mapping: Option<Mapping>,
}

impl RecordDecoder {
    /// A decoder with the mapping, if any.
    pub fn new(mapping: Option<Mapping>) -> Self {
        Self { mapping }
    }

    /// What becomes of one record: an event or a refusal for each object that the mapping makes of it,
    /// or for the record itself.
    ///
    /// `make_event` makes the event of the object at a position, from 0, among those of this record. It
    /// decides what id an event gets that brings none.
    pub fn decode(
        &self,
        record: Value,
        workspace: Option<&WorkspaceId>,
        mut make_event: impl FnMut(Map<String, Value>, &Defaults<'_>, usize) -> Result<Event, Rejection>,
    ) -> Vec<Result<Event, Rejection>> {
        let objects = match self.objects(record, workspace) {
            Ok(objects) => objects,
            Err(rejection) => return vec![Err(rejection)],
        };
        let count = objects.len();
        let defaults = Defaults { workspace };
        let events = objects.into_iter().enumerate().map(|(index, object)| {
            make_event(object, &defaults, index).map_err(|mut rejection| {
                if count > 1 {
                    let position = format!(" (event {} of {count} of this record)", index + 1);
                    rejection.message.push_str(&position);
                }
                rejection
            })
        });
        events.collect()
    }

    fn objects(
        &self,
        record: Value,
        workspace: Option<&WorkspaceId>,
    ) -> Result<Vec<Map<String, Value>>, Rejection> {
        match (&self.mapping, record) {
            (Some(mapping), record) => {
                let stated = record.get(fields::WORKSPACE).cloned();
                let mut objects = mapping.apply(record)?;
                if let Some(given) = workspace {
                    for object in &mut objects {
                        prefer_given(object, given, stated.as_ref());
                    }
                }
                Ok(objects)
            }
            (None, Value::Object(object)) => Ok(vec![object]),
            (None, other) => Err(Rejection::new(
                RejectionCode::NotAnObject,
                format!(
                    "an event is a JSON object, not {}",
                    excerpt(&other.to_string())
                ),
            )),
        }
    }
}

/// The workspace that is given with a request or an import wins over the one that a mapping found
/// somewhere in the record, which is kept as the attribute `recorded.workspace`. A workspace that the
/// record states under Vouch's own name stays, so that a contradiction is refused.
fn prefer_given(object: &mut Map<String, Value>, given: &WorkspaceId, stated: Option<&Value>) {
    let found = object.get(fields::WORKSPACE);
    let Some(found) = found.filter(|found| !found.is_null() && *found != "") else {
        return;
    };
    if *found == given.as_str() || Some(found) == stated {
        return;
    }
    let found = object.shift_remove(fields::WORKSPACE);
    if let Some(Value::Object(attributes)) = object.get_mut(fields::ATTRIBUTES)
        && let Value::Object(recorded) = attributes
            .entry(RECORDED)
            .or_insert_with(|| Value::Object(Map::new()))
    {
        recorded
            .entry(RECORDED_WORKSPACE)
            .or_insert(found.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::ValueRef;
    use crate::fields::ATTRIBUTES;

    /// The workspace and the attributes of the event that a program makes of `record` when `given` is
    /// given with it; or why there is none.
    fn decoded(program: &str, record: Value, given: &str) -> Result<(String, Value), Rejection> {
        let mapping = Mapping::compile("test", program).unwrap();
        let workspace = given.parse().ok();
        let events = RecordDecoder::new(Some(mapping)).decode(
            record,
            workspace.as_ref(),
            |object, defaults, _| Event::from_json_identified_by_content(object, defaults),
        );
        let event = events.into_iter().next().unwrap()?;
        let column = fields::column(ATTRIBUTES).unwrap();
        let attributes = match event.value(column) {
            Some(ValueRef::Text(text)) => serde_json::from_str(text).unwrap(),
            _ => Value::Null,
        };
        Ok((event.workspace().to_string(), attributes))
    }

    const FROM_HOST: &str = "{date: .at, df_workspace: .host}";

    #[test]
    fn a_given_workspace_wins_over_what_a_mapping_found() {
        let record = json!({"at": 1, "host": "no workspace id!"});
        let (workspace, attributes) = decoded(FROM_HOST, record, "prod").unwrap();
        assert_eq!(workspace, "prod");
        let recorded = json!({"at": 1, "host": "no workspace id!", "recorded": {"workspace": "no workspace id!"}});
        assert_eq!(attributes, recorded);
        for host in [json!("prod"), json!(""), json!(null)] {
            let record = json!({"at": 1, "host": host});
            let kept = decoded(FROM_HOST, record.clone(), "prod").unwrap();
            assert_eq!(kept, ("prod".to_owned(), record));
        }
    }

    #[test]
    fn a_found_workspace_counts_where_none_is_given() {
        let record = json!({"at": 1, "host": "node"});
        let found = decoded(FROM_HOST, record.clone(), "").unwrap();
        assert_eq!(found, ("node".to_owned(), record));
    }

    #[test]
    fn a_record_that_states_its_workspace_itself_contradicts() {
        let program = ". + {date: .at}";
        let record = json!({"at": 1, "df_workspace": "beta"});
        let refused = decoded(program, record.clone(), "acme").unwrap_err();
        assert_eq!(refused.code, RejectionCode::WorkspaceContradiction);
        assert_eq!(decoded(program, record, "beta").unwrap().0, "beta");
    }

    #[test]
    fn what_a_record_has_under_recorded_stays() {
        for recorded in [json!("tape"), json!({"workspace": "tape"})] {
            let record = json!({"at": 1, "host": "node", "recorded": recorded});
            let (workspace, attributes) = decoded(FROM_HOST, record.clone(), "prod").unwrap();
            assert_eq!((workspace.as_str(), attributes), ("prod", record));
        }
    }
}
