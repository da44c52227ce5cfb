//! A simulated twin of a movie: the same mean image, sites, drift and noise, with occupancies that are known.
//!
//! ```text
//! frame(r) = mean(r) + sum over sites of (filled - occupancy) amplitude template(r - place) + noise(r)
//! ```
//! The template is what a site's image changes by when it is filled, by least squares over all sites that switch; the
//! amplitude is a site's own, drawn towards 1. Noise comes as electrons, whose number per count and whose spread over
//! pixels are learned from what the frames leave over ([`noise`]). Nothing is taken from the optics: where the model of the
//! image is wrong (columns that move, a support that changes), the twin is easier than the movie.

pub mod noise;

use atomlens_core::SeedPath;
use atomlens_core::glam::DVec2;
use ndarray::{Array2, ArrayView2};
use rand::RngExt;

use self::noise::{Noise, NoiseSums};
use super::drift::Pose;
use super::mean_image::{between, in_frame};
use super::occupancy::{FrameIntervals, Switching};

/// Radius of the template in distances between neighbours, and where it begins to fall to zero.
const TEMPLATE_REACH: f64 = 0.9;
const TEMPLATE_FULL: f64 = 0.6;

/// Sites whose occupancy varies less than this are not learned from: squared deviations, summed over frames.
const LEAST_VARIATION: f64 = 0.5;

/// Below this sum over all sites the mean image says what a column looks like.
const ENOUGH_VARIATION: f64 = 20.0;

/// Spread of the amplitudes that is expected.
const AMPLITUDE_SPREAD: f64 = 0.35;

/// What is known of the sites.
#[derive(Debug, Clone)]
pub struct TwinSites {
    /// Their places in the reference frame, in angstrom.
    pub places_angstrom: Vec<DVec2>,
    /// Probability that each is filled, `[site, frame]`.
    pub probability: Array2<f32>,
    /// Distance between neighbours, in angstrom.
    pub neighbour_angstrom: f64,
}

/// Learns how the frames of a movie are made.
#[derive(Debug)]
pub struct TwinLearner {
    sites: TwinSites,
    occupancy: Vec<f64>,
    mean: Array2<f32>,
    /// The mean, NaN around sites that switch.
    quiet: Array2<f32>,
    pixel_angstrom: f64,
    /// Half the edge of the template, in pixels.
    half: usize,
    /// Changes around each site that go with its occupancy, `[y * edge + x]`; empty for sites that do not switch.
    changes: Vec<Vec<f64>>,
    variation: Vec<f64>,
    noise: NoiseSums,
}

/// How the frames of a movie are made.
#[derive(Debug, Clone)]
pub struct Twin {
    /// Places of the sites in the reference frame, in angstrom.
    pub places_angstrom: Vec<DVec2>,
    /// Share of frames in which each is filled in the mean image.
    pub occupancy: Vec<f64>,
    /// How strong each site's template is.
    pub amplitude: Vec<f64>,
    /// What an image changes by when a site is filled, `[y, x]` on the image's pixels, the site in the middle.
    pub template: Array2<f32>,
    /// The noise.
    pub noise: Noise,
    mean: Array2<f32>,
    pixel_angstrom: f64,
}

impl TwinLearner {
    /// From the mean image, shape `[y, x]`, and what was found.
    ///
    /// # Panics
    /// If there is not one row of probabilities a site.
    pub fn new(mean: Array2<f32>, pixel_angstrom: f64, sites: TwinSites) -> TwinLearner {
        let count = sites.places_angstrom.len();
        assert_eq!(sites.probability.nrows(), count, "one row of probabilities a site");
        let frames = sites.probability.ncols().max(1) as f64;
        let occupancy: Vec<f64> = sites
            .probability
            .rows()
            .into_iter()
            .map(|row| row.iter().map(|p| f64::from(*p)).sum::<f64>() / frames)
            .collect();
        let half = (TEMPLATE_REACH * sites.neighbour_angstrom / pixel_angstrom).ceil() as usize;
        let edge = 2 * half + 1;
        let mut quiet = mean.clone();
        let mut changes = vec![Vec::new(); count];
        for (site, place) in sites.places_angstrom.iter().enumerate() {
            let varies: f64 =
                sites.probability.row(site).iter().map(|p| (f64::from(*p) - occupancy[site]).powi(2)).sum();
            if varies >= LEAST_VARIATION {
                changes[site] = vec![0.0; edge * edge];
                blank(&mut quiet, *place / pixel_angstrom, half as f64);
            }
        }
        TwinLearner {
            noise: NoiseSums::new(mean.view()),
            variation: vec![0.0; count],
            sites,
            occupancy,
            mean,
            quiet,
            pixel_angstrom,
            half,
            changes,
        }
    }

