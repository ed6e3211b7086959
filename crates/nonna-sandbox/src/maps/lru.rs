//! Which element goes when an LRU map is full: the kernel's approximation of "least recently used".
//!
//! Elements stand in lists: free, inactive, active; being looked up only sets a mark. A rotation moves marked ones to the
//! active list and unmarked ones back, and what is unmarked at the end of the inactive list goes first. With a common
//! list, each processor takes free elements in batches and keeps the newest ones on a list of its own (`kernel/bpf/bpf_lru_list.c`,
//! 6.12). Which key an element has is not known here.

/// Elements that a processor takes from the common list at once, at most.
const MAX_BATCH: u32 = 128;
/// Elements that one rotation looks at, with the common list.
const COMMON_SCANS: u32 = 128;
/// The same with a list for each processor, and how many go at once then.
const OWN_SCANS: u32 = 4;

/// Lists of one shared set.
const ACTIVE: u32 = 0;
const INACTIVE: u32 = 1;
const FREE: u32 = 2;
const LISTS: u32 = 3;

#[derive(Debug, Clone, Copy)]
struct Node {
    previous: u32,
    next: u32,
    /// Its list, by the node that is its head.
    list: u32,
    processor: u32,
    marked: bool,
}

/// Active, inactive and free elements.
#[derive(Debug, Clone, Copy)]
struct Set {
    /// First of its three heads.
    heads: u32,
    n_active: u32,
    n_inactive: u32,
    /// Where the next rotation of inactive elements begins.
    rotation: u32,
    /// Elements that were never used: at the end of the free list, but not in it.
    n_fresh: u32,
}

/// The lists of one map.
#[derive(Debug)]
pub(super) struct Lru {
    /// Heads of lists first, then elements as far as they were ever used.
    nodes: Vec<Node>,
    n_heads: u32,
    /// One, or one for each processor.
    sets: Vec<Set>,
    /// With the common set: for each processor, from which one it steals next.
    steal_from: Vec<u32>,
    batch: u32,
    n_scans: u32,
    /// Elements that had to go, until the owner asks.
    evicted: Vec<u32>,
}

impl Lru {
    /// For `n_elements` elements; `common` says whether processors share them.
    pub(super) fn new(n_elements: u32, n_processors: u32, common: bool) -> Lru {
        let n_sets = if common { 1 } else { n_processors };
        let n_heads = n_sets * LISTS + if common { 2 * n_processors } else { 0 };
        let head = |at| Node { previous: at, next: at, list: at, processor: 0, marked: false };
        let set = |number: u32| Set {
            heads: number * LISTS,
            n_active: 0,
            n_inactive: 0,
            rotation: number * LISTS + INACTIVE,
            n_fresh: n_elements / n_sets,
        };
        Lru {
            nodes: (0..n_heads).map(head).collect(),
            n_heads,
            sets: (0..n_sets).map(set).collect(),
            steal_from: if common { (0..n_processors).collect() } else { Vec::new() },
            batch: (n_elements / n_processors / 2).clamp(1, MAX_BATCH),
            n_scans: if common { COMMON_SCANS } else { OWN_SCANS },
            evicted: Vec::new(),
        }
    }

    /// An element was looked up.
    #[inline]
    pub(super) fn mark(&mut self, element: u32) {
        self.nodes[(element + self.n_heads) as usize].marked = true;
    }

    /// Takes an element for a new entry; [`Lru::evicted`] says which ones had to go for it.
    pub(super) fn take(&mut self, processor: u32) -> Option<u32> {
        let node = if self.is_common() { self.take_common(processor) } else { self.take_own(processor) };
        Some(node? - self.n_heads)
    }

