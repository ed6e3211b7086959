//! Peers of protocols without connections: who has been sent to already.
//!
//! A program may send thousands of packets to one peer; the first one tells it. What is remembered is bounded: the peers
//! that were not used for longest are forgotten, and are told again when they come back.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use nonna_event::{Event, Value};
use rustc_hash::FxBuildHasher;

use crate::inventory::exec_id;
use crate::process::ProcessId;

/// Most peers remembered, over all processes.
const MOST_PEERS: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// One process's traffic with one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Peer {
    process: ProcessId,
    protocol: u64,
    address: IpAddr,
    port: u64,
    /// That a send failed is told once too, and does not hide one that works.
    failed: bool,
}

/// The peers that were told.
#[derive(Debug)]
pub(super) struct Peers {
    told: LruCache<Peer, (), FxBuildHasher>,
}

impl Peers {
    /// Nobody was sent to.
    pub fn new() -> Self {
        Self { told: LruCache::with_hasher(MOST_PEERS, FxBuildHasher) }
    }

    /// Whether the event is the first with its peer, which then is remembered. One without an address always is.
    pub fn is_new(&mut self, event: &Event) -> bool {
        let Some(&Value::Inet(address)) = event.get("network.remote_address") else { return true };
        let peer = Peer {
            process: exec_id(event).process,
            protocol: event.unsigned("network.protocol").unwrap_or(0),
            address: address.to_canonical(),
            port: event.unsigned("network.remote_port").unwrap_or(0),
            failed: event.signed("result").is_some_and(|result| result < 0),
        };
        self.told.put(peer, ()).is_none()
    }
}
