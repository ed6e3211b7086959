//! Longest-prefix tries: the entry whose prefix matches most bits of a key.
//!
//! Nodes fork where prefixes differ; some nodes only fork and hold no entry. Removing leaves such a node only where both ways go on
//! (`kernel/bpf/lpm_trie.c`). A key is a length in bits, in the machine's byte order, and then bytes, the first bit first.

use nonna_bpf::MapFlags;

use super::error::MapError;
use super::shape::Shape;
use crate::memory::Area;

/// Bytes of the length that a key begins with.
const LENGTH_BYTES: usize = 4;

#[derive(Debug, Clone)]
struct Node {
    n_bits: u32,
    bytes: Box<[u8]>,
    children: [Option<u32>; 2],
    /// Where its value lies; `None` if it only forks.
    slot: Option<u32>,
}

/// A trie.
#[derive(Debug)]
pub(super) struct Trie {
    max_bits: u32,
    value_bytes: usize,
    max_entries: u32,
    n_used: u32,
    root: Option<u32>,
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    /// Slots that were given back, and the first that was never used.
    free_slots: Vec<u32>,
    next_slot: u32,
    values: Area,
}

/// Where the search for a key ends.
struct Place {
    /// The way: each node and which of its children comes next.
    way: Vec<(u32, usize)>,
    node: Option<u32>,
    /// Bits that the node has in common with the key.
    n_common: u32,
}

impl Trie {
    /// An empty one.
    pub(super) fn new(shape: &Shape) -> Result<Trie, MapError> {
        let value_bytes = shape.value_bytes as usize;
        // Replacing takes a slot before it gives one back.
        let values = Area::new(u64::from(shape.max_entries) + 1, value_bytes).ok_or(MapError::NoMemory)?;
        Ok(Trie {
            max_bits: (shape.key_bytes - LENGTH_BYTES as u32) * 8,
            value_bytes,
            max_entries: shape.max_entries,
            n_used: 0,
            root: None,
            nodes: Vec::new(),
            free_nodes: Vec::new(),
            free_slots: Vec::new(),
            next_slot: 0,
            values: values.allow(
                !shape.flags.contains(MapFlags::WRONLY_PROG),
                !shape.flags.contains(MapFlags::RDONLY_PROG),
            ),
        })
    }

    /// Values, to be lent to programs.
    pub(super) fn area(&self) -> &Area {
        &self.values
    }

