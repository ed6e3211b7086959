//! Builds the kernel's own test programs as objects.
//!
//! They are the kernel's sources under its licence, so they are downloaded as Debian's package, compiled in the target folder and never
//! committed. What a fresh machine lacks is installed where that is allowed; else there is a typed reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use nonna_testkit::Skip;

use super::types;
use crate::kernels::Kernel;
use crate::packages;
use crate::workspace::Workspace;

/// The series whose sources and verdicts are used.
pub const SERIES: &str = "6.12";
const PACKAGE: &str = "linux-source-6.12";
const TOOLS: &[&str] = &["bpftool", "clang-19", "dpkg-deb", "python3", "tar", "xz", "zstd"];
/// What is needed of the sources.
const PARTS: &[&str] =
    &["include/uapi", "scripts/bpf_doc.py", "tools/include", "tools/lib/bpf", "tools/testing/selftests/bpf"];
/// The file that says that all is built, and for which kernel.
pub const COMPLETE: &str = "complete";
const SELFTESTS: &str = "tools/testing/selftests/bpf";

/// Programs that people run, or that are as large, beside the small ones that test single rules.
pub const REAL: &[&str] = &[
    "bpf_flow",
    "loop1",
    "loop2",
    "loop3",
    "loop4",
    "loop5",
    "loop6",
    "pyperf100",
    "pyperf180",
    "pyperf50",
    "pyperf600",
    "pyperf600_nounroll",
    "pyperf_global",
    "pyperf_subprogs",
    "strobemeta",
    "strobemeta_nounroll1",
    "strobemeta_nounroll2",
    "strobemeta_subprogs",
    "test_cls_redirect",
    "test_cls_redirect_subprogs",
    "test_l4lb",
    "test_l4lb_noinline",
    "test_tc_tunnel",
    "test_verif_scale1",
    "test_verif_scale2",
    "test_verif_scale3",
    "test_xdp",
    "test_xdp_noinline",
    "xdp_synproxy_kern",
];

/// Where everything lies once it is built.
#[derive(Debug, Clone)]
pub struct Objects {
    /// The selftests of the verifier.
    pub selftests: PathBuf,
    /// Larger programs.
    pub real: PathBuf,
    /// The types of the packaged kernel, as bytes.
    pub types: PathBuf,
}

impl Objects {
    /// Where everything lies below the parity folder.
    pub fn below(folder: &Path) -> Self {
        Self {
            selftests: folder.join("objects"),
            real: folder.join("real"),
            types: folder.join("vmlinux.btf"),
        }
    }

    /// Builds what is not there yet.
    ///
    /// # Errors
    ///
    /// If a download is broken or a selftest does not compile. A machine that cannot have the sources is no error but a [`Skip`].
    pub fn build(workspace: &Workspace, folder: &Path) -> Result<std::result::Result<Self, Skip>> {
        let objects = Self::below(folder);
        let complete = folder.join(COMPLETE);
        if complete.exists() {
            return Ok(Ok(objects));
        }
        if let Some(missing) = packages::ensure_tools(TOOLS)?.into_iter().next() {
            return Ok(Err(missing));
        }
        let kernel = match Kernel::find(workspace, SERIES)? {
            Ok(kernel) => kernel,
            Err(skip) => return Ok(Err(skip)),
        };
        let sources = folder.join("sources");
        if !sources.is_dir()
            && let Err(error) = download(folder, &sources)
        {
            return Ok(Err(Skip::new(format!("package {PACKAGE}"), format!("{error:#}"))));
        }
        std::fs::write(&objects.types, types::of_image(&kernel.image)?)
            .context("write the kernel's types")?;
        let compiler = Compiler::prepare(folder, &sources, &objects.types)?;
        compiler.compile(&selftests(&sources)?, &objects.selftests, true)?;
        let real: Vec<String> = REAL.iter().map(|name| (*name).to_owned()).collect();
        compiler.compile(&real, &objects.real, false)?;
        std::fs::write(&complete, &kernel.release).context("note that all is built")?;
        Ok(Ok(objects))
    }
}

