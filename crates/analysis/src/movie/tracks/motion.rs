//! How far columns move, with the error of localisation taken out.
//!
//! The error of a place enters two displacements that follow each other with opposite signs, and so do their
//! covariance and nothing else in free diffusion. With displacements `d_n` between frames along one axis
//! ```text
//! D = <d_n^2> / 2 + <d_n d_(n+1)>          sigma^2 = R <d_n^2> + (2 R - 1) <d_n d_(n+1)>
//! ```
//! per frame time, `R` being 0 for a short exposure and 1/6 for one as long as the frame time (C. Vestergaard, P.
//! Blainey and H. Flyvbjerg, *Phys. Rev. E* 89, 022726 (2014), doi:10.1103/PhysRevE.89.022726; its equations 14, 16
//! and 17). Here `R = 0`: frames are taken for short against the motion, which leaves D right and puts what blur there is
//! into sigma.

use std::collections::VecDeque;

use atomlens_core::glam::DVec2;
use serde::{Deserialize, Serialize};

/// Displacements that a track must have for its motion to be estimated.
const FEWEST: f64 = 8.0;

/// A track's diffusion and localisation error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// Diffusion coefficient in angstrom^2 per frame time; below 0 by chance where there is none.
    pub diffusion_angstrom2: f64,
    /// Its standard error.
    pub diffusion_sigma_angstrom2: f64,
    /// Localisation error in each direction, as the places themselves show it, in angstrom.
    pub localisation_angstrom: f64,
}

/// Sums of displacements between consecutive frames.
#[derive(Debug, Clone, Default)]
pub struct Displacements {
    recent: VecDeque<(usize, DVec2)>,
    squares: f64,
    square_count: f64,
    products: f64,
    product_count: f64,
    before: Option<DVec2>,
}

impl Displacements {
    /// Adds a place; frames rise.
    pub(super) fn add(&mut self, frame: usize, place: DVec2, mean_square: &mut MeanSquare) {
        let step = self.recent.back().filter(|(last, _)| last + 1 == frame).map(|(_, last)| place - *last);
        if let Some(step) = step {
            self.squares += step.length_squared() / 2.0;
            self.square_count += 1.0;
            if let Some(before) = self.before {
                self.products += step.dot(before) / 2.0;
                self.product_count += 1.0;
            }
        }
        self.before = step;
        for (earlier, from) in &self.recent {
            mean_square.add(frame - earlier, place.distance_squared(*from));
        }
        self.recent.push_back((frame, place));
        while self.recent.front().is_some_and(|(first, _)| frame - first >= mean_square.lags()) {
            self.recent.pop_front();
        }
    }

    /// The estimate, from at least eight displacements.
    pub fn motion(&self) -> Option<Motion> {
        if self.square_count < FEWEST || self.product_count < 1.0 {
            return None;
        }
        let square = self.squares / self.square_count;
        let product = self.products / self.product_count;
        let diffusion = 0.5 * square + product;
        let variance = -product;
        // Both axes count; the variance of D for R = 0, with D and sigma^2 within their bounds.
        let (d, s) = (diffusion.max(0.0), variance.max(0.0));
        let n = 2.0 * self.square_count;
        let spread = (6.0 * d * d + 4.0 * d * s + 2.0 * s * s) / n + 4.0 * (d + s).powi(2) / (n * n);
        Some(Motion {
            diffusion_angstrom2: diffusion,
            diffusion_sigma_angstrom2: spread.sqrt(),
            localisation_angstrom: s.sqrt(),
        })
    }
}

/// Mean-square displacements of many tracks, by lag.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanSquare {
    /// By lag from 1: sum and count.
    sums: Vec<(f64, f64)>,
}

/// A point of the mean-square displacement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanSquarePoint {
    /// Frames between the places.
    pub lag_frames: usize,
    /// As measured, in angstrom^2 (x and y together).
    pub measured_angstrom2: f64,
    /// Less four times the variance of localisation.
    pub corrected_angstrom2: f64,
    /// Pairs of places.
    pub pairs: f64,
}

impl MeanSquare {
    /// For lags from 1 to `lags`.
    pub fn new(lags: usize) -> MeanSquare {
        MeanSquare { sums: vec![(0.0, 0.0); lags.max(1)] }
    }

    fn lags(&self) -> usize {
        self.sums.len()
    }

    fn add(&mut self, lag: usize, square: f64) {
        if let Some((sum, count)) = lag.checked_sub(1).and_then(|at| self.sums.get_mut(at)) {
            *sum += square;
            *count += 1.0;
        }
    }

    /// The curve at the lags that occurred, for a localisation error in each direction.
    pub fn curve(&self, localisation_angstrom: f64) -> Vec<MeanSquarePoint> {
        let off = 4.0 * localisation_angstrom.powi(2);
        self.sums
            .iter()
            .enumerate()
            .filter(|(_, (_, count))| *count > 0.0)
            .map(|(at, (sum, count))| MeanSquarePoint {
                lag_frames: at + 1,
                measured_angstrom2: sum / count,
                corrected_angstrom2: sum / count - off,
                pairs: *count,
            })
            .collect()
    }
}
