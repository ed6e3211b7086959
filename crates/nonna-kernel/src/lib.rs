//! The running kernel: load, attach, pin, read rings, probe features, describe the target.
