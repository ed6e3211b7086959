//! The file of memory that small programs share: mapped for execution, and never for writing.
//!
//! Asking the system for pages and for their protection takes longer than compiling a small program does. So a piece of memory
//! is made once, as a file that has no name (`memfd_create`), and mapped readable and executable. Code gets there by a write
//! to the file: at no time is there a mapping through which these pages could be written, and the mapping is never changed.
//! Code is only ever added behind other code. What lies there stays as it is until the last program of the file is gone, so no
//! processor can hold older instructions of the same place; whoever is given the file to share, such as a child after
//! `fork`, finds nothing changed.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous};
use rustix::process::{Resource, getrlimit};

use super::{Mapping, PAGE_BYTES, START_BYTES, TRAP, near};

/// Bytes of a file. Pages count only once code lies in them.
const ARENA_BYTES: usize = 256 << 10;
/// The longest code that goes into one.
pub(super) const MAX_SHARED_BYTES: usize = ARENA_BYTES / 4;
/// Code starts less than this behind the code before it.
const MAX_GAP_BYTES: usize = PAGE_BYTES;
/// What stands in the page that a child finds empty.
const OURS: u32 = 1;

/// A file that code is added to.
#[derive(Debug)]
struct Arena {
    /// Programs keep it there; the file itself goes as soon as no more is added.
    mapping: Arc<Mapping>,
    file: OwnedFd,
    /// A page of numbers that are 0 in a child that was forked (`MADV_WIPEONFORK`): the file is its parent's to write.
    ours: Mapping,
    /// Where the last program ends.
    end: usize,
    /// The length of the file, in whole pages. What is no code is traps; behind the end, the system stops whoever goes there.
    written: usize,
}

/// The file that code is added to at present.
static ARENA: Mutex<Option<Arena>> = Mutex::new(None);

