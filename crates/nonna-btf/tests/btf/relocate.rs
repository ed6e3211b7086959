//! CO-RE between a made-up object and made-up kernels; expectations follow libbpf's rules.

use nonna_btf::{
    Btf, BtfBuilder, CoreRelocation, EnumValue, Error, IntEncoding, LoadSize, Member, Param,
    RelocationKind as K, Relocator, Resolution, TypeId,
};

use crate::writer::member;

/// Made-up types with the numbers of the basic ones.
struct Types {
    b: BtfBuilder,
    int: TypeId,
    uint: TypeId,
    ulong: TypeId,
    char_: TypeId,
}

fn types() -> Types {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", 4, IntEncoding::Signed);
    let uint = b.add_int("unsigned int", 4, IntEncoding::Unsigned);
    let ulong = b.add_int("unsigned long", 8, IntEncoding::Unsigned);
    let char_ = b.add_int("char", 1, IntEncoding::Char);
    Types { b, int, uint, ulong, char_ }
}

impl Types {
    fn done(&self) -> Btf {
        Btf::parse(self.b.finish().unwrap()).unwrap()
    }

    /// Opens the types and makes a function that resolves a relocation against `kernel`.
    fn against<'a>(
        &mut self,
        kernel: &'a Btf,
    ) -> impl FnMut(TypeId, &str, K) -> Result<Resolution, Error> + use<'a> {
        let texts = [
            "0",
            "0:0",
            "0:1",
            "0:2",
            "0:3",
            "0:1:2",
            "0:1:5",
            "0:2:9",
            "1:0",
            "1",
            "2",
            "x",
            "",
            "4294967295:0",
            "0:9",
            "0:0:0",
        ];
        let offsets: Vec<(&str, u32)> = texts.iter().map(|text| (*text, self.b.string(text))).collect();
        let local = self.done();
        move |type_id, text, kind| {
            let access = offsets.iter().find(|(known, _)| *known == text).unwrap().1;
            let relocation = CoreRelocation { offset_bytes: 0, type_id, access, kind };
            Relocator::new(&local, kernel, []).resolve(&relocation)
        }
    }
}

fn value(resolution: Result<Resolution, Error>) -> (u64, Option<u64>) {
    let resolution = resolution.unwrap();
    (resolution.original, resolution.value)
}

#[test]
fn fields_are_found_by_name_through_anonymous_members_whatever_their_place() {
    let mut local = types();
    let comm = local.b.add_array(local.char_, local.int, 16);
    let task = local.b.add_struct(
        "task___mine",
        32,
        &[
            member("pid", local.int, 0),
            member("comm", comm, 32),
            member("gone", local.int, 160),
            member("flags", local.uint, 192),
        ],
    );
    let mut kernel = types();
    let comm = kernel.b.add_array(kernel.char_, kernel.int, 4);
    let inner = kernel.b.add_union("", 8, &[member("other", kernel.ulong, 0), member("pid", kernel.int, 0)]);
    let inner = kernel.b.add_struct("", 16, &[member("pad", kernel.ulong, 0), member("", inner, 64)]);
    let task_there = kernel.b.add_struct(
        "task",
        64,
        &[member("comm", comm, 0), member("", inner, 64), member("flags", kernel.ulong, 256)],
    );
    let kernel = kernel.done();
    let mut resolve = local.against(&kernel);

    assert_eq!(value(resolve(task, "0:0", K::FieldByteOffset)), (0, Some(16)));
    assert_eq!(value(resolve(task, "0:0", K::FieldByteSize)), (4, Some(4)));
    assert_eq!(value(resolve(task, "0:0", K::FieldExists)), (1, Some(1)));
    assert_eq!(value(resolve(task, "0:0", K::FieldSigned)), (1, Some(1)));
    assert_eq!(value(resolve(task, "0:0", K::FieldLeftShift)), (32, Some(32)));
    assert_eq!(value(resolve(task, "0:0", K::FieldRightShift)), (32, Some(32)));
    // An index is kept, and must exist in the kernel's shorter array.
    assert_eq!(value(resolve(task, "0:1:2", K::FieldByteOffset)), (6, Some(2)));
    assert_eq!(value(resolve(task, "0:1:5", K::FieldByteOffset)), (9, None));
    assert_eq!(value(resolve(task, "0:1:5", K::FieldExists)), (1, Some(0)));
    // The second task in an array of tasks lies a kernel's task further.
    assert_eq!(value(resolve(task, "1:0", K::FieldByteOffset)), (32, Some(64 + 16)));
    assert_eq!(value(resolve(task, "0:2", K::FieldByteOffset)), (20, None));
    assert_eq!(value(resolve(task, "0:2", K::FieldExists)), (1, Some(0)));
    let wider = resolve(task, "0:3", K::FieldByteOffset).unwrap();
    assert_eq!(
        (wider.value, wider.load),
        (Some(32), Some(LoadSize { original_bytes: 4, bytes: 8, is_safe: true }))
    );
    assert_eq!(wider.found, Some((0, task_there)));

    assert_eq!(value(resolve(task, "0", K::TypeExists)), (1, Some(1)));
    assert_eq!(value(resolve(task, "0", K::TypeSize)), (32, Some(64)));
    assert_eq!(value(resolve(task, "0", K::TypeIdTarget)), (task.0.into(), Some(task_there.0.into())));
    assert_eq!(value(resolve(task, "0", K::TypeIdLocal)), (task.0.into(), Some(task.0.into())));
    assert_eq!(value(resolve(task, "0", K::TypeMatches)), (1, Some(0)));
    assert!(!resolve(task, "0", K::TypeIdTarget).unwrap().must_hold_original);
}

