//! Decides who hears what, when, and once: the noise rules, as a machine without I/O and without a clock.
//!
//! Facts go in with the time at which they are told: [`Dispatcher::post`] for alerts, and the calls for silences,
//! acknowledgements and routes. [`Dispatcher::poll`] decides what is due and gives all that was decided since it was
//! called last; [`Dispatcher::next_due_ms`] says when to call it at the latest. What it decides is to be stored in one
//! transaction, as after a restart [`Dispatcher::restore`] goes on from the records: nothing is told twice, and nothing
//! is lost.
//!
//! An alert takes this way:
//!
//! 1. It is pending, fires, is resolved; one that another program pushed ends by itself if nothing more is heard of it.
//! 2. Its routes put it into a group for each receiver. A group waits a little for more, and is looked at from time to
//!    time then.
//! 3. What a silence hides, what another alert explains, what a mute time covers and what flaps is not told.
//! 4. What is new for the receiver is told; what has not changed is repeated rarely, and not at all once somebody has
//!    acknowledged it. If nobody does in time, somebody else is called.
//! 5. Very many messages at once are summed up.
//!
//! Each step leaves one line in the trail of the alert.

mod alert;
mod decide;
mod dispatcher;
mod exported;
mod group;
mod inhibition;
mod intervals;
mod lifecycle;
mod matchers;
mod records;
mod routing;
mod routing_file;
mod silences;
mod storm;
mod trail;
mod view;

pub use dispatcher::Dispatcher;
pub use matchers::{Matchers, MatchersError};
pub use routing::{EVERYONE, NOBODY, Routing, RoutingError};
pub use silences::{Recurrence, Silence, SilenceError, SilenceState};
pub use trail::{TrailKind, TrailLine, why};
pub use view::{Acknowledgement, AlertView, Decisions, Episode, GroupView, Hush};
