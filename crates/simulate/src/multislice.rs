//! Exit waves by the multislice method.
//!
//! For every slice the wave is multiplied by the transmission function `exp(i sigma V)` and carried to
//! the next slice by the Fresnel propagator `exp(-i pi lambda dz k^2)`, both limited to two thirds of the Nyquist
//! frequency so that products do not alias (J. M. Cowley and A. F. Moodie, Acta Cryst. 10, 609 (1957),
//! doi:10.1107/S0365110X57002194; E. J. Kirkland, *Advanced Computing in Electron Microscopy*, chapter 6).
//!
//! Slices without atoms only propagate, and propagators along one direction multiply, so a run of empty
//! slices costs nothing: the next propagation is that much longer.

use std::f64::consts::PI;

use atomlens_core::{Grid, Structure};
use ndarray::Array2;
use num_complex::Complex;
use rayon::prelude::*;

use crate::electron::{check_energy_ev, interaction_parameter, wavelength_angstrom};
use crate::fourier::Direction;
use crate::potential::{PotentialBuilder, PotentialSettings, SliceSpace, SlicedStructure};
use crate::{BandLimit, Real, SimulateError};

/// Spatial frequency that a wave must at least carry, in 1 / angstrom: fringes of two thirds of an angstrom, just beyond what
/// microscopes resolve. A grid that cannot hold it gives waves that only look like some.
const SMALLEST_USEFUL_FREQUENCY_PER_ANGSTROM: f64 = 1.5;

/// What a multislice needs to know besides the structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multislice {
    /// Kinetic energy of the electrons in electronvolt.
    pub energy_ev: f64,
    /// Slices, parametrization, projection.
    pub potential: PotentialSettings,
    /// Tilt of the beam against the optic axis along x and y in radian, up to a few degrees; a tilt of the specimen by
    /// the opposite angles does the same to the wave. The wave is given relative to the tilted plane wave.
    pub tilt_rad: [f64; 2],
}

impl Multislice {
    /// A multislice at an energy, with the default potential and no tilt.
    pub fn new(energy_ev: f64) -> Multislice {
        Multislice { energy_ev, potential: PotentialSettings::default(), tilt_rad: [0.0; 2] }
    }

    /// Computes the exit wave of a plane wave through `structure` on a grid of `nx` times `ny` pixels
    /// over its cell, in the precision `T`.
    ///
    /// # Errors
    /// See [`SlicedStructure::new`]; also energies outside 30 to 1000 keV and grids too coarse to carry
    /// the scattering.
    pub fn exit_wave<T: Real>(
        &self,
        structure: &Structure,
        nx: usize,
        ny: usize,
    ) -> Result<ExitWave<T>, SimulateError> {
        let sliced = SlicedStructure::new(structure, self.potential)?;
        self.exit_wave_of_slices(&sliced, nx, ny, &mut |_| true).map(|wave| wave.expect("nobody stopped it"))
    }

