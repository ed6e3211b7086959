//! `docs/sandbox-helpers.md` lists the helpers that are there and those that are not. `NONNA_BLESS=1` writes it anew from the table.

use std::fmt::Write as _;
use std::path::Path;

use nonna_bpf::Helper;
use nonna_sandbox::Helpers;

/// Why helpers are missing: their numbers, and what they would work on.
const REASONS: &[(&[u32], &str)] = &[
    (&[20, 21, 29, 30, 66], "devices have no tunnels here"),
    (
        &[52, 53, 60, 61, 62, 63, 70, 71, 72, 82, 90, 91, 124],
        "sockets have no streams and cannot be steered here",
    ),
    (&[73, 74, 75, 76], "there are no routes with encapsulation"),
    (&[77, 78, 92], "there is no infrared receiver"),
    (&[100, 110, 116, 204, 205, 206, 207], "there is no TCP and no secret for its cookies"),
    (&[142, 143, 144], "there are no TCP options beside those in the packet"),
    (&[101, 102, 103, 104], "there are no kernel parameters"),
    (&[136, 137, 138, 139, 140, 162, 178, 196], "sockets are not kernel structures here"),
    (&[56], "there is no performance counter of its own for a program"),
    (&[119, 176], "there is no branch recorder"),
    (&[149, 150], "printing by type wants the kernel's types, which a run does not have"),
    (&[153, 154], "the kernel's per-processor variables have no address here"),
    (&[161, 193], "there are no files with contents"),
    (&[166, 167, 168], "programs of type syscall make system calls, and this room makes none"),
    (&[175], "a task has no saved registers here"),
    (&[180], "a task has no map of its memory here"),
];

fn page() -> String {
    let helpers = Helpers::kernel();
    let numbers: Vec<u32> = helpers.numbers().collect();
    let (there, missing): (Vec<_>, Vec<_>) =
        Helper::all().partition(|info| numbers.contains(&info.helper.id()));
    let mut page = String::from(
        "# Helpers of the sandbox\n\n\
         Which of the kernel's helpers and kernel functions `nonna sandbox` and the crate `nonna-sandbox` have. A program that calls\n\
         another one asks the host (`Host::call`), which answers or stops the run.\n\n",
    );
    writeln!(page, "## There\n\n{} of {} helpers.\n", there.len(), there.len() + missing.len())
        .expect("text");
    page.push_str("| number | helper |\n|---|---|\n");
    for info in &there {
        writeln!(page, "| {} | `{}` |", info.helper.id(), info.name).expect("text");
    }
    page.push_str("\n## Kernel functions\n\nThese are called by name, not by number.\n\n");
    for name in helpers.kernel_functions() {
        writeln!(page, "- `{name}`").expect("text");
    }
    page.push_str("\n## Missing\n\n| number | helper | why |\n|---|---|---|\n");
    for info in &missing {
        let reason = REASONS.iter().find(|(numbers, _)| numbers.contains(&info.helper.id()));
        let (_, reason) = reason.unwrap_or_else(|| panic!("{} is missing without a reason", info.name));
        writeln!(page, "| {} | `{}` | {reason} |", info.helper.id(), info.name).expect("text");
    }
    page
}

#[test]
fn the_page_lists_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sandbox-helpers.md");
    let page = page();
    if std::env::var_os("NONNA_BLESS").is_some() {
        std::fs::write(&file, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&file).expect("docs/sandbox-helpers.md is there");
    assert!(written == page, "docs/sandbox-helpers.md is not what the table says; NONNA_BLESS=1 writes it");
}

#[test]
fn reasons_are_of_helpers_that_are_missing() {
    let helpers = Helpers::kernel();
    for number in REASONS.iter().flat_map(|(numbers, _)| *numbers) {
        assert!(helpers.get(*number).is_none(), "helper {number} is there");
        assert!(Helper::from_id(*number).is_some(), "{number} is no helper");
    }
}
