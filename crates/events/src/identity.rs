//! Event ids for events that bring none: derived, never random, so that the same event delivered
//! again has the same id.

use serde_json::Value;

use crate::workspace::WorkspaceId;

/// A UUID (version 8) from a BLAKE3 hash over the parts. Equal parts give equal ids; where one part
/// ends and the next begins matters (`["ab", "c"]` and `["a", "bc"]` differ). The first part should
/// say what kind of origin the others describe.
pub fn derived_id(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Uuid::new_v8(bytes).to_string()
}

/// The id of one event of an imported file: from the digest of the (decompressed) content, the line
/// or row, and the position among the events that a mapping made of it.
pub fn import_id(content_digest: &[u8; 32], line: u64, index: u64) -> String {
    derived_id(&[
        b"import",
        content_digest,
        &line.to_le_bytes(),
        &index.to_le_bytes(),
    ])
}

/// The id of one event of a numbered batch: from the batch, the position of its record in the request,
/// and the position among the events that a mapping made of the record, both from 0; and from the id that
/// its content gives, so that a producer that begins to count anew does not send ids that are known.
pub fn batch_id(
    producer: &str,
    workspace: &WorkspaceId,
    number: u64,
    [record, index]: [u64; 2],
    content_id: &str,
) -> String {
    derived_id(&[
        b"batch",
        producer.as_bytes(),
        workspace.as_str().as_bytes(),
        &number.to_le_bytes(),
        &record.to_le_bytes(),
        &index.to_le_bytes(),
        content_id.as_bytes(),
    ])
}

/// JSON text that is the same for equal values: keys sorted by their bytes, no blanks.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(&mut text, value);
    text
}

fn write_canonical(text: &mut String, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_bytes());
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(text, value);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(text, item);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_version_8_and_depend_on_every_part() {
        let id = derived_id(&[b"ab", b"c"]);
        assert_eq!(id.as_bytes()[14], b'8');
        assert_eq!(id, derived_id(&[b"ab", b"c"]));
        assert_ne!(id, derived_id(&[b"a", b"bc"]));
        assert_ne!(import_id(&[0; 32], 1, 0), import_id(&[0; 32], 1, 1));
        assert_ne!(import_id(&[0; 32], 1, 0), import_id(&[0; 32], 2, 0));
        assert_ne!(import_id(&[0; 32], 1, 0), import_id(&[1; 32], 1, 0));
    }

    #[test]
    fn every_event_of_a_numbered_batch_has_an_id_of_its_own() {
        let [acme, beta] = ["acme", "beta"].map(|id| id.parse::<WorkspaceId>().unwrap());
        let ids = std::collections::BTreeSet::from([
            batch_id("p", &acme, 1, [0, 0], "c"),
            batch_id("p", &acme, 1, [0, 1], "c"),
            batch_id("p", &acme, 1, [1, 0], "c"),
            batch_id("p", &acme, 2, [0, 0], "c"),
            batch_id("p", &beta, 1, [0, 0], "c"),
            batch_id("q", &acme, 1, [0, 0], "c"),
            batch_id("p", &acme, 1, [0, 0], "other"),
        ]);
        assert_eq!(ids.len(), 7);
        assert_eq!(
            batch_id("p", &acme, 1, [0, 0], "c"),
            batch_id("p", &acme, 1, [0, 0], "c")
        );
    }

    #[test]
    fn derived_ids_never_change_between_releases() {
        assert_eq!(
            derived_id(&[b"import"]),
            "7bc84abe-327e-8905-8ecf-af52cbb3d75f"
        );
    }

    #[test]
    fn canonical_text_does_not_depend_on_key_order() {
        let left = json!({"b": [1, {"y": null, "x": "é\n"}], "a": 1.5});
        let right = json!({"a": 1.5, "b": [1, {"x": "é\n", "y": null}]});
        assert_eq!(canonical_json(&left), canonical_json(&right));
        assert_eq!(
            canonical_json(&left),
            r#"{"a":1.5,"b":[1,{"x":"é\n","y":null}]}"#
        );
        assert_ne!(
            canonical_json(&json!([1, 2])),
            canonical_json(&json!([2, 1]))
        );
    }
}
