//! One frame: resampled, normalised, seen by the network, read for columns.
//!
//! A model of several frames sees the frame in the middle of a window, and those before and after it laid on it by the
//! drift ([`Eye::look_window`]); its columns are those of the frame in the middle. Every frame is normalised by itself. A
//! frame that is missing, as at the ends of a movie, and what a frame does not cover, is zero: the local mean, which says
//! nothing. The network was trained with such zeros.
//!
//! A model of focal series sees the images of a series together, laid on each other, in order of increasing underfocus
//! ([`Eye::look_series`]); they share one mean and one scale. It may give the wave behind the specimen besides.

use atomlens_analysis::columns::{ColumnSettings, find_columns_with_species};
use atomlens_analysis::movie::drift::Pose;
use atomlens_analysis::normalise::{normalise, normalise_with_scale};
use atomlens_analysis::resample::{covered, resample, resample_moved};
use atomlens_analysis::statistics::InputStatistics;
use atomlens_core::glam::{DAffine2, DVec2};
use atomlens_core::{ConfidenceMap, DetectedColumn};
use atomlens_network::{Answer, OnnxNetwork};
use ndarray::{Array2, Array3, ArrayView3, Axis, Zip};
use num_complex::Complex;

use crate::WorkflowError;
use crate::model::Model;

/// What was found in a frame.
#[derive(Debug, Clone)]
pub struct Look {
    /// The columns, in angstrom from the centre of the frame's first pixel.
    pub columns: Vec<DetectedColumn>,
    /// The probabilities of their species given that there is a column, shape `[column, species]`.
    pub species: Array2<f64>,
    /// The network's map.
    pub map: ConfidenceMap,
    /// The wave behind the specimen in the middle plane of its columns, relative to the incident wave, if the model gives it: shape
    /// `[y, x]`, on pixels of the model's size ([`ModelCard::pixel_size_angstrom`](crate::model::ModelCard)), the first of which is
    /// centred on that of the frame.
    pub wave: Option<Array2<Complex<f32>>>,
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

/// A frame of a window.
#[derive(Debug, Clone, Copy)]
pub struct Framed<'a> {
    /// The frame, shape `[y, x]`, of the eye's pixels.
    pub image: &'a Array2<f32>,
    /// Where the specimen is in it; the poses of a window share their reference.
    pub pose: Pose,
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
    /// If the model needs several frames, or onnxruntime fails.
    pub fn look(&self, frame: &Array2<f32>) -> Result<Look, WorkflowError> {
        self.needs(1)?;
        let target = self.model.card.pixel_size_angstrom;
        let resampled = resample(frame.view(), self.pixel_angstrom, target).insert_axis(Axis(0));
        let normalised = normalise(resampled.view(), target);
        drop(resampled);
        self.seen(frame, normalised.view(), None)
    }

    /// Looks at the images of a focal series together, in order of increasing underfocus and laid on each other; one that is
    /// missing is `None`, where the model's card says that it may be
    /// ([`SeriesRange::may_lack_images`](crate::model::SeriesRange)). Their counts should be without the camera's offset: the wave's
    /// scale follows the images' contrast. The warnings compare the middle one of those that are there with the training.
    ///
    /// # Errors
    /// If the model needs another number of images, some are missing that it needs, all are, they differ in size, or
    /// onnxruntime fails.
    pub fn look_series(&self, images: &[Option<&Array2<f32>>]) -> Result<Look, WorkflowError> {
        let card = &self.model.card;
        let wrong = |found: String, expected: String| WorkflowError::Setting { what: "focal series", found, expected };
        let needed = card.series.as_ref().map_or(1, |series| series.images);
        let present: Vec<&Array2<f32>> = images.iter().flatten().copied().collect();
        let may_lack = card.series.as_ref().is_some_and(|series| series.may_lack_images);
        if images.len() != needed || present.is_empty() || (present.len() < needed && !may_lack) {
            return Err(wrong(
                format!("{} images, of which {} can be used", images.len(), present.len()),
                format!("{needed}, since the model {} sees so many at different focus together", card.name),
            ));
        }
        if let Some(other) = present.iter().find(|image| image.dim() != present[0].dim()) {
            return Err(wrong(
                format!("images of {:?} and {:?} pixels (y, x)", present[0].dim(), other.dim()),
                "images of one size".to_owned(),
            ));
        }
        let target = card.pixel_size_angstrom;
        let resampled: Vec<Array2<f32>> =
            present.iter().map(|image| resample(image.view(), self.pixel_angstrom, target)).collect();
        let views: Vec<_> = resampled.iter().map(|image| image.view()).collect();
        let series = ndarray::stack(Axis(0), &views).expect("images of one size stay so");
        drop(resampled);
        let normalised = normalise_with_scale(series.view(), target);
        drop(series);
        let mut contrast = normalised.deviation;
        contrast.zip_mut_with(&normalised.mean, |deviation, mean| *deviation /= mean.max(f32::MIN_POSITIVE));
        let (_, ny, nx) = normalised.images.dim();
        let mut seen = Array3::zeros((images.len(), ny, nx));
        let places = (0..images.len()).filter(|&index| images[index].is_some());
        for (place, image) in places.zip(normalised.images.outer_iter()) {
            seen.index_axis_mut(Axis(0), place).assign(&image);
        }
        let middle = present[present.len() / 2];
        self.seen(middle, seen.view(), Some(&contrast))
    }

