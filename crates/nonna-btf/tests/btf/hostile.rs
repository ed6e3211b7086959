//! Wrong, cut, cyclic and exploding BTF: errors, never a panic, never without end.

use nonna_btf::{
    Btf, BtfBuilder, BtfExt, ByteOrder, CoreRelocation, Error, IntEncoding, Kind, Member, Offsets, Param,
    RelocationKind, Relocator, TypeId,
};
use proptest::prelude::*;

use crate::kernel_btf;
use crate::writer::member;

/// Puts every question about a type; answers do not matter, coming back does.
pub(crate) fn ask_everything(btf: &Btf, id: TypeId) {
    let _ = btf.ty(id).map(|found| format!("{found:?}"));
    let _ = (btf.kind(id), btf.name(id), btf.size_of(id), btf.align_of(id), btf.is_signed(id));
    let _ = (btf.skip_modifiers(id), btf.skip_qualifiers(id), btf.resolved(id).is_ok());
    let _ = (btf.pointer(id), btf.deref(id), btf.prototype(id), btf.whole(id), btf.element(id, 1));
    let _ = (btf.member(id, "next"), btf.member_names(id), btf.fields(id));
    let _ = (btf.type_name(id), btf.declaration(id, "x"), btf.definition(id, Offsets::Shown));
}

fn ask_all(btf: &Btf) {
    for raw in 0..btf.end().0 {
        ask_everything(btf, TypeId(raw));
    }
    let _ = btf.resolve_path("task_struct.real_parent->tgid");
    let _ = btf.find_enumerators(&["PIDTYPE_PID", "x"]);
    let _ = btf.tracepoint("sched_switch");
    let _ = btf.types().count();
}

/// Resolves relocations of every kind for the first types of `local` against `target`.
fn relocate_all(local: &Btf, target: &Btf) {
    relocate(local, target, 0..local.end().0.min(200));
}

fn relocate(local: &Btf, target: &Btf, types: std::ops::Range<u32>) {
    let mut relocator = Relocator::new(local, target, []);
    for raw in types {
        for kind in RelocationKind::ALL {
            for access in 0..8 {
                let _ = relocator.resolve(&CoreRelocation {
                    offset_bytes: 0,
                    type_id: TypeId(raw),
                    access,
                    kind,
                });
            }
        }
    }
}

/// The first types of the kernel, whose references to later ones are void: real BTF, small enough to break often.
fn excerpt() -> Vec<u8> {
    let kernel = kernel_btf();
    let mut b = BtfBuilder::new();
    // Short strings up front, so that small offsets are access texts.
    for text in ["0", "0:0", "0:1", "0:1:2"] {
        b.string(text);
    }
    let mut numbers = vec![TypeId::VOID];
    for raw in 1..1000 {
        let id = b.add_copy(&kernel.ty(TypeId(raw)).unwrap(), |id| {
            numbers.get(id.0 as usize).copied().unwrap_or_default()
        });
        numbers.push(id);
    }
    b.finish().unwrap()
}

#[test]
fn cut_anywhere_btf_is_an_error() {
    let whole = excerpt();
    for len in (0..whole.len()).step_by(7).chain(0..64) {
        assert!(Btf::parse(whole[..len].to_vec()).is_err(), "cut at {len}");
    }
}

#[test]
fn headers_that_lie_are_refused_with_the_reason() {
    let good = excerpt();
    let broken = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        Btf::parse(bytes).err()
    };
    assert!(matches!(broken(0, &[0x7f, b'E']), Some(Error::BadMagic { found: 0x457f })));
    assert!(matches!(broken(2, &[2]), Some(Error::Unsupported { version: 2, flags: 0 })));
    assert!(matches!(broken(3, &[1]), Some(Error::Unsupported { version: 1, flags: 1 })));
    assert!(matches!(broken(4, &[23]), Some(Error::Truncated { what: "the header", .. })));
    assert!(matches!(broken(4, &[0xff; 4]), Some(Error::Truncated { what: "the header", .. })));
    assert!(matches!(broken(8, &[2]), Some(Error::BadSection { section: "type", .. })));
    assert!(matches!(broken(12, &[0xff; 4]), Some(Error::BadSection { section: "type", .. })));
    assert!(matches!(broken(20, &[0xff; 4]), Some(Error::BadSection { section: "string", .. })));
    let last = good.len() - 1;
    assert!(matches!(broken(last, b"x"), Some(Error::BadStrings { .. })));
    assert!(matches!(broken(last - 1, &[0xff]), Some(Error::BadStrings { .. })));
}

