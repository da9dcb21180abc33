//! One message: its header, and where its body begins.

use crate::dbus::reader::{Reader, Value};

/// Largest message accepted, in bytes: the list of ten thousand units is a few MiB.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;
/// What must be there before the length of a message is known.
const FIXED_HEADER: usize = 16;
/// A call must not start the program that it is for.
const NO_AUTO_START: u8 = 2;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer to a call.
    Reply,
    /// The refusal of a call.
    Error,
    /// News.
    Signal,
    /// Anything else, such as a call that somebody makes to us.
    Other,
}

/// A message received.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind,
    /// Which call it answers; 0 if none.
    pub(crate) reply_to: u32,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    /// The unique name of the sender, which the bus writes.
    pub(crate) sender: &'a str,
    /// The name of an error.
    pub(crate) error: &'a str,
    pub(crate) body: Reader<'a>,
}

/// A method call, whose arguments are texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) destination: &'static str,
    pub(crate) path: String,
    pub(crate) interface: &'static str,
    pub(crate) member: &'static str,
    pub(crate) arguments: Vec<String>,
}

/// The length of the message that begins here; `None` until enough of it is there, an error if it is none.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let Some(head) = bytes.get(..FIXED_HEADER) else {
        return Ok(None);
    };
    let big_endian = match (head[0], head[3]) {
        (b'l', 1) => false,
        (b'B', 1) => true,
        _ => return Err(()),
    };
    let mut reader = Reader::new(&head[4..], big_endian);
    let mut number = || reader.u32().expect("the fixed header has three numbers") as usize;
    let (body, _serial, fields) = (number(), number(), number());
    if body > MAX_MESSAGE || fields > MAX_MESSAGE {
        return Err(());
    }
    let all = (FIXED_HEADER + fields).next_multiple_of(8) + body;
    if all > MAX_MESSAGE { Err(()) } else { Ok(Some(all)) }
}

/// Reads one whole message; `None` if it is none.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    let big_endian = *bytes.first()? == b'B';
    let mut header = Reader::new(bytes, big_endian);
    header.skip("y")?;
    let kind = match header.byte()? {
        2 => Kind::Reply,
        3 => Kind::Error,
        4 => Kind::Signal,
        _ => Kind::Other,
    };
    header.skip("yyuu")?;
    let body_at = (FIXED_HEADER + Reader::new(bytes.get(12..16)?, big_endian).u32()? as usize)
        .next_multiple_of(8);
    let body = Reader::new(bytes.get(body_at..)?, big_endian);
    let mut message = Message {
        kind,
        reply_to: 0,
        path: "",
        interface: "",
        member: "",
        sender: "",
        error: "",
        body,
    };
    let mut fields = header.array(8)?;
    while !fields.is_empty() {
        fields.structure()?;
        match (fields.byte()?, fields.value()?) {
            (1, Value::Text(path)) => message.path = path,
            (2, Value::Text(interface)) => message.interface = interface,
            (3, Value::Text(member)) => message.member = member,
            (4, Value::Text(error)) => message.error = error,
            (5, Value::Number(serial)) => message.reply_to = u32::try_from(serial).ok()?,
            (7, Value::Text(sender)) => message.sender = sender,
            _ => {}
        }
    }
    Some(message)
}

impl Call {
    /// The call as bytes; `serial` is not 0.
    pub(crate) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        for argument in &self.arguments {
            push_string(&mut body, argument);
        }
        let mut bytes = vec![b'l', 1, NO_AUTO_START, 1];
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(serial.to_le_bytes());
        let fields_len_at = bytes.len();
        bytes.extend([0; 4]);
        let texts = [
            (1, b'o', self.path.as_str()),
            (2, b's', self.interface),
            (3, b's', self.member),
            (6, b's', self.destination),
        ];
        for (code, kind, text) in texts {
            pad(&mut bytes, 8);
            bytes.extend([code, 1, kind, 0]);
            push_string(&mut bytes, text);
        }
        if !self.arguments.is_empty() {
            pad(&mut bytes, 8);
            bytes.extend([8, 1, b'g', 0, self.arguments.len() as u8]);
            bytes.extend(std::iter::repeat_n(b's', self.arguments.len()));
            bytes.push(0);
        }
        let fields_len = (bytes.len() - FIXED_HEADER) as u32;
        bytes[fields_len_at..FIXED_HEADER].copy_from_slice(&fields_len.to_le_bytes());
        pad(&mut bytes, 8);
        bytes.extend(body);
        bytes
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn push_string(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbus::bodies::{Body, signal};

    fn get_state() -> Call {
        Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1".into(),
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            arguments: vec!["org.freedesktop.systemd1.Manager".into(), "SystemState".into()],
        }
    }

    #[test]
    fn a_call_reads_back() {
        let bytes = get_state().encode(7);
        assert_eq!(length(&bytes), Ok(Some(bytes.len())));
        let mut message = parse(&bytes).unwrap();
        assert_eq!(message.kind, Kind::Other);
        assert_eq!((message.path, message.member), ("/org/freedesktop/systemd1", "Get"));
        assert_eq!(message.body.string(), Some("org.freedesktop.systemd1.Manager"));
        assert_eq!(message.body.string(), Some("SystemState"));
        assert!(message.body.is_empty());
    }

    #[test]
    fn a_signal_is_told_by_its_header() {
        let bytes = signal(":1.3", "/a/b", "org.x.I", "News", &Body::default().string("body"));
        let mut message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.sender), (Kind::Signal, ":1.3"));
        assert_eq!((message.interface, message.member), ("org.x.I", "News"));
        assert_eq!(message.body.string(), Some("body"));
    }

    #[test]
    fn a_length_is_known_from_sixteen_bytes_and_bounded() {
        let bytes = get_state().encode(1);
        for short in 0..16 {
            assert_eq!(length(&bytes[..short]), Ok(None));
        }
        let mut wrong = bytes.clone();
        wrong[0] = b'x';
        assert_eq!(length(&wrong), Err(()));
        for at in [4, 12] {
            let mut long = bytes.clone();
            long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert_eq!(length(&long), Err(()));
        }
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let bytes = signal(":1.3", "/a", "i.i", "M", &Body::default().variant_string("x").u32(3));
        for at in 0..bytes.len() {
            for wrong in [0, 1, b'a', b'v', b'(', 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = wrong;
                if let Some(mut message) = parse(&damaged) {
                    let _ = message.body.value();
                    let _ = message.body.skip("a{sv}as");
                }
            }
            let _ = parse(&bytes[..at]);
        }
    }
}
