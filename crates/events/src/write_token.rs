//! Tokens of acknowledged writes.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

const MILLISECONDS_DIGITS: usize = 13;
const SEQUENCE_DIGITS: usize = 10;

/// Proof of an acknowledged write: a query that carries it reads the write on any node.
///
/// Its text is short and has letters, digits and dashes only. It is the name of the segment with the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteToken {
    /// When the node began to write the segment, by its clock, in Unix milliseconds.
    pub written_ms: u64,
    /// The node that wrote it; a node has a new name each time it starts.
    pub node: Uuid,
    /// The number of the segment among those of the node.
    pub sequence: u64,
}

impl fmt::Display for WriteToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:0MILLISECONDS_DIGITS$}-{}-{:0SEQUENCE_DIGITS$}",
            self.written_ms,
            self.node.simple(),
            self.sequence
        )
    }
}

impl FromStr for WriteToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidToken(text.to_owned());
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or_else(invalid);
        let token = Self {
            written_ms: next()?.parse().map_err(|_| invalid())?,
            node: Uuid::try_parse(next()?).map_err(|_| invalid())?,
            sequence: next()?.parse().map_err(|_| invalid())?,
        };
        // One text for one token, or a listing could show the same segment under two names.
        if token.to_string() == text {
            Ok(token)
        } else {
            Err(invalid())
        }
    }
}

/// A text that is not the token of a write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no token of a write; give the token of an acknowledgement as it came")]
pub struct InvalidToken(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back() {
        let token = WriteToken {
            written_ms: 1_795_000_000_000,
            node: Uuid::from_u128(7),
            sequence: 5,
        };
        let text = "1795000000000-00000000000000000000000000000007-0000000005";
        assert_eq!(token.to_string(), text);
        assert_eq!(text.parse(), Ok(token));
        for wrong in [
            "",
            "1-2-3",
            "x",
            "0000000000000-00000000000000000000000000000007-1",
        ] {
            assert!(wrong.parse::<WriteToken>().is_err(), "{wrong}");
        }
    }
}
