//! The fifteen questions, each in DQL and in SQL.
//!
//! The sources of events are all `audit`. DQL says so, as users do; the peers are spared the test.

use crate::dialect::Dialect;
use crate::literals::{LARGEST, Literals};

/// A question, and how its answers are compared.
#[derive(Debug)]
pub(crate) struct Question {
    /// Its name in tables.
    pub(crate) name: &'static str,
    /// The columns that are compared; both languages name them so.
    pub(crate) columns: &'static [&'static str],
    /// How the answers agree.
    pub(crate) agreement: Agreement,
    /// Whether it is about all workspaces, not only the largest.
    pub(crate) is_about_all: bool,
    texts: fn(Literals<'_>) -> Texts,
}

/// How the answers of engines to one question agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Agreement {
    /// The same rows.
    Exact,
    /// The same rows but for those with the smallest number in the last column, of which a limit leaves
    /// any.
    CutAtLast,
    /// The same rows, with numbers that differ by one in a hundred at most.
    WithinOnePercent,
}

/// A question in both languages.
struct Texts {
    dql: String,
    sql: Box<dyn Fn(Dialect) -> String>,
}

impl Question {
    /// The question in DQL.
    pub(crate) fn dql(&self, literals: Literals<'_>) -> String {
        (self.texts)(literals).dql
    }

    /// The question in SQL.
    pub(crate) fn sql(&self, literals: Literals<'_>, dialect: Dialect) -> String {
        let texts = (self.texts)(literals);
        (texts.sql)(dialect)
    }

    const fn new(
        name: &'static str,
        columns: &'static [&'static str],
        texts: fn(Literals<'_>) -> Texts,
    ) -> Self {
        Self {
            name,
            columns,
            agreement: Agreement::Exact,
            is_about_all: false,
            texts,
        }
    }

    const fn agreeing(self, agreement: Agreement) -> Self {
        Self { agreement, ..self }
    }

    const fn about_all(self) -> Self {
        Self {
            is_about_all: true,
            ..self
        }
    }
}

/// What a list of events shows.
const SHOWN: &str =
    "df_event_id, df_title, df_user_name, df_origin, df_menu, df_message, client_ip";
const SHOWN_COLUMNS: &[&str] = &[
    "time",
    "df_event_id",
    "df_title",
    "df_user_name",
    "df_origin",
    "df_menu",
    "df_message",
    "client_ip",
];

/// Every question.
pub(crate) static QUESTIONS: [Question; 15] = [
    Question::new("newest 100 of a day", SHOWN_COLUMNS, newest_of_a_day),
    Question::new(
        "count by operator, top 20",
        &["df_user_name", "n"],
        count_by_operator,
    )
    .agreeing(Agreement::CutAtLast),
    Question::new("count per day", &["time", "n"], count_per_day),
    Question::new(
        "count per hour by origin",
        &["time", "df_origin", "n"],
        count_per_hour,
    ),
    Question::new(
        "one event by id",
        &["df_event_id", "df_title", "df_message", "df_query"],
        one_event,
    ),
    Question::new("one user's newest 1,000", SHOWN_COLUMNS, newest_of_a_user),
    Question::new("words and wildcard in messages", &["n"], words),
    Question::new("regex on title, by title", &["df_title", "n"], regex),
    Question::new(
        "distinct addresses per user",
        &["df_user_name", "n"],
        addresses,
    ),
    Question::new(
        "failed sign-ins per 15 minutes",
        &["time", "df_user_name", "n"],
        failed_sign_ins,
    ),
    Question::new("p95 of cost by team", &["df_user_team", "p"], cost)
        .agreeing(Agreement::WithinOnePercent),
    Question::new(
        "last title per user",
        &["df_user_name", "title"],
        last_title,
    ),
    Question::new("one operation id", SHOWN_COLUMNS, one_operation),
    Question::new(
        "count by workspace and status",
        &["df_workspace", "df_status", "n"],
        by_workspace,
    )
    .about_all(),
    Question::new("distinct users per day", &["time", "n"], users_per_day),
];

fn newest_of_a_day(literals: Literals<'_>) -> Texts {
    let day = literals.day();
    Texts {
        dql: format!("TAE::audit:({SHOWN}) {} LIMIT 100", day.dql("")),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(day, Some(LARGEST));
            format!(
                r#"SELECT "date" AS "time", {SHOWN} FROM events WHERE {inside} ORDER BY "date" DESC, df_event_id DESC LIMIT 100"#
            )
        }),
    }
}

fn count_by_operator(literals: Literals<'_>) -> Texts {
    let window = literals.last(30);
    Texts {
        dql: format!(
            "TAE::audit:(count(*) AS n) {} BY df_user_name SORDER BY n DESC SLIMIT 20",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!(
                "SELECT df_user_name, count(*) AS n FROM events WHERE {inside} GROUP BY df_user_name ORDER BY n DESC LIMIT 20"
            )
        }),
    }
}

fn count_per_day(literals: Literals<'_>) -> Texts {
    let window = literals.last(62);
    Texts {
        dql: format!("TAE::audit:(count(*) AS n) {}", window.dql("1d")),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!(
                r#"SELECT "date" - "date" % 86400000 AS "time", count(*) AS n FROM events WHERE {inside} GROUP BY "time""#
            )
        }),
    }
}

fn count_per_hour(literals: Literals<'_>) -> Texts {
    let window = literals.last(7);
    Texts {
        dql: format!(
            "TAE::audit:(count(*) AS n) {} BY df_origin",
            window.dql("1h")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!(
                r#"SELECT "date" - "date" % 3600000 AS "time", df_origin, count(*) AS n FROM events WHERE {inside} GROUP BY "time", df_origin"#
            )
        }),
    }
}

