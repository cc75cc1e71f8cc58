//! Questions that were once answered wrongly, or not at all.

/// Each is asked of a few sets of events, and has the evaluator's answer.
pub(crate) const ANSWERED: [(&str, &str); 50] = [
    (
        "groups by template of which none passes",
        "TAE::*:(df_title) [6d] BY drain(df_message, 0.5) AS k HAVING nowhere IN []",
    ),
    (
        "computed columns of more rows than a step takes at once",
        "TAE::*:(df_event_id, length(df_title) + 1 AS x) [6d]",
    ),
    (
        "computed columns of more groups than a step takes at once",
        "TAE::*:(fill(count(*), 0) AS n, cumsum(fill(count(*), 0)) + 1 AS p) [6d::1h] BY date AS k SORDER BY k DESC",
    ),
    (
        "the limit of a sub-query",
        "TAE::(TAE::*:(df_title) [6d] LIMIT 3):(count(*)) [6d]",
    ),
    (
        "the limit on groups of a sub-query",
        "TAE::(TAE::*:(count(*) AS n) [6d] BY df_title SLIMIT 2):(count(*))",
    ),
    (
        "a sub-query that only skips",
        "TAE::(TAE::*:(df_title AS t) [6d] ORDER BY t DESC OFFSET 1):(count(*), first(t)) [6d]",
    ),
    (
        "keys over the keys of a sub-query",
        "TAE::(TAE::*:(count(*) AS n) [6d] BY df_title):(n) BY lower(df_title) AS k",
    ),
    (
        "rows picked from summaries",
        "TAE::(TAE::*:(count(*) AS n) [6d] BY df_title, df_user_name):(top(n, 2)) BY df_title",
    ),
    (
        "the first of summaries, which have no time",
        "TAE::(TAE::*:(count(*) AS n) [6d] BY df_title):(first(n), last(n))",
    ),
    (
        "a condition on what a summary lacks",
        "TAE::(TAE::*:(count(*) AS n) [6d]):(n) {time > 5}",
    ),
    (
        "a condition that no group can fulfil",
        "TAE::*:(count(*)) [6d] HAVING 1 = 2",
    ),
    (
        "keys of a summary of everything",
        "TAE::(TAE::*:(max(df_date_range) AS m) [6d]):(top(m, 2)) BY m AS k SORDER BY k",
    ),
    (
        "truth values of a sub-query as keys",
        "TAE::(TAE::*:(df_title > 'b' AND df_cost < 'x' AS b) [6d]):(count(*)) BY b",
    ),
    (
        "a key called time over a sub-query",
        "TAE::(TAE::*:(count(*) AS n) [6d] BY time):(top(n, 3)) BY n",
    ),
    (
        "a sub-query behind IN that reads more than the query around it",
        "TAE::(TAE::*:(df_title AS t) {df_title IN (TAE::*:(df_title) [6d:1d])} [1d]):(t) [1d]",
    ),
    (
        "a window inside of another, with a query without one between them",
        "TAE::(TAE::(TAE::*:(df_title AS t) [2d:1d]):(t)):(count(*)) [6d]",
    ),
    (
        "windows that have nothing in common",
        "TAE::(TAE::(TAE::*:(df_title AS t) [2d:1d]):(t)):(count(*)) [1d]",
    ),
    (
        "the groups of a constant in the order of a value",
        "TAE::(TAE::*:(min(df_date_range) AS m) [6d] BY df_message):(bottom(m, 4) AS b) BY time SORDER BY p90(b)",
    ),
    (
        "the groups of a constant in its order",
        "TAE::(TAE::*:(count(*) AS n) [6d] BY df_cost):(bottom(n, 1)) BY time SORDER BY time",
    ),
    (
        "a key that a summary of everything gives, in its order",
        "TAE::(TAE::*:(count(*) AS n) [6d]):(any(n) AS a) [6d::1d] BY n, time HAVING count(*) = 3 SORDER BY n",
    ),
    (
        "an order of its own with a key that stands twice",
        "TAE::*:(last(df_title, sort = ['df_cost:desc', 'date', 'time:desc']) AS t, count(*)) [6d] BY df_user_name",
    ),
    (
        "the time of what an order of its own picks",
        "TAE::*:(first(code, sort = ['df_workspace:desc'])) [6d]",
    ),
    (
        "two functions of points over values that come from before",
        "TAE::*:(fill(avg(df_date_range), PREVIOUS) AS c, rate(fill(avg(df_date_range), PREVIOUS)) AS r, difference(fill(avg(df_date_range), PREVIOUS)) AS d) [6d::1d] BY df_user_name",
    ),
    (
        "a test of a computed key of a sub-query",
        "TAE::(TAE::*:(result) [6d] BY a.b.c, result):(result AS r) {a.b.c = 1 OR a.b.c} [6d]",
    ),
    (
        "a truth value as a key of a sub-query",
        "TAE::(TAE::*:(result) [6d] BY flag, result):(result AS r) {flag} [6d]",
    ),
    (
        "a group that HAVING leaves alone, in its order",
        "TAE::*:(length(result) AS m, first(mixed) AS x) [6d::1h] BY m HAVING m = 7 ORDER BY m DESC SORDER BY m",
    ),
    (
        "a key that a condition on its field makes constant",
        "TAE::*:(upper(df_message) AS m, count(df_source) AS c) {df_message = ''} [6d::1w] BY m SORDER BY p90(c)",
    ),
    (
        "values that HAVING leaves alone, as the order of others",
        "TAE::(TAE::*:(upper(df_title) AS m, spread(df_date_range) / count(*) AS c, avg(score) AS a) [6d] BY m HAVING c = 0):(collect(a)) [6d] BY time AS k",
    ),
    (
        "a summary of a summary of which nothing is left",
        "TAE::(TAE::(TAE::*:(upper(df_event_id) AS m, count(*) AS n) {df_status IN []} [6d] BY m LIMIT 5):(count_distinct(n) / max(float(m)) AS c) [6d]):(sum(time), first(time, sort = ['c']) AS f, count(*)) {c = nil} [6d]",
    ),
    (
        "a column of the time beside functions along rows",
        "TAE::*:(non_negative_difference(round(time, 1)) AS p, df_status, time, df_title) [6d]",
    ),
    (
        "a truth value of a sub-query as a condition and as a key",
        "TAE::(TAE::*:(flag AS c, mixed AS m) [6d]):(c) {c} [6d] BY time, m AS k SORDER BY time DESC",
    ),
    (
        "rows of a sub-query picked where a value is the only one",
        "TAE::(TAE::*:(top(code, 5) AS c) [6d] BY flag):(top(c, 2)) {flag = true} [6d] BY c",
    ),
    (
        "the window of a query with a list beside it",
        "TAE::(TAE::*:(df_title AS t) [6d]), (TAE::*:(distinct(df_title) AS @titles) [1d]):(count(*)) {t NOT IN @titles}",
    ),
    (
        "groups in the order of zeros",
        "TAE::*:(count_filter(df_user_name, ['ana']) / max(df_date_range) AS c) [6d] BY df_user_name, result SORDER BY c",
    ),
    (
        "gaps over a sub-query that reads the window of the query around it",
        "TAE::(TAE::*:(df_title AS t)):(fill(count(*), 0) AS n) [1d::1h] ORDER BY n DESC",
    ),
    (
        "gaps over a sub-query that has a window of its own",
        "TAE::(TAE::*:(df_title AS t) [6d]):(fill(count(*), 0) AS n) [1d::1h]",
    ),
    (
        "the newest row of a group whatever its order",
        "TAE::*:(df_date_range) [6d] BY df_user_name ORDER BY df_date_range",
    ),
    (
        "an alias of a key behind SORDER BY",
        "TAE::*:(df_title) [6d] BY lower(df_user_name) AS k SORDER BY k DESC",
    ),
    (
        "an alias of a key behind HAVING",
        "TAE::*:(df_title) [6d] BY lower(df_user_name) AS k HAVING k = 'ana'",
    ),
    (
        "a key that is an alias of the projection",
        "TAE::*:(regexp_extract(df_message, '[a-z]+') AS m1, count(*) AS c1) [6d] BY m1",
    ),
    (
        "values of groups in the order of their keys",
        "TAE::*:(distinct(df_cost)) [6d] BY code SORDER BY code DESC",
    ),
    (
        "attributes in the order of numbers",
        "TAE::*:(distinct(mixed)) [6d]",
    ),
    (
        "attributes of groups in the order of numbers",
        "TAE::*:(last(score) AS s) [6d] BY df_user_name SORDER BY s DESC",
    ),
    (
        "a number and the same as text are two groups",
        "TAE::*:(count(*)) [6d] BY mixed SLIMIT 4",
    ),
    (
        "groups of one row in the order of a count",
        "TAE::*:(max(df_date_range) AS m) [6d] BY df_title SORDER BY count(m) DESC",
    ),
    (
        "groups in the order of a key called time",
        "TAE::*:(count(*) AS n) [6d] BY time SORDER BY time DESC SLIMIT 3",
    ),
    (
        "an order that a source makes constant",
        "TAE::audit:(lower(df_source) AS c, df_title) [6d] ORDER BY c, c DESC LIMIT 4",
    ),
    (
        "a key that a condition makes constant",
        "TAE::*:(top(df_hit_count, 4)) {flag = true} [2023-01-01:2023-02-01] BY flag, mixed",
    ),
    (
        "numbers beyond all numbers",
        "TAE::*:(score * 0.0 + 1e300 AS a, (score * 0.0 + 1e300) ^ 2 AS b) [6d] ORDER BY b",
    ),
    (
        "zero with a sign",
        "TAE::*:(count(*)) {score * -0.0 = 0 OR -round(0.1 * df_date_range) >= 0} [6d]",
    ),
];

/// Each is refused with a finding of this code.
pub(crate) const REFUSED: [(&str, &str); 4] = [
    (
        "not_supported",
        "TAE::*:(df_title IN (TAE::*:(df_title)) AS x) [6d]",
    ),
    (
        "not_supported",
        "TAE::*:(count(*)) [6d] BY df_title HAVING df_title IN (TAE::*:(df_title))",
    ),
    (
        "not_grouped",
        "TAE::*:(distinct(df_title)) [6d] BY code ORDER BY df_user_name",
    ),
    (
        "not_grouped",
        "TAE::*:(distinct(df_title)) [6d] BY code SORDER BY max(df_cost)",
    ),
];
