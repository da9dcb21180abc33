//! Which known word was meant by an unknown one.

/// The known word that takes the fewest edits; there must be one.
pub fn nearest(word: &str, known: &[&'static str]) -> &'static str {
    known
        .iter()
        .copied()
        .min_by_key(|known| edit_distance(&word.replace('-', "_"), known))
        .expect("there are known words")
}

/// Levenshtein's distance: the fewest insertions, deletions and replacements.
fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replace = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant() {
        assert_eq!(nearest("retension", &["listen", "retention"]), "retention");
        assert_eq!(nearest("data-dir", &["data_dir", "database_url"]), "data_dir");
    }
}
