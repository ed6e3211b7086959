//! Which helpers work on which maps (`check_map_func_compatibility`, Linux 6.12).

use nonna_bpf::{AttachType, Helper, MapType, ProgramType};

use super::super::Prover;
use super::super::failure::Failure;
use super::helper::Arguments;
use crate::slugs;

/// The helpers that a type of map is for; `None` where the common ones work.
fn only(map_type: MapType) -> Option<&'static [&'static str]> {
    Some(match map_type {
        MapType::ProgArray => &["bpf_tail_call"],
        MapType::PerfEventArray => &[
            "bpf_perf_event_read",
            "bpf_perf_event_output",
            "bpf_skb_output",
            "bpf_perf_event_read_value",
            "bpf_xdp_output",
        ],
        MapType::Ringbuf => &[
            "bpf_ringbuf_output",
            "bpf_ringbuf_reserve",
            "bpf_ringbuf_query",
            "bpf_ringbuf_reserve_dynptr",
            "bpf_ringbuf_submit_dynptr",
            "bpf_ringbuf_discard_dynptr",
        ],
        MapType::UserRingbuf => &["bpf_user_ringbuf_drain"],
        MapType::StackTrace => &["bpf_get_stackid"],
        MapType::CgroupArray => &["bpf_skb_under_cgroup", "bpf_current_task_under_cgroup"],
        MapType::CgroupStorage | MapType::PercpuCgroupStorage => &["bpf_get_local_storage"],
        MapType::Devmap | MapType::DevmapHash => &["bpf_redirect_map", "bpf_map_lookup_elem"],
        MapType::Cpumap => &["bpf_redirect_map"],
        MapType::Xskmap => &["bpf_redirect_map", "bpf_map_lookup_elem"],
        MapType::ArrayOfMaps | MapType::HashOfMaps => &["bpf_map_lookup_elem"],
        MapType::Sockmap => &[
            "bpf_sk_redirect_map",
            "bpf_sock_map_update",
            "bpf_map_delete_elem",
            "bpf_msg_redirect_map",
            "bpf_sk_select_reuseport",
            "bpf_map_lookup_elem",
            "bpf_map_update_elem",
        ],
        MapType::Sockhash => &[
            "bpf_sk_redirect_hash",
            "bpf_sock_hash_update",
            "bpf_map_delete_elem",
            "bpf_msg_redirect_hash",
            "bpf_sk_select_reuseport",
            "bpf_map_lookup_elem",
            "bpf_map_update_elem",
        ],
        MapType::ReuseportSockarray => &["bpf_sk_select_reuseport"],
        MapType::Queue | MapType::Stack => &["bpf_map_peek_elem", "bpf_map_pop_elem", "bpf_map_push_elem"],
        MapType::SkStorage => &["bpf_sk_storage_get", "bpf_sk_storage_delete", "bpf_kptr_xchg"],
        MapType::InodeStorage => &["bpf_inode_storage_get", "bpf_inode_storage_delete", "bpf_kptr_xchg"],
        MapType::TaskStorage => &["bpf_task_storage_get", "bpf_task_storage_delete", "bpf_kptr_xchg"],
        MapType::CgrpStorage => &["bpf_cgrp_storage_get", "bpf_cgrp_storage_delete", "bpf_kptr_xchg"],
        MapType::BloomFilter => &["bpf_map_peek_elem", "bpf_map_push_elem"],
        MapType::StructOps | MapType::Arena => &[],
        _ => return None,
    })
}

