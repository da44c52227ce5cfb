//! The paragraph that can be quoted.

use atomlens_analysis::movie::comparison::Quantity;
use atomlens_report::Estimate;

use super::caution::DetectorShare;
use super::movie::Movie;
use super::rows::{ALL, ComparisonRow, SWITCHING, TimeUnit, named, same_sites};
use crate::info::rounded;

/// What is called a difference.
const LEVEL: f64 = 0.05;

/// An estimate as it is written.
pub(super) fn shown(estimate: atomlens_analysis::movie::occupancy::Estimate) -> Estimate {
    Estimate::new(estimate.value, estimate.low, estimate.high)
}

/// A probability as it is written.
pub(super) fn p_label(p_value: Option<f64>) -> String {
    match p_value {
        None => "no test".to_owned(),
        Some(p) if p < 0.001 => "p < 0.001".to_owned(),
        Some(p) if p < 0.1 => format!("p = {p:.3}"),
        Some(p) => format!("p = {p:.2}"),
    }
}

/// A ratio as it is written.
fn times(row: &ComparisonRow) -> String {
    match (row.ratio, row.ratio_low, row.ratio_high) {
        (Some(_), Some(_), Some(_)) => format!("{} times", shown(row.times()).label()),
        (Some(ratio), Some(low), None) => format!("{} [{}, without bound] times", rounded(ratio), rounded(low)),
        _ => "an unknown multiple".to_owned(),
    }
}

fn frames(movie: &Movie) -> String {
    let frames = movie.summary.frames;
    match movie.summary.frame_time_s {
        Some(time) => format!("{frames} frames of {} s", rounded(time)),
        None => format!("{frames} frames"),
    }
}

/// The paragraph on one pair of conditions.
pub(super) fn paragraph(
    [a, b]: [&Movie; 2],
    rows: &[ComparisonRow],
    detector: Option<&DetectorShare>,
    unit: TimeUnit,
    permutations: usize,
) -> String {
    let find = |class: &str, quantity: Quantity| {
        rows.iter().find(|row| {
            row.class == class
                && row.quantity == quantity.name()
                && row.condition_a == a.name
                && row.condition_b == b.name
        })
    };
    let mut text = String::new();
    if let Some(row) = find(ALL, Quantity::SwitchRate) {
        text += &format!(
            "Sites switched {} times per site and {} in {} ({} sites, {}, {:.0} switches) and {} times in {} ({} sites, {}, \
             {:.0} switches): {} as often ({}), a difference of {}.",
            shown(row.first()).label(),
            unit.name(),
            a.name,
            row.sites_a,
            frames(a),
            row.events_a,
            shown(row.second()).label(),
            b.name,
            row.sites_b,
            frames(b),
            row.events_b,
            times(row),
            p_label(row.p_value),
            shown(row.apart()).label(),
        );
    }
    if let Some(row) = find(SWITCHING, Quantity::SwitchRate) {
        text += &format!(
            " Of the sites that switched at all ({} and {}) those in {} did so {} as often ({}).",
            row.sites_a,
            row.sites_b,
            b.name,
            times(row),
            p_label(row.p_value)
        );
    }
    text += &by_class(rows, [a, b]);
    if let Some(row) = find(ALL, Quantity::Occupancy) {
        text += &format!(
            " Sites were filled in {} and {} of the frames ({}).",
            shown(row.first()).scaled(100.0).label_with(" %"),
            shown(row.second()).scaled(100.0).label_with(" %"),
            p_label(row.p_value)
        );
    }
    if let Some(detector) = detector {
        text += &format!(" {}", detector.sentence(unit));
    }
    let dealt = if same_sites(a, b) { "both movies of the same sites" } else { "sites" };
    text += &format!(
        " Brackets are intervals of 95 %. Tests are two-sided, studentised permutations of {dealt} ({permutations} draws), with \
         variances between sites that allow for events correlated in time, within a site and between sites, and for what the \
         detector leaves open."
    );
    text.trim().to_owned()
}

/// Which classes differ in their switching rate.
fn by_class(rows: &[ComparisonRow], [a, b]: [&Movie; 2]) -> String {
    let of_classes: Vec<&ComparisonRow> = rows
        .iter()
        .filter(|row| row.condition_a == a.name && row.condition_b == b.name)
        .filter(|row| row.quantity == Quantity::SwitchRate.name() && ![ALL, SWITCHING].contains(&row.class.as_str()))
        .filter(|row| row.p_value_adjusted.is_some())
        .collect();
    if of_classes.is_empty() {
        return String::new();
    }
    let count = match of_classes.len() {
        1 => "the one class of site".to_owned(),
        classes => format!("{classes} classes of site"),
    };
    let called: Vec<String> = of_classes
        .iter()
        .filter(|row| row.p_value_adjusted.is_some_and(|p| p < LEVEL))
        .map(|row| {
            format!(
                "{} switched {} as often (adjusted {})",
                named(&row.class),
                times(row),
                p_label(row.p_value_adjusted)
            )
        })
        .collect();
    if called.is_empty() {
        return format!(" By class no difference is significant at 5 % (Holm's adjustment for {count}).");
    }
    format!(" By class (Holm's adjustment for {count}), {}.", called.join("; "))
}

/// How it was done, sentence by sentence, for the report.
pub(super) fn methods(permutations: usize) -> Vec<String> {
    vec![
        "Switches, losses and gains are expected numbers given all frames (a hidden Markov model a site), so that missed and \
         false detections are taken out."
            .to_owned(),
        "Sites are the unit: intervals hold for sites of the same kind, not for these alone. A variance has three parts: what \
         differs from site to site, what sites share in time (blocks of frames, their length from the autocorrelation by \
         Politis and White), and what the detector leaves open. It is never less than that of Poisson events."
            .to_owned(),
        "Intervals of rates are gamma intervals (Fay and Feuer), those of occupancies are normal on the logit scale, both with \
         Student's widening for few sites; those of differences and ratios follow from them (Zou and Donner)."
            .to_owned(),
        format!(
            "The test is a two-sided permutation test: the difference by its standard deviation against that of the same sites \
             dealt out anew to both conditions {permutations} times (Chung and Romano). Adjusted values are Holm's: for the \
             classes of site of one quantity; for all sites and for those that switch, for the conditions."
        ),
        "Where two movies are of the same sites (`track --reference`), sites are compared one by one: what differs from site \
         to site drops out of the difference, and the two movies of each site are dealt out instead. Classes are those of the \
         first movie then."
            .to_owned(),
        "Sites that switch are those with at least one expected switch; where movies are of different lengths, only as much \
         of the longer one is taken for them as the shorter one lasts."
            .to_owned(),
    ]
}
