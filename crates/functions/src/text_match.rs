//! Tests on text: `re`, `match`, `search`, `wildcard`, `query_string` and `cidr` as one function.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use memchr::memmem;
use regex::{Regex, RegexSet};

use crate::literals;
use crate::patterns::{Compiler, Purpose, of_call};
use crate::query_string::{self, TextQuery};
use crate::resources::PatternError;

/// A test on text, as DQL has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextTest {
    /// `re`: a regular expression matches the whole value; of several patterns, any.
    Regex,
    /// `match`: a text occurs anywhere, without regard to case.
    Substring,
    /// `search`: all words occur.
    Words,
    /// `wildcard`: `*` is any run and `?` one character of the whole value.
    Wildcard,
    /// `query_string`: a query of words, phrases and operators holds.
    Query,
    /// `cidr`: an address of a network.
    Network,
}

impl TextTest {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Regex,
        Self::Substring,
        Self::Words,
        Self::Wildcard,
        Self::Query,
        Self::Network,
    ];

    /// The name of its function.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regex => "re",
            Self::Substring => "match",
            Self::Words => "search",
            Self::Wildcard => "wildcard",
            Self::Query => "query_string",
            Self::Network => "cidr",
        }
    }

    /// The test on a text: null where the text is. Of a test of a regular expression, one of several patterns has to
    /// match; the others have one pattern.
    pub fn call(self, text: Expr, patterns: &[&str]) -> Expr {
        let patterns = patterns.iter().map(|pattern| lit(*pattern));
        let args = std::iter::once(text).chain(patterns).collect();
        self.function().call(args)
    }

    /// The function.
    pub(crate) fn function(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(TextMatch {
            test: self,
            signature: Signature::variadic_any(Volatility::Immutable),
        })
    }
}

/// A test that a text passes or not.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// One expression finds a match.
    Regex(Regex),
    /// At least one of several expressions does.
    Any(RegexSet),
    /// Parts occur one after the other, with any run between them.
    Wildcard(Wildcard),
    /// A Lucene-like query holds.
    Query(TextQuery),
    /// The text is an address inside the network.
    Network {
        /// The address of the network.
        address: IpAddr,
        /// The leading bits that count.
        prefix_bits: u32,
    },
}

impl Matcher {
    /// The matcher of a test. A pattern that is wrong is named by its index.
    pub(crate) fn new(
        test: TextTest,
        patterns: &[&str],
        compiler: &mut Compiler,
    ) -> Result<Self, (usize, PatternError)> {
        let pattern = match (test, patterns) {
            (_, [pattern]) => *pattern,
            (TextTest::Regex, [_, ..]) => return Self::any_whole(patterns, compiler),
            _ => return Err((0, "a test needs a pattern".into())),
        };
        let matcher = match test {
            TextTest::Regex => Self::whole(pattern, compiler),
            TextTest::Substring => compiler
                .compile(&regex::escape(pattern), true)
                .map(Self::Regex),
            TextTest::Words => query_string::words(pattern, compiler).map(Self::Query),
            TextTest::Wildcard => Self::wildcard(pattern, compiler),
            TextTest::Query => query_string::parse(pattern, compiler).map(Self::Query),
            TextTest::Network => Self::network(pattern),
        };
        matcher.map_err(|error| (0, error))
    }

    /// The pattern matches the whole value; `.` takes line ends too.
    fn whole(pattern: &str, compiler: &mut Compiler) -> Result<Self, PatternError> {
        compiler.compile(&anchored(pattern), false).map(Self::Regex)
    }

    /// One of some patterns matches the whole value.
    fn any_whole(
        patterns: &[&str],
        compiler: &mut Compiler,
    ) -> Result<Self, (usize, PatternError)> {
        let anchored: Vec<String> = patterns.iter().map(|pattern| anchored(pattern)).collect();
        match compiler.compile_set(&anchored) {
            Ok(set) => Ok(Self::Any(set)),
            Err(PatternError::Wrong(reason)) => {
                // The library does not report which one it is. Those before it are right, and compiled again.
                let is_wrong = |pattern: &String| {
                    let compiled = Compiler::default().compile(pattern, false);
                    matches!(compiled, Err(PatternError::Wrong(_)))
                };
                let index = anchored.iter().position(is_wrong).unwrap_or_default();
                Err((index, PatternError::Wrong(reason)))
            }
            Err(error) => Err((0, error)),
        }
    }

    /// `*` is any run, `?` one character; the whole value.
    fn wildcard(pattern: &str, compiler: &mut Compiler) -> Result<Self, PatternError> {
        if !pattern.contains('?') {
            return Ok(Self::Wildcard(Wildcard::new(pattern)));
        }
        let pattern = regex::escape(pattern)
            .replace(r"\*", ".*")
            .replace(r"\?", ".");
        Self::whole(&pattern, compiler)
    }

    /// `cidr('10.0.0.0/8')`: an address inside the network.
    fn network(text: &str) -> Result<Self, PatternError> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("`{text}` is not a network like 10.0.0.0/8"))?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = if prefix.is_empty() {
            Some(widest)
        } else {
            prefix.parse().ok()
        };
        match prefix_bits {
            Some(prefix_bits) if prefix_bits <= widest => Ok(Self::Network {
                address,
                prefix_bits,
            }),
            _ => Err(PatternError::Wrong(format!(
                "`{text}` is not a network: the prefix is 0 to {widest} bits"
            ))),
        }
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(text),
            Self::Any(set) => set.is_match(text),
            Self::Wildcard(wildcard) => wildcard.is_match(text),
            Self::Query(query) => query.is_match(text),
            Self::Network {
                address,
                prefix_bits,
            } => in_network(text, *address, *prefix_bits),
        }
    }
}

