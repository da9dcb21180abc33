//! Who is here: each host's connection, its newest sample, and who is looking at it.
//!
//! The agent's session writes, the page's streams read. An entry is made when an agent is let in and when the server
//! starts, for the agents it knows; so clients cannot make entries by asking for names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use muster_wire::{GoodbyeReason, OsFacts, ProcessTable, UpdateReport};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

/// What an agent said about its host when it connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    pub(crate) agent_version: String,
    pub(crate) os: OsFacts,
    /// Differs between machines and between boots of one machine; may be empty.
    pub(crate) boot_id: String,
}

/// Another machine holds the host with a copy of the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occupied;

/// Whether a host's agent is connected, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    pub(crate) connected: bool,
    pub(crate) since_ms: i64,
    pub(crate) facts: Option<HostFacts>,
}

/// The session that has a host.
struct Holder {
    session: u64,
    boot_id: String,
    end: watch::Sender<Option<GoodbyeReason>>,
}

/// One host.
pub(crate) struct Entry {
    pub(crate) instance: Arc<str>,
    presence: Mutex<Presence>,
    /// The session that holds the host now; told to end when another takes over or the agent is revoked.
    holder: Mutex<Option<Holder>>,
    budget: Mutex<SeriesBudget>,
    /// What its agent last said of an update, since this server started.
    update: Mutex<Option<UpdateReport>>,
    newest_ms: watch::Sender<i64>,
    viewers: watch::Sender<usize>,
    process_viewers: watch::Sender<usize>,
    processes: watch::Sender<Option<Arc<ProcessTable>>>,
    /// The time of which the host is asked for all that its recorder holds, until its session has taken it.
    recall: watch::Sender<Option<RecallRange>>,
    /// When anything was heard of the host last, by the clock that never jumps; [`NEVER`] if not since the server's start.
    heard_ms: AtomicI64,
    /// When its agent said goodbye last, by the same clock; [`NEVER`] if it came back since.
    goodbye_ms: AtomicI64,
}

/// What stands for "not since the server's start".
pub(crate) const NEVER: i64 = i64::MIN;

/// A time, both ends included, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecallRange {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
}

impl Entry {
    pub(crate) fn presence(&self) -> Presence {
        self.presence.lock().clone()
    }

    /// What its agent last said of an update.
    pub(crate) fn update(&self) -> Option<UpdateReport> {
        self.update.lock().clone()
    }

    /// Keeps what the agent says of an update.
    pub(crate) fn set_update(&self, report: UpdateReport) {
        *self.update.lock() = Some(report);
    }

    /// The timestamp of the newest stored sample, 0 if there is none yet; changes wake the receiver.
    pub(crate) fn newest(&self) -> watch::Receiver<i64> {
        self.newest_ms.subscribe()
    }

    /// How many people look at the host now.
    pub(crate) fn viewers(&self) -> watch::Receiver<usize> {
        self.viewers.subscribe()
    }

    /// Asks the host for every second from `from_ms` to `to_ms` that its recorder still holds and that it has not sent.
    /// What is asked before the last was passed on to the agent is asked together. A host that is not connected is
    /// asked when it comes back.
    pub(crate) fn recall(&self, from_ms: i64, to_ms: i64) {
        self.recall.send_modify(|asked| {
            let asked_before = asked.map_or((from_ms, to_ms), |a| (a.from_ms, a.to_ms));
            let (from_ms, to_ms) = (from_ms.min(asked_before.0), to_ms.max(asked_before.1));
            *asked = Some(RecallRange { from_ms, to_ms });
        });
    }

    /// Wakes when a recall is asked for.
    pub(crate) fn recalls(&self) -> watch::Receiver<Option<RecallRange>> {
        self.recall.subscribe()
    }

    /// What is asked for, to be passed on to the agent; the next call has only what is asked for after this one.
    pub(crate) fn take_recall(&self) -> Option<RecallRange> {
        let mut taken = None;
        // Nobody waits for a recall to be taken.
        self.recall.send_if_modified(|asked| {
            taken = asked.take();
            false
        });
        taken
    }

    /// Something of the host's agent has come.
    pub(crate) fn heard(&self, monotonic_ms: i64) {
        self.heard_ms.store(monotonic_ms, Ordering::Relaxed);
    }

    /// The host's agent stops as it should: its silence means nothing for a while.
    pub(crate) fn said_goodbye(&self, monotonic_ms: i64) {
        self.goodbye_ms.store(monotonic_ms, Ordering::Relaxed);
    }

