//! Who is let in: the decision about an agent that has presented itself and signed.

use std::net::SocketAddr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use muster_meta::{EnrollError, Meta, NewAgent};
use muster_wire::{Identity, RejectCode};

use crate::secrets::hash_secret;

/// What is said of a name that [`is_host_name`] refuses.
pub(crate) const BAD_HOST_NAME: &str = "a host name has 1 to 253 letters, digits, dots, hyphens, underscores or colons, \
                                        the first one a letter or a digit";
/// The longest name a host may have.
const MAX_INSTANCE_BYTES: usize = 253;

/// What the server answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The agent is known, or has just joined; this is the name of its host.
    Admitted {
        /// The agent's number in the database.
        agent_id: String,
        /// The name by which its host is known.
        instance: String,
        /// Its groups.
        groups: Vec<String>,
    },
    /// The agent is sent away, with a sentence for the person who reads its log.
    Rejected(RejectCode, String),
}

/// Checks signature, name, and whether the key is known or the join token is good.
pub(crate) async fn admit(
    meta: &Meta,
    identity: &Identity,
    address: &SocketAddr,
    now_ms: i64,
) -> Admission {
    if !signature_is_right(identity) {
        return reject(RejectCode::BadSignature, "the signature is not that of the key");
    }
    if !is_host_name(&identity.instance) {
        return reject(
            RejectCode::BadName,
            "the host name must have 1 to 253 letters, digits, dots, hyphens, underscores or colons; \
             set another one with --instance",
        );
    }
    match meta.agent_by_public_key(&identity.public_key).await {
        Ok(Some(agent)) if agent.revoked => reject(
            RejectCode::Revoked,
            "this agent was revoked; remove its state folder and join again with a new token",
        ),
        Ok(Some(agent)) => admitted(agent),
        Ok(None) => join(meta, identity, address, now_ms).await,
        Err(error) => unavailable(&error.to_string()),
    }
}

/// Whether the agent is on record and not revoked; an answer that does not come counts as yes, as it came a moment ago.
pub(crate) async fn is_admitted(meta: &Meta, public_key: &[u8; 32]) -> bool {
    match meta.agent_by_public_key(public_key).await {
        Ok(agent) => agent.is_some_and(|agent| !agent.revoked),
        Err(_) => true,
    }
}

async fn join(meta: &Meta, identity: &Identity, address: &SocketAddr, now_ms: i64) -> Admission {
    let Some(token) = &identity.enroll_token else {
        return reject(
            RejectCode::UnknownAgent,
            "this agent is not known here; make a token with `muster enroll-token` on the server \
             and start the agent once with --token",
        );
    };
    let agent = NewAgent {
        instance: identity.instance.clone(),
        public_key: identity.public_key,
        version: identity.agent_version.clone(),
        address: address.ip().to_string(),
    };
    match meta.enroll_agent(&hash_secret(token), agent, now_ms).await {
        Ok(enrollment) => {
            let agent = enrollment.agent;
            if enrollment.renamed {
                tracing::warn!(
                    instance = agent.instance,
                    asked_for = identity.instance,
                    "another agent has that name; this one joined under a new one"
                );
            } else {
                tracing::info!(instance = agent.instance, "agent joined");
            }
            admitted(agent)
        }
        Err(EnrollError::Meta(error)) => unavailable(&error.to_string()),
        Err(refusal @ EnrollError::AgentRevoked { .. }) => {
            reject(RejectCode::Revoked, &refusal.to_string())
        }
        Err(refusal) => reject(RejectCode::BadToken, &refusal.to_string()),
    }
}

fn admitted(agent: muster_meta::Agent) -> Admission {
    Admission::Admitted { agent_id: agent.id, instance: agent.instance, groups: agent.groups }
}

fn reject(code: RejectCode, message: &str) -> Admission {
    Admission::Rejected(code, message.to_owned())
}

fn unavailable(error: &str) -> Admission {
    tracing::error!(error, "the metadata database did not answer; the agent will try again");
    reject(RejectCode::Busy, "the server's database did not answer; the agent will try again")
}

fn signature_is_right(identity: &Identity) -> bool {
    UnparsedPublicKey::new(&ED25519, &identity.public_key)
        .verify(&identity.signed_message, &identity.signature)
        .is_ok()
}

/// Host names are shown, and are part of addresses and queries: only what is harmless everywhere.
pub(crate) fn is_host_name(name: &str) -> bool {
    (1..=MAX_INSTANCE_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(name: &str, allowed: bool) {
        assert_eq!(is_host_name(name), allowed, "{name:?}");
    }

    #[test]
    fn host_names_are_harmless() {
        check_name("web-1.example.com", true);
        check_name("10.0.0.1:9100", true);
        check_name("", false);
        check_name("../etc", false);
        check_name("<script>", false);
        check_name("a b", false);
        check_name("a\"b", false);
        check_name(&"a".repeat(254), false);
    }
}
