//! Whether sites switch differently under two conditions.
//!
//! Sites are the unit: those of a movie are taken for a sample of the sites that there could have been, so that what
//! differs from site to site counts as doubt and what is found holds for other particles of the kind. Of a group of
//! sites a rate is a ratio of sums over sites `i` and frames `t`,
//! ```text
//! r = sum y_it / sum x_it        switching: y = loss + gain, x = length of the step
//!                                fill:      y = gain, x = P(empty before) x length of the step
//!                                empty:     y = loss, x = P(filled before) x length of the step
//!                                occupancy: y = P(filled), x = 1
//! ```
//! where losses, gains and probabilities are posterior, the detector's errors taken out (`occupancy`). Its variance has
//! three parts ([`Variance`]): what differs between sites, however a site's own events are correlated in time; what
//! sites share in time (hops, a beam that flickers), from blocks of frames; and what the detector leaves open.
//!
//! *Detection.* Expected events vary less than events do. With `N` expected and a posterior variance `N o` of their number
//! (rates unknown), the share `1 / (1 + o)` is left of the information that known paths would hold (T. A. Louis, *J. R.
//! Stat. Soc. B* 44, 226 (1982), doi:10.1111/j.2517-6161.1982.tb01203.x, for Poisson events of one rate), and the
//! variance of the rate as estimated is that of the expected events and `N (o + o / (1 + o))`. Where sites have rates of
//! their own less is missing; the larger is taken. No variance is below that of Poisson events as well seen, so that
//! sites at which nothing happens, whose expected events are those of their class, are not taken for known.
//!
//! *Intervals* of rates are those of a gamma distribution of this variance (M. P. Fay and E. J. Feuer, *Stat. Med.* 16, 791
//! (1997), doi:10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#), of occupancies normal on the logit
//! scale, both widened as Student's distribution is; those of differences and ratios follow from them (G. Y. Zou and A.
//! Donner, *Stat. Med.* 27, 1693 (2008), doi:10.1002/sim.3095).
//!
//! *Test.* The difference by its standard deviation is compared with that of the same sites dealt out anew to both
//! conditions, studentised as well: exact where all sites are alike, right in the limit where conditions differ in their
//! spread (E. Chung and J. P. Romano, *Ann. Stat.* 41, 484 (2013), doi:10.1214/13-AOS1090).
//!
//! *The same sites* under both conditions ([`Contrast::of_pairs`]): what differs from site to site drops out of the
//! difference, which is far better known then. The two movies of each site are what is dealt out.
//!
//! Resampling sites and blocks of frames at once instead counts the noise of single events thrice (A. B. Owen, *Ann.
//! Appl. Stat.* 1, 386 (2007), doi:10.1214/07-AOAS122).

mod block;
mod permutation;
mod variance;

use atomlens_core::SeedPath;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

pub use block::block_length;
pub use permutation::holm;
pub use variance::Variance;

use super::occupancy::Estimate;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Switches of either kind per site and unit of time.
    SwitchRate,
    /// How often an empty site is filled, per unit of time empty.
    FillRate,
    /// How often a filled site is emptied, per unit of time filled.
    EmptyRate,
    /// Share of frames in which a site is filled.
    Occupancy,
}

impl Quantity {
    /// All.
    pub const ALL: [Quantity; 4] = [Quantity::SwitchRate, Quantity::FillRate, Quantity::EmptyRate, Quantity::Occupancy];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::SwitchRate => "switch_rate",
            Quantity::FillRate => "fill_rate",
            Quantity::EmptyRate => "empty_rate",
            Quantity::Occupancy => "occupancy",
        }
    }

    /// Whether it is a number of events by a time.
    pub fn is_rate(self) -> bool {
        self != Quantity::Occupancy
    }
}

/// What is known of the sites of one movie, `[site, frame]`.
#[derive(Debug, Clone, Copy)]
pub struct Condition<'a> {
    /// Probability of being filled.
    pub probability: ArrayView2<'a, f32>,
    /// Probability of having been emptied since the frame before.
    pub loss: ArrayView2<'a, f32>,
    /// Probability of having been filled since the frame before.
    pub gain: ArrayView2<'a, f32>,
    /// Length of the step that leads to each frame, in the unit of time that rates are to have; that of the first frame
    /// counts for nothing.
    pub steps: &'a [f64],
}

impl Condition<'_> {
    /// The sites with at least one expected switch up to frame `frames`.
    pub fn switching_sites(&self, frames: usize) -> Vec<usize> {
        let frames = frames.min(self.steps.len());
        let expected = |site: &usize| -> f64 {
            (1..frames).map(|frame| f64::from(self.loss[[*site, frame]] + self.gain[[*site, frame]])).sum()
        };
        (0..self.probability.nrows()).filter(|site| expected(site) >= 1.0).collect()
    }

    /// The first frames alone.
    pub fn first(&self, frames: usize) -> Condition<'_> {
        let range = ndarray::s![.., ..frames.min(self.steps.len())];
        Condition {
            probability: self.probability.slice(range),
            loss: self.loss.slice(range),
            gain: self.gain.slice(range),
            steps: &self.steps[..frames.min(self.steps.len())],
        }
    }
}

/// What the detector leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    /// Posterior variance of the number of events by their expected number.
    pub open: f64,
    /// Standard deviation of the share of frames filled, that of this movie.
    pub occupancy_sigma: f64,
}

impl Doubt {
    /// Known paths.
    pub const NONE: Doubt = Doubt { open: 0.0, occupancy_sigma: 0.0 };

