//! What the writer makes, the reader reads.

use nonna_btf::{
    Btf, BtfBuilder, BtfExt, ByteOrder, CoreRelocation, EnumValue, Error, ExtSection, FuncInfo, IntEncoding,
    Kind, LineInfo, Linkage, Member, Offsets, Param, RelocationKind, SectionVar, Type, TypeId,
};
use proptest::prelude::*;

use crate::kernel_btf;

pub(crate) fn member(name: &str, type_id: TypeId, bit_offset: u32) -> Member<'_> {
    Member { name, type_id, bit_offset, bit_width: 0 }
}

/// Everything about every type, with numbers as they are.
fn described(btf: &Btf) -> Vec<String> {
    let mut lines = Vec::new();
    for raw in btf.first_own().0..btf.end().0 {
        let mut line = match btf.ty(TypeId(raw)).unwrap() {
            Type::Struct(found) => format!("struct {} {}", found.name, found.size_bytes),
            Type::Union(found) => format!("union {} {}", found.name, found.size_bytes),
            Type::Enum(found) => format!("enum {} {} {}", found.name, found.size_bytes, found.is_signed),
            Type::Enum64(found) => format!("enum64 {} {} {}", found.name, found.size_bytes, found.is_signed),
            Type::FuncProto(found) => format!("proto {:?}", found.return_type),
            Type::DataSec(found) => format!("section {} {}", found.name, found.size_bytes),
            plain => format!("{plain:?}"),
        };
        match btf.ty(TypeId(raw)).unwrap() {
            Type::Struct(found) | Type::Union(found) => {
                found.members().for_each(|member| line += &format!("{member:?}"));
            }
            Type::Enum(found) | Type::Enum64(found) => {
                found.values().for_each(|value| line += &format!("{value:?}"));
            }
            Type::FuncProto(found) => found.params().for_each(|param| line += &format!("{param:?}")),
            Type::DataSec(found) => found.vars().for_each(|var| line += &format!("{var:?}")),
            _ => {}
        }
        lines.push(line);
    }
    lines
}

/// Every kind of type once.
fn of_every_kind(order: ByteOrder) -> BtfBuilder {
    let mut b = BtfBuilder::with_order(order);
    let int = b.add_int("int", 4, IntEncoding::Signed);
    let u64_ = b.add_int("long unsigned int", 8, IntEncoding::Unsigned);
    let char_ = b.add_int("char", 1, IntEncoding::Char);
    b.add_int("_Bool", 1, IntEncoding::Bool);
    let node = b.reserve();
    let to_node = b.add_ptr(node);
    let name = b.add_array(char_, u64_, 16);
    let rcu = b.add_type_tag("rcu", node);
    let to_rcu = b.add_ptr(rcu);
    let inner = b.add_union("", 8, &[member("number", u64_, 0), member("next_rcu", to_rcu, 0)]);
    let flags = |name, bit_offset, bit_width| Member { name, type_id: int, bit_offset, bit_width };
    let members = [
        member("next", to_node, 0),
        member("", inner, 64),
        member("name", name, 128),
        flags("low", 256, 3),
        flags("high", 259, 9),
    ];
    b.fill(node, Kind::Struct, "node", 40, &members);
    let value = |name, value| EnumValue { name, value };
    b.add_enum("color", 4, false, &[value("RED", 0), value("LAST", 0xffff_ffff)]);
    b.add_enum("sign", 4, true, &[value("MINUS", -1)]);
    b.add_enum64("big", 8, false, &[value("TOP", 0xffff_ffff_ffff_ffff)]);
    b.add_enum64("big_sign", 8, true, &[value("BOTTOM", i128::from(i64::MIN))]);
    b.add_fwd("opaque", false);
    b.add_fwd("opaque_union", true);
    let handle = b.add_typedef("handle_t", to_node);
    let constant = b.add_const(char_);
    let text = b.add_ptr(constant);
    let text = b.add_restrict(text);
    b.add_volatile(int);
    let proto = b.add_func_proto(
        int,
        &[
            Param { name: "h", type_id: handle },
            Param { name: "fmt", type_id: text },
            Param { name: "", type_id: TypeId::VOID },
        ],
    );
    let func = b.add_func("print", proto, Linkage::Global);
    let var = b.add_var("counter", u64_, Linkage::Static);
    b.add_datasec(".bss", 8, &[SectionVar { type_id: var, offset_bytes: 0, size_bytes: 8 }]);
    b.add_float("double", 8);
    b.add_decl_tag("hot", func, None);
    b.add_decl_tag("arg", func, Some(1));
    b
}

