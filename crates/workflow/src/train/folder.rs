//! What a training writes: the state to go on from, the network so far, and the curves.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use atomlens_formats::whole_file::write_whole_file;
use atomlens_network::{
    Architecture, LearnerState, Network, StepReport, network_to_bytes, training_from_bytes, training_to_bytes,
};
use serde::{Deserialize, Serialize};

use super::validation::DOSE_BORDERS;
use crate::WorkflowError;

/// A line of `curves.csv`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u64,
    /// Minutes that the training has run, over all its sessions.
    pub minutes: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Cross-entropy of the shares a column, mean since the last line.
    pub loss_share: f64,
    /// Negative log-likelihood of the place, likewise.
    pub loss_place: f64,
    /// Negative log-likelihood of the number of atoms, likewise.
    pub loss_atoms: f64,
    /// Of the images that are not trained on.
    pub precision: Option<f64>,
    /// Likewise.
    pub recall: Option<f64>,
    /// Likewise.
    pub f1: Option<f64>,
    /// Likewise.
    pub median_position_error_pm: Option<f64>,
    /// F1 by dose, in the ranges of [`DOSE_BORDERS`]; the last has no upper end.
    pub f1_below_30_e_per_a2: Option<f64>,
    /// Likewise.
    pub f1_30_to_100_e_per_a2: Option<f64>,
    /// Likewise.
    pub f1_100_to_300_e_per_a2: Option<f64>,
    /// Likewise.
    pub f1_300_to_1000_e_per_a2: Option<f64>,
    /// Likewise.
    pub f1_1000_to_3000_e_per_a2: Option<f64>,
    /// Likewise.
    pub f1_above_3000_e_per_a2: Option<f64>,
}

impl CurvePoint {
    pub(super) fn set_f1_by_dose(&mut self, f1: [Option<f64>; DOSE_BORDERS.len()]) {
        [
            self.f1_below_30_e_per_a2,
            self.f1_30_to_100_e_per_a2,
            self.f1_100_to_300_e_per_a2,
            self.f1_300_to_1000_e_per_a2,
            self.f1_1000_to_3000_e_per_a2,
            self.f1_above_3000_e_per_a2,
        ] = f1;
    }
}

/// The means of a training's losses between two lines.
#[derive(Debug, Default)]
pub(super) struct Losses {
    count: f64,
    share: f64,
    place: f64,
    atoms: f64,
}

impl Losses {
    pub(super) fn add(&mut self, report: &StepReport) {
        self.count += 1.0;
        self.share += f64::from(report.share);
        self.place += f64::from(report.place);
        self.atoms += f64::from(report.atoms);
    }

    pub(super) fn mean(&self) -> [f64; 3] {
        [self.share, self.place, self.atoms].map(|sum| sum / self.count.max(1.0))
    }
}

/// A training's folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    pub(super) fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The state and the minutes that it took, if there is one.
    pub(super) fn read_checkpoint(&self, architecture: &Architecture) -> Result<Option<LearnerState>, WorkflowError> {
        let path = self.checkpoint();
        match fs::read(&path) {
            Ok(bytes) => match training_from_bytes(architecture, &bytes) {
                Ok(state) => Ok(Some(state)),
                Err(error) => Err(WorkflowError::Network { path, source: error }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(WorkflowError::read(&path, &error)),
        }
    }

    /// Writes the state, then the curves: a crash between the two loses a line, not the training.
    pub(super) fn write_checkpoint(
        &self,
        architecture: &Architecture,
        state: &LearnerState,
        curve: &[CurvePoint],
    ) -> Result<(), WorkflowError> {
        write_bytes(&self.checkpoint(), &training_to_bytes(architecture, state))?;
        let path = self.path.join("curves.csv");
        let mut text = csv::Writer::from_writer(Vec::new());
        for point in curve {
            text.serialize(point)
                .map_err(|error| WorkflowError::Write { path: path.clone(), reason: error.to_string() })?;
        }
        let bytes = text
            .into_inner()
            .map_err(|error| WorkflowError::Write { path: path.clone(), reason: error.to_string() })?;
        write_bytes(&path, &bytes)
    }

    /// The lines up to a step.
    pub(super) fn read_curve(&self, steps: u64) -> Result<Vec<CurvePoint>, WorkflowError> {
        let path = self.path.join("curves.csv");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let wrong = |error: csv::Error| WorkflowError::Read { path: path.clone(), reason: error.to_string() };
        let mut reader = csv::Reader::from_path(&path).map_err(wrong)?;
        let points: Result<Vec<CurvePoint>, csv::Error> = reader.deserialize().collect();
        Ok(points.map_err(wrong)?.into_iter().filter(|point| point.step <= steps).collect())
    }

    pub(super) fn write_network(&self, network: &Network) -> Result<(), WorkflowError> {
        write_bytes(&self.path.join(crate::model::WEIGHTS_FILE), &network_to_bytes(network))
    }
}

pub(super) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| file.write_all(bytes))?)
}
