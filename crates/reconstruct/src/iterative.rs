//! The wave and the lens from a focal series, by maximum likelihood with what is known beforehand.
//!
//! 1. The images are brought to a grid that holds what a lens transmits, without the camera's blur (`prepare`).
//! 2. The lens is searched for with linear imaging of a thin specimen (`phase_object`).
//! 3. The wave that explains the images best is found with that lens (`posterior`, `minimise`).
//! 4. With it, the images are freed from what is not linear, and the lens is refined; 3 and 4 in turns.
//!
//! The wave belongs to the plane in which the specimen's amplitude is flattest, its middle: at the exit plane it is that wave
//! propagated by half the thickness, which images with free focus cannot tell. Its constant phase is such that the mean is real.

use ndarray::{Array2, Array3};
use num_complex::Complex;
use serde::{Deserialize, Serialize};

use crate::align::{AlignSettings, LensHypothesis, align};
use crate::camera::{CameraEstimate, estimate_camera};
use crate::forward::{over_frequencies, wave_of};
use crate::lens::{Estimate, LensEstimate, LensPrior, LensState};
use crate::minimise::{Ended, minimise};
use crate::phase_object::{Choice, FREQUENCIES_PER_ANGSTROM, FoundLens, LensSearch, Modes};
use crate::posterior::{Posterior, SlowChanges, WavePrior, pairwise, power_shape};
use crate::prepare::Prepared;
use crate::{FocalSeries, ReconstructError};

/// What the solution may be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is thought of the lens.
    pub lens: LensPrior,
    /// What is thought of the wave.
    pub wave: WavePrior,
    /// The camera, if it is known; else it is estimated from the images' noise.
    pub camera: Option<CameraEstimate>,
    /// Displacements of what the images show against the first one, along x and y in angstrom; else they are measured.
    pub shift_angstrom: Option<Vec<[f64; 2]>>,
    /// Lenses that are worth a look, as aligning found them ([`Alignment::hypotheses`](crate::align::Alignment)), where the displacements
    /// are given; else the images are aligned for them.
    pub lenses: Vec<LensHypothesis>,
    /// Most steps of the last solution.
    pub most_iterations: usize,
    /// The solution ends when a step lowers the function by less than this fraction.
    pub tolerance: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lens: LensPrior::default(),
            wave: WavePrior::default(),
            camera: None,
            shift_angstrom: None,
            lenses: Vec::new(),
            most_iterations: 40,
            tolerance: 1e-4,
        }
    }
}

impl Settings {
    /// Refuses settings that make no sense for a series.
    ///
    /// # Errors
    /// Numbers out of range, and shifts that are not one an image.
    pub fn check(&self, series: &FocalSeries) -> Result<(), ReconstructError> {
        self.lens.check()?;
        self.wave.check()?;
        ReconstructError::positive("tolerance", self.tolerance)?;
        if self.most_iterations == 0 {
            return Err(ReconstructError::OutOfRange { name: "most iterations", found: 0.0, expected: "at least 1" });
        }
        match &self.shift_angstrom {
            Some(shifts) if shifts.len() != series.len() => {
                Err(ReconstructError::ShiftCount { found: shifts.len(), expected: series.len() })
            }
            Some(shifts) if shifts.iter().flatten().any(|value| !value.is_finite()) => {
                let found = *shifts.iter().flatten().find(|value| !value.is_finite()).expect("there is one");
                Err(ReconstructError::OutOfRange { name: "shift in angstrom", found, expected: "a finite number" })
            }
            _ => Ok(()),
        }
    }
}

/// How far the solution is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps taken.
    pub iteration: usize,
    /// Steps that there will be at most.
    pub most_iterations: usize,
    /// The function that is minimised, a pixel and image.
    pub value: f64,
}

