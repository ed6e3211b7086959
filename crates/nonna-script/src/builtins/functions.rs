//! Builtin functions, with the number of arguments that each takes and how to write it.

/// What a function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Sends something to user space, or changes a map; gives no value.
    Output(Output),
    /// Gives a value.
    Value(ValueFunction),
    /// Collects values in a map.
    Aggregate(Aggregation),
}

/// Functions without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Printf,
    Errorf,
    Warnf,
    Cat,
    System,
    Join,
    Time,
    Print,
    Clear,
    Zero,
    Exit,
    Signal,
}

/// Functions with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueFunction {
    Str,
    Buf,
    Path,
    Ntop,
    Addr,
    Port,
    MacAddr,
    ByteSwap,
    KernelSymbol,
    UserSymbol,
    KernelAddress,
    Register,
    KernelStack,
    UserStack,
    Strftime,
    Nsecs,
    StrError,
    SignalName,
    SyscallName,
    CgroupPath,
    StrnCompare,
    TextLength,
    CgroupId,
    HasKey,
    Delete,
    Len,
    KernelPointer,
    /// `open_file`
    OpenFile,
    Folder,
    /// `overlay_upper`
    OverlayUpper,
    UserPointer,
    Comm,
    TaskArgs,
    TaskEnv,
}

/// Functions that collect values in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Count,
    Sum,
    Min,
    Max,
    Avg,
    Stats,
    Hist,
    Lhist,
}

/// Name, what it does, fewest and most arguments, how to write it.
type Entry = (&'static str, Function, usize, usize, &'static str);

/// More arguments than any call has.
const MANY: usize = 64;

