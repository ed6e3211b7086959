//! Labels, jumps between them, and where everything lies in the end.
//!
//! While code is made, jumps leave no bytes but an entry in a list. When all is there, each jump gets the short form where its
//! target is near enough: all start short, those that cannot reach grow, until none is left that must. That ends, since no jump
//! ever shrinks, and finds the smallest code.

use super::encoder::{Condition, Encoder};

/// A place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(pub(super) u32);

/// What has no fixed size before all is laid out.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Jump(Label),
    JumpIf(Condition, Label),
    Call(Label),
    /// Padding up to a multiple.
    Align(u32),
}

#[derive(Debug, Clone, Copy)]
struct Item {
    /// Where it stands among the encoded bytes.
    at: u32,
    kind: Kind,
    /// Bytes that it takes.
    size: u32,
}

/// Where a label stands: this far into the encoded bytes plus one, in the upper half; behind so many items, in the lower. 0 is
/// nowhere: most instructions have no label, and memory of zeros that is not touched costs nothing.
type Place = u64;

/// Rounds after which every jump takes the long form: keeps the time linear for code that resists.
const MAX_ROUNDS: usize = 12;

/// Memory for labels and jumps.
#[derive(Debug, Default)]
pub(super) struct Lists {
    items: Vec<Item>,
    labels: Vec<Place>,
    shifts: Vec<u32>,
}

impl Lists {
    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<Item>()
            + self.labels.capacity() * size_of::<Place>()
            + self.shifts.capacity() * size_of::<u32>()
    }
}

/// Labels and jumps of code that is being made.
#[derive(Debug)]
pub(super) struct Layout {
    items: Vec<Item>,
    labels: Vec<Place>,
    /// How far each item is shifted by those before it, and by all at the end; known when all is there.
    shifts: Vec<u32>,
}

impl Layout {
    /// With this many labels to begin with, numbered from 0; uses the memory of lists.
    pub(super) fn new(n_labels: usize, lists: Lists) -> Self {
        let Lists { mut items, mut labels, shifts } = lists;
        items.clear();
        labels.clear();
        labels.resize(n_labels, 0);
        Layout { items, labels, shifts }
    }

    /// A new label.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() as u32 - 1)
    }

    /// The label stands here.
    pub(super) fn place(&mut self, label: Label, encoder: &Encoder) {
        self.labels[label.0 as usize] = (encoder.len() as u64 + 1) << 32 | self.items.len() as u64;
    }

    pub(super) fn jump(&mut self, encoder: &Encoder, target: Label) {
        self.item(encoder, Kind::Jump(target), 2);
    }

    pub(super) fn jump_if(&mut self, encoder: &Encoder, condition: Condition, target: Label) {
        self.item(encoder, Kind::JumpIf(condition, target), 2);
    }

    pub(super) fn call(&mut self, encoder: &Encoder, target: Label) {
        self.item(encoder, Kind::Call(target), 5);
    }

    pub(super) fn align(&mut self, encoder: &Encoder, to: u32) {
        self.item(encoder, Kind::Align(to), 0);
    }

    fn item(&mut self, encoder: &Encoder, kind: Kind, size: u32) {
        self.items.push(Item { at: encoder.len() as u32, kind, size });
    }

    /// Finds the sizes, and how far each item is shifted.
    fn settle(&mut self) {
        self.shifts.clear();
        self.shifts.resize(self.items.len() + 1, 0);
        for round in 0.. {
            let mut shift = 0;
            for (item, before) in self.items.iter_mut().zip(&mut self.shifts) {
                *before = shift;
                if let Kind::Align(to) = item.kind {
                    item.size = (item.at + shift).wrapping_neg() % to;
                }
                shift += item.size;
            }
            self.shifts[self.items.len()] = shift;
            let mut grown = false;
            for index in 0..self.items.len() {
                let item = self.items[index];
                let (target, long) = match item.kind {
                    Kind::Jump(target) => (target, 5),
                    Kind::JumpIf(_, target) => (target, 6),
                    Kind::Call(_) | Kind::Align(_) => continue,
                };
                if item.size == 2 {
                    let from = item.at + self.shifts[index] + 2;
                    let to = self.position(target);
                    if round >= MAX_ROUNDS || i8::try_from(i64::from(to) - i64::from(from)).is_err() {
                        self.items[index].size = long;
                        grown = true;
                    }
                }
            }
            if !grown {
                break;
            }
        }
    }

    fn position(&self, label: Label) -> u32 {
        let place = self.labels[label.0 as usize];
        debug_assert!(place != 0, "{label:?} was placed");
        ((place >> 32) as u32).wrapping_add(self.shifts[place as u32 as usize]).wrapping_sub(1)
    }

    /// Lays the code out.
    pub(super) fn finish(mut self, encoder: Encoder) -> LaidOut {
        self.settle();
        LaidOut { layout: self, encoder }
    }
}

/// Code of which it is known where everything lies.
#[derive(Debug)]
pub(super) struct LaidOut {
    layout: Layout,
    encoder: Encoder,
}

