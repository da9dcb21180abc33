//! The memory of a page's samples: cells of fixed size out of large pieces, so that nothing is ever moved to grow, little is left empty,
//! and a head that is dropped gives back large pieces.

use crate::codec::value::Token;

/// No cell.
pub(super) const NONE: u32 = u32::MAX;

/// Bytes of tokens in a cell.
pub(super) const CELL_BYTES: usize = 60;
/// Bytes of memory that a cell takes.
pub(super) const CELL_SIZE: usize = size_of::<Cell>();

/// Cells that are allocated at a time.
const SLAB_CELLS: usize = 256;

/// One line of the processor's cache. Tokens do not go over its end; a zero where a token would begin ends it early.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Cell {
    pub(super) bytes: [u8; CELL_BYTES],
    /// The cell that follows, or [`NONE`].
    pub(super) next: u32,
}

const EMPTY: Cell = Cell { bytes: [0; CELL_BYTES], next: NONE };

/// The cells of a page by number.
#[derive(Debug)]
pub(super) struct Cells {
    slabs: Vec<Box<[Cell]>>,
    made: u32,
    /// The first of the cells that were given back, chained.
    free: u32,
    in_use: usize,
}

impl Cells {
    pub(super) fn new() -> Self {
        Self { slabs: Vec::new(), made: 0, free: NONE, in_use: 0 }
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    pub(super) fn get(&self, number: u32) -> &Cell {
        &self.slabs[number as usize / SLAB_CELLS][number as usize % SLAB_CELLS]
    }

    fn get_mut(&mut self, number: u32) -> &mut Cell {
        &mut self.slabs[number as usize / SLAB_CELLS][number as usize % SLAB_CELLS]
    }

    /// An empty cell, which follows `before` if that is one.
    pub(super) fn take(&mut self, before: u32) -> u32 {
        self.in_use += 1;
        let number = if self.free == NONE {
            if self.made as usize == self.slabs.len() * SLAB_CELLS {
                self.slabs.push(vec![EMPTY; SLAB_CELLS].into());
            }
            self.made += 1;
            self.made - 1
        } else {
            let number = self.free;
            self.free = self.get(number).next;
            *self.get_mut(number) = EMPTY;
            number
        };
        if before != NONE {
            self.get_mut(before).next = number;
        }
        number
    }

    /// Takes back the cells of a chain.
    pub(super) fn give_back(&mut self, first: u32) {
        let mut number = first;
        while number != NONE {
            let next = self.get(number).next;
            self.get_mut(number).next = self.free;
            self.free = number;
            self.in_use -= 1;
            number = next;
        }
    }

    /// Writes a token at a place of a cell where there is room for it.
    pub(super) fn write(&mut self, number: u32, at: usize, token: &Token) {
        let rest = &mut self.get_mut(number).bytes[at..];
        // Copies of fixed length are one store each where one of variable length is a call.
        if let Some(room) = rest.first_chunk_mut::<16>() {
            *room = token.bytes;
        } else if let (Some(room), Some(token)) =
            (rest.first_chunk_mut::<4>(), token.bytes.first_chunk::<4>().filter(|_| token.len <= 4))
        {
            *room = *token;
        } else {
            rest[..token.len].copy_from_slice(&token.bytes[..token.len]);
        }
    }
}
