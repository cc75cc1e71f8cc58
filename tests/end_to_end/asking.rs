//! Questions on the command line: answers, exit statuses, and what the other subcommands say.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::program::{ALL_OF_TIME, Vouch};

/// `vouch query` over `acme` and all of time.
fn query(question: &str) -> Vec<&str> {
    let mut arguments = vec!["query", "--workspace", "acme"];
    arguments.extend(ALL_OF_TIME);
    arguments.push(question);
    arguments
}

#[test]
fn an_answer_goes_to_standard_output_and_what_is_said_about_it_beside() {
    let vouch = Vouch::with_events();
    let done = vouch
        .run(&query("TAE::audit:(df_title) LIMIT 2"))
        .expect_status(0);
    let done = done
        .expect_output("From the future")
        .expect_error("warning[limit_reached]")
        .expect_error("2 rows, at least 3 events matched in [2026-10-01T00:00:00.000Z, 2026-11-21T00:00:00.000Z)");
    assert!(!done.text().contains("warning"));
}

#[test]
fn a_service_has_an_address_and_no_store_beside_it() {
    let vouch = Vouch::new();
    let no_port = [
        "query",
        "--workspace",
        "a",
        "--server",
        "nonsense",
        "TAE::x",
    ];
    vouch
        .run(&no_port)
        .expect_status(2)
        .expect_error("it has no port");
    let both = ["query", "--store", "s", "--server", "localhost:1", "TAE::x"];
    vouch
        .run(&both)
        .expect_status(2)
        .expect_error("cannot be used with");
}

#[test]
fn pages_on_the_command_line_join_to_the_whole() {
    let vouch = Vouch::with_events();
    let question = "TAE::audit:(df_event_id) ORDER BY df_title LIMIT 7";
    let mut ids = Vec::new();
    let mut place = "[]".to_owned();
    loop {
        let answer = vouch.json_with(&["--workspace", "*", "--search-after", &place], question);
        let answer = &answer["content"][0];
        let Some(rows) = answer["series"][0]["values"].as_array() else {
            break;
        };
        ids.extend(rows.iter().map(|row| row[1].to_string()));
        place = answer["search_after"].to_string();
    }
    let whole = vouch.json("TAE::audit:(df_event_id) ORDER BY df_title");
    let rows = whole["content"][0]["series"][0]["values"].as_array();
    let whole: Vec<String> = rows.unwrap().iter().map(|row| row[1].to_string()).collect();
    assert_eq!(ids, whole);
}

/// What the log tells of a file is not read from the file: the answers are the same when the files are gone. Whatever
/// else is asked names the file that is missing.
#[test]
fn counts_that_the_log_has_read_no_file() {
    let vouch = Vouch::new();
    let event = |day: u32, id: u32, source: &str, status: &str| {
        format!(
            r#"{{"date":"2026-11-{day}T10:00:0{id}Z","df_event_id":"{day}-{id}","df_workspace":"acme","df_source":"{source}","df_status":"{status}","df_title":"Login"}}"#
        )
    };
    let events = [
        event(12, 1, "audit", "info"),
        event(12, 2, "audit", "error"),
        event(12, 3, "audit", "info"),
        event(13, 1, "login", "info"),
        event(13, 2, "login", "info"),
    ];
    vouch.write("events.ndjson", events.join("\n"));
    vouch.run(&["import", "events.ndjson"]).expect_status(0);
    let of_log = [
        "TAE::audit:(count(*))",
        "TAE::login:(count(*))",
        "TAE::nothing:(count(*))",
        "TAE::*:(count(*))",
        "TAE::*:(count(*)) BY df_source",
        "TAE::*:(count(*)) {df_source != 'login'}",
        "TAE::*:(count(*)) {df_title = 'Login', df_source = 'login'} BY df_title",
        "TAE::login:(count(df_status), count_distinct(df_title)) BY df_workspace",
        "TAE::audit:(df_title) {df_title = 'Logout'}",
    ];
    let answers: Vec<Value> = of_log.iter().map(|query| vouch.json(query)).collect();
    assert_eq!(vouch.number(of_log[0]), 3);
    assert_eq!(vouch.number(of_log[1]), 2);

    let table = vouch.path("vouch-data/workspace=acme");
    for day in ["day=2026-11-12", "day=2026-11-13"] {
        std::fs::remove_dir_all(table.join(day)).unwrap();
    }
    for (query, answer) in of_log.iter().zip(answers) {
        assert_eq!(vouch.json(query), answer, "{query}");
    }
    for query in [
        "TAE::audit:(count(*)) {df_status = 'error'}",
        "TAE::audit:(count(*)) BY df_status",
        "TAE::login:(max(date))",
        "TAE::login",
    ] {
        let mut all = vec!["query"];
        all.extend(ALL_OF_TIME);
        all.push(query);
        vouch.run(&all).expect_error(".parquet");
    }
}

