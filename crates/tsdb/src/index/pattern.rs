//! Regular expressions of matchers, reduced to what an index can do without running them.
//!
//! Most expressions that people write are a few literals with gaps: `web-1|web-2`, `web-(1|2).*`, `.*-prod`. So an expression
//! is multiplied out into alternatives, each a row of literals and gaps, where a gap is `.*` or `.+`. One without a gap is a
//! value to be looked up, one with gaps is tested by comparing text. What cannot be written like this, or only by
//! very many alternatives, is left to the compiled expression, but for the prefix that all its values have.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Most alternatives of an expression.
const MOST_ALTERNATIVES: usize = 512;
/// Most pieces of all alternatives together.
const MOST_PIECES: usize = 4096;
/// Most characters of a class that is written as alternatives, and most times that a repetition is written out.
const MOST_CHARACTERS: u32 = 32;
const MOST_REPEATS: u32 = 16;

/// What values an expression matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Exactly these, sorted, each once; the empty one stands for a label that is absent.
    Literals(Vec<String>),
    /// Those that fit one of these.
    Globs(Vec<Glob>),
    /// Some of those that begin so; the compiled expression knows which.
    Compiled {
        /// The beginning of all of them.
        prefix: String,
    },
}

/// Literals with gaps between them. A value fits if it begins with the first and ends with the last, and has the others in
/// between in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What it begins with.
    prefix: String,
    /// After each gap, what follows; the last is what the value ends with. A gap is said to need a character or not.
    rest: Vec<(Gap, String)>,
}

/// Any text between two literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// `.*`
    MaybeEmpty,
    /// `.+`
    NotEmpty,
}

/// One piece of an alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Gap(Gap),
    Start,
    End,
}

type Alternative = Vec<Piece>;

impl Pattern {
    /// Reduces an expression that a matcher was made of, which is anchored at both ends.
    pub(crate) fn reduce(expression: &str) -> Self {
        let parsed = ParserBuilder::new().dot_matches_new_line(true).build().parse(expression);
        let Ok(hir) = parsed else {
            return Self::Compiled { prefix: String::new() };
        };
        let globs = expand(&hir)
            .and_then(|alternatives| alternatives.iter().map(|one| glob(one)).collect());
        match globs {
            Some(globs) => Self::of_globs(globs),
            None => Self::Compiled { prefix: literal_prefix(&hir) },
        }
    }

    fn of_globs(globs: Vec<Glob>) -> Self {
        if globs.iter().any(|glob| !glob.rest.is_empty()) {
            return Self::Globs(globs);
        }
        let mut literals: Vec<String> = globs.into_iter().map(|glob| glob.prefix).collect();
        literals.sort_unstable();
        literals.dedup();
        Self::Literals(literals)
    }

    /// What all values that match begin with.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Literals(_) => "",
            Self::Globs(globs) => {
                let first = globs.first().map_or("", |glob| &glob.prefix);
                globs.iter().fold(first, |prefix, glob| same_beginning(prefix, &glob.prefix))
            }
            Self::Compiled { prefix } => prefix,
        }
    }

    /// Whether every value matches, the empty one too.
    pub(crate) fn is_anything(&self) -> bool {
        let Self::Globs(globs) = self else { return false };
        globs.iter().any(|glob| {
            let open = |(gap, text): &(Gap, String)| *gap == Gap::MaybeEmpty && text.is_empty();
            glob.prefix.is_empty() && !glob.rest.is_empty() && glob.rest.iter().all(open)
        })
    }

    /// Whether a value matches; `compiled` is asked where only the expression itself knows.
    pub(crate) fn matches(&self, value: &str, compiled: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Literals(literals) => literals.iter().any(|literal| literal == value),
            Self::Globs(globs) => globs.iter().any(|glob| glob.matches(value)),
            Self::Compiled { .. } => compiled(value),
        }
    }
}

