//! The table of a comparison: classes of site by quantities by conditions.

use atomlens_analysis::movie::comparison::{Contrast, GroupEstimate, Quantity, holm};
use atomlens_analysis::movie::occupancy::Estimate;
use atomlens_analysis::movie::sites::SiteClass;
use atomlens_core::SeedPath;
use parquet_derive::ParquetRecordWriter;
use serde::{Deserialize, Serialize};

use super::movie::Movie;
use crate::info::rounded;

/// All sites.
pub const ALL: &str = "all";
/// Those with at least one expected switch.
pub const SWITCHING: &str = "switching";

/// The unit of time that rates have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Frame times are not all known.
    Frame,
    /// Seconds.
    Second,
}

impl TimeUnit {
    /// As it is written after "per".
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Frame => "frame",
            TimeUnit::Second => "second",
        }
    }

    /// How long a frame of a movie is.
    pub(super) fn frame(self, movie: &Movie) -> f64 {
        match self {
            TimeUnit::Frame => 1.0,
            TimeUnit::Second => movie.summary.frame_time_s.unwrap_or(f64::NAN),
        }
    }

    /// The steps of a movie in this unit.
    pub(super) fn steps(self, movie: &Movie) -> Vec<f64> {
        movie.steps_frames.iter().map(|step| step * self.frame(movie)).collect()
    }
}

/// A row: one quantity of one class of site under two conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ParquetRecordWriter)]
pub struct ComparisonRow {
    /// The condition that the other is compared with.
    pub condition_a: String,
    /// The other.
    pub condition_b: String,
    /// Class of site, or [`ALL`] or [`SWITCHING`].
    pub class: String,
    /// `switch_rate`, `fill_rate`, `empty_rate` or `occupancy`.
    pub quantity: String,
    /// Value under the first condition.
    pub a: f64,
    /// Lower end of its interval of 95 %.
    pub a_low: f64,
    /// Upper end.
    pub a_high: f64,
    /// Value under the second condition.
    pub b: f64,
    /// Lower end.
    pub b_low: f64,
    /// Upper end.
    pub b_high: f64,
    /// Second less first.
    pub difference: f64,
    /// Lower end.
    pub difference_low: f64,
    /// Upper end.
    pub difference_high: f64,
    /// Second by first; unknown where the first is 0.
    pub ratio: Option<f64>,
    /// Lower end.
    pub ratio_low: Option<f64>,
    /// Upper end; none where the first may be 0.
    pub ratio_high: Option<f64>,
    /// Of the two-sided test; unknown with fewer than two sites.
    pub p_value: Option<f64>,
    /// Adjusted for the number of classes, or of conditions for all sites and those that switch.
    pub p_value_adjusted: Option<f64>,
    /// `per_second`, `per_frame` or `share`.
    pub unit: String,
    /// Sites under the first condition.
    pub sites_a: u64,
    /// Sites under the second.
    pub sites_b: u64,
    /// Expected number of events under the first condition, or of site-frames filled.
    pub events_a: f64,
    /// Likewise.
    pub events_b: f64,
}

impl ComparisonRow {
    /// The first value with its interval.
    pub(super) fn first(&self) -> Estimate {
        Estimate { value: self.a, low: self.a_low, high: self.a_high }
    }

    /// The second value with its interval.
    pub(super) fn second(&self) -> Estimate {
        Estimate { value: self.b, low: self.b_low, high: self.b_high }
    }

    /// The difference with its interval.
    pub(super) fn apart(&self) -> Estimate {
        Estimate { value: self.difference, low: self.difference_low, high: self.difference_high }
    }

    /// The ratio with its interval.
    pub(super) fn times(&self) -> Estimate {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Estimate { value: number(self.ratio), low: number(self.ratio_low), high: number(self.ratio_high) }
    }
}

/// How tests are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Testing {
    pub(super) unit: TimeUnit,
    pub(super) permutations: usize,
    pub(super) seed: SeedPath,
}

/// Classes that occur, in the usual order, those of other names behind.
pub(super) fn classes(movies: &[&Movie]) -> Vec<String> {
    let mut names: Vec<String> = SiteClass::ALL.iter().map(|class| class.name().to_owned()).collect();
    for site in movies.iter().flat_map(|movie| &movie.sites) {
        if !names.contains(&site.class) {
            names.push(site.class.clone());
        }
    }
    names.retain(|name| movies.iter().any(|movie| movie.sites.iter().any(|site| site.class == *name)));
    names
}

/// What a condition is for one group of sites.
pub(super) fn estimate(movie: &Movie, class: &str, quantity: Quantity, unit: TimeUnit) -> Option<GroupEstimate> {
    let steps = unit.steps(movie);
    let condition = movie.condition(&steps);
    let (members, rates) = match class {
        ALL => ((0..movie.sites.len()).collect(), Some(&movie.summary.total)),
        SWITCHING => (condition.switching_sites(steps.len()), Some(&movie.summary.total)),
        class => (movie.members(class), movie.rates_of(class)),
    };
    let doubt = rates.map_or(atomlens_analysis::movie::comparison::Doubt::NONE, |rates| rates.doubt());
    GroupEstimate::of(&condition, &members, quantity, &doubt)
}

