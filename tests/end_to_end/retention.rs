//! Retention and legal holds, on the command line and through the service.

mod command_line;
mod grpc;

use crate::program::{Done, Vouch};
use crate::service::Service;

/// A store whose workspace `acme` has events of two users on two days of 2020.
fn with_old_events() -> Vouch {
    let vouch = Vouch::new();
    let mut lines = String::new();
    for (number, (day, user)) in [(3, "Zoë"), (3, "Amara"), (4, "Zoë"), (4, "Amara")]
        .into_iter()
        .enumerate()
    {
        lines.push_str(&format!(
            "{{\"date\": \"2020-01-0{day}T08:00:00Z\", \"df_event_id\": \"e{number}\", \"df_user_name\": \"{user}\", \"df_workspace\": \"acme\"}}\n"
        ));
    }
    vouch.write("old.ndjson", lines);
    vouch.run(&["import", "old.ndjson"]).expect_status(0);
    vouch
}

/// How many of the old events there are.
fn old_events(vouch: &Vouch) -> String {
    let range = [
        "--from",
        "2020-01-01T00:00:00Z",
        "--to",
        "2020-02-01T00:00:00Z",
    ];
    let mut arguments = vec!["query", "--workspace", "acme", "--format", "csv"];
    arguments.extend(range);
    arguments.push("TAE::audit:(count(*))");
    let done = vouch.run(&arguments).expect_status(0);
    let text = done.text();
    let cell = text.lines().nth(1).unwrap().rsplit(',').next().unwrap();
    cell.to_owned()
}

/// Runs the program with the words and then the options.
fn run(vouch: &Vouch, words: &[&str], options: &[&str]) -> Done {
    vouch.run(&[words, options].concat())
}

const ACME: [&str; 4] = ["--workspace", "acme", "--by", "legal"];

/// A hold on the events of Zoë.
const OF_ZOE: [&str; 7] = [
    "hold",
    "place",
    "case 4711",
    "--reason",
    "court order",
    "--user",
    "zoë",
];

/// A service with a port for changes.
fn start(vouch: &Vouch) -> (Service, String) {
    let service = Service::start_with(vouch, &["--admin", "127.0.0.1:0"]);
    let admin = service.admin_address.clone().unwrap();
    (service, admin)
}
