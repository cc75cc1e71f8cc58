//! Files into a store: what is taken, what is refused, and that nothing is lost or stored twice.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::program::{ALL_OF_TIME, Vouch, events};
use crate::service::Service;

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bad_lines_are_refused_with_their_reason_and_the_rest_is_stored() {
    let vouch = Vouch::new();
    let mut lines: Vec<String> = events().lines().take(3).map(str::to_owned).collect();
    lines.insert(1, "{\"df_title\": \"cut of".to_owned());
    lines.push("no JSON at all".to_owned());
    lines.push("{\"df_title\": \"no date\", \"df_workspace\": \"acme\"}".to_owned());
    lines.push("{\"date\": \"yesterday\", \"df_workspace\": \"acme\"}".to_owned());
    lines.push("{\"date\": 1795176000000}".to_owned());
    lines.push("{\"date\": 1795176000000, \"df_workspace\": \"../acme\"}".to_owned());
    vouch.write("events.ndjson", lines.join("\n"));
    let done = vouch.run(&["import", "events.ndjson"]).expect_status(1);
    let report = done
        .expect_output("events.ndjson: 3 events read, 6 refused\n")
        .expect_output("line 2: malformed_json: ")
        .expect_output("line 5: malformed_json: ")
        .expect_output("line 6: missing_date: ")
        .expect_output("line 7: invalid_date: ")
        .expect_output("line 8: missing_workspace: ")
        .expect_output("line 9: invalid_workspace: ")
        .expect_output("total: 3 read, 3 stored, 0 repeated, 6 refused\n");
    assert!(report.stderr.is_empty(), "{}", report.stderr);
    assert_eq!(vouch.number("TAE::*:(count(*))"), 3);
}

#[test]
fn only_the_first_ten_refusals_are_told_and_all_are_counted() {
    let vouch = Vouch::new();
    vouch.write("events.ndjson", "x\n".repeat(25));
    let done = vouch.run(&["import", "events.ndjson"]).expect_status(1);
    let done = done.expect_output("0 events read, 25 refused");
    assert_eq!(done.text().matches("malformed_json").count(), 10);
}

#[test]
fn importing_again_stores_nothing_again() {
    let vouch = Vouch::new();
    // Without ids: they follow from the file's content and the line.
    let without_ids = "{\"date\": 1795176000000, \"df_title\": \"a\"}\n".repeat(3);
    vouch.write("events.ndjson", events());
    vouch.write("plain.ndjson", &without_ids);
    let import = ["import", "--workspace", "acme", "plain.ndjson"];
    vouch.run(&["import", "events.ndjson"]).expect_status(0);
    vouch
        .run(&import)
        .expect_status(0)
        .expect_output("3 stored, 0 repeated");
    let version = |vouch: &Vouch| vouch.run(&["stats", "--format", "json"]).text();
    let before = version(&vouch);
    let again = vouch.run(&["import", "events.ndjson"]).expect_status(0);
    again.expect_output("total: 41 read, 0 stored, 41 repeated, 0 refused");
    vouch
        .run(&import)
        .expect_status(0)
        .expect_output("0 stored, 3 repeated");
    // In other clothes, and together with new events.
    let more = format!(
        "{}{{\"date\": 1795176000000, \"df_workspace\": \"acme\", \"df_event_id\": \"new\"}}\n",
        events()
    );
    vouch.write("packed.gz", gzip(&events()));
    vouch
        .run(&["import", "packed.gz"])
        .expect_status(0)
        .expect_output("0 stored, 41 repeated");
    assert_eq!(version(&vouch), before);
    vouch.write("more.ndjson", more);
    vouch
        .run(&["import", "more.ndjson", "more.ndjson"])
        .expect_status(0)
        .expect_output("1 stored, 83 repeated");
    assert_eq!(vouch.number("TAE::*:(count(*))"), 45);
}

