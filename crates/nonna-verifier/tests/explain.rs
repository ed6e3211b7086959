//! What refusals tell: the steps that matter and no others, what is known, and edits that were tried.

mod kit;

use nonna_bpf::{Object, ProgramIdx, ProgramType, SlotMap};
use nonna_diag::{Diagnostic, Sources, Span};
use nonna_verifier::{Environment, judge};

use ProgramType::{CgroupSock, Kprobe, SchedCls, Xdp};

const LOOK_UP: &str =
    "r1 = 0\n*(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[fd:0]\ncall bpf_map_lookup_elem#1\n";

/// The diagnostic of a program that is refused.
#[track_caller]
fn told(object: &Object, sources: &Sources) -> Diagnostic {
    let refused =
        judge(object, ProgramIdx(0), &Environment::default(), sources).expect_err("it must be refused");
    assert_eq!(refused.len(), 1, "{refused:#?}");
    refused.into_iter().next().expect("there is one")
}

/// As [`told`], of a program without source lines.
#[track_caller]
fn bare(program_type: ProgramType, text: &str) -> Diagnostic {
    told(&kit::object(program_type, text), &Sources::new())
}

/// A program whose instructions come from these lines: each line with the index of its first instruction.
fn located(program_type: ProgramType, text: &str, lines: &[(usize, &str)]) -> (Object, Sources) {
    let mut object = kit::object(program_type, text);
    let slots = SlotMap::new(&object.programs[0].insns);
    let (mut source, mut spans) = (String::new(), Vec::new());
    for (_, line) in lines {
        let start = source.len() + line.len() - line.trim_start().len();
        spans.push((start, source.len() + line.len()));
        source.push_str(line);
        source.push('\n');
    }
    let mut sources = Sources::new();
    let id = sources.add("test.c", source);
    let placed = lines.iter().zip(spans);
    object.programs[0].locations =
        placed.map(|((insn, _), (start, end))| (slots.slot(*insn), Span::new(id, start, end))).collect();
    (object, sources)
}

fn steps(diagnostic: &Diagnostic) -> Vec<&str> {
    diagnostic.path.iter().map(|step| step.message.as_str()).collect()
}

#[track_caller]
fn helps(diagnostic: &Diagnostic, parts: &[&str]) {
    let help = diagnostic.help.join("\n");
    for part in parts {
        assert!(help.contains(part), "`{part}` is not in `{help}`");
    }
}

const ACCEPTED: &str = "(tried: the program is then accepted)";

#[test]
fn a_slice_leaves_out_what_does_not_matter() {
    let text =
        format!("{LOOK_UP}r6 = r0\nr7 = 5\nr7 += 9\nif r7 > 3 goto +0\nr0 = *(u64 *)(r6 +8)\nr0 = 0\nexit");
    let diagnostic = bare(Xdp, &text);
    assert_eq!(
        steps(&diagnostic),
        [
            "instruction 6: `r0` is what `bpf_map_lookup_elem` returned: 0 when the key is absent",
            "instruction 7: `r6 = r0`",
        ]
    );
    assert_eq!(
        diagnostic.notes[0],
        "`r6` is a value of map `table` (256 bytes), or 0: `bpf_map_lookup_elem` returns 0 when the key is absent (an array has no key past its end)"
    );
    helps(&diagnostic, &["+ if r6 != 0x0 goto pc+2", "+ r0 = 2", "+ exit", ACCEPTED]);
    // What was tried can be tried again.
    kit::refused(kit::object(Xdp, &text), "possibly-null");
    let mended =
        text.replace("r0 = *(u64 *)(r6 +8)", "if r6 != 0x0 goto +2\nr0 = 2\nexit\nr0 = *(u64 *)(r6 +8)");
    kit::accepted(kit::object(Xdp, &mended));
}

#[test]
fn values_are_followed_through_the_stack_and_through_functions() {
    let text = format!(
        "{LOOK_UP}*(u64 *)(r10 -16) = r0\nr1 = *(u64 *)(r10 -16)\ncall pc+2\nr0 = 0\nexit\nr0 = *(u64 *)(r1 +0)\nexit"
    );
    let diagnostic = bare(Xdp, &text);
    let told = steps(&diagnostic);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told[1].contains("*(u64 *)(r10 -16) = r0") && told[2].contains("r1 = *(u64 *)(r10 -16)"),
        "{told:?}"
    );
    assert!(told[3].starts_with("instruction 9: "), "{told:?}");
}

