//! Which focus, which spherical aberration, and where each image lies: a search over a grid of the first two, with correlations of whole
//! images for the third.

use atomlens_core::grid::next_fast_length;
use num_complex::Complex;
use rayon::prelude::*;

use super::lens::Lens;
use super::spectra::Spectra;
use crate::fourier::Fourier;

/// What is added to the sum of squared transfers, so that frequencies that no image transfers say nothing.
pub(super) const LEAST_TRANSFER: f64 = 0.03;

/// Peaks of a correlation that are followed up.
const PEAKS: usize = 6;

/// How far away images may lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) largest_angstrom: f64,
    /// Standard deviation of the shifts that are expected.
    pub(super) likely_angstrom: f64,
}

/// A lens, where the images lie under it, and how much of the weighted power both explain.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) lens: Lens,
    /// Displacement of each image's content, [x, y] in angstrom; 0 for the first one of `order`.
    pub(super) shift_angstrom: Vec<[f64; 2]>,
    pub(super) explained: f64,
}

/// Correlations on a grid of displacements.
struct Correlator {
    fourier: Fourier<f32>,
    /// Points within reach: place in the array, displacement, prior.
    near: Vec<(usize, [f64; 2], f64)>,
}

impl Correlator {
    /// `finer`: how many times finer than the frequencies need.
    fn new(spectra: &Spectra, highest: [usize; 2], finer: usize, reach: Reach) -> Correlator {
        let [nx, ny] = highest.map(|index| next_fast_length(finer * (2 * index + 2)));
        let step = [spectra.extent_angstrom[0] / nx as f64, spectra.extent_angstrom[1] / ny as f64];
        let signed = |index: usize, n: usize| if 2 * index < n { index as f64 } else { index as f64 - n as f64 };
        let mut near = Vec::new();
        for y in 0..ny {
            for x in 0..nx {
                let place = [signed(x, nx) * step[0], signed(y, ny) * step[1]];
                let square = place[0] * place[0] + place[1] * place[1];
                if square <= reach.largest_angstrom * reach.largest_angstrom {
                    near.push((y * nx + x, place, -0.5 * square / (reach.likely_angstrom * reach.likely_angstrom)));
                }
            }
        }
        Correlator { fourier: Fourier::new(ny, nx), near }
    }

    /// Twice the real part of `sum_k values_k exp(+2 pi i k.t)` at every displacement `t`.
    fn correlate(&self, spectra: &Spectra, used: &[usize], values: &[Complex<f64>], space: &mut Space) {
        space.spectrum.fill(Complex::new(0.0, 0.0));
        let ny = self.fourier.ny;
        for (index, value) in used.iter().zip(values) {
            let [x, y] = spectra.frequencies[*index].index;
            let place = x as usize * ny + y.rem_euclid(ny as i32) as usize;
            space.spectrum[place] = Complex::new(2.0 * value.re as f32, 2.0 * value.im as f32);
        }
        self.fourier.inverse(&mut space.spectrum, &mut space.map);
    }

    fn space(&self) -> Space {
        let zero = vec![Complex::new(0.0, 0.0); self.fourier.len()];
        Space { spectrum: zero.clone(), map: zero }
    }

    /// The highest peaks within reach, prior included, highest first.
    fn peaks(&self, space: &Space, most: usize) -> Vec<(f64, [f64; 2])> {
        let (nx, ny) = (self.fourier.nx, self.fourier.ny);
        let mut found: Vec<(f64, [f64; 2])> = Vec::new();
        for (place, displacement, prior) in &self.near {
            let value = space.map[*place].re;
            let (y, x) = (place / nx, place % nx);
            let is_peak = most == 1
                || (0..9).all(|neighbour| {
                    let (dy, dx) = (neighbour / 3 + ny - 1, neighbour % 3 + nx - 1);
                    space.map[(y + dy) % ny * nx + (x + dx) % nx].re <= value
                });
            if is_peak {
                let value = f64::from(value) + prior;
                let rank = found.partition_point(|(other, _)| *other >= value);
                if rank < most {
                    found.insert(rank, (value, *displacement));
                    found.truncate(most);
                }
            }
        }
        found
    }
}

struct Space {
    spectrum: Vec<Complex<f32>>,
    map: Vec<Complex<f32>>,
}

/// A search with spectra up to some frequency.
pub(super) struct Search<'a> {
    spectra: &'a Spectra,
    /// Frequencies that are looked at.
    used: Vec<usize>,
    /// Images in the order in which they are placed, the reference first.
    order: Vec<usize>,
    reach: Reach,
    total: f64,
}

