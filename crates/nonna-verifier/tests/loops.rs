//! Loops: which are accepted, which are not, and that the count of rounds costs nothing.

mod kit;

use nonna_bpf::{Object, ProgramIdx, ProgramType};
use nonna_verifier::{Environment, verify};

fn object(text: &str) -> Object {
    kit::object(ProgramType::SocketFilter, text)
}

#[track_caller]
fn accepted(text: &str) {
    kit::accepted(object(text));
}

#[track_caller]
fn refused(text: &str, slug: &str) {
    kit::refused(object(text), slug);
}

#[test]
fn counting_up_ends() {
    accepted("r6 = 0\nr6 += 1\nif r6 > 10000 goto +2\ncall 7\ngoto -4\nexit");
    accepted("r0 = 0\nr0 += 1\nif r0 != 64 goto -2\nexit");
    accepted("r0 = 0\nr0 += 3\nif r0 != 3000000 goto -2\nexit");
    accepted("w0 = 0\nw0 += 1\nif w0 != 64 goto -2\nr0 = 0\nexit");
}

#[test]
fn counting_down_ends() {
    accepted("r0 = 100000\nr0 += -1\nif r0 != 0 goto -2\nexit");
    accepted("call 7\nr0 >>= 1\nif r0 != 0 goto -2\nexit");
}

#[test]
fn what_never_ends_is_refused() {
    refused("r0 = 0\nif r0 == 0 goto -1\nexit", "endless-loop");
    refused("r0 = 0\nr0 += 2\nif r0 != 7 goto -2\nexit", "endless-loop");
    refused("call 7\nr6 = r0\ncall 7\nif r0 != r6 goto -2\nexit", "endless-loop");
}

/// Steps of the proof of a program.
#[track_caller]
fn steps(text: &str) -> u64 {
    let verified = verify(object(text), &Environment::default())
        .unwrap_or_else(|rejection| panic!("{:#?}\n{text}", rejection.diagnostics));
    verified.facts(ProgramIdx(0)).expect("it was proved").steps()
}

/// Programs whose loops have the bounds `n` and `m`.
const SCALED: [fn(u32, u32) -> String; 7] = [
    // Up to a bound, by comparison and by inequality.
    |n, _| format!("r0 = 0\nr0 += 1\nif r0 < {n} goto -2\nexit"),
    |n, _| format!("r0 = 0\nr0 += 1\nif r0 != {n} goto -2\nexit"),
    |n, _| format!("w0 = 0\nw0 += 1\nif w0 != {n} goto -2\nr0 = 0\nexit"),
    // Down to 0.
    |n, _| format!("r0 = {n}\nr0 += -1\nif r0 != 0 goto -2\nexit"),
    // A table of 256 bytes, indexed by what the loop counts.
    |n, _| {
        format!(
            "r1 = map[fd:0][0]+0\nr0 = 0\nr2 = r0\nr2 &= 255\nr3 = r1\nr3 += r2\nr4 = *(u8 *)(r3 +0)\nr0 += 1\nif r0 != {n} goto -7\nr0 = 0\nexit"
        )
    },
    // One loop in another.
    |n, m| {
        format!("r0 = 0\nr1 = 0\nr1 += 1\nif r1 != {m} goto -2\nr0 += 1\nif r0 != {n} goto -5\nr0 = 0\nexit")
    },
    // Two values that move together, of which one is compared.
    |n, _| format!("r0 = 0\nr1 = 0\nr1 += 3\nr0 += 1\nif r0 != {n} goto -3\nr0 = r1\nr0 &= 1\nexit"),
];

#[test]
fn a_thousand_times_the_rounds_cost_no_more() {
    for program in SCALED {
        let (small, large) = (steps(&program(50, 20)), steps(&program(50_000, 20_000)));
        assert!(large * 10 <= small * 12, "{small} steps became {large}\n{}", program(50, 20));
    }
}

