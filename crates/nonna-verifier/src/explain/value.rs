//! What is known of a value, in plain words.

use nonna_bpf::{Callee, Helper, Insn, MapIdx, MapType, Object, Operand, Returns, Width};

use super::Case;
use super::trace::Made;
use crate::context::SocketKind;
use crate::numbers::Scalar;
use crate::prove::value::{Kind, Pointer, Source, Trust, Value};
use crate::slugs;

/// A value in words, as in "a number from 0 to 255".
pub(super) fn words(object: &Object, value: &Value) -> String {
    match value {
        Value::Uninit => "nothing that may be used".to_owned(),
        Value::Number(number) => number_words(&number.scalar),
        Value::Pointer(pointer) => pointer_words(object, pointer),
    }
}

/// A set of numbers in words.
pub(super) fn number_words(scalar: &Scalar) -> String {
    if let Some(constant) = scalar.as_constant() {
        return format!("the number {}", constant as i64);
    }
    let ranges = scalar.ranges(Width::W64);
    let step = scalar.stride().modulus();
    let kind =
        if step > 1 && step < 1 << 32 { format!("a multiple of {step}") } else { "a number".to_owned() };
    let kind = if step > 1 && scalar.stride().residue() != 0 { "a number".to_owned() } else { kind };
    match (ranges.signed_min, ranges.signed_max) {
        (i64::MIN, i64::MAX) if ranges.unsigned_max == u64::MAX && ranges.unsigned_min == 0 => {
            if kind == "a number" { "any number".to_owned() } else { kind }
        }
        (least, most) if least >= 0 => format!("{kind} from {least} to {most}"),
        (i64::MIN, i64::MAX) => format!("{kind} from {} to {}", ranges.unsigned_min, ranges.unsigned_max),
        (i64::MIN, most) => format!("{kind} up to {most}, perhaps below 0"),
        (least, i64::MAX) => format!("{kind} from {least} on"),
        (least, most) => format!("{kind} from {least} to {most}"),
    }
}

fn map_name(object: &Object, map: MapIdx) -> String {
    object.maps.get(map.0 as usize).map_or_else(|| "?".to_owned(), |map| format!("`{}`", map.name))
}

/// How many bytes a pointer may be used for from its start on, where that is fixed.
pub(super) fn size_of(object: &Object, pointer: &Pointer) -> Option<i64> {
    let map = |map: MapIdx| object.maps.get(map.0 as usize);
    match pointer.kind {
        Kind::MapValue { map: index } => map(index).map(|map| i64::from(map.value_size)),
        Kind::MapKey(index) => map(index).map(|map| i64::from(map.key_size)),
        Kind::Memory { bytes, .. } => Some(i64::from(bytes)),
        Kind::FlowKeys => Some(56),
        _ => None,
    }
}

fn pointer_words(object: &Object, pointer: &Pointer) -> String {
    let what = match pointer.kind {
        Kind::Context => "the context".to_owned(),
        Kind::Stack { .. } => "the stack".to_owned(),
        Kind::Map(map) => format!("the map {}", map_name(object, map)),
        Kind::InnerMap(map) => format!("a map inside of maps like {}", map_name(object, map)),
        Kind::MapKey(map) => format!("a key of map {}", map_name(object, map)),
        Kind::MapValue { map } => {
            let size = size_of(object, pointer).unwrap_or(0);
            format!("a value of map {} ({})", map_name(object, map), bytes(size))
        }
        Kind::Packet { .. } => "the packet".to_owned(),
        Kind::PacketMeta { .. } => "the metadata before the packet".to_owned(),
        Kind::PacketEnd => "the end of the packet".to_owned(),
        Kind::FlowKeys => "`struct bpf_flow_keys`".to_owned(),
        Kind::Socket(SocketKind::Full) => "a socket".to_owned(),
        Kind::Socket(SocketKind::Common) => "a socket that may be a short-lived one".to_owned(),
        Kind::TcpSocket => "a TCP socket".to_owned(),
        Kind::XdpSocket => "an AF_XDP socket".to_owned(),
        Kind::Memory { bytes: size, source: Source::Record, .. } => {
            format!("a record of a ring buffer ({})", bytes(i64::from(size)))
        }
        Kind::Memory { bytes: size, .. } => format!("memory of {}", bytes(i64::from(size))),
        Kind::TracepointBuffer => "the tracepoint's buffer".to_owned(),
        Kind::Typed { trust, .. } => match trust {
            Trust::User => "an address in user space".to_owned(),
            Trust::PerCpu => "a per-processor variable of the kernel".to_owned(),
            Trust::Untrusted | Trust::Plain => "a kernel object that nobody vouches for".to_owned(),
            Trust::Trusted | Trust::Rcu => "a kernel object".to_owned(),
            Trust::Owned => "an object of the program's own".to_owned(),
        },
        Kind::Function { .. } => "a function of the program".to_owned(),
        Kind::DynptrArgument => "a dynamic pointer".to_owned(),
    };
    let place = place_words(pointer);
    let what = match (place, pointer.kind) {
        (Some(_), Kind::Stack { .. }) if pointer.is_fixed() && pointer.offset < 0 => {
            format!("an address on the stack, {} below the frame's end", bytes(-pointer.offset))
        }
        (Some(place), Kind::Stack { .. }) => format!("an address on the stack, {place} from the frame's end"),
        (Some(place), _) => format!("an address {place} into {what}"),
        (None, _) => what,
    };
    if pointer.nullable { format!("{what}, or 0") } else { what }
}

