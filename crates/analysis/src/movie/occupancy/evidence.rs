//! How the evidence at a site is distributed when the site is filled and when it is empty.
//!
//! The evidence, a number that is larger the more it speaks for a column (such as the logit of the detector's
//! probability), is sorted into steps. The shares of the steps among filled
//! and among empty site-frames are counted, each frame of a site weighing by its current probability of being filled,
//! under the one condition that more evidence never speaks less for a column: the ratio of the two shares does not
//! fall. The estimate of largest likelihood under it is the isotonic regression of the share of filled among all in a
//! step (C. A. Carolan and J. M. Tebbs, *Biometrika* 92, 159 (2005), doi:10.1093/biomet/92.1.159). What the detector was
//! calibrated on does not enter: a probability is a score here.
//!
//! Sites differ: a column of few atoms gives less evidence than one in the middle, an empty place beside the particle
//! more than one in the vacuum. With l the logarithm of the ratio of the pooled shares, the evidence of a filled site
//! is distributed as `f_empty exp(a l) / Z(a)`, with `a = 1` for the pool, and that of an empty one likewise with a
//! smaller `a`, 0 for the pool. Were the pooled evidence normal with equal variances, `a` would be its mean between
//! empty (0) and filled (1); the ratio of a site's two densities always rises with the evidence.

/// Steps of evidence are numbered by a byte; this one is for no evidence at all.
pub(super) const MISSING: u8 = u8::MAX;

/// Evidence is told apart up to here.
const LARGEST: f64 = 60.0;

/// No step's ratio is believed beyond this: what is in neither pool may still happen.
const LARGEST_LOG_RATIO: f64 = 7.0;

/// The steps into which evidence is sorted.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceSteps {
    /// Ends between the steps, ascending.
    ends: Vec<f64>,
}

fn bounded(evidence: f32) -> f64 {
    f64::from(evidence).clamp(-LARGEST, LARGEST)
}

impl EvidenceSteps {
    /// Steps by quantiles of the sample, and as many again of even width where quantiles leave gaps.
    const QUANTILES: usize = 20;
    const EVEN: usize = 20;

    /// Steps for a sample of evidence; values that are not finite do not count.
    pub fn of(sample: impl Iterator<Item = f32>) -> EvidenceSteps {
        let mut values: Vec<f64> = sample.filter(|value| value.is_finite()).map(bounded).collect();
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else { return EvidenceSteps { ends: Vec::new() } };
        let at = |share: f64| values[(share * last as f64).round() as usize];
        let (low, high) = (at(0.005), at(0.995));
        let mut ends: Vec<f64> = (1..Self::QUANTILES).map(|step| at(step as f64 / Self::QUANTILES as f64)).collect();
        ends.extend((1..Self::EVEN).map(|step| low + (high - low) * step as f64 / Self::EVEN as f64));
        ends.sort_by(f64::total_cmp);
        // An end belongs to the step above it, so that equal values are never split. Steps hold a few values at least.
        let least = (values.len() / 2000).clamp(3, 1000);
        let mut kept: Vec<f64> = Vec::new();
        let mut below = 0;
        for end in ends {
            let count = values.partition_point(|value| *value < end);
            if count >= below + least && values.len() - count >= least {
                kept.push(end);
                below = count;
            }
        }
        EvidenceSteps { ends: kept }
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.ends.len() + 1
    }

    /// Whether nothing can be told apart.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn step(&self, evidence: f32) -> u8 {
        if evidence.is_finite() {
            let value = bounded(evidence);
            self.ends.partition_point(|end| *end <= value) as u8
        } else {
            MISSING
        }
    }

    /// A value in each step.
    pub(super) fn middles(&self) -> Vec<f64> {
        let (first, last) = (self.ends.first().copied().unwrap_or(0.0), self.ends.last().copied().unwrap_or(0.0));
        let edges: Vec<f64> =
            std::iter::once(first - 1.0).chain(self.ends.iter().copied()).chain(std::iter::once(last + 1.0)).collect();
        edges.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect()
    }

    /// The values between the steps, ascending.
    pub fn ends(&self) -> &[f64] {
        &self.ends
    }
}

