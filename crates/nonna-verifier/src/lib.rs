//! The only maker of Verified, and the traits that both runtimes share.
