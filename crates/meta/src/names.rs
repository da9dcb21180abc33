//! What people may call things: names, and words such as groups and tags.

use crate::MetaError;

/// The longest name of an account or a token, in characters.
pub(crate) const MAX_NAME: usize = 100;
/// The most groups or tags of one thing.
const MAX_WORDS: usize = 32;
/// The longest of them, in characters.
const MAX_WORD: usize = 64;

/// Checks a name; `what` is the kind of thing, with its article.
pub(crate) fn check_name(what: &'static str, name: &str, max: usize) -> Result<(), MetaError> {
    let fits = (1..=max).contains(&name.chars().count());
    if fits && name.trim() == name && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(MetaError::BadName { what, name: truncated(name, max), max })
    }
}

/// Groups or tags as they are kept: trimmed, sorted, each once, none empty.
pub(crate) fn tidy_words(what: &'static str, words: Vec<String>) -> Result<Vec<String>, MetaError> {
    let words = words.into_iter().map(|word| word.trim().to_owned());
    let mut words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.dedup();
    let fits =
        |word: &String| word.chars().count() <= MAX_WORD && !word.chars().any(char::is_control);
    if words.len() <= MAX_WORDS && words.iter().all(fits) {
        Ok(words)
    } else {
        Err(MetaError::BadWords { what, max: MAX_WORDS })
    }
}

/// Words as the database holds them.
pub(crate) fn words_to_json(words: &[String]) -> String {
    serde_json::Value::from(words).to_string()
}

/// What [`words_to_json`] wrote.
pub(crate) fn words_from_json(text: &str, column: &'static str) -> Result<Vec<String>, MetaError> {
    serde_json::from_str(text).map_err(|_| MetaError::Malformed { column, value: text.to_owned() })
}

/// At most so many characters. PostgreSQL takes no NUL in a text: what others sent with one is kept with a sign for it.
pub(crate) fn truncated(text: &str, max: usize) -> String {
    let kept = |sign: char| if sign == '\0' { char::REPLACEMENT_CHARACTER } else { sign };
    text.chars().map(kept).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, allowed: bool) {
        assert_eq!(check_name("an account", name, 5).is_ok(), allowed, "{name:?}");
    }

    #[test]
    fn a_name_can_be_seen_and_told_from_others() {
        check("李雷", true);
        check("a b", true);
        check("", false);
        check(" a", false);
        check("a ", false);
        check("a\nb", false);
        check("abcdef", false);
        check("机房机房机", true);
    }

    #[test]
    fn words_are_kept_once_and_in_order() {
        let words = ["web", " db ", "", "web"].map(str::to_owned).to_vec();
        assert_eq!(tidy_words("groups", words).unwrap(), ["db", "web"]);
        assert!(tidy_words("groups", vec!["a".repeat(65)]).is_err());
        let many = (0..33).map(|i| i.to_string()).collect();
        assert!(tidy_words("tags", many).is_err());
    }
}
