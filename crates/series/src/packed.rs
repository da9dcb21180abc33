//! Names and values of a label set in one piece of text, so that a set costs one allocation.
//!
//! The text begins with numbers: how many labels, how many bytes the lengths take, and these lengths, for each label that of
//! its name and that of its value. Then come all names and values, one after another. A number is written in groups of six bits, the lowest first, each group as one
//! ASCII character whose bit 6 says that another follows; so all of it is valid text, and equal sets are equal texts.

use std::cmp::Ordering;

const GROUP_BITS: u32 = 6;
const GROUP_MASK: usize = (1 << GROUP_BITS) - 1;
const MORE: u8 = 1 << GROUP_BITS;

/// The text of these labels, which stand in the order that they are to have.
pub(crate) fn pack<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let (mut texts, mut lengths) = (0, 0);
    for (name, value) in pairs.clone() {
        texts += name.len() + value.len();
        lengths += number_len(name.len()) + number_len(value.len());
    }
    let numbers = number_len(pairs.len()) + number_len(lengths) + lengths;
    let mut packed = String::with_capacity(numbers + texts);
    push_number(&mut packed, pairs.len());
    push_number(&mut packed, lengths);
    for (name, value) in pairs.clone() {
        push_number(&mut packed, name.len());
        push_number(&mut packed, value.len());
    }
    for (name, value) in pairs {
        packed.push_str(name);
        packed.push_str(value);
    }
    packed
}

fn number_len(number: usize) -> usize {
    let bits = usize::BITS - number.leading_zeros();
    bits.div_ceil(GROUP_BITS).max(1) as usize
}

fn push_number(packed: &mut String, mut number: usize) {
    while number > GROUP_MASK {
        packed.push(char::from((number & GROUP_MASK) as u8 | MORE));
        number >>= GROUP_BITS;
    }
    packed.push(char::from(number as u8));
}

/// Takes a number off the front of what [`pack`] made.
fn take_number(bytes: &mut &[u8]) -> usize {
    let (mut number, mut shift) = (0, 0);
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= (usize::from(byte) & GROUP_MASK) << shift;
        if byte & MORE == 0 {
            break;
        }
        shift += GROUP_BITS;
    }
    number
}

/// The order of two packed sets: by the first label that differs, its name before its value.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (left, right) = (Pairs::new(a), Pairs::new(b));
    let numbers = a.len() - left.texts.len();
    if a.as_bytes()[..numbers] == b.as_bytes()[..numbers.min(b.len())] {
        // All texts are of the same lengths, so the first byte that differs decides.
        return left.texts.cmp(right.texts);
    }
    left.cmp(right)
}

/// How many labels a packed text has.
pub(crate) fn count(packed: &str) -> usize {
    take_number(&mut packed.as_bytes())
}

/// Name and value of each label of a packed text, in order.
#[derive(Clone)]
pub(crate) struct Pairs<'a> {
    left: usize,
    lengths: &'a [u8],
    texts: &'a str,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(packed: &'a str) -> Self {
        let mut lengths = packed.as_bytes();
        let left = take_number(&mut lengths);
        let lengths_len = take_number(&mut lengths);
        let texts = &packed[packed.len() - lengths.len() + lengths_len..];
        Self { left, lengths, texts }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (name, rest) = self.texts.split_at(take_number(&mut self.lengths));
        let (value, rest) = rest.split_at(take_number(&mut self.lengths));
        self.texts = rest;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)]) {
        let packed = pack(pairs.iter().copied());
        assert_eq!(count(&packed), pairs.len());
        assert_eq!(Pairs::new(&packed).len(), pairs.len());
        assert_eq!(Pairs::new(&packed).collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn packed_sets_are_ordered_as_their_labels_are() {
        let texts = ["", "a", "b", "ab", "ba", "aaaa", "aaab", "ä"];
        let mut sets: Vec<Vec<(&str, &str)>> = vec![vec![]];
        for name in &texts[1..] {
            for value in texts {
                sets.push(vec![(name, value)]);
                sets.push(vec![("a", "x"), (name, value)]);
                sets.push(vec![(name, value), ("z", "a")]);
            }
        }
        let pack = |set: &Vec<(&'static str, &'static str)>| pack(set.iter().copied());
        for (a, b) in sets.iter().flat_map(|a| sets.iter().map(move |b| (a, b))) {
            assert_eq!(compare(&pack(a), &pack(b)), a.cmp(b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_is_packed_is_read() {
        check(&[]);
        check(&[("a", "")]);
        check(&[("__name__", "up"), ("ort", "Zürich"), ("城市", "北京")]);
        let long = ["x".repeat(63), "y".repeat(64), "z".repeat(300_000)];
        check(&[(&long[0], &long[1]), (&long[1], &long[2]), (&long[2], "")]);
        let many: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        check(&many.iter().map(|text| (&**text, "v")).collect::<Vec<_>>());
    }
}