#[test]
fn of_a_loop_the_last_round_is_told() {
    let text = format!(
        "{LOOK_UP}if r0 == 0x0 goto +6\nr1 = 0\nr2 = r0\nr2 += r1\nr3 = *(u8 *)(r2 +0)\nr1 += 1\nif r1 < 300 goto -5\nr0 = 0\nexit"
    );
    let diagnostic = bare(Xdp, &text);
    assert_eq!(diagnostic.slug.name, "out-of-bounds");
    let told = steps(&diagnostic).join("\n");
    assert!(told.contains("each round of this loop changes it: `r1 += 1`"), "{told}");
    assert!(told.lines().count() <= 8, "{told}");
    helps(&diagnostic, &["bound the index first: at most 255 is inside", ACCEPTED]);
}

#[test]
fn comparisons_say_what_held_on_the_way() {
    let text = "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 14\nif r4 > r3 goto +1\n\
                r0 = *(u8 *)(r2 +14)\nr0 = 0\nexit";
    let text = text.replace("goto +2", "goto +1");
    let diagnostic = bare(Xdp, &text);
    assert_eq!(
        diagnostic.message,
        "this touches byte 14 of the packet, but only 14 bytes are known to be there"
    );
    let told = steps(&diagnostic).join("\n");
    assert!(told.contains("goes on, because `r4 <= r3`"), "{told}");
    assert!(!told.contains("where the packet ends"), "{told}");
    helps(&diagnostic, &[ACCEPTED, "+ r0 += 15"]);
}

#[test]
fn edits_speak_the_words_of_the_source() {
    let text = format!("{LOOK_UP}r1 = *(u64 *)(r0 +0)\nr0 = 2\nexit");
    let lines = [
        (0, "\t__u32 key = 0;"),
        (2, "\t__u64 *seen = bpf_map_lookup_elem(&table, &key);"),
        (6, "\tuse(*seen);"),
        (7, "\treturn XDP_PASS;"),
    ];
    let (object, sources) = located(Xdp, &text, &lines);
    let diagnostic = told(&object, &sources);
    assert_eq!(diagnostic.message, "`seen` may be 0 here, and it is used without a test");
    assert_eq!(sources.text_of(diagnostic.primary().expect("a place")), "use(*seen);");
    let fix = diagnostic.fix.as_ref().expect("an edit");
    assert_eq!(fix.replacement, "\tif (!seen)\n\t\treturn XDP_PASS;\n");
    let source = sources.get(fix.span.source).expect("the text");
    assert_eq!(source.line_column(fix.span.start).line, 3);
    assert_eq!(fix.span.start, fix.span.end);
    helps(&diagnostic, &["test it first: `if (!seen) return XDP_PASS;`", ACCEPTED]);
}

#[test]
fn an_edit_goes_nowhere_where_it_would_change_a_statement() {
    let text = format!("{LOOK_UP}r1 = *(u64 *)(r0 +0)\nr0 = 2\nexit");
    let lines = [
        (0, "\tif (wanted)"),
        (2, "\t\tuse(*bpf_map_lookup_elem(&table, &key));"),
        (7, "\treturn XDP_PASS;"),
    ];
    let (object, sources) = located(Xdp, &text, &lines);
    let diagnostic = told(&object, &sources);
    assert_eq!(diagnostic.fix, None);
    helps(&diagnostic, &["test the pointer before it is used", ACCEPTED]);
}

#[test]
fn the_next_thing_to_mend_is_named() {
    let text = format!("{LOOK_UP}r1 = *(u64 *)(r0 +0)\nr1 = *(u64 *)(r0 +512)\nr0 = 2\nexit");
    helps(
        &bare(Xdp, &text),
        &["tried: this is then right, and the next thing to mend is at instruction 8: this reaches"],
    );
}

/// A record is reserved, kept in a place, and a look-up is not tested before it is submitted.
fn untested_with_record(keep: &str, take: &str) -> String {
    format!(
        "r1 = map[fd:1]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve#131\nif r0 == 0x0 goto +12\n{keep}\nr1 = 0\n\
         *(u32 *)(r10 -4) = r1\nr2 = r10\nr2 += -4\nr1 = map[fd:0]\ncall bpf_map_lookup_elem#1\n\
         r1 = *(u64 *)(r0 +0)\n{take}\nr2 = 0\ncall bpf_ringbuf_submit#132\nr0 = 0\nexit"
    )
}

