//! Builtin variables: words that stand for a value without parentheses.

/// A builtin variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    Pid,
    Tid,
    ParentPid,
    Uid,
    Gid,
    UserName,
    Nsecs,
    Elapsed,
    Jiffies,
    Cpu,
    CpuCount,
    Numa,
    Random,
    Comm,
    ParentComm,
    CurrentTask,
    Cgroup,
    ChildPid,
    HasChildPid,
    Context,
    Args,
    Return,
    FunctionName,
    ProbeName,
    KernelStack,
    UserStack,
    UserMode,
}

const VARIABLES: &[(&str, Variable)] = &[
    ("pid", Variable::Pid),
    ("tid", Variable::Tid),
    ("ppid", Variable::ParentPid),
    ("uid", Variable::Uid),
    ("gid", Variable::Gid),
    ("username", Variable::UserName),
    ("nsecs", Variable::Nsecs),
    ("elapsed", Variable::Elapsed),
    ("jiffies", Variable::Jiffies),
    ("cpu", Variable::Cpu),
    ("ncpus", Variable::CpuCount),
    ("numaid", Variable::Numa),
    ("rand", Variable::Random),
    ("comm", Variable::Comm),
    ("pcomm", Variable::ParentComm),
    ("curtask", Variable::CurrentTask),
    ("cgroup", Variable::Cgroup),
    ("cpid", Variable::ChildPid),
    ("has_cpid", Variable::HasChildPid),
    ("ctx", Variable::Context),
    ("args", Variable::Args),
    ("retval", Variable::Return),
    ("func", Variable::FunctionName),
    ("probe", Variable::ProbeName),
    ("kstack", Variable::KernelStack),
    ("ustack", Variable::UserStack),
    ("usermode", Variable::UserMode),
];

/// The builtin variable of this name.
pub(crate) fn find_variable(name: &str) -> Option<Variable> {
    VARIABLES.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
}

/// Every name, for suggestions.
pub(crate) fn variable_names() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(name, _)| *name)
}
