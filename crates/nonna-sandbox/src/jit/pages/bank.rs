//! Memory for the code of many programs, kept by the embedder: each piece of it seen twice, once writable, once executable.
//!
//! Places that programs leave are used again, so that compiling asks the system for nothing once there is enough. What is not code is
//! traps. Nothing of the code itself is known here.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::ProtFlags;

use super::mapping::Mapping;
use super::{PAGE_BYTES, START_BYTES, TRAP, random_start};

/// The least that the system is asked for.
const MIN_BANK_BYTES: usize = 16 * PAGE_BYTES;

/// Memory for machine code that an embedder keeps and hands to [`Code::compile_in`](super::super::Code::compile_in).
///
/// It is for who compiles again and again: new pages for each program take the system longer than compiling a small one. It begins
/// empty, grows as programs need it, uses the places of programs that are gone again, and is given back with its last clone and the
/// last program in it.
///
/// No address in it is both writable and executable: it is a file in memory without a name, seen once through addresses that can be
/// written and once through others that can be run, each where the kernel draws it, and the code at a random start. So whoever can write
/// anywhere and finds the writable view can change code, which pages of a program's own
/// ([`Code::compile`](super::super::Code::compile)) do not allow; in exchange no system call is needed and other programs go on
/// running meanwhile. Several threads may share it; they put their code there one after the other.
///
/// A process that is forked off has neither view, so that two processes never write the same code: it must not run programs that were
/// compiled in here before, and compiles its own anew.
#[derive(Debug, Clone, Default)]
pub struct CodeMemory {
    banks: Arc<Mutex<Vec<Bank>>>,
}

impl CodeMemory {
    /// No memory yet.
    pub fn new() -> Self {
        CodeMemory::default()
    }

    fn banks(&self) -> MutexGuard<'_, Vec<Bank>> {
        // What a panic left half done is a place that nobody uses again.
        self.banks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for so many bytes, filled by `write`.
    pub(super) fn take(&self, n_bytes: usize, write: impl FnOnce(&mut [u8])) -> io::Result<Room> {
        let shift = random_start();
        let room_bytes = n_bytes.next_multiple_of(START_BYTES);
        let mut banks = self.banks();
        let found = banks
            .iter_mut()
            .enumerate()
            .filter(|(_, bank)| bank.mark.is_ours())
            .find_map(|(index, bank)| Some((index, bank.take(room_bytes, shift)?)));
        let (index, at) = match found {
            Some(found) => found,
            None => {
                let so_far: usize =
                    banks.iter().filter(|bank| bank.mark.is_ours()).map(|bank| bank.n_bytes).sum();
                let bytes = (room_bytes + PAGE_BYTES).next_multiple_of(PAGE_BYTES);
                let mut bank = Bank::new(bytes.max(so_far).max(MIN_BANK_BYTES))?;
                let at = bank.take(room_bytes, shift).expect("the bank was made for it");
                banks.push(bank);
                (banks.len() - 1, at)
            }
        };
        let bank = &mut banks[index];
        write(&mut bank.writable_mut()[at..at + n_bytes]);
        serialize();
        let start = bank.executable().at(at);
        drop(banks);
        Ok(Room { memory: self.clone(), bank: index, range: at..at + room_bytes, start })
    }
}

/// A place of a program, which goes back when it is gone.
#[derive(Debug)]
pub(super) struct Room {
    memory: CodeMemory,
    bank: usize,
    range: Range<usize>,
    start: NonNull<u8>,
}

impl Room {
    /// Where the place begins in the executable view.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let bank = &mut self.memory.banks()[self.bank];
        // A process that was forked off does not have the memory.
        if bank.mark.is_ours() {
            bank.give_back(self.range.clone());
        }
    }
}

/// A piece of memory with its two views.
#[derive(Debug)]
struct Bank {
    /// Writable and executable; `None` only while it goes.
    views: Option<(Mapping, Mapping)>,
    n_bytes: usize,
    /// Whose it is.
    mark: Mapping,
    /// What is free, in order; between two there is always code. All of it is traps.
    free: Vec<Range<usize>>,
}

