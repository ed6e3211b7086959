//! Random programs, whole or changed a little, that our verifier and the kernel's accept: both engines and the kernel give the same results, packets
//! and map contents.
//!
//! What depends on where memory lies, on the time or on who received a packet says nothing and is left out. The seed is new each
//! time and printed with what differs; `NONNA_SEED` repeats a run.

use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nonna_bpf::{
    AluOp, Callee, Helper, Insn, JumpOp, MapIdx, MapType, Operand, ProgramType, Reg, TextOptions, Width,
    disassemble,
};
use nonna_kernel::{Kernel, Loaded, TestRun};
use nonna_sandbox::context::{FieldValue, Input};
use nonna_testkit::Outcome;
use nonna_testkit::engines::{Ran, try_verified};
use nonna_testkit::mutation::mutate;
use nonna_testkit::programs::generate;
use nonna_verifier::{Environment, MapEntry, Verified, verify};

use crate::{kept, packets};

/// How long programs are tried.
const TIME: Duration = Duration::from_secs(20);
/// Packets for each program, one after the other over the same maps.
const N_PACKETS: u64 = 4;

/// What the kernel made of the packets: results, packets, kept fields; and the contents of maps.
type Seen = (Vec<(u32, Vec<u8>, Vec<u8>)>, Vec<Vec<MapEntry>>);

pub fn random_programs_do_the_same() -> Outcome {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let given = std::env::var("NONNA_SEED").ok().and_then(|text| text.parse().ok());
    let first: u64 = given.unwrap_or_else(|| u64::from(clock) << 20);
    let kernel = Kernel::new();
    let (started, mut n_compared, mut n_accepted) = (Instant::now(), 0, 0);
    for seed in first.. {
        if started.elapsed() > TIME {
            break;
        }
        for is_changed in [false, true] {
            let mut object = generate(seed);
            if is_changed {
                let before = object.programs[0].insns.clone();
                mutate(&mut object.programs[0].insns, seed);
                if !before.iter().zip(&object.programs[0].insns).all(|(old, new)| leaves_addresses(old, new))
                {
                    continue;
                }
            }
            let program_type = object.programs[0].program_type;
            let has_packets = matches!(
                program_type,
                ProgramType::Xdp | ProgramType::SchedCls | ProgramType::SocketFilter | ProgramType::CgroupSkb
            );
            if !has_packets
                || object.programs[0]
                    .insns
                    .iter()
                    .any(|insn| looks_at_address(insn) || asks_the_machine(insn))
            {
                continue;
            }
            let Ok(verified) = verify(object, &Environment::default()) else { continue };
            n_accepted += 1;
            let what = || format!("NONNA_SEED={seed}, changed: {is_changed}: {}", text(&verified));
            let ours = try_verified(&verified, &inputs(&verified, seed, false));
            let Some(ours) = ours.map_err(|broken| format!("{broken}\n{}", what()))? else { continue };
            // And the same for a packet that somebody else received.
            let elsewhere = try_verified(&verified, &inputs(&verified, seed, true)).ok().flatten();
            let is_alike = elsewhere.is_some_and(|other| seen(&verified, &other) == seen(&verified, &ours));
            // The kernel may know less than we do and refuse.
            let (true, true, Ok(loaded)) = (ours.is_steady, is_alike, kernel.load(&verified)) else {
                continue;
            };
            let theirs = in_kernel(&verified, &loaded, seed)?;
            if let Some(difference) = difference(&seen(&verified, &ours), &theirs) {
                return Err(format!("{difference}\n{}", what()).into());
            }
            n_compared += 1;
        }
    }
    let _ = writeln!(
        std::io::stderr().lock(),
        "{n_accepted} programs accepted from NONNA_SEED={first}, {n_compared} of them did the same in the kernel"
    );
    // A test that leaves everything out says nothing.
    assert!(n_compared > 50, "only {n_compared} of {n_accepted} programs could be compared");
    Ok(())
}