#[test]
fn every_kind_reads_back_in_both_byte_orders() {
    let little = Btf::parse(of_every_kind(ByteOrder::Little).finish().unwrap()).unwrap();
    let big = Btf::parse(of_every_kind(ByteOrder::Big).finish().unwrap()).unwrap();
    assert_eq!(described(&little), described(&big));
    assert_eq!((little.byte_order(), big.byte_order()), (ByteOrder::Little, ByteOrder::Big));
    let kinds: std::collections::BTreeSet<Kind> = little.types().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds.len(), 19);

    let node = little.find(Kind::Struct, "node").unwrap();
    assert_eq!(
        little.definition(node, Offsets::Shown).unwrap(),
        "struct node {
    struct node *next; // 0, size 8
    union {
        long unsigned int number; // 0, size 8
        struct node __rcu *next_rcu; // 0, size 8
    }; // 8, size 8
    char name[16]; // 16, size 16
    int low:3; // 32, bit 0
    int high:9; // 32, bit 3
};"
    );
    assert_eq!((little.size_of(node).unwrap(), little.align_of(node).unwrap()), (40, 8));
    let next = little.member(node, "next_rcu").unwrap();
    let pointer = little.pointer(next.type_id).unwrap().unwrap();
    assert_eq!((next.byte_offset, pointer.target, pointer.is_rcu, pointer.is_user), (8, node, true, false));
    let print = little.function("print").unwrap().unwrap();
    assert_eq!((print.params.len(), print.is_variadic), (2, true));
    assert_eq!(little.type_name(print.params[1].type_id), "const char *restrict");
    let text = little.definition(print.id, Offsets::Hidden).unwrap();
    assert_eq!(text, "int print(handle_t h, const char *restrict fmt, ...);");
    let found = little.find_enumerators(&["LAST", "MINUS", "TOP", "BOTTOM"]);
    let values: Vec<i128> = found.into_iter().map(|found| found.unwrap().value).collect();
    assert_eq!(values, [0xffff_ffff, -1, 0xffff_ffff_ffff_ffff, i128::from(i64::MIN)]);
}

#[test]
fn bit_fields_come_with_the_smallest_aligned_unit() {
    for (order, shifts) in [(ByteOrder::Little, [0, 3, 6]), (ByteOrder::Big, [5, 4, 5])] {
        let mut b = BtfBuilder::with_order(order);
        let int = b.add_int("int", 4, IntEncoding::Signed);
        let bits = |name, bit_offset, bit_width| Member { name, type_id: int, bit_offset, bit_width };
        b.add_struct(
            "s",
            16,
            &[
                bits("low", 0, 3),
                bits("cross", 3, 9),
                bits("late", 38, 5),
                bits("bad", 60, 9),
                member("x", int, 96),
            ],
        );
        let btf = Btf::parse(b.finish().unwrap()).unwrap();
        let s = btf.find(Kind::Struct, "s").unwrap();
        let found: Vec<_> = ["low", "cross", "late"]
            .map(|name| btf.member(s, name).unwrap())
            .map(|access| (access.byte_offset, access.size_bytes, access.bits.unwrap(), access.is_signed))
            .into();
        let bits = |shift, width| nonna_btf::BitField { shift, width };
        assert_eq!(
            found,
            [
                (0, 1, bits(shifts[0], 3), true),
                (0, 2, bits(shifts[1], 9), true),
                (4, 2, bits(shifts[2], 5), true)
            ]
        );
        assert!(matches!(btf.member(s, "bad"), Err(Error::StraddlingBitField { .. })));
        assert_eq!(btf.member(s, "x").unwrap().bits, None);
    }
}

#[test]
fn equal_types_and_strings_are_written_once_and_the_same_calls_give_the_same_bytes() {
    let make = || {
        let mut b = BtfBuilder::new();
        let first = b.add_int("int", 4, IntEncoding::Signed);
        assert_eq!(b.add_int("int", 4, IntEncoding::Signed), first);
        let pointer = b.add_ptr(first);
        assert_ne!(b.add_int("int", 4, IntEncoding::Unsigned), first);
        assert_eq!(b.add_ptr(first), pointer);
        let offset = b.string("int");
        assert_eq!(b.string("int"), offset);
        assert_eq!(b.string(""), 0);
        b.finish().unwrap()
    };
    assert_eq!(make(), make());
    let strings = make();
    assert!(strings.ends_with(b"\0int\0"));
    assert_eq!(Btf::parse(strings).unwrap().end(), TypeId(4));
}

