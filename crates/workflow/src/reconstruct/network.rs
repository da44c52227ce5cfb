//! The wave that a network sees in three images, on the pixels of the images.

use atomlens_analysis::resample::resample_moved;
use atomlens_core::glam::DAffine2;
use ndarray::{Array2, Zip};
use num_complex::Complex32;

use crate::WorkflowError;
use crate::detect::choose::Choice;
use crate::detect::look::Eye;
use crate::series::Placed;

/// A wave, shape `[y, x]` on the pixels of the reference image, and how the images are unlike those of the network's training.
pub(super) fn wave(choice: &Choice, placed: &Placed) -> Result<(Array2<Complex32>, Vec<String>), WorkflowError> {
    let card = &choice.model.card;
    let pixel = placed.series.pixel_angstrom;
    let eye = Eye { model: &choice.model, onnx: None, pixel_angstrom: (pixel, pixel), columns: card.columns.clone() };
    let aligned: Vec<Array2<f32>> = placed.aligned()?.outer_iter().map(|image| image.to_owned()).collect();
    let seen = placed.window(card.series.as_ref().map_or(1, |series| series.images));
    let window: Vec<Option<&Array2<f32>>> = seen.iter().map(|image| image.map(|index| &aligned[index])).collect();
    let look = eye.look_series(&window)?;
    let Some(coarse) = look.wave else {
        return Err(WorkflowError::Setting {
            what: "--model",
            found: format!("{}, which gives no wave", choice.name),
            expected: "a model that was trained to give the exit wave, such as layer-series".to_owned(),
        });
    };
    let target = card.pixel_size_angstrom;
    let (_, ny, nx) = placed.series.images.dim();
    let fine = |part: Array2<f32>| resample_moved(part.view(), (target, target), pixel, (ny, nx), DAffine2::IDENTITY);
    let (real, imaginary) = (fine(coarse.mapv(|value| value.re)), fine(coarse.mapv(|value| value.im)));
    let wave = Zip::from(&real).and(&imaginary).map_collect(|re, im| Complex32::new(*re, *im));
    Ok((wave, look.warnings))
}