#[test]
fn what_moves_along_with_a_counter_is_bounded_by_it() {
    // 16 rounds of 16 bytes each fill the table; the seventeenth would leave it.
    let rounds = |n: u32| {
        format!(
            "r1 = map[fd:0][0]+0\nr0 = 0\nr2 = *(u64 *)(r1 +8)\nr1 += 16\nr0 += 1\nif r0 != {n} goto -4\nr0 = 0\nexit"
        )
    };
    accepted(&rounds(16));
    refused(&rounds(17), "out-of-bounds");
}

#[test]
fn a_bit_test_of_a_sum_bounds_the_sum() {
    // `do table[j] = 0; while ((j += i) < limit)`, as a compiler tests it where `limit` is a power of 2: by its upper bits, on a sum made
    // anew from the parts.
    let round = |limit: u32| {
        format!(
            "r0 = map[fd:0][0]+0\nr1 = *(u8 *)(r0 +0)\nr2 = *(u8 *)(r0 +1)\nr2 &= 7\nr2 += 1\nr5 = {mask}\nr7 = r1\n\
             r6 = r7\nr8 = r0\nr8 += r7\n*(u8 *)(r8 +0) = 0\nr6 += r2\nw8 = w2\nw8 += w7\nr8 &= r5\nr7 = r6\n\
             if r8 == 0 goto -9\nr0 = 0\nexit",
            mask = -i64::from(limit)
        )
    };
    accepted(&round(256));
    refused(&round(512), "out-of-bounds");
}

#[test]
fn what_a_sum_says_on_one_path_says_nothing_on_another() {
    // The test of `r9` bounds `r8` where both are `r6 + r7`, and only there.
    let programs = |first: &str, second: &str| {
        format!(
            "r1 = map[fd:0][0]+0\nr2 = *(u8 *)(r1 +0)\nr6 = *(u32 *)(r1 +4)\nr7 = *(u32 *)(r1 +8)\nr3 = *(u32 *)(r1 +12)\n\
             if r2 == 0 goto +5\n{first}\ngoto +4\n{second}\n\
             r9 &= -128\nif r9 != 0 goto +4\nr1 += r8\nr0 = *(u8 *)(r1 +0)\nr0 = 0\nexit\nr0 = 0\nexit"
        )
    };
    let sums = "r8 = r6\nr8 += r7\nr9 = r7\nr9 += r6";
    let apart = "r8 = r6\nr8 += r7\nr9 = r7\nr9 += r3";
    accepted(&programs(sums, sums));
    refused(&programs(sums, apart), "pointer-arithmetic");
    refused(&programs(apart, sums), "pointer-arithmetic");
}

#[test]
fn a_sum_that_is_made_later_must_be_of_the_same_parts() {
    // Where the paths meet, `r8` is `r6 + r7` on one of them; what bounds it is made only afterwards.
    let program = |first: &str, second: &str| {
        format!(
            "r1 = map[fd:0][0]+0\nr2 = *(u8 *)(r1 +0)\nr6 = *(u32 *)(r1 +4)\nr7 = *(u32 *)(r1 +8)\nr3 = *(u32 *)(r1 +12)\n\
             r4 = r7\nif r2 == 0 goto +3\nr8 = r6\nr8 += {first}\ngoto +2\nr8 = r6\nr8 += {second}\n\
             r9 = r7\nr9 += r6\nr9 &= -128\nif r9 != 0 goto +2\nr1 += r8\nr0 = *(u8 *)(r1 +0)\nr0 = 0\nexit"
        )
    };
    accepted(&program("r7", "r4"));
    refused(&program("r7", "r3"), "pointer-arithmetic");
    refused(&program("r3", "r7"), "pointer-arithmetic");
}

