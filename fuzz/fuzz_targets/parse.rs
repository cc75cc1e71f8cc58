//! Any text is parsed or refused, checked and explained, without a panic and in little time.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let found = match dql::parse(&text) {
        Ok(script) => {
            let found = dql::check(&script).into_iter();
            found.map(|finding| script.texts.located(finding)).collect()
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without an error");
            errors
        }
    };
    for diagnostic in found {
        let drawn = dql::render(&text, &diagnostic);
        assert!(drawn.contains(diagnostic.code.as_str()));
        if let Some(span) = diagnostic.span {
            assert!(span.start <= span.end, "{span:?} of {}", diagnostic.code);
            assert!(
                text.get(span.start..span.end).is_some(),
                "{span:?} of {}",
                diagnostic.code
            );
        }
    }
});
