//! The kinds of event in the sample.

/// One kind of event.
#[derive(Debug)]
pub(super) struct Activity {
    /// The relative frequency.
    pub(super) weight: u64,
    /// The machine name of the action.
    pub(super) action: &'static str,
    /// The kind of access: `access`, `read`, `write`, `administration`, `query`, `api`, `system`.
    pub(super) category: &'static str,
    /// The menu path in the console.
    pub(super) menu: &'static str,
    /// The event's title.
    pub(super) title: &'static str,
    /// The verb of the message, up to the object's name.
    pub(super) verb: &'static str,
    /// The object of the action.
    pub(super) object: Object,
    /// The actor.
    pub(super) actor: Actor,
    /// Further fields of the event.
    pub(super) detail: Detail,
}

/// The object of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    /// None.
    Nothing,
    /// One of a list of named objects, with ids that begin with the prefix.
    Named(&'static str, &'static [&'static str]),
    /// Another person of the workspace.
    Member,
    /// A path of the API.
    Path,
}

/// The actor of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// Any person, in the console.
    Anyone,
    /// An administrator, in the console.
    Administrator,
    /// A program with an API token.
    Program,
    /// The product itself.
    Product,
}

/// Further fields of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// None.
    Nothing,
    /// A sign-in, which may fail.
    SignIn,
    /// A setting before and after.
    Change,
    /// A DQL query that was run.
    Query,
    /// A request to the API.
    Request,
    /// The size of an export.
    Export,
    /// An invoice.
    Invoice,
    /// Roles that were granted or revoked.
    Roles,
}

const DASHBOARDS: Object = Object::Named(
    "dsbd",
    &[
        "Checkout latency",
        "Payment errors",
        "Kubernetes overview",
        "Kosten pro Team",
        "登录概览",
        "SLO: search",
        "Night shift",
    ],
);
const MONITORS: Object = Object::Named(
    "monitor",
    &[
        "High error rate",
        "Disk almost full",
        "Certificate expires",
        "Queue depth > 1,000",
        "No heartbeat",
        "支付失败率",
    ],
);
const PIPELINES: Object = Object::Named(
    "pl",
    &[
        "nginx-access",
        "payment-json",
        "mask card numbers",
        "syslog",
    ],
);
const ROLES: Object = Object::Named("role", &["Monitor editor", "Billing", "On-call", "Auditor"]);
const TOKENS: Object = Object::Named(
    "tkn",
    &[
        "deploy-pipeline",
        "terraform",
        "siem-export",
        "grafana",
        "one-off script",
    ],
);
const POLICIES: Object = Object::Named(
    "notify",
    &["On-call EU", "On-call APAC", "Security mailbox"],
);
const TEAMS: Object = Object::Named(
    "team",
    &["Payments", "Checkout", "Reliability", "Field, North"],
);

