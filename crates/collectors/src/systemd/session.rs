//! The conversation with systemd over the bus, without I/O: what is asked, what answers and signals mean.
//!
//! 1. Ask the bus for systemd's signals and for systemd's own name there; ask systemd to send signals (`Subscribe`).
//! 2. List all units; ask about each service what its signals do not say or have not said yet.
//! 3. From there on signals tell every change. The list is asked for once a minute, in case something was missed.
//! 4. Too many signals: do not listen for a while, then list again. A unit that flaps must not cost the host its processor.
//!
//! Calls of one connection are answered in their order, and signals of systemd's keep their place between its answers. So what was signalled before the
//! first list is in that list.

use std::collections::{HashMap, VecDeque};

use crate::dbus::{Call, Kind, Message, Reader, Value};
use crate::systemd::bucket::Bucket;
use crate::systemd::transitions::State;
use crate::systemd::unit::{Facts, is_service, kind_of, name_of, path_of};
use crate::systemd::units::{Row, Units, Unknown};
use crate::watch::Change;

const BUS: &str = "org.freedesktop.DBus";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const TIMER: &str = "org.freedesktop.systemd1.Timer";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The signals of units' properties; a storm turns them off.
const NEWS_OF_UNITS: [&str; 3] = [
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',arg0='org.freedesktop.systemd1.Unit'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',arg0='org.freedesktop.systemd1.Service'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',arg0='org.freedesktop.systemd1.Timer'",
];
/// The other signals.
const NEWS: [&str; 3] = [
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='UnitRemoved'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',member='Reloading'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
];

/// How often all units are listed, in milliseconds.
const LIST_MS: i64 = 60_000;
/// Calls on their way at the same time; buses allow 128.
const WINDOW: usize = 48;
/// Signals taken in at once, and milliseconds for each more: 100 a second.
const SIGNALS: (i64, i64) = (2_000, 10);
/// How long nothing is listened to in a storm, in milliseconds.
const DEAF_MS: i64 = 10_000;
/// Batches told at once, and milliseconds for each more.
const BATCHES: (i64, i64) = (20, 250);
/// How long answers about units are waited for before what is known is told, in milliseconds.
const ANSWERS_MS: i64 = 300;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Something whose answer says nothing.
    Done,
    Owner,
    Version,
    SystemState,
    List,
    Property {
        unit: String,
        property: &'static str,
    },
}

/// The state of the conversation.
#[derive(Debug)]
pub(super) struct Session {
    to_ask: VecDeque<(Call, Asked)>,
    asked: HashMap<u32, Asked>,
    /// systemd's unique name on the bus: what others send in its name is not believed.
    owner: Option<String>,
    list_at_ms: i64,
    listing: bool,
    /// Whether the next list is to be followed by questions about all units: their signals were not heard.
    ask_all: bool,
    state_asked: bool,
    signals: Bucket,
    deaf_until_ms: Option<i64>,
    batches: Bucket,
    /// Since when there is something to tell.
    news_since_ms: Option<i64>,
}

impl Session {
    /// A conversation that begins now, on a connection just made.
    pub(super) fn new(monotonic_ms: i64) -> Self {
        let mut session = Self {
            to_ask: VecDeque::new(),
            asked: HashMap::new(),
            owner: None,
            list_at_ms: monotonic_ms + LIST_MS,
            listing: false,
            ask_all: false,
            state_asked: false,
            signals: Bucket::new(SIGNALS.0, SIGNALS.1),
            deaf_until_ms: None,
            batches: Bucket::new(BATCHES.0, BATCHES.1),
            news_since_ms: None,
        };
        for rule in NEWS_OF_UNITS.into_iter().chain(NEWS) {
            session.ask(of_bus("AddMatch", rule), Asked::Done);
        }
        session.ask(of_bus("GetNameOwner", SYSTEMD), Asked::Owner);
        session.begin();
        session
    }

    /// Asks systemd for everything, when it has just been found.
    fn begin(&mut self) {
        self.ask(of_manager("Subscribe"), Asked::Done);
        self.ask(property_of(MANAGER_PATH, MANAGER, "Version"), Asked::Version);
        self.ask_list();
    }

    fn ask(&mut self, call: Call, asked: Asked) {
        self.to_ask.push_back((call, asked));
    }

    fn ask_list(&mut self) {
        if !std::mem::replace(&mut self.listing, true) {
            self.ask(of_manager("ListUnits"), Asked::List);
        }
        self.ask_state();
    }

    fn ask_state(&mut self) {
        if !std::mem::replace(&mut self.state_asked, true) {
            let call = property_of(MANAGER_PATH, MANAGER, "SystemState");
            self.ask(call, Asked::SystemState);
        }
    }

    /// The next call to send, if one may be sent. Tell its number by [`Session::sent`].
    pub(super) fn poll_call(&mut self) -> Option<(Call, Asked)> {
        if self.asked.len() >= WINDOW { None } else { self.to_ask.pop_front() }
    }

