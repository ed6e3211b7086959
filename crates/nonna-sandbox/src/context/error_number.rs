//! Error numbers that context helpers return, negated, as the kernel's do.

/// A helper's answer: a number for `r0`, or an error number that becomes negative there.
pub(crate) type Answer = Result<u64, ErrorNumber>;

/// A number of `errno.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorNumber(pub(crate) i32);

pub(crate) const ENOMEM: ErrorNumber = ErrorNumber(12);
pub(crate) const EACCES: ErrorNumber = ErrorNumber(13);
pub(crate) const EFAULT: ErrorNumber = ErrorNumber(14);
pub(crate) const ENODEV: ErrorNumber = ErrorNumber(19);
pub(crate) const EINVAL: ErrorNumber = ErrorNumber(22);
pub(crate) const EOPNOTSUPP: ErrorNumber = ErrorNumber(95);
pub(crate) const EAFNOSUPPORT: ErrorNumber = ErrorNumber(97);
pub(crate) const EALREADY: ErrorNumber = ErrorNumber(114);
/// Known inside the kernel only, and to programs.
pub(crate) const ENOTSUPP: ErrorNumber = ErrorNumber(524);

/// What a program finds in `r0`.
pub(crate) fn result(answer: Answer) -> u64 {
    answer.unwrap_or_else(|ErrorNumber(number)| i64::from(-number).cast_unsigned())
}