    /// The slot of the entry that matches most of a key.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let (n_bits, bytes) = split(key);
        if n_bits > self.max_bits {
            return None;
        }
        let (mut found, mut next) = (None, self.root);
        while let Some(number) = next {
            let node = &self.nodes[number as usize];
            let n_common = n_common(node, n_bits, bytes);
            if n_common == self.max_bits {
                return node.slot;
            }
            if n_common < node.n_bits {
                break;
            }
            found = node.slot.or(found);
            next = node.children[bit(bytes, node.n_bits)];
        }
        found
    }

    /// Where the value of a slot lies.
    pub(super) fn value_address(&self, slot: u32) -> u64 {
        self.values.address(slot as usize * self.stride())
    }

    /// A copy of the value of a slot.
    pub(super) fn value(&self, slot: u32) -> Vec<u8> {
        self.values.bytes(slot as usize * self.stride(), self.value_bytes)
    }

    fn stride(&self) -> usize {
        self.value_bytes.next_multiple_of(8)
    }

    /// Goes down until a node differs from the key, or is it.
    fn walk(&self, n_bits: u32, bytes: &[u8]) -> Place {
        let (mut way, mut next) = (Vec::new(), self.root);
        while let Some(number) = next {
            let node = &self.nodes[number as usize];
            let n_common = n_common(node, n_bits, bytes);
            if n_common != node.n_bits || node.n_bits == n_bits || node.n_bits == self.max_bits {
                return Place { way, node: Some(number), n_common };
            }
            let side = bit(bytes, node.n_bits);
            way.push((number, side));
            next = node.children[side];
        }
        Place { way, node: None, n_common: 0 }
    }

    /// Stores an entry.
    pub(super) fn update(&mut self, key: &[u8], value: &[u8], flags: u64) -> Result<(), MapError> {
        let (n_bits, bytes) = split(key);
        if flags > super::EXIST || n_bits > self.max_bits {
            return Err(MapError::Invalid);
        }
        let Place { way, node, n_common } = self.walk(n_bits, bytes);
        let parent = way.last().copied();
        let Some(met) = node else {
            self.room(flags)?;
            let fresh = self.add(n_bits, bytes, value);
            self.hang(parent, Some(fresh));
            return Ok(());
        };
        if self.nodes[met as usize].n_bits == n_common {
            // The very prefix: the entry gets another slot, as a new node would.
            match self.nodes[met as usize].slot {
                Some(_) if flags == super::NOEXIST => return Err(MapError::Exists),
                Some(_) => {}
                None => self.room(flags)?,
            }
            let slot = self.take_slot(value);
            let old = self.nodes[met as usize].slot.replace(slot);
            self.nodes[met as usize].bytes = bytes.into();
            self.free_slots.extend(old);
            return Ok(());
        }
        self.room(flags)?;
        let fresh = self.add(n_bits, bytes, value);
        if n_common == n_bits {
            let side = bit(&self.nodes[met as usize].bytes, n_common);
            self.nodes[fresh as usize].children[side] = Some(met);
            self.hang(parent, Some(fresh));
            return Ok(());
        }
        let mut fork =
            Node { n_bits: n_common, slot: None, children: [None; 2], ..self.nodes[met as usize].clone() };
        let side = bit(bytes, n_common);
        fork.children[side] = Some(fresh);
        fork.children[1 - side] = Some(met);
        let fork = self.put(fork);
        self.hang(parent, Some(fork));
        Ok(())
    }

    /// Removes an entry.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<(), MapError> {
        let (n_bits, bytes) = split(key);
        if n_bits > self.max_bits {
            return Err(MapError::Invalid);
        }
        let Place { way, node, n_common } = self.walk(n_bits, bytes);
        let number = node.ok_or(MapError::Absent)?;
        let node = &mut self.nodes[number as usize];
        if node.n_bits != n_bits || n_common != n_bits {
            return Err(MapError::Absent);
        }
        let slot = node.slot.take().ok_or(MapError::Absent)?;
        let children = node.children;
        self.free_slots.push(slot);
        self.n_used -= 1;
        let parent = way.last().copied();
        match (children, parent) {
            ([Some(_), Some(_)], _) => return Ok(()),
            // A fork with one way left is none: the other way takes its place.
            ([None, None], Some((fork, side))) if self.nodes[fork as usize].slot.is_none() => {
                let other = self.nodes[fork as usize].children[1 - side];
                self.hang(way.len().checked_sub(2).map(|at| way[at]), other);
                self.free_nodes.push(fork);
            }
            ([left, right], _) => self.hang(parent, left.or(right)),
        }
        self.free_nodes.push(number);
        Ok(())
    }

    /// Another entry fits, and the flags allow a new one.
    fn room(&mut self, flags: u64) -> Result<(), MapError> {
        if flags == super::EXIST {
            return Err(MapError::Absent);
        }
        if self.n_used == self.max_entries {
            return Err(MapError::NoSpace);
        }
        self.n_used += 1;
        Ok(())
    }

    fn add(&mut self, n_bits: u32, bytes: &[u8], value: &[u8]) -> u32 {
        let slot = Some(self.take_slot(value));
        self.put(Node { n_bits, bytes: bytes.into(), children: [None; 2], slot })
    }

    fn take_slot(&mut self, value: &[u8]) -> u32 {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        let offset = slot as usize * self.stride();
        self.values.write(offset, value);
        slot
    }

    fn put(&mut self, node: Node) -> u32 {
        match self.free_nodes.pop() {
            Some(number) => {
                self.nodes[number as usize] = node;
                number
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    /// Makes a node the child of another, or the root.
    fn hang(&mut self, parent: Option<(u32, usize)>, child: Option<u32>) {
        match parent {
            Some((number, side)) => self.nodes[number as usize].children[side] = child,
            None => self.root = child,
        }
    }

    /// All keys and their slots, longer prefixes before the shorter ones that hold them, as the kernel walks them.
    pub(super) fn entries(&self) -> Vec<(Vec<u8>, u32)> {
        let mut all = Vec::new();
        let mut todo: Vec<(u32, bool)> = self.root.map(|root| (root, false)).into_iter().collect();
        while let Some((number, seen)) = todo.pop() {
            let node = &self.nodes[number as usize];
            if seen {
                if let Some(slot) = node.slot {
                    all.push(([&node.n_bits.to_ne_bytes()[..], &node.bytes].concat(), slot));
                }
                continue;
            }
            todo.push((number, true));
            todo.extend(node.children.iter().rev().flatten().map(|child| (*child, false)));
        }
        all
    }
}

/// Length and bytes of a key.
fn split(key: &[u8]) -> (u32, &[u8]) {
    let (length, bytes) = key.split_at(LENGTH_BYTES);
    (u32::from_ne_bytes([length[0], length[1], length[2], length[3]]), bytes)
}

/// Which way a bit leads; beyond the bytes there is only one.
fn bit(bytes: &[u8], index: u32) -> usize {
    let byte = bytes.get(index as usize / 8).copied().unwrap_or(0);
    usize::from(byte >> (7 - index % 8) & 1)
}

/// How many bits a node and a key have in common, from the first.
fn n_common(node: &Node, n_bits: u32, bytes: &[u8]) -> u32 {
    let limit = node.n_bits.min(n_bits);
    let mut common = 0;
    for (a, b) in node.bytes.iter().zip(bytes) {
        let equal = (a ^ b).leading_zeros();
        common += equal;
        if equal < 8 || common >= limit {
            break;
        }
    }
    common.min(limit)
}
