//! Why a map operation failed, with the kernel's error number: programs and hosts see the same numbers that the kernel gives.

/// Why the sandbox refuses to make or change a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MapError {
    /// `EPERM`: the map is frozen, or its flags forbid the host to read or write it.
    #[error("the map's flags, or its being frozen, forbid it")]
    NotPermitted,
    /// `ENOENT`: there is no entry of this key, or none to take.
    #[error("there is no such entry")]
    Absent,
    /// `E2BIG`: the map is full, the key is beyond its end, or something is larger than the kernel allows.
    #[error("it is full, or the key or a size is too big")]
    TooBig,
    /// `EBADF`: there is no map with this handle.
    #[error("there is no such map")]
    NoMap,
    /// `EAGAIN`: a ring has no room at the moment.
    #[error("the ring has no room at the moment")]
    NoRoom,
    /// `ENOMEM`: memory is used up.
    #[error("there is no memory for it")]
    NoMemory,
    /// `EBUSY`: somebody else is at it.
    #[error("it is in use")]
    Busy,
    /// `EEXIST`: there is an entry of this key already.
    #[error("there is an entry of this key already")]
    Exists,
    /// `EINVAL`: the map does not do that, or not with these sizes or flags.
    #[error("maps of this kind do not do that, or not with these sizes or flags")]
    Invalid,
    /// `ENOSPC`: a trie or a buffer is full.
    #[error("there is no space left in it")]
    NoSpace,
    /// `EOPNOTSUPP`: maps of this kind do not do that.
    #[error("maps of this kind do not do that")]
    Unsupported,
    /// `ENOTSUPP`: as above, where the kernel uses a number of its own.
    #[error("maps of this kind cannot do that")]
    Impossible,
}

impl MapError {
    /// The kernel's number (`include/uapi/asm-generic/errno*.h`; `ENOTSUPP` is its own, 524).
    pub const fn errno(self) -> i32 {
        match self {
            MapError::NotPermitted => 1,
            MapError::Absent => 2,
            MapError::TooBig => 7,
            MapError::NoMap => 9,
            MapError::NoRoom => 11,
            MapError::NoMemory => 12,
            MapError::Busy => 16,
            MapError::Exists => 17,
            MapError::Invalid => 22,
            MapError::NoSpace => 28,
            MapError::Unsupported => 95,
            MapError::Impossible => 524,
        }
    }

    /// What a helper returns for it.
    pub(crate) const fn result(self) -> u64 {
        -(self.errno() as i64) as u64
    }
}
