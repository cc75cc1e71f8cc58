//! The table of codes.

use std::collections::HashSet;

use crate::{Code, Fault, Severity};

#[test]
fn codes_have_texts_of_their_own_and_are_found_by_them() {
    let texts: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), Code::ALL.len());
    for code in Code::ALL {
        assert_eq!(Code::from_text(code.as_str()), Some(*code));
        assert!(!code.meaning(Severity::Error).is_empty(), "{code}");
    }
    assert_eq!(Code::from_text("no_such_code"), None);
}

#[test]
fn warnings_and_errors_of_one_code_may_differ() {
    let (error, warning) = (Severity::Error, Severity::Warning);
    assert_ne!(Code::EqArray.meaning(error), Code::EqArray.meaning(warning));
    assert_eq!(Code::EqArray.fault(), Fault::Question);
    let only = Code::AssumedWindow;
    assert_eq!(only.meaning(error), only.meaning(warning));
    assert_eq!(only.fault(), Fault::Warning);
}
