//! Images of an exit wave.

use std::f64::consts::PI;

use ndarray::Array2;
use num_complex::Complex;
use rayon::prelude::*;

use super::aberrations::AberrationPolynomial;
use super::coherence::gaussian_samples;
use super::{Aberrations, AngularSpread, Coherence, FocalSpread};
use crate::electron::wavelength_angstrom;
use crate::fourier::Direction;
use crate::{ExitWave, Real, SimulateError};

/// The objective aperture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aperture {
    /// Radius in radian.
    pub radius_rad: f64,
    /// Width of the edge in radian, over which the transmission falls as a cosine from 1 at the
    /// radius less half of it to 0 at the radius plus half of it; 0 for a hard edge.
    pub edge_rad: f64,
}

impl Aperture {
    fn transmission(&self, theta_rad: f64) -> f64 {
        let inside = self.radius_rad - 0.5 * self.edge_rad;
        if theta_rad <= inside {
            1.0
        } else if theta_rad >= inside + self.edge_rad {
            0.0
        } else {
            0.5 * (1.0 + (PI * (theta_rad - inside) / self.edge_rad).cos())
        }
    }
}

/// The state of the microscope for one image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Optics {
    /// Aberrations of the objective lens, defocus included.
    pub aberrations: Aberrations,
    /// Objective aperture, if any.
    pub aperture: Option<Aperture>,
    /// Spread of focus.
    pub temporal: Coherence<FocalSpread>,
    /// Spread of angle.
    pub spatial: Coherence<AngularSpread>,
    /// Tilt of the beam against the axis of the lens, along x and y in radian. The exit wave should have been
    /// computed with the same tilt.
    pub beam_tilt_rad: [f64; 2],
}

/// One coherent part of an image.
struct CoherentPart {
    weight: f64,
    defocus_change_angstrom: f64,
    tilt_rad: [f64; 2],
}

impl Optics {
    /// The same optics at another defocus (angstrom, underfocus positive): a step of a focal series.
    pub fn at_defocus_angstrom(&self, defocus_angstrom: f64) -> Optics {
        let mut optics = *self;
        optics.aberrations.set_defocus_angstrom(defocus_angstrom);
        optics
    }

    /// The complex transfer `exp(-i chi)` times aperture and envelopes at angles along x and y in radian.
    pub fn transfer(&self, energy_ev: f64, theta_x_rad: f64, theta_y_rad: f64) -> Complex<f64> {
        let part = CoherentPart { weight: 1.0, defocus_change_angstrom: 0.0, tilt_rad: self.beam_tilt_rad };
        let mut out = [Complex::new(1.0, 0.0)];
        Transfer::new(self, &part, energy_ev).apply(theta_x_rad, &[theta_y_rad], &mut out);
        out[0]
    }

    fn parts(&self) -> Vec<CoherentPart> {
        let focus = match self.temporal {
            Coherence::Sum { spread, samples } => gaussian_samples(spread.standard_deviation(), samples),
            _ => vec![(0.0, 1.0)],
        };
        let angle = match self.spatial {
            Coherence::Sum { spread, samples } => gaussian_samples(spread.standard_deviation(), samples),
            _ => vec![(0.0, 1.0)],
        };
        let [tilt_x, tilt_y] = self.beam_tilt_rad;
        let mut parts = Vec::with_capacity(focus.len() * angle.len() * angle.len());
        for (defocus, focus_weight) in &focus {
            for (x, weight_x) in &angle {
                for (y, weight_y) in &angle {
                    parts.push(CoherentPart {
                        weight: focus_weight * weight_x * weight_y,
                        defocus_change_angstrom: *defocus,
                        tilt_rad: [tilt_x + x, tilt_y + y],
                    });
                }
            }
        }
        parts
    }

    fn check(&self) -> Result<(), SimulateError> {
        let spreads = [
            ("focal spread in angstrom", spread_of(&self.temporal, FocalSpread::standard_deviation)),
            ("angular spread in radian", spread_of(&self.spatial, AngularSpread::standard_deviation)),
        ];
        for (name, spread) in spreads {
            if !(spread.is_finite() && spread >= 0.0) {
                return Err(SimulateError::OutOfRange { name, found: spread, expected: "a finite number, 0 or more" });
            }
        }
        if let Some(aperture) = self.aperture {
            SimulateError::positive("radius of the aperture in radian", aperture.radius_rad)?;
        }
        Ok(())
    }
}

fn spread_of<Spread: Copy>(coherence: &Coherence<Spread>, width: impl Fn(Spread) -> f64) -> f64 {
    match coherence {
        Coherence::Coherent => 0.0,
        Coherence::Envelope(spread) | Coherence::Sum { spread, .. } => width(*spread),
    }
}

/// The transfer function of one coherent part.
struct Transfer {
    polynomial: AberrationPolynomial,
    wavelength_angstrom: f64,
    tilt_rad: [f64; 2],
    aperture: Option<Aperture>,
    /// Half the square of `pi s / lambda`, to be multiplied by the fourth power of the angle.
    temporal: f64,
    /// Half the square of `2 pi s / lambda`, to be multiplied by the squared gradient of `W`.
    spatial: f64,
}

