//! Every label that a series has now, as a number: a name with one value, and the series that have it.
//!
//! A series' labels are then a row of numbers, and a matcher's answer is the union of some entries' series. An entry
//! goes when its last series goes, and its number is given again.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::holders::{HolderSet, Holders};
use super::texts::{TextRef, Texts};

/// A label name and its values.
#[derive(Debug, Default)]
struct Name {
    text: TextRef,
    /// Its entries, in no order.
    entries: Vec<u32>,
    /// Rises whenever a series gets or loses a label of this name.
    version: u64,
}

/// A name with one value.
#[derive(Debug)]
struct Entry {
    value: TextRef,
    name: u32,
    /// Its place among the entries of its name.
    place: u32,
    holders: HolderSet,
}

/// Names, entries, and the ways to find them.
#[derive(Debug)]
pub(super) struct Dictionary {
    texts: Texts,
    names: Vec<Name>,
    free_names: Vec<u32>,
    names_by_text: HashTable<u32>,
    entries: Vec<Entry>,
    free_entries: Vec<u32>,
    entries_by_text: HashTable<u32>,
    /// Not known to anybody who chooses label values, so nobody can choose many that hash alike.
    seed: u64,
    changes: u64,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            texts: Texts::default(),
            names: Vec::new(),
            free_names: Vec::new(),
            names_by_text: HashTable::new(),
            entries: Vec::new(),
            free_entries: Vec::new(),
            entries_by_text: HashTable::new(),
            seed: RandomState::new().hash_one(0_u64),
            changes: 0,
        }
    }
}

impl Dictionary {
    fn hash_name(seed: u64, name: &str) -> u64 {
        xxh3_64_with_seed(name.as_bytes(), seed)
    }

    fn hash_value(seed: u64, name: u32, value: &str) -> u64 {
        xxh3_64_with_seed(value.as_bytes(), seed ^ (u64::from(name) + 1).rotate_left(32))
    }

    pub(super) fn find_name(&self, name: &str) -> Option<u32> {
        let is = |&number: &u32| self.texts.get(self.names[number as usize].text) == name;
        self.names_by_text.find(Self::hash_name(self.seed, name), is).copied()
    }

    /// The entry of a name with a value.
    pub(super) fn find(&self, name: &str, value: &str) -> Option<u32> {
        let name = self.find_name(name)?;
        let is = |&number: &u32| {
            let entry = &self.entries[number as usize];
            entry.name == name && self.texts.get(entry.value) == value
        };
        self.entries_by_text.find(Self::hash_value(self.seed, name, value), is).copied()
    }

    /// Adds an entry, which is not there, with its first series; [`Texts::has_room`] must have been asked for two.
    pub(super) fn add(&mut self, name: &str, value: &str, series: u32) -> u32 {
        let name = self.find_name(name).unwrap_or_else(|| self.add_name(name));
        self.changes += 1;
        let of_name = &mut self.names[name as usize];
        let place = of_name.entries.len() as u32;
        let holders = HolderSet::One(series);
        let entry = Entry { value: self.texts.push(value), name, place, holders };
        let number = put(&mut self.entries, &mut self.free_entries, entry);
        of_name.entries.push(number);
        of_name.version = self.changes;
        let (entries, texts, seed) = (&self.entries, &self.texts, self.seed);
        let rehash = |&number: &u32| {
            let entry = &entries[number as usize];
            Self::hash_value(seed, entry.name, texts.get(entry.value))
        };
        let hash = Self::hash_value(seed, name, value);
        self.entries_by_text.insert_unique(hash, number, rehash);
        number
    }

    fn add_name(&mut self, text: &str) -> u32 {
        let name = Name { text: self.texts.push(text), ..Name::default() };
        let number = put(&mut self.names, &mut self.free_names, name);
        let (names, texts, seed) = (&self.names, &self.texts, self.seed);
        let rehash = |&number: &u32| Self::hash_name(seed, texts.get(names[number as usize].text));
        let hash = Self::hash_name(seed, text);
        self.names_by_text.insert_unique(hash, number, rehash);
        number
    }

    /// Notes that a series, of a higher number than all before, has the label of an entry.
    pub(super) fn add_holder(&mut self, entry: u32, series: u32) {
        self.changes += 1;
        let entry = &mut self.entries[entry as usize];
        entry.holders.push(series);
        self.names[entry.name as usize].version = self.changes;
    }