impl Glob {
    /// Takes each literal where it comes first, which leaves the most to those after it.
    fn matches(&self, value: &str) -> bool {
        let Some(mut left) = value.strip_prefix(&*self.prefix) else { return false };
        let Some(((last_gap, last), between)) = self.rest.split_last() else {
            return left.is_empty();
        };
        for (gap, literal) in between {
            let Some(after) = after_gap(left, *gap) else { return false };
            let Some(at) = after.find(&**literal) else { return false };
            left = &after[at + literal.len()..];
        }
        after_gap(left, *last_gap).is_some_and(|after| after.ends_with(&**last))
    }
}

/// What is left of a text when the least that a gap takes is gone.
fn after_gap(text: &str, gap: Gap) -> Option<&str> {
    match gap {
        Gap::MaybeEmpty => Some(text),
        Gap::NotEmpty => {
            let mut characters = text.chars();
            characters.next()?;
            Some(characters.as_str())
        }
    }
}

/// An alternative as a glob; `None` if it asks for an end where text may follow, or the reverse.
fn glob(pieces: &[Piece]) -> Option<Glob> {
    let mut glob = Glob { prefix: String::new(), rest: Vec::new() };
    let (mut begun, mut ended) = (false, false);
    for piece in pieces {
        match piece {
            Piece::Start if begun => return None,
            Piece::Start => continue,
            Piece::End => {
                ended = true;
                continue;
            }
            Piece::Literal(text) if text.is_empty() => continue,
            Piece::Literal(_) | Piece::Gap(_) if ended => return None,
            Piece::Literal(text) => match glob.rest.last_mut() {
                Some((_, last)) => last.push_str(text),
                None => glob.prefix.push_str(text),
            },
            Piece::Gap(gap) => match glob.rest.last_mut() {
                // `.*.+` is one gap, which needs a character; `.+.+` needs two and stays two.
                Some((before, last))
                    if last.is_empty() && (*before, *gap) != (Gap::NotEmpty, Gap::NotEmpty) =>
                {
                    *before = if *gap == Gap::NotEmpty { *gap } else { *before };
                }
                _ => glob.rest.push((*gap, String::new())),
            },
        }
        begun = true;
    }
    Some(glob)
}

/// The alternatives of an expression; `None` if it has too many or cannot be written so.
fn expand(hir: &Hir) -> Option<Vec<Alternative>> {
    let one = |piece: Piece| Some(vec![vec![piece]]);
    match hir.kind() {
        HirKind::Empty => Some(vec![vec![]]),
        HirKind::Literal(literal) => {
            one(Piece::Literal(String::from_utf8(literal.0.to_vec()).ok()?))
        }
        HirKind::Class(class) => characters(class),
        HirKind::Look(Look::Start) => one(Piece::Start),
        HirKind::Look(Look::End) => one(Piece::End),
        HirKind::Look(_) => None,
        HirKind::Repetition(repetition) => expand_repetition(repetition),
        HirKind::Capture(capture) => expand(&capture.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(vec![vec![]], |before, part| bounded(product(&before, &expand(part)?))),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(expand(part)?);
                all = bounded(all)?;
            }
            Some(all)
        }
    }
}

fn expand_repetition(repetition: &Repetition) -> Option<Vec<Alternative>> {
    if is_any_character(&repetition.sub) && repetition.max.is_none() {
        return match repetition.min {
            0 => Some(vec![vec![Piece::Gap(Gap::MaybeEmpty)]]),
            1 => Some(vec![vec![Piece::Gap(Gap::NotEmpty)]]),
            _ => None,
        };
    }
    let most = repetition.max.filter(|most| *most <= MOST_REPEATS)?;
    let once = expand(&repetition.sub)?;
    let mut repeated = vec![vec![]];
    let mut all = Vec::new();
    for times in 0..=most {
        if times >= repetition.min {
            all.extend(repeated.iter().cloned());
            all = bounded(all)?;
        }
        if times < most {
            repeated = bounded(product(&repeated, &once))?;
        }
    }
    Some(all)
}

fn bounded(alternatives: Vec<Alternative>) -> Option<Vec<Alternative>> {
    let pieces: usize = alternatives.iter().map(Vec::len).sum();
    (alternatives.len() <= MOST_ALTERNATIVES && pieces <= MOST_PIECES).then_some(alternatives)
}

