//! The inventory: every process that runs, and for a while those that ended.
//!
//! It is filled from `/proc` at start and kept by the exec, fork and exit events of the kernel, in the order of their
//! timestamps. It is asked for the process of every other event. It decides nothing and prints nothing.

use std::collections::VecDeque;
use std::rc::Rc;

use nonna_event::{Event, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::container::Container;
use crate::process::{ExecId, Process, ProcessId};

/// How long an ended process is remembered: its children and late records may still ask for it.
const REMEMBERED_NS: u64 = 10_000_000_000;
/// Most ended processes remembered at once, whatever their age.
const MOST_REMEMBERED: usize = 16_384;
/// Most ancestors that are followed; a guard against a circle of reused ids.
const MOST_ANCESTORS: usize = 64;

/// Names of the fields that say which program an event comes from; every sensor's events have them.
pub mod origin {
    /// Process id (`tgid`).
    pub const PID: &str = "pid";
    /// Thread id.
    pub const TID: &str = "tid";
    /// Start of the process in nanoseconds since boot.
    pub const START_TIME_NS: &str = "start_time_ns";
    /// How many programs the process ran before.
    pub const EXEC_SEQUENCE: &str = "exec_sequence";
    /// When it happened, in nanoseconds since boot.
    pub const TIME_NS: &str = "time_ns";
}

/// Processes by id, the running and the recently ended ones.
#[derive(Debug)]
pub struct Inventory {
    processes: FxHashMap<ProcessId, Rc<Process>>,
    /// The process that has an id now, or had it last.
    by_pid: FxHashMap<u32, ProcessId>,
    /// Programs that an exec replaced: records of them may come late.
    replaced: FxHashMap<ExecId, Rc<Process>>,
    /// What is to be forgotten, with the time since when; the oldest first.
    leaving: VecDeque<(u64, Forgotten)>,
    /// Processes whose end was told and that are not forgotten yet.
    ended: FxHashSet<ProcessId>,
    /// Processes that no longer run though their end was not told, and that are not forgotten yet.
    missing: FxHashSet<ProcessId>,
    /// Length of a clock tick: `/proc` tells starts by ticks only.
    tick_ns: u64,
}

/// What is to be forgotten when its time has come.
#[derive(Debug, Clone, Copy)]
enum Forgotten {
    Process(ProcessId),
    Program(ExecId),
}

impl Inventory {
    /// An empty inventory on a machine with so many clock ticks a second.
    pub fn new(ticks_per_second: u64) -> Self {
        Self {
            processes: FxHashMap::default(),
            by_pid: FxHashMap::default(),
            replaced: FxHashMap::default(),
            leaving: VecDeque::new(),
            ended: FxHashSet::default(),
            missing: FxHashSet::default(),
            tick_ns: 1_000_000_000 / ticks_per_second.max(1),
        }
    }

    /// Number of processes, the recently ended ones included.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Adds a process that was running already, with its start by the tick.
    pub fn add_running(&mut self, process: Process) {
        if !self.processes.contains_key(&process.exec_id.process) {
            self.insert(Rc::new(process));
        }
    }

    fn insert(&mut self, process: Rc<Process>) {
        let id = process.exec_id.process;
        self.by_pid.insert(id.pid, id);
        self.processes.insert(id, process);
    }

    /// The program that an event comes from; what is not known is taken from the event alone.
    pub fn origin(&mut self, event: &Event) -> Rc<Process> {
        let exec_id = exec_id(event);
        if let Some(process) = self.get(exec_id) {
            return process;
        }
        let mut process = match self.process(exec_id.process) {
            Some(known) => Process { exec_id, ..Process::clone(&known) },
            None => Process::unknown(exec_id),
        };
        fill(&mut process, event);
        let process = Rc::new(process);
        self.insert(Rc::clone(&process));
        process
    }

    /// A program by its id.
    pub fn get(&self, exec_id: ExecId) -> Option<Rc<Process>> {
        let current = self.processes.get(&exec_id.process).filter(|p| p.exec_id == exec_id);
        current.or_else(|| self.replaced.get(&exec_id)).cloned()
    }

    /// The program that a process runs, or ran last.
    pub fn process(&self, id: ProcessId) -> Option<Rc<Process>> {
        self.processes.get(&id).or_else(|| self.processes.get(&self.by_tick(id))).cloned()
    }

    /// The process that has this id now, or had it last.
    pub fn latest(&self, pid: u32) -> Option<Rc<Process>> {
        self.process(*self.by_pid.get(&pid)?)
    }

    /// Whether something is known of a process.
    pub fn knows(&self, id: ProcessId) -> bool {
        self.processes.contains_key(&id) || self.processes.contains_key(&self.by_tick(id))
    }

    /// Begins to forget processes whose id no longer runs. Their end was lost, or is still on its way: then it is told
    /// when it comes.
    pub fn sweep(&mut self, now_ns: u64, running: &FxHashSet<u32>) {
        let gone: Vec<ProcessId> =
            self.processes.keys().filter(|id| !running.contains(&id.pid)).copied().collect();
        for id in gone {
            if !self.ended.contains(&id) && self.missing.insert(id) {
                self.remember(now_ns, Forgotten::Process(id));
            }
        }
    }

    /// How `/proc` tells a process's start: the beginning of the tick it lies in.
    fn by_tick(&self, id: ProcessId) -> ProcessId {
        ProcessId { pid: id.pid, start_ns: id.start_ns / self.tick_ns * self.tick_ns }
    }

    /// The parent, its parent and so on, nearest first.
    pub fn ancestors(&self, process: &Process) -> Vec<Rc<Process>> {
        let mut ancestors: Vec<Rc<Process>> = Vec::new();
        let mut parent = process.parent;
        while let Some(found) = parent.and_then(|id| self.get(id).or_else(|| self.process(id.process))) {
            if ancestors.len() == MOST_ANCESTORS || ancestors.iter().any(|a| a.exec_id == found.exec_id) {
                break;
            }
            parent = found.parent;
            ancestors.push(found);
        }
        ancestors
    }

    /// A process replaced its program. `complete` adds what the event does not tell.
    pub fn exec(&mut self, event: &Event, complete: impl FnOnce(&mut Process)) -> Rc<Process> {
        let id = exec_id(event);
        let before = self.process(id.process);
        let mut process = Process::unknown(id);
        if let Some(before) = &before {
            process.parent = before.parent;
            process.ppid = before.ppid;
            process.container = before.container.clone();
            process.loginuid = before.loginuid;
            process.tty = before.tty.clone();
        }
        fill(&mut process, event);
        complete(&mut process);
        self.link_parent(&mut process, event);
        if let Some(before) = before.filter(|before| before.exec_id != id) {
            self.replaced.insert(before.exec_id, before.clone());
            self.remember(time_ns(event), Forgotten::Program(before.exec_id));
        }
        let process = Rc::new(process);
        self.insert(Rc::clone(&process));
        process
    }

    /// A process made another one; returns the child.
    pub fn fork(&mut self, event: &Event) -> Option<Rc<Process>> {
        let parent = self.origin(event);
        let child = ProcessId {
            pid: u32::try_from(event.unsigned("child.pid")?).ok()?,
            start_ns: event.unsigned("child.start_time_ns")?,
        };
        // An exec of the child may have been seen before, where the two travelled in different rings.
        if let Some(known) = self.processes.get(&child) {
            return Some(Rc::clone(known));
        }
        let sequence = event.unsigned("child.exec_sequence").unwrap_or(0);
        let process = Rc::new(Process {
            exec_id: ExecId { process: child, sequence },
            ppid: parent.exec_id.process.pid,
            parent: Some(parent.exec_id),
            virtual_pid: None,
            ..Process::clone(&parent)
        });
        self.insert(Rc::clone(&process));
        Some(process)
    }

    /// A process ended; it is remembered for a while. `None` where that is known already: several threads that end at the
    /// same time may each take themselves for the last.
    pub fn exit(&mut self, event: &Event) -> Option<Rc<Process>> {
        if !self.ended.insert(exec_id(event).process) {
            return None;
        }
        let process = self.origin(event);
        self.remember(time_ns(event), Forgotten::Process(process.exec_id.process));
        Some(process)
    }

    /// Forgets what ended long before `now_ns`.
    pub fn expire(&mut self, now_ns: u64) {
        while let Some(&(since_ns, what)) = self.leaving.front() {
            if now_ns.saturating_sub(since_ns) < REMEMBERED_NS && self.leaving.len() <= MOST_REMEMBERED {
                break;
            }
            self.leaving.pop_front();
            match what {
                Forgotten::Process(id) => {
                    self.ended.remove(&id);
                    self.missing.remove(&id);
                    self.processes.remove(&id);
                    self.processes.remove(&self.by_tick(id));
                    if self.by_pid.get(&id.pid) == Some(&id) {
                        self.by_pid.remove(&id.pid);
                    }
                }
                Forgotten::Program(id) => {
                    self.replaced.remove(&id);
                }
            }
        }
    }

    fn remember(&mut self, since_ns: u64, what: Forgotten) {
        self.leaving.push_back((since_ns, what));
        self.expire(since_ns);
    }

    fn link_parent(&self, process: &mut Process, event: &Event) {
        let (Some(pid), Some(start_ns)) = (event.unsigned("ppid"), event.unsigned("parent.start_time_ns"))
        else {
            return;
        };
        let Ok(pid) = u32::try_from(pid) else { return };
        let parent = ProcessId { pid, start_ns };
        let sequence = event.unsigned("parent.exec_sequence").unwrap_or(0);
        let known = self.process(parent).map(|p| p.exec_id);
        process.ppid = pid;
        process.parent = Some(known.unwrap_or(ExecId { process: parent, sequence }));
    }
}

/// The program that an event's origin fields name.
pub fn exec_id(event: &Event) -> ExecId {
    let pid = event.unsigned(origin::PID).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    let start_ns = event.unsigned(origin::START_TIME_NS).unwrap_or(0);
    let sequence = event.unsigned(origin::EXEC_SEQUENCE).unwrap_or(0);
    ExecId { process: ProcessId { pid, start_ns }, sequence }
}

/// When an event happened, in nanoseconds since boot.
pub fn time_ns(event: &Event) -> u64 {
    event.unsigned(origin::TIME_NS).unwrap_or(0)
}

/// Takes over what an event says of its process: fields that are named as a process's are.
fn fill(process: &mut Process, event: &Event) {
    for (field, value) in event.schema.fields.iter().zip(&event.values) {
        let number = || match value {
            Value::Unsigned(n) => Some(*n),
            Value::Signed(n) => Some(n.cast_unsigned()),
            Value::Bool(b) => Some(u64::from(*b)),
            _ => None,
        };
        #[expect(clippy::cast_possible_truncation, reason = "ids are 32 bits in the kernel")]
        let id = || number().map_or(0, |n| n as u32);
        let bytes = || match value {
            Value::Text(text) => text.bytes.clone(),
            _ => Vec::new(),
        };
        match field.name.as_str() {
            "ppid" => process.ppid = id(),
            "name" => process.name = bytes(),
            "exe" => process.exe = bytes(),
            "cwd" => process.cwd = bytes(),
            "args" => {
                if let Value::TextList { items, truncated_from } = value {
                    process.args.clone_from(items);
                    process.args_bytes = *truncated_from;
                }
            }
            "uid" => process.uid = id(),
            "gid" => process.gid = id(),
            "euid" => process.euid = id(),
            // The kernel's word for "nobody logged in" is the highest number.
            "loginuid" => process.loginuid = Some(id()).filter(|&uid| uid != u32::MAX),
            "tty" => {
                process.tty = Some(nonna_event::escape(&bytes()).into_owned()).filter(|tty| !tty.is_empty());
            }
            "capabilities" => process.capabilities = number(),
            "cgroup_id" => process.cgroup_id = number().unwrap_or(0),
            "cgroup" => {
                let path = String::from_utf8_lossy(&bytes()).into_owned();
                process.container = Container::from_cgroup_path(&path).map(Into::into);
            }
            "virtual_pid" => process.virtual_pid = Some(id()),
            "group" => process.group = Some(id()),
            "session" => process.session = Some(id()),
            "exe_memfd" => process.exe_memfd = number() == Some(1),
            "exe_overlay_upper" => process.exe_overlay_upper = number() == Some(1),
            "namespaces.mnt" => process.namespaces[0] = id(),
            "namespaces.pid" => process.namespaces[1] = id(),
            "namespaces.net" => process.namespaces[2] = id(),
            "namespaces.user" => process.namespaces[3] = id(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
