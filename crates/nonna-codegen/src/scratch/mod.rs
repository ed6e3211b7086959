//! Scratch memory: map values for private memory that the stack does not hold.
//!
//! A function that needs it claims an entry of its own map where the ways to all uses part, and releases it on every way from there
//! that needs it no more. A program can be interrupted by itself on the same processor, also in the middle of a claim, so an entry is taken by
//! exchanging a word in it: whoever finds 0 has it. Where all entries are taken the run is given up and counted.
//! A program that may sleep would keep entries from others for long, so its memory belongs to the task instead.

mod site;

use nonna_bpf::{AtomicOp, Helper, MapFlags, MapType, MemSize};
use nonna_event::DropReason;
use nonna_ir::{
    BinaryOp, Block, CompareOp, Entity, Function, FunctionBuilder, Inst, Jump, MapDecl, MapId, Module,
    Region, Slot, Terminator, Type, Value,
};
use rustc_hash::FxHashMap;

use crate::CodegenError;
use site::Site;

/// Bytes of a per-CPU map value at most (`PCPU_MIN_UNIT_SIZE` in include/linux/percpu.h).
pub const MAX_VALUE_BYTES: u32 = 32 * 1024;
/// The word at the start of the first map's values that says whether the entry is taken.
const TAKEN_BYTES: u32 = 8;
/// Slots beyond this are scratch memory in any case.
const STACK_SLOT_MAX_BYTES: u32 = 256;
/// Slots beyond this are scratch memory too where there is some anyway.
const SMALL_SLOT_BYTES: u32 = 64;

/// Which slots go to scratch memory so that those on the stack have `stack_bytes` together at most.
pub fn choose(function: &Function, stack_bytes: u32) -> Vec<Slot> {
    let is_big = |limit: u32| move |slot: &Slot| function.slots[*slot].bytes > limit;
    let mut chosen: Vec<Slot> = function.slots.keys().filter(is_big(STACK_SLOT_MAX_BYTES)).collect();
    let mut left: Vec<Slot> = function.slots.keys().filter(|slot| !chosen.contains(slot)).collect();
    left.sort_by_key(|slot| std::cmp::Reverse(function.slots[*slot].bytes));
    let mut bytes: u32 = left.iter().map(|slot| on_stack(function, *slot)).sum();
    for slot in left {
        let has_some = !chosen.is_empty();
        if bytes > stack_bytes || (has_some && function.slots[slot].bytes > SMALL_SLOT_BYTES) {
            bytes -= on_stack(function, slot);
            chosen.push(slot);
        }
    }
    chosen
}

/// Bytes of the slots that stay on the stack.
pub fn stack_bytes(function: &Function, scratch: &[Slot]) -> u32 {
    let stays = function.slots.keys().filter(|slot| !scratch.contains(slot));
    stays.map(|slot| on_stack(function, slot)).sum()
}

fn on_stack(function: &Function, slot: Slot) -> u32 {
    function.slots[slot].bytes.next_multiple_of(8)
}

/// Whose memory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The processor's, with so many entries.
    Processor {
        /// Entries.
        entries: u32,
    },
    /// The task's, made when it first runs the program.
    Task,
}

/// `BPF_LOCAL_STORAGE_GET_F_CREATE`
const CREATE: i64 = 1;

/// Where scratch slots are.
struct Layout {
    /// For each chosen slot, which map and how far into its values.
    places: Vec<(Slot, usize, u32)>,
    /// Bytes of each map's values.
    map_bytes: Vec<u32>,
}

impl Layout {
    /// Packs slots into values, the largest first.
    fn new(function: &Function, chosen: &[Slot]) -> Result<Self, CodegenError> {
        let mut layout = Layout { places: Vec::with_capacity(chosen.len()), map_bytes: vec![TAKEN_BYTES] };
        let mut order = chosen.to_vec();
        order.sort_by_key(|slot| (std::cmp::Reverse(function.slots[*slot].bytes), slot.idx()));
        for slot in order {
            let bytes = function.slots[slot].bytes.next_multiple_of(8);
            if bytes > MAX_VALUE_BYTES {
                return Err(CodegenError::SlotTooLarge {
                    function: function.name.clone(),
                    bytes,
                    limit: MAX_VALUE_BYTES,
                    span: None,
                });
            }
            let fits = layout.map_bytes.iter().position(|used| used + bytes <= MAX_VALUE_BYTES);
            let map = fits.unwrap_or_else(|| {
                layout.map_bytes.push(0);
                layout.map_bytes.len() - 1
            });
            layout.places.push((slot, map, layout.map_bytes[map]));
            layout.map_bytes[map] += bytes;
        }
        Ok(layout)
    }