    /// Adds frame number `index` of the movie.
    pub fn add(&mut self, index: usize, frame: ArrayView2<'_, f32>, pose: &Pose) {
        let edge = 2 * self.half + 1;
        for site in 0..self.changes.len() {
            if self.changes[site].is_empty() {
                continue;
            }
            let deviation = f64::from(self.sites.probability[[site, index]]) - self.occupancy[site];
            let centre = self.sites.places_angstrom[site];
            let mut patch = Vec::with_capacity(edge * edge);
            for offset in offsets(self.half) {
                let place = centre + offset * self.pixel_angstrom;
                let seen = between(frame, pose.to_frame(place) / self.pixel_angstrom);
                patch.push(f64::from(seen - between(self.mean.view(), place / self.pixel_angstrom)));
            }
            if patch.iter().any(|value| !value.is_finite()) {
                continue;
            }
            self.variation[site] += deviation * deviation;
            self.changes[site].iter_mut().zip(&patch).for_each(|(sum, value)| *sum += deviation * value);
        }
        let expected = in_frame(self.quiet.view(), self.pixel_angstrom, pose);
        self.noise.add(frame, expected.view());
    }

    /// The twin.
    pub fn finish(self) -> Twin {
        let edge = 2 * self.half + 1;
        let noise = self.noise.noise();
        let variation: f64 = self.variation.iter().sum();
        let mut template: Vec<f64> = if variation >= ENOUGH_VARIATION {
            let mut sum = vec![0.0; edge * edge];
            for change in self.changes.iter().filter(|change| !change.is_empty()) {
                sum.iter_mut().zip(change).for_each(|(sum, value)| *sum += value);
            }
            sum.iter().map(|value| value / variation).collect()
        } else {
            self.column_of_mean()
        };
        let reach = self.sites.neighbour_angstrom / self.pixel_angstrom;
        for (value, offset) in template.iter_mut().zip(offsets(self.half)) {
            let share = (offset.length() / reach - TEMPLATE_FULL) / (TEMPLATE_REACH - TEMPLATE_FULL);
            *value *= 0.5 + 0.5 * (std::f64::consts::PI * share.clamp(0.0, 1.0)).cos();
        }
        let power: f64 = template.iter().map(|value| value * value).sum();
        let level = self.mean.iter().map(|value| f64::from(*value)).sum::<f64>() / self.mean.len().max(1) as f64;
        // White noise of the same strength at low frequencies is what a template as wide as this sees.
        let variance = noise.variance_at(level) * noise.low_frequency();
        let amplitude = self
            .changes
            .iter()
            .zip(&self.variation)
            .map(|(change, variation)| {
                if change.is_empty() || power * variation <= 0.0 {
                    return 1.0;
                }
                let along: f64 = change.iter().zip(&template).map(|(change, value)| change * value).sum();
                let own = along / (variation * power);
                let information = variation * power / variance.max(f64::MIN_POSITIVE);
                let prior = AMPLITUDE_SPREAD.powi(-2);
                ((own * information + prior) / (information + prior)).clamp(0.2, 3.0)
            })
            .collect();
        let template = template.iter().map(|value| *value as f32).collect();
        Twin {
            places_angstrom: self.sites.places_angstrom,
            occupancy: self.occupancy,
            amplitude,
            template: Array2::from_shape_vec((edge, edge), template).expect("a square of this edge"),
            noise,
            mean: self.mean,
            pixel_angstrom: self.pixel_angstrom,
        }
    }

