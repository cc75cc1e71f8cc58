//! What README.md and docs/*.md tell to type works as written.
//!
//! Each page is followed from its first line in a directory of its own. A fenced block `sh` is run, and
//! must succeed, or end with the status that stands behind it: `sh status=1`. A block `text` behind it is
//! what it prints, but for times; sizes may differ by a tenth. A block with `file=name` is written to that file. A block
//! `sh serve` starts the service that it tells to start, which runs to the end of the page; its addresses
//! are others than the page says. Commands of cargo, and every other block, are left alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::{PROGRAM, Vouch, folder};
use crate::service::Service;

/// A fenced block.
struct Block {
    place: String,
    words: Vec<String>,
    body: String,
}

fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(words) = line.strip_prefix("```") else {
            continue;
        };
        let body = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```");
        blocks.push(Block {
            place: format!("{}:{}", page.display(), number + 1),
            words: words.split_whitespace().map(str::to_owned).collect(),
            body: body.map(|line| format!("{line}\n")).collect(),
        });
    }
    blocks
}

impl Block {
    fn is(&self, kind: &str) -> bool {
        self.words.first().is_some_and(|word| word == kind)
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.words
            .iter()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Starts what a block `sh serve` tells to start.
fn serve(block: &Block, vouch: &Vouch) -> Service {
    let arguments = block.body.trim_end().strip_prefix("vouch serve");
    let arguments: Vec<&str> = arguments.unwrap().split_whitespace().collect();
    Service::start_with(vouch, &arguments)
}

/// The commands of a block with `vouch` as the tests have it; what it printed and its status.
fn run(block: &Block, vouch: &Vouch, service: Option<&Service>) -> (i32, String) {
    let mut body = block.body.clone();
    if let Some(service) = service {
        body = body
            .replace("127.0.0.1:8080", &service.http_address)
            .replace("127.0.0.1:50051", &service.address);
    }
    let commands = body.lines().filter(|line| !line.starts_with("cargo "));
    let mut script = format!("vouch() {{ '{PROGRAM}' \"$@\"; }}\nexec 2>&1\n");
    for (index, line) in commands.enumerate() {
        // The first command that fails ends the block; one may take several lines.
        if index > 0 && (line.starts_with("vouch ") || line.starts_with("curl ")) {
            script.push_str("[ $? = 0 ] || exit $?\n");
        }
        script.push_str(line);
        script.push('\n');
    }
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(vouch.path(""))
        .env_remove("VOUCH_STORE")
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// How far a size on a page may be from the real one, as a share of it.
const SIZE_TOLERANCE: f64 = 0.1;

/// The sizes in a text, in bytes; of plans there are none.
fn sizes(text: &str) -> Vec<f64> {
    let mut sizes = Vec::new();
    for line in text.lines().filter(|line| !line.contains("Exec")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let unit = match pair[1].trim_end_matches([',', ')']) {
                "B" | "bytes" => 1.0,
                "kB" => 1e3,
                "MB" => 1e6,
                "GB" => 1e9,
                _ => continue,
            };
            let number = pair[0].trim_start_matches('(').parse::<f64>();
            sizes.extend(number.ok().map(|number| number * unit));
        }
    }
    sizes
}

/// The first size of a page that is not the real one any more, and the real one.
fn stale_size(page: &str, printed: &str) -> Option<(f64, f64)> {
    let mut pairs = sizes(page).into_iter().zip(sizes(printed));
    pairs.find(|(told, real)| (told - real).abs() > SIZE_TOLERANCE * real)
}

/// A text without what differs from run to run: times taken, sizes in bytes, names of data files, the
/// width of columns, and plans, which depend on the machine.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines().filter(|line| !line.contains("Exec")) {
        let line = &without_cost(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut kept = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let unit = words
                .get(index + 1)
                .map(|unit| unit.trim_end_matches([',', ')']));
            let is_measure = word.trim_start_matches('(').parse::<f64>().is_ok()
                && matches!(unit, Some("ms" | "B" | "bytes" | "kB" | "MB" | "GB"));
            let is_data_file = word.contains("/day=") && word.contains(".parquet");
            kept.push(if is_measure || is_data_file {
                "_"
            } else {
                word
            });
        }
        let line = kept.join(" ");
        steady.push_str(line.trim_matches(['─', '═']));
        steady.push('\n');
    }
    for unit in ["kB", "MB", "bytes"] {
        steady = steady.replace(&format!("_ {unit}"), "_ B");
    }
    steady
}

/// An answer in JSON without the time it took, an acknowledgement without its token; any other line as it
/// is.
fn without_cost(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(mut content) if content["accepted"].is_u64() => {
            content.as_object_mut().unwrap().remove("token");
            content.to_string()
        }
        Ok(mut content) if content["content"].is_array() => {
            for answer in content["content"].as_array_mut().unwrap() {
                for changing in ["cost", "watermark_ms"] {
                    answer.as_object_mut().unwrap().remove(changing);
                }
            }
            content.to_string()
        }
        _ => line.to_owned(),
    }
}

/// A program besides `vouch` that a block uses and this machine lacks.
fn missing(block: &Block) -> Option<&'static str> {
    let is_used = |program: &&str| block.body.split_whitespace().any(|word| word == *program);
    let is_missing = |program: &&str| {
        let look = format!("command -v {program}");
        let found = Command::new("sh").args(["-c", &look]).output().unwrap();
        !found.status.success()
    };
    let mut programs = ["curl", "gzip"].into_iter();
    programs.find(|program| is_used(program) && is_missing(program))
}

/// Follows a page, on a machine without one of the programs it uses up to the place that uses it; what
/// went otherwise than it says.
fn follow(page: &Path) -> Vec<String> {
    let vouch = Vouch::new();
    let mut wrong = Vec::new();
    let mut printed: Option<String> = None;
    let mut service = None;
    for block in blocks(page) {
        let before = printed.take();
        if let Some(name) = block.word("file") {
            vouch.write(name, &block.body);
        } else if block.words == ["sh", "serve"] {
            service = Some(serve(&block, &vouch));
        } else if block.is("sh") {
            if let Some(program) = missing(&block) {
                eprintln!("{}: not followed from here on: no {program}", block.place);
                break;
            }
            let expected: i32 = block
                .word("status")
                .map_or(0, |status| status.parse().unwrap());
            let (status, output) = run(&block, &vouch, service.as_ref());
            if status != expected {
                wrong.push(format!(
                    "{}: status {status}\n{}{output}",
                    block.place, block.body
                ));
            }
            printed = Some(output);
        } else if let (true, Some(output)) = (block.is("text"), before) {
            let stale = stale_size(&block.body, &output);
            if stale.is_some() || steady(&output) != steady(&block.body) {
                wrong.push(format!(
                    "{}: the page says\n{}but it is\n{output}{}",
                    block.place,
                    block.body,
                    stale.map_or(String::new(), |(told, real)| format!(
                        "{told} bytes are not {real}\n"
                    ))
                ));
            }
        }
    }
    wrong
}

#[test]
fn a_size_that_is_stale_is_found() {
    let page = "a: 1 file, 391.6 kB\n(20.5 kB) in 3 ms, 17301 bytes\n";
    let real = "a: 1 file, 0.3916 MB\n(20.9 kB) in 9 ms, 17300 bytes\n";
    assert_eq!(sizes(page), [391_600.0, 20_500.0, 17_301.0]);
    assert_eq!(stale_size(page, real), None);
    let smaller = real.replace("0.3916 MB", "350.0 kB");
    assert_eq!(stale_size(page, &smaller), Some((391_600.0, 350_000.0)));
}

#[test]
fn the_commands_of_the_documentation_do_what_it_says() {
    let root = folder().parent().unwrap();
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.push(root.join("README.md"));
    pages.sort();
    let wrong: Vec<String> = pages.iter().flat_map(|page| follow(page)).collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
