//! From what the user meant by a hook to how the kernel runs a program there: program type, attach type, section, and
//! where arguments are in the context.

use nonna_bpf::{AttachType, Feature, Hook, ProbePoint, ProgramType, SectionKind, Target};
use nonna_btf::{Btf, Param, TypeId};
use nonna_ir::Space;

use crate::CodegenError;

/// How a program is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Program type.
    pub program_type: ProgramType,
    /// Expected attach type.
    pub attach_type: Option<AttachType>,
    /// Whose BTF id the load call names.
    pub attach_target: Option<String>,
    /// ELF section by libbpf's convention.
    pub section: String,
    /// May sleep.
    pub sleepable: bool,
    /// What the context holds.
    pub context: Context,
}

/// What the context holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// Arguments as 64-bit words whose types the verifier knows.
    Typed {
        /// Arguments in order.
        args: Vec<Word>,
        /// What the function returned.
        result: Option<Word>,
    },
    /// Arguments as 64-bit numbers.
    Words {
        /// Most that there can be.
        max: u8,
    },
    /// The registers of a processor (`struct pt_regs`), of the kernel or of a user program.
    Registers {
        /// Whose stack further arguments are on.
        space: Space,
        /// At return: there is a result, arguments are gone.
        returns: bool,
    },
    /// A record or structure of its own; no arguments.
    Other,
}

/// A word of the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// Bytes from the context.
    pub offset: u32,
    /// The structure pointed to, where the verifier takes the word for a pointer that may be read through.
    pub pointee: Option<TypeId>,
}

/// Decides how a hook is served on a target.
///
/// # Errors
///
/// [`CodegenError::UnknownHook`] and [`CodegenError::Unsupported`] where the kernel has no such place or cannot serve it.
pub fn place(hook: &Hook, target: &Target) -> Result<Placement, CodegenError> {
    let btf = &*target.btf;
    let plain = |program_type, section: &str, context| Placement {
        program_type,
        attach_type: None,
        attach_target: None,
        section: section.to_owned(),
        sleepable: false,
        context,
    };
    Ok(match hook {
        // Run by the loader through a test run, which only some program types allow.
        Hook::Begin | Hook::End | Hook::OnDemand(_) => {
            plain(ProgramType::RawTracepoint, "raw_tp", Context::Other)
        }
        Hook::Tracepoint { category, event } => {
            plain(ProgramType::Tracepoint, &format!("tracepoint/{category}/{event}"), Context::Other)
        }
        Hook::RawTracepoint { event } => raw_tracepoint(event, target)?,
        Hook::Syscall { name, .. } => {
            return Err(CodegenError::InvalidModule(format!(
                "a program on the system call `{name}` is left over"
            )));
        }
        Hook::Kprobe { function, offset, point } => {
            let returns = *point == ProbePoint::Return;
            let kind = if returns { "kretprobe" } else { "kprobe" };
            let section = match offset {
                0 => format!("{kind}/{function}"),
                offset => format!("{kind}/{function}+{offset:#x}"),
            };
            plain(ProgramType::Kprobe, &section, Context::Registers { space: Space::Kernel, returns })
        }
        Hook::Uprobe { location, point } => {
            let returns = *point == ProbePoint::Return;
            let kind = if returns { "uretprobe" } else { "uprobe" };
            let binary = location.binary.display();
            let section = match &location.symbol {
                Some(symbol) => format!("{kind}/{binary}:{symbol}"),
                None => format!("{kind}/{binary}:{:#x}", location.file_offset),
            };
            plain(ProgramType::Kprobe, &section, Context::Registers { space: Space::User, returns })
        }
        Hook::PerfEvent { .. } => plain(ProgramType::PerfEvent, "perf_event", Context::Other),
        Hook::Fentry { function, point } => {
            let returns = *point == ProbePoint::Return;
            let (kind, attach) =
                if returns { ("fexit", AttachType::TraceFexit) } else { ("fentry", AttachType::TraceFentry) };
            trampoline(btf, function, ProgramType::Tracing, (kind, attach), returns)?
        }
        Hook::ModifyReturn { function } => {
            let kind = ("fmod_ret", AttachType::ModifyReturn);
            trampoline(btf, function, ProgramType::Tracing, kind, true)?
        }
        Hook::Lsm { hook, sleepable } => security(btf, hook, *sleepable)?,
        Hook::Iter { target } => iterator(btf, target)?,
        Hook::Section(section) => {
            let kind = SectionKind::of(section)
                .ok_or_else(|| CodegenError::UnknownHook { kind: "section", name: section.clone() })?;
            Placement {
                program_type: kind.program_type,
                attach_type: kind.attach_type,
                attach_target: kind.attach_target,
                section: section.clone(),
                sleepable: kind.sleepable,
                context: Context::Other,
            }
        }
    })
}

