//! The `nonna` command: parses the command line and calls the rooms below.
fn main() {}
