//! Helpers that steer the program: loops, locks, exchanged pointers, timers; and open-coded iterators, which are kernel functions.

use nonna_bpf::Helper;

use super::table::helper_table;
use super::{Called, E2BIG, EBUSY, EINVAL, HelperFn, error, handle, read_bytes};
use crate::host::{Clock, HelperError};
use crate::maps::Timer;
use crate::memory::Access;
use crate::run::Run;

/// Rounds that one loop makes at most (`BPF_MAX_LOOPS`).
const MAX_ROUNDS: u64 = 8 << 20;
/// The time of `bpf_timer_start` is a time of the clock, not from now.
const ABSOLUTE: u64 = 1;
/// The timer stays on its processor; there is nowhere else.
const PINNED: u64 = 2;

helper_table! {
    /// The helpers of this file.
    TABLE:
    Helper::LOOP.id() => |run, [n_rounds, function, context, flags, _]| {
        let n_rounds = n_rounds & 0xffff_ffff;
        if flags != 0 {
            return Ok(error(EINVAL));
        }
        if n_rounds > MAX_ROUNDS {
            return Ok(error(E2BIG));
        }
        for round in 0..n_rounds {
            let stop = run.call_back(function, [round, context, 0, 0, 0]);
            if run.is_stopped() || stop != 0 {
                return Ok(round + 1);
            }
        }
        Ok(n_rounds)
    },
    Helper::SPIN_LOCK.id() => |run, [lock, ..]| {
        if number(run, lock)? != 0 {
            return Err(HelperError::Misused("the lock is held already, and nobody else runs who could release it"));
        }
        run.memory.write(lock, &1u32.to_ne_bytes())?;
        Ok(0)
    },
    Helper::SPIN_UNLOCK.id() => |run, [lock, ..]| {
        run.memory.write(lock, &0u32.to_ne_bytes())?;
        Ok(0)
    },
    Helper::KPTR_XCHG.id() => |run, [slot, pointer, ..]| {
        let bytes = read_bytes(run, slot, 8)?;
        run.memory.write(slot, &pointer.to_ne_bytes())?;
        Ok(bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes)))
    },
    Helper::TIMER_INIT.id() => timer_init,
    Helper::TIMER_SET_CALLBACK.id() => |run, [at, function, ..]| {
        match timer(run, at) {
            Some(timer) => timer.function = Some(function),
            None => return Ok(error(EINVAL)),
        }
        Ok(0)
    },
    Helper::TIMER_START.id() => |run, [at, after_ns, flags, ..]| {
        if flags & !(ABSOLUTE | PINNED) != 0 {
            return Ok(error(EINVAL));
        }
        let Some(Timer { clock, function: Some(_), .. }) = timer(run, at).copied() else { return Ok(error(EINVAL)) };
        let now = if flags & ABSOLUTE == 0 { run.host.clock_ns(clock) } else { 0 };
        if let Some(timer) = timer(run, at) {
            timer.due_ns = Some(now.saturating_add(after_ns));
        }
        Ok(0)
    },
    Helper::TIMER_CANCEL.id() => |run, [at, ..]| {
        Ok(timer(run, at).map_or(error(EINVAL), |timer| timer.due_ns.take().is_some().into()))
    },
}

/// A number of 4 bytes in the program's memory, which may be written.
fn number(run: &Run<'_, '_>, at: u64) -> Result<u32, HelperError> {
    run.memory.check(at, 4, Access::Write)?;
    let mut bytes = [0; 4];
    run.memory.read(at, &mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// The timer that was made at an address, as long as its value is there: the machine's parts of a value become zeros when it
/// goes.
fn timer<'a>(run: &'a mut Run<'_, '_>, at: u64) -> Option<&'a mut Timer> {
    let mut mark = [0; 8];
    run.memory.read(at, &mut mark).ok()?;
    run.maps.timers().iter_mut().find(|timer| timer.address == at && timer.mark() == mark)
}

fn timer_init(run: &mut Run<'_, '_>, [at, map, flags, ..]: [u64; 5]) -> Called {
    let map = handle(run, map)?;
    run.memory.check(at, 16, Access::Write)?;
    let clock = match flags {
        0 => Clock::Tai,
        1 => Clock::Monotonic,
        7 => Clock::Boot,
        _ => return Ok(error(EINVAL)),
    };
    if timer(run, at).is_some() {
        return Ok(error(EBUSY));
    }
    let timer = run.maps.add_timer(map, at, clock);
    run.memory.write(at, &timer.mark())?;
    Ok(0)
}

helper_table! {
    /// Kernel functions, in the order of [`NAMES`].
    FUNCTIONS:
    // An iterator over numbers: 8 bytes, the present one and the end.
    0 => |run, [iterator, start, end, ..]| {
        let (start, end) = (start as i32, end as i32);
        let (bytes, answer) = if start > end {
            ([0; 8], error(EINVAL))
        } else if i64::from(end) - i64::from(start) > MAX_ROUNDS as i64 {
            ([0; 8], error(E2BIG))
        } else {
            (pair(start.wrapping_sub(1), end), 0)
        };
        run.memory.write(iterator, &bytes)?;
        Ok(answer)
    },
    1 => |run, [iterator, ..]| {
        let bytes = read_bytes(run, iterator, 8)?;
        let part = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (present, end) = (part(0), part(4));
        // One before the start may be the other end of the numbers: the kernel compares the next one as a wide number.
        if i64::from(present.wrapping_add(1)) >= i64::from(end) {
            run.memory.write(iterator, &[0; 8])?;
            return Ok(0);
        }
        run.memory.write(iterator, &pair(present.wrapping_add(1), end))?;
        Ok(iterator)
    },
    2 => |run, [iterator, ..]| {
        run.memory.write(iterator, &[0; 8])?;
        Ok(0)
    },
    3 => |_, _| Ok(0),
    4 => |_, _| Ok(0),
    5 => |_, _| Ok(0),
    6 => |_, _| Ok(0),
    7 => |_, [object, ..]| Ok(object),
    8 => |_, [object, ..]| Ok(object),
}

fn pair(a: i32, b: i32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&a.to_ne_bytes());
    bytes[4..].copy_from_slice(&b.to_ne_bytes());
    bytes
}

/// Names of the kernel functions.
const NAMES: [&str; 9] = [
    "bpf_iter_num_new",
    "bpf_iter_num_next",
    "bpf_iter_num_destroy",
    "bpf_rcu_read_lock",
    "bpf_rcu_read_unlock",
    "bpf_preempt_disable",
    "bpf_preempt_enable",
    "bpf_rdonly_cast",
    "bpf_cast_to_kern_ctx",
];

/// The kernel functions of this file, by name.
pub(super) fn kernel_functions() -> impl Iterator<Item = (&'static str, HelperFn)> {
    NAMES.into_iter().zip(FUNCTIONS.iter().map(|(_, function)| *function))
}