/// A pattern of `wildcard` without `?`: what stands between its stars.
#[derive(Debug)]
pub(crate) struct Wildcard {
    /// What the text begins with.
    prefix: String,
    /// What it has in between, in this order.
    middle: Vec<memmem::Finder<'static>>,
    /// What it ends with; `None` without a star, where the prefix is the whole text.
    suffix: Option<String>,
}

impl Wildcard {
    fn new(pattern: &str) -> Self {
        let Some((prefix, rest)) = pattern.split_once('*') else {
            return Self {
                prefix: pattern.to_owned(),
                middle: Vec::new(),
                suffix: None,
            };
        };
        let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle = middle.split('*').filter(|part| !part.is_empty());
        Self {
            prefix: prefix.to_owned(),
            middle: middle
                .map(|part| memmem::Finder::new(part).into_owned())
                .collect(),
            suffix: Some(suffix.to_owned()),
        }
    }

    fn is_match(&self, text: &str) -> bool {
        let (Some(rest), Some(suffix)) = (text.strip_prefix(&self.prefix), &self.suffix) else {
            return self.suffix.is_none() && text == self.prefix;
        };
        let mut rest = rest.as_bytes();
        for part in &self.middle {
            match part.find(rest) {
                Some(place) => rest = &rest[place + part.needle().len()..],
                None => return false,
            }
        }
        rest.ends_with(suffix.as_bytes())
    }
}

/// A pattern that has to fit the whole value; `.` takes line ends too.
fn anchored(pattern: &str) -> String {
    format!(r"\A(?s:{pattern})\z")
}

fn in_network(text: &str, network: IpAddr, prefix_bits: u32) -> bool {
    fn shared(left: u128, right: u128, width: u32, prefix_bits: u32) -> bool {
        prefix_bits == 0 || (left ^ right) >> (width - prefix_bits) == 0
    }
    match (text.parse::<IpAddr>(), network) {
        (Ok(IpAddr::V4(address)), IpAddr::V4(network)) => shared(
            u32::from(address).into(),
            u32::from(network).into(),
            32,
            prefix_bits,
        ),
        (Ok(IpAddr::V6(address)), IpAddr::V6(network)) => {
            shared(address.into(), network.into(), 128, prefix_bits)
        }
        _ => false,
    }
}

/// The one text argument of a call, as string views.
pub(crate) fn text_argument(args: &ScalarFunctionArgs) -> Result<ArrayRef> {
    let array = args.args[0].to_array(args.number_rows)?;
    match array.data_type() {
        DataType::Utf8View => Ok(array),
        _ => Ok(cast(&array, &DataType::Utf8View)?),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextMatch {
    test: TextTest,
    signature: Signature,
}

impl ScalarUDFImpl for TextMatch {
    fn name(&self) -> &str {
        self.test.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = text_argument(&args)?;
        let patterns = (1..args.args.len()).map(|index| literals::text(&args, index));
        let patterns: Vec<&str> = patterns.collect::<Result<_>>()?;
        let compiled = of_call(Purpose::Test(self.test), &patterns)?;
        let mut matches = BooleanBuilder::with_capacity(texts.len());
        for text in texts.as_string_view() {
            matches.append_option(text.map(|text| compiled.matcher.is_match(text)));
        }
        Ok(ColumnarValue::Array(Arc::new(matches.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(test: TextTest, pattern: &str) -> Result<Matcher, (usize, PatternError)> {
        Matcher::new(test, &[pattern], &mut Compiler::default())
    }

    #[test]
    fn regex_fits_the_whole_value() {
        let matcher = compiled(TextTest::Regex, "Get.*|List").unwrap();
        assert!(matcher.is_match("GetUser"));
        assert!(matcher.is_match("Get\nUser"));
        assert!(!matcher.is_match("ListUsers"));
        assert!(!matcher.is_match("getuser"));
        assert!(compiled(TextTest::Regex, "(").is_err());
    }

    #[test]
    fn match_is_a_substring_without_case() {
        let matcher = compiled(TextTest::Substring, "build Error").unwrap();
        assert!(matcher.is_match("rebuild erroring"));
        assert!(!matcher.is_match("build an error"));
    }

    #[test]
    fn wildcard_is_the_whole_value_with_case() {
        let matcher = compiled(TextTest::Wildcard, "a*b?.c").unwrap();
        assert!(matcher.is_match("a--b1.c"));
        assert!(!matcher.is_match("a--b1xc"));
        assert!(!matcher.is_match("A--b1.c"));
    }

    #[test]
    fn wildcard_parts_follow_each_other() {
        let cases = [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("ab", "ab", true),
            ("ab", "abc", false),
            ("ab*", "abc", true),
            ("ab*", "cab", false),
            ("*ab", "cab", true),
            ("*ab", "aba", false),
            ("*ab*", "cabc", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("ab*bc", "abc", false),
            ("ab*bc", "abbc", true),
            ("*ab*ab*", "xabx", false),
            ("*ab*ab*", "abab", true),
            ("*é**ü", "xé\nü", true),
            ("a*b*c", "a-c-b", false),
        ];
        for (pattern, text, expected) in cases {
            let matcher = compiled(TextTest::Wildcard, pattern).unwrap();
            assert_eq!(matcher.is_match(text), expected, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn network_takes_addresses_of_its_family() {
        let matcher = compiled(TextTest::Network, "10.0.0.0/8").unwrap();
        assert!(matcher.is_match("10.255.1.2"));
        assert!(!matcher.is_match("11.0.0.1"));
        assert!(!matcher.is_match("cloudtrail.amazonaws.com"));
        assert!(
            compiled(TextTest::Network, "::/0")
                .unwrap()
                .is_match("2001:db8::1")
        );
        assert!(compiled(TextTest::Network, "10.0.0.0/33").is_err());
    }
}
