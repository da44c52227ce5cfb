//! Whether two movies can be compared at all, and what errors of the detector would explain.

use atomlens_report::short_number;
use serde::Serialize;

use super::movie::{Movie, Rates};
use super::rows::{self, ComparisonRow, SWITCHING, TimeUnit};
use crate::info::rounded;

/// Doses that differ by more than this factor are worth a warning.
const DOSE_FACTOR: f64 = 1.5;
/// Frame times likewise.
const FRAME_TIME_FACTOR: f64 = 1.2;
/// Pixel sizes likewise.
const PIXEL_FACTOR: f64 = 1.1;
/// Shares of missed and of false detections likewise, as a difference.
const ERROR_DIFFERENCE: f64 = 0.05;
/// Areas under the curve likewise.
const SEPARATION_DIFFERENCE: f64 = 0.02;
/// Share of the sites that belong to a class likewise.
const CLASS_DIFFERENCE: f64 = 0.15;
/// Fewer switches than this tell little.
const FEW_SWITCHES: f64 = 10.0;
/// More frames than this share that could not be used are worth a warning.
const BAD_FRAMES: f64 = 0.1;

/// What a movie's own figures warn of.
pub(super) fn of_one(movie: &Movie) -> Vec<String> {
    let mut warnings = Vec::new();
    let summary = &movie.summary;
    let bad = summary.bad_frames.len();
    if bad as f64 > BAD_FRAMES * summary.frames as f64 {
        warnings.push(format!("{}: {bad} of {} frames could not be used", movie.name, summary.frames));
    }
    let switches = summary.total.switches().value;
    if switches < FEW_SWITCHES {
        warnings.push(format!(
            "{}: only {switches:.1} switches are expected in the movie, so that next to nothing is known of rates",
            movie.name
        ));
    }
    if movie.mean_image.is_none() {
        warnings.push(format!("{}: there is no readable mean_image.npy, so its maps have no image", movie.name));
    }
    warnings
}

/// What the differences between two movies warn of.
pub(super) fn of_pair(a: &Movie, b: &Movie) -> Vec<String> {
    let mut warnings = Vec::new();
    let (one, other) = (&a.summary, &b.summary);
    let pair = format!("{} and {}", a.name, b.name);
    if a.path == b.path {
        warnings.push(format!("{pair} are the same folder"));
    }
    let factor = |x: f64, y: f64| (x / y).max(y / x);
    let (what, unit, doses) = match (one.signal.dose_e_per_a2, other.signal.dose_e_per_a2) {
        (Some(x), Some(y)) => ("doses a frame", " e/Å²", Some([x, y])),
        _ => ("mean counts a pixel", "", one.signal.mean_counts.zip(other.signal.mean_counts).map(<[f64; 2]>::from)),
    };
    if let Some([x, y]) = doses.filter(|[x, y]| factor(*x, *y) > DOSE_FACTOR) {
        warnings.push(format!(
            "{pair} have {what} of {}{unit} and {}{unit}: the beam itself may make the difference, and the detector errs \
             differently",
            rounded(x),
            rounded(y)
        ));
    }
    match (one.frame_time_s, other.frame_time_s) {
        (Some(x), Some(y)) if factor(x, y) > FRAME_TIME_FACTOR => warnings.push(format!(
            "{pair} have frames of {} s and {} s: visits shorter than a frame are not seen{}",
            rounded(x),
            rounded(y),
            unseen(a, b).unwrap_or_default()
        )),
        (Some(_), Some(_)) => {}
        (None, None) => {}
        (known, _) => warnings.push(format!(
            "the frame time of {} is not known and that of {} is: rates are per frame, which compares the movies only if \
             their frames are equally long; `atomlens track` takes --frame-time-s",
            if known.is_none() { &a.name } else { &b.name },
            if known.is_none() { &b.name } else { &a.name }
        )),
    }
    if factor(one.pixel_size_nm, other.pixel_size_nm) > PIXEL_FACTOR {
        warnings.push(format!(
            "{pair} have pixels of {} nm and {} nm: the detector errs differently",
            rounded(one.pixel_size_nm),
            rounded(other.pixel_size_nm)
        ));
    }
    let mut share = |what: &str, x: Option<f64>, y: Option<f64>, most: f64| {
        if let Some((x, y)) = x.zip(y).filter(|(x, y)| (x - y).abs() > most) {
            warnings.push(format!(
                "{pair}: {what} {:.1} % and {:.1} %: what the correction leaves of the detector's errors may differ",
                100.0 * x,
                100.0 * y
            ));
        }
    };
    let (x, y) = (&one.detector, &other.detector);
    share("the detector misses", x.missed_share, y.missed_share, ERROR_DIFFERENCE);
    share("the detector reports in empty sites", x.false_share, y.false_share, ERROR_DIFFERENCE);
    share("a frame tells filled from empty in", x.separation, y.separation, SEPARATION_DIFFERENCE);
    if one.model != other.model {
        warnings.push(format!("{pair} were analysed with different models, {} and {}", one.model, other.model));
    }
    let of = |movie: &Movie, class: &str| movie.members(class).len() as f64 / movie.sites.len() as f64;
    let apart = |class: &String| (of(a, class) - of(b, class)).abs();
    if let Some(class) = rows::classes(&[a, b]).into_iter().max_by(|x, y| apart(x).total_cmp(&apart(y)))
        && apart(&class) > CLASS_DIFFERENCE
    {
        warnings.push(format!(
            "{pair} are of other sites: {:.0} % and {:.0} % are {class}, so that rates of all sites differ by that alone; \
             compare class by class",
            100.0 * of(a, &class),
            100.0 * of(b, &class)
        ));
    }
    warnings
}

