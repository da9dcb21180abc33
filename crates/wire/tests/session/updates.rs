//! Releases that the server offers, and what agents report of them.

use muster_wire::{
    AgentEvent, Limits, Offer, Release, ServerEvent, SignedRelease, UpdateOutcome, UpdateReport,
    WireError,
};

use crate::golden::unhex;
use crate::two_sides::TwoSides;

const RELEASE: &str = "005a8f010a05302e322e30121d2f646f776e6c6f61642f6d75737465722d6c696e75782d7838365f36341880808001222009090909090909090909090909090909090909090909090909090909090909092a4006060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606060606";
const REPORT: &str = "003a130a05302e322e3010021a086e6f206c69666521";

fn offer() -> Offer {
    Offer {
        path: "/download/muster-linux-x86_64".into(),
        signed: SignedRelease {
            release: Release {
                version: "0.2.0".parse().unwrap(),
                architecture: "x86_64".into(),
                size: 2 << 20,
                sha256: [9; 32],
            },
            signature: [6; 64],
        },
    }
}

fn report() -> UpdateReport {
    UpdateReport {
        version: "0.2.0".into(),
        outcome: UpdateOutcome::RolledBack,
        message: "no life!".into(),
    }
}

#[test]
fn an_offer_and_a_report_arrive_in_frames_that_stay_as_they_are() {
    let mut both = TwoSides::welcomed(Limits::default());
    both.server.offer(&offer());
    let frame = both.server.poll_transmit().unwrap();
    assert_eq!(frame, unhex(RELEASE));
    let told = both.agent.handle_frame(&frame, 0);
    assert_eq!(told, Ok(Some(AgentEvent::Release(Box::new(offer())))));
    both.agent.report_update(&report());
    let frame = both.agent.poll_transmit().unwrap();
    assert_eq!(frame, unhex(REPORT));
    assert_eq!(both.server.handle_frame(&frame, 0), Ok(Some(ServerEvent::UpdateReport(report()))));
}

#[track_caller]
fn check_refused(change: impl Fn(&mut Offer)) {
    let mut both = TwoSides::welcomed(Limits::default());
    let mut bad = offer();
    change(&mut bad);
    both.server.offer(&bad);
    let error = both.down().unwrap_err();
    assert!(matches!(error, WireError::Malformed { .. } | WireError::Limit { .. }), "{error}");
    assert!(both.agent.is_closed());
}

#[test]
fn an_offer_that_asks_for_too_much_ends_the_session() {
    check_refused(|offer| offer.path = "http://elsewhere/".into());
    check_refused(|offer| offer.path = "/a b".into());
    check_refused(|offer| offer.path = format!("/{}", "a".repeat(256)));
    check_refused(|offer| offer.signed.release.size = 0);
    check_refused(|offer| offer.signed.release.size = u64::MAX);
}

#[test]
fn a_long_report_is_cut_by_the_agent_and_one_out_of_order_ends_the_session() {
    let mut both = TwoSides::welcomed(Limits::default());
    both.agent.report_update(&UpdateReport { message: "é".repeat(1_000), ..report() });
    let told = both.up().unwrap();
    let [ServerEvent::UpdateReport(told)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told.message, "é".repeat(256));

    let mut early = TwoSides::new(Limits::default());
    early.agent.report_update(&report());
    assert_eq!(early.up(), Ok(vec![]), "only the hello");
    assert!(early.server.handle_frame(&unhex(REPORT), 0).is_err());
}
