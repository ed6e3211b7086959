//! Every form of the encoder over all registers, read back by a decoder that others wrote.

use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};

use super::*;

#[rustfmt::skip]
const NAMES: [[&str; 16]; 4] = [
    ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"],
    ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"],
    ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"],
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
];

const DISPLACEMENTS: [i32; 6] = [0, 1, -128, 127, 128, -32768];

fn name(size: Size, register: Gpr) -> &'static str {
    NAMES[size as usize][usize::from(register.0)]
}

fn memory(mem: Mem) -> String {
    let base = name(Size::Qword, mem.base);
    match mem.displacement {
        0 => format!("[{base}]"),
        below @ ..0 => format!("[{base}-{}]", below.unsigned_abs()),
        above => format!("[{base}+{above}]"),
    }
}

fn registers() -> impl Iterator<Item = Gpr> + Clone {
    (0..16).map(Gpr)
}

fn pairs() -> impl Iterator<Item = (Gpr, Gpr)> {
    registers().flat_map(|left| registers().map(move |right| (left, right)))
}

fn memories() -> impl Iterator<Item = (Gpr, Mem)> {
    pairs().flat_map(|(reg, base)| DISPLACEMENTS.map(|displacement| (reg, Mem { base, displacement })))
}

/// The one instruction that was encoded, as text without size and branch hints.
fn decoded(encode: impl FnOnce(&mut Encoder)) -> String {
    let mut encoder = Encoder::default();
    encode(&mut encoder);
    let mut decoder = Decoder::new(64, encoder.bytes(), DecoderOptions::NONE);
    let insn = decoder.decode();
    assert!(!insn.is_invalid() && !decoder.can_decode(), "{:x?} is one instruction", encoder.bytes());
    let mut formatter = NasmFormatter::new();
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    formatter.options_mut().set_number_base(iced_x86::NumberBase::Decimal);
    formatter.options_mut().set_signed_immediate_operands(true);
    let mut text = String::new();
    formatter.format(&insn, &mut text);
    for hint in ["byte ", "qword ", "dword ", "word "] {
        text = text.replace(hint, "");
    }
    text
}

const BINARIES: [(Binary, &str); 6] = [
    (Binary::Add, "add"),
    (Binary::Or, "or"),
    (Binary::And, "and"),
    (Binary::Sub, "sub"),
    (Binary::Xor, "xor"),
    (Binary::Cmp, "cmp"),
];

const SHIFTS: [(Shift, &str); 4] =
    [(Shift::Rol, "rol"), (Shift::Shl, "shl"), (Shift::Shr, "shr"), (Shift::Sar, "sar")];

#[test]
fn operations_of_two_operands() {
    for size in [Size::Dword, Size::Qword] {
        for (op, mnemonic) in BINARIES {
            for (dst, src) in pairs() {
                let expected = format!("{mnemonic} {},{}", name(size, dst), name(size, src));
                assert_eq!(decoded(|e| e.binary(size, op, dst, src)), expected);
            }
            for dst in registers() {
                for value in [0, 1, -1, 127, -128, 128, i32::MAX, i32::MIN] {
                    let expected = format!("{mnemonic} {},{value}", name(size, dst));
                    assert_eq!(decoded(|e| e.binary_constant(size, op, dst, value)), expected);
                }
            }
            for (src, mem) in memories() {
                if op != Binary::Cmp {
                    let expected = format!("lock {mnemonic} {},{}", memory(mem), name(size, src));
                    assert_eq!(decoded(|e| e.locked_binary(size, op, mem, src)), expected);
                }
                let expected = format!("{mnemonic} {},-1", memory(mem));
                assert_eq!(decoded(|e| e.binary_memory(size, op, mem, -1)), expected);
                let expected = format!("{mnemonic} {},1000", memory(mem));
                assert_eq!(decoded(|e| e.binary_memory(size, op, mem, 1000)), expected);
            }
        }
        for (dst, src) in pairs() {
            let (to, from) = (name(size, dst), name(size, src));
            assert_eq!(decoded(|e| e.test(size, dst, src)), format!("test {to},{from}"));
            assert_eq!(decoded(|e| e.mov(size, dst, src)), format!("mov {to},{from}"));
            assert_eq!(decoded(|e| e.multiply(size, dst, src)), format!("imul {to},{from}"));
            for value in [3, -128, 1000] {
                // The decoder leaves out an operand that is named twice.
                let times = if to == from { String::new() } else { format!("{from},") };
                let expected = format!("imul {to},{times}{value}");
                assert_eq!(decoded(|e| e.multiply_constant(size, dst, src, value)), expected);
            }
        }
    }
}

#[test]
fn tests_of_constants_and_numbers_in_registers() {
    for register in registers() {
        let expected = format!("test {},64", name(Size::Byte, register));
        assert_eq!(decoded(|e| e.test_constant(Size::Qword, register, 64)), expected);
        let expected = format!("test {},128", name(Size::Dword, register));
        assert_eq!(decoded(|e| e.test_constant(Size::Qword, register, 128)), expected);
        for size in [Size::Dword, Size::Qword] {
            let expected = format!("test {},-2", name(size, register));
            assert_eq!(decoded(|e| e.test_constant(size, register, -2)), expected);
        }
        let (short, long) = (name(Size::Dword, register), name(Size::Qword, register));
        assert_eq!(decoded(|e| e.constant(register, 0)), format!("xor {short},{short}"));
        assert_eq!(decoded(|e| e.constant(register, 7)), format!("mov {short},7"));
        assert_eq!(decoded(|e| e.constant(register, (-7i64) as u64)), format!("mov {long},-7"));
        let expected = format!("mov {long},{}", 1i64 << 40);
        assert_eq!(decoded(|e| e.constant(register, 1 << 40)), expected);
    }
}

