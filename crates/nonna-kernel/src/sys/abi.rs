//! The structures of bpf(2) and perf_event_open(2), one for each command.
//!
//! Names and order follow `include/uapi/linux/bpf.h` and `perf_event.h`. The kernel takes a structure longer than its own as
//! long as the tail is zero, so each ends with the last field used here. No structure may hide padding: the
//! kernel would read it. The layouts are checked against independent bindings by the tests beside this file.

/// Defines a structure of the kernel's ABI whose fields lie without gaps.
macro_rules! abi_struct {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty,)+ }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct $name { $(pub $field: $ty,)+ }
        const _: () = assert!(
            size_of::<$name>() == 0 $(+ size_of::<$ty>())+,
            "hidden padding would reach the kernel uninitialised"
        );
        const _: fn() = || { $(super::require_plain::<$ty>();)+ };
        // SAFETY: every field is `Plain` by the line above, and there is no padding by the assertion.
        unsafe impl super::Plain for $name {}
    };
}

/// Length of an object's name in the kernel, the final zero included (`BPF_OBJ_NAME_LEN`).
pub(crate) const NAME_LEN: usize = 16;

/// Commands of bpf(2) (`enum bpf_cmd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Command {
    MapCreate = 0,
    MapLookupElem = 1,
    MapUpdateElem = 2,
    MapDeleteElem = 3,
    MapGetNextKey = 4,
    ProgLoad = 5,
    ObjPin = 6,
    ObjGet = 7,
    ProgTestRun = 10,
    ProgGetNextId = 11,
    MapGetNextId = 12,
    ProgGetFdById = 13,
    MapGetFdById = 14,
    ObjGetInfoByFd = 15,
    RawTracepointOpen = 17,
    BtfLoad = 18,
    BtfGetFdById = 19,
    MapFreeze = 22,
    BtfGetNextId = 23,
    MapLookupBatch = 24,
    MapLookupAndDeleteBatch = 25,
    MapUpdateBatch = 26,
    MapDeleteBatch = 27,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkGetFdById = 30,
    LinkGetNextId = 31,
    EnableStats = 32,
    IterCreate = 33,
}

abi_struct! {
    /// `BPF_MAP_CREATE`.
    MapCreate {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        inner_map_fd: u32,
        numa_node: u32,
        map_name: [u8; NAME_LEN],
        map_ifindex: u32,
        btf_fd: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        btf_vmlinux_value_type_id: u32,
        map_extra: u64,
    }
}

abi_struct! {
    /// `BPF_MAP_*_ELEM` and `BPF_MAP_GET_NEXT_KEY` (whose `next_key` lies where `value` does), `BPF_MAP_FREEZE`.
    MapElem { map_fd: u32, pad: u32, key: u64, value: u64, flags: u64, }
}

abi_struct! {
    /// `BPF_MAP_*_BATCH`.
    MapBatch {
        in_batch: u64,
        out_batch: u64,
        keys: u64,
        values: u64,
        count: u32,
        map_fd: u32,
        elem_flags: u64,
        flags: u64,
    }
}

abi_struct! {
    /// `BPF_PROG_LOAD`.
    ProgLoad {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        kern_version: u32,
        prog_flags: u32,
        prog_name: [u8; NAME_LEN],
        prog_ifindex: u32,
        expected_attach_type: u32,
        prog_btf_fd: u32,
        func_info_rec_size: u32,
        func_info: u64,
        func_info_cnt: u32,
        line_info_rec_size: u32,
        line_info: u64,
        line_info_cnt: u32,
        attach_btf_id: u32,
        attach_btf_obj_fd: u32,
        core_relo_cnt: u32,
        fd_array: u64,
        core_relos: u64,
        core_relo_rec_size: u32,
        log_true_size: u32,
    }
}

abi_struct! {
    /// `BPF_OBJ_PIN` and `BPF_OBJ_GET`.
    Obj { pathname: u64, bpf_fd: u32, file_flags: u32, }
}

abi_struct! {
    /// `BPF_PROG_TEST_RUN`.
    TestRun {
        prog_fd: u32,
        retval: u32,
        data_size_in: u32,
        data_size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
        ctx_size_in: u32,
        ctx_size_out: u32,
        ctx_in: u64,
        ctx_out: u64,
        flags: u32,
        cpu: u32,
        batch_size: u32,
        pad: u32,
    }
}

abi_struct! {
    /// `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID`.
    GetId { id: u32, next_id: u32, open_flags: u32, }
}

abi_struct! {
    /// `BPF_OBJ_GET_INFO_BY_FD`.
    Info { bpf_fd: u32, info_len: u32, info: u64, }
}

abi_struct! {
    /// `BPF_RAW_TRACEPOINT_OPEN`.
    RawTracepoint { name: u64, prog_fd: u32, pad: u32, }
}