    /// Like [`exit_wave`](Self::exit_wave) for a structure that is cut already. After each slice
    /// `progress` is told how many are done; if it answers false the work stops and the result is `None`.
    pub fn exit_wave_of_slices<T: Real>(
        &self,
        sliced: &SlicedStructure,
        nx: usize,
        ny: usize,
        progress: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Option<ExitWave<T>>, SimulateError> {
        // On a thread of the pool from the first loop to the last: handing each of some hundred loops over to the pool
        // would wait for a thread to wake as many times.
        rayon::scope(|_| self.on_the_pool(sliced, nx, ny, progress))
    }

    fn on_the_pool<T: Real>(
        &self,
        sliced: &SlicedStructure,
        nx: usize,
        ny: usize,
        progress: &mut (dyn FnMut(usize) -> bool + Send),
    ) -> Result<Option<ExitWave<T>>, SimulateError> {
        check_energy_ev(self.energy_ev)?;
        if !self.tilt_rad.iter().all(|tilt| tilt.abs() < 0.2) {
            let [x, y] = self.tilt_rad;
            return Err(SimulateError::OutOfRange {
                name: "tilt in radian",
                found: if x.abs() < 0.2 { y } else { x },
                expected: "less than 0.2 either way, where the propagator's approximation holds",
            });
        }
        let grid = sliced.grid(nx, ny);
        let limit = BandLimit::<T>::two_thirds(grid)?;
        check_sampling(&grid, limit.cutoff_per_angstrom, wavelength_angstrom(self.energy_ev))?;
        let builder = PotentialBuilder::<T>::new(sliced, nx, ny);
        let mut pass = Pass::new(self, &limit, &builder, sliced.slice_thickness_angstrom());
        let count = builder.slice_count();
        // Vacuum before the first atom does nothing to a plane wave.
        let filled: Vec<usize> = (0..count).filter(|slice| !builder.is_empty(*slice)).collect();
        for (index, &slice) in filled.iter().enumerate() {
            let next = filled.get(index + 1).copied();
            pass.step(slice, next.unwrap_or(count) - slice, next.is_none());
            if !progress(next.unwrap_or(count)) {
                return Ok(None);
            }
        }
        let spectrum = pass.spectrum;
        Ok(Some(ExitWave { limit, spectrum, energy_ev: self.energy_ev }))
    }
}

fn check_sampling(grid: &Grid, carried_per_angstrom: f64, wavelength_angstrom: f64) -> Result<(), SimulateError> {
    // A grid that was chosen to just hold the frequency must not fail by rounding.
    if carried_per_angstrom >= SMALLEST_USEFUL_FREQUENCY_PER_ANGSTROM * (1.0 - 1e-9) {
        return Ok(());
    }
    let coarser = grid.pixel_x_angstrom.max(grid.pixel_y_angstrom);
    let needed_pixel = coarser * carried_per_angstrom / SMALLEST_USEFUL_FREQUENCY_PER_ANGSTROM;
    let needed = |field: f64| atomlens_core::grid::next_fast_length((field / needed_pixel).ceil() as usize);
    Err(SimulateError::Undersampled {
        nx: grid.nx,
        ny: grid.ny,
        pixel_angstrom: coarser,
        carried_mrad: carried_per_angstrom * wavelength_angstrom * 1e3,
        needed_mrad: SMALLEST_USEFUL_FREQUENCY_PER_ANGSTROM * wavelength_angstrom * 1e3,
        needed_nx: needed(grid.field_x_angstrom()),
        needed_ny: needed(grid.field_y_angstrom()),
    })
}

/// The wave on its way, with the space that every slice needs.
struct Pass<'a, T: Real> {
    limit: &'a BandLimit<T>,
    builder: &'a PotentialBuilder<T>,
    /// Turns of phase per volt angstrom.
    turns_per_volt_angstrom: T,
    wavelength_angstrom: f64,
    tilt_rad: [f64; 2],
    slice_thickness_angstrom: f64,
    started: bool,
    rows: Vec<Complex<T>>,
    wave: Vec<Complex<T>>,
    transmission: Vec<Complex<T>>,
    slice: SliceSpace<T>,
    spectrum: Vec<Complex<T>>,
}

impl<'a, T: Real> Pass<'a, T> {
    fn new(settings: &Multislice, limit: &'a BandLimit<T>, builder: &'a PotentialBuilder<T>, thickness: f64) -> Self {
        let space = |len| vec![Complex::new(T::zero(), T::zero()); len];
        Pass {
            limit,
            builder,
            turns_per_volt_angstrom: T::of(interaction_parameter(settings.energy_ev) / (2.0 * PI)),
            wavelength_angstrom: wavelength_angstrom(settings.energy_ev),
            tilt_rad: settings.tilt_rad,
            slice_thickness_angstrom: thickness,
            started: false,
            rows: space(limit.tiled_len()),
            wave: space(limit.len()),
            transmission: space(limit.len()),
            slice: builder.slice_space(),
            spectrum: Vec::new(),
        }
    }

    /// Through one slice and on over `distance` slices' thickness; at the last one the spectrum is kept.
    fn step(&mut self, slice: usize, distance: usize, last: bool) {
        let limit = self.limit;
        self.builder.slice_blocks(slice, &mut self.slice);
        self.transmission_rows();
        if self.started {
            self.band_limit_transmission();
            let (wave, transmission) = (&self.wave, &self.transmission);
            limit.row_pass(&mut self.rows, |y, space| {
                limit.load_row(transmission, y, &mut space.other);
                limit.transform_row(Direction::Inverse, &mut space.other, &mut space.scratch);
                limit.load_row(wave, y, &mut space.row);
                limit.transform_row(Direction::Inverse, &mut space.row, &mut space.scratch);
                T::multiply(&mut space.row, &space.other);
                limit.transform_row(Direction::Forward, &mut space.row, &mut space.scratch);
            });
        }
        // The first slice finds a plane wave, so the transmission function is the wave behind it.
        self.started = true;
        let propagator = Propagator::new(
            limit,
            self.wavelength_angstrom,
            distance as f64 * self.slice_thickness_angstrom,
            self.tilt_rad,
        );
        if last {
            // The wave is not needed any more, so the spectrum takes its place.
            self.spectrum = std::mem::take(&mut self.wave);
            limit.column_analysis(&self.rows, &mut self.spectrum, |visit| propagator.apply(limit, visit));
        } else {
            limit.column_pass(&self.rows, &mut self.wave, |visit| propagator.apply(limit, visit));
        }
    }

