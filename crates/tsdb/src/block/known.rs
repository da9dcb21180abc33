//! What the registry calls the series of a block, so that a series that is in several blocks and in a head is known to be one
//! without comparing labels.
//!
//! A number of the registry names one label set for as long as the store is open, so what was looked up once is remembered with
//! the page; a series that the registry forgot, and may have taken in again since, is looked up again.

use std::sync::atomic::Ordering;

use super::reader::SeriesAt;
use crate::index::registry::Registry;

/// The low half of what is remembered: the number and one more, or 0 for a series that the registry did not know; then the high
/// half is how many series it had ever known by then.
const LOW: u64 = u32::MAX as u64;

impl SeriesAt {
    /// The registry's number of this series, if it knows it.
    pub(crate) fn known_as(&self, registry: &Registry) -> Option<u32> {
        let place = self.page.known.get(self.at)?;
        let remembered = place.load(Ordering::Relaxed);
        match (remembered & LOW) as u32 {
            0 if remembered >> 32 == u64::from(registry.ever_known()) => return None,
            0 => {}
            known if registry.is_known(known - 1) => return Some(known - 1),
            _ => {}
        }
        let found = registry.look_up(self.page.label_pairs(self.at));
        let now = match found {
            Some(id) => u64::from(id) + 1,
            None => u64::from(registry.ever_known()) << 32,
        };
        place.store(now, Ordering::Relaxed);
        found
    }

    /// Name and value of each label.
    pub(crate) fn label_pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.page.label_pairs(self.at)
    }
}