/// How far a pointer is from the start of its memory, in words.
fn place_words(pointer: &Pointer) -> Option<String> {
    if pointer.is_fixed() {
        return (pointer.offset != 0).then(|| bytes(pointer.offset));
    }
    let ranges = pointer.variable.ranges(Width::W64);
    let at = |end: i64| end.saturating_add(pointer.offset);
    Some(match (ranges.signed_min, ranges.signed_max) {
        (i64::MIN, i64::MAX) => "any number of bytes".to_owned(),
        (least, most) if most > i64::from(u32::MAX) => format!("{} bytes or more", at(least)),
        (least, most) => format!("{} to {}", at(least), bytes(at(most))),
    })
}

/// So many bytes.
pub(super) fn bytes(count: i64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// When a helper returns 0 instead of a pointer.
pub(super) fn null_when(case: &Case<'_>, insn: usize) -> Option<String> {
    let Insn::Call(callee) = case.shape.insns[insn] else { return None };
    let Callee::Helper(number) = callee else {
        return Some("a kernel function returns 0 where it fails".to_owned());
    };
    let helper = Helper::from_id(number)?;
    let when = match (helper.name(), helper.signature(case.program.program_type).returns) {
        ("bpf_map_lookup_elem" | "bpf_map_lookup_percpu_elem", _) => "when the key is absent",
        (name, _) if name.ends_with("_storage_get") => "when there is no storage yet and none is made",
        (_, Returns::RingbufRecordOrNull) => "when the ring buffer is full",
        (_, Returns::SocketOrNull | Returns::SockCommonOrNull) if helper.name().contains("lookup") => {
            "when there is no such socket"
        }
        (_, Returns::SocketOrNull | Returns::SockCommonOrNull | Returns::TcpSockOrNull) => {
            "when the socket is none of that kind"
        }
        (_, Returns::DynptrDataOrNull) => "when the dynamic pointer has fewer bytes",
        (_, Returns::PerCpuVariable { .. }) => "when there is no such processor",
        (_, Returns::KernelPointerOrNull) => "when the slot was empty",
        _ => "where it fails",
    };
    Some(format!("`{helper}` returns 0 {when}"))
}

/// Whether a look-up in this kind of map never fails for a key inside of it.
fn is_array(object: &Object, pointer: &Pointer) -> bool {
    let Kind::MapValue { map } = pointer.kind else { return false };
    object
        .maps
        .get(map.0 as usize)
        .is_some_and(|map| matches!(map.map_type, MapType::Array | MapType::PercpuArray))
}

/// What is known of the value to blame, as a sentence.
pub(super) fn sentence(case: &Case<'_>) -> Option<String> {
    let state = case.failure.state.as_ref()?;
    let register = case.failure.register.map(|register| blamed(case, register))?;
    let value = state.register(register);
    let named = case.named(register);
    let mut text = match &value {
        Value::Uninit => return None,
        // That `r10` is the stack is no news.
        Value::Pointer(Pointer { kind: Kind::Stack { .. }, .. }) if register == 10 => return None,
        Value::Pointer(pointer) if pointer.nullable => {
            let plain = Value::Pointer(Pointer { nullable: false, ..*pointer });
            format!("{named} is {}, or 0", words(case.object, &plain))
        }
        value => format!("{named} is {}", words(case.object, value)),
    };
    let origin = case.trace.as_ref().and_then(|trace| {
        let node = trace.node(trace.base(trace.registers[usize::from(register)]))?;
        (node.made == Made::Returned).then(|| trace.insn_of(node))
    });
    if let Value::Pointer(pointer) = &value {
        if pointer.nullable
            && let Some(when) = origin.and_then(|insn| null_when(case, insn))
        {
            let array =
                if is_array(case.object, pointer) { " (an array has no key past its end)" } else { "" };
            text.push_str(&format!(": {when}{array}"));
        }
        if let Kind::Packet { range } = pointer.kind {
            text.push_str(&match range {
                0 => ": no comparison with the packet's end has shown yet that bytes are there".to_owned(),
                range => format!(
                    ": a comparison with the packet's end has shown that {} are there",
                    bytes(i64::from(range))
                ),
            });
        }
    }
    Some(text)
}

/// The register of which something is to be told: where a number does not fit a pointer that it is added to, that number.
fn blamed(case: &Case<'_>, register: u8) -> u8 {
    let is_number = |register: u8| {
        case.failure.state.as_ref().is_some_and(|state| state.register(register).number().is_some())
    };
    match case.shape.insns[case.failure.insn] {
        Insn::Alu { src: Operand::Reg(src), .. }
            if case.failure.slug.name == slugs::POINTER_ARITHMETIC.name && is_number(src.number()) =>
        {
            src.number()
        }
        _ => register,
    }
}