fn one_event(literals: Literals<'_>) -> Texts {
    let (window, id) = (literals.last(62), literals.event().to_owned());
    Texts {
        dql: format!("TAE::audit:(*) {{df_event_id = '{id}'}} {}", window.dql("")),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!("SELECT * FROM events WHERE {inside} AND df_event_id = '{id}'")
        }),
    }
}

fn newest_of_a_user(literals: Literals<'_>) -> Texts {
    let (window, user) = (literals.last(62), literals.user().to_owned());
    Texts {
        dql: format!(
            "TAE::audit:({SHOWN}) {{df_user_id = '{user}'}} {} LIMIT 1000",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!(
                r#"SELECT "date" AS "time", {SHOWN} FROM events WHERE {inside} AND df_user_id = '{user}' ORDER BY "date" DESC, df_event_id DESC LIMIT 1000"#
            )
        }),
    }
}

fn words(literals: Literals<'_>) -> Texts {
    let window = literals.last(30);
    let word = literals.choose(&[
        "rollback",
        "failover",
        "quarantine",
        "canary",
        "forensics",
        "migration",
        "firewall",
        "waiver",
    ]);
    let service = literals.choose(&["checkout", "payment", "webhook", "catalogue", "shipping"]);
    Texts {
        dql: format!(
            "TAE::audit:(count(*) AS n) {{search('{word}'), df_message = wildcard('*dashboard*{service}*')}} {}",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            let has_word = dialect.has_word("df_message", word);
            format!(
                "SELECT count(*) AS n FROM events WHERE {inside} AND df_message LIKE '%dashboard%{service}%' AND {has_word}"
            )
        }),
    }
}

fn regex(literals: Literals<'_>) -> Texts {
    let window = literals.last(30);
    let verbs = literals.choose(&[
        "Create|Delete",
        "Modify|Mute",
        "Run|Refresh",
        "View|Export",
        "Invite|Change",
        "Assign|Close",
    ]);
    let pattern = format!("({verbs}) [a-z]+.*");
    Texts {
        dql: format!(
            "TAE::audit:(count(*) AS n) {{df_title =~ '{pattern}'}} {} BY df_title",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            let fits = dialect.fits("df_title", &pattern);
            format!(
                "SELECT df_title, count(*) AS n FROM events WHERE {inside} AND {fits} GROUP BY df_title"
            )
        }),
    }
}

fn addresses(literals: Literals<'_>) -> Texts {
    let (window, least) = (literals.last(30), literals.number(5));
    Texts {
        dql: format!(
            "TAE::audit:(count_distinct(client_ip) AS n) {} BY df_user_name HAVING n > {least}",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            let distinct = dialect.distinct("client_ip");
            format!(
                "SELECT df_user_name, {distinct} AS n FROM events WHERE {inside} GROUP BY df_user_name HAVING {distinct} > {least}"
            )
        }),
    }
}

fn failed_sign_ins(literals: Literals<'_>) -> Texts {
    let (window, least) = (literals.last(7), 2);
    Texts {
        dql: format!(
            "TAE::audit:(count(*) AS n) {{action = 'user.login_failed'}} {} BY df_user_name HAVING n >= {least}",
            window.dql("15m")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!(
                r#"SELECT "date" - "date" % 900000 AS "time", df_user_name, count(*) AS n FROM events WHERE {inside} AND action = 'user.login_failed' GROUP BY "time", df_user_name HAVING count(*) >= {least}"#
            )
        }),
    }
}

fn cost(literals: Literals<'_>) -> Texts {
    let window = literals.last(30);
    Texts {
        dql: format!(
            "TAE::audit:(p95(float(df_cost)) AS p) {} BY df_user_team",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            let p95 = dialect.p95("df_cost");
            format!(
                "SELECT df_user_team, {p95} AS p FROM events WHERE {inside} GROUP BY df_user_team"
            )
        }),
    }
}

fn last_title(literals: Literals<'_>) -> Texts {
    let window = literals.last(30);
    Texts {
        dql: format!(
            "TAE::audit:(last(df_title) AS title) {} BY df_user_name",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            let newest = dialect.newest("df_title");
            format!(
                "SELECT df_user_name, {newest} AS title FROM events WHERE {inside} GROUP BY df_user_name"
            )
        }),
    }
}

fn one_operation(literals: Literals<'_>) -> Texts {
    let (window, id) = (literals.last(62), literals.operation().to_owned());
    Texts {
        dql: format!(
            "TAE::audit:({SHOWN}) {{df_operation_id = '{id}'}} {}",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            format!(
                r#"SELECT "date" AS "time", {SHOWN} FROM events WHERE {inside} AND df_operation_id = '{id}' ORDER BY "date" DESC, df_event_id DESC LIMIT 1000"#
            )
        }),
    }
}

fn by_workspace(literals: Literals<'_>) -> Texts {
    let window = literals.last(62);
    Texts {
        dql: format!(
            "TAE::audit:(count(*) AS n) {} BY df_workspace, df_status",
            window.dql("")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, None);
            format!(
                "SELECT df_workspace, df_status, count(*) AS n FROM events WHERE {inside} GROUP BY df_workspace, df_status"
            )
        }),
    }
}

fn users_per_day(literals: Literals<'_>) -> Texts {
    let window = literals.last(62);
    Texts {
        dql: format!(
            "TAE::audit:(count_distinct(df_user_id) AS n) {}",
            window.dql("1d")
        ),
        sql: Box::new(move |dialect| {
            let inside = dialect.inside(window, Some(LARGEST));
            let distinct = dialect.distinct("df_user_id");
            format!(
                r#"SELECT "date" - "date" % 86400000 AS "time", {distinct} AS n FROM events WHERE {inside} GROUP BY "time""#
            )
        }),
    }
}
