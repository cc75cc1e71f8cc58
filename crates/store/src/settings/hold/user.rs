//! Whether two texts name the same user.

use caseless::Caseless;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use unicode_normalization::UnicodeNormalization;

/// The user that a hold is about, in the form in which users are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User(String);

impl User {
    /// The user whom `text` names.
    pub(super) fn new(text: &str) -> Self {
        Self(comparable(text))
    }

    /// Whether `text` names this user: as an id, a name or an address, without regard to case, to the
    /// form in which Unicode writes it, to characters that are not shown, and to blanks around it.
    pub(super) fn is(&self, text: &str) -> bool {
        match text.is_ascii() {
            true => text.trim().eq_ignore_ascii_case(&self.0),
            false => comparable(text) == self.0,
        }
    }
}

/// The form that equal users share. It is the compatibility caseless match of the Unicode Standard
/// (section 3.13): full case folding, in which `ß` is `ss` and `ς` is `σ`, between normalisations; and as in its
/// identifier caseless match without characters that are not shown, such as a soft hyphen, which would let a user
/// choose a name that a hold does not find.
///
/// `to_lowercase` adds what the tables of the standard library know beyond those of `caseless`, so that
/// everything that was equal for earlier versions of Vouch, which compared lower-case letters, stays so.
fn comparable(text: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let shown = text.chars().filter(|letter| !ignorable.contains(*letter));
    let folded = shown.nfd().default_case_fold();
    let folded = folded.nfkd().default_case_fold().nfkd();
    let lower: String = folded.flat_map(char::to_lowercase).collect();
    lower.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn are_same(left: &str, right: &str) -> bool {
        let is = User::new(left).is(right);
        assert_eq!(is, User::new(right).is(left), "{left} {right}");
        is
    }

    #[test]
    fn users_are_the_same_however_they_are_written() {
        for (left, right) in [
            ("Νίκος", "ΝΊΚΟΣ"),
            ("straße", "STRASSE"),
            ("straße", "STRAẞE"),
            ("Zo\u{eb}", "zoe\u{308}"),
            ("eve", " eve"),
            ("eve", "EVE\u{a0}\t"),
            ("ｅｖｅ", "Eve"),
            ("ﬁona", "FIONA"),
            ("İnci", "i\u{307}nci"),
            ("\u{212a}im", "kim"),
            ("e\u{ad}ve", "eve"),
            ("\u{feff}eve\u{200b}", "eve"),
            ("e\u{200d}ve\u{e0061}", "EVE"),
        ] {
            assert!(are_same(left, right), "{left} {right}");
        }
        for (left, right) in [("eve", "eva"), ("zoe", "zoë"), ("eve", "e ve"), ("a", "")] {
            assert!(!are_same(left, right), "{left} {right}");
        }
    }

    /// How versions before this one compared users.
    fn lower(text: &str) -> String {
        text.chars().flat_map(char::to_lowercase).collect()
    }

    #[test]
    fn letters_that_were_the_same_still_are() {
        for letter in '\0'..=char::MAX {
            let text = letter.to_string();
            assert!(are_same(&text, &lower(&text)), "{letter:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_that_were_the_same_still_are(text in "\\PC{0,8}", upper in "\\PC{0,8}") {
            prop_assert!(are_same(&text, &lower(&text)));
            if lower(&text) == lower(&upper) {
                prop_assert!(are_same(&text, &upper));
            }
        }
    }
}
