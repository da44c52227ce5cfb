//! The noise of a camera, learned from what is left of frames when their mean is taken away.
//!
//! Electrons arrive as Poisson's law says, each giving `gain` counts that the camera spreads over pixels by a kernel `k` of
//! sum 1:
//! ```text
//! counts = ideal + k * gain (n - <n>),   <n> = (ideal - offset) / gain
//! ```
//! so that the variance rises with the mean, `gain sum(k^2) (ideal - offset)`, and the autocorrelation of the noise is that
//! of `k` (S. Vulovic et al., *J. Struct. Biol.* 183, 19 (2013), doi:10.1016/j.jsb.2013.05.008, section 2.3). `k` is taken as
//! even in both directions; its transform is the root of the noise's.

use atomlens_core::RandomStream;
use ndarray::{Array2, ArrayView2};
use rand_distr::{Distribution, Poisson, StandardNormal};
use rayon::prelude::*;

/// Pixels between which noise is thought to be correlated, at most.
const REACH: i32 = 4;
const EDGE: usize = 2 * REACH as usize + 1;

/// Levels of the mean at which the variance is looked at.
const LEVELS: usize = 24;

/// Points of the transforms along an axis.
const POINTS: i32 = 32;

/// Means above which the normal law stands for Poisson's.
const MANY: f64 = 1e4;

/// Sums over residuals.
#[derive(Debug, Clone)]
pub(super) struct NoiseSums {
    low: f64,
    high: f64,
    /// By level of the mean: pixels, sum of the means, sum of the squares.
    levels: Vec<[f64; 3]>,
    /// Products of residuals by the vector between them, for the upper half plane.
    products: [[f64; EDGE]; EDGE],
    counts: [[f64; EDGE]; EDGE],
}

/// A camera's noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Counts that an electron gives; 0 where the noise does not depend on the mean.
    pub gain: f64,
    /// Counts without any electron.
    pub offset: f64,
    /// Variance where the noise does not depend on the mean.
    pub constant_variance: f64,
    /// Spread of an electron over pixels, sum 1, `[y, x]`.
    pub kernel: Vec<Vec<f64>>,
}

