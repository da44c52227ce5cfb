//! How much each witness counts: Fisher's linear discriminant, learned from the movie itself.
//!
//! ```text
//! evidence = w . (x - middle),   w = S^-1 d
//! ```
//! with `d` the mean difference of a site's readings between filled and empty and `S` their covariance within the same
//! state, the mean of that of both states (R. A. Fisher, *Ann. Eugenics* 7, 179 (1936),
//! doi:10.1111/j.1469-1809.1936.tb02137.x). For normal readings this is the logarithm of the likelihood ratio. It starts
//! from sites known to be filled and places known to be empty, heard in the rings that neighbours do not reach; then the
//! hidden states are inferred, and differences are taken within each site, so that thickness and surroundings drop out.
//!
//! Where there are images only their rings are heard: what the detector says of a site is no news beside them, is far
//! from normal (found or not found), and a detector that sees columns at empty places as well would teach that seen is
//! filled. It is the witness where there are no images.

use std::ops::Range;

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::movie::reading::{CHANNELS, SiteReadings};

/// The detector's channels, the rings, and those of the first guess, which neighbours do not reach.
const DETECTOR: Range<usize> = 0..2;
const RINGS: Range<usize> = 2..CHANNELS;
const INNER_RINGS: Range<usize> = 2..5;

/// Differences within sites count as much as the first guess from this many on.
const FIRST_WEIGHT: f64 = 10.0;

/// The outer rings, which neighbours reach, are heard from so much weight of differences within sites on.
const ENOUGH_FOR_ALL: f64 = 30.0;

/// Weights of the channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Discriminant {
    /// `w`.
    pub weights: [f64; CHANNELS],
    /// `w . middle`.
    pub threshold: f64,
    /// `d . w`: squared distance between filled and empty in standard deviations.
    pub distance_squared: f64,
    difference: [f64; CHANNELS],
    difference_weight: f64,
}

/// Sums over weighted readings.
#[derive(Clone)]
struct Moments {
    count: f64,
    sum: [f64; CHANNELS],
    square: [[f64; CHANNELS]; CHANNELS],
}

impl Moments {
    const NONE: Moments = Moments { count: 0.0, sum: [0.0; CHANNELS], square: [[0.0; CHANNELS]; CHANNELS] };

    fn add(&mut self, reading: &[f64; CHANNELS], weight: f64) {
        self.count += weight;
        for a in 0..CHANNELS {
            let part = weight * reading[a];
            self.sum[a] += part;
            for (b, value) in reading.iter().enumerate().skip(a) {
                self.square[a][b] += part * value;
            }
        }
    }

    fn merge(&mut self, other: &Moments) {
        self.count += other.count;
        for a in 0..CHANNELS {
            self.sum[a] += other.sum[a];
        }
    }

    fn mean(&self) -> [f64; CHANNELS] {
        self.sum.map(|sum| sum / self.count.max(1e-300))
    }

    /// Adds the scatter about the mean to a covariance in the making.
    fn scatter(&self, into: &mut [[f64; CHANNELS]; CHANNELS]) {
        let mean = self.mean();
        for a in 0..CHANNELS {
            for b in 0..CHANNELS {
                into[a][b] += self.square[a.min(b)][a.max(b)] - self.count * mean[a] * mean[b];
            }
        }
    }
}

/// The mean of the covariances of both states, each of so many free values: of unequal ones neither decides alone. A
/// state of few values has no covariance of its own.
fn mean_of_both(scatter: [[[f64; CHANNELS]; CHANNELS]; 2], free: [f64; 2]) -> [[f64; CHANNELS]; CHANNELS] {
    const FEW: f64 = 30.0;
    let own = free.map(|free| free / (free + FEW));
    let sum = (own[0] + own[1]).max(1e-300);
    std::array::from_fn(|a| {
        std::array::from_fn(|b| {
            (0..2).map(|state| own[state] * scatter[state][a][b] / free[state].max(1.0)).sum::<f64>() / sum
        })
    })
}

fn varies(covariance: &[[f64; CHANNELS]; CHANNELS], channel: usize) -> bool {
    covariance[channel][channel] > 1e-6
}

fn difference(a: [f64; CHANNELS], b: [f64; CHANNELS]) -> [f64; CHANNELS] {
    std::array::from_fn(|channel| a[channel] - b[channel])
}

