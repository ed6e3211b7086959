//! Iterators over kernel objects.

use nonna_bpf::{AttachType, Feature, Hook, ProgramType};
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![test("an_iterator_sees_this_process", &[Feature::TaskIter], an_iterator_sees_this_process)]
}

fn an_iterator_sees_this_process() -> Outcome {
    let kernel = Kernel::new();
    // `bpf_iter__task`: the walk's state and the task; its number is found by type.
    let pid = kernel.btf()?.resolve_path("task_struct.pid")?;
    let text = format!(
        "r2 = *(u64 *)(r1 +8)\nif r2 == 0 goto out\nr3 = *(u64 *)(r1 +0)\nr1 = *(u64 *)(r3 +0)\n\
         r2 = *(u32 *)(r2 +{})\n*(u32 *)(r10 -4) = r2\nr2 = r10\nr2 += -4\nr3 = 4\ncall bpf_seq_write#127\n\
         out: r0 = 0\nexit",
        pid.hops[0].byte_offset
    );
    let tasks = program("tasks", ProgramType::Tracing, Hook::Iter { target: "task".to_owned() }, &text);
    let attached =
        load(vec![], vec![typed(tasks, AttachType::TraceIter, Some("task"))]).attach_all(&kernel)?;
    let out = attached.links()[0].1.read_iterator()?;
    let me = std::process::id().to_ne_bytes();
    assert!(out.len() >= 8 && out.chunks_exact(4).any(|pid| pid == me));
    Ok(())
}
