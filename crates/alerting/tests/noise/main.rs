//! The noise rules as text: what happens, and what is told of it; and what must hold whatever happens.
#![expect(clippy::unwrap_used, reason = "what helps a test fails as a test does")]

mod properties;
mod rules;
mod scenario;
