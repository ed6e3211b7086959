//! The typed intermediate representation between front ends and code generation.