#[test]
fn a_longer_header_is_read_and_its_layout_lets_unknown_kinds_be_skipped() {
    let mut b = BtfBuilder::new();
    b.add_int("int", 4, IntEncoding::Signed);
    let good = b.finish().unwrap();
    // Header with 8 more bytes, a type of kind 20 with 4 bytes and one entry of 8, and its layout at the end.
    let (types, strings) = good[24..].split_at(16);
    let word = |value: u32| value.to_le_bytes();
    let build = |layout_kinds: u32| {
        let mut unknown = [word(1), word(20 << 24 | 1), word(0)].concat();
        unknown.extend([7; 12]);
        let type_len = (unknown.len() + 2 * types.len()) as u32;
        let strings_len = strings.len() as u32;
        let layout: Vec<u8> =
            (0..layout_kinds).flat_map(|kind| if kind == 20 { [4, 8, 0, 0] } else { [0; 4] }).collect();
        let mut bytes = good[..4].to_vec();
        for value in [32, 0, type_len, type_len, strings_len, type_len + strings_len, layout.len() as u32] {
            bytes.extend(word(value));
        }
        [&bytes[..], types, &unknown, types, strings, &layout].concat()
    };
    let btf = Btf::parse(build(21)).unwrap();
    assert_eq!(btf.end(), TypeId(4));
    assert_eq!(btf.ty(TypeId(2)).unwrap_err(), Error::UnknownKind { id: TypeId(2), kind: 20 });
    assert_eq!((btf.name(TypeId(3)).unwrap(), btf.types().count()), ("int", 2));
    assert_eq!(Btf::parse(build(20)).unwrap_err(), Error::UnknownKind { id: TypeId(2), kind: 20 });
}

#[test]
fn cycles_end() {
    let mut b = BtfBuilder::new();
    let (me, other) = (TypeId(1), TypeId(2));
    assert_eq!(b.add_typedef("me", other), me);
    assert_eq!(b.add_const(me), other);
    let array = b.add_array(TypeId(3), TypeId(3), 2);
    let inside = b.reserve();
    b.fill(inside, Kind::Struct, "inside", 8, &[member("", inside, 0), member("again", inside, 0)]);
    let tag = b.add_type_tag("user", TypeId(5));
    let pointer = b.add_ptr(tag);
    let proto = b.add_func_proto(TypeId(7), &[Param { name: "f", type_id: TypeId(7) }]);
    let bytes = b.finish().unwrap();
    let btf = Btf::parse(bytes.clone()).unwrap();
    assert_eq!(btf.skip_modifiers(me), Err(Error::TooDeep { id: me }));
    assert!(matches!(btf.size_of(array), Err(Error::TooDeep { .. } | Error::Overflow { .. })));
    assert!(matches!(btf.align_of(inside), Err(Error::TooDeep { .. })));
    assert!(matches!(btf.member(inside, "missing"), Err(Error::TooDeep { .. })));
    assert!(matches!(btf.pointer(pointer), Err(Error::TooDeep { .. })));
    assert!(btf.type_name(proto).len() < 20_000);
    ask_all(&btf);
    relocate_all(&btf, &Btf::parse(bytes).unwrap());
}

/// Struct 1 contains struct 0 twice, struct 2 contains struct 1 twice, and so on: 2^31 leaves in 32 types.
fn exploding(names: [&str; 2]) -> Btf {
    let mut b = BtfBuilder::with_order(ByteOrder::Little);
    for _ in ["0", "0:0"] {
        b.string("0:0");
    }
    let int = b.add_int("int", 4, IntEncoding::Signed);
    let mut inner = b.add_struct("level", 4, &[member("leaf", int, 0)]);
    for level in 0..30 {
        let name = if level == 29 { "top" } else { names[0] };
        inner = b.add_struct(name, 8, &[member(names[0], inner, 0), member(names[1], inner, 32)]);
        let proto = b.add_func_proto(
            inner,
            &[Param { name: "a", type_id: inner }, Param { name: "b", type_id: inner }],
        );
        if names[0] == "f" {
            inner = b.add_ptr(proto);
        }
    }
    Btf::parse(b.finish().unwrap()).unwrap()
}

