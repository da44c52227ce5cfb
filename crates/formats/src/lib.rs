//! atomlens formats.