    /// Notes that a series is gone; an entry whose last series this was goes too, and so does its name.
    pub(super) fn remove_holder(&mut self, number: u32, series: u32) {
        self.changes += 1;
        let entry = &mut self.entries[number as usize];
        self.names[entry.name as usize].version = self.changes;
        if entry.holders.remove(series) {
            return;
        }
        let (name, place, value) = (entry.name, entry.place, entry.value);
        let hash = Self::hash_value(self.seed, name, self.texts.get(value));
        if let Ok(found) = self.entries_by_text.find_entry(hash, |&own| own == number) {
            found.remove();
        }
        let of_name = &mut self.names[name as usize];
        of_name.entries.swap_remove(place as usize);
        if let Some(&moved) = of_name.entries.get(place as usize) {
            self.entries[moved as usize].place = place;
        }
        self.texts.remove(value);
        self.entries[number as usize].value = TextRef::default();
        self.free_entries.push(number);
        if self.names[name as usize].entries.is_empty() {
            self.remove_name(name);
        }
    }

    fn remove_name(&mut self, number: u32) {
        let text = std::mem::take(&mut self.names[number as usize]).text;
        let hash = Self::hash_name(self.seed, self.texts.get(text));
        if let Ok(found) = self.names_by_text.find_entry(hash, |&own| own == number) {
            found.remove();
        }
        self.texts.remove(text);
        self.free_names.push(number);
    }

    /// Name and value of an entry.
    pub(super) fn texts_of(&self, entry: u32) -> (&str, &str) {
        let entry = &self.entries[entry as usize];
        (self.texts.get(self.names[entry.name as usize].text), self.texts.get(entry.value))
    }

    /// The number of the name of an entry.
    pub(super) fn name_of(&self, entry: u32) -> u32 {
        self.entries[entry as usize].name
    }

    pub(super) fn holders(&self, entry: u32) -> Holders<'_> {
        self.entries[entry as usize].holders.view()
    }

    /// Every name with the count of its values.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        let used = self.names.iter().filter(|name| !name.entries.is_empty());
        used.map(|name| (self.texts.get(name.text), name.entries.len()))
    }

    /// The values of a name, in no order, each with its series.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (&str, Holders<'_>)> {
        let entries = self.find_name(name).map(|name| &self.names[name as usize].entries);
        entries.into_iter().flatten().map(|&number| {
            let entry = &self.entries[number as usize];
            (self.texts.get(entry.value), entry.holders.view())
        })
    }

    /// Changes whenever a series gets or loses a label of this name.
    pub(super) fn version(&self, name: &str) -> u64 {
        self.find_name(name).map_or(0, |name| self.names[name as usize].version)
    }

    /// The series of an entry as a bitmap.
    pub(super) fn bitmap(&self, entry: u32) -> RoaringBitmap {
        let mut bitmap = RoaringBitmap::new();
        self.holders(entry).add_to(&mut bitmap);
        bitmap
    }

    pub(super) fn text(&self) -> &Texts {
        &self.texts
    }

    /// Chooses what [`Dictionary::settle_texts`] is to move; says whether it is worth the work.
    pub(super) fn choose_leaving_texts(&mut self) -> bool {
        if !self.texts.choose_leaving() {
            return false;
        }
        for name in self.names.iter_mut().filter(|name| !name.entries.is_empty()) {
            name.text = self.texts.settle(name.text);
        }
        true
    }

    /// Moves the texts of some entries out of pieces of memory that are mostly holes; returns where to go on, if there are more.
    pub(super) fn settle_texts(&mut self, from: usize, count: usize) -> Option<usize> {
        let end = (from + count).min(self.entries.len());
        for entry in &mut self.entries[from.min(end)..end] {
            entry.value = self.texts.settle(entry.value);
        }
        (end < self.entries.len()).then_some(end)
    }
}

/// Puts a value into a free place, or at the end; returns its place.
fn put<T>(places: &mut Vec<T>, free: &mut Vec<u32>, value: T) -> u32 {
    if let Some(place) = free.pop() {
        places[place as usize] = value;
        return place;
    }
    places.push(value);
    places.len() as u32 - 1
}
