//! What every frame says at every site, before it is weighed: the compact record that a movie leaves.
//!
//! Two witnesses are heard. The detector: the logit of the probability of the nearest column and the square of its
//! distance. And the image itself, in units of its standard deviation, averaged over rings around the site: at a dose at
//! which single frames show hardly a column, a reading at a *known* place is far surer than a search. How much each
//! counts is learned from the movie ([`super::occupancy::discriminant`]). Records are steps of 1/256 in two bytes, about
//! 14 bytes a site and frame.

use atomlens_core::confidence::DetectedColumn;
use atomlens_core::glam::DVec2;
use ndarray::ArrayView2;

use crate::neighbours::Neighbours;

/// Rings around a site, the first being its middle.
const RINGS: usize = 5;

/// How far from the border of a frame a place must lie to be read there, in angstrom.
pub const MARGIN_ANGSTROM: f64 = RINGS as f64 * WIDEST_RING_ANGSTROM;

/// Width of the rings, where neighbours leave room.
const WIDEST_RING_ANGSTROM: f64 = 0.45;

/// Numbers that a frame gives for a site: logit of the probability, squared distance, rings.
pub const CHANNELS: usize = 2 + RINGS;

/// Said of a site at which nothing was found: probability 0.01.
const NOTHING_LOGIT: f64 = -4.6;

const SCALE: f64 = 256.0;
const ABSENT: i16 = i16::MIN;

/// Readings at sites and at places known to be empty, frame by frame.
#[derive(Debug, Clone)]
pub struct SiteReadings {
    places: Vec<DVec2>,
    sites: usize,
    /// Columns within this distance belong to a site.
    reach: f64,
    ring_width: f64,
    /// `[frame][place][channel]`.
    record: Vec<i16>,
    frames: usize,
}

impl SiteReadings {
    /// For sites and places known to be empty, in angstrom in the reference frame; `neighbour_angstrom` is the distance
    /// between neighbouring sites.
    pub fn new(sites_angstrom: &[DVec2], vacuum_angstrom: &[DVec2], neighbour_angstrom: f64) -> SiteReadings {
        SiteReadings {
            places: sites_angstrom.iter().chain(vacuum_angstrom).copied().collect(),
            sites: sites_angstrom.len(),
            reach: 0.8_f64.min(0.45 * neighbour_angstrom),
            ring_width: ring_width(neighbour_angstrom),
            record: Vec::new(),
            frames: 0,
        }
    }

