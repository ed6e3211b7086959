//! Whole maps at once: batch commands where the kernel and the map type have them, single ones elsewhere.

use std::io;

use nonna_bpf::MapType;
use rustc_hash::FxHashSet;

use super::KernelMap;
use crate::error::{Context, Error};
use crate::sys::{BatchRead, UpdateMode};

/// Bytes that one batch command moves at most, unless a single bucket is larger.
const BATCH_BYTES: usize = 256 * 1024;

/// Entries copied from a map, in the kernel's order.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    keys: Vec<u8>,
    values: Vec<u8>,
    key_bytes: usize,
    value_bytes: usize,
    len: usize,
}

impl Entries {
    fn new(map: &KernelMap) -> Self {
        Self { key_bytes: map.key_bytes(), value_bytes: map.value_bytes(), ..Self::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All keys, one after the other.
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Pairs of key and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.len).map(|i| {
            (
                &self.keys[i * self.key_bytes..(i + 1) * self.key_bytes],
                &self.values[i * self.value_bytes..(i + 1) * self.value_bytes],
            )
        })
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        self.len += 1;
    }

    /// Makes room for `n` more entries behind those that are there.
    fn grow(&mut self, n: usize) -> (&mut [u8], &mut [u8]) {
        let (keys_at, values_at) = (self.len * self.key_bytes, self.len * self.value_bytes);
        self.keys.resize(keys_at + n * self.key_bytes, 0);
        self.values.resize(values_at + n * self.value_bytes, 0);
        (&mut self.keys[keys_at..], &mut self.values[values_at..])
    }

    /// Keeps `n` of the room made by [`grow`](Self::grow).
    fn keep(&mut self, n: usize) {
        self.len += n;
        self.keys.truncate(self.len * self.key_bytes);
        self.values.truncate(self.len * self.value_bytes);
    }
}

