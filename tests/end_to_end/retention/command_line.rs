//! `vouch retention` and `vouch hold`, with a store and with a service.

use super::{ACME, OF_ZOE, old_events, run, start, with_old_events};
use crate::program::Vouch;
use crate::service::Service;

#[test]
fn the_command_line_keeps_drops_and_holds() {
    let vouch = with_old_events();
    run(&vouch, &["retention", "run"], &[])
        .expect_status(0)
        .expect_output("would drop 4 events of 2 days (2020-01-03 to 2020-01-04)");
    assert_eq!(old_events(&vouch), "4");
    run(&vouch, &OF_ZOE, &ACME)
        .expect_status(0)
        .expect_output("placed hold `case 4711` on events of zoë: court order\n");
    run(&vouch, &["retention", "set", "1y"], &ACME)
        .expect_status(0)
        .expect_output("next run: would drop 2 events of 2 days (2020-01-03 to 2020-01-04), ")
        .expect_output("held: 2 older events, by case 4711 (2)");
    run(&vouch, &["retention", "run", "--dry-run"], &[])
        .expect_status(0)
        .expect_output("would drop 2 events");
    assert_eq!(old_events(&vouch), "4");
    run(&vouch, &["retention", "run", "--workspace", "acme"], &[])
        .expect_status(0)
        .expect_output("workspace acme: dropped 2 events");
    assert_eq!(old_events(&vouch), "2");
    run(&vouch, &["retention", "show"], &[])
        .expect_status(0)
        .expect_output("workspace acme: events are kept 1y; 1 hold\n  dropped so far: days before ")
        .expect_output("hold `case 4711` on events of zoë");
    run(&vouch, &["hold", "release", "case 4711"], &ACME).expect_status(0);
    run(&vouch, &["hold", "list", "--workspace", "acme"], &[])
        .expect_status(0)
        .expect_output("has no holds");
    run(&vouch, &["retention", "run"], &[]).expect_status(0);
    assert_eq!(old_events(&vouch), "0");
    run(&vouch, &["verify"], &[]).expect_status(0);
    let question =
        "TAE::audit:(df_message) {action = 'retention.expired' AND `dropped.events` = 2} [1d]";
    let options = ["--workspace", "acme", "--format", "csv", question];
    let receipts = run(&vouch, &["query"], &options).expect_status(0).text();
    assert_eq!(receipts.lines().count(), 3, "{receipts}");
    assert!(
        receipts.contains("kept by the holds `case 4711`"),
        "{receipts}"
    );
}

