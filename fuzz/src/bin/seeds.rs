//! Writes the seeds of every target: `seeds FOLDER` makes `FOLDER/TARGET/NUMBER`, and names each target on a line.
#![expect(clippy::print_stdout, reason = "who starts it reads the names")]

use std::io;
use std::path::PathBuf;

use nonna_fuzz::TARGETS;

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("give the folder to write to"));
    };
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
