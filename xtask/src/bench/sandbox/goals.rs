//! What the table says about the goals: ratios and costs of one operation, each beside its bound.

use super::case::Row;
use super::{COMPUTE, Engine};

/// Prints all of them.
pub fn print(rows: &[Row]) {
    mean(rows, "jit to kernel's", Engine::Jit, Some(1.0));
    mean(rows, "interpreter to kernel's", Engine::Interpreter, Some(12.0));
    for engine in &Engine::ALL[Engine::Native as usize..] {
        mean(rows, &format!("{} to kernel's", engine.name()), *engine, None);
    }
    operation(rows, "entry", "empty", 1.0, Some(6.0));
    operation(rows, "local call", "calls", 256.0, Some(2.6));
    operation(rows, "helper call", "helper", 256.0, Some(2.6));
    operation(rows, "array lookup", "arrayloop", 64.0, Some(3.8));
    operation(rows, "hash lookup", "maploop", 64.0, Some(3.8));
    for peer in [Engine::RbpfJit, Engine::SbpfJit, Engine::SbpfBare] {
        faster(rows, peer);
    }
}

/// Prints one goal.
pub fn goal(what: &str, value: f64, bound: Option<f64>, unit: &str, beside: &str) {
    let verdict = match bound {
        Some(bound) if value <= bound => format!("met (at most {bound})"),
        Some(bound) => format!("missed (at most {bound})"),
        None => String::new(),
    };
    println!("{what:52}{value:8.2} {unit:6}{verdict:22}{beside}");
}

fn mean(rows: &[Row], what: &str, engine: Engine, bound: Option<f64>) {
    let ratios: Vec<f64> = rows
        .iter()
        .filter(|row| COMPUTE.contains(&row.name.as_str()))
        .filter_map(|row| Some((row.median(engine)? / row.median(Engine::Kernel)?).ln()))
        .collect();
    if !ratios.is_empty() {
        #[expect(clippy::cast_precision_loss, reason = "at most eight")]
        let mean = (ratios.iter().sum::<f64>() / ratios.len() as f64).exp();
        goal(&format!("{what}, geometric mean of {} of 8", ratios.len()), mean, bound, "times", "");
    }
}

fn operation(rows: &[Row], what: &str, program: &str, n_operations: f64, bound: Option<f64>) {
    let Some(row) = rows.iter().find(|row| row.name == program) else { return };
    let Some(ns) = row.median(Engine::Jit) else { return };
    let beside = [Engine::RbpfJit, Engine::SbpfJit, Engine::Kernel, Engine::Native]
        .iter()
        .filter_map(|peer| Some(format!("{} {:.2}", peer.name(), row.median(*peer)? / n_operations)))
        .collect::<Vec<_>>();
    goal(what, ns / n_operations, bound, "ns", &beside.join(", "));
}

/// Whether our compiled code is faster than a peer's wherever that runs and is right.
fn faster(rows: &[Row], peer: Engine) {
    let ratios: Vec<(&str, f64)> = rows
        .iter()
        .filter_map(|row| Some((row.name.as_str(), row.median(Engine::Jit)? / row.median(peer)?)))
        .collect();
    let slower: Vec<String> = ratios
        .iter()
        .filter(|(_, ratio)| *ratio >= 1.0)
        .map(|(name, ratio)| format!("{name} {ratio:.2}"))
        .collect();
    if ratios.is_empty() {
        return;
    }
    let what = format!("jit faster than {}", peer.name());
    let verdict = if slower.is_empty() { "met".to_owned() } else { format!("missed: {}", slower.join(", ")) };
    println!("{what:52}{:>4} of {:<2} {verdict}", ratios.len() - slower.len(), ratios.len());
}
