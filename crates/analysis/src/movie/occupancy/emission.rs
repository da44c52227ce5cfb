//! How the evidence at a site is distributed when the site is filled and when it is empty.
//!
//! Evidence read in rings is a weighted mean over many pixels, and so close to normal:
//! ```text
//! filled:  N(m1 + b, v(m1))      empty:  N(m0, v0)
//! v(m) = v0 + (v1 - v0) (m - M0) / (M1 - M0)
//! ```
//! Both means `m0` and `m1` are the site's own: a column of few atoms gives less evidence than one in the middle, and
//! what is pooled over sites is wider than what any of them shows, so that pooled densities would call a short visit
//! noise. `b` is the frame's, in which all columns may be seen better or worse. Of the variance, shot noise goes with the
//! intensity and so with the level; `M0` and `M1` are the means of all sites.
//!
//! A share of `STRAY` comes from anywhere, filled or empty, so that one wild frame is no event. Of normal distributions
//! of unequal widths the wider one wins on both sides; from where the ratio turns on it is held.

use serde::{Deserialize, Serialize};

/// Share of evidence that belongs to neither state.
const STRAY: f64 = 1e-4;

/// Such evidence may lie anywhere in a range of this many differences between filled and empty.
const STRAY_RANGE: f64 = 6.0;

/// A filled site's variance is believed to lie between these multiples of the smaller and of the larger of both states.
const LEAST_VARIANCE: f64 = 0.5;
const LARGEST_VARIANCE: f64 = 1.5;

/// Mean and standard deviation of the evidence in a state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Mean over sites.
    pub mean: f64,
    /// Standard deviation within a site.
    pub deviation: f64,
}

/// The evidence of all sites together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Emission {
    /// When filled.
    pub filled: Level,
    /// When empty.
    pub empty: Level,
}

/// A site's own means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Levels {
    pub(super) filled: f64,
    pub(super) empty: f64,
}

impl Emission {
    /// How well a frame tells filled from empty at a common site: the area under the curve of hits against false alarms,
    /// 0.5 for not at all, 1 for always.
    pub fn separation(&self) -> f64 {
        let width = self.filled.deviation.hypot(self.empty.deviation);
        0.5 * statrs::function::erf::erfc(-self.difference() / (width * std::f64::consts::SQRT_2))
    }

    /// Difference of both means.
    pub fn difference(&self) -> f64 {
        self.filled.mean - self.empty.mean
    }

    /// The variance of a filled site of this mean.
    pub(super) fn filled_variance(&self, mean: f64) -> f64 {
        let (filled, empty) = (self.filled.deviation.powi(2), self.empty.deviation.powi(2));
        let part = (mean - self.empty.mean) / self.difference();
        let (least, largest) = (LEAST_VARIANCE * filled.min(empty), LARGEST_VARIANCE * filled.max(empty));
        (empty + (filled - empty) * part).clamp(least, largest)
    }

    pub(super) fn densities(&self, levels: Levels) -> Densities {
        let (filled, empty) = (self.filled_variance(levels.filled), self.empty.deviation.powi(2));
        // Where the derivative of the log-ratio, (x - m0) / v0 - (x - m1) / v1, is 0.
        let curve = 1.0 / filled - 1.0 / empty;
        let turn = (levels.filled / filled - levels.empty / empty) / curve;
        let even = curve.abs() * self.difference().powi(2) < 1e-9;
        Densities {
            levels,
            precision: [1.0 / empty, 1.0 / filled],
            height: [1.0 / empty.sqrt(), 1.0 / filled.sqrt()],
            stray: STRAY * std::f64::consts::TAU.sqrt() / (STRAY_RANGE * self.difference()),
            low: if even || curve > 0.0 { f64::NEG_INFINITY } else { turn },
            high: if even || curve < 0.0 { f64::INFINITY } else { turn },
            with_shift: if even { 0.0 } else { 1.0 / (filled * curve) },
        }
    }
}

