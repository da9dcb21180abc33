//! What a healthy busy host does through its days: none of it is anybody's business at night.
//!
//! 1. Work follows the hour and the day of the week.
//! 2. A backup at night reads the disk as fast as it can, and a dump lies on `/srv` until the next evening.
//! 3. Hosts that build saturate their processors for minutes, many times a day, and clean up now and then.
//! 4. Deployments restart the service; a few services fall once and are restarted by systemd.
//! 5. Logs grow all day and are rotated at midnight; data grows slowly.
//! 6. Neighbours on the same machine take processor time and slow the disk for an hour or two.
//! 7. Once in the week some hosts are rebooted for updates.

use std::f64::consts::TAU;

use super::dice::Dice;
use super::moment::{Moment, Service};

/// Monday, 2026-01-05 at midnight UTC.
pub(super) const MONDAY_MS: i64 = 1_767_571_200_000;
const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 86_400.0;

/// Something that is done from one moment to another, in seconds since Monday, as hard as `level` says.
#[derive(Debug, Clone, Copy)]
struct Spell {
    from_s: f64,
    to_s: f64,
    level: f64,
}

impl Spell {
    fn holds(&self, at_s: f64) -> bool {
        (self.from_s..self.to_s).contains(&at_s)
    }
}

/// A healthy host: what it is, and all that it will do.
#[derive(Debug)]
pub(super) struct Habits {
    dice: Dice,
    busy: f64,
    available: f64,
    var_base: f64,
    srv_base: f64,
    log_share: f64,
    growth_a_day: f64,
    latency: f64,
    builds: Vec<Spell>,
    backups: Vec<Spell>,
    neighbours: Vec<Spell>,
    deployments: Vec<Spell>,
    falls: Vec<f64>,
    reboot: Option<Spell>,
}

impl Habits {
    /// Those of host `number` for so many days.
    pub(super) fn new(seed: u64, number: u64, days: f64) -> Self {
        let mut dice = Dice::new(seed, number);
        let builder = number.is_multiple_of(5);
        let database = number % 5 == 1;
        let virtual_machine = number.is_multiple_of(2);
        let end_s = days * DAY_S;
        let mut builds = Vec::new();
        let mut at_s = dice.between(0.0, HOUR_S);
        while builder && at_s < end_s {
            let lasts_s = dice.between(120.0, 1_500.0);
            let level = dice.between(0.5, 0.98);
            if is_work_time(at_s) || dice.happens(0.15) {
                builds.push(Spell { from_s: at_s, to_s: at_s + lasts_s, level });
            }
            at_s += lasts_s + dice.between(300.0, 5_400.0);
        }
        let backup_s = dice.between(0.5, 3.5) * HOUR_S;
        let (lasts_s, level) = (dice.between(1_200.0, 5_400.0), dice.between(0.02, 0.12));
        let backups = (0..=days as u32).map(|day| {
            let from_s = f64::from(day) * DAY_S + backup_s + dice.between(0.0, 300.0);
            Spell { from_s, to_s: from_s + lasts_s * dice.between(0.9, 1.1), level }
        });
        let backups = backups.collect();
        let mut spells = |a_day: f64, shortest_s: f64, longest_s: f64, low: f64, high: f64| {
            let mut spells = Vec::new();
            let mut from_s = dice.between(0.0, DAY_S / a_day);
            while from_s < end_s {
                let to_s = from_s + dice.between(shortest_s, longest_s);
                spells.push(Spell { from_s, to_s, level: dice.between(low, high) });
                from_s = to_s + dice.between(0.5, 1.5) * DAY_S / a_day;
            }
            spells
        };
        let neighbours =
            if virtual_machine { spells(1.0, 600.0, 7_200.0, 0.1, 0.5) } else { Vec::new() };
        let deployments = spells(1.0, 5.0, 40.0, 0.0, 1.0);
        let falls = spells(0.2, 1.0, 2.0, 0.0, 1.0).iter().map(|spell| spell.from_s).collect();
        let reboot_s = dice.between(0.2, 0.9) * end_s;
        let reboot = dice.happens(0.1).then_some(Spell {
            from_s: reboot_s,
            to_s: reboot_s + 90.0,
            level: 0.0,
        });
        Self {
            busy: dice.between(0.15, 0.6),
            available: if database { dice.between(0.10, 0.2) } else { dice.between(0.3, 0.7) },
            var_base: dice.between(0.3, 0.82),
            srv_base: dice.between(0.2, 0.6),
            log_share: dice.between(0.01, 0.06),
            growth_a_day: dice.between(0.0, 0.002),
            latency: dice.between(0.0004, 0.012),
            builds,
            backups,
            neighbours,
            deployments,
            falls,
            reboot,
            dice,
        }
    }

