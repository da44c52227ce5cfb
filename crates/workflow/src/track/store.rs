//! Columns that were found, kept on disk until the job is complete, so that it can be resumed and needs no memory.

use std::cell::RefCell;
use std::path::Path;

use atomlens_core::DetectedColumn;

use super::analysis::{Columns, Found};
use crate::WorkflowError;
use crate::detect::journal::{Entry, Journal};

/// Columns in the folder of the results, of every look at the frames.
#[derive(Debug)]
pub(super) struct Stored(RefCell<Journal>);

/// The columns of one look at the frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks<'a> {
    stored: &'a Stored,
    /// Which look: 0 for single frames, 1 for frames with those around them.
    number: usize,
}

impl Stored {
    pub(super) fn open(folder: &Path) -> Result<Stored, WorkflowError> {
        Ok(Stored(RefCell::new(Journal::open(folder)?)))
    }

    pub(super) fn looks(&self, number: usize) -> Looks<'_> {
        Looks { stored: self, number }
    }

    pub(super) fn remove(self) -> Result<(), WorkflowError> {
        self.0.into_inner().remove()
    }
}

impl Columns for Looks<'_> {
    fn of(&self, frame: usize) -> Result<Option<Found>, WorkflowError> {
        let entry = self.stored.0.borrow().entry(self.number, frame as u64)?;
        Ok(entry.map(|entry| (entry.columns, entry.warnings)))
    }

    fn keep(&mut self, frame: usize, columns: &[DetectedColumn], warnings: &[String]) -> Result<(), WorkflowError> {
        let entry = Entry {
            file: self.number,
            frame: frame as u64,
            columns: columns.to_vec(),
            warnings: warnings.to_vec(),
            map_cells: None,
        };
        self.stored.0.borrow_mut().add(entry, None).map(drop)
    }
}