impl NoiseSums {
    pub(super) fn new(mean: ArrayView2<'_, f32>) -> NoiseSums {
        let mut values: Vec<f32> = mean.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f32::total_cmp);
        let at = |share: f64| values.get((share * values.len() as f64) as usize).map_or(0.0, |value| f64::from(*value));
        NoiseSums {
            low: at(0.001),
            high: at(0.999).max(at(0.001) + 1e-9),
            levels: vec![[0.0; 3]; LEVELS],
            products: [[0.0; EDGE]; EDGE],
            counts: [[0.0; EDGE]; EDGE],
        }
    }

    /// Adds a frame; pixels of which nothing is expected are NaN.
    pub(super) fn add(&mut self, frame: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>) {
        let (ny, nx) = frame.dim();
        if expected.dim() != (ny, nx) {
            return;
        }
        let residual = &frame - &expected;
        for (residual, expected) in residual.iter().zip(expected) {
            let (residual, expected) = (f64::from(*residual), f64::from(*expected));
            if residual.is_finite() {
                let level = (expected - self.low) / (self.high - self.low) * LEVELS as f64;
                let sums = &mut self.levels[(level.max(0.0) as usize).min(LEVELS - 1)];
                sums[0] += 1.0;
                sums[1] += expected;
                sums[2] += residual * residual;
            }
        }
        let lags: Vec<(i32, i32)> = (0..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| (dy, dx))).collect();
        let sums: Vec<(f64, f64)> = lags
            .par_iter()
            .map(|&(dy, dx)| {
                let (mut sum, mut count) = (0.0, 0.0);
                for y in 0..ny.saturating_sub(dy as usize) {
                    let first = (-dx).max(0) as usize;
                    for x in first..nx.saturating_sub(dx.max(0) as usize) {
                        let product = f64::from(
                            residual[[y, x]] * residual[[y + dy as usize, (x as i64 + i64::from(dx)) as usize]],
                        );
                        if product.is_finite() {
                            sum += product;
                            count += 1.0;
                        }
                    }
                }
                (sum, count)
            })
            .collect();
        for ((dy, dx), (sum, count)) in lags.into_iter().zip(sums) {
            for (dy, dx) in [(dy, dx), (-dy, -dx)] {
                let at = ((dy + REACH) as usize, (dx + REACH) as usize);
                self.products[at.0][at.1] += sum;
                self.counts[at.0][at.1] += count;
            }
        }
    }

    pub(super) fn noise(&self) -> Noise {
        let kernel = self.kernel();
        let power: f64 = kernel.iter().flatten().map(|value| value * value).sum();
        // Straight line through the variances, each weighing by its pixels over its square: the error of a variance is
        // proportional to itself.
        let (mut w, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let (mut pixels, mut squares) = (0.0, 0.0);
        for [count, mean, square] in self.levels.iter().filter(|level| level[0] >= 50.0) {
            let (x, y) = (mean / count, square / count);
            let weight = count / (y * y).max(f64::MIN_POSITIVE);
            w += weight;
            wx += weight * x;
            wy += weight * y;
            wxx += weight * x * x;
            wxy += weight * x * y;
            pixels += count;
            squares += square;
        }
        let constant_variance = squares / f64::max(pixels, 1.0);
        let spread = wxx - wx * wx / f64::max(w, f64::MIN_POSITIVE);
        let slope = (wxy - wx * wy / f64::max(w, f64::MIN_POSITIVE)) / spread.max(f64::MIN_POSITIVE);
        let start = (wy - slope * wx) / f64::max(w, f64::MIN_POSITIVE);
        // A slope within three standard errors of none is none.
        if !(slope > 0.0 && slope * spread.sqrt() > 3.0 * (2.0_f64).sqrt()) {
            return Noise { gain: 0.0, offset: 0.0, constant_variance, kernel };
        }
        Noise { gain: slope / power, offset: -start / slope, constant_variance, kernel }
    }

    /// The kernel whose autocorrelation is that of the noise.
    fn kernel(&self) -> Vec<Vec<f64>> {
        let middle = REACH as usize;
        let at_rest = self.products[middle][middle] / self.counts[middle][middle].max(1.0);
        let turn = std::f64::consts::TAU / f64::from(POINTS);
        let angle = |q: (i32, i32), dy: usize, dx: usize| {
            turn * f64::from(q.0 * (dy as i32 - REACH) + q.1 * (dx as i32 - REACH))
        };
        let all: Vec<(i32, i32)> = (0..POINTS).flat_map(|qy| (0..POINTS).map(move |qx| (qy, qx))).collect();
        let root: Vec<f64> = all
            .iter()
            .map(|q| {
                let mut sum = 0.0;
                for dy in 0..EDGE {
                    for dx in 0..EDGE {
                        let correlation = self.products[dy][dx] / self.counts[dy][dx].max(1.0) / at_rest.max(1e-300);
                        sum += correlation * angle(*q, dy, dx).cos();
                    }
                }
                sum.max(0.0).sqrt()
            })
            .collect();
        let mut kernel = vec![vec![0.0; EDGE]; EDGE];
        let mut total = 0.0;
        for (dy, row) in kernel.iter_mut().enumerate() {
            for (dx, value) in row.iter_mut().enumerate() {
                *value = all.iter().zip(&root).map(|(q, root)| root * angle(*q, dy, dx).cos()).sum();
                total += *value;
            }
        }
        if total.is_nan() || total < 1e-9 {
            let mut single = vec![vec![0.0; EDGE]; EDGE];
            single[middle][middle] = 1.0;
            return single;
        }
        kernel.iter_mut().flatten().for_each(|value| *value /= total);
        kernel
    }
}

impl Noise {
    /// Variance of a pixel whose ideal value is this.
    pub fn variance_at(&self, ideal: f64) -> f64 {
        if self.gain > 0.0 { self.gain * self.power() * (ideal - self.offset).max(0.0) } else { self.constant_variance }
    }

    /// Strength of the noise at low frequencies, by its mean over all frequencies.
    pub fn low_frequency(&self) -> f64 {
        1.0 / self.power()
    }

    /// Electrons in a pixel whose ideal value is this, if the noise tells.
    pub fn electrons_at(&self, ideal: f64) -> Option<f64> {
        (self.gain > 0.0).then(|| (ideal - self.offset).max(0.0) / self.gain)
    }

