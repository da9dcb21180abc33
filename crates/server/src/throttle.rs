//! How often somebody may try to sign in.
//!
//! Failures are counted three ways; an address stands for its network of 64 bits if it is IPv6:
//!
//! 1. Per address and account: [`FREE_FAILURES`] cost nothing, from then on each doubles the wait, from one second to
//!    [`LONGEST_WAIT_MS`]. A quiet quarter of an hour forgives.
//! 2. Per address, whatever the account, and
//! 3. per account, wherever from: many at once ([`ADDRESS_BURST`], [`ACCOUNT_BURST`]), then one each [`REFILL_MS`].
//!
//! Where an account was signed in to in the last [`KNOWN_FOR_MS`], since this process started, only the first holds for
//! it, and what is tried there takes nothing from the other two. A success gives back what its own attempt took; it
//! forgives no failures but those of its own address and account, so an account of one's own does not help in guessing others'.
//!
//! So an attacker tries one account 12 times a minute from however many addresses, and any accounts 12 times a minute from
//! each address, once the many at once are used up. They cannot keep out who signs in from where they did before, unless
//! they share that very address and guess at that very account: then the wait is up to five minutes. They can make it
//! hard to sign in at a new place while they go on: each free attempt comes within [`REFILL_MS`], but they race for it.
//!
//! Codes of second factors are counted per account, wherever they come from: they are short, and only who knows the
//! password gets to try one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Failures of an address with an account before the first wait.
const FREE_FAILURES: u32 = 5;
/// The longest wait between two attempts at an account from an address.
const LONGEST_WAIT_MS: i64 = 300_000;
/// How long without an attempt until failures are forgotten.
const FORGIVEN_AFTER_MS: i64 = 900_000;
/// Failures of an address at once, whatever the accounts: an office that shares it mistypes as often as it likes.
const ADDRESS_BURST: i64 = 60;
/// Failures of an account at once, wherever they come from.
const ACCOUNT_BURST: i64 = 100;
/// How long until an address or an account may fail once more; no wait for them is longer.
const REFILL_MS: i64 = 5_000;
/// How long an address is known for an account after a success.
const KNOWN_FOR_MS: i64 = 30 * 86_400_000;
/// The most addresses known of an account; beyond, the one unused for longest is forgotten.
const MOST_KNOWN: usize = 16;
/// The most keys remembered of each kind; beyond, the oldest are forgotten.
const MOST_KEYS: usize = 20_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last_ms: i64,
}

/// Remembers failed attempts. Time is an argument: milliseconds of a clock that never goes back.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    failures: HashMap<(IpAddr, String), Failures>,
    addresses: Buckets<IpAddr, ADDRESS_BURST>,
    accounts: Buckets<String, ACCOUNT_BURST>,
    /// Of each account, the addresses it was signed in from, and when that was last.
    known: HashMap<String, Vec<(IpAddr, i64)>>,
}

impl Throttle {
    /// How many milliseconds the caller has to wait before the next attempt; 0 if none.
    pub(crate) fn wait_ms(&self, address: IpAddr, account: &str, now_ms: i64) -> i64 {
        let (address, account) = (network(address), shortened(account));
        let pair = self.failures.get(&pair_key(address, &account));
        let wait_ms = pair.map_or(0, |failures| (allowed_at_ms(*failures) - now_ms).max(0));
        if self.is_known(address, &account, now_ms) {
            return wait_ms;
        }
        let anywhere_ms = self.accounts.wait_ms(&account, now_ms);
        wait_ms.max(self.addresses.wait_ms(&address, now_ms)).max(anywhere_ms)
    }

    /// Counts a failed attempt.
    pub(crate) fn failed(&mut self, address: IpAddr, account: &str, now_ms: i64) {
        let (address, account) = (network(address), shortened(account));
        self.count(pair_key(address, &account), now_ms);
        if !self.is_known(address, &account, now_ms) {
            self.addresses.take(address, now_ms);
            self.accounts.take(account, now_ms);
        }
    }

    /// Takes back the attempt that was counted as failed, forgives those before it of this address with this account, and
    /// remembers that the account is used from there.
    pub(crate) fn succeeded(&mut self, address: IpAddr, account: &str, now_ms: i64) {
        let (address, account) = (network(address), shortened(account));
        self.failures.remove(&pair_key(address, &account));
        if !self.is_known(address, &account, now_ms) {
            self.addresses.give_back(&address);
            self.accounts.give_back(&account);
        }
        self.remember(address, account, now_ms);
    }