#[test]
fn what_cannot_be_written_is_said_at_the_end() {
    let mut b = BtfBuilder::new();
    b.add_fwd("a\0b", false);
    assert!(matches!(b.finish(), Err(Error::NulInName { name }) if name == "a\0b"));
    let mut b = BtfBuilder::new();
    let id = b.reserve();
    assert_eq!(b.finish(), Err(Error::NotFilled { id }));
    b.fill(id, Kind::Struct, "s", 0, &[]);
    assert!(b.finish().is_ok());
    b.fill(id, Kind::Struct, "s", 0, &[]);
    assert_eq!(b.finish(), Err(Error::NotReserved { id }));
    let mut b = BtfBuilder::new();
    b.add_enum("e", 4, true, &[EnumValue { name: "BIG", value: 1 << 31 }]);
    assert!(matches!(b.finish(), Err(Error::EnumValueOutOfRange { name }) if name == "BIG"));
    let mut b = BtfBuilder::new();
    b.add_struct("wide", 0, &vec![member("m", TypeId(1), 0); 65536]);
    assert!(matches!(b.finish(), Err(Error::TooManyEntries { name }) if name == "wide"));
    let mut b = BtfBuilder::new();
    let id = b.add_ptr(TypeId(2));
    assert_eq!(b.finish(), Err(Error::BadReference { id, target: TypeId(2) }));
}

#[test]
fn split_btf_continues_its_base() {
    let base = Btf::parse(of_every_kind(ByteOrder::Little).finish().unwrap()).unwrap();
    let node = base.find(Kind::Struct, "node").unwrap();
    let mut b = BtfBuilder::split(&base);
    let pointer = b.add_ptr(node);
    assert_eq!(pointer, base.end());
    let list = b.add_struct("list", 8, &[member("head", pointer, 0)]);
    b.add_func("list_init", TypeId(0), Linkage::Global);
    let bytes = b.finish().unwrap();
    assert!(Btf::parse(bytes.clone()).is_err(), "split BTF does not stand alone");
    let split = Btf::parse_split(bytes, &base).unwrap();
    assert_eq!(split.find_many(&[(Kind::Struct, "node"), (Kind::Struct, "list")]), [Some(node), Some(list)]);
    assert_eq!(base.find(Kind::Struct, "list"), None);
    let path = split.resolve_path("list.head->next_rcu->name[2]").unwrap();
    assert_eq!(path.hops.iter().map(|hop| hop.byte_offset).collect::<Vec<_>>(), [0, 8, 18]);
    assert_eq!(split.types().count() + 1, split.end().0 as usize);
    assert_eq!(split.name(list).unwrap(), "list");
    assert!(base.name(list).is_err());
}

#[test]
fn the_whole_kernel_survives_being_copied() {
    let kernel = kernel_btf();
    // Equal types get one number when copied, so numbers are looked up; what is not copied yet is void.
    let mut b = BtfBuilder::new();
    let mut numbers = vec![TypeId::VOID; kernel.end().0 as usize];
    for raw in 1..kernel.end().0.min(20_000) {
        numbers[raw as usize] = b.add_copy(&kernel.ty(TypeId(raw)).unwrap(), |id| numbers[id.0 as usize]);
    }
    let once = Btf::parse(b.finish().unwrap()).unwrap();
    assert!(once.end().0 > 10_000);
    // Nothing in the copy is equal to anything else in it, so a second copy keeps every number.
    let mut b = BtfBuilder::new();
    for raw in 1..once.end().0 {
        assert_eq!(b.add_copy(&once.ty(TypeId(raw)).unwrap(), |id| id), TypeId(raw));
    }
    let bytes = b.finish().unwrap();
    assert_eq!(bytes, once.bytes());
    for name in ["task_struct", "file", "mm_struct"] {
        let [first, copied] = [&kernel, &once].map(|btf| btf.find(Kind::Struct, name).unwrap());
        let names =
            |btf: &Btf, id| btf.member_names(id).unwrap().into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(kernel.size_of(first).unwrap(), once.size_of(copied).unwrap());
        assert!(names(&kernel, first).len() >= names(&once, copied).len());
    }
}

