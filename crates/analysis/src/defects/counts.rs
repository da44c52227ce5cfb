//! Numbers per area and per site, with intervals of 95 %.
//!
//! The estimate is the sum `E` of the probabilities of all that could be a defect, so that missed columns and mistaken
//! species cancel where the probabilities are calibrated. Its variance is that of a Poisson count, `E`, and of the
//! doubt about each, `sum p (1 - p)`. The interval is that of F. Garwood (*Biometrika* 28, 437 (1936)) for a count, exact
//! where all probabilities are 0 or 1; otherwise for the count `E^2 / variance` that has the same relative spread,
//! scaled to `E`. Fractions of sites have the interval of C. J. Clopper and E. S. Pearson (*Biometrika* 26, 404 (1934),
//! doi:10.1093/biomet/26.4.404), with the numbers of successes and trials reduced alike.

use puruspe::{invbetai, invgammp};

use super::{DefectKind, KindCount};

/// One tail of 95 %.
const TAIL: f64 = 0.025;

/// Below this count the lower limit is 0 to thirty digits.
const LEAST_COUNT: f64 = 0.05;
/// Above this count the approximation of E. B. Wilson and M. M. Hilferty (*Proc. Natl. Acad. Sci.* 17, 684 (1931)) is right to 1e-4, and the
/// inverse of the incomplete gamma function is not certain to settle.
const LARGE_COUNT: f64 = 100.0;
/// Standard deviations of a normal distribution beyond which lies [`TAIL`].
const TAIL_SIGMAS: f64 = 1.959_963_985;

/// Limits of 95 % of the mean of a Poisson count; the count need not be whole.
pub fn poisson_interval(count: f64) -> [f64; 2] {
    if count > LARGE_COUNT {
        let at = |a: f64, sigmas: f64| a * (1.0 - 1.0 / (9.0 * a) + sigmas / (3.0 * a.sqrt())).powi(3);
        return [at(count, -TAIL_SIGMAS), at(count + 1.0, TAIL_SIGMAS)];
    }
    let low = if count > LEAST_COUNT { invgammp(TAIL, count) } else { 0.0 };
    [low, invgammp(1.0 - TAIL, count.max(0.0) + 1.0)]
}

/// Limits of 95 % of a proportion; neither number need be whole. 0 to 1 without trials.
pub fn proportion_interval(successes: f64, trials: f64) -> [f64; 2] {
    let failures = (trials - successes).max(0.0);
    let low = if successes > LEAST_COUNT { invbetai(TAIL, successes, failures + 1.0) } else { 0.0 };
    let high = if failures > 0.0 { invbetai(1.0 - TAIL, successes + 1.0, failures) } else { 1.0 };
    [low, high]
}

/// The numbers of a kind, from the probabilities of all that could be one.
pub(super) fn count(
    kind: DefectKind,
    listed: usize,
    probabilities: &[f64],
    area_nm2: f64,
    sites: Option<usize>,
) -> KindCount {
    // Nothing at all adds up to -0.
    let expected = probabilities.iter().sum::<f64>().max(0.0);
    let doubt = probabilities.iter().map(|p| p * (1.0 - p)).sum::<f64>().max(0.0);
    // One unit of the count that has this spread.
    let unit = if expected > 0.0 { (expected + doubt) / expected } else { 1.0 };
    let [low, high] = poisson_interval(expected / unit);
    let per_area = |number: f64| if area_nm2 > 0.0 { number / area_nm2 } else { 0.0 };
    let of_sites = sites.filter(|&sites| sites > 0).map(|sites| sites as f64);
    KindCount {
        kind,
        count: listed,
        expected,
        expected_sigma: doubt.sqrt(),
        area_nm2,
        per_nm2: per_area(expected),
        per_nm2_low: per_area(unit * low),
        per_nm2_high: per_area(unit * high),
        sites,
        fraction: of_sites.map(|sites| expected / sites),
        fraction_interval: of_sites.map(|sites| proportion_interval(expected / unit, sites / unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: [f64; 2], expected: [f64; 2], tolerance: f64) {
        assert!((0..2).all(|end| (found[end] - expected[end]).abs() < tolerance), "{found:?} {expected:?}");
    }

    #[test]
    fn limits_of_poisson_counts_as_published() {
        // F. Garwood, Biometrika 28, 437 (1936); K. Ulm, Am. J. Epidemiol. 131, 373 (1990).
        near(poisson_interval(0.0), [0.0, 3.689], 5e-4);
        near(poisson_interval(1.0), [0.0253, 5.572], 5e-4);
        near(poisson_interval(10.0), [4.795, 18.390], 5e-4);
        near(poisson_interval(50.0), [37.111, 65.919], 5e-4);
        // 100.001 is beyond the exact ones; 81.363 and 121.627 are those of 100.
        near(poisson_interval(100.0), [81.363, 121.627], 5e-3);
        near(poisson_interval(100.001), [81.364, 121.628], 2e-2);
        for count in [1e-300, 1e-9, 0.01, 0.06, 99.9, 1e4, 1e9] {
            let [low, high] = poisson_interval(count);
            assert!(low <= count && count < high, "{count}: {low} {high}");
        }
    }

    #[test]
    fn limits_of_proportions_as_published() {
        // R. G. Newcombe, Stat. Med. 17, 857 (1998), method 5: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        near(proportion_interval(81.0, 263.0), [0.2527, 0.3676], 1e-4);
        near(proportion_interval(15.0, 148.0), [0.0578, 0.1617], 1e-4);
        near(proportion_interval(0.0, 20.0), [0.0, 0.1684], 1e-4);
        near(proportion_interval(1.0, 29.0), [0.0009, 0.1776], 1e-4);
        near(proportion_interval(20.0, 20.0), [0.8316, 1.0], 1e-4);
        near(proportion_interval(0.0, 0.0), [0.0, 1.0], 1e-12);
    }

    #[test]
    fn certain_defects_have_the_exact_interval_and_doubt_widens_it() {
        let certain = count(DefectKind::MetalVacancy, 10, &[1.0; 10], 20.0, Some(500));
        near([certain.per_nm2_low, certain.per_nm2_high], [4.795 / 20.0, 18.390 / 20.0], 1e-4);
        assert_eq!((certain.expected, certain.expected_sigma, certain.per_nm2), (10.0, 0.0, 0.5));
        near(certain.fraction_interval.unwrap(), proportion_interval(10.0, 500.0), 1e-12);
        let doubtful = count(DefectKind::MetalVacancy, 0, &[0.5; 20], 20.0, Some(500));
        assert_eq!(doubtful.per_nm2, 0.5);
        assert!(doubtful.per_nm2_low < certain.per_nm2_low && doubtful.per_nm2_high > certain.per_nm2_high);
        let none = count(DefectKind::MetalVacancy, 0, &[], 20.0, None);
        assert!((none.per_nm2_high - 3.689 / 20.0).abs() < 1e-4 && none.fraction.is_none());
        assert_eq!(count(DefectKind::Pentagon, 0, &[], 0.0, None).per_nm2_high, 0.0);
    }
}
