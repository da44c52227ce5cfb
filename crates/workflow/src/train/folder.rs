//! What a training writes: the state to go on from, the network so far, and the curves.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use atomlens_formats::whole_file::write_whole_file;
use atomlens_network::{
    Architecture, LearnerState, Network, StepReport, network_to_bytes, training_from_bytes, training_to_bytes,
};
use serde::{Deserialize, Serialize};

use crate::WorkflowError;
use crate::model::Accuracy;
use crate::provenance::write_json;

/// A look at images that are not trained on, as `curves.json` and `curves.csv` have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u64,
    /// Minutes that the training has run, over all its sessions.
    pub minutes: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Cross-entropy of the shares a column, mean since the last look.
    pub loss_share: f64,
    /// Negative log-likelihood of the place, likewise.
    pub loss_place: f64,
    /// Negative log-likelihood of the number of atoms, likewise.
    pub loss_atoms: f64,
    /// Mean square error of the wave, likewise; 0 where the network does not give it.
    #[serde(default)]
    pub loss_wave: f64,
    /// Share of the true columns that were found whose species is right.
    #[serde(default)]
    pub species_right: Option<f64>,
    /// Figures by dose, and those of all images last.
    pub accuracy: Vec<Accuracy>,
}

impl CurvePoint {
    /// Figures of all images.
    pub fn all(&self) -> Option<&Accuracy> {
        self.accuracy.last()
    }

    /// F1 over all images.
    pub fn f1(&self) -> Option<f64> {
        self.all().and_then(|accuracy| accuracy.f1)
    }

    /// The header of `curves.csv`.
    fn header(&self) -> Vec<String> {
        let first = [
            "step",
            "minutes",
            "learning_rate",
            "loss_share",
            "loss_place",
            "loss_atoms",
            "loss_wave",
            "species_right",
        ];
        let mut names = first.map(str::to_owned).to_vec();
        for accuracy in &self.accuracy {
            let range = match accuracy.dose_high_e_per_a2 {
                _ if accuracy.is_of_all_doses() => String::new(),
                Some(high) => format!("_{:.0}_to_{high:.0}_e_per_a2", accuracy.dose_low_e_per_a2),
                None => format!("_from_{:.0}_e_per_a2", accuracy.dose_low_e_per_a2),
            };
            for what in ["precision", "recall", "f1", "median_position_error_pm"] {
                names.push(format!("{what}{range}"));
            }
        }
        names
    }

    fn record(&self) -> Vec<String> {
        let losses =
            [self.minutes, self.learning_rate, self.loss_share, self.loss_place, self.loss_atoms, self.loss_wave];
        let species_right = self.species_right.map_or(String::new(), |value| value.to_string());
        let figures = self.accuracy.iter().flat_map(|accuracy| {
            [accuracy.precision, accuracy.recall, accuracy.f1, accuracy.median_position_error_pm]
                .map(|value| value.map_or(String::new(), |value| value.to_string()))
        });
        std::iter::once(self.step.to_string())
            .chain(losses.map(|value| value.to_string()))
            .chain([species_right])
            .chain(figures)
            .collect()
    }
}

/// The means of a training's losses between two lines.
#[derive(Debug, Default)]
pub(super) struct Losses {
    count: f64,
    share: f64,
    place: f64,
    atoms: f64,
    wave: f64,
}

impl Losses {
    pub(super) fn add(&mut self, report: &StepReport) {
        self.count += 1.0;
        self.share += f64::from(report.share);
        self.place += f64::from(report.place);
        self.atoms += f64::from(report.atoms);
        self.wave += f64::from(report.wave);
    }

    pub(super) fn mean(&self) -> [f64; 4] {
        [self.share, self.place, self.atoms, self.wave].map(|sum| sum / self.count.max(1.0))
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
        write_json(&self.path.join("curves.json"), &curve)?;
        let path = self.path.join("curves.csv");
        let failed = |reason: String| WorkflowError::Write { path: path.clone(), reason };
        let mut text = csv::Writer::from_writer(Vec::new());
        if let Some(first) = curve.first() {
            text.write_record(first.header()).map_err(|error| failed(error.to_string()))?;
        }
        for point in curve {
            text.write_record(point.record()).map_err(|error| failed(error.to_string()))?;
        }
        write_bytes(&path, &text.into_inner().map_err(|error| failed(error.to_string()))?)
    }

    /// The looks up to a step.
    pub(super) fn read_curve(&self, steps: u64) -> Result<Vec<CurvePoint>, WorkflowError> {
        let path = self.path.join("curves.json");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&path).map_err(|error| WorkflowError::read(&path, &error))?;
        let points: Vec<CurvePoint> = serde_json::from_str(&text)
            .map_err(|error| WorkflowError::Read { path: path.clone(), reason: error.to_string() })?;
        Ok(points.into_iter().filter(|point| point.step <= steps).collect())
    }

    pub(super) fn write_network(&self, network: &Network) -> Result<(), WorkflowError> {
        write_bytes(&self.path.join(crate::model::WEIGHTS_FILE), &network_to_bytes(network))
    }
}

pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| file.write_all(bytes))?)
}
