//! The wave that a network sees in the images of a series, and what it says of the direction of their focus.
//!
//! The conjugate wave explains the images with all focus reversed as well as the wave itself, so that the images of a thin object alone tell the
//! direction only by the sign of the phase: atoms advance it. Where that is not clear by itself, the network looks at the images in
//! either order, and what it sees has to explain the images.

use atomlens_analysis::resample::resample_moved;
use atomlens_core::glam::DAffine2;
use atomlens_reconstruct::{FocalSeries, LensHypothesis, Settings, misfit_of_wave};
use ndarray::{Array2, Array3, Zip, s};
use num_complex::Complex32;

use super::Placed;
use crate::WorkflowError;
use crate::detect::choose::Choice;
use crate::detect::look::Eye;

/// By how much the given order has to score higher than the other one ([`Alignment::reversal`](atomlens_reconstruct::Alignment)) to be beyond
/// doubt.
const CLEAR: f64 = 0.08;

/// Skewness of the phase, under the likeliest lens, from which on it is where the focus is known so well that the other order is impossible.
const CLEAR_SKEWNESS: f64 = 1.2;

/// Extent of the field that is looked at in either order.
const FIELD_ANGSTROM: f64 = 60.0;

/// By how much more likely the images have to be in the other order, in minus twice the logarithm of the likelihood. With electrons enough the
/// right order wins by 1500 to 5000; at a few hundred per square angstrom either may by 400, since then the lens is not known well enough, and
/// nothing is said.
const CONTRADICTION: f64 = 800.0;

/// A wave, shape `[y, x]` on the pixels of the reference image, and how the images are unlike those of the network's training.
///
/// # Errors
/// A model that gives no wave, and images of which nobody knows where they lie.
pub(crate) fn wave_of(choice: &Choice, placed: &Placed) -> Result<(Array2<Complex32>, Vec<String>), WorkflowError> {
    let images: Vec<Array2<f32>> = placed.aligned()?.outer_iter().map(|image| image.to_owned()).collect();
    seen(choice, placed, &images, false)
}

/// The wave of images that lie on one another, those of `placed` or a part of each; `reversed`: as if the focus ran the other way.
fn seen(
    choice: &Choice,
    placed: &Placed,
    images: &[Array2<f32>],
    reversed: bool,
) -> Result<(Array2<Complex32>, Vec<String>), WorkflowError> {
    let card = &choice.model.card;
    let pixel = placed.series.pixel_angstrom;
    let eye = Eye { model: &choice.model, onnx: None, pixel_angstrom: (pixel, pixel), columns: card.columns.clone() };
    let mut order = placed.window(card.series.as_ref().map_or(1, |series| series.images));
    if reversed {
        order.reverse();
    }
    let window: Vec<Option<&Array2<f32>>> = order.iter().map(|image| image.map(|index| &images[index])).collect();
    let look = eye.look_series(&window)?;
    let Some(coarse) = look.wave else {
        return Err(WorkflowError::Setting {
            what: "--model",
            found: format!("{}, which gives no wave", choice.name),
            expected: "a model that was trained to give the exit wave, such as layer-series".to_owned(),
        });
    };
    let target = card.pixel_size_angstrom;
    let size = images[0].dim();
    let fine = |part: Array2<f32>| resample_moved(part.view(), (target, target), pixel, size, DAffine2::IDENTITY);
    let (real, imaginary) = (fine(coarse.mapv(|value| value.re)), fine(coarse.mapv(|value| value.im)));
    let wave = Zip::from(&real).and(&imaginary).map_collect(|re, im| Complex32::new(*re, *im));
    Ok((wave, look.warnings))
}

/// Refuses steps of focus of the wrong sign that the images by themselves leave open.
///
/// # Errors
/// [`SeriesError::WrongSign`](super::SeriesError::WrongSign), and what [`wave_of`] refuses.
pub(crate) fn check_sign(choice: &Choice, placed: &Placed) -> Result<(), WorkflowError> {
    let lenses = &placed.alignment.hypotheses;
    let Some(best) = lenses.first() else { return Ok(()) };
    let reversal = placed.alignment.reversal;
    let is_clear = if reversal == 0.0 { best.skewness >= CLEAR_SKEWNESS } else { reversal <= -CLEAR };
    if is_clear || !choice.model.network.architecture().wave {
        return Ok(());
    }
    let images = middle(&placed.aligned()?, placed.series.pixel_angstrom);
    let parts: Vec<Array2<f32>> = images.outer_iter().map(|image| image.to_owned()).collect();
    let misfit = |sign: f64| -> Result<Option<f64>, WorkflowError> {
        let (wave, _) = seen(choice, placed, &parts, sign < 0.0)?;
        let series = FocalSeries {
            images: images.clone(),
            defocus_angstrom: placed.series.defocus_angstrom.iter().map(|defocus| sign * defocus).collect(),
            ..placed.series
        };
        let settings = Settings {
            camera: placed.camera.clone(),
            shift_angstrom: Some(vec![[0.0; 2]; series.len()]),
            lenses: if sign < 0.0 { lenses.iter().map(mirrored).collect() } else { lenses.clone() },
            ..Settings::default()
        };
        // Images that are too few or too small for this say nothing.
        Ok(misfit_of_wave(&series, &settings, &wave).ok().flatten())
    };
    let (Some(given), Some(reversed)) = (misfit(1.0)?, misfit(-1.0)?) else { return Ok(()) };
    if given - reversed < CONTRADICTION {
        return Ok(());
    }
    Err(placed.wrong_sign(format!(
        "what the model {} sees in the images in the other order explains them better (by {:.0} in minus twice the logarithm of the likelihood)",
        choice.name,
        given - reversed
    )))
}

/// The middle of the images.
fn middle(images: &Array3<f32>, pixel_angstrom: f64) -> Array3<f32> {
    let most = (FIELD_ANGSTROM / pixel_angstrom) as usize;
    let (_, ny, nx) = images.dim();
    let [(y, height), (x, width)] = [ny, nx].map(|length| {
        let taken = length.min(most);
        ((length - taken) / 2, taken)
    });
    images.slice(s![.., y..y + height, x..x + width]).to_owned()
}

/// The lens under which the conjugate wave makes the same images.
fn mirrored(lens: &LensHypothesis) -> LensHypothesis {
    LensHypothesis {
        defocus_angstrom: lens.defocus_angstrom.iter().map(|defocus| -defocus).collect(),
        cs_angstrom: -lens.cs_angstrom,
        phi12_rad: lens.phi12_rad + std::f64::consts::FRAC_PI_2,
        skewness: -lens.skewness,
        ..lens.clone()
    }
}
