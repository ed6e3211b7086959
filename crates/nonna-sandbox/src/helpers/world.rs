//! Helpers that say where the program is: time, chance, processor, process, stack, attachment. All of it is the host's to say.

use nonna_bpf::Helper;

use super::table::helper_table;
use super::{Called, E2BIG, EFAULT, EINVAL, EPERM, HelperFn, error, handle, read_bytes};
use crate::host::{Clock, HelperError, Space};
use crate::maps::MapError;
use crate::memory::Access;
use crate::run::Run;

/// Nanoseconds of a tick of the kernel's clock, at 250 a second.
const TICK_NS: u64 = 4_000_000;
/// Addresses to leave out at the top of a stack, in the flags.
const SKIP: u64 = 0xff;
/// The stack of the process, not the kernel's.
const USER_STACK: u64 = 1 << 8;
/// Flags of stack traces that are kept: compare by hash, reuse numbers.
const KEEP: u64 = 3 << 9;
/// Build ids instead of addresses.
const BUILD_ID: u64 = 1 << 11;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::KTIME_GET_NS.id() => |run, _| Ok(run.host.clock_ns(Clock::Monotonic)),
    Helper::KTIME_GET_BOOT_NS.id() => |run, _| Ok(run.host.clock_ns(Clock::Boot)),
    Helper::KTIME_GET_COARSE_NS.id() => |run, _| Ok(run.host.clock_ns(Clock::Monotonic)),
    Helper::KTIME_GET_TAI_NS.id() => |run, _| Ok(run.host.clock_ns(Clock::Tai)),
    Helper::JIFFIES64.id() => |run, _| Ok(run.host.clock_ns(Clock::Monotonic) / TICK_NS),
    Helper::GET_PRANDOM_U32.id() => |run, _| Ok(run.host.random().into()),
    Helper::GET_NUMA_NODE_ID.id() => |_, _| Ok(0),
    Helper::GET_CURRENT_PID_TGID.id() => |run, _| {
        let who = run.host.identity();
        Ok(u64::from(who.process) << 32 | u64::from(who.thread))
    },
    Helper::GET_CURRENT_UID_GID.id() => |run, _| {
        let who = run.host.identity();
        Ok(u64::from(who.group) << 32 | u64::from(who.user))
    },
    Helper::GET_CURRENT_COMM.id() => |run, [to, bytes, ..]| {
        let name = run.host.identity().name;
        let room = (bytes & 0xffff_ffff) as usize;
        if room == 0 {
            return Ok(error(EINVAL));
        }
        run.memory.check(to, room, Access::Write)?;
        // Cut where there is no room, always ended by a zero, padded with zeros.
        let mut text: Vec<u8> = name.iter().copied().take_while(|byte| *byte != 0).take(room - 1).collect();
        text.resize(room, 0);
        run.memory.write(to, &text)?;
        Ok(0)
    },
    Helper::GET_NS_CURRENT_PID_TGID.id() => |run, [_, _, to, bytes, _]| {
        if bytes & 0xffff_ffff != 8 {
            return Ok(error(EINVAL));
        }
        let who = run.host.identity();
        run.memory.write(to, &[who.thread.to_ne_bytes(), who.process.to_ne_bytes()].concat())?;
        Ok(0)
    },
    Helper::GET_CURRENT_TASK.id() => |run, _| Ok(run.host.task()),
    Helper::GET_CURRENT_TASK_BTF.id() => |run, _| Ok(run.host.task()),
    Helper::GET_CURRENT_CGROUP_ID.id() => |run, _| Ok(run.host.identity().cgroup),
    Helper::GET_CURRENT_ANCESTOR_CGROUP_ID.id() => |run, [level, ..]| {
        Ok(run.host.ancestor_cgroup(level as u32).unwrap_or(0))
    },
    Helper::CURRENT_TASK_UNDER_CGROUP.id() => |run, [map, index, ..]| under_cgroup(run, map, index),
    Helper::SKB_UNDER_CGROUP.id() => |run, [_, map, index, ..]| under_cgroup(run, map, index),
    Helper::SKB_ANCESTOR_CGROUP_ID.id() => |run, [_, level, ..]| {
        Ok(run.host.ancestor_cgroup(level as u32).unwrap_or(0))
    },
    Helper::SK_CGROUP_ID.id() => |run, _| Ok(run.host.identity().cgroup),
    Helper::SK_ANCESTOR_CGROUP_ID.id() => |run, [_, level, ..]| {
        Ok(run.host.ancestor_cgroup(level as u32).unwrap_or(0))
    },
    Helper::D_PATH.id() => |run, [path, to, bytes, ..]| {
        let room = (bytes & 0xffff_ffff) as usize;
        run.memory.check(to, room, Access::Write)?;
        let Some(mut text) = run.host.path(path) else { return Ok(error(EFAULT)) };
        text.push(0);
        if text.len() > room {
            return Ok(error(ENAMETOOLONG));
        }
        run.memory.write(to, &text)?;
        Ok(text.len() as u64)
    },
    Helper::KALLSYMS_LOOKUP_NAME.id() => |run, [name, bytes, flags, to, _]| {
        let name = read_bytes(run, name, (bytes & 0xffff_ffff) as usize)?;
        let Some((0, text)) = name.split_last().filter(|_| flags == 0) else { return Ok(error(EINVAL)) };
        let address = run.host.symbol(text);
        run.memory.write(to, &address.unwrap_or(0).to_ne_bytes())?;
        Ok(if address.is_some() { 0 } else { error(MapError::Absent.errno()) })
    },
    Helper::BPRM_OPTS_SET.id() => |_, [_, flags, ..]| Ok(if flags & !1 == 0 { 0 } else { error(EINVAL) }),
    Helper::GET_SOCKET_COOKIE.id() => |run, _| Ok(run.host.socket_cookie()),
    Helper::GET_SOCKET_UID.id() => |run, _| Ok(run.host.identity().user.into()),
    Helper::GET_NETNS_COOKIE.id() => |run, _| Ok(run.host.network_namespace_cookie()),
    Helper::GET_FUNC_IP.id() => |run, _| Ok(run.host.function_address()),
    Helper::GET_ATTACH_COOKIE.id() => |run, _| Ok(run.host.attach_cookie()),
    Helper::GET_FUNC_ARG.id() => |run, [context, index, to, ..]| {
        let n_arguments = run.context.n_arguments();
        match u32::try_from(index) {
            Ok(index) if u64::from(index) < n_arguments => word(run, context, u64::from(index), to),
            _ => Ok(error(EINVAL)),
        }
    },
    Helper::GET_FUNC_RET.id() => |run, [context, to, ..]| {
        match run.context.has_result() {
            true => word(run, context, run.context.n_arguments(), to),
            false => Ok(error(EOPNOTSUPP)),
        }
    },
    Helper::GET_FUNC_ARG_CNT.id() => |run, _| Ok(run.context.n_arguments()),
    Helper::OVERRIDE_RETURN.id() => |run, [_, value, ..]| {
        run.context.override_return(value);
        Ok(0)
    },
    Helper::SEND_SIGNAL.id() => |run, [signal, ..]| send_signal(run, signal as u32),
    Helper::SEND_SIGNAL_THREAD.id() => |run, [signal, ..]| send_signal(run, signal as u32),
    Helper::GET_STACKID.id() => get_stackid,
    Helper::GET_STACK.id() => |run, [_, to, bytes, flags, _]| get_stack(run, to, bytes, flags),
    Helper::GET_TASK_STACK.id() => |run, [_, to, bytes, flags, _]| get_stack(run, to, bytes, flags),
    Helper::PERF_EVENT_READ.id() => |run, [map, flags, ..]| {
        handle(run, map)?;
        Ok(run.host.counter(flags as u32).map_or(error(MapError::Absent.errno()), |counter| counter[0]))
    },
    Helper::PERF_EVENT_READ_VALUE.id() => |run, [map, flags, to, bytes, _]| {
        handle(run, map)?;
        run.memory.check(to, (bytes & 0xffff_ffff) as usize, Access::Write)?;
        let answer = match (bytes & 0xffff_ffff, run.host.counter(flags as u32)) {
            (24, Some(counter)) => return write_counter(run, to, counter),
            (24, None) => MapError::Absent.errno(),
            _ => EINVAL,
        };
        run.memory.write(to, &vec![0; (bytes & 0xffff_ffff) as usize])?;
        Ok(error(answer))
    },
}

