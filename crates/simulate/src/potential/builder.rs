//! The potential of every slice on one grid.

use atomlens_core::Grid;
use num_complex::Complex;
use rayon::prelude::*;

use super::spread::{Spread, SpreadSpace, Turn};
use super::{Contribution, Placement, Projection, SlicedStructure};
use crate::Real;
use crate::fourier::BLOCK;
use crate::parametrization::AtomicPotential;

/// Computes the transforms of slices on one grid.
pub struct PotentialBuilder<T: Real> {
    grid: Grid,
    placement: Placement,
    factors: Vec<SpeciesFactors<T>>,
    contributions: Vec<Vec<Contribution>>,
    spread: Spread<T>,
}

/// The transform of one species' potential by `|kx|` and `|ky|`.
struct SpeciesFactors<T> {
    atom: AtomicPotential,
    rms_displacement_angstrom: f64,
    /// Infinite projection, volt cubic angstrom times Debye-Waller factor and correction of the placement, shape `[nx / 2 + 1][ny / 2 + 1]`.
    whole: Vec<T>,
}

impl<T: Real> PotentialBuilder<T> {
    /// Prepares the potential of `structure` on a grid of `nx` times `ny` pixels over its cell.
    pub fn new(structure: &SlicedStructure, nx: usize, ny: usize) -> PotentialBuilder<T> {
        let grid = structure.grid(nx, ny);
        let placement = structure.settings.placement;
        let factors = structure
            .species
            .iter()
            .map(|species| {
                let atom = structure.settings.parametrization.atom(species.element);
                let rms_displacement_angstrom = species.rms_displacement_angstrom;
                let whole = match structure.settings.projection {
                    Projection::Infinite => by_quadrant(&grid, |k_squared, turn| {
                        atom.projected_transform(k_squared)
                            * debye_waller(rms_displacement_angstrom, k_squared)
                            * placement.correction(turn)
                    }),
                    Projection::Finite => Vec::new(),
                };
                SpeciesFactors { atom, rms_displacement_angstrom, whole }
            })
            .collect();
        PotentialBuilder {
            grid,
            placement,
            factors,
            contributions: structure.contributions(),
            spread: Spread::new(nx, ny, placement),
        }
    }

    /// Sampling of the potential.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Number of slices.
    pub fn slice_count(&self) -> usize {
        self.contributions.len()
    }

    /// Whether a slice has no potential at all.
    pub fn is_empty(&self, slice: usize) -> bool {
        self.contributions[slice].is_empty()
    }

    /// Space for [`slice_blocks`](Self::slice_blocks).
    pub(crate) fn slice_space(&self) -> SliceSpace<T> {
        let zero = Complex::new(T::zero(), T::zero());
        let len = (self.grid.nx / 2 + 1).next_multiple_of(BLOCK) * self.grid.ny;
        SliceSpace { blocks: vec![zero; len], spread: self.spread.space() }
    }

    /// The projected potential of a slice, transformed back along y but not yet along x: half spectrum in x, in the blocked
    /// layout of [`crate::fourier`].
    pub(crate) fn slice_blocks(&self, slice: usize, space: &mut SliceSpace<T>) {
        // 1 / area turns the transform's sum into a Fourier series of the cell.
        let scale = T::of(1.0 / (self.grid.field_x_angstrom() * self.grid.field_y_angstrom()));
        let contributions = &self.contributions[slice];
        for (index, contribution) in contributions.iter().enumerate() {
            let species = &self.factors[contribution.species];
            let partial;
            let factors = match contribution.heights {
                None => &species.whole,
                Some((low, high)) => {
                    partial = by_quadrant(&self.grid, |k_squared, turn| {
                        debye_waller(species.rms_displacement_angstrom, k_squared)
                            * self.placement.correction(turn)
                            * (up_to(&species.atom, k_squared, high) - up_to(&species.atom, k_squared, low))
                    });
                    &partial
                }
            };
            let turn = Turn { first: index == 0, last: index + 1 == contributions.len() };
            self.spread.accumulate(&contribution.atoms, factors, scale, turn, &mut space.spread, &mut space.blocks);
        }
    }

