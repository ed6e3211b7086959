//! Street tests.
