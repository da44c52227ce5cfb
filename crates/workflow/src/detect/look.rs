//! One frame: resampled, normalised, seen by the network, read for columns.

use atomlens_analysis::columns::{ColumnSettings, find_columns};
use atomlens_analysis::normalise::normalise;
use atomlens_analysis::resample::resample;
use atomlens_analysis::statistics::InputStatistics;
use atomlens_core::{ConfidenceMap, DetectedColumn};
use atomlens_network::OnnxNetwork;
use ndarray::{Array2, Axis};

use crate::WorkflowError;
use crate::model::Model;

/// What was found in a frame.
#[derive(Debug, Clone)]
pub struct Look {
    /// The columns, in angstrom from the centre of the frame's first pixel.
    pub columns: Vec<DetectedColumn>,
    /// The network's map.
    pub map: ConfidenceMap,
    /// How the frame is unlike those of the training.
    pub warnings: Vec<String>,
}

/// The smallest edge of an image in pixels of the model that says anything.
pub(super) const SMALLEST_EDGE: usize = 16;

/// What frames of one file are looked at with.
#[derive(Debug, Clone)]
pub struct Eye<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its network in the hands of onnxruntime, if that is to compute it.
    pub onnx: Option<&'a OnnxNetwork>,
    /// Pixel size of the frames along x and y.
    pub pixel_angstrom: (f64, f64),
    /// How columns are read from the network's map.
    pub columns: ColumnSettings,
}

impl Eye<'_> {
    /// A frame whose pixels are as long as they are wide: uneven ones are resampled to the smaller edge.
    pub fn on_even_pixels(&self, frame: Array2<f32>) -> Array2<f32> {
        let (x, y) = self.pixel_angstrom;
        if (x / y - 1.0).abs() < 1e-4 { frame } else { resample(frame.view(), (x, y), x.min(y)) }
    }

    /// Looks at a frame.
    ///
    /// # Errors
    /// If onnxruntime fails.
    pub fn look(&self, frame: &Array2<f32>) -> Result<Look, WorkflowError> {
        let Eye { model, pixel_angstrom, .. } = self;
        let target = model.card.pixel_size_angstrom;
        let resampled = resample(frame.view(), *pixel_angstrom, target).insert_axis(Axis(0));
        let normalised = normalise(resampled.view(), target);
        drop(resampled);
        let statistics = InputStatistics::of(frame.view(), normalised.index_axis(Axis(0), 0), target);
        let map = match self.onnx {
            Some(onnx) => onnx.look(normalised.view(), target, &model.card.species)?,
            None => model.network.look(normalised.view(), target, &model.card.species),
        };
        let mut columns = find_columns(&map, &self.columns);
        let (width, height) = (frame.ncols() as f64 - 0.5, frame.nrows() as f64 - 0.5);
        columns.retain(|column| {
            let (x, y) = (column.x_angstrom / pixel_angstrom.0, column.y_angstrom / pixel_angstrom.1);
            (-0.5..width).contains(&x) && (-0.5..height).contains(&y)
        });
        for column in &mut columns {
            column.atoms_sigma *= model.card.atoms_sigma_scale;
        }
        Ok(Look { columns, map, warnings: statistics.outside(&model.card.statistics) })
    }
}