#[test]
fn a_wrong_command_line_is_told_from_a_wrong_question() {
    let vouch = Vouch::with_events();
    for usage in [
        "query",
        "qurey",
        "query --format xml TAE::audit",
        "query --workspace a/b TAE::audit",
        "query TAE::audit:(count(*))",
        "query --store https://example.test/ TAE::audit",
        "query --workspace a --server nonsense TAE::audit",
        "query --store s --server localhost:1 TAE::audit",
        "query --from 5 --to 4 --workspace acme TAE::audit",
    ] {
        let arguments: Vec<&str> = usage.split(' ').collect();
        vouch.run(&arguments).expect_status(2);
    }
}

#[test]
fn functions_over_results_are_explained_and_exported() {
    let vouch = Vouch::with_events();
    let text = "cumsum(\"TAE::audit:(count(*) AS n) [2d::1d]\").max()";
    for stage in ["bound", "logical", "physical"] {
        let mut arguments = query(text);
        arguments[0] = "explain";
        arguments.extend(["--stage", stage]);
        vouch
            .run(&arguments)
            .expect_status(0)
            .expect_output("function max\n    function cumsum\n        ");
    }
    let mut arguments = query("show_event_field()");
    arguments.extend(["--format", "csv"]);
    vouch
        .run(&arguments)
        .expect_status(0)
        .expect_output("time,fieldKey,fieldType\n");
}