    /// Makes the maps.
    fn declare(&self, module: &mut Module, name: &str, owner: Owner) -> Vec<MapId> {
        let (map_type, max_entries, flags) = match owner {
            Owner::Processor { entries } => (MapType::PercpuArray, entries, MapFlags::empty()),
            Owner::Task => (MapType::TaskStorage, 0, MapFlags::NO_PREALLOC),
        };
        let mut maps = Vec::with_capacity(self.map_bytes.len());
        for (nth, &value_bytes) in self.map_bytes.iter().enumerate() {
            let name = if nth == 0 { format!("scratch_{name}") } else { format!("scratch{nth}_{name}") };
            maps.push(module.maps.push(MapDecl {
                name,
                map_type,
                key_bytes: 4,
                value_bytes,
                max_entries,
                flags,
            }));
        }
        maps
    }
}

/// Moves slots of a function to scratch memory; the module gets the maps.
///
/// # Errors
///
/// [`CodegenError::SlotTooLarge`] where a slot fits no map value.
pub fn move_to_scratch(
    function: Function,
    chosen: &[Slot],
    module: &mut Module,
    owner: Owner,
) -> Result<Function, CodegenError> {
    if chosen.is_empty() {
        return Ok(function);
    }
    let layout = Layout::new(&function, chosen)?;
    let maps = layout.declare(module, &function.name, owner);
    let drops = crate::expand::drops_map(module);
    let n_events = u32::try_from(module.events.len()).expect("fewer than 2^32 events");
    let counter = DropReason::ScratchBusy.counter(n_events);
    let (site, function) = Site::of(function, chosen);
    let mut claim = Claim { b: FunctionBuilder::resume(function, site.block), owner, key: None, maps };
    let body = claim.move_body(&site);
    let bases = claim.write(body, (drops, counter));
    claim.redirect(&layout, &bases);
    claim.release(&site, body, bases[0]);
    let mut function = claim.b.finish();
    // What moved takes no stack; the numbers of the others stay.
    for (slot, ..) in &layout.places {
        function.slots[*slot].bytes = 0;
    }
    Ok(function)
}

/// Writes the claim of a function.
struct Claim {
    b: FunctionBuilder,
    owner: Owner,
    /// Address of the key, made by the first block.
    key: Option<Value>,
    maps: Vec<MapId>,
}

impl Claim {
    /// Empties the block of the claim; what it held goes to a new one, after the addresses that were computed too early.
    fn move_body(&mut self, site: &Site) -> Block {
        let body = self.b.new_block();
        let function = self.b.function_mut();
        for (home, id) in &site.early {
            function.blocks[*home].insts.retain(|other| other != id);
        }
        let params = std::mem::take(&mut function.blocks[site.block].params);
        let mut taken = std::mem::take(&mut function.blocks[site.block]);
        taken.insts.splice(0..0, site.early.iter().map(|(_, id)| *id));
        function.blocks[body] = taken;
        function.blocks[site.block].params = params;
        body
    }

    /// Tries one entry after the other; `body` goes on with what was claimed. Returns the base of each map's value.
    fn write(&mut self, body: Block, drops: (MapId, u32)) -> Vec<Value> {
        let entries = match self.owner {
            Owner::Processor { entries } => entries,
            Owner::Task => 1,
        };
        let slot = self.b.slot(4, 4);
        self.key = Some(self.b.slot_address(slot));
        let (claimed, none) = (self.b.new_block(), self.b.new_block());
        let base = self.b.block_param(claimed, Type::Pointer(Region::MapValue { nullable: false }));
        let (attempt, next) = (self.b.new_block(), self.b.new_block());
        let nth = self.b.block_param(attempt, Type::Int);
        let first = self.b.iconst(0);
        self.b.jump(attempt, &[first]);
        self.b.switch_to(attempt);
        self.store_key(nth);
        let value = self.entry(self.maps[0], none);
        let one = self.b.iconst(1);
        let (op, size) = (AtomicOp::Exchange, MemSize::DW);
        let exchange = Inst::Atomic { op, pointer: value, offset: 0, size, value: one, expected: None };
        let taken = self.b.inst(exchange, Type::Int);
        self.b.terminate(Terminator::Branch {
            condition: taken,
            then: Jump { block: next, args: Vec::new() },
            otherwise: Jump { block: claimed, args: vec![value] },
        });
        self.b.switch_to(next);
        let (one, end) = (self.b.iconst(1), self.b.iconst(i64::from(entries)));
        let following = self.b.binary(BinaryOp::Add, nth, one);
        let is_one_left = self.b.compare(CompareOp::Ult, following, end);
        self.b.terminate(Terminator::Branch {
            condition: is_one_left,
            then: Jump { block: attempt, args: vec![following] },
            otherwise: Jump { block: none, args: Vec::new() },
        });
        self.b.switch_to(claimed);
        let mut bases = vec![base];
        for nth in 1..self.maps.len() {
            bases.push(self.entry(self.maps[nth], none));
        }
        self.b.jump(body, &[]);
        self.give_up(none, drops);
        bases
    }

    fn store_key(&mut self, key: Value) {
        let pointer = self.key.expect("the key's address is made first");
        self.b.store(pointer, 0, MemSize::W, key);
    }