#[test]
fn exploding_nests_end_soon() {
    let started = std::time::Instant::now();
    for names in [["", ""], ["a", "b"], ["f", "g"]] {
        let btf = exploding(names);
        let end = btf.end().0;
        for id in [TypeId(end - 2), TypeId(end - 1)] {
            ask_everything(&btf, id);
        }
        relocate(&btf, &exploding(names), end - 2..end);
        if names[0].is_empty() {
            let top = btf.find(Kind::Struct, "top").unwrap();
            assert!(matches!(btf.member(top, "missing"), Err(Error::TooIntricate { .. })));
            assert!(matches!(btf.align_of(top), Err(Error::TooIntricate { .. })));
        }
    }
    assert!(started.elapsed().as_secs() < 60, "took {:?}", started.elapsed());
}

#[test]
fn offsets_and_sizes_that_overflow_are_errors() {
    let mut b = BtfBuilder::new();
    let int = b.add_int("int", 4, IntEncoding::Signed);
    let mut array = int;
    for _ in 0..3 {
        array = b.add_array(array, int, u32::MAX);
    }
    let far = b.add_struct("far", u32::MAX, &[member("x", int, u32::MAX - 7)]);
    let mut holder = far;
    for _ in 0..9 {
        holder = b.add_struct(
            "",
            u32::MAX,
            &[Member { name: "", type_id: holder, bit_offset: u32::MAX - 7, bit_width: 0 }],
        );
    }
    let btf = Btf::parse(b.finish().unwrap()).unwrap();
    assert_eq!(btf.size_of(array), Err(Error::Overflow { id: array }));
    assert!(matches!(btf.element(array, 3), Err(Error::Overflow { .. })));
    assert!(matches!(btf.member(holder, "x"), Err(Error::Overflow { .. })));
    assert_eq!(btf.member(far, "x").unwrap().byte_offset, (u32::MAX - 7) / 8);
}

#[test]
fn bytes_that_change_after_opening_give_no_panic() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    /// Owns several versions of the bytes and shows another one at each look.
    struct Shifting(Vec<Vec<u8>>, AtomicUsize);
    impl AsRef<[u8]> for Shifting {
        fn as_ref(&self) -> &[u8] {
            let looks = self.1.fetch_add(1, Ordering::Relaxed);
            // Opening looks a few times; only later looks see other bytes.
            if looks < 8 { &self.0[0] } else { &self.0[looks % self.0.len()] }
        }
    }
    let good = excerpt();
    let mut garbled = good.clone();
    garbled.iter_mut().skip(24).step_by(5).for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
    let versions = vec![good.clone(), garbled, good[..good.len() / 2].to_vec(), Vec::new()];
    ask_all(&Btf::parse(Shifting(versions, AtomicUsize::new(0))).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn broken_real_btf_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60)) {
        static EXCERPT: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = EXCERPT.get_or_init(excerpt);
        let mut bytes = good.clone();
        for (at, with) in &changes {
            let at = at.index(bytes.len() - 24) + 24;
            bytes[at] = *with;
        }
        if let Ok(broken) = Btf::parse(bytes.clone()) {
            ask_all(&broken);
            let good = Btf::parse(good.clone()).unwrap();
            relocate_all(&broken, &good);
            relocate_all(&good, &broken);
        }
        let btf = Btf::parse(good.clone()).unwrap();
        let _ = BtfExt::parse(&bytes, &btf);
        let _ = Btf::parse_split(bytes, &btf).map(|split| ask_all(&split));
    }

    #[test]
    fn any_bytes_behind_a_good_header_never_panic(words in prop::collection::vec(any::<u32>(), 0..400), kinds in 0u32..24) {
        // Info words with plausible kinds, so that more than the first record is reached.
        let types: Vec<u8> = words
            .iter()
            .enumerate()
            .map(|(nth, word)| if nth % 3 == 1 { (word % (kinds + 1)) << 24 | word & 0x8000_0003 } else { word % 64 })
            .flat_map(u32::to_le_bytes)
            .collect();
        let len = types.len() as u32;
        let header = [0x0001_eb9f, 24, 0, len, len, 8];
        let bytes: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).chain(types).chain(*b"\0ab\0next").collect();
        let mut bytes = bytes;
        *bytes.last_mut().unwrap() = 0;
        if let Ok(btf) = Btf::parse(bytes) {
            ask_all(&btf);
        }
    }
}
