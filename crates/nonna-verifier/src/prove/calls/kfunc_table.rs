//! Kernel functions that programs may call, and what the kernel asks of the call.
//!
//! The flags are not in the kernel's types; they are those of the `BTF_ID_FLAGS` lists of Linux 6.12 (`kernel/bpf/helpers.c`,
//! `kernel/bpf/cpumask.c`, `kernel/bpf/map_iter.c`, `fs/bpf_fs_kfuncs.c`, `net/core/filter.c`, `kernel/trace/bpf_trace.c`, `net/netfilter/nf_conntrack_bpf.c`,
//! `net/core/xdp.c`).

use nonna_bpf::ProgramType;

/// What the kernel asks of calls of one function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kfunc {
    pub(crate) name: &'static str,
    flags: u16,
    users: Users,
}

/// Which programs may call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    Everyone,
    /// Tracing programs, traffic control, XDP, cgroup filters, system calls.
    Generic,
    /// Tracing programs and system calls.
    Tracing,
    /// Security hooks.
    Security,
    /// Programs that see socket buffers (`net/core/filter.c`).
    SocketBuffers,

    /// XDP.
    Xdp,
    /// Traffic control.
    Traffic,
    /// XDP and traffic control.
    Network,
}

const ACQUIRES: u16 = 1;
const RELEASES: u16 = 1 << 1;
const NULLABLE: u16 = 1 << 2;
const TRUSTED: u16 = 1 << 3;
const RCU: u16 = 1 << 4;
const SLEEPS: u16 = 1 << 5;
const ITER_NEW: u16 = 1 << 6;
const ITER_NEXT: u16 = 1 << 7;
const IN_RCU: u16 = 1 << 8;

impl Kfunc {
    pub(crate) fn acquires(self) -> bool {
        self.flags & ACQUIRES != 0
    }

    pub(crate) fn releases(self) -> bool {
        self.flags & RELEASES != 0
    }

    pub(crate) fn may_return_null(self) -> bool {
        self.flags & NULLABLE != 0
    }

    /// Its pointers must be trusted; what is given away must be too.
    pub(crate) fn wants_trusted(self) -> bool {
        self.flags & (TRUSTED | RELEASES | RCU) != 0
    }

    /// Pointers under RCU serve too.
    pub(crate) fn takes_rcu(self) -> bool {
        self.flags & RCU != 0
    }

    pub(crate) fn may_sleep(self) -> bool {
        self.flags & SLEEPS != 0
    }

    pub(crate) fn makes_iterator(self) -> bool {
        self.flags & ITER_NEW != 0
    }

    pub(crate) fn advances_iterator(self) -> bool {
        self.flags & ITER_NEXT != 0
    }

    /// It is called inside RCU sections only.
    pub(crate) fn wants_rcu_section(self) -> bool {
        self.flags & IN_RCU != 0
    }

    /// Whether programs of this type may call it.
    pub(crate) fn callable_by(self, program_type: ProgramType) -> bool {
        let tracing = matches!(
            program_type,
            ProgramType::Tracing | ProgramType::Tracepoint | ProgramType::PerfEvent | ProgramType::Lsm
        );
        let inner = matches!(program_type, ProgramType::Syscall | ProgramType::StructOps);
        let traffic = matches!(program_type, ProgramType::SchedCls | ProgramType::SchedAct);
        match self.users {
            Users::Everyone => true,
            Users::Generic => {
                tracing
                    || inner
                    || matches!(
                        program_type,
                        ProgramType::SchedCls
                            | ProgramType::SchedAct
                            | ProgramType::Xdp
                            | ProgramType::CgroupSkb
                    )
            }
            Users::Tracing => tracing || inner,
            Users::Security => program_type == ProgramType::Lsm,
            Users::SocketBuffers => {
                tracing
                    || matches!(
                        program_type,
                        ProgramType::SchedCls
                            | ProgramType::SchedAct
                            | ProgramType::SkSkb
                            | ProgramType::SocketFilter
                            | ProgramType::CgroupSkb
                            | ProgramType::LwtIn
                            | ProgramType::LwtOut
                            | ProgramType::LwtXmit
                            | ProgramType::LwtSeg6local
                            | ProgramType::Netfilter
                    )
            }
            Users::Xdp => program_type == ProgramType::Xdp,
            Users::Traffic => traffic,
            Users::Network => traffic || program_type == ProgramType::Xdp,
        }
    }
}

