//! Names and values of a label set in one piece of text, so that a set costs one allocation.
//!
//! The text begins with numbers: how many labels, then for each the length of its name and of its value in bytes. Then come
//! all names and values, one after another. A number is written in groups of six bits, the lowest first, each group as one
//! ASCII character whose bit 6 says that another follows; so all of it is valid text, and equal sets are equal texts.

const GROUP_BITS: u32 = 6;
const GROUP_MASK: usize = (1 << GROUP_BITS) - 1;
const MORE: u8 = 1 << GROUP_BITS;

/// The text of these labels, which stand in the order that they are to have.
pub(crate) fn pack<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let texts: usize = pairs.clone().map(|(name, value)| name.len() + value.len()).sum();
    let mut packed = String::with_capacity(texts + 3 * pairs.len() + 2);
    push_number(&mut packed, pairs.len());
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
        let mut after = lengths;
        let mut texts_len = 0;
        for _ in 0..2 * left {
            texts_len += take_number(&mut after);
        }
        Self { left, lengths, texts: &packed[packed.len() - texts_len..] }
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