#[test]
fn what_the_kernel_lacks_is_zero_or_refused() {
    let mut local = types();
    let values = [EnumValue { name: "A", value: 7 }, EnumValue { name: "B___v2", value: -3 }];
    let lost = local.b.add_struct("lost", 8, &[member("x", local.int, 0)]);
    let lost_enum = local.b.add_enum("lost_enum", 4, true, &values);
    let kept = local.b.add_enum("kept", 4, true, &values);
    let mut kernel = types();
    kernel.b.add_enum64("kept", 8, true, &[EnumValue { name: "B", value: i128::from(i64::MIN) }]);
    kernel.b.add_union("lost", 8, &[]);
    let kernel = kernel.done();
    let mut resolve = local.against(&kernel);
    for (kind, expected) in [
        (K::FieldByteOffset, None),
        (K::FieldByteSize, None),
        (K::FieldSigned, None),
        (K::FieldLeftShift, None),
        (K::FieldRightShift, None),
        (K::FieldExists, Some(0)),
    ] {
        assert_eq!(resolve(lost, "0:0", kind).unwrap().value, expected, "{kind:?}");
    }
    for kind in [K::TypeExists, K::TypeSize, K::TypeIdTarget, K::TypeMatches] {
        assert_eq!(resolve(lost, "0", kind).unwrap().value, Some(0), "{kind:?}");
    }
    assert_eq!(value(resolve(lost_enum, "0", K::EnumValueExists)), (1, Some(0)));
    assert_eq!(value(resolve(lost_enum, "0", K::EnumValue)), (7, None));
    assert_eq!(value(resolve(kept, "0", K::EnumValue)), (7, None));
    // Flavors of values are ignored, and an enumeration may have grown to 64 bits.
    assert_eq!(value(resolve(kept, "1", K::EnumValueExists)), (1, Some(1)));
    assert_eq!(value(resolve(kept, "1", K::EnumValue)), (-3i64 as u64, Some(1 << 63)));
}

#[test]
fn bit_fields_are_read_by_the_unit_that_holds_them() {
    let bits = |name, type_id, bit_offset, bit_width| Member { name, type_id, bit_offset, bit_width };
    let mut local = types();
    let s = local.b.add_struct(
        "s",
        8,
        &[bits("a", local.uint, 0, 3), bits("b", local.uint, 3, 4), member("c", local.int, 32)],
    );
    let mut kernel = types();
    kernel.b.add_struct(
        "s",
        16,
        &[
            member("pad", kernel.int, 0),
            bits("b", kernel.uint, 60, 7),
            bits("a", kernel.int, 70, 2),
            bits("c", kernel.int, 96, 5),
        ],
    );
    let kernel = kernel.done();
    let mut resolve = local.against(&kernel);
    // 7 bits from bit 60 cross the 4-byte and the 8-byte unit: no load reads them.
    assert!(matches!(resolve(s, "0:1", K::FieldByteOffset), Err(Error::BadRelocation { .. })));
    assert_eq!(value(resolve(s, "0:1", K::FieldExists)), (1, Some(1)));
    assert_eq!(value(resolve(s, "0:0", K::FieldByteOffset)), (0, Some(8)));
    assert_eq!(value(resolve(s, "0:0", K::FieldByteSize)), (4, Some(4)));
    assert_eq!(value(resolve(s, "0:0", K::FieldLeftShift)), (61, Some(64 - 8)));
    assert_eq!(value(resolve(s, "0:0", K::FieldRightShift)), (61, Some(62)));
    assert_eq!(value(resolve(s, "0:0", K::FieldSigned)), (0, Some(1)));
    let offset = resolve(s, "0:0", K::FieldByteOffset).unwrap();
    assert_eq!((offset.must_hold_original, offset.load), (false, None));
    assert!(resolve(s, "0:0", K::FieldRightShift).unwrap().must_hold_original);
    // A plain load cannot become the load of a bit field.
    let lost = resolve(s, "0:2", K::FieldByteOffset).unwrap().load.unwrap();
    assert_eq!((lost.original_bytes, lost.is_safe), (4, false));
}

