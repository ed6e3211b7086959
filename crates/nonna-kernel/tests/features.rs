//! What the probes say about the running kernel.

use nonna_bpf::{Feature, IsaLevel, Probe};
use nonna_kernel::Kernel;

#[test]
fn every_feature_has_an_outcome() {
    let kernel = Kernel::new();
    for &feature in Feature::ALL {
        let start = std::time::Instant::now();
        let outcome = kernel.probe(feature);
        println!("{feature:20} {:8.2} ms {outcome:?}", start.elapsed().as_secs_f64() * 1e3);
        assert!(!matches!(&outcome, Probe::CannotTell(_)), "root can tell: {feature} {outcome:?}");
    }
    assert_eq!(kernel.probe(Feature::RawTracepoint), Probe::Yes);
    assert_eq!(kernel.probe(Feature::RingBuffer), Probe::Yes);
    assert!(kernel.isa() >= IsaLevel::V3);
}
