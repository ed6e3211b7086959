//! The bytes of a context: a structure of the verifier's tables, in pages below 4 GiB.
//!
//! Fields are filled by name from what is given. What this file does not know is what a helper makes of a field.

use nonna_bpf::{AttachType, ProgramType};
use nonna_verifier::context::{Holds, Layout, Table, layout};

use super::{CONTEXT, ContextError, FieldValue};
use crate::memory::{Pages, Regions};

/// A context structure in its pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    pages: Pages,
    start: usize,
    table: &'static Table,
}

impl Image {
    /// All zero, shown to the program.
    pub(super) fn new(
        regions: &mut Regions<'_>,
        pages: Pages,
        program_type: ProgramType,
        attach_type: Option<AttachType>,
        writable: bool,
    ) -> Result<Image, ContextError> {
        let Layout::Fields { table, .. } = layout(program_type, attach_type) else {
            return Err(ContextError::Unsupported { program_type });
        };
        Ok(Image::at(regions, pages, CONTEXT, table, writable))
    }

    /// As `new`, at another place; the structure's last 4 bytes are padded to 8.
    pub(super) fn at(
        regions: &mut Regions<'_>,
        pages: Pages,
        start: usize,
        table: &'static Table,
        writable: bool,
    ) -> Image {
        let image = Image { pages, start, table };
        let bytes = start..start + image.bytes();
        regions.clear(pages, bytes.clone());
        regions.open_window(pages, bytes, writable);
        image
    }

    /// Bytes of the structure.
    pub(super) fn bytes(&self) -> usize {
        let end = self.table.fields.iter().map(|field| usize::from(field.end())).max().unwrap_or(0);
        let aligned = self.table.fields.iter().map(|field| usize::from(field.element)).max().unwrap_or(1);
        end.next_multiple_of(aligned.max(4))
    }

    /// The address that the program finds it at.
    pub(super) fn address(&self, regions: &Regions<'_>) -> u64 {
        regions.page_address(self.pages, self.start).into()
    }

    /// The fields.
    pub(super) fn table(&self) -> &'static Table {
        self.table
    }

    /// Sets 4 bytes.
    pub(super) fn set(&self, regions: &mut Regions<'_>, offset: usize, value: u32) {
        regions.poke(self.pages, self.start + offset, &value.to_ne_bytes());
    }

    /// Sets 8 bytes.
    pub(super) fn set_long(&self, regions: &mut Regions<'_>, offset: usize, value: u64) {
        regions.poke(self.pages, self.start + offset, &value.to_ne_bytes());
    }

    /// Sets bytes.
    pub(super) fn set_bytes(&self, regions: &mut Regions<'_>, offset: usize, bytes: &[u8]) {
        regions.poke(self.pages, self.start + offset, bytes);
    }

    /// Reads 4 bytes.
    pub(super) fn get(&self, regions: &Regions<'_>, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        regions.peek(self.pages, self.start + offset, &mut bytes);
        u32::from_ne_bytes(bytes)
    }

    /// All bytes.
    pub(super) fn copy(&self, regions: &Regions<'_>) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes()];
        regions.peek(self.pages, self.start, &mut bytes);
        bytes
    }

    /// Fills fields by name.
    pub(super) fn fill(&self, regions: &mut Regions<'_>, fields: &[FieldValue]) -> Result<(), ContextError> {
        for given in fields {
            let known = || {
                let numbers = self.table.fields.iter().filter(|field| field.holds == Holds::Number);
                numbers.map(|field| field.name).collect()
            };
            let field = self.table.fields.iter().find(|field| field.name == given.name);
            let field = field.ok_or_else(|| ContextError::NoSuchField {
                context: self.table.name,
                field: given.name.clone(),
                known: known(),
            })?;
            if field.holds != Holds::Number {
                return Err(ContextError::Computed { field: field.name });
            }
            let element = usize::from(field.element);
            let n_elements = usize::from(field.bytes) / element;
            if given.values.len() > n_elements {
                return Err(ContextError::TooMany { field: field.name, n_elements });
            }
            for (index, value) in given.values.iter().enumerate() {
                if element < 8 && *value >> (8 * element) != 0 {
                    return Err(ContextError::TooLarge { field: field.name, bytes: element });
                }
                let at = usize::from(field.offset) + index * element;
                self.set_bytes(regions, at, &value.to_ne_bytes()[..element]);
            }
        }
        Ok(())
    }
}
