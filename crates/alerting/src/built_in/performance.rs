//! Rules about hosts: whether they are there, processors, memory, temperature, clocks, graphics processors.

use super::{BuiltIn, DAY, HOUR, Job, Level, MINUTE, PLAIN, SECOND, Unusual};

const BASE: BuiltIn = BuiltIn { job: Job::Performance, ..PLAIN };

pub(super) const RULES: &[BuiltIn] = &[
    BuiltIn {
        id: "host_silent",
        alert: "HostSilent",
        title: ["Host silent", "主机失联"],
        about: [
            "Nothing is heard of a host any more. A clean shutdown, an update and a restart of the server have their time of grace.",
            "收不到主机的任何数据。正常关机、升级和服务器重启均有宽限时间。",
        ],
        expr: "muster_host_silent_seconds",
        unit: "seconds",
        levels: &[Level::critical(9.0, 0)],
        summary: ["{{ $labels.instance }} is silent", "{{ $labels.instance }} 失联"],
        description: [
            "Nothing was heard of {{ $labels.instance }} for {{ $value | humanizeDuration }}.",
            "已有 {{ $value | humanizeDuration }} 未收到 {{ $labels.instance }} 的数据。",
        ],
        action: [
            "Look at its console, its power and its network; if it runs, look at `systemctl status muster-agent` there.",
            "检查控制台、电源和网络;若主机在运行,在其上查看 `systemctl status muster-agent`。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "reboot",
        alert: "HostRebooted",
        title: ["Host rebooted", "主机重启"],
        about: [
            "A host started less than ten minutes ago. It is only noted, not sent.",
            "主机在十分钟内启动过。仅记录,不发送。",
        ],
        expr: "time() - node_boot_time_seconds",
        unit: "seconds",
        below: true,
        levels: &[Level::info(600.0, 0)],
        summary: [
            "{{ $labels.instance }} rebooted {{ $value | humanizeDuration }} ago",
            "{{ $labels.instance }} 在 {{ $value | humanizeDuration }} 前重启",
        ],
        action: [
            "If nobody asked for it, look at `last -x` and at the end of the last boot's log: `journalctl -b -1 -e`.",
            "若非人为重启,查看 `last -x` 和上次启动的日志末尾:`journalctl -b -1 -e`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "cpu_saturated",
        alert: "CpuSaturated",
        title: ["Processors saturated for long", "处理器长时间饱和"],
        about: [
            "For an hour, something waited for a processor most of the time (pressure stall information). Builds and backups end sooner. Where that is unusual for the hour, half an hour is enough.",
            "一小时内大部分时间有任务在等待处理器(PSI)。编译和备份通常更短。若在该时段属异常,半小时即告警。",
        ],
        expr: "100 * rate(node_pressure_cpu_waiting_seconds_total[5m])",
        unit: "percent",
        levels: &[Level::warning(80.0, HOUR).clear(60.0)],
        summary: [
            "{{ $labels.instance }}: tasks wait for a processor {{ printf \"%.0f\" $value }} % of the time",
            "{{ $labels.instance }}:{{ printf \"%.0f\" $value }}% 的时间有任务等待处理器",
        ],
        action: [
            "See which programs use the processors on the host's page; move work, limit it, or give it more processors.",
            "在主机页查看占用处理器的程序;迁移或限制负载,或增加处理器。",
        ],
        unusual: Some(Unusual { metric: "cpu_pressure_percent", for_ms: 30 * MINUTE }),
        ..BASE
    },
    BuiltIn {
        id: "load_high",
        alert: "LoadHigh",
        title: ["Load high for long", "负载长时间偏高"],
        about: [
            "The load of 15 minutes is three times the number of processors, for an hour; for a quarter where that is unusual for the hour.",
            "15 分钟负载达到处理器数的三倍,持续一小时;若在该时段属异常,则一刻钟。",
        ],
        expr: "node_load15 / on (instance) group_left () count by (instance) (node_cpu_seconds_total{mode=\"idle\"})",
        levels: &[Level::warning(3.0, HOUR).clear(2.0)],
        summary: [
            "{{ $labels.instance }}: the load is {{ printf \"%.1f\" $value }} for each processor",
            "{{ $labels.instance }}:每个处理器的负载为 {{ printf \"%.1f\" $value }}",
        ],
        action: [
            "If processors are idle, tasks wait for disks or network file systems (state D in `ps`); else see what computes.",
            "若处理器空闲,说明任务在等待磁盘或网络文件系统(`ps` 中状态 D);否则查看何者在计算。",
        ],
        unusual: Some(Unusual { metric: "load5", for_ms: 15 * MINUTE }),
        ..BASE
    },
    BuiltIn {
        id: "memory_pressure",
        alert: "MemoryPressure",
        title: ["Memory pressure", "内存压力"],
        about: [
            "Programs stand still waiting for memory, and less than 15 % of it is available.",
            "程序因等待内存而停顿,且可用内存不足 15%。",
        ],
        expr: "100 * rate(node_pressure_memory_waiting_seconds_total[2m]) and on (instance) (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.15)",
        unit: "percent",
        levels: &[
            Level::critical(40.0, 2 * MINUTE).clear(20.0),
            Level::warning(10.0, 5 * MINUTE).clear(5.0),
        ],
        summary: [
            "{{ $labels.instance }}: programs wait for memory {{ printf \"%.0f\" $value }} % of the time",
            "{{ $labels.instance }}:{{ printf \"%.0f\" $value }}% 的时间有程序等待内存",
        ],
        action: [
            "Find the program that grew on the host's page; restart or limit it before the kernel kills one.",
            "在主机页找出内存增长的程序;在内核杀进程之前重启或限制它。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "memory_low",
        alert: "MemoryLow",
        title: ["Memory low", "内存不足"],
        about: [
            "Little memory is available, caches counted as available. Told sooner where that is unusual for the hour.",
            "可用内存很少(缓存计为可用)。若在该时段属异常,告警更早。",
        ],
        expr: "100 * node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
        unit: "percent",
        below: true,
        levels: &[
            Level::critical(2.0, 5 * MINUTE).clear(4.0),
            Level::warning(5.0, 15 * MINUTE).clear(8.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ printf \"%.1f\" $value }} % of memory available",
            "{{ $labels.instance }}:可用内存仅 {{ printf \"%.1f\" $value }}%",
        ],
        action: [
            "Find what grew on the host's page; restart or limit it, or add memory.",
            "在主机页找出增长者;重启或限制它,或增加内存。",
        ],
        unusual: Some(Unusual { metric: "memory_percent", for_ms: 5 * MINUTE }),
        ..BASE
    },
    BuiltIn {
        id: "swap_storm",
        alert: "SwapStorm",
        title: ["Swap storm", "频繁换页"],
        about: [
            "Memory is read back from swap without end. Writing idle pages out once is no fault. Told sooner where memory is unusually short for the hour.",
            "不断从交换区读回内存。一次性换出闲置页不算故障。若内存在该时段异常紧张,告警更早。",
        ],
        expr: "rate(node_vmstat_pswpin[5m])",
        levels: &[
            Level::critical(5000.0, 5 * MINUTE).clear(1000.0),
            Level::warning(500.0, 10 * MINUTE).clear(200.0),
        ],
        summary: [
            "{{ $labels.instance }} reads {{ printf \"%.0f\" $value }} pages a second back from swap",
            "{{ $labels.instance }} 每秒从交换区读回 {{ printf \"%.0f\" $value }} 页",
        ],
        action: [
            "More is in use than fits: find what grew, stop or limit it, or add memory.",
            "内存需求超出容量:找出增长者并停止或限制,或增加内存。",
        ],
        unusual: Some(Unusual { metric: "memory_percent", for_ms: 3 * MINUTE }),
        ..BASE
    },
    BuiltIn {
        id: "oom_kill",
        alert: "OomKill",
        title: ["Killed for want of memory", "因内存不足被杀"],
        about: [
            "The kernel killed a process because no memory was left; told for ten minutes.",
            "内核因内存耗尽杀死了进程;提示十分钟。",
        ],
        expr: "muster_oom_kills_total - (muster_oom_kills_total offset 10m or 0 * muster_oom_kills_total)",
        levels: &[Level::warning(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: the kernel killed {{ $labels.program }} for want of memory",
            "{{ $labels.instance }}:内核因内存不足杀死了 {{ $labels.program }}",
        ],
        description: [
            "{{ printf \"%.0f\" $value }} in ten minutes{{ if $labels.unit }}, in {{ $labels.unit }}{{ end }}.",
            "十分钟内 {{ printf \"%.0f\" $value }} 次{{ if $labels.unit }},所属单元 {{ $labels.unit }}{{ end }}。",
        ],
        action: [
            "See that it runs again; look at what used the memory on the host's page at that time, and limit it or add memory.",
            "确认其已恢复;在主机页查看当时占用内存的程序,加以限制或增加内存。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "memory_errors",
        alert: "MemoryErrors",
        title: ["Memory errors", "内存硬件错误"],
        about: ["Memory had errors that could not be corrected.", "内存出现无法纠正的错误。"],
        expr: "node_edac_uncorrectable_errors_total - node_edac_uncorrectable_errors_total offset 1h",
        levels: &[Level::critical(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: memory controller {{ $labels.controller }} could not correct errors",
            "{{ $labels.instance }}:内存控制器 {{ $labels.controller }} 出现无法纠正的错误",
        ],
        action: ["Move the work away and replace the memory module.", "迁走负载并更换内存条。"],
        ..BASE
    },
    BuiltIn {
        id: "temperature",
        alert: "Temperature",
        title: ["Left to a sensor's limit", "距临界温度的余量"],
        about: [
            "A sensor is within 5 °C of the limit that its chip names as critical. Told sooner where the host is unusually hot for the hour.",
            "传感器距芯片标明的临界温度不足 5 °C。若温度在该时段属异常,告警更早。",
        ],
        expr: "(node_hwmon_temp_crit_celsius > 40) - node_hwmon_temp_celsius",
        unit: "celsius",
        below: true,
        levels: &[
            Level::critical(1.0, 5 * MINUTE).clear(4.0),
            Level::warning(5.0, 15 * MINUTE).clear(8.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ $labels.chip }} {{ $labels.sensor }} is {{ printf \"%.0f\" $value }} °C below critical",
            "{{ $labels.instance }}:{{ $labels.chip }} {{ $labels.sensor }} 距临界温度仅 {{ printf \"%.0f\" $value }} °C",
        ],
        action: ["Look at fans, dust and the room's cooling.", "检查风扇、积灰和机房制冷。"],
        unusual: Some(Unusual { metric: "temperature_celsius", for_ms: 3 * MINUTE }),
        ..BASE
    },
    BuiltIn {
        id: "clock_unsynchronised",
        alert: "ClockUnsynchronised",
        title: ["Clock not synchronised", "时钟未同步"],
        about: [
            "For half an hour no time server keeps the clock, and its possible error has grown to 16 s.",
            "半小时内时钟未与任何时间服务器同步,可能误差已达 16 秒。",
        ],
        expr: "node_timex_maxerror_seconds and on (instance) (node_timex_sync_status == 0)",
        unit: "seconds",
        levels: &[Level::warning(16.0, 30 * MINUTE)],
        summary: [
            "{{ $labels.instance }}: the clock is not synchronised",
            "{{ $labels.instance }}:时钟未同步",
        ],
        action: [
            "Look at `timedatectl` and at chrony or systemd-timesyncd: can they reach their servers?",
            "查看 `timedatectl` 以及 chrony 或 systemd-timesyncd 能否访问时间服务器。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "clock_off",
        alert: "ClockOff",
        title: ["Clock off", "时钟偏差"],
        about: ["The clock differs from the server's.", "主机时钟与服务器不一致。"],
        expr: "abs(muster_agent_clock_offset_seconds)",
        unit: "seconds",
        levels: &[
            Level::critical(60.0, 5 * MINUTE).clear(30.0),
            Level::warning(2.0, 10 * MINUTE).clear(1.0),
        ],
        summary: [
            "{{ $labels.instance }}: the clock is off by {{ $value | humanizeDuration }}",
            "{{ $labels.instance }}:时钟偏差 {{ $value | humanizeDuration }}",
        ],
        action: [
            "Look at `timedatectl` there; if many hosts are off, look at the server's clock.",
            "在该主机查看 `timedatectl`;若多台主机偏差,检查服务器时钟。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "gpu_hot",
        alert: "GpuHot",
        title: ["Graphics processor hot", "GPU 过热"],
        about: [
            "A graphics processor is near the temperature at which it slows down.",
            "GPU 接近降频温度。",
        ],
        expr: "muster_gpu_temperature_celsius",
        unit: "celsius",
        levels: &[
            Level::critical(95.0, 2 * MINUTE).clear(90.0),
            Level::warning(88.0, 10 * MINUTE).clear(84.0),
        ],
        summary: [
            "{{ $labels.instance }}: GPU {{ $labels.gpu }} has {{ printf \"%.0f\" $value }} °C",
            "{{ $labels.instance }}:GPU {{ $labels.gpu }} 温度 {{ printf \"%.0f\" $value }} °C",
        ],
        action: ["Look at its fans and the air flow.", "检查风扇和风道。"],
        ..BASE
    },
    BuiltIn {
        id: "gpu_errors",
        alert: "GpuErrors",
        title: ["Graphics memory errors", "GPU 显存错误"],
        about: [
            "A graphics processor's memory had errors in the last hour that could not be corrected.",
            "GPU 显存在过去一小时出现无法纠正的错误。",
        ],
        expr: "muster_gpu_ecc_errors_total{kind=\"uncorrected\"} - muster_gpu_ecc_errors_total{kind=\"uncorrected\"} offset 1h",
        levels: &[Level::warning(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: GPU {{ $labels.gpu }} had {{ printf \"%.0f\" $value }} uncorrected memory errors",
            "{{ $labels.instance }}:GPU {{ $labels.gpu }} 出现 {{ printf \"%.0f\" $value }} 个无法纠正的显存错误",
        ],
        action: [
            "Results computed on it since may be wrong; restart the work, and have the card replaced if it comes again.",
            "其间的计算结果可能有误;重新运行任务,若再次出现则更换显卡。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "gpu_lost",
        alert: "GpuLost",
        title: ["Graphics processor gone", "GPU 掉卡"],
        about: [
            "A graphics processor that was there is no longer seen, while its host is up.",
            "主机在线,但原有的 GPU 不再可见。",
        ],
        expr: "((muster_gpu_info offset 10m or muster_gpu_info offset 6h) unless on (instance, uuid) muster_gpu_info) and on (instance) up == 1",
        levels: &[Level::critical(1.0, 2 * MINUTE)],
        summary: [
            "{{ $labels.instance }}: GPU {{ $labels.gpu }} ({{ $labels.uuid }}) is gone",
            "{{ $labels.instance }}:GPU {{ $labels.gpu }}({{ $labels.uuid }})消失",
        ],
        action: [
            "Look at `dmesg` for Xid messages; a reboot or a reset of the card may bring it back.",
            "在 `dmesg` 中查找 Xid 信息;重启主机或重置显卡或可恢复。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "file_handles",
        alert: "FileHandles",
        title: ["File handles near the limit", "文件句柄接近上限"],
        about: [
            "Most of the open files that the kernel allows are in use.",
            "内核允许的打开文件数大部分已被占用。",
        ],
        expr: "100 * node_filefd_allocated / node_filefd_maximum",
        unit: "percent",
        levels: &[
            Level::critical(95.0, MINUTE).clear(90.0),
            Level::warning(80.0, 10 * MINUTE).clear(70.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ printf \"%.0f\" $value }} % of file handles in use",
            "{{ $labels.instance }}:文件句柄已用 {{ printf \"%.0f\" $value }}%",
        ],
        action: [
            "Find who leaks them (`lsof`), restart it, or raise `fs.file-max`.",
            "用 `lsof` 找出泄漏者并重启,或调高 `fs.file-max`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "pids",
        alert: "ProcessIds",
        title: ["Process numbers near the limit", "进程号接近上限"],
        about: [
            "Most of the numbers for processes and threads are in use; without one, nothing can be started.",
            "进程和线程号大部分已用;耗尽后无法启动任何程序。",
        ],
        expr: "100 * node_processes_threads / node_processes_max_processes",
        unit: "percent",
        levels: &[
            Level::critical(95.0, 30 * SECOND).clear(90.0),
            Level::warning(80.0, 10 * MINUTE).clear(70.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ printf \"%.0f\" $value }} % of process numbers in use",
            "{{ $labels.instance }}:进程号已用 {{ printf \"%.0f\" $value }}%",
        ],
        action: [
            "Find who starts so many threads (`ps -eLf`), restart it, or raise `kernel.pid_max`.",
            "用 `ps -eLf` 找出大量创建线程者并重启,或调高 `kernel.pid_max`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "reboot_required",
        alert: "RebootRequired",
        title: ["Reboot required", "需要重启"],
        about: [
            "Updates wait for a reboot for a week. It is only noted, not sent.",
            "更新等待重启已有一周。仅记录,不发送。",
        ],
        expr: "node_reboot_required",
        levels: &[Level::info(1.0, 7 * DAY)],
        summary: [
            "{{ $labels.instance }} needs a reboot to finish updates",
            "{{ $labels.instance }} 需要重启以完成更新",
        ],
        action: ["Reboot it at a quiet time.", "择机重启。"],
        ..BASE
    },
];
