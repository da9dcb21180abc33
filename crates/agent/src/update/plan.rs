//! What to do about a release: decisions without I/O.

use muster_wire::{SignedRelease, UpdateOutcome, Version};
use serde::{Deserialize, Serialize};

use super::UpdatePolicy;

/// How often a release is started without being welcomed before it is set aside.
pub(crate) const MAX_STARTS: u32 = 3;
/// The same for a release that has proved itself, counted anew whenever it did well: it may have met something new since.
pub(crate) const MAX_STARTS_PROVED: u32 = 10;
/// How long a release that was set aside is not tried again, in milliseconds: what was wrong may have been elsewhere.
pub(crate) const SET_ASIDE_MS: i64 = 7 * 86_400_000;

/// How the release in the store has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// Which release.
    pub(crate) version: String,
    /// How often it was started since it was stored, or since it last did well.
    pub(crate) starts: u32,
    /// Whether the server has welcomed it.
    pub(crate) welcomed: bool,
}

/// A release that did not come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetAside {
    pub(crate) version: String,
    pub(crate) reason: String,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: i64,
}

/// What the launcher does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Launch {
    /// Goes on as the program that it is.
    Stay,
    /// Becomes the release, for the attempt that is told.
    Become(Trial),
    /// Gives the release up, for this reason, and goes on as it is.
    SetAside(String),
}

/// What the launcher, which is `own`, does about the release in its store.
pub(crate) fn plan_launch(
    own: Version,
    policy: &UpdatePolicy,
    stored: &SignedRelease,
    trial: Option<Trial>,
) -> Launch {
    let version = stored.release.version;
    if !policy.allowed || version <= own {
        return Launch::Stay;
    }
    if stored.release.architecture != std::env::consts::ARCH
        || !policy.keys.iter().any(|key| key.signed(stored))
    {
        return Launch::SetAside(
            "its signature is not that of a key which this host trusts".into(),
        );
    }
    let version = version.to_string();
    let trial = trial
        .filter(|trial| trial.version == version)
        .unwrap_or_else(|| Trial { version, ..Trial::default() });
    if !trial.welcomed && trial.starts >= MAX_STARTS {
        return Launch::SetAside(format!(
            "it was started {MAX_STARTS} times, and the server welcomed it never"
        ));
    }
    if trial.starts >= MAX_STARTS_PROVED {
        return Launch::SetAside(format!(
            "it worked once, but ended early {MAX_STARTS_PROVED} times in a row"
        ));
    }
    Launch::Become(Trial { starts: trial.starts.saturating_add(1), ..trial })
}

/// What the agent does about an offer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it runs already, or something newer does.
    Ignore,
    /// Fetches it.
    Take,
    /// Tells the server why not.
    Decline(UpdateOutcome, &'static str),
}

