//! The names that the language gives: variables and functions, as tables.

mod functions;
mod variables;

pub(crate) use functions::{Aggregation, Function, Output, ValueFunction, find_function, function_names};
pub(crate) use variables::{Variable, find_variable, variable_names};
