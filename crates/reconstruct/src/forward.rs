//! Images from a wave, and how they change with it.
//!
//! `I_j = B * |F^-1[psi exp(-i chi_j) E]|^2`: the aberrations of the lens, the envelope of its focal spread, and the blur of
//! the intensity before it is counted (vibration, drift), a Gaussian. The camera's own blur is taken out of the images
//! beforehand, so that their noise is white.
//!
//! The unknown is the complex phase `Phi = phi + i a` of the wave, `psi = exp(i Phi)`: `phi` is the phase that a specimen
//! adds and `exp(-a)` the amplitude that it leaves, two numbers of which more can be said beforehand than of real and imaginary
//! part. With `d psi = i psi d Phi`, the gradient is `g = conj(i psi) F^-1[sum_j conj(t_j) F[2 r_j w_j]]` for residuals
//! `r_j` (weighted by their inverse variance) and waves `w_j` at the detector: as in E. J. Kirkland, Ultramicroscopy 15, 151
//! (1984), doi:10.1016/0304-3991(84)90037-8, and W. M. J. Coene et al., Ultramicroscopy 64, 109 (1996),
//! doi:10.1016/0304-3991(96)00010-1.

use std::f64::consts::PI;

use num_complex::Complex;
use rayon::prelude::*;

use crate::fourier::Fourier;
use crate::lens::LensState;
use crate::prepare::Prepared;

/// Elements that a thread works on at a time; sums are taken in such pieces, in one order whatever the threads.
pub(crate) const PIECE: usize = 1 << 14;

/// Images of a wave as a function of its complex phase.
#[derive(Debug)]
pub(crate) struct ForwardModel<'a> {
    prepared: &'a Prepared,
    /// `exp(-i chi_j) E`, image by image, `[kx, ky]`, divided by the number of elements.
    transfer: Vec<Vec<Complex<f32>>>,
    /// Transfer of the blur of the intensity, `[kx, ky]`, if there is any.
    blur: Option<Vec<f32>>,
    space: Space,
}

/// Arrays that are worked in.
#[derive(Debug)]
struct Space {
    spectrum: Vec<Complex<f32>>,
    at_detector: Vec<Complex<f32>>,
    other: Vec<Complex<f32>>,
    places: Vec<Complex<f32>>,
    back: Vec<Complex<f32>>,
}

/// `value(kx, ky)` over all frequencies of the working grid, `[kx, ky]`.
pub(crate) fn over_frequencies<T: Send>(prepared: &Prepared, value: impl Fn(f64, f64) -> T + Sync) -> Vec<T> {
    let ky = prepared.grid.frequencies_y();
    prepared
        .grid
        .frequencies_x()
        .into_par_iter()
        .flat_map_iter(|kx| ky.iter().map(|ky| value(kx, *ky)).collect::<Vec<_>>())
        .collect()
}

impl<'a> ForwardModel<'a> {
    /// The images that a lens makes.
    pub(crate) fn new(prepared: &'a Prepared, lens: &LensState) -> ForwardModel<'a> {
        let count = prepared.fourier.len();
        let scale = 1.0 / count as f64;
        let transfer = (0..lens.defocus_angstrom.len())
            .map(|image| {
                over_frequencies(prepared, |kx, ky| {
                    let phase = -lens.chi_rad(image, kx, ky) - lens.shift_phase_rad(image, kx, ky);
                    let modulus = lens.envelope(kx.hypot(ky)) * scale;
                    Complex::new((modulus * phase.cos()) as f32, (modulus * phase.sin()) as f32)
                })
            })
            .collect();
        let blur = (lens.blur_angstrom > 0.0).then(|| {
            let exponent = -2.0 * (PI * lens.blur_angstrom).powi(2);
            over_frequencies(prepared, |kx, ky| ((exponent * (kx * kx + ky * ky)).exp() * scale) as f32)
        });
        let empty = || vec![Complex::default(); count];
        let space = Space { spectrum: empty(), at_detector: empty(), other: empty(), places: empty(), back: empty() };
        ForwardModel { prepared, transfer, blur, space }
    }

    fn fourier(&self) -> &'a Fourier<f32> {
        &self.prepared.fourier
    }