    /// How the host is, `None` while it starts anew. To be asked in the order of time.
    pub(super) fn at(&mut self, at_ms: i64) -> Option<Moment> {
        let at_s = (at_ms - MONDAY_MS) as f64 / 1_000.0;
        if self.reboot.is_some_and(|reboot| reboot.holds(at_s)) {
            return None;
        }
        let up_since_s = self.reboot.filter(|reboot| reboot.to_s <= at_s).map(|one| one.to_s);
        let day_s = at_s.rem_euclid(DAY_S);
        let work = self.busy * rhythm(at_s) * self.dice.between(0.8, 1.2);
        let build = level_of(&self.builds, at_s);
        let backup = level_of(&self.backups, at_s);
        let neighbour = level_of(&self.neighbours, at_s).unwrap_or(0.0);
        let dump_lies = self.backups.iter().any(|one| {
            at_s >= one.from_s && at_s < (one.from_s / DAY_S).floor() * DAY_S + 20.0 * HOUR_S
        });
        let built_today = self.builds.iter().filter(|one| {
            one.from_s < at_s && (one.from_s / DAY_S).floor() == (at_s / DAY_S).floor()
        });
        // A build leaves 1 % behind, which is cleaned away after every tenth and at midnight.
        let leftovers = (built_today.count() % 10) as f64 * 0.01;
        let deployed = self.deployments.iter().any(|one| one.holds(at_s));
        let service = if deployed { Service::Starting } else { Service::Runs };
        let cpu = (work + build.map_or(0.0, |_| 1.0) + backup.map_or(0.0, |_| 0.2)).min(1.0);
        let waiting = build.unwrap_or(0.0) * self.dice.between(0.9, 1.0);
        Some(Moment {
            cpu,
            cpu_waiting: (0.3 * work + waiting + neighbour).min(1.0),
            demand: work + neighbour + build.map_or(0.0, |level| 1.0 + 1.5 * level),
            available: (self.available - 0.05 * work).max(0.06) * self.dice.between(0.97, 1.0),
            memory_waiting: self.dice.between(0.0, 0.02) + backup.map_or(0.0, |_| 0.02),
            swap_in: if self.dice.happens(0.01) { self.dice.between(0.0, 900.0) } else { 0.0 },
            swap_used: 0.1,
            var_used: self.var_base
                + self.growth_a_day * at_s / DAY_S
                + self.log_share * day_s / DAY_S,
            srv_used: self.srv_base + leftovers + if dump_lies { 0.12 } else { 0.0 },
            inodes_used: 0.2 + 0.02 * day_s / DAY_S,
            read_only: false,
            read_seconds: backup.unwrap_or(self.latency) * (1.0 + 4.0 * neighbour),
            reads: 20.0 + backup.map_or(0.0, |_| 400.0) + 100.0 * work,
            disk_errors: [0.0, (at_s / DAY_S).floor()],
            celsius: 38.0 + 26.0 * cpu + self.dice.between(-1.0, 1.0),
            clock_off: self.dice.between(-0.02, 0.02),
            unsynchronised: up_since_s.filter(|up_s| at_s < up_s + 240.0).map(|_| 16.0),
            boot_s: MONDAY_MS as f64 / 1_000.0 + up_since_s.unwrap_or(-40.0 * DAY_S),
            killed: 0.0,
            service,
            restarts: self.falls.iter().filter(|&&fall_s| fall_s <= at_s).count() as f64,
            task_runs: backup.is_some(),
            packets: [200.0 + 8_000.0 * work, 1e-5],
            spooled: if self.dice.happens(0.001) { 300_000.0 } else { 0.0 },
        })
    }
}

fn level_of(spells: &[Spell], at_s: f64) -> Option<f64> {
    spells.iter().find(|spell| spell.holds(at_s)).map(|spell| spell.level)
}

/// How much there is to do at a moment: 1 at the height of a working day.
fn rhythm(at_s: f64) -> f64 {
    let hour = 0.55 + 0.45 * (TAU * (at_s / DAY_S - 14.0 / 24.0)).cos();
    if (at_s / DAY_S).rem_euclid(7.0) < 5.0 { hour } else { 0.5 * hour }
}

fn is_work_time(at_s: f64) -> bool {
    let hour = at_s.rem_euclid(DAY_S) / HOUR_S;
    (at_s / DAY_S).rem_euclid(7.0) < 5.0 && (8.0..19.0).contains(&hour)
}
