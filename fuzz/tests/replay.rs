//! Every target takes its seeds, slightly broken seeds and what was once a finding.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nonna_diag::{Format, render};
use nonna_fuzz::{TARGETS, Target, machine};
use nonna_testkit::{KernelTest, Need, Outcome, Suite};

fn main() -> ExitCode {
    // Root, since only root reads the tracepoints that scripts are compiled for.
    let test = |name, run| KernelTest::new(name, &[Need::Root], run).time_limit(Duration::from_secs(300));
    Suite::new("nonna-fuzz", env!("CARGO_MANIFEST_DIR"))
        .test(test("scripts_to_start_from_are_right", scripts_are_right))
        .test(test("seeds_are_taken_whole_cut_and_changed", seeds_are_taken))
        .test(test("findings_stay_mended", findings_stay_mended))
        .test(KernelTest::new("each_target_has_its_program", &[], targets_have_programs))
        .main()
}

/// A panic of a target is the test's, with the input that led to it.
fn run(target: &Target, input: &[u8], what: &str) -> Outcome {
    let outcome = std::panic::catch_unwind(|| (target.run)(input));
    let text = || format!("{}: {what}: {:?}", target.name, String::from_utf8_lossy(input));
    outcome.map_err(|_| text().into())
}

fn scripts_are_right() -> Outcome {
    let short = machine::SCRIPTS.iter().map(|text| (text, false));
    for (text, sensors) in short.chain(machine::SENSORS.iter().map(|text| (text, true))) {
        let (compiled, diagnostics, sources) = machine::script(text, sensors);
        let said = render(&diagnostics, &sources, Format::Concise);
        let compiled = compiled.ok_or_else(|| format!("{text}\n{said}"))?;
        machine::object(compiled.module, Some(&sources)).map_err(|error| format!("{text}\n{error}"))?;
    }
    Ok(())
}

fn seeds_are_taken() -> Outcome {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (number, seed) in seeds.iter().enumerate() {
            run(target, seed, &format!("seed {number}"))?;
            for at in (0..4).map(|part| seed.len() * part / 4) {
                run(target, &seed[..at], &format!("seed {number} cut at {at}"))?;
                let mut changed = seed.clone();
                for byte in changed.iter_mut().skip(at).step_by(97) {
                    *byte = byte.wrapping_add(0x41);
                }
                run(target, &changed, &format!("seed {number} changed from {at}"))?;
            }
        }
    }
    Ok(())
}

fn findings_stay_mended() -> Outcome {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings").join(target.name);
        let Ok(files) = std::fs::read_dir(&folder) else { continue };
        for file in files {
            let path = file?.path();
            run(target, &std::fs::read(&path)?, &path.display().to_string())?;
        }
    }
    Ok(())
}

fn targets_have_programs() -> Outcome {
    let mut programs = BTreeSet::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets"))? {
        programs.insert(file?.file_name().to_string_lossy().replace(".rs", ""));
    }
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(programs, targets);
    Ok(())
}
