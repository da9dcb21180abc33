//! Both sides of a session against each other, frame by frame.
#![expect(clippy::unwrap_used, reason = "a failing step fails the test, in its parts too")]

mod golden;
mod golden_settings;
mod hostile;
mod life;
mod size;
mod two_sides;
mod updates;