#[test]
fn the_exit_status_says_who_is_to_change_something() {
    let vouch = Vouch::with_events();
    let wrong_question = [
        ("TAE::audit:(cuont(*))", "hint: did you mean `count`?"),
        ("TAE::audit:(count(*)", "error[parse_error]"),
        ("L::nginx:(count(*))", "this store holds audit events"),
        ("TAE::audit:(df_title) LIMIT 10001", "limit_too_large"),
    ];
    for (question, said) in wrong_question {
        vouch
            .run(&query(question))
            .expect_status(1)
            .expect_error(said);
    }
    let unknown = ["query", "--workspace", "acne", "TAE::audit:(count(*))"];
    vouch
        .run(&unknown)
        .expect_status(1)
        .expect_error("did you mean `acme`?");
    let unreachable = [
        "query",
        "--server",
        "127.0.0.1:1",
        "--workspace",
        "acme",
        "TAE::audit",
    ];
    vouch
        .run(&unreachable)
        .expect_status(3)
        .expect_error("check the address");
    // What the store lost is not answered around.
    for entry in std::fs::read_dir(vouch.path("vouch-data/workspace=acme/day=2026-11-20")).unwrap()
    {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    vouch
        .run(&query("TAE::audit:(count(df_title))"))
        .expect_status(3)
        .expect_error("names a file that is missing");
}

#[test]
fn a_failed_answer_leaves_no_file() {
    let vouch = Vouch::with_events();
    vouch.write("answer.csv", "old");
    let mut arguments = query("TAE::audit:(cuont(*))");
    arguments.splice(1..1, ["--format", "csv", "-o", "answer.csv"]);
    vouch.run(&arguments).expect_status(1);
    assert_eq!(std::fs::read(vouch.path("answer.csv")).unwrap(), b"old");
}

#[test]
fn a_store_with_one_workspace_needs_no_choice() {
    let vouch = Vouch::new();
    let question = ["query", "TAE::audit:(count(*)) [1d]"];
    vouch
        .run(&question)
        .expect_status(2)
        .expect_error("vouch init");
    vouch
        .run_with_input(
            &["import", "-"],
            b"{\"date\": 1795176000000, \"df_workspace\": \"acme\"}\n",
        )
        .expect_status(0);
    vouch
        .run(&question)
        .expect_status(0)
        .expect_error("workspace acme, the only one in this store");
}

#[test]
fn a_question_can_come_from_standard_input() {
    let vouch = Vouch::with_events();
    let done = vouch
        .run_with_input(&query("-"), b"TAE::audit:(count(*)) # all\n")
        .expect_status(0);
    done.expect_output("27");
}

#[test]
fn a_reader_may_stop_early() {
    let vouch = Vouch::new();
    let generated = vouch.run(&["generate"]).expect_status(0).stdout;
    vouch
        .run_with_input(&["import", "-"], &generated)
        .expect_status(0);
    // More than a pipe takes, so that writing goes on when nobody reads any more.
    let question = "TAE::*:(*) [2026-11-01:2026-11-21]";
    let mut child = vouch
        .command(&["query", "--workspace", "*", "--format", "csv", question])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("time,df_date_range,"), "{line}");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn check_prints_the_canonical_form_or_what_is_wrong() {
    let vouch = Vouch::new();
    let done = vouch
        .run(&["check", "e::audit:count(`*`) [ 1d ] by `df_title` limit 5"])
        .expect_status(0);
    assert_eq!(
        done.text(),
        "e::audit:(count(*)) [1d] BY df_title LIMIT 5\n"
    );
    let again = vouch.run(&["check", done.text().trim()]).expect_status(0);
    assert_eq!(again.text(), done.text());
    vouch
        .run(&["check", "L::nginx:(count(*))"])
        .expect_status(0);
    vouch
        .run(&["check", "TAE::audit:(cuont(*))"])
        .expect_status(1)
        .expect_error("did you mean `count`?");
    vouch
        .run_with_input(&["check", "-"], b"TAE::audit:(")
        .expect_status(1)
        .expect_error("error[parse_error]");
}

#[test]
fn explain_shows_every_stage_without_running() {
    let vouch = Vouch::with_events();
    let explain = |stage: &str| {
        let mut arguments = query("TAE::audit:(count(*)) {country = 'DE'} BY df_title");
        arguments[0] = "explain";
        arguments.splice(1..1, ["--stage", stage]);
        vouch.run(&arguments).expect_status(0).text()
    };
    assert!(explain("ast").contains("Select"));
    let bound = explain("bound");
    assert!(
        bound.contains("window   [1790812800000, 1795219200000) ms"),
        "{bound}"
    );
    assert!(explain("logical").contains("Aggregate"));
    let physical = explain("physical");
    assert!(
        physical.contains("AggregateScanExec") && physical.contains("\nreads 8 files, at most "),
        "{physical}"
    );
    let mut one_day = query("TAE::audit:(count(*)) [2026-11-20:2026-11-21]");
    one_day.splice(3..7, []);
    one_day[0] = "explain";
    vouch
        .run(&one_day)
        .expect_status(0)
        .expect_output("reads 1 file, ");
    vouch
        .run(&["explain", "--stage", "ast", "TAE::audit:(cuont(*))"])
        .expect_status(1);
}

#[test]
fn explain_analyze_runs_the_query_and_shows_metrics() {
    let vouch = Vouch::with_events();
    let mut arguments = query("TAE::audit:(count(*)) {no_such_field = 'DE'} BY df_title");
    arguments[0] = "explain";
    arguments.insert(1, "--analyze");
    let analyzed = vouch.run(&arguments).expect_status(0).text();
    for expected in [
        "AggregateScanExec: ",
        "metrics=[output_rows=0, ",
        "files_pruned_date=8 total → 8 matched",
        "column_cache_misses=",
        "bytes_scanned=",
        "\nnote     `no_such_field` present: 0 of ",
        "\nreads 8 files, at most ",
    ] {
        assert!(analyzed.contains(expected), "{expected}: {analyzed}");
    }
    arguments.splice(1..1, ["--stage", "bound"]);
    vouch.run(&arguments).expect_status(2);
}

#[test]
fn stats_count_what_each_workspace_holds() {
    let vouch = Vouch::with_events();
    let done = vouch.run(&["stats", "--format", "json"]).expect_status(0);
    let stats: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let held = |index: usize| {
        let one = &stats[index];
        (
            one["workspace"].as_str(),
            one["events"].as_u64(),
            one["first_date"].as_i64(),
            one["last_date"].as_i64(),
        )
    };
    assert_eq!(
        held(0),
        (
            Some("acme"),
            Some(27),
            Some(1_790_845_200_000),
            Some(1_795_177_800_000)
        )
    );
    assert_eq!(
        held(1),
        (
            Some("beta"),
            Some(14),
            Some(1_792_022_400_000),
            Some(1_795_172_400_000)
        )
    );
    vouch
        .run(&["stats"])
        .expect_status(0)
        .expect_output("2026-11-20T12:30:00.000Z");
}

#[test]
fn verify_names_what_is_wrong_and_goes_on() {
    let vouch = Vouch::with_events();
    vouch
        .run(&["verify"])
        .expect_status(0)
        .expect_output("workspace acme: whole; version 1, 8 files, 27 events")
        .expect_output("workspace beta: whole");
    let log = "vouch-data/workspace=acme/_delta_log/00000000000000000001.json";
    vouch.write(log, "{");
    vouch
        .run(&["verify"])
        .expect_status(3)
        .expect_output("workspace acme: its log cannot be read: ")
        .expect_output("workspace beta: whole")
        .expect_error("1 workspace damaged");
    vouch
        .run(&["verify", "--workspace", "beta"])
        .expect_status(0);
    vouch
        .run(&["verify", "--workspace", "nobody"])
        .expect_status(1);
}

#[test]
fn generated_events_depend_on_the_seed_alone() {
    let vouch = Vouch::new();
    let generate = |seed: &str| {
        let arguments = ["generate", "--seed", seed, "--events", "200"];
        vouch.run(&arguments).expect_status(0).stdout
    };
    let first = generate("7");
    assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 200);
    assert!(first == generate("7") && first != generate("8"));
    vouch
        .run_with_input(&["import", "-"], &first)
        .expect_status(0)
        .expect_output("200 read, 200 stored");
}

#[test]
fn the_demo_answers_four_questions_and_leaves_nothing() {
    let vouch = Vouch::new();
    let done = vouch.run(&["demo"]).expect_status(0);
    let text = done.text();
    assert_eq!(
        text.matches("    vouch query --workspace '*' \"TAE::")
            .count(),
        4,
        "{text}"
    );
    assert_eq!(text.matches(" matched in [").count(), 4, "{text}");
    assert!(
        !text.contains("\n0 rows") && !text.contains("warning[unknown_field]"),
        "{text}"
    );
    assert_eq!(std::fs::read_dir(vouch.path("")).unwrap().count(), 0);
}