#[test]
fn ext_reads_back_and_skips_what_is_longer_than_known() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", 4, IntEncoding::Signed);
    let proto = b.add_func_proto(int, &[]);
    let func = b.add_func("f", proto, Linkage::Global);
    let line = |offset_bytes, line, column, b: &mut BtfBuilder| LineInfo {
        offset_bytes,
        file_name: b.string("f.bt"),
        text: b.string("{ exit(); }"),
        line,
        column,
    };
    let relocation = |kind, b: &mut BtfBuilder| CoreRelocation {
        offset_bytes: 8,
        type_id: int,
        access: b.string("0"),
        kind,
    };
    let section = |name: &str| name.to_owned();
    let ext = BtfExt {
        func_info: vec![ExtSection {
            name: section("xdp"),
            records: vec![FuncInfo { offset_bytes: 0, type_id: func }],
        }],
        line_info: vec![
            ExtSection {
                name: section("xdp"),
                records: vec![line(0, 1, 3, &mut b), line(16, 70_000, 1023, &mut b)],
            },
            ExtSection { name: section(".text"), records: vec![line(0, 2, 0, &mut b)] },
        ],
        relocations: vec![ExtSection {
            name: section("xdp"),
            records: RelocationKind::ALL.map(|kind| relocation(kind, &mut b)).to_vec(),
        }],
    };
    let bytes = ext.write(&mut b).unwrap();
    let btf = Btf::parse(b.finish().unwrap()).unwrap();
    assert_eq!(BtfExt::parse(&bytes, &btf).unwrap(), ext);
    assert_eq!(btf.string(ext.line_info[0].records[0].text).unwrap(), "{ exit(); }");
    for len in 0..bytes.len() {
        assert!(BtfExt::parse(&bytes[..len], &btf).is_err(), "cut at {len}");
    }
    assert_eq!(BtfExt::parse(&BtfExt::default().write(&mut b).unwrap(), &btf).unwrap(), BtfExt::default());
}

/// Kind, name and target, entries, and a number.
type Recipe = (u8, u8, Vec<(u8, u8)>, u32);

/// Recipes for types that may refer to any earlier one.
fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    let parts = prop::collection::vec((any::<u8>(), any::<u8>()), 0..6);
    prop::collection::vec((any::<u8>(), any::<u8>(), parts, any::<u32>()), 1..40)
}

proptest! {
    #[test]
    fn any_types_read_back_as_they_were_added(recipes in recipes()) {
        let names = ["a", "b_long_name", "c", "", "int", "x___y"];
        let name = |raw: u8| names[usize::from(raw) % names.len()];
        let mut b = BtfBuilder::new();
        for (kind, which, parts, value) in &recipes {
            let earlier = |raw: u8| TypeId(u32::from(raw) % b.end().0);
            let members: Vec<Member<'_>> = parts
                .iter()
                .map(|(first, second)| Member { name: name(*first), type_id: earlier(*second), bit_offset: value % 4096, bit_width: first % 3 })
                .collect();
            let params: Vec<Param<'_>> = members.iter().map(|m| Param { name: m.name, type_id: m.type_id }).collect();
            let values: Vec<EnumValue<'_>> = members.iter().map(|m| EnumValue { name: m.name, value: m.bit_offset.into() }).collect();
            let target = earlier(*which);
            match kind % 15 {
                0 => b.add_int(name(*which), 1 << (value % 4), IntEncoding::Signed),
                1 => b.add_ptr(target),
                2 => b.add_array(target, target, *value),
                3 => b.add_struct(name(*which), *value, &members),
                4 => b.add_union(name(*which), *value, &members),
                5 => b.add_enum(name(*which), 4, value % 2 == 0, &values),
                6 => b.add_enum64(name(*which), 8, value % 2 == 0, &values),
                7 => b.add_fwd(name(*which), value % 2 == 0),
                8 => b.add_typedef(name(*which), target),
                9 => b.add_const(target),
                10 => b.add_func_proto(target, &params),
                11 => b.add_func(name(*which), target, Linkage::Static),
                12 => b.add_var(name(*which), target, Linkage::Global),
                13 => b.add_decl_tag(name(*which), target, Some(value % 9)),
                _ => b.add_type_tag(name(*which), target),
            };
        }
        let btf = Btf::parse(b.finish().unwrap()).unwrap();
        prop_assert_eq!(btf.end(), b.end());
        let mut copy = BtfBuilder::new();
        for raw in 1..btf.end().0 {
            prop_assert_eq!(copy.add_copy(&btf.ty(TypeId(raw)).unwrap(), |id| id), TypeId(raw));
        }
        let copied = copy.finish().unwrap();
        prop_assert_eq!(btf.bytes(), &copied[..]);
        for raw in 0..btf.end().0 {
            crate::hostile::ask_everything(&btf, TypeId(raw));
        }
        prop_assert_eq!(described(&btf), described(&Btf::parse(copied).unwrap()));
    }
}
