//! Bodies and signals for tests, as a sender would write them.

use crate::dbus::message::Call;

/// The body of a message, value by value.
#[derive(Debug, Default, Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    fn pad(mut self, to: usize) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn byte(self, byte: u8) -> Self {
        self.raw(&[byte])
    }

    pub(crate) fn u32(self, number: u32) -> Self {
        self.pad(4).raw(&number.to_le_bytes())
    }

    pub(crate) fn string(self, text: &str) -> Self {
        self.u32(text.len() as u32).raw(text.as_bytes()).byte(0)
    }

    pub(crate) fn signature(self, text: &str) -> Self {
        self.byte(text.len() as u8).raw(text.as_bytes()).byte(0)
    }

    pub(crate) fn variant_string(self, text: &str) -> Self {
        self.signature("s").string(text)
    }

    pub(crate) fn variant_u32(self, number: u32) -> Self {
        self.signature("u").u32(number)
    }

    pub(crate) fn variant_i32(self, number: i32) -> Self {
        self.signature("i").u32(number as u32)
    }

    pub(crate) fn variant_u64(self, number: u64) -> Self {
        self.signature("t").pad(8).raw(&number.to_le_bytes())
    }

    /// An array whose elements are aligned to 8; `fill` appends each of `items`.
    pub(crate) fn array<T>(self, items: &[T], fill: impl Fn(Self, &T) -> Self) -> Self {
        let with_len = self.u32(0);
        let len_at = with_len.bytes.len() - 4;
        let mut all = with_len.pad(8);
        let start = all.bytes.len();
        for item in items {
            all = fill(all.pad(8), item);
        }
        let len = (all.bytes.len() - start) as u32;
        all.bytes[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
        all
    }
}

/// A signal as the bus delivers it.
pub(crate) fn signal(
    sender: &str,
    path: &str,
    interface: &'static str,
    member: &'static str,
    body: &Body,
) -> Vec<u8> {
    message(4, 0, sender, path, interface, member, body)
}

/// The reply to the call with this serial.
pub(crate) fn reply(sender: &str, to: u32, body: &Body) -> Vec<u8> {
    message(2, to, sender, "/", "i.i", "m", body)
}

/// The refusal of the call with this serial.
pub(crate) fn refusal(sender: &str, to: u32) -> Vec<u8> {
    message(3, to, sender, "/", "i.i", "m", &Body::default())
}

fn message(
    kind: u8,
    reply_to: u32,
    sender: &str,
    path: &str,
    interface: &'static str,
    member: &'static str,
    body: &Body,
) -> Vec<u8> {
    let call =
        Call { destination: "", path: path.into(), interface, member, arguments: Vec::new() };
    let mut bytes = call.encode(1);
    let fields = |bytes: &[u8]| u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    bytes.truncate(16 + fields(&bytes));
    let mut head = Body { bytes }.pad(8).byte(7).signature("s").string(sender);
    head = head.pad(8).byte(5).variant_u32(reply_to);
    let fields_len = (head.bytes.len() - 16) as u32;
    let mut bytes = head.pad(8).raw(&body.bytes).bytes;
    bytes[1] = kind;
    bytes[4..8].copy_from_slice(&(body.bytes.len() as u32).to_le_bytes());
    bytes[12..16].copy_from_slice(&fields_len.to_le_bytes());
    bytes
}
