//! Objects written as ELF files: what stands where, and what is refused.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use nonna_bpf::{
    ElfWriteError, Imm64, Insn, KernelSetting, MapIdx, MapType, Object, Reg, Relocation, RelocationTarget,
    SettingKind,
};
use nonna_btf::{Btf, BtfExt, Kind, Type};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget as Target};

mod sample;

fn section<'d, 'f>(file: &'f object::File<'d>, name: &str) -> object::Section<'d, 'f> {
    file.section_by_name(name).unwrap_or_else(|| panic!("no section {name}"))
}

/// Symbol names by the offset of the relocation.
fn relocations(file: &object::File<'_>, name: &str) -> Vec<(u64, String)> {
    let named = |target| match target {
        Target::Symbol(symbol) => {
            let symbol = file.symbol_by_index(symbol).unwrap();
            match symbol.section_index() {
                Some(index) if symbol.name() == Ok("") => {
                    file.section_by_index(index).unwrap().name().unwrap().to_owned()
                }
                _ => symbol.name().unwrap().to_owned(),
            }
        }
        other => panic!("{other:?}"),
    };
    section(file, name).relocations().map(|(offset, r)| (offset, named(r.target()))).collect()
}

#[test]
fn the_same_object_gives_the_same_bytes() {
    let object = sample::object();
    assert_eq!(object.to_elf().unwrap(), object.to_elf().unwrap());
}

#[test]
fn everything_stands_where_loaders_look() {
    let bytes = sample::object().to_elf().unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    assert_eq!(section(&file, "license").data().unwrap(), b"GPL\0");
    assert_eq!(section(&file, ".rodata").data().unwrap(), [1, 0, 0, 0, 42, 0, 0, 0]);
    assert_eq!(section(&file, ".data.state").data().unwrap(), [7; 16]);
    assert_eq!(section(&file, "xdp").data().unwrap().len(), 16);
    let expected = [
        (0x18, "counts"),
        (0x50, "bump"),
        (0x60, ".text"),
        (0x88, ".rodata"),
        (0xa0, ".data.state"),
        (0xb8, "events"),
    ];
    let found = relocations(&file, "tp_btf/sched_process_exec");
    assert_eq!(found.iter().map(|(at, name)| (*at, name.as_str())).collect::<Vec<_>>(), expected);
    let functions: Vec<_> = file
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text)
        .map(|symbol| {
            (symbol.name().unwrap().to_owned(), symbol.address(), symbol.size(), symbol.is_global())
        })
        .collect();
    let named = |name: &str| functions.iter().find(|(found, ..)| found == name).unwrap();
    assert_eq!(*named("bump"), ("bump".to_owned(), 0, 32, false));
    assert_eq!(*named("step"), ("step".to_owned(), 32, 16, false));
    assert_eq!(*named("pass"), ("pass".to_owned(), 0, 16, true));
}

#[test]
fn types_and_lines_go_along() {
    let bytes = sample::object().to_elf().unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let btf = Btf::parse(section(&file, ".BTF").data().unwrap().to_vec()).unwrap();
    let ext = BtfExt::parse(section(&file, ".BTF.ext").data().unwrap(), &btf).unwrap();
    let text = ext.func_info.iter().find(|part| part.name == ".text").unwrap();
    let names: Vec<_> = text.records.iter().map(|r| (r.offset_bytes, btf.name(r.type_id).unwrap())).collect();
    assert_eq!(names, [(0, "bump"), (32, "step")]);
    let lines = ext.line_info.iter().find(|part| part.name == "xdp").unwrap();
    assert_eq!(lines.records.len(), 2);
    assert_eq!(btf.string(lines.records[1].file_name), Ok("kitchen.bt"));
    assert_eq!((lines.records[1].offset_bytes, lines.records[1].line, lines.records[1].column), (8, 2, 3));
    let Type::DataSec(maps) = btf.ty(btf.find(Kind::DataSec, ".maps").unwrap()).unwrap() else { panic!() };
    let names: Vec<_> = maps.vars().map(|var| btf.name(var.type_id).unwrap()).collect();
    assert_eq!(names, ["events", "counts", "outer"]);
}

