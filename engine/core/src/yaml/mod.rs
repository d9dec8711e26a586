//! YAML as Salt reads and writes it, as far as it needs no parser: what a scalar means, and the writer.

mod emit;
pub mod resolve;

pub use emit::{EmitOptions, Flow, emit, emit_with};