const EAGAIN: i32 = 11;
const ENAMETOOLONG: i32 = 36;
const EOPNOTSUPP: i32 = 95;
/// The highest signal.
const MAX_SIGNAL: u32 = 64;

/// A word of the context goes to the program's memory.
fn word(run: &mut Run<'_, '_>, context: u64, index: u64, to: u64) -> Called {
    let bytes = read_bytes(run, context.wrapping_add(index * 8), 8)?;
    run.memory.write(to, &bytes)?;
    Ok(0)
}

fn under_cgroup(run: &mut Run<'_, '_>, map: u64, index: u64) -> Called {
    let handle = handle(run, map)?;
    match run.maps.reference(handle, index as u32) {
        Ok(Some(cgroup)) => Ok(run.host.is_under_cgroup(cgroup).into()),
        Ok(None) => Ok(error(EAGAIN)),
        Err(_) => Err(HelperError::Map(map)),
    }
}

fn send_signal(run: &mut Run<'_, '_>, signal: u32) -> Called {
    if signal > MAX_SIGNAL {
        return Ok(error(EINVAL));
    }
    if run.host.identity().process == 0 {
        return Ok(error(EPERM));
    }
    run.context.signal(signal);
    Ok(0)
}

fn write_counter(run: &mut Run<'_, '_>, to: u64, counter: [u64; 3]) -> Called {
    let bytes: Vec<u8> = counter.iter().flat_map(|number| number.to_ne_bytes()).collect();
    run.memory.write(to, &bytes)?;
    Ok(0)
}

