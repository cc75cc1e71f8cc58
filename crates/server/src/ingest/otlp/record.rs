//! A log record as the JSON object of an event.
//!
//! No part of a record is dropped. Several parts may name one field; the first in the following order is used, and
//! the values of the others are kept in the attribute [`OVERRIDDEN`]: the time of the record, its body, its
//! attributes, its other members, the attributes of the scope, those of the resource.

use api::proto::otlp::any_value::Value as Kind;
use api::proto::otlp::{AnyValue, InstrumentationScope, KeyValue, LogRecord, Resource};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::fields::{self, FIELDS};
use events::read::{NotUnique, insert_unique, parse_unique};
use events::{Rejection, RejectionCode, WorkspaceId};
use prost::Message;
use serde_json::{Map, Number, Value};

/// The attribute with the values whose field already had one.
const OVERRIDDEN: &str = "otlp_overridden";

const NANOS_PER_MS: u64 = 1_000_000;

/// The producer of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The host, container or service.
    resource: Option<&'a Resource>,
    /// The library or module.
    scope: Option<&'a InstrumentationScope>,
    /// The attribute of the resource that names the workspace of its records.
    workspace: Option<&'a KeyValue>,
    /// The bytes of the resource and the scope.
    pub(super) size_bytes: usize,
}

impl<'a> Origin<'a> {
    /// A resource without a scope.
    pub(super) fn of(resource: Option<&'a Resource>) -> Self {
        Self {
            resource,
            scope: None,
            workspace: resource.and_then(|resource| workspace_attribute(&resource.attributes)),
            size_bytes: resource.map_or(0, Message::encoded_len),
        }
    }

    /// The same resource with a scope.
    pub(super) fn with_scope(self, scope: Option<&'a InstrumentationScope>) -> Self {
        Self {
            scope,
            size_bytes: self.size_bytes + scope.map_or(0, Message::encoded_len),
            ..self
        }
    }

    fn resource_attributes(&self) -> &[KeyValue] {
        self.resource.map_or(&[], |resource| &resource.attributes)
    }

    fn scope_attributes(&self) -> &[KeyValue] {
        self.scope.map_or(&[], |scope| &scope.attributes)
    }

    /// The workspace of a record: the one that its attributes or its resource's name, or the one given
    /// with the request.
    ///
    /// # Errors
    /// A [`Rejection`] when the name is invalid, or is not the one of the request.
    pub(super) fn workspace(
        &self,
        record: &LogRecord,
        given: Option<&WorkspaceId>,
    ) -> Result<Option<WorkspaceId>, Rejection> {
        let Some(named) = workspace_attribute(&record.attributes).or(self.workspace) else {
            return Ok(given.cloned());
        };
        let named = match json(named.value.as_ref())? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let named: WorkspaceId = named
            .parse()
            .map_err(|error| Rejection::new(RejectionCode::InvalidWorkspace, format!("{error}")))?;
        match given {
            Some(given) if *given != named => Err(Rejection::new(
                RejectionCode::WorkspaceContradiction,
                format!("the record belongs to workspace `{named}`, not to the given `{given}`"),
            )),
            _ => Ok(Some(named)),
        }
    }
}

fn workspace_attribute(attributes: &[KeyValue]) -> Option<&KeyValue> {
    let mut attributes = attributes.iter();
    attributes.find(|attribute| attribute.key == fields::WORKSPACE)
}

/// The event of a record, in the field names of Vouch.
///
/// # Errors
/// The [`Rejection`] of an object that has a key twice.
pub(super) fn event(record: &LogRecord, origin: &Origin<'_>) -> Result<Value, Rejection> {
    let mut draft = Draft::default();
    let nanos = record.time_unix_nano;
    if nanos != 0 {
        draft.set(
            "time_unix_nano",
            fields::DATE,
            (nanos / NANOS_PER_MS).into(),
        );
        // Two records of one millisecond are two events.
        if !nanos.is_multiple_of(NANOS_PER_MS) {
            draft.set("time_unix_nano", "time_unix_nano", nanos.into());
        }
    }
    match json(record.body.as_ref())? {
        Value::Null => {}
        Value::Object(members) => {
            for (key, value) in members {
                draft.set("body", &key, value);
            }
        }
        text => draft.set("body", "df_message", text),
    }
    draft.set_all("attributes", &record.attributes)?;
    for (name, value) in members(record) {
        draft.set("record", name, value);
    }
    draft.set_scope(origin)?;
    draft.set_all("resource", origin.resource_attributes())?;
    if record.observed_time_unix_nano != 0 && !draft.object.contains_key(fields::DATE) {
        let observed = record.observed_time_unix_nano / NANOS_PER_MS;
        draft.set("observed_time_unix_nano", fields::DATE, observed.into());
    }
    Ok(draft.finish())
}

