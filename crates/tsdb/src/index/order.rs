//! Many series in the order of their label sets, found by comparing numbers instead of texts.

use std::collections::HashMap;

/// Series to be sorted by label set; holds all that is needed, so that no lock is held while they are.
pub(crate) struct OrderKeys {
    /// Each series, and where in `rows` its labels end.
    series: Vec<(u32, u32)>,
    /// The labels of all series, as places in `texts`.
    rows: Vec<u32>,
    texts: Vec<(Box<str>, Box<str>)>,
}

impl OrderKeys {
    /// Takes series with their labels as numbers, and what these numbers stand for.
    pub(super) fn new<'a, 'b>(
        rows: impl Iterator<Item = (u32, &'a [u32])>,
        texts_of: impl Fn(u32) -> (&'b str, &'b str),
    ) -> Self {
        let mut keys = Self { series: Vec::new(), rows: Vec::new(), texts: Vec::new() };
        let mut places: HashMap<u32, u32> = HashMap::new();
        for (id, row) in rows {
            for &label in row {
                let place = *places.entry(label).or_insert_with(|| {
                    let (name, value) = texts_of(label);
                    keys.texts.push((name.into(), value.into()));
                    keys.texts.len() as u32 - 1
                });
                keys.rows.push(place);
            }
            keys.series.push((id, keys.rows.len() as u32));
        }
        keys
    }

    /// The series in the order of their label sets. Labels are ranked once, so that comparing two label sets compares
    /// numbers.
    pub(crate) fn sorted(self) -> Vec<u32> {
        let mut by_text: Vec<u32> = (0..self.texts.len() as u32).collect();
        by_text.sort_unstable_by_key(|&place| &self.texts[place as usize]);
        let mut rank = vec![0_u32; by_text.len()];
        for (at, place) in by_text.into_iter().enumerate() {
            rank[place as usize] = at as u32;
        }
        let ranks: Vec<u32> = self.rows.iter().map(|&place| rank[place as usize]).collect();
        let mut start = 0;
        let mut series: Vec<(u32, &[u32])> = Vec::with_capacity(self.series.len());
        for (id, end) in self.series {
            series.push((id, &ranks[start..end as usize]));
            start = end as usize;
        }
        series.sort_unstable_by(|a, b| a.1.cmp(b.1));
        series.into_iter().map(|(id, _)| id).collect()
    }
}