/// The ordinary events of a workspace.
#[rustfmt::skip] // A table: one line a kind of event.
pub(super) const ACTIVITIES: [Activity; 34] = [
    row(90, "user.login", "access", "Account > Sign-in", "Sign in", "signed in", Object::Nothing, Actor::Anyone, Detail::SignIn),
    row(35, "user.logout", "access", "Account > Sign-out", "Sign out", "signed out", Object::Nothing, Actor::Anyone, Detail::Nothing),
    row(4, "user.mfa_change", "access", "Account > Security", "Change second factor", "changed the second factor", Object::Nothing, Actor::Anyone, Detail::Change),
    row(4, "user.password_change", "access", "Account > Security", "Change password", "changed the password", Object::Nothing, Actor::Anyone, Detail::Nothing),
    row(110, "dashboard.view", "read", "Scenes > Dashboards", "View dashboard", "viewed the dashboard", DASHBOARDS, Actor::Anyone, Detail::Nothing),
    row(14, "dashboard.create", "write", "Scenes > Dashboards", "Create dashboard", "created the dashboard", DASHBOARDS, Actor::Anyone, Detail::Nothing),
    row(30, "dashboard.modify", "write", "Scenes > Dashboards", "Modify dashboard", "modified the dashboard", DASHBOARDS, Actor::Anyone, Detail::Change),
    row(5, "dashboard.delete", "write", "Scenes > Dashboards", "Delete dashboard", "deleted the dashboard", DASHBOARDS, Actor::Anyone, Detail::Nothing),
    row(6, "dashboard.share", "write", "Scenes > Dashboards", "Share dashboard", "shared the dashboard", DASHBOARDS, Actor::Anyone, Detail::Nothing),
    row(40, "monitor.view", "read", "Monitoring > Monitors", "View monitor", "viewed the monitor", MONITORS, Actor::Anyone, Detail::Nothing),
    row(12, "monitor.create", "write", "Monitoring > Monitors", "Create monitor", "created the monitor", MONITORS, Actor::Anyone, Detail::Nothing),
    row(26, "monitor.modify", "write", "Monitoring > Monitors", "Modify monitor", "modified the monitor", MONITORS, Actor::Anyone, Detail::Change),
    row(8, "monitor.mute", "write", "Monitoring > Mute", "Mute monitor", "muted the monitor", MONITORS, Actor::Anyone, Detail::Nothing),
    row(4, "monitor.delete", "write", "Monitoring > Monitors", "Delete monitor", "deleted the monitor", MONITORS, Actor::Anyone, Detail::Nothing),
    row(10, "pipeline.modify", "write", "Logs > Pipelines", "Modify pipeline", "modified the pipeline", PIPELINES, Actor::Anyone, Detail::Change),
    row(5, "pipeline.create", "write", "Logs > Pipelines", "Create pipeline", "created the pipeline", PIPELINES, Actor::Anyone, Detail::Nothing),
    row(2, "pipeline.delete", "write", "Logs > Pipelines", "Delete pipeline", "deleted the pipeline", PIPELINES, Actor::Administrator, Detail::Nothing),
    row(9, "notification.modify", "write", "Monitoring > Notification policies", "Modify notification policy", "modified the notification policy", POLICIES, Actor::Anyone, Detail::Change),
    row(6, "role.modify", "administration", "Management > Roles", "Modify role", "modified the role", ROLES, Actor::Administrator, Detail::Roles),
    row(2, "role.create", "administration", "Management > Roles", "Create role", "created the role", ROLES, Actor::Administrator, Detail::Roles),
    row(7, "member.invite", "administration", "Management > Members", "Invite member", "invited", Object::Member, Actor::Administrator, Detail::Roles),
    row(8, "member.role_change", "administration", "Management > Members", "Change member's roles", "changed the roles of", Object::Member, Actor::Administrator, Detail::Roles),
    row(2, "member.remove", "administration", "Management > Members", "Remove member", "removed", Object::Member, Actor::Administrator, Detail::Nothing),
    row(4, "team.modify", "administration", "Management > Teams", "Modify team", "modified the team", TEAMS, Actor::Administrator, Detail::Change),
    row(5, "token.create", "administration", "Management > API keys", "Create API token", "created the API token", TOKENS, Actor::Administrator, Detail::Nothing),
    row(3, "token.revoke", "administration", "Management > API keys", "Revoke API token", "revoked the API token", TOKENS, Actor::Administrator, Detail::Nothing),
    row(12, "export.csv", "read", "Logs > Explorer", "Export CSV", "exported rows", Object::Nothing, Actor::Anyone, Detail::Export),
    row(6, "billing.view", "read", "Billing > Overview", "View billing", "viewed the bill", Object::Nothing, Actor::Administrator, Detail::Invoice),
    row(2, "billing.modify", "administration", "Billing > Plan", "Change plan", "changed the plan", Object::Nothing, Actor::Administrator, Detail::Invoice),
    row(170, "query.run", "query", "Logs > Explorer", "Run DQL query", "ran a query", Object::Nothing, Actor::Anyone, Detail::Query),
    row(120, "api.call", "api", "Open API", "Open API call", "called", Object::Path, Actor::Program, Detail::Request),
    row(22, "query.run", "query", "Open API", "Run DQL query", "ran a query", Object::Nothing, Actor::Program, Detail::Query),
    row(34, "monitor.evaluate", "system", "Monitoring > Monitors", "Evaluate monitor", "evaluated the monitor", MONITORS, Actor::Product, Detail::Query),
    row(10, "retention.apply", "system", "Management > Settings", "Apply storage policy", "applied the storage policy", Object::Nothing, Actor::Product, Detail::Nothing),
];

