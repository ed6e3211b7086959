//! An object made by clang, in the sandbox and in the kernel: the same verdicts, packets and marks.

use nonna_bpf::{MapIdx, MapType, Object, ProgramIdx, ProgramType};
use nonna_kernel::{Kernel, TestRun};
use nonna_sandbox::NoHelpers;
use nonna_sandbox::context::Input;
use nonna_sandbox::runtime::{Attached, EngineKind, Sandbox};
use nonna_testkit::Outcome;
use nonna_verifier::{Attached as _, Environment, verify};

use crate::packets;

/// Packets for each program.
const N_PACKETS: u64 = 3_000;

fn engines() -> Vec<EngineKind> {
    vec![
        EngineKind::Interpreter,
        #[cfg(target_arch = "x86_64")]
        EngineKind::Jit,
    ]
}

pub fn programs_of_clang_do_the_same() -> Outcome {
    let bytes = include_bytes!("../objects/filter.o");
    let verified = verify(Object::from_elf(bytes, None)?, &Environment::default())
        .map_err(|rejection| format!("{:?}", rejection.diagnostics))?;
    let loaded = Kernel::new().load(&verified)?;
    let mut sandboxed = Vec::new();
    for engine in engines() {
        sandboxed.push(Sandbox { engine, ..Sandbox::default() }.load(&verified)?);
    }
    let mut verdicts = std::collections::BTreeMap::new();
    for (index, program) in verified.object().programs.iter().enumerate() {
        for seed in 0..N_PACKETS {
            let packet = packets::random(seed);
            let input =
                Input { attach_type: program.attach_type, packet: packet.clone(), ..Input::default() };
            let mut outcomes = Vec::new();
            for sandboxed in &mut sandboxed {
                outcomes.push(sandboxed.run(ProgramIdx(index as u32), &input, &mut NoHelpers)?);
            }
            let is_xdp = program.program_type == ProgramType::Xdp;
            let context = if is_xdp { vec![] } else { vec![0; 192] };
            let run = TestRun { data: &packet, context: &context, repeat: 0 };
            let theirs = loaded.programs()[index].test_run(&run)?;
            let name = &program.name;
            let hidden = if program.program_type == ProgramType::CgroupSkb { 14 } else { 0 };
            for (ours, engine) in outcomes.into_iter().zip(engines()) {
                let what = format!("{engine:?}: {name} over {packet:02x?}");
                assert_eq!(ours.result as u32, theirs.return_value, "{what}");
                let bytes = ours.packet.ok_or("a packet")?;
                assert_eq!(bytes[hidden..], theirs.data[hidden..], "{what}");
                if !is_xdp {
                    assert_eq!(ours.context[8..12], theirs.context[8..12], "the mark, {what}");
                }
            }
            *verdicts.entry((name.clone(), theirs.return_value)).or_insert(0) += 1;
        }
    }
    // Every way out was taken.
    let seen: Vec<_> = verdicts.keys().map(|(name, verdict)| (name.as_str(), *verdict)).collect();
    let expected = [
        ("guard", 1),
        ("guard", 2),
        ("guard", 3),
        ("meter", 0),
        ("meter", 1),
        ("shape", 0),
        ("shape", 3),
        ("shape", 7),
    ];
    assert_eq!(seen, expected, "{verdicts:?}");
    Ok(())
}

/// A program with maps: they hold the same in the end.
pub fn maps_of_clang_hold_the_same() -> Outcome {
    engines().into_iter().try_for_each(maps_hold_the_same)
}

fn maps_hold_the_same(engine: EngineKind) -> Outcome {
    let bytes = include_bytes!("../objects/limit.o");
    let verified = verify(Object::from_elf(bytes, None)?, &Environment::default())
        .map_err(|rejection| format!("{:?}", rejection.diagnostics))?;
    let loaded = Kernel::new().load(&verified)?;
    let mut sandboxed = Sandbox { engine, ..Sandbox::default() }.load(&verified)?;
    for seed in 0..200u64 {
        let mut packet = packets::random(seed);
        if packet.len() > 30 {
            packet[29] = (seed % 7) as u8;
        }
        let input = Input { packet: packet.clone(), ..Input::default() };
        let ours = sandboxed.run(ProgramIdx(0), &input, &mut NoHelpers)?;
        let theirs = loaded.programs()[0].test_run(&TestRun { data: &packet, ..TestRun::default() })?;
        assert_eq!(ours.result as u32, theirs.return_value, "{packet:02x?}");
    }
    let attached = Attached::new(sandboxed, Box::new(NoHelpers));
    for (index, map) in verified.object().maps.iter().enumerate() {
        let map_idx = MapIdx(index as u32);
        if map.map_type == MapType::Ringbuf {
            continue;
        }
        let mut ours = attached.map_entries(map_idx)?;
        let entries = loaded.map(map_idx).entries()?;
        let mut theirs: Vec<_> = entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        ours.sort();
        theirs.sort();
        if map.map_type.is_per_cpu() {
            // Which processor ran is the machine's affair.
            for entries in [&mut ours, &mut theirs] {
                entries.iter_mut().for_each(|(_, value)| *value = total(value));
            }
        }
        assert_eq!(ours, theirs, "{}", map.name);
    }
    Ok(())
}

fn total(values: &[u8]) -> Vec<u8> {
    let values = values.chunks_exact(8).map(|value| u64::from_ne_bytes(value.try_into().expect("8 bytes")));
    values.sum::<u64>().to_ne_bytes().to_vec()
}