    fn is_known(&self, address: IpAddr, account: &str, now_ms: i64) -> bool {
        let known = self.known.get(account).map(Vec::as_slice).unwrap_or_default();
        known.iter().any(|&(at, last_ms)| at == address && now_ms - last_ms <= KNOWN_FOR_MS)
    }

    fn remember(&mut self, address: IpAddr, account: String, now_ms: i64) {
        if self.known.len() >= MOST_KEYS && !self.known.contains_key(&account) {
            let last_ms = |places: &Vec<(IpAddr, i64)>| places.last().map_or(0, |place| place.1);
            drop_older_half(&mut self.known, last_ms);
        }
        let places = self.known.entry(account).or_default();
        places.retain(|&(at, last_ms)| at != address && now_ms - last_ms <= KNOWN_FOR_MS);
        if places.len() >= MOST_KNOWN {
            places.remove(0);
        }
        places.push((address, now_ms));
    }

    /// How many milliseconds to wait before the next code of a second factor is tried for the account, from wherever.
    pub(crate) fn code_wait_ms(&self, account: &str, now_ms: i64) -> i64 {
        let failures = self.failures.get(&code_key(account));
        failures.map_or(0, |failures| (allowed_at_ms(*failures) - now_ms).max(0))
    }

    /// Counts a code that was wrong.
    pub(crate) fn code_failed(&mut self, account: &str, now_ms: i64) {
        self.count(code_key(account), now_ms);
    }

    /// Forgets wrong codes after a right one.
    pub(crate) fn code_succeeded(&mut self, account: &str) {
        self.failures.remove(&code_key(account));
    }

    fn count(&mut self, key: (IpAddr, String), now_ms: i64) {
        if self.failures.len() >= MOST_KEYS {
            self.forget(now_ms);
        }
        let failures = self.failures.entry(key).or_insert(Failures { count: 0, last_ms: now_ms });
        if now_ms - failures.last_ms > FORGIVEN_AFTER_MS {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last_ms = now_ms;
    }

    /// Drops what is forgiven, and if that is not enough, the older half.
    fn forget(&mut self, now_ms: i64) {
        self.failures.retain(|_, failures| now_ms - failures.last_ms <= FORGIVEN_AFTER_MS);
        if self.failures.len() >= MOST_KEYS {
            drop_older_half(&mut self.failures, |failures| failures.last_ms);
        }
    }
}

/// Counts failures that are free up to `BURST` at once, one more each [`REFILL_MS`]: of each key, when all are free again.
#[derive(Debug)]
struct Buckets<K, const BURST: i64> {
    full_at_ms: HashMap<K, i64>,
}

impl<K, const BURST: i64> Default for Buckets<K, BURST> {
    fn default() -> Self {
        Self { full_at_ms: HashMap::new() }
    }
}

impl<K: Eq + Hash, const BURST: i64> Buckets<K, BURST> {
    /// How long until one is free: [`REFILL_MS`] at most.
    fn wait_ms(&self, key: &K, now_ms: i64) -> i64 {
        let full_at_ms = self.full_at_ms.get(key).copied().unwrap_or(now_ms);
        (full_at_ms - now_ms - (BURST - 1) * REFILL_MS).max(0)
    }

    fn take(&mut self, key: K, now_ms: i64) {
        if self.full_at_ms.len() >= MOST_KEYS {
            self.full_at_ms.retain(|_, full_at_ms| *full_at_ms > now_ms);
        }
        if self.full_at_ms.len() >= MOST_KEYS {
            drop_older_half(&mut self.full_at_ms, |full_at_ms| *full_at_ms);
        }
        let full_at_ms = self.full_at_ms.entry(key).or_insert(now_ms);
        let empty_ms = now_ms + BURST * REFILL_MS;
        *full_at_ms = ((*full_at_ms).max(now_ms) + REFILL_MS).min(empty_ms);
    }

    fn give_back(&mut self, key: &K) {
        if let Some(full_at_ms) = self.full_at_ms.get_mut(key) {
            *full_at_ms -= REFILL_MS;
        }
    }
}

/// Keeps the entries whose time is later than the median.
fn drop_older_half<K: Eq + Hash, V>(entries: &mut HashMap<K, V>, time_ms: impl Fn(&V) -> i64) {
    let mut times: Vec<i64> = entries.values().map(&time_ms).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or(0);
    entries.retain(|_, value| time_ms(value) > median);
}

/// Whom an address stands for: a network of 64 bits is what one IPv6 client gets, and it may use all of its addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        four @ IpAddr::V4(_) => four,
    }
}