    /// Adds a frame: its columns, its image with the edge of a pixel in angstrom, and how places in the reference frame
    /// are found in it. Without an image the detector is the only witness.
    pub fn add(
        &mut self,
        columns: &[DetectedColumn],
        image: Option<(ArrayView2<'_, f32>, f64)>,
        to_frame: impl Fn(DVec2) -> DVec2,
    ) {
        let found: Vec<DVec2> = columns.iter().map(|column| DVec2::new(column.x_angstrom, column.y_angstrom)).collect();
        let near = Neighbours::new(&found, self.reach);
        let scale = image.map(|(image, _)| mean_and_deviation(image));
        for place in &self.places {
            let at = to_frame(*place);
            let mut channels = [0.0; CHANNELS];
            let nearest = near.within(at, self.reach).min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            [channels[0], channels[1]] = match nearest {
                Some((column, square)) => {
                    let p = columns[column].probability.clamp(0.01, 0.99);
                    [(p / (1.0 - p)).ln(), square]
                }
                None => [NOTHING_LOGIT, self.reach * self.reach],
            };
            let mut present = at.is_finite();
            if let (Some((image, pixel)), Some((mean, deviation))) = (image, scale) {
                match rings(image, at / pixel, self.ring_width / pixel) {
                    Some(rings) => {
                        for (channel, value) in channels[2..].iter_mut().zip(rings) {
                            *channel = (value - mean) / deviation;
                        }
                    }
                    None => present = false,
                }
            }
            self.record.extend(channels.map(|value| {
                if present && value.is_finite() {
                    (value * SCALE).round().clamp(-f64::from(i16::MAX), f64::from(i16::MAX)) as i16
                } else {
                    ABSENT
                }
            }));
        }
        self.frames += 1;
    }

    /// Adds a frame of which nothing is known.
    pub fn add_missing(&mut self) {
        self.record.extend(std::iter::repeat_n(ABSENT, self.places.len() * CHANNELS));
        self.frames += 1;
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.sites
    }

    /// Number of places known to be empty.
    pub fn vacuum(&self) -> usize {
        self.places.len() - self.sites
    }

    /// The record of a place in a frame (sites first, then places known to be empty); `None` if there is none.
    pub fn at(&self, place: usize, frame: usize) -> Option<[f64; CHANNELS]> {
        let start = (frame * self.places.len() + place) * CHANNELS;
        let record = &self.record[start..start + CHANNELS];
        (!record.contains(&ABSENT)).then(|| std::array::from_fn(|channel| f64::from(record[channel]) / SCALE))
    }

    /// The detector's probability of a column at a site, 0 where it found none.
    pub fn probability(&self, site: usize, frame: usize) -> Option<f64> {
        let [logit, ..] = self.at(site, frame)?;
        Some(if logit <= NOTHING_LOGIT + 2.0 / SCALE { 0.0 } else { 1.0 / (1.0 + (-logit).exp()) })
    }

    /// Keeps the sites that are marked.
    ///
    /// # Panics
    /// If there is not one mark a site.
    pub fn retain(&mut self, keep: &[bool]) {
        assert_eq!(keep.len(), self.sites, "one mark a site");
        let kept: Vec<usize> =
            (0..self.places.len()).filter(|place| keep.get(*place).copied().unwrap_or(true)).collect();
        let mut record = Vec::with_capacity(self.frames * kept.len() * CHANNELS);
        for frame in 0..self.frames {
            for place in &kept {
                let start = (frame * self.places.len() + place) * CHANNELS;
                record.extend_from_slice(&self.record[start..start + CHANNELS]);
            }
        }
        self.record = record;
        self.places = kept.iter().map(|place| self.places[*place]).collect();
        self.sites = keep.iter().filter(|keep| **keep).count();
    }
}

fn ring_width(neighbour_angstrom: f64) -> f64 {
    WIDEST_RING_ANGSTROM.min(0.18 * neighbour_angstrom)
}

fn mean_and_deviation(image: ArrayView2<'_, f32>) -> (f64, f64) {
    let (mut count, mut sum, mut square) = (0.0, 0.0, 0.0);
    for value in image.iter().filter(|value| value.is_finite()) {
        let value = f64::from(*value);
        count += 1.0;
        sum += value;
        square += value * value;
    }
    let mean = sum / f64::max(count, 1.0);
    (mean, (square / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt().max(1e-12))
}

/// Means over rings around a place, all in pixels; a pixel is shared between the two rings it lies between. `None` if a
/// ring leaves the image or holds no pixel.
fn rings(image: ArrayView2<'_, f32>, centre: DVec2, width: f64) -> Option<[f64; RINGS]> {
    let reach = width * RINGS as f64;
    let (low, high) = ((centre - reach).ceil(), (centre + reach).floor());
    let (ny, nx) = image.dim();
    if !(low.min_element() >= 0.0 && high.x < nx as f64 && high.y < ny as f64) {
        return None;
    }
    let (mut sum, mut weight) = ([0.0; RINGS], [0.0; RINGS]);
    for y in low.y as usize..=high.y as usize {
        for x in low.x as usize..=high.x as usize {
            let radius = DVec2::new(x as f64, y as f64).distance(centre) / width;
            let inner = radius as usize;
            let share = radius - inner as f64;
            let value = f64::from(image[[y, x]]);
            for (ring, share) in [(inner, 1.0 - share), (inner + 1, share)] {
                if ring < RINGS {
                    sum[ring] += share * value;
                    weight[ring] += share;
                }
            }
        }
    }
    let mut means = [0.0; RINGS];
    for (ring, mean) in means.iter_mut().enumerate() {
        // Pixels as wide as a ring may miss it; then it says what the ring outside it says.
        let from = (ring..RINGS).find(|from| weight[*from] > 1e-3)?;
        *mean = sum[from] / weight[from];
    }
    Some(means)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::test_places::column_at;

    fn column(x: f64, y: f64, probability: f64) -> DetectedColumn {
        column_at(DVec2::new(x, y), probability)
    }

    #[test]
    fn columns_and_rings_at_moved_places() {
        let pixel = 0.2;
        let drift = DVec2::new(0.33, -0.21);
        let centre = DVec2::new(10.0, 12.0) + drift;
        let image = Array2::from_shape_fn((120, 100), |(y, x)| {
            let place = DVec2::new(x as f64, y as f64) * pixel;
            (-0.5 * place.distance_squared(centre) / 0.25).exp() as f32
        });
        let mut readings = SiteReadings::new(&[DVec2::new(10.0, 12.0), DVec2::new(5.0, 5.0)], &[DVec2::ZERO], 2.5);
        readings.add(&[column(centre.x + 0.3, centre.y, 0.8)], Some((image.view(), pixel)), |place| place + drift);
        readings.add_missing();
        let [logit, square, rings @ ..] = readings.at(0, 0).unwrap();
        assert!((logit - 4.0_f64.ln()).abs() < 0.01 && (square - 0.09).abs() < 0.01);
        let (_, deviation) = mean_and_deviation(image.view());
        // A Gaussian of standard deviation 0.5 A, shared between rings 0.45 A apart.
        assert!(rings[0] * deviation > 0.8 && rings.windows(2).all(|pair| pair[0] > pair[1]), "{rings:?}");
        let elsewhere = readings.at(1, 0).unwrap();
        assert!(elsewhere[2] < 0.0 && elsewhere[0] < -4.5);
        assert!((readings.probability(0, 0).unwrap() - 0.8).abs() < 0.01);
        assert_eq!(readings.probability(1, 0), Some(0.0));
        // Off the image, and in a missing frame.
        assert_eq!((readings.at(2, 0), readings.at(0, 1)), (None, None));
        readings.retain(&[false, true]);
        assert_eq!((readings.sites(), readings.vacuum(), readings.at(0, 0)), (1, 1, Some(elsewhere)));
    }
}