/// Whether an instruction may look at an address as at a number, in other ways than a comparison with another address: contexts and packets
/// lie below 4 GiB here and far above in the kernel. Generated programs keep addresses in all registers but `r7` and `r8`.
fn looks_at_address(insn: &Insn) -> bool {
    let is_number = |reg: Reg| matches!(reg, Reg::R7 | Reg::R8);
    let is_address = |operand: Operand| matches!(operand, Operand::Reg(reg) if !is_number(reg));
    match *insn {
        Insn::Jump { width: Width::W64, op, dst, src, .. } => {
            let is_test = matches!(src, Operand::Imm(0)) || matches!(src, Operand::Reg(_));
            let is_unsigned =
                !matches!(op, JumpOp::Set | JumpOp::Sgt | JumpOp::Sge | JumpOp::Slt | JumpOp::Sle);
            let fixed = matches!(dst, Reg::R6 | Reg::R10) || matches!(src, Operand::Reg(Reg::R6 | Reg::R10));
            fixed || !is_number(dst) && dst != Reg::R9 && !(is_test && is_unsigned)
        }
        Insn::Jump { width: Width::W32, dst, src, .. } => {
            !is_number(dst) && dst != Reg::R9 || is_address(src)
        }
        Insn::Alu { op: AluOp::Mov, width: Width::W64, dst, src } => {
            is_number(dst) && is_address(src) && src != Operand::Reg(Reg::R0)
        }
        Insn::Alu { dst, src, .. } if is_number(dst) => is_address(src),
        Insn::MovSx { src, .. } => !is_number(src),
        Insn::Store { base, src, .. } => base != Reg::R10 && is_address(src),
        Insn::Atomic { src, .. } => !is_number(src),
        _ => false,
    }
}

/// Whether a change keeps addresses where generated programs have them: it is one of numbers, or of where control goes.
fn leaves_addresses(old: &Insn, new: &Insn) -> bool {
    let is_number = |reg: Reg| matches!(reg, Reg::R7 | Reg::R8);
    let fits = |operand: Operand| {
        matches!(operand, Operand::Imm(_)) || matches!(operand, Operand::Reg(reg) if is_number(reg))
    };
    let of_numbers = |insn: &Insn| match *insn {
        Insn::Alu { dst, src, .. } | Insn::Jump { dst, src, .. } => is_number(dst) && fits(src),
        Insn::MovSx { dst, src, .. } => is_number(dst) && is_number(src),
        Insn::Neg { dst, .. } | Insn::Endian { dst, .. } => is_number(dst),
        Insn::Goto { .. } => true,
        _ => false,
    };
    old == new || of_numbers(old) && of_numbers(new)
}

/// Whether an instruction asks what time it is, for a random number or on which processor it runs.
fn asks_the_machine(insn: &Insn) -> bool {
    let Insn::Call(Callee::Helper(number)) = *insn else { return false };
    let name = Helper::from_id(number).map_or("", |helper| helper.name());
    ["bpf_ktime_", "bpf_jiffies", "bpf_get_prandom", "bpf_get_smp", "bpf_get_numa", "bpf_get_current"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The first thing that differs.
fn difference(ours: &Seen, theirs: &Seen) -> Option<String> {
    for (number, (ours, theirs)) in ours.0.iter().zip(&theirs.0).enumerate() {
        if ours.0 != theirs.0 {
            return Some(format!("packet {number}: we return {:#x}, the kernel {:#x}", ours.0, theirs.0));
        }
        if ours.1 != theirs.1 {
            let at = ours.1.iter().zip(&theirs.1).position(|(ours, theirs)| ours != theirs);
            let lengths = (ours.1.len(), theirs.1.len());
            return Some(format!("packet {number} afterwards: lengths {lengths:?}, another byte at {at:?}"));
        }
        if ours.2 != theirs.2 {
            return Some(format!("packet {number}, fields: we have {:?}, the kernel {:?}", ours.2, theirs.2));
        }
    }
    let maps = ours.1.iter().zip(&theirs.1).enumerate();
    maps.filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(number, (ours, theirs))| {
            let at = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs);
            format!("map {number}: {} entries and {}, first {at:02x?}", ours.len(), theirs.len())
        })
        .next()
}