    /// The potential of one slice in volt angstrom, shape `[y, x]`.
    pub fn slice(&self, slice: usize) -> ndarray::Array2<T> {
        let mut space = self.slice_space();
        if !self.is_empty(slice) {
            self.slice_blocks(slice, &mut space);
        }
        let blocks = space.blocks;
        let mut out = vec![T::zero(); self.grid.pixels()];
        out.par_chunks_mut(self.grid.nx).enumerate().for_each_init(
            || (vec![Complex::new(T::zero(), T::zero()); self.grid.nx / 2 + 1], Vec::new()),
            |(half, scratch), (y, row)| self.row_to_places(&blocks, y, half, scratch, row),
        );
        ndarray::Array2::from_shape_vec((self.grid.ny, self.grid.nx), out).expect("the vector has nx times ny elements")
    }

    /// The potential of all slices summed, in volt angstrom, shape `[y, x]`.
    pub fn projected(&self) -> ndarray::Array2<f64> {
        let mut sum = ndarray::Array2::<f64>::zeros((self.grid.ny, self.grid.nx));
        for slice in (0..self.slice_count()).filter(|slice| !self.is_empty(*slice)) {
            sum.zip_mut_with(&self.slice(slice), |sum, value| *sum += value.wide());
        }
        sum
    }

    /// Transforms one row of [`slice_blocks`](Self::slice_blocks) to places, into `row` of length nx; `half` has
    /// `nx / 2 + 1` elements.
    pub(crate) fn row_to_places(
        &self,
        blocks: &[Complex<T>],
        y: usize,
        half: &mut [Complex<T>],
        scratch: &mut Vec<Complex<T>>,
        row: &mut [T],
    ) {
        for (piece, block) in half.chunks_mut(BLOCK).zip(blocks.chunks_exact(BLOCK * self.grid.ny)) {
            piece.copy_from_slice(&block[y * BLOCK..y * BLOCK + piece.len()]);
        }
        make_hermitian_ends_real(half, self.grid.nx);
        let needed = self.spread.to_real.get_scratch_len();
        if scratch.len() < needed {
            scratch.resize(needed, Complex::new(T::zero(), T::zero()));
        }
        // The lengths are the plan's own, so this cannot fail.
        let _ = self.spread.to_real.process_with_scratch(half, row, scratch);
    }
}

/// What a slice is computed in, kept from slice to slice.
pub(crate) struct SliceSpace<T: Real> {
    /// The result, in the blocked layout.
    pub(crate) blocks: Vec<Complex<T>>,
    spread: SpreadSpace<T>,
}

/// The zero and Nyquist terms of a real row's transform are real; rounding must not say otherwise.
fn make_hermitian_ends_real<T: Real>(half: &mut [Complex<T>], nx: usize) {
    half[0].im = T::zero();
    if nx.is_multiple_of(2) {
        half[nx / 2].im = T::zero();
    }
}

fn up_to(atom: &AtomicPotential, k_squared: f64, height: f64) -> f64 {
    if height.is_infinite() {
        0.5 * height.signum() * atom.projected_transform(k_squared)
    } else {
        atom.transform_up_to_height(k_squared, height)
    }
}

fn debye_waller(rms_displacement_angstrom: f64, k_squared: f64) -> f64 {
    (-2.0 * (std::f64::consts::PI * rms_displacement_angstrom).powi(2) * k_squared).exp()
}

impl Placement {
    /// What the transform of the atoms on the grid is multiplied with besides the kernel's own correction, where one pixel
    /// along the direction of the frequency is `turn = |k s|`.
    fn correction(self, turn: f64) -> f64 {
        match self {
            Placement::Bilinear if turn > 0.0 => turn / turn.sin(),
            _ => 1.0,
        }
    }
}

/// A function of `k^2` and of `|k s|`, with the pixel size `s`, on the quadrant of non-negative frequencies,
/// shape `[nx / 2 + 1][ny / 2 + 1]`.
fn by_quadrant<T: Real>(grid: &Grid, value: impl Fn(f64, f64) -> f64 + Sync) -> Vec<T> {
    let (columns, rows) = (grid.nx / 2 + 1, grid.ny / 2 + 1);
    let (step_x, step_y) = (1.0 / grid.field_x_angstrom(), 1.0 / grid.field_y_angstrom());
    let mut out = vec![T::zero(); columns * rows];
    out.par_chunks_mut(rows).enumerate().for_each(|(i, column)| {
        let kx = i as f64 * step_x;
        for (j, out) in column.iter_mut().enumerate() {
            let ky = j as f64 * step_y;
            let turn = ((kx * grid.pixel_x_angstrom).powi(2) + (ky * grid.pixel_y_angstrom).powi(2)).sqrt();
            *out = T::of(value(kx * kx + ky * ky, turn));
        }
    });
    out
}
