//! One event of the sample as JSON, in Vouch's own field names.

use serde_json::{Map, Value, json};

use super::activity::{
    Activity, Actor, CHANGES, Detail, Object, QUERIES, REQUESTS, SIGN_IN_FAILURES,
};
use super::people::{AWAY, Person, Place, Token, WORKSPACES, Workspace};
use crate::random::{Random, mixed, mixed_text};

/// An event: its fields in the order of the output.
pub(super) type Record = Map<String, Value>;

const DAY_MS: i64 = 86_400_000;

/// The parts of an event: actor, action, location and result.
#[derive(Debug)]
pub(super) struct Occurrence<'a> {
    /// The instant, in Unix milliseconds.
    pub(super) date_ms: i64,
    /// The workspace.
    pub(super) workspace: &'a Workspace,
    /// The action.
    pub(super) activity: &'a Activity,
    /// The actor.
    pub(super) actor: Who<'a>,
    /// The location and the user agent of the client, if there is a request.
    pub(super) source: Option<(Place, &'a str)>,
    /// The reason of the failure; `None` for a success.
    pub(super) failure: Option<&'a str>,
}

/// The actor of an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who<'a> {
    /// A person, in the console.
    Person(&'a Person),
    /// A program, with its token.
    Program(&'a Token),
    /// The product itself.
    Product,
}

impl<'a> Occurrence<'a> {
    /// An ordinary event.
    pub(super) fn ordinary(random: &mut Random, date_ms: i64, activity: &'a Activity) -> Self {
        let workspace = random.weighted(&WORKSPACES, |workspace| workspace.weight);
        let actor = match activity.actor {
            Actor::Anyone => Who::Person(random.zipf(workspace.people)),
            Actor::Administrator => Who::Person(random.zipf(&workspace.people[..3])),
            Actor::Program => Who::Program(random.zipf(workspace.tokens)),
            Actor::Product => Who::Product,
        };
        let source = match actor {
            Who::Person(person) if random.percent(6) => Some((*random.pick(&AWAY), person.browser)),
            Who::Person(person) => Some((person.place, person.browser)),
            Who::Program(token) => Some((token.place, token.program)),
            Who::Product => None,
        };
        let failure = match activity.detail {
            Detail::SignIn if random.percent(7) => Some(*random.pick(&SIGN_IN_FAILURES)),
            Detail::SignIn => None,
            _ if activity.category != "system" && random.percent(2) => Some("permission denied"),
            _ => None,
        };
        Self {
            date_ms,
            workspace,
            activity,
            actor,
            source,
            failure,
        }
    }

    /// The event as JSON.
    pub(super) fn record(&self, random: &mut Random) -> Record {
        let mut record = Record::new();
        let object = self.object(random);
        record.insert("date".into(), json!(self.date_ms));
        record.insert("df_source".into(), json!("audit"));
        record.insert("df_status".into(), json!(self.status()));
        record.insert("df_origin".into(), json!(self.origin()));
        record.insert("df_menu".into(), json!(self.activity.menu));
        record.insert("df_event_id".into(), json!(random.event_id()));
        record.insert("df_title".into(), json!(self.title()));
        record.insert("df_message".into(), json!(self.message(object.as_ref())));
        self.insert_actor(&mut record);
        if let Some((id, name)) = &object {
            record.insert("df_operation_id".into(), json!(id));
            record.insert("df_operation_name".into(), json!(name));
        }
        record.insert("df_workspace".into(), json!(self.workspace.id));
        record.insert("action".into(), json!(self.action()));
        record.insert("category".into(), json!(self.activity.category));
        record.insert("product".into(), json!(self.workspace.product));
        if matches!(self.activity.object, Object::Named(..)) {
            record.insert(
                "project".into(),
                json!(random.pick(self.workspace.projects)),
            );
        }
        let result = if self.failure.is_some() {
            "Failure"
        } else {
            "Success"
        };
        record.insert("result".into(), json!(result));
        self.insert_source(&mut record);
        if let (Object::Member, Some((_, name))) = (self.activity.object, &object) {
            record.insert("target_user".into(), json!(name));
        }
        self.insert_detail(&mut record, object.as_ref(), random);
        record
    }

    fn status(&self) -> &'static str {
        match (self.failure, self.activity.category) {
            (Some(_), _) => "error",
            (None, "administration") => "warning",
            (None, _) => "info",
        }
    }

    fn origin(&self) -> &'static str {
        match self.activity.actor {
            Actor::Anyone => "front",
            Actor::Administrator if self.activity.menu.starts_with("Billing") => "manage",
            Actor::Administrator => "front",
            Actor::Program => "openapi",
            Actor::Product => "inner",
        }
    }

    fn action(&self) -> String {
        let failed = self.failure.is_some() && self.activity.detail == Detail::SignIn;
        if failed {
            "user.login_failed".to_owned()
        } else {
            self.activity.action.to_owned()
        }
    }

    fn title(&self) -> String {
        match self.failure {
            Some(_) if self.activity.detail == Detail::SignIn => "Sign in failed".to_owned(),
            Some(_) => format!("{} refused", self.activity.title),
            None => self.activity.title.to_owned(),
        }
    }

    fn message(&self, object: Option<&(String, String)>) -> String {
        let actor = match self.actor {
            Who::Person(person) => person.name,
            Who::Program(token) => token.name,
            Who::Product => "the system",
        };
        let verb = self.activity.verb;
        let done = match object {
            Some((_, name)) => format!("{actor} {verb} \"{name}\""),
            None => format!("{actor} {verb}"),
        };
        self.failure
            .map_or(done.clone(), |reason| format!("{done}: refused, {reason}"))
    }

    /// The id and the name of the object.
    fn object(&self, random: &mut Random) -> Option<(String, String)> {
        match self.activity.object {
            Object::Nothing => None,
            Object::Named(prefix, names) => {
                let name = *random.pick(names);
                let number = mixed(&[mixed_text(self.workspace.id), mixed_text(name)]);
                Some((format!("{prefix}_{:012x}", number >> 16), name.to_owned()))
            }
            Object::Path => {
                let (_, path) = random.pick(&REQUESTS);
                Some((
                    format!("api_{:012x}", mixed_text(path) >> 16),
                    (*path).to_owned(),
                ))
            }
            Object::Member => {
                let member = random.pick(self.workspace.people);
                Some((account(member), member.email.to_owned()))
            }
        }
    }

    fn insert_actor(&self, record: &mut Record) {
        match self.actor {
            Who::Person(person) => {
                record.insert("df_user_id".into(), json!(account(person)));
                record.insert("df_user_name".into(), json!(person.name));
                record.insert("df_user_email".into(), json!(person.email));
                record.insert("df_user_team".into(), json!(person.team));
                record.insert("df_role_scope".into(), json!(person.role));
            }
            Who::Program(token) => {
                record.insert("df_user_id".into(), json!(token.id));
                record.insert("df_user_name".into(), json!(token.name));
                record.insert("token_id".into(), json!(token.id));
            }
            Who::Product => {
                record.insert("df_user_name".into(), json!("system"));
            }
        }
    }

    fn insert_source(&self, record: &mut Record) {
        let Some((place, program)) = self.source else {
            return;
        };
        record.insert("client_ip".into(), json!(place.address));
        record.insert("user_agent".into(), json!(program));
        if let Who::Person(person) = self.actor {
            let device = mixed(&[mixed_text(person.email), mixed_text(program)]);
            let day = u64::try_from(self.date_ms / DAY_MS).unwrap_or_default();
            let session = mixed(&[device, day, mixed_text(place.address)]);
            record.insert(
                "device_id".into(),
                json!(format!("dev_{:08x}", device >> 32)),
            );
            record.insert("session_id".into(), json!(format!("ses_{session:016x}")));
        }
        record.insert("country".into(), json!(place.country));
        record.insert("city".into(), json!(place.city));
    }

    fn insert_detail(
        &self,
        record: &mut Record,
        object: Option<&(String, String)>,
        random: &mut Random,
    ) {
        let attributes = match self.activity.detail {
            Detail::Nothing => None,
            Detail::SignIn => Some(sign_in(random, self.failure)),
            Detail::Change => {
                let (path, before, after) = random.pick(&CHANGES);
                Some(json!({"changes": [{"path": path, "old": before, "new": after}]}))
            }
            Detail::Query => {
                insert_query(record, random);
                None
            }
            Detail::Request => object.map(|(_, path)| request(path, random)),
            Detail::Export => {
                record.insert("comments".into(), json!("monthly report"));
                Some(json!({"export": {"format": "csv", "rows": random.between(1, 250_000)}}))
            }
            Detail::Invoice => {
                let cents = random.between(10_000, 9_000_000);
                let amount = format!("{}.{:02}", cents / 100, cents % 100);
                Some(
                    json!({"billing": {"plan": "commercial", "amount": amount, "currency": "EUR"}}),
                )
            }
            Detail::Roles => {
                let permissions = ["monitor.write", "token.write", "billing.read"];
                Some(json!({"roles": {"added": [random.pick(&permissions)], "removed": []}}))
            }
        };
        if let Some(attributes) = attributes {
            record.insert("attributes".into(), attributes);
        }
    }
}

