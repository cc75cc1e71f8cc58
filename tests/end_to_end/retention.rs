//! Retention and legal holds, on the command line and through the service.

use server::proto::workspace_service_client::WorkspaceServiceClient;
use server::proto::{
    GetSettingsRequest, HeldEvents, ListHoldsRequest, PlaceHoldRequest, ReleaseHoldRequest,
    RetentionOutcome, RunRetentionRequest, SetRetentionRequest, UndoRetentionRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::program::{Done, Vouch};
use crate::service::{Service, error_info};

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

async fn client(address: &str) -> WorkspaceServiceClient<Channel> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    WorkspaceServiceClient::new(channel.connect().await.unwrap())
}

/// A service with a port for changes.
fn start(vouch: &Vouch) -> (Service, String) {
    let service = Service::start_with(vouch, &["--admin", "127.0.0.1:0"]);
    let admin = service.admin_address.clone().unwrap();
    (service, admin)
}

fn acme() -> String {
    "acme".to_owned()
}

/// A request to hold some events.
fn place(events: Option<HeldEvents>) -> PlaceHoldRequest {
    PlaceHoldRequest {
        workspace: acme(),
        name: "day".to_owned(),
        reason: "audit".to_owned(),
        by: "legal".to_owned(),
        events,
        create: false,
    }
}

/// The first of the old days.
fn first_day() -> HeldEvents {
    HeldEvents {
        from_ms: Some(1_578_009_600_000),
        to_ms: Some(1_578_096_000_000),
        user: None,
    }
}

#[tokio::test]
async fn the_service_sets_and_runs_a_retention() {
    let vouch = with_old_events();
    let (_service, admin) = start(&vouch);
    let mut client = client(&admin).await;
    let request = GetSettingsRequest { workspace: acme() };
    let settings = client.get_settings(request).await.unwrap().into_inner();
    let settings = settings.settings.unwrap();
    assert_eq!(
        (settings.retention.as_str(), settings.retention_is_set),
        ("2y", false)
    );
    assert!(settings.older_events && settings.dropped_before.is_empty());

    let set = |retention: &str| SetRetentionRequest {
        workspace: acme(),
        retention: retention.to_owned(),
        by: "ops".to_owned(),
        create: false,
    };
    let refused = client.set_retention(set("3 moons")).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_info(&refused).code.as_str()),
        (Code::InvalidArgument, "invalid_setting")
    );
    client.place_hold(place(Some(first_day()))).await.unwrap();
    let answer = client.set_retention(set("90d")).await.unwrap().into_inner();
    let next_run = answer.next_run.unwrap();
    assert_eq!(next_run.outcome(), RetentionOutcome::DryRun);
    assert_eq!((next_run.dropped_events, next_run.held_events), (2, 2));
    let request = RunRetentionRequest {
        workspace: acme(),
        dry_run: false,
        confirm: false,
    };
    let run = client.run_retention(request.clone()).await;
    let run = run.unwrap().into_inner().run.unwrap();
    assert_eq!(run.outcome(), RetentionOutcome::Dropped);
    assert_eq!(run.dropped_days[0].first, "2020-01-04");
    assert_eq!(old_events(&vouch), "2");

    let undo = UndoRetentionRequest {
        workspace: acme(),
        version: run.version,
        by: "ops".to_owned(),
        dry_run: false,
    };
    let undone = client.undo_retention(undo.clone()).await.unwrap();
    let undone = undone.into_inner().undone.unwrap();
    assert_eq!(Some(undone.dropped_version), run.version);
    assert_eq!(
        (undone.events, undone.days[0].first.as_str()),
        (2, "2020-01-04")
    );
    assert_eq!(old_events(&vouch), "4");
    let twice = client.undo_retention(undo).await.unwrap_err();
    assert_eq!(
        (twice.code(), error_info(&twice).code.as_str()),
        (Code::FailedPrecondition, "nothing_to_undo")
    );
    let again = client.run_retention(request).await.unwrap().into_inner();
    assert_eq!(again.run.unwrap().outcome(), RetentionOutcome::Undone);
    assert_eq!(old_events(&vouch), "4");
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

