//! Data points to samples.
//!
//! The labels of a series are the point's attributes, and `job` and `instance` out of the resource's
//! `service.namespace/service.name` and `service.instance.id`. What else a resource says is told once a resource by the
//! series `target_info`.

use std::borrow::Cow;

use muster_series::{METRIC_NAME, stale_marker};

use super::names::{label_name, metric_name};
use super::walk::{Attribute, Kind, Metric, Point, each, resource_attributes};
use super::{OtlpLabel, PointProblem, PointVisitor};
use crate::protobuf::DecodeError;

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";
const TARGET_INFO: &str = "target_info";
/// The most labels of a series, bytes of their text, and buckets or quantiles of a point. A few bytes of a bucket stand
/// for a whole label set, so without these a small request could mean very much work.
const MAX_LABELS: usize = 64;
const MAX_LABEL_BYTES: usize = 32 << 10;
const MAX_PARTS: usize = 1_000;

pub(super) struct Translator<'v, V> {
    max_samples: usize,
    samples: usize,
    /// The newest timestamp of the resource at hand.
    newest_ms: Option<i64>,
    visitor: &'v mut V,
}

/// What a resource says about the series of its metrics.
struct Resource<'a> {
    /// `job` and `instance`, as far as they are known.
    identity: Vec<OtlpLabel<'a>>,
    /// Everything else.
    info: Vec<OtlpLabel<'a>>,
    /// Whether it has text that is not UTF-8, so that nobody knows whose points these are.
    damaged: bool,
}

impl<'a> Resource<'a> {
    fn new(attributes: Vec<Attribute<'a>>, damaged: bool) -> Self {
        let find = |key: &str| attributes.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone());
        let job = find(SERVICE_NAME).map(|name| match find(SERVICE_NAMESPACE) {
            Some(namespace) => Cow::Owned(format!("{namespace}/{name}")),
            None => name,
        });
        let identity = [("job", job), ("instance", find(SERVICE_INSTANCE))];
        let identity = identity.into_iter().filter_map(|(n, v)| Some((Cow::Borrowed(n), v?)));
        let identity: Vec<OtlpLabel<'a>> = identity.collect();
        let identifying = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE];
        let others = attributes.into_iter().filter(|(key, _)| !identifying.contains(key));
        Self { identity, info: labels_of(others.collect()), damaged }
    }
}

/// Attributes as labels; the values of those whose names become the same are joined, as Prometheus does.
fn labels_of(mut attributes: Vec<Attribute<'_>>) -> Vec<OtlpLabel<'_>> {
    attributes.sort_by_key(|attribute| attribute.0);
    let mut labels: Vec<OtlpLabel<'_>> = Vec::with_capacity(attributes.len());
    for (key, value) in attributes {
        labels.push((label_name(key).into(), value));
    }
    // The sort is stable, so that values are joined in the order of their keys.
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    labels.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 = format!("{};{}", kept.1, next.1).into();
        }
        same
    });
    labels
}

fn is_too_large(name: &str, point: &Point<'_>, resource: &Resource<'_>) -> bool {
    let own = point.attributes.iter().map(|(key, value)| key.len() + value.len());
    let shared = resource.identity.iter().map(|(name, value)| name.len() + value.len());
    let labels = 2 + point.attributes.len() + resource.identity.len();
    labels > MAX_LABELS
        || name.len() + own.chain(shared).sum::<usize>() > MAX_LABEL_BYTES
        || point.bounds.len().max(point.quantiles.len()) > MAX_PARTS
}

impl<'v, V: PointVisitor> Translator<'v, V> {
    pub(super) fn new(max_samples: usize, visitor: &'v mut V) -> Self {
        Self { max_samples, samples: 0, newest_ms: None, visitor }
    }

    /// An `ExportMetricsServiceRequest`.
    pub(super) fn request(&mut self, request: &[u8]) -> Result<(), DecodeError> {
        each(request, 1, |resource_metrics| self.resource(resource_metrics))
    }

    fn resource(&mut self, resource_metrics: &[u8]) -> Result<(), DecodeError> {
        let mut attributes = Vec::new();
        let read = each(resource_metrics, 1, |resource| {
            attributes.extend(resource_attributes(resource)?);
            Ok(())
        });
        let damaged = match read {
            Err(DecodeError::NotUtf8 { .. }) => true,
            other => other.map(|()| false)?,
        };
        let resource = Resource::new(attributes, damaged);
        self.newest_ms = None;
        each(resource_metrics, 2, |scope_metrics| {
            each(scope_metrics, 2, |metric| match Metric::read(metric)? {
                Some(metric) => self.metric(&metric, &resource),
                None => Ok(()),
            })
        })?;
        self.target_info(resource)
    }

    fn target_info(&mut self, resource: Resource<'_>) -> Result<(), DecodeError> {
        let Some(newest_ms) = self.newest_ms else { return Ok(()) };
        let labels = 1 + resource.identity.len() + resource.info.len();
        if resource.identity.is_empty() || resource.info.is_empty() || labels > MAX_LABELS {
            return Ok(());
        }
        let mut series = Series::new(resource.info, &resource.identity);
        self.sample(series.named(TARGET_INFO, None), newest_ms, 1.0)
    }

