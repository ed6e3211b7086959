//! Enrichment: events joined with what is known of their process.
//!
//! Events go in by the kernel's clock; observations come out in the same order. Everything that is known of the machine is
//! kept here, so that live events, recordings and tests walk the same path.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use lru::LruCache;
use nonna_event::{Event, EventSchema, Text, Value};
use rustc_hash::FxBuildHasher;

use crate::accounts::Accounts;
use crate::clock::BootClock;
use crate::drops::{Drops, Stage};
use crate::inventory::{Inventory, exec_id, origin, time_ns};
use crate::observation::{Node, Observation};
use crate::process::Process;
use crate::refine::{Refined, Refiner, added};
use crate::surroundings::Surroundings;

/// Clock ticks a second where nothing else is known; Linux on every machine of today.
const TICKS_PER_SECOND: u64 = 100;

/// Most addresses whose names are remembered.
const MOST_NAMES: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");
/// Processes beyond twice those of the last time, from which on lost ends are looked for.
const SWEEP_FROM: usize = 1024;

/// What is known of the machine, and what is done with its events.
#[derive(Debug)]
pub struct Enricher {
    inventory: Inventory,
    surroundings: Option<Surroundings>,
    accounts: Accounts,
    clock: BootClock,
    node: Arc<Node>,
    refiner: Refiner,
    refined: Vec<Event>,
    /// Names by the addresses that were the answer to them.
    names: LruCache<IpAddr, Vec<u8>, FxBuildHasher>,
    /// What could not be read.
    pub drops: Drops,
    /// Events that only repeated what was told before.
    pub n_repeated: u64,
    /// Processes in the inventory after the last look for lost ends.
    n_after_sweep: usize,
    /// Whether observations are told with all programs above theirs.
    with_ancestors: bool,
}

impl Enricher {
    /// For events of these schemas. With `surroundings` the processes that run already are known from the start.
    pub fn new(
        schemas: &[EventSchema],
        clock: BootClock,
        node: Node,
        mut surroundings: Option<Surroundings>,
    ) -> Self {
        let ticks_per_second = surroundings.as_ref().map_or(TICKS_PER_SECOND, Surroundings::ticks_per_second);
        let mut inventory = Inventory::new(ticks_per_second);
        for process in surroundings.iter_mut().flat_map(Surroundings::running_processes) {
            inventory.add_running(process);
        }
        Self {
            inventory,
            surroundings,
            accounts: Accounts::read(),
            clock,
            node: Arc::new(node),
            refiner: Refiner::new(schemas),
            refined: Vec::new(),
            names: LruCache::with_hasher(MOST_NAMES, FxBuildHasher),
            drops: Drops::new(),
            n_repeated: 0,
            n_after_sweep: 0,
            with_ancestors: false,
        }
    }

    /// Takes an event in and adds to `out` what there is to tell of it.
    pub fn take(&mut self, event: Event, out: &mut Vec<Observation>) {
        let mut refined = std::mem::take(&mut self.refined);
        match self.refiner.refine(event, &mut refined) {
            Refined::Whole => {}
            Refined::Repeated => self.n_repeated += 1,
            Refined::Malformed => self.drops.add(Stage::Decode, "malformed", "packets", 1),
        }
        out.extend(refined.drain(..).filter_map(|event| self.observe(event)));
        self.refined = refined;
    }

    /// Tells observations with all programs above theirs from now on.
    pub fn add_ancestors(&mut self) {
        self.with_ancestors = true;
    }

    /// Number of processes that are known.
    pub fn n_processes(&self) -> usize {
        self.inventory.len()
    }

    /// Reads again what changes seldom, and forgets what is over.
    pub fn refresh(&mut self) {
        self.accounts.refresh();
        let now_ns = BootClock::now_ns();
        self.inventory.expire(now_ns);
        // Where ends were lost, processes would be remembered for ever.
        if let Some(surroundings) = &self.surroundings
            && self.inventory.len() > 2 * self.n_after_sweep + SWEEP_FROM
        {
            self.inventory.sweep(now_ns, &surroundings.pids().into_iter().collect());
            self.n_after_sweep = self.inventory.len();
        }
    }