impl Bank {
    fn new(n_bytes: usize) -> io::Result<Self> {
        let file = memfd_create("code", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, n_bytes as u64)?;
        let mut writable = Mapping::view(&file, n_bytes, ProtFlags::READ | ProtFlags::WRITE)?;
        writable.bytes_mut().fill(TRAP);
        let executable = Mapping::view(&file, n_bytes, ProtFlags::READ | ProtFlags::EXEC)?;
        let free = std::iter::once(0..n_bytes).collect();
        Ok(Bank { views: Some((writable, executable)), n_bytes, mark: Mapping::mark()?, free })
    }

    fn writable_mut(&mut self) -> &mut [u8] {
        self.views.as_mut().expect("the bank is there").0.bytes_mut()
    }

    fn executable(&self) -> &Mapping {
        &self.views.as_ref().expect("the bank is there").1
    }

    /// A place of this size, this far into what is free there or as far as there is room.
    fn take(&mut self, n_bytes: usize, shift: usize) -> Option<usize> {
        let index = self.free.iter().position(|range| range.len() >= n_bytes)?;
        let Range { start, end } = self.free[index];
        let at = start + shift.min(end - start - n_bytes);
        let rest = [start..at, at + n_bytes..end].into_iter().filter(|range| !range.is_empty());
        self.free.splice(index..=index, rest);
        Some(at)
    }

    /// Makes a place free.
    fn give_back(&mut self, range: Range<usize>) {
        self.writable_mut()[range.clone()].fill(TRAP);
        let mut index = self.free.partition_point(|free| free.start < range.start);
        let mut range = range;
        if index > 0 && self.free[index - 1].end == range.start {
            index -= 1;
            range.start = self.free.remove(index).start;
        }
        if self.free.get(index).is_some_and(|free| free.start == range.end) {
            range.end = self.free.remove(index).end;
        }
        self.free.insert(index, range);
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        // In another process something else may lie at these addresses.
        if let Some((writable, executable)) = self.views.take()
            && !self.mark.is_ours()
        {
            writable.forget();
            executable.forget();
        }
    }
}

/// Lets this processor forget what it has fetched: it keeps code that is written through other addresses than it is fetched from
/// coherent only up to what is in its pipeline (Intel's manual, volume 3, on self-modifying code). Another thread that is handed the code
/// runs it long after.
fn serialize() {
    // SAFETY: it returns from an interrupt that there was not to the next instruction, with the same stack, flags and segments.
    unsafe {
        std::arch::asm!(
            "mov {stack}, rsp",
            "mov {part:e}, ss",
            "push {part}",
            "push {stack}",
            "pushfq",
            "mov {part:e}, cs",
            "push {part}",
            "lea {part}, [rip + 2f]",
            "push {part}",
            "iretq",
            "2:",
            stack = out(reg) _,
            part = out(reg) _,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_never_overlap_and_come_back_as_traps(steps in prop::collection::vec((1usize..9000, any::<prop::sample::Index>(), any::<bool>()), 1..60)) {
            let memory = CodeMemory::new();
            let mut all: Vec<(Room, u8, usize)> = Vec::new();
            for (number, (bytes, which, leaves)) in steps.into_iter().enumerate() {
                if leaves && !all.is_empty() {
                    let index = which.index(all.len());
                    all.swap_remove(index);
                } else {
                    let room = memory.take(bytes, |code| code.fill(number as u8)).unwrap();
                    all.push((room, number as u8, bytes));
                }
                for (room, number, bytes) in &all {
                    // SAFETY: the place is readable and nobody writes it.
                    let code = unsafe { std::slice::from_raw_parts(room.start().as_ptr(), *bytes) };
                    prop_assert!(code.iter().all(|byte| byte == number));
                }
            }
            all.clear();
            for bank in memory.banks().iter_mut() {
                prop_assert_eq!(bank.free.len(), 1);
                prop_assert_eq!(bank.free[0].len(), bank.n_bytes);
                prop_assert!(bank.writable_mut().iter().all(|byte| *byte == TRAP));
            }
        }
    }
}
