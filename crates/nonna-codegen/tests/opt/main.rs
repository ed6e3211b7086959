//! The optimiser keeps what programs do, keeps modules valid, and finds what it is there to find.

mod generate;
mod machine;
mod meaning;
mod shapes;
