//! One file a subcommand: what was typed becomes settings of a job.

pub(crate) mod benchmark;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod detect;
pub(crate) mod exit_wave;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod optics;
pub(crate) mod raw;
pub(crate) mod recipe;
pub(crate) mod reconstruct;
pub(crate) mod score;
pub(crate) mod series;
pub(crate) mod simulate;
pub(crate) mod track;
pub(crate) mod train;
pub(crate) mod twin;

use atomlens_workflow::WorkflowError;

/// A number that is one.
pub(crate) fn finite(text: &str) -> Result<f64, String> {
    number(text, "a finite number", |_| true)
}

/// A number of 0 or more.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "a finite number, 0 or more", |value| value >= 0.0)
}

/// A number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    number(text, "a finite number above 0", |value| value > 0.0)
}

/// A dose; above this the noise of a pixel is less than its rounding.
pub(crate) fn dose(text: &str) -> Result<f64, String> {
    number(text, "a finite number above 0, up to 1e9", |value| value > 0.0 && value <= 1e9)
}

fn number(text: &str, expected: &str, is_good: impl Fn(f64) -> bool) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && is_good(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}

/// A setting that makes no sense, found before the job begins.
pub(crate) fn setting(what: &'static str, found: impl Into<String>, expected: impl Into<String>) -> WorkflowError {
    WorkflowError::Setting { what, found: found.into(), expected: expected.into() }
}