/// As much of an account's name as is remembered: whoever asks chooses it.
fn shortened(account: &str) -> String {
    account.chars().take(64).collect()
}

/// The key of an account as tried from a network.
fn pair_key(address: IpAddr, account: &str) -> (IpAddr, String) {
    (address, format!("account {account}"))
}

/// The key of an account's codes, which have no address.
fn code_key(account: &str) -> (IpAddr, String) {
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), format!("code {}", shortened(account)))
}

fn allowed_at_ms(failures: Failures) -> i64 {
    if failures.count < FREE_FAILURES {
        return failures.last_ms;
    }
    let doublings = (failures.count - FREE_FAILURES).min(20);
    failures.last_ms + (1_000_i64 << doublings).min(LONGEST_WAIT_MS)
}

/// Counts to a limit within each minute.
#[derive(Debug, Default)]
pub(crate) struct PerMinute {
    minute: i64,
    count: u32,
}

impl PerMinute {
    /// Whether one more is within the limit of this minute.
    pub(crate) fn take(&mut self, minute: i64, most: u32) -> bool {
        if self.minute != minute {
            *self = Self { minute, count: 0 };
        }
        let within = self.count < most;
        self.count += u32::from(within);
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn failed(times: u32) -> Throttle {
        let mut throttle = Throttle::default();
        for _ in 0..times {
            throttle.failed(HERE, "admin", 1_000);
        }
        throttle
    }

    #[test]
    fn the_wait_doubles_up_to_a_limit() {
        let waits: Vec<i64> =
            [4, 5, 6, 7, 40].map(|times| failed(times).wait_ms(HERE, "admin", 1_000)).into();
        assert_eq!(waits, [0, 1_000, 2_000, 4_000, LONGEST_WAIT_MS]);
    }

    #[test]
    fn an_attacker_elsewhere_locks_nobody_out() {
        assert_eq!(failed(40).wait_ms(THERE, "admin", 1_000), 0);
    }

    /// An attempt as it is made: refused with the wait, or counted until it succeeds.
    fn attempt(
        throttle: &mut Throttle,
        address: IpAddr,
        account: &str,
        right: bool,
        now_ms: i64,
    ) -> Result<(), i64> {
        let wait_ms = throttle.wait_ms(address, account, now_ms);
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        throttle.failed(address, account, now_ms);
        if right {
            throttle.succeeded(address, account, now_ms);
        }
        Ok(())
    }

    /// Invented names from one address, ten a second; returns how many were tried.
    fn spray(throttle: &mut Throttle, from_ms: i64, seconds: i64) -> usize {
        let tries = (0..seconds * 10).map(|n| from_ms + n * 100);
        tries.filter(|&at| attempt(throttle, HERE, &format!("x{at}"), false, at).is_ok()).count()
    }

    #[test]
    fn others_at_a_shared_address_sign_in_while_somebody_mistypes() {
        let mut throttle = failed(40);
        assert_eq!(attempt(&mut throttle, HERE, "ada", true, 1_000), Ok(()));
    }

    #[test]
    fn spraying_is_slowed_to_a_rate_and_keeps_nobody_known_out() {
        let mut throttle = Throttle::default();
        assert_eq!(attempt(&mut throttle, HERE, "ada", true, 0), Ok(()));
        let burst = usize::try_from(ADDRESS_BURST).unwrap();
        assert_eq!(spray(&mut throttle, 0, 60), burst + 11);
        assert_eq!(spray(&mut throttle, 60_000, 600), 120);
        // Who signed in from here before does, as often as they like; who is new here within seconds.
        for _ in 0..100 {
            assert_eq!(attempt(&mut throttle, HERE, "ada", true, 659_950), Ok(()));
        }
        let wait_ms = attempt(&mut throttle, HERE, "bob", true, 659_950).unwrap_err();
        assert!((1..=REFILL_MS).contains(&wait_ms), "{wait_ms}");
        assert_eq!(attempt(&mut throttle, HERE, "bob", true, 659_950 + wait_ms), Ok(()));
        assert_eq!(attempt(&mut throttle, THERE, "bob", true, 659_950), Ok(()));
    }

    #[test]
    fn an_account_of_ones_own_does_not_help_in_guessing_others() {
        let mut throttle = Throttle::default();
        let tried = (0..1_000).filter(|n| {
            let _ = attempt(&mut throttle, HERE, "mallory", true, 0);
            attempt(&mut throttle, HERE, &format!("x{n}"), false, 0).is_ok()
        });
        assert_eq!(tried.count(), usize::try_from(ADDRESS_BURST).unwrap());
    }

    #[test]
    fn guesses_from_many_addresses_are_slowed_but_not_the_owner() {
        let mut throttle = Throttle::default();
        assert_eq!(attempt(&mut throttle, THERE, "ada", true, 0), Ok(()));
        let anywhere = |n: u32| IpAddr::from(n.to_be_bytes());
        let tried = (0..1_000)
            .filter(|&n| attempt(&mut throttle, anywhere(n), "ada", false, 0).is_ok())
            .count();
        assert_eq!(tried, usize::try_from(ACCOUNT_BURST).unwrap());
        assert_eq!(attempt(&mut throttle, THERE, "ada", true, 0), Ok(()));
        assert_eq!(attempt(&mut throttle, HERE, "ada", true, 0), Err(REFILL_MS));
        assert_eq!(attempt(&mut throttle, HERE, "ada", true, REFILL_MS), Ok(()));
    }

    #[test]
    fn many_successes_at_a_new_address_use_nothing_up() {
        let mut throttle = Throttle::default();
        for n in 0..1_000 {
            assert_eq!(attempt(&mut throttle, HERE, &format!("x{n}"), true, 0), Ok(()));
        }
    }

    #[test]
    fn an_address_is_known_for_a_month_and_only_so_many_are() {
        let mut throttle = Throttle::default();
        throttle.succeeded(HERE, "ada", 0);
        assert!(throttle.is_known(HERE, "ada", KNOWN_FOR_MS));
        assert!(!throttle.is_known(HERE, "ada", KNOWN_FOR_MS + 1));
        assert!(!throttle.is_known(HERE, "bob", 0) && !throttle.is_known(THERE, "ada", 0));
        for n in 0..100_u32 {
            throttle.succeeded(IpAddr::from(n.to_be_bytes()), "ada", 1);
        }
        assert_eq!(throttle.known["ada"].len(), MOST_KNOWN);
        assert!(!throttle.is_known(HERE, "ada", 1));
    }

    #[test]
    fn an_ipv6_client_has_one_network_not_many_addresses() {
        let [first, second, other, mapped] =
            ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "::ffff:192.0.2.1"]
                .map(|text| text.parse().unwrap());
        let mut throttle = Throttle::default();
        for _ in 0..10 {
            throttle.failed(first, "admin", 1_000);
        }
        assert!(throttle.wait_ms(second, "admin", 1_000) > 0);
        assert_eq!(throttle.wait_ms(other, "admin", 1_000), 0);
        assert_eq!(network(mapped), HERE);
    }

