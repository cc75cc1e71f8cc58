//! Random events: few distinct values, many of them missing, at times that windows and steps touch.

use chrono_tz::Tz;
use serde_json::{Map, Value as Json, json};

use super::random::Random;

/// What may count as now: a few hours after the clocks of these places were changed.
pub(crate) const MOMENTS: [(i64, Tz); 6] = [
    // 2024-03-31 12:00 UTC: forward.
    (1_711_886_400_000, Tz::Europe__Berlin),
    // 2023-10-29 12:00 UTC: back.
    (1_698_580_800_000, Tz::Europe__Berlin),
    // 2024-11-03 18:00 UTC: back.
    (1_730_656_800_000, Tz::America__New_York),
    // 2024-03-10 18:00 UTC: forward.
    (1_710_093_600_000, Tz::America__New_York),
    // 2024-04-07 00:00 UTC: back by half an hour.
    (1_712_448_000_000, Tz::Australia__Lord_Howe),
    // 2024-09-08 12:00 UTC: forward at midnight, so that the day begins at one.
    (1_725_796_800_000, Tz::America__Santiago),
];

const HOUR_MS: i64 = 3_600_000;

/// The workspaces, most events in the first.
pub(crate) const WORKSPACES: [&str; 3] = ["acme", "globex", "initech"];

pub(crate) const TITLES: [&str; 10] = [
    "login",
    "Login failed",
    "登录失败",
    "create dashboard",
    "delete dashboard",
    "",
    "über_uns",
    "naïve  name ",
    " rebuild Erroring",
    "a*b?c",
];
pub(crate) const USERS: [&str; 6] = ["ana", "bob", "Ana", "李雷", "zoë", "o'neil"];
pub(crate) const MESSAGES: [&str; 12] = [
    "user ana did login from 10.1.2.3",
    "LOGIN of bob failed: wrong password",
    "user bob did login from 192.168.1.7",
    "user ana did logout from 10.1.2.3",
    "LOGIN of ana failed: locked",
    "job 17 of 7b2e4a90-1c3d-4e5f-8a6b-9c0d1e2f3a4b took 12:30.5 s",
    "job 4 of 0xBEEF took 1b2c3d4e5f s",
    "{\"k\":\"v\",\"n\":7,\"list\":[1,\"two\",{\"x\":true}]}",
    "{\"k\":12.5,\"a.b\":{\"c\":\"deep\"},\"a\":{\"b\":{\"c\":\"shallow\"}}}",
    "token_created\nsecond line",
    "登录 login_失败 ok",
    "",
];
pub(crate) const COSTS: [&str; 9] = ["12", "3.5", "0", "-4", " 7 ", "abc", "", "1e2", "250"];
pub(crate) const ADDRESSES: [&str; 6] = [
    "10.1.2.3",
    "10.200.0.1",
    "192.168.1.7",
    "2001:db8::1",
    "console.example.com",
    "",
];

/// Between none and `most` events of the days before `now_ms`, each with its own id in its workspace and
/// day.
pub(crate) fn events(random: &mut Random, most: usize, now_ms: i64) -> Vec<Json> {
    let count = random.below(most + 1);
    let mut dates: Vec<i64> = Vec::new();
    let mut events = Vec::new();
    for index in 0..count {
        let date = match dates.is_empty() || random.percent(70) {
            true => date(random, now_ms),
            false => random.choose(&dates),
        };
        dates.push(date);
        events.push(event(random, index, date));
    }
    events
}

/// Windows and steps in the questions are whole hours and days, so that many events lie on their edges.
fn date(random: &mut Random, now_ms: i64) -> i64 {
    let hours = i64::try_from(random.below(24 * 5)).unwrap();
    let nudge = random.choose(&[-1, 0, 0, 1, 60_000, 754_321, 1_800_000]);
    now_ms - hours * HOUR_MS + nudge
}

fn event(random: &mut Random, index: usize, date: i64) -> Json {
    let mut event = Map::new();
    // The same id may stand in several workspaces, and ids do not grow with time.
    let id = format!("e{:04}", index / 2 * 7919 % 10_007);
    let workspace = match index % 2 == 1 && random.percent(50) {
        true => WORKSPACES[1],
        false => WORKSPACES[random.below(3) / 2 * 2],
    };
    let id = if workspace == WORKSPACES[1] {
        id
    } else {
        format!("{id}{}", index % 2)
    };
    event.insert("date".to_owned(), json!(date));
    event.insert("df_event_id".to_owned(), json!(id));
    event.insert("df_workspace".to_owned(), json!(workspace));
    let mut put = |name: &str, percent: usize, random: &mut Random, pool: &[&str]| {
        if random.percent(percent) {
            event.insert(name.to_owned(), json!(random.skewed(pool)));
        } else if random.percent(20) {
            event.insert(name.to_owned(), Json::Null);
        }
    };
    put("df_source", 40, random, &["audit", "monitor", "audit.x"]);
    put("df_status", 50, random, &["info", "error"]);
    put("df_title", 85, random, &TITLES);
    put("df_user_name", 80, random, &USERS);
    put("df_message", 80, random, &MESSAGES);
    put("df_cost", 80, random, &COSTS);
    put("df_query_typeDQL", 50, random, &["dql", "promql"]);
    put("client_ip", 70, random, &ADDRESSES);
    put("result", 60, random, &["Success", "Failure", "failure"]);
    if random.percent(20) {
        event.insert("df_hit_count".to_owned(), json!(random.below(30)));
    }
    if random.percent(70) {
        let range = random.choose(&[0, 1, 7, 60, 3600, -5, 60, 86_400]);
        event.insert("df_date_range".to_owned(), json!(range));
    }
    for (name, value) in attributes(random) {
        event.insert(name, value);
    }
    Json::Object(event)
}

fn attributes(random: &mut Random) -> Map<String, Json> {
    let mut attributes = Map::new();
    let mut put = |name: &str, percent: usize, random: &mut Random, pool: &[Json]| {
        if random.percent(percent) {
            attributes.insert(name.to_owned(), random.skewed(pool).clone());
        }
    };
    let codes = [
        json!(200),
        json!(404),
        json!(500),
        json!("200"),
        json!(9),
        json!(null),
    ];
    put("code", 70, random, &codes);
    let scores = [
        json!(0.25),
        json!(1.5),
        json!(-2.75),
        json!(10),
        json!(0),
        json!(1e3),
    ];
    put("score", 70, random, &scores);
    put(
        "flag",
        50,
        random,
        &[json!(true), json!(false), json!("true"), json!(null)],
    );
    let mixed = [
        json!("text"),
        json!(1),
        json!(1.0),
        json!("1"),
        json!(true),
        json!("true"),
        json!({"k": [1, 2]}),
        json!([]),
        json!("é"),
        json!(""),
    ];
    put("mixed", 60, random, &mixed);
    let users = [
        json!({"name": "ana", "age": 30, "tags": ["x", "y"]}),
        json!({"name": "bob", "age": "31", "tags": []}),
        json!({"name": null, "tags": [7]}),
        json!("ana"),
    ];
    put("user", 60, random, &users);
    put(
        "a.b",
        30,
        random,
        &[json!({"c": 1}), json!("dotted"), json!(5)],
    );
    put(
        "a",
        30,
        random,
        &[json!({"b": {"c": 2}}), json!({"b.c": 3}), json!({"b": 4})],
    );
    put("名字", 30, random, &[json!("中文"), json!("ascii")]);
    attributes
}
