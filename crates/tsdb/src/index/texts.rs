//! Texts of labels in a few large pieces of memory, instead of an allocation for each.
//!
//! A text is never changed. When the texts of a piece are gone, so is the piece; pieces that are mostly holes are emptied by
//! writing what is left of them anew, so the memory follows what is in use.

/// A piece ends when the next text does not fit; a longer text has a piece of its own.
const PIECE_BYTES: usize = 1 << 16;
const MOST_PIECES: usize = 1 << 16;
/// Holes of so many bytes are never worth the work.
const LEAST_HOLES: usize = 1 << 20;

/// Where a text is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TextRef {
    piece: u16,
    offset: u16,
    len: u32,
}

#[derive(Debug, Default)]
struct Piece {
    text: String,
    /// Bytes of it that are in use.
    live: usize,
    /// Whether it is to be emptied.
    leaving: bool,
}

/// All texts.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pieces: Vec<Piece>,
    /// Places in `pieces` that hold nothing.
    free: Vec<u16>,
    /// The piece that takes new texts.
    open: Option<u16>,
    live: usize,
    held: usize,
}

impl Texts {
    /// Bytes of text that are in use.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Whether so many texts more can be added, however long they are.
    pub(super) fn has_room(&self, texts: usize) -> bool {
        let used = self.pieces.len() - self.free.len();
        used.saturating_add(texts) < MOST_PIECES
    }

    /// Adds a text; [`Texts::has_room`] must have said that this is possible.
    pub(super) fn push(&mut self, text: &str) -> TextRef {
        let fits = |piece: &Piece| piece.text.len() + text.len() <= PIECE_BYTES;
        let number = match self.open {
            Some(number) if fits(&self.pieces[usize::from(number)]) => number,
            _ => self.start_piece(text.len()),
        };
        let piece = &mut self.pieces[usize::from(number)];
        let offset = piece.text.len() as u16;
        piece.text.push_str(text);
        piece.live += text.len();
        self.live += text.len();
        TextRef { piece: number, offset, len: text.len() as u32 }
    }

    fn start_piece(&mut self, least: usize) -> u16 {
        let capacity = least.max(PIECE_BYTES);
        let piece = Piece { text: String::with_capacity(capacity), ..Piece::default() };
        self.held += piece.text.capacity();
        let number = self.free.pop().unwrap_or_else(|| {
            self.pieces.push(Piece::default());
            u16::try_from(self.pieces.len() - 1).expect("there was room for a piece")
        });
        self.pieces[usize::from(number)] = piece;
        if least <= PIECE_BYTES
            && let Some(former) = self.open.replace(number)
        {
            self.free_if_empty(former);
        }
        number
    }

    pub(super) fn get(&self, at: TextRef) -> &str {
        let offset = usize::from(at.offset);
        &self.pieces[usize::from(at.piece)].text[offset..offset + at.len as usize]
    }

    /// Takes out a text that nobody names any more.
    pub(super) fn remove(&mut self, at: TextRef) {
        self.pieces[usize::from(at.piece)].live -= at.len as usize;
        self.live -= at.len as usize;
        self.free_if_empty(at.piece);
    }

    fn free_if_empty(&mut self, number: u16) {
        let piece = &mut self.pieces[usize::from(number)];
        if piece.live == 0 && self.open != Some(number) && piece.text.capacity() > 0 {
            self.held -= piece.text.capacity();
            *piece = Piece::default();
            self.free.push(number);
        }
    }

    /// Chooses the pieces to be emptied, where there is much to be had; says whether there are any.
    pub(super) fn choose_leaving(&mut self) -> bool {
        let holes = self.held.saturating_sub(self.live);
        if holes < LEAST_HOLES.max(self.live / 2) {
            return false;
        }
        let mut any = false;
        for (number, piece) in self.pieces.iter_mut().enumerate() {
            piece.leaving = self.open != Some(number as u16)
                && piece.text.capacity() > 0
                && piece.live < piece.text.capacity() / 2;
            any |= piece.leaving;
        }
        any
    }

    /// Writes a text of a piece that is to be emptied to another one, and says where it is now.
    pub(super) fn settle(&mut self, at: TextRef) -> TextRef {
        if !self.pieces[usize::from(at.piece)].leaving || !self.has_room(1) {
            return at;
        }
        let text = self.get(at).to_owned();
        self.remove(at);
        self.push(&text)
    }

    /// Bytes of memory that the texts take, holes included.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_and_go_and_their_memory_with_them() {
        let mut texts = Texts::default();
        let numbered = |number: usize| format!("{number:0100}");
        let mut refs: Vec<TextRef> =
            (0..100_000).map(|number| texts.push(&numbered(number))).collect();
        let long = texts.push(&"x".repeat(3 * PIECE_BYTES));
        assert_eq!(texts.get(long).len(), 3 * PIECE_BYTES);
        texts.remove(long);
        assert_eq!(texts.live(), 10_000_000);
        assert!(!texts.choose_leaving());
        for (number, at) in refs.iter().enumerate() {
            assert_eq!(texts.get(*at), numbered(number));
            if number % 10 != 0 {
                texts.remove(*at);
            }
        }
        assert!(texts.held() >= 10_000_000, "every piece has something left");
        assert!(texts.choose_leaving());
        for number in (0..refs.len()).step_by(10) {
            refs[number] = texts.settle(refs[number]);
            assert_eq!(texts.get(refs[number]), numbered(number));
        }
        assert_eq!(texts.live(), 1_000_000);
        assert!(texts.held() < 1_200_000, "{}", texts.held());
    }
}