    /// A call was sent under this number.
    pub(super) fn sent(&mut self, serial: u32, asked: Asked) {
        self.asked.insert(serial, asked);
    }

    /// Takes in a message.
    pub(super) fn handle(
        &mut self,
        mut message: Message<'_>,
        units: &mut Units,
        now_ms: i64,
        monotonic_ms: i64,
    ) {
        match message.kind {
            Kind::Signal => {
                // What cannot be read says nothing; the next list does.
                let _ = self.handle_signal(&mut message, units, now_ms, monotonic_ms);
            }
            Kind::Reply | Kind::Error => {
                if let Some(asked) = self.asked.remove(&message.reply_to) {
                    let works = message.kind == Kind::Reply;
                    let body = works.then_some(&mut message.body);
                    self.handle_answer(asked, body, units, now_ms);
                }
            }
            Kind::Other => {}
        }
    }

    fn handle_answer(
        &mut self,
        asked: Asked,
        body: Option<&mut Reader<'_>>,
        units: &mut Units,
        now_ms: i64,
    ) {
        match asked {
            Asked::Done => {}
            Asked::Owner => {
                self.owner = body.and_then(Reader::string).map(str::to_owned);
                if self.owner.is_none() {
                    units.clear();
                }
            }
            Asked::Version => {
                if let Some(version) = body.and_then(text_variant) {
                    units.set_version(version);
                }
            }
            Asked::SystemState => {
                self.state_asked = false;
                if let Some(state) = body.and_then(text_variant) {
                    units.set_system_state(state, now_ms);
                }
            }
            Asked::List => {
                self.listing = false;
                if let Some(rows) = body.and_then(read_list) {
                    let mut ask = Vec::new();
                    let all = std::mem::take(&mut self.ask_all);
                    units.listed(&rows, now_ms, |name, state, changed| {
                        if changed || all {
                            ask.push((name.to_owned(), state));
                        }
                    });
                    for (name, state) in ask {
                        self.ask_about(&name, state);
                    }
                }
            }
            Asked::Property { unit, property } => match body.and_then(Reader::value) {
                Some(value) => {
                    let mut facts = Facts::default();
                    facts.take(property, value);
                    units.answered(&unit, facts, now_ms);
                }
                None => units.unanswered(&unit),
            },
        }
    }

    /// Asks what the list does not say about a unit. The type comes last: with it the unit is known.
    fn ask_about(&mut self, unit: &str, state: State) {
        let mut properties: Vec<(&'static str, &'static str)> = Vec::new();
        if state == State::Active {
            properties.push((UNIT, "ActiveEnterTimestamp"));
        }
        if kind_of(unit) == "timer" {
            properties.push((TIMER, "LastTriggerUSec"));
        }
        if is_service(unit) {
            if state != State::Inactive {
                properties.push((SERVICE, "NRestarts"));
            }
            if !matches!(state, State::Active | State::Inactive) {
                let end = ["Result", "ExecMainStatus", "ExecMainCode"];
                properties.extend(end.map(|property| (SERVICE, property)));
            }
            properties.push((SERVICE, "Type"));
        }
        let path = path_of(unit);
        for (interface, property) in properties {
            let asked = Asked::Property { unit: unit.to_owned(), property };
            self.ask(property_of(&path, interface, property), asked);
        }
    }

    fn handle_signal(
        &mut self,
        message: &mut Message<'_>,
        units: &mut Units,
        now_ms: i64,
        monotonic_ms: i64,
    ) -> Option<()> {
        if message.sender == BUS {
            if message.member == "NameOwnerChanged" {
                self.handle_owner(&mut message.body, units)?;
            }
            return Some(());
        }
        if self.owner.as_deref() != Some(message.sender) {
            return Some(());
        }
        match (message.interface, message.member) {
            (PROPERTIES, "PropertiesChanged") if self.deaf_until_ms.is_none() => {
                if !self.signals.take(monotonic_ms) {
                    self.go_deaf(monotonic_ms);
                    return Some(());
                }
                let name = name_of(message.path)?;
                let mut body = message.body.clone();
                let _interface = body.string()?;
                let facts = read_properties(&mut body)?;
                let state = facts.state;
                if units.changed(&name, facts, now_ms) == Unknown::Everything {
                    self.ask_about(&name, State::Inactive);
                }
                if state.is_some() {
                    self.ask_state();
                }
            }
            (MANAGER, "UnitRemoved") => units.removed(message.body.string()?, now_ms),
            // `Reloading(false)`: all unit files were read anew.
            (MANAGER, "Reloading") if message.body.u32()? == 0 => self.ask_list(),
            _ => {}
        }
        Some(())
    }

