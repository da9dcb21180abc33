//! One series of the head: where its samples are, and what the next one is told against.
//!
//! A sample is a tick of the series' lane and a value. After the first, which stands here, samples are tokens in a chain of cells:
//! a value token moves on by the step in force and changes the value; a run token moves on several times with the value unchanged; a step token
//! changes the step. A run that goes on is only counted here, so that the commonest sample writes nothing.

use super::cells::{CELL_BYTES, Cells, NONE};
use crate::codec::value::{
    Newest, RUN, RUN_OF_ONE, STEP, Token, ValueReader, escape_kind, low_bytes,
};

/// A chain is read from a checkpoint at best, and there is one after so many cells.
const CHECKPOINT_CELLS: u8 = 4;
/// Longest run that is one token.
const LONGEST_RUN: u32 = 256;

/// Where reading can start: at the first token of a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checkpoint {
    /// The value and exponent before that token.
    bits: u64,
    exponent: u8,
    /// The tick of the sample before.
    pub(super) tick: u32,
    step: u32,
    cell: u32,
    /// The checkpoint before it of this series, or [`NONE`].
    pub(super) previous: u32,
}

/// The cells and checkpoints that the series of a page share.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) cells: Cells,
    pub(super) checkpoints: Vec<Checkpoint>,
}

/// A series of the head, which fits a line of the processor's cache.
#[derive(Debug, Clone)]
pub(super) struct HeadSeries {
    /// The newest value, and the first.
    pub(super) bits: u64,
    first_bits: u64,
    pub(super) first_tick: u32,
    /// Of the newest sample.
    pub(super) tick: u32,
    pub(super) step: u32,
    /// Newest samples of which no cell tells yet: each a step after the one before, and of its value.
    run: u32,
    /// Samples but for late ones.
    pub(super) count: u32,
    pub(super) first_cell: u32,
    last_cell: u32,
    /// The newest checkpoint, or [`NONE`].
    pub(super) checkpoint: u32,
    /// The place of its late samples plus one; 0 where it never had one.
    pub(super) late: u32,
    /// Bytes of the last cell that are written.
    used: u8,
    exponent: u8,
    pub(super) lane: u8,
    cells_since_checkpoint: u8,
}

impl Default for HeadSeries {
    fn default() -> Self {
        Self {
            bits: 0,
            first_bits: 0,
            first_tick: 0,
            tick: 0,
            step: 1,
            run: 0,
            count: 0,
            first_cell: NONE,
            last_cell: NONE,
            checkpoint: NONE,
            late: 0,
            used: CELL_BYTES as u8,
            exponent: 0,
            lane: 0,
            cells_since_checkpoint: 0,
        }
    }
}

impl HeadSeries {
    /// A series whose first sample is this.
    pub(super) fn start(&mut self, lane: u8, tick: u32, value: f64) {
        let bits = value.to_bits();
        *self = Self {
            bits,
            first_bits: bits,
            first_tick: tick,
            tick,
            lane,
            count: 1,
            late: self.late,
            ..Self::default()
        };
    }

    /// Adds a sample at a later tick.
    pub(super) fn push(&mut self, tick: u32, value: f64, store: &mut Store) {
        let step = tick - self.tick;
        let unchanged = value.to_bits() == self.bits;
        if unchanged && step == self.step {
            self.run += 1;
        } else {
            self.push_change(step, value, store);
        }
        self.tick = tick;
        self.count += 1;
    }

    fn push_change(&mut self, step: u32, value: f64, store: &mut Store) {
        self.write_run(store);
        if step != self.step {
            self.write(&Token::escape(STEP, u64::from(step), 4), self.tick, store);
            self.step = step;
        }
        let mut newest = self.newest();
        if value.to_bits() == newest.bits {
            self.run = 1;
        } else {
            let token = newest.encode(value);
            self.write(&token, self.tick, store);
            (self.bits, self.exponent) = (newest.bits, newest.exponent);
        }
    }

