//! Which of all services a request wants to see, and how: filtered, grouped, page by page. Pure.

use std::collections::{BTreeSet, HashMap};

use muster_api::{Service, ServiceCounts, ServiceGroup, ServiceHealth, ServiceList};

use super::count;

/// How many services or groups a page has if the request does not say.
const PAGE: usize = 100;
/// The most that a page has.
const MAX_PAGE: usize = 500;

/// By what services are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grouping {
    Name,
    Host,
}

/// What a request wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Words that all occur in the name, the host or the result; in lower case.
    words: Vec<String>,
    instance: Option<String>,
    name: Option<String>,
    /// Only services of these healths; empty for all.
    healths: Vec<ServiceHealth>,
    group: Option<Grouping>,
    offset: usize,
    limit: usize,
}

impl Wanted {
    /// Reads the query of an address; the error is a sentence for the client.
    pub(crate) fn read(query: &str) -> Result<Self, String> {
        let mut wanted = Self {
            words: Vec::new(),
            instance: None,
            name: None,
            healths: Vec::new(),
            group: None,
            offset: 0,
            limit: PAGE,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = || Some(value.to_string()).filter(|text| !text.is_empty());
            let number =
                || value.parse::<usize>().map_err(|_| format!("{name} must be a whole number"));
            match &*name {
                "q" => {
                    wanted.words =
                        value.to_lowercase().split_whitespace().map(str::to_owned).collect();
                }
                "instance" => wanted.instance = text(),
                "name" => wanted.name = text(),
                "health" => wanted.healths.push(read_health(&value)?),
                "group" => wanted.group = Some(read_grouping(&value)?),
                "offset" => wanted.offset = number()?,
                "limit" => wanted.limit = number()?.clamp(1, MAX_PAGE),
                other => return Err(format!("unknown parameter {other:?}")),
            }
        }
        Ok(wanted)
    }

    fn is_in_scope(&self, service: &Service) -> bool {
        self.instance.as_ref().is_none_or(|instance| *instance == service.instance)
    }

    fn matches(&self, service: &Service) -> bool {
        let known = |word: &String| {
            let has = |text: &str| text.to_lowercase().contains(word);
            has(&service.name)
                || has(&service.instance)
                || service.result.as_deref().is_some_and(has)
        };
        self.name.as_ref().is_none_or(|name| *name == service.name)
            && (self.healths.is_empty() || self.healths.contains(&service.health))
            && self.words.iter().all(known)
    }
}

fn read_health(text: &str) -> Result<ServiceHealth, String> {
    match text {
        "failed" => Ok(ServiceHealth::Failed),
        "flapping" => Ok(ServiceHealth::Flapping),
        "changing" => Ok(ServiceHealth::Changing),
        "inactive" => Ok(ServiceHealth::Inactive),
        "active" => Ok(ServiceHealth::Active),
        _ => Err("health is failed, flapping, changing, inactive or active".into()),
    }
}

fn read_grouping(text: &str) -> Result<Grouping, String> {
    match text {
        "name" => Ok(Grouping::Name),
        "host" => Ok(Grouping::Host),
        _ => Err("group is name or host".into()),
    }
}

/// The part of `all`, which stand in order, that is wanted.
pub(super) fn part(now_ms: i64, all: &[Service], wanted: &Wanted) -> ServiceList {
    let mut counts = ServiceCounts::default();
    let mut hosts = BTreeSet::new();
    let mut matching: Vec<&Service> = Vec::new();
    for service in all.iter().filter(|service| wanted.is_in_scope(service)) {
        count(&mut counts, service.health);
        hosts.insert(service.instance.as_str());
        if wanted.matches(service) {
            matching.push(service);
        }
    }
    let hosts = hosts.len() as u64;
    let mut list =
        ServiceList { now_ms, counts, hosts, matching: 0, services: vec![], groups: vec![] };
    if let Some(by) = wanted.group {
        let groups = grouped(&matching, by);
        list.matching = groups.len() as u64;
        list.groups = groups.into_iter().skip(wanted.offset).take(wanted.limit).collect();
    } else {
        list.matching = matching.len() as u64;
        let shown = matching.into_iter().skip(wanted.offset).take(wanted.limit);
        list.services = shown.cloned().collect();
    }
    list
}