    /// When the host was heard last and when its agent said goodbye, each [`NEVER`] if that was not.
    pub(crate) fn heard_and_goodbye_ms(&self) -> (i64, i64) {
        (self.heard_ms.load(Ordering::Relaxed), self.goodbye_ms.load(Ordering::Relaxed))
    }

    /// Tells those who look that samples up to `timestamp_ms` are there. Backfill does not wake them.
    pub(crate) fn arrived(&self, timestamp_ms: i64) {
        self.newest_ms.send_if_modified(|newest| {
            let later = timestamp_ms > *newest;
            *newest = timestamp_ms.max(*newest);
            later
        });
    }

    /// Whether the host may name a series of so many bytes now.
    pub(crate) fn may_name(&self, bytes: usize, now_ms: i64) -> bool {
        self.budget.lock().take(bytes, now_ms)
    }

    /// How many people look at the host's processes now.
    pub(crate) fn process_viewers(&self) -> watch::Receiver<usize> {
        self.process_viewers.subscribe()
    }

    /// The newest table of processes, while somebody looks.
    pub(crate) fn processes(&self) -> watch::Receiver<Option<Arc<ProcessTable>>> {
        self.processes.subscribe()
    }

    /// A table of processes has come. One that nobody looks at is let go of.
    pub(crate) fn processes_arrived(&self, table: ProcessTable) {
        if *self.process_viewers.borrow() > 0 {
            self.processes.send_replace(Some(Arc::new(table)));
        }
    }

    /// Counts the caller as looking at the host's processes until the guard is dropped; all who look share one watch.
    pub(crate) fn look_at_processes(self: &Arc<Self>) -> ProcessLook {
        // The agent is to hear of the first and of the last, not of those between.
        self.process_viewers.send_if_modified(|viewers| {
            *viewers += 1;
            *viewers == 1
        });
        ProcessLook(Arc::clone(self))
    }

    /// Counts the caller as looking at the host until the guard is dropped.
    pub(crate) fn look(self: &Arc<Self>) -> Look {
        self.viewers.send_modify(|viewers| *viewers += 1);
        Look(Arc::clone(self))
    }
}

/// See [`Entry::look_at_processes`].
pub(crate) struct ProcessLook(Arc<Entry>);

impl Drop for ProcessLook {
    fn drop(&mut self) {
        self.0.process_viewers.send_if_modified(|viewers| {
            *viewers = viewers.saturating_sub(1);
            *viewers == 0
        });
        if *self.0.process_viewers.borrow() == 0 {
            // Who looks next must not see what is old by then.
            self.0.processes.send_replace(None);
        }
    }
}

/// See [`Entry::look`].
pub(crate) struct Look(Arc<Entry>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.viewers.send_modify(|viewers| *viewers = viewers.saturating_sub(1));
    }
}

/// All hosts.
#[derive(Default)]
pub(crate) struct Roster {
    entries: RwLock<BTreeMap<Arc<str>, Arc<Entry>>>,
    sessions: AtomicU64,
}

/// A session's hold on its host; the host counts as silent when it is dropped.
pub(crate) struct Hold {
    pub(crate) entry: Arc<Entry>,
    pub(crate) session: u64,
    /// Turns to a reason when the session has to end.
    pub(crate) end: watch::Receiver<Option<GoodbyeReason>>,
}

impl Hold {
    /// Lets go of the host, unless another session has taken it over.
    pub(crate) fn release(self, now_ms: i64) {
        let mut holder = self.entry.holder.lock();
        if holder.as_ref().is_some_and(|holder| holder.session == self.session) {
            *holder = None;
            let mut presence = self.entry.presence.lock();
            presence.connected = false;
            presence.since_ms = now_ms;
        }
    }
}

impl Roster {
    /// Adds a host that is known but not connected.
    pub(crate) fn add_silent(&self, instance: &str, since_ms: i64, newest_ms: i64) {
        self.entry_or_new(instance, since_ms).arrived(newest_ms);
    }

