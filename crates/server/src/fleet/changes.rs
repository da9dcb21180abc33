//! What a live stream tells after its first list: whole hosts where something about them changed, columns of figures
//! where only those moved, nothing where nothing can be seen to have changed.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{Disk, Host, HostFigures, HostList, NextFull};

use super::rounding::{hundredths, percent, three_figures};

/// The figures that move all the time, as they can be seen.
type Moving = [Option<f64>; 6];

fn moving(host: &Host) -> Moving {
    [
        host.cpu_percent.map(percent),
        host.memory_percent.map(percent),
        host.swap_percent.map(percent),
        host.load1.map(hundredths),
        host.receive_bytes_per_second.map(three_figures),
        host.transmit_bytes_per_second.map(three_figures),
    ]
}

/// Whether anything but moving figures can be seen to differ. The time of the newest sample is no news of a host that
/// reports; of one that fell silent its state tells.
fn differs(one: &Host, other: &Host) -> bool {
    let still = |host: &Host| Host {
        last_sample_ms: None,
        cpu_percent: None,
        memory_percent: None,
        swap_percent: None,
        load1: None,
        receive_bytes_per_second: None,
        transmit_bytes_per_second: None,
        worst_disk: host.worst_disk.as_ref().map(|disk| Disk {
            mountpoint: disk.mountpoint.clone(),
            used_percent: percent(disk.used_percent),
            size_bytes: disk.size_bytes,
            available_bytes: three_figures(disk.available_bytes),
        }),
        next_full: host.next_full.as_ref().map(|next| NextFull {
            mountpoint: next.mountpoint.clone(),
            full_ms: next.full_ms,
            bytes_per_day: 0.0,
        }),
        ..host.clone()
    };
    still(one) != still(other)
}

/// What changed from one list to the next.
pub(crate) fn changes(before: &HostList, after: &HostList) -> HostList {
    let known: BTreeMap<&str, &Host> =
        before.hosts.iter().map(|host| (host.instance.as_str(), host)).collect();
    let mut hosts = Vec::new();
    let mut figures = HostFigures::default();
    for host in &after.hosts {
        match known.get(host.instance.as_str()) {
            Some(former) if !differs(former, host) => {
                let now = moving(host);
                if now != moving(former) {
                    add(&mut figures, &host.instance, now);
                }
            }
            _ => hosts.push(host.clone()),
        }
    }
    let present: BTreeSet<&str> = after.hosts.iter().map(|host| host.instance.as_str()).collect();
    let gone = known.into_keys().filter(|instance| !present.contains(instance));
    HostList {
        now_ms: after.now_ms,
        hosts,
        removed: gone.map(str::to_owned).collect(),
        figures: Some(figures).filter(|figures| !figures.instances.is_empty()),
    }
}

fn add(figures: &mut HostFigures, instance: &str, moving: Moving) {
    let [cpu, memory, swap, load, receive, transmit] = moving;
    figures.instances.push(instance.to_owned());
    figures.cpu_percent.push(cpu);
    figures.memory_percent.push(memory);
    figures.swap_percent.push(swap);
    figures.load1.push(load);
    figures.receive_bytes_per_second.push(receive);
    figures.transmit_bytes_per_second.push(transmit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::bare_host;
    use crate::roster::{HostFacts, Roster};

    fn host(instance: &str) -> Host {
        let roster = Roster::default();
        let hold = roster.hold(instance, HostFacts::default(), 1).unwrap();
        let disk = Disk {
            mountpoint: "/".into(),
            used_percent: 50.0,
            size_bytes: 1e12,
            available_bytes: 5e11,
        };
        Host { load1: Some(1.0), worst_disk: Some(disk), ..bare_host(&hold.entry) }
    }

    fn list(hosts: Vec<Host>) -> HostList {
        HostList { now_ms: 0, hosts, removed: vec![], figures: None }
    }

    /// What is told of one host that was changed: all of it, its figures, or nothing.
    #[track_caller]
    fn check(change: impl Fn(&mut Host), whole: bool, figures: bool) {
        let mut changed = host("a");
        change(&mut changed);
        let told = changes(&list(vec![host("a")]), &list(vec![changed]));
        assert_eq!((told.hosts.len() == 1, told.figures.is_some()), (whole, figures));
    }

    #[test]
    fn a_host_is_told_as_briefly_as_its_change_allows() {
        check(|_| (), false, false);
        check(|host| host.load1 = Some(2.0), false, true);
        check(|host| host.load1 = None, false, true);
        check(|host| host.load1 = Some(1.004), false, false);
        check(|host| host.last_sample_ms = Some(7), false, false);
        check(|host| host.worst_disk.as_mut().unwrap().used_percent = 50.01, false, false);
        check(|host| host.worst_disk.as_mut().unwrap().used_percent = 50.1, true, false);
        check(|host| host.state = muster_api::HostState::Silent, true, false);
        check(|host| host.tags.push("ssd".into()), true, false);
    }

    #[test]
    fn hosts_that_come_and_go_are_told() {
        let before = list(vec![host("a"), host("c")]);
        let told = changes(&before, &list(vec![host("a"), host("d")]));
        let names: Vec<&str> = told.hosts.iter().map(|host| host.instance.as_str()).collect();
        assert_eq!((names, told.removed), (vec!["d"], vec!["c".to_owned()]));
    }

    #[test]
    fn columns_belong_to_their_hosts() {
        let busy = |name: &str, cpu: f64| Host { cpu_percent: Some(cpu), ..host(name) };
        let told = changes(
            &list(vec![busy("a", 1.0), busy("b", 1.0), busy("c", 1.0)]),
            &list(vec![busy("a", 2.26), busy("b", 1.0), busy("c", 3.0)]),
        );
        let figures = told.figures.unwrap();
        assert_eq!(figures.instances, ["a", "c"]);
        assert_eq!(figures.cpu_percent, [Some(2.3), Some(3.0)]);
        assert_eq!(figures.load1.len(), 2);
    }
}
