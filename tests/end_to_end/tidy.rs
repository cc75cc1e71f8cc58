//! The rules of the repository that the compiler does not check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::program::folder;

/// The most lines of a Rust file.
const MAX_LINES: usize = 500;

fn root() -> &'static Path {
    folder().parent().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The entries of a directory, sorted; directories of builds and hidden ones are left out.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            !name.starts_with('.') && name != "target"
        })
        .collect();
    entries.sort();
    entries
}

/// All files below a directory whose names end with `.extension`.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(directory) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|has| has == extension) {
            found.push(path);
        }
    }
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn expect_none(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} wrong:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// The cells of the first table below the heading `section` (of the whole page, when it is empty), without
/// the rows of its header.
fn table(page: &str, section: &str) -> Vec<Vec<String>> {
    let start = page.find(section).unwrap();
    let rows = page[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.split('|').skip(1);
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// The parts of a text in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A text without the address of its link.
fn without_link(text: &str) -> &str {
    let text = text.strip_prefix('[').unwrap_or(text);
    text.split(']').next().unwrap()
}

/// The manifests of the workspace by the names of their packages, with their directories.
fn packages() -> BTreeMap<String, PathBuf> {
    let mut directories = entries(&root().join("crates"));
    directories.extend(["tests", "benches"].map(|name| root().join(name)));
    let named = directories.into_iter().map(|directory| {
        let manifest = read(directory.join("Cargo.toml"));
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = "));
        (name.unwrap().trim_matches('"').to_owned(), directory)
    });
    named.collect()
}

/// The names of all dependencies in the sections of a manifest that `is_wanted` selects, with the rest of their lines.
fn dependencies(manifest: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
    let mut wanted = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            wanted = is_wanted(section.trim_end_matches(']'));
        } else if wanted && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let end = line.find([' ', '.', '=']).unwrap();
            found.push(line.split_at(end));
        }
    }
    found
}

#[test]
fn crates_use_what_the_architecture_says() {
    let packages = packages();
    let mut documented = BTreeMap::new();
    for row in table(&read("docs/architecture.md"), "## Crates") {
        let used = row[1].split(", ").filter(|name| !name.is_empty());
        let used: BTreeSet<String> = used.map(str::to_owned).collect();
        documented.insert(without_link(&row[0]).to_owned(), used);
    }
    let mut faults = Vec::new();
    for (name, directory) in &packages {
        let manifest = read(directory.join("Cargo.toml"));
        let used = dependencies(&manifest, |section| section.ends_with("dependencies"));
        let used = used.into_iter().map(|(name, _)| name.to_owned());
        let used: BTreeSet<String> = used.filter(|name| packages.contains_key(name)).collect();
        let stated = documented.remove(name);
        if stated.as_ref() != Some(&used) {
            faults.push(format!(
                "{name} uses {used:?}, docs/architecture.md states {stated:?}"
            ));
        }
    }
    faults.extend(
        documented
            .keys()
            .map(|name| format!("{name} does not exist")),
    );
    expect_none(&faults);
}

#[test]
fn each_library_has_a_purpose() {
    let manifest = read("Cargo.toml");
    let used = dependencies(&manifest, |section| section == "workspace.dependencies");
    let used = used
        .into_iter()
        .filter(|(_, rest)| !rest.contains("path = "));
    let used: BTreeSet<String> = used.map(|(name, _)| name.to_owned()).collect();
    let rows = table(&read("docs/dependencies.md"), "");
    let names = rows.iter().flat_map(|row| row[0].split(", "));
    let documented: BTreeSet<String> = names.map(str::to_owned).collect();
    assert_eq!(documented, used);
}

/// Whether a crate has the module at a path such as `bind::window`.
fn has_module(source: &Path, path: &str) -> bool {
    let path = source.join(path.replace("::", "/"));
    path.with_extension("rs").is_file()
}

/// The modules directly below the root of a crate.
fn modules(source: &Path) -> BTreeSet<String> {
    let names = entries(source).into_iter().filter_map(|path| {
        let is_module = path.extension().is_some_and(|extension| extension == "rs");
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (is_module && !["lib", "main", "tests"].contains(&name.as_str())).then_some(name)
    });
    names.collect()
}

/// What is wrong with the module map in a README. The names in a cell are paths from the root of the crate, or from the
/// first path of the cell or the parent of it: `bind::name`, `order`.
fn map_faults(source: &Path, readme: &str) -> Vec<String> {
    let mut missing = modules(source);
    let mut faults = Vec::new();
    for row in table(readme, "| module |") {
        let names = quoted(&row[0]);
        let first = names.first().copied().unwrap_or_default();
        let parent = first.rsplit_once("::").map_or("", |(parent, _)| parent);
        for name in &names {
            let candidates = [
                (*name).to_owned(),
                format!("{first}::{name}"),
                format!("{parent}::{name}"),
            ];
            let found = candidates.iter().find(|path| has_module(source, path));
            match found {
                Some(path) => {
                    missing.remove(path.split("::").next().unwrap());
                }
                None => faults.push(format!("names `{name}`, which is not a module")),
            }
        }
    }
    faults.extend(missing.iter().map(|name| format!("does not name `{name}`")));
    faults
}