/// The input of a mapping: the body of the record if it is an object or the JSON text of one, otherwise an object
/// with the member `body`; everything else is in the member `otlp`.
///
/// # Errors
/// The [`Rejection`] of an object that has a key twice.
pub(super) fn original(record: &LogRecord, origin: &Origin<'_>) -> Result<Value, Rejection> {
    let body = json(record.body.as_ref())?;
    let parsed = match &body {
        Value::String(text) => match parse_unique(text.as_bytes()) {
            Ok(value) => Some(value),
            Err(NotUnique::Duplicate(rejection)) => return Err(rejection),
            Err(NotUnique::Malformed(_)) => None,
        },
        _ => None,
    };
    let mut object = match (body, parsed) {
        (_, Some(Value::Object(object))) | (Value::Object(object), _) => object,
        (body, _) => Map::from_iter([("body".to_owned(), body)]),
    };
    let mut otlp = Map::new();
    for (name, nanos) in [
        ("time_unix_nano", record.time_unix_nano),
        ("observed_time_unix_nano", record.observed_time_unix_nano),
    ] {
        if nanos != 0 {
            otlp.insert(name.to_owned(), nanos.into());
        }
    }
    for (name, value) in members(record) {
        otlp.insert(name.to_owned(), value);
    }
    otlp.insert("attributes".to_owned(), json_object(&record.attributes)?);
    if let Some(scope) = origin.scope {
        let described = [("name", &scope.name), ("version", &scope.version)];
        let mut members: Map<String, Value> = described
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.as_str().into()))
            .collect();
        members.insert("attributes".to_owned(), json_object(&scope.attributes)?);
        otlp.insert("scope".to_owned(), members.into());
    }
    let resource = json_object(origin.resource_attributes())?;
    otlp.insert("resource".to_owned(), resource);
    let mut name = "otlp".to_owned();
    while object.contains_key(&name) {
        name.push('_');
    }
    object.insert(name, otlp.into());
    Ok(Value::Object(object))
}

/// An incomplete event.
#[derive(Debug, Default)]
struct Draft {
    object: Map<String, Value>,
    overridden: Map<String, Value>,
}

impl Draft {
    fn set_all(&mut self, origin: &str, attributes: &[KeyValue]) -> Result<(), Rejection> {
        for attribute in attributes {
            self.set(origin, &attribute.key, json(attribute.value.as_ref())?);
        }
        Ok(())
    }

    fn set_scope(&mut self, origin: &Origin<'_>) -> Result<(), Rejection> {
        let Some(scope) = origin.scope else {
            return Ok(());
        };
        // The names of the OpenTelemetry specification for formats that have only attributes.
        let described = [
            ("otel.scope.name", &scope.name),
            ("otel.scope.version", &scope.version),
        ];
        for (name, text) in described {
            if !text.is_empty() {
                self.set("scope", name, text.as_str().into());
            }
        }
        self.set_all("scope", origin.scope_attributes())
    }

    fn set(&mut self, origin: &str, key: &str, value: Value) {
        // A field has one value, whichever of its names is used.
        let name = fields::column(key).map_or(key, |column| FIELDS[column].name);
        // The field `attributes` has to be an object; in a record the name can have any meaning.
        if name != fields::ATTRIBUTES && name != OVERRIDDEN {
            match self.object.get(name) {
                None => {
                    self.object.insert(name.to_owned(), value);
                    return;
                }
                Some(known) if *known == value => return,
                Some(_) => {}
            }
        }
        let mut place = format!("{origin}.{key}");
        while self.overridden.contains_key(&place) {
            place.push('\'');
        }
        self.overridden.insert(place, value);
    }

    fn finish(mut self) -> Value {
        if !self.overridden.is_empty() {
            let overridden = Value::Object(self.overridden);
            self.object.insert(OVERRIDDEN.to_owned(), overridden);
        }
        Value::Object(self.object)
    }
}

