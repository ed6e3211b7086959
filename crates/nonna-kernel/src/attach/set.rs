//! All programs of an object, attached.

use nonna_bpf::{Hook, ProgramIdx};

use super::link::{Detaching, Link};
use crate::error::{Context, Error};
use crate::kernel::Kernel;
use crate::load::Loaded;
use crate::sys;

/// A loaded object whose programs run. Dropped, it detaches and frees everything.
#[derive(Debug)]
pub struct Attached {
    // Links go first: a program must not run without its maps' readers knowing that it ends.
    links: Vec<(ProgramIdx, Link)>,
    loaded: Loaded,
}

impl Loaded {
    /// Attaches every program whose hook attaches; those that are run by call (`begin`, `end`, on demand) are left.
    ///
    /// # Errors
    ///
    /// The first failure; what was attached before it is detached again.
    pub fn attach_all(self, kernel: &Kernel) -> Result<Attached, Error> {
        let mut links = Vec::new();
        for (idx, program) in (0..).map(ProgramIdx).zip(self.programs()) {
            if !matches!(program.hook(), Hook::Begin | Hook::End | Hook::OnDemand(_)) {
                links.push((idx, program.attach(kernel)?));
            }
        }
        Ok(Attached { links, loaded: self })
    }

    /// Joins links that were made one by one with what they hang on.
    pub fn with_links(self, links: Vec<(ProgramIdx, Link)>) -> Attached {
        Attached { links, loaded: self }
    }
}

impl Attached {
    /// The maps and programs.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The links, by program.
    pub fn links(&self) -> &[(ProgramIdx, Link)] {
        &self.links
    }

    /// Detaches and keeps maps and programs. Blocks: up to 100 ms a link.
    pub fn detach(self) -> Loaded {
        let Self { links, loaded } = self;
        drop(links);
        loaded
    }

    /// Detaches on another thread and keeps maps and programs; programs on perf events stop at once, others within the
    /// time that detaching takes.
    pub fn detach_in_background(self) -> (Loaded, Detaching) {
        let Self { links, loaded } = self;
        (loaded, Detaching::start(links.into_iter().map(|(_, link)| link).collect()))
    }

    /// Leaves detaching to a child process and keeps maps and programs: for a process that is about to end, which would otherwise be
    /// held by the kernel until the last link is gone. The child does nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where no process can be made; the links are then detached here.
    pub fn detach_in_child(self) -> Result<Loaded, Error> {
        let Self { links, loaded } = self;
        for (_, link) in &links {
            link.quiet();
        }
        let descriptors: Vec<_> = links.into_iter().flat_map(|(_, link)| link.into_descriptors()).collect();
        if descriptors.is_empty() {
            return Ok(loaded);
        }
        sys::close_in_child(descriptors).context(|| "start a process to detach".to_owned())?;
        Ok(loaded)
    }
}
