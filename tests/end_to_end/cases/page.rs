//! A page of cases: read, and written back with other answers.

use std::fs;
use std::path::Path;

/// A page: its cases, and the text around their answers.
pub(crate) struct Page {
    /// The cases, in order.
    pub(crate) cases: Vec<Case>,
    /// The text before each answer, and the text behind the last.
    around: Vec<String>,
}

/// A question and its answer.
pub(crate) struct Case {
    /// Where it stands, for messages.
    pub(crate) place: String,
    /// The words behind `dql`.
    pub(crate) options: Vec<String>,
    /// The question.
    pub(crate) query: String,
    /// How the answer is shown.
    pub(crate) form: Form,
    /// The answer that stands on the page.
    pub(crate) expected: String,
}

/// How an answer is shown.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// As tables.
    Table,
    /// As existing clients read it.
    Json,
}

impl Page {
    /// Reads a page.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut page = Self {
            cases: Vec::new(),
            around: Vec::new(),
        };
        let mut around = String::new();
        let mut question: Option<(String, Vec<String>, String)> = None;
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            around.push_str(line);
            around.push('\n');
            let Some(words) = line.strip_prefix("```") else {
                continue;
            };
            let place = format!("{name}:{}", number + 1);
            let mut body = String::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                body.push_str(line);
                body.push('\n');
            }
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            match (words.first().map(String::as_str), question.take()) {
                (Some("dql"), None) => {
                    around.push_str(&format!("{body}```\n"));
                    question = Some((place, words[1..].to_vec(), body.trim_end().to_owned()));
                }
                (Some(form @ ("text" | "json")), Some((place, options, query))) => {
                    page.around.push(std::mem::take(&mut around));
                    around.push_str("```\n");
                    page.cases.push(Case {
                        place,
                        options,
                        query,
                        form: if form == "json" {
                            Form::Json
                        } else {
                            Form::Table
                        },
                        expected: body,
                    });
                }
                _ => panic!("{place}: a `dql` block and the block of its answer alternate"),
            }
        }
        assert!(
            question.is_none(),
            "{name}: the last question has no answer"
        );
        page.around.push(around);
        page
    }

    /// Writes the page.
    pub(crate) fn write(&self, path: &Path) {
        let mut text = String::new();
        for (around, case) in self.around.iter().zip(&self.cases) {
            text.push_str(around);
            text.push_str(&case.expected);
        }
        text.push_str(self.around.last().unwrap());
        fs::write(path, text).unwrap();
    }
}
