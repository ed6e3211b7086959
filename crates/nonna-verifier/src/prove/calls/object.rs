//! Objects that calls take by pointer: locks and timers in map values, slots for kernel pointers, structures of the kernel.
//!
//! What a structure's fields are is read elsewhere (`fields`, `typed`); here a pointer is held against what a call wants.

use super::super::Prover;
use super::super::failure::Failure;
use super::super::fields::FieldKind;
use super::super::value::{Kind, Pointer, Trust, Types, Value};
use super::helper::Arguments;

impl Prover<'_> {
    pub(super) fn check_field(
        &mut self,
        at: usize,
        register: u8,
        pointer: Option<&Pointer>,
        wants: &str,
        is_it: impl Fn(FieldKind) -> bool,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let Some(pointer) = pointer.filter(|pointer| pointer.is_fixed()) else {
            return Err(self.bad_argument(at, register, wants));
        };
        let fields = match pointer.kind {
            Kind::MapValue { map } => {
                found.map = found.map.or(Some((map, false)));
                self.map_fields(map)
            }
            Kind::Typed { types: Types::Object, type_id, trust: Trust::Owned } => {
                self.fields_of(Types::Object, nonna_btf::TypeId(type_id))
            }
            _ => return Err(self.bad_argument(at, register, wants)),
        };
        if !fields.iter().any(|field| i64::from(field.offset) == pointer.offset && is_it(field.kind)) {
            return Err(self.bad_argument(at, register, wants));
        }
        found.spin_lock = Some(*pointer);
        Ok(())
    }

    pub(super) fn check_pointer_slot(
        &mut self,
        at: usize,
        register: u8,
        pointer: Option<&Pointer>,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        let wants = "a slot for a kernel pointer in a map value";
        let Some(Pointer { kind: Kind::MapValue { map }, offset, .. }) =
            pointer.filter(|pointer| pointer.is_fixed())
        else {
            return Err(self.bad_argument(at, register, wants));
        };
        let fields = self.map_fields(*map);
        let slot = fields.iter().find(|field| i64::from(field.offset) == *offset);
        match slot.map(|field| field.kind) {
            Some(FieldKind::KernelPointer { types, type_id, referenced: true, .. }) => {
                found.kernel_slot = Some((types, type_id));
                Ok(())
            }
            _ => Err(self.bad_argument(at, register, wants)),
        }
    }

    pub(super) fn check_exchanged(
        &mut self,
        at: usize,
        register: u8,
        value: &Value,
        null: bool,
        found: &mut Arguments,
    ) -> Result<(), Failure> {
        if null {
            return Ok(());
        }
        let wanted = found.kernel_slot;
        match value {
            Value::Pointer(pointer)
                if pointer.reference != 0
                    && pointer.is_fixed()
                    && pointer.offset == 0
                    && matches!(pointer.kind, Kind::Typed { types, type_id, .. } if wanted == Some((types, type_id))) =>
            {
                found.released = Some((register, pointer.reference));
                Ok(())
            }
            _ => Err(self.bad_argument(
                at,
                register,
                "an object of the slot's type that the program holds, or 0",
            )),
        }
    }

    pub(super) fn check_kernel_object(
        &mut self,
        at: usize,
        register: u8,
        pointer: &Pointer,
        type_name: &str,
    ) -> Result<(), Failure> {
        let wants = format!("a pointer to `{type_name}`");
        let Kind::Typed { types: Types::Kernel, type_id, trust } = pointer.kind else {
            return Err(self.bad_argument(at, register, &wants));
        };
        let usable = matches!(trust, Trust::Trusted | Trust::Rcu | Trust::Plain);
        let btf = self.kernel_types(at)?;
        let name = btf.name(nonna_btf::TypeId(type_id)).unwrap_or_default();
        let family = [
            "sock",
            "tcp_sock",
            "inet_sock",
            "inet_connection_sock",
            "tcp6_sock",
            "udp6_sock",
            "unix_sock",
            "mptcp_sock",
            "sock_common",
        ];
        let fits = name == type_name
            || family.contains(&name) && family.contains(&type_name) && !matches!(type_name, "tcp6_sock");
        if !usable || !fits || !pointer.is_fixed() || pointer.offset != 0 {
            return Err(self.bad_argument(at, register, &wants));
        }
        Ok(())
    }
}
