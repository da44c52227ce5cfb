//! What the program does, without its command line: jobs with progress, cancellation and provenance.
//!
//! A job takes resolved settings and a [`Context`], writes its results, and returns a summary that can be printed as
//! JSON. A run's folder starts with `settings.json`: the version, the settings as they were resolved, the seed, and
//! the hashes of what was read.

pub mod benchmark;
pub mod compare;
pub mod context;
pub mod convert;
pub mod demo;
pub mod detect;
pub mod error;
pub mod exit_wave;
pub mod image;
pub mod info;
pub mod model;
pub mod optics;
pub mod provenance;
pub mod recipes;
pub mod reconstruct;
pub mod score;
pub mod series;
pub mod simulate;
pub mod table;
pub mod track;
pub mod train;
pub mod twin;

pub use context::{Context, Progress};
pub use error::WorkflowError;
