//! Programs of devices: infrared receivers.
//!
//! After `lirc_mode2_is_valid_access` in `drivers/media/rc/bpf-lirc.c`.

use super::field::{Field, Table};

/// One sample of an infrared receiver, a `u32`.
pub(super) static LIRC_MODE2: Table =
    Table { name: "u32", by_attach_type: false, fields: &[Field::word("sample", 0)] };
