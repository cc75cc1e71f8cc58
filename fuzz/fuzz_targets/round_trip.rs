//! Canonical text has the same tree as what it was made from, and is its own canonical text.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(script) = dql::parse(text) else {
        return;
    };
    let printed = script.to_string();
    match dql::parse(&printed) {
        // Canonical text has more parentheses than its original, so it may nest too deep, also in quotes.
        Ok(again)
            if dql::check(&again)
                .iter()
                .any(|found| found.code == dql::Code::TooDeep) => {}
        Ok(again) => {
            assert_eq!(again, script, "{text}\n{printed}");
            assert_eq!(again.to_string(), printed, "{text}");
            let codes = |script| {
                dql::check(script)
                    .into_iter()
                    .map(|found| found.code.as_str())
            };
            let (mut before, mut after): (Vec<_>, Vec<_>) =
                (codes(&script).collect(), codes(&again).collect());
            before.sort_unstable();
            after.sort_unstable();
            assert_eq!(before, after, "{text}\n{printed}");
        }
        Err(errors) => assert!(
            errors.iter().all(|error| error.code == dql::Code::TooDeep),
            "{text}\n{printed}\n{errors:?}"
        ),
    }
});
