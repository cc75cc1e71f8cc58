//! The kinds of event in the load.

/// One kind of event; each has a title of its own.
#[derive(Debug)]
pub(super) struct Kind {
    /// The number of such events in 1,000.
    pub(super) weight: u64,
    /// The event's title.
    pub(super) title: &'static str,
    /// The machine name of the action.
    pub(super) action: &'static str,
    /// The class of the action.
    pub(super) category: &'static str,
    /// The part of the product.
    pub(super) area: &'static str,
    /// The verb of the message, up to the object's name.
    pub(super) verb: &'static str,
    /// Further fields of the event.
    pub(super) detail: Detail,
}

/// Further fields of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// None.
    Nothing,
    /// A sign-in, which may fail.
    SignIn,
    /// A DQL query that was run.
    Query,
    /// A request to the API.
    Request,
    /// Another person of the workspace, as the object.
    Person,
}

const fn kind(
    weight: u64,
    title: &'static str,
    action: &'static str,
    category: &'static str,
    area: &'static str,
    verb: &'static str,
    detail: Detail,
) -> Kind {
    Kind {
        weight,
        title,
        action,
        category,
        area,
        verb,
        detail,
    }
}

/// The pages of a part, the most visited first.
pub(super) const PAGES: [&str; 5] = ["Explorer", "List", "Details", "Settings", "Archive"];

/// Every kind.
#[rustfmt::skip] // A table: one line a kind.
pub(super) const KINDS: [Kind; 25] = [
    kind(190, "Run log query", "query.log", "query", "Logs", "searched the logs of", Detail::Query),
    kind(120, "Run metric query", "query.metric", "query", "Metrics", "charted the metrics of", Detail::Query),
    kind(80, "Run trace query", "query.trace", "query", "Traces", "searched the traces of", Detail::Query),
    kind(60, "Run event query", "query.event", "query", "Events", "searched the events of", Detail::Query),
    kind(50, "Refresh dashboard", "query.dashboard", "query", "Dashboards", "refreshed the dashboard", Detail::Query),
    kind(90, "Sign in", "user.login", "access", "Members", "signed in", Detail::SignIn),
    kind(40, "Sign out", "user.logout", "access", "Members", "signed out", Detail::Nothing),
    kind(90, "Call API", "api.call", "api", "Integrations", "called the interface of", Detail::Request),
    kind(70, "View dashboard", "dashboard.view", "read", "Dashboards", "opened the dashboard", Detail::Nothing),
    kind(40, "Modify dashboard", "dashboard.modify", "write", "Dashboards", "changed the dashboard", Detail::Nothing),
    kind(10, "Delete dashboard", "dashboard.delete", "write", "Dashboards", "deleted the dashboard", Detail::Nothing),
    kind(18, "Create monitor", "monitor.create", "write", "Monitors", "created the monitor", Detail::Nothing),
    kind(30, "Modify monitor", "monitor.modify", "write", "Monitors", "changed the monitor", Detail::Nothing),
    kind(9, "Delete monitor", "monitor.delete", "write", "Monitors", "deleted the monitor", Detail::Nothing),
    kind(20, "Mute monitor", "monitor.mute", "write", "Monitors", "muted the monitor", Detail::Nothing),
    kind(16, "Assign incident", "incident.assign", "write", "Incidents", "assigned the incident", Detail::Person),
    kind(14, "Close incident", "incident.close", "write", "Incidents", "closed the incident", Detail::Nothing),
    kind(12, "Modify pipeline", "pipeline.modify", "write", "Pipelines", "changed the pipeline", Detail::Nothing),
    kind(4, "Delete pipeline", "pipeline.delete", "write", "Pipelines", "deleted the pipeline", Detail::Nothing),
    kind(10, "Export CSV", "export.csv", "read", "Logs", "exported the records of", Detail::Nothing),
    kind(6, "Invite member", "member.invite", "administration", "Members", "invited a person to", Detail::Person),
    kind(5, "Change role", "member.role", "administration", "Members", "changed a role in", Detail::Person),
    kind(6, "Create token", "token.create", "administration", "Security", "created a token for", Detail::Nothing),
    kind(4, "Delete token", "token.delete", "administration", "Security", "deleted a token of", Detail::Nothing),
    kind(6, "View invoice", "invoice.view", "read", "Billing", "opened the invoice of", Detail::Nothing),
];
