//! What the codes mean.

/// The severity, the code and what it means, for every code that a question can meet.
pub(super) const CODES: &[(&str, &str, &str)] = &[
    (
        "error",
        "conflicting_functions",
        "Two functions choose which rows the answer has.",
    ),
    (
        "error",
        "duplicate_column",
        "Two columns have the same name.",
    ),
    ("error", "duplicate_key", "A key of BY stands twice."),
    (
        "error",
        "duplicate_list",
        "Two named lists of the sources have the same name.",
    ),
    ("error", "empty_query", "The text holds no question."),
    (
        "error",
        "eq_array",
        "A field is compared with a list; a list is searched with IN.",
    ),
    (
        "error",
        "fill_without_step",
        "`fill` puts values where steps are empty, and the window has no step.",
    ),
    (
        "error",
        "having_without_group",
        "HAVING tests groups, and the question makes none.",
    ),
    (
        "error",
        "invalid_base64",
        "What stands behind `b64` is no base64.",
    ),
    (
        "error",
        "invalid_duration",
        "A duration that cannot be used here, such as a SHIFT of calendar months.",
    ),
    (
        "error",
        "invalid_expression",
        "The parts of an expression do not fit together.",
    ),
    (
        "error",
        "invalid_number",
        "A number is too large, negative or not whole where that does not fit.",
    ),
    (
        "error",
        "invalid_pattern",
        "A pattern of `wildcard`, `query_string`, `search` or `cidr` that cannot be read.",
    ),
    (
        "error",
        "invalid_regex",
        "A regular expression that cannot be read, or is too large.",
    ),
    (
        "error",
        "invalid_search_after",
        "The place to go on from does not fit the order of the question.",
    ),
    (
        "error",
        "invalid_step",
        "The step of a window is not positive, or has no fixed length.",
    ),
    (
        "error",
        "invalid_time",
        "A date or time that does not exist, or lies too far away.",
    ),
    (
        "error",
        "inverted_window",
        "The window ends before it begins.",
    ),
    (
        "error",
        "limit_too_large",
        "LIMIT and SLIMIT reach up to 10,000.",
    ),
    (
        "error",
        "misplaced_aggregate",
        "An aggregate stands where single events are looked at.",
    ),
    (
        "error",
        "misplaced_point_function",
        "A function of points stands where there are no points yet.",
    ),
    (
        "error",
        "misplaced_shift",
        "SHIFT stands where there is no aggregate to move.",
    ),
    (
        "error",
        "missing_query",
        "A function over the result of a query was given none.",
    ),
    (
        "error",
        "missing_source",
        "Named lists stand among the sources, and nothing else.",
    ),
    (
        "error",
        "not_grouped",
        "A field stands beside aggregates without being a key of BY.",
    ),
    (
        "error",
        "not_supported",
        "DQL that Vouch does not answer; the message says why.",
    ),
    (
        "error",
        "page_too_small",
        "More events share one millisecond than a page by time holds.",
    ),
    ("error", "parse_error", "The text is not DQL at this place."),
    (
        "error",
        "points_without_step",
        "A function of points needs points, and the window has no step.",
    ),
    (
        "error",
        "predicate_projection",
        "A condition is a column of a question that groups or aggregates.",
    ),
    (
        "error",
        "removed_clause",
        "`LINK … WITH` and `FILTER … WITH` are no longer part of the language.",
    ),
    ("error", "repeated_clause", "A clause stands twice."),
    (
        "error",
        "several_fields",
        "The request allows one field besides the time.",
    ),
    (
        "error",
        "too_deep",
        "Brackets, calls or operators nest deeper than 64 levels.",
    ),
    (
        "error",
        "too_many_points",
        "`fill` or `histogram` would make more than 10,000 points.",
    ),
    (
        "error",
        "type_mismatch",
        "Values of these types cannot be compared or computed with each other.",
    ),
    (
        "error",
        "typographic_quote",
        "A quote of a word processor in the place of a plain one.",
    ),
    (
        "error",
        "unexpected_character",
        "A character that means nothing outside of quotes.",
    ),
    (
        "error",
        "unfilled_placeholder",
        "A dashboard did not fill in `#{…}` before it sent the question.",
    ),
    (
        "error",
        "unknown_argument",
        "The function has no argument of this name.",
    ),
    (
        "error",
        "unknown_column",
        "The request orders by a column that the question does not have.",
    ),
    (
        "error",
        "unknown_field",
        "The outer query names a column that the inner one does not have.",
    ),
    (
        "error",
        "unknown_function",
        "There is no function of this name here.",
    ),
    (
        "error",
        "unknown_list",
        "No source gives a list of this name.",
    ),
    (
        "error",
        "unknown_namespace",
        "The namespace is none of audit events.",
    ),
    (
        "error",
        "unknown_query",
        "`eval` computes with a query that it was not given.",
    ),
    (
        "error",
        "unknown_workspace",
        "The store has no such workspace.",
    ),
    ("error", "unterminated_string", "A quote is not closed."),
    (
        "error",
        "wildcard_field",
        "A question about metrics names its fields.",
    ),
    (
        "error",
        "window_too_wide",
        "The window is wider than the request allows.",
    ),
    (
        "error",
        "wrong_argument_count",
        "The function takes more or fewer arguments.",
    ),
    (
        "error",
        "wrong_argument_kind",
        "The function takes another kind of argument.",
    ),
    (
        "warning",
        "assumed_window",
        "No window was named, so the last day was read.",
    ),
    (
        "warning",
        "case_in_condition",
        "A CASE among conditions cannot be used to skip files.",
    ),
    (
        "warning",
        "column_vs_column",
        "Two fields are compared; the right one may have been meant as a text.",
    ),
    (
        "warning",
        "deep_offset_paging",
        "OFFSET finds and sorts rows in order to skip them.",
    ),
    (
        "warning",
        "drain_limit",
        "There are more templates or texts than `drain` keeps.",
    ),
    (
        "warning",
        "eq_array",
        "A comparison with a whole list; IN looks for one of its values.",
    ),
    (
        "warning",
        "group_by_high_cardinality",
        "A key that makes a group of nearly every event.",
    ),
    (
        "warning",
        "having_on_column",
        "HAVING tests a field of the newest event of each group.",
    ),
    (
        "warning",
        "ignored_direction",
        "ASC or DESC behind a key of BY has no effect.",
    ),
    (
        "warning",
        "limit_in_group",
        "LIMIT counts the rows of each group; SLIMIT counts groups.",
    ),
    (
        "warning",
        "limit_reached",
        "There are more rows than LIMIT lets through.",
    ),
    (
        "warning",
        "match_with_regex_syntax",
        "`match` looks for its text as it stands.",
    ),
    (
        "warning",
        "non_positive_limit",
        "LIMIT 0 and SLIMIT 0 leave nothing of the answer.",
    ),
    (
        "warning",
        "not_a_number",
        "Values that are no numbers were left out.",
    ),
    (
        "warning",
        "number_as_text",
        "A number is compared with a text field, as text.",
    ),
    (
        "warning",
        "number_overflow",
        "Whole numbers beyond 64 bits are missing from the answer.",
    ),
    (
        "warning",
        "order_by_in_group",
        "ORDER BY sorts the rows of each group; SORDER BY sorts groups.",
    ),
    (
        "warning",
        "outside_histogram",
        "Values outside the range of the histogram are not counted.",
    ),
    (
        "warning",
        "regex_for_alternation",
        "A pattern of a few whole texts, which IN looks for faster.",
    ),
    (
        "warning",
        "regex_for_literal",
        "A pattern fits the whole value, and this one fits a single text.",
    ),
    (
        "warning",
        "shared_time",
        "Rows of a query share a time, and `eval` computed with one of them.",
    ),
    (
        "warning",
        "slimit_reached",
        "There are more groups than SLIMIT lets through.",
    ),
    (
        "warning",
        "soffset_without_group",
        "SOFFSET leaves out groups, and the question makes none.",
    ),
    (
        "warning",
        "sorder_without_group",
        "SORDER BY sorts groups, and the question makes none.",
    ),
    (
        "warning",
        "step_exceeds_window",
        "The step is wider than the window, so there is one point.",
    ),
    (
        "warning",
        "step_ignored",
        "The step of the window has no effect.",
    ),
    (
        "warning",
        "step_widened",
        "The step was widened, because the request wants fewer points.",
    ),
    (
        "warning",
        "string_nil_comparison",
        "A comparison with the text `nil`, which is not the missing value.",
    ),
    (
        "warning",
        "too_few_points",
        "`dbscan` has points at fewer than five times to compare.",
    ),
    (
        "warning",
        "unknown_field",
        "No event that was read has a field of this name.",
    ),
    (
        "warning",
        "unused_list",
        "No condition asks the named list.",
    ),
    (
        "warning",
        "window_ignored",
        "Rows without a time are in no window, so `window` left them as they are.",
    ),
];

