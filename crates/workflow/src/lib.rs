//! atomlens workflow.
