//! Holds and retention runs that meet, in every order that there is.

use std::sync::atomic::AtomicUsize;

use futures::future::BoxFuture;

use super::*;

pub(super) type Action = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A hook that runs `action` once, before the listing or writing request with this number.
pub(super) fn before_request(number: usize, action: Action) -> (Hook, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let hook: Hook = Arc::new(move |request| {
        // What is read never changes, so it does not matter when.
        let is_due = request != Request::Get && counted.fetch_add(1, Ordering::SeqCst) == number;
        let action = Arc::clone(&action);
        Box::pin(async move {
            if is_due {
                action().await;
            }
            Ok(())
        })
    });
    (hook, requests)
}

/// A store with events of two users on days 0 to 2 and a retention that is over for days 0 and 1.
async fn prepared() -> (Root, Time) {
    let root = Root::in_memory();
    let time = Time::at(DAY_START_MS + 32 * DAY_MS);
    let store = time.open(&root);
    let users = [("a", "Amara"), ("z", "Zoë")];
    let events =
        (0..3).flat_map(|day| users.map(|(id, user)| of_user(day, &format!("{id}{day}"), user)));
    import(&store, events).await;
    set(&store, "30d").await;
    (root, time)
}

fn holds() -> [NewHold; 4] {
    [
        hold("all", TimeRange::ALL, None),
        hold("zoë", TimeRange::ALL, Some("Zoë")),
        hold("a day", days(1, 2), None),
        hold("later", days(2, 9), None),
    ]
}

/// The ids that a hold keeps when it was there before the retention run.
fn kept_by(hold: &NewHold) -> Vec<&'static str> {
    match hold.name.as_str() {
        "all" => vec!["a0", "a1", "a2", "z0", "z1", "z2"],
        "zoë" => vec!["a2", "z0", "z1", "z2"],
        "a day" => vec!["a1", "a2", "z1", "z2"],
        _ => vec!["a2", "z2"],
    }
}

#[tokio::test]
async fn a_hold_placed_while_a_run_goes_on_wins() {
    let (prepared, time) = prepared().await;
    for hold in holds() {
        for number in 0.. {
            let root = prepared.copy().await;
            let other = time.open(&root);
            let placed = hold.clone();
            let action: Action = Arc::new(move || {
                let (other, placed) = (other.clone(), placed.clone());
                Box::pin(async move {
                    other.place_hold(&workspace("w"), placed).await.unwrap();
                })
            });
            let (hook, requests) = before_request(number, action);
            let store = time.open_hooked(&root, hook);
            let expiry = expire(&store).await;
            if requests.load(Ordering::SeqCst) <= number {
                assert!(number > 5, "all requests of a run were tried");
                break;
            }
            let ids = given_ids(&root.open()).await;
            let settings = root.open().settings(&workspace("w")).await.unwrap();
            assert_eq!(settings.holds.len(), 1);
            // The hold was placed before the run's commit: at every request but those that follow it.
            let dropped_first = expiry.dropped.events == 4 && hold.name != "later";
            let expected = if dropped_first {
                vec!["a2", "z2"]
            } else {
                kept_by(&hold)
            };
            assert_eq!(ids, expected, "{} before request {number}", hold.name);
            if dropped_first {
                let before = settings.holds[0].placed_at;
                assert!(settings.dropped_before.is_some(), "{before}");
            }
            assert_whole(&root.open(), "w").await;
        }
    }
}

#[tokio::test]
async fn a_run_that_comes_while_a_hold_is_placed_is_found() {
    let (prepared, time) = prepared().await;
    for hold in holds() {
        let mut outcomes = [0, 0, 0];
        for number in 0.. {
            let root = prepared.copy().await;
            let other = time.open(&root);
            let action: Action = Arc::new(move || {
                let other = other.clone();
                Box::pin(async move {
                    expire(&other).await;
                })
            });
            let (hook, requests) = before_request(number, action);
            let store = time.open_hooked(&root, hook);
            let placed = store.place_hold(&workspace("w"), hold.clone()).await;
            if requests.load(Ordering::SeqCst) <= number {
                break;
            }
            let ids = given_ids(&root.open()).await;
            let settings = root.open().settings(&workspace("w")).await.unwrap();
            let is_kept = ids == kept_by(&hold);
            match placed {
                Err(SettingsError::HoldTooLate { events, .. }) => {
                    outcomes[0] += 1;
                    assert!(!is_kept && settings.holds.is_empty());
                    assert_eq!(events as usize, kept_by(&hold).len() - 2);
                    let again = store
                        .place_hold(&workspace("w"), hold.clone())
                        .await
                        .unwrap();
                    assert!(
                        again.dropped_before.is_some(),
                        "the next time it is told what is gone"
                    );
                }
                Ok(placed) if !is_kept => {
                    outcomes[1] += 1;
                    assert!(
                        placed.dropped_before.is_some(),
                        "dropped before the first look"
                    );
                }
                Ok(placed) => {
                    outcomes[2] += 1;
                    assert_eq!(settings.holds, [placed.hold]);
                }
                Err(error) => panic!("{error}"),
            }
            assert_whole(&root.open(), "w").await;
        }
        let [too_late, told, kept] = outcomes;
        if hold.name == "later" {
            assert!(too_late == 0 && told == 0 && kept > 0, "{outcomes:?}");
        } else {
            assert!(too_late > 0 && told > 0, "{outcomes:?}");
        }
    }
}

#[tokio::test]
async fn imports_releases_and_other_runs_meet_a_run() {
    let (prepared, time) = prepared().await;
    let zoe = hold("zoë", TimeRange::ALL, Some("Zoë"));
    let store = time.open(&prepared);
    store.place_hold(&workspace("w"), zoe).await.unwrap();
    for which in 0..3 {
        for number in 0.. {
            let root = prepared.copy().await;
            let other = time.open(&root);
            let id = workspace("w");
            let action: Action = Arc::new(move || {
                let other = other.clone();
                Box::pin(async move {
                    match which {
                        0 => {
                            import(&other, [of_user(0, "b0", "Zoë"), of_user(1, "c1", "Amara")])
                                .await;
                        }
                        1 => {
                            other
                                .release_hold(&workspace("w"), "zoë", "legal")
                                .await
                                .unwrap();
                        }
                        _ => {
                            expire(&other).await;
                        }
                    }
                })
            });
            let (hook, requests) = before_request(number, action);
            let store = time.open_hooked(&root, hook);
            store.expire(&id, RetentionMode::Confirmed).await.unwrap();
            if requests.load(Ordering::SeqCst) <= number {
                break;
            }
            // A run afterwards finds what came too late for this one.
            expire(&time.open(&root)).await;
            let expected: &[&str] = match which {
                0 => &["a2", "b0", "z0", "z1", "z2"],
                1 => &["a2", "z2"],
                _ => &["a2", "z0", "z1", "z2"],
            };
            assert_eq!(
                given_ids(&root.open()).await,
                expected,
                "{which} before request {number}"
            );
            assert_whole(&root.open(), "w").await;
            let found = store.verify(&id).await.unwrap().unwrap();
            let removed = 2 + 2 * usize::from(which == 1) + usize::from(which == 0);
            assert!(
                found.unnamed_files <= removed + 2,
                "what was written in vain is deleted"
            );
        }
    }
}
