//! Layers of settings, and what they come to for one agent.
//!
//! The later layer decides: all, then the agent's groups by priority and name, then the host. A setting is taken whole
//! from the last layer that has it, but for the processes to look for, which add up by name.

use aws_lc_rs::digest::{SHA256, digest};
use muster_api::AgentSettings;
use muster_meta::Setting;
use muster_wire::Configuration;
use serde::Deserialize;

/// What all settings of agents begin with in the database.
const PREFIX: &str = "agents/";

/// Whom a layer is for, in the order in which layers are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// The group's name.
    Group(String),
    /// The agent's number.
    Host(String),
}

impl Scope {
    /// Its name in the database.
    pub(crate) fn setting_name(&self) -> String {
        match self {
            Self::All => format!("{PREFIX}all"),
            Self::Group(group) => format!("{PREFIX}group/{group}"),
            Self::Host(id) => format!("{PREFIX}host/{id}"),
        }
    }

    fn of_setting(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        if rest == "all" {
            return Some(Self::All);
        }
        match rest.split_once('/')? {
            ("group", group) => Some(Self::Group(group.to_owned())),
            ("host", id) => Some(Self::Host(id.to_owned())),
            _ => None,
        }
    }
}

/// Settings for somebody.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layer {
    pub(crate) scope: Scope,
    pub(crate) priority: i32,
    /// None if the layer was removed; its version stays.
    pub(crate) settings: Option<AgentSettings>,
    pub(crate) version: u64,
    pub(crate) changed_ms: i64,
}

/// A layer as the database holds it.
#[derive(Deserialize)]
struct Stored {
    priority: i32,
    settings: AgentSettings,
}

impl Layer {
    pub(crate) fn from_setting(scope: Scope, setting: &Setting) -> Self {
        let stored: Option<Stored> =
            serde_json::from_value(setting.value.clone()).unwrap_or_else(|error| {
                tracing::error!(setting = setting.name, %error, "settings of agents cannot be read and are left out; set them again");
                None
            });
        let (priority, settings) = stored.map_or((0, None), |s| (s.priority, Some(s.settings)));
        Self { scope, priority, settings, version: setting.version, changed_ms: setting.changed_ms }
    }
}

/// All layers, in the order in which they are applied.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Layers(Vec<Layer>);

impl Layers {
    /// Those among all settings that are for agents.
    pub(crate) fn from_settings(settings: Vec<Setting>) -> Self {
        let layer = |setting: Setting| {
            Scope::of_setting(&setting.name).map(|scope| Layer::from_setting(scope, &setting))
        };
        Self::new(settings.into_iter().filter_map(layer).collect())
    }

    fn new(mut layers: Vec<Layer>) -> Self {
        layers.sort_by(|a, b| place(a).cmp(&place(b)));
        Self(layers)
    }

    /// Every layer that is set.
    pub(crate) fn set(&self) -> impl Iterator<Item = (&Layer, &AgentSettings)> {
        self.0.iter().filter_map(|layer| Some((layer, layer.settings.as_ref()?)))
    }

    /// What an agent is told.
    pub(crate) fn resolve(&self, agent_id: &str, groups: &[String]) -> AgentSettings {
        let mut result = AgentSettings::default();
        for (layer, settings) in self.set() {
            let concerns = match &layer.scope {
                Scope::All => true,
                Scope::Group(group) => groups.contains(group),
                Scope::Host(id) => id == agent_id,
            };
            if concerns {
                lay_over(&mut result, settings);
            }
        }
        result
    }
}

fn place(layer: &Layer) -> (u8, i32, &str) {
    match &layer.scope {
        Scope::All => (0, 0, ""),
        Scope::Group(group) => (1, layer.priority, group),
        Scope::Host(id) => (2, 0, id),
    }
}

fn lay_over(below: &mut AgentSettings, above: &AgentSettings) {
    fn take<T: Clone>(below: &mut Option<T>, above: Option<&T>) {
        if let Some(value) = above {
            *below = Some(value.clone());
        }
    }
    take(&mut below.fast_interval_ms, above.fast_interval_ms.as_ref());
    take(&mut below.slow_interval_ms, above.slow_interval_ms.as_ref());
    take(&mut below.recorder, above.recorder.as_ref());
    take(&mut below.collectors_off, above.collectors_off.as_ref());
    take(&mut below.mount_points_include, above.mount_points_include.as_ref());
    take(&mut below.mount_points_exclude, above.mount_points_exclude.as_ref());
    take(&mut below.fs_types_include, above.fs_types_include.as_ref());
    take(&mut below.fs_types_exclude, above.fs_types_exclude.as_ref());
    take(&mut below.network_devices_exclude, above.network_devices_exclude.as_ref());
    take(&mut below.process_arguments, above.process_arguments.as_ref());
    take(&mut below.cpu_limit_percent, above.cpu_limit_percent.as_ref());
    take(&mut below.updates_paused, above.updates_paused.as_ref());
    if let Some(named) = &above.named_processes {
        let mut all = named.clone();
        for (name, pattern) in below.named_processes.take().unwrap_or_default() {
            // More than agents take: what stands nearer to the host is kept.
            if all.len() >= Configuration::MAX_NAMES {
                break;
            }
            all.entry(name).or_insert(pattern);
        }
        below.named_processes = Some(all);
    }
}

