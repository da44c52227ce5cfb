//! Columns that were found, kept on disk until the job is complete, so that it can be resumed and needs no memory.

use std::path::Path;

use atomlens_core::DetectedColumn;

use super::analysis::Columns;
use crate::WorkflowError;
use crate::detect::journal::{Entry, Journal};

/// Columns in the folder of the results.
#[derive(Debug)]
pub(super) struct Stored(Journal);

impl Stored {
    pub(super) fn open(folder: &Path) -> Result<Stored, WorkflowError> {
        Ok(Stored(Journal::open(folder)?))
    }

    pub(super) fn remove(self) -> Result<(), WorkflowError> {
        self.0.remove()
    }
}

impl Columns for Stored {
    fn of(&self, frame: usize) -> Result<Option<(Vec<DetectedColumn>, Vec<String>)>, WorkflowError> {
        Ok(self.0.entry(0, frame as u64)?.map(|entry| (entry.columns, entry.warnings)))
    }

    fn keep(&mut self, frame: usize, columns: &[DetectedColumn], warnings: &[String]) -> Result<(), WorkflowError> {
        let entry = Entry {
            file: 0,
            frame: frame as u64,
            columns: columns.to_vec(),
            warnings: warnings.to_vec(),
            map_cells: None,
        };
        self.0.add(entry, None).map(drop)
    }
}