/// The share of switches that frames are too long to see, in words; of two-state sites that are all alike.
fn unseen(a: &Movie, b: &Movie) -> Option<String> {
    let share = |movie: &Movie| {
        use atomlens_analysis::movie::comparison::Quantity::{EmptyRate, FillRate};
        let rate = |quantity| rows::estimate(movie, SWITCHING, quantity, TimeUnit::Frame).map(|rate| rate.value.value);
        let sum = rate(FillRate)? + rate(EmptyRate)?;
        (sum > 0.0 && sum < 1.0).then(|| 100.0 * (1.0 + sum / (-sum).ln_1p()))
    };
    Some(format!("; about {:.0} % and {:.0} % of the switches are missed by that", share(a)?, share(b)?))
}

/// What errors of detection would do to a difference of switching rates if they were not taken out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectorShare {
    /// The condition that the other is compared with.
    pub condition_a: String,
    /// The other.
    pub condition_b: String,
    /// Switches a site and unit of time in a naive count.
    pub naive_a: f64,
    /// Likewise.
    pub naive_b: f64,
    /// Of these, those that are errors of detection.
    pub errors_a: f64,
    /// Likewise.
    pub errors_b: f64,
    /// The corrected rates' difference.
    pub difference: f64,
    /// The difference of the errors by that of the corrected rates.
    pub errors_by_difference: f64,
    /// The share of the errors that must have escaped the correction, in the movie that has more of them alone, to make
    /// the whole difference.
    pub share_that_explains: f64,
}

impl DetectorShare {
    /// For all sites; `None` without naive counts.
    pub(super) fn of(a: &Movie, b: &Movie, row: &ComparisonRow, unit: TimeUnit) -> Option<DetectorShare> {
        let rates = |movie: &Movie| {
            let exposure = movie.sites.len() as f64 * unit.steps(movie).iter().sum::<f64>();
            let Rates { naive_switches, .. } = &movie.summary.total;
            naive_switches.map(|naive| naive / exposure)
        };
        let (naive_a, naive_b) = (rates(a)?, rates(b)?);
        let (errors_a, errors_b) = ((naive_a - row.a).max(0.0), (naive_b - row.b).max(0.0));
        Some(DetectorShare {
            condition_a: a.name.clone(),
            condition_b: b.name.clone(),
            naive_a: rounded(naive_a),
            naive_b: rounded(naive_b),
            errors_a: rounded(errors_a),
            errors_b: rounded(errors_b),
            difference: row.difference,
            errors_by_difference: rounded((errors_b - errors_a) / row.difference),
            share_that_explains: rounded(row.difference.abs() / errors_a.max(errors_b)),
        })
    }

    /// In words.
    pub(super) fn sentence(&self, unit: TimeUnit) -> String {
        let most = self.errors_a.max(self.errors_b);
        if most <= 0.0 {
            return "A naive count finds no more switches than there are: errors of detection explain nothing of the \
                    difference."
                .to_owned();
        }
        // Three digits are more than is known.
        let brief = |rate: f64| short_number(format!("{rate:.2e}").parse().unwrap_or(rate));
        let mut text = format!(
            "Counted as found, sites would switch {} times per site and {} in {} and {} times in {}; errors of detection \
             are {} and {} of that and are taken out.",
            brief(self.naive_a),
            unit.name(),
            self.condition_a,
            brief(self.naive_b),
            self.condition_b,
            brief(self.errors_a),
            brief(self.errors_b)
        );
        if self.share_that_explains < 0.01 {
            // There is hardly a difference to explain.
        } else if self.share_that_explains < 1.0 {
            text += &format!(
                " Had {:.0} % of them escaped in the movie that has more of them, and none in the other, that would make the \
                 whole difference of all sites.",
                100.0 * self.share_that_explains
            );
        } else {
            text += " Even all of them together would not make the difference of all sites.";
        }
        text
    }
}