/// What an agent that runs `running` does about an offer.
pub(crate) fn judge(
    running: Option<Version>,
    policy: &UpdatePolicy,
    offered: &SignedRelease,
    set_aside: Option<&SetAside>,
    wall_ms: i64,
) -> Verdict {
    let Some(running) = running else {
        return Verdict::Decline(UpdateOutcome::NotAllowed, "what runs here is no release");
    };
    let version = offered.release.version;
    if version <= running {
        return Verdict::Ignore;
    }
    if !policy.allowed {
        let why = "updates were not allowed when the agent was installed (--allow-updates)";
        return Verdict::Decline(UpdateOutcome::NotAllowed, why);
    }
    if policy.keys.is_empty() {
        let why = "this program was built without a key for releases, and the host trusts no other";
        return Verdict::Decline(UpdateOutcome::NotAllowed, why);
    }
    let here = offered.release.architecture == std::env::consts::ARCH;
    if !here || !policy.keys.iter().any(|key| key.signed(offered)) {
        let why = "its signature is not that of a key which this host trusts";
        return Verdict::Decline(UpdateOutcome::Refused, why);
    }
    let young = |aside: &&SetAside| (0..SET_ASIDE_MS).contains(&(wall_ms - aside.at_ms));
    if set_aside.filter(young).is_some_and(|aside| aside.version == version.to_string()) {
        return Verdict::Decline(UpdateOutcome::RolledBack, "it was tried and did not come up");
    }
    Verdict::Take
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use data_encoding::HEXLOWER;
    use muster_wire::Release;

    use super::*;
    use crate::update::ReleaseKey;

    /// A key of releases with both its halves.
    pub(crate) struct Signer(Ed25519KeyPair);

    impl Signer {
        pub(crate) fn new() -> Self {
            Self(Ed25519KeyPair::generate().unwrap())
        }

        pub(crate) fn policy(&self) -> UpdatePolicy {
            let digits = HEXLOWER.encode(self.0.public_key().as_ref());
            let key: ReleaseKey = digits.parse().unwrap();
            UpdatePolicy { allowed: true, keys: vec![key], spread_ms: 0 }
        }

        pub(crate) fn release(&self, version: &str, program: &[u8]) -> SignedRelease {
            let release = Release {
                version: version.parse().unwrap(),
                architecture: std::env::consts::ARCH.into(),
                size: program.len() as u64,
                sha256: digest(&SHA256, program).as_ref().try_into().unwrap(),
            };
            self.sign(release)
        }

        pub(crate) fn sign(&self, release: Release) -> SignedRelease {
            let signature = self.0.sign(release.signed_text().as_bytes());
            let signature = signature.as_ref().try_into().unwrap();
            SignedRelease { release, signature }
        }
    }

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn trial(starts: u32, welcomed: bool) -> Trial {
        Trial { version: "0.2.0".into(), starts, welcomed }
    }

    #[test]
    fn a_release_is_launched_until_it_has_failed_too_often() {
        let signer = Signer::new();
        let (policy, stored) = (signer.policy(), signer.release("0.2.0", b"new"));
        let launch = |own: &str, trial| plan_launch(version(own), &policy, &stored, trial);
        let becomes = |starts, welcomed| Launch::Become(trial(starts, welcomed));
        assert_eq!(launch("0.1.0", None), becomes(1, false));
        assert_eq!(launch("0.1.0", Some(trial(2, false))), becomes(3, false));
        assert!(matches!(launch("0.1.0", Some(trial(3, false))), Launch::SetAside(_)));
        assert_eq!(
            launch("0.1.0", Some(trial(9, true))),
            becomes(10, true),
            "it has proved itself"
        );
        let launched = launch("0.1.0", Some(trial(10, true)));
        assert!(matches!(launched, Launch::SetAside(_)), "and does so no more: {launched:?}");
        let former = Some(Trial { version: "0.1.9".into(), starts: 3, welcomed: false });
        assert_eq!(launch("0.1.0", former), becomes(1, false), "each release has its own attempts");
        assert_eq!(launch("0.2.0", None), Launch::Stay, "root has installed it meanwhile");
        assert_eq!(launch("0.3.0", None), Launch::Stay);
        let forbidden = UpdatePolicy { allowed: false, ..policy.clone() };
        assert_eq!(plan_launch(version("0.1.0"), &forbidden, &stored, None), Launch::Stay);
    }

    #[test]
    fn only_the_right_key_makes_a_release() {
        let (signer, other) = (Signer::new(), Signer::new());
        let forged = other.release("0.2.0", b"new");
        let launch = plan_launch(version("0.1.0"), &signer.policy(), &forged, None);
        assert!(matches!(launch, Launch::SetAside(_)));
        let genuine = signer.release("0.2.0", b"new");
        let (mut later, mut larger, mut swapped) = (genuine.clone(), genuine.clone(), genuine);
        later.release.version = version("0.3.0");
        larger.release.size += 1;
        swapped.release.sha256 = [0; 32];
        for changed in [later, larger, swapped] {
            let verdict = judge(Some(version("0.1.0")), &signer.policy(), &changed, None, 0);
            assert!(matches!(verdict, Verdict::Decline(UpdateOutcome::Refused, _)), "{changed:?}");
        }
        let elsewhere = signer.sign(Release {
            architecture: "pdp11".into(),
            ..signer.release("0.2.0", b"new").release
        });
        let verdict = judge(Some(version("0.1.0")), &signer.policy(), &elsewhere, None, 0);
        assert!(matches!(verdict, Verdict::Decline(UpdateOutcome::Refused, _)));
    }

    #[track_caller]
    fn check(running: &str, policy: &UpdatePolicy, signed: &SignedRelease, expected: &str) {
        let verdict = judge(running.parse().ok(), policy, signed, None, 0);
        let told = match verdict {
            Verdict::Ignore => "ignore".to_owned(),
            Verdict::Take => "take".to_owned(),
            Verdict::Decline(outcome, _) => format!("{outcome:?}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn an_offer_is_taken_only_if_it_is_newer_and_allowed() {
        let signer = Signer::new();
        let (policy, offer) = (signer.policy(), signer.release("0.2.0", b"new"));
        check("0.1.9", &policy, &offer, "take");
        check("0.2.0", &policy, &offer, "ignore");
        check("0.2.1", &policy, &offer, "ignore");
        check("0.1.0-dev", &policy, &offer, "NotAllowed");
        check("0.1.0", &UpdatePolicy { allowed: false, ..policy.clone() }, &offer, "NotAllowed");
        check("0.1.0", &UpdatePolicy { keys: vec![], ..policy }, &offer, "NotAllowed");
    }

    #[test]
    fn what_was_set_aside_is_left_alone_for_a_week() {
        let signer = Signer::new();
        let (policy, offer) = (signer.policy(), signer.release("0.2.0", b"new"));
        let aside = |version: &str| SetAside {
            version: version.into(),
            reason: String::new(),
            at_ms: 1_000,
        };
        let judged = |aside: &SetAside, wall_ms| {
            judge(Some(version("0.1.0")), &policy, &offer, Some(aside), wall_ms)
        };
        let declined = judged(&aside("0.2.0"), 1_000 + SET_ASIDE_MS - 1);
        assert!(matches!(declined, Verdict::Decline(UpdateOutcome::RolledBack, _)));
        assert_eq!(judged(&aside("0.2.0"), 1_000 + SET_ASIDE_MS), Verdict::Take);
        assert_eq!(judged(&aside("0.1.9"), 2_000), Verdict::Take, "a newer one has its own chance");
    }
}
