//! Rules about Muster itself: its server and its agents.

use super::{BuiltIn, HOUR, Job, Level, MINUTE, PLAIN};

const BASE: BuiltIn = BuiltIn { job: Job::Muster, ..PLAIN };

pub(super) const RULES: &[BuiltIn] = &[
    BuiltIn {
        id: "store_failing",
        alert: "MusterStoreFailing",
        title: ["Muster cannot store", "Muster 无法存储"],
        about: ["The log of the store cannot be written.", "存储的日志无法写入。"],
        expr: "muster_tsdb_write_failing",
        levels: &[Level::critical(1.0, 0)],
        summary: ["Muster cannot write to its disk", "Muster 无法写入磁盘"],
        action: [
            "Look at the server's log and its disk; agents keep what they measure until it works again.",
            "查看服务器日志和磁盘;恢复前探针会保留数据。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "store_full",
        alert: "MusterDiskFull",
        title: ["Muster's disk is full", "Muster 磁盘已满"],
        about: ["Nothing is stored for lack of room.", "因空间不足而停止存储。"],
        expr: "muster_tsdb_disk_full",
        levels: &[Level::critical(1.0, 0)],
        summary: ["Muster stores nothing: its disk is full", "Muster 磁盘已满,停止存储"],
        action: [
            "Make room, or lower how long or how much is kept in the server's settings.",
            "腾出空间,或在服务器设置中缩短保留时间、减小保留容量。",
        ],
        nudged: true,
        ..BASE
    },
    BuiltIn {
        id: "store_filling",
        alert: "MusterDiskFilling",
        title: ["Muster's disk fills", "Muster 磁盘将满"],
        about: [
            "Little room is left where Muster keeps its data. It stores nothing more once it is full.",
            "Muster 数据所在磁盘空间不足。写满后将停止存储。",
        ],
        expr: "100 * muster_data_disk_available_bytes / muster_data_disk_size_bytes",
        unit: "percent",
        below: true,
        levels: &[
            Level::critical(3.0, MINUTE).clear(5.0),
            Level::warning(10.0, 5 * MINUTE).clear(12.0),
        ],
        summary: [
            "Muster's disk has {{ printf \"%.1f\" $value }} % left",
            "Muster 磁盘剩余 {{ printf \"%.1f\" $value }} %",
        ],
        action: [
            "Make room, or lower how long or how much is kept in the server's settings.",
            "腾出空间,或在服务器设置中缩短保留时间、减小保留容量。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "store_damaged",
        alert: "MusterDataDamaged",
        title: ["Damaged data", "数据损坏"],
        about: [
            "Files of the store were found damaged in the last hour and set aside.",
            "过去一小时发现存储文件损坏并已隔离。",
        ],
        expr: "muster_tsdb_quarantined_total - muster_tsdb_quarantined_total offset 1h",
        levels: &[Level::warning(1.0, 0)],
        summary: [
            "{{ printf \"%.0f\" $value }} damaged file(s) of Muster's store were set aside",
            "Muster 存储有 {{ printf \"%.0f\" $value }} 个损坏文件被隔离",
        ],
        action: [
            "Check the server's disk and memory; restore the parts from a backup if they matter.",
            "检查服务器磁盘和内存;如有需要从备份恢复。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "notifications_failing",
        alert: "MusterNotificationsFail",
        title: ["Messages do not go out", "消息发送失败"],
        about: ["A channel takes no messages.", "渠道不接收消息。"],
        expr: "muster_notifications_channel_failing",
        levels: &[Level::critical(1.0, 5 * MINUTE), Level::warning(1.0, MINUTE)],
        summary: [
            "The channel {{ $labels.channel }} takes no messages",
            "渠道 {{ $labels.channel }} 不接收消息",
        ],
        action: [
            "Look at its last answer on the page of channels, and send a test; messages wait until it works.",
            "在渠道页查看其最近的应答并发送测试;消息会等待直至恢复。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "notifications_given_up",
        alert: "MusterMessageGivenUp",
        title: ["Message given up", "消息被放弃"],
        about: [
            "A channel refused a message for good, or did not take it for three days, within the last hour.",
            "过去一小时内,渠道拒绝了消息,或三天未接收而被放弃。",
        ],
        expr: "time() - muster_notifications_last_given_up_timestamp_seconds",
        unit: "seconds",
        below: true,
        levels: &[Level::warning(3_600.0, 0)],
        summary: [
            "A message to the channel {{ $labels.channel }} was given up",
            "发往渠道 {{ $labels.channel }} 的消息被放弃",
        ],
        action: [
            "The page of sent messages says which one and why; mend the channel and tell those who missed it.",
            "已发消息页说明了是哪一条及原因;请修复渠道并告知相关人员。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "rules_failing",
        alert: "MusterRulesFail",
        title: ["Rules fail", "规则求值失败"],
        about: [
            "Rules could not be evaluated in the last ten minutes.",
            "过去十分钟有规则无法求值。",
        ],
        expr: "sum by (instance) (muster_rule_evaluation_failures_total) - sum by (instance) (muster_rule_evaluation_failures_total offset 10m)",
        levels: &[Level::warning(1.0, MINUTE)],
        summary: [
            "{{ printf \"%.0f\" $value }} evaluations of rules failed in ten minutes",
            "十分钟内规则求值失败 {{ printf \"%.0f\" $value }} 次",
        ],
        action: [
            "The page of rules names them and says why; correct their expressions.",
            "规则页列出了它们及原因;请修正表达式。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "rules_late",
        alert: "MusterRulesLate",
        title: ["Rules are late", "规则求值延误"],
        about: [
            "Turns of rules were left out because the server had too much to do.",
            "服务器负载过高,遗漏了规则求值。",
        ],
        expr: "sum by (instance) (muster_rule_group_iterations_missed_total) - sum by (instance) (muster_rule_group_iterations_missed_total offset 10m)",
        levels: &[Level::warning(20.0, 5 * MINUTE).clear(1.0)],
        summary: [
            "{{ printf \"%.0f\" $value }} turns of rules were missed in ten minutes",
            "十分钟内遗漏规则求值 {{ printf \"%.0f\" $value }} 轮",
        ],
        action: [
            "Give the server more processors, or make dear rules rarer or cheaper.",
            "为服务器增加处理器,或降低高开销规则的频率与成本。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "series_refused",
        alert: "MusterSeriesRefused",
        title: ["Series refused", "序列被拒绝"],
        about: [
            "The server refused series in the last ten minutes: a limit is reached, or labels are bad.",
            "过去十分钟服务器拒绝了序列:达到上限或标签不合法。",
        ],
        expr: "muster_ingest_refused_series_total - muster_ingest_refused_series_total offset 10m",
        levels: &[Level::warning(1.0, 5 * MINUTE)],
        summary: [
            "Muster refused {{ printf \"%.0f\" $value }} series in ten minutes",
            "Muster 十分钟内拒绝了 {{ printf \"%.0f\" $value }} 条序列",
        ],
        action: [
            "The server's log names them; look for labels that never end, or raise the limit.",
            "服务器日志列出了它们;检查取值无限增长的标签,或调高上限。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "server_defect",
        alert: "MusterDefect",
        title: ["Defect in Muster", "Muster 缺陷"],
        about: [
            "A part of the server failed in a way it should not, and was contained.",
            "服务器某部分发生异常,已被隔离。",
        ],
        expr: "muster_panics_total - muster_panics_total offset 1h",
        levels: &[Level::warning(1.0, 0)],
        summary: ["A part of Muster failed and was contained", "Muster 某部分异常,已被隔离"],
        action: ["Report it with the server's log, please.", "请附上服务器日志报告此问题。"],
        ..BASE
    },
    BuiltIn {
        id: "server_certificate",
        alert: "MusterCertificateExpires",
        title: ["Muster's certificate expires", "Muster 证书将过期"],
        about: ["The server's own certificate expires soon.", "服务器自身的证书即将过期。"],
        expr: "muster_tls_certificate_not_after_seconds - time()",
        unit: "seconds",
        below: true,
        levels: &[Level::critical(259_200.0, 10 * MINUTE), Level::warning(1_209_600.0, HOUR)],
        summary: [
            "Muster's certificate expires in {{ $value | humanizeDuration }}",
            "Muster 的证书将在 {{ $value | humanizeDuration }} 后过期",
        ],
        action: [
            "Renew it; the server reads a new file by itself.",
            "续期证书;服务器会自动读取新文件。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "agent_outdated",
        alert: "AgentOutdated",
        title: ["Agent outdated", "探针版本过旧"],
        about: [
            "An agent is older than the server for a day. It is only noted, not sent.",
            "探针版本低于服务器已有一天。仅记录,不发送。",
        ],
        expr: "muster_agent_outdated",
        levels: &[Level::info(1.0, 24 * HOUR)],
        summary: [
            "{{ $labels.instance }}: the agent is older than the server",
            "{{ $labels.instance }}:探针版本低于服务器",
        ],
        action: ["Update it, or let agents update themselves.", "升级探针,或启用自动升级。"],
        ..BASE
    },
    BuiltIn {
        id: "agent_slowed",
        alert: "AgentSlowed",
        title: ["Agent measures less", "探针降低采集频率"],
        about: [
            "An agent measures more rarely than it should, to stay within the processor time it may take, for half an hour.",
            "探针为不超出 CPU 限额而降低采集频率,持续半小时。",
        ],
        expr: "muster_agent_slowdown",
        levels: &[Level::info(1.0, 30 * MINUTE)],
        summary: [
            "{{ $labels.instance }}: the agent measures more rarely than it should",
            "{{ $labels.instance }}:探针采集频率低于设定",
        ],
        action: [
            "See what keeps the host busy; switch dear collectors off, or allow the agent more.",
            "检查主机负载;关闭高开销采集器,或放宽探针限额。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "agent_lagging",
        alert: "AgentLagging",
        title: ["Agent lags behind", "探针数据滞后"],
        about: [
            "An agent keeps data on its disk that it cannot send in time, for a quarter of an hour.",
            "探针来不及发送而将数据积压在磁盘上,持续一刻钟。",
        ],
        expr: "muster_agent_spool_bytes",
        unit: "bytes",
        levels: &[Level::warning(1_048_576.0, 15 * MINUTE).clear(65_536.0)],
        summary: [
            "{{ $labels.instance }}: {{ $value | humanize1024 }}B wait to be sent",
            "{{ $labels.instance }}:积压 {{ $value | humanize1024 }}B 待发送",
        ],
        action: [
            "See whether its link to the server is slow, or the server has too much to do.",
            "检查其到服务器的链路是否缓慢,或服务器是否过载。",
        ],
        ..BASE
    },
    BuiltIn {
        id: "agent_dropping",
        alert: "AgentDropping",
        title: ["Agent loses data", "探针丢弃数据"],
        about: [
            "An agent threw samples away in the last ten minutes, because its queue or disk was full.",
            "过去十分钟探针因队列或磁盘已满而丢弃样本。",
        ],
        expr: "muster_agent_dropped_samples_total - muster_agent_dropped_samples_total offset 10m",
        levels: &[Level::warning(1.0, MINUTE)],
        summary: [
            "{{ $labels.instance }}: the agent dropped {{ $value | humanize }} samples",
            "{{ $labels.instance }}:探针丢弃了 {{ $value | humanize }} 个样本",
        ],
        action: [
            "Give its spool more room in its settings, and mend what keeps it from sending.",
            "在设置中增大缓存空间,并排除发送受阻的原因。",
        ],
        ..BASE
    },
];