/// The groups, those with most trouble first.
fn grouped(services: &[&Service], by: Grouping) -> Vec<ServiceGroup> {
    let mut groups: HashMap<&str, ServiceGroup> = HashMap::new();
    for service in services {
        let key = match by {
            Grouping::Name => service.name.as_str(),
            Grouping::Host => service.instance.as_str(),
        };
        let group = groups.entry(key).or_insert_with(|| ServiceGroup {
            key: key.to_owned(),
            counts: ServiceCounts::default(),
            restarts: 0.0,
        });
        count(&mut group.counts, service.health);
        group.restarts += service.restarts;
    }
    let mut groups: Vec<ServiceGroup> = groups.into_values().collect();
    groups.sort_by(|one, other| {
        let trouble = |group: &ServiceGroup| (group.counts.failed, group.counts.flapping);
        (trouble(other).cmp(&trouble(one)))
            .then(other.restarts.total_cmp(&one.restarts))
            .then_with(|| one.key.cmp(&other.key))
    });
    groups
}

#[cfg(test)]
mod tests {
    use muster_api::ServiceKind;

    use super::super::bare;
    use super::*;

    fn service(instance: &str, name: &str, health: ServiceHealth, restarts: f64) -> Service {
        let key = (instance.to_owned(), name.to_owned());
        Service { health, restarts, ..bare(&key, ServiceKind::Unit) }
    }

    fn fleet() -> Vec<Service> {
        vec![
            service("web-1", "nginx.service", ServiceHealth::Failed, 0.0),
            service("web-2", "app.service", ServiceHealth::Flapping, 7.0),
            service("db-1", "cron.service", ServiceHealth::Active, 0.0),
            service("web-1", "cron.service", ServiceHealth::Active, 0.0),
            service("web-2", "nginx.service", ServiceHealth::Active, 1.0),
        ]
    }

    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        let list = part(1, &fleet(), &Wanted::read(query).unwrap());
        let found: Vec<String> = (list.services.iter())
            .map(|service| format!("{}/{}", service.instance, service.name))
            .chain(list.groups.iter().map(|group| group.key.clone()))
            .collect();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn services_are_filtered_and_paged() {
        check("q=NGINX", &["web-1/nginx.service", "web-2/nginx.service"]);
        check("q=nginx+web-2", &["web-2/nginx.service"]);
        check("health=failed&health=flapping", &["web-1/nginx.service", "web-2/app.service"]);
        check("instance=web-1", &["web-1/nginx.service", "web-1/cron.service"]);
        check("name=cron.service&limit=1", &["db-1/cron.service"]);
        check("name=cron.service&limit=1&offset=1", &["web-1/cron.service"]);
        check("offset=99", &[]);
    }

    #[test]
    fn groups_with_trouble_come_first() {
        check("group=name", &["nginx.service", "app.service", "cron.service"]);
        check("group=host", &["web-1", "web-2", "db-1"]);
        check("group=host&q=cron", &["db-1", "web-1"]);
    }

    #[test]
    fn what_is_counted_is_the_fleet_or_the_host_whatever_is_filtered() {
        let counted = |query: &str| {
            let list = part(1, &fleet(), &Wanted::read(query).unwrap());
            (list.counts.failed, list.counts.active, list.hosts, list.matching)
        };
        assert_eq!(counted("q=app"), (1, 3, 3, 1));
        assert_eq!(counted("instance=web-2"), (0, 1, 1, 2));
        assert_eq!(counted("group=name"), (1, 3, 3, 3));
    }

    #[test]
    fn bad_parameters_are_told() {
        for bad in ["health=ill", "group=tag", "limit=x", "offset=-1", "colour=red"] {
            assert!(Wanted::read(bad).is_err(), "{bad}");
        }
        assert_eq!(Wanted::read("limit=9999").map(|wanted| wanted.limit), Ok(MAX_PAGE));
        assert_eq!(Wanted::read("limit=0").map(|wanted| wanted.limit), Ok(1));
    }
}