impl LaidOut {
    /// Gives the code that was encoded back, and the memory of lists.
    pub(super) fn into_parts(self) -> (Encoder, Lists) {
        let Layout { items, labels, shifts } = self.layout;
        (self.encoder, Lists { items, labels, shifts })
    }

    /// Bytes of code.
    pub(super) fn len(&self) -> usize {
        self.encoder.len() + self.layout.shifts.last().map_or(0, |shift| *shift as usize)
    }

    /// Where a label lies in the code.
    pub(super) fn position(&self, label: Label) -> u32 {
        self.layout.position(label)
    }

    /// Puts the code where there is room for all of it.
    ///
    /// # Panics
    ///
    /// If there is not.
    pub(super) fn write(&self, code: &mut [u8]) {
        let encoded = self.encoder.bytes();
        let mut code = Writer { code, at: 0 };
        let mut done = 0;
        for item in &self.layout.items {
            code.put_piece(encoded, done, item.at as usize);
            done = item.at as usize;
            let behind = code.at as i64 + i64::from(item.size);
            let distance = |label| (i64::from(self.position(label)) - behind) as i32;
            match (item.kind, item.size) {
                (Kind::Jump(label), 2) => code.put(&[0xeb, distance(label) as u8]),
                (Kind::JumpIf(condition, label), 2) => {
                    code.put(&[0x70 | condition as u8, distance(label) as u8]);
                }
                (Kind::Jump(label), _) => code.long(&[0xe9], distance(label)),
                (Kind::JumpIf(condition, label), _) => {
                    code.long(&[0x0f, 0x80 | condition as u8], distance(label));
                }
                (Kind::Call(label), _) => code.long(&[0xe8], distance(label)),
                (Kind::Align(_), size) => code.pad(size as usize),
            }
        }
        code.put(&encoded[done..]);
    }
}

/// Fills memory from its beginning.
struct Writer<'c> {
    code: &'c mut [u8],
    at: usize,
}

/// Bytes that are copied at once, whether wanted or not: a copy of just so many takes longer than one of a fixed number.
const PIECE_BYTES: usize = 64;

impl Writer<'_> {
    /// Puts the bytes from one place to another; what is put next goes over what is too much.
    #[inline]
    fn put_piece(&mut self, bytes: &[u8], from: usize, to: usize) {
        let room = self.code.get_mut(self.at..self.at + PIECE_BYTES);
        match (bytes.get(from..from + PIECE_BYTES), room) {
            (Some(piece), Some(room)) if to - from <= PIECE_BYTES => {
                room.copy_from_slice(piece);
                self.at += to - from;
            }
            _ => self.put(&bytes[from..to]),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.code[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn long(&mut self, opcode: &[u8], distance: i32) {
        self.put(opcode);
        self.put(&distance.to_le_bytes());
    }

    fn pad(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let n = bytes.min(NOTHING.len());
            self.put(NOTHING[n - 1]);
            bytes -= n;
        }
    }
}

/// The instructions that do nothing, by length, as both makers of processors recommend them.
const NOTHING: [&[u8]; 9] = [
    &[0x90],
    &[0x66, 0x90],
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(laid_out: &LaidOut) -> Vec<u8> {
        let mut code = vec![0; laid_out.len()];
        laid_out.write(&mut code);
        code
    }

    #[test]
    fn jumps_are_short_where_they_reach_and_lead_where_they_should() {
        for distance in [0usize, 100, 127, 128, 129, 5000] {
            let (mut encoder, mut layout) = (Encoder::default(), Layout::new(2, Lists::default()));
            let (first, last) = (Label(0), Label(1));
            layout.place(first, &encoder);
            layout.jump_if(&encoder, Condition::Above, last);
            for _ in 0..distance {
                encoder.ret();
            }
            layout.place(last, &encoder);
            layout.jump(&encoder, first);
            let laid_out = layout.finish(encoder);
            let (code, position) = (bytes(&laid_out), |label| laid_out.position(label));
            let (there, back) = (if distance < 128 { 2 } else { 6 }, if distance < 125 { 2 } else { 5 });
            assert_eq!((position(first), position(last)), (0, (there + distance) as u32));
            assert_eq!(code.len(), there + distance + back);
            let jumped = if there == 2 {
                i32::from(code[1])
            } else {
                i32::from_le_bytes(code[2..6].try_into().unwrap())
            };
            assert_eq!(jumped, distance as i32);
            let returned = if back == 2 {
                i32::from(*code.last().unwrap() as i8)
            } else {
                i32::from_le_bytes(code[code.len() - 4..].try_into().unwrap())
            };
            assert_eq!(returned, -(code.len() as i32));
        }
    }

    #[test]
    fn padding_aligns() {
        let (mut encoder, mut layout) = (Encoder::default(), Layout::new(1, Lists::default()));
        for n in 0..70 {
            encoder.ret();
            layout.align(&encoder, 16);
            layout.place(Label(0), &encoder);
            assert!(n < 70);
        }
        let laid_out = layout.finish(encoder);
        let (code, position) = (bytes(&laid_out), |label| laid_out.position(label));
        assert_eq!(position(Label(0)), 70 * 16);
        assert_eq!(code.len(), 70 * 16);
    }
}