    /// Looks at the frame in the middle of a window of as many frames, in their order in time, as the model's card says
    /// ([`ModelCard::frames`](crate::model::ModelCard::frames)). A frame that there is not, or that cannot be trusted, is
    /// `None`. The columns are in the coordinates of the frame in the middle.
    ///
    /// # Errors
    /// If the model needs another number of frames, the one in the middle is missing, or onnxruntime fails.
    pub fn look_window(&self, window: &[Option<Framed<'_>>]) -> Result<Look, WorkflowError> {
        self.needs(window.len())?;
        let middle = window.len() / 2;
        let Some(centre) = window[middle] else {
            return Err(WorkflowError::Setting {
                what: "window of frames",
                found: "a window without the frame in its middle".to_owned(),
                expected: "the frame that is looked at".to_owned(),
            });
        };
        let target = self.model.card.pixel_size_angstrom;
        let own = normalised(resample(centre.image.view(), self.pixel_angstrom, target), target);
        let mut frames = Array3::zeros((window.len(), own.nrows(), own.ncols()));
        for (index, mut frame) in frames.outer_iter_mut().enumerate() {
            match window[index] {
                Some(_) if index == middle => frame.assign(&own),
                Some(other) => frame.assign(&self.laid_on(&other, &centre, own.dim())),
                None => {}
            }
        }
        drop(own);
        self.seen(centre.image, frames.view(), None)
    }

    /// A frame as it is where the specimen lies as in `centre`, normalised; zero where it shows nothing.
    fn laid_on(&self, frame: &Framed<'_>, centre: &Framed<'_>, shape: (usize, usize)) -> Array2<f32> {
        let (target, pixel) = (self.model.card.pixel_size_angstrom, self.pixel_angstrom);
        let motion = motion(&centre.pose, &frame.pose);
        let mut laid = normalised(resample_moved(frame.image.view(), pixel, target, shape, motion), target);
        let covered = covered(frame.image.dim(), pixel, target, shape, motion);
        Zip::from(&mut laid).and(&covered).for_each(|value, &covered| {
            if !covered {
                *value = 0.0;
            }
        });
        laid
    }

    /// Refuses a number of frames that is not the model's.
    pub(super) fn needs(&self, frames: usize) -> Result<(), WorkflowError> {
        let (card, needed) = (&self.model.card, self.model.network.architecture().image_channels);
        if frames == needed {
            return Ok(());
        }
        let what_it_sees = match needed {
            1 => "one frame at a time",
            _ if card.frames == 1 => "the images of a focal series together (option --focal-series)",
            _ => {
                "a frame of a movie together with those before and after it; a model of single frames, such as metal-particles, can look at one alone"
            }
        };
        Err(WorkflowError::Setting {
            what: "number of frames",
            found: frames.to_string(),
            expected: format!("{needed}, since the model {} sees {what_it_sees}", card.name),
        })
    }

    /// What the network sees in normalised frames, shape `[frame, y, x]`; `frame` is the one whose columns are looked for,
    /// `contrast` what the wave is relative to.
    fn seen(
        &self,
        frame: &Array2<f32>,
        normalised: ArrayView3<'_, f32>,
        contrast: Option<&Array2<f32>>,
    ) -> Result<Look, WorkflowError> {
        let Eye { model, pixel_angstrom, .. } = self;
        let target = model.card.pixel_size_angstrom;
        let own = (0..normalised.len_of(Axis(0))).map(|index| normalised.index_axis(Axis(0), index));
        // The middle one, or the one beside it where that is missing.
        let middle = normalised.len_of(Axis(0)) / 2;
        let own = own.enumerate().filter(|(_, image)| image.iter().any(|value| *value != 0.0));
        let own = own
            .min_by_key(|(index, _)| index.abs_diff(middle))
            .map_or_else(|| normalised.index_axis(Axis(0), middle), |(_, image)| image);
        let statistics = InputStatistics::of(frame.view(), own, target);
        let Answer { map, wave } = match self.onnx {
            Some(onnx) => onnx.answer(normalised, target, &model.card.species)?,
            None => model.network.answer(normalised, target, &model.card.species),
        };
        let wave = wave.zip(contrast).map(|(wave, contrast)| {
            let parts = wave.index_axis(Axis(0), 0).to_owned();
            let imaginary = wave.index_axis(Axis(0), 1);
            Zip::from(&parts)
                .and(&imaginary)
                .and(contrast)
                .map_collect(|real, imaginary, contrast| Complex::new(1.0 + contrast * real, contrast * imaginary))
        });
        let (mut columns, species) = find_columns_with_species(&map, &self.columns);
        let (width, height) = (frame.ncols() as f64 - 0.5, frame.nrows() as f64 - 0.5);
        let inside: Vec<usize> = (0..columns.len())
            .filter(|&index| {
                let column = &columns[index];
                let (x, y) = (column.x_angstrom / pixel_angstrom.0, column.y_angstrom / pixel_angstrom.1);
                (-0.5..width).contains(&x) && (-0.5..height).contains(&y)
            })
            .collect();
        let species = species.select(Axis(0), &inside);
        columns = inside.into_iter().map(|index| columns[index].clone()).collect();
        for column in &mut columns {
            column.atoms_sigma *= model.card.atoms_sigma_scale;
        }
        Ok(Look { columns, species, map, wave, warnings: statistics.outside(&model.card.statistics) })
    }
}

fn normalised(image: Array2<f32>, pixel_angstrom: f64) -> Array2<f32> {
    normalise(image.insert_axis(Axis(0)).view(), pixel_angstrom).remove_axis(Axis(0)).as_standard_layout().into_owned()
}

/// Where the place of a specimen in the frame of one pose lies in that of another.
fn motion(from: &Pose, to: &Pose) -> DAffine2 {
    let place = |place: DVec2| to.to_frame(from.to_reference(place));
    let turn = to.rotation_rad - from.rotation_rad;
    let linear = if turn == 0.0 { DAffine2::IDENTITY } else { DAffine2::from_angle(turn) };
    DAffine2 { translation: place(DVec2::ZERO), ..linear }
}
