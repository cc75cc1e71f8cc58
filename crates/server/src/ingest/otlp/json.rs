//! The JSON form of a request: the JSON mapping of protobuf, with the ids of traces and spans in
//! hexadecimal, as the specification of OTLP says.

use api::proto::otlp::any_value::Value as Kind;
use api::proto::otlp::{
    AnyValue, ArrayValue, ExportLogsServiceRequest, InstrumentationScope, KeyValue, KeyValueList,
    LogRecord, Resource, ResourceLogs, ScopeLogs,
};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use events::read::{NotUnique, parse_unique};
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, String>;

/// Parses a request from JSON. Unknown members are ignored.
///
/// # Errors
/// The fault of the text, in words.
pub(super) fn request(text: &[u8]) -> Result<ExportLogsServiceRequest> {
    let value = parse_unique(text).map_err(|error| match error {
        NotUnique::Duplicate(rejection) => rejection.message,
        NotUnique::Malformed(error) => error.to_string(),
    })?;
    let members = Members::of(&value, "the request")?;
    Ok(ExportLogsServiceRequest {
        resource_logs: members.list("resourceLogs", resource_logs)?,
    })
}

/// The members of an object, by their names in lower camel case, or as the interface spells them.
struct Members<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Members<'a> {
    fn of(value: &'a Value, what: &str) -> Result<Self> {
        match value {
            Value::Object(object) => Ok(Self { object }),
            _ => Err(format!("{what} is not an object")),
        }
    }

    /// A member that is present and not null.
    fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.object.get(name).or_else(|| {
            let mut snake_case = String::new();
            for character in name.chars() {
                if character.is_ascii_uppercase() {
                    snake_case.push('_');
                }
                snake_case.push(character.to_ascii_lowercase());
            }
            self.object.get(&snake_case)
        });
        found.filter(|value| !value.is_null())
    }

    fn list<T>(&self, name: &str, item: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(item).collect(),
            Some(_) => Err(format!("`{name}` is not a list")),
        }
    }

    fn object<T>(&self, name: &str, read: impl Fn(&Value) -> Result<T>) -> Result<Option<T>> {
        self.get(name).map(read).transpose()
    }

    fn text(&self, name: &str) -> Result<String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("`{name}` is not a text")),
        }
    }

    /// An integer, or a text with one, as 64-bit integers are written; 0 when it is missing.
    fn number<T: std::str::FromStr + Default>(&self, name: &str) -> Result<T> {
        let digits = match self.get(name) {
            None => return Ok(T::default()),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err(format!("`{name}` is not a number")),
        };
        let wrong = |_| format!("`{name}` is not a whole number in its range: {digits}");
        digits.parse().map_err(wrong)
    }

    fn hexadecimal(&self, name: &str) -> Result<Vec<u8>> {
        let text = self.text(name)?;
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let is_byte = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(pair).ok().filter(|_| is_byte)?;
            u8::from_str_radix(digits, 16).ok()
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        bytes.ok_or_else(|| format!("`{name}` is not hexadecimal"))
    }

    fn attributes(&self) -> Result<Vec<KeyValue>> {
        self.list("attributes", key_value)
    }
}

fn resource_logs(value: &Value) -> Result<ResourceLogs> {
    let members = Members::of(value, "an item of `resourceLogs`")?;
    let resource = |value: &Value| {
        let members = Members::of(value, "`resource`")?;
        Ok(Resource {
            attributes: members.attributes()?,
            dropped_attributes_count: members.number("droppedAttributesCount")?,
        })
    };
    Ok(ResourceLogs {
        resource: members.object("resource", resource)?,
        scope_logs: members.list("scopeLogs", scope_logs)?,
        schema_url: members.text("schemaUrl")?,
    })
}

fn scope_logs(value: &Value) -> Result<ScopeLogs> {
    let members = Members::of(value, "an item of `scopeLogs`")?;
    let scope = |value: &Value| {
        let members = Members::of(value, "`scope`")?;
        Ok(InstrumentationScope {
            name: members.text("name")?,
            version: members.text("version")?,
            attributes: members.attributes()?,
            dropped_attributes_count: members.number("droppedAttributesCount")?,
        })
    };
    Ok(ScopeLogs {
        scope: members.object("scope", scope)?,
        log_records: members.list("logRecords", log_record)?,
        schema_url: members.text("schemaUrl")?,
    })
}

fn log_record(value: &Value) -> Result<LogRecord> {
    let members = Members::of(value, "an item of `logRecords`")?;
    Ok(LogRecord {
        time_unix_nano: members.number("timeUnixNano")?,
        observed_time_unix_nano: members.number("observedTimeUnixNano")?,
        severity_number: members.number("severityNumber")?,
        severity_text: members.text("severityText")?,
        body: members.object("body", any_value)?,
        attributes: members.attributes()?,
        dropped_attributes_count: members.number("droppedAttributesCount")?,
        flags: members.number("flags")?,
        trace_id: members.hexadecimal("traceId")?,
        span_id: members.hexadecimal("spanId")?,
        event_name: members.text("eventName")?,
    })
}

