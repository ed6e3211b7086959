//! Random programs that mean something: what people write, with the mistakes that people make.
//!
//! A program is made of parts: numbers and their bounds, the context, the packet, maps, rings, sockets, branches, loops, functions. A third
//! of the programs is written without slips; in the others each part may do a little less, or a little more, than it should. The
//! seed decides everything. Whether a program is safe nobody knows here: that is what it is made to find out.

mod assembly;
mod control;
pub(crate) mod dice;
mod held;
mod hint;
mod kinds;
mod plain;
mod shrink;
mod writer;

use nonna_bpf::{FuncInfo, Hook, Insn, Map, MapExtra, MapFlags, MapIdx, MapType, Object, Program, Reg};
use nonna_btf::{BtfBuilder, IntEncoding, Linkage, Param};

use assembly::{Assembly, Label};
pub(crate) use dice::Dice;
pub use hint::with_bounded_quotients;
use kinds::KINDS;
pub use shrink::shrink;
use writer::{Function, Writer};

/// Bytes of a value of the two common maps.
const VALUE_BYTES: u32 = 48;
const ARRAY: MapIdx = MapIdx(0);
const HASH: MapIdx = MapIdx(1);
const RING: MapIdx = MapIdx(2);
const PROGRAMS: MapIdx = MapIdx(3);
const INNER: MapIdx = MapIdx(4);
const OUTER: MapIdx = MapIdx(5);
const QUEUE: MapIdx = MapIdx(6);

/// The program of a seed: an object with one program and the maps that it may use.
pub fn generate(seed: u64) -> Object {
    let mut dice = Dice::new(seed);
    let slips = dice.pick(&[0, 12, 30]);
    let kind = &KINDS[dice.below(KINDS.len() as u32) as usize];
    let mut code = Assembly::default();
    let (start, out) = (code.label(), code.label());
    let mut writer = Writer {
        dice,
        code,
        kind,
        slips,
        out,
        bounds: [None, None],
        region: None,
        functions: Vec::new(),
        depth: 0,
    };
    let starts = writer.program(start);
    let Writer { code, functions, .. } = writer;
    let (insns, relocations, slots) = code.finish(&starts);
    let (btf, types) = btf(&functions);
    let func_info = slots.into_iter().zip(types).map(|(slot, type_id)| FuncInfo { slot, type_id }).collect();
    let program = Program {
        name: format!("seed_{seed}"),
        section: kind.section.to_owned(),
        program_type: kind.program_type,
        attach_type: kind.attach_type,
        attach_target: None,
        hook: Hook::Section(kind.section.to_owned()),
        sleepable: false,
        insns,
        relocations,
        func_info,
        line_info: Vec::new(),
        locations: Vec::new(),
    };
    Object { license: "GPL".to_owned(), maps: maps(), programs: vec![program], btf }
}

impl Writer {
    /// Writes the whole program; the labels of its functions, the entry first.
    fn program(&mut self, start: Label) -> Vec<Label> {
        self.code.place(start);
        self.mov(Reg::R6, Reg::R1);
        self.mov(Reg::R7, 0);
        self.mov(Reg::R8, 1);
        if !self.slip() {
            self.mov(Reg::R9, 0);
        }
        self.write_stack();
        for _ in 0..2 + self.dice.below(9) {
            self.part();
        }
        self.end();
        // Jumped to or not: code that no path reaches is refused.
        let out = self.out;
        if self.code.is_named(out) {
            self.code.place(out);
            self.mov(Reg::R0, 0);
            self.insn(Insn::Exit);
        }
        let mut starts = vec![start];
        let mut next = 0;
        while let Some(&(label, function)) = self.functions.get(next) {
            self.code.place(label);
            starts.push(label);
            self.write_function(function);
            next += 1;
        }
        starts
    }

