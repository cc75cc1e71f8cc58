//! `drain`: the templates that texts have in common.

use std::collections::BTreeSet;

/// A text with what varies masked: ids, hexadecimal numbers and numbers.
fn masked(text: &str) -> String {
    // Words and what stands between them take turns.
    let mut parts: Vec<String> = Vec::new();
    for character in text.chars() {
        match parts.last_mut() {
            Some(part) if is_word(part) == is_word_character(character) => part.push(character),
            _ => parts.push(character.to_string()),
        }
    }
    let mut masked = String::new();
    while !parts.is_empty() {
        let uuid = parts[..parts.len().min(9)].concat();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
        let taken = if lengths == [8, 4, 4, 4, 12] && is_hex(&uuid.replace('-', "")) {
            masked.push_str("<id>");
            9
        } else if is_number(&parts[0]) {
            masked.push_str("<num>");
            let joined = parts[1..].chunks(2).take_while(|pair| {
                pair.len() == 2
                    && [".", ",", ":"].contains(&pair[0].as_str())
                    && is_number(&pair[1])
            });
            1 + 2 * joined.count()
        } else {
            masked.push_str(mask(&parts[0]));
            1
        };
        parts.drain(..taken);
    }
    masked
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn is_word(part: &str) -> bool {
    part.chars().all(is_word_character)
}

fn is_number(part: &str) -> bool {
    part.chars().all(|c| c.is_ascii_digit())
}

/// What stands for a word that is no number, or for what stands between words.
fn mask(word: &str) -> &str {
    let lower = word.to_ascii_lowercase();
    let is_hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    let is_mixed =
        word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(|c| c.is_ascii_alphabetic());
    if lower.strip_prefix("0x").is_some_and(is_hex) || is_mixed && word.len() >= 8 && is_hex(word) {
        return "<hex>";
    }
    match is_mixed && word.len() >= 16 && word.chars().all(|c| c.is_ascii_alphanumeric()) {
        true => "<id>",
        false => word,
    }
}

/// The templates of texts, each as its words.
pub(super) fn learnt(texts: &[String], threshold: f64, most: usize) -> Vec<Vec<String>> {
    let lines: BTreeSet<String> = texts.iter().map(|text| masked(text)).collect();
    let mut templates: Vec<Vec<String>> = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let shared = |template: &[String]| {
            let pairs = template.iter().zip(&words);
            pairs
                .filter(|(own, word)| own == *word && *own != "<*>")
                .count()
        };
        let mut best: Option<usize> = None;
        for (place, template) in templates.iter().enumerate() {
            let is_like = template.len() == words.len()
                && shared(template) as f64 >= threshold * words.len() as f64;
            if is_like && best.is_none_or(|best| shared(template) > shared(&templates[best])) {
                best = Some(place);
            }
        }
        match best {
            Some(best) => {
                for (own, word) in templates[best].iter_mut().zip(words) {
                    if own != word {
                        "<*>".clone_into(own);
                    }
                }
            }
            None if templates.len() < most => {
                templates.push(words.into_iter().map(str::to_owned).collect());
            }
            None => {}
        }
    }
    templates
}

/// The template of a text.
pub(super) fn template(text: &str, templates: &[Vec<String>]) -> String {
    let line = masked(text);
    let words: Vec<&str> = line.split_whitespace().collect();
    let fits = templates.iter().filter(|template| {
        let mut pairs = template.iter().zip(&words);
        template.len() == words.len() && pairs.all(|(own, word)| own == word || own == "<*>")
    });
    let open = |template: &&Vec<String>| template.iter().filter(|word| *word == "<*>").count();
    let best = fits.min_by_key(|template| (open(template), template.join(" ")));
    best.map_or_else(|| "<*>".to_owned(), |template| template.join(" "))
}
