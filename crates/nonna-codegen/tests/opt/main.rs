//! The optimiser keeps what programs do, keeps modules valid, and finds what it is there to find.

mod generate;
mod generate_flow;
mod machine;
mod meaning;
mod shapes;
