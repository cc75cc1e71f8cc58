//! The stable codes of findings.

use std::fmt;

use crate::diagnostic::Severity;

/// Who has to change something before there is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The author of the question: its text is wrong.
    Question,
    /// The caller: the request is wrong, or asks for something that is not there or not allowed.
    Request,
    /// The operator, or time: the service or its store failed, is busy, or reached a limit.
    Service,
    /// No change is needed: there is an answer, and the code explains it.
    Warning,
}

macro_rules! codes {
    ($(
        $code:ident = $text:literal, $fault:ident, $meaning:literal $(, as_warning: $as_warning:literal)?;
    )*) => {
        /// The stable code of a finding, as clients see it.
        ///
        /// New versions add codes; the text of a code never changes.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
            /// A code that this version does not have, sent by a service of another version.
            Unknown(&'static str),
        }

        impl Code {
            /// Every code of this version.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The text of the code, such as `parse_error`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)*
                    Self::Unknown(text) => text,
                }
            }

            /// Who has to change something. A few codes of [`Fault::Question`] also occur as warnings; the
            /// severity of the finding decides.
            pub const fn fault(self) -> Fault {
                match self {
                    $(Self::$code => Fault::$fault,)*
                    Self::Unknown(_) => Fault::Service,
                }
            }

            /// The meaning of the code, as users read it, in a finding of this severity.
            pub fn meaning(self, severity: Severity) -> &'static str {
                let (meaning, as_warning): (&str, &[&str]) = match self {
                    $(Self::$code => ($meaning, &[$($as_warning)?]),)*
                    Self::Unknown(_) => ("A code of another version of the service.", &[]),
                };
                match (severity, as_warning) {
                    (Severity::Warning, [as_warning]) => as_warning,
                    _ => meaning,
                }
            }
        }
    };
}