    /// systemd has come to the bus, or gone from it: it does both when it executes itself anew.
    fn handle_owner(&mut self, body: &mut Reader<'_>, units: &mut Units) -> Option<()> {
        let (name, _old, new) = (body.string()?, body.string()?, body.string()?);
        if name != SYSTEMD {
            return Some(());
        }
        if new.is_empty() {
            self.owner = None;
        } else {
            self.owner = Some(new.to_owned());
            self.listing = false;
            self.state_asked = false;
            // Answers to what the one before was asked do not come.
            for asked in std::mem::take(&mut self.asked).into_values() {
                if let Asked::Property { unit, .. } = asked {
                    units.unanswered(&unit);
                }
            }
            self.begin();
        }
        Some(())
    }

    fn go_deaf(&mut self, monotonic_ms: i64) {
        tracing::warn!(
            "systemd's units change too often; their states are asked for every 10 s until that ends"
        );
        self.deaf_until_ms = Some(monotonic_ms + DEAF_MS);
        for rule in NEWS_OF_UNITS {
            self.ask(of_bus("RemoveMatch", rule), Asked::Done);
        }
    }

    /// Does what is due at this time.
    pub(super) fn handle_timeout(&mut self, monotonic_ms: i64) {
        if self.deaf_until_ms.is_some_and(|until_ms| until_ms <= monotonic_ms) {
            self.deaf_until_ms = None;
            self.ask_all = true;
            for rule in NEWS_OF_UNITS {
                self.ask(of_bus("AddMatch", rule), Asked::Done);
            }
            self.list_at_ms = monotonic_ms;
        }
        if self.list_at_ms <= monotonic_ms {
            self.list_at_ms = monotonic_ms + LIST_MS;
            // Without an owner there is nobody to ask; it is told when there is one.
            if self.owner.is_some() {
                self.ask_list();
            }
        }
    }

    /// What is to be told now, if it may be: as one batch, and not too many batches.
    pub(super) fn take_changes(
        &mut self,
        units: &mut Units,
        now_ms: i64,
        monotonic_ms: i64,
    ) -> Vec<Change> {
        if !units.has_changes() {
            self.news_since_ms = None;
            return Vec::new();
        }
        let since_ms = *self.news_since_ms.get_or_insert(monotonic_ms);
        if monotonic_ms < self.tell_at_ms(since_ms) || !self.batches.take(monotonic_ms) {
            return Vec::new();
        }
        self.news_since_ms = None;
        units.take_changes(now_ms)
    }

    /// When news since this time may be told: with the answers that are on their way, if they come soon.
    fn tell_at_ms(&self, since_ms: i64) -> i64 {
        let answered = self.asked.is_empty() && self.to_ask.is_empty();
        let told_ms = if answered { since_ms } else { since_ms + ANSWERS_MS };
        told_ms.max(self.batches.next_ms())
    }

    /// When [`Session::handle_timeout`] and [`Session::take_changes`] are to be called at the latest.
    pub(super) fn deadline_ms(&self) -> i64 {
        let news = self.news_since_ms.map(|since_ms| self.tell_at_ms(since_ms));
        let others = self.deaf_until_ms.into_iter().chain(news);
        others.fold(self.list_at_ms, i64::min)
    }
}

fn of_bus(member: &'static str, argument: &str) -> Call {
    let arguments = vec![argument.to_owned()];
    Call {
        destination: BUS,
        path: "/org/freedesktop/DBus".into(),
        interface: BUS,
        member,
        arguments,
    }
}

fn of_manager(member: &'static str) -> Call {
    Call {
        destination: SYSTEMD,
        path: MANAGER_PATH.into(),
        interface: MANAGER,
        member,
        arguments: Vec::new(),
    }
}

fn property_of(path: &str, interface: &str, property: &str) -> Call {
    Call {
        destination: SYSTEMD,
        path: path.into(),
        interface: PROPERTIES,
        member: "Get",
        arguments: vec![interface.into(), property.into()],
    }
}

fn text_variant<'a>(body: &mut Reader<'a>) -> Option<&'a str> {
    match body.value()? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// The answer to `ListUnits`: of each unit its name, description, whether it was loaded, its state, and more.
fn read_list(body: &mut Reader<'_>) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    let mut list = body.array(8)?;
    while !list.is_empty() {
        list.structure()?;
        let (name, _description) = (list.string()?, list.string()?);
        let (loaded, state) = (list.string()?, list.string()?);
        list.skip("ssouso")?;
        if let Some(state) = State::of(state).filter(|_| loaded == "loaded") {
            rows.push(Row { name: name.to_owned(), state });
        }
    }
    Some(rows)
}

/// The dictionary of a signal of changed properties.
fn read_properties(body: &mut Reader<'_>) -> Option<Facts> {
    let mut facts = Facts::default();
    let mut entries = body.array(8)?;
    while !entries.is_empty() {
        entries.structure()?;
        facts.take(entries.string()?, entries.value()?);
    }
    Some(facts)
}

#[cfg(test)]
mod tests;
