//! The functions of the language and their parameters (Guance documentation, DQL functions and outer
//! functions, with the names of newer engines).
//!
//! Check, completion, the printer and the parser read these tables. `plan` has a binding for each function.

use Parameter::{Above, Any, Between, Field, FieldOrStar, List, Number, Text, Whole};
use Role::{Aggregate, Data, Point, Predicate, Rows, Scalar};
use TextArguments::{AfterFirst, All, AloneOrAfterFirst};

/// The role of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Many rows to one value.
    Aggregate,
    /// Many rows to rows of its own choice.
    Rows,
    /// A series to a series.
    Point,
    /// A value to a value.
    Scalar,
    /// A value to true or false.
    Predicate,
    /// A value from another source.
    Data,
}

/// The kinds of arguments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Parameter {
    /// Anything.
    Any,
    /// A field, or an expression over fields.
    Field,
    /// A field, or `*`.
    FieldOrStar,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number from 1.
    Whole,
    /// A number from the first up to the second.
    Between(f64, f64),
    /// A number above the first up to the second.
    Above(f64, f64),
    /// A list in brackets.
    List,
}

/// The arguments in which a backquoted word is a text and not a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextArguments {
    /// None.
    None,
    /// All but the first.
    AfterFirst,
    /// A single argument, or all but the first of several.
    AloneOrAfterFirst,
    /// All.
    All,
}

/// A function and its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// The name in lower case.
    pub name: &'static str,
    /// Its role.
    pub role: Role,
    /// The required arguments.
    pub(crate) required: &'static [Parameter],
    /// The optional arguments after those.
    pub(crate) optional: &'static [Parameter],
    /// The kind of any number of further arguments.
    pub(crate) repeated: Option<Parameter>,
    /// The named arguments.
    pub(crate) named: &'static [&'static str],
    /// The arguments that are texts.
    texts: TextArguments,
    /// How to write a call, as a hint for one with the wrong number of arguments.
    usage: Option<&'static str>,
}

impl Signature {
    const fn new(role: Role, name: &'static str, required: &'static [Parameter]) -> Self {
        Self {
            name,
            role,
            required,
            optional: &[],
            repeated: None,
            named: &[],
            texts: TextArguments::None,
            usage: None,
        }
    }

    const fn optional(self, optional: &'static [Parameter]) -> Self {
        Self { optional, ..self }
    }

    const fn repeated(self, repeated: Parameter) -> Self {
        Self {
            repeated: Some(repeated),
            ..self
        }
    }

    const fn named(self, named: &'static [&'static str]) -> Self {
        Self { named, ..self }
    }

    const fn texts(self, texts: TextArguments) -> Self {
        Self { texts, ..self }
    }

    const fn with_usage(self, usage: &'static str) -> Self {
        Self {
            usage: Some(usage),
            ..self
        }
    }

    /// The parameter at `index`; `None` when there is none.
    pub(crate) fn parameter(&self, index: usize) -> Option<Parameter> {
        self.required
            .iter()
            .chain(self.optional)
            .nth(index)
            .copied()
            .or(self.repeated)
    }

    /// The number of arguments besides `others`, for messages.
    pub(crate) fn arity(&self, others: usize) -> String {
        let least = self.required.len() + others;
        let most = least + self.optional.len();
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        match (least, most, self.repeated) {
            (_, _, Some(_)) => format!("at least {least} {}", plural(least)),
            (0, 0, None) => "no arguments".to_owned(),
            _ if least == most => format!("exactly {least} {}", plural(least)),
            _ => format!("{least} to {most} arguments"),
        }
    }

    /// Whether it takes `count` arguments.
    pub(crate) fn takes(&self, count: usize) -> bool {
        count >= self.required.len()
            && (self.repeated.is_some() || count <= self.required.len() + self.optional.len())
    }

    /// Whether a backquoted word is a text as argument `index` of `count`.
    pub(crate) fn takes_text(&self, index: usize, count: usize) -> bool {
        match self.texts {
            TextArguments::None => false,
            AfterFirst => index > 0,
            AloneOrAfterFirst => count == 1 || index > 0,
            All => true,
        }
    }

    /// How to write a call, as a hint for one with the wrong number of arguments.
    pub(crate) fn usage(&self) -> Option<&'static str> {
        self.usage
    }
}

/// The function of this name in lower case. `p50` to `p99.9` are percentiles with one signature.
pub fn function(name: &str) -> Option<Signature> {
    let percentile = name.strip_prefix('p').is_some_and(|digits| {
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.parse::<f64>().is_ok_and(|percent| percent <= 100.0)
    });
    if percentile {
        return Some(Signature::new(Aggregate, "p50", &[Field]));
    }
    FUNCTIONS
        .iter()
        .find(|signature| signature.name == name)
        .copied()
}

