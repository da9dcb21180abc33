//! Who was killed, out of the records of the kernel's log.
//!
//! The kernel writes several lines about a kill; these two name the victim and its cgroup:
//!
//! ```text
//! oom-kill:constraint=CONSTRAINT_MEMCG,…,task_memcg=/system.slice/a.service,task=java,pid=812,uid=7
//! Memory cgroup out of memory: Killed process 812 (java) total-vm:9000kB, …
//! ```
//!
//! Kernels before 5.0 write `Task in /system.slice/a.service killed as a result of limit of /…` for the
//! first. Where a whole cgroup is killed at once, its other processes have the second line only.

/// A process that was killed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Victim {
    /// What the kernel calls the process.
    pub(super) program: String,
    /// Its systemd unit; empty where it has none or the log does not tell.
    pub(super) unit: String,
}

impl Victim {
    /// Those who are too many to be told apart.
    pub(super) fn other() -> Self {
        Self { program: "other".to_owned(), unit: String::new() }
    }
}

/// What has been read of the log so far, as far as it matters for what follows.
#[derive(Debug, Default)]
pub(super) struct Victims {
    /// The victim that was announced last: its number, where the line tells it, and its unit.
    announced: Option<(Option<u32>, String)>,
}

/// How a line begins that says that a process has been killed for want of memory.
const KILLED: [&str; 3] = ["Out of memory", "Memory cgroup out of memory", "Killed process "];

impl Victims {
    /// Takes a record as `/dev/kmsg` gives it; returns the victim if it tells of one.
    pub(super) fn handle_record(&mut self, record: &str) -> Option<Victim> {
        let (prefix, text) = record.split_once(';')?;
        let priority: u32 = prefix.split(',').next()?.parse().ok()?;
        // Others than the kernel may write into its log, but not in its name.
        if priority >> 3 != 0 {
            return None;
        }
        self.handle_line(&unescape(text.lines().next().unwrap_or_default()))
    }

    fn handle_line(&mut self, line: &str) -> Option<Victim> {
        if let Some(rest) = line.strip_prefix("oom-kill:") {
            self.announced = announced(rest);
        } else if let Some(rest) = line.strip_prefix("Task in ") {
            let cgroup = rest.split_once(" killed as a result of limit of ")?.0;
            self.announced = Some((None, unit_of(cgroup).to_owned()));
        } else if KILLED.iter().any(|begin| line.starts_with(begin)) {
            let (pid, program) = killed(line)?;
            let in_cgroup = line.starts_with("Memory cgroup");
            let unit = match &self.announced {
                Some((announced, unit)) if in_cgroup || announced.is_none_or(|it| it == pid) => {
                    unit.clone()
                }
                _ => String::new(),
            };
            return Some(Victim { program: program.to_owned(), unit });
        }
        None
    }
}

/// The number and the unit of the process of a line `…,task_memcg=/path,task=name,pid=1,uid=0`.
fn announced(fields: &str) -> Option<(Option<u32>, String)> {
    let (_, rest) = fields.split_once("task_memcg=")?;
    let (cgroup, rest) = rest.split_once(",task=")?;
    let (_, pid) = rest.rsplit_once(",pid=")?;
    let pid = pid.split(',').next().and_then(|digits| digits.parse().ok());
    Some((pid, unit_of(cgroup).to_owned()))
}

/// The number and name of a line `…Killed process 1 (name) total-vm:…`; older kernels write a comma
/// behind the name.
fn killed(line: &str) -> Option<(u32, &str)> {
    let (_, rest) = line.split_once("Killed process ")?;
    let (pid, rest) = rest.split_once(" (")?;
    let end = rest.find("total-vm:").unwrap_or(rest.len());
    let name = &rest[..rest[..end].rfind(')')?];
    Some((pid.parse().ok()?, name))
}

/// The innermost systemd unit that runs processes in the path of a cgroup; empty without one.
pub(super) fn unit_of(cgroup: &str) -> &str {
    let is_unit = |name: &&str| {
        let kinds = [".service", ".scope", ".mount", ".socket", ".swap"];
        kinds.iter().any(|kind| name.ends_with(kind))
    };
    cgroup.rsplit('/').find(is_unit).unwrap_or_default()
}

/// The text with what the log has as `\x5c` put back; what would not be printable stays as it is.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(u8::is_ascii_graphic) {
            out.push(char::from(byte));
            rest = &after[2..];
        } else {
            out.push_str("\\x");
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Kernel messages, and the victims that they tell of as `program unit`.
    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let mut victims = Victims::default();
        let found: Vec<String> = lines
            .iter()
            .filter_map(|line| {
                victims.handle_record(&format!("6,1234,567890,-;{line}\n SUBSYSTEM=x\n"))
            })
            .map(|victim| format!("{} {}", victim.program, victim.unit))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_victim_in_a_cgroup() {
        check(
            &[
                "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
                 oom_memcg=/system.slice,task_memcg=/system.slice/a.service/x,task=ja,va,pid=812,uid=7",
                "Memory cgroup out of memory: Killed process 812 (ja,va) total-vm:90kB, anon-rss:1kB",
                "oom_reaper: reaped process 812 (java), now anon-rss:0kB",
            ],
            &["ja,va a.service"],
        );
    }

    #[test]
    fn a_whole_cgroup_at_once() {
        check(
            &[
                "oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/system.slice/b.service,task=b,pid=1,uid=7",
                "Memory cgroup out of memory: Killed process 1 (b) total-vm:90kB",
                "Tasks in /system.slice/b.service are going to be killed due to memory.oom.group set",
                "Memory cgroup out of memory: Killed process 2 (b) helper) total-vm:90kB",
            ],
            &["b b.service", "b) helper b.service"],
        );
    }

    #[test]
    fn a_victim_of_the_whole_host() {
        check(
            &[
                "oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/,task=stress,pid=5,uid=0",
                "Out of memory: Killed process 5 (stress) total-vm:90kB, UID:0",
                "Out of memory: Killed process 6 (x) total-vm:90kB",
            ],
            &["stress ", "x "],
        );
    }

    #[test]
    fn older_kernels() {
        check(
            &[
                "Task in /system.slice/c.service killed as a result of limit of /system.slice/c.service",
                "Memory cgroup out of memory: Kill process 9 (c) score 1000 or sacrifice child",
                "Killed process 9 (c) total-vm:90kB, anon-rss:1kB",
                "Killed process 9 (c), UID 0, total-vm:90kB",
            ],
            &["c c.service", "c c.service"],
        );
    }

    #[test]
    fn what_is_not_from_the_kernel_is_not_believed() {
        let mut victims = Victims::default();
        let record = "14,1,2,-;Out of memory: Killed process 5 (x) total-vm:90kB";
        assert_eq!(victims.handle_record(record), None);
    }

    #[test]
    fn units_and_escapes() {
        assert_eq!(unit_of("/user.slice/user@1.service/app.slice/b.service"), "b.service");
        assert_eq!(unit_of("/user.slice"), "");
        assert_eq!(unescape("a\\x5cx2db\\x0a\\xzz\\x"), "a\\x2db\\x0a\\xzz\\x");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text: String, cut in 0_usize..120) {
            let mut victims = Victims::default();
            victims.handle_record(&text);
            let line = "oom-kill:task_memcg=/a.service,task=b,pid=1,uid=7";
            let cut = cut.min(line.len());
            victims.handle_line(&format!("{}{text}{}", &line[..cut], &line[cut..]));
            victims.handle_line(&format!("Out of memory: Killed process {text}"));
        }
    }
}