    fn metric(&mut self, metric: &Metric<'_>, resource: &Resource<'_>) -> Result<(), DecodeError> {
        let name = metric_name(metric.name, metric.unit, metric.kind);
        let problem = match metric.kind {
            _ if resource.damaged || metric.name.is_empty() => Some(PointProblem::Malformed),
            Kind::ExponentialHistogram => Some(PointProblem::ExponentialHistogram),
            Kind::Sum { cumulative: false, .. } | Kind::Histogram { cumulative: false } => {
                Some(PointProblem::Delta)
            }
            _ => None,
        };
        each(metric.data, 1, |message| {
            self.visitor.point();
            if let Some(problem) = problem {
                self.visitor.refused(problem);
                return Ok(());
            }
            let point = match metric.kind {
                Kind::Histogram { .. } => Point::histogram(message),
                Kind::Summary => Point::summary(message),
                _ => Point::number(message),
            };
            let point = match point {
                Err(DecodeError::NotUtf8 { .. }) => {
                    self.visitor.refused(PointProblem::Malformed);
                    return Ok(());
                }
                other => other?,
            };
            if is_too_large(&name, &point, resource) {
                self.visitor.refused(PointProblem::TooLarge);
                return Ok(());
            }
            match metric.kind {
                Kind::Histogram { .. } => self.histogram(&name, point, resource),
                Kind::Summary => self.summary(&name, point, resource),
                _ => self.number(&name, point, resource),
            }
        })
    }

    fn number(
        &mut self,
        name: &str,
        point: Point<'_>,
        resource: &Resource<'_>,
    ) -> Result<(), DecodeError> {
        let Some(value) = point.number.or_else(|| point.ended.then(stale_marker)) else {
            self.visitor.refused(PointProblem::Malformed);
            return Ok(());
        };
        let value = if point.ended { stale_marker() } else { value };
        let mut series = Series::new(labels_of(point.attributes), &resource.identity);
        self.sample(series.named(name, None), point.timestamp_ms, value)
    }

    fn histogram(
        &mut self,
        name: &str,
        point: Point<'_>,
        resource: &Resource<'_>,
    ) -> Result<(), DecodeError> {
        // A histogram may come without buckets, and then has neither counts nor bounds.
        let without = point.bucket_counts.is_empty() && point.bounds.is_empty();
        if !without && point.bucket_counts.len() != point.bounds.len() + 1 {
            self.visitor.refused(PointProblem::Malformed);
            return Ok(());
        }
        let at = point.timestamp_ms;
        let value = |number: f64| if point.ended { stale_marker() } else { number };
        let mut series = Series::new(labels_of(point.attributes), &resource.identity);
        if let Some(sum) = point.sum {
            self.sample(series.named(&format!("{name}_sum"), None), at, value(sum))?;
        }
        let count = value(point.count as f64);
        self.sample(series.named(&format!("{name}_count"), None), at, count)?;
        let bucket = format!("{name}_bucket");
        let mut so_far: u64 = 0;
        for (bound, in_bucket) in point.bounds.iter().zip(&point.bucket_counts) {
            so_far = so_far.saturating_add(*in_bucket);
            if bound.is_infinite() && *bound > 0.0 {
                break;
            }
            let le = Some(("le", bound.to_string()));
            self.sample(series.named(&bucket, le), at, value(so_far as f64))?;
        }
        self.sample(series.named(&bucket, Some(("le", "+Inf".into()))), at, count)
    }

    fn summary(
        &mut self,
        name: &str,
        point: Point<'_>,
        resource: &Resource<'_>,
    ) -> Result<(), DecodeError> {
        let at = point.timestamp_ms;
        let value = |number: f64| if point.ended { stale_marker() } else { number };
        let mut series = Series::new(labels_of(point.attributes), &resource.identity);
        let sum = value(point.sum.unwrap_or_default());
        self.sample(series.named(&format!("{name}_sum"), None), at, sum)?;
        let count = value(point.count as f64);
        self.sample(series.named(&format!("{name}_count"), None), at, count)?;
        for (quantile, measured) in point.quantiles {
            let quantile = Some(("quantile", quantile.to_string()));
            self.sample(series.named(name, quantile), at, value(measured))?;
        }
        Ok(())
    }

    fn sample(
        &mut self,
        labels: &[OtlpLabel<'_>],
        timestamp_ms: i64,
        value: f64,
    ) -> Result<(), DecodeError> {
        if self.samples == self.max_samples {
            return Err(DecodeError::TooMany { what: "samples", limit: self.max_samples });
        }
        self.samples += 1;
        self.newest_ms = self.newest_ms.max(Some(timestamp_ms));
        self.visitor.sample(labels, timestamp_ms, value);
        Ok(())
    }
}

/// The label set of a point, of which its samples differ in the name and in one label at most.
struct Series<'a> {
    /// First the name, then what all samples share, then the one label that tells them apart.
    labels: Vec<OtlpLabel<'a>>,
    shared: usize,
}

impl<'a> Series<'a> {
    fn new(attributes: Vec<OtlpLabel<'a>>, identity: &[OtlpLabel<'a>]) -> Self {
        let mut labels: Vec<OtlpLabel<'a>> = vec![(METRIC_NAME.into(), "".into())];
        let taken = |name: &str| name == METRIC_NAME || identity.iter().any(|(own, _)| own == name);
        labels.extend(attributes.into_iter().filter(|(name, _)| !taken(name)));
        labels.extend_from_slice(identity);
        let shared = labels.len();
        Self { labels, shared }
    }

    /// The labels under a name, with one label more or in place of an attribute of that name.
    fn named(&mut self, name: &str, more: Option<(&'static str, String)>) -> &[OtlpLabel<'a>] {
        self.labels.truncate(self.shared);
        self.labels[0].1 = Cow::Owned(name.to_owned());
        if let Some((name, value)) = more {
            match self.labels.iter_mut().find(|(own, _)| own == name) {
                Some(label) => label.1 = value.into(),
                None => self.labels.push((name.into(), value.into())),
            }
        }
        &self.labels
    }
}