    /// Elements that went since the last question.
    pub(super) fn evicted(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.evicted)
    }

    /// Gives an element back.
    pub(super) fn give_back(&mut self, element: u32) {
        let node = element + self.n_heads;
        let Node { list, processor, .. } = self.nodes[node as usize];
        if self.is_common() && list == self.pending(processor) {
            self.nodes[node as usize].marked = false;
            self.unlink(node);
            self.link(node, self.local_free(processor));
            return;
        }
        let set = if self.is_common() { 0 } else { processor as usize };
        self.move_within(set, node, FREE);
    }

    fn is_common(&self) -> bool {
        !self.steal_from.is_empty()
    }

    fn local_free(&self, processor: u32) -> u32 {
        LISTS + 2 * processor
    }

    fn pending(&self, processor: u32) -> u32 {
        LISTS + 2 * processor + 1
    }

    fn take_own(&mut self, processor: u32) -> Option<u32> {
        let number = processor as usize % self.sets.len();
        self.rotate(number);
        let free = self.sets[number].heads + FREE;
        if self.is_empty(free) && self.sets[number].n_fresh == 0 {
            self.shrink(number, OWN_SCANS, free);
        }
        let node = match self.first(free) {
            Some(node) => node,
            None => self.fresh(number, free)?,
        };
        self.nodes[node as usize].processor = number as u32;
        self.move_within(number, node, INACTIVE);
        Some(node)
    }

    fn take_common(&mut self, processor: u32) -> Option<u32> {
        let processor = processor % self.steal_from.len() as u32;
        let local = self.local_free(processor);
        if self.is_empty(local) {
            self.refill(processor);
        }
        let node = match self.first(local) {
            Some(node) => node,
            None => self.steal(processor)?,
        };
        self.unlink(node);
        self.nodes[node as usize].processor = processor;
        self.nodes[node as usize].marked = false;
        self.link(node, self.pending(processor));
        Some(node)
    }

    /// Gets a batch of free elements from the common set, after the processor's new ones have joined it.
    fn refill(&mut self, processor: u32) {
        let (pending, local) = (self.pending(processor), self.local_free(processor));
        while let Some(node) = self.last(pending) {
            let to = if self.nodes[node as usize].marked { ACTIVE } else { INACTIVE };
            self.unlink(node);
            self.nodes[node as usize].marked = false;
            self.link(node, self.sets[0].heads + to);
            self.count(0, to, 1);
        }
        self.rotate(0);
        let mut n_taken = 0;
        while n_taken < self.batch {
            match self.first(self.sets[0].heads + FREE) {
                Some(node) => {
                    self.unlink(node);
                    self.link(node, local);
                }
                None if self.fresh(0, local).is_some() => {}
                None => break,
            }
            n_taken += 1;
        }
        if n_taken < self.batch {
            self.shrink(0, self.batch - n_taken, local);
        }
    }

    /// Takes a free or a new element of any processor, in turn.
    fn steal(&mut self, processor: u32) -> Option<u32> {
        let n = self.steal_from.len() as u32;
        let first = self.steal_from[processor as usize];
        let mut victim = first;
        let found = loop {
            let found = self.first(self.local_free(victim)).or_else(|| self.oldest_pending(victim));
            victim = (victim + 1) % n;
            if found.is_some() || victim == first {
                break found;
            }
        };
        self.steal_from[processor as usize] = victim;
        found
    }

    /// The oldest new element of a processor, an unmarked one if there is any; it goes.
    fn oldest_pending(&mut self, processor: u32) -> Option<u32> {
        let head = self.pending(processor);
        let mut node = self.nodes[head as usize].previous;
        while node != head && self.nodes[node as usize].marked {
            node = self.nodes[node as usize].previous;
        }
        let found = if node == head { self.last(head)? } else { node };
        self.evicted.push(found - self.n_heads);
        Some(found)
    }

    fn rotate(&mut self, number: usize) {
        if self.sets[number].n_inactive < self.sets[number].n_active {
            self.rotate_active(number);
        }
        self.rotate_inactive(number);
    }

    /// From the end of the active list: marked ones go to its front and lose the mark, others become inactive.
    fn rotate_active(&mut self, number: usize) {
        let head = self.sets[number].heads + ACTIVE;
        let Some(first) = self.first(head) else { return };
        let mut node = self.nodes[head as usize].previous;
        for _ in 0..self.n_scans {
            let Node { previous, marked, .. } = self.nodes[node as usize];
            self.move_within(number, node, if marked { ACTIVE } else { INACTIVE });
            if node == first {
                break;
            }
            node = previous;
        }
    }

    /// From where the last rotation ended: marked inactive ones become active.
    fn rotate_inactive(&mut self, number: usize) {
        let head = self.sets[number].heads + INACTIVE;
        if self.is_empty(head) {
            return;
        }
        let mut last = self.nodes[self.sets[number].rotation as usize].next;
        if last == head {
            last = self.nodes[last as usize].next;
        }
        let (mut node, mut next, mut n_seen) = (self.sets[number].rotation, head, 0);
        while n_seen < self.n_scans {
            if node == head {
                node = self.nodes[node as usize].previous;
                continue;
            }
            next = self.nodes[node as usize].previous;
            if self.nodes[node as usize].marked {
                self.move_within(number, node, ACTIVE);
            }
            if node == last {
                break;
            }
            node = next;
            n_seen += 1;
        }
        self.sets[number].rotation = next;
    }

    /// Lets up to `n_wanted` unmarked inactive elements go to a list of free ones; if there is none, any one.
    fn shrink(&mut self, number: usize, n_wanted: u32, free: u32) {
        let heads = self.sets[number].heads;
        let (mut node, mut n_gone) = (self.nodes[(heads + INACTIVE) as usize].previous, 0);
        for _ in 0..self.n_scans {
            if node == heads + INACTIVE {
                break;
            }
            let Node { previous, marked, .. } = self.nodes[node as usize];
            if marked {
                self.move_within(number, node, ACTIVE);
            } else {
                self.let_go(number, node, free);
                n_gone += 1;
                if n_gone == n_wanted {
                    break;
                }
            }
            node = previous;
        }
        if n_gone == 0
            && let Some(node) = self.last(heads + INACTIVE).or_else(|| self.last(heads + ACTIVE))
        {
            self.let_go(number, node, free);
        }
    }

    fn let_go(&mut self, number: usize, node: u32, free: u32) {
        self.evicted.push(node - self.n_heads);
        self.leave(number, node);
        self.link(node, free);
    }

    /// Moves an element to the front of a list of its set, unmarked.
    fn move_within(&mut self, number: usize, node: u32, to: u32) {
        self.nodes[node as usize].marked = false;
        self.leave(number, node);
        self.link(node, self.sets[number].heads + to);
        self.count(number, to, 1);
    }

    /// Takes an element out of the list of its set that it is in.
    fn leave(&mut self, number: usize, node: u32) {
        if self.sets[number].rotation == node {
            self.sets[number].rotation = self.nodes[node as usize].previous;
        }
        let from = self.nodes[node as usize].list - self.sets[number].heads;
        self.count(number, from, -1);
        self.unlink(node);
    }

    fn count(&mut self, number: usize, list: u32, change: i32) {
        let set = &mut self.sets[number];
        match list {
            ACTIVE => set.n_active = set.n_active.wrapping_add_signed(change),
            INACTIVE => set.n_inactive = set.n_inactive.wrapping_add_signed(change),
            _ => {}
        }
    }

    /// An element that was never used.
    fn fresh(&mut self, number: usize, list: u32) -> Option<u32> {
        self.sets[number].n_fresh = self.sets[number].n_fresh.checked_sub(1)?;
        let node = self.nodes.len() as u32;
        self.nodes.push(Node { previous: node, next: node, list, processor: 0, marked: false });
        self.link(node, list);
        Some(node)
    }

    fn first(&self, head: u32) -> Option<u32> {
        Some(self.nodes[head as usize].next).filter(|node| *node != head)
    }

    fn last(&self, head: u32) -> Option<u32> {
        Some(self.nodes[head as usize].previous).filter(|node| *node != head)
    }

    fn is_empty(&self, head: u32) -> bool {
        self.first(head).is_none()
    }

    fn unlink(&mut self, node: u32) {
        let Node { previous, next, .. } = self.nodes[node as usize];
        self.nodes[previous as usize].next = next;
        self.nodes[next as usize].previous = previous;
    }

    /// Puts an element that is in no list in front of one.
    fn link(&mut self, node: u32, head: u32) {
        let first = self.nodes[head as usize].next;
        self.nodes[first as usize].previous = node;
        self.nodes[head as usize].next = node;
        let entry = &mut self.nodes[node as usize];
        (entry.previous, entry.next, entry.list) = (head, first, head);
    }
}