    /// An entry of scratch memory, in a new block; to `none` where there is none.
    fn entry(&mut self, map: MapId, none: Block) -> Value {
        if let Owner::Processor { .. } = self.owner {
            return self.look_up(map, none);
        }
        let map = self.b.map_handle(map);
        let task = self.b.call_helper(Helper::GET_CURRENT_TASK_BTF, &[]);
        let (nothing, create) = (self.b.iconst(0), self.b.iconst(CREATE));
        let found = self.b.call_helper(Helper::TASK_STORAGE_GET, &[map, task, nothing, create]);
        self.require(found, none)
    }

    /// The value under the key that was stored, in a new block; to `none` where there is no such value.
    fn look_up(&mut self, map: MapId, none: Block) -> Value {
        let key = self.key.expect("the key's address is made first");
        let found = self.b.map_lookup(map, key);
        self.require(found, none)
    }

    /// Goes on in a new block where a value is there.
    fn require(&mut self, found: Value, none: Block) -> Value {
        let there = self.b.new_block();
        self.b.branch(found, there, none);
        self.b.switch_to(there);
        self.b.cast(found, Type::Pointer(Region::MapValue { nullable: false }))
    }

    /// Counts what was given up, and returns 0: all went well, and nothing is denied.
    fn give_up(&mut self, none: Block, (drops, counter): (MapId, u32)) {
        self.b.switch_to(none);
        let counter = self.b.iconst(i64::from(counter));
        self.store_key(counter);
        let leave = self.b.new_block();
        let count = self.look_up(drops, leave);
        let one = self.b.iconst(1);
        self.b.atomic_add(count, 0, MemSize::DW, one);
        self.b.jump(leave, &[]);
        self.b.switch_to(leave);
        let zero = self.b.iconst(0);
        self.b.ret(zero);
    }

    /// Makes addresses of the slots that moved addresses in the claimed values.
    fn redirect(&mut self, layout: &Layout, bases: &[Value]) {
        let function = self.b.function_mut();
        let ids: Vec<_> = function.blocks.values().flat_map(|data| data.insts.clone()).collect();
        for id in ids {
            let Inst::SlotAddress(slot) = function.insts[id].inst else { continue };
            let Some((_, map, offset)) = layout.places.iter().find(|(moved, ..)| *moved == slot) else {
                continue;
            };
            let (map, offset) = (*map, i64::from(*offset));
            // The constant is made by the block that holds the claim, which comes before all others.
            let constant = constant_in_entry(function, offset);
            function.insts[id].inst = Inst::Binary { op: BinaryOp::Add, left: bases[map], right: constant };
            if let Some(result) = function.insts[id].result {
                function.values[result].value_type = Type::Pointer(Region::MapValue { nullable: false });
            }
        }
    }

    /// Gives the entry back at every return behind the claim, and on every way from there to what other ways lead to as well.
    fn release(&mut self, site: &Site, body: Block, base: Value) {
        let is_behind = |block: Block| site.behind.get(block.idx()).copied().unwrap_or(block == body);
        let mut doors: FxHashMap<Block, Block> = FxHashMap::default();
        let blocks = (0..=body.idx()).map(Block::from_idx);
        for block in blocks.filter(|block| *block != site.block && is_behind(*block)) {
            let (span, mut end) = {
                let data = &mut self.b.function_mut().blocks[block];
                (data.terminator_span, data.terminator.take())
            };
            self.b.at(span);
            match &mut end {
                Some(Terminator::Return(_)) => {
                    self.b.switch_to(block);
                    self.give_back(base);
                }
                Some(end) => {
                    for jump in end.jumps_mut().filter(|jump| !is_behind(jump.block)) {
                        jump.block = self.door(&mut doors, jump.block, base);
                    }
                }
                None => {}
            }
            let data = &mut self.b.function_mut().blocks[block];
            data.terminator = end;
            data.terminator_span = span;
        }
    }

    /// The block on all ways out of the claim to a block.
    fn door(&mut self, doors: &mut FxHashMap<Block, Block>, to: Block, base: Value) -> Block {
        if let Some(door) = doors.get(&to) {
            return *door;
        }
        let door = self.b.new_block();
        let function = self.b.function();
        let types: Vec<Type> =
            function.blocks[to].params.iter().map(|param| function.type_of(*param)).collect();
        let args: Vec<Value> =
            types.into_iter().map(|value_type| self.b.block_param(door, value_type)).collect();
        self.b.switch_to(door);
        self.give_back(base);
        self.b.jump(to, &args);
        doors.insert(to, door);
        door
    }

    fn give_back(&mut self, base: Value) {
        let zero = self.b.iconst(0);
        self.b.store(base, 0, MemSize::DW, zero);
    }
}

/// A constant defined at the start of the function.
fn constant_in_entry(function: &mut Function, constant: i64) -> Value {
    use nonna_ir::{InstData, ValueData, ValueDef};
    let id = function.insts.push(InstData { inst: Inst::Const(constant), result: None, span: None });
    let value = function.values.push(ValueData { value_type: Type::Int, def: ValueDef::Result(id) });
    function.insts[id].result = Some(value);
    let entry = function.entry();
    function.blocks[entry].insts.insert(0, id);
    value
}
