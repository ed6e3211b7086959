//! How attachments begin and end: pins, background detaching, and a process that is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nonna_bpf::{Feature, Hook, MapIdx, ProgramIdx, ProgramType};
use nonna_kernel::{Kernel, KernelMap, Link, links, maps, programs, unpin};
use nonna_testkit::{KernelTest, Outcome};

use crate::support::*;
use crate::test;

pub fn tests() -> Vec<KernelTest> {
    vec![
        test("a_pin_keeps_a_program_running", &[Feature::RawTracepoint], a_pin_keeps_a_program_running),
        test("pins_are_of_their_kind", &[Feature::RawTracepoint], pins_are_of_their_kind),
        test("detaching_goes_on_in_the_background", &[Feature::PerfTracepoint], detaching_in_the_background),
        test("detaching_is_left_to_a_child", &[Feature::PerfTracepoint], detaching_in_a_child),
        test("a_killed_process_leaves_nothing", &[Feature::PerfTracepoint], a_killed_process_leaves_nothing),
    ]
}

/// Makes this binary attach, say so, and wait to be killed.
const HOLDER: &str = "NONNA_KERNEL_HOLDER";
/// Within this time the kernel has taken back what a process held.
const PATIENCE: Duration = Duration::from_secs(5);

fn a_pin_keeps_a_program_running() -> Outcome {
    let folder = Path::new("/sys/fs/bpf/nonna");
    let attached =
        load(vec![counter()], vec![raw_tracepoint("sys_enter", &counting(0))]).attach_all(&Kernel::new())?;
    attached.loaded().map(MapIdx(0)).pin(&folder.join("count"))?;
    attached.loaded().program(ProgramIdx(0)).pin(&folder.join("program"))?;
    attached.links()[0].1.pin(&folder.join("link"))?;
    drop(attached);

    let count = KernelMap::open_pinned(&folder.join("count"))?;
    assert_eq!((count.name(), count.value_bytes()), ("count", 8));
    let before = count_of(&count);
    getppid();
    assert!(count_of(&count) > before, "the pin does not keep it running");

    let link = Link::open_pinned(&folder.join("link"))?;
    unpin(&folder.join("link"))?;
    unpin(&folder.join("program"))?;
    unpin(&folder.join("count"))?;
    let id = link.ids()?[0];
    drop(link);
    gone("link", || Ok(links()?.iter().all(|l| l.id != id)))
}

fn pins_are_of_their_kind() -> Outcome {
    let path = Path::new("/sys/fs/bpf/a_map");
    let loaded = load(vec![counter()], vec![]);
    loaded.map(MapIdx(0)).pin(path)?;
    assert!(Link::open_pinned(path).is_err());
    assert!(loaded.map(MapIdx(0)).pin(path).is_err(), "the name is taken");
    assert!(loaded.map(MapIdx(0)).pin(Path::new("/tmp/nonna-no-bpffs")).is_err());
    assert!(KernelMap::open_pinned(Path::new("/sys/fs/bpf/nothing")).is_err());
    unpin(path)?;
    Ok(())
}

fn tracepoint() -> nonna_bpf::Program {
    let hook = Hook::Tracepoint { category: "syscalls".to_owned(), event: "sys_enter_getppid".to_owned() };
    program("getppid", ProgramType::Tracepoint, hook, &counting(0))
}

fn detaching_in_the_background() -> Outcome {
    let attached = load(vec![counter()], vec![tracepoint()]).attach_all(&Kernel::new())?;
    getppid();
    let id = attached.links()[0].1.ids()?[0];
    let (loaded, detaching) = attached.detach_in_background();
    assert_eq!(count_of(loaded.map(MapIdx(0))), 1);
    detaching.wait();
    assert!(links()?.iter().all(|l| l.id != id));
    Ok(())
}

fn detaching_in_a_child() -> Outcome {
    let attached = load(vec![counter()], vec![tracepoint()]).attach_all(&Kernel::new())?;
    let id = attached.links()[0].1.ids()?[0];
    let loaded = attached.detach_in_child()?;
    assert_eq!(count_of(loaded.map(MapIdx(0))), 0);
    gone("link", || Ok(links()?.iter().all(|l| l.id != id)))?;
    // The child has ended; what is left of it is our zombie.
    rustix::process::wait(rustix::process::WaitOptions::empty())?;
    Ok(())
}

/// Waits until `is_gone`.
fn gone(what: &str, is_gone: impl Fn() -> Result<bool, nonna_kernel::Error>) -> Outcome {
    let until = Instant::now() + PATIENCE;
    while !is_gone()? {
        assert!(Instant::now() < until, "the {what} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// In a process that was started to be killed: attaches, prints the ids, waits.
pub fn as_holder() -> Option<ExitCode> {
    std::env::var_os(HOLDER)?;
    let hold = || -> Result<(), Box<dyn std::error::Error>> {
        let maps = vec![counter(), ring(1 << 16)];
        let attached = load(maps, vec![tracepoint(), raw_tracepoint("sys_enter", &counting(0))])
            .attach_all(&Kernel::new())?;
        let loaded = attached.loaded();
        let mut ids = vec![loaded.map(MapIdx(0)).status()?.id, loaded.map(MapIdx(1)).status()?.id];
        for program in loaded.programs() {
            ids.push(program.status()?.id);
        }
        for (_, link) in attached.links() {
            ids.extend(link.ids()?);
        }
        let text: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut out = std::io::stdout();
        writeln!(out, "{}", text.join(" "))?;
        out.flush()?;
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    };
    Some(if hold().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn a_killed_process_leaves_nothing() -> Outcome {
    let mut holder =
        Command::new(std::env::current_exe()?).env(HOLDER, "1").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(holder.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    let ids = line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let [map, ring, perf, raw, perf_link, raw_link] = ids[..] else { return Err(line.into()) };
    assert!(links()?.iter().any(|l| l.id == perf_link));
    holder.kill()?;
    holder.wait()?;
    gone("links", || Ok(links()?.iter().all(|l| l.id != perf_link && l.id != raw_link)))?;
    gone("programs", || Ok(programs()?.iter().all(|p| p.id != perf && p.id != raw)))?;
    gone("maps", || Ok(maps()?.iter().all(|m| m.id != map && m.id != ring)))
}
