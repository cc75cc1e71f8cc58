//! Inputs that try to exhaust stack or time.

use crate::{check, parse};

/// Runs `work` on a thread with as little stack as a caller may have left.
fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(768 * 1024)
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("no panic");
}

/// Parses, prints, checks and drops a text; says whether it was too deep.
fn is_too_deep(text: &str) -> bool {
    match parse(text) {
        Ok(script) => {
            let printed = script.to_string();
            assert_eq!(parse(&printed).expect("canonical text parses"), script);
            check(&script);
            false
        }
        Err(errors) => errors.iter().any(|error| error.code == "too_deep"),
    }
}

/// Everything that can nest, as text before, between and behind the levels.
const NESTED: [(&str, &str, &str, &str); 12] = [
    ("TAE::*:(*) {", "(", "a = 1", ")"),
    ("TAE::*:(*) {", "NOT ", "a = 1", ""),
    ("TAE::*:(*) {a = ", "-", "b", ""),
    ("TAE::*:(*) {a = ", "2 ^ ", "b", ""),
    ("TAE::*:(*) {a = ", "f(", "b", ")"),
    ("TAE::*:(*) {a = ", "[", "b", "]"),
    ("TAE::*:(*) {a = ", "CASE WHEN a THEN ", "b", " END"),
    ("TAE::*:(*) {a = ", "1 + 2 * 3 ^ (", "b", ")"),
    ("TAE::*:(*) {", "a = 1 OR b = 2 AND NOT (", "c", ")"),
    ("TAE::*:(*) {", "a IN (TAE::*:(a) {", "a = 1", "})"),
    ("", "TAE::(", "TAE::*:(a)", "):(a)"),
    ("", "rate(", "(TAE::*:(a))", ")"),
];

/// The text with `levels` levels of one kind of nesting, closed where it needs to be.
fn nested((before, open, inner, close): (&str, &str, &str, &str), levels: usize) -> String {
    let end = if before.contains('{') { "}" } else { "" };
    format!(
        "{before}{}{inner}{}{end}",
        open.repeat(levels),
        close.repeat(levels)
    )
}

#[test]
fn nesting_is_limited_before_the_stack_is() {
    on_small_stack(|| {
        for shape in NESTED {
            let parsed = (1..200)
                .take_while(|levels| !is_too_deep(&nested(shape, *levels)))
                .count();
            assert!((10..150).contains(&parsed), "{parsed} levels of {shape:?}");
        }
    });
}

#[test]
fn huge_nesting_is_an_error() {
    on_small_stack(|| {
        for shape in NESTED {
            let text = nested(shape, 100_000 / shape.1.len());
            assert!(is_too_deep(&text), "{shape:?}");
            let unclosed = text.trim_end_matches([')', ']', '}', ' ']);
            assert!(parse(unclosed).is_err(), "{shape:?}");
        }
    });
}

#[test]
fn long_chains_of_conditions_are_fine() {
    on_small_stack(|| {
        for (operator, count) in [
            (" OR ", 8_000),
            (" AND ", 8_000),
            (", ", 8_000),
            (" && b = 2 || ", 4_000),
        ] {
            let text = format!("TAE::*:(*) {{{}}}", vec!["a = 1"; count].join(operator));
            assert!(!is_too_deep(&text), "{operator}");
        }
    });
}

#[test]
fn long_calculations_are_an_error() {
    on_small_stack(|| {
        for operator in ["+", "-", "*", "/", "%", "^"] {
            let text = format!("TAE::*:({})", vec!["a"; 20_000].join(operator));
            assert!(is_too_deep(&text), "{operator}");
        }
        let chained = format!("TAE::*:(f(a){})", ".g()".repeat(20_000));
        assert!(is_too_deep(&chained));
    });
}

#[test]
fn long_lists_are_fine() {
    on_small_stack(|| {
        let names: Vec<String> = (0..10_000).map(|number| format!("f{number}")).collect();
        let names = names.join(", ");
        for text in [
            format!("TAE::*:({names})"),
            format!("TAE::{names}:(*)"),
            format!("TAE::*:(concat({names}) AS all)"),
            format!("TAE::*:(*) {{a IN [{names}]}}"),
            format!("TAE::*:(*) BY {names}"),
            format!("TAE::*:(*) BY ({names})"),
            format!("TAE::*:(*) ORDER BY {names}"),
            "TAE::*:(*);".repeat(8_000),
            format!("rate((TAE::*:(a))){}", ".abs()".repeat(10_000)),
        ] {
            assert!(!is_too_deep(&text), "{}", &text[..40]);
        }
    });
}

#[test]
fn repeated_noise_is_an_error_in_little_time() {
    for noise in [
        "(", "[", "{", "`", "'", "::", ":", "a(", "a[", "M::(", "re(", "a@[", "((a", "\\", "#{",
        "b64'", ",",
    ] {
        let text = noise.repeat(100_000 / noise.len());
        assert!(parse(&text).is_err(), "{noise}");
        assert!(parse(&format!("TAE::*:({text}")).is_err(), "{noise}");
        assert!(parse(&format!("TAE::*:(*) {{{text}")).is_err(), "{noise}");
    }
}