#[test]
fn loads_and_stores() {
    for (register, mem) in memories() {
        let (at, long) = (memory(mem), name(Size::Qword, register));
        for size in [Size::Byte, Size::Word, Size::Dword, Size::Qword] {
            let (load, to) = match size {
                Size::Byte | Size::Word => ("movzx", name(Size::Dword, register)),
                _ => ("mov", name(size, register)),
            };
            assert_eq!(decoded(|e| e.load(size, register, mem)), format!("{load} {to},{at}"));
            let load = match size {
                Size::Byte | Size::Word => "movsx",
                Size::Dword => "movsxd",
                Size::Qword => "mov",
            };
            assert_eq!(decoded(|e| e.load_signed(size, register, mem)), format!("{load} {long},{at}"));
            let expected = format!("mov {at},{}", name(size, register));
            assert_eq!(decoded(|e| e.store(size, mem, register)), expected);
            assert_eq!(decoded(|e| e.store_constant(size, mem, -2)), format!("mov {at},-2"));
        }
        for size in [Size::Dword, Size::Qword] {
            let register_name = name(size, register);
            assert_eq!(decoded(|e| e.address(size, register, mem)), format!("lea {register_name},{at}"));
            assert_eq!(decoded(|e| e.exchange(size, mem, register)), format!("xchg {register_name},{at}"));
            let expected = format!("lock xadd {at},{register_name}");
            assert_eq!(decoded(|e| e.exchange_add(size, mem, register)), expected);
            let expected = format!("lock cmpxchg {at},{register_name}");
            assert_eq!(decoded(|e| e.compare_exchange(size, mem, register)), expected);
        }
        assert_eq!(decoded(|e| e.push_memory(mem)), format!("push {at}"));
        assert_eq!(decoded(|e| e.pop_memory(mem)), format!("pop {at}"));
    }
}

#[test]
fn extensions_shifts_and_operations_of_one_operand() {
    for (dst, src) in pairs() {
        for from in [Size::Byte, Size::Word] {
            let expected = format!("movzx {},{}", name(Size::Dword, dst), name(from, src));
            assert_eq!(decoded(|e| e.zero_extend(from, dst, src)), expected);
            for to in [Size::Dword, Size::Qword] {
                let expected = format!("movsx {},{}", name(to, dst), name(from, src));
                assert_eq!(decoded(|e| e.sign_extend(to, from, dst, src)), expected);
            }
        }
        let expected = format!("movsxd {},{}", name(Size::Qword, dst), name(Size::Dword, src));
        assert_eq!(decoded(|e| e.sign_extend(Size::Qword, Size::Dword, dst, src)), expected);
        for size in [Size::Dword, Size::Qword] {
            let (to, from) = (name(size, dst), name(size, src));
            assert_eq!(decoded(|e| e.rotate_right(size, dst, src, 13)), format!("rorx {to},{from},13"));
            for by in registers() {
                for (op, mnemonic) in [(Shift::Shl, "shlx"), (Shift::Shr, "shrx"), (Shift::Sar, "sarx")] {
                    let expected = format!("{mnemonic} {to},{from},{}", name(size, by));
                    assert_eq!(decoded(|e| e.shift_by(size, op, dst, src, by)), expected);
                }
            }
            for scale in 0..4 {
                if src != RSP {
                    let (base, index) = (name(Size::Qword, dst), name(Size::Qword, src));
                    let times = if scale == 0 { String::new() } else { format!("*{}", 1 << scale) };
                    let expected = format!("lea {to},[{base}+{index}{times}]");
                    assert_eq!(decoded(|e| e.address_of_sum(size, dst, dst, src, scale)), expected);
                }
            }
        }
    }
    for operand in registers() {
        for size in [Size::Word, Size::Dword, Size::Qword] {
            let text = name(size, operand);
            for (op, mnemonic) in SHIFTS {
                assert_eq!(decoded(|e| e.shift(size, op, operand, 1)), format!("{mnemonic} {text},1"));
                assert_eq!(decoded(|e| e.shift(size, op, operand, 8)), format!("{mnemonic} {text},8"));
                assert_eq!(decoded(|e| e.shift_by_cl(size, op, operand)), format!("{mnemonic} {text},cl"));
            }
            for (op, mnemonic) in
                [(Unary::Neg, "neg"), (Unary::Mul, "mul"), (Unary::Div, "div"), (Unary::Idiv, "idiv")]
            {
                assert_eq!(decoded(|e| e.unary(size, op, operand)), format!("{mnemonic} {text}"));
            }
            if size != Size::Word {
                assert_eq!(decoded(|e| e.swap_bytes(size, operand)), format!("bswap {text}"));
            }
        }
        let text = name(Size::Qword, operand);
        assert_eq!(decoded(|e| e.push(operand)), format!("push {text}"));
        assert_eq!(decoded(|e| e.pop(operand)), format!("pop {text}"));
        assert_eq!(decoded(|e| e.call(operand)), format!("call {text}"));
    }
    assert_eq!(decoded(|e| e.sign_of_rax(Size::Dword)), "cdq");
    assert_eq!(decoded(|e| e.sign_of_rax(Size::Qword)), "cqo");
    assert_eq!(decoded(|e| e.push_constant(-5)), "push -5");
    assert_eq!(decoded(Encoder::ret), "ret");
}
