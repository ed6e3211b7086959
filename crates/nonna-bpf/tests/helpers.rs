//! The helper table: order, names, and facts that the kernel's load refusals and prototypes showed.

use nonna_bpf::{Access, Argument, Helper, ProgramType, Returns};

#[test]
fn rows_are_in_order_and_named_once() {
    let all: Vec<_> = Helper::all().collect();
    assert_eq!(all.len(), 211);
    for (i, info) in all.iter().enumerate() {
        assert_eq!(info.helper.id() as usize, i + 1);
        assert_eq!(Helper::from_id(info.helper.id()), Some(info.helper));
        assert_eq!(Helper::from_name(info.name), Some(info.helper), "{}", info.name);
        assert!(info.signature.arguments.len() <= 5);
    }
    assert_eq!(Helper::from_id(0), None);
    assert_eq!(Helper::from_id(212), None);
    assert_eq!(Helper::from_id(u32::MAX), None);
    assert_eq!(Helper::from_name("bpf_nonsense"), None);
    assert_eq!(Helper::from_name("map_lookup_elem"), Some(Helper::MAP_LOOKUP_ELEM));
    assert_eq!(Helper::CGRP_STORAGE_DELETE.name(), "bpf_cgrp_storage_delete");
}

/// A memory argument is followed by its length and a length follows memory, so that a checker can pair them.
#[test]
fn memory_and_length_come_in_pairs() {
    for program_type in ProgramType::ALL {
        for info in Helper::all() {
            let arguments = info.helper.signature(*program_type).arguments;
            for (i, argument) in arguments.iter().enumerate() {
                match argument {
                    Argument::Memory { .. } => {
                        assert!(
                            matches!(arguments.get(i + 1), Some(Argument::MemorySize { .. })),
                            "{info:?}"
                        );
                    }
                    Argument::MemorySize { .. } => {
                        assert!(matches!(arguments[i - 1], Argument::Memory { .. }), "{info:?}");
                    }
                    Argument::MapKey | Argument::MapValue { .. } => {
                        assert!(arguments[..i].contains(&Argument::Map), "{info:?}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn known_facts() {
    let lookup = Helper::MAP_LOOKUP_ELEM.info();
    assert_eq!((lookup.since, lookup.gpl_only), ("3.19", false));
    assert_eq!(lookup.signature.arguments, [Argument::Map, Argument::MapKey]);
    assert_eq!(lookup.signature.returns, Returns::MapValue { nullable: true });
    assert!(Helper::PROBE_READ_KERNEL.info().gpl_only);
    assert!(Helper::COPY_FROM_USER.info().may_sleep);
    assert!(Helper::XDP_ADJUST_HEAD.info().changes_packet);
    assert_eq!(Helper::LOOP.info().since, "5.17");

    assert!(Helper::D_PATH.callable_by(ProgramType::Lsm));
    assert!(!Helper::D_PATH.callable_by(ProgramType::Kprobe));
    assert!(!Helper::D_PATH.callable_by(ProgramType::RawTracepoint));
    assert!(Helper::GET_STACKID.callable_by(ProgramType::PerfEvent));
    assert!(!Helper::GET_STACKID.callable_by(ProgramType::Xdp));
    assert!(!Helper::OVERRIDE_RETURN.callable_by(ProgramType::Tracing));
    assert!(Helper::RINGBUF_OUTPUT.callable_by(ProgramType::CgroupSysctl));
    assert!(!Helper::RINGBUF_OUTPUT.callable_by(ProgramType::LircMode2));
    assert!(Helper::XDP_ADJUST_HEAD.callable_by(ProgramType::Ext));
}

#[test]
fn sockets_are_contexts_or_pointers_by_program_type() {
    let cookie = |program_type| Helper::GET_SOCKET_COOKIE.signature(program_type).arguments;
    assert_eq!(cookie(ProgramType::SchedCls), [Argument::Context { nullable: false }]);
    assert_eq!(cookie(ProgramType::Tracing), [Argument::Socket { nullable: true, released: false }]);
    let name = Helper::D_PATH.signature(ProgramType::Lsm).arguments;
    assert_eq!(name[1], Argument::Memory { access: Access::ReadWrite, nullable: false });
}