fn text(verified: &Verified) -> String {
    let program = &verified.object().programs[0];
    format!("{}\n{}", program.section, disassemble(&program.insns, TextOptions::default()))
}

/// Packets with what is said about them, which nobody asked the kernel to say.
fn inputs(verified: &Verified, seed: u64, elsewhere: bool) -> Vec<Input> {
    let program = &verified.object().programs[0];
    let names: &[&str] = match program.program_type {
        ProgramType::Xdp => &["ingress_ifindex", "rx_queue_index"],
        _ => &["ifindex", "ingress_ifindex", "hash", "queue_mapping", "tc_index", "pkt_type", "protocol"],
    };
    let field = |name: &&str| FieldValue { name: (*name).to_owned(), values: vec![3] };
    let fields: Vec<FieldValue> = names.iter().filter(|_| elsewhere).map(field).collect();
    let input = |number| Input {
        attach_type: program.attach_type,
        fields: fields.clone(),
        packet: packets::random(seed.wrapping_add(number)),
        ..Input::default()
    };
    (0..N_PACKETS).map(input).collect()
}

/// Bytes at the start of a packet that the program does not see.
fn hidden(program_type: ProgramType) -> usize {
    if matches!(program_type, ProgramType::Xdp | ProgramType::SchedCls) { 0 } else { 14 }
}

/// The parts that both sides give back.
fn shown(program_type: ProgramType, result: u32, packet: &[u8], context: &[u8]) -> (u32, Vec<u8>, Vec<u8>) {
    let context = if program_type == ProgramType::Xdp { Vec::new() } else { kept(context).concat() };
    (result, packet[hidden(program_type).min(packet.len())..].to_vec(), context)
}

/// Maps whose entries both sides list.
fn is_listed(map_type: MapType) -> bool {
    matches!(map_type, MapType::Array | MapType::Hash | MapType::LruHash)
}

fn seen(verified: &Verified, ran: &Ran) -> Seen {
    let program_type = verified.object().programs[0].program_type;
    let outcomes = ran.outcomes.iter().map(|outcome| {
        let packet = outcome.packet.as_deref().unwrap_or_default();
        shown(program_type, outcome.result as u32, packet, &outcome.context)
    });
    let maps = verified.object().maps.iter().zip(&ran.entries);
    let maps = maps.filter(|(map, _)| is_listed(map.map_type)).map(|(_, entries)| entries.clone());
    (outcomes.collect(), maps.collect())
}

fn in_kernel(
    verified: &Verified,
    loaded: &Loaded,
    seed: u64,
) -> Result<Seen, Box<dyn std::error::Error + Send + Sync>> {
    let program_type = verified.object().programs[0].program_type;
    let mut outcomes = Vec::new();
    for number in 0..N_PACKETS {
        let packet = packets::random(seed.wrapping_add(number));
        let context = if program_type == ProgramType::Xdp { vec![] } else { vec![0; 192] };
        let run = TestRun { data: &packet, context: &context, repeat: 0 };
        let outcome = loaded.programs()[0].test_run(&run)?;
        outcomes.push(shown(program_type, outcome.return_value, &outcome.data, &outcome.context));
    }
    let mut maps = Vec::new();
    for (index, map) in verified.object().maps.iter().enumerate() {
        if is_listed(map.map_type) {
            let entries = loaded.map(MapIdx(index as u32)).entries()?;
            let mut entries: Vec<MapEntry> =
                entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            entries.sort();
            maps.push(entries);
        }
    }
    Ok((outcomes, maps))
}
