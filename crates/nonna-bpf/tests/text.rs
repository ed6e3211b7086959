//! Text: round trips, the kernel's own words, labels, and errors with their places.

use nonna_bpf::{
    AssembleErrorKind, Callee, Helper, Imm64, Insn, JumpOp, Operand, Reg, TextOptions, Width, assemble,
    disassemble,
};
use proptest::prelude::*;
use strategies::insn;

mod strategies;

/// One of each instruction, accepted by Linux 6.18 as a socket filter.
const EVERY_INSN: &str = include_str!("fixtures/every_insn.s");
/// The listing of that program in the log of its load (log level 2), without the column of live registers.
const KERNEL_LOG: &str = include_str!("fixtures/every_insn.log");

proptest! {
    #[test]
    fn every_instruction_survives(insns in prop::collection::vec(insn(), 0..30), slots: bool, opcodes: bool) {
        let text = disassemble(&insns, TextOptions { slots, opcodes });
        let back = assemble(&text);
        prop_assert_eq!(back, Ok(insns), "{}", text);
    }

    #[test]
    fn any_text_reads_or_says_where(text in "[ -~\n]{0,60}") {
        if let Err(errors) = assemble(&text) {
            prop_assert!(errors.iter().all(|e| text.get(e.span.clone()).is_some()));
        }
    }

    #[test]
    fn near_misses_read_or_say_where(text in "(r1|w2|\\*|\\(|\\)|u64|s8|=|\\+=|s>|if|goto|pc|\\+|-|3|0x9|\\[|\\]|lock|call|#|skb|map|fd|:|,| |\n){0,12}") {
        if let Err(errors) = assemble(&text) {
            prop_assert!(errors.iter().all(|e| text.get(e.span.clone()).is_some()));
        }
    }
}

#[test]
fn the_kernel_prints_the_same() {
    let insns = assemble(EVERY_INSN).unwrap();
    assert_eq!(disassemble(&insns, TextOptions { slots: true, opcodes: true }), KERNEL_LOG);
    assert_eq!(assemble(KERNEL_LOG).unwrap(), insns);
}

#[test]
fn prints_what_the_kernel_leaves_out() {
    let text = |insn: Insn| insn.to_string();
    let load = |value| Insn::LoadImm64 { dst: Reg::R1, value };
    assert_eq!(text(load(Imm64::Value(5))), "r1 = 0x5 ll");
    assert_eq!(text(load(Imm64::MapFd(3))), "r1 = map[fd:3]");
    assert_eq!(text(load(Imm64::MapValueIndex { index: 1, offset: 8 })), "r1 = map[idx:1][0]+8");
    assert_eq!(text(load(Imm64::BtfVariable { type_id: 7, btf_fd: 0 })), "r1 = btf[id:7]");
    assert_eq!(text(load(Imm64::Function(-4))), "r1 = subprog[-4]");
    assert_eq!(text(Insn::Call(Callee::Kfunc { type_id: 5, fd_index: 2 })), "call kernel-function#5[2]");
    assert_eq!(text(Insn::Call(Callee::Helper(9999))), "call unknown#9999");
    assert_eq!(text(Insn::Call(Callee::Register(Reg::R2))), "callx r2");
    // `bpftool` prints ids of loaded maps.
    assert_eq!(
        assemble("   0: (18) r1 = map[id:12][0]+4").unwrap(),
        [load(Imm64::MapValueFd { fd: 12, offset: 4 })]
    );
}

#[test]
fn labels_count_slots() {
    let insns = assemble(
        "start: r1 = 1 ll ; two slots\n\
         if r1 == 0 goto out\n\
         r2 = subprog[function]\n\
         call function\n\
         call bpf_ktime_get_ns\n\
         goto start\n\
         out:\n\
         exit\n\
         function: exit",
    )
    .unwrap();
    assert_eq!(
        insns[1],
        Insn::Jump { width: Width::W64, op: JumpOp::Eq, dst: Reg::R1, src: Operand::Imm(0), offset: 5 }
    );
    assert_eq!(insns[2], Insn::LoadImm64 { dst: Reg::R2, value: Imm64::Function(5) });
    assert_eq!(insns[3], Insn::Call(Callee::Local(3)));
    assert_eq!(insns[4], Insn::Call(Callee::Helper(Helper::KTIME_GET_NS.id())));
    assert_eq!(insns[5], Insn::Goto { offset: -8 });
}