/// The members of a record other than its time, body and attributes, if they are set.
fn members(record: &LogRecord) -> Vec<(&'static str, Value)> {
    let mut members: Vec<(&'static str, Value)> = Vec::new();
    if let Some(status) = status(record) {
        members.push(("df_status", status.into()));
    }
    let mut add = |name, value: Value, says_something: bool| {
        if says_something {
            members.push((name, value));
        }
    };
    let severity = record.severity_number;
    add("severity_number", severity.into(), severity != 0);
    let text = record.severity_text.as_str();
    add("severity_text", text.into(), !text.is_empty());
    let name = record.event_name.as_str();
    add("event_name", name.into(), !name.is_empty());
    add(
        "trace_id",
        hexadecimal(&record.trace_id),
        !record.trace_id.is_empty(),
    );
    add(
        "span_id",
        hexadecimal(&record.span_id),
        !record.span_id.is_empty(),
    );
    add("trace_flags", record.flags.into(), record.flags != 0);
    let dropped = record.dropped_attributes_count;
    add("dropped_attributes_count", dropped.into(), dropped != 0);
    members
}

/// The severity in the words of audit events.
fn status(record: &LogRecord) -> Option<String> {
    let word = match record.severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warning",
        17..=20 => "error",
        21..=24 => "critical",
        _ if record.severity_text.is_empty() => return None,
        _ => return Some(record.severity_text.to_lowercase()),
    };
    Some(word.to_owned())
}

fn hexadecimal(bytes: &[u8]) -> Value {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.into()
}

fn json_object(members: &[KeyValue]) -> Result<Value, Rejection> {
    let mut object = Map::new();
    for member in members {
        let value = json(member.value.as_ref())?;
        insert_unique(&mut object, member.key.clone(), value)?;
    }
    Ok(Value::Object(object))
}