/// The present stack from the host, without the addresses that the flags leave out.
fn stack(run: &mut Run<'_, '_>, flags: u64) -> Option<Vec<u64>> {
    let space = if flags & USER_STACK == 0 { Space::Kernel } else { Space::User };
    let stack = run.host.stack(space)?;
    let skip = (flags & SKIP) as usize;
    (skip < stack.len() || stack.is_empty()).then(|| stack[skip.min(stack.len())..].to_vec())
}

fn get_stackid(run: &mut Run<'_, '_>, [_, map, flags, ..]: [u64; 5]) -> Called {
    let map = handle(run, map)?;
    if flags & !(SKIP | USER_STACK | KEEP) != 0 {
        return Ok(error(EINVAL));
    }
    let Some(stack) = stack(run, flags) else { return Ok(error(EFAULT)) };
    Ok(run.maps.keep_stack(map, &stack, flags).map_or_else(MapError::result, u64::from))
}

fn get_stack(run: &mut Run<'_, '_>, to: u64, bytes: u64, flags: u64) -> Called {
    let room = (bytes & 0xffff_ffff) as usize;
    run.memory.check(to, room, Access::Write)?;
    if flags & !(SKIP | USER_STACK | BUILD_ID) != 0 || flags & BUILD_ID != 0 || !room.is_multiple_of(8) {
        run.memory.write(to, &vec![0; room])?;
        return Ok(error(EINVAL));
    }
    let found = stack(run, flags);
    let mut text: Vec<u8> = found.iter().flatten().flat_map(|address| address.to_ne_bytes()).collect();
    text.truncate(room);
    let n_bytes = text.len();
    text.resize(room, 0);
    run.memory.write(to, &text)?;
    Ok(if found.is_some() { n_bytes as u64 } else { error(EFAULT) })
}

const _: () = assert!(E2BIG == MapError::TooBig.errno());

/// `bpf_get_smp_processor_id`: written by hand, since machine code knows where the run keeps the number.
pub(super) const PROCESSOR: (u32, HelperFn) = (Helper::GET_SMP_PROCESSOR_ID.id(), processor);

extern "C" fn processor(_: u64, _: u64, _: u64, _: u64, _: u64, run: &mut Run<'_, '_>) -> u64 {
    run.processor().into()
}
