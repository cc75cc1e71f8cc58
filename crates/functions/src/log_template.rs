//! Templates of log lines: what lines have in common, and `<*>` where they differ.
//!
//! The method is that of Drain (He, Zhu, Zheng, Lyu, 2017): lines of as many words as a template, and
//! with enough of them equal, belong to it. Here the lines are known before the first is put anywhere, so
//! they are taken in the order of their texts, and the same lines give the same templates.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

/// Stands for any word.
const ANY: &str = "<*>";

/// A line with `<id>`, `<hex>` and `<num>` in the place of ids, hexadecimal numbers and numbers.
///
/// Words are runs of letters, digits and `_`. Five words joined by `-` with the lengths of a UUID's parts,
/// and a word of at least 16 ASCII letters and digits with both of them, are ids; `0x…` and a word of at
/// least 8 hexadecimal digits with a letter and a digit are hexadecimal; a word of digits is a number,
/// together with those that `.`, `,` or `:` join to it.
pub(crate) fn masked(line: &str) -> String {
    let words = words(line);
    let mut masked = String::with_capacity(line.len());
    let mut index = 0;
    while let Some(word) = words.get(index) {
        if is_uuid(&words[index..]) {
            masked.push_str("<id>");
            index += UUID_PARTS.len() * 2 - 1;
        } else if is_number(word) {
            masked.push_str("<num>");
            index += 1;
            while let ["." | "," | ":", next, ..] = &words[index..]
                && is_number(next)
            {
                index += 2;
            }
        } else {
            masked.push_str(mask_of(word).unwrap_or(word));
            index += 1;
        }
    }
    masked
}

/// The lengths of the parts of a UUID.
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];

/// The words of a line and, between them, the runs of other characters.
fn words(line: &str) -> Vec<&str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut words = Vec::new();
    let mut start = 0;
    let mut inside = None;
    for (place, character) in line.char_indices() {
        let now = is_word(character);
        if inside.is_some_and(|before| before != now) {
            words.push(&line[start..place]);
            start = place;
        }
        inside = Some(now);
    }
    words.extend((start < line.len()).then(|| &line[start..]));
    words
}

fn is_uuid(words: &[&str]) -> bool {
    UUID_PARTS.iter().enumerate().all(|(part, length)| {
        let is_joined = part == 0 || words.get(part * 2 - 1) == Some(&"-");
        let is_part = |word: &&str| {
            word.len() == *length && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        is_joined && words.get(part * 2).is_some_and(is_part)
    })
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands for a word that is no number.
fn mask_of(word: &str) -> Option<&'static str> {
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"))
        && !digits.is_empty()
        && is_hex(digits)
    {
        return Some("<hex>");
    }
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    if !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic) {
        return None;
    }
    if word.len() >= 8 && is_hex(word) {
        return Some("<hex>");
    }
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (word.len() >= 16 && is_plain).then_some("<id>")
}

/// The templates of some lines.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Templates {
    /// By their number of words, in the order of their texts.
    by_length: HashMap<usize, Vec<Template>>,
    /// Whether lines were left without a template.
    pub(crate) is_full: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Template {
    text: String,
    words: Vec<String>,
}

impl Template {
    fn new(words: Vec<String>) -> Self {
        Self {
            text: words.join(" "),
            words,
        }
    }
}