/// The pooled densities and the family of tilted ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// Share of each step among filled sites.
    pub filled: Vec<f64>,
    /// Share of each step among empty places.
    pub empty: Vec<f64>,
    /// Logarithm of the ratio of both.
    pub log_ratio: Vec<f64>,
    /// ln Z, its first and its second derivative on a grid of tilts.
    table: Vec<[f64; 3]>,
}

/// Range and step of the grid of tilts.
const TILT_LOW: f64 = -2.0;
const TILT_HIGH: f64 = 4.0;
const TILT_STEP: f64 = 0.01;

impl Emission {
    /// From weighted counts of the steps among filled and empty.
    pub fn of(filled: &[f64], empty: &[f64]) -> Emission {
        let (sum_filled, sum_empty) = (filled.iter().sum::<f64>().max(1e-9), empty.iter().sum::<f64>().max(1e-9));
        let total = sum_filled + sum_empty;
        // One pseudo-count for each of the two pools, spread as the evidence of both together.
        let counts: Vec<[f64; 2]> = filled
            .iter()
            .zip(empty)
            .map(|(filled, empty)| {
                let share = (filled + empty) / total;
                [filled + share, empty + share]
            })
            .collect();
        let mut blocks: Vec<([f64; 2], usize)> = Vec::new();
        let ratio = |block: &[f64; 2]| block[0] / (block[0] + block[1]).max(1e-300);
        for count in &counts {
            let mut block = (*count, 1);
            while let Some(before) = blocks.pop_if(|before| ratio(&before.0) >= ratio(&block.0)) {
                block = ([block.0[0] + before.0[0], block.0[1] + before.0[1]], block.1 + before.1);
            }
            blocks.push(block);
        }
        let log_ratio: Vec<f64> = blocks
            .iter()
            .flat_map(|(block, steps)| {
                let ratio = (block[0] / (sum_filled + 1.0)) / (block[1] / (sum_empty + 1.0)).max(1e-300);
                std::iter::repeat_n(ratio.max(1e-300).ln().clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO), *steps)
            })
            .collect();
        let shares: Vec<f64> = counts.iter().map(|count| (count[0] + count[1]) / (total + 2.0)).collect();
        let (part_filled, part_empty) = (sum_filled / total, sum_empty / total);
        let mut below: Vec<f64> = shares
            .iter()
            .zip(&log_ratio)
            .map(|(share, log_ratio)| share / (part_empty + part_filled * log_ratio.exp()))
            .collect();
        normalise(&mut below);
        let mut above: Vec<f64> =
            below.iter().zip(&log_ratio).map(|(below, log_ratio)| below * log_ratio.exp()).collect();
        normalise(&mut above);
        let log_ratio: Vec<f64> =
            above.iter().zip(&below).map(|(above, below)| (above.max(1e-300) / below.max(1e-300)).ln()).collect();
        let points = ((TILT_HIGH - TILT_LOW) / TILT_STEP).round() as usize + 1;
        let table = (0..points)
            .map(|point| {
                let tilt = TILT_LOW + TILT_STEP * point as f64;
                let largest = log_ratio.iter().map(|l| tilt * l).fold(f64::NEG_INFINITY, f64::max);
                let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
                for (below, l) in below.iter().zip(&log_ratio) {
                    let weight = below * (tilt * l - largest).exp();
                    sum += weight;
                    first += weight * l;
                    second += weight * l * l;
                }
                let mean = first / sum;
                [largest + sum.ln(), mean, (second / sum - mean * mean).max(1e-9)]
            })
            .collect();
        Emission { filled: above, empty: below, log_ratio, table }
    }

    /// ln Z at a tilt, the mean and the variance of the log-ratio there.
    pub(super) fn at(&self, tilt: f64) -> [f64; 3] {
        let place = ((tilt - TILT_LOW) / TILT_STEP).clamp(0.0, (self.table.len() - 1) as f64);
        let below = (place as usize).min(self.table.len() - 2);
        let part = place - below as f64;
        std::array::from_fn(|index| {
            let (a, b) = (self.table[below][index], self.table[below + 1][index]);
            a + (b - a) * part
        })
    }

    /// Logarithm of the likelihood ratio of a step, for a site's tilts when filled and when empty.
    pub(super) fn log_ratio_of(&self, step: u8, filled: f64, empty: f64, log_z: f64) -> f64 {
        if step == MISSING { 0.0 } else { (filled - empty) * self.log_ratio[usize::from(step)] - log_z }
    }

    /// How well a frame tells filled from empty: the area under the curve of hits against false alarms, 0.5 for not at
    /// all, 1 for always.
    pub fn separation(&self) -> f64 {
        let mut below = 0.0;
        let mut area = 0.0;
        for (filled, empty) in self.filled.iter().zip(&self.empty) {
            area += filled * (below + 0.5 * empty);
            below += empty;
        }
        area
    }
}

