//! Helpers that work on a context, by number.
//!
//! What a helper does to a packet is said where the packet's context is; here arguments are taken apart, guest memory is
//! read and written, and effects are kept. A helper that is given another context than the one of the run, or one of another kind, stops the
//! run: no verified program does that.

use nonna_bpf::{Helper, MemSize};

use super::error_number::{Answer, EAFNOSUPPORT, EFAULT, EINVAL, ErrorNumber, result};
use super::skb::SocketBuffer;
use super::xdp::{Xdp, redirect_verdict};
use super::{Clone, Context, Effects, Form, Redirect, RedirectBy, SocketOption, checksum};
use crate::classic::helper as classic;
use crate::helpers::{HelperFn, Helpers};
use crate::host::HelperError;
use crate::memory::Regions;
use crate::run::Run;

/// Bytes that a helper takes from or gives to the program at once, at most; packets are shorter.
const BYTES_MAX: u64 = 1 << 17;
/// `BPF_F_INGRESS`
const INGRESS: u64 = 1;

/// What a helper comes to: `r0`, or the end of the run.
type Called = Result<u64, HelperError>;
/// A helper's own function.
type Body = fn(&mut Run<'_, '_>, [u64; 5]) -> Called;

/// The helpers of this file, by number.
macro_rules! bodies {
    ($($number:expr => $body:expr,)+) => {
        /// Adds the helpers that work on contexts.
        pub fn with_context_helpers(helpers: Helpers) -> Helpers {
            $(
                let helpers = {
                    extern "C" fn entry(
                        r1: u64,
                        r2: u64,
                        r3: u64,
                        r4: u64,
                        r5: u64,
                        run: &mut Run<'_, '_>,
                    ) -> u64 {
                        const BODY: Body = $body;
                        BODY(run, [r1, r2, r3, r4, r5]).unwrap_or_else(|error| run.fail(error))
                    }
                    helpers.with($number, entry as HelperFn)
                };
            )+
            helpers
        }
    };
}

