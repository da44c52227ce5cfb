//! Endless training pairs: of several recipes, brought to what a detector sees, with the answer it should give.
//!
//! A [`Mixture`] names recipes and how often each is followed. An image goes the way of an image that is analysed: it is
//! counted at a native pixel size of its own, resampled to [`PIXEL_ANGSTROM`] and normalised as a whole; then a square is
//! cut from it and turned or mirrored at random, together with the truth. One exit wave serves several pairs, each with
//! lenses, camera, dose, pixel size, cut and orientation of its own.
//!
//! Some specimens are changed first: `blank_fraction` of them lose their body, so that only a film or nothing is
//! left; in the others columns at the edge are taken away or thinned, as surface sites of a movie come and go.
//!
//! With a `[window]` a pair shows frames of a movie instead of one image, of which the answer is that of the one in the middle. Some
//! columns at the edge come and go, each on its own: two exit waves are made, with and without them, and a frame's wave is
//! the one or the other near each of them. All frames have the same lenses and noise of their own; those beside the
//! middle are laid on it with an error of the drift; every frame is normalised by itself; frames that are missing, and what a frame does not
//! cover, are zero.
//!
//! The pairs depend on mixture, seed and the stream's `rotation` alone. Every recipe draws from the mixture's seed and
//! its own name, so a recipe that is added or reweighted leaves the draws of the others alone.

mod edge;
mod frames;
pub mod mixture;
mod pair;
pub mod target;
mod wave;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::Array3;

pub use self::mixture::{EdgeSettings, Mixture, PartSettings, SwitchingSettings, WindowSettings};
use self::pair::Pairs;
pub use self::target::{Labels, Target, TrueColumn};
use crate::background::Background;
use crate::{DatasetError, StreamSettings};

/// Distance between the pixels of a training image, in angstrom.
pub const PIXEL_ANGSTROM: f64 = 0.2;

/// Edge of a cell of the target, in angstrom: two pixels.
pub const CELL_ANGSTROM: f64 = 2.0 * PIXEL_ANGSTROM;

/// An image and the answer that a detector should give.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingPair {
    /// The image, focal series or window of frames, normalised, shape `[image, y, x]`, of square pixels of
    /// [`PIXEL_ANGSTROM`].
    pub input: Array3<f32>,
    /// The answer.
    pub target: Target,
    /// The deviation of the wave behind the specimen from 1 on the pixels of the image, real and imaginary part, shape `[2, y, x]`,
    /// over the contrast that normalising took out of the images; `None` where the mixture does not ask for it.
    pub wave: Option<Array3<f32>>,
    /// What was drawn.
    pub drawn: TrainingDrawn,
}

/// The numbers drawn for a training pair.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingDrawn {
    /// Number of the pair in its stream.
    pub index: u64,
    /// Number of the specimen.
    pub specimen: u64,
    /// Name of the recipe.
    pub recipe: Arc<str>,
    /// Distance between the pixels of the camera, in angstrom.
    pub native_pixel_angstrom: f64,
    /// Kinetic energy in keV.
    pub energy_kev: f64,
    /// Defocus of each image, underfocus positive.
    pub defocus_angstrom: Vec<f64>,
    /// Spherical aberration.
    pub cs_angstrom: f64,
    /// Electrons per square angstrom in each image.
    pub dose_e_per_a2: f64,
}

impl StreamSettings {
    /// Settings for training: so many specimens take turns that a batch hardly shows one twice.
    pub fn for_training(threads: usize) -> StreamSettings {
        StreamSettings { threads, rotation: 32, look_ahead: 64, ..StreamSettings::default() }
    }
}

/// An endless stream of training pairs, in order, made in the background. Dropping it stops the workers.
///
/// ```no_run
/// # use atomlens_dataset::{Mixture, StreamSettings, TrainingStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mixture = Mixture::bundled("metal-particles")?;
/// for pair in TrainingStream::new(&mixture, 42, StreamSettings::for_training(2))?.take(1000) {
///     let pair = pair?;
///     println!("{} columns", pair.target.columns.len());
/// }
/// # Ok(()) }
/// ```
pub struct TrainingStream(Background<Pairs>);

impl TrainingStream {
    /// Starts the workers.
    ///
    /// # Errors
    /// A mixture or a recipe with impossible values, or recipes whose images do not fit together.
    pub fn new(mixture: &Mixture, seed: u64, settings: StreamSettings) -> Result<TrainingStream, DatasetError> {
        TrainingStream::cancellable(mixture, seed, settings, Arc::default())
    }

    /// Starts the workers; once `cancelled` is set, pairs that are not ready come as [`DatasetError::Stopped`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn cancellable(
        mixture: &Mixture,
        seed: u64,
        settings: StreamSettings,
        cancelled: Arc<AtomicBool>,
    ) -> Result<TrainingStream, DatasetError> {
        let pairs = Pairs::new(mixture, seed)?;
        Ok(TrainingStream(Background::new(pairs, settings, cancelled, "pair")))
    }

    /// Number of pairs that are made and wait to be asked for.
    pub fn ready_count(&self) -> usize {
        self.0.ready_count()
    }
}

impl Iterator for TrainingStream {
    type Item = Result<TrainingPair, Arc<DatasetError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;

    use super::*;