    fn newest(&self) -> Newest {
        Newest { bits: self.bits, exponent: self.exponent }
    }

    fn write_run(&mut self, store: &mut Store) {
        while self.run > 0 {
            let tick = self.tick - self.run * self.step;
            let run = self.run.min(LONGEST_RUN);
            let token = match run {
                1..=3 => Token::escape(RUN_OF_ONE + run as u8 - 1, 0, 0),
                _ => Token::escape(RUN, u64::from(run - 1), 1),
            };
            self.write(&token, tick, store);
            self.run -= run;
        }
    }

    /// Writes a token that follows the sample of `tick`.
    fn write(&mut self, token: &Token, tick: u32, store: &mut Store) {
        if usize::from(self.used) + token.len > CELL_BYTES {
            let cell = store.cells.take(self.last_cell);
            if self.last_cell == NONE {
                self.first_cell = cell;
            }
            (self.last_cell, self.used) = (cell, 0);
            self.cells_since_checkpoint += 1;
            if self.cells_since_checkpoint > CHECKPOINT_CELLS {
                self.cells_since_checkpoint = 1;
                let (bits, exponent, step) = (self.bits, self.exponent, self.step);
                let previous = self.checkpoint;
                self.checkpoint = store.checkpoints.len() as u32;
                store.checkpoints.push(Checkpoint { bits, exponent, tick, step, cell, previous });
            }
        }
        store.cells.write(self.last_cell, usize::from(self.used), token);
        self.used += token.len as u8;
    }

    /// Shows tick and value of each sample after a checkpoint, or of all, in order, until `visit` has seen enough.
    pub(super) fn read(
        &self,
        from: Option<&Checkpoint>,
        store: &Store,
        visit: impl FnMut(u32, f64) -> bool,
    ) {
        let mut reading = match from {
            Some(from) => Reading {
                tick: from.tick,
                step: from.step,
                value: ValueReader::after(Newest { bits: from.bits, exponent: from.exponent }),
                visit,
            },
            None => Reading {
                tick: self.first_tick,
                step: 1,
                value: ValueReader::after(Newest { bits: self.first_bits, exponent: 0 }),
                visit,
            },
        };
        if from.is_none() && !(reading.visit)(self.first_tick, f64::from_bits(self.first_bits)) {
            return;
        }
        let mut number = from.map_or(self.first_cell, |from| from.cell);
        while number != NONE {
            let cell = store.cells.get(number);
            if !reading.cell(&cell.bytes) {
                return;
            }
            number = cell.next;
        }
        reading.run(self.run);
    }
}

/// A series being read.
struct Reading<V> {
    tick: u32,
    step: u32,
    value: ValueReader,
    visit: V,
}

impl<V: FnMut(u32, f64) -> bool> Reading<V> {
    /// Reads the tokens of a cell; says whether to go on.
    fn cell(&mut self, bytes: &[u8; CELL_BYTES]) -> bool {
        let written = "a cell holds what was written";
        let mut at = 0;
        while at < CELL_BYTES && bytes[at] != 0 {
            let (samples, len) = match escape_kind(bytes[at]) {
                Some(RUN) => (u32::from(bytes[at + 1]) + 1, 2),
                Some(STEP) => {
                    self.step = low_bytes(&bytes[at + 1..], 4).expect(written) as u32;
                    (0, 5)
                }
                Some(kind) if kind >= RUN_OF_ONE => (u32::from(kind - RUN_OF_ONE) + 1, 1),
                _ => (1, self.value.decode(&bytes[at..]).expect(written)),
            };
            at += len;
            if !self.run(samples) {
                return false;
            }
        }
        true
    }

    /// So many samples of the newest value; says whether to go on.
    fn run(&mut self, samples: u32) -> bool {
        let value = f64::from_bits(self.value.bits());
        (0..samples).all(|_| {
            self.tick += self.step;
            (self.visit)(self.tick, value)
        })
    }
}