    /// One part of any kind.
    pub(self) fn part(&mut self) {
        if self.code.len() > 400 || self.depth > 3 {
            return self.arithmetic();
        }
        match self.dice.below(26) {
            0 | 1 => self.new_number(),
            2 | 3 => self.arithmetic(),
            4..=6 => self.bound(),
            7 | 8 => self.stack(),
            9 => self.context(),
            10..=12 => self.packet(),
            13..=15 => self.map_value(),
            16 => self.direct_value(),
            17 => self.ring_record(),
            18 => self.socket(),
            19 => self.branch(),
            20 => self.count(),
            21 => self.local_call(),
            22 => self.callback(),
            23 => match self.dice.below(6) {
                0 => self.map_update(),
                1 => self.ring_output(),
                2 => self.tail_call(),
                3 => self.inner_map(),
                4 => self.memory_helper(),
                _ => self.atomic(),
            },
            24 if self.slip() => self.wrong_pointer(),
            25 if self.slip() => self.wrong_call(),
            _ => self.bound(),
        }
    }

    /// Returns what this kind of program may return.
    fn end(&mut self) {
        if self.slip() {
            let source = self.dice.pick(&[Reg::R7, Reg::R10, Reg::R6, Reg::R5]);
            self.mov(Reg::R0, source);
        } else if self.slip() {
            self.mov(Reg::R0, -1);
        } else {
            let largest = self.kind.returns.min(4).unsigned_abs();
            let result = self.dice.below(largest + 1).cast_signed();
            self.mov(Reg::R0, result);
        }
        self.insn(Insn::Exit);
    }
}

/// The maps that every program may use.
fn maps() -> Vec<Map> {
    let map = |name: &str, map_type, key_size, value_size, max_entries| Map {
        name: name.to_owned(),
        map_type,
        key_size,
        value_size,
        max_entries,
        flags: MapFlags::empty(),
        inner: None,
        initial_value: None,
        frozen: false,
        btf_key_type_id: 0,
        btf_value_type_id: 0,
        extra: MapExtra::default(),
    };
    vec![
        map("array", MapType::Array, 4, VALUE_BYTES, 1),
        map("hash", MapType::Hash, 8, VALUE_BYTES, 16),
        map("ring", MapType::Ringbuf, 0, 0, 4096),
        map("programs", MapType::ProgArray, 4, 4, 4),
        map("inner", MapType::Array, 4, 8, 1),
        Map { inner: Some(INNER), ..map("outer", MapType::ArrayOfMaps, 4, 4, 1) },
        map("queue", MapType::Queue, 0, 8, 16),
    ]
}

/// Types of the functions: the entry takes a pointer, the others numbers. They are static, so that the kernel verifies them with
/// their callers.
fn btf(functions: &[(Label, Function)]) -> (Vec<u8>, Vec<u32>) {
    let mut btf = BtfBuilder::new();
    let int = btf.add_int("int", 4, IntEncoding::Signed);
    let long = btf.add_int("long", 8, IntEncoding::Signed);
    let void = btf.add_ptr(nonna_btf::TypeId::VOID);
    let entry = btf.add_func_proto(int, &[Param { name: "ctx", type_id: void }]);
    let mut types = vec![btf.add_func("entry", entry, Linkage::Global).0];
    for (_, function) in functions {
        let names: &[&str] = match function {
            Function::Sum | Function::Store | Function::Deep | Function::Round => &["a", "b"],
            Function::Entry => &["map", "key", "value", "given"],
        };
        let params: Vec<Param<'_>> = names.iter().map(|name| Param { name, type_id: long }).collect();
        let proto = btf.add_func_proto(long, &params);
        types.push(btf.add_func(&format!("{function:?}"), proto, Linkage::Static).0);
    }
    (btf.finish().expect("a handful of types always fits"), types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_program() {
        for seed in 0..500 {
            let object = generate(seed);
            assert_eq!(object, generate(seed));
            let program = &object.programs[0];
            nonna_bpf::encode(&program.insns).unwrap();
            assert!(program.insns.len() > 8, "{seed}");
        }
        assert_ne!(generate(1).programs[0].insns, generate(2).programs[0].insns);
    }
}