/// An object with a program that loads `target` first.
fn loading(target: RelocationTarget) -> Object {
    let mut object = sample::object();
    object.programs.truncate(1);
    let mut program = sample::program("p", "xdp", "r1 = 0 ll\nr0 = 2\nexit");
    program.relocations = vec![Relocation { slot: 0, target }];
    object.programs = vec![program];
    object
}

#[test]
fn names_of_the_kernel_become_undefined_symbols() {
    let target = RelocationTarget::KernelSymbol { name: "jiffies".into(), typed: false, weak: true };
    let bytes = loading(target).to_elf().unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    assert_eq!(relocations(&file, "xdp"), [(0, "jiffies".to_owned())]);
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok("jiffies")).unwrap();
    assert!(symbol.is_undefined() && symbol.is_weak());
    let btf = Btf::parse(section(&file, ".BTF").data().unwrap().to_vec()).unwrap();
    assert!(btf.find(Kind::DataSec, ".ksyms").is_some());
}

#[test]
fn settings_become_undefined_symbols() {
    let mut object = loading(RelocationTarget::MapValue { map: MapIdx(6), offset: 8 });
    let mut settings = sample::map("settings", MapType::Array, 4, 12, 1);
    settings.initial_value = Some(vec![0; 12]);
    let setting = |name: &str, offset, size_bytes, kind| KernelSetting {
        name: name.into(),
        offset,
        size_bytes,
        kind,
        weak: false,
    };
    settings.extra.settings = vec![
        setting("CONFIG_CMDLINE", 0, 8, SettingKind::Text),
        setting("CONFIG_HZ", 8, 4, SettingKind::Integer { signed: true }),
    ];
    object.maps.push(settings);
    let bytes = object.to_elf().unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    assert_eq!(relocations(&file, "xdp"), [(0, "CONFIG_HZ".to_owned())]);
    assert!(file.section_by_name(".data.settings").is_none());
}

#[test]
fn what_no_file_can_say_is_refused() {
    let message = |object: Object| object.to_elf().unwrap_err().to_string();
    let target = RelocationTarget::KernelSymbol { name: "bpf_prog_active".into(), typed: true, weak: false };
    assert!(matches!(loading(target).to_elf(), Err(ElfWriteError::Untyped { .. })));

    let mut object = sample::object();
    object.maps[3].max_entries = 2;
    assert_eq!(message(object), "map `state`: only arrays of one entry have a first value in ELF files");

    let mut object = sample::object();
    object.programs[2].insns[0] = Insn::LoadImm64 { dst: Reg::R1, value: Imm64::MapFd(3) };
    assert_eq!(message(object), "program `pass`, slot 0: a map or variable is loaded by number, not by name");

    let object = loading(RelocationTarget::Map(MapIdx(2)));
    assert_eq!(message(object), "program `p`, slot 0: a map with a first value is named as a whole");

    let mut object = sample::object();
    object.programs[2].relocations.push(Relocation { slot: 9, target: RelocationTarget::Map(MapIdx(0)) });
    assert_eq!(message(object), "program `pass`, slot 9: a relocation names no instruction");

    let mut object = sample::object();
    object.btf.truncate(30);
    assert!(matches!(object.to_elf(), Err(ElfWriteError::Btf(_))));
}

#[test]
fn an_object_without_types_has_them_for_its_maps() {
    let mut object = sample::object();
    object.btf.clear();
    for map in &mut object.maps {
        (map.btf_key_type_id, map.btf_value_type_id) = (0, 0);
    }
    for program in &mut object.programs {
        program.func_info.clear();
        program.line_info.clear();
    }
    let bytes = object.to_elf().unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    assert!(file.section_by_name(".BTF").is_some());
    assert!(file.section_by_name(".BTF.ext").is_none());
}
