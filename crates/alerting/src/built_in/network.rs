//! Rules about links, endpoints and certificates.

use super::{BuiltIn, HOUR, Job, Level, MINUTE, PLAIN};

const BASE: BuiltIn = BuiltIn { job: Job::Network, ..PLAIN };

pub(super) const RULES: &[BuiltIn] = &[
    BuiltIn {
        id: "check_failed",
        alert: "CheckFailed",
        title: ["Check failed", "检查失败"],
        about: ["A check of an endpoint has failed for a minute.", "对端点的检查已失败一分钟。"],
        expr: "probe_success",
        below: true,
        levels: &[Level::critical(1.0, MINUTE)],
        summary: [
            "The check of {{ $labels.instance }} fails",
            "对 {{ $labels.instance }} 的检查失败",
        ],
        action: [
            "Try it by hand from the same place; see whether the service runs and the way to it is open.",
            "在同一位置手动尝试;确认服务在运行且网络可达。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "link_lossy",
        alert: "LinkLossy",
        title: ["Lossy link", "链路丢包"],
        about: [
            "Part of the checks of an endpoint fail, for ten minutes.",
            "对端点的检查部分失败,持续十分钟。",
        ],
        expr: "100 * (1 - avg_over_time(probe_success[10m]))",
        unit: "percent",
        levels: &[Level::warning(10.0, 10 * MINUTE).clear(3.0)],
        summary: [
            "{{ printf \"%.0f\" $value }} % of the checks of {{ $labels.instance }} fail",
            "对 {{ $labels.instance }} 的检查有 {{ printf \"%.0f\" $value }}% 失败",
        ],
        action: [
            "Follow the way there with `mtr {{ $labels.instance }}`; look at errors of the links between.",
            "用 `mtr {{ $labels.instance }}` 逐跳排查;检查沿途链路的错误计数。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "link_slow",
        alert: "LinkSlow",
        title: ["Slow answers", "响应缓慢"],
        about: [
            "An endpoint takes seconds to answer, for ten minutes.",
            "端点响应需数秒,持续十分钟。",
        ],
        expr: "probe_duration_seconds",
        unit: "seconds",
        levels: &[Level::warning(3.0, 10 * MINUTE).clear(2.0)],
        summary: [
            "{{ $labels.instance }} takes {{ $value | humanizeDuration }} to answer",
            "{{ $labels.instance }} 响应耗时 {{ $value | humanizeDuration }}",
        ],
        action: [
            "See whether the service or the way to it is slow: compare with a check of its neighbour.",
            "与相邻端点对比,判断是服务慢还是链路慢。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "link_errors",
        alert: "LinkErrors",
        title: ["Link with errors", "链路错误"],
        about: [
            "More than one in a hundred packets arrives damaged, for half an hour.",
            "超过百分之一的数据包接收出错,持续半小时。",
        ],
        expr: r#"100 * rate(node_network_receive_errs_total{device!~"(lo|veth|docker|br-|cali|virbr|tap|tun|flannel|cni|wg).*"}[5m]) / rate(node_network_receive_packets_total[5m])"#,
        unit: "percent",
        levels: &[Level::warning(1.0, 30 * MINUTE).clear(0.5)],
        summary: [
            "{{ $labels.instance }}: {{ printf \"%.1f\" $value }} % of packets on {{ $labels.device }} arrive damaged",
            "{{ $labels.instance }}:{{ $labels.device }} 有 {{ printf \"%.1f\" $value }}% 的数据包接收出错",
        ],
        action: [
            "Replace the cable or the optic; look at the switch's counters of the port.",
            "更换网线或光模块;查看交换机端口计数。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "link_flapping",
        alert: "LinkFlapping",
        title: ["Link comes and goes", "链路反复通断"],
        about: [
            "The carrier of a link changed many times in ten minutes; one reboot of a switch stays quiet.",
            "链路载波十分钟内多次变化;交换机单次重启不告警。",
        ],
        expr: r#"node_network_carrier_changes_total{device!~"(lo|veth|docker|br-|cali|virbr|tap|tun|flannel|cni|wg).*"} - node_network_carrier_changes_total offset 10m"#,
        levels: &[Level::warning(6.0, 0).clear(1.0)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.device }} changed {{ printf \"%.0f\" $value }} times in ten minutes",
            "{{ $labels.instance }}:{{ $labels.device }} 十分钟内变化 {{ printf \"%.0f\" $value }} 次",
        ],
        action: ["Check the cable, the optic and the port.", "检查网线、光模块和端口。"],
        ..BASE
    },
    BuiltIn {
        id: "bond_degraded",
        alert: "BondDegraded",
        title: ["Bond lacks links", "聚合链路缺失"],
        about: [
            "Links of a bond carry nothing: the next loss may cut the host off.",
            "聚合中有链路不通:再断一条可能导致主机失联。",
        ],
        expr: "node_bonding_slaves - node_bonding_active",
        levels: &[Level::warning(1.0, 2 * MINUTE)],
        summary: [
            "{{ $labels.instance }}: {{ $labels.master }} lacks {{ printf \"%.0f\" $value }} link(s)",
            "{{ $labels.instance }}:{{ $labels.master }} 缺少 {{ printf \"%.0f\" $value }} 条链路",
        ],
        action: [
            "See which one: `cat /proc/net/bonding/{{ $labels.master }}`; check its cable.",
            "查看是哪一条:`cat /proc/net/bonding/{{ $labels.master }}`;检查其网线。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "conntrack",
        alert: "ConnectionTable",
        title: ["Connection table near its limit", "连接跟踪表接近上限"],
        about: [
            "The firewall's table of connections is nearly full; then new connections are dropped.",
            "防火墙连接跟踪表将满;满后新连接会被丢弃。",
        ],
        expr: "100 * node_nf_conntrack_entries / node_nf_conntrack_entries_limit",
        unit: "percent",
        levels: &[
            Level::critical(95.0, MINUTE).clear(90.0),
            Level::warning(80.0, 10 * MINUTE).clear(70.0),
        ],
        summary: [
            "{{ $labels.instance }}: {{ printf \"%.0f\" $value }} % of the connection table in use",
            "{{ $labels.instance }}:连接跟踪表已用 {{ printf \"%.0f\" $value }}%",
        ],
        action: [
            "See who opens so many connections (`conntrack -L`), or raise `net.netfilter.nf_conntrack_max`.",
            "用 `conntrack -L` 查看大量建连者,或调高 `net.netfilter.nf_conntrack_max`。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "certificate",
        alert: "CertificateExpires",
        title: ["Certificate expires", "证书将过期"],
        about: ["A certificate that a check saw expires soon.", "检查所见的证书即将过期。"],
        expr: "probe_ssl_earliest_cert_expiry - time()",
        unit: "seconds",
        below: true,
        levels: &[Level::critical(259_200.0, 10 * MINUTE), Level::warning(1_209_600.0, HOUR)],
        summary: [
            "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}",
            "{{ $labels.instance }} 的证书将在 {{ $value | humanizeDuration }} 后过期",
        ],
        action: [
            "Renew it, and see why that did not happen by itself.",
            "续期证书,并查明为何没有自动续期。",
        ],
        ..BASE
    },
];
