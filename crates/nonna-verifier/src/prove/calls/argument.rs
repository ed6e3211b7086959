//! Whether a value may be passed as what a helper wants (`check_func_arg`, Linux 6.12).
//!
//! Memory is in `memory`, pointers to objects are in `object`.

use nonna_bpf::{Argument, MapType};

use super::super::Prover;
use super::super::failure::Failure;
use super::super::fields::FieldKind;
use super::super::memory::Way;
use super::super::state::State;
use super::super::value::{Kind, Pointer, Source, Trust, Value};
use super::helper::Arguments;
use crate::context::SocketKind;
use crate::slugs;

impl Prover<'_> {
    pub(crate) fn bad_argument(&self, at: usize, register: u8, wants: &str) -> Failure {
        Failure::new(&slugs::BAD_ARGUMENT, at, format!("`r{register}` should be {wants} in this call"))
            .register(register)
            .help("pass what the helper's prototype names, in the same order")
    }

    pub(crate) fn check_argument(
        &mut self,
        state: &mut State,
        at: usize,
        register: u8,
        all: &[Argument],
        argument: &Argument,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let value = self.read(state, at, register)?;
        if *argument == Argument::Anything {
            return Ok(());
        }
        let null = matches!(&value, Value::Number(number) if number.scalar.as_constant() == Some(0));
        let pointer = match value {
            Value::Pointer(pointer) => Some(pointer),
            _ => None,
        };
        if pointer.is_some_and(|pointer| pointer.nullable) && !may_be_null(argument) {
            return Err(self.possibly_null(at, register));
        }
        match *argument {
            Argument::Anything => Ok(()),
            Argument::Number => match value {
                Value::Number(_) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a number")),
            },
            Argument::Map => {
                match pointer.map(|pointer| (pointer.kind, pointer.is_fixed() && pointer.offset == 0)) {
                    Some((Kind::Map(map), true)) => {
                        found.map = Some((map, false));
                        Ok(())
                    }
                    Some((Kind::InnerMap(map), true)) => {
                        found.map = Some((map, true));
                        Ok(())
                    }
                    _ => Err(self.bad_argument(at, register, "a map")),
                }
            }
            Argument::MapKey => {
                let Some((map, _)) = found.map else { return Err(self.bad_argument(at, register, "a key")) };
                let bytes = i64::from(self.map(map).key_size);
                self.check_memory(state, at, register, &value, bytes, Way::Read)
            }
            Argument::MapValue { access, nullable } => {
                if null && nullable {
                    return Ok(());
                }
                let Some((map, _)) = found.map else {
                    return Err(self.bad_argument(at, register, "a value"));
                };
                if matches!(self.map(map).map_type, MapType::Sockmap | MapType::Sockhash) {
                    return match pointer.map(|pointer| pointer.kind) {
                        Some(Kind::Socket(_) | Kind::TcpSocket) => {
                            self.check_unmoved(at, register, pointer.as_ref())
                        }
                        Some(Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }) => Ok(()),
                        _ => Err(self.bad_argument(at, register, "a socket")),
                    };
                }
                let bytes = i64::from(self.map(map).value_size);
                self.check_access(state, at, register, &value, bytes, access, found)
            }
            Argument::Memory { access, nullable } => {
                self.check_sized_memory(state, at, register, &value, access, nullable, all, found)
            }
            Argument::FixedMemory { bytes, access } => {
                let aligned = pointer.is_none_or(|pointer| {
                    !matches!(pointer.kind, Kind::Stack { .. })
                        || !matches!(bytes, 4 | 8)
                        || pointer.offset % i64::from(bytes) == 0
                });
                if !aligned {
                    return Err(self.bad_argument(at, register, "aligned memory"));
                }
                self.check_access(state, at, register, &value, i64::from(bytes), access, found)
            }
            Argument::MemorySize { .. } => match value {
                Value::Number(_) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a length")),
            },
            Argument::AllocationSize => {
                self.wants(at, 1 << register);
                let constant = value.number().and_then(|number| number.scalar.as_constant());
                match constant.and_then(|constant| u32::try_from(constant).ok()) {
                    Some(bytes) => {
                        found.allocation = Some(bytes);
                        Ok(())
                    }
                    None => Err(self.bad_argument(at, register, "a constant length")),
                }
            }
            Argument::Context { nullable } => match pointer {
                Some(pointer) if pointer.kind == Kind::Context => {
                    if pointer.is_fixed() && pointer.offset == 0 {
                        Ok(())
                    } else {
                        Err(self.bad_argument(at, register, "the context, unchanged"))
                    }
                }
                _ if null && nullable => Ok(()),
                _ => Err(self.bad_argument(at, register, "the context")),
            },
            Argument::StackOrNull => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Stack { .. }) => Ok(()),
                None if null => Ok(()),
                _ => Err(self.bad_argument(at, register, "memory on the stack, or 0")),
            },
            Argument::Callback => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Function { insn }) => {
                    found.callback = Some(insn as usize);
                    Ok(())
                }
                _ => Err(self.bad_argument(at, register, "a function of the program")),
            },
            Argument::ConstantString => self.check_constant_string(at, register, pointer.as_ref()),
            Argument::SpinLock => self.check_field(
                at,
                register,
                pointer.as_ref(),
                "a lock in a map value",
                |kind| kind == FieldKind::SpinLock,
                found,
            ),
            Argument::Timer => self.check_field(
                at,
                register,
                pointer.as_ref(),
                "a timer in a map value",
                |kind| kind == FieldKind::Timer,
                found,
            ),
            Argument::KernelPointerSlot => self.check_pointer_slot(at, register, pointer.as_ref(), found),
            Argument::KernelPointer => self.check_exchanged(at, register, &value, null, found),
            Argument::RingbufRecord => match pointer {
                Some(pointer)
                    if matches!(pointer.kind, Kind::Memory { source: Source::Record, .. })
                        && pointer.is_fixed()
                        && pointer.offset == 0 =>
                {
                    found.released = Some((register, pointer.reference));
                    Ok(())
                }
                _ => Err(self.bad_argument(at, register, "what `bpf_ringbuf_reserve` returned")),
            },
            Argument::Dynptr(dynptr) => {
                self.check_dynptr(state, at, register, pointer.as_ref(), dynptr, found)
            }
            Argument::SockCommon => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Socket(_) | Kind::TcpSocket | Kind::XdpSocket) => {
                    self.check_unmoved(at, register, pointer.as_ref())
                }
                Some(Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a socket")),
            },
            Argument::SocketOrNull => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Socket(SocketKind::Full)) => self.check_unmoved(at, register, pointer.as_ref()),
                Some(Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }) => Ok(()),
                None if null => Ok(()),
                _ => Err(self.bad_argument(at, register, "a full socket, or 0")),
            },
            Argument::Socket { nullable, released } => match pointer {
                Some(pointer)
                    if matches!(
                        pointer.kind,
                        Kind::Socket(_)
                            | Kind::TcpSocket
                            | Kind::XdpSocket
                            | Kind::Typed { trust: Trust::Trusted | Trust::Rcu | Trust::Plain, .. }
                    ) =>
                {
                    self.check_unmoved(at, register, Some(&pointer))?;
                    if released {
                        if pointer.reference == 0 {
                            let message =
                                format!("`r{register}` is given back here, but nothing was acquired for it");
                            return Err(Failure::new(&slugs::BAD_ARGUMENT, at, message)
                                .register(register)
                                .help("release only what a look-up returned"));
                        }
                        found.released = Some((register, pointer.reference));
                    }
                    Ok(())
                }
                _ if null && nullable => Ok(()),
                _ => Err(self.bad_argument(at, register, "a socket")),
            },
            Argument::PerCpuVariable => match pointer.map(|pointer| pointer.kind) {
                Some(Kind::Typed { trust: Trust::PerCpu, .. }) => Ok(()),
                _ => Err(self.bad_argument(at, register, "a per-processor variable")),
            },
            Argument::Kernel { type_name, nullable } => match pointer {
                Some(pointer) => self.check_kernel_object(at, register, &pointer, type_name),
                None if null && nullable => Ok(()),
                None => Err(self.bad_argument(at, register, &format!("a pointer to `{type_name}`"))),
            },
        }
    }

    fn check_unmoved(&self, at: usize, register: u8, pointer: Option<&Pointer>) -> Result<(), Failure> {
        match pointer {
            Some(pointer) if pointer.is_fixed() && pointer.offset == 0 => Ok(()),
            _ => Err(self.bad_argument(at, register, "a pointer to the start of the object")),
        }
    }

    /// Notes the map of a call for the engine.
    pub(crate) fn note_map(&mut self, at: usize, arguments: &Arguments) {
        let found = arguments.map.and_then(|(map, inner)| (!inner).then_some(map));
        if found.is_none() && arguments.map.is_none() {
            return;
        }
        self.call_maps[at] = match self.call_maps[at] {
            None => Some(found),
            Some(known) if known == found => Some(known),
            Some(_) => Some(None),
        };
    }
}

fn may_be_null(argument: &Argument) -> bool {
    match argument {
        Argument::MapValue { nullable, .. }
        | Argument::Memory { nullable, .. }
        | Argument::Context { nullable }
        | Argument::Socket { nullable, .. }
        | Argument::Kernel { nullable, .. } => *nullable,
        Argument::StackOrNull | Argument::SocketOrNull | Argument::KernelPointer | Argument::Anything => true,
        _ => false,
    }
}
