//! Inputs that try to exhaust stack or time.

use crate::code::Code;
use crate::limits::{ALL, SizeLimit};
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
        Err(errors) => errors.iter().any(|error| error.code == Code::TooDeep),
    }
}

/// Everything that can nest, as text before, between and after the levels.
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
            (" OR ", 2_000),
            (" AND ", 2_000),
            (", ", 2_000),
            (" && b = 2 || ", 1_000),
        ] {
            let text = format!("TAE::*:(*) {{{}}}", vec!["a = 1"; count].join(operator));
            assert!(parse(&text).is_ok() && !is_too_deep(&text), "{operator}");
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

/// As many parts as a limit allows, for every limit: the text before, between, and after them.
fn parts(limit: SizeLimit, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|number| format!("f{number}")).collect();
    let list = names.join(", ");
    match limit.name {
        "text_bytes" => format!("TAE::*:(*) #{}", "x".repeat(count - 12)),
        "statements" => "TAE::*:(*);".repeat(count),
        "sources" => format!("TAE::{list}:(*)"),
        "columns" => format!("TAE::*:({list})"),
        "keys" => format!("TAE::*:(*) BY {list}"),
        "conditions" => format!("TAE::*:(*) {{{}}}", vec!["a"; count].join(", ")),
        "list_members" => format!("TAE::*:(*) {{a IN [{list}]}}"),
        "arguments" => format!("TAE::*:(concat({list}) AS all)"),
        "subqueries" => format!(
            "TAE::*:(*) {{{}}}",
            vec!["a IN (TAE::*:(a))"; count].join(", ")
        ),
        "chained_functions" => format!("rate((TAE::*:(a))){}", ".abs()".repeat(count)),
        other => panic!("{other} has no example"),
    }
}

/// A text may have as many parts as a limit allows; with one more it is refused, by the name of the limit
/// and with the span of the first part too many.
#[test]
fn each_limit_is_kept_and_named() {
    on_small_stack(|| {
        for limit in ALL {
            let allowed = parts(limit, limit.most);
            assert!(
                parse(&allowed).is_ok() && !is_too_deep(&allowed),
                "{}",
                limit.name
            );
            let errors = parse(&parts(limit, limit.most + 1)).expect_err(limit.name);
            let [error] = errors.as_slice() else {
                panic!("{errors:?}")
            };
            assert_eq!(error.code, Code::QuestionTooLarge);
            let told = format!("the limit `{}` allows {}", limit.name, limit.most);
            assert!(error.message.contains(&told), "{}", error.message);
            assert!(error.span.is_some_and(|span| span.start > 0));
        }
    });
}

/// Conditions of all clauses count together.
#[test]
fn conditions_of_all_clauses_count_together() {
    let some = vec!["a = 1"; 900].join(" OR ");
    let branches = "WHEN a = 1 THEN 2 ".repeat(300);
    let text = format!("TAE::*:(CASE {branches} END AS b) {{{some}}} HAVING {some}");
    let errors = parse(&text).expect_err("2,100 conditions");
    assert!(errors[0].message.contains("`conditions`"), "{errors:?}");
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
