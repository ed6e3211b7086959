//! Asking the kernel's verifier for its verdict on programs that nobody has verified.
//!
//! A program that the kernel accepts here is let go at once: it can neither be attached nor run, so nothing runs that was not
//! verified. This is for comparing verdicts, ours with the kernel's.

use std::os::fd::{AsFd as _, OwnedFd};

use nonna_bpf::{Object, ProgramIdx};

use super::resolve::Resolver;
use super::{LoadError, object_btf, program};
use crate::kernel::Kernel;
use crate::map::create_maps;

impl Kernel {
    /// Asks the kernel's verifier about each program of an object, judged by itself, and hands the verdicts on one by one:
    /// [`LoadError::Refused`] is one, every other error says why there is none.
    ///
    /// # Errors
    ///
    /// [`LoadError`] where the kernel refuses the object's types or cannot make one of its maps, before any program is asked about.
    pub fn judge(
        &self,
        object: &Object,
        mut hear: impl FnMut(ProgramIdx, Result<(), LoadError>),
    ) -> Result<(), LoadError> {
        let btf = object_btf::load(&object.btf)?;
        let btf = btf.as_ref().map(OwnedFd::as_fd);
        let maps = create_maps(self, &object.maps, btf)?;
        let mut resolver = Resolver::new(self, &maps);
        resolver.look_up(object)?;
        for (idx, judged) in (0..).zip(&object.programs) {
            // The end of the log holds the reason, and a whole one may be long.
            let answer = program::load(object, judged, btf, &resolver, program::LOG_END_BYTES);
            hear(ProgramIdx(idx), answer.map(drop));
        }
        Ok(())
    }
}
