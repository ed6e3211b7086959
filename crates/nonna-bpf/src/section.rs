//! What the name of an ELF section says about the programs in it.
//!
//! The names are libbpf's (`SEC()`, Documentation/bpf/libbpf/program_types.rst). A name is a kind, such as `fentry.s` or
//! `cgroup/connect4`, followed by `/` and a target where the kind has one. Older loaders took any text after the `/`, so it
//! is allowed after every kind. Which hooks exist on a machine is not known here.

use crate::hook::{Hook, ProbePoint};
use crate::kinds::{AttachType, AttachType as A, ProgramType, ProgramType as P};

/// What a section's name says about its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionKind {
    /// Program type.
    pub program_type: ProgramType,
    /// Expected attach type, where the name decides it.
    pub attach_type: Option<AttachType>,
    /// The kernel function, tracepoint or iterator whose BTF id the load call names, without the kernel's prefix.
    pub attach_target: Option<String>,
    /// Where the programs run; [`Hook::Section`] where the name alone does not say it.
    pub hook: Hook,
    /// They may sleep.
    pub sleepable: bool,
}

impl SectionKind {
    /// The kind that this section name stands for; `None` where it is none of the known ones.
    pub fn of(section: &str) -> Option<SectionKind> {
        // The longest known name that ends at a `/` or at the end.
        let (name, program_type, attach_type, sleepable) = *KINDS
            .iter()
            .filter(|(name, ..)| {
                section.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|(name, ..)| name.len())?;
        let target = section[name.len()..].strip_prefix('/').filter(|target| !target.is_empty());
        let takes_btf_id = matches!(program_type, P::Tracing | P::Lsm | P::Ext);
        let attach_target = target.filter(|_| takes_btf_id).map(str::to_owned);
        let hook = target.and_then(|target| hook(name, target, sleepable));
        Some(SectionKind {
            program_type,
            attach_type,
            attach_target,
            hook: hook.unwrap_or_else(|| Hook::Section(section.to_owned())),
            sleepable,
        })
    }
}

/// Whether programs of this section take packets in several fragments (`BPF_F_XDP_HAS_FRAGS`).
pub fn has_xdp_fragments(section: &str) -> bool {
    section == "xdp.frags" || section.starts_with("xdp.frags/")
}

fn hook(kind: &str, target: &str, sleepable: bool) -> Option<Hook> {
    let name = || target.to_owned();
    let point = if kind.starts_with("kret") || kind.starts_with("fexit") {
        ProbePoint::Return
    } else {
        ProbePoint::Entry
    };
    Some(match kind {
        "kprobe" | "kretprobe" => {
            let (function, offset) = match target.split_once('+') {
                Some((function, offset)) => (function, parse_offset(offset)?),
                None => (target, 0),
            };
            Hook::Kprobe { function: function.to_owned(), offset, point }
        }
        "tracepoint" | "tp" => {
            let (category, event) = target.split_once('/')?;
            Hook::Tracepoint { category: category.to_owned(), event: event.to_owned() }
        }
        "raw_tracepoint" | "raw_tp" | "raw_tracepoint.w" | "raw_tp.w" | "tp_btf" => {
            Hook::RawTracepoint { event: name() }
        }
        "fentry" | "fentry.s" | "fexit" | "fexit.s" => Hook::Fentry { function: name(), point },
        "fmod_ret" | "fmod_ret.s" => Hook::ModifyReturn { function: name() },
        "lsm" | "lsm.s" => Hook::Lsm { hook: name(), sleepable },
        "iter" | "iter.s" => Hook::Iter { target: name() },
        _ => return None,
    })
}

/// An offset as libbpf takes it: decimal, or hexadecimal with `0x`.
fn parse_offset(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Name, program type, attach type, sleepable.
type Kind = (&'static str, ProgramType, Option<AttachType>, bool);

const KINDS: &[Kind] = &[
    ("socket", P::SocketFilter, None, false),
    ("sk_reuseport/migrate", P::SkReuseport, Some(A::SkReuseportSelectOrMigrate), false),
    ("sk_reuseport", P::SkReuseport, Some(A::SkReuseportSelect), false),
    ("kprobe", P::Kprobe, None, false),
    ("uprobe", P::Kprobe, None, false),
    ("uprobe.s", P::Kprobe, None, true),
    ("kretprobe", P::Kprobe, None, false),
    ("uretprobe", P::Kprobe, None, false),
    ("uretprobe.s", P::Kprobe, None, true),
    ("kprobe.multi", P::Kprobe, Some(A::TraceKprobeMulti), false),
    ("kretprobe.multi", P::Kprobe, Some(A::TraceKprobeMulti), false),
    ("kprobe.session", P::Kprobe, Some(A::TraceKprobeSession), false),
    ("uprobe.multi", P::Kprobe, Some(A::TraceUprobeMulti), false),
    ("uretprobe.multi", P::Kprobe, Some(A::TraceUprobeMulti), false),
    ("uprobe.multi.s", P::Kprobe, Some(A::TraceUprobeMulti), true),
    ("uretprobe.multi.s", P::Kprobe, Some(A::TraceUprobeMulti), true),
    ("ksyscall", P::Kprobe, None, false),
    ("kretsyscall", P::Kprobe, None, false),
    ("usdt", P::Kprobe, None, false),
    ("usdt.s", P::Kprobe, None, true),
    ("tc/ingress", P::SchedCls, Some(A::TcxIngress), false),
    ("tc/egress", P::SchedCls, Some(A::TcxEgress), false),
    ("tcx/ingress", P::SchedCls, Some(A::TcxIngress), false),
    ("tcx/egress", P::SchedCls, Some(A::TcxEgress), false),
    ("tc", P::SchedCls, None, false),
    ("classifier", P::SchedCls, None, false),
    ("action", P::SchedAct, None, false),
    ("netkit/primary", P::SchedCls, Some(A::NetkitPrimary), false),
    ("netkit/peer", P::SchedCls, Some(A::NetkitPeer), false),
    ("tracepoint", P::Tracepoint, None, false),
    ("tp", P::Tracepoint, None, false),
    ("raw_tracepoint", P::RawTracepoint, None, false),
    ("raw_tp", P::RawTracepoint, None, false),
    ("raw_tracepoint.w", P::RawTracepointWritable, None, false),
    ("raw_tp.w", P::RawTracepointWritable, None, false),
    ("tp_btf", P::Tracing, Some(A::TraceRawTp), false),
    ("fentry", P::Tracing, Some(A::TraceFentry), false),
    ("fmod_ret", P::Tracing, Some(A::ModifyReturn), false),
    ("fexit", P::Tracing, Some(A::TraceFexit), false),
    ("fentry.s", P::Tracing, Some(A::TraceFentry), true),
    ("fmod_ret.s", P::Tracing, Some(A::ModifyReturn), true),
    ("fexit.s", P::Tracing, Some(A::TraceFexit), true),
    ("freplace", P::Ext, None, false),
    ("lsm", P::Lsm, Some(A::LsmMac), false),
    ("lsm.s", P::Lsm, Some(A::LsmMac), true),
    ("lsm_cgroup", P::Lsm, Some(A::LsmCgroup), false),
    ("iter", P::Tracing, Some(A::TraceIter), false),
    ("iter.s", P::Tracing, Some(A::TraceIter), true),
    ("syscall", P::Syscall, None, true),
    ("xdp.frags/devmap", P::Xdp, Some(A::XdpDevmap), false),
    ("xdp/devmap", P::Xdp, Some(A::XdpDevmap), false),
    ("xdp.frags/cpumap", P::Xdp, Some(A::XdpCpumap), false),
    ("xdp/cpumap", P::Xdp, Some(A::XdpCpumap), false),
    ("xdp.frags", P::Xdp, Some(A::Xdp), false),
    ("xdp", P::Xdp, Some(A::Xdp), false),
    ("perf_event", P::PerfEvent, None, false),
    ("lwt_in", P::LwtIn, None, false),
    ("lwt_out", P::LwtOut, None, false),
    ("lwt_xmit", P::LwtXmit, None, false),
    ("lwt_seg6local", P::LwtSeg6local, None, false),
    ("sockops", P::SockOps, Some(A::CgroupSockOps), false),
    ("sk_skb/stream_parser", P::SkSkb, Some(A::SkSkbStreamParser), false),
    ("sk_skb/stream_verdict", P::SkSkb, Some(A::SkSkbStreamVerdict), false),
    ("sk_skb/verdict", P::SkSkb, Some(A::SkSkbVerdict), false),
    ("sk_skb", P::SkSkb, None, false),
    ("sk_msg", P::SkMsg, Some(A::SkMsgVerdict), false),
    ("lirc_mode2", P::LircMode2, Some(A::LircMode2), false),
    ("flow_dissector", P::FlowDissector, Some(A::FlowDissector), false),
    ("cgroup_skb/ingress", P::CgroupSkb, Some(A::CgroupInetIngress), false),
    ("cgroup_skb/egress", P::CgroupSkb, Some(A::CgroupInetEgress), false),
    ("cgroup/skb", P::CgroupSkb, None, false),
    ("cgroup/sock_create", P::CgroupSock, Some(A::CgroupInetSockCreate), false),
    ("cgroup/sock_release", P::CgroupSock, Some(A::CgroupInetSockRelease), false),
    ("cgroup/sock", P::CgroupSock, Some(A::CgroupInetSockCreate), false),
    ("cgroup/post_bind4", P::CgroupSock, Some(A::CgroupInet4PostBind), false),
    ("cgroup/post_bind6", P::CgroupSock, Some(A::CgroupInet6PostBind), false),
    ("cgroup/bind4", P::CgroupSockAddr, Some(A::CgroupInet4Bind), false),
    ("cgroup/bind6", P::CgroupSockAddr, Some(A::CgroupInet6Bind), false),
    ("cgroup/connect4", P::CgroupSockAddr, Some(A::CgroupInet4Connect), false),
    ("cgroup/connect6", P::CgroupSockAddr, Some(A::CgroupInet6Connect), false),
    ("cgroup/connect_unix", P::CgroupSockAddr, Some(A::CgroupUnixConnect), false),
    ("cgroup/sendmsg4", P::CgroupSockAddr, Some(A::CgroupUdp4Sendmsg), false),
    ("cgroup/sendmsg6", P::CgroupSockAddr, Some(A::CgroupUdp6Sendmsg), false),
    ("cgroup/sendmsg_unix", P::CgroupSockAddr, Some(A::CgroupUnixSendmsg), false),
    ("cgroup/recvmsg4", P::CgroupSockAddr, Some(A::CgroupUdp4Recvmsg), false),
    ("cgroup/recvmsg6", P::CgroupSockAddr, Some(A::CgroupUdp6Recvmsg), false),
    ("cgroup/recvmsg_unix", P::CgroupSockAddr, Some(A::CgroupUnixRecvmsg), false),
    ("cgroup/getpeername4", P::CgroupSockAddr, Some(A::CgroupInet4Getpeername), false),
    ("cgroup/getpeername6", P::CgroupSockAddr, Some(A::CgroupInet6Getpeername), false),
    ("cgroup/getpeername_unix", P::CgroupSockAddr, Some(A::CgroupUnixGetpeername), false),
    ("cgroup/getsockname4", P::CgroupSockAddr, Some(A::CgroupInet4Getsockname), false),
    ("cgroup/getsockname6", P::CgroupSockAddr, Some(A::CgroupInet6Getsockname), false),
    ("cgroup/getsockname_unix", P::CgroupSockAddr, Some(A::CgroupUnixGetsockname), false),
    ("cgroup/sysctl", P::CgroupSysctl, Some(A::CgroupSysctl), false),
    ("cgroup/getsockopt", P::CgroupSockopt, Some(A::CgroupGetsockopt), false),
    ("cgroup/setsockopt", P::CgroupSockopt, Some(A::CgroupSetsockopt), false),
    ("cgroup/dev", P::CgroupDevice, Some(A::CgroupDevice), false),
    ("struct_ops", P::StructOps, None, false),
    ("struct_ops.s", P::StructOps, None, true),
    ("sk_lookup", P::SkLookup, Some(A::SkLookup), false),
    ("netfilter", P::Netfilter, Some(A::Netfilter), false),
    ("uprobe.session", P::Kprobe, Some(A::TraceUprobeSession), false),
    ("uprobe.session.s", P::Kprobe, Some(A::TraceUprobeSession), true),
    // Written by aya where no direction is given.
    ("cgroup_skb", P::CgroupSkb, None, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(section: &str) -> SectionKind {
        SectionKind::of(section).unwrap()
    }

    #[test]
    fn names_are_unique() {
        for (i, (name, ..)) in KINDS.iter().enumerate() {
            assert!(KINDS[i + 1..].iter().all(|(other, ..)| other != name), "{name}");
        }
    }

    #[test]
    fn targets_and_hooks() {
        let exec = kind("tp_btf/sched_process_exec");
        assert_eq!((exec.program_type, exec.attach_type), (P::Tracing, Some(A::TraceRawTp)));
        assert_eq!(exec.attach_target.as_deref(), Some("sched_process_exec"));
        assert_eq!(exec.hook, Hook::RawTracepoint { event: "sched_process_exec".into() });

        let open = kind("lsm.s/file_open");
        assert!(open.sleepable);
        assert_eq!(open.hook, Hook::Lsm { hook: "file_open".into(), sleepable: true });

        let probe = kind("kprobe/do_sys_open+0x10");
        let function = "do_sys_open".to_owned();
        assert_eq!(probe.hook, Hook::Kprobe { function, offset: 16, point: ProbePoint::Entry });
        assert_eq!(probe.attach_target, None);
        assert_eq!(
            kind("kretprobe/f").hook,
            Hook::Kprobe { function: "f".into(), offset: 0, point: ProbePoint::Return }
        );
        assert_eq!(
            kind("tracepoint/syscalls/sys_enter_openat").hook,
            Hook::Tracepoint { category: "syscalls".into(), event: "sys_enter_openat".into() }
        );
        let returns = kind("fexit.s/vfs_read");
        assert_eq!(returns.hook, Hook::Fentry { function: "vfs_read".into(), point: ProbePoint::Return });
    }

    #[test]
    fn the_longest_name_counts() {
        assert_eq!(kind("cgroup/sock_release").attach_type, Some(A::CgroupInetSockRelease));
        assert_eq!(kind("cgroup/sock").attach_type, Some(A::CgroupInetSockCreate));
        assert_eq!(kind("xdp/devmap").attach_type, Some(A::XdpDevmap));
        assert_eq!(kind("xdp/my_filter").attach_type, Some(A::Xdp));
        assert_eq!(kind("classifier/ingress").program_type, P::SchedCls);
        assert_eq!(kind("kprobe.multi/tcp_*").attach_type, Some(A::TraceKprobeMulti));
        assert_eq!(kind("tracepoint").hook, Hook::Section("tracepoint".into()));
        assert_eq!(kind("uprobe//bin/bash:readline").hook, Hook::Section("uprobe//bin/bash:readline".into()));
        assert_eq!(SectionKind::of("xdp1"), None);
        assert_eq!(SectionKind::of(".text"), None);
        assert!(has_xdp_fragments("xdp.frags/devmap") && !has_xdp_fragments("xdp/devmap"));
    }
}
