//! Global variables of an object, found by name.
//!
//! The object's own BTF says which map holds a variable and where, whoever made the object; user space reads and
//! writes it there.

use nonna_btf::{Btf, Type, TypeId};

use crate::object::{MapIdx, Object};

/// Where a global variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The map that holds it, an array of one value.
    pub map: MapIdx,
    /// Bytes into the value.
    pub offset_bytes: u32,
    /// Its size, in bytes.
    pub size_bytes: u32,
}

impl Object {
    /// The global variable of this name; `None` where the object has none, or no types that name it.
    pub fn variable(&self, name: &str) -> Option<Variable> {
        let types = Btf::parse(self.btf.clone()).ok()?;
        (0u32..).zip(&self.maps).find_map(|(idx, map)| {
            let Ok(Type::DataSec(section)) = types.ty(TypeId(map.btf_value_type_id)) else { return None };
            let var = section.vars().find(|var| types.name(var.type_id).is_ok_and(|known| known == name))?;
            let (offset_bytes, size_bytes) = (var.offset_bytes, var.size_bytes);
            Some(Variable { map: MapIdx(idx), offset_bytes, size_bytes })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{MapFlags, MapType};
    use crate::object::{Map, MapExtra};
    use nonna_btf::{BtfBuilder, IntEncoding, Linkage, SectionVar};

    fn map(name: &str, value_type: TypeId) -> Map {
        Map {
            name: name.to_owned(),
            map_type: MapType::Array,
            key_size: 4,
            value_size: 12,
            max_entries: 1,
            flags: MapFlags::empty(),
            inner: None,
            initial_value: None,
            frozen: false,
            btf_key_type_id: 0,
            btf_value_type_id: value_type.0,
            extra: MapExtra::default(),
        }
    }

    #[test]
    fn a_variable_is_found_in_the_section_that_holds_it() {
        let mut types = BtfBuilder::new();
        let int = types.add_int("u32", 4, IntEncoding::Unsigned);
        let var = |types: &mut BtfBuilder, name| types.add_var(name, int, Linkage::Global);
        let (first, second) = (var(&mut types, "first"), var(&mut types, "second"));
        let place = |type_id, offset_bytes| SectionVar { type_id, offset_bytes, size_bytes: 4 };
        let section = types.add_datasec(".data", 12, &[place(first, 0), place(second, 8)]);
        let maps = vec![map("counts", TypeId(0)), map(".data", section)];
        let object = Object { maps, btf: types.finish().unwrap(), ..Object::default() };
        let found = Variable { map: MapIdx(1), offset_bytes: 8, size_bytes: 4 };
        assert_eq!(object.variable("second"), Some(found));
        assert_eq!(object.variable("third"), None);
        assert_eq!(Object::default().variable("second"), None);
    }
}