bodies! {
    Helper::XDP_ADJUST_HEAD.id() => |run, [context, delta, ..]| {
        on_xdp(run, context, |xdp, memory| xdp.adjust_head(memory, delta as i32))
    },
    Helper::XDP_ADJUST_META.id() => |run, [context, delta, ..]| {
        on_xdp(run, context, |xdp, memory| xdp.adjust_meta(memory, delta as i32))
    },
    Helper::XDP_ADJUST_TAIL.id() => |run, [context, delta, ..]| {
        on_xdp(run, context, |xdp, memory| xdp.adjust_tail(memory, delta as i32))
    },
    Helper::XDP_GET_BUFF_LEN.id() => |run, [context, ..]| {
        on_xdp(run, context, |xdp, _| Ok(xdp.packet.len() as u64))
    },
    Helper::XDP_LOAD_BYTES.id() => xdp_load_bytes,
    Helper::XDP_STORE_BYTES.id() => xdp_store_bytes,
    Helper::REDIRECT.id() => |run, [interface, flags, ..]| redirect(run, interface, flags, RedirectBy::Device),
    Helper::REDIRECT_NEIGH.id() => |run, [interface, _, parameter_bytes, flags, _]| {
        if flags != 0 || (parameter_bytes != 0 && parameter_bytes < 20) {
            return Ok(TC_ACT_SHOT);
        }
        redirect(run, interface, 0, RedirectBy::Neighbour)
    },
    Helper::REDIRECT_PEER.id() => |run, [interface, flags, ..]| {
        if flags != 0 {
            return Ok(TC_ACT_SHOT);
        }
        redirect(run, interface, 0, RedirectBy::Peer)
    },
    Helper::CLONE_REDIRECT.id() => clone_redirect,
    Helper::SKB_LOAD_BYTES.id() => |run, [context, offset, to, bytes, _]| {
        let part = on(run, context, |skb, _| skb.part(offset, bytes))?;
        load_packet_bytes(run, part, to, bytes)
    },
    Helper::SKB_LOAD_BYTES_RELATIVE.id() => |run, [context, offset, to, bytes, from]| {
        let part = on(run, context, |skb, _| skb.part_from(offset, bytes, from))?;
        load_packet_bytes(run, part, to, bytes)
    },
    Helper::SKB_STORE_BYTES.id() => |run, [context, offset, from, bytes, flags]| {
        let Ok(at) = on(run, context, |skb, _| skb.part(offset, bytes))? else { return Ok(result(Err(EFAULT))) };
        let bytes = taken(run, from, bytes)?;
        on_skb(run, context, |skb, memory| skb.store(memory, at, &bytes, flags))
    },
    Helper::L3_CSUM_REPLACE.id() => |run, [context, rest @ ..]| {
        on_skb(run, context, |skb, memory| skb.l3_csum_replace(memory, rest))
    },
    Helper::L4_CSUM_REPLACE.id() => |run, [context, rest @ ..]| {
        on_skb(run, context, |skb, memory| skb.l4_csum_replace(memory, rest))
    },
    Helper::CSUM_DIFF.id() => csum_diff,
    Helper::CSUM_UPDATE.id() => |run, [context, sum, ..]| on_skb(run, context, |skb, _| skb.csum_update(sum as u32)),
    Helper::CSUM_LEVEL.id() => |run, [context, level, ..]| on_skb(run, context, |skb, _| skb.csum_level(level)),
    Helper::SKB_PULL_DATA.id() => |run, [context, bytes, ..]| on_skb(run, context, |skb, _| skb.pull_data(bytes)),
    Helper::SKB_CHANGE_TAIL.id() => |run, [context, bytes, flags, ..]| {
        on_skb(run, context, |skb, memory| skb.change_tail(memory, bytes, flags))
    },
    Helper::SKB_CHANGE_HEAD.id() => |run, [context, bytes, flags, ..]| {
        on_skb(run, context, |skb, memory| skb.change_head(memory, bytes, flags))
    },
    Helper::SKB_CHANGE_TYPE.id() => |run, [context, packet_type, ..]| {
        on_skb(run, context, |skb, memory| skb.change_type(memory, packet_type as u32))
    },
    Helper::SKB_CHANGE_PROTO.id() => |run, [context, protocol, flags, ..]| {
        on_skb(run, context, |skb, memory| skb.change_proto(memory, protocol, flags))
    },
    Helper::SKB_ADJUST_ROOM.id() => |run, [context, delta, mode, flags, _]| {
        on_skb(run, context, |skb, memory| skb.adjust_room(memory, delta as i32, mode, flags))
    },
    Helper::SKB_VLAN_PUSH.id() => |run, [context, protocol, tag, ..]| {
        on_skb(run, context, |skb, memory| skb.vlan_push(memory, protocol, tag))
    },
    Helper::SKB_VLAN_POP.id() => |run, [context, ..]| on_skb(run, context, SocketBuffer::vlan_pop),
    Helper::SKB_ECN_SET_CE.id() => |run, [context, ..]| on_skb(run, context, SocketBuffer::set_congestion),
    Helper::SKB_SET_TSTAMP.id() => |run, [context, time_ns, kind, ..]| {
        on_skb(run, context, |skb, memory| skb.set_timestamp(memory, time_ns, kind))
    },
    Helper::GET_HASH_RECALC.id() => |run, [context, ..]| {
        on_skb(run, context, |skb, memory| Ok(skb.flow_hash(memory).into()))
    },
    Helper::SET_HASH_INVALID.id() => |run, [context, ..]| on_skb(run, context, |skb, memory| {
        skb.set_hash(memory, 0);
        Ok(0)
    }),
    Helper::SET_HASH.id() => |run, [context, hash, ..]| on_skb(run, context, |skb, memory| {
        skb.set_hash(memory, hash as u32);
        Ok(0)
    }),
    Helper::CHECK_MTU.id() => check_mtu,
    Helper::GET_CGROUP_CLASSID.id() => |run, [context, ..]| on_skb(run, context, |_, _| Ok(0)),
    Helper::SKB_CGROUP_CLASSID.id() => |run, [context, ..]| on_skb(run, context, |_, _| Ok(0)),
    Helper::GET_ROUTE_REALM.id() => |run, [context, ..]| on_skb(run, context, |_, _| Ok(0)),
    Helper::SKB_CGROUP_ID.id() => |run, [context, ..]| {
        let cgroup = run.host.identity().cgroup;
        on_skb(run, context, |skb, _| Ok(if skb.socket.is_some() { cgroup } else { 0 }))
    },
    Helper::FIB_LOOKUP.id() => fib_lookup,
    Helper::SK_LOOKUP_TCP.id() => |run, arguments| find_socket(run, arguments, TCP),
    Helper::SKC_LOOKUP_TCP.id() => |run, arguments| find_socket(run, arguments, TCP),
    Helper::SK_LOOKUP_UDP.id() => |run, arguments| find_socket(run, arguments, UDP),
    Helper::SK_RELEASE.id() => |run, [socket, ..]| {
        let Run { context, memory, .. } = run;
        match context.pages {
            Some(pages) if context.found.release(memory, pages, socket) => Ok(0),
            _ => Err(HelperError::WrongContext),
        }
    },
    Helper::SK_FULLSOCK.id() => |_, [socket, ..]| Ok(socket),
    Helper::TCP_SOCK.id() => |_, _| Ok(0),
    Helper::GET_LISTENER_SOCK.id() => |_, _| Ok(0),
    Helper::SOCK_OPS_CB_FLAGS_SET.id() => set_callback_flags,
    Helper::BIND.id() => bind,
    Helper::SETSOCKOPT.id() => |run, [_, level, name, from, bytes]| {
        let value = taken(run, from, bytes)?;
        effects(run).options.push(SocketOption { level: level as u32, name: name as u32, value });
        Ok(0)
    },
    Helper::GETSOCKOPT.id() => get_option,
    Helper::GET_RETVAL.id() => |run, _| Ok(i64::from(effects(run).return_value).cast_unsigned()),
    Helper::SET_RETVAL.id() => |run, [value, ..]| {
        effects(run).return_value = value as i32;
        Ok(0)
    },
    classic::HARDWARE_TYPE => |_, _| Ok(LOOPBACK_TYPE),
    classic::PAYLOAD_OFFSET => |run, [context, ..]| on_skb(run, context, |skb, memory| Ok(skb.payload_offset(memory))),
    classic::NETLINK_ATTRIBUTE => |run, [context, from, wanted, ..]| {
        on_skb(run, context, |skb, memory| Ok(skb.netlink_attribute(memory, from as u32, wanted as u32, false)))
    },
    classic::NESTED_NETLINK_ATTRIBUTE => |run, [context, from, wanted, ..]| {
        on_skb(run, context, |skb, memory| Ok(skb.netlink_attribute(memory, from as u32, wanted as u32, true)))
    },
}

