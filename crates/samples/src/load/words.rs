//! The vocabulary of the load. No text needs escaping in JSON.

#[rustfmt::skip]
pub(super) const FIRST_NAMES: [&str; 20] = [
    "Amara", "Zoë", "Jonas", "Marta", "Priya", "José", "Olga", "Tomáš", "Lucía", "Kwame",
    "Åsa", "Hoa", "Freja", "Søren", "Jürgen", "Chloé", "İpek", "Mia", "Lei", "Giorgos",
];

#[rustfmt::skip]
pub(super) const FAMILY_NAMES: [&str; 10] = [
    "Okafor", "Brandt", "Weber", "Kowalska", "Raman", "Núñez", "Petrova", "Dvořák", "Mensah", "Nyström",
];

#[rustfmt::skip]
pub(super) const TEAMS: [&str; 12] = [
    "Platform", "Reliability", "Payments", "Checkout", "Security", "Data",
    "Finance", "Support", "Search", "Mobile", "Compliance", "Field",
];

#[rustfmt::skip]
pub(super) const ROLES: [&str; 6] = ["Standard", "Standard,Monitor editor", "Read-only", "Administrator", "Auditor", "Billing"];

#[rustfmt::skip]
pub(super) const SERVICES: [&str; 20] = [
    "cart", "checkout", "invoice", "ledger", "payment", "refund", "search", "session", "stock", "login",
    "gateway", "catalogue", "shipping", "pricing", "profile", "mailer", "report", "archive", "billing", "webhook",
];

#[rustfmt::skip]
pub(super) const ASPECTS: [&str; 15] = [
    "latency", "errors", "saturation", "traffic", "heartbeat", "queue depth", "disk usage", "retries",
    "memory", "certificates", "cost", "throughput", "timeouts", "restarts", "replication",
];

/// Words of remarks, the most frequent first.
#[rustfmt::skip]
pub(super) const REMARKS: [&str; 80] = [
    "after", "before", "during", "review", "release", "because", "threshold", "window", "weekly", "change",
    "request", "follow-up", "ticket", "cluster", "region", "north", "south", "east", "west", "staging",
    "production", "customer", "impact", "minor", "major", "planned", "urgent", "routine", "handover", "shift",
    "night", "morning", "rollback", "canary", "migration", "cleanup", "audit", "quarter", "budget", "capacity",
    "alert", "noise", "tuning", "baseline", "forecast", "anomaly", "spike", "drop", "trend", "sample",
    "report", "export", "import", "backup", "restore", "failover", "primary", "replica", "shard", "index",
    "schema", "field", "parser", "agent", "collector", "proxy", "balancer", "firewall", "policy", "secret",
    "rotation", "expiry", "renewal", "approval", "exception", "waiver", "legal", "hold", "forensics", "quarantine",
];

/// The reasons of failed sign-ins.
pub(super) const SIGN_IN_FAILURES: [&str; 4] = [
    "wrong password",
    "one-time code expired",
    "account locked",
    "single sign-on refused",
];

/// The kinds and the beginnings of queries, up to their conditions.
#[rustfmt::skip]
pub(super) const QUERIES: [(&str, &str); 8] = [
    ("logging", "L::re(`.*`):(*)"),
    ("logging", "L::default:(count(*) AS n)"),
    ("metric", "M::cpu:(avg(usage_total))"),
    ("metric", "M::http:(p95(duration) AS p95)"),
    ("tracing", "T::re(`.*`):(max(duration), count(*))"),
    ("event", "E::monitor:(count(*))"),
    ("rum", "R::view:(count_distinct(session_id))"),
    ("object", "O::HOST:(last(load5))"),
];

/// Methods and paths of the API.
#[rustfmt::skip]
pub(super) const REQUESTS: [(&str, &str); 6] = [
    ("POST", "/api/v1/df/query_data_v1"),
    ("GET", "/api/v1/dashboards/list"),
    ("POST", "/api/v1/dashboards/modify"),
    ("GET", "/api/v1/monitor/check/list"),
    ("POST", "/api/v1/monitor/check/mute"),
    ("GET", "/api/v1/workspace/member/list"),
];