/// The outer function of this name in lower case, with its arguments besides the query.
pub fn outer(name: &str) -> Option<Signature> {
    OUTER
        .iter()
        .find(|signature| signature.name == name)
        .copied()
}

/// All functions inside a query but the percentiles with their percentage in the name.
pub fn functions() -> impl Iterator<Item = &'static Signature> {
    FUNCTIONS.iter()
}

/// All outer functions but `eval`, whose arguments are queries and an expression.
pub fn outer_functions() -> impl Iterator<Item = &'static Signature> {
    OUTER.iter()
}

/// The names of all functions inside a query.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|signature| signature.name)
}

/// The names of all outer functions.
pub(crate) fn outer_names() -> impl Iterator<Item = &'static str> {
    OUTER.iter().map(|signature| signature.name).chain(["eval"])
}

const FILL_USAGE: &str = "write `fill(avg(field), 0)`, or `LINEAR` or `PREVIOUS` for the value";

/// Functions inside a query.
const FUNCTIONS: &[Signature] = &[
    Signature::new(Aggregate, "avg", &[Field]),
    Signature::new(Aggregate, "sum", &[Field]),
    Signature::new(Aggregate, "min", &[Field]),
    Signature::new(Aggregate, "max", &[Field]),
    Signature::new(Aggregate, "count", &[FieldOrStar]),
    Signature::new(Aggregate, "count_distinct", &[Field]),
    Signature::new(Aggregate, "count_filter", &[Field, List]),
    Signature::new(Aggregate, "count_series", &[Field]),
    Signature::new(Aggregate, "first", &[Field]).named(&["sort"]),
    Signature::new(Aggregate, "last", &[Field]).named(&["sort"]),
    Signature::new(Aggregate, "last_row", &[Field]),
    Signature::new(Aggregate, "any", &[Field]),
    Signature::new(Aggregate, "percentile", &[Field, Between(0.0, 100.0)])
        .with_usage("write `percentile(field, 95)` or `p95(field)`"),
    Signature::new(Aggregate, "median", &[Field]),
    Signature::new(Aggregate, "mode", &[Field]),
    Signature::new(Aggregate, "spread", &[Field]),
    Signature::new(Aggregate, "stddev", &[Field]),
    Signature::new(Aggregate, "histogram_auto", &[Field]),
    Signature::new(Aggregate, "histogram_quantile", &[Field, Between(0.0, 1.0)]),
    Signature::new(Aggregate, "field_values", &[Field]),
    Signature::new(Aggregate, "collect", &[Field]).optional(&[Whole]),
    Signature::new(Aggregate, "collect_distinct", &[Field]).optional(&[Whole]),
    Signature::new(Aggregate, "rate_over_sum", &[Field]),
    Signature::new(Aggregate, "rate_over_count", &[Field]),
    Signature::new(Aggregate, "default", &[Field, Any]),
    Signature::new(Rows, "distinct", &[Field]),
    Signature::new(Rows, "distinct_by_collapse", &[Field]).named(&["fields"]),
    Signature::new(Rows, "top", &[Field, Whole]).with_usage("write `top(field, 10)`"),
    Signature::new(Rows, "bottom", &[Field, Whole]).with_usage("write `bottom(field, 10)`"),
    Signature::new(
        Rows,
        "histogram",
        &[Field, Number, Number, Above(0.0, f64::MAX)],
    )
    .optional(&[Number]),
    Signature::new(Point, "derivative", &[Field]),
    Signature::new(Point, "deriv", &[Field]),
    Signature::new(Point, "difference", &[Field]),
    Signature::new(Point, "non_negative_derivative", &[Field]),
    Signature::new(Point, "non_negative_difference", &[Field]),
    Signature::new(Point, "moving_average", &[Field, Whole]),
    Signature::new(Point, "cumsum", &[Field]),
    Signature::new(Point, "rate", &[Field]),
    Signature::new(Point, "irate", &[Field]),
    Signature::new(Point, "increase", &[Field]),
    Signature::new(Point, "ewma", &[Field, Above(0.0, 1.0)]),
    Signature::new(Aggregate, "slope", &[Field]),
    Signature::new(Point, "zscore", &[Field]),
    Signature::new(Point, "mad_score", &[Field]),
    Signature::new(Point, "change_score", &[Field]),
    Signature::new(Aggregate, "corr", &[Field, Field]),
    Signature::new(Point, "unwrap", &[Field]),
    Signature::new(Point, "fill", &[Field, Any]).with_usage(FILL_USAGE),
    Signature::new(Scalar, "log", &[Field]).optional(&[Number]),
    Signature::new(Scalar, "log2", &[Field]),
    Signature::new(Scalar, "log10", &[Field]),
    Signature::new(Scalar, "abs", &[Field]),
    Signature::new(Scalar, "round", &[Field]).optional(&[Number]),
    Signature::new(Scalar, "ceil", &[Field]),
    Signature::new(Scalar, "floor", &[Field]),
    Signature::new(Scalar, "int", &[Any]),
    Signature::new(Scalar, "uint", &[Any]),
    Signature::new(Scalar, "float", &[Any]),
    Signature::new(Scalar, "string", &[Any]),
    Signature::new(Scalar, "bool", &[Any]),
    Signature::new(Scalar, "set", &[Any]),
    Signature::new(Scalar, "md5", &[Field]),
    Signature::new(Scalar, "lower", &[Field]),
    Signature::new(Scalar, "upper", &[Field]),
    Signature::new(Scalar, "trim", &[Field]),
    Signature::new(Scalar, "ltrim", &[Field]),
    Signature::new(Scalar, "rtrim", &[Field]),
    Signature::new(Scalar, "length", &[Field]),
    Signature::new(Scalar, "substr", &[Field, Number]).optional(&[Number]),
    Signature::new(Scalar, "concat", &[Any]).repeated(Any),
    Signature::new(Scalar, "regexp_extract", &[Field, Text])
        .optional(&[Number])
        .texts(AfterFirst),
    Signature::new(Scalar, "regexp_extract_all", &[Field, Text])
        .optional(&[Number])
        .texts(AfterFirst),
    Signature::new(Scalar, "regexp_replace", &[Field, Text, Text]).texts(AfterFirst),
    Signature::new(Scalar, "drain", &[Field, Above(0.0, 1.0)]).optional(&[Between(1.0, 10_000.0)]),
    Signature::new(Scalar, "now", &[]),
    Signature::new(Predicate, "exists", &[]).with_usage("write `field = exists()`"),
    Signature::new(Predicate, "match", &[Any])
        .optional(&[Text])
        .texts(AloneOrAfterFirst),
    Signature::new(Predicate, "wildcard", &[Any])
        .optional(&[Text])
        .texts(AloneOrAfterFirst),
    Signature::new(Predicate, "search", &[Any])
        .optional(&[Text])
        .texts(AloneOrAfterFirst),
    Signature::new(Predicate, "query_string", &[Any])
        .optional(&[Text])
        .texts(AloneOrAfterFirst),
    Signature::new(Predicate, "querystring", &[Any])
        .optional(&[Text])
        .texts(AloneOrAfterFirst),
    Signature::new(Predicate, "re", &[Field, Text]).texts(AloneOrAfterFirst),
    Signature::new(Predicate, "regex", &[Field, Text]).texts(AloneOrAfterFirst),
    Signature::new(Predicate, "regexp", &[Field, Text]).texts(AloneOrAfterFirst),
    Signature::new(Predicate, "cidr", &[Field, Text]).texts(AfterFirst),
    Signature::new(Data, "dql", &[Text]).texts(All),
    Signature::new(Data, "script", &[Text]).texts(All),
    Signature::new(Data, "with_labels", &[])
        .named(&["object_class", "labels", "object_name", "key", "max"])
        .texts(All),
];