fn key_value(value: &Value) -> Result<KeyValue> {
    let members = Members::of(value, "an attribute")?;
    Ok(KeyValue {
        key: members.text("key")?,
        value: members.object("value", any_value)?,
    })
}

fn any_value(value: &Value) -> Result<AnyValue> {
    let members = Members::of(value, "a value")?;
    let kind = if members.get("stringValue").is_some() {
        Some(Kind::StringValue(members.text("stringValue")?))
    } else if let Some(truth) = members.get("boolValue") {
        let truth = truth.as_bool().ok_or("`boolValue` is not true or false")?;
        Some(Kind::BoolValue(truth))
    } else if members.get("intValue").is_some() {
        Some(Kind::IntValue(members.number("intValue")?))
    } else if let Some(number) = members.get("doubleValue") {
        Some(Kind::DoubleValue(double(number)?))
    } else if let Some(list) = members.get("arrayValue") {
        let values = Members::of(list, "`arrayValue`")?.list("values", any_value)?;
        Some(Kind::ArrayValue(ArrayValue { values }))
    } else if let Some(list) = members.get("kvlistValue") {
        let values = Members::of(list, "`kvlistValue`")?.list("values", key_value)?;
        Some(Kind::KvlistValue(KeyValueList { values }))
    } else if members.get("bytesValue").is_some() {
        Some(Kind::BytesValue(base64(&members.text("bytesValue")?)?))
    } else {
        None
    };
    Ok(AnyValue { value: kind })
}

fn double(value: &Value) -> Result<f64> {
    let parsed = match value {
        Value::Number(number) => number.as_f64(),
        // The same function parses the names of infinity and NaN.
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| "`doubleValue` is not a number".to_owned())
}

/// Base64 in either alphabet, with or without padding.
fn base64(text: &str) -> Result<Vec<u8>> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, lenient)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&URL_SAFE, lenient).decode(text))
        .map_err(|error| format!("`bytesValue` is not base64: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(record: Value) -> Result<LogRecord> {
        let text = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
        let request = request(text.to_string().as_bytes())?;
        Ok(request.resource_logs[0].scope_logs[0].log_records[0].clone())
    }

    #[test]
    fn numbers_may_be_texts_and_names_in_either_case() {
        let read =
            record(json!({"time_unix_nano": 5, "observedTimeUnixNano": "6", "unknown": [1]}));
        let read = read.unwrap();
        assert_eq!((read.time_unix_nano, read.observed_time_unix_nano), (5, 6));
    }

    /// A reader must not choose between two values of a key.
    #[test]
    fn a_key_given_twice_is_refused() {
        let text = br#"{"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"body": {"stringValue": "a", "stringValue": "b"}}
        ]}]}]}"#;
        let problem = request(text).unwrap_err();
        assert!(problem.contains("`stringValue` twice"), "{problem}");
    }

    #[test]
    fn values_of_every_kind_are_read() {
        for (value, kind) in [
            (
                json!({"stringValue": ""}),
                Some(Kind::StringValue(String::new())),
            ),
            (json!({"boolValue": false}), Some(Kind::BoolValue(false))),
            (json!({"intValue": "-7"}), Some(Kind::IntValue(-7))),
            (
                json!({"doubleValue": "-Infinity"}),
                Some(Kind::DoubleValue(f64::NEG_INFINITY)),
            ),
            (json!({"doubleValue": 2}), Some(Kind::DoubleValue(2.0))),
            (
                json!({"bytesValue": "-_8"}),
                Some(Kind::BytesValue(vec![0xfb, 0xff])),
            ),
            (
                json!({"arrayValue": {}}),
                Some(Kind::ArrayValue(ArrayValue::default())),
            ),
            (json!({}), None),
        ] {
            let read = record(json!({"body": value})).unwrap();
            assert_eq!(read.body.unwrap().value, kind, "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (content, word) in [
            (json!({"timeUnixNano": "now"}), "timeUnixNano"),
            (json!({"timeUnixNano": -1}), "timeUnixNano"),
            (json!({"traceId": "xyz"}), "traceId"),
            (json!({"spanId": "é"}), "spanId"),
            (json!({"body": "text"}), "a value"),
            (json!({"attributes": {}}), "attributes"),
        ] {
            let problem = record(content).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
        assert!(request(b"[]").is_err());
        assert_eq!(request(b"{}").unwrap(), ExportLogsServiceRequest::default());
    }
}