fn dot(a: &[f64; CHANNELS], b: &[f64; CHANNELS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Discriminant {
    /// Believes the detector's probability as it stands.
    pub fn of_detector() -> Discriminant {
        let mut weights = [0.0; CHANNELS];
        weights[0] = 1.0;
        Discriminant {
            weights,
            threshold: 0.0,
            distance_squared: 0.0,
            difference: [0.0; CHANNELS],
            difference_weight: 0.0,
        }
    }

    /// From sites known to be filled and places known to be empty, in some of the frames; the detector alone if there
    /// are too few readings.
    pub fn first(readings: &SiteReadings, frames: &[usize], known_filled: &[bool]) -> Discriminant {
        const ENOUGH: f64 = 100.0;
        let (mut filled, mut empty) = (Moments::NONE, Moments::NONE);
        let (mut scatter, mut free) = ([[[0.0; CHANNELS]; CHANNELS]; 2], [0.0; 2]);
        let places = readings.sites() + readings.vacuum();
        for place in (0..places).filter(|place| known_filled.get(*place).copied().unwrap_or(true)) {
            let mut own = Moments::NONE;
            for reading in frames.iter().filter_map(|frame| readings.at(place, *frame)) {
                own.add(&reading, 1.0);
            }
            let is_site = place < readings.sites();
            own.scatter(&mut scatter[usize::from(is_site)]);
            free[usize::from(is_site)] += (own.count - 1.0).max(0.0);
            if is_site { filled.merge(&own) } else { empty.merge(&own) }
        }
        if filled.count < ENOUGH || empty.count < ENOUGH {
            return Discriminant::of_detector();
        }
        let covariance = mean_of_both(scatter, free);
        let apart = difference(filled.mean(), empty.mean());
        let middle: [f64; CHANNELS] = std::array::from_fn(|c| 0.5 * (filled.mean()[c] + empty.mean()[c]));
        let heard = if RINGS.clone().any(|ring| varies(&covariance, ring)) { INNER_RINGS } else { DETECTOR };
        Discriminant::with(apart, covariance, middle, heard, FIRST_WEIGHT)
    }

    /// From readings at all sites in some of the frames, given the probability of filled, `[site, one of the frames]`,
    /// and what was believed before.
    pub fn refined(&self, readings: &SiteReadings, frames: &[usize], filled: &Array2<f32>) -> Discriminant {
        let (mut scatter, mut free) = ([[[0.0; CHANNELS]; CHANNELS]; 2], [0.0; 2]);
        let (mut apart, mut middle, mut weight_sum) = ([0.0; CHANNELS], [0.0; CHANNELS], 0.0);
        for site in 0..readings.sites() {
            let mut moments = [Moments::NONE, Moments::NONE];
            for (at, frame) in frames.iter().enumerate() {
                if let Some(reading) = readings.at(site, *frame) {
                    let p = f64::from(filled[[site, at]]).clamp(0.0, 1.0);
                    moments[1].add(&reading, p);
                    moments[0].add(&reading, 1.0 - p);
                }
            }
            for (state, moments) in moments.iter().enumerate().filter(|(_, moments)| moments.count >= 1.0) {
                moments.scatter(&mut scatter[state]);
                free[state] += (moments.count - 1.0).max(0.0);
            }
            let [empty, filled] = &moments;
            // A handful of frames in doubt are no state of their own.
            if empty.count >= 2.0 && filled.count >= 2.0 {
                let weight = empty.count * filled.count / (empty.count + filled.count);
                let own = difference(filled.mean(), empty.mean());
                for channel in 0..CHANNELS {
                    apart[channel] += weight * own[channel];
                    middle[channel] += 0.5 * weight * (filled.mean()[channel] + empty.mean()[channel]);
                }
                weight_sum += weight;
            }
        }
        if weight_sum < 2.0 || free[0] + free[1] < 50.0 {
            return self.clone();
        }
        let covariance = mean_of_both(scatter, free);
        let first = self.difference_weight.min(FIRST_WEIGHT);
        let blended =
            std::array::from_fn(|channel| (apart[channel] + first * self.difference[channel]) / (weight_sum + first));
        let middle = middle.map(|sum| sum / weight_sum);
        let heard = if !RINGS.clone().any(|ring| varies(&covariance, ring)) {
            DETECTOR
        } else if weight_sum < ENOUGH_FOR_ALL {
            INNER_RINGS
        } else {
            RINGS
        };
        Discriminant::with(blended, covariance, middle, heard, first)
    }

    fn with(
        apart: [f64; CHANNELS],
        covariance: [[f64; CHANNELS]; CHANNELS],
        middle: [f64; CHANNELS],
        heard: Range<usize>,
        difference_weight: f64,
    ) -> Discriminant {
        let weights = solved(covariance, apart, heard);
        Discriminant {
            threshold: dot(&weights, &middle),
            distance_squared: dot(&weights, &apart),
            weights,
            difference: apart,
            difference_weight,
        }
    }

    /// Evidence at the sites in some of the frames, `[site, one of the frames]`, NaN where there is no reading.
    pub fn sites(&self, readings: &SiteReadings, frames: &[usize]) -> Array2<f32> {
        self.places(readings, 0..readings.sites(), frames)
    }

    /// Evidence at places known to be empty, `[place, one of the frames]`.
    pub fn vacuum(&self, readings: &SiteReadings, frames: &[usize]) -> Array2<f32> {
        self.places(readings, readings.sites()..readings.sites() + readings.vacuum(), frames)
    }

    fn places(&self, readings: &SiteReadings, places: Range<usize>, frames: &[usize]) -> Array2<f32> {
        let mut evidence = Array2::zeros((places.len(), frames.len()));
        evidence.axis_iter_mut(Axis(0)).zip(places).par_bridge().for_each(|(mut row, place)| {
            for (value, frame) in row.iter_mut().zip(frames) {
                *value = self.evidence(readings, place, *frame);
            }
        });
        evidence
    }

    fn evidence(&self, readings: &SiteReadings, place: usize, frame: usize) -> f32 {
        readings.at(place, frame).map_or(f32::NAN, |reading| (dot(&self.weights, &reading) - self.threshold) as f32)
    }
}

/// `covariance^-1 apart` in the channels that are heard, by Cholesky's factors; channels that never vary get 0.
fn solved(covariance: [[f64; CHANNELS]; CHANNELS], apart: [f64; CHANNELS], heard: Range<usize>) -> [f64; CHANNELS] {
    let used: Vec<usize> = heard.filter(|channel| varies(&covariance, *channel)).collect();
    let n = used.len();
    let mut factor = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let (a, b) = (used[i], used[j]);
            // A little added to the diagonal keeps channels apart that say nearly the same.
            let ridge = if i == j { 1e-3 * covariance[a][a] } else { 0.0 };
            let sum: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            let rest = covariance[a][b] + ridge - sum;
            factor[i][j] = if i == j { rest.max(1e-9 * covariance[a][a]).sqrt() } else { rest / factor[j][j] };
        }
    }
    let mut solution: Vec<f64> = used.iter().map(|channel| apart[*channel]).collect();
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| factor[i][k] * solution[k]).sum();
        solution[i] = (solution[i] - sum) / factor[i][i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| factor[k][i] * solution[k]).sum();
        solution[i] = (solution[i] - sum) / factor[i][i];
    }
    let mut weights = [0.0; CHANNELS];
    for (channel, value) in used.into_iter().zip(solution) {
        weights[channel] = value;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_by_hand() {
        let mut covariance = [[0.0; CHANNELS]; CHANNELS];
        covariance[0][0] = 2.0;
        covariance[1][1] = 1.0;
        covariance[0][1] = 0.5;
        covariance[1][0] = 0.5;
        let mut apart = [0.0; CHANNELS];
        apart[0] = 1.0;
        apart[1] = 1.0;
        // Inverse of ((2, .5), (.5, 1)) is ((1, -.5), (-.5, 2)) / 1.75.
        let weights = solved(covariance, apart, 0..CHANNELS);
        assert!((weights[0] - 0.5 / 1.75).abs() < 2e-3 && (weights[1] - 1.5 / 1.75).abs() < 2e-3, "{weights:?}");
        assert!(weights[2..].iter().all(|weight| *weight == 0.0));
        assert_eq!(solved(covariance, apart, 0..1)[1], 0.0);
    }
}