    /// The wave's spectrum, from its complex phase.
    fn load(&mut self, phase: &[Complex<f32>]) {
        let fourier = self.fourier();
        self.space.places.par_chunks_mut(PIECE).zip(phase.par_chunks(PIECE)).for_each(|(wave, phase)| {
            for (wave, phase) in wave.iter_mut().zip(phase) {
                *wave = wave_of(*phase);
            }
        });
        fourier.forward(&mut self.space.places, &mut self.space.spectrum);
    }

    /// The wave at the detector, left in `at_detector`, and its blurred intensity, left in `other`.
    fn image_of_spectrum(&mut self, image: usize) {
        let fourier = self.fourier();
        let Space { spectrum, at_detector, other, places, .. } = &mut self.space;
        places
            .par_chunks_mut(PIECE)
            .zip(spectrum.par_chunks(PIECE))
            .zip(self.transfer[image].par_chunks(PIECE))
            .for_each(|((out, spectrum), transfer)| {
                for ((out, value), transfer) in out.iter_mut().zip(spectrum).zip(transfer) {
                    *out = value * transfer;
                }
            });
        fourier.inverse(places, at_detector);
        other.par_chunks_mut(PIECE).zip(at_detector.par_chunks(PIECE)).for_each(|(out, wave)| {
            for (out, wave) in out.iter_mut().zip(wave) {
                *out = Complex::new(wave.norm_sqr(), 0.0);
            }
        });
        if let Some(blur) = &self.blur {
            filter(fourier, blur, other, places);
        }
    }

    /// The intensity of every image, `[y, x]` on the working grid, handed to `visit` one after the other.
    pub(crate) fn images(&mut self, phase: &[Complex<f32>], mut visit: impl FnMut(usize, &[Complex<f32>])) {
        self.load(phase);
        for image in 0..self.transfer.len() {
            self.image_of_spectrum(image);
            visit(image, &self.space.other);
        }
    }

    /// Half the sum of the squared residuals over their variance, image by image, and its gradient with the complex phase:
    /// `d L = Re sum conj(gradient) d Phi`. The gradient is written over.
    pub(crate) fn misfit(&mut self, phase: &[Complex<f32>], gradient: &mut [Complex<f32>]) -> Vec<f64> {
        let fourier = self.fourier();
        let prepared = self.prepared;
        let inverse_variance = (1.0 / prepared.noise_variance) as f32;
        self.load(phase);
        self.space.back.fill(Complex::default());
        let mut misfit = Vec::with_capacity(self.transfer.len());
        for image in 0..self.transfer.len() {
            self.image_of_spectrum(image);
            let Space { at_detector, other, places, back, .. } = &mut self.space;
            let sums: Vec<f64> = other
                .par_chunks_mut(PIECE)
                .zip(prepared.intensity[image].par_chunks(PIECE))
                .zip(prepared.weight.par_chunks(PIECE))
                .map(|((values, measured), weight)| {
                    let mut sum = 0.0;
                    for ((value, measured), weight) in values.iter_mut().zip(measured).zip(weight) {
                        let residual = value.re - measured;
                        let weighted = residual * weight * inverse_variance;
                        sum += f64::from(weighted * residual);
                        *value = Complex::new(weighted, 0.0);
                    }
                    sum
                })
                .collect();
            misfit.push(0.5 * sums.iter().sum::<f64>());
            if let Some(blur) = &self.blur {
                filter(fourier, blur, other, places);
            }
            other.par_chunks_mut(PIECE).zip(at_detector.par_chunks(PIECE)).for_each(|(residual, wave)| {
                for (residual, wave) in residual.iter_mut().zip(wave) {
                    *residual = wave * (2.0 * residual.re);
                }
            });
            fourier.forward(other, places);
            back.par_chunks_mut(PIECE)
                .zip(places.par_chunks(PIECE))
                .zip(self.transfer[image].par_chunks(PIECE))
                .for_each(|((back, value), transfer)| {
                    for ((back, value), transfer) in back.iter_mut().zip(value).zip(transfer) {
                        *back += value * transfer.conj();
                    }
                });
        }
        fourier.inverse(&mut self.space.back, gradient);
        gradient.par_chunks_mut(PIECE).zip(phase.par_chunks(PIECE)).for_each(|(gradient, phase)| {
            for (gradient, phase) in gradient.iter_mut().zip(phase) {
                let factor = Complex::new(0.0, 1.0) * wave_of(*phase);
                *gradient *= factor.conj();
            }
        });
        misfit
    }
}