/// The codes of failures and of questions too large to show, and what they mean.
pub(super) const WITHOUT_QUESTION: &[(&str, &str)] = &[
    (
        "answer_too_large",
        "the answer does not fit into one message; stream it, or lower LIMIT",
    ),
    ("body_stalled", "the request came too slowly; send it again"),
    (
        "estimated_percentile",
        "a warning: a group has more than 1,000,000 values, so a percentile is estimated",
    ),
    (
        "execution_failed",
        "the engine failed on a sound question; a defect",
    ),
    (
        "invalid_offset",
        "the place to complete at is inside a character or behind the text",
    ),
    (
        "invalid_query",
        "the question is wrong in a way that nothing else names",
    ),
    (
        "invalid_request",
        "a field of the request holds what it cannot hold",
    ),
    (
        "list_cut",
        "a warning: a list of `collect` or `field_values` was cut off",
    ),
    ("missing_file", "a file that the store names is gone"),
    (
        "overloaded",
        "requests and answers that wait for their clients take the memory for them; ask again later",
    ),
    (
        "question_too_large",
        "the text or a part of it passes a limit, which the message names; see [operations.md](operations.md#questions)",
    ),
    (
        "request_too_large",
        "the message is larger than its service takes",
    ),
    (
        "resources_exhausted",
        "the question needs more memory than it may have",
    ),
    (
        "several_statements",
        "streams, exports and `explain` answer one statement at a time",
    ),
    ("store_error", "the store cannot be reached or read"),
    (
        "timed_out",
        "the search took longer than the request or the service allows, or its reader took nothing for a minute",
    ),
    (
        "too_many_findings",
        "the text has more than 100 findings, and these are the first",
    ),
    ("too_many_keys", "the request orders by more than 100 keys"),
    (
        "too_many_questions",
        "the service answers as many questions as it may, and no more can wait; ask again later",
    ),
];