/// The function of this name, if it is modelled.
pub(crate) fn kfunc(name: &str) -> Option<Kfunc> {
    KFUNCS.iter().copied().find(|kfunc| kfunc.name == name)
}

/// Whether iterators of this type (`bpf_iter_…`) are made in RCU sections only.
pub(super) fn is_of_rcu(iterator: &str) -> bool {
    kfunc(&format!("{iterator}_new")).is_some_and(Kfunc::wants_rcu_section)
}

const fn of(name: &'static str, flags: u16, users: Users) -> Kfunc {
    Kfunc { name, flags, users }
}

const KFUNCS: &[Kfunc] = &[
    of("bpf_task_acquire", ACQUIRES | RCU | NULLABLE, Users::Generic),
    of("bpf_task_release", RELEASES, Users::Generic),
    of("bpf_task_from_pid", ACQUIRES | NULLABLE, Users::Generic),
    of("bpf_task_from_vpid", ACQUIRES | NULLABLE, Users::Generic),
    of("bpf_task_under_cgroup", RCU, Users::Generic),
    of("bpf_task_get_cgroup1", ACQUIRES | RCU | NULLABLE, Users::Generic),
    of("bpf_cgroup_acquire", ACQUIRES | RCU | NULLABLE, Users::Generic),
    of("bpf_cgroup_release", RELEASES, Users::Generic),
    of("bpf_cgroup_ancestor", ACQUIRES | RCU | NULLABLE, Users::Generic),
    of("bpf_cgroup_from_id", ACQUIRES | NULLABLE, Users::Generic),
    of("bpf_rcu_read_lock", 0, Users::Everyone),
    of("bpf_rcu_read_unlock", 0, Users::Everyone),
    of("bpf_preempt_disable", 0, Users::Everyone),
    of("bpf_preempt_enable", 0, Users::Everyone),
    of("bpf_cast_to_kern_ctx", 0, Users::Everyone),
    of("bpf_rdonly_cast", 0, Users::Everyone),
    of("bpf_dynptr_from_skb", TRUSTED, Users::SocketBuffers),
    of("bpf_dynptr_from_xdp", 0, Users::Xdp),
    of("bpf_dynptr_clone", 0, Users::Everyone),
    of("bpf_dynptr_slice", NULLABLE, Users::Everyone),
    of("bpf_dynptr_slice_rdwr", NULLABLE, Users::Everyone),
    of("bpf_dynptr_adjust", 0, Users::Everyone),
    of("bpf_dynptr_is_null", 0, Users::Everyone),
    of("bpf_dynptr_is_rdonly", 0, Users::Everyone),
    of("bpf_dynptr_size", 0, Users::Everyone),
    of("bpf_iter_num_new", ITER_NEW, Users::Everyone),
    of("bpf_iter_num_next", ITER_NEXT | NULLABLE, Users::Everyone),
    of("bpf_iter_num_destroy", 0, Users::Everyone),
    of("bpf_iter_bits_new", ITER_NEW, Users::Everyone),
    of("bpf_iter_bits_next", ITER_NEXT | NULLABLE, Users::Everyone),
    of("bpf_iter_bits_destroy", 0, Users::Everyone),
    of("bpf_iter_task_new", ITER_NEW | TRUSTED | IN_RCU, Users::Everyone),
    of("bpf_iter_task_next", ITER_NEXT | NULLABLE, Users::Everyone),
    of("bpf_iter_task_destroy", 0, Users::Everyone),
    of("bpf_iter_css_new", ITER_NEW | TRUSTED | IN_RCU, Users::Everyone),
    of("bpf_iter_css_next", ITER_NEXT | NULLABLE, Users::Everyone),
    of("bpf_iter_css_destroy", 0, Users::Everyone),
    of("bpf_iter_task_vma_new", ITER_NEW | RCU, Users::Everyone),
    of("bpf_iter_task_vma_next", ITER_NEXT | NULLABLE, Users::Everyone),
    of("bpf_iter_task_vma_destroy", 0, Users::Everyone),
    of("bpf_copy_from_user_str", SLEEPS, Users::Everyone),
    of("bpf_cpumask_create", ACQUIRES | NULLABLE, Users::Tracing),
    of("bpf_cpumask_release", RELEASES, Users::Tracing),
    of("bpf_cpumask_acquire", ACQUIRES | TRUSTED, Users::Tracing),
    of("bpf_cpumask_first", RCU, Users::Tracing),
    of("bpf_cpumask_first_zero", RCU, Users::Tracing),
    of("bpf_cpumask_first_and", RCU, Users::Tracing),
    of("bpf_cpumask_set_cpu", RCU, Users::Tracing),
    of("bpf_cpumask_clear_cpu", RCU, Users::Tracing),
    of("bpf_cpumask_test_cpu", RCU, Users::Tracing),
    of("bpf_cpumask_test_and_set_cpu", RCU, Users::Tracing),
    of("bpf_cpumask_test_and_clear_cpu", RCU, Users::Tracing),
    of("bpf_cpumask_setall", RCU, Users::Tracing),
    of("bpf_cpumask_clear", RCU, Users::Tracing),
    of("bpf_cpumask_and", RCU, Users::Tracing),
    of("bpf_cpumask_or", RCU, Users::Tracing),
    of("bpf_cpumask_xor", RCU, Users::Tracing),
    of("bpf_cpumask_equal", RCU, Users::Tracing),
    of("bpf_cpumask_intersects", RCU, Users::Tracing),
    of("bpf_cpumask_subset", RCU, Users::Tracing),
    of("bpf_cpumask_empty", RCU, Users::Tracing),
    of("bpf_cpumask_full", RCU, Users::Tracing),
    of("bpf_cpumask_copy", RCU, Users::Tracing),
    of("bpf_cpumask_any_distribute", RCU, Users::Tracing),
    of("bpf_cpumask_any_and_distribute", RCU, Users::Tracing),
    of("bpf_cpumask_weight", RCU, Users::Tracing),
    of("bpf_xdp_ct_alloc", ACQUIRES | NULLABLE, Users::Xdp),
    of("bpf_xdp_ct_lookup", ACQUIRES | NULLABLE, Users::Xdp),
    of("bpf_skb_ct_alloc", ACQUIRES | NULLABLE, Users::Traffic),
    of("bpf_skb_ct_lookup", ACQUIRES | NULLABLE, Users::Traffic),
    of("bpf_ct_insert_entry", ACQUIRES | NULLABLE | RELEASES, Users::Network),
    of("bpf_ct_release", RELEASES, Users::Network),
    of("bpf_ct_set_nat_info", 0, Users::Network),
    of("bpf_ct_set_timeout", TRUSTED, Users::Network),
    of("bpf_ct_change_timeout", TRUSTED, Users::Network),
    of("bpf_ct_set_status", TRUSTED, Users::Network),
    of("bpf_ct_change_status", TRUSTED, Users::Network),
    of("bpf_xdp_metadata_rx_timestamp", 0, Users::Xdp),
    of("bpf_xdp_metadata_rx_hash", 0, Users::Xdp),
    of("bpf_xdp_metadata_rx_vlan_tag", 0, Users::Xdp),
    of("bpf_get_task_exe_file", ACQUIRES | TRUSTED | NULLABLE, Users::Security),
    of("bpf_put_file", RELEASES, Users::Security),
    of("bpf_path_d_path", TRUSTED, Users::Security),
    of("bpf_get_dentry_xattr", SLEEPS | TRUSTED, Users::Security),
    of("bpf_get_file_xattr", SLEEPS | TRUSTED, Users::Security),
    of("bpf_lookup_user_key", ACQUIRES | NULLABLE | SLEEPS, Users::Tracing),
    of("bpf_lookup_system_key", ACQUIRES | NULLABLE, Users::Tracing),
    of("bpf_key_put", RELEASES, Users::Tracing),
    of("bpf_verify_pkcs7_signature", SLEEPS, Users::Tracing),
];
