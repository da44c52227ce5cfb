//! atomlens specimen.