abi_struct! {
    /// `BPF_BTF_LOAD`.
    BtfLoad {
        btf: u64,
        btf_log_buf: u64,
        btf_size: u32,
        btf_log_size: u32,
        btf_log_level: u32,
        btf_log_true_size: u32,
    }
}

abi_struct! {
    /// The part of `BPF_LINK_CREATE` that every link has; `target` is a descriptor or an interface index.
    LinkCreate { prog_fd: u32, target: u32, attach_type: u32, flags: u32, }
}

abi_struct! {
    /// `BPF_LINK_CREATE` of an iterator.
    LinkCreateIter { base: LinkCreate, iter_info: u64, iter_info_len: u32, pad: u32, }
}

abi_struct! {
    /// `BPF_LINK_CREATE` of a perf event.
    LinkCreatePerf { base: LinkCreate, bpf_cookie: u64, }
}

abi_struct! {
    /// `BPF_LINK_CREATE` of many kernel functions.
    LinkCreateKprobeMulti { base: LinkCreate, flags: u32, cnt: u32, syms: u64, addrs: u64, cookies: u64, }
}

abi_struct! {
    /// `BPF_LINK_CREATE` of many places in one user file.
    LinkCreateUprobeMulti {
        base: LinkCreate,
        path: u64,
        offsets: u64,
        ref_ctr_offsets: u64,
        cookies: u64,
        cnt: u32,
        flags: u32,
        pid: u32,
        pad: u32,
    }
}

abi_struct! {
    /// `BPF_LINK_UPDATE`.
    LinkUpdate { link_fd: u32, new_prog_fd: u32, flags: u32, old_prog_fd: u32, }
}

abi_struct! {
    /// `BPF_ENABLE_STATS`.
    EnableStats { kind: u32, }
}

abi_struct! {
    /// `BPF_ITER_CREATE`.
    IterCreate { link_fd: u32, flags: u32, }
}

abi_struct! {
    /// `struct bpf_func_info`.
    FuncInfoRecord { insn_off: u32, type_id: u32, }
}

abi_struct! {
    /// `struct bpf_line_info`; `line_col` is the line times 1024 plus the column.
    LineInfoRecord { insn_off: u32, file_name_off: u32, line_off: u32, line_col: u32, }
}

abi_struct! {
    /// `struct bpf_prog_info`.
    ProgInfo {
        prog_type: u32,
        id: u32,
        tag: [u8; 8],
        jited_prog_len: u32,
        xlated_prog_len: u32,
        jited_prog_insns: u64,
        xlated_prog_insns: u64,
        load_time: u64,
        created_by_uid: u32,
        nr_map_ids: u32,
        map_ids: u64,
        name: [u8; NAME_LEN],
        ifindex: u32,
        gpl_compatible: u32,
        netns_dev: u64,
        netns_ino: u64,
        nr_jited_ksyms: u32,
        nr_jited_func_lens: u32,
        jited_ksyms: u64,
        jited_func_lens: u64,
        btf_id: u32,
        func_info_rec_size: u32,
        func_info: u64,
        nr_func_info: u32,
        nr_line_info: u32,
        line_info: u64,
        jited_line_info: u64,
        nr_jited_line_info: u32,
        line_info_rec_size: u32,
        jited_line_info_rec_size: u32,
        nr_prog_tags: u32,
        prog_tags: u64,
        run_time_ns: u64,
        run_cnt: u64,
        recursion_misses: u64,
        verified_insns: u32,
        attach_btf_obj_id: u32,
        attach_btf_id: u32,
        pad: u32,
    }
}

abi_struct! {
    /// `struct bpf_map_info`.
    MapInfo {
        map_type: u32,
        id: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        map_flags: u32,
        name: [u8; NAME_LEN],
        ifindex: u32,
        btf_vmlinux_value_type_id: u32,
        netns_dev: u64,
        netns_ino: u64,
        btf_id: u32,
        btf_key_type_id: u32,
        btf_value_type_id: u32,
        pad: u32,
        map_extra: u64,
    }
}

abi_struct! {
    /// `struct bpf_btf_info`.
    BtfInfo { btf: u64, btf_size: u32, id: u32, name: u64, name_len: u32, kernel_btf: u32, }
}

abi_struct! {
    /// The common head of `struct bpf_link_info` and room for the part that depends on the type.
    LinkInfo { link_type: u32, id: u32, prog_id: u32, pad: u32, detail: [u64; 8], }
}

abi_struct! {
    /// `struct perf_event_attr`; `bits` are its one-bit fields, `config1` and `config2` name probes.
    PerfEventAttr {
        kind: u32,
        size: u32,
        config: u64,
        sample_period: u64,
        sample_type: u64,
        read_format: u64,
        bits: u64,
        wakeup_events: u32,
        bp_type: u32,
        config1: u64,
        config2: u64,
        branch_sample_type: u64,
        sample_regs_user: u64,
        sample_stack_user: u32,
        clockid: u32,
        sample_regs_intr: u64,
        aux_watermark: u32,
        sample_max_stack: u16,
        reserved_2: u16,
    }
}