/// The settings as agents get them. The revision is made from the content, so equal settings have equal ones, on every
/// server and after every restart.
pub(crate) fn configuration(settings: AgentSettings) -> Configuration {
    let not_empty = |pattern: Option<String>| pattern.filter(|pattern| !pattern.is_empty());
    let mut configuration = Configuration {
        revision: 0,
        fast_interval_ms: settings.fast_interval_ms,
        slow_interval_ms: settings.slow_interval_ms,
        recorder: settings.recorder,
        collectors_off: settings.collectors_off.unwrap_or_default(),
        mount_points_include: not_empty(settings.mount_points_include),
        mount_points_exclude: not_empty(settings.mount_points_exclude),
        fs_types_include: not_empty(settings.fs_types_include),
        fs_types_exclude: not_empty(settings.fs_types_exclude),
        network_devices_exclude: not_empty(settings.network_devices_exclude),
        named_processes: settings.named_processes.unwrap_or_default().into_iter().collect(),
        process_arguments: settings.process_arguments,
        cpu_limit_percent: settings.cpu_limit_percent,
        updates_paused: settings.updates_paused.unwrap_or(false),
    };
    let hash = digest(&SHA256, &configuration.to_bytes());
    let mut first = [0; 8];
    // Six bytes: a sample is a float, which holds whole numbers up to 53 bits.
    first[2..].copy_from_slice(&hash.as_ref()[..6]);
    configuration.revision = u64::from_be_bytes(first).max(1);
    configuration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(scope: Scope, priority: i32, settings: AgentSettings) -> Layer {
        Layer { scope, priority, settings: Some(settings), version: 1, changed_ms: 0 }
    }

    fn fast(ms: i64) -> AgentSettings {
        AgentSettings { fast_interval_ms: Some(ms), ..AgentSettings::default() }
    }

    fn group(name: &str) -> Scope {
        Scope::Group(name.into())
    }

    #[test]
    fn names_of_many_layers_stay_within_what_agents_take() {
        let named = |from: usize, count: usize| AgentSettings {
            named_processes: Some(
                (from..from + count).map(|at| (format!("p{at:04}"), "x".to_owned())).collect(),
            ),
            ..AgentSettings::default()
        };
        let mut below = AgentSettings::default();
        for at in 0..34 {
            lay_over(&mut below, &named(at * 50, 50));
        }
        lay_over(&mut below, &named(9_000, 50));
        let configuration = configuration(below);
        assert_eq!(configuration.named_processes.len(), Configuration::MAX_NAMES);
        assert!(configuration.named_processes.iter().any(|(name, _)| name == "p9049"));
        assert!(Configuration::from_bytes(&configuration.to_bytes()).is_ok());
    }

    #[track_caller]
    fn check(layers: &Layers, groups: &[&str], fast_ms: Option<i64>) {
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        assert_eq!(layers.resolve("a1", &groups).fast_interval_ms, fast_ms, "{groups:?}");
    }

    #[test]
    fn the_later_layer_decides() {
        let mut all = vec![
            layer(group("web"), 5, fast(3)),
            layer(Scope::All, 0, fast(1)),
            layer(group("zebra"), 1, fast(2)),
            layer(group("berlin"), 5, fast(4)),
            layer(Scope::Host("a2".into()), 0, fast(9)),
        ];
        let layers = Layers::new(all.clone());
        check(&layers, &[], Some(1));
        check(&layers, &["zebra"], Some(2));
        check(&layers, &["web", "zebra"], Some(3));
        check(&layers, &["web", "berlin"], Some(3));
        check(&layers, &["berlin", "zebra", "unknown"], Some(4));
        all.push(layer(Scope::Host("a1".into()), 0, fast(8)));
        check(&Layers::new(all.clone()), &["web"], Some(8));
        for layer in &mut all {
            layer.settings = None;
        }
        check(&Layers::new(all), &["web"], None);
    }

    #[test]
    fn processes_to_look_for_add_up_and_lists_are_taken_whole() {
        let named = |name: &str, pattern: &str| AgentSettings {
            named_processes: Some([(name.into(), pattern.into())].into()),
            collectors_off: Some(vec![name.into()]),
            ..AgentSettings::default()
        };
        let layers = Layers::new(vec![
            layer(Scope::All, 0, named("sshd", "sshd")),
            layer(group("web"), 0, named("nginx", "nginx")),
            layer(Scope::Host("a1".into()), 0, named("sshd", "dropbear")),
        ]);
        let settings = layers.resolve("a1", &["web".into()]);
        let names: Vec<_> = settings.named_processes.iter().flatten().collect();
        assert_eq!(
            names,
            [(&"nginx".to_owned(), &"nginx".to_owned()), (&"sshd".into(), &"dropbear".into())]
        );
        assert_eq!(settings.collectors_off, Some(vec!["sshd".into()]));
    }

    #[test]
    fn a_revision_tells_contents_apart_and_fits_into_a_sample() {
        let one = configuration(fast(1_000));
        assert_eq!(one, configuration(fast(1_000)));
        assert_ne!(one.revision, configuration(fast(2_000)).revision);
        assert_ne!(one.revision, configuration(AgentSettings::default()).revision);
        assert_eq!(one.revision as f64 as u64, one.revision);
        assert!(one.revision > 0);
    }

    #[test]
    fn names_in_the_database_lead_back() {
        for scope in [Scope::All, group("a/b 机房"), Scope::Host("00ff".into())] {
            assert_eq!(Scope::of_setting(&scope.setting_name()), Some(scope));
        }
        assert_eq!(Scope::of_setting("oidc"), None);
        assert_eq!(Scope::of_setting("agents/other/x"), None);
    }
}
