//! Something can be proposed anywhere in any text. The first two bytes are the place.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((place, rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    let offset = usize::from(u16::from_le_bytes(*place)) % (text.len() + 2);
    let completion = dql::complete(&text, offset);
    let replace = completion.replace;
    assert!(replace.start <= replace.end);
    let replaced = text.get(replace.start..replace.end).expect("whole characters");
    assert!(
        replaced.contains(&completion.typed),
        "{replaced} without {}",
        completion.typed
    );
});
