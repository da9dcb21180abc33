//! What messages say, in English and Chinese.

use muster_api::MessageLanguage::{self, Chinese, English};

/// The words of one language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words(pub(crate) MessageLanguage);

impl Words {
    /// One of two texts.
    fn pick(self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.0 {
            English => english,
            Chinese => chinese,
        }
    }

    /// How bad something is. A word that is not Muster's is given back as it is.
    pub(crate) fn severity(self, severity: &str) -> String {
        match severity {
            "critical" => self.pick("Critical", "严重").to_owned(),
            "warning" | "" => self.pick("Warning", "警告").to_owned(),
            "info" => self.pick("Info", "提示").to_owned(),
            other => other.to_owned(),
        }
    }

    pub(crate) fn resolved(self) -> &'static str {
        self.pick("Resolved", "已恢复")
    }

    pub(crate) fn still(self, severity: &str) -> String {
        match self.0 {
            English => format!("Still {}", self.severity(severity).to_lowercase()),
            Chinese => format!("仍未恢复·{}", self.severity(severity)),
        }
    }

    pub(crate) fn flapping(self) -> &'static str {
        self.pick("Flapping", "反复告警")
    }

    pub(crate) fn storm(self) -> &'static str {
        self.pick("Many alerts", "告警风暴")
    }

    pub(crate) fn escalated(self, severity: &str) -> String {
        match self.0 {
            English => format!("Unanswered, {}", self.severity(severity).to_lowercase()),
            Chinese => format!("无人处理·{}", self.severity(severity)),
        }
    }

    pub(crate) fn test(self) -> &'static str {
        self.pick("Test", "测试")
    }

    /// The annotation of this language is `NAME_zh` in Chinese.
    pub(crate) fn suffix(self) -> &'static str {
        self.pick("", "_zh")
    }

    /// `text`, said of a host.
    pub(crate) fn on(self, text: &str, instance: &str) -> String {
        match self.0 {
            English => format!("{text} on {instance}"),
            Chinese => format!("{instance}:{text}"),
        }
    }

    pub(crate) fn several(self, name: Option<&str>, alerts: usize, hosts: usize) -> String {
        let hosts = if hosts < 2 { String::new() } else { self.on_hosts(hosts) };
        match (self.0, name) {
            (English, Some(name)) => format!("{name}: {alerts} alerts{hosts}"),
            (English, None) => format!("{alerts} alerts{hosts}"),
            (Chinese, Some(name)) => format!("{name}:{hosts}共 {alerts} 条告警"),
            (Chinese, None) => format!("{hosts}共 {alerts} 条告警"),
        }
    }

    fn on_hosts(self, hosts: usize) -> String {
        match self.0 {
            English => format!(" on {hosts} hosts"),
            Chinese => format!("{hosts} 台主机"),
        }
    }

    pub(crate) fn counts(self, firing: usize, resolved: usize) -> String {
        match self.0 {
            English => format!("{firing} firing, {resolved} resolved"),
            Chinese => format!("{firing} 条告警中,{resolved} 条已恢复"),
        }
    }

    pub(crate) fn why(self, kind: muster_alerting::NotificationKind) -> Option<&'static str> {
        use muster_alerting::NotificationKind as Kind;
        match kind {
            Kind::Change => None,
            Kind::Repeat => Some(self.pick(
                "Nothing has changed since the last message; it is told again so that it is not forgotten.",
                "自上次消息以来没有变化;再次提醒,以免遗忘。",
            )),
            Kind::Flapping => Some(self.pick(
                "This alert fires and resolves again and again. It is told once, until it comes to rest.",
                "此告警反复触发与恢复,仅通知一次,直到它稳定下来。",
            )),
            Kind::Storm => Some(self.pick(
                "Many alerts came at once and are summed up in this message.",
                "短时间内出现大量告警,已汇总在这一条消息中。",
            )),
            Kind::Escalation => Some(self.pick(
                "Nobody acknowledged this in time; that is why you hear of it.",
                "无人及时确认此告警,因此升级通知您。",
            )),
            Kind::Test => Some(self.pick("This is a test.", "这是一条测试消息。")),
        }
    }

    pub(crate) fn action(self) -> &'static str {
        self.pick("What to do", "建议操作")
    }

    pub(crate) fn value(self) -> &'static str {
        self.pick("Value", "当前值")
    }

    /// A value and the threshold it is compared with.
    pub(crate) fn compared(self, value: &str, threshold: &str) -> String {
        match self.0 {
            English => format!("{value} (threshold {threshold})"),
            Chinese => format!("{value}(阈值 {threshold})"),
        }
    }

    pub(crate) fn host(self) -> &'static str {
        self.pick("Host", "主机")
    }

    pub(crate) fn since(self) -> &'static str {
        self.pick("Since", "开始时间")
    }

    pub(crate) fn ended(self) -> &'static str {
        self.pick("Resolved", "恢复时间")
    }

    pub(crate) fn details(self) -> &'static str {
        self.pick("Details", "详情")
    }

    pub(crate) fn more(self, count: usize) -> String {
        match self.0 {
            English => format!("and {count} more"),
            Chinese => format!("另有 {count} 条"),
        }
    }

    pub(crate) fn swallowed(self, count: usize) -> String {
        match (self.0, count) {
            (English, 1) => "One other alert has the same cause and is not told by itself.".into(),
            (English, _) => {
                format!("{count} other alerts have the same cause and are not told by themselves.")
            }
            (Chinese, _) => format!("另有 {count} 条告警出于同一原因,不再单独通知。"),
        }
    }

    pub(crate) fn all_alerts(self) -> &'static str {
        self.pick("All alerts", "全部告警")
    }

    /// What stands between a name and its value.
    pub(crate) fn colon(self) -> &'static str {
        self.pick(": ", ":")
    }

    pub(crate) fn signature(self, receiver: &str) -> String {
        match self.0 {
            English => format!("Sent by Muster to {receiver}."),
            Chinese => format!("由 Muster 发送给 {receiver}。"),
        }
    }

    /// The language as mail and pages name it.
    pub(crate) fn tag(self) -> &'static str {
        self.pick("en", "zh-CN")
    }
}