/// Outer functions.
const OUTER: &[Signature] = &[
    Signature::new(Point, "abs", &[]),
    Signature::new(Aggregate, "avg", &[]),
    Signature::new(Rows, "bottom", &[Whole]).with_usage("write `bottom(field, 10)`"),
    Signature::new(Point, "ceil", &[]),
    Signature::new(Aggregate, "count", &[]),
    Signature::new(Aggregate, "count_distinct", &[]),
    Signature::new(Aggregate, "count_filter", &[Any]),
    Signature::new(Point, "cumsum", &[]),
    Signature::new(Point, "dbscan", &[]).optional(&[Above(0.0, 3.0)]),
    Signature::new(Point, "derivative", &[]),
    Signature::new(Point, "difference", &[]),
    Signature::new(Point, "fill", &[Any]).with_usage(FILL_USAGE),
    Signature::new(Aggregate, "first", &[]),
    Signature::new(Point, "floor", &[]),
    Signature::new(Point, "increase", &[]),
    Signature::new(Point, "irate", &[]),
    Signature::new(Aggregate, "last", &[]),
    Signature::new(Point, "log", &[]).optional(&[Number]),
    Signature::new(Point, "log10", &[]),
    Signature::new(Point, "log2", &[]),
    Signature::new(Aggregate, "max", &[]),
    Signature::new(Aggregate, "min", &[]),
    Signature::new(Point, "moving_average", &[Whole]),
    Signature::new(Point, "non_negative_derivative", &[]),
    Signature::new(Point, "non_negative_difference", &[]),
    Signature::new(Point, "rate", &[]),
    Signature::new(Point, "round", &[]).optional(&[Number]),
    Signature::new(Aggregate, "series_sum", &[]).named(&["sumBy"]),
    Signature::new(Aggregate, "sum", &[]),
    Signature::new(Rows, "top", &[Whole]).with_usage("write `top(field, 10)`"),
    Signature::new(Point, "window", &[Text]),
];
