//! From events as the kernel's programs make them to events as they are told.
//!
//! Some things are cheaper or only possible outside the kernel: joining a path with the folder that it counts from, reading
//! packets of the domain name system, telling a peer once instead of for every packet. Rules and outputs see only what
//! comes out here. This module knows no process.

mod dns;
mod path;
mod peers;

use std::sync::Arc;

use nonna_event::{Event, EventSchema, Field, FieldType, Value};
use rustc_hash::FxHashMap;

use dns::DnsPlan;
use path::PathPlan;
use peers::Peers;

/// Event of a packet that is read here and never told as such.
const DNS_PACKET: &str = "dns_packet";
/// Event that is told once for each peer.
const UDP_SEND: &str = "udp_send";

/// What became of an event, beside what it was turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refined {
    /// It is told, or held nothing to tell.
    Whole,
    /// It repeats what was told before.
    Repeated,
    /// It could not be read: its bytes break the rules of their protocol.
    Malformed,
}

/// Fields that are added here, and whose values come from what is known of the machine.
pub mod added {
    /// Name of the program that `target.pid` runs.
    pub const TARGET_NAME: &str = "target.name";
    /// Its file.
    pub const TARGET_EXE: &str = "target.exe";
    /// The name for which `network.remote_address` was the last answer.
    pub const REMOTE_NAME: &str = "network.remote_name";
}

/// Refines events of a set of schemas, one after the other.
#[derive(Debug)]
pub struct Refiner {
    plans: FxHashMap<u32, Plan>,
    peers: Peers,
}

/// What is to be done with the events of one schema.
#[derive(Debug)]
enum Plan {
    Paths(PathPlan),
    Dns(DnsPlan),
    Add(Addition),
}

/// Fields to add, without their values.
#[derive(Debug)]
struct Addition {
    schema: Arc<EventSchema>,
    n_added: usize,
    /// Only the first event with each peer is told.
    once_a_peer: bool,
}

impl Refiner {
    /// For events of these schemas.
    pub fn new(schemas: &[EventSchema]) -> Self {
        let plans = schemas.iter().filter_map(|schema| Some((schema.id, plan(schema)?))).collect();
        Self { plans, peers: Peers::new() }
    }

    /// Adds to `out` what an event is told as: itself, others, or nothing.
    pub fn refine(&mut self, mut event: Event, out: &mut Vec<Event>) -> Refined {
        match self.plans.get(&event.schema.id) {
            None => {}
            Some(Plan::Paths(plan)) => plan.apply(&mut event),
            Some(Plan::Dns(plan)) => return plan.apply(&event, out),
            Some(Plan::Add(addition)) => {
                if addition.once_a_peer && !self.peers.is_new(&event) {
                    return Refined::Repeated;
                }
                event.values.extend(std::iter::repeat_n(Value::Absent, addition.n_added));
                event.schema = Arc::clone(&addition.schema);
            }
        }
        out.push(event);
        Refined::Whole
    }
}

fn plan(schema: &EventSchema) -> Option<Plan> {
    match schema.name.as_str() {
        DNS_PACKET => DnsPlan::of(schema).map(Plan::Dns),
        _ => PathPlan::of(schema).map(Plan::Paths).or_else(|| Addition::of(schema).map(Plan::Add)),
    }
}

impl Addition {
    fn of(schema: &EventSchema) -> Option<Self> {
        let has = |name: &str| schema.field_idx(name).is_some();
        let mut fields = schema.fields.clone();
        let mut add = |name: &str, field_type, description: &str| {
            if !has(name) {
                let (name, description) = (name.to_owned(), description.to_owned());
                fields.push(Field { name, field_type, description });
            }
        };
        if has("target.pid") {
            let name = FieldType::Text { max_bytes: 256 };
            add(added::TARGET_NAME, name, "Name of that program; null where it is not known.");
            add(added::TARGET_EXE, FieldType::Path, "Its file; null where it is not known.");
        }
        if has("network.remote_address") {
            let name = FieldType::Text { max_bytes: dns::NAME_MAX_BYTES };
            add(
                added::REMOTE_NAME,
                name,
                "The name that was last asked for with this address as the answer; null where none was.",
            );
        }
        let n_added = fields.len() - schema.fields.len();
        let once_a_peer = schema.name == UDP_SEND;
        (n_added > 0 || once_a_peer).then(|| Self {
            schema: with_fields(schema, &schema.name, fields),
            n_added,
            once_a_peer,
        })
    }
}

/// The schemas of what is told, from those of what the programs send.
pub fn told(schemas: &[EventSchema]) -> Vec<EventSchema> {
    let of = |schema: &EventSchema| match plan(schema) {
        Some(Plan::Paths(plan)) => vec![EventSchema::clone(&plan.schema)],
        Some(Plan::Dns(plan)) => plan.schemas().map(|schema| EventSchema::clone(schema)).to_vec(),
        Some(Plan::Add(addition)) => vec![EventSchema::clone(&addition.schema)],
        None => vec![schema.clone()],
    };
    schemas.iter().flat_map(of).collect()
}

/// The event that the programs send where an event of this name is told; most are the same.
pub fn source(told: &str) -> &str {
    match told {
        dns::QUESTION | dns::ANSWER => DNS_PACKET,
        same => same,
    }
}

/// One line about each event that comes from here and not from a sensor.
pub const SUMMARIES: &[(&str, &str)] = &[
    (dns::QUESTION, "A program asked for the address of a name, or was asked for one."),
    (dns::ANSWER, "A program got, or gave, the answer to such a question."),
];

/// A schema with other fields.
fn with_fields(schema: &EventSchema, name: &str, fields: Vec<Field>) -> Arc<EventSchema> {
    Arc::new(EventSchema { id: schema.id, name: name.to_owned(), fields, ring: schema.ring })
}

#[cfg(test)]
mod tests;