impl<'a> Search<'a> {
    pub(super) fn new(spectra: &'a Spectra, highest_per_angstrom: f64, order: Vec<usize>, reach: Reach) -> Search<'a> {
        let used: Vec<usize> = (0..spectra.frequencies.len())
            .filter(|index| {
                let [x, y] = spectra.frequencies[*index].k;
                x.hypot(y) <= highest_per_angstrom
            })
            .collect();
        let total = used
            .iter()
            .map(|index| {
                let power: f64 = spectra.values.iter().map(|values| values[*index].norm_sqr()).sum();
                spectra.frequencies[*index].weight * power
            })
            .sum();
        Search { spectra, used, order, reach, total }
    }

    fn correlator(&self, finer: usize) -> Correlator {
        let mut highest = [0; 2];
        for index in &self.used {
            let frequency = &self.spectra.frequencies[*index];
            for (highest, index) in highest.iter_mut().zip(frequency.index) {
                *highest = (*highest).max(index.unsigned_abs() as usize);
            }
        }
        Correlator::new(self.spectra, highest, finer, self.reach)
    }

    /// Every lens, with the one best place of each image on a coarse grid.
    pub(super) fn quick(&self, lenses: &[Lens]) -> Vec<Candidate> {
        let correlator = self.correlator(1);
        let one = |space: &mut Space, lens: &Lens| self.place(&correlator, space, lens, 1);
        lenses.par_iter().map_init(|| correlator.space(), one).collect()
    }

    /// Chosen lenses again, with several places of each image on a finer grid, so that they agree with one another.
    pub(super) fn thorough(&self, lenses: &[Lens]) -> Vec<Candidate> {
        let correlator = self.correlator(2);
        let one = |space: &mut Space, lens: &Lens| self.place(&correlator, space, lens, PEAKS);
        lenses.par_iter().map_init(|| correlator.space(), one).collect()
    }

    fn place(&self, correlator: &Correlator, space: &mut Space, lens: &Lens, breadth: usize) -> Candidate {
        let spectra = self.spectra;
        let wavelength = spectra.wavelength_angstrom;
        let images = spectra.values.len();
        // transfer * spectrum of every image, and the weights.
        let mut carried = vec![vec![Complex::new(0.0, 0.0); self.used.len()]; images];
        let mut weights = Vec::with_capacity(self.used.len());
        let mut own = 0.0;
        for (place, index) in self.used.iter().enumerate() {
            let frequency = &spectra.frequencies[*index];
            let mut squares = 0.0;
            let mut power = 0.0;
            for (image, carried) in carried.iter_mut().enumerate() {
                let transfer = lens.chi(image, frequency.k, wavelength).sin();
                let value = spectra.values[image][*index] * transfer;
                squares += transfer * transfer;
                power += value.norm_sqr();
                carried[place] = value;
            }
            let weight = frequency.weight / (squares + LEAST_TRANSFER);
            own += weight * power;
            weights.push(weight);
        }
        struct Partial {
            score: f64,
            placed: Vec<(usize, [f64; 2])>,
            sum: Vec<Complex<f64>>,
        }
        let first = self.order[0];
        let mut partials = vec![Partial { score: own, placed: vec![(first, [0.0; 2])], sum: carried[first].clone() }];
        let mut product = vec![Complex::new(0.0, 0.0); self.used.len()];
        for image in &self.order[1..] {
            let mut next: Vec<(f64, usize, [f64; 2])> = Vec::new();
            for (parent, partial) in partials.iter().enumerate() {
                for (place, product) in product.iter_mut().enumerate() {
                    *product = partial.sum[place].conj() * carried[*image][place] * weights[place];
                }
                correlator.correlate(spectra, &self.used, &product, space);
                for (value, displacement) in correlator.peaks(space, breadth) {
                    next.push((partial.score + value, parent, displacement));
                }
            }
            next.sort_by(|a, b| b.0.total_cmp(&a.0));
            next.truncate(breadth);
            partials = next
                .into_iter()
                .map(|(score, parent, displacement)| {
                    let mut placed = partials[parent].placed.clone();
                    placed.push((*image, displacement));
                    let mut sum = partials[parent].sum.clone();
                    for ((sum, value), index) in sum.iter_mut().zip(&carried[*image]).zip(&self.used) {
                        *sum += value * back(spectra.frequencies[*index].k, displacement);
                    }
                    Partial { score, placed, sum }
                })
                .collect();
        }
        let mut shift_angstrom = vec![[0.0; 2]; images];
        let explained = partials.first().map_or(0.0, |best| {
            for (image, displacement) in &best.placed {
                shift_angstrom[*image] = *displacement;
            }
            best.score / self.total
        });
        Candidate { lens: lens.clone(), shift_angstrom, explained }
    }
}

/// The factor that moves back by a displacement.
pub(super) fn back(k: [f64; 2], displacement: [f64; 2]) -> Complex<f64> {
    let (sin, cos) = (std::f64::consts::TAU * (k[0] * displacement[0] + k[1] * displacement[1])).sin_cos();
    Complex::new(cos, sin)
}