/// The account id of a person; the same in every workspace.
pub(super) fn account(person: &Person) -> String {
    format!("acnt_{:012x}", mixed_text(person.email) >> 16)
}

fn sign_in(random: &mut Random, failure: Option<&str>) -> Value {
    let method = *random.pick(&["password", "password", "single sign-on"]);
    match failure {
        Some(reason) => json!({"sign_in": {"method": method, "mfa": false, "reason": reason}}),
        None => json!({"sign_in": {"method": method, "mfa": !random.percent(20)}}),
    }
}

fn request(path: &str, random: &mut Random) -> Value {
    let method = REQUESTS
        .iter()
        .find(|(_, known)| *known == path)
        .map(|(method, _)| method);
    let status = if random.percent(5) { 429 } else { 200 };
    json!({
        "request": {"method": method, "path": path, "headers": {"x-request-id": random.event_id()}},
        "response": {"status": status, "bytes": random.between(180, 48_000)},
    })
}

fn insert_query(record: &mut Record, random: &mut Random) {
    let (kind, query) = random.zipf(&QUERIES);
    let range_s = *random.pick(&[900_u64, 3_600, 21_600, 86_400, 604_800]);
    let hits = random.between(0, 9) * random.between(0, 400) * random.between(1, 60);
    record.insert("df_date_range".into(), json!(range_s));
    record.insert("df_query_typeDQL".into(), json!(kind));
    record.insert("df_query".into(), json!(query));
    record.insert(
        "df_query_range".into(),
        json!((range_s * 1_000).to_string()),
    );
    record.insert(
        "df_cost".into(),
        json!(random.between(3, 900 + range_s / 200).to_string()),
    );
    record.insert("df_hit_count".into(), json!(hits.to_string()));
}