/// Each alternative of the first followed by each of the second, as far as there may be so many.
fn product(first: &[Alternative], second: &[Alternative]) -> Vec<Alternative> {
    let pairs = first.iter().flat_map(|start| second.iter().map(move |end| (start, end)));
    let joined = pairs.map(|(start, end)| {
        let mut joined = start.clone();
        for piece in end {
            match (joined.last_mut(), piece) {
                (Some(Piece::Literal(text)), Piece::Literal(more)) => text.push_str(more),
                _ => joined.push(piece.clone()),
            }
        }
        joined
    });
    joined.take(MOST_ALTERNATIVES + 1).collect()
}

/// A class of few characters as alternatives.
fn characters(class: &Class) -> Option<Vec<Alternative>> {
    if class.is_empty() {
        return Some(Vec::new());
    }
    let Class::Unicode(class) = class else { return None };
    let size = class.iter().map(|range| range.len() as u64).sum::<u64>();
    if size > u64::from(MOST_CHARACTERS) {
        return None;
    }
    let all = class.iter().flat_map(|range| range.start()..=range.end());
    Some(all.map(|character| vec![Piece::Literal(character.into())]).collect())
}

fn is_any_character(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => match class.ranges() {
            [range] => (range.start(), range.end()) == ('\0', char::MAX),
            _ => false,
        },
        HirKind::Capture(capture) => is_any_character(&capture.sub),
        _ => false,
    }
}

