//! Base64, for strings that are awkward to quote.

/// Decodes `encoded` (RFC 4648, standard or URL alphabet, with or without padding).
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn decode(encoded: &str) -> Result<String, &'static str> {
    let digits = encoded.trim_end_matches('=');
    if digits.is_empty() {
        return Err("is empty");
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let mut pending: u32 = 0;
    let mut bits = 0;
    for digit in digits.bytes() {
        let value = sextet(digit).ok_or("holds a character that base64 does not have")?;
        pending = (pending << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits) as u8);
            pending &= (1 << bits) - 1;
        }
    }
    if bits >= 6 {
        return Err("has an impossible length");
    }
    String::from_utf8(bytes).map_err(|_| "does not decode to UTF-8 text")
}

/// The value of one base64 digit.
fn sextet(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