    /// Gives a host to a new session; a session that held it until now is told to end, unless it is another machine's.
    pub(crate) fn hold(
        &self,
        instance: &str,
        facts: HostFacts,
        now_ms: i64,
    ) -> Result<Hold, Occupied> {
        let entry = self.entry_or_new(instance, now_ms);
        let mut holder = entry.holder.lock();
        if let Some(former) = &*holder {
            let differs = former.boot_id != facts.boot_id;
            if differs && !former.boot_id.is_empty() && !facts.boot_id.is_empty() {
                return Err(Occupied);
            }
            tracing::warn!(
                instance,
                "a newer session of this agent replaces one that was still open; if this repeats, two agents run \
                 with copies of one state folder: remove one copy and join again"
            );
            former.end.send_replace(Some(GoodbyeReason::Replaced));
        }
        let session = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, end) = watch::channel(None);
        *holder = Some(Holder { session, boot_id: facts.boot_id.clone(), end: sender });
        {
            let mut presence = entry.presence.lock();
            if !presence.connected {
                presence.connected = true;
                presence.since_ms = now_ms;
            }
            presence.facts = Some(facts);
        }
        entry.goodbye_ms.store(NEVER, Ordering::Relaxed);
        drop(holder);
        Ok(Hold { entry, session, end })
    }

    /// Ends the session of a revoked agent and forgets the host.
    pub(crate) fn revoke(&self, instance: &str) {
        if let Some(entry) = self.entries.write().remove(instance)
            && let Some(holder) = entry.holder.lock().as_ref()
        {
            holder.end.send_replace(Some(GoodbyeReason::Revoked));
        }
    }

    /// Gives a host another name: its session is told to end, and the agent comes back under the new one.
    pub(crate) fn rename(&self, former: &str, instance: &str, now_ms: i64) {
        let removed = self.entries.write().remove(former);
        let Some(entry) = removed else { return };
        self.add_silent(instance, now_ms, 0);
        if let Some(holder) = entry.holder.lock().as_ref() {
            holder.end.send_replace(Some(GoodbyeReason::Shutdown));
        }
    }

    /// A host by name.
    pub(crate) fn get(&self, instance: &str) -> Option<Arc<Entry>> {
        self.entries.read().get(instance).cloned()
    }

    /// All hosts, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.read().values().cloned().collect()
    }

    fn entry_or_new(&self, instance: &str, now_ms: i64) -> Arc<Entry> {
        let mut entries = self.entries.write();
        if let Some(entry) = entries.get(instance) {
            return Arc::clone(entry);
        }
        let name: Arc<str> = instance.into();
        let presence = Presence { connected: false, since_ms: now_ms, facts: None };
        let entry = Arc::new(Entry {
            instance: Arc::clone(&name),
            presence: Mutex::new(presence),
            holder: Mutex::new(None),
            budget: Mutex::new(SeriesBudget::default()),
            update: Mutex::new(None),
            newest_ms: watch::Sender::new(0),
            viewers: watch::Sender::new(0),
            process_viewers: watch::Sender::new(0),
            processes: watch::Sender::new(None),
            recall: watch::Sender::new(None),
            heard_ms: AtomicI64::new(NEVER),
            goodbye_ms: AtomicI64::new(NEVER),
        });
        entries.insert(name, Arc::clone(&entry));
        entry
    }
}

/// The most bytes of labels that a host may name in an hour; naming what is known already counts too.
const LABEL_BYTES_AN_HOUR: usize = 64 << 20;

/// Bounds what one host can make the store remember.
#[derive(Debug, Default)]
struct SeriesBudget {
    /// Which hour, of the clock that never jumps.
    hour: i64,
    spent: usize,
}

