//! Fields of users and groups.

use super::FieldType::{Signed, Text, Unsigned};
use super::Origin::{Inventory, Process};
use super::{Field, field};

pub(super) const FIELDS: &[Field] = &[
    field("user.uid", Unsigned, Process, "The number of the user."),
    field("user.name", Text, Inventory, "The name of the user."),
    field("user.homedir", Text, Inventory, "The home directory of the user."),
    field("user.shell", Text, Inventory, "The shell of the user."),
    field("user.loginuid", Signed, Process, "The number of the user who logged in; -1 where nobody did."),
    field("user.loginname", Text, Inventory, "The name of the user who logged in."),
    field("group.gid", Unsigned, Process, "The number of the group."),
    field("group.name", Text, Inventory, "The name of the group."),
];
