//! Numbers per area and per site, with intervals of 95 %.
//!
//! The estimate is the sum `E` of the probabilities of all that could be a defect, so that missed columns and mistaken
//! species cancel where the probabilities are calibrated. Its variance is that of a Poisson count, `E`, and of the
//! doubt about each, `sum p (1 - p)`. The interval is that of F. Garwood (*Biometrika* 28, 437 (1936)) for a count, exact
//! where all probabilities are 0 or 1; otherwise for the count `E^2 / variance` that has the same relative spread,
//! scaled to `E`. Fractions of sites have the interval of C. J. Clopper and E. S. Pearson (*Biometrika* 26, 404 (1934),
//! doi:10.1093/biomet/26.4.404), with the numbers of successes and trials reduced alike.

use atomlens_core::quantile::{poisson_interval, proportion_interval};

use super::{DefectKind, KindCount};

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