fn normalise(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum.max(1e-300));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_equal_values_together() {
        let sample: Vec<f32> = (0..3000).map(|i| if i % 3 == 0 { 0.0 } else { (i % 101) as f32 / 100.0 }).collect();
        let steps = EvidenceSteps::of(sample.iter().copied());
        assert!(steps.len() > 10 && steps.len() < 42, "{}", steps.len());
        assert_eq!((steps.step(0.0), steps.step(f32::NAN)), (0, MISSING));
        assert!(sample.windows(2).all(|pair| (pair[0] <= pair[1]) == (steps.step(pair[0]) <= steps.step(pair[1]))
            || steps.step(pair[0]) == steps.step(pair[1])));
        assert_eq!(EvidenceSteps::of([0.5_f32; 50].into_iter()).len(), 1);
        assert_eq!(EvidenceSteps::of(std::iter::empty()).len(), 1);
    }

    #[test]
    fn shares_of_normal_evidence_and_tilts_that_are_its_means() {
        // Steps of a normal distribution of mean 0 (empty) and 2 (filled).
        let ends: Vec<f64> = (0..=60).map(|i| -4.0 + 0.2 * f64::from(i)).collect();
        let density = |x: f64, mean: f64| 1e5 * (-0.5 * (x - mean).powi(2)).exp();
        let counts = |mean: f64| -> Vec<f64> { ends.iter().map(|x| density(*x, mean)).collect() };
        let emission = Emission::of(&counts(2.0), &counts(0.0));
        // ln of the ratio is 2 x - 2, where both are populated.
        for (x, l) in ends.iter().zip(&emission.log_ratio).filter(|(x, _)| (-1.0..3.0).contains(*x)) {
            assert!((l - (2.0 * x - 2.0)).abs() < 0.02, "{x}: {l}");
        }
        assert!(emission.log_ratio.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
        // A site of mean 1.5: tilt 0.75, mean log-ratio 1.
        let [_, mean, variance] = emission.at(0.75);
        assert!((mean - 1.0).abs() < 0.02 && (variance - 4.0).abs() < 0.1, "{mean} {variance}");
        // The area for two unit normals 2 apart is Phi(sqrt 2) = 0.9214.
        assert!((emission.separation() - 0.9214).abs() < 0.003);
    }

    #[test]
    fn steps_out_of_order_are_pooled() {
        let emission = Emission::of(&[10.0, 5.0, 200.0, 800.0], &[500.0, 400.0, 90.0, 10.0]);
        assert!((emission.log_ratio[0] - emission.log_ratio[1]).abs() < 1e-12);
        assert!((emission.filled.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // (15 / 1015) / (900 / 1000), but for the pseudo-counts.
        assert!((emission.log_ratio[0] - (15.0 / 1015.0 / 0.9_f64).ln()).abs() < 0.06, "{}", emission.log_ratio[0]);
    }
}
