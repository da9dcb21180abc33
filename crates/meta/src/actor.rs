//! Who changes something: every function that changes what people set takes one, and writes it into the audit log itself.

use std::fmt;
use std::str::FromStr;

use crate::{ApiToken, User};

/// Who did, or does, something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// The number of the account, token or agent; empty for others.
    pub id: String,
    /// Its name at that time.
    pub name: String,
    /// The network address it came from; empty if from none.
    pub address: String,
}

/// The kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// A person who signed in.
    User,
    /// A program with an API token.
    Token,
    /// An agent, which joins by itself.
    Agent,
    /// Somebody on the server's own machine.
    CommandLine,
    /// The server, of its own accord.
    Server,
    /// Somebody unknown, as at a sign-in that failed.
    Nobody,
}

impl Actor {
    /// A person who signed in from an address.
    pub fn user(user: &User, address: &str) -> Self {
        Self::new(ActorKind::User, &user.id, &user.name, address)
    }

    /// A program with a token.
    pub fn token(token: &ApiToken, address: &str) -> Self {
        Self::new(ActorKind::Token, &token.id, &token.name, address)
    }

    /// Somebody on the server's own machine; the name is that of the system's account.
    pub fn command_line(name: &str) -> Self {
        Self::new(ActorKind::CommandLine, "", name, "")
    }

    /// The server, of its own accord.
    pub fn server() -> Self {
        Self::new(ActorKind::Server, "", "server", "")
    }

    /// Somebody unknown who gives a name.
    pub fn nobody(name: &str, address: &str) -> Self {
        Self::new(ActorKind::Nobody, "", name, address)
    }

    /// An actor of any kind.
    pub fn new(kind: ActorKind, id: &str, name: &str, address: &str) -> Self {
        Self { kind, id: id.into(), name: name.into(), address: address.into() }
    }
}

impl ActorKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::User, Self::Token, Self::Agent, Self::CommandLine, Self::Server, Self::Nobody];

    /// The word for the kind, as the database and the API have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Agent => "agent",
            Self::CommandLine => "command-line",
            Self::Server => "server",
            Self::Nobody => "nobody",
        }
    }
}

impl fmt::Display for ActorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ActorKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}
