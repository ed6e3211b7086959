//! The layouts of our ABI structures against aya-obj's generated bindings, which were made from other headers.

use std::mem::offset_of;

use aya_obj::generated as theirs;

use super::abi::*;

/// Offsets of fields in ours and in a structure of theirs that may be nested at `base`.
macro_rules! same {
    ($ours:ty, $theirs:ty, { $($our:ident = $their:ident),+ $(,)? }) => {
        $(assert_eq!(
            offset_of!($ours, $our), offset_of!($theirs, $their),
            concat!(stringify!($ours), ".", stringify!($our))
        );)+
    };
}

#[test]
fn maps() {
    same!(MapCreate, theirs::bpf_attr__bindgen_ty_1, {
        map_type = map_type, key_size = key_size, value_size = value_size, max_entries = max_entries,
        map_flags = map_flags, inner_map_fd = inner_map_fd, numa_node = numa_node, map_name = map_name,
        map_ifindex = map_ifindex, btf_fd = btf_fd, btf_key_type_id = btf_key_type_id,
        btf_value_type_id = btf_value_type_id, btf_vmlinux_value_type_id = btf_vmlinux_value_type_id,
        map_extra = map_extra,
    });
    same!(MapElem, theirs::bpf_attr__bindgen_ty_2, {
        map_fd = map_fd, key = key, value = __bindgen_anon_1, flags = flags,
    });
    same!(MapBatch, theirs::bpf_attr__bindgen_ty_3, {
        in_batch = in_batch, out_batch = out_batch, keys = keys, values = values, count = count,
        map_fd = map_fd, elem_flags = elem_flags, flags = flags,
    });
}

#[test]
fn programs() {
    same!(ProgLoad, theirs::bpf_attr__bindgen_ty_4, {
        prog_type = prog_type, insn_cnt = insn_cnt, insns = insns, license = license, log_level = log_level,
        log_size = log_size, log_buf = log_buf, kern_version = kern_version, prog_flags = prog_flags,
        prog_name = prog_name, prog_ifindex = prog_ifindex, expected_attach_type = expected_attach_type,
        prog_btf_fd = prog_btf_fd, func_info_rec_size = func_info_rec_size, func_info = func_info,
        func_info_cnt = func_info_cnt, line_info_rec_size = line_info_rec_size, line_info = line_info,
        line_info_cnt = line_info_cnt, attach_btf_id = attach_btf_id, attach_btf_obj_fd = __bindgen_anon_1,
        core_relo_cnt = core_relo_cnt, fd_array = fd_array, core_relos = core_relos,
        core_relo_rec_size = core_relo_rec_size, log_true_size = log_true_size,
    });
    same!(TestRun, theirs::bpf_attr__bindgen_ty_7, {
        prog_fd = prog_fd, retval = retval, data_size_in = data_size_in, data_size_out = data_size_out,
        data_in = data_in, data_out = data_out, repeat = repeat, duration = duration,
        ctx_size_in = ctx_size_in, ctx_size_out = ctx_size_out, ctx_in = ctx_in, ctx_out = ctx_out,
        flags = flags, cpu = cpu, batch_size = batch_size,
    });
    same!(FuncInfoRecord, theirs::bpf_func_info, { insn_off = insn_off, type_id = type_id });
    same!(LineInfoRecord, theirs::bpf_line_info, {
        insn_off = insn_off, file_name_off = file_name_off, line_off = line_off, line_col = line_col,
    });
    assert_eq!(size_of::<FuncInfoRecord>(), size_of::<theirs::bpf_func_info>());
    assert_eq!(size_of::<LineInfoRecord>(), size_of::<theirs::bpf_line_info>());
}

#[test]
fn objects() {
    same!(Obj, theirs::bpf_attr__bindgen_ty_5, { pathname = pathname, bpf_fd = bpf_fd, file_flags = file_flags });
    same!(GetId, theirs::bpf_attr__bindgen_ty_8, {
        id = __bindgen_anon_1, next_id = next_id, open_flags = open_flags,
    });
    same!(Info, theirs::bpf_attr__bindgen_ty_9, { bpf_fd = bpf_fd, info_len = info_len, info = info });
    same!(BtfLoad, theirs::bpf_attr__bindgen_ty_12, {
        btf = btf, btf_log_buf = btf_log_buf, btf_size = btf_size, btf_log_size = btf_log_size,
        btf_log_level = btf_log_level, btf_log_true_size = btf_log_true_size,
    });
    same!(EnableStats, theirs::bpf_attr__bindgen_ty_17, { kind = type_ });
}

