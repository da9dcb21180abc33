//! How often somebody may try to sign in.
//!
//! Failures are counted per address (of IPv6, per network of 64 bits) and per (address, account): an attacker slows down only
//! themselves, so nobody can lock somebody else out. The first [`FREE_FAILURES`] failures cost nothing; from then
//! on each doubles the wait, from one second to [`LONGEST_WAIT_MS`]. A quiet quarter of an hour forgives.
//!
//! Codes of second factors are counted per account, wherever they come from: they are short, and only who knows the
//! password gets to try one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Failures before the first wait.
const FREE_FAILURES: u32 = 5;
/// The longest wait between two attempts.
const LONGEST_WAIT_MS: i64 = 300_000;
/// How long without an attempt until failures are forgotten.
const FORGIVEN_AFTER_MS: i64 = 900_000;
/// The most keys remembered; beyond, the oldest are forgotten.
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
}

impl Throttle {
    /// How many milliseconds the caller has to wait before the next attempt; 0 if none.
    pub(crate) fn wait_ms(&self, address: IpAddr, account: &str, now_ms: i64) -> i64 {
        keys(address, account)
            .iter()
            .filter_map(|key| self.failures.get(key))
            .map(|failures| allowed_at_ms(*failures) - now_ms)
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// Counts a failed attempt.
    pub(crate) fn failed(&mut self, address: IpAddr, account: &str, now_ms: i64) {
        for key in keys(address, account) {
            self.count(key, now_ms);
        }
    }

    /// Forgets the account's failures after it was signed in to.
    pub(crate) fn succeeded(&mut self, address: IpAddr, account: &str) {
        for key in keys(address, account) {
            self.failures.remove(&key);
        }
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
        if self.failures.len() + 2 > MOST_KEYS {
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
        if self.failures.len() + 2 > MOST_KEYS {
            let mut times: Vec<i64> = self.failures.values().map(|f| f.last_ms).collect();
            times.sort_unstable();
            let median = times[times.len() / 2];
            self.failures.retain(|_, failures| failures.last_ms > median);
        }
    }
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

/// The two keys an attempt is counted under: the address alone (with an empty account), and the
/// account as tried from that address.
fn keys(address: IpAddr, account: &str) -> [(IpAddr, String); 2] {
    let address = network(address);
    let account: String = account.chars().take(64).collect();
    [(address, String::new()), (address, format!("account {account}"))]
}

/// The key of an account's codes, which have no address.
fn code_key(account: &str) -> (IpAddr, String) {
    let account: String = account.chars().take(64).collect();
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), format!("code {account}"))
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

    #[test]
    fn trying_many_accounts_from_one_address_is_slowed_too() {
        assert!(failed(10).wait_ms(HERE, "another", 1_000) > 0);
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
        throttle.succeeded(HERE, "admin");
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
        for account in 0..2 * MOST_KEYS {
            throttle.failed(HERE, &account.to_string(), account as i64);
        }
        assert!(throttle.failures.len() <= MOST_KEYS);
    }
}