    fn exec(&mut self, event: &Event) -> Rc<Process> {
        let surroundings = &mut self.surroundings;
        self.inventory.exec(event, |process| {
            if let Some(surroundings) = surroundings {
                let cgroup = event.text("cgroup").map(|text| String::from_utf8_lossy(&text.bytes));
                surroundings.complete(process, cgroup.as_deref().unwrap_or_default());
            }
        })
    }

    /// Looks around for the process of an event where none of its own events came, as when they were lost.
    fn meet(&mut self, event: &Event) {
        let exec_id = exec_id(event);
        if self.inventory.knows(exec_id.process) {
            return;
        }
        if let Some(process) = self.surroundings.as_mut().and_then(|s| s.process(exec_id)) {
            self.inventory.add_running(process);
        }
    }

    /// Remembers the addresses of a name.
    fn learn_names(&mut self, answer: &Event) {
        let (Some(name), Some(Value::TextList { items, .. })) =
            (answer.text("dns.name"), answer.get("dns.addresses"))
        else {
            return;
        };
        for address in items {
            let address = std::str::from_utf8(address).ok().and_then(|text| text.parse::<IpAddr>().ok());
            if let Some(address) = address {
                self.names.put(address.to_canonical(), name.bytes.clone());
            }
        }
    }

    /// Gives the fields that refinement added their values.
    fn fill_added(&mut self, event: &mut Event) {
        let text = |bytes: &[u8]| Value::Text(Text { bytes: bytes.to_vec(), ..Text::default() });
        if let Some(idx) = event.schema.field_idx(added::REMOTE_NAME)
            && let Some(Value::Inet(address)) = event.get("network.remote_address")
            && let Some(name) = self.names.get(&address.to_canonical())
        {
            event.values[idx] = text(name);
        }
        if let Some(idx) = event.schema.field_idx(added::TARGET_NAME)
            && let Some(pid) = event.signed("target.pid").and_then(|pid| u32::try_from(pid).ok())
            && let Some(target) = self.inventory.latest(pid)
        {
            event.values[idx] = text(target.short_name());
            if let Some(idx) = event.schema.field_idx(added::TARGET_EXE) {
                event.values[idx] = text(&target.exe);
            }
        }
    }

    /// An event with its process; `None` for the second end of one process.
    fn observe(&mut self, mut event: Event) -> Option<Observation> {
        self.fill_added(&mut event);
        let process = match event.schema.name.as_str() {
            "process_exec" => self.exec(&event),
            "process_exit" => {
                self.meet(&event);
                self.inventory.exit(&event)?
            }
            "dns_answer" => {
                self.learn_names(&event);
                self.meet(&event);
                self.inventory.origin(&event)
            }
            "process_fork" => {
                self.meet(&event);
                self.inventory.fork(&event);
                self.inventory.origin(&event)
            }
            _ => {
                self.meet(&event);
                self.inventory.origin(&event)
            }
        };
        let parent = process
            .parent
            .and_then(|id| self.inventory.get(id).or_else(|| self.inventory.process(id.process)));
        Some(Observation {
            node: Arc::clone(&self.node),
            time: self.clock.time(time_ns(&event)),
            tid: event.unsigned(origin::TID).and_then(|tid| u32::try_from(tid).ok()),
            parent,
            ancestors: if self.with_ancestors { self.inventory.ancestors(&process) } else { Vec::new() },
            group: self.accounts.shared_group(process.gid),
            user: self.accounts.shared_user(process.uid),
            login_user: process.loginuid.and_then(|uid| self.accounts.shared_user(uid)),
            process,
            event,
        })
    }
}
