//! Test runner, kernel gates and QEMU kernels; used by tests only.