impl SeriesBudget {
    fn take(&mut self, bytes: usize, now_ms: i64) -> bool {
        let hour = now_ms.div_euclid(3_600_000);
        if self.hour != hour {
            *self = Self { hour, spent: 0 };
        }
        let allowed = self.spent + bytes <= LABEL_BYTES_AN_HOUR;
        if allowed {
            self.spent += bytes;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        HostFacts { agent_version: "0.1.0".into(), ..HostFacts::default() }
    }

    #[test]
    fn a_newer_session_takes_the_host_over() {
        let roster = Roster::default();
        let first = roster.hold("web-1", facts(), 1).unwrap();
        let second = roster.hold("web-1", facts(), 2).unwrap();
        assert_eq!(*first.end.borrow(), Some(GoodbyeReason::Replaced));
        assert_eq!(*second.end.borrow(), None);
        first.release(3);
        let presence = roster.get("web-1").unwrap().presence();
        assert!(presence.connected);
        assert_eq!(presence.since_ms, 1);
        second.release(4);
        let presence = roster.get("web-1").unwrap().presence();
        assert_eq!((presence.connected, presence.since_ms), (false, 4));
    }

    #[test]
    fn a_copy_of_the_key_on_another_machine_is_kept_out() {
        let roster = Roster::default();
        let machine = |boot_id: &str| HostFacts { boot_id: boot_id.into(), ..facts() };
        let hold = roster.hold("web-1", machine("a"), 1).unwrap();
        assert!(roster.hold("web-1", machine("b"), 2).is_err());
        assert_eq!(*hold.end.borrow(), None);
        assert!(roster.hold("web-1", machine("a"), 3).is_ok(), "the same machine may come back");
    }

    #[test]
    fn a_host_can_name_only_so_much_in_an_hour() {
        let mut budget = SeriesBudget::default();
        assert!(budget.take(LABEL_BYTES_AN_HOUR, 0));
        assert!(!budget.take(1, 3_599_999));
        assert!(budget.take(1, 3_600_000));
    }

    #[test]
    fn revoking_ends_the_session_and_forgets_the_host() {
        let roster = Roster::default();
        let hold = roster.hold("web-1", facts(), 1).unwrap();
        roster.revoke("web-1");
        assert_eq!(*hold.end.borrow(), Some(GoodbyeReason::Revoked));
        assert!(roster.get("web-1").is_none());
    }

    #[test]
    fn a_renamed_host_is_known_by_its_new_name_and_its_session_ends() {
        let roster = Roster::default();
        let hold = roster.hold("web-1", facts(), 1).unwrap();
        roster.rename("web-1", "web-2", 5);
        assert_eq!(*hold.end.borrow(), Some(GoodbyeReason::Shutdown));
        assert!(roster.get("web-1").is_none());
        let presence = roster.get("web-2").unwrap().presence();
        assert_eq!((presence.connected, presence.since_ms), (false, 5));
    }

    #[test]
    fn backfill_does_not_wake_those_who_look() {
        let roster = Roster::default();
        let hold = roster.hold("web-1", facts(), 1).unwrap();
        let mut newest = hold.entry.newest();
        hold.entry.arrived(100);
        assert!(newest.has_changed().unwrap());
        assert_eq!(*newest.borrow_and_update(), 100);
        hold.entry.arrived(50);
        assert!(!newest.has_changed().unwrap());
    }

    #[test]
    fn a_table_of_processes_is_kept_only_while_somebody_looks() {
        let roster = Roster::default();
        roster.add_silent("web-1", 0, 0);
        let entry = roster.get("web-1").unwrap();
        entry.processes_arrived(ProcessTable::default());
        assert!(entry.processes().borrow().is_none(), "nobody looks");
        let mut viewers = entry.process_viewers();
        let first = entry.look_at_processes();
        assert!(viewers.has_changed().unwrap());
        viewers.mark_unchanged();
        let looks = (first, entry.look_at_processes());
        entry.processes_arrived(ProcessTable::default());
        drop(looks.0);
        assert!(entry.processes().borrow().is_some(), "another still looks");
        assert!(
            !viewers.has_changed().unwrap(),
            "the agent hears of the first and of the last only"
        );
        drop(looks.1);
        assert!(viewers.has_changed().unwrap());
        assert!(entry.processes().borrow().is_none());
        assert_eq!(*entry.process_viewers().borrow(), 0);
    }

    #[test]
    fn recalls_wait_for_the_session_and_are_taken_once() {
        let roster = Roster::default();
        roster.add_silent("web-1", 0, 0);
        let entry = roster.get("web-1").unwrap();
        let mut recalls = entry.recalls();
        entry.recall(50, 60);
        entry.recall(10, 55);
        assert!(recalls.has_changed().unwrap());
        recalls.mark_unchanged();
        assert_eq!(entry.take_recall(), Some(RecallRange { from_ms: 10, to_ms: 60 }));
        assert_eq!(entry.take_recall(), None);
        assert!(!recalls.has_changed().unwrap(), "to take it is no news");
    }

    #[test]
    fn looking_is_counted_until_the_guard_is_dropped() {
        let roster = Roster::default();
        roster.add_silent("web-1", 0, 0);
        let entry = roster.get("web-1").unwrap();
        let looks = (entry.look(), entry.look());
        assert_eq!(*entry.viewers().borrow(), 2);
        drop(looks);
        assert_eq!(*entry.viewers().borrow(), 0);
    }
}
