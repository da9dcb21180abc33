//! A table by series number that holds what is used of it only.

/// Entries of a page.
const PAGE_LEN: usize = 1 << 10;

/// A value for each series number; the default where none was set. Pages are made as they are used, so that it neither moves as it grows
/// nor holds room for numbers that do not occur.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable<T> {
    pages: Vec<Option<Box<[T]>>>,
}

impl<T: Clone + Copy + Default> SeriesTable<T> {
    /// The value of a series.
    pub(crate) fn get(&self, number: u32) -> T {
        let page = self.pages.get(number as usize / PAGE_LEN).and_then(Option::as_ref);
        page.map_or_else(T::default, |page| page[number as usize % PAGE_LEN])
    }

    /// The value of a series, to be changed.
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut T {
        let at = number as usize / PAGE_LEN;
        if at >= self.pages.len() {
            self.pages.resize_with(at + 1, || None);
        }
        let page = self.pages[at].get_or_insert_with(|| vec![T::default(); PAGE_LEN].into());
        &mut page[number as usize % PAGE_LEN]
    }
}

#[cfg(test)]
impl<T> SeriesTable<T> {
    /// How many pages were made.
    pub(crate) fn pages(&self) -> usize {
        self.pages.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_set_is_the_default() {
        let mut table = SeriesTable::default();
        *table.get_mut(5_000) = 7_u32;
        *table.get_mut(u32::MAX) = 8;
        let found: Vec<u32> = [0, 4_999, 5_000, u32::MAX, 9_000].map(|id| table.get(id)).into();
        assert_eq!(found, [0, 0, 7, 8, 0]);
    }
}
