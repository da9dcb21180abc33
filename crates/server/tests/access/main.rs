//! Who gets in: every route for everybody, sessions, tokens, second factors, the identity provider, and what browsers are
//! told to keep out.

#![expect(clippy::unwrap_used, reason = "what these tests are set up with is there, or they fail")]

mod identity_provider;
mod server;

mod administration;
mod agents;
mod agents_told;
mod certificate;
mod downloads;
mod every_route;
mod headers;
mod provider;
mod second_factor;
mod sessions;