    /// A filled column less what lies half way to its neighbours, from the mean image: where nothing switches enough.
    fn column_of_mean(&self) -> Vec<f64> {
        let edge = 2 * self.half + 1;
        let (mut sum, mut count) = (vec![0.0; edge * edge], 0.0_f64);
        for (place, _) in self.sites.places_angstrom.iter().zip(&self.occupancy).filter(|(_, filled)| **filled > 0.9) {
            let at = *place / self.pixel_angstrom;
            let patch: Vec<f64> =
                offsets(self.half).map(|offset| f64::from(between(self.mean.view(), at + offset))).collect();
            if patch.iter().all(|value| value.is_finite()) {
                sum.iter_mut().zip(&patch).for_each(|(sum, value)| *sum += value);
                count += 1.0;
            }
        }
        let middle = 0.5 * self.sites.neighbour_angstrom / self.pixel_angstrom;
        let ring: Vec<f64> = sum
            .iter()
            .zip(offsets(self.half))
            .filter(|(_, offset)| (offset.length() - middle).abs() < 1.0)
            .map(|(value, _)| *value)
            .collect();
        let background = ring.iter().sum::<f64>() / ring.len().max(1) as f64;
        sum.iter()
            .zip(offsets(self.half))
            .map(|(value, offset)| if offset.length() <= middle { (value - background) / count.max(1.0) } else { 0.0 })
            .collect()
    }
}

impl Twin {
    /// A frame in which these sites are filled, at a pose; same seed, same frame.
    ///
    /// # Panics
    /// If there is not one state a site.
    pub fn frame(&self, filled: &[bool], pose: &Pose, seed: SeedPath) -> Array2<f32> {
        assert_eq!(filled.len(), self.places_angstrom.len(), "one state a site");
        let mut image = self.mean.clone();
        let half = (self.template.nrows() / 2) as f64;
        let (ny, nx) = image.dim();
        for (site, filled) in filled.iter().enumerate() {
            let change = (f64::from(u8::from(*filled)) - self.occupancy[site]) * self.amplitude[site];
            if change.abs() < 1e-3 {
                continue;
            }
            let centre = self.places_angstrom[site] / self.pixel_angstrom;
            let (low, high) = ((centre - half).ceil().max(DVec2::ZERO), (centre + half).floor());
            let high = high.min(DVec2::new(nx as f64, ny as f64) - 1.0);
            if !(low.cmple(high).all()) {
                continue;
            }
            for y in low.y as usize..=high.y as usize {
                for x in low.x as usize..=high.x as usize {
                    let value = between(self.template.view(), DVec2::new(x as f64, y as f64) - centre + half);
                    if value.is_finite() {
                        image[[y, x]] += change as f32 * value;
                    }
                }
            }
        }
        let moved = in_frame(image.view(), self.pixel_angstrom, pose);
        // Where the mean does not reach nothing is known; its mean stands there.
        let level = self.mean.mean().unwrap_or(0.0);
        let ideal = moved.mapv(|value| if value.is_finite() { value } else { level });
        self.noise.counted(ideal.view(), &mut seed.stream())
    }

    /// Edge of a pixel of its frames, in angstrom.
    pub fn pixel_angstrom(&self) -> f64 {
        self.pixel_angstrom
    }
}

/// States `[site, frame]` of sites that switch independently at these rates, `initial` being the chance that each is filled at
/// first.
pub fn states(rates: &[Switching], initial: &[f64], intervals: &FrameIntervals, seed: SeedPath) -> Array2<bool> {
    let mut states = Array2::from_elem((rates.len(), intervals.frames()), false);
    for (site, (rates, initial)) in rates.iter().zip(initial).enumerate() {
        let mut random = seed.index(site as u64).stream();
        let mut filled = random.random::<f64>() < *initial;
        for frame in 0..intervals.frames() {
            if frame > 0 {
                let [fill, empty] = rates.over(intervals.length(frame));
                filled ^= random.random::<f64>() < if filled { empty } else { fill };
            }
            states[[site, frame]] = filled;
        }
    }
    states
}

fn offsets(half: usize) -> impl Iterator<Item = DVec2> {
    let half = half as i32;
    (-half..=half).flat_map(move |y| (-half..=half).map(move |x| DVec2::new(f64::from(x), f64::from(y))))
}

fn blank(image: &mut Array2<f32>, centre: DVec2, radius: f64) {
    let (ny, nx) = image.dim();
    let (low, high) = ((centre - radius).ceil().max(DVec2::ZERO), (centre + radius).floor());
    for y in low.y as usize..=(high.y.max(0.0) as usize).min(ny - 1) {
        for x in low.x as usize..=(high.x.max(0.0) as usize).min(nx - 1) {
            if DVec2::new(x as f64, y as f64).distance(centre) <= radius {
                image[[y, x]] = f32::NAN;
            }
        }
    }
}

#[cfg(test)]
mod tests;