thread_local! {
    /// What is about to be written.
    static STAGE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Puts code into the shared file, as `write` makes it; yields what keeps it there, and where it starts in that. `None` where the
/// system has no such files: it may forbid to execute them, or memory may be short.
pub(super) fn place(
    code_bytes: usize,
    random: usize,
    write: &impl Fn(&mut [u8]),
) -> Option<(Arc<Mapping>, usize)> {
    let mut present = ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    place_in(&mut present, code_bytes, random, write)
}

fn place_in(
    present: &mut Option<Arena>,
    code_bytes: usize,
    random: usize,
    write: &impl Fn(&mut [u8]),
) -> Option<(Arc<Mapping>, usize)> {
    // A file that is full is closed before the next is made: there is never more than one.
    let kept = present.take().filter(|arena| arena.has_room(code_bytes) && arena.is_ours());
    let mut arena = match kept {
        Some(arena) => arena,
        None => Arena::new(random).ok()?,
    };
    // A file that could not be written as a whole is not used again.
    let start = arena.add(code_bytes, random, write).ok()?;
    let mapping = Arc::clone(&arena.mapping);
    *present = Some(arena);
    Some((mapping, start))
}

impl Arena {
    fn new(random: usize) -> io::Result<Self> {
        let allowed = getrlimit(Resource::Fsize).current;
        if allowed.is_some_and(|bytes| bytes < ARENA_BYTES as u64) {
            // Whoever writes more to a file than is allowed, is killed.
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let name = c"nonna code";
        // Before Linux 6.3 nobody knew that such a file could be one that is never run as a program.
        let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| memfd_create(name, MemfdFlags::CLOEXEC))?;
        let protection = ProtFlags::READ | ProtFlags::EXEC;
        // SAFETY: a new mapping where nothing is touches no memory that there is; `near` is but a wish.
        let at = unsafe { mmap(near(random), ARENA_BYTES, protection, MapFlags::SHARED, &file, 0) }?;
        let mapping = Arc::new(Mapping::new(at, ARENA_BYTES));
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as above.
        let at = unsafe { mmap_anonymous(std::ptr::null_mut(), PAGE_BYTES, protection, MapFlags::PRIVATE) }?;
        let ours = Mapping::new(at, PAGE_BYTES);
        // SAFETY: the page is ours, and new.
        unsafe { madvise(at, PAGE_BYTES, Advice::LinuxWipeOnFork) }?;
        let arena = Arena { mapping, file, ours, end: 0, written: 0 };
        arena.mark().store(OURS, Ordering::Relaxed);
        Ok(arena)
    }

    fn mark(&self) -> &AtomicU32 {
        // SAFETY: the page is readable and writable as long as `self` lives, aligned, and holds a number, at first 0.
        unsafe { self.ours.at.cast::<AtomicU32>().as_ref() }
    }

    /// Whether this process made the file, not one that it was forked from.
    fn is_ours(&self) -> bool {
        self.mark().load(Ordering::Relaxed) == OURS
    }

    /// Whether so much code fits, wherever it may start.
    fn has_room(&self, code_bytes: usize) -> bool {
        self.end + START_BYTES + MAX_GAP_BYTES + code_bytes <= ARENA_BYTES
    }

    /// Adds code at a place that cannot be known; yields where that is.
    fn add(&mut self, code_bytes: usize, random: usize, write: &impl Fn(&mut [u8])) -> io::Result<usize> {
        // The first program starts anywhere in a page; the distances from one to the next are shorter, for the pages that they cost.
        let gap = random % if self.end == 0 { MAX_GAP_BYTES } else { MAX_GAP_BYTES / 4 } / START_BYTES
            * START_BYTES;
        let start = self.end.next_multiple_of(START_BYTES) + gap;
        let end = start + code_bytes;
        // Where pages are added they are filled.
        let (from, to) = match end > self.written {
            true => (start.min(self.written), end.next_multiple_of(PAGE_BYTES)),
            false => (start, end),
        };
        STAGE.with_borrow_mut(|stage| {
            stage.clear();
            stage.resize(to - from, TRAP);
            write(&mut stage[start - from..end - from]);
            let mut done = 0;
            while done < stage.len() {
                match rustix::io::pwrite(&self.file, &stage[done..], (from + done) as u64) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => done += n,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(io::Error::from(error)),
                }
            }
            Ok(())
        })?;
        self.end = end;
        self.written = self.written.max(to);
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(byte: u8) -> impl Fn(&mut [u8]) {
        move |code| code.fill(byte)
    }

    #[test]
    fn what_is_no_code_is_traps_up_to_the_end_of_the_file() {
        let mut arena = Arena::new(0).unwrap();
        let mut expected = vec![TRAP; ARENA_BYTES];
        for n in 1..40 {
            let code_bytes = n * 97 % 5000 + 1;
            if !arena.has_room(code_bytes) {
                break;
            }
            let start = arena.add(code_bytes, n * 31, &code(n as u8)).unwrap();
            assert_eq!(start % START_BYTES, 0);
            expected[start..start + code_bytes].fill(n as u8);
            // SAFETY: the file has so many bytes, and nothing writes them meanwhile.
            let seen = unsafe { std::slice::from_raw_parts(arena.mapping.at.as_ptr(), arena.written) };
            assert!(seen == &expected[..arena.written], "after {n} programs");
            assert!(arena.end <= arena.written);
        }
        assert!(arena.end > ARENA_BYTES / 4);
    }

    #[test]
    fn a_child_writes_no_file_of_its_parent() {
        let arena = Arena::new(0).unwrap();
        assert!(arena.is_ours());
        // What the kernel does when it forks.
        arena.mark().store(0, Ordering::Relaxed);
        assert!(!arena.is_ours());
        let mut present = Some(arena);
        let before = present.as_ref().map(|arena| Arc::clone(&arena.mapping)).unwrap();
        let (mapping, _) = place_in(&mut present, 8, 0, &code(1)).unwrap();
        assert_ne!(mapping.at, before.at);
        assert_eq!(Arc::strong_count(&before), 1);
    }

    #[test]
    fn a_full_file_goes_with_its_last_program() {
        let mut present = None;
        let (first, _) = place_in(&mut present, MAX_SHARED_BYTES, 0, &code(2)).unwrap();
        for n in 0.. {
            let (mapping, start) = place_in(&mut present, MAX_SHARED_BYTES, 0, &code(3)).unwrap();
            if mapping.at != first.at {
                assert_eq!((n, start), (2, 0));
                break;
            }
        }
        // Only the first program still holds the first file.
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
