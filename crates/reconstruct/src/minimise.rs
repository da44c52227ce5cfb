//! Minimisation with a limited memory of past steps: J. Nocedal, Math. Comp. 35, 773 (1980),
//! doi:10.1090/S0025-5718-1980-0572855-7, led by an inverse Hessian that is known approximately.

use std::collections::VecDeque;

use num_complex::Complex;
use rayon::prelude::*;

use crate::forward::PIECE;

/// Steps that are remembered.
const MEMORY: usize = 5;

/// What is minimised.
pub(crate) trait Objective {
    /// The value and its gradient (`d L = Re sum conj(gradient) d x`), which is written over.
    fn value(&mut self, x: &[Complex<f32>], gradient: &mut [Complex<f32>]) -> f64;

    /// Multiplies by an approximate inverse Hessian, in place.
    fn precondition(&mut self, values: &mut [Complex<f32>]);
}

/// How a minimisation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Another step would gain next to nothing.
    Converged,
    /// The allowed number of steps was taken.
    OutOfSteps,
    /// It was asked to.
    Stopped,
}

/// What a minimisation came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) steps: usize,
    pub(crate) value: f64,
    pub(crate) how: Ended,
}

/// A step that was taken: how far it went, how the gradient changed along it, and the product of both.
type Step = (Vec<Complex<f32>>, Vec<Complex<f32>>, f64);

/// The sum of products of real and imaginary parts, in one order whatever the threads.
fn dot(a: &[Complex<f32>], b: &[Complex<f32>]) -> f64 {
    let sums: Vec<f64> = a
        .par_chunks(PIECE)
        .zip(b.par_chunks(PIECE))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(a.re * b.re + a.im * b.im)).sum())
        .collect();
    sums.iter().sum()
}

/// `y += factor x`.
fn add(y: &mut [Complex<f32>], x: &[Complex<f32>], factor: f64) {
    let factor = factor as f32;
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| {
        for (y, x) in y.iter_mut().zip(x) {
            *y += x * factor;
        }
    });
}

/// Minimises from `x`, which is moved. Before every step `go_on` gets the number of steps so far and the value, and says
/// whether to take it. Steps end when one gains less than `tolerance` of the value.
pub(crate) fn minimise(
    objective: &mut impl Objective,
    x: &mut [Complex<f32>],
    most_steps: usize,
    tolerance: f64,
    mut go_on: impl FnMut(usize, f64) -> bool,
) -> End {
    let count = x.len();
    let empty = || vec![Complex::default(); count];
    let (mut gradient, mut next_gradient, mut direction, mut next) = (empty(), empty(), empty(), empty());
    let mut past: VecDeque<Step> = VecDeque::new();
    let mut value = objective.value(x, &mut gradient);
    let mut steps = 0;
    while steps < most_steps {
        if !go_on(steps, value) {
            return End { steps, value, how: Ended::Stopped };
        }
        direction.copy_from_slice(&gradient);
        let mut shares = Vec::with_capacity(past.len());
        for (moved, bent, curvature) in past.iter().rev() {
            let share = dot(moved, &direction) / curvature;
            add(&mut direction, bent, -share);
            shares.push(share);
        }
        objective.precondition(&mut direction);
        for ((moved, bent, curvature), share) in past.iter().zip(shares.into_iter().rev()) {
            let back = dot(bent, &direction) / curvature;
            add(&mut direction, moved, share - back);
        }
        let slope = -dot(&gradient, &direction);
        if slope >= 0.0 {
            return End { steps, value, how: Ended::Converged };
        }
        let mut length = 1.0;
        let next_value = loop {
            next.copy_from_slice(x);
            add(&mut next, &direction, -length);
            let next_value = objective.value(&next, &mut next_gradient);
            if next_value <= value + 1e-4 * length * slope {
                break Some(next_value);
            }
            // The lowest point of the parabola through both values.
            let bend = next_value - value - length * slope;
            let vertex = if bend.is_finite() && bend > 0.0 { -0.5 * slope * length / bend } else { 0.1 };
            length *= vertex.clamp(0.1, 0.6);
            if length < 1e-4 {
                break None;
            }
        };
        // Single precision has no lower value to offer.
        let Some(next_value) = next_value else { return End { steps, value, how: Ended::Converged } };
        let (mut moved, mut bent) = if past.len() == MEMORY {
            past.pop_front().map(|(a, b, _)| (a, b)).expect("it has some")
        } else {
            (empty(), empty())
        };
        moved.copy_from_slice(&next);
        add(&mut moved, x, -1.0);
        bent.copy_from_slice(&next_gradient);
        add(&mut bent, &gradient, -1.0);
        let curvature = dot(&moved, &bent);
        if curvature > 0.0 {
            past.push_back((moved, bent, curvature));
        }
        x.copy_from_slice(&next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        steps += 1;
        let gained = value - next_value;
        value = next_value;
        if gained < tolerance * value.abs() {
            return End { steps, value, how: Ended::Converged };
        }
    }
    End { steps, value, how: Ended::OutOfSteps }
}