/// `TC_ACT_SHOT`
const TC_ACT_SHOT: u64 = 2;
/// `TC_ACT_REDIRECT`
const TC_ACT_REDIRECT: u64 = 7;
/// `IPPROTO_TCP`
const TCP: u8 = 6;
/// `IPPROTO_UDP`
const UDP: u8 = 17;
/// `ARPHRD_LOOPBACK`, the device that packets come in through here.
const LOOPBACK_TYPE: u64 = 772;

fn effects<'a>(run: &'a mut Run<'_, '_>) -> &'a mut Effects {
    &mut run.context.effects
}

/// Does something with the run's packet; the inner result is the helper's own.
fn on<T>(
    run: &mut Run<'_, '_>,
    address: u64,
    body: impl FnOnce(&mut SocketBuffer, &mut Regions<'_>) -> Result<T, ErrorNumber>,
) -> Result<Result<T, ErrorNumber>, HelperError> {
    let Run { context, memory, .. } = run;
    match &mut context.form {
        Form::SocketBuffer(skb) if context.address == address => Ok(body(skb, memory)),
        _ => Err(HelperError::WrongContext),
    }
}

fn on_skb(
    run: &mut Run<'_, '_>,
    address: u64,
    body: impl FnOnce(&mut SocketBuffer, &mut Regions<'_>) -> Answer,
) -> Called {
    on(run, address, body).map(result)
}

fn on_xdp(
    run: &mut Run<'_, '_>,
    address: u64,
    body: impl FnOnce(&mut Xdp, &mut Regions<'_>) -> Answer,
) -> Called {
    let Run { context, memory, .. } = run;
    match &mut context.form {
        Form::Xdp(xdp) if context.address == address => Ok(result(body(xdp, memory))),
        _ => Err(HelperError::WrongContext),
    }
}

/// Bytes that the program gives; their number is an unsigned 32-bit one.
fn taken(run: &Run<'_, '_>, from: u64, bytes: u64) -> Result<Vec<u8>, HelperError> {
    let bytes = bytes & 0xffff_ffff;
    let mut into = vec![0; bytes.min(BYTES_MAX) as usize];
    if bytes == 0 {
        return Ok(into);
    }
    run.memory.read(from, &mut into)?;
    // What is longer than any packet can still not lie outside the program's memory.
    if bytes > BYTES_MAX {
        run.memory.check(from, bytes as usize, crate::memory::Access::Read)?;
    }
    Ok(into)
}

/// Gives the program bytes of the packet; outside it gets zeros.
fn load_packet_bytes(run: &mut Run<'_, '_>, part: Result<i64, ErrorNumber>, to: u64, bytes: u64) -> Called {
    let bytes = bytes & 0xffff_ffff;
    run.memory.check(to, bytes as usize, crate::memory::Access::Write)?;
    let mut into = vec![0; bytes as usize];
    let Run { context, memory, .. } = run;
    let answer = match (part, &context.form) {
        (Ok(at), Form::SocketBuffer(skb)) => skb.packet.read(memory, at, &mut into).map(|()| 0).ok_or(EFAULT),
        (Ok(_), _) => Err(EFAULT),
        (Err(error), _) => Err(error),
    };
    memory.write(to, &into)?;
    Ok(result(answer))
}

fn xdp_load_bytes(run: &mut Run<'_, '_>, [context, offset, to, bytes, _]: [u64; 5]) -> Called {
    let mut read = Vec::new();
    let answer = on_xdp(run, context, |xdp, memory| {
        let part = xdp.part(offset, bytes)?;
        read = vec![0; (part.end - part.start) as usize];
        xdp.packet.read(memory, part.start, &mut read).map(|()| 0).ok_or(EINVAL)
    })?;
    if answer == 0 {
        run.memory.write(to, &read)?;
    }
    Ok(answer)
}

fn xdp_store_bytes(run: &mut Run<'_, '_>, [context, offset, from, bytes, _]: [u64; 5]) -> Called {
    let part = on_xdp(run, context, |xdp, _| xdp.part(offset, bytes).map(|part| part.start.cast_unsigned()))?;
    if part.cast_signed() < 0 {
        return Ok(part);
    }
    let from = taken(run, from, bytes)?;
    on_xdp(run, context, |xdp, memory| {
        xdp.packet.write(memory, part.cast_signed(), &from).map(|()| 0).ok_or(EINVAL)
    })
}

fn redirect(run: &mut Run<'_, '_>, interface: u64, flags: u64, by: RedirectBy) -> Called {
    let verdict = match run.context.form {
        Form::Xdp(_) => redirect_verdict(flags),
        _ if flags & !INGRESS != 0 => TC_ACT_SHOT,
        _ => TC_ACT_REDIRECT,
    };
    let redirect = Redirect::Interface { interface: interface as u32, flags, by };
    effects(run).redirect = Some(redirect);
    Ok(verdict)
}

fn clone_redirect(run: &mut Run<'_, '_>, [context, interface, flags, ..]: [u64; 5]) -> Called {
    if flags & !INGRESS != 0 {
        return Ok(result(Err(EINVAL)));
    }
    let mut frame = Vec::new();
    on_skb(run, context, |skb, memory| {
        frame = skb.frame(memory);
        Ok(0)
    })?;
    if run.host.mtu(interface as u32).is_none() {
        return Ok(result(Err(EINVAL)));
    }
    effects(run).clones.push(Clone { interface: interface as u32, flags, packet: frame });
    Ok(0)
}

/// The sum is folded to 16 bits, as kernels since 6.13 do; what earlier ones return folds to the same.
fn csum_diff(run: &mut Run<'_, '_>, [from, from_bytes, to, to_bytes, seed]: [u64; 5]) -> Called {
    if (from_bytes | to_bytes) & 3 != 0 {
        return Ok(result(Err(EINVAL)));
    }
    let (from, to, seed) = (taken(run, from, from_bytes)?, taken(run, to, to_bytes)?, seed as u32);
    // One's complement has two zeros; which one comes out is a matter of the order.
    let sum = match (from.is_empty(), to.is_empty()) {
        (false, false) => checksum::subtract(checksum::sum(&to, seed), checksum::sum(&from, 0)),
        (true, _) => checksum::sum(&to, seed),
        (false, true) => !checksum::sum(&from, !seed),
    };
    Ok((!checksum::fold(sum)).into())
}

fn check_mtu(run: &mut Run<'_, '_>, [context, interface, mtu_at, delta, flags]: [u64; 5]) -> Called {
    let mut length = [0; 4];
    run.memory.read(mtu_at, &mut length)?;
    let length = u32::from_ne_bytes(length);
    let interface = if interface as u32 == 0 { 1 } else { interface as u32 };
    let mtu = run.host.mtu(interface);
    let Run { context: own, memory, .. } = run;
    let answer = match &own.form {
        Form::Xdp(xdp) if own.address == context => xdp.check_mtu(length, delta as i32, flags, mtu),
        Form::SocketBuffer(skb) if own.address == context => skb.check_mtu(length, delta as i32, flags, mtu),
        _ => return Err(HelperError::WrongContext),
    };
    if let (Ok(_), Some(mtu)) = (answer, mtu) {
        memory.write(mtu_at, &mtu.to_ne_bytes())?;
    }
    Ok(result(answer))
}

fn fib_lookup(run: &mut Run<'_, '_>, [_, parameters, bytes, flags, _]: [u64; 5]) -> Called {
    const PARAMETER_BYTES: usize = 64;
    /// Direct, output, without the neighbour, by table, own address, by mark.
    const FLAGS: u64 = 0x3f;
    if (bytes & 0xffff_ffff) < PARAMETER_BYTES as u64 || flags & !FLAGS != 0 {
        return Ok(result(Err(EINVAL)));
    }
    let mut lookup = [0; PARAMETER_BYTES];
    run.memory.read(parameters, &mut lookup)?;
    const INET: u8 = 2;
    const INET6: u8 = 10;
    if !matches!(lookup[0], INET | INET6) {
        return Ok(result(Err(EAFNOSUPPORT)));
    }
    let answer = run.host.route(&mut lookup, flags as u32);
    run.memory.write(parameters, &lookup)?;
    Ok(i64::from(answer).cast_unsigned())
}

fn find_socket(run: &mut Run<'_, '_>, [_, tuple, bytes, namespace, flags]: [u64; 5], protocol: u8) -> Called {
    /// `bpf_sock_tuple` of IPv4 and of IPv6.
    const TUPLES: [u64; 2] = [12, 36];
    if !TUPLES.contains(&(bytes & 0xffff_ffff)) || flags != 0 {
        return Ok(0);
    }
    let tuple = taken(run, tuple, bytes)?;
    let Run { context, memory, host, .. } = run;
    let found = host.find_socket(&tuple, protocol, namespace as i32);
    Ok(match (found, context.pages) {
        (Some(socket), Some(pages)) => context.found.add(memory, pages, &socket).unwrap_or(0),
        _ => 0,
    })
}

fn set_callback_flags(run: &mut Run<'_, '_>, [context, flags, ..]: [u64; 5]) -> Called {
    /// `BPF_SOCK_OPS_ALL_CB_FLAGS`
    const ALL: u32 = 0x7f;
    const IS_FULL_SOCKET: usize = 72;
    const CALLBACK_FLAGS: usize = 84;
    let Run { context: own, memory, .. } = run;
    let Form::Structure(structure) = &own.form else { return Err(HelperError::WrongContext) };
    if own.address != context || structure.image.table().name != "bpf_sock_ops" {
        return Err(HelperError::WrongContext);
    }
    if structure.image.get(memory, IS_FULL_SOCKET) == 0 {
        return Ok(result(Err(EINVAL)));
    }
    structure.image.set(memory, CALLBACK_FLAGS, flags as u32 & ALL);
    effects(run).callback_flags = Some(flags as u32 & ALL);
    Ok((flags as u32 & !ALL).into())
}

fn bind(run: &mut Run<'_, '_>, [_, address, bytes, ..]: [u64; 5]) -> Called {
    let address = taken(run, address, bytes)?;
    let family = address.get(..2).map(|family| u16::from_ne_bytes([family[0], family[1]]));
    let needed = match family {
        None => return Ok(result(Err(EINVAL))),
        Some(2) => 16,
        Some(10) => 24,
        Some(_) => return Ok(result(Err(EAFNOSUPPORT))),
    };
    if address.len() < needed {
        return Ok(result(Err(EINVAL)));
    }
    effects(run).bound.push(address);
    Ok(0)
}

/// An option that the program set is read back; others are the host's.
fn get_option(run: &mut Run<'_, '_>, [_, level, name, to, bytes]: [u64; 5]) -> Called {
    let (level, name, bytes) = (level as u32, name as u32, (bytes & 0xffff_ffff) as usize);
    run.memory.check(to, bytes, crate::memory::Access::Write)?;
    let set = effects(run).options.iter().rfind(|option| (option.level, option.name) == (level, name));
    let set = set.map(|option| option.value.clone());
    let value = set.or_else(|| run.host.socket_option(level, name));
    let mut into = vec![0; bytes];
    let answer = match value {
        Some(value) if value.len() <= bytes => {
            into[..value.len()].copy_from_slice(&value);
            Ok(0)
        }
        _ => Err(EINVAL),
    };
    run.memory.write(to, &into)?;
    Ok(result(answer))
}

impl Context {
    /// What the legacy packet loads read: a number of 1, 2 or 4 bytes in network order at `offset` into the packet. `None` where
    /// there is no such byte, which ends the program with 0.
    pub(crate) fn load_packet(&self, memory: &Regions<'_>, size: MemSize, offset: i64) -> Option<u32> {
        let Form::SocketBuffer(skb) = &self.form else { return None };
        // The kernel's functions take an `int`: what an index and a constant add up to is cut to 32 bits.
        skb.load(memory, offset as i32, size.bytes())
    }

    /// The first bytes of the context's packet, as the program sees it: for helpers that copy them out. `None` where the
    /// context has none.
    pub fn packet_start(&self, memory: &Regions<'_>, bytes: usize) -> Option<Vec<u8>> {
        let packet = match &self.form {
            Form::Xdp(xdp) => &xdp.packet,
            Form::SocketBuffer(skb) => &skb.packet,
            Form::Structure(structure) => structure.packet.as_ref()?,
            Form::Plain | Form::Bytes { .. } => return None,
        };
        let mut into = vec![0; bytes.min(packet.len())];
        packet.read(memory, 0, &mut into)?;
        Some(into)
    }
}
