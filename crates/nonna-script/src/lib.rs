//! The bpftrace language with emit: parse, check, lower, and format what comes back.