/// A sign-in. The incidents of the sample need this activity and the following ones by name.
pub(super) const SIGN_IN: &Activity = &ACTIVITIES[0];
/// The deletion of a monitor.
pub(super) const DELETE_MONITOR: &Activity = &ACTIVITIES[13];
/// The creation of an API token.
pub(super) const CREATE_TOKEN: &Activity = &ACTIVITIES[24];
/// An export.
pub(super) const EXPORT: &Activity = &ACTIVITIES[26];
/// A change to a dashboard.
pub(super) const MODIFY_DASHBOARD: &Activity = &ACTIVITIES[6];

#[expect(
    clippy::too_many_arguments,
    reason = "one line a kind of event keeps the table readable"
)]
const fn row(
    weight: u64,
    action: &'static str,
    category: &'static str,
    menu: &'static str,
    title: &'static str,
    verb: &'static str,
    object: Object,
    actor: Actor,
    detail: Detail,
) -> Activity {
    Activity {
        weight,
        action,
        category,
        menu,
        title,
        verb,
        object,
        actor,
        detail,
    }
}

/// The queries people run: their kind and text.
pub(super) const QUERIES: [(&str, &str); 10] = [
    (
        "logging",
        "L::nginx:(count(*)) {status >= 500} [1h::1m] BY host",
    ),
    (
        "logging",
        "L::re(`.*`):(message) {message = match('timeout')} [15m] LIMIT 100",
    ),
    ("logging", "L::payments:(count_distinct(order_id)) [1d::1h]"),
    ("metric", "M::cpu:(avg(usage_total)) [1h::1m] BY host"),
    (
        "metric",
        "M::mem:(max(used_percent)) [6h::5m] BY host SLIMIT 10",
    ),
    (
        "tracing",
        "T::re(`.*`):(p95(duration)) {service = 'checkout'} [1h] BY resource",
    ),
    (
        "rum",
        "R::view:(count(*)) {env = 'prod'} [1d::1h] BY view_name",
    ),
    (
        "event",
        "E::monitor:(count(*)) {df_status != 'ok'} [1d] BY df_status",
    ),
    ("object", "O::HOST:(host, os) {os = 'linux'} LIMIT 1000"),
    ("security", "S::re(`.*`):(count(*)) [7d] BY level"),
];

/// The requests of programs: method, path.
pub(super) const REQUESTS: [(&str, &str); 6] = [
    ("GET", "/api/v1/monitor/list"),
    ("POST", "/api/v1/monitor/create"),
    ("POST", "/api/v1/df/query_data_v1"),
    ("GET", "/api/v1/dashboards/list"),
    ("POST", "/api/v1/dashboards/modify"),
    ("GET", "/api/v1/workspace/get"),
];

/// The changed settings: path, old value, new value.
pub(super) const CHANGES: [(&str, &str, &str); 7] = [
    ("interval", "1m", "5m"),
    ("threshold.critical", "95", "99"),
    ("threshold.warning", "80", "90"),
    ("title", "untitled", "Überblick"),
    (
        "recipients[0]",
        "oncall@acme.example",
        "security@acme.example",
    ),
    ("enabled", "true", "false"),
    (
        "script",
        "json(_, status)",
        "json(_, status)\nset_tag(team, \"payments\")",
    ),
];

/// The reasons of failed sign-ins.
pub(super) const SIGN_IN_FAILURES: [&str; 4] = [
    "wrong password",
    "one-time code expired",
    "account locked",
    "single sign-on refused",
];
