//! Street tests: scripts at every stage, from text to what they print.
//!
//! Input is a block `bt`. Outputs: `ir` (the module as the front end made it), `bpf` (the first program's instructions),
//! `verdict` (our verifier's opinion), `diag` (what is wrong with the script, a line each) and `run` (standard output
//! of the script on the running kernel).

use std::process::{Command, ExitCode, Stdio};

use nonna_bpf::Feature;
use nonna_codegen::Options;
use nonna_diag::{Format, Sources, render};
use nonna_kernel::Kernel;
use nonna_script::Compiled;
use nonna_testkit::street::{Block, Case, Produced, Stages, Street};
use nonna_verifier::{Verified, verify_structure};

fn main() -> ExitCode {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/street");
    Street::new("street", env!("CARGO_MANIFEST_DIR"), folder).main(Scripts)
}

struct Scripts;

/// The compiled script, or its diagnostics a line each.
fn compile(text: &str, kernel: &Kernel) -> Result<Result<Compiled, String>, String> {
    let mut sources = Sources::new();
    let id = sources.add("script.bt", text);
    let target = kernel.target(&[Feature::TypedTracepoint]).map_err(|error| error.to_string())?;
    let (compiled, diagnostics) =
        nonna_script::compile(&sources, id, &target, &nonna_script::Options::default());
    Ok(compiled.ok_or_else(|| render(&diagnostics, &sources, Format::Concise)))
}

/// The script as verified programs.
fn programs(text: &str, kernel: &Kernel) -> Result<Verified, String> {
    let compiled = compile(text, kernel)??;
    let target = kernel.target(&[Feature::TypedTracepoint]).map_err(|error| error.to_string())?;
    let object = nonna_codegen::compile(compiled.module, &target, &Options::default())
        .map_err(|error| error.to_string())?;
    verify_structure(object).map_err(|rejection| {
        let slugs: Vec<&str> = rejection.diagnostics.iter().map(|d| d.slug.name).collect();
        format!("refused: {}", slugs.join(", "))
    })
}

fn run(text: &str) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_nonna"))
        .args(["trace", "--duration", "20s", "-e", text])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Stages for Scripts {
    fn inputs(&self) -> &[&str] {
        &["bt"]
    }

    fn outputs(&self) -> &[&str] {
        &["ir", "bpf", "verdict", "diag", "run"]
    }

    fn produce(&self, case: &Case, block: &Block) -> Result<Produced, String> {
        let script = &case.block("bt").ok_or("the case has no script")?.text;
        let kernel = Kernel::new();
        let text = match block.name.as_str() {
            "ir" => compile(script, &kernel)??.module.to_string(),
            "bpf" => {
                let verified = programs(script, &kernel)?;
                let program = verified.object().programs.first().ok_or("there is no program")?;
                nonna_bpf::disassemble(&program.insns, nonna_bpf::TextOptions::default())
            }
            "verdict" => match programs(script, &kernel) {
                Ok(verified) => {
                    let insns =
                        |p: &nonna_bpf::Program| format!("{}: {} instructions\n", p.name, p.insns.len());
                    verified.object().programs.iter().map(insns).collect()
                }
                Err(refused) => refused,
            },
            "diag" => match compile(script, &kernel)? {
                Ok(_) => return Err("nothing is wrong with this script".to_owned()),
                Err(diagnostics) => diagnostics,
            },
            _ => run(script)?,
        };
        Ok(Produced::Text(text))
    }
}