    /// From the posterior of the number of switches and of the occupancy of the same sites; what is no number leaves
    /// nothing open.
    pub fn of(switches: &Estimate, occupancy: &Estimate) -> Doubt {
        /// Width of an interval of 95 % in standard deviations.
        const WIDTH: f64 = 3.92;
        let sigma = |estimate: &Estimate| ((estimate.high - estimate.low) / WIDTH).max(0.0);
        let variance = sigma(switches).powi(2);
        let open = if switches.value > 0.0 { variance / switches.value } else { 0.0 };
        let number = |value: f64| if value.is_finite() { value } else { 0.0 };
        Doubt { open: number(open), occupancy_sigma: number(sigma(occupancy)) }
    }
}

/// A quantity of some sites under one condition.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupEstimate {
    /// Which.
    pub quantity: Quantity,
    /// Its value with its interval of 95 %.
    pub value: Estimate,
    /// Its variance.
    pub variance: Variance,
    /// Degrees of freedom of the variance.
    pub degrees_of_freedom: f64,
    /// Sum of `y`: for rates the expected number of events.
    pub events: f64,
    /// Length of the blocks of frames that tell what sites share.
    pub block_frames: f64,
    /// By site `[sum y, sum x]`.
    sums: Vec<[f64; 2]>,
    /// Variance of Poisson events as well seen.
    poisson: f64,
}

impl GroupEstimate {
    /// The sites `members` of a condition; `None` if they were never in the state that the quantity asks for.
    pub fn of(
        condition: &Condition<'_>,
        members: &[usize],
        quantity: Quantity,
        doubt: &Doubt,
    ) -> Option<GroupEstimate> {
        variance::estimated(condition, members, quantity, doubt)
    }

    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.sums.len()
    }

    /// Standard deviation.
    pub fn sigma(&self) -> f64 {
        self.variance.total().sqrt()
    }
}

/// Two conditions, the second by the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// Second less first.
    pub difference: Estimate,
    /// Second by first; without bound where the first may be 0.
    pub ratio: Estimate,
    /// Of the two-sided test; NaN with fewer than two sites in a condition.
    pub p_value: f64,
}

impl Contrast {
    /// Of the same quantity.
    pub fn of(a: &GroupEstimate, b: &GroupEstimate, permutations: usize, seed: SeedPath) -> Contrast {
        let difference = b.value.value - a.value.value;
        let up = apart(b.value.high - b.value.value, a.value.value - a.value.low, 0.0);
        let down = apart(b.value.value - b.value.low, a.value.high - a.value.value, 0.0);
        let sigma = (a.variance.total() + b.variance.total()).sqrt();
        Contrast {
            difference: Estimate { value: difference, low: difference - down, high: difference + up },
            ratio: ratio(&a.value, &b.value, 0.0),
            p_value: permutation::p_value(&a.sums, &b.sums, difference / sigma, permutations, seed),
        }
    }

    /// Of the same sites, in the same order, under both conditions: what differs from site to site drops out as far as it
    /// is the same under both. The test deals out the two movies of each site anew. As [`Contrast::of`] where the
    /// numbers of sites differ.
    pub fn of_pairs(a: &GroupEstimate, b: &GroupEstimate, permutations: usize, seed: SeedPath) -> Contrast {
        if a.sites() != b.sites() {
            return Contrast::of(a, b, permutations, seed);
        }
        let total = [a.variance.total(), b.variance.total()];
        let besides = |of: &GroupEstimate| of.variance.shared + of.variance.detection;
        let between = permutation::pair_ratios(&a.sums, &b.sums)[1];
        let variance = (between + besides(a) + besides(b)).max(a.poisson + b.poisson);
        let together = 0.5 * (total[0] + total[1] - variance) / (total[0] * total[1]).sqrt();
        let together = if together.is_finite() { together.clamp(-1.0, 1.0) } else { 0.0 };
        let [below_a, above_a] = [a.value.value - a.value.low, a.value.high - a.value.value];
        let [below_b, above_b] = [b.value.value - b.value.low, b.value.high - b.value.value];
        let difference = b.value.value - a.value.value;
        Contrast {
            difference: Estimate {
                value: difference,
                low: difference - apart(below_b, above_a, together),
                high: difference + apart(above_b, below_a, together),
            },
            ratio: ratio(&a.value, &b.value, together),
            p_value: permutation::p_value_of_pairs(&a.sums, &b.sums, difference / variance.sqrt(), permutations, seed),
        }
    }
}

/// How far the end of an interval of a difference is, from those of its two terms and their correlation.
fn apart(one: f64, other: f64, together: f64) -> f64 {
    (one * one + other * other - 2.0 * together * one * other).max(0.0).sqrt()
}

/// `b / a`. With no event under one condition the bounds are those of the intervals' ends, which is on the safe side.
fn ratio(a: &Estimate, b: &Estimate, together: f64) -> Estimate {
    let value = b.value / a.value;
    if !(value > 0.0 && value.is_finite() && a.low > 0.0 && b.low > 0.0) {
        let high = if a.low > 0.0 { b.high / a.low } else { f64::INFINITY };
        return Estimate { value, low: if a.high > 0.0 { b.low / a.high } else { 0.0 }, high };
    }
    let apart = |x: f64, y: f64| apart(x.ln(), y.ln(), together);
    let up = apart(b.high / b.value, a.value / a.low);
    let down = apart(b.value / b.low, a.high / a.value);
    Estimate { value, low: value * (-down).exp(), high: value * up.exp() }
}

#[cfg(test)]
mod tests;