/// Typed where BTF has the tracepoint and the kernel takes such programs, else by numbers.
fn raw_tracepoint(event: &str, target: &Target) -> Result<Placement, CodegenError> {
    let typed = match target.features.has(Feature::TypedTracepoint) {
        true => target.btf.tracepoint(event)?,
        false => None,
    };
    let Some(tracepoint) = typed else {
        return Ok(Placement {
            program_type: ProgramType::RawTracepoint,
            attach_type: None,
            attach_target: None,
            section: format!("raw_tp/{event}"),
            sleepable: false,
            // MAX_BPF_FUNC_ARGS in include/linux/bpf.h.
            context: Context::Words { max: 12 },
        });
    };
    Ok(Placement {
        program_type: ProgramType::Tracing,
        attach_type: Some(AttachType::TraceRawTp),
        attach_target: Some(event.to_owned()),
        section: format!("tp_btf/{event}"),
        sleepable: false,
        context: Context::Typed { args: words(&target.btf, &tracepoint.args)?, result: None },
    })
}

/// Programs that a trampoline at a function's entry or exit calls.
fn trampoline(
    btf: &Btf,
    function: &str,
    program_type: ProgramType,
    (kind, attach_type): (&str, AttachType),
    has_result: bool,
) -> Result<Placement, CodegenError> {
    let prototype = btf
        .function(function)?
        .ok_or_else(|| CodegenError::UnknownHook { kind: "function", name: function.to_owned() })?;
    let context = function_context(btf, &prototype.params, prototype.return_type, has_result)?;
    Ok(Placement {
        program_type,
        attach_type: Some(attach_type),
        attach_target: Some(function.to_owned()),
        section: format!("{kind}/{function}"),
        sleepable: false,
        context,
    })
}

fn security(btf: &Btf, hook: &str, sleepable: bool) -> Result<Placement, CodegenError> {
    let prototype = btf
        .lsm_hook(hook)?
        .ok_or_else(|| CodegenError::UnknownHook { kind: "security hook", name: hook.to_owned() })?;
    let kind = if sleepable { "lsm.s" } else { "lsm" };
    Ok(Placement {
        program_type: ProgramType::Lsm,
        attach_type: Some(AttachType::LsmMac),
        attach_target: Some(hook.to_owned()),
        section: format!("{kind}/{hook}"),
        sleepable,
        context: function_context(btf, &prototype.params, prototype.return_type, true)?,
    })
}

/// The context of an iterator is a structure of words: its metadata and the object visited.
fn iterator(btf: &Btf, target: &str) -> Result<Placement, CodegenError> {
    let unknown = || CodegenError::UnknownHook { kind: "iterator", name: target.to_owned() };
    let context = btf.iter_context(target).ok_or_else(unknown)?;
    let mut args = Vec::new();
    for field in btf.fields(context)? {
        // Pointers stand in unions that make them 8 bytes on every machine; those have a member, and it is listed.
        let pointee = structure_behind(btf, field.access.type_id)?;
        args.push(Word { offset: field.access.byte_offset, pointee });
    }
    Ok(Placement {
        program_type: ProgramType::Tracing,
        attach_type: Some(AttachType::TraceIter),
        attach_target: Some(target.to_owned()),
        section: format!("iter/{target}"),
        sleepable: false,
        context: Context::Typed { args, result: None },
    })
}

fn function_context(
    btf: &Btf,
    params: &[Param<'_>],
    return_type: TypeId,
    has_result: bool,
) -> Result<Context, CodegenError> {
    let args = words(btf, params)?;
    let end = match (args.last(), params.last()) {
        (Some(word), Some(param)) => word.offset + word_bytes(btf, param.type_id),
        _ => 0,
    };
    let result = match has_result && return_type != TypeId::VOID {
        true => Some(Word { offset: end, pointee: structure_behind(btf, return_type)? }),
        false => None,
    };
    Ok(Context::Typed { args, result })
}

/// Arguments one after the other, in 8 bytes each; structures by value take as many words as they need.
fn words(btf: &Btf, params: &[Param<'_>]) -> Result<Vec<Word>, CodegenError> {
    let mut offset = 0;
    let mut words = Vec::with_capacity(params.len());
    for param in params {
        words.push(Word { offset, pointee: structure_behind(btf, param.type_id)? });
        offset += word_bytes(btf, param.type_id);
    }
    Ok(words)
}

fn word_bytes(btf: &Btf, id: TypeId) -> u32 {
    let bytes = btf.size_of(id).unwrap_or(8).clamp(1, 16);
    u32::try_from(bytes).expect("at most 16").next_multiple_of(8)
}

/// The structure that a pointer points to, if the verifier lets programs read through such a pointer
/// (`btf_ctx_access` in kernel/bpf/btf.c).
pub fn structure_behind(btf: &Btf, id: TypeId) -> Result<Option<TypeId>, CodegenError> {
    let Some(pointer) = btf.pointer(id)? else { return Ok(None) };
    if pointer.is_user || pointer.is_percpu {
        return Ok(None);
    }
    let target = btf.skip_modifiers(pointer.target)?;
    Ok(btf.kind(target)?.is_composite().then_some(target))
}
