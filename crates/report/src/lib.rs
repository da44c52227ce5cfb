//! atomlens report.