impl KernelMap {
    /// All entries. Those that programs make or delete meanwhile may or may not be among them.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn entries(&self) -> Result<Entries, Error> {
        match self.read_batches(BatchRead::Keep)? {
            Some(entries) => Ok(entries),
            None => self.read_single(),
        }
    }

    /// Takes all entries out of a hash map. With batch commands no update is lost in between; without them an update that falls
    /// between reading and deleting an entry is.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that entries of arrays cannot be deleted.
    pub fn drain(&self) -> Result<Entries, Error> {
        if let Some(entries) = self.read_batches(BatchRead::Delete)? {
            return Ok(entries);
        }
        let entries = self.read_single()?;
        self.delete_many(entries.keys())?;
        Ok(entries)
    }

    /// Removes all entries; in arrays, whose entries always exist, sets all values to zero.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn clear(&self) -> Result<(), Error> {
        if matches!(self.map_type(), Some(MapType::Array | MapType::PercpuArray)) {
            return self.zero();
        }
        let entries = self.entries()?;
        self.delete_many(entries.keys()).map(drop)
    }

    /// Sets the values of all entries to zero and keeps the keys.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn zero(&self) -> Result<(), Error> {
        let keys = self.entries()?.keys;
        let n = keys.len().checked_div(self.key_bytes()).unwrap_or(0);
        self.update_many(&keys, &vec![0; n * self.value_bytes()])
    }

    /// Writes many entries; keys and values lie one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the lengths do not fit together; what the kernel says otherwise, after the entries before the failing
    /// one were written.
    pub fn update_many(&self, keys: &[u8], values: &[u8]) -> Result<(), Error> {
        let (key_bytes, value_bytes) = (self.key_bytes().max(1), self.value_bytes());
        let n = keys.len() / key_bytes;
        if !keys.len().is_multiple_of(key_bytes) || values.len() != n * value_bytes {
            let (expected, found) = (n * value_bytes, values.len());
            return Err(Error::Length { map: self.name().to_owned(), what: "values", expected, found });
        }
        match self.raw.update_batch(keys, values) {
            _ if n == 0 => Ok(()),
            Ok((_, None)) => Ok(()),
            Ok((_, Some(error))) => Err(error).context(|| format!("write map `{}`", self.name())),
            Err(error) if lacks_batch(&error) => keys
                .chunks_exact(key_bytes)
                .zip(values.chunks_exact(value_bytes.max(1)))
                .try_for_each(|(key, value)| self.update(key, value, UpdateMode::Any)),
            Err(error) => Err(error).context(|| format!("write map `{}`", self.name())),
        }
    }

    /// Deletes many entries; keys lie one after the other. Returns how many there were; those that were missing are no failure.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where the keys are cut off; what the kernel says otherwise.
    pub fn delete_many(&self, keys: &[u8]) -> Result<usize, Error> {
        let key_bytes = self.key_bytes().max(1);
        if !keys.len().is_multiple_of(key_bytes) {
            self.check(keys.len() % key_bytes, None)?;
        }
        let mut rest = keys;
        let mut deleted = 0;
        while !rest.is_empty() {
            match self.raw.delete_batch(rest) {
                Ok((n, None)) => return Ok(deleted + n),
                Ok((n, Some(error))) if error.raw_os_error() == Some(libc::ENOENT) => {
                    deleted += n;
                    // The one that was missing is skipped.
                    rest = &rest[((n + 1) * key_bytes).min(rest.len())..];
                }
                Err(error) if lacks_batch(&error) => {
                    for key in rest.chunks_exact(key_bytes) {
                        deleted += usize::from(self.delete(key)?);
                    }
                    return Ok(deleted);
                }
                Ok((_, Some(error))) | Err(error) => {
                    return Err(error).context(|| format!("delete from map `{}`", self.name()));
                }
            }
        }
        Ok(deleted)
    }

    /// Reads by batches; `None` where the kernel or the type has no such command.
    fn read_batches(&self, read: BatchRead) -> Result<Option<Entries>, Error> {
        let entry_bytes = (self.key_bytes() + self.value_bytes()).max(1);
        let most = (self.max_entries() as usize).max(1);
        let mut room = (BATCH_BYTES / entry_bytes).clamp(16, 4096).min(most);
        let mut cursor = vec![0; self.key_bytes().max(8)];
        let mut started = false;
        let mut entries = Entries::new(self);
        loop {
            let (keys, values) = entries.grow(room);
            match self.raw.read_batch(read, &mut cursor, started, keys, values) {
                Ok(step) => {
                    entries.keep(step.count);
                    started = true;
                    if step.done {
                        return Ok(Some(entries));
                    }
                }
                // One bucket holds more than fits: it is asked for again with more room.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < most => {
                    entries.keep(0);
                    room = (room * 2).min(most);
                }
                Err(error) if !started && lacks_batch(&error) => return Ok(None),
                Err(error) => return Err(error).context(|| format!("read map `{}`", self.name())),
            }
        }
    }

    /// Reads key by key. A key that is deleted under the walk makes the kernel start over, so keys are told apart.
    fn read_single(&self) -> Result<Entries, Error> {
        let mut entries = Entries::new(self);
        let mut seen = FxHashSet::default();
        let mut key = vec![0; self.key_bytes()];
        let mut value = vec![0; self.value_bytes()];
        let mut previous: Option<Vec<u8>> = None;
        // More steps than this only come from starting over for ever.
        let mut steps_left = u64::from(self.max_entries()) * 2 + 16;
        while steps_left > 0 && self.next_key(previous.as_deref(), &mut key)? {
            steps_left -= 1;
            if seen.insert(key.clone()) && self.lookup(&key, &mut value)? {
                entries.push(&key, &value);
            }
            previous = Some(key.clone());
        }
        Ok(entries)
    }
}

/// Whether a batch command failed because there is none for this map (`ENOTSUPP` is 524, which libc does not name).
fn lacks_batch(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | 524))
}