/// The sites that switch, in the time that the shorter movie lasts: a longer one would see rarer sites switch.
fn switching(movie: &Movie, other: &Movie, quantity: Quantity, unit: TimeUnit) -> Option<GroupEstimate> {
    let steps = unit.steps(movie);
    let shorter = unit.steps(other).iter().sum::<f64>().min(steps.iter().sum());
    let mut time = 0.0;
    let within = |step: &&f64| {
        time += **step;
        time <= shorter * (1.0 + 1e-9)
    };
    let frames = steps.iter().take_while(within).count();
    let whole = movie.condition(&steps);
    let condition = whole.first(frames);
    GroupEstimate::of(&condition, &condition.switching_sites(frames), quantity, &movie.summary.total.doubt())
}

/// All rows of two conditions, and what could not be compared.
pub(super) fn compare(a: &Movie, b: &Movie, testing: Testing) -> (Vec<ComparisonRow>, Vec<String>) {
    let mut notes = Vec::new();
    let mut groups = vec![ALL.to_owned(), SWITCHING.to_owned()];
    for class in classes(&[a, b]) {
        let counts = [a.members(&class).len(), b.members(&class).len()];
        match counts {
            [0, _] | [_, 0] => {
                let (without, with) = if counts[0] == 0 { (a, b) } else { (b, a) };
                notes.push(format!(
                    "{} has no {class} sites ({} has {}): this class is not compared",
                    without.name,
                    with.name,
                    counts[0].max(counts[1])
                ));
            }
            _ => groups.push(class),
        }
    }
    let mut rows = Vec::new();
    for quantity in Quantity::ALL {
        let first = rows.len();
        for class in &groups {
            let of = |movie: &Movie, other: &Movie| match class.as_str() {
                SWITCHING => switching(movie, other, quantity, testing.unit),
                class => estimate(movie, class, quantity, testing.unit),
            };
            let (Some(one), Some(other)) = (of(a, b), of(b, a)) else {
                notes.push(format!(
                    "the {} of {} cannot be compared: they are not in that state in one of {} and {}",
                    quantity.name().replace('_', " "),
                    named(class),
                    a.name,
                    b.name
                ));
                continue;
            };
            let seed = testing.seed.child(&a.name).child(&b.name).child(class).child(quantity.name());
            let contrast = Contrast::of(&one, &other, testing.permutations, seed);
            rows.push(row([a, b], class, quantity, testing.unit, [&one, &other], &contrast));
        }
        // Classes are a family; all sites and those that switch say the same of all conditions.
        let family: Vec<usize> =
            (first..rows.len()).filter(|row| ![ALL, SWITCHING].contains(&rows[*row].class.as_str())).collect();
        adjust(&mut rows, &family);
    }
    (rows, notes)
}

/// Adjusts the p-values of some rows for their number.
pub(super) fn adjust(rows: &mut [ComparisonRow], family: &[usize]) {
    let p_values: Vec<f64> = family.iter().map(|row| rows[*row].p_value.unwrap_or(f64::NAN)).collect();
    for (row, adjusted) in family.iter().zip(holm(&p_values)) {
        rows[*row].p_value_adjusted = finite(adjusted);
    }
}

/// The sites of a class in words.
pub(super) fn named(class: &str) -> String {
    match class {
        ALL => "all sites".to_owned(),
        SWITCHING => "sites that switch".to_owned(),
        class => format!("{class} sites"),
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then(|| rounded(value))
}

fn row(
    movies: [&Movie; 2],
    class: &str,
    quantity: Quantity,
    unit: TimeUnit,
    [a, b]: [&GroupEstimate; 2],
    contrast: &Contrast,
) -> ComparisonRow {
    let Contrast { difference, ratio, p_value } = contrast;
    ComparisonRow {
        condition_a: movies[0].name.clone(),
        condition_b: movies[1].name.clone(),
        class: class.to_owned(),
        quantity: quantity.name().to_owned(),
        a: rounded(a.value.value),
        a_low: rounded(a.value.low),
        a_high: rounded(a.value.high),
        b: rounded(b.value.value),
        b_low: rounded(b.value.low),
        b_high: rounded(b.value.high),
        difference: rounded(difference.value),
        difference_low: rounded(difference.low),
        difference_high: rounded(difference.high),
        ratio: finite(ratio.value),
        ratio_low: finite(ratio.low),
        ratio_high: finite(ratio.high),
        p_value: finite(*p_value),
        p_value_adjusted: None,
        unit: if quantity.is_rate() { format!("per_{}", unit.name()) } else { "share".to_owned() },
        sites_a: a.sites() as u64,
        sites_b: b.sites() as u64,
        events_a: rounded(a.events),
        events_b: rounded(b.events),
    }
}