/// The maps that a helper is for; `None` where every other one works.
fn maps_of(helper: &str) -> Option<&'static [MapType]> {
    Some(match helper {
        "bpf_tail_call" => &[MapType::ProgArray],
        "bpf_perf_event_read"
        | "bpf_perf_event_output"
        | "bpf_perf_event_read_value"
        | "bpf_skb_output"
        | "bpf_xdp_output" => &[MapType::PerfEventArray],
        "bpf_ringbuf_output" | "bpf_ringbuf_reserve" | "bpf_ringbuf_query" | "bpf_ringbuf_reserve_dynptr" => {
            &[MapType::Ringbuf]
        }
        "bpf_user_ringbuf_drain" => &[MapType::UserRingbuf],
        "bpf_get_stackid" => &[MapType::StackTrace],
        "bpf_current_task_under_cgroup" | "bpf_skb_under_cgroup" => &[MapType::CgroupArray],
        "bpf_redirect_map" => &[MapType::Devmap, MapType::DevmapHash, MapType::Cpumap, MapType::Xskmap],
        "bpf_sk_redirect_map" | "bpf_msg_redirect_map" | "bpf_sock_map_update" => &[MapType::Sockmap],
        "bpf_sk_redirect_hash" | "bpf_msg_redirect_hash" | "bpf_sock_hash_update" => &[MapType::Sockhash],
        "bpf_get_local_storage" => &[MapType::CgroupStorage, MapType::PercpuCgroupStorage],
        "bpf_sk_select_reuseport" => &[MapType::ReuseportSockarray, MapType::Sockmap, MapType::Sockhash],
        "bpf_map_pop_elem" => &[MapType::Queue, MapType::Stack],
        "bpf_map_peek_elem" | "bpf_map_push_elem" => &[MapType::Queue, MapType::Stack, MapType::BloomFilter],
        "bpf_map_lookup_percpu_elem" => &[MapType::PercpuArray, MapType::PercpuHash, MapType::LruPercpuHash],
        "bpf_sk_storage_get" | "bpf_sk_storage_delete" => &[MapType::SkStorage],
        "bpf_inode_storage_get" | "bpf_inode_storage_delete" => &[MapType::InodeStorage],
        "bpf_task_storage_get" | "bpf_task_storage_delete" => &[MapType::TaskStorage],
        "bpf_cgrp_storage_get" | "bpf_cgrp_storage_delete" => &[MapType::CgrpStorage],
        "bpf_for_each_map_elem" => &[
            MapType::Array,
            MapType::PercpuArray,
            MapType::Hash,
            MapType::PercpuHash,
            MapType::LruHash,
            MapType::LruPercpuHash,
        ],
        _ => return None,
    })
}

impl Prover<'_> {
    /// Whether this program may change maps of sockets with the helpers for all maps (`may_update_sockmap`).
    fn may_change(&self, helper: &str, map_type: MapType) -> bool {
        let changes = matches!(helper, "bpf_map_update_elem" | "bpf_map_delete_elem");
        if !changes || !matches!(map_type, MapType::Sockmap | MapType::Sockhash) {
            return true;
        }
        match self.program().program_type {
            ProgramType::Tracing => self.program().attach_type == Some(AttachType::TraceIter),
            ProgramType::SockOps => helper == "bpf_map_delete_elem",
            ProgramType::SocketFilter
            | ProgramType::SchedCls
            | ProgramType::SchedAct
            | ProgramType::Xdp
            | ProgramType::SkReuseport
            | ProgramType::FlowDissector
            | ProgramType::SkLookup => true,
            _ => false,
        }
    }

    pub(crate) fn check_map_use(
        &self,
        at: usize,
        helper: Helper,
        arguments: &Arguments,
    ) -> Result<(), Failure> {
        let Some((map, _)) = arguments.map else { return Ok(()) };
        if matches!(helper.name(), "bpf_spin_lock" | "bpf_spin_unlock")
            || helper.name().starts_with("bpf_timer")
            || helper.name() == "bpf_kptr_xchg"
        {
            return Ok(());
        }
        let found = self.map(map);
        let fits = self.may_change(helper.name(), found.map_type)
            && only(found.map_type).is_none_or(|helpers| helpers.contains(&helper.name()))
            && maps_of(helper.name()).is_none_or(|types| types.contains(&found.map_type));
        if fits {
            return Ok(());
        }
        let message = format!("`{helper}` does not work on map `{}` of type {}", found.name, found.map_type);
        let listed =
            |names: Vec<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let types =
            maps_of(helper.name()).map(|types| listed(types.iter().map(|of| of.name().to_owned()).collect()));
        let helpers = only(found.map_type).filter(|helpers| !helpers.is_empty());
        let helpers = helpers.map(|helpers| listed(helpers.iter().map(|&name| name.to_owned()).collect()));
        let help = match (types, helpers) {
            (Some(types), _) => format!("give it a map of type {types}"),
            (None, Some(helpers)) => format!("for a map of this type there are {helpers}"),
            (None, None) => "use a helper for this type of map, or another type of map".to_owned(),
        };
        Err(Failure::new(&slugs::WRONG_MAP, at, message).register(1).help(help))
    }
}