/// A value as JSON: bytes in base64, and the numbers that JSON lacks as texts.
///
/// # Errors
/// The [`Rejection`] of an object that has a key twice.
fn json(value: Option<&AnyValue>) -> Result<Value, Rejection> {
    let Some(kind) = value.and_then(|value| value.value.as_ref()) else {
        return Ok(Value::Null);
    };
    Ok(match kind {
        Kind::StringValue(text) => text.as_str().into(),
        Kind::BoolValue(truth) => (*truth).into(),
        Kind::IntValue(number) => (*number).into(),
        Kind::DoubleValue(number) => match Number::from_f64(*number) {
            Some(number) => Value::Number(number),
            None => number.to_string().into(),
        },
        Kind::ArrayValue(list) => {
            let items = list.values.iter().map(|item| json(Some(item)));
            items.collect::<Result<_, _>>()?
        }
        Kind::KvlistValue(list) => json_object(&list.values)?,
        Kind::BytesValue(bytes) => STANDARD.encode(bytes).into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ingest::otlp::json::request;

    /// The record, resource and scope of a request with one record.
    fn read(content: Value) -> (LogRecord, Resource, InstrumentationScope) {
        let mut request = request(content.to_string().as_bytes()).unwrap();
        let mut resource_logs = request.resource_logs.remove(0);
        let mut scope_logs = resource_logs.scope_logs.remove(0);
        (
            scope_logs.log_records.remove(0),
            resource_logs.resource.unwrap_or_default(),
            scope_logs.scope.unwrap_or_default(),
        )
    }

    fn sample() -> Value {
        json!({"resourceLogs": [{
            "resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "billing"}},
                {"key": "df_workspace", "value": {"stringValue": "acme"}},
                {"key": "region", "value": {"stringValue": "eu"}},
            ]},
            "scopeLogs": [{
                "scope": {"name": "auth", "version": "2"},
                "logRecords": [{
                    "timeUnixNano": "1795249800000000001",
                    "observedTimeUnixNano": "1795249900000000000",
                    "severityNumber": 17,
                    "severityText": "ERR",
                    "body": {"kvlistValue": {"values": [
                        {"key": "time", "value": {"stringValue": "yesterday"}},
                        {"key": "df_user_name", "value": {"stringValue": "Zoë"}},
                    ]}},
                    "attributes": [
                        {"key": "region", "value": {"stringValue": "us"}},
                        {"key": "attributes", "value": {"intValue": "7"}},
                        {"key": "key", "value": {"bytesValue": "aGk="}},
                        {"key": "parts", "value": {"arrayValue": {"values": [{"doubleValue": 0.5}, {}]}}},
                    ],
                    "traceId": "5B8EFFF798038103D269B633813FC60C",
                }],
            }],
        }]})
    }

    #[test]
    fn a_record_becomes_an_event_and_keeps_what_was_overridden() {
        let (record, resource, scope) = read(sample());
        let origin = Origin::of(Some(&resource)).with_scope(Some(&scope));
        assert_eq!(
            event(&record, &origin).unwrap(),
            json!({
                "date": 1_795_249_800_000_u64,
                "time_unix_nano": 1_795_249_800_000_000_001_u64,
                "df_user_name": "Zoë",
                "region": "us",
                "key": "aGk=",
                "parts": [0.5, null],
                "df_status": "error",
                "severity_number": 17,
                "severity_text": "ERR",
                "trace_id": "5b8efff798038103d269b633813fc60c",
                "otel.scope.name": "auth",
                "otel.scope.version": "2",
                "service.name": "billing",
                "df_workspace": "acme",
                "otlp_overridden": {
                    "body.time": "yesterday",
                    "attributes.attributes": 7,
                    "resource.region": "eu",
                },
            })
        );
    }

    #[test]
    fn a_mapping_gets_the_body_and_all_else_beside_it() {
        let (mut record, resource, _) = read(sample());
        let origin = Origin::of(Some(&resource));
        let object = original(&record, &origin).unwrap();
        assert_eq!(object["df_user_name"], "Zoë");
        assert_eq!(object["otlp"]["resource"]["service.name"], "billing");
        assert_eq!(object["otlp"]["attributes"]["region"], "us");
        let text = |text: &str| {
            let value = Some(Kind::StringValue(text.to_owned()));
            Some(AnyValue { value })
        };
        record.body = text("{\"eventName\": \"PutObject\"}");
        let object = original(&record, &origin).unwrap();
        assert_eq!(object["eventName"], "PutObject");
        record.body = text("plain");
        assert_eq!(original(&record, &origin).unwrap()["body"], "plain");
        record.body = text("{\"eventName\": \"PutObject\", \"eventName\": \"GetObject\"}");
        let refused = original(&record, &origin).unwrap_err();
        assert_eq!(refused.code, RejectionCode::DuplicateKey);
    }

    #[test]
    fn the_observed_time_counts_where_there_is_no_other() {
        let (mut record, ..) = read(sample());
        let origin = Origin::of(None);
        record.time_unix_nano = 0;
        record.body = None;
        let date = event(&record, &origin).unwrap()["date"].clone();
        assert_eq!(date, 1_795_249_900_000_u64);
        record.observed_time_unix_nano = 0;
        assert!(event(&record, &origin).unwrap().get("date").is_none());
    }

    /// A list of keys and values is an object at any depth of a record.
    #[test]
    fn a_key_given_twice_is_refused() {
        let member = |value: &str| json!({"key": "a", "value": {"stringValue": value}});
        let twice = json!({"kvlistValue": {"values": [member("x"), member("y")]}});
        let nested = json!({"arrayValue": {"values": [twice]}});
        for record in [
            json!({"body": twice}),
            json!({"body": nested}),
            json!({"attributes": [{"key": "context", "value": twice}]}),
            json!({"attributes": [{"key": fields::WORKSPACE, "value": twice}]}),
        ] {
            let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
            let (record, ..) = read(logs);
            let origin = Origin::of(None);
            let refused = origin.workspace(&record, None).and_then(|_| {
                event(&record, &origin)?;
                original(&record, &origin)
            });
            assert_eq!(refused.unwrap_err().code, RejectionCode::DuplicateKey);
        }
    }

    #[test]
    fn a_workspace_that_contradicts_is_refused() {
        let (mut record, resource, _) = read(sample());
        let origin = Origin::of(Some(&resource));
        let [acme, beta] = ["acme", "beta"].map(|id| id.parse::<WorkspaceId>().unwrap());
        assert_eq!(origin.workspace(&record, None), Ok(Some(acme.clone())));
        assert_eq!(origin.workspace(&record, Some(&acme)), Ok(Some(acme)));
        let refused = origin.workspace(&record, Some(&beta)).unwrap_err();
        assert_eq!(refused.code, RejectionCode::WorkspaceContradiction);
        record.attributes[0].key = fields::WORKSPACE.to_owned();
        record.attributes[0].value = None;
        record.attributes[0].value = Some(AnyValue {
            value: Some(Kind::StringValue("../x".to_owned())),
        });
        let refused = origin.workspace(&record, None).unwrap_err();
        assert_eq!(refused.code, RejectionCode::InvalidWorkspace);
    }
}