#[test]
fn reads_other_spellings() {
    let same = |left: &str, right: &str| assert_eq!(assemble(left), assemble(right), "{left} | {right}");
    same("r1 = *(u32 *)(r2)", "r1 = *(u32 *)(r2 +0)");
    same("w1 = *(u32 *)(r2 + 0x8)", "r1 = *(u32 *)(r2+8)");
    same("goto +0x3 <LBB0_1>", "goto pc+3");
    same("w1 = 0xffffffff", "w1 = -1");
    same("call 14", "call bpf_get_current_pid_tgid#14");
    same("\t exit // done", "exit");
}

/// Text, place of the error, message.
const WRONG: &[(&str, &str)] = &[
    ("exit\nfoo", "line 2, column 1: expected an instruction, found `foo`"),
    ("r1 + r2", "line 1, column 4: expected an operation such as `=` or `+=`, found `+`"),
    ("r11 = 0", "line 1, column 1: expected an instruction, found `r11`"),
    ("r1 += w2", "line 1, column 7: both operands must be r registers"),
    ("r1 += 0xffffffff", "line 1, column 7: 4294967295 does not fit into 32 bits, signed"),
    ("r1 = 0x1ffffffff", "line 1, column 6: 8589934591 does not fit into 32 bits, signed"),
    ("r1 = 99999999999999999999 ll", "line 1, column 6: `99999999999999999999` is not a number"),
    ("r1 = *(u64 *)(r2 +40000)", "line 1, column 19: 40000 does not fit into 16 bits, signed"),
    (
        "r1 = *(u63 *)(r2 +0)",
        "line 1, column 8: expected `u8`, `u16`, `u32`, `u64` or a signed type, found `u63`",
    ),
    (
        "r1 = be16 r2",
        "line 1, column 11: this operation has one register on both sides, found `r2` on the right",
    ),
    ("w1 = (s32)w2", "line 1, column 7: expected `s8`, `s16` or, for `r` registers, `s32`, found `s32`"),
    ("if r1 = 2 goto pc+1", "line 1, column 7: expected a comparison such as `==` or `s<`, found `=`"),
    (
        "if r1 == 2 goto",
        "line 1, column 16: expected a target such as `pc+3` or a label, found the end of the line",
    ),
    ("goto nowhere", "line 1, column 6: there is no label `nowhere`"),
    ("call nobody", "line 1, column 6: there is neither a label nor a helper `nobody`"),
    ("a: exit\na: exit", "line 2, column 1: the label `a` was defined before"),
    ("exit\nend:", "line 2, column 1: no instruction follows the label `end`"),
    ("(07) r1 = r2", "line 1, column 1: the instruction has opcode bf, not 07"),
    ("exit exit", "line 1, column 6: expected the end of the line, found `exit`"),
    ("r1 = \u{e8}", "line 1, column 6: `\u{e8}` is not part of any instruction"),
    ("lock *(u8 *)(r1 +0) += r2", "line 1, column 19: atomic operations take `u32` or `u64`"),
    ("r1 = *(u8 *)skb[3]", "line 1, column 13: packet loads take `u8`, `u16` or `u32` into `r0`"),
];

#[test]
fn errors_name_their_place() {
    for (text, message) in WRONG {
        let errors = assemble(text).unwrap_err();
        assert_eq!(errors.len(), 1, "{text}");
        assert_eq!(errors[0].to_string(), *message, "{text}");
    }
}

#[test]
fn many_errors_at_once_in_order() {
    let errors = assemble("goto a\nr1 ?\nexit\ngoto b").unwrap_err();
    let lines: Vec<_> = errors.iter().map(|e| e.line).collect();
    assert_eq!(lines, [1, 2, 4]);
    assert_eq!(errors[1].kind, AssembleErrorKind::Character('?'));
}

#[test]
fn far_labels_need_the_long_jump() {
    let mut text = "gotol end\ngoto end\n".to_owned();
    text.push_str(&"r0 = 0\n".repeat(40_000));
    text.push_str("end: exit\n");
    let errors = assemble(&text).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].kind, AssembleErrorKind::TooFar { slots: 40_000 });
}
