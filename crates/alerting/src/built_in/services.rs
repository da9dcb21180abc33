//! Rules about units and processes.

use super::{BuiltIn, Job, Level, MINUTE, PLAIN, SECOND};

const BASE: BuiltIn = BuiltIn { job: Job::Services, ..PLAIN };

pub(super) const RULES: &[BuiltIn] = &[
    BuiltIn {
        id: "service_failed",
        alert: "ServiceFailed",
        title: ["Service failed", "服务失败"],
        about: [
            "A unit of systemd is in the state failed. Tasks that run once have a rule of their own.",
            "systemd 单元处于 failed 状态。一次性任务另有规则。",
        ],
        expr: r#"node_systemd_unit_state{state="failed",type!="oneshot",name!~"(user@|session-).*"}"#,
        levels: &[Level::critical(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.name }} failed",
            "{{ $labels.instance }}:{{ $labels.name }} 失败",
        ],
        action: [
            "See why: `systemctl status {{ $labels.name }}` and `journalctl -u {{ $labels.name }} -e`; then start it again.",
            "查看原因:`systemctl status {{ $labels.name }}` 与 `journalctl -u {{ $labels.name }} -e`;然后重新启动。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "task_failed",
        alert: "TaskFailed",
        title: ["Task failed", "任务失败"],
        about: [
            "A unit that runs once, often by a timer, ended with a failure.",
            "一次性运行(通常由定时器触发)的单元以失败告终。",
        ],
        expr: r#"node_systemd_unit_state{state="failed",type="oneshot"}"#,
        levels: &[Level::warning(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: the task {{ $labels.name }} failed",
            "{{ $labels.instance }}:任务 {{ $labels.name }} 失败",
        ],
        action: [
            "See why: `journalctl -u {{ $labels.name }} -e`; run it again with `systemctl start {{ $labels.name }}`.",
            "查看原因:`journalctl -u {{ $labels.name }} -e`;用 `systemctl start {{ $labels.name }}` 重新运行。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "service_flapping",
        alert: "ServiceFlapping",
        title: ["Service restarts again and again", "服务反复重启"],
        about: [
            "systemd restarted a service by itself several times in ten minutes. Restarts by people and deployments do not count.",
            "十分钟内 systemd 多次自动重启服务。人工和部署的重启不计。",
        ],
        expr: "node_systemd_service_restart_total - node_systemd_service_restart_total offset 10m",
        levels: &[Level::warning(3.0, 0).clear(1.0)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.name }} was restarted {{ printf \"%.0f\" $value }} times in ten minutes",
            "{{ $labels.instance }}:{{ $labels.name }} 十分钟内被重启 {{ printf \"%.0f\" $value }} 次",
        ],
        action: [
            "See what ends it: `journalctl -u {{ $labels.name }} -e`; undo the last change of it.",
            "查看其退出原因:`journalctl -u {{ $labels.name }} -e`;撤销最近的变更。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "service_hung",
        alert: "ServiceHung",
        title: ["Service hangs while it starts or stops", "服务启停卡住"],
        about: [
            "A unit has been starting, stopping or reloading for a quarter of an hour. Tasks that run once may take long.",
            "单元处于启动、停止或重载中已达一刻钟。一次性任务可长时间运行,不计。",
        ],
        expr: r#"node_systemd_unit_state{state=~"activating|deactivating|reloading",type!="oneshot"}"#,
        levels: &[Level::warning(1.0, 15 * MINUTE)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.name }} stays {{ $labels.state }}",
            "{{ $labels.instance }}:{{ $labels.name }} 一直处于 {{ $labels.state }}",
        ],
        action: [
            "See what it waits for: `systemctl status {{ $labels.name }}`, `systemctl list-jobs`.",
            "查看其等待对象:`systemctl status {{ $labels.name }}`、`systemctl list-jobs`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "service_watchdog",
        alert: "ServiceWatchdog",
        title: ["Service killed by its watchdog", "服务被看门狗终止"],
        about: [
            "A service stopped giving signs of life, and systemd killed it; told for half an hour.",
            "服务停止心跳而被 systemd 终止;提示半小时。",
        ],
        expr: r#"(muster_systemd_unit_result{result="watchdog"} unless muster_systemd_unit_result{result="watchdog"} offset 30m) and on (instance) (up offset 30m == 1)"#,
        levels: &[Level::warning(1.0, 0)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.name }} hung and was killed by its watchdog",
            "{{ $labels.instance }}:{{ $labels.name }} 挂起,被看门狗终止",
        ],
        action: [
            "See what it did last: `journalctl -u {{ $labels.name }} -e`; look for a core file with `coredumpctl`.",
            "查看其最后行为:`journalctl -u {{ $labels.name }} -e`;用 `coredumpctl` 查找核心转储。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "process_gone",
        alert: "ProcessGone",
        title: ["Process gone", "进程消失"],
        about: [
            "No process runs any more that matches a name given in the agent's settings.",
            "探针设置中指定名称的进程不再运行。",
        ],
        expr: "muster_named_processes",
        below: true,
        levels: &[Level::critical(1.0, 30 * SECOND)],
        summary: [
            "{{ $labels.instance }}: no process {{ $labels.name }} runs",
            "{{ $labels.instance }}:进程 {{ $labels.name }} 未在运行",
        ],
        action: ["Start it, and see in its log why it ended.", "启动它,并在其日志中查看退出原因。"],
        nudged: true,
        ..BASE
    },
];
