//! What is known of the running kernel: features, and the target of compilation.

use nonna_bpf::{Feature, IsaLevel, Probe};
use nonna_kernel::Kernel;
use nonna_testkit::{KernelTest, Outcome};

use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("the_target_holds_what_was_asked", &[], the_target_holds_what_was_asked),
        test("tracepoints_are_known", &[Feature::PerfTracepoint], tracepoints_are_known),
        test("kernel_symbols_are_found", &[], kernel_symbols_are_found),
    ]
}

/// Root can tell, and twice the same.
pub fn every_feature_has_an_outcome() -> Outcome {
    let kernel = Kernel::new();
    for &feature in Feature::ALL {
        let outcome = kernel.probe(feature);
        assert!(!matches!(&outcome, Probe::CannotTell(_)), "{feature}: {outcome:?}");
        assert_eq!(kernel.probe(feature), outcome);
    }
    // What every supported kernel has.
    for feature in
        [Feature::RawTracepoint, Feature::RingBuffer, Feature::TestRun, Feature::BpfLoop, Feature::Dynptr]
    {
        assert_eq!(kernel.probe(feature), Probe::Yes, "{feature}");
    }
    Ok(())
}

fn the_target_holds_what_was_asked() -> Outcome {
    let kernel = Kernel::new();
    let target = kernel.target(&[Feature::RingBuffer])?;
    assert!(target.features.has(Feature::RingBuffer));
    assert_eq!(target.features.get(Feature::Uprobe), None, "it was not asked for");
    assert!(target.isa >= IsaLevel::V3);
    assert!(target.n_possible_cpus as usize >= std::thread::available_parallelism()?.get());
    assert!(target.btf.resolve_path("task_struct.real_parent->tgid").is_ok());
    Ok(())
}

fn tracepoints_are_known() -> Outcome {
    let target = Kernel::new().target(&[])?;
    let list = target.tracepoints.list();
    assert!(list.len() > 200 && list.is_sorted(), "{}", list.len());
    let format = target.tracepoints.format("sched", "sched_process_exec").ok_or("no format")?;
    assert!(format.fields.iter().any(|f| f.name == "pid" && f.size == 4));
    Ok(())
}

fn kernel_symbols_are_found() -> Outcome {
    let target = Kernel::new().target(&[])?;
    assert!(target.symbols.kernel_address("do_exit").is_some_and(|address| address > 1 << 63));
    assert_eq!(target.symbols.kernel_address("no_such_symbol"), None);
    let functions = target.symbols.kernel_functions();
    // Empty where the kernel has no such list.
    assert!(functions.is_empty() || (functions.is_sorted() && functions.len() > 1000));
    Ok(())
}
