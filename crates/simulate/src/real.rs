//! Single and double precision behind one trait, with fast phase factors.
//!
//! A multislice spends as long on `exp(i sigma V)` as on a transform if it asks the standard library;
//! in single precision a polynomial is used instead, which the compiler turns into vector instructions
//! (chosen at run time, so that one binary serves every x86-64 machine).

use multiversion::multiversion;
use num_complex::Complex;
use num_traits::{Float, FromPrimitive};

/// A floating-point type that waves can be made of: `f32` for work, `f64` for checking.
pub trait Real: rustfft::FftNum + Float + FromPrimitive + std::iter::Sum + num_traits::NumAssign {
    /// Writes `exp(2 pi i t)` of every `t` to `out`; both have the same length.
    fn phase_factors(turns: &[Self], out: &mut [Complex<Self>]);

    /// Multiplies every value by its factor; both have the same length.
    fn multiply(values: &mut [Complex<Self>], factors: &[Complex<Self>]);

    /// Multiplies every value by its factor, its weight and one factor for all; all have the same length.
    fn multiply_weighted(
        values: &mut [Complex<Self>],
        factors: &[Complex<Self>],
        weights: &[Self],
        factor: Complex<Self>,
    );

    /// Rounds a double to this precision.
    fn of(value: f64) -> Self;

    /// Widens to double precision.
    fn wide(self) -> f64;
}

impl Real for f32 {
    fn phase_factors(turns: &[f32], out: &mut [Complex<f32>]) {
        phase_factors_single(turns, out);
    }

    fn multiply(values: &mut [Complex<f32>], factors: &[Complex<f32>]) {
        multiply_single(values, factors);
    }

    fn multiply_weighted(values: &mut [Complex<f32>], factors: &[Complex<f32>], weights: &[f32], factor: Complex<f32>) {
        multiply_weighted_single(values, factors, weights, factor);
    }

    fn of(value: f64) -> f32 {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn phase_factors(turns: &[f64], out: &mut [Complex<f64>]) {
        for (t, z) in turns.iter().zip(out) {
            // Whole turns are taken off before the multiplication by an inexact 2 pi.
            let (sin, cos) = ((t - t.round()) * std::f64::consts::TAU).sin_cos();
            *z = Complex::new(cos, sin);
        }
    }

    fn multiply(values: &mut [Complex<f64>], factors: &[Complex<f64>]) {
        multiply(values, factors);
    }

    fn multiply_weighted(values: &mut [Complex<f64>], factors: &[Complex<f64>], weights: &[f64], factor: Complex<f64>) {
        multiply_weighted(values, factors, weights, factor);
    }

    fn of(value: f64) -> f64 {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

#[inline(always)]
fn multiply<T: Real>(values: &mut [Complex<T>], factors: &[Complex<T>]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

#[inline(always)]
fn multiply_weighted<T: Real>(values: &mut [Complex<T>], factors: &[Complex<T>], weights: &[T], factor: Complex<T>) {
    for ((value, by_one), weight) in values.iter_mut().zip(factors).zip(weights) {
        *value *= factor * by_one * *weight;
    }
}

#[multiversion(targets("x86_64+avx2+fma", "x86_64+sse4.1"))]
fn multiply_single(values: &mut [Complex<f32>], factors: &[Complex<f32>]) {
    multiply(values, factors);
}

#[multiversion(targets("x86_64+avx2+fma", "x86_64+sse4.1"))]
fn multiply_weighted_single(
    values: &mut [Complex<f32>],
    factors: &[Complex<f32>],
    weights: &[f32],
    factor: Complex<f32>,
) {
    multiply_weighted(values, factors, weights, factor);
}

/// Taylor series of sine and cosine on an eighth of a turn either side of the nearest quarter turn;
/// the remainder is below 1e-8, so the error is that of single precision.
#[multiversion(targets("x86_64+avx2+fma", "x86_64+sse4.1"))]
fn phase_factors_single(turns: &[f32], out: &mut [Complex<f32>]) {
    for (t, z) in turns.iter().zip(out.iter_mut()) {
        let quarters = (t * 4.0).round_ties_even();
        let angle = (t * 4.0 - quarters) * std::f32::consts::FRAC_PI_2;
        let square = angle * angle;
        let sin = angle
            * (1.0
                + square
                    * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5040.0 + square * (1.0 / 362_880.0)))));
        let cos = 1.0
            + square
                * (-0.5
                    + square
                        * (1.0 / 24.0 + square * (-1.0 / 720.0 + square * (1.0 / 40_320.0 - square / 3_628_800.0))));
        // The quadrant modulo 4, kept in floating point: integers would stop the vectoriser.
        let quadrant = quarters - 4.0 * (quarters * 0.25).floor();
        let odd = quadrant == 1.0 || quadrant == 3.0;
        let (real, imaginary) = if odd { (sin, cos) } else { (cos, sin) };
        let real = if quadrant == 1.0 || quadrant == 2.0 { -real } else { real };
        let imaginary = if quadrant >= 2.0 { -imaginary } else { imaginary };
        *z = Complex::new(real, imaginary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_phase_factors_agree_with_the_standard_library() {
        let turns: Vec<f32> = (-40_000..40_000).map(|i| i as f32 * 0.000_237).collect();
        let mut out = vec![Complex::default(); turns.len()];
        f32::phase_factors(&turns, &mut out);
        for (t, z) in turns.iter().zip(&out) {
            let (sin, cos) = (f64::from(*t) * std::f64::consts::TAU).sin_cos();
            // Two units in the last place of 1, plus what rounding 4 t costs.
            assert!((f64::from(z.re) - cos).abs() < 4e-7 && (f64::from(z.im) - sin).abs() < 4e-7, "{t}: {z}");
        }
    }
}