#[test]
fn types_of_fields_must_go_together() {
    let mut local = types();
    let ptr = local.b.add_ptr(local.int);
    let (array, fwd) = (local.b.add_array(local.int, local.int, 4), local.b.add_fwd("f___x", false));
    let named = local.b.add_enum("e", 4, false, &[]);
    let unnamed = local.b.add_enum("", 4, false, &[]);
    let inner = local.b.add_struct("", 8, &[member("y", local.int, 0)]);
    let alias = local.b.add_typedef("alias", local.uint);
    let alias = local.b.add_const(alias);
    let mut kernel = types();
    let to_void = kernel.b.add_ptr(TypeId::VOID);
    let of_ptr = kernel.b.add_array(to_void, kernel.int, 4);
    let of_long = kernel.b.add_array(kernel.ulong, kernel.int, 9);
    let other_fwd = kernel.b.add_fwd("f", false);
    let named_there = kernel.b.add_enum("e___k", 4, false, &[]);
    let other_enum = kernel.b.add_enum64("z", 8, false, &[]);
    let as_union = kernel.b.add_union("", 8, &[]);
    let pairs = [
        (ptr, to_void, true),
        (ptr, kernel.ulong, false),
        (array, of_long, true),
        (array, of_ptr, false),
        (fwd, other_fwd, true),
        (named, named_there, true),
        (named, other_enum, false),
        (unnamed, other_enum, true),
        (inner, as_union, true),
        (inner, kernel.int, false),
        (alias, kernel.ulong, true),
    ];
    let mut asked = Vec::new();
    for (nth, (here, there, compatible)) in pairs.into_iter().enumerate() {
        let name = format!("holder{nth}");
        asked.push((local.b.add_struct(&name, 8, &[member("m", here, 0)]), compatible));
        kernel.b.add_struct(&name, 16, &[member("m", there, 64)]);
    }
    let kernel = kernel.done();
    let mut resolve = local.against(&kernel);
    for (nth, (id, compatible)) in asked.into_iter().enumerate() {
        assert_eq!(value(resolve(id, "0:0", K::FieldExists)).1, Some(u64::from(compatible)), "pair {nth}");
    }
}

#[test]
fn matching_is_stricter_than_existing() {
    let make = |b: &mut Types, size: u32, extra: &[&str], through: bool| {
        let inner =
            b.b.add_struct("inner", size, &[member("v", if size == 8 { b.ulong } else { b.uint }, 0)]);
        let held = if through { b.b.add_ptr(inner) } else { inner };
        let mut members = vec![member("held", held, 0)];
        members.extend(extra.iter().map(|name| member(name, b.int, 64)));
        b.b.add_struct(if through { "by_pointer" } else { "by_value" }, 16, &members)
    };
    let mut local = types();
    let (by_value, by_pointer) = (make(&mut local, 4, &["n"], false), make(&mut local, 4, &["n"], true));
    let hook = local.b.add_func_proto(local.int, &[Param { name: "x", type_id: local.ulong }]);
    let hook = local.b.add_ptr(hook);
    let hook = local.b.add_typedef("hook_t", hook);
    let values = [EnumValue { name: "ONE", value: 1 }];
    let choice = local.b.add_enum("choice", 4, false, &values);
    let run = |inner_bytes: u32, extra: &[&str], arg_is_long: bool, value: &str| {
        let mut local = Types { b: local.b.clone(), ..local };
        let mut kernel = types();
        make(&mut kernel, inner_bytes, extra, false);
        make(&mut kernel, inner_bytes, extra, true);
        let arg = if arg_is_long { kernel.ulong } else { kernel.uint };
        let proto = kernel.b.add_func_proto(kernel.int, &[Param { name: "y", type_id: arg }]);
        let proto = kernel.b.add_ptr(proto);
        kernel.b.add_typedef("hook_t", proto);
        kernel.b.add_enum("choice", 4, true, &[EnumValue { name: value, value: 99 }]);
        let kernel = kernel.done();
        let mut resolve = local.against(&kernel);
        let mut ask = |id, kind| resolve(id, "0", kind).unwrap().value.unwrap();
        assert_eq!([by_value, by_pointer, hook, choice].map(|id| ask(id, K::TypeExists)), [1, 1, 1, 1]);
        [by_value, by_pointer, hook, choice].map(|id| ask(id, K::TypeMatches))
    };
    assert_eq!(run(4, &["m", "n"], true, "ONE"), [1, 1, 1, 1]);
    // Another size counts by value only; a missing member always; a parameter's size; a value's name.
    assert_eq!(run(8, &["n"], true, "ONE"), [0, 1, 1, 1]);
    assert_eq!(run(4, &["m"], true, "ONE"), [0, 0, 1, 1]);
    assert_eq!(run(4, &["n"], false, "ONE"), [1, 1, 0, 1]);
    assert_eq!(run(4, &["n"], true, "TWO"), [1, 1, 1, 0]);
}