/// A site's two densities, both without the factor of 1 / sqrt(2 pi).
#[derive(Debug, Clone, Copy)]
pub(super) struct Densities {
    pub(super) levels: Levels,
    /// Empty, filled.
    precision: [f64; 2],
    height: [f64; 2],
    stray: f64,
    /// The ratio rises between these; both move with a frame's shift.
    low: f64,
    high: f64,
    with_shift: f64,
}

impl Densities {
    /// Likelihood of filled over that of empty; 1 for no evidence.
    pub(super) fn ratio(&self, evidence: f32, shift: f64) -> f64 {
        let evidence = f64::from(evidence);
        if !evidence.is_finite() {
            return 1.0;
        }
        let turned = self.with_shift * shift;
        let evidence = evidence.max(self.low + turned).min(self.high + turned);
        let (filled, empty) = (evidence - self.levels.filled - shift, evidence - self.levels.empty);
        let filled = self.height[1] * (-0.5 * self.precision[1] * filled * filled).exp();
        let empty = self.height[0] * (-0.5 * self.precision[0] * empty * empty).exp();
        (filled + self.stray) / (empty + self.stray)
    }

    /// The probability that evidence this far from the mean of its state (empty 0, filled 1) is not stray.
    pub(super) fn belongs(&self, state: usize, residual: f64) -> f64 {
        let square = self.precision[state] * residual * residual;
        if square < 12.0 {
            return 1.0;
        }
        let density = self.height[state] * (-0.5 * square).exp();
        density / (density + self.stray)
    }

    pub(super) fn precision(&self, state: usize) -> f64 {
        self.precision[state]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMISSION: Emission =
        Emission { filled: Level { mean: 2.0, deviation: 0.5 }, empty: Level { mean: 0.0, deviation: 0.8 } };

    #[test]
    fn the_ratio_is_that_of_two_normal_densities() {
        let densities = EMISSION.densities(Levels { filled: 2.0, empty: 0.1 });
        let normal = |x: f64, mean: f64, deviation: f64| (-0.5 * ((x - mean) / deviation).powi(2)).exp() / deviation;
        for x in [0.6_f32, 0.8, 1.0, 1.6, 2.2] {
            let exact = normal(f64::from(x), 2.1, 0.5) / normal(f64::from(x), 0.1, 0.8);
            let log = densities.ratio(x, 0.1).ln();
            assert!((log - exact.ln()).abs() < 0.02, "{x}: {log} {}", exact.ln());
        }
        assert_eq!(densities.ratio(f32::NAN, 0.0), 1.0);
        // Two unit normals 2 apart: Phi(sqrt 2) = 0.92135.
        let even = Emission { filled: Level { mean: 2.0, deviation: 1.0 }, empty: Level { mean: 0.0, deviation: 1.0 } };
        assert!((even.separation() - 0.92135).abs() < 1e-5, "{}", even.separation());
    }

    #[test]
    fn wild_evidence_says_little_and_never_the_contrary() {
        for (filled, empty) in [(0.5, 0.8), (0.8, 0.5), (0.5, 0.5)] {
            let emission = Emission {
                filled: Level { mean: 2.0, deviation: filled },
                empty: Level { mean: 0.0, deviation: empty },
            };
            let densities = emission.densities(Levels { filled: 1.1, empty: 0.0 });
            for i in -400..400 {
                let x = 0.02 * f64::from(i);
                let log = densities.ratio(x as f32, 0.1).ln();
                assert!(log.abs() < 13.0 && (x > 0.0 || log <= 0.0) && (x < 1.2 || log >= 0.0), "{x}: {log}");
                // Between both means more evidence speaks more for a column.
                let next = densities.ratio((x + 0.02) as f32, 0.1).ln();
                assert!(!(0.0..1.2).contains(&x) || next >= log, "{x}: {log} {next}");
            }
        }
    }

    #[test]
    fn noise_goes_with_the_level() {
        // Half way between both states the variance is the mean of both, 0.445.
        assert!((EMISSION.filled_variance(1.0) - 0.445).abs() < 1e-12);
        assert!((EMISSION.filled_variance(2.0) - 0.25).abs() < 1e-12);
        assert!((EMISSION.filled_variance(9.0) - 0.125).abs() < 1e-12);
    }
}