impl Templates {
    /// At most `most` templates of masked lines. A line belongs to the template of as many words with
    /// which it shares the most words, the first of several, when these are at least the share
    /// `threshold` of its words; else it is the first line of a template.
    pub(crate) fn learn(lines: &BTreeSet<String>, threshold: f64, most: usize) -> Self {
        let mut clusters: HashMap<usize, Vec<Vec<String>>> = HashMap::new();
        let (mut count, mut is_full) = (0, false);
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let wanted = threshold * words.len() as f64;
            let known = clusters.entry(words.len()).or_default();
            let mut best: Option<(usize, usize)> = None;
            for (index, cluster) in known.iter().enumerate() {
                let shared = shared(cluster, &words);
                if shared as f64 >= wanted && best.is_none_or(|(_, most)| shared > most) {
                    best = Some((index, shared));
                }
            }
            match best {
                Some((index, _)) => widen(&mut known[index], &words),
                None if count < most => {
                    known.push(words.into_iter().map(str::to_owned).collect());
                    count += 1;
                }
                None => is_full = true,
            }
        }
        let by_length = clusters.into_iter().map(|(length, clusters)| {
            let mut templates: Vec<Template> = clusters.into_iter().map(Template::new).collect();
            templates.sort_unstable();
            templates.dedup();
            (length, templates)
        });
        Self {
            by_length: by_length.collect(),
            is_full,
        }
    }

    /// The template of a masked line: of those that fit the one with the fewest `<*>`, the first of
    /// several in the order of their texts; `<*>` when none fits.
    pub(crate) fn of(&self, masked: &str) -> &str {
        let words: Vec<&str> = masked.split_whitespace().collect();
        let mut best: Option<(usize, &str)> = None;
        for template in self.by_length.get(&words.len()).into_iter().flatten() {
            let mut pairs = template.words.iter().zip(&words);
            let fits = pairs.all(|(template, word)| template == ANY || template == word);
            let shared = template.words.iter().filter(|word| *word != ANY).count();
            if fits && best.is_none_or(|(most, _)| shared > most) {
                best = Some((shared, &template.text));
            }
        }
        best.map_or(ANY, |(_, text)| text)
    }
}

/// How many words stand in both at the same place.
fn shared(template: &[String], words: &[&str]) -> usize {
    let pairs = template.iter().zip(words);
    pairs
        .filter(|(template, word)| *template != ANY && template == *word)
        .count()
}

/// Makes the template fit the words too.
fn widen(template: &mut [String], words: &[&str]) {
    for (place, word) in template.iter_mut().zip(words) {
        if place != word {
            ANY.clone_into(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(lines: &[&str], threshold: f64, most: usize) -> Templates {
        let lines = lines.iter().map(|line| masked(line)).collect();
        Templates::learn(&lines, threshold, most)
    }

    #[test]
    fn numbers_and_ids_are_masked() {
        for (line, expected) in [
            (
                "took 12 ms, 3.5% of 1,000",
                "took <num> ms, <num>% of <num>",
            ),
            ("10.0.0.1 at 12:30:05.", "<num> at <num>."),
            ("id 123e4567-e89b-12d3-a456-426614174000!", "id <id>!"),
            ("at 0xDEADbeef, commit 1a2b3c4d", "at <hex>, commit <hex>"),
            ("key AKIA1234567890ABCDEF", "key <id>"),
            (
                "v2 web-1 user_12 deadbeef 12ms",
                "v2 web-<num> user_12 deadbeef 12ms",
            ),
            ("第12页 12 页", "第12页 <num> 页"),
            ("", ""),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn lines_share_a_template() {
        let lines = [
            "user alice signed in",
            "user bob signed in",
            "disk full on web-1",
            "user carol signed out",
        ];
        let templates = learn(&lines, 0.7, 100);
        assert_eq!(templates.of("user eve signed in"), "user <*> signed in");
        assert_eq!(
            templates.of("user carol signed out"),
            "user carol signed out"
        );
        assert_eq!(
            templates.of("disk full on web-<num>"),
            "disk full on web-<num>"
        );
        assert_eq!(templates.of("disk full"), "<*>");
        assert!(!templates.is_full);
    }

    #[test]
    fn the_lowest_threshold_joins_lines_with_a_common_word() {
        let templates = learn(&["a b", "a c", "d e"], 0.5, 100);
        assert_eq!(templates.of("a c"), "a <*>");
        assert_eq!(templates.of("d e"), "d e");
        let strict = learn(&["a b", "a c"], 1.0, 100);
        assert_eq!(strict.of("a c"), "a c");
    }

    #[test]
    fn lines_beyond_the_most_templates_have_none() {
        let templates = learn(&["b", "a", "c"], 1.0, 2);
        assert!(templates.is_full);
        assert_eq!(templates.of("b"), "b");
        assert_eq!(templates.of("c"), "<*>");
    }
}
