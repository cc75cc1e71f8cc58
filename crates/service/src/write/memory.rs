//! The memory of a decoded request, computed before decoding.
//!
//! A few bytes can expand to many: an empty log record has two bytes on the wire and more than a hundred as a struct,
//! and a member of a JSON object has six bytes and more than a hundred in memory.

use serde_json::Value;

/// The least memory of an allocation, with the bookkeeping of the allocator.
pub const ALLOCATION_BYTES: usize = 32;

/// The initial capacity of a list and of an object.
const FIRST_ITEMS: usize = 4;

/// A list that grows doubles its capacity.
const GROWTH: usize = 2;

/// The memory of a member of an object, with its entry in the index of keys.
const MEMBER_BYTES: usize = size_of::<String>() + size_of::<Value>() + 4 * size_of::<usize>();

/// The most bytes by which a list grows for an item of `item_bytes` after `items` others.
pub fn next_item_bytes(items: usize, item_bytes: usize) -> usize {
    match items {
        0 => FIRST_ITEMS * item_bytes + ALLOCATION_BYTES,
        _ => GROWTH * item_bytes,
    }
}

/// The most bytes of a JSON text as a [`Value`], even if the text turns out to be invalid.
pub fn json_bytes(text: &[u8]) -> usize {
    let mut bytes = text.len() + size_of::<Value>();
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes += match byte {
            // An object has two allocations.
            b'{' | b'[' => FIRST_ITEMS * MEMBER_BYTES + 2 * ALLOCATION_BYTES,
            b',' => GROWTH * MEMBER_BYTES,
            b'"' => {
                skip_text(&mut rest);
                ALLOCATION_BYTES
            }
            _ => 0,
        };
    }
    bytes
}

/// Skips to the position after the closing quotation mark of a text.
fn skip_text<'a>(rest: &mut impl Iterator<Item = &'a u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => _ = rest.next(),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The approximate bytes of a value.
    fn taken(value: &Value) -> usize {
        let own = size_of::<Value>();
        match value {
            Value::String(text) => own + text.len(),
            Value::Array(items) => own + items.iter().map(taken).sum::<usize>(),
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    size_of::<String>() + key.len() + taken(value)
                };
                own + members.iter().map(member).sum::<usize>()
            }
            _ => own,
        }
    }

    #[test]
    fn json_takes_no_more() {
        for text in [
            "7",
            r#""\\""#,
            r#"{"a":{"b":[1,{},[],"x,y{"]}}"#,
            r#"{"a\",{":1,"b":"\\","c":[[[[]]]]}"#,
            &format!("[{}1]", "{},".repeat(1_000)),
            &format!("[{}1]", "0,".repeat(1_000)),
            &format!("{}{}", "[".repeat(100), "]".repeat(100)),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert!(json_bytes(text.as_bytes()) >= taken(&value), "{text}");
        }
        // Brackets and commas within a text do not count.
        let text = format!("[\"{}\"]", "{,".repeat(1_000));
        assert!(json_bytes(text.as_bytes()) < 3_000);
        assert!(json_bytes(b"\"") > 0);
    }
}