/// Downloads the sources and keeps the parts that are needed.
fn download(folder: &Path, sources: &Path) -> Result<()> {
    println!("downloading {PACKAGE}");
    let package = folder.join("package");
    packages::unpack(PACKAGE, &package)?;
    let archive = package.join(format!("usr/src/{PACKAGE}.tar.xz"));
    let work = folder.join("unpacking");
    std::fs::create_dir_all(&work).with_context(|| format!("make {}", work.display()))?;
    let mut command = Command::new("tar");
    command.arg("--extract").arg("--xz").arg("--file").arg(&archive).arg("--directory").arg(&work);
    command.arg("--strip-components=1").args(PARTS.iter().map(|part| format!("{PACKAGE}/{part}")));
    let status = command.status().context("run tar")?;
    anyhow::ensure!(status.success(), "tar could not unpack {}", archive.display());
    std::fs::rename(&work, sources).context("move the sources to their place")?;
    std::fs::remove_dir_all(&package).context("remove the package")
}

/// The names of the verifier's own tests.
fn selftests(sources: &Path) -> Result<Vec<String>> {
    let folder = sources.join(SELFTESTS).join("progs");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".c")
            && stem.starts_with("verifier_")
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    anyhow::ensure!(!names.is_empty(), "{} holds no tests of the verifier", folder.display());
    Ok(names)
}

/// What every compilation needs.
struct Compiler {
    selftests: PathBuf,
    includes: Vec<PathBuf>,
}

impl Compiler {
    /// Makes the headers that the kernel's build would make.
    fn prepare(folder: &Path, sources: &Path, types: &Path) -> Result<Self> {
        let headers = folder.join("include");
        let library = headers.join("bpf");
        std::fs::create_dir_all(&library).with_context(|| format!("make {}", library.display()))?;
        let mut dump = Command::new("bpftool");
        dump.args(["btf", "dump", "file"]).arg(types).args(["format", "c"]);
        write_output(&mut dump, &headers.join("vmlinux.h"))?;
        let mut describe = Command::new("python3");
        describe.arg(sources.join("scripts/bpf_doc.py")).args(["--header", "--file"]);
        describe.arg(sources.join("include/uapi/linux/bpf.h"));
        write_output(&mut describe, &library.join("bpf_helper_defs.h"))?;
        for entry in std::fs::read_dir(sources.join("tools/lib/bpf")).context("list libbpf's sources")? {
            let path = entry?.path();
            if let Some(name) = path.file_name()
                && path.extension().is_some_and(|e| e == "h")
            {
                std::fs::copy(&path, library.join(name))
                    .with_context(|| format!("copy {}", path.display()))?;
            }
        }
        let selftests = sources.join(SELFTESTS);
        let includes = vec![
            headers,
            library,
            selftests.clone(),
            sources.join("tools/include/uapi"),
            PathBuf::from("/usr/include/x86_64-linux-gnu"),
        ];
        Ok(Self { selftests, includes })
    }

    /// Compiles sources by name, on all processors; what does not compile is an error unless it may be missing.
    fn compile(&self, names: &[String], to: &Path, must: bool) -> Result<()> {
        std::fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
        println!("compiling {} sources", names.len());
        let next = Mutex::new(names.iter());
        let n_workers = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || -> Result<()> {
            loop {
                // The lock is held for one step of the iterator only, which cannot panic.
                let name = next.lock().map_or(None, |mut next| next.next());
                let Some(name) = name else { return Ok(()) };
                let compiled = self.one(name, to)?;
                anyhow::ensure!(compiled || !must, "{name}.c does not compile");
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..n_workers).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(outcome) => outcome,
                Err(_) => anyhow::bail!("a compiling thread panicked"),
            })
        })
    }

    fn one(&self, name: &str, to: &Path) -> Result<bool> {
        let mut command = Command::new("clang-19");
        command.args(["-g", "-O2", "-target", "bpf", "-mcpu=v4", "-w"]);
        command.args(["-D__TARGET_ARCH_x86", "-DENABLE_ATOMICS_TESTS"]);
        command.args(self.includes.iter().flat_map(|folder| ["-I".into(), folder.clone()]));
        command.arg("-c").arg(self.selftests.join(format!("progs/{name}.c")));
        command.arg("-o").arg(to.join(format!("{name}.o"))).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().context("run clang-19")?.success())
    }
}

/// Runs a command and keeps what it prints.
fn write_output(command: &mut Command, path: &Path) -> Result<()> {
    let output = command.stderr(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
    anyhow::ensure!(output.status.success(), "{command:?} failed");
    std::fs::write(path, output.stdout).with_context(|| format!("write {}", path.display()))
}
