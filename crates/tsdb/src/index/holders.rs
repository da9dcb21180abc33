//! The series that have a label: one number, or a bitmap.
//!
//! Where every series has a value of its own, a bitmap for each would take more memory than all the rest.

use roaring::RoaringBitmap;

/// The series that have a label, as they are kept.
#[derive(Debug)]
pub(super) enum HolderSet {
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl HolderSet {
    /// Adds a series of a higher number than all before.
    pub(super) fn push(&mut self, series: u32) {
        match self {
            Self::One(first) => {
                *self = Self::Many(Box::new(RoaringBitmap::from_iter([*first, series])));
            }
            Self::Many(bitmap) => {
                bitmap.insert(series);
            }
        }
    }

    /// Takes a series out; says whether one is left.
    pub(super) fn remove(&mut self, series: u32) -> bool {
        match self {
            Self::One(only) => *only != series,
            Self::Many(bitmap) => {
                bitmap.remove(series);
                let least = bitmap.min();
                if let (Some(only), 1) = (least, bitmap.len()) {
                    *self = Self::One(only);
                }
                least.is_some()
            }
        }
    }

    pub(super) fn view(&self) -> Holders<'_> {
        match self {
            Self::One(series) => Holders::One(*series),
            Self::Many(bitmap) => Holders::Many(bitmap),
        }
    }
}

/// The series that have a label, as an index shows them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holders<'a> {
    /// There is one.
    One(u32),
    /// There is any number.
    Many(&'a RoaringBitmap),
}

impl Holders<'_> {
    /// Adds them to a bitmap.
    pub(crate) fn add_to(self, bitmap: &mut RoaringBitmap) {
        match self {
            Self::One(series) => {
                bitmap.insert(series);
            }
            Self::Many(own) => *bitmap |= own,
        }
    }

    /// Whether one of them is in the bitmap.
    pub(crate) fn intersects(self, bitmap: &RoaringBitmap) -> bool {
        match self {
            Self::One(series) => bitmap.contains(series),
            // Where most are selected, the first is found to be.
            Self::Many(own) => {
                own.min().is_some_and(|least| bitmap.contains(least)) || !own.is_disjoint(bitmap)
            }
        }
    }

    /// Whether one of them passes.
    pub(crate) fn any(self, passes: impl Fn(u32) -> bool) -> bool {
        match self {
            Self::One(series) => passes(series),
            Self::Many(own) => own.iter().any(passes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(set: &HolderSet, expected: &[u32]) {
        let mut bitmap = RoaringBitmap::new();
        set.view().add_to(&mut bitmap);
        assert_eq!(bitmap.iter().collect::<Vec<_>>(), expected);
        for &series in expected {
            assert!(set.view().any(|own| own == series));
            assert!(set.view().intersects(&RoaringBitmap::from_iter([series, 1000])));
        }
        assert!(!set.view().intersects(&RoaringBitmap::from_iter([1000])));
    }

    #[test]
    fn a_set_grows_and_shrinks_through_both_forms() {
        let mut set = HolderSet::One(3);
        check(&set, &[3]);
        set.push(70_000);
        set.push(70_001);
        check(&set, &[3, 70_000, 70_001]);
        assert!(set.remove(3) && set.remove(70_000));
        assert!(matches!(set, HolderSet::One(70_001)));
        check(&set, &[70_001]);
        assert!(!set.remove(70_001));
    }
}