#[test]
fn who_leaves_early_gives_back_what_is_held() {
    let diagnostic = bare(Xdp, &untested_with_record("r6 = r0", "r1 = r6"));
    assert_eq!(diagnostic.slug.name, "possibly-null");
    helps(&diagnostic, &["+ r1 = r6", "+ call bpf_ringbuf_discard#133", "+ exit", ACCEPTED]);
}

#[test]
fn an_edit_that_breaks_another_rule_is_not_shown() {
    // To leave where the table has no such key would leave the record behind, and no register holds it there.
    let text = untested_with_record("*(u64 *)(r10 -16) = r0", "r1 = *(u64 *)(r10 -16)");
    let diagnostic = bare(Xdp, &text);
    assert_eq!(diagnostic.slug.name, "possibly-null");
    assert_eq!(diagnostic.help, ["test the pointer first: `if (!p) return 0;`"]);
}

#[test]
fn what_is_held_is_given_back_where_the_path_turns_away() {
    let text = "r1 = map[fd:1]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve#131\nif r0 == 0x0 goto +6\nr6 = r0\n\
                call bpf_get_prandom_u32#7\nif r0 == 0x7 goto +3\nr1 = r6\nr2 = 0\ncall bpf_ringbuf_submit#132\nr0 = 0\nexit";
    let diagnostic = bare(Xdp, text);
    assert_eq!(diagnostic.slug.name, "leaked-reference");
    let told = steps(&diagnostic);
    assert!(told[0].contains("`bpf_ringbuf_reserve` acquires a record of the ring buffer"), "{told:?}");
    assert!(
        told.last()
            .is_some_and(|last| last.contains("`r0 == 7` here, and from here on nothing gives it back")),
        "{told:?}"
    );
    helps(&diagnostic, &["where instruction 8 jumps, first:", "+ call bpf_ringbuf_discard#133", ACCEPTED]);
}

#[test]
fn several_ways_that_forget_are_mended_together() {
    let text = "r1 = map[fd:1]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve#131\nif r0 == 0x0 goto +7\nr6 = r0\n\
                call bpf_get_prandom_u32#7\nif r0 == 0x7 goto +4\nif r0 == 0x9 goto +3\nr1 = r6\nr2 = 0\n\
                call bpf_ringbuf_submit#132\nr0 = 0\nexit";
    let diagnostic = bare(Xdp, text);
    assert_eq!(diagnostic.slug.name, "leaked-reference");
    helps(
        &diagnostic,
        &[
            "where instruction 8 jumps, first:",
            "where instruction 9 jumps, first:",
            "instruction 8 and at instruction 9",
            ACCEPTED,
        ],
    );
}

#[test]
fn loops_lengths_results_and_missing_bytes_get_edits() {
    helps(
        &bare(Xdp, "call bpf_get_prandom_u32#7\nif r0 != 0x0 goto -2\nr0 = 0\nexit"),
        &["bound the rounds", ACCEPTED],
    );
    let copy =
        "r2 = *(u64 *)(r1 +112)\nr3 = r2\nr1 = r10\nr1 += -64\ncall bpf_probe_read_kernel#113\nr0 = 0\nexit";
    helps(
        &bare(Kprobe, copy),
        &["bound the length first: the memory has 64 bytes", "+ if r2 <= 0x40 goto pc+2", ACCEPTED],
    );
    helps(&bare(CgroupSock, "r0 = 7\nexit"), &["return 1 instead of 7", "- r0 = 7", "+ r0 = 1", ACCEPTED]);
    helps(&bare(Xdp, "r0 = *(u64 *)(r10 -8)\nr0 = 0\nexit"), &["+ *(u64 *)(r10 -8) = 0", ACCEPTED]);
    helps(&bare(SchedCls, "exit"), &["return a value on every path", "+ r0 = 0", ACCEPTED]);
    helps(
        &bare(Kprobe, "r1 = *(u64 *)(r1 +112)\nr0 = *(u32 *)(r1 +16)\nr0 = 0\nexit"),
        &["read it with a helper: `bpf_probe_read_kernel(&copy, sizeof(copy), …);`", "+ r3 += 16", ACCEPTED],
    );
}