#[test]
fn links() {
    same!(RawTracepoint, theirs::bpf_attr__bindgen_ty_11, { name = name, prog_fd = prog_fd });
    same!(LinkCreate, theirs::bpf_attr__bindgen_ty_14, {
        prog_fd = __bindgen_anon_1, target = __bindgen_anon_2, attach_type = attach_type, flags = flags,
    });
    // What follows the common part lies in a union behind it.
    let behind = offset_of!(theirs::bpf_attr__bindgen_ty_14, __bindgen_anon_3);
    assert_eq!(size_of::<LinkCreate>(), behind);
    macro_rules! nested {
        ($ours:ty, $theirs:ty, { $($our:ident = $their:ident),+ $(,)? }) => {
            $(assert_eq!(
                offset_of!($ours, $our), behind + offset_of!($theirs, $their),
                concat!(stringify!($ours), ".", stringify!($our))
            );)+
        };
    }
    nested!(LinkCreateIter, theirs::bpf_attr__bindgen_ty_14__bindgen_ty_3__bindgen_ty_1, {
        iter_info = iter_info, iter_info_len = iter_info_len,
    });
    nested!(LinkCreatePerf, theirs::bpf_attr__bindgen_ty_14__bindgen_ty_3__bindgen_ty_2, {
        bpf_cookie = bpf_cookie,
    });
    nested!(LinkCreateKprobeMulti, theirs::bpf_attr__bindgen_ty_14__bindgen_ty_3__bindgen_ty_3, {
        flags = flags, cnt = cnt, syms = syms, addrs = addrs, cookies = cookies,
    });
    nested!(LinkCreateUprobeMulti, theirs::bpf_attr__bindgen_ty_14__bindgen_ty_3__bindgen_ty_7, {
        path = path, offsets = offsets, ref_ctr_offsets = ref_ctr_offsets, cookies = cookies, cnt = cnt,
        flags = flags, pid = pid,
    });
    same!(LinkUpdate, theirs::bpf_attr__bindgen_ty_15, {
        link_fd = link_fd, new_prog_fd = __bindgen_anon_1, flags = flags, old_prog_fd = __bindgen_anon_2,
    });
    same!(IterCreate, theirs::bpf_attr__bindgen_ty_18, { link_fd = link_fd, flags = flags });
}

#[test]
fn information() {
    same!(ProgInfo, theirs::bpf_prog_info, {
        prog_type = type_, id = id, tag = tag, jited_prog_len = jited_prog_len,
        xlated_prog_len = xlated_prog_len, jited_prog_insns = jited_prog_insns,
        xlated_prog_insns = xlated_prog_insns, load_time = load_time, created_by_uid = created_by_uid,
        nr_map_ids = nr_map_ids, map_ids = map_ids, name = name, ifindex = ifindex, netns_dev = netns_dev,
        netns_ino = netns_ino, nr_jited_ksyms = nr_jited_ksyms, nr_jited_func_lens = nr_jited_func_lens,
        jited_ksyms = jited_ksyms, jited_func_lens = jited_func_lens, btf_id = btf_id,
        func_info_rec_size = func_info_rec_size, func_info = func_info, nr_func_info = nr_func_info,
        nr_line_info = nr_line_info, line_info = line_info, jited_line_info = jited_line_info,
        nr_jited_line_info = nr_jited_line_info, line_info_rec_size = line_info_rec_size,
        jited_line_info_rec_size = jited_line_info_rec_size, nr_prog_tags = nr_prog_tags,
        prog_tags = prog_tags, run_time_ns = run_time_ns, run_cnt = run_cnt,
        recursion_misses = recursion_misses, verified_insns = verified_insns,
        attach_btf_obj_id = attach_btf_obj_id, attach_btf_id = attach_btf_id,
    });
    same!(MapInfo, theirs::bpf_map_info, {
        map_type = type_, id = id, key_size = key_size, value_size = value_size, max_entries = max_entries,
        map_flags = map_flags, name = name, ifindex = ifindex,
        btf_vmlinux_value_type_id = btf_vmlinux_value_type_id, netns_dev = netns_dev, netns_ino = netns_ino,
        btf_id = btf_id, btf_key_type_id = btf_key_type_id, btf_value_type_id = btf_value_type_id,
        map_extra = map_extra,
    });
    same!(BtfInfo, theirs::bpf_btf_info, {
        btf = btf, btf_size = btf_size, id = id, name = name, name_len = name_len, kernel_btf = kernel_btf,
    });
    same!(LinkInfo, theirs::bpf_link_info, {
        link_type = type_, id = id, prog_id = prog_id, detail = __bindgen_anon_1,
    });
}

#[test]
fn perf_events() {
    same!(PerfEventAttr, theirs::perf_event_attr, {
        kind = type_, size = size, config = config, sample_period = __bindgen_anon_1,
        sample_type = sample_type, read_format = read_format, bits = _bitfield_1,
        wakeup_events = __bindgen_anon_2, bp_type = bp_type, config1 = __bindgen_anon_3,
        config2 = __bindgen_anon_4, branch_sample_type = branch_sample_type,
        sample_regs_user = sample_regs_user, sample_stack_user = sample_stack_user, clockid = clockid,
        sample_regs_intr = sample_regs_intr, aux_watermark = aux_watermark,
        sample_max_stack = sample_max_stack,
    });
}

#[test]
fn commands() {
    use theirs::bpf_cmd as cmd;
    let pairs = [
        (Command::MapCreate, cmd::BPF_MAP_CREATE),
        (Command::MapFreeze, cmd::BPF_MAP_FREEZE),
        (Command::ProgLoad, cmd::BPF_PROG_LOAD),
        (Command::ProgTestRun, cmd::BPF_PROG_TEST_RUN),
        (Command::ObjGetInfoByFd, cmd::BPF_OBJ_GET_INFO_BY_FD),
        (Command::RawTracepointOpen, cmd::BPF_RAW_TRACEPOINT_OPEN),
        (Command::BtfLoad, cmd::BPF_BTF_LOAD),
        (Command::BtfGetNextId, cmd::BPF_BTF_GET_NEXT_ID),
        (Command::MapDeleteBatch, cmd::BPF_MAP_DELETE_BATCH),
        (Command::LinkCreate, cmd::BPF_LINK_CREATE),
        (Command::LinkGetNextId, cmd::BPF_LINK_GET_NEXT_ID),
        (Command::EnableStats, cmd::BPF_ENABLE_STATS),
        (Command::IterCreate, cmd::BPF_ITER_CREATE),
    ];
    for (ours, theirs) in pairs {
        assert_eq!(ours as u32, theirs as u32, "{ours:?}");
    }
}