#[test]
fn each_module_is_on_the_map_of_its_crate() {
    let mut faults = Vec::new();
    for directory in packages().into_values() {
        let name = relative(&directory);
        if name == "benches" {
            continue;
        }
        let main = match name.as_str() {
            "tests" => "end_to_end/main.rs",
            _ => "src/lib.rs",
        };
        let main = directory.join(main);
        let text = read(&main);
        if !text.contains("#![doc = include_str!(\"../README.md\")]") {
            faults.push(format!("{} does not include README.md", relative(&main)));
        }
        if text.contains("//! |") {
            faults.push(format!("{} has a table of its own", relative(&main)));
        }
        let Ok(readme) = fs::read_to_string(directory.join("README.md")) else {
            faults.push(format!("{name} has no README.md"));
            continue;
        };
        if !readme.contains("| module |") {
            faults.push(format!("{name}/README.md has no table of modules"));
            continue;
        }
        let wrong = map_faults(main.parent().unwrap(), &readme);
        faults.extend(
            wrong
                .iter()
                .map(|fault| format!("{name}/README.md {fault}")),
        );
    }
    expect_none(&faults);
}

#[test]
fn no_rust_file_is_too_long() {
    let mut faults = Vec::new();
    for path in files(root(), "rs") {
        let lines = read(&path).lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines", relative(&path)));
        }
    }
    expect_none(&faults);
}

/// A module with modules of its own is `name.rs` beside the folder `name`.
#[test]
fn module_files_have_one_style() {
    let files = files(root(), "rs");
    let others = files.iter().filter(|path| path.ends_with("mod.rs"));
    let others: Vec<String> = others.map(|path| relative(path)).collect();
    expect_none(&others);
}

#[test]
fn decisions_are_numbered_and_have_a_status() {
    let directory = root().join("docs/decisions");
    let index = read(directory.join("README.md"));
    let mut rows = table(&index, "").into_iter();
    let mut numbers = Vec::new();
    let mut faults = Vec::new();
    let pages = files(&directory, "md");
    let pages = pages.iter().filter(|path| !path.ends_with("README.md"));
    for (position, path) in pages.enumerate() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let number = format!("{:04}", position + 1);
        let page = read(path);
        let mut lines = page.lines();
        let heading = lines.next().unwrap_or_default();
        let status = lines.nth(1).unwrap_or_default();
        let title = heading.strip_prefix(&format!("# {number}. "));
        let status = status.strip_prefix("Status: ");
        let (Some(title), Some(status)) = (title, status) else {
            faults.push(format!("{name}: not `# {number}. Title` and `Status: …`"));
            continue;
        };
        if !name.starts_with(&format!("{number}-")) {
            faults.push(format!("{name}: the number is not {number}"));
        }
        match status.strip_prefix("superseded by ") {
            Some(later) => numbers.push((name, later.to_owned())),
            None if status == "accepted" => {}
            None => faults.push(format!("{name}: the status `{status}`")),
        }
        let sections: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("## "))
            .collect();
        if sections != ["## Context", "## Decision", "## Consequences"] {
            faults.push(format!("{name}: the sections {sections:?}"));
        }
        let row = [
            format!("[{number}]({name})"),
            title.to_owned(),
            status.to_owned(),
        ];
        if rows.next().is_none_or(|stated| !stated.starts_with(&row)) {
            faults.push(format!("{name}: the index has not the row {row:?}"));
        }
    }
    faults.extend(rows.map(|row| format!("the index has {row:?}")));
    for (name, later) in numbers {
        if !index.contains(&format!("| [{later}](")) {
            faults.push(format!("{name}: there is no decision {later}"));
        }
    }
    expect_none(&faults);
}

/// The targets of the links of a page, without its code.
fn links(page: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut links = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        let text = line.split('`').step_by(2);
        let after = text.flat_map(|text| text.split("](").skip(1));
        links.extend(after.filter_map(|rest| rest.split(')').next()));
    }
    links
}

#[test]
fn links_of_pages_lead_to_files() {
    let mut faults = Vec::new();
    // Markdown in sources is a part of another page.
    let pages = files(root(), "md").into_iter();
    for path in pages.filter(|path| !relative(path).contains("/src/")) {
        let page = read(&path);
        for link in links(&page) {
            let file = link.split('#').next().unwrap();
            let is_here = !file.is_empty() && !file.contains("://");
            if is_here && !path.parent().unwrap().join(file).exists() {
                faults.push(format!("{}: {link}", relative(&path)));
            }
        }
    }
    expect_none(&faults);
}