#[test]
fn several_candidates_must_agree_and_modules_come_second() {
    let mut local = types();
    let s = local.b.add_struct("s", 8, &[member("x", local.int, 0), member("y", local.int, 32)]);
    let only_module = local.b.add_struct("only_module", 8, &[member("x", local.int, 0)]);
    let access = [local.b.string("0:0"), local.b.string("0:1")];
    let local = local.done();
    let mut kernel = types();
    kernel.b.add_struct("s", 8, &[member("x", kernel.int, 32), member("y", kernel.int, 64)]);
    kernel.b.add_struct("s", 99, &[member("x", kernel.int, 32), member("y", kernel.int, 96)]);
    kernel.b.add_struct("s___other", 8, &[member("unrelated", kernel.int, 0)]);
    let kernel = kernel.done();
    let module = |offset| {
        let mut b = BtfBuilder::split(&kernel);
        b.add_struct("s", 8, &[member("x", TypeId(1), 999)]);
        let id = b.add_struct("only_module", 8, &[member("x", TypeId(1), offset)]);
        (Btf::parse_split(b.finish().unwrap(), &kernel).unwrap(), id)
    };
    let ((first, _), (second, id)) = (module(64), module(64));
    let mut relocator = Relocator::new(&local, &kernel, [&first, &second]);
    relocator.prepare([s, only_module]).unwrap();
    let mut resolve = |type_id, nth: usize| {
        relocator.resolve(&CoreRelocation {
            offset_bytes: 0,
            type_id,
            access: access[nth],
            kind: K::FieldByteOffset,
        })
    };
    assert_eq!(value(resolve(s, 0)), (0, Some(4)));
    assert!(matches!(resolve(s, 1), Err(Error::AmbiguousRelocation { .. })));
    let found = resolve(only_module, 0).unwrap();
    assert_eq!((found.value, found.found), (Some(8), Some((1, id))));
}

#[test]
fn relocations_that_make_no_sense_are_errors() {
    let mut local = types();
    let flexible = local.b.add_array(local.int, local.int, 0);
    let s = local.b.add_struct("s", 8, &[member("x", local.int, 0), member("last", flexible, 64)]);
    let t = local.b.add_struct("t", 8, &[member("first", flexible, 0), member("x", local.int, 64)]);
    let huge = local.b.add_struct("huge", 1 << 28, &[member("x", local.int, u32::MAX - 7)]);
    let anonymous = local.b.add_struct("", 8, &[member("x", local.int, 0)]);
    let mut kernel = types();
    let flexible = kernel.b.add_array(kernel.int, kernel.int, 0);
    kernel.b.add_struct("s", 8, &[member("last", flexible, 32)]);
    let kernel = kernel.done();
    let mut resolve = local.against(&kernel);
    let mut bad = |id, text: &str, kind| {
        let error = resolve(id, text, kind).unwrap_err();
        assert!(matches!(error, Error::BadRelocation { .. }), "{error}");
    };
    bad(s, "x", K::FieldByteOffset);
    bad(s, "", K::FieldByteOffset);
    bad(s, "0:9", K::FieldByteOffset);
    bad(s, "0:0:0", K::FieldByteOffset);
    bad(s, "0:0", K::TypeExists);
    bad(s, "0", K::EnumValue);
    bad(t, "0:0:0", K::FieldByteOffset);
    bad(anonymous, "0:0", K::FieldByteOffset);
    bad(s, "0:1:2", K::FieldSigned);
    // The last member may be reached into at any index, here and in the kernel.
    assert_eq!(value(resolve(s, "0:1:2", K::FieldByteOffset)), (16, Some(12)));
    assert!(matches!(resolve(huge, "4294967295:0", K::FieldByteOffset), Err(Error::Overflow { .. })));
    assert!(matches!(resolve(TypeId(999), "0", K::TypeExists), Err(Error::NoSuchType { .. })));
}