/// `exp(i Phi)`.
pub(crate) fn wave_of(phase: Complex<f32>) -> Complex<f32> {
    let (sin, cos) = phase.re.sin_cos();
    let amplitude = (-phase.im).exp();
    Complex::new(amplitude * cos, amplitude * sin)
}

/// Filters the real parts of `values` by a symmetric real transfer; `spare` is written over.
fn filter(fourier: &Fourier<f32>, transfer: &[f32], values: &mut [Complex<f32>], spare: &mut [Complex<f32>]) {
    fourier.forward(values, spare);
    spare.par_chunks_mut(PIECE).zip(transfer.par_chunks(PIECE)).for_each(|(values, transfer)| {
        for (value, transfer) in values.iter_mut().zip(transfer) {
            *value *= transfer;
        }
    });
    fourier.inverse(spare, values);
}

#[cfg(test)]
pub(crate) mod tests {
    use atomlens_simulate::camera::TransferCurve;
    use atomlens_simulate::{ExitWave, FocalSpread, Optics, optics::Coherence};
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::FocalSeries;

    /// A series of nothing in particular, and a lens.
    pub(crate) fn example() -> (FocalSeries, LensState) {
        let series = FocalSeries {
            images: Array3::from_shape_fn((2, 40, 36), |(j, y, x)| 50.0 + ((3 * j + 5 * y + 7 * x) % 13) as f32),
            pixel_angstrom: 0.2,
            energy_ev: 80e3,
            defocus_angstrom: vec![40.0, 90.0],
            defocus_is_absolute: true,
        };
        let lens = LensState {
            wavelength_angstrom: series.wavelength_angstrom(),
            defocus_angstrom: series.defocus_angstrom.clone(),
            twofold_angstrom: [8.0, -5.0],
            c30_angstrom: -6e4,
            focal_spread_angstrom: 7.0,
            blur_angstrom: 0.0,
            shift_angstrom: vec![[0.0; 2]; 2],
        };
        (series, lens)
    }

    /// Smooth complex phases on the working grid.
    pub(crate) fn phases(prepared: &Prepared) -> Vec<Complex<f32>> {
        let (nx, ny) = (prepared.grid.nx, prepared.grid.ny);
        let turn = |x: usize, n: usize, times: f64| (std::f64::consts::TAU * times * x as f64 / n as f64) as f32;
        (0..nx * ny)
            .map(|index| {
                let (x, y) = (index % nx, index / nx);
                let phi = 0.3 * turn(x, nx, 9.0).sin() * turn(y, ny, 7.0).cos() + 0.2 * turn(x, nx, 3.0).cos();
                Complex::new(phi, 0.05 * turn(y, ny, 5.0).sin())
            })
            .collect()
    }