codes! {
    // Errors in the text of a question, or in what its request asks of it.
    ConflictingFunctions = "conflicting_functions", Question, "Two functions choose which rows the answer has.";
    DuplicateColumn = "duplicate_column", Question, "Two columns have the same name.";
    DuplicateKey = "duplicate_key", Question, "A key of BY stands twice.";
    DuplicateList = "duplicate_list", Question, "Two named lists of the sources have the same name.";
    EmptyQuery = "empty_query", Question, "The text holds no question.";
    EqArray = "eq_array", Question, "A field is compared with a list; a list is searched with IN.",
        as_warning: "A comparison with a whole list; IN looks for one of its values.";
    FillWithoutStep = "fill_without_step", Question,
        "`fill` puts values where steps are empty, and the window has no step.";
    HavingWithoutGroup = "having_without_group", Question, "HAVING tests groups, and the question makes none.";
    InvalidBase64 = "invalid_base64", Question, "What stands behind `b64` is no base64.";
    InvalidDuration = "invalid_duration", Question,
        "A duration that cannot be used here, such as a SHIFT of calendar months.";
    InvalidExpression = "invalid_expression", Question, "The parts of an expression do not fit together.";
    InvalidNumber = "invalid_number", Question,
        "A number is too large, negative or not whole where that does not fit.";
    InvalidPattern = "invalid_pattern", Question,
        "A pattern of `wildcard`, `query_string`, `search` or `cidr` that cannot be read.";
    InvalidRegex = "invalid_regex", Question, "A regular expression that cannot be read, or is too large.";
    InvalidSearchAfter = "invalid_search_after", Request,
        "The place to go on from does not fit the order of the question.";
    InvalidStep = "invalid_step", Question, "The step of a window is not positive, or has no fixed length.";
    InvalidTime = "invalid_time", Question, "A date or time that does not exist, or lies too far away.";
    InvertedWindow = "inverted_window", Question, "The window ends before it begins.";
    LimitTooLarge = "limit_too_large", Question, "LIMIT and SLIMIT reach up to 10,000.";
    MisplacedAggregate = "misplaced_aggregate", Question, "An aggregate stands where single events are looked at.";
    MisplacedPointFunction = "misplaced_point_function", Question,
        "A function of points stands where there are no points yet.";
    MisplacedShift = "misplaced_shift", Question, "SHIFT stands where there is no aggregate to move.";
    MissingQuery = "missing_query", Question, "A function over the result of a query was given none.";
    MissingSource = "missing_source", Question, "Named lists stand among the sources, and nothing else.";
    NotGrouped = "not_grouped", Question, "A field stands beside aggregates without being a key of BY.";
    NotSupported = "not_supported", Question, "DQL that Vouch does not answer; the message says why.";
    PageTooSmall = "page_too_small", Request, "More events share one millisecond than a page by time holds.";
    ParseError = "parse_error", Question, "The text is not DQL at this place.";
    PointsWithoutStep = "points_without_step", Question,
        "A function of points needs points, and the window has no step.";
    PredicateProjection = "predicate_projection", Question,
        "A condition is a column of a question that groups or aggregates.";
    RemovedClause = "removed_clause", Question,
        "`LINK … WITH` and `FILTER … WITH` are no longer part of the language.";
    RepeatedClause = "repeated_clause", Question, "A clause stands twice.";
    SeveralFields = "several_fields", Request, "The request allows one field besides the time.";
    TooDeep = "too_deep", Question, "Brackets, calls or operators nest deeper than 64 levels.";
    TooManyPoints = "too_many_points", Question, "`fill` or `histogram` would make more than 10,000 points.";
    TypeMismatch = "type_mismatch", Question, "Values of these types cannot be compared or computed with each other.";
    TypographicQuote = "typographic_quote", Question, "A quote of a word processor in the place of a plain one.";
    UnexpectedCharacter = "unexpected_character", Question, "A character that means nothing outside of quotes.";
    UnfilledPlaceholder = "unfilled_placeholder", Question,
        "A dashboard did not fill in `#{…}` before it sent the question.";
    UnknownArgument = "unknown_argument", Question, "The function has no argument of this name.";
    UnknownColumn = "unknown_column", Request, "The request orders by a column that the question does not have.";
    UnknownField = "unknown_field", Question, "The outer query names a column that the inner one does not have.",
        as_warning: "No event that was read has a field of this name.";
    UnknownFunction = "unknown_function", Question, "There is no function of this name here.";
    UnknownList = "unknown_list", Question, "No source gives a list of this name.";
    UnknownNamespace = "unknown_namespace", Question, "The namespace is none of audit events.";
    UnknownQuery = "unknown_query", Question, "`eval` computes with a query that it was not given.";
    UnknownWorkspace = "unknown_workspace", Request, "The store has no such workspace.";
    UnterminatedString = "unterminated_string", Question, "A quote is not closed.";
    WildcardField = "wildcard_field", Question, "A question about metrics names its fields.";
    WindowTooWide = "window_too_wide", Request, "The window is wider than the request allows.";
    WrongArgumentCount = "wrong_argument_count", Question, "The function takes more or fewer arguments.";
    WrongArgumentKind = "wrong_argument_kind", Question, "The function takes another kind of argument.";

    // Warnings of an answer.
    AssumedWindow = "assumed_window", Warning, "No window was named, so the last day was read.";
    CaseInCondition = "case_in_condition", Warning, "A CASE among conditions cannot be used to skip files.";
    ColumnVsColumn = "column_vs_column", Warning,
        "Two fields are compared; the right one may have been meant as a text.";
    DeepOffsetPaging = "deep_offset_paging", Warning, "OFFSET finds and sorts rows in order to skip them.";
    DrainLimit = "drain_limit", Warning, "There are more templates or texts than `drain` keeps.";
    GroupByHighCardinality = "group_by_high_cardinality", Warning, "A key that makes a group of nearly every event.";
    HavingOnColumn = "having_on_column", Warning, "HAVING tests a field of the newest event of each group.";
    IgnoredDirection = "ignored_direction", Warning, "ASC or DESC behind a key of BY has no effect.";
    LimitInGroup = "limit_in_group", Warning, "LIMIT counts the rows of each group; SLIMIT counts groups.";
    LimitReached = "limit_reached", Warning, "There are more rows than LIMIT lets through.";
    MatchWithRegexSyntax = "match_with_regex_syntax", Warning, "`match` looks for its text as it stands.";
    NonPositiveLimit = "non_positive_limit", Warning, "LIMIT 0 and SLIMIT 0 leave nothing of the answer.";
    NotANumber = "not_a_number", Warning, "Values that are no numbers were left out.";
    NumberAsText = "number_as_text", Warning, "A number is compared with a text field, as text.";
    NumberOverflow = "number_overflow", Warning, "Whole numbers beyond 64 bits are missing from the answer.";
    OrderByInGroup = "order_by_in_group", Warning, "ORDER BY sorts the rows of each group; SORDER BY sorts groups.";
    OutsideHistogram = "outside_histogram", Warning, "Values outside the range of the histogram are not counted.";
    RegexForAlternation = "regex_for_alternation", Warning,
        "A pattern of a few whole texts, which IN looks for faster.";
    RegexForLiteral = "regex_for_literal", Warning,
        "A pattern fits the whole value, and this one fits a single text.";
    SharedTime = "shared_time", Warning, "Rows of a query share a time, and `eval` computed with one of them.";
    SlimitReached = "slimit_reached", Warning, "There are more groups than SLIMIT lets through.";
    SoffsetWithoutGroup = "soffset_without_group", Warning, "SOFFSET leaves out groups, and the question makes none.";
    SorderWithoutGroup = "sorder_without_group", Warning, "SORDER BY sorts groups, and the question makes none.";
    StepExceedsWindow = "step_exceeds_window", Warning, "The step is wider than the window, so there is one point.";
    StepIgnored = "step_ignored", Warning, "The step of the window has no effect.";
    StepWidened = "step_widened", Warning, "The step was widened, because the request wants fewer points.";
    StringNilComparison = "string_nil_comparison", Warning,
        "A comparison with the text `nil`, which is not the missing value.";
    TooFewPoints = "too_few_points", Warning, "`dbscan` has points at fewer than five times to compare.";
    UnusedList = "unused_list", Warning, "No condition asks the named list.";
    WindowIgnored = "window_ignored", Warning,
        "Rows without a time are in no window, so `window` left them as they are.";

    // The size of a question and of its answer, and its statements.
    EstimatedPercentile = "estimated_percentile", Warning,
        "a warning: a group has more than 1,000,000 values, so a percentile is estimated";
    InvalidOffset = "invalid_offset", Request, "the place to complete at is inside a character or behind the text";
    InvalidQuery = "invalid_query", Question, "the question is wrong in a way that nothing else names";
    ListCut = "list_cut", Warning, "a warning: a list of `collect` or `field_values` was cut off";
    QuestionTooLarge = "question_too_large", Question,
        "the text or a part of it passes a limit, which the message names; see [operations.md](operations.md#questions)";
    ResourcesExhausted = "resources_exhausted", Service, "the question needs more memory than it may have";
    SeveralStatements = "several_statements", Question,
        "streams, exports and `explain` answer one statement at a time";
    TooManyFindings = "too_many_findings", Question, "the text has more than 100 findings, and these are the first";
    TooManyKeys = "too_many_keys", Request, "the request orders by more than 100 keys";
}

impl Code {
    /// The code with this text; `None` if this version has none.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The text in quotes: explanations show the findings of unreadable parts, and their form is stable.
impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}
