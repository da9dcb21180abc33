//! Facts about a Linux host: a collector for each kind, and a registry that runs them.
//!
//! Names, types and labels are `node_exporter`'s, so that dashboards and rules written for it work.
//! Collectors are synchronous and read `/proc` and `/sys` below roots given by value. What a machine
//! lacks is left out. [`all`] is the list of collectors; `docs/metrics.md` is made from their tables
//! by [`documentation`].

mod documentation;
mod error;
mod file;
mod lane;
mod metric;
mod registry;
mod roots;
mod settings;
mod sink;
mod watch;

mod dbus;

mod bcache;
mod bonding;
mod btrfs;
mod conntrack;
mod cpufreq;
mod disk_health;
mod disk_info;
mod diskstats;
mod edac;
mod fibrechannel;
mod filesystem;
mod hwmon;
mod infiniband;
mod ipvs;
mod kernel_limits;
mod loadavg;
mod mdadm;
mod meminfo;
mod named_processes;
mod neighbours;
mod netclass;
mod netdev;
mod netstat;
mod nfs;
mod nvme;
mod power_supply;
mod pressure;
mod rapl;
mod schedstat;
mod selinux;
mod sockstat;
mod softnet;
mod stat;
mod system_info;
mod systemd;
mod tapestats;
mod tcpstat;
mod textfile;
mod thermal;
mod time;
mod timex;
mod vmstat;
mod xfs;
mod zfs;

mod containers;
mod gpu;
mod oom;
mod processes;

#[cfg(test)]
mod hostile;

pub use documentation::{documentation, metric_of};
pub use error::CollectError;
pub use metric::{Kind, Metric, Unit};
pub use processes::{ProcessReader, ProcessRow, ProcessTable};
pub use registry::{Cadence, Collector, Registry};
pub use roots::{MeasureSpace, ParseText, Roots, Space};
pub use settings::{
    Choice, CollectorSettings, NamedPattern, Pattern, PatternError, collector_names,
};
pub use sink::{Collection, Sink};
pub use watch::{Change, Watcher};

/// Every collector of a host, the fast ones first.
pub fn all(roots: &Roots) -> Vec<Box<dyn Collector>> {
    vec![
        Box::new(stat::Stat::new(roots)),
        Box::new(meminfo::Meminfo::new(roots)),
        Box::new(vmstat::Vmstat::new(roots)),
        Box::new(loadavg::Loadavg::new(roots)),
        Box::new(pressure::Pressure::new(roots)),
        Box::new(schedstat::Schedstat::new(roots)),
        Box::new(diskstats::Diskstats::new(roots)),
        Box::new(netdev::Netdev::new(roots)),
        Box::new(netclass::Links::new(roots)),
        Box::new(netstat::Netstat::new(roots)),
        Box::new(sockstat::Sockstat::new(roots)),
        Box::new(softnet::Softnet::new(roots)),
        Box::new(conntrack::Conntrack::new(roots)),
        Box::new(kernel_limits::Filefd::new(roots)),
        Box::new(time::Time),
        Box::new(filesystem::Filesystem::new(roots)),
        Box::new(netclass::Netclass::new(roots)),
        Box::new(bonding::Bonding::new(roots)),
        Box::new(mdadm::Mdadm::new(roots)),
        Box::new(edac::Edac::new(roots)),
        Box::new(disk_info::DiskInfo::new(roots)),
        Box::new(hwmon::Hwmon::new(roots)),
        Box::new(thermal::Thermal::new(roots)),
        Box::new(cpufreq::Cpufreq::new(roots)),
        Box::new(neighbours::Arp::new(roots)),
        Box::new(neighbours::UdpQueues::new(roots)),
        Box::new(kernel_limits::Entropy::new(roots)),
        Box::new(time::Clocksource::new(roots)),
        Box::new(timex::Timex),
        Box::new(tcpstat::Tcpstat::new(roots)),
        Box::new(xfs::Xfs::new(roots)),
        Box::new(btrfs::Btrfs::new(roots)),
        Box::new(zfs::Zfs::new(roots)),
        Box::new(bcache::Bcache::new(roots)),
        Box::new(nfs::Nfs::new(roots)),
        Box::new(nfs::Nfsd::new(roots)),
        Box::new(nvme::Nvme::new(roots)),
        Box::new(tapestats::Tapestats::new(roots)),
        Box::new(fibrechannel::Fibrechannel::new(roots)),
        Box::new(infiniband::Infiniband::new(roots)),
        Box::new(ipvs::Ipvs::new(roots)),
        Box::new(power_supply::PowerSupply::new(roots)),
        Box::new(rapl::Rapl::new(roots)),
        Box::new(selinux::Selinux::new(roots)),
        Box::new(textfile::Textfile::new(roots)),
        Box::new(system_info::Uname::new(roots)),
        Box::new(system_info::OsRelease::new(roots)),
        Box::new(system_info::Dmi::new(roots)),
        Box::new(systemd::Systemd::new(roots)),
        Box::new(named_processes::NamedProcesses::new(roots)),
        Box::new(processes::Programs::new(roots)),
        Box::new(processes::Processes::new(roots)),
        Box::new(disk_health::DiskHealth::new(roots)),
        Box::new(containers::Containers::new(roots)),
        Box::new(gpu::Nvidia::new(roots)),
        Box::new(oom::Oom::new(roots)),
    ]
}