#[test]
fn counters_that_move_alike_bound_each_other() {
    let program = |start: u32| {
        format!(
            "r1 = map[fd:0][0]+0\nr0 = 0\nr6 = {start}\nr2 = r1\nr2 += r6\nr3 = *(u8 *)(r2 +0)\nr6 += 1\nr0 += 1\nif r0 != 100 goto -6\n\
             r1 += r6\nr0 = *(u8 *)(r1 +0)\nr0 = 0\nexit"
        )
    };
    accepted(&program(155));
    refused(&program(156), "out-of-bounds");
}

#[test]
fn a_loop_that_is_entered_in_two_ways_ends_in_both() {
    // `r9` says which way, `r8` makes more states in a round than are kept apart: those of one way are not mixed with the other's.
    let ways: String =
        (1..=8).map(|way| format!("r8 = {way}\nif r0 == {way} goto +{}\n", 17 - 2 * way)).collect();
    let program = |last: u32| {
        format!(
            "call 7\nr9 = 0\nif r0 > 5 goto +1\nr9 = 16\nr6 = 0\ncall 7\n{ways}r8 = {last}\n\
             r1 = map[fd:0][0]+0\nr1 += r8\nr1 += r9\nr2 = *(u8 *)(r1 +0)\nr6 += 1\nif r6 < 1000 goto -25\nr0 = 0\nexit"
        )
    };
    accepted(&program(239));
    refused(&program(240), "out-of-bounds");
    refused(&program(9).replace("r6 += 1\n", "r6 += 0\n"), "endless-loop");
}

#[test]
fn what_moves_along_is_bounded_from_where_it_began_on_every_way_in() {
    // The reading is of a table of 256 bytes, which ten rounds from 0 stay in, and ten rounds from 216 leave.
    let body = "r8 = 0\nr1 = map[fd:0][0]+0\nr1 += r7\nr0 = *(u8 *)(r1 +0)\nr7 += 24\nr8 += 1\nif r8 < 10 goto -7\nr0 = 0\nexit";
    accepted(&format!("call 7\nr7 = 0\nif r0 == 0 goto +0\n{body}"));
    for (begun, other, jump) in [(0, 216, "=="), (216, 0, "=="), (0, 216, "!="), (216, 0, "!=")] {
        refused(
            &format!("call 7\nr7 = {begun}\nif r0 {jump} 0 goto +1\nr7 = {other}\n{body}"),
            "out-of-bounds",
        );
    }
}

#[test]
fn a_value_that_wraps_does_not_count_the_rounds() {
    let rounds = |text: &str| {
        let verified = verify(object(text), &Environment::default())
            .unwrap_or_else(|rejection| panic!("{:#?}\n{text}", rejection.diagnostics));
        verified
            .facts(ProgramIdx(0))
            .and_then(nonna_verifier::Facts::max_instructions)
            .expect("it was proved")
    };
    // Sixteen rounds bring the second counter to 0, from where it goes on; the first says how many there are.
    let text = "r4 = 40000\nr2 = 16\nr4 -= 4\nw2 += -1\nif w4 s> 0 goto -3\nr0 = 0\nexit";
    assert!(rounds(text) >= 30_000, "{} instructions", rounds(text));
}

#[test]
fn a_bound_that_does_not_come_round_is_no_bound() {
    // Every byte of the stack is above 1, so seven rounds lead from 6 to -1; what is known after two of them must not hold it at 0.
    let text = "*(u64 *)(r10 -64) = -64\n*(u64 *)(r10 -56) = -56\n*(u64 *)(r10 -48) = -48\n*(u64 *)(r10 -40) = -40\nr2 = 0\nr7 = 6\n\
                r8 = r10\nr8 += -64\nr8 += r7\nr0 = *(u8 *)(r8 +0)\nr7 += -1\nif r0 > 1 goto +1\nr7 += 4\nr2 += 1\n\
                if r2 < 7 goto -9\nif r7 <= 57 goto +1\nr0 = *(u8 *)(r7 +0)\nr0 = 0\nexit";
    refused(text, "not-a-pointer");
}