    fn power(&self) -> f64 {
        self.kernel.iter().flatten().map(|value| value * value).sum::<f64>().max(1e-6)
    }

    /// An image with noise.
    pub fn counted(&self, ideal: ArrayView2<'_, f32>, random: &mut RandomStream) -> Array2<f32> {
        let (ny, nx) = ideal.dim();
        let constant = (self.constant_variance / self.power()).max(0.0).sqrt();
        let white = ideal.mapv(|value| {
            let Some(expected) = self.electrons_at(f64::from(value)) else {
                let number: f64 = StandardNormal.sample(random);
                return (constant * number) as f32;
            };
            let number = match Poisson::new(expected) {
                Ok(law) if expected < MANY => law.sample(random),
                Ok(_) => expected + expected.sqrt() * Distribution::<f64>::sample(&StandardNormal, random),
                // None are expected.
                Err(_) => 0.0,
            };
            (self.gain * (number - expected)) as f32
        });
        let mut counted = ideal.to_owned();
        let rows = counted.as_slice_mut().expect("made in standard layout").par_chunks_mut(nx.max(1));
        rows.enumerate().for_each(|(y, row)| {
            for (dy, weights) in self.kernel.iter().enumerate() {
                // Beyond the border the noise goes on as in a mirror.
                let from = white.row(mirrored(y as i64 + dy as i64 - i64::from(REACH), ny));
                for (dx, weight) in weights.iter().enumerate() {
                    for (x, value) in row.iter_mut().enumerate() {
                        let at = x as i64 + dx as i64 - i64::from(REACH);
                        let at = if (0..nx as i64).contains(&at) { at as usize } else { mirrored(at, nx) };
                        *value += *weight as f32 * from[at];
                    }
                }
            }
        });
        counted
    }
}

fn mirrored(index: i64, length: usize) -> usize {
    let length = length as i64;
    let folded = index.rem_euclid(2 * length);
    (if folded < length { folded } else { 2 * length - 1 - folded }) as usize
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use ndarray::Array2;

    use super::*;

    #[test]
    fn a_cameras_noise_is_learned() {
        // Electrons spread over pixels by an even kernel, 16 counts each, 100 without any.
        let mut kernel = vec![vec![0.0; EDGE]; EDGE];
        for (dy, wy) in [(3, 0.2), (4, 0.6), (5, 0.2)] {
            for (dx, wx) in [(3, 0.1), (4, 0.8), (5, 0.1)] {
                kernel[dy][dx] = wy * wx;
            }
        }
        let truth = Noise { gain: 16.0, offset: 100.0, constant_variance: 0.0, kernel };
        let ideal =
            Array2::from_shape_fn((96, 96), |(y, x)| 116.0 + 20.0 * ((x as f32 * 0.5).sin() + (y as f32 * 0.3).sin()));
        let ideal = ideal.mapv(|value: f32| value.max(104.0));
        let mut sums = NoiseSums::new(ideal.view());
        let mut random = SeedPath::new(3).stream();
        for _ in 0..60 {
            sums.add(truth.counted(ideal.view(), &mut random).view(), ideal.view());
        }
        let found = sums.noise();
        assert!((found.gain / 16.0 - 1.0).abs() < 0.05, "{}", found.gain);
        assert!((found.offset - 100.0).abs() < 2.0, "{}", found.offset);
        for (a, b) in found.kernel.iter().flatten().zip(truth.kernel.iter().flatten()) {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
    }

    #[test]
    fn noise_that_does_not_depend_on_the_mean() {
        let ideal = Array2::from_shape_fn((64, 64), |(y, x)| ((x + y) % 7) as f32);
        let mut white = vec![vec![0.0; EDGE]; EDGE];
        white[4][4] = 1.0;
        let truth = Noise { gain: 0.0, offset: 0.0, constant_variance: 9.0, kernel: white };
        let mut sums = NoiseSums::new(ideal.view());
        let mut random = SeedPath::new(4).stream();
        for _ in 0..20 {
            sums.add(truth.counted(ideal.view(), &mut random).view(), ideal.view());
        }
        let found = sums.noise();
        assert_eq!(found.gain, 0.0);
        assert!((found.variance_at(3.0) - 9.0).abs() < 0.3);
        assert!(found.kernel[4][4] > 0.97);
    }
}
