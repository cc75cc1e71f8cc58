//! Retention and legal holds, on the command line and through the service.

use server::proto::workspace_service_client::WorkspaceServiceClient;
use server::proto::{
    GetSettingsRequest, HeldEvents, ListHoldsRequest, PlaceHoldRequest, ReleaseHoldRequest,
    RetentionOutcome, RunRetentionRequest, SetRetentionRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::program::Vouch;
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

#[test]
fn the_command_line_keeps_drops_and_holds() {
    let vouch = with_old_events();
    let acme = ["--workspace", "acme", "--by", "legal"];
    let run = |words: &[&str], options: &[&str]| vouch.run(&[words, options].concat());
    run(&["retention", "run"], &[])
        .expect_status(0)
        .expect_output("would drop 4 events of 2 days (2020-01-03 to 2020-01-04)");
    assert_eq!(old_events(&vouch), "4");
    run(
        &[
            "hold",
            "place",
            "case 4711",
            "--reason",
            "court order",
            "--user",
            "zoë",
        ],
        &acme,
    )
    .expect_status(0)
    .expect_output("placed hold `case 4711` on events of zoë: court order\n");
    run(
        &["hold", "place", "case 4711", "--reason", "another", "--all"],
        &acme,
    )
    .expect_status(1)
    .expect_error("another hold is called `case 4711`");
    run(&["hold", "place", "nothing", "--reason", "r"], &acme)
        .expect_status(2)
        .expect_error("say what to hold");
    run(&["retention", "set", "1y"], &acme)
        .expect_status(0)
        .expect_output("next run: would drop 2 events of 2 days (2020-01-03 to 2020-01-04), ")
        .expect_output("held: 2 older events, by case 4711 (2)");
    run(&["retention", "set", "5d"], &acme)
        .expect_status(2)
        .expect_error("too short");
    run(&["retention", "run", "--dry-run"], &[])
        .expect_status(0)
        .expect_output("would drop 2 events");
    assert_eq!(old_events(&vouch), "4");
    run(&["retention", "run", "--workspace", "acme"], &[])
        .expect_status(0)
        .expect_output("workspace acme: dropped 2 events");
    assert_eq!(old_events(&vouch), "2");
    run(&["retention", "show"], &[])
        .expect_status(0)
        .expect_output("workspace acme: events are kept 1y; 1 hold\n  dropped so far: days before ")
        .expect_output("hold `case 4711` on events of zoë");
    run(&["hold", "release", "case 4712"], &acme)
        .expect_status(1)
        .expect_error("no hold is called `case 4712`; there are `case 4711`");
    run(&["hold", "release", "case 4711"], &acme).expect_status(0);
    run(&["hold", "list", "--workspace", "acme"], &[])
        .expect_status(0)
        .expect_output("has no holds");
    run(&["retention", "run"], &[]).expect_status(0);
    assert_eq!(old_events(&vouch), "0");
    run(&["verify"], &[]).expect_status(0);
    let question =
        "TAE::audit:(df_message) {action = 'retention.expired' AND `dropped.events` = 2} [1d]";
    let receipts = run(
        &["query", "--workspace", "acme", "--format", "csv", question],
        &[],
    );
    let receipts = receipts.expect_status(0).text();
    assert_eq!(receipts.lines().count(), 3, "{receipts}");
    assert!(
        receipts.contains("kept by the holds `case 4711`"),
        "{receipts}"
    );
}

#[tokio::test]
async fn the_service_keeps_drops_and_holds() {
    let vouch = with_old_events();
    let service = Service::start(&vouch);
    let channel = Channel::from_shared(format!("http://{}", service.address)).unwrap();
    let mut client = WorkspaceServiceClient::new(channel.connect().await.unwrap());
    let workspace = || "acme".to_owned();
    let settings = client
        .get_settings(GetSettingsRequest {
            workspace: workspace(),
        })
        .await;
    let settings = settings.unwrap().into_inner().settings.unwrap();
    assert_eq!(
        (settings.retention.as_str(), settings.retention_is_set),
        ("2y", false)
    );
    assert!(settings.older_events && settings.dropped_before.is_empty());

    let place = |events| PlaceHoldRequest {
        workspace: workspace(),
        name: "day".to_owned(),
        reason: "audit".to_owned(),
        by: "legal".to_owned(),
        events,
    };
    let refused = client.place_hold(place(None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(error_info(&refused).code, "invalid_request");
    let day = HeldEvents {
        from_ms: Some(1_578_009_600_000),
        to_ms: Some(1_578_096_000_000),
        user: None,
    };
    let placed = client
        .place_hold(place(Some(day.clone())))
        .await
        .unwrap()
        .into_inner();
    assert!(!placed.stood_already && placed.dropped_before.is_empty());
    let again = client
        .place_hold(place(Some(day)))
        .await
        .unwrap()
        .into_inner();
    assert!(again.stood_already);
    let other = client
        .place_hold(place(Some(HeldEvents::default())))
        .await
        .unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert_eq!(error_info(&other).code, "hold_exists");

    let set = |retention: &str| SetRetentionRequest {
        workspace: workspace(),
        retention: retention.to_owned(),
        by: "ops".to_owned(),
    };
    let refused = client.set_retention(set("3 moons")).await.unwrap_err();
    assert_eq!(error_info(&refused).code, "invalid_setting");
    let answer = client.set_retention(set("90d")).await.unwrap().into_inner();
    let next_run = answer.next_run.unwrap();
    assert_eq!(next_run.outcome(), RetentionOutcome::DryRun);
    assert_eq!((next_run.dropped_events, next_run.held_events), (2, 2));
    let run = RunRetentionRequest {
        workspace: workspace(),
        dry_run: false,
    };
    let run = client
        .run_retention(run)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(run.outcome(), RetentionOutcome::Dropped);
    assert_eq!(run.dropped_days[0].first, "2020-01-04");
    assert_eq!(old_events(&vouch), "2");

    let options = ["--server", &service.address, "--workspace", "acme"];
    let run = |words: &[&str]| vouch.run(&[words, options.as_slice()].concat());
    run(&["retention", "show"])
        .expect_status(0)
        .expect_output("events are kept 90d; 1 hold");
    run(&["retention", "set", "7y", "--by", "ops"])
        .expect_status(0)
        .expect_output("nothing to drop that is older than 7y");
    run(&[
        "hold",
        "place",
        "x",
        "--reason",
        "r",
        "--by",
        "b",
        "--to",
        "2021-01-01T00:00:00Z",
    ])
    .expect_status(0)
    .expect_output("were dropped before it was placed");
    run(&["hold", "release", "x", "--by", "b"]).expect_status(0);
    run(&["hold", "release", "x", "--by", "b"])
        .expect_status(1)
        .expect_error("no hold is called `x`");
    run(&["hold", "list"])
        .expect_status(0)
        .expect_output("hold `day` on all events in [");
    run(&["retention", "run"]).expect_status(0);
    vouch
        .run(&["retention", "run", "--server", &service.address])
        .expect_status(2);

    let release = ReleaseHoldRequest {
        workspace: workspace(),
        name: "day".to_owned(),
        by: "legal".to_owned(),
    };
    client.release_hold(release.clone()).await.unwrap();
    let gone = client.release_hold(release).await.unwrap_err();
    assert_eq!(
        (gone.code(), error_info(&gone).code.as_str()),
        (Code::NotFound, "unknown_hold")
    );
    let holds = client
        .list_holds(ListHoldsRequest {
            workspace: workspace(),
        })
        .await;
    assert_eq!(holds.unwrap().into_inner().holds, []);
}
