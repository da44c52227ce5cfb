//! atomlens dataset.
