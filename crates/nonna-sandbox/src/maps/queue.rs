//! Queues and stacks: values without keys.
//!
//! One ring serves both: a queue gives the oldest value, a stack the newest (`kernel/bpf/queue_stack_maps.c`). Programs
//! only ever get copies, so no memory is lent.

use std::collections::VecDeque;

use super::error::MapError;

/// A queue or a stack.
#[derive(Debug)]
pub(super) struct Queue {
    values: VecDeque<Box<[u8]>>,
    value_bytes: usize,
    max_entries: u32,
    newest_first: bool,
}

impl Queue {
    /// An empty one.
    pub(super) fn new(value_bytes: u32, max_entries: u32, newest_first: bool) -> Queue {
        Queue { values: VecDeque::new(), value_bytes: value_bytes as usize, max_entries, newest_first }
    }

    /// Adds a value; with `BPF_EXIST` the oldest goes where there is no room.
    pub(super) fn push(&mut self, value: &[u8], flags: u64) -> Result<(), MapError> {
        if flags & super::NOEXIST != 0 || flags > super::EXIST {
            return Err(MapError::Invalid);
        }
        if self.values.len() >= self.max_entries as usize {
            if flags & super::EXIST == 0 {
                return Err(MapError::TooBig);
            }
            self.values.pop_front();
        }
        self.values.push_back(value.into());
        Ok(())
    }

    /// The next value; where there is none, zeros go into `value` and the answer is an error.
    pub(super) fn peek(&self, value: &mut [u8]) -> Result<(), MapError> {
        let next = if self.newest_first { self.values.back() } else { self.values.front() };
        match next {
            Some(next) => value[..self.value_bytes].copy_from_slice(next),
            None => value[..self.value_bytes].fill(0),
        }
        next.map(|_| ()).ok_or(MapError::Absent)
    }

    /// As [`Queue::peek`], and takes the value out.
    pub(super) fn pop(&mut self, value: &mut [u8]) -> Result<(), MapError> {
        self.peek(value)?;
        if self.newest_first {
            self.values.pop_back()
        } else {
            self.values.pop_front()
        };
        Ok(())
    }

    /// All values, in the order in which they would come out.
    pub(super) fn values(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = self.values.iter().map(|value| value.to_vec()).collect();
        if self.newest_first {
            all.reverse();
        }
        all
    }
}
