use api::proto::otlp::any_value::Value as AnyKind;
use api::proto::otlp::{
    ArrayValue, ExportLogsServiceRequest, InstrumentationScope, KeyValueList, Resource,
};
use prost::Message;

use super::*;
use service::write::Budget;

/// A field with a length: its key and the length of `content` before it.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut bytes).unwrap();
    bytes.extend_from_slice(content);
    bytes
}

/// A request whose one record has these fields.
fn of_record(fields: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, fields)))
}

async fn admitted(form: Form, request: Vec<u8>) -> Result<usize, WriteError> {
    let limits = IngestLimits::default();
    let budget = Budget::new(limits.waiting_bytes, limits.decompressed_bytes);
    let mut held = budget.request(&budget.share());
    admit(form, request.into(), &limits, &mut held).await?;
    Ok(held.bytes())
}

/// Few bytes that would become gigabytes of structs are refused before there are any.
#[tokio::test]
async fn bombs_are_refused() {
    let many = 8 << 20;
    let empty = |tag: u8| [tag << 3 | 2, 0].repeat(many);
    for records in [
        field(1, &field(2, &empty(2))),
        // Records of many scopes and resources count together.
        field(1, &field(2, &[0x12, 0])).repeat(100_001),
    ] {
        let refused = admitted(Form::Protobuf, records).await.unwrap_err();
        assert!(matches!(
            refused,
            WriteError::TooManyEvents { limit: 100_000 }
        ));
    }
    for bomb in [
        empty(1),
        field(1, &empty(2)),
        field(1, &field(1, &empty(1))),
        field(1, &field(2, &field(1, &empty(3)))),
        of_record(&empty(6)),
        of_record(&field(5, &field(5, &empty(1)))),
        of_record(&field(6, &field(2, &field(6, &empty(1))))),
    ] {
        let refused = admitted(Form::Protobuf, bomb).await.unwrap_err();
        assert!(
            matches!(refused, WriteError::EventsTooLarge { .. }),
            "{refused}"
        );
    }
    let records = format!("{}{{}}", "{},".repeat(many));
    let json = format!("{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{records}]}}]}}]}}");
    let refused = admitted(Form::Json, json.into()).await.unwrap_err();
    assert!(
        matches!(refused, WriteError::EventsTooLarge { .. }),
        "{refused}"
    );
}

fn attributes() -> Vec<KeyValue> {
    let text = |text: &str| AnyKind::StringValue(text.to_owned());
    let values = [
        text("some text"),
        AnyKind::IntValue(7),
        AnyKind::BytesValue(vec![0; 99]),
    ];
    let values = values.map(|kind| AnyValue { value: Some(kind) }).to_vec();
    let member = |key: &str, kind| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(kind) }),
    };
    let list = KeyValueList {
        values: vec![member("inner", text("x"))],
    };
    vec![
        member("list", AnyKind::ArrayValue(ArrayValue { values })),
        member("object", AnyKind::KvlistValue(list)),
    ]
}

fn request(records: usize) -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1,
        body: attributes().remove(0).value,
        attributes: attributes(),
        trace_id: vec![7; 16],
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        scope: Some(InstrumentationScope {
            attributes: attributes(),
            ..InstrumentationScope::default()
        }),
        log_records: vec![record; records],
        ..ScopeLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: attributes(),
                ..Resource::default()
            }),
            scope_logs: vec![scope_logs.clone(), scope_logs],
            ..ResourceLogs::default()
        }],
    }
}

/// The bytes of values, and of the room of lists, in some attributes.
fn taken(attributes: &Vec<KeyValue>) -> usize {
    let value = |value: &AnyValue| match &value.value {
        Some(AnyKind::StringValue(text)) => text.capacity(),
        Some(AnyKind::BytesValue(bytes)) => bytes.capacity(),
        Some(AnyKind::ArrayValue(list)) => list.values.capacity() * size_of::<AnyValue>(),
        Some(AnyKind::KvlistValue(list)) => taken(&list.values),
        _ => 0,
    };
    let members = attributes
        .iter()
        .map(|member| member.key.capacity() + member.value.as_ref().map_or(0, value));
    attributes.capacity() * size_of::<KeyValue>() + members.sum::<usize>()
}

/// A request takes no more than what was measured, and not much less, so that honest ones pass.
#[tokio::test]
async fn honest_requests_are_measured() {
    let message = request(10_000).encode_to_vec();
    let held = admitted(Form::Protobuf, message.clone()).await.unwrap();
    let decoded = ExportLogsServiceRequest::decode(message.as_slice()).unwrap();
    let scope_logs = decoded
        .resource_logs
        .iter()
        .flat_map(|logs| &logs.scope_logs);
    let bytes: usize = scope_logs
        .map(|logs| {
            let records = logs.log_records.iter();
            let attributes = records
                .map(|record| taken(&record.attributes))
                .sum::<usize>();
            logs.log_records.capacity() * size_of::<LogRecord>() + attributes
        })
        .sum();
    assert!((bytes..4 * bytes).contains(&held), "{held} for {bytes}");
    assert!(held < 8 * message.len(), "{held} for {}", message.len());
    assert_eq!(
        Extent::of(Form::Protobuf, &message).unwrap().records,
        20_000
    );
}

/// The largest requests that the documentation names pass.
#[tokio::test]
async fn honest_json_is_admitted() {
    let attribute = r#"{"key":"service.name","value":{"stringValue":"billing"}}"#;
    let record = format!(
        r#"{{"timeUnixNano":"1","attributes":[{}]}}"#,
        [attribute; 10].join(",")
    );
    let records = vec![record; (10 << 20) / 600].join(",");
    let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    assert!(request.len() > 10 << 20);
    admitted(Form::Json, request.into()).await.unwrap();
}

/// What is damaged is refused before the decoder reads beyond the end of a message.
#[tokio::test]
async fn damaged_messages_are_refused() {
    let deep = (0..60).fold(Vec::new(), |inner, _| field(5, &field(1, &inner)));
    for damaged in [
        vec![0x0a],
        vec![0x0a, 0x05, 0x00],
        // The inner message is longer than the outer one.
        [&[0x0a, 0x02, 0x12, 0x7f][..], &[0; 200]].concat(),
        of_record(&field(5, &deep)),
        vec![0x07],
    ] {
        assert!(ExportLogsServiceRequest::decode(damaged.as_slice()).is_err());
        let refused = admitted(Form::Protobuf, damaged).await.unwrap_err();
        assert!(matches!(refused, WriteError::Body(_)), "{refused}");
    }
}