    /// The transmission function, transformed along x, from the potential transformed along y.
    fn transmission_rows(&mut self) {
        let limit = self.limit;
        let builder = self.builder;
        let potential = &self.slice.blocks;
        let turns = self.turns_per_volt_angstrom;
        limit.row_pass(&mut self.rows, |y, space| {
            builder.row_to_places(potential, y, &mut space.half, &mut space.scratch, &mut space.turns);
            for value in &mut space.turns {
                *value *= turns;
            }
            T::phase_factors(&space.turns, &mut space.row);
            limit.transform_row(Direction::Forward, &mut space.row, &mut space.scratch);
        });
    }

    fn band_limit_transmission(&mut self) {
        let limit = self.limit;
        let scale = Complex::new(T::of(1.0 / limit.grid.pixels() as f64), T::zero());
        let ones = vec![Complex::new(T::one(), T::zero()); limit.grid.ny];
        limit.column_pass(&self.rows, &mut self.transmission, |visit| limit.multiply_column(visit, scale, &ones));
    }
}

/// The Fresnel propagator, a product of a factor along x and one along y.
struct Propagator<T> {
    along_kx: Vec<Complex<T>>,
    along_ky: Vec<Complex<T>>,
}

impl<T: Real> Propagator<T> {
    fn new(
        limit: &BandLimit<T>,
        wavelength_angstrom: f64,
        distance_angstrom: f64,
        tilt_rad: [f64; 2],
    ) -> Propagator<T> {
        let factor = |k: f64, tilt: f64, scale: f64| {
            let phase = -PI * distance_angstrom * (wavelength_angstrom * k * k + 2.0 * k * tilt.tan());
            Complex::new(T::of(scale * phase.cos()), T::of(scale * phase.sin()))
        };
        let scale = 1.0 / limit.grid.pixels() as f64;
        Propagator {
            along_kx: (0..limit.width()).map(|column| factor(limit.frequency_x(column), tilt_rad[0], scale)).collect(),
            along_ky: limit.grid.frequencies_y().into_iter().map(|k| factor(k, tilt_rad[1], 1.0)).collect(),
        }
    }

    fn apply(&self, limit: &BandLimit<T>, visit: crate::fourier::ColumnVisit<'_, T>) {
        let factor = self.along_kx[visit.column];
        limit.multiply_column(visit, factor, &self.along_ky);
    }
}

/// A wave behind the specimen, kept as its spectrum so that images need only one transform each.
#[derive(Debug, Clone)]
pub struct ExitWave<T: Real> {
    pub(crate) limit: BandLimit<T>,
    /// The transform, `[column][ky]`, scaled so that its unscaled inverse is the wave.
    pub(crate) spectrum: Vec<Complex<T>>,
    /// Kinetic energy of the electrons in electronvolt.
    pub energy_ev: f64,
}

impl<T: Real> ExitWave<T> {
    /// Takes up a wave that was computed elsewhere, shape `[y, x]`, relative to an incident wave of amplitude 1.
    ///
    /// # Errors
    /// Energies outside 30 to 1000 keV, arrays that do not have the grid's shape, values that are not finite.
    pub fn from_wave(wave: &Array2<Complex<T>>, grid: Grid, energy_ev: f64) -> Result<ExitWave<T>, SimulateError> {
        check_energy_ev(energy_ev)?;
        let (found_y, found_x) = wave.dim();
        if (found_y, found_x) != (grid.ny, grid.nx) {
            return Err(SimulateError::Shape { found_y, found_x, expected_y: grid.ny, expected_x: grid.nx });
        }
        let not_finite = || wave.indexed_iter().filter(|(_, value)| !(value.re.is_finite() && value.im.is_finite()));
        if let Some(((y, x), _)) = not_finite().next() {
            return Err(SimulateError::NotFinite { what: "wave", count: not_finite().count(), y, x });
        }
        let limit = BandLimit::whole_grid(grid)?;
        let mut rows = vec![Complex::new(T::zero(), T::zero()); limit.tiled_len()];
        limit.row_pass(&mut rows, |y, space| {
            for (value, source) in space.row.iter_mut().zip(wave.row(y)) {
                *value = *source;
            }
            limit.transform_row(Direction::Forward, &mut space.row, &mut space.scratch);
        });
        let mut spectrum = vec![Complex::new(T::zero(), T::zero()); limit.len()];
        let scale = Complex::new(T::of(1.0 / grid.pixels() as f64), T::zero());
        let ones = vec![Complex::new(T::one(), T::zero()); grid.ny];
        limit.column_analysis(&rows, &mut spectrum, |visit| limit.multiply_column(visit, scale, &ones));
        Ok(ExitWave { limit, spectrum, energy_ev })
    }

