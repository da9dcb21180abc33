//! What a host has: eight cores, four disks, three networks, four file systems, and so its 200 series.

use super::random::Random;
use super::shape::Shape;

/// Name, further labels and kind of a series.
pub(super) type Series = (String, Vec<(&'static str, String)>, Shape);

/// Label name and value, none or one or two.
type Extra<'a> = &'a [(&'static str, &'a str)];

/// All series of a host, in the order in which `node_exporter` would tell them: by collector.
pub(super) fn series(random: &mut Random) -> Vec<Series> {
    let mut list = List { random, series: Vec::new() };
    list.processors();
    list.disks();
    list.networks();
    list.memory();
    list.file_systems();
    list.rest();
    list.series
}

struct List<'a> {
    random: &'a mut Random,
    series: Vec<Series>,
}

impl List<'_> {
    fn add(&mut self, name: &str, extra: Extra<'_>, shape: Shape) {
        let extra = extra.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.series.push((name.to_owned(), extra, shape));
    }

    fn processors(&mut self) {
        for cpu in 0..8 {
            for (mode, share, idle) in [
                ("idle", 0.9, true),
                ("iowait", 0.004, false),
                ("irq", 0.0, false),
                ("nice", 0.0, false),
                ("softirq", 0.002, false),
                ("steal", 0.0, false),
                ("system", 0.2, false),
                ("user", 0.6, false),
            ] {
                let hundredths = self.random.below(100_000_000);
                let share = share * (0.7 + 0.6 * self.random.fraction());
                let shape = if share == 0.0 {
                    Shape::Constant(0.0)
                } else {
                    Shape::CpuTime { hundredths, share: share.min(0.98), idle }
                };
                let cpu = cpu.to_string();
                self.add("node_cpu_seconds_total", &[("cpu", &cpu), ("mode", mode)], shape);
            }
        }
    }

    fn disks(&mut self) {
        // Two of them work, two are there.
        for (device, work) in [("nvme0n1", 1.0), ("nvme1n1", 0.4), ("sda", 0.0), ("sr0", 0.0)] {
            let device: Extra<'_> = &[("device", device)];
            for (name, rate, unit) in [
                ("node_disk_reads_completed_total", 2.0, 1),
                ("node_disk_writes_completed_total", 30.0, 1),
                ("node_disk_read_bytes_total", 8.0, 4096),
                ("node_disk_written_bytes_total", 90.0, 4096),
                ("node_disk_writes_merged_total", 12.0, 1),
            ] {
                let shape = self.counter(rate * work, unit);
                self.add(name, device, shape);
            }
            for (name, share) in [
                ("node_disk_io_time_seconds_total", 0.05),
                ("node_disk_read_time_seconds_total", 0.002),
                ("node_disk_write_time_seconds_total", 0.08),
            ] {
                let ms = self.random.below(100_000_000);
                let shape = if work == 0.0 {
                    Shape::Constant(ms as f64 / 1e3)
                } else {
                    Shape::BusyTime { ms, share: share * work }
                };
                self.add(name, device, shape);
            }
        }
    }

    fn networks(&mut self) {
        for (device, work) in [("eth0", 1.0), ("eth1", 0.2), ("docker0", 0.0)] {
            let device: Extra<'_> = &[("device", device)];
            for (name, rate, unit) in [
                ("node_network_receive_bytes_total", 300.0, 900),
                ("node_network_receive_packets_total", 300.0, 1),
                ("node_network_receive_errs_total", 0.0, 1),
                ("node_network_receive_drop_total", 0.0, 1),
                ("node_network_transmit_bytes_total", 260.0, 700),
                ("node_network_transmit_packets_total", 260.0, 1),
                ("node_network_transmit_errs_total", 0.0, 1),
                ("node_network_transmit_drop_total", 0.0, 1),
            ] {
                let shape = self.counter(rate * work, unit);
                self.add(name, device, shape);
            }
        }
    }

    fn counter(&mut self, rate: f64, unit: u64) -> Shape {
        let total = self.random.below(1 << 32) * unit;
        if rate == 0.0 {
            return Shape::Constant((total >> 20) as f64);
        }
        Shape::Counter { total, rate: rate * (0.5 + self.random.fraction()), unit }
    }

    fn memory(&mut self) {
        for field in [
            "MemTotal",
            "SwapTotal",
            "SwapFree",
            "SwapCached",
            "Hugepagesize",
            "HugePages_Total",
            "HugePages_Free",
            "CommitLimit",
            "VmallocTotal",
            "VmallocChunk",
            "HardwareCorrupted",
            "Unevictable",
            "Mlocked",
            "NFS_Unstable",
            "Bounce",
        ] {
            let kib = self.random.below(1 << 25) & !3;
            self.add(
                &format!("node_memory_{field}_bytes"),
                &[],
                Shape::Constant((kib * 1024) as f64),
            );
        }
        for (field, swing) in [
            ("MemFree", 6000),
            ("MemAvailable", 4000),
            ("Buffers", 8),
            ("Cached", 900),
            ("Active", 1500),
            ("Inactive", 600),
            ("Active_anon", 900),
            ("Inactive_anon", 40),
            ("Active_file", 200),
            ("Inactive_file", 500),
            ("Dirty", 300),
            ("Writeback", 2),
            ("AnonPages", 900),
            ("Mapped", 60),
            ("Shmem", 4),
            ("Slab", 40),
            ("SReclaimable", 30),
            ("SUnreclaim", 15),
            ("KernelStack", 3),
            ("PageTables", 12),
            ("Committed_AS", 3000),
            ("VmallocUsed", 2),
            ("Percpu", 1),
            ("AnonHugePages", 512),
            ("KReclaimable", 30),
        ] {
            let around = 40_000 + self.random.below(1 << 23) as i64;
            let shape = Shape::Memory { kib: around, around, swing };
            self.add(&format!("node_memory_{field}_bytes"), &[], shape);
        }
    }

    fn file_systems(&mut self) {
        for (device, mountpoint, work) in [
            ("/dev/nvme0n1p2", "/", true),
            ("/dev/nvme0n1p1", "/boot/efi", false),
            ("/dev/nvme1n1", "/var/lib", true),
            ("tmpfs", "/run", true),
        ] {
            let place: Extra<'_> = &[("device", device), ("mountpoint", mountpoint)];
            let size = 100_000 + self.random.below(1 << 27);
            let free = size / 10 * (1 + self.random.below(8));
            self.add("node_filesystem_size_bytes", place, Shape::Constant((size * 4096) as f64));
            self.add("node_filesystem_files", place, Shape::Constant((size / 4) as f64));
            for (name, share) in
                [("node_filesystem_free_bytes", 1), ("node_filesystem_avail_bytes", 2)]
            {
                let blocks = free / share;
                let shape = if work {
                    Shape::FreeSpace { blocks, size }
                } else {
                    Shape::Constant((blocks * 4096) as f64)
                };
                self.add(name, place, shape);
            }
            let around = (size / 5) as i64;
            let shape = if work {
                Shape::Things { count: around, around, swing: 3 }
            } else {
                Shape::Constant(around as f64)
            };
            self.add("node_filesystem_files_free", place, shape);
        }
    }

    fn rest(&mut self) {
        for (name, inertia) in [("node_load1", 4), ("node_load5", 20), ("node_load15", 60)] {
            self.add(name, &[], Shape::Load { hundredths: 100, inertia });
        }
        for sensor in ["temp1", "temp2", "temp3", "temp4", "temp5", "temp6"] {
            let around = 70 + self.random.below(40) as i64;
            let labels: Extra<'_> = &[("chip", "platform_coretemp_0"), ("sensor", sensor)];
            self.add("node_hwmon_temp_celsius", labels, Shape::Degrees { halves: around, around });
        }
        let boot = 1_700_000_000 + self.random.below(1 << 24);
        self.add("node_boot_time_seconds", &[], Shape::Constant(boot as f64));
        self.add("node_filefd_maximum", &[], Shape::Constant(f64::from(1 << 20)));
        let kernel: Extra<'_> = &[("release", "6.1.0-40-amd64"), ("sysname", "Linux")];
        self.add("node_uname_info", kernel, Shape::Constant(1.0));
        for (name, around, swing) in [
            ("node_procs_running", 2, 3),
            ("node_procs_blocked", 0, 2),
            ("node_filefd_allocated", 3200, 40),
            ("node_sockstat_TCP_inuse", 120, 12),
            ("node_netstat_Tcp_CurrEstab", 90, 9),
        ] {
            self.add(name, &[], Shape::Things { count: around, around, swing });
        }
        for (name, rate) in [
            ("node_context_switches_total", 9000.0),
            ("node_intr_total", 5000.0),
            ("node_forks_total", 4.0),
        ] {
            let shape = self.counter(rate, 1);
            self.add(name, &[], shape);
        }
    }
}
