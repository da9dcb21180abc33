//! Values in the body of a message: read in place, at their alignment, skipped by their signature.
//!
//! Everything returns `None` where the bytes are not what the format says; nothing panics.

/// Containers within containers: the specification allows 32 arrays and 32 structures.
const DEEPEST: u32 = 64;

/// Reads values one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    /// Begins at a multiple of 8 in the message, so that alignment can be counted from here.
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

/// What a variant holds, as far as it is of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A text or a path of an object.
    Text(&'a str),
    /// An unsigned number.
    Number(u64),
    /// A signed number.
    Signed(i64),
    /// Of another type; it was skipped.
    Other,
}

impl<'a> Reader<'a> {
    /// `bytes` begin at a multiple of 8 in their message.
    pub(crate) fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian }
    }

    /// Whether everything is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn align(&mut self, to: usize) -> Option<()> {
        self.at = self.at.next_multiple_of(to);
        (self.at <= self.bytes.len()).then_some(())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.align(N)?;
        self.take(N)?.try_into().ok()
    }

    /// A byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    /// An unsigned number of 32 bits.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let bytes = self.fixed()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> Option<u64> {
        let bytes = self.fixed()?;
        Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A text or a path of an object.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        let len = self.u32()?;
        self.terminated(len as usize)
    }

    /// A signature of types.
    pub(crate) fn signature(&mut self) -> Option<&'a str> {
        let len = self.byte()?;
        self.terminated(usize::from(len))
    }

    fn terminated(&mut self, len: usize) -> Option<&'a str> {
        let text = std::str::from_utf8(self.take(len)?).ok()?;
        (self.byte()? == 0).then_some(text)
    }

    /// The elements of an array, whose type is aligned to `alignment`.
    pub(crate) fn array(&mut self, alignment: usize) -> Option<Self> {
        let len = self.u32()? as usize;
        self.align(alignment)?;
        let start = self.at;
        self.take(len)?;
        Some(Self { bytes: &self.bytes[..self.at], at: start, big_endian: self.big_endian })
    }

    /// Goes to the beginning of a structure or of an entry of a dictionary.
    pub(crate) fn structure(&mut self) -> Option<()> {
        self.align(8)
    }

    /// A variant.
    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        let signature = self.signature()?;
        Some(match signature {
            "s" | "o" => Value::Text(self.string()?),
            "y" => Value::Number(self.byte()?.into()),
            "u" | "b" => Value::Number(self.u32()?.into()),
            "t" => Value::Number(self.u64()?),
            "i" => Value::Signed((self.u32()? as i32).into()),
            "x" => Value::Signed(self.u64()? as i64),
            other => {
                self.skip(other)?;
                Value::Other
            }
        })
    }

    /// Passes over values of these types.
    pub(crate) fn skip(&mut self, signature: &str) -> Option<()> {
        let mut rest = signature.as_bytes();
        while !rest.is_empty() {
            rest = self.skip_one(rest, DEEPEST)?;
        }
        Some(())
    }

    /// Passes over a value of the first type; gives the types after it.
    fn skip_one<'s>(&mut self, signature: &'s [u8], depth: u32) -> Option<&'s [u8]> {
        let depth = depth.checked_sub(1)?;
        let (&kind, mut rest) = signature.split_first()?;
        match kind {
            b'y' => drop(self.fixed::<1>()?),
            b'n' | b'q' => drop(self.fixed::<2>()?),
            b'b' | b'i' | b'u' | b'h' => drop(self.fixed::<4>()?),
            b'x' | b't' | b'd' => drop(self.fixed::<8>()?),
            b's' | b'o' => drop(self.string()?),
            b'g' => drop(self.signature()?),
            b'v' => {
                let inner = self.signature()?;
                if !self.skip_one(inner.as_bytes(), depth)?.is_empty() {
                    return None;
                }
            }
            b'a' => {
                let element = complete_type(rest, depth)?;
                self.array(alignment(rest[0]))?;
                rest = &rest[element..];
            }
            b'(' | b'{' => {
                self.structure()?;
                let end = if kind == b'(' { b')' } else { b'}' };
                while *rest.first()? != end {
                    rest = self.skip_one(rest, depth)?;
                }
                rest = &rest[1..];
            }
            _ => return None,
        }
        Some(rest)
    }
}

/// How many characters the first complete type of a signature has.
fn complete_type(signature: &[u8], depth: u32) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    match *signature.first()? {
        b'a' => Some(1 + complete_type(&signature[1..], depth)?),
        open @ (b'(' | b'{') => {
            let end = if open == b'(' { b')' } else { b'}' };
            let mut at = 1;
            while *signature.get(at)? != end {
                at += complete_type(&signature[at..], depth)?;
            }
            Some(at + 1)
        }
        _ => Some(1),
    }
}

/// What a type is aligned to, in bytes.
fn alignment(kind: u8) -> usize {
    match kind {
        b'n' | b'q' => 2,
        b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a' => 4,
        b'x' | b't' | b'd' | b'(' | b'{' => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::bodies::Body;

    #[test]
    fn values_are_read_at_their_alignment() {
        let body = Body::default().byte(7).string("ab").variant_u64(1 << 40).variant_string("x");
        let mut reader = Reader::new(&body.bytes, false);
        assert_eq!(reader.byte(), Some(7));
        assert_eq!(reader.string(), Some("ab"));
        assert_eq!(reader.value(), Some(Value::Number(1 << 40)));
        assert_eq!(reader.value(), Some(Value::Text("x")));
        assert!(reader.is_empty());
        assert_eq!(reader.byte(), None);
    }

    #[test]
    fn the_other_byte_order_is_read_too() {
        let mut reader = Reader::new(&[0, 0, 0, 2, b'h', b'i', 0], true);
        assert_eq!(reader.string(), Some("hi"));
    }

    /// `bytes` are values of `signature`, and nothing else.
    #[track_caller]
    fn check_skip(signature: &str, bytes: &[u8], works: bool) {
        let mut reader = Reader::new(bytes, false);
        let skipped = reader.skip(signature).is_some() && reader.is_empty();
        assert_eq!(skipped, works, "{signature}");
    }

    #[test]
    fn any_type_can_be_skipped() {
        check_skip("ynu", &[1, 0, 2, 0, 3, 0, 0, 0], true);
        check_skip("g", b"\x03a{s\0", true);
        check_skip("v", b"\x01y\0\x05", true);
        check_skip("v", b"\x02yy\0\x05\x05", false);
        check_skip("a(ss)y", &[0, 0, 0, 0, 0, 0, 0, 0, 9], true);
        check_skip("(y(y))", &[1, 0, 0, 0, 0, 0, 0, 0, 2], true);
        check_skip("a{sv}", &[9, 0, 0, 0, 0, 0, 0, 0], false);
        check_skip("(y", &[1, 2, 3], false);
        check_skip("z", &[1], false);
        check_skip("s", &[1, 0, 0, 0, 0xff, 0], false);
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = "a".repeat(200) + "y";
        check_skip(&deep, &[0, 0, 0, 0], false);
        // A variant in a variant in a variant …
        check_skip("v", &b"\x01v\0".repeat(1_000), false);
    }
}