    #[test]
    fn images_are_those_of_the_simulation() {
        let (series, mut lens) = example();
        let prepared = Prepared::new(&series, &TransferCurve::Perfect, 1.0).unwrap();
        let phase = phases(&prepared);
        let grid = prepared.grid;
        let wave = Array2::from_shape_vec((grid.ny, grid.nx), phase.iter().map(|p| wave_of(*p)).collect()).unwrap();
        let wave = ExitWave::from_wave(&wave, grid, series.energy_ev).unwrap();
        let mut found = Vec::new();
        ForwardModel::new(&prepared, &lens).images(&phase, |_, image| found.push(image.to_vec()));
        for (image, found) in found.iter().enumerate() {
            let mut optics = Optics::default();
            let [a, b] = lens.twofold_angstrom;
            optics.aberrations.set("C12", a.hypot(b)).unwrap();
            optics.aberrations.set("phi12", 0.5 * b.atan2(a)).unwrap();
            optics.aberrations.set("C30", lens.c30_angstrom).unwrap();
            optics.temporal = Coherence::Envelope(FocalSpread::from_standard_deviation(7.0));
            let expected = wave.image(&optics.at_defocus_angstrom(lens.defocus_angstrom[image])).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found.re - expected).abs() < 2e-5, "{found} {expected}");
            }
        }
        // A displacement moves the image.
        let shifted = {
            lens.shift_angstrom[1] = [2.0 * grid.pixel_x_angstrom, -3.0 * grid.pixel_y_angstrom];
            let mut images = Vec::new();
            ForwardModel::new(&prepared, &lens).images(&phase, |_, image| images.push(image.to_vec()));
            images.remove(1)
        };
        for (index, value) in shifted.iter().enumerate() {
            let (x, y) = (index % grid.nx, index / grid.nx);
            let source = found[1][(y + 3) % grid.ny * grid.nx + (x + grid.nx - 2) % grid.nx];
            assert!((value.re - source.re).abs() < 2e-5);
        }
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let (series, mut lens) = example();
        lens.blur_angstrom = 0.15;
        lens.shift_angstrom[1] = [0.3, -0.2];
        let prepared = Prepared::new(&series, &TransferCurve::Perfect, 1.0).unwrap();
        let mut phase = phases(&prepared);
        let mut model = ForwardModel::new(&prepared, &lens);
        let mut gradient = vec![Complex::default(); phase.len()];
        let mut spare = gradient.clone();
        model.misfit(&phase, &mut gradient);
        // Along parts of the gradient itself: single pixels drown in single precision, and across it the misfit is flat, so
        // that its curvature drowns the slope.
        let largest = gradient.iter().map(|g| g.norm()).fold(0.0, f32::max);
        // Half of the pixels at least, or the slope drowns in the rounding of the sum.
        type Part = fn(usize, Complex<f32>) -> Complex<f32>;
        let parts: [(&str, Part); 4] = [
            ("phases", |_, g| Complex::new(g.re, 0.0)),
            ("amplitudes", |_, g| Complex::new(0.0, g.im)),
            ("every second", |i, g| if i % 2 == 0 { g } else { Complex::default() }),
            ("the middle", |i, g| if (1200..2400).contains(&i) { g } else { Complex::default() }),
        ];
        for (name, part) in parts {
            let direction: Vec<Complex<f32>> =
                gradient.iter().enumerate().map(|(i, g)| part(i, *g) / largest).collect();
            let slope = |(g, d): (&Complex<f32>, &Complex<f32>)| f64::from(g.re * d.re + g.im * d.im);
            let expected: f64 = gradient.iter().zip(&direction).map(slope).sum();
            let mut at = |step: f32| -> f64 {
                phase.iter_mut().zip(&direction).for_each(|(p, d)| *p += d * step);
                let value = model.misfit(&phase, &mut spare).iter().sum();
                phase.iter_mut().zip(&direction).for_each(|(p, d)| *p -= d * step);
                value
            };
            let found = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((found / expected - 1.0).abs() < 1e-3, "{name}: {found} {expected}");
        }
    }
}
