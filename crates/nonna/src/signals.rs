//! Ctrl-C and its kin: told once through a channel, so that a verb can detach and sum up.

use std::thread;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// A channel that gets a message at the first SIGINT, SIGTERM or SIGHUP. A second one ends the process at once.
///
/// # Errors
///
/// Where the system takes no handler.
pub fn interruptions() -> std::io::Result<Receiver<()>> {
    let (sender, receiver) = bounded(1);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (n, _) in signals.forever().enumerate() {
            if n > 0 {
                std::process::exit(130);
            }
            // Nobody listens any more: the verb is about to end anyway.
            let _ = sender.send(());
        }
    })?;
    Ok(receiver)
}
