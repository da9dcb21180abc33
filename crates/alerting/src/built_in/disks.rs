//! Rules about file systems, disks and arrays.
//!
//! File systems that are full or read-only by design (images, memory, overlays) and those of other machines (NFS, SMB)
//! are left out: the machine that serves them tells of its own.

use super::{BuiltIn, HOUR, Job, Level, MINUTE, PLAIN};

const BASE: BuiltIn = BuiltIn { job: Job::Disks, ..PLAIN };

pub(super) const RULES: &[BuiltIn] = &[
    BuiltIn {
        id: "disk_full",
        alert: "DiskFull",
        title: ["File system full", "文件系统已满"],
        about: [
            "Little room is left on a file system that can be written to.",
            "可写文件系统的剩余空间很少。",
        ],
        expr: r#"100 * node_filesystem_avail_bytes{fstype!~"squashfs|erofs|iso9660|udf|cdfs|tmpfs|ramfs|devtmpfs|overlay|fuse.*|nfs.*|cifs|smb.*"} / node_filesystem_size_bytes unless (node_filesystem_readonly == 1)"#,
        unit: "percent",
        below: true,
        levels: &[
            Level::critical(2.0, MINUTE).clear(4.0),
            Level::warning(5.0, 10 * MINUTE).clear(7.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ $labels.mountpoint }} has {{ printf \"%.1f\" $value }} % left",
            "{{ $labels.instance }}:{{ $labels.mountpoint }} 仅剩 {{ printf \"%.1f\" $value }}%",
        ],
        action: [
            "Find what fills it: `du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail`; delete, move, or enlarge it.",
            "找出占用者:`du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail`;清理、迁移或扩容。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "disk_filling",
        alert: "DiskFilling",
        title: ["File system filling", "文件系统将满"],
        about: [
            "At its pace of the last days a file system will soon be full.",
            "按近几天的增长速度,文件系统即将写满。",
        ],
        expr: "muster_filesystem_full_seconds",
        unit: "seconds",
        below: true,
        levels: &[
            Level::critical(14_400.0, 15 * MINUTE).clear(28_800.0).keep(15 * MINUTE),
            Level::warning(86_400.0, 30 * MINUTE).clear(129_600.0).keep(HOUR),
            Level::info(604_800.0, 6 * HOUR).clear(777_600.0).keep(HOUR),
        ],
        summary: [
            "{{ $labels.instance }}: {{ $labels.mountpoint }} will be full in {{ $value | humanizeDuration }}",
            "{{ $labels.instance }}:{{ $labels.mountpoint }} 将在 {{ $value | humanizeDuration }} 后写满",
        ],
        action: [
            "Find what grows on {{ $labels.mountpoint }}, delete what is old, or enlarge it in time.",
            "找出 {{ $labels.mountpoint }} 上的增长者,清理旧数据或及时扩容。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "inodes_full",
        alert: "InodesFull",
        title: ["Inodes used up", "inode 耗尽"],
        about: [
            "A file system can hold few more files, whatever room is left.",
            "无论剩余空间多少,文件系统可容纳的文件数已所剩无几。",
        ],
        expr: r#"100 * node_filesystem_files_free{fstype!~"squashfs|erofs|iso9660|udf|cdfs|tmpfs|ramfs|devtmpfs|overlay|fuse.*|nfs.*|cifs|smb.*"} / node_filesystem_files unless (node_filesystem_readonly == 1)"#,
        unit: "percent",
        below: true,
        levels: &[
            Level::critical(2.0, MINUTE).clear(4.0),
            Level::warning(5.0, 10 * MINUTE).clear(7.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ $labels.mountpoint }} has {{ printf \"%.1f\" $value }} % of its inodes left",
            "{{ $labels.instance }}:{{ $labels.mountpoint }} 仅剩 {{ printf \"%.1f\" $value }}% 的 inode",
        ],
        action: [
            "Find the folder with very many small files: `du --inodes -x {{ $labels.mountpoint }} | sort -n | tail`.",
            "找出小文件极多的目录:`du --inodes -x {{ $labels.mountpoint }} | sort -n | tail`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "inodes_filling",
        alert: "InodesFilling",
        title: ["Inodes running out", "inode 将耗尽"],
        about: [
            "At its pace of the last days a file system will soon hold no more files.",
            "按近几天的速度,文件系统的 inode 即将耗尽。",
        ],
        expr: "muster_filesystem_inodes_full_seconds",
        unit: "seconds",
        below: true,
        levels: &[
            Level::critical(14_400.0, 15 * MINUTE).clear(28_800.0).keep(15 * MINUTE),
            Level::warning(86_400.0, 30 * MINUTE).clear(129_600.0).keep(HOUR),
        ],
        summary: [
            "{{ $labels.instance }}: {{ $labels.mountpoint }} has no inodes left in {{ $value | humanizeDuration }}",
            "{{ $labels.instance }}:{{ $labels.mountpoint }} 的 inode 将在 {{ $value | humanizeDuration }} 后耗尽",
        ],
        action: [
            "Find what makes so many files on {{ $labels.mountpoint }}, and delete old ones.",
            "找出 {{ $labels.mountpoint }} 上大量产生文件的程序,并删除旧文件。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "disk_read_only",
        alert: "DiskReadOnly",
        title: ["File system became read-only", "文件系统变为只读"],
        about: [
            "A file system that could be written to an hour ago is read-only now. Those that always are stay quiet.",
            "一小时前可写的文件系统现为只读。始终只读的不告警。",
        ],
        expr: r#"node_filesystem_readonly{fstype=~"ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|bcachefs"} * (1 + (node_filesystem_readonly offset 1h == bool 0))"#,
        levels: &[Level::critical(2.0, MINUTE).clear(1.0)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.mountpoint }} became read-only",
            "{{ $labels.instance }}:{{ $labels.mountpoint }} 变为只读",
        ],
        description: [
            "The kernel does so when {{ $labels.device }} fails or the file system is damaged.",
            "当 {{ $labels.device }} 故障或文件系统损坏时,内核会如此处理。",
        ],
        action: [
            "Look at `dmesg`; save what matters, check the disk, then `fsck` while it is not mounted.",
            "查看 `dmesg`;先备份重要数据并检查磁盘,卸载后执行 `fsck`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "disk_errors",
        alert: "DiskErrors",
        title: ["Disk errors", "磁盘错误"],
        about: [
            "A disk did not answer commands in time in the last hour.",
            "磁盘在过去一小时有命令超时。",
        ],
        expr: r#"muster_disk_errors_total{kind="timeout"} - muster_disk_errors_total{kind="timeout"} offset 1h"#,
        levels: &[Level::warning(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: disk {{ $labels.device }} had {{ printf \"%.0f\" $value }} errors ({{ $labels.kind }})",
            "{{ $labels.instance }}:磁盘 {{ $labels.device }} 出现 {{ printf \"%.0f\" $value }} 个错误({{ $labels.kind }})",
        ],
        action: [
            "Look at `dmesg` and `smartctl -a /dev/{{ $labels.device }}`; check cables, have a spare disk ready.",
            "查看 `dmesg` 和 `smartctl -a /dev/{{ $labels.device }}`;检查线缆,准备备用盘。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "disk_offline",
        alert: "DiskOffline",
        title: ["Disk offline", "磁盘离线"],
        about: [
            "The kernel no longer uses a disk: it is offline, blocked or being reset.",
            "内核不再使用该磁盘:离线、阻塞或正在重置。",
        ],
        expr: "muster_disk_online",
        below: true,
        levels: &[Level::critical(1.0, MINUTE)],
        summary: [
            "{{ $labels.instance }}: disk {{ $labels.device }} is offline",
            "{{ $labels.instance }}:磁盘 {{ $labels.device }} 离线",
        ],
        action: [
            "Look at `dmesg`, the cable and the controller; replace the disk.",
            "查看 `dmesg`、线缆和控制器;更换磁盘。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "disk_unhealthy",
        alert: "DiskUnhealthy",
        title: ["Disk says it fails", "磁盘自报故障"],
        about: ["A disk says of itself that it is not healthy.", "磁盘自报健康状态异常。"],
        expr: "muster_disk_smart_healthy",
        below: true,
        levels: &[Level::critical(1.0, MINUTE)],
        summary: [
            "{{ $labels.instance }}: disk {{ $labels.device }} ({{ $labels.model }}) says that it fails",
            "{{ $labels.instance }}:磁盘 {{ $labels.device }}({{ $labels.model }})自报故障",
        ],
        action: ["Save what is on it and replace it.", "备份数据并更换磁盘。"],
        ..BASE
    },
    BuiltIn {
        id: "disk_worn",
        alert: "DiskWorn",
        title: ["Disk worn", "磁盘磨损"],
        about: [
            "A disk has used most of the life that it was made for.",
            "磁盘的设计寿命已消耗大半。",
        ],
        expr: "100 * muster_disk_life_used_ratio",
        unit: "percent",
        levels: &[Level::warning(90.0, HOUR)],
        summary: [
            "{{ $labels.instance }}: disk {{ $labels.device }} has used {{ printf \"%.0f\" $value }} % of its life",
            "{{ $labels.instance }}:磁盘 {{ $labels.device }} 寿命已用 {{ printf \"%.0f\" $value }}%",
        ],
        action: ["Plan to replace it.", "安排更换。"],
        ..BASE
    },
    BuiltIn {
        id: "disk_slow",
        alert: "DiskSlow",
        title: ["Disk slow", "磁盘缓慢"],
        about: [
            "Reads take very long for a quarter of an hour. A disk that is merely busy, as in a backup, answers sooner.",
            "读取耗时过长持续一刻钟。仅仅繁忙(如备份)的磁盘响应更快。",
        ],
        expr: r#"rate(node_disk_read_time_seconds_total{device!~"(dm-|md|loop|ram|sr|zram|nbd|fd).*"}[5m]) / rate(node_disk_reads_completed_total[5m])"#,
        unit: "seconds",
        levels: &[Level::warning(0.3, 15 * MINUTE).clear(0.15)],
        summary: [
            "{{ $labels.instance }}: a read of disk {{ $labels.device }} takes {{ $value | humanizeDuration }}",
            "{{ $labels.instance }}:磁盘 {{ $labels.device }} 单次读取耗时 {{ $value | humanizeDuration }}",
        ],
        action: [
            "Look at the disk's health and errors; if it is shared storage, ask its keeper.",
            "检查磁盘健康与错误;若为共享存储,联系其管理员。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "raid_degraded",
        alert: "RaidDegraded",
        title: ["Array degraded", "阵列降级"],
        about: [
            "An array of the kernel lacks disks: the next loss may lose data.",
            "内核软阵列缺少磁盘:再坏一块可能丢失数据。",
        ],
        expr: r#"node_md_disks_required - ignoring (state) node_md_disks{state="active"}"#,
        levels: &[Level::critical(1.0, MINUTE)],
        summary: [
            "{{ $labels.instance }}: array {{ $labels.device }} lacks {{ printf \"%.0f\" $value }} disk(s)",
            "{{ $labels.instance }}:阵列 {{ $labels.device }} 缺少 {{ printf \"%.0f\" $value }} 块磁盘",
        ],
        action: [
            "Look at `mdadm --detail /dev/{{ $labels.device }}`, replace the failed disk and add the new one.",
            "查看 `mdadm --detail /dev/{{ $labels.device }}`,更换故障盘并加入新盘。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "pool_degraded",
        alert: "PoolDegraded",
        title: ["ZFS pool not online", "ZFS 存储池异常"],
        about: [
            "A pool is degraded, faulted, suspended or otherwise not online.",
            "存储池处于降级、故障、挂起等非在线状态。",
        ],
        expr: r#"node_zfs_zpool_state{state!="online"} == 1"#,
        levels: &[Level::critical(1.0, MINUTE)],
        summary: [
            "{{ $labels.instance }}: pool {{ $labels.zpool }} is {{ $labels.state }}",
            "{{ $labels.instance }}:存储池 {{ $labels.zpool }} 状态为 {{ $labels.state }}",
        ],
        action: [
            "Look at `zpool status {{ $labels.zpool }}` and replace the disk that it names.",
            "查看 `zpool status {{ $labels.zpool }}` 并更换其指出的磁盘。",
        ],
        ..BASE
    },
];