#[test]
fn a_wrong_command_says_what_is_wrong() {
    let vouch = with_old_events();
    run(&vouch, &OF_ZOE, &ACME).expect_status(0);
    let other = ["hold", "place", "case 4711", "--reason", "another", "--all"];
    run(&vouch, &other, &ACME)
        .expect_status(1)
        .expect_error("another hold is called `case 4711`");
    run(&vouch, &["hold", "place", "x", "--reason", "r"], &ACME)
        .expect_status(2)
        .expect_error("say what to hold");
    run(&vouch, &["retention", "set", "5d"], &ACME)
        .expect_status(2)
        .expect_error("too short");
    run(&vouch, &["hold", "release", "case 4712"], &ACME)
        .expect_status(1)
        .expect_error("no hold is called `case 4712`; there are `case 4711`");
    let nobody = vouch
        .command(&["retention", "set", "1y", "--workspace", "acme"])
        .env_remove("USER")
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn the_command_line_asks_a_service() {
    let vouch = with_old_events();
    let service = Service::start_with(&vouch, &["--admin", "unix:admin.sock"]);
    let admin = service.admin_address.clone().unwrap();
    let options = ["--server", &admin, "--workspace", "acme"];
    let by = [options.as_slice(), &["--by", "legal"]].concat();
    run(&vouch, &["retention", "show"], &options)
        .expect_status(0)
        .expect_output("events are kept 2y, the default; 0 holds\n  older events were imported");
    run(&vouch, &OF_ZOE, &by).expect_status(0);
    run(&vouch, &OF_ZOE, &by)
        .expect_status(0)
        .expect_output("stood already: hold `case 4711`");
    run(&vouch, &["retention", "set", "90d"], &by)
        .expect_status(0)
        .expect_output("next run: would drop 2 events");
    run(&vouch, &["retention", "run"], &options)
        .expect_status(0)
        .expect_output("dropped 2 events");
    assert_eq!(old_events(&vouch), "2");
    let late = [
        "hold",
        "place",
        "x",
        "--reason",
        "r",
        "--to",
        "2021-01-01T00:00:00Z",
    ];
    run(&vouch, &late, &by)
        .expect_status(0)
        .expect_output("were dropped before it was placed");
    run(&vouch, &["hold", "release", "x"], &by).expect_status(0);
    run(&vouch, &["hold", "release", "x"], &by)
        .expect_status(1)
        .expect_error("no hold is called `x`");
    run(&vouch, &["hold", "list"], &options)
        .expect_status(0)
        .expect_output("hold `case 4711` on events of zoë");
    let unclear = ["retention", "run", "--server", &admin];
    run(&vouch, &unclear, &[]).expect_status(2);
}

#[test]
fn the_command_line_undoes_a_drop() {
    let vouch = with_old_events();
    let (_service, admin) = start(&vouch);
    run(&vouch, &["retention", "set", "1y"], &ACME).expect_status(0);
    for server in [&[][..], &["--server", &admin]] {
        let confirmed = ["retention", "run", "--confirm", "--workspace", "acme"];
        run(&vouch, &confirmed, server)
            .expect_status(0)
            .expect_output("workspace acme: dropped 4 events");
        assert_eq!(old_events(&vouch), "0");
        let options = [&ACME[..], server].concat();
        run(&vouch, &["retention", "undo", "--dry-run"], &options)
            .expect_status(0)
            .expect_output("would bring back 4 events of 2 days (2020-01-03 to 2020-01-04)");
        assert_eq!(old_events(&vouch), "0");
        run(&vouch, &["retention", "undo"], &options)
            .expect_status(0)
            .expect_output("brought back 4 events of 2 days");
        assert_eq!(old_events(&vouch), "4");
        run(&vouch, &["retention", "undo"], &options)
            .expect_status(1)
            .expect_error("is not undone");
        run(&vouch, &["retention", "run", "--workspace", "acme"], server)
            .expect_status(0)
            .expect_output("nothing is dropped: a drop was undone");
        run(
            &vouch,
            &["retention", "show", "--workspace", "acme"],
            server,
        )
        .expect_status(0)
        .expect_output("a drop was undone or the log rebuilt, so nothing is dropped until");
    }
    run(&vouch, &["verify"], &[]).expect_status(0);
    let question = "TAE::audit:(df_message) {action = 'retention.undone'} [1d]";
    let options = ["--workspace", "acme", "--format", "csv", question];
    let records = run(&vouch, &["query"], &options).expect_status(0).text();
    assert_eq!(records.lines().count(), 3, "{records}");
}

/// Commands about the workspace `acne`, which does not exist.
fn mistyped() -> [Vec<&'static str>; 6] {
    let acne = ["--workspace", "acne"];
    let by = [&acne[..], &["--by", "legal"]].concat();
    [
        [&["retention", "show"], &acne[..]].concat(),
        [&["retention", "run"], &acne[..]].concat(),
        [&["hold", "list"], &acne[..]].concat(),
        [&["retention", "set", "1y"], &by[..]].concat(),
        [&OF_ZOE[..], &by].concat(),
        [&["hold", "release", "case 4711"], &by[..]].concat(),
    ]
}

#[test]
fn a_mistyped_workspace_is_told_and_not_made() {
    let vouch = with_old_events();
    let (_service, admin) = start(&vouch);
    for server in [&[][..], &["--server", &admin]] {
        for command in mistyped() {
            let done = run(&vouch, &command, server).expect_status(1);
            let done = done.expect_error("no workspace `acne` in this store; did you mean `acme`?");
            assert!(done.stdout.is_empty(), "{command:?}: {}", done.text());
        }
    }
    let stats = vouch.run(&["stats", "--format", "json"]).text();
    assert!(!stats.contains("acne"), "{stats}");
    assert!(!vouch.path("vouch-data/workspace=acne").exists());
}

#[test]
fn a_workspace_that_gets_its_events_later_can_be_held() {
    let vouch = with_old_events();
    let (_service, admin) = start(&vouch);
    for (workspace, server) in [("later", &[][..]), ("later-still", &["--server", &admin])] {
        let options = [server, &["--workspace", workspace, "--by", "legal"]].concat();
        let create = [&options[..], &["--create"]].concat();
        run(&vouch, &OF_ZOE, &create).expect_status(0);
        // It is known from then on.
        run(&vouch, &["retention", "set", "1y"], &options).expect_status(0);
        let show = [server, &["--workspace", workspace]].concat();
        run(&vouch, &["retention", "show"], &show)
            .expect_status(0)
            .expect_output("events are kept 1y; 1 hold\n");
    }
    let new = ["--workspace", "third", "--by", "legal", "--create"];
    run(&vouch, &["retention", "set", "1y"], &new).expect_status(0);
}

/// The names of users on old events, each written in two ways.
const WRITTEN_TWICE: [(&str, &str); 4] = [
    ("Νίκος", "ΝΊΚΟΣ"),
    ("straße", "STRASSE"),
    ("Zo\u{eb}", "Zoe\u{308}"),
    ("eve", " eve"),
];

#[test]
fn a_hold_covers_a_user_however_the_name_is_written() {
    for (held, written) in WRITTEN_TWICE {
        let vouch = Vouch::new();
        let mut lines = String::new();
        for (number, user) in [held, written, "somebody else"].iter().enumerate() {
            lines.push_str(&format!(
                "{{\"date\": \"2020-01-03T08:00:00Z\", \"df_event_id\": \"e{number}\", \"df_user_name\": \"{user}\", \"df_workspace\": \"acme\"}}\n"
            ));
        }
        vouch.write("old.ndjson", lines);
        vouch.run(&["import", "old.ndjson"]).expect_status(0);
        for (index, user) in [held, written].into_iter().enumerate() {
            let name = format!("hold {index}");
            let place = ["hold", "place", &name, "--reason", "r", "--user", user];
            run(&vouch, &place, &ACME).expect_status(0);
        }
        run(&vouch, &["retention", "set", "1y"], &ACME)
            .expect_status(0)
            .expect_output("would drop 1 event of 1 day")
            .expect_output("held: 2 older events, by hold 0 (2), hold 1 (2)");
        run(&vouch, &["retention", "run"], &[]).expect_status(0);
        assert_eq!(old_events(&vouch), "2", "{held}");
    }
}
