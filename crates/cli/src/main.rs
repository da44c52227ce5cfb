//! The `atomlens` program.
fn main() {}