    /// Small gold particles in a well-set microscope, atoms all of one contrast.
    fn mixture() -> Mixture {
        let recipe = "
            name = 'gold'
            [image]
            pixels = 100
            pixel_size_angstrom = 0.3
            margin_angstrom = 0
            [wave]
            energy_kev = 300
            sampling_angstrom = 0.2
            slice_thickness_angstrom = 2
            [specimen.body]
            kind = 'nanoparticle'
            element = 'Au'
            radius_angstrom = 6
            [specimen.stage]
            tilt_degree = 0
            margin_angstrom = 2
            [optics]
            defocus_angstrom = 60
            cs_angstrom = -8e4
            focal_spread = { one_over_e_angstrom = 30 }
            [camera]
            dose_e_per_a2 = 1e5";
        let text = "
            name = 'test'
            description = 'a mixture of one'
            labels = 'particle'
            field_px = 120
            images_per_wave = 4
            pixel_size_angstrom = { uniform = [0.1, 0.25] }
            [[part]]
            recipe = 'gold'
            weight = 1";
        Mixture::parse(text, &|name| (name == "gold").then(|| recipe.to_owned())).unwrap()
    }

    fn pairs(threads: usize, count: usize) -> Vec<TrainingPair> {
        let settings = StreamSettings { rotation: 3, ..StreamSettings::for_training(threads) };
        let stream = TrainingStream::new(&mixture(), 5, settings).unwrap();
        stream.take(count).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_truth_lies_on_the_atoms_whichever_way_the_image_is_turned() {
        let mut seen = 0;
        for pair in pairs(2, 24) {
            assert_eq!(pair.input.dim(), (1, 120, 120));
            assert_eq!(pair.target.share.dim(), (2, 60, 60));
            let at = |dx: f64, dy: f64| {
                let values = pair.target.columns.iter().filter_map(|column| {
                    let x = ((column.x_angstrom + dx) / PIXEL_ANGSTROM).round() as usize;
                    let y = ((column.y_angstrom + dy) / PIXEL_ANGSTROM).round() as usize;
                    pair.input.get([0, y, x]).map(|value| f64::from(*value))
                });
                let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
                sum / count
            };
            if pair.target.columns.len() < 12 {
                continue;
            }
            seen += 1;
            let on_atoms = at(0.0, 0.0);
            for (dx, dy) in [(0.8, 0.0), (-0.8, 0.0), (0.0, 0.8), (0.0, -0.8)] {
                let beside = at(dx, dy);
                assert!(
                    on_atoms.abs() > 1.5 * beside.abs() && on_atoms.abs() > 0.8,
                    "{on_atoms:.2} on the atoms, {beside:.2} beside them"
                );
            }
        }
        assert!(seen > 12, "{seen} pairs with enough columns");
    }

    /// Windows of the same particles, all of whose columns at the edge come and go at a rate, without noise to speak of.
    fn windows(rate: f64) -> Vec<TrainingPair> {
        let mut mixture = mixture();
        mixture.window = Some(WindowSettings {
            frames: 5,
            misalignment_angstrom: 0.0.into(),
            misplaced_fraction: 0.0,
            cut_short_fraction: 0.0,
            missing_fraction: 0.0,
            moving_fraction: 0.0,
        });
        mixture.parts[0].settings.switching = SwitchingSettings {
            columns_fraction: 1.0.into(),
            thinned_fraction: 0.0.into(),
            rate_per_frame: rate.into(),
        };
        let settings = StreamSettings { rotation: 3, ..StreamSettings::for_training(2) };
        TrainingStream::new(&mixture, 5, settings).unwrap().take(12).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_truth_of_a_window_is_that_of_its_middle() {
        let distance = |pair: &TrainingPair, a: usize, b: usize| {
            let (a, b) = (pair.input.index_axis(Axis(0), a), pair.input.index_axis(Axis(0), b));
            (&a - &b).mapv(|difference| difference * difference).mean().unwrap()
        };
        let (still, alternating) = (windows(0.0), windows(1.0));
        for (still, alternating) in still.iter().zip(&alternating) {
            assert_eq!(still.input.dim(), (5, 120, 120));
            // The same columns in every frame, or in every other one; the particle and the middle frame are the same.
            assert_eq!(still.target, alternating.target);
            assert!(distance(still, 2, 1) < 0.05 && distance(still, 2, 4) < 0.05);
            assert!(distance(alternating, 2, 4) < 0.05 && distance(alternating, 1, 3) < 0.05);
        }
        // On the columns of the middle frame there is less in those frames that have not all of them.
        let mut on_columns = [0.0; 5];
        for pair in &alternating {
            for column in &pair.target.columns {
                let [x, y] =
                    [column.x_angstrom, column.y_angstrom].map(|place| (place / PIXEL_ANGSTROM).round() as usize);
                for (frame, sum) in on_columns.iter_mut().enumerate() {
                    *sum += pair.input.get([frame, y, x]).map_or(0.0, |value| f64::from(value.abs()));
                }
            }
        }
        assert!(on_columns[1] < 0.9 * on_columns[2] && on_columns[3] < 0.9 * on_columns[2], "{on_columns:?}");
        assert!((on_columns[0] / on_columns[2] - 1.0).abs() < 0.02, "{on_columns:?}");
        let different = alternating.iter().filter(|pair| distance(pair, 1, 2) > 0.1).count();
        assert!(different > 6, "{different}");
    }

    #[test]
    fn threads_do_not_matter_and_images_of_a_specimen_differ() {
        let one = pairs(1, 12);
        assert_eq!(one, pairs(3, 12));
        let specimens: std::collections::BTreeSet<u64> = one.iter().map(|pair| pair.drawn.specimen).collect();
        assert!(specimens.len() < 12 && specimens.len() > 2);
        assert!(one.iter().skip(1).all(|pair| pair.input != one[0].input));
    }
}