/// A wave and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// The wave at the middle of the specimen, shape `[y, x]` on the images' grid; the mean is real and positive.
    pub wave: Array2<Complex<f32>>,
    /// The lens.
    pub lens: LensEstimate,
    /// Displacement of what every image shows, along x and y in angstrom.
    pub shift_angstrom: Vec<[Estimate; 2]>,
    /// The camera.
    pub camera: CameraEstimate,
    /// Model less image in standard deviations of the image's noise at the working grid's pixels (about 0.2 angstrom), shape
    /// `[focus, y, x]` on the images' grid.
    pub residual: Array3<f32>,
    /// Root mean square of the residuals of every image, in standard deviations: about 1 if the model is right.
    pub residual_rms: Vec<f64>,
    /// Standard deviation of the phase of a pixel in radian: noise, and what the images do not tell.
    pub phase_sigma_rad: f64,
    /// Steps taken in all.
    pub iterations: usize,
    /// Whether the last steps gained next to nothing.
    pub converged: bool,
    /// Whether the caller ended it.
    pub stopped: bool,
}

/// Steps of a solution after which the lens is refined.
const STEPS_BETWEEN: usize = 10;

/// Changes of the phase that are slower than this are those of the wave to begin with, in 1 / angstrom.
const START_BELOW_PER_ANGSTROM: f64 = 0.2;

/// Changes of the phase that are slower than this are not stated where there is no wave to begin with.
const NOTHING_BELOW_PER_ANGSTROM: f64 = 0.04;

/// How often the lens is refined before one of several is chosen, and thereafter.
const ROUNDS_TO_CHOOSE: usize = 2;
const ROUNDS: usize = 2;

/// Fraction of the amplitude by which linear imaging is off, before and after the images were freed from what is not linear.
const MODEL_ERROR: [f64; 2] = [0.05, 0.02];

/// What a thin specimen under linear imaging does not tell of the lens, whatever the noise.
struct ModelSigma {
    defocus_angstrom: f64,
    twofold_angstrom: f64,
    c30_angstrom: f64,
    focal_spread_angstrom: f64,
}

/// As found in series of another simulator whose noise matters little (docs/focal-series.md): the scatter about the truth, of focus about the
/// middle plane of the specimen.
const MODEL_SIGMA: ModelSigma =
    ModelSigma { defocus_angstrom: 1.5, twofold_angstrom: 0.7, c30_angstrom: 3.5e3, focal_spread_angstrom: 1.5 };

/// Distance in angstrom up to which a wave to begin with is propagated to the plane of the flattest amplitude.
const START_PLANES: i32 = 15;

/// Variance of the phase, in square radian, with which the prior begins.
const FIRST_PHASE_VARIANCE: f64 = 0.05;

