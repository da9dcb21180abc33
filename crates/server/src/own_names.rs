//! The names and addresses under which others may reach this machine: what an own certificate has to hold.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The host name and every address of this machine that is not link-local.
pub(crate) fn own_names() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut names = vec![read("/proc/sys/kernel/hostname").trim().to_owned()];
    names.extend(ipv4_addresses(&read("/proc/net/fib_trie")).iter().map(Ipv4Addr::to_string));
    names.extend(ipv6_addresses(&read("/proc/net/if_inet6")).iter().map(Ipv6Addr::to_string));
    names
}

/// The local addresses in the kernel's routing trie: a leaf `|-- ADDRESS` that is followed by `/32 host LOCAL`.
fn ipv4_addresses(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut addresses = Vec::new();
    for line in fib_trie.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("|-- ") {
            leaf = text.parse().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(leaf);
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The addresses in `/proc/net/if_inet6`, whose lines are: 32 hexadecimal digits, index, prefix length, scope, flags, device.
fn ipv6_addresses(if_inet6: &str) -> Vec<Ipv6Addr> {
    const LINK_LOCAL: &str = "20";
    let address = |line: &str| {
        let mut fields = line.split_whitespace();
        let (digits, scope) = (fields.next()?, fields.nth(2)?);
        let bits = u128::from_str_radix(digits, 16).ok()?;
        (scope != LINK_LOCAL).then(|| Ipv6Addr::from_bits(bits))
    };
    if_inet6.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_ipv4_addresses_are_the_leaves_of_one_host() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    +-- 192.0.2.0/24 2 0 2\n        |-- 192.0.2.0\n           /24 link UNICAST\n        \
                    |-- 192.0.2.7\n           /32 host LOCAL\n        |-- 192.0.2.255\n           /32 link BROADCAST\n\
                    Local:\n        |-- 192.0.2.7\n           /32 host LOCAL\n";
        assert_eq!(ipv4_addresses(trie), [Ipv4Addr::new(192, 0, 2, 7)]);
        assert_eq!(ipv4_addresses("nonsense\n/32 host LOCAL\n"), [] as [Ipv4Addr; 0]);
    }

    #[test]
    fn link_local_ipv6_addresses_are_left_out() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    20010db8000000000000000000000007 02 40 00 80     eth0\n\
                    fe800000000000000000000000000007 02 40 20 80     eth0\nnonsense\n";
        let found = ipv6_addresses(text);
        assert_eq!(found, ["::1".parse::<Ipv6Addr>().unwrap(), "2001:db8::7".parse().unwrap()]);
    }
}