#[test]
fn a_pointer_that_was_taken_away_is_told_from_where() {
    let text = "r6 = r1\nr7 = *(u32 *)(r6 +0)\nr8 = *(u32 *)(r6 +4)\nr2 = r7\nr2 += 8\nif r2 > r8 goto +5\n\
                r2 = 4\nr1 = r6\ncall bpf_xdp_adjust_head#44\nr1 = *(u8 *)(r7 +3)\nr0 = 2\nr0 = 2\nexit";
    let diagnostic = bare(Xdp, text);
    assert_eq!(diagnostic.message, "`r7` is used as an address here, but it leads nowhere any more");
    let told = steps(&diagnostic).join("\n");
    assert!(told.contains("`bpf_xdp_adjust_head` may move the packet"), "{told}");
    helps(&diagnostic, &["read the pointers into the packet again", ACCEPTED]);
}

#[test]
fn a_licence_is_tried_as_well() {
    let mut object = kit::object(
        Xdp,
        "r6 = 0\n*(u64 *)(r10 -8) = r6\nr1 = r10\nr1 += -8\nr2 = 8\ncall bpf_trace_printk#6\nr0 = 0\nexit",
    );
    object.license = "Proprietary".to_owned();
    helps(&told(&object, &Sources::new()), &["SEC(\"license\") = \"GPL\"", ACCEPTED]);
}

#[test]
fn widths_and_shifts_are_put_right() {
    helps(
        &bare(Xdp, "r0 = *(u64 *)(r1 +8)\nr0 = 0\nexit"),
        &["read `data_meta` whole", "+ r0 = *(u32 *)(r1 +8)", ACCEPTED],
    );
    helps(&bare(Xdp, "r0 = 1\nr0 <<= 65\nexit"), &["shift by 63 at most", "+ r0 <<= 1", ACCEPTED]);
}

#[test]
fn a_result_of_any_value_becomes_a_truth() {
    let text = "call bpf_get_prandom_u32#7\nexit";
    let (object, sources) = located(CgroupSock, text, &[(0, "\treturn pick(ctx->mark);")]);
    let diagnostic = told(&object, &sources);
    let fix = diagnostic.fix.as_ref().expect("an edit");
    assert_eq!(sources.text_of(fix.span), "pick(ctx->mark)");
    assert_eq!(fix.replacement, "(pick(ctx->mark)) != 0");
    helps(&diagnostic, &[ACCEPTED]);
}

#[test]
fn other_languages_than_c_get_no_c() {
    let text = format!("{LOOK_UP}r1 = *(u64 *)(r0 +0)\nr0 = 2\nexit");
    let lines = [
        (0, "let key = 0;"),
        (2, "let seen = bpf_map_lookup_elem(&table, &key);"),
        (6, "use(*seen);"),
        (7, "2"),
    ];
    let (object, sources) = located(Xdp, &text, &lines);
    let renamed = {
        let mut renamed = Sources::new();
        renamed.add("test.rs", sources.iter().next().expect("a text").1.text());
        renamed
    };
    let diagnostic = told(&object, &renamed);
    assert_eq!(diagnostic.fix, None);
    assert!(diagnostic.primary().is_some());
    helps(&diagnostic, &["test the pointer before it is used", ACCEPTED]);
}

#[test]
fn of_many_steps_the_first_and_the_last_are_told() {
    let sums: String = (1..=30).map(|n| format!("r1 += r1\nr1 ^= {n}\n")).collect();
    let text = format!(
        "{LOOK_UP}if r0 == 0x0 goto +64\nr1 = *(u64 *)(r0 +0)\n{sums}r0 += r1\nr0 = *(u8 *)(r0 +0)\nr0 = 0\nexit"
    );
    let diagnostic = bare(Xdp, &text);
    let told = steps(&diagnostic);
    assert!(told.len() < 12, "{told:#?}");
    assert!(told.iter().any(|step| step.contains(" steps later: ")), "{told:#?}");
    assert!(
        told[0].contains("bpf_map_lookup_elem") && told.last().is_some_and(|last| last.contains("r1 ^= 30")),
        "{told:#?}"
    );
}
