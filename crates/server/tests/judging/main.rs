//! Rules judged by a running server whose clock the tests move: what they compare with, what evaluates them at once, who is
//! silent, and what a restart keeps.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

mod world;

mod late;
mod layers;
mod presence;
mod restart;