const FUNCTIONS: &[Entry] = &[
    ("printf", Function::Output(Output::Printf), 1, MANY, "printf(\"format\", value, …)"),
    ("errorf", Function::Output(Output::Errorf), 1, MANY, "errorf(\"format\", value, …)"),
    ("warnf", Function::Output(Output::Warnf), 1, MANY, "warnf(\"format\", value, …)"),
    ("cat", Function::Output(Output::Cat), 1, MANY, "cat(\"/path/%d\", value, …)"),
    ("system", Function::Output(Output::System), 1, MANY, "system(\"command %d\", value, …)"),
    ("join", Function::Output(Output::Join), 1, 2, "join(argv) or join(argv, \"separator\")"),
    ("time", Function::Output(Output::Time), 0, 1, "time() or time(\"%H:%M:%S\")"),
    ("print", Function::Output(Output::Print), 1, 3, "print(@map), print(@map, top, div) or print(value)"),
    ("clear", Function::Output(Output::Clear), 1, 1, "clear(@map)"),
    ("zero", Function::Output(Output::Zero), 1, 1, "zero(@map)"),
    ("exit", Function::Output(Output::Exit), 0, 1, "exit() or exit(code)"),
    ("signal", Function::Output(Output::Signal), 1, 1, "signal(\"SIGTERM\") or signal(15)"),
    ("str", Function::Value(ValueFunction::Str), 1, 2, "str(pointer) or str(pointer, length)"),
    ("buf", Function::Value(ValueFunction::Buf), 1, 2, "buf(pointer, length) or buf(array)"),
    ("path", Function::Value(ValueFunction::Path), 1, 2, "path(file)"),
    ("ntop", Function::Value(ValueFunction::Ntop), 1, 2, "ntop(address) or ntop(family, address)"),
    ("addr", Function::Value(ValueFunction::Addr), 1, 1, "addr(sockaddr)"),
    ("port", Function::Value(ValueFunction::Port), 1, 1, "port(number)"),
    ("macaddr", Function::Value(ValueFunction::MacAddr), 1, 1, "macaddr(array)"),
    ("bswap", Function::Value(ValueFunction::ByteSwap), 1, 1, "bswap(number)"),
    ("ksym", Function::Value(ValueFunction::KernelSymbol), 1, 1, "ksym(address)"),
    ("usym", Function::Value(ValueFunction::UserSymbol), 1, 1, "usym(address)"),
    ("kaddr", Function::Value(ValueFunction::KernelAddress), 1, 1, "kaddr(\"symbol\")"),
    ("reg", Function::Value(ValueFunction::Register), 1, 1, "reg(\"ip\")"),
    (
        "kstack",
        Function::Value(ValueFunction::KernelStack),
        0,
        2,
        "kstack(), kstack(frames) or kstack(perf, frames)",
    ),
    (
        "ustack",
        Function::Value(ValueFunction::UserStack),
        0,
        2,
        "ustack(), ustack(frames) or ustack(perf, frames)",
    ),
    ("strftime", Function::Value(ValueFunction::Strftime), 2, 2, "strftime(\"%H:%M:%S\", nsecs)"),
    ("nsecs", Function::Value(ValueFunction::Nsecs), 0, 1, "nsecs() or nsecs(boot)"),
    ("strerror", Function::Value(ValueFunction::StrError), 1, 1, "strerror(number)"),
    ("signal_name", Function::Value(ValueFunction::SignalName), 1, 1, "signal_name(number)"),
    ("syscall_name", Function::Value(ValueFunction::SyscallName), 1, 1, "syscall_name(number)"),
    ("cgroup_path", Function::Value(ValueFunction::CgroupPath), 1, 2, "cgroup_path(id)"),
    ("strncmp", Function::Value(ValueFunction::StrnCompare), 3, 3, "strncmp(a, b, length)"),
    ("strlen", Function::Value(ValueFunction::TextLength), 1, 1, "strlen(text)"),
    ("cgroupid", Function::Value(ValueFunction::CgroupId), 1, 1, "cgroupid(\"/sys/fs/cgroup/name\")"),
    ("has_key", Function::Value(ValueFunction::HasKey), 2, 2, "has_key(@map, key)"),
    ("delete", Function::Value(ValueFunction::Delete), 1, 2, "delete(@map[key]) or delete(@map, key)"),
    ("len", Function::Value(ValueFunction::Len), 1, 1, "len(@map) or len(stack)"),
    ("open_file", Function::Value(ValueFunction::OpenFile), 1, 1, "open_file(number)"),
    ("folder", Function::Value(ValueFunction::Folder), 1, 1, "folder(number)"),
    ("overlay_upper", Function::Value(ValueFunction::OverlayUpper), 1, 1, "overlay_upper(inode)"),
    ("kptr", Function::Value(ValueFunction::KernelPointer), 1, 1, "kptr(pointer)"),
    ("uptr", Function::Value(ValueFunction::UserPointer), 1, 1, "uptr(pointer)"),
    ("comm", Function::Value(ValueFunction::Comm), 0, 0, "comm"),
    ("args", Function::Value(ValueFunction::TaskArgs), 1, 1, "args(curtask), as a field of an event"),
    ("env", Function::Value(ValueFunction::TaskEnv), 2, 2, "env(curtask, \"NAME\"), as a field of an event"),
    ("count", Function::Aggregate(Aggregation::Count), 0, 0, "@x = count()"),
    ("sum", Function::Aggregate(Aggregation::Sum), 1, 1, "@x = sum(number)"),
    ("min", Function::Aggregate(Aggregation::Min), 1, 1, "@x = min(number)"),
    ("max", Function::Aggregate(Aggregation::Max), 1, 1, "@x = max(number)"),
    ("avg", Function::Aggregate(Aggregation::Avg), 1, 1, "@x = avg(number)"),
    ("stats", Function::Aggregate(Aggregation::Stats), 1, 1, "@x = stats(number)"),
    ("hist", Function::Aggregate(Aggregation::Hist), 1, 2, "@x = hist(number) or @x = hist(number, bits)"),
    ("lhist", Function::Aggregate(Aggregation::Lhist), 4, 4, "@x = lhist(number, min, max, step)"),
];

/// The function of this name.
pub(crate) fn find_function(name: &str) -> Option<&'static Entry> {
    FUNCTIONS.iter().find(|entry| entry.0 == name)
}

/// Every name, for suggestions.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|entry| entry.0)
}
