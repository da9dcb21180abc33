//! Reading protobuf messages field by field, in place.
//!
//! There is no type per message: what is not asked for is skipped, nothing is allocated, and a nested message is just
//! bytes until somebody reads it. So a hostile message costs no more than its own length.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>.

/// Why bytes are no message of the kind expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field says that it is longer than what is there.
    #[error("a field of the message ends after the message; it was cut or is of another kind")]
    Truncated,
    /// An integer of more than 64 bits.
    #[error("an integer of the message has more than 64 bits")]
    Varint,
    /// A field with an unknown encoding, or the number 0.
    #[error("the message has a field with the tag {tag}, which no message has")]
    Tag {
        /// Number and encoding of the field, as they stand there.
        tag: u64,
    },
    /// A field that is there in another encoding than its kind has.
    #[error("field {field} of the message has the wrong encoding")]
    FieldType {
        /// The field's number.
        field: u32,
    },
    /// A text that is not UTF-8.
    #[error("the text in field {field} of the message is not UTF-8")]
    NotUtf8 {
        /// The field's number.
        field: u32,
    },
    /// The first symbol of a remote write 2.0 request is not the empty text.
    #[error("the first symbol of the request must be the empty text")]
    FirstSymbol,
    /// More of something than one request may have.
    #[error("the request has more than {limit} {what}; send fewer at once")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of one message, from front to back.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field: its number and what stands in it.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = u32::try_from(tag >> 3).ok().filter(|&field| field > 0 && field < 1 << 29);
        let field = field.ok_or(DecodeError::Tag { tag })?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => Value::Bytes(self.bytes()?),
            5 => {
                let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
                self.rest = rest;
                Value::Fixed32(u32::from_le_bytes(*taken))
            }
            _ => return Err(DecodeError::Tag { tag }),
        };
        Ok(Some((field, value)))
    }

    /// Skips fields of `tag`, a single byte that announces bytes, as long as they come; returns all of them as they stand.
    #[inline]
    pub(crate) fn take_run(&mut self, tag: u8) -> Result<&'a [u8], DecodeError> {
        let start = self.rest;
        while self.rest.first() == Some(&tag) {
            self.rest = &self.rest[1..];
            self.bytes()?;
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// The next varint, as packed fields hold them.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        // Most are one byte: tags and lengths of labels.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                return Err(DecodeError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(DecodeError::Truncated)
    }

    /// The next 8 bytes, as packed fields hold them.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*taken))
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// What a field must hold; `field` names it in the error.
impl<'a> Value<'a> {
    #[inline]
    pub(crate) fn as_bytes(self, field: u32) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(DecodeError::FieldType { field }),
        }
    }

    #[inline]
    pub(crate) fn as_varint(self, field: u32) -> Result<u64, DecodeError> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(DecodeError::FieldType { field }),
        }
    }

    #[inline]
    pub(crate) fn as_fixed64(self, field: u32) -> Result<u64, DecodeError> {
        match self {
            Self::Fixed64(value) => Ok(value),
            _ => Err(DecodeError::FieldType { field }),
        }
    }

    #[inline]
    pub(crate) fn as_double(self, field: u32) -> Result<f64, DecodeError> {
        self.as_fixed64(field).map(f64::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_error(message: &[u8], expected: DecodeError) {
        let mut fields = Fields::new(message);
        let error = loop {
            match fields.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the message is read to its end"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, expected);
    }

    #[test]
    fn each_encoding_is_read() {
        let message = [
            &[0x08, 0xac, 0x02][..],
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0x80],
            &[0x1a, 2, b'h', b'i'],
            &[0x25, 5, 0, 0, 0],
        ]
        .concat();
        let mut fields = Fields::new(&message);
        assert_eq!(fields.next(), Ok(Some((1, Value::Varint(300)))));
        assert_eq!(fields.next(), Ok(Some((2, Value::Fixed64(0x8000_0000_0000_0001)))));
        assert_eq!(fields.next(), Ok(Some((3, Value::Bytes(b"hi")))));
        assert_eq!(fields.next(), Ok(Some((4, Value::Fixed32(5)))));
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        check_error(&[0x0a, 2, 0], DecodeError::Truncated);
        check_error(&[0x08], DecodeError::Truncated);
        check_error(&[0x08, 0x80], DecodeError::Truncated);
        check_error(&[0x09, 0, 0], DecodeError::Truncated);
        check_error(&[0x00], DecodeError::Tag { tag: 0 });
        check_error(&[0x0b], DecodeError::Tag { tag: 0x0b });
        let long = [&[0x08][..], &[0xff; 9], &[2]].concat();
        check_error(&long, DecodeError::Varint);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::new(&bytes);
            while let Ok(Some(_)) = fields.next() {}
            prop_assert!(fields.rest().len() <= bytes.len());
        }

        #[test]
        fn a_varint_is_what_prost_makes_of_it(value: u64) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            prop_assert_eq!(Fields::new(&bytes).varint(), Ok(value));
        }
    }
}