/// What every match of an expression begins with.
fn literal_prefix(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Capture(capture) => literal_prefix(&capture.sub),
        HirKind::Alternation(parts) => {
            let prefixes: Vec<String> = parts.iter().map(literal_prefix).collect();
            let first = prefixes.first().map_or("", |prefix| prefix);
            prefixes.iter().fold(first, |prefix, other| same_beginning(prefix, other)).to_owned()
        }
        HirKind::Concat(parts) => {
            let mut prefix = String::new();
            for part in parts {
                match expand(part).as_deref() {
                    Some([alternative]) => {
                        for piece in alternative {
                            match piece {
                                Piece::Literal(text) => prefix.push_str(text),
                                Piece::Start => {}
                                Piece::Gap(_) | Piece::End => return prefix,
                            }
                        }
                    }
                    _ => return prefix + &literal_prefix(part),
                }
            }
            prefix
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => literal_prefix(&repetition.sub),
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn same_beginning<'a>(text: &'a str, other: &str) -> &'a str {
    let same = text.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
    let end = same.map_or(text.len().min(other.len()), |((at, _), _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_series::Matcher;
    use proptest::prelude::*;

    #[track_caller]
    fn check_literals(expression: &str, expected: &[&str]) {
        let expected = expected.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(Pattern::reduce(expression), Pattern::Literals(expected));
    }

    #[test]
    fn alternations_are_literals() {
        check_literals("", &[""]);
        check_literals("a", &["a"]);
        check_literals("a|b|", &["", "a", "b"]);
        check_literals("(a|b)c", &["ac", "bc"]);
        check_literals("(?:web|db)-(1|2|)", &["db-", "db-1", "db-2", "web-", "web-1", "web-2"]);
        check_literals("web-[0-2]x?", &["web-0", "web-0x", "web-1", "web-1x", "web-2", "web-2x"]);
        check_literals("a{2}|a{0,1}", &["", "a", "aa"]);
        check_literals("^up$", &["up"]);
        check_literals("^(?:a|b)$", &["a", "b"]);
        check_literals(r"10\.0\.0\.1:9100", &["10.0.0.1:9100"]);
        check_literals("(?i)ab", &["AB", "Ab", "aB", "ab"]);
        check_literals("(?i)ß", &["ß", "ẞ"]);
        check_literals("北京|上海", &["上海", "北京"]);
        check_literals("[a&&b]", &[]);
    }

    #[track_caller]
    fn check_globs(expression: &str, prefix: &str, passes: &[&str], fails: &[&str]) {
        let pattern = Pattern::reduce(expression);
        assert!(matches!(pattern, Pattern::Globs(_)), "{pattern:?}");
        assert_eq!(pattern.prefix(), prefix);
        let matches = |value: &str| pattern.matches(value, |_| panic!("it is not compiled"));
        assert!(passes.iter().all(|value| matches(value)), "{pattern:?}");
        assert!(!fails.iter().any(|value| matches(value)), "{pattern:?}");
    }

    #[test]
    fn gaps_are_tested_by_comparing_text() {
        check_globs("web-.*", "web-", &["web-", "web-1", "web-\n"], &["web", "", "aweb-"]);
        check_globs("web-.+", "web-", &["web-1", "web-ü"], &["web-", "web"]);
        check_globs(".*prod", "", &["prod", "a-prod"], &["prod-1", ""]);
        check_globs(".*b.*", "", &["b", "abc"], &["", "ac"]);
        check_globs("a.+b.+c", "a", &["a1b1c", "abbbc", "aübüc"], &["abc", "abbc", "a1bc"]);
        check_globs("a.*a", "a", &["aa", "aba"], &["a", ""]);
        check_globs("web-(1|2).*", "web-", &["web-1", "web-23"], &["web-3", "web-"]);
        check_globs(".*|x", "", &["", "x", "y"], &[]);
        check_globs(".+.*.+", "", &["ab", "üü"], &["a", "", "ü"]);
        check_globs("^a.*$", "a", &["a", "ab"], &["ba"]);
        check_globs("((.*))", "", &["", "x"], &[]);
        assert!(Pattern::reduce(".*").is_anything() && Pattern::reduce("x|.*").is_anything());
        assert!(!Pattern::reduce(".+").is_anything() && !Pattern::reduce("a.*").is_anything());
    }

    #[track_caller]
    fn check_compiled(expression: &str, prefix: &str) {
        assert_eq!(Pattern::reduce(expression), Pattern::Compiled { prefix: prefix.into() });
    }

    #[test]
    fn the_rest_keeps_its_prefix() {
        check_compiled(r"web-\d+", "web-");
        check_compiled("web-[a-z]+-x|web-1[0-9]*", "web-");
        check_compiled("(web|db).", "");
        check_compiled("a.", "a");
        check_compiled("^ab[^c]d", "ab");
        check_compiled("a$b.*|c^.*", "");
        check_compiled("(?i)averylongtextwithmanyletters", "");
        check_compiled("(ab){2,}", "ab");
        check_compiled(r"\bup", "");
        check_compiled("(?m)^up", "");
    }

    /// Expressions over a small alphabet, so that they often match.
    fn expressions() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            6 => "[abü]{1,3}",
            2 => Just(".*".to_owned()),
            2 => Just(".+".to_owned()),
            1 => Just(".".to_owned()),
            1 => Just("[ab]".to_owned()),
            1 => Just("[^a]".to_owned()),
            1 => Just("^".to_owned()),
            1 => Just("$".to_owned()),
            1 => Just("(?i:aB)".to_owned()),
            1 => Just(String::new()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                proptest::collection::vec(inner.clone(), 1..4)
                    .prop_map(|parts| format!("({})", parts.join("|"))),
                (inner.clone(), prop_oneof!["[?*+]", Just("{1,2}".to_owned())])
                    .prop_map(|(part, times)| format!("(?:{part}){times}")),
                inner.prop_map(|part| format!("{part}|")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn reduced_and_plain_expressions_agree(
            expression in expressions(),
            values in proptest::collection::vec("[abAü\n]{0,6}", 1..40),
        ) {
            let matcher = Matcher::parse_pair("l", "=~", &expression).unwrap();
            let pattern = Pattern::reduce(&expression);
            for value in values.iter().map(|value| &**value).chain([""]) {
                let plain = matcher.matches(value);
                let reduced = value.starts_with(pattern.prefix())
                    && pattern.matches(value, |value| matcher.matches(value));
                prop_assert_eq!(reduced, plain, "{:?} on {:?}: {:?}", expression, value, pattern);
            }
            prop_assert!(!pattern.is_anything() || matcher.matches_absent());
        }
    }
}