/// Reconstructs the wave and the lens of a series. `start` is a wave to begin with, `[y, x]` on the images' grid.
/// `go_on` is called before every step and ends the work by answering `false`: what was reached is returned.
///
/// # Errors
/// What [`FocalSeries::check`] and [`Settings::check`] refuse, a start of another size, and images whose noise tells no camera.
pub fn reconstruct(
    series: &FocalSeries,
    settings: &Settings,
    start: Option<&Array2<Complex<f32>>>,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Reconstruction, ReconstructError> {
    let (camera, prepared) = prepared(series, settings)?;
    let (start_lens, hypotheses) = starts(series, settings, &camera)?;
    let first = match start {
        Some(start) => start_phase(&prepared, series.wavelength_angstrom(), start)?,
        None => vec![Complex::default(); prepared.fourier.len()],
    };
    let mean = (start.is_some() && settings.wave.start_share < 1.0).then(|| first.clone());
    let mean = mean.as_deref();
    let mut work = Work::new(series, settings, &prepared, &start_lens, mean);
    let pixels = series.images.len() as f64;
    let mut done = 0;
    let stopped = std::cell::Cell::new(false);
    let most_iterations = std::cell::Cell::new(0);
    let mut ask = |done: usize, value: f64| {
        let progress = Progress { iteration: done, most_iterations: most_iterations.get(), value: value / pixels };
        stopped.set(stopped.get() || !go_on(progress));
        !stopped.get()
    };

    // The wave is found shortly with every lens that may be right, and the lens with the likeliest wave is taken.
    let linear = work.modes(Choice::Strongest, &vec![Complex::default(); first.len()], None);
    let candidates = work.search.anywhere(&linear, &hypotheses);
    let several = candidates.len() > 1;
    let rounds = if several { candidates.len() * ROUNDS_TO_CHOOSE } else { 1 } + ROUNDS;
    most_iterations.set(rounds * STEPS_BETWEEN + settings.most_iterations);
    let mut best: Option<(f64, Vec<Complex<f32>>, FoundLens)> = None;
    for candidate in candidates {
        let (mut phase, mut found) = (first.clone(), candidate);
        let mut value = f64::INFINITY;
        for _ in 0..if several { ROUNDS_TO_CHOOSE } else { 1 } {
            found.spread = work.spread(&phase, &found.lens);
            found.lens.focal_spread_angstrom = found.spread.value;
            let mut posterior =
                Posterior::new(&prepared, &found.lens, &settings.wave, work.power, SlowChanges::Held, mean);
            let end = minimise(&mut posterior, &mut phase, STEPS_BETWEEN, settings.tolerance, |step, value| {
                ask(done + step, value)
            });
            done += end.steps;
            value = end.value;
            if end.how == Ended::Stopped {
                break;
            }
            let modes = work.modes(Choice::Strongest, &phase, Some(&found.lens));
            found = FoundLens { spread: found.spread, ..work.search.refined(&modes, &found.lens) };
        }
        if best.as_ref().is_none_or(|(least, ..)| value < *least) {
            best = Some((value, phase, found));
        }
    }
    let (_, mut phase, mut found) = best.expect("the search answers with at least one lens");
    let mut ended = Ended::Stopped;
    for round in 0..=ROUNDS {
        if stopped.get() {
            break;
        }
        work.power = work.measured_power(&phase);
        let last = round == ROUNDS;
        let slow = if round == 0 { SlowChanges::Held } else { SlowChanges::Free };
        let mut posterior = Posterior::new(&prepared, &found.lens, &settings.wave, work.power, slow, mean);
        let steps = if last { settings.most_iterations } else { STEPS_BETWEEN };
        let end =
            minimise(&mut posterior, &mut phase, steps, settings.tolerance, |step, value| ask(done + step, value));
        done += end.steps;
        ended = end.how;
        if !last && ended != Ended::Stopped {
            let spread = work.spread(&phase, &found.lens);
            let modes = work.modes(Choice::Strongest, &phase, Some(&found.lens));
            found = FoundLens { spread, ..work.search.refined(&modes, &found.lens) };
            found.lens.focal_spread_angstrom = spread.value;
        }
    }
    let below_per_angstrom = if mean.is_some() { START_BELOW_PER_ANGSTROM } else { NOTHING_BELOW_PER_ANGSTROM };
    settle_slow_changes(&prepared, &mut phase, mean, below_per_angstrom);
    Ok(work.result(phase, found, camera, done, ended))
}

/// The camera, as given or as its noise tells it, and the images on the working grid.
fn prepared(series: &FocalSeries, settings: &Settings) -> Result<(CameraEstimate, Prepared), ReconstructError> {
    series.check()?;
    settings.check(series)?;
    let camera = match &settings.camera {
        Some(camera) => camera.clone(),
        None => estimate_camera(series)?,
    };
    let prepared = Prepared::new(series, &camera.transfer_curve(), camera.gain_counts_per_electron)?;
    Ok((camera, prepared))
}

/// How far the images are from what a wave that is known beforehand lets expect, under the best of the lenses of the settings: minus twice
/// the logarithm of their likelihood, in units of the misfit that the model leaves anyway. Differences between waves of the same images mean
/// something, the number by itself nothing. `None` if the settings name no lens.
///
/// # Errors
/// As [`reconstruct`].
pub fn misfit_of_wave(
    series: &FocalSeries,
    settings: &Settings,
    wave: &Array2<Complex<f32>>,
) -> Result<Option<f64>, ReconstructError> {
    let (camera, prepared) = prepared(series, settings)?;
    let (start_lens, lenses) = starts(series, settings, &camera)?;
    let known = start_phase(&prepared, series.wavelength_angstrom(), wave)?;
    let work = Work::new(series, settings, &prepared, &start_lens, Some(&known));
    let modes = work.modes(Choice::Strongest, &vec![Complex::default(); known.len()], None);
    Ok(work.search.likeliest(&modes, &lenses))
}

/// Takes changes of the complex phase that are slower than a frequency from a wave to begin with, or takes them out: images near focus
/// hardly show them (`sin chi` is nearly zero there), and what little they show is of the order of what the model leaves out.
fn settle_slow_changes(
    prepared: &Prepared,
    phase: &mut [Complex<f32>],
    mean: Option<&[Complex<f32>]>,
    below_per_angstrom: f64,
) {
    let fourier = &prepared.fourier;
    let slow = over_frequencies(prepared, |kx, ky| (-(kx.hypot(ky) / below_per_angstrom).powi(4)).exp());
    let mut change: Vec<Complex<f32>> = match mean {
        Some(mean) => mean.iter().zip(phase.iter()).map(|(mean, phase)| mean - phase).collect(),
        None => phase.iter().map(|phase| -phase).collect(),
    };
    let mut spectrum = vec![Complex::default(); change.len()];
    fourier.forward(&mut change, &mut spectrum);
    let scale = 1.0 / fourier.len() as f32;
    for (value, slow) in spectrum.iter_mut().zip(&slow) {
        *value *= *slow as f32 * scale;
    }
    fourier.inverse(&mut spectrum, &mut change);
    phase.iter_mut().zip(&change).for_each(|(phase, change)| *phase += change);
}

/// Where the search for the lens begins, and other lenses that are worth a look: those under which the images lie on
/// each other.
fn starts(
    series: &FocalSeries,
    settings: &Settings,
    camera: &CameraEstimate,
) -> Result<(LensState, Vec<LensState>), ReconstructError> {
    let mut start = settings.lens.start(series);
    let lens = |found: &LensHypothesis, shift_angstrom: Vec<[f64; 2]>, start: &LensState| {
        let azimuth = 2.0 * found.phi12_rad;
        let twofold = [found.c12_angstrom * azimuth.cos(), found.c12_angstrom * azimuth.sin()];
        // What is held stays.
        let [a, b] = settings.lens.twofold_angstrom;
        let free = |estimate: Estimate, value: f64| if estimate.sigma > 0.0 { value } else { estimate.value };
        LensState {
            defocus_angstrom: found.defocus_angstrom.clone(),
            twofold_angstrom: [free(a, twofold[0]), free(b, twofold[1])],
            c30_angstrom: free(settings.lens.c30_angstrom, found.cs_angstrom),
            shift_angstrom,
            ..start.clone()
        }
    };
    if let Some(shifts) = &settings.shift_angstrom {
        start.shift_angstrom.clone_from(shifts);
        // A focus that was found with another spherical aberration than the one that is held says nothing.
        let is_free = settings.lens.c30_angstrom.sigma > 0.0;
        let fits = |found: &&LensHypothesis| is_free && found.defocus_angstrom.len() == series.len();
        let fitting = settings.lenses.iter().filter(fits);
        let hypotheses = fitting.map(|found| lens(found, shifts.clone(), &start)).collect();
        return Ok((start, hypotheses));
    }
    if settings.lens.shift_sigma_angstrom == 0.0 {
        return Ok((start, Vec::new()));
    }
    let alignment = align(series, Some(camera), &AlignSettings::default())?;
    let from_first = |shifts: &[[f64; 2]]| -> Vec<[f64; 2]> {
        shifts.iter().map(|[x, y]| [x - shifts[0][0], y - shifts[0][1]]).collect()
    };
    start.shift_angstrom = from_first(&alignment.shift_angstrom);
    let hypotheses =
        alignment.hypotheses.iter().map(|found| lens(found, from_first(&found.shift_angstrom), &start)).collect();
    Ok((start, hypotheses))
}

/// The complex phase of a wave to begin with.
fn start_phase(
    prepared: &Prepared,
    wavelength_angstrom: f64,
    wave: &Array2<Complex<f32>>,
) -> Result<Vec<Complex<f32>>, ReconstructError> {
    let ((found_y, found_x), [expected_y, expected_x]) = (wave.dim(), prepared.image_size());
    if (found_y, found_x) != (expected_y, expected_x) {
        return Err(ReconstructError::Shape { what: "wave to begin with", found_y, found_x, expected_y, expected_x });
    }
    if let Some(((y, x), _)) = wave.indexed_iter().find(|(_, value)| !(value.re.is_finite() && value.im.is_finite())) {
        let count = wave.iter().filter(|value| !(value.re.is_finite() && value.im.is_finite())).count();
        return Err(ReconstructError::StartNotFinite { count, y, x });
    }
    let sum: Complex<f64> = wave.iter().map(|value| Complex::new(f64::from(value.re), f64::from(value.im))).sum();
    let turn = if sum.norm() > 0.0 { sum.conj() / sum.norm() } else { Complex::new(1.0, 0.0) };
    let turn = Complex::new(turn.re as f32, turn.im as f32);
    let mut values = prepared.to_working_grid(wave);
    let fourier = &prepared.fourier;
    let mut spectrum = vec![Complex::default(); values.len()];
    fourier.forward(&mut values, &mut spectrum);
    let scale = turn / fourier.len() as f32;
    let squared = over_frequencies(prepared, |kx, ky| kx * kx + ky * ky);
    let mut propagated = |distance_angstrom: f64| -> Vec<Complex<f32>> {
        let factor = -std::f64::consts::PI * wavelength_angstrom * distance_angstrom;
        let mut part: Vec<Complex<f32>> = spectrum
            .iter()
            .zip(&squared)
            .map(|(value, squared)| {
                let (sin, cos) = (factor * squared).sin_cos();
                value * scale * Complex::new(cos as f32, sin as f32)
            })
            .collect();
        fourier.inverse(&mut part, &mut values);
        values.clone()
    };
    // To the plane in which the amplitude is flattest, as the solution has it.
    let unevenness = |wave: &[Complex<f32>]| -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in wave {
            let modulus = f64::from(value.norm());
            sum += modulus;
            squares += modulus * modulus;
        }
        squares / wave.len() as f64 - (sum / wave.len() as f64).powi(2)
    };
    let (_, mut phase) = (-START_PLANES..=START_PLANES)
        .map(|plane| {
            let wave = propagated(f64::from(plane));
            (unevenness(&wave), wave)
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .expect("at least one plane");
    for value in &mut phase {
        let (modulus, angle) = value.to_polar();
        *value = Complex::new(angle, -modulus.max(1e-3).ln());
    }
    // Zero is the phase of the vacuum, which is the lowest.
    let mut angles: Vec<f32> = phase.iter().map(|value| value.re).collect();
    let tenth = angles.len() / 10;
    let (_, lowest, _) = angles.select_nth_unstable_by(tenth, f32::total_cmp);
    let lowest = *lowest;
    phase.iter_mut().for_each(|value| value.re -= lowest);
    Ok(phase)
}

/// What stays while the wave is being found.
struct Work<'a> {
    settings: &'a Settings,
    prepared: &'a Prepared,
    search: LensSearch,
    /// Spectra of the phase and the logarithmic amplitude of a wave that is known beforehand, seen through the window.
    expected: Option<[Vec<Complex<f32>>; 2]>,
    /// Factor of the prior's power.
    power: f64,
}

impl<'a> Work<'a> {
    /// `start` is the lens to begin with, `known` the complex phase of a wave that is known beforehand.
    fn new(
        series: &FocalSeries,
        settings: &'a Settings,
        prepared: &'a Prepared,
        start: &LensState,
        known: Option<&[Complex<f32>]>,
    ) -> Work<'a> {
        let search = LensSearch::new(series, &settings.lens, start);
        let mut work = Work { settings, prepared, search, expected: None, power: 1.0 };
        work.power = FIRST_PHASE_VARIANCE / work.mean_of_shape(|_| true).0;
        let window = work.window();
        work.expected = known.map(|known| {
            [|value: &Complex<f32>| value.re, |value: &Complex<f32>| value.im]
                .map(|part| work.spectrum(&known.iter().map(part).collect::<Vec<f32>>(), &window))
        });
        work
    }

    /// The spectrum of what differs from the mean within the window.
    fn spectrum(&self, image: &[f32], window: &[f32]) -> Vec<Complex<f32>> {
        let mean = image.iter().zip(window).map(|(v, w)| f64::from(v * w)).sum::<f64>()
            / window.iter().map(|w| f64::from(*w)).sum::<f64>();
        let mut values: Vec<Complex<f32>> =
            image.iter().zip(window).map(|(pixel, window)| Complex::new((pixel - mean as f32) * window, 0.0)).collect();
        let mut spectrum = vec![Complex::default(); values.len()];
        self.prepared.fourier.forward(&mut values, &mut spectrum);
        spectrum
    }

    /// The focal spread for which the images' power falls with frequency as that of atoms.
    fn spread(&self, phase: &[Complex<f32>], lens: &LensState) -> Estimate {
        let prior = self.settings.lens.focal_spread_angstrom;
        if prior.sigma == 0.0 {
            return prior;
        }
        let longest = self.longest_angstrom();
        self.modes(Choice::Even, phase, Some(lens)).focal_spread(lens, prior, |k| power_shape(k, longest))
    }

    fn longest_angstrom(&self) -> f64 {
        self.prepared.grid.field_x_angstrom().max(self.prepared.grid.field_y_angstrom())
    }

    /// Mean of the prior's shape over the frequencies that are taken, as a part of all frequencies, and how many they are.
    fn mean_of_shape(&self, take: impl Fn(f64) -> bool) -> (f64, usize) {
        let grid = &self.prepared.grid;
        let longest = self.longest_angstrom();
        let (mut sum, mut count) = (0.0, 0);
        for kx in grid.frequencies_x() {
            for ky in grid.frequencies_y() {
                let k = kx.hypot(ky);
                if k > 0.0 && take(k) {
                    sum += power_shape(k, longest);
                    count += 1;
                }
            }
        }
        (sum / grid.pixels() as f64, count)
    }

    /// The factor of the prior's power that fits a phase, at frequencies at which images speak.
    fn measured_power(&self, phase: &[Complex<f32>]) -> f64 {
        let grid = &self.prepared.grid;
        let fourier = &self.prepared.fourier;
        let mut values: Vec<Complex<f32>> = phase.iter().map(|value| Complex::new(value.re, 0.0)).collect();
        let mut spectrum = vec![Complex::default(); values.len()];
        fourier.forward(&mut values, &mut spectrum);
        let longest = self.longest_angstrom();
        let ky = grid.frequencies_y();
        let (mut sum, mut count) = (0.0, 0);
        for (i, kx) in grid.frequencies_x().into_iter().enumerate() {
            for (j, ky) in ky.iter().enumerate() {
                let k = kx.hypot(*ky);
                if (0.15..0.9).contains(&k) {
                    sum += f64::from(spectrum[i * fourier.ny + j].norm_sqr()) / power_shape(k, longest);
                    count += 1;
                }
            }
        }
        // The margin is empty.
        let inside = self.prepared.weight.iter().map(|weight| f64::from(*weight)).sum::<f64>() / values.len() as f64;
        (sum / count.max(1) as f64 / values.len() as f64 / inside.max(0.1)).max(1e-6)
    }

    /// Frequencies of the images, freed from what is not linear in the wave's complex phase if a lens is given.
    fn modes(&self, choice: Choice, phase: &[Complex<f32>], lens: Option<&LensState>) -> Modes {
        let prepared = self.prepared;
        let (fourier, grid) = (&prepared.fourier, &prepared.grid);
        let count = fourier.len();
        let window = self.window();
        let mut linear: Vec<Vec<f32>> =
            prepared.intensity.iter().map(|image| image.iter().map(|v| v - 1.0).collect()).collect();
        if let Some(lens) = lens {
            let mut model = crate::forward::ForwardModel::new(prepared, lens);
            model.images(phase, |image, values| {
                for (out, value) in linear[image].iter_mut().zip(values) {
                    *out += 1.0 - value.re;
                }
            });
            let mut values = phase.to_vec();
            let (mut spectrum, mut part) = (vec![Complex::default(); count], vec![Complex::default(); count]);
            fourier.forward(&mut values, &mut spectrum);
            let (kx, ky) = (grid.frequencies_x(), grid.frequencies_y());
            for (image, out) in linear.iter_mut().enumerate() {
                pairwise(&spectrum, &mut part, fourier.ny, |index, own, opposite| {
                    let (kx, ky) = (kx[index / fourier.ny], ky[index % fourier.ny]);
                    let (phi, a) = ((own + opposite) * 0.5, (own - opposite) * Complex::new(0.0, -0.5));
                    let (sin, cos) = lens.chi_rad(image, kx, ky).sin_cos();
                    let k = kx.hypot(ky);
                    let strength = 2.0 * lens.envelope(k) * lens.blur(k) / count as f64;
                    let (back, turn) = lens.shift_phase_rad(image, kx, ky).sin_cos();
                    let turn = Complex::new(turn as f32, -back as f32);
                    ((phi * (strength * sin) as f32 - a * (strength * cos) as f32) * turn, 0.0)
                });
                fourier.inverse(&mut part, &mut values);
                for (out, value) in out.iter_mut().zip(&values) {
                    *out += value.re;
                }
            }
        }
        let spectra: Vec<Vec<Complex<f32>>> = linear.into_iter().map(|image| self.spectrum(&image, &window)).collect();
        let noise = prepared.noise_variance * window.iter().map(|w| f64::from(w * w)).sum::<f64>();
        let (kx, ky) = (grid.frequencies_x(), grid.frequencies_y());
        let model_error = MODEL_ERROR[usize::from(lens.is_some())];
        let share = self.settings.wave.share(FREQUENCIES_PER_ANGSTROM[1]);
        Modes::new(&spectra, self.expected.as_ref(), [&kx, &ky], choice, noise, model_error, share)
    }

    /// A window that falls to zero at the images' borders over a tenth of the field.
    fn window(&self) -> Vec<f32> {
        let prepared = self.prepared;
        let (nx, ny) = (prepared.grid.nx, prepared.grid.ny);
        let along = |line: Vec<f32>| -> Vec<f32> {
            let first = line.iter().position(|w| *w > 0.0).unwrap_or(0);
            let last = line.iter().rposition(|w| *w > 0.0).unwrap_or(line.len() - 1);
            let edge = (0.1 * (last - first + 1) as f32).max(1.0);
            (0..line.len())
                .map(|index| {
                    if index < first || index > last {
                        return 0.0;
                    }
                    let depth = ((index - first).min(last - index) as f32 + 0.5) / edge;
                    0.5 * (1.0 - (std::f32::consts::PI * depth.min(1.0)).cos())
                })
                .collect()
        };
        let along_y = along((0..ny).map(|y| prepared.weight[y * nx + nx / 2]).collect());
        let along_x = along((0..nx).map(|x| prepared.weight[ny / 2 * nx + x]).collect());
        along_y.iter().flat_map(|y| along_x.iter().map(move |x| y * x)).collect()
    }

    fn result(
        &self,
        phase: Vec<Complex<f32>>,
        found: FoundLens,
        camera: CameraEstimate,
        iterations: usize,
        ended: Ended,
    ) -> Reconstruction {
        let prepared = self.prepared;
        let mut posterior =
            Posterior::new(prepared, &found.lens, &self.settings.wave, self.power, SlowChanges::Free, None);
        let phase_sigma_rad = posterior.phase_variance().sqrt();
        let scale = (1.0 / prepared.noise_variance.sqrt()) as f32;
        let [ny, nx] = prepared.image_size();
        let mut residual = Array3::zeros((found.lens.defocus_angstrom.len(), ny, nx));
        let mut residual_rms = Vec::new();
        let inside: f64 = prepared.weight.iter().map(|w| f64::from(*w)).sum();
        posterior.model().images(&phase, |image, values| {
            let difference: Vec<Complex<f32>> = values
                .iter()
                .zip(&prepared.intensity[image])
                .map(|(value, measured)| Complex::new((value.re - measured) * scale, 0.0))
                .collect();
            let sum: f64 = difference.iter().zip(&prepared.weight).map(|(d, w)| f64::from(d.re * d.re * w)).sum();
            residual_rms.push((sum / inside).sqrt());
            residual.index_axis_mut(ndarray::Axis(0), image).assign(&prepared.to_image(&difference).mapv(|v| v.re));
        });
        let wave: Vec<Complex<f32>> = phase.into_iter().map(wave_of).collect();
        let mut wave = prepared.to_image(&wave);
        let sum: Complex<f64> = wave.iter().map(|v| Complex::new(f64::from(v.re), f64::from(v.im))).sum();
        let turn = sum.conj() / sum.norm();
        wave.mapv_inplace(|value| value * Complex::new(turn.re as f32, turn.im as f32));
        let lens = &found.lens;
        let [a, b] = lens.twofold_angstrom;
        let c12 = a.hypot(b);
        // What is held has no standard deviation.
        let with_model = |sigma: f64, of_model: f64| if sigma > 0.0 { sigma.hypot(of_model) } else { 0.0 };
        let [sigma_a, sigma_b] = found.twofold_sigma.map(|sigma| with_model(sigma, MODEL_SIGMA.twofold_angstrom));
        let across = if c12 > 0.0 { (a * sigma_b).hypot(b * sigma_a) / c12 } else { sigma_a.max(sigma_b) };
        let along = if c12 > 0.0 { (a * sigma_a).hypot(b * sigma_b) / c12 } else { sigma_a.max(sigma_b) };
        let held = |value: f64| Estimate::new(value, 0.0);
        Reconstruction {
            wave,
            lens: LensEstimate {
                defocus_angstrom: lens
                    .defocus_angstrom
                    .iter()
                    .zip(&found.defocus_sigma)
                    .map(|(value, sigma)| Estimate::new(*value, with_model(*sigma, MODEL_SIGMA.defocus_angstrom)))
                    .collect(),
                c12_angstrom: Estimate::new(c12, along),
                phi12_rad: Estimate::new(
                    (0.5 * b.atan2(a)).rem_euclid(std::f64::consts::PI),
                    // Half the angle of the vector; all is possible if the vector is not told from zero.
                    (0.5 * across / c12.max(1e-9)).min(0.5 * std::f64::consts::PI),
                ),
                c30_angstrom: Estimate::new(lens.c30_angstrom, with_model(found.c30_sigma, MODEL_SIGMA.c30_angstrom)),
                focal_spread_angstrom: Estimate::new(
                    found.spread.value,
                    with_model(found.spread.sigma, MODEL_SIGMA.focal_spread_angstrom),
                ),
                blur_angstrom: held(lens.blur_angstrom),
            },
            shift_angstrom: lens
                .shift_angstrom
                .iter()
                .zip(&found.shift_sigma)
                .map(|([x, y], [sx, sy])| [Estimate::new(*x, *sx), Estimate::new(*y, *sy)])
                .collect(),
            camera,
            residual,
            residual_rms,
            phase_sigma_rad,
            iterations,
            converged: ended == Ended::Converged,
            stopped: ended == Ended::Stopped,
        }
    }
}
