//! A client of the D-Bus wire protocol, as small as the agent needs: method calls with texts as arguments, replies, signals.
//!
//! The format is that of the D-Bus specification, "Message Protocol" and "Authentication Protocol".
//! `docs/decisions/0009-an-own-client-of-d-bus.md` says why it is not a library.

mod connection;
mod message;
mod reader;

pub(crate) use connection::{Connection, DbusError};
pub(crate) use message::{Call, Kind, Message};
pub(crate) use reader::{Reader, Value};

#[cfg(test)]
pub(crate) mod bodies;
#[cfg(test)]
pub(crate) use message::parse;

/// A digit of a number to the base 16, from 0 to 15.
pub(crate) fn hex_digit(digit: u8) -> char {
    char::from_digit(digit.into(), 16).expect("four bits are a hexadecimal digit")
}
