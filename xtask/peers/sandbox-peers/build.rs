//! Links the native form of the benchmark's programs, which lies prebuilt beside their sources.
//!
//! It runs no compiler: whoever measures may have none.

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sandbox");
    println!("cargo::rerun-if-changed={folder}");
    let entries = std::fs::read_dir(folder).expect("the programs lie beside this package");
    for entry in entries.map(|entry| entry.expect("a folder can be read")) {
        let path = entry.path();
        if path.to_string_lossy().ends_with(".x86_64.o") {
            println!("cargo::rustc-link-arg={}", path.display());
        }
    }
}