#[test]
fn every_format_gives_the_same_events() {
    // Event `a13` has an empty message, which CSV cannot tell from a missing one.
    let query = "TAE::*:(*) {df_event_id != 'a13'}";
    let vouch = Vouch::with_events();
    let expected = vouch.json(query);
    let mut inputs = vec!["events.gz".to_owned(), "events.zst".to_owned()];
    vouch.write("events.gz", gzip(&events()));
    vouch.write(
        "events.zst",
        zstd::encode_all(events().as_bytes(), 3).unwrap(),
    );
    for format in ["csv", "ndjson", "arrow", "parquet", "json"] {
        let file = format!("export.{format}");
        let mut arguments = vec!["query", "--workspace", "*", "--format", format, "-o", &file];
        arguments.extend(ALL_OF_TIME);
        arguments.push("TAE::*:(*)");
        vouch.run(&arguments).expect_status(0);
        let packed = format!("export.{format}.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder
            .write_all(&std::fs::read(vouch.path(&file)).unwrap())
            .unwrap();
        vouch.write(&packed, encoder.finish().unwrap());
        inputs.extend([file, packed]);
    }
    for input in inputs {
        let other = Vouch::new();
        let path = vouch.path(&input);
        let done = other.run(&["import", path.to_str().unwrap()]);
        let done = done.expect_status(0);
        done.expect_output("total: 41 read, 41 stored, 0 repeated, 0 refused");
        assert!(other.json(query) == expected, "{input}");
    }
}

#[test]
fn standard_input_is_a_file_too() {
    let vouch = Vouch::new();
    let done = vouch
        .run_with_input(&["import", "-"], &gzip(&events()))
        .expect_status(0);
    done.expect_output("standard input: 41 events read, 0 refused");
    assert_eq!(vouch.number("TAE::*:(count(*))"), 41);
}

#[test]
fn a_compressed_file_that_was_cut_off_is_read_as_far_as_it_goes_and_named() {
    let vouch = Vouch::new();
    let whole = gzip(&events());
    vouch.write("cut.ndjson.gz", &whole[..whole.len() / 2]);
    let packed = zstd::encode_all(events().as_bytes(), 3).unwrap();
    vouch.write("cut.ndjson.zst", &packed[..packed.len() / 2]);
    for file in ["cut.ndjson.gz", "cut.ndjson.zst"] {
        let done = vouch.run(&["import", file]).expect_status(1);
        done.expect_output(&format!("failed: {file} is cut off"));
    }
    let stored = vouch.run(&["stats", "--format", "json"]).text();
    vouch.write("whole.gz", whole);
    let done = vouch.run(&["import", "whole.gz"]).expect_status(0);
    let done = done.expect_output("total: 41 read, ");
    assert!(!stored.contains("\"events\":41") && !done.text().contains(" 0 repeated, 0 refused"));
    assert_eq!(vouch.number("TAE::*:(count(*))"), 41);
}

#[test]
fn a_wrong_file_is_named_for_what_it_is_and_the_others_are_stored() {
    let vouch = Vouch::new();
    vouch.write("image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    vouch.write("array.json", "[{\"date\": 1}, {\"date\": 2}]");
    vouch.write("events.ndjson", events());
    vouch.write("empty.ndjson", "");
    let files = [
        "import",
        "image.png",
        "array.json",
        "missing.ndjson",
        "events.ndjson",
        "empty.ndjson",
    ];
    vouch
        .run(&files)
        .expect_status(1)
        .expect_output("failed: image.png is a PNG image")
        .expect_output("failed: array.json holds a JSON array")
        .expect_output("failed: cannot open missing.ndjson")
        .expect_output("empty.ndjson: 0 events read, 0 refused")
        .expect_output("total: 41 read, 41 stored");
}

#[test]
fn mappings_are_shipped_or_written() {
    let vouch = Vouch::new();
    vouch.write("gateway.jq", "{date: ((.at | floor) * 1000), df_user_name: .who, df_title: .what, result: (if .ok then \"Success\" else \"Failure\" end)}\n");
    vouch.write(
        "gateway.ndjson",
        "{\"at\": 1795170000, \"who\": \"eve\", \"what\": \"open\", \"ok\": true, \"gate\": 7}\n\
         {\"at\": \"soon\", \"who\": \"mallory\", \"what\": \"open\", \"ok\": false}\n\
         {\"at\": 1795170060, \"who\": \"eve\", \"what\": \"close\", \"ok\": false}\n",
    );
    let import = [
        "import",
        "--mapping",
        "gateway.jq",
        "--workspace",
        "gates",
        "gateway.ndjson",
    ];
    vouch
        .run(&import)
        .expect_status(1)
        .expect_output("gateway.ndjson: 2 events read, 1 refused")
        .expect_output("line 2: mapping_failed: mapping `gateway.jq` failed on this record");
    let answer = vouch.json("TAE::audit:(df_user_name, df_title, result, gate, at)");
    let expected = serde_json::json!([
        [
            1_795_170_060_000_i64,
            "eve",
            "close",
            "Failure",
            null,
            1_795_170_060
        ],
        [
            1_795_170_000_000_i64,
            "eve",
            "open",
            "Success",
            7,
            1_795_170_000
        ]
    ]);
    assert_eq!(answer["content"][0]["series"][0]["values"], expected);

    vouch.write("trail.ndjson", "{\"eventTime\": \"2026-11-20T08:00:00Z\", \"eventID\": \"t1\", \"eventName\": \"PutObject\", \"eventSource\": \"s3.amazonaws.com\", \"recipientAccountId\": \"123456789012\", \"userIdentity\": {\"type\": \"IAMUser\", \"userName\": \"carol\"}}\n");
    vouch
        .run(&["import", "--mapping", "cloudtrail", "trail.ndjson"])
        .expect_status(0);
    let answer = vouch.json(
        "TAE::audit:(df_workspace, df_user_name, df_title, userIdentity.type) {df_event_id = 't1'}",
    );
    let expected = serde_json::json!([[
        1_795_161_600_000_i64,
        "123456789012",
        "carol",
        "PutObject",
        "IAMUser"
    ]]);
    assert_eq!(answer["content"][0]["series"][0]["values"], expected);
}

#[test]
fn a_wrong_mapping_stores_nothing() {
    let vouch = Vouch::new();
    vouch.write("events.ndjson", events());
    vouch.write("broken.jq", ".a |\n");
    vouch
        .run(&["import", "--mapping", "nope", "events.ndjson"])
        .expect_status(2)
        .expect_error("shipped are cloudtrail, kubernetes, okta");
    vouch
        .run(&["import", "--mapping", "broken.jq", "events.ndjson"])
        .expect_status(2)
        .expect_error("mapping `broken.jq`, line ");
    vouch
        .run(&["import", "--workspace", "no/name", "events.ndjson"])
        .expect_status(2);
    vouch
        .run(&["stats", "--format", "json"])
        .expect_status(2)
        .expect_error("there is no store");
}

#[test]
fn a_contradicting_workspace_refuses_the_event() {
    let vouch = Vouch::new();
    vouch.write("events.ndjson", events());
    let done = vouch
        .run(&["import", "--workspace", "acme", "events.ndjson"])
        .expect_status(1);
    done.expect_output("27 events read, 14 refused")
        .expect_output("line 28: workspace_contradiction: the event belongs to workspace `beta`");
    assert_eq!(vouch.number("TAE::*:(count(*))"), 27);
}

#[test]
fn one_huge_event_among_many_stops_nobody() {
    const HUGE_BYTES: usize = 5 << 20;
    let vouch = Vouch::new();
    let mut lines = String::new();
    for number in 0..10_000 {
        let message = if number == 5_000 {
            "x".repeat(HUGE_BYTES)
        } else {
            format!("event {number}")
        };
        let date_ms = 1_795_000_000_000_i64 + number;
        lines.push_str(&format!("{{\"date\": {date_ms}, \"df_event_id\": \"{number}\", \"df_workspace\": \"acme\", \"df_message\": \"{message}\"}}\n"));
    }
    vouch.write("events.ndjson", lines);
    vouch
        .run(&["import", "events.ndjson"])
        .expect_status(0)
        .expect_output("10000 read, 10000 stored");
    let answer = vouch.json("TAE::audit:(count(*), max(length(df_message)))");
    assert_eq!(
        answer["content"][0]["series"][0]["values"][0],
        serde_json::json!([null, 10_000, HUGE_BYTES])
    );
    let service = Service::start(&vouch);
    let server = ["--server", service.address.as_str()];
    for (format, server) in [("ndjson", &[][..]), ("parquet", &[]), ("ndjson", &server)] {
        let mut arguments = vec!["query", "--format", format, "-o", "export"];
        arguments.extend(["--workspace", "acme"]);
        arguments.extend(server);
        arguments.extend(ALL_OF_TIME);
        arguments.push("TAE::audit:(*)");
        vouch
            .run(&arguments)
            .expect_status(0)
            .expect_error("10000 rows, 10000 events matched");
        let other = Vouch::new();
        let path = vouch.path("export");
        other
            .run(&["import", path.to_str().unwrap()])
            .expect_status(0)
            .expect_output("10000 stored");
        assert_eq!(
            other.number("TAE::audit:(max(length(df_message)))"),
            HUGE_BYTES as i64
        );
    }
}

#[test]
fn a_text_that_is_no_csv_is_told_and_is_no_success() {
    let vouch = Vouch::new();
    let line = "userId=42, ip=10.0.0.1, msg=login failed\n";
    vouch.write("one.txt", line);
    vouch.write("two.csv", line.repeat(2));
    for file in ["one.txt", "two.csv"] {
        vouch
            .run(&["import", "--workspace", "w", file])
            .expect_status(1)
            .expect_output(&format!("failed: the header of {file} cannot be used: its first line has to name the columns, but none of `userId=42`, "))
            .expect_output("total: 0 read, 0 stored");
    }
    vouch.write("text.jq", "{date: .at}");
    let mapped = ["import", "--workspace", "w", "--mapping", "text.jq"];
    vouch
        .run(&[&mapped[..], &["two.csv"]].concat())
        .expect_status(1)
        .expect_output("0 events read, 1 refused")
        .expect_output("its first line was taken for the names of the columns: `userId=42`, ");
    vouch.write("header.csv", "date,df_title\n");
    vouch
        .run(&["import", "--workspace", "w", "header.csv"])
        .expect_status(1)
        .expect_output("failed: header.csv holds no records, so nothing was read");
}

#[test]
fn spreadsheets_are_named_and_their_exports_are_read() {
    let vouch = Vouch::new();
    vouch.write(
        "audit.xlsx",
        b"PK\x03\x04\x14\0\x06\0[Content_Types].xml\0xl/workbook.xml",
    );
    vouch
        .run(&["import", "--workspace", "w", "audit.xlsx"])
        .expect_status(1)
        .expect_output("audit.xlsx is an Excel workbook (XLSX); export each sheet as CSV first");
    vouch.write(
        "audit.csv",
        "date;df_user_name;df_message\n1795170000000;eve;\"a; b\"\n1795170000001;bob;x, y, z\n",
    );
    vouch.write("audit.tsv", "date\tdf_user_name\n1795170000002\tamy\n");
    vouch
        .run(&["import", "--workspace", "w", "audit.csv", "audit.tsv"])
        .expect_status(0)
        .expect_output("total: 3 read, 3 stored");
    let answer = vouch.json("TAE::audit:(df_message) {df_user_name IN ['eve', 'bob']}");
    let values = &answer["content"][0]["series"][0]["values"];
    let messages = [&values[0][1], &values[1][1]];
    assert_eq!(messages, ["x, y, z", "a; b"]);
}

#[test]
fn a_given_workspace_wins_over_what_a_shipped_mapping_finds() {
    let vouch = Vouch::new();
    vouch.write("audit.log", "{\"kind\": \"Event\", \"auditID\": \"k1\", \"stage\": \"ResponseComplete\", \"host\": {\"name\": \"master-1\"}, \"requestReceivedTimestamp\": \"2026-11-20T08:00:00Z\", \"verb\": \"get\", \"user\": {\"username\": \"eve\"}, \"objectRef\": {\"resource\": \"pods\"}}\n");
    vouch.write("trail.ndjson", "{\"eventTime\": \"2026-11-20T08:00:00Z\", \"eventID\": \"t1\", \"eventName\": \"PutObject\", \"eventSource\": \"s3.amazonaws.com\", \"recipientAccountId\": \"123456789012\", \"userIdentity\": {\"type\": \"IAMUser\", \"userName\": \"carol\"}}\n");
    vouch.write("okta.ndjson", "{\"published_t\": \"2026-11-20T08:00:00Z\", \"uuid_g\": \"o1\", \"TenantId\": \"tenant-1\", \"eventType_s\": \"user.session.start\"}\n");
    for (mapping, file, found) in [
        ("kubernetes", "audit.log", "master-1"),
        ("cloudtrail", "trail.ndjson", "123456789012"),
        ("okta", "okta.ndjson", "tenant-1"),
    ] {
        vouch
            .run(&["import", "--mapping", mapping, "--workspace", mapping, file])
            .expect_status(0)
            .expect_output("1 event read, 0 refused")
            .expect_output(&format!("workspace {mapping}: 1 stored"));
        let query = "TAE::audit:(df_workspace, recorded.workspace AS found)";
        let answer = vouch.json_with(&["--workspace", mapping], query);
        let values = &answer["content"][0]["series"][0]["values"][0];
        assert_eq!((&values[1], &values[2]), (&mapping.into(), &found.into()));
    }
    // What an event states under Vouch's own name is no guess.
    vouch.write("through.jq", ". + {date: .at}");
    vouch.write(
        "own.ndjson",
        "{\"at\": 1795170000000, \"df_workspace\": \"beta\"}\n",
    );
    vouch
        .run(&[
            "import",
            "--mapping",
            "through.jq",
            "--workspace",
            "acme",
            "own.ndjson",
        ])
        .expect_status(1)
        .expect_output("line 1: workspace_contradiction: ");
}

#[test]
fn a_key_given_twice_refuses_the_event() {
    let vouch = Vouch::new();
    vouch.write(
        "events.ndjson",
        "{\"date\": 1795170000000, \"df_user_name\": \"eve\", \"df_user_name\": \"adam\"}\n\
         {\"date\": 1795170000000, \"x\": {\"y\": 1, \"y\": 2}}\n",
    );
    vouch
        .run(&["import", "--workspace", "w", "events.ndjson"])
        .expect_status(1)
        .expect_output("line 1: duplicate_key: an object has the key `df_user_name` twice")
        .expect_output("line 2: duplicate_key: an object has the key `y` twice")
        .expect_output("total: 0 read, 0 stored, 0 repeated, 2 refused");
}

#[test]
fn a_null_character_comes_back_from_every_export() {
    let vouch = Vouch::new();
    let event = "{\"date\": 1795170000000, \"df_event_id\": \"n\", \"df_workspace\": \"acme\", \"df_title\": \"a\\u0000b\", \"x\": [\"\\u0000\"]}\n";
    vouch.write("events.ndjson", event);
    vouch.run(&["import", "events.ndjson"]).expect_status(0);
    let expected = vouch.json("TAE::*:(*)");
    for format in ["csv", "ndjson", "arrow", "parquet", "json"] {
        let file = format!("export-{format}");
        let mut arguments = vec!["query", "--format", format, "-o", &file];
        arguments.extend(ALL_OF_TIME);
        arguments.push("TAE::*:(*)");
        vouch.run(&arguments).expect_status(0);
        let other = Vouch::new();
        let path = vouch.path(&file);
        let done = other.run(&["import", path.to_str().unwrap()]);
        done.expect_status(0)
            .expect_output("total: 1 read, 1 stored");
        assert_eq!(other.json("TAE::*:(*)"), expected, "{format}");
    }
}
