//! One file a subcommand: what was typed becomes settings of a job.

pub(crate) mod completions;
pub(crate) mod exit_wave;
pub(crate) mod image;
pub(crate) mod recipe;
pub(crate) mod simulate;

use atomlens_workflow::WorkflowError;

/// A setting that makes no sense, found before the job begins.
pub(crate) fn setting(what: &'static str, found: impl Into<String>, expected: impl Into<String>) -> WorkflowError {
    WorkflowError::Setting { what, found: found.into(), expected: expected.into() }
}
