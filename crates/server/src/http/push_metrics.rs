//! What `/metrics` tells of pushing, by protocol.

use muster_exposition::Family;
use muster_exposition::Kind::{Counter, Gauge};

use crate::ingest::push::{CODES, OfProtocol, Protocol, Push, Reason};

/// All families about pushing.
pub(super) fn families(push: &Push) -> [Family; 5] {
    let samples = "Samples that programs pushed and that were stored.";
    let exemplars = "Exemplars that were pushed; they are read and not kept.";
    let refused =
        "Samples, histograms, data points and lines that were pushed and not stored, by reason.";
    let requests = "Pushes that were answered, by status code.";
    let known = "Pushed series that are known by the hash of their labels.";
    let mut families = [
        Family::new("muster_push_samples_total", Counter, samples),
        Family::new("muster_push_exemplars_total", Counter, exemplars),
        Family::new("muster_push_refused_total", Counter, refused),
        Family::new("muster_push_requests_total", Counter, requests),
        Family::new("muster_push_known_series", Gauge, known),
    ];
    for protocol in Protocol::ALL {
        let OfProtocol { samples, exemplars, refused, requests } = push.counts.of(protocol);
        let protocol = ("protocol", protocol.as_str());
        add(&mut families[0], &[protocol], samples.get());
        add(&mut families[1], &[protocol], exemplars.get());
        for (reason, count) in Reason::ALL.iter().zip(refused) {
            add(&mut families[2], &[protocol, ("reason", reason.as_str())], count.get());
        }
        for (code, count) in CODES.iter().zip(requests) {
            add(&mut families[3], &[protocol, ("code", &code.to_string())], count.get());
        }
    }
    add(&mut families[4], &[], push.known_series() as u64);
    families
}

fn add(family: &mut Family, labels: &[(&str, &str)], value: u64) {
    family.push(labels.iter().copied(), value as f64).expect("the names of the labels differ");
}
