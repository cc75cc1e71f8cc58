//! The methods of the workspace service.

use api::proto::workspace_service_client::WorkspaceServiceClient;
use api::proto::{
    GetSettingsRequest, HeldEvents, ListHoldsRequest, PlaceHoldRequest, ReleaseHoldRequest,
    RetentionOutcome, RunRetentionRequest, SetRetentionRequest, UndoRetentionRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use super::{old_events, run, start, with_old_events};
use crate::service::{Service, error_info};

async fn client(address: &str) -> WorkspaceServiceClient<Channel> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    WorkspaceServiceClient::new(channel.connect().await.unwrap())
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

/// A client of the other ports reads settings and cannot change them.
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
