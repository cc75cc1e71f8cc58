//! Positions in the texts of a request.

/// Which text of a request a span is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextId(u32);

impl TextId {
    /// The query itself. All others are made by [`Texts`](crate::Texts).
    pub const QUERY: Self = Self(0);

    /// The text with a number, from 1.
    pub(crate) fn new(number: u32) -> Self {
        Self(number)
    }

    /// The index among the texts besides the query.
    pub(crate) fn index(self) -> Option<usize> {
        self.0.checked_sub(1).map(|index| index as usize)
    }
}

/// A range of bytes of a text, `start <= end`.
///
/// Two trees are equal when they say the same, wherever it is written, so spans never differ in a
/// comparison: every span equals every other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset after the last byte.
    pub end: usize,
    /// The text.
    pub text: TextId,
}

impl Span {
    /// The bytes of the query from `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end,
            text: TextId::QUERY,
        }
    }

    /// The same bytes of another text.
    #[must_use]
    pub fn of(self, text: TextId) -> Self {
        Self { text, ..self }
    }

    /// The smallest span that covers both, which are in one text.
    #[must_use]
    pub fn to(self, other: Span) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
            text: self.text,
        }
    }

    /// The empty span after this one.
    #[must_use]
    pub fn after(self) -> Self {
        Self {
            start: self.end,
            ..self
        }
    }

    /// Whether it covers all of another one.
    pub fn contains(self, other: Span) -> bool {
        self.text == other.text && self.start <= other.start && other.end <= self.end
    }

    /// Whether both are the same bytes of the same text.
    pub fn is(self, other: Span) -> bool {
        self.contains(other) && other.contains(self)
    }
}

impl PartialEq for Span {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Span {}
