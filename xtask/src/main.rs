//! Automation for people who change the project: `cargo xtask test`, `tidy`, `kernels`, `bench`.
fn main() {}
