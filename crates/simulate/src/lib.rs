//! atomlens simulate.