impl Transfer {
    fn new(optics: &Optics, part: &CoherentPart, energy_ev: f64) -> Transfer {
        let wavelength = wavelength_angstrom(energy_ev);
        let mut aberrations = optics.aberrations;
        aberrations.set_defocus_angstrom(aberrations.defocus_angstrom() + part.defocus_change_angstrom);
        let temporal = match optics.temporal {
            Coherence::Envelope(spread) => 0.5 * (PI * spread.standard_deviation() / wavelength).powi(2),
            _ => 0.0,
        };
        let spatial = match optics.spatial {
            Coherence::Envelope(spread) => 0.5 * (2.0 * PI * spread.standard_deviation() / wavelength).powi(2),
            _ => 0.0,
        };
        Transfer {
            polynomial: aberrations.polynomial(),
            wavelength_angstrom: wavelength,
            tilt_rad: part.tilt_rad,
            aperture: optics.aperture,
            temporal,
            spatial,
        }
    }

    /// Multiplies values of a spectrum at one angle along x and several along y.
    fn apply<T: Real>(&self, theta_x: f64, theta_y: &[f64], values: &mut [Complex<T>]) {
        const CHUNK: usize = 64;
        let x = theta_x + self.tilt_rad[0];
        let along = self.polynomial.along_y(x);
        let at_tilt = self.polynomial.along_y(self.tilt_rad[0]).value(self.tilt_rad[1]);
        let per_wavelength = 1.0 / self.wavelength_angstrom;
        let mut places = [0.0; CHUNK];
        let mut turns = [T::zero(); CHUNK];
        let mut phases = [Complex::new(T::zero(), T::zero()); CHUNK];
        for (values, theta_y) in values.chunks_mut(CHUNK).zip(theta_y.chunks(CHUNK)) {
            for (place, theta_y) in places.iter_mut().zip(theta_y) {
                *place = theta_y + self.tilt_rad[1];
            }
            let places = &places[..values.len()];
            for (turn, y) in turns.iter_mut().zip(places) {
                // Whole turns are taken off in double precision: chi reaches hundreds of them.
                let exact = (at_tilt - along.value(*y)) * per_wavelength;
                *turn = T::of(exact - exact.round());
            }
            T::phase_factors(&turns[..values.len()], &mut phases[..values.len()]);
            T::multiply(values, &phases[..values.len()]);
            if self.temporal > 0.0 || self.spatial > 0.0 {
                for (value, y) in values.iter_mut().zip(places) {
                    let theta_squared = x * x + y * y;
                    let mut exponent = self.temporal * theta_squared * theta_squared;
                    if self.spatial > 0.0 {
                        exponent += self.spatial * along.gradient_squared(*y);
                    }
                    *value *= T::of(-exponent).exp();
                }
            }
            if let Some(aperture) = self.aperture {
                for (value, y) in values.iter_mut().zip(places) {
                    *value *= T::of(aperture.transmission(x.hypot(*y)));
                }
            }
        }
    }
}

impl<T: Real> ExitWave<T> {
    /// The intensity that these optics make of the wave, relative to the incident beam, shape `[y, x]` on
    /// the wave's own grid.
    ///
    /// # Errors
    /// Spreads that are negative or not finite, an aperture without a radius.
    pub fn image(&self, optics: &Optics) -> Result<Array2<T>, SimulateError> {
        optics.check()?;
        let limit = &self.limit;
        let (nx, ny) = (limit.grid.nx, limit.grid.ny);
        // Angles in the precision of the wave: what single precision means to an aberration phase of 1e5 radian
        // is docs/conventions.md's to tell.
        let wavelength = T::of(wavelength_angstrom(self.energy_ev));
        let angle = |frequency: f64| (T::of(frequency) * wavelength).wide();
        let angles_y: Vec<f64> = limit.grid.frequencies_y().into_iter().map(angle).collect();
        let mut intensity = vec![T::zero(); nx * ny];
        let mut blocks = vec![Complex::new(T::zero(), T::zero()); limit.len()];
        for part in optics.parts() {
            let transfer = Transfer::new(optics, &part, self.energy_ev);
            limit.column_synthesis(&mut blocks, |visit| {
                visit.values.copy_from_slice(&self.spectrum[visit.column * ny..(visit.column + 1) * ny]);
                let [up, down] = limit.filled_rows(visit.column);
                let theta_x = angle(limit.frequency_x(visit.column));
                transfer.apply(theta_x, &angles_y[..up], &mut visit.values[..up]);
                transfer.apply(theta_x, &angles_y[ny - down..], &mut visit.values[ny - down..]);
            });
            let weight = T::of(part.weight);
            intensity.par_chunks_mut(nx).enumerate().for_each_init(
                || limit.row_space(),
                |space, (y, row)| {
                    limit.load_row(&blocks, y, &mut space.row);
                    limit.transform_row(Direction::Inverse, &mut space.row, &mut space.scratch);
                    for (sum, value) in row.iter_mut().zip(&space.row) {
                        *sum += weight * value.norm_sqr();
                    }
                },
            );
        }
        Ok(Array2::from_shape_vec((ny, nx), intensity).expect("the vector has nx times ny elements"))
    }
}