#[tokio::test]
async fn the_service_places_and_releases_holds() {
    let vouch = with_old_events();
    let (_service, admin) = start(&vouch);
    let mut client = client(&admin).await;
    let refused = client.place_hold(place(None)).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_info(&refused).code.as_str()),
        (Code::InvalidArgument, "invalid_request")
    );
    for stood_already in [false, true] {
        let placed = client.place_hold(place(Some(first_day()))).await.unwrap();
        let placed = placed.into_inner();
        assert_eq!(placed.stood_already, stood_already);
        assert_eq!(placed.dropped_before, "");
    }
    let other = client.place_hold(place(Some(HeldEvents::default())));
    let other = other.await.unwrap_err();
    assert_eq!(
        (other.code(), error_info(&other).code.as_str()),
        (Code::AlreadyExists, "hold_exists")
    );
    let list = || ListHoldsRequest { workspace: acme() };
    let holds = client.list_holds(list()).await.unwrap().into_inner().holds;
    assert_eq!(holds.len(), 1);
    assert_eq!(holds[0].events, Some(first_day()));
    let release = ReleaseHoldRequest {
        workspace: acme(),
        name: "day".to_owned(),
        by: "legal".to_owned(),
    };
    client.release_hold(release.clone()).await.unwrap();
    let gone = client.release_hold(release).await.unwrap_err();
    assert_eq!(
        (gone.code(), error_info(&gone).code.as_str()),
        (Code::NotFound, "unknown_hold")
    );
    let holds = client.list_holds(list()).await.unwrap().into_inner().holds;
    assert_eq!(holds, []);
}

/// Commands about the workspace `acne`, which nobody has.
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

#[tokio::test]
async fn the_service_has_a_code_for_an_unknown_workspace() {
    let vouch = with_old_events();
    let (_service, admin) = start(&vouch);
    let mut client = client(&admin).await;
    let acne = || "acne".to_owned();
    let settings = client.get_settings(GetSettingsRequest { workspace: acne() });
    let mut refused = vec![settings.await.unwrap_err()];
    let holds = client.list_holds(ListHoldsRequest { workspace: acne() });
    refused.push(holds.await.unwrap_err());
    let mut hold = PlaceHoldRequest {
        workspace: acne(),
        ..place(Some(first_day()))
    };
    refused.push(client.place_hold(hold.clone()).await.unwrap_err());
    let mut retention = SetRetentionRequest {
        workspace: acne(),
        retention: "1y".to_owned(),
        by: "ops".to_owned(),
        create: false,
    };
    refused.push(client.set_retention(retention.clone()).await.unwrap_err());
    for status in refused {
        let code = error_info(&status).code;
        assert_eq!(
            (status.code(), code.as_str()),
            (Code::NotFound, "unknown_workspace")
        );
    }
    hold.create = true;
    client.place_hold(hold).await.unwrap();
    retention.create = true;
    client.set_retention(retention).await.unwrap();
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

/// Whoever can send events sees what is set and changes nothing.
#[tokio::test]
async fn other_ports_change_nothing() {
    let vouch = with_old_events();
    let service = Service::start(&vouch);
    let mut client = client(&service.address).await;
    let refusals = [
        client
            .set_retention(SetRetentionRequest {
                workspace: acme(),
                retention: "90d".to_owned(),
                by: "ops".to_owned(),
                create: false,
            })
            .await
            .unwrap_err(),
        client
            .place_hold(place(Some(first_day())))
            .await
            .unwrap_err(),
        client
            .release_hold(ReleaseHoldRequest {
                workspace: acme(),
                name: "day".to_owned(),
                by: "legal".to_owned(),
            })
            .await
            .unwrap_err(),
        client
            .run_retention(RunRetentionRequest {
                workspace: acme(),
                dry_run: false,
                confirm: false,
            })
            .await
            .unwrap_err(),
        client
            .undo_retention(UndoRetentionRequest {
                workspace: acme(),
                version: None,
                by: "ops".to_owned(),
                dry_run: false,
            })
            .await
            .unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(
            (refused.code(), error_info(&refused).code.as_str()),
            (Code::PermissionDenied, "read_only_port")
        );
        assert!(refused.message().contains("--admin"), "{refused}");
    }
    let request = GetSettingsRequest { workspace: acme() };
    let settings = client.get_settings(request).await.unwrap().into_inner();
    assert!(!settings.settings.unwrap().retention_is_set);
    let request = RunRetentionRequest {
        workspace: acme(),
        dry_run: true,
        confirm: false,
    };
    client.run_retention(request).await.unwrap();
    let options = ["--server", &service.address, "--workspace", "acme"];
    run(&vouch, &["retention", "run"], &options)
        .expect_status(1)
        .expect_error("vouch serve --admin");
    assert_eq!(old_events(&vouch), "4");
}
