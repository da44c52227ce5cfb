//! The table of a comparison: classes of site by quantities by conditions.

use atomlens_analysis::movie::comparison::{Contrast, Doubt, GroupEstimate, Quantity, holm};
use atomlens_analysis::movie::occupancy::Estimate;
use atomlens_analysis::movie::sites::SiteClass;
use atomlens_core::SeedPath;
use parquet_derive::ParquetRecordWriter;
use serde::{Deserialize, Serialize};

use super::movie::{Movie, Rates, Site};
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

/// What the detector leaves open at the sites of a class.
fn doubt(movie: &Movie, class: &str) -> Doubt {
    let rates = if [ALL, SWITCHING].contains(&class) { Some(&movie.summary.total) } else { movie.rates_of(class) };
    rates.map_or(Doubt::NONE, Rates::doubt)
}

/// What a condition is for one group of sites.
pub(super) fn estimate(movie: &Movie, class: &str, quantity: Quantity, unit: TimeUnit) -> Option<GroupEstimate> {
    let steps = unit.steps(movie);
    let condition = movie.condition(&steps);
    let members = match class {
        ALL => (0..movie.sites.len()).collect(),
        SWITCHING => condition.switching_sites(steps.len()),
        class => movie.members(class),
    };
    GroupEstimate::of(&condition, &members, quantity, &doubt(movie, class))
}

/// Places of the same site in two movies differ by no more than this, their common displacement taken out.
const SAME_SITE_NM: f64 = 0.06;

/// Whether two movies are of the same sites in the same order, as `track --reference` makes them.
pub(super) fn same_sites(a: &Movie, b: &Movie) -> bool {
    let shift = |place: fn(&Site) -> f64| {
        let mut shifts: Vec<f64> = a.sites.iter().zip(&b.sites).map(|(a, b)| place(b) - place(a)).collect();
        shifts.sort_by(f64::total_cmp);
        shifts[shifts.len() / 2]
    };
    if a.sites.len() != b.sites.len() || a.sites.is_empty() {
        return false;
    }
    let (x, y) = (shift(|site| site.x_nm), shift(|site| site.y_nm));
    a.sites.iter().zip(&b.sites).all(|(a, b)| (b.x_nm - a.x_nm - x).hypot(b.y_nm - a.y_nm - y) < SAME_SITE_NM)
}

/// The frames of a movie that last no longer than the shorter of two.
fn common_frames(movie: &Movie, other: &Movie, unit: TimeUnit) -> usize {
    let steps = unit.steps(movie);
    let shorter = unit.steps(other).iter().sum::<f64>().min(steps.iter().sum());
    let mut time = 0.0;
    let within = |step: &&f64| {
        time += **step;
        time <= shorter * (1.0 + 1e-9)
    };
    steps.iter().take_while(within).count()
}

/// Sites that are compared with each other: what they are called, and their numbers in both movies.
type Group = (String, [Vec<usize>; 2]);

/// The sites of each class in both movies, of classes that both have; and notes on the others.
fn groups(a: &Movie, b: &Movie, paired: bool) -> (Vec<Group>, Vec<String>) {
    let all = |movie: &Movie| (0..movie.sites.len()).collect::<Vec<usize>>();
    let mut groups = vec![(ALL.to_owned(), [all(a), all(b)])];
    let mut notes = Vec::new();
    for class in classes(if paired { vec![a] } else { vec![a, b] }.as_slice()) {
        // Of the same sites the class is that of the first movie, whatever the second has filled.
        let members = [a.members(&class), if paired { a.members(&class) } else { b.members(&class) }];
        if let Some(without) = members.iter().position(Vec::is_empty) {
            let movies = [a, b];
            notes.push(format!(
                "{} has no {class} sites ({} has {}): this class is not compared",
                movies[without].name,
                movies[1 - without].name,
                members[1 - without].len()
            ));
        } else {
            groups.push((class, members));
        }
    }
    (groups, notes)
}

/// All rows of two conditions, and what could not be compared.
pub(super) fn compare(a: &Movie, b: &Movie, testing: Testing) -> (Vec<ComparisonRow>, Vec<String>) {
    let unit = testing.unit;
    let paired = same_sites(a, b);
    let steps = [unit.steps(a), unit.steps(b)];
    let whole = [a.condition(&steps[0]), b.condition(&steps[1])];
    // A longer movie would see rarer sites switch.
    let frames = [common_frames(a, b, unit), common_frames(b, a, unit)];
    let common = [whole[0].first(frames[0]), whole[1].first(frames[1])];
    let mut switching = [common[0].switching_sites(frames[0]), common[1].switching_sites(frames[1])];
    if paired {
        let either = |site: &usize| switching.iter().any(|sites| sites.contains(site));
        let both: Vec<usize> = (0..a.sites.len()).filter(either).collect();
        switching = [both.clone(), both];
    }
    let (mut groups, notes) = groups(a, b, paired);
    groups.insert(1, (SWITCHING.to_owned(), switching));
    let mut rows = Vec::new();
    for quantity in Quantity::ALL {
        let first = rows.len();
        for (class, members) in &groups {
            let of = |side: usize, movie: &Movie| {
                let condition = if class == SWITCHING { &common[side] } else { &whole[side] };
                GroupEstimate::of(condition, &members[side], quantity, &doubt(movie, class))
            };
            // What a class was never in the state for is not known: no row.
            let (Some(one), Some(other)) = (of(0, a), of(1, b)) else { continue };
            let seed = testing.seed.child(&a.name).child(&b.name).child(class).child(quantity.name());
            let contrast = if paired {
                Contrast::of_pairs(&one, &other, testing.permutations, seed)
            } else {
                Contrast::of(&one, &other, testing.permutations, seed)
            };
            rows.push(row([a, b], class, quantity, unit, [&one, &other], &contrast));
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
