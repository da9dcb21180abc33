//! The conversation with a systemd made of bytes.

use super::*;
use crate::dbus::bodies::{Body, refusal, reply, signal};
use crate::dbus::parse;

const NOW: i64 = 1_000_000_000;
const OWNER: &str = ":1.1";

/// A session, what it knows, and the other end.
struct Talk {
    session: Session,
    units: Units,
    serial: u32,
    now_ms: i64,
    /// Calls that were not answered yet.
    calls: Vec<(u32, Call)>,
}

impl Talk {
    fn begin() -> Self {
        let session = Session::new(0);
        let mut talk =
            Self { session, units: Units::default(), serial: 0, now_ms: 0, calls: Vec::new() };
        talk.take_calls();
        talk
    }

    /// One whose first list was answered.
    fn listed(rows: &[(&str, &str)]) -> Self {
        let mut talk = Self::begin();
        talk.answer("GetNameOwner", &Body::default().string(OWNER));
        talk.answer("ListUnits", &list(rows));
        talk
    }

    fn take_calls(&mut self) {
        while let Some((call, asked)) = self.session.poll_call() {
            self.serial += 1;
            self.session.sent(self.serial, asked);
            self.calls.push((self.serial, call));
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let message = parse(bytes).expect("the test writes messages");
        self.session.handle(message, &mut self.units, NOW + self.now_ms, self.now_ms);
        self.take_calls();
    }

    /// Answers the oldest call of a member, or of a property.
    fn answer(&mut self, what: &str, body: &Body) {
        let is_it = |(_, call): &(u32, Call)| {
            call.member == what || call.arguments.get(1).is_some_and(|property| property == what)
        };
        let at = self.calls.iter().position(is_it).unwrap_or_else(|| panic!("{what} is not asked"));
        let (serial, _) = self.calls.remove(at);
        self.hear(&reply(OWNER, serial, body));
    }

    fn asks(&self, what: &str) -> usize {
        self.calls
            .iter()
            .filter(|(_, call)| call.member == what || call.arguments.iter().any(|a| a == what))
            .count()
    }

    fn state_changes(&mut self, sender: &str, unit: &str, state: &str) {
        let body = Body::default()
            .string(UNIT)
            .array(&[state], |body, state| body.string("ActiveState").variant_string(state));
        self.hear(&signal(sender, &path_of(unit), PROPERTIES, "PropertiesChanged", &body));
    }

    fn told(&mut self) -> usize {
        let changes = self.session.take_changes(&mut self.units, NOW + self.now_ms, self.now_ms);
        changes.iter().map(|change| change.samples.len()).sum()
    }

    fn answer_all(&mut self) {
        while let Some((serial, _)) = self.calls.pop() {
            self.hear(&refusal(OWNER, serial));
        }
    }
}

fn list(rows: &[(&str, &str)]) -> Body {
    Body::default().array(rows, |body, (name, state)| {
        let body = body.string(name).string("What it is").string("loaded").string(state);
        body.string("sub").string("").string("/unit").u32(0).string("").string("/")
    })
}

#[test]
fn it_subscribes_before_it_lists_and_then_asks_about_services() {
    let mut talk = Talk::begin();
    let members: Vec<&str> = talk.calls.iter().map(|(_, call)| call.member).collect();
    let at = |member| members.iter().position(|other| *other == member).unwrap();
    assert!(at("AddMatch") < at("Subscribe") && at("Subscribe") < at("ListUnits"), "{members:?}");
    talk.answer("GetNameOwner", &Body::default().string(OWNER));
    let rows = [
        ("a.service", "active"),
        ("b.service", "failed"),
        ("c.service", "inactive"),
        ("d.socket", "active"),
    ];
    talk.answer("ListUnits", &list(&rows));
    assert_eq!(talk.asks("Type"), 3);
    assert_eq!(talk.asks("NRestarts"), 2);
    assert_eq!(talk.asks("Result"), 1);
    assert_eq!(talk.told(), 0, "answers are on their way");
    talk.answer("NRestarts", &Body::default().variant_u32(4));
    talk.answer("ExecMainStatus", &Body::default().variant_i32(3));
    talk.answer("ExecMainCode", &Body::default().variant_i32(1));
    talk.answer_all();
    assert!(talk.told() > 8);
}

#[test]
fn a_signal_is_believed_only_from_systemd() {
    let mut talk = Talk::listed(&[("a.socket", "active")]);
    talk.answer_all();
    talk.told();
    talk.state_changes(":1.66", "a.socket", "failed");
    assert_eq!(talk.told(), 0);
    talk.state_changes(OWNER, "a.socket", "failed");
    talk.answer("SystemState", &Body::default().variant_string("degraded"));
    assert_eq!(talk.told(), 4, "two states, the number of failed units, and the system's state");
}

#[test]
fn answers_that_do_not_come_hold_nothing_up() {
    let mut talk = Talk::listed(&[("a.socket", "active")]);
    assert_eq!(talk.told(), 0);
    assert_eq!(talk.session.deadline_ms(), ANSWERS_MS);
    talk.now_ms = ANSWERS_MS;
    assert_eq!(talk.told(), 3);
}

#[test]
fn batches_have_a_pace() {
    let mut talk = Talk::listed(&[("a.socket", "active")]);
    talk.answer_all();
    let mut batches = 0;
    for round in 0..1_000 {
        talk.now_ms = round * 10;
        let state = if round % 2 == 0 { "failed" } else { "active" };
        talk.state_changes(OWNER, "a.socket", state);
        talk.answer_all();
        batches += usize::from(talk.told() > 0);
    }
    // Twenty at once, and four a second in ten seconds.
    assert!((40..=61).contains(&batches), "{batches}");
}

#[test]
fn a_storm_is_not_listened_to() {
    let mut talk = Talk::listed(&[("a.socket", "active")]);
    talk.answer_all();
    talk.now_ms = 1_000;
    let mut heard = 0;
    while talk.asks("RemoveMatch") == 0 {
        talk.state_changes(OWNER, "a.socket", "failed");
        heard += 1;
        assert!(heard <= 3 * SIGNALS.0, "it listens for ever");
    }
    assert_eq!(talk.asks("RemoveMatch"), NEWS_OF_UNITS.len());
    talk.answer_all();
    talk.now_ms += DEAF_MS;
    assert!(talk.session.deadline_ms() <= talk.now_ms);
    talk.session.handle_timeout(talk.now_ms);
    talk.take_calls();
    assert_eq!((talk.asks("AddMatch"), talk.asks("ListUnits")), (NEWS_OF_UNITS.len(), 1));
    talk.told();
    talk.answer("ListUnits", &list(&[("a.socket", "active")]));
    talk.answer_all();
    talk.now_ms += 10_000;
    assert!(talk.told() > 0, "what was not heard is told");
}

#[test]
fn systemd_that_executes_itself_anew_is_asked_anew() {
    let mut talk = Talk::listed(&[("a.service", "active")]);
    assert!(talk.asks("Type") == 1);
    talk.calls.clear();
    let owner = |new| Body::default().string(SYSTEMD).string("").string(new);
    talk.hear(&signal(BUS, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", &owner("")));
    assert!(talk.calls.is_empty());
    talk.hear(&signal(BUS, "/org/freedesktop/DBus", BUS, "NameOwnerChanged", &owner(":1.9")));
    assert_eq!((talk.asks("Subscribe"), talk.asks("ListUnits")), (1, 1));
    talk.calls.clear();
    talk.state_changes(OWNER, "a.service", "failed");
    assert!(talk.calls.is_empty(), "the one before says nothing any more");
    talk.state_changes(":1.9", "a.service", "failed");
    assert_eq!(talk.asks("SystemState"), 0, "that was asked when it came");
}

#[test]
fn a_bus_without_systemd_is_no_error() {
    let mut talk = Talk::begin();
    talk.answer_all();
    assert_eq!(talk.told(), 0);
    talk.session.handle_timeout(LIST_MS);
    talk.take_calls();
    assert!(talk.calls.is_empty());
    assert!(talk.session.deadline_ms() > LIST_MS);
}

#[test]
fn damaged_bodies_say_nothing() {
    let whole = list(&[("a.service", "active"), ("b.service", "failed")]);
    for len in 0..whole.bytes.len() {
        let mut talk = Talk::begin();
        let bytes = whole.bytes[..len].to_vec();
        talk.answer("ListUnits", &Body { bytes });
        assert!(!talk.units.is_listed());
    }
}
