//! How a job speaks with whoever runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shows how far a job is.
pub trait Progress: Send + Sync {
    /// A part of the job begins: `total` steps of `unit`.
    fn begin(&self, total: u64, unit: &str);
    /// So many of them are done.
    fn done(&self, steps: u64);
    /// Something that the user should know now.
    fn note(&self, message: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _total: u64, _unit: &str) {}
    fn done(&self, _steps: u64) {}
    fn note(&self, _message: &str) {}
}

/// What every job is given.
#[derive(Clone)]
pub struct Context {
    /// Where progress is shown.
    pub progress: Arc<dyn Progress>,
    /// Set when the user wants the job to stop.
    pub cancelled: Arc<AtomicBool>,
    /// Threads that the job may use.
    pub threads: usize,
}

impl Context {
    /// A context that shows nothing and is never cancelled.
    pub fn silent(threads: usize) -> Context {
        Context { progress: Arc::new(Silent), cancelled: Arc::new(AtomicBool::new(false)), threads }
    }

    /// Whether the job should stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
