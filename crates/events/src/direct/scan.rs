//! JSON text, piece by piece.

use memchr::memchr2;

use super::Unusual;

/// The rest of a JSON text without bytes below a space.
#[derive(Debug)]
pub(super) struct Scanner<'c> {
    text: &'c str,
    at: usize,
}

/// What stands between the quotes of a JSON text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'c> {
    pub(super) text: &'c str,
    pub(super) is_escaped: bool,
}

impl<'c> Scanner<'c> {
    /// The begin of a text. One with bytes below a space is unusual: within quotes they are wrong.
    pub(super) fn new(text: &'c str) -> Result<Self, Unusual> {
        // No early end, so that many bytes are compared at once.
        let has_control = text
            .bytes()
            .fold(false, |found, byte| found | (byte < b' '));
        if has_control {
            return Err(Unusual);
        }
        Ok(Self { text, at: 0 })
    }

    /// The next byte that is no blank; it stays.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// The next byte that is no blank.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// Takes the byte, blanks before it aside.
    pub(super) fn take(&mut self, byte: u8) -> Result<(), Unusual> {
        if self.next() == Some(byte) {
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    /// Takes a text in quotes.
    pub(super) fn quoted(&mut self) -> Result<Quoted<'c>, Unusual> {
        self.take(b'"')?;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).ok_or(Unusual)?;
            let found = self.at + memchr2(b'"', b'\\', rest).ok_or(Unusual)?;
            if self.text.as_bytes()[found] == b'"' {
                self.at = found + 1;
                let text = self.text.get(start..found).ok_or(Unusual)?;
                return Ok(Quoted { text, is_escaped });
            }
            is_escaped = true;
            self.at = found + 2;
        }
    }

    /// Takes a text in quotes and a colon; a key with an escape is unusual.
    pub(super) fn key(&mut self) -> Result<&'c str, Unusual> {
        let key = self.quoted()?;
        if key.is_escaped {
            return Err(Unusual);
        }
        self.take(b':')?;
        Ok(key.text)
    }

    /// Takes a number or a word.
    pub(super) fn plain(&mut self) -> Result<&'c str, Unusual> {
        self.peek();
        let rest = self.text.get(self.at..).ok_or(Unusual)?;
        let is_end = |byte: u8| matches!(byte, b',' | b'}' | b']' | b' ');
        let length = rest.bytes().position(is_end).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).ok_or(Unusual)
    }
}

/// The whole number in the form in which serde_json writes it: without blanks, leading zeros, a sign of
/// zero. Larger ones than all 18 digits hold are left to others.
pub(super) fn plain_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_plain.then(|| text.parse().ok()).flatten()
}

impl Quoted<'_> {
    /// Adds the text that is meant.
    pub(super) fn unescape_into(self, out: &mut String) -> Result<(), Unusual> {
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let mut behind = rest[at + 1..].chars();
            let character = match behind.next().ok_or(Unusual)? {
                character @ ('"' | '\\' | '/') => character,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let (character, length) = code_point(behind.as_str())?;
                    behind = behind.as_str()[length..].chars();
                    character
                }
                _ => return Err(Unusual),
            };
            out.push(character);
            rest = behind.as_str();
        }
        out.push_str(rest);
        Ok(())
    }

    /// Whether serde_json would write the text with the same escapes.
    pub(super) fn is_canonical(self) -> bool {
        let mut bytes = self.text.bytes();
        while let Some(byte) = bytes.next() {
            let is_same =
                |escape| matches!(escape, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't');
            if byte == b'\\' && !bytes.next().is_some_and(is_same) {
                return false;
            }
        }
        true
    }
}

/// The character behind `\u`, and how many bytes tell it.
fn code_point(text: &str) -> Result<(char, usize), Unusual> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4).ok_or(Unusual)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unusual);
        }
        u16::from_str_radix(digits, 16).map_err(|_| Unusual)
    };
    let first = unit(0)?;
    let units = if char::from_u32(first.into()).is_some() {
        [first, 0]
    } else if text.get(4..6) == Some("\\u") {
        [first, unit(6)?]
    } else {
        return Err(Unusual);
    };
    match char::decode_utf16(units).next() {
        Some(Ok(character)) if units[1] == 0 => Ok((character, 4)),
        Some(Ok(character)) => Ok((character, 10)),
        _ => Err(Unusual),
    }
}
