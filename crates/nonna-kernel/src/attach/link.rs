//! What keeps a program attached, and how it is let go.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;

use crate::error::{Context, Error};
use crate::pin::Pinned;
use crate::sys::{self, LinkInfo};

/// A program's attachment: one kernel link, or several where a hook has several places. Dropped, it detaches, which takes up to 100 ms a
/// link.
#[derive(Debug)]
pub struct Link {
    links: Vec<OwnedFd>,
    /// Events that the links hang on; kept so that they can be stopped at once.
    events: Vec<OwnedFd>,
}

impl Link {
    pub(crate) fn of(link: OwnedFd) -> Self {
        Self { links: vec![link], events: Vec::new() }
    }

    pub(super) fn of_events(links: Vec<OwnedFd>, events: Vec<OwnedFd>) -> Self {
        Self { links, events }
    }

    /// How many kernel links there are.
    pub fn n_links(&self) -> usize {
        self.links.len()
    }

    /// The kernel's ids of the links.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ids(&self) -> Result<Vec<u32>, Error> {
        self.links
            .iter()
            .map(|link| sys::object_info::<LinkInfo>(link.as_fd()).map(|info| info.id))
            .collect::<Result<_, _>>()
            .context(|| "ask about a link".to_owned())
    }

    /// Pins the link: the program stays attached until the file is removed. A link with several places gets a number after
    /// each name but the first.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that `path` is not on a bpffs.
    pub fn pin(&self, path: &Path) -> Result<(), Error> {
        for (i, link) in self.links.iter().enumerate() {
            if i == 0 {
                crate::pin::pin(link.as_fd(), path)?;
            } else {
                let mut name = path.as_os_str().to_owned();
                name.push(format!("-{i}"));
                crate::pin::pin(link.as_fd(), Path::new(&name))?;
            }
        }
        Ok(())
    }

    /// A link that was pinned, perhaps by another process.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where nothing is pinned there, or something other than a link.
    pub fn open_pinned(path: &Path) -> Result<Self, Error> {
        Ok(Self::of(crate::pin::open(path, Pinned::Link)?))
    }

    /// Makes the program stop running now where that is possible without detaching (clocks, counters, probes on perf events).
    pub(super) fn quiet(&self) {
        for event in &self.events {
            // It detaches soon anyway; until then the program runs on.
            let _ = sys::perf_event_disable(event.as_fd());
        }
    }

    pub(super) fn into_descriptors(self) -> impl Iterator<Item = OwnedFd> {
        self.links.into_iter().chain(self.events)
    }

    /// Swaps the program without a gap. Only network devices and cgroups can; with `expected`, only if that program runs now.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the kind of link cannot be updated or another program runs.
    pub fn replace(
        &self,
        program: &crate::load::KernelProgram,
        expected: Option<&crate::load::KernelProgram>,
    ) -> Result<(), Error> {
        self.links
            .iter()
            .try_for_each(|link| sys::link_update(link.as_fd(), program.as_fd(), expected.map(AsFd::as_fd)))
            .context(|| format!("put program `{}` in the place of another", program.name()))
    }

    /// Runs an iterator and returns what it wrote.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where the link is none of an iterator, or reading fails.
    pub fn read_iterator(&self) -> Result<Vec<u8>, Error> {
        use std::io::Read;
        let mut out = Vec::new();
        for link in &self.links {
            let fd = sys::iter_create(link.as_fd()).context(|| "start an iterator".to_owned())?;
            std::fs::File::from(fd).read_to_end(&mut out).context(|| "read an iterator".to_owned())?;
        }
        Ok(out)
    }
}

/// Links that another thread lets go of.
#[derive(Debug)]
#[must_use = "dropping it does not wait; call `wait` where the links must be gone"]
pub struct Detaching(Option<JoinHandle<()>>);

impl Detaching {
    pub(super) fn start(links: Vec<Link>) -> Self {
        for link in &links {
            link.quiet();
        }
        let mut links = Some(links);
        let spawned = std::thread::Builder::new().name("detach".to_owned()).spawn({
            let links = links.take();
            move || drop(links)
        });
        // Where no thread can be made, the failed call has dropped the links in this one.
        Self(spawned.ok())
    }

    /// Waits until all are detached.
    pub fn wait(mut self) {
        if let Some(thread) = self.0.take() {
            // Dropping descriptors does not panic.
            let _ = thread.join();
        }
    }
}
