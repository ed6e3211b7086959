//! Kinds of diagnostics that the running kernel gives rise to.

nonna_diag::declare_slugs! {
    /// The kernel's verifier refuses a program that ours let pass.
    KERNEL_REFUSED = "kernel-refused", Error, "the kernel's own check refuses the compiled program";
}