    /// The wave of a specimen that is this one's in some places and another's elsewhere: this wave where `share_of_other`,
    /// shape `[y, x]`, is 0, the other where it is 1. Waves of thin specimens that differ in some columns differ near
    /// those columns only, so that two of them stand for any choice among the columns.
    ///
    /// # Errors
    /// Waves of different grids, or shares that do not have their shape.
    pub fn blended(&self, other: &ExitWave<T>, share_of_other: &Array2<T>) -> Result<ExitWave<T>, SimulateError> {
        let mut wave = self.wave();
        let other = other.wave();
        for (found_y, found_x) in [other.dim(), share_of_other.dim()] {
            if (found_y, found_x) != wave.dim() {
                let (expected_y, expected_x) = wave.dim();
                return Err(SimulateError::Shape { found_y, found_x, expected_y, expected_x });
            }
        }
        ndarray::Zip::from(&mut wave).and(&other).and(share_of_other).for_each(|wave, &other, &share| {
            *wave = *wave + (other - *wave) * share;
        });
        ExitWave::from_wave(&wave, self.grid(), self.energy_ev)
    }

    /// The wave after free flight over a distance in angstrom along the beam; a negative one takes it back, as to the
    /// middle of a thin specimen. In Fresnel's approximation: its spectrum times `exp(-i pi lambda d k^2)` (Kirkland,
    /// *Advanced Computing in Electron Microscopy*, 3rd edition, equation 6.65).
    pub fn propagated(&self, distance_angstrom: f64) -> ExitWave<T> {
        let mut wave = self.clone();
        let ny = self.limit.grid.ny;
        let turn = -std::f64::consts::PI * wavelength_angstrom(self.energy_ev) * distance_angstrom;
        let frequencies_y = self.limit.grid.frequencies_y();
        wave.spectrum.par_chunks_mut(ny).enumerate().for_each(|(column, values)| {
            let kx = self.limit.frequency_x(column);
            for (value, ky) in values.iter_mut().zip(&frequencies_y) {
                let (sin, cos) = (turn * (kx * kx + ky * ky)).sin_cos();
                *value *= Complex::new(T::of(cos), T::of(sin));
            }
        });
        wave
    }

    /// Sampling of the wave.
    pub fn grid(&self) -> Grid {
        self.limit.grid
    }

    /// The largest scattering angle that the wave's band limit passes, in radian; infinite if it has none but the grid.
    pub fn largest_angle_rad(&self) -> f64 {
        self.limit.cutoff_per_angstrom * wavelength_angstrom(self.energy_ev)
    }

    /// The wave itself, shape `[y, x]`.
    pub fn wave(&self) -> Array2<Complex<T>> {
        let limit = &self.limit;
        let (nx, ny) = (limit.grid.nx, limit.grid.ny);
        let mut blocks = vec![Complex::new(T::zero(), T::zero()); limit.len()];
        limit.column_synthesis(&mut blocks, |visit| {
            visit.values.copy_from_slice(&self.spectrum[visit.column * ny..(visit.column + 1) * ny]);
        });
        let mut out = vec![Complex::new(T::zero(), T::zero()); nx * ny];
        out.par_chunks_mut(nx).enumerate().for_each_init(
            || limit.row_space(),
            |space, (y, row)| {
                limit.load_row(&blocks, y, row);
                limit.transform_row(Direction::Inverse, row, &mut space.scratch);
            },
        );
        Array2::from_shape_vec((ny, nx), out).expect("the vector has nx times ny elements")
    }

    /// Mean intensity: 1 if nothing was scattered beyond the band limit.
    pub fn mean_intensity(&self) -> f64 {
        self.spectrum.iter().map(|value| value.norm_sqr().wide()).sum()
    }
}