    #[test]
    fn success_and_time_forgive() {
        let mut throttle = failed(10);
        throttle.succeeded(HERE, "admin", 1_000);
        assert_eq!(throttle.wait_ms(HERE, "admin", 1_000), 0);
        let mut throttle = failed(10);
        throttle.failed(HERE, "admin", 1_000 + FORGIVEN_AFTER_MS + 1);
        assert_eq!(throttle.wait_ms(HERE, "admin", 1_000 + FORGIVEN_AFTER_MS + 1), 0);
    }

    #[test]
    fn wrong_codes_are_counted_wherever_they_come_from() {
        let mut throttle = Throttle::default();
        for _ in 0..6 {
            throttle.code_failed("admin", 1_000);
        }
        assert_eq!(throttle.code_wait_ms("admin", 1_000), 2_000);
        assert_eq!(throttle.code_wait_ms("another", 1_000), 0);
        assert_eq!(throttle.wait_ms(HERE, "admin", 1_000), 0);
        throttle.code_succeeded("admin");
        assert_eq!(throttle.code_wait_ms("admin", 1_000), 0);
    }

    #[test]
    fn a_minute_has_room_for_so_many() {
        let mut minute = PerMinute::default();
        let taken: Vec<bool> = [1, 1, 1, 2].map(|at| minute.take(at, 2)).into();
        assert_eq!(taken, [true, true, false, true]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        for n in 0..u32::try_from(2 * MOST_KEYS).unwrap() {
            let (address, account, at) = (IpAddr::from(n.to_be_bytes()), n.to_string(), n.into());
            throttle.failed(address, &account, at);
            throttle.succeeded(THERE, &account, at);
            assert!(throttle.wait_ms(address, &account, at) == 0);
        }
        assert!(throttle.failures.len() <= MOST_KEYS);
        assert!(throttle.addresses.full_at_ms.len() <= MOST_KEYS);
        assert!(throttle.accounts.full_at_ms.len() <= MOST_KEYS);
        assert!(throttle.known.len() <= MOST_KEYS);
    }
}
