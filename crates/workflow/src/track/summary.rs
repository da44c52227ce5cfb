//! What a movie says, in numbers: `movie.json`.

use atomlens_analysis::movie::occupancy::{Estimate, SwitchingEstimate};
use atomlens_analysis::movie::sites::SiteClass;
use atomlens_core::SeedPath;
use atomlens_core::glam::DVec2;
use serde::{Deserialize, Serialize};

use super::analysis::Analysis;

/// A value with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl From<Estimate> for Value {
    fn from(Estimate { value, low, high }: Estimate) -> Value {
        Value { value, low, high }
    }
}

/// The switching of some sites together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Share of the site-frames that are filled.
    pub occupancy: Value,
    /// Switches a site and frame.
    pub switch_rate_per_frame: Value,
    /// Chance that an empty site is filled, a frame.
    pub fill_rate_per_frame: Value,
    /// Chance that a filled site is emptied, a frame.
    pub empty_rate_per_frame: Value,
    /// Switches in the movie.
    pub switches: Value,
    /// Of these, from filled to empty.
    pub losses: f64,
    /// From empty to filled.
    pub gains: f64,
    /// Changes of "found" to "not found" and back, which errors of detection make many.
    pub naive_switches: u64,
}

impl Rates {
    fn of(switching: &SwitchingEstimate, naive_switches: usize) -> Rates {
        Rates {
            occupancy: switching.occupancy.into(),
            switch_rate_per_frame: switching.switch_per_frame.into(),
            fill_rate_per_frame: switching.fill_per_frame.into(),
            empty_rate_per_frame: switching.empty_per_frame.into(),
            switches: switching.switches.into(),
            losses: switching.losses,
            gains: switching.gains,
            naive_switches: naive_switches as u64,
        }
    }
}

/// The sites of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// The class.
    pub class: String,
    /// Number of sites.
    pub sites: usize,
    /// Their switching.
    #[serde(flatten)]
    pub rates: Rates,
}

/// The detector in this movie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DetectorSummary {
    /// Share of the filled site-frames in which it found nothing.
    pub missed_share: Option<f64>,
    /// Share of the empty site-frames in which it found a column.
    pub false_share: Option<f64>,
    /// How well a frame tells filled from empty when image and detector are weighed together: the area under the curve of
    /// hits against false alarms.
    pub separation: f64,
    /// Columns of at least this probability count as found.
    pub probability_threshold: f64,
}

/// What is known of the signal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignalSummary {
    /// Mean of the mean image.
    pub mean_counts: f64,
    /// Dose of a frame, if the file states it.
    pub dose_e_per_a2: Option<f64>,
}

/// What a movie says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MovieSummary {
    /// Frames, those that could not be used included.
    pub frames: usize,
    /// Frames that could not be used.
    pub bad_frames: Vec<usize>,
    /// Frames that did not show where the specimen is.
    pub untrusted_frames: usize,
    /// Time from frame to frame, if known.
    pub frame_time_s: Option<f64>,
    /// Pixel size along x.
    pub pixel_size_nm: f64,
    /// Pixel size along y.
    pub pixel_size_y_nm: f64,
    /// Width and height.
    pub image_px: [usize; 2],
    /// The model.
    pub model: String,
    /// Distance between neighbouring sites.
    pub neighbour_nm: f64,
    /// Number of sites.
    pub sites: usize,
    /// The detector.
    pub detector: DetectorSummary,
    /// The signal.
    pub signal: SignalSummary,
    /// All sites together.
    pub total: Rates,
    /// By class.
    pub classes: Vec<ClassSummary>,
    /// Halves of the particle against each other.
    pub halves: Vec<HalvesSummary>,
    /// Hops, and how many independent sites would show by chance.
    pub hops: usize,
    /// See `hops`.
    pub hops_by_chance: f64,
}

/// One half of the particle against the other: only sites that switch count, since how many can is another question. A side
/// on which sites switch so rarely that some are not seen to loses these, and seems to switch more often than it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HalvesSummary {
    /// Which half.
    pub half: String,
    /// Against which.
    pub other_half: String,
    /// Sites of it that switch.
    pub sites: usize,
    /// Sites of the other half that switch.
    pub other_sites: usize,
    /// How many times as often a site of it switches.
    pub ratio: Value,
}

/// Expected switches from which on a site counts as one that switches.
pub(super) const SWITCHES: f64 = 0.5;

/// Right against left and bottom against top, about the mean of all sites; those without sites that switch left out.
pub(super) fn halves(analysis: &Analysis, seed: SeedPath) -> Vec<HalvesSummary> {
    let places = analysis.sites.places_angstrom();
    let middle = places.iter().copied().sum::<DVec2>() / places.len().max(1) as f64;
    let switches = |site: &usize| analysis.occupancy.sites[*site].switching.switches.value >= SWITCHES;
    let split = |half: &str, other: &str, of: fn(DVec2) -> f64| {
        let (of_half, of_other): (Vec<usize>, Vec<usize>) =
            (0..places.len()).filter(switches).partition(|site| of(places[*site]) > of(middle));
        let ratio = analysis.occupancy.ratio_of_switches(&of_half, &of_other, seed.child(half))?;
        Some(HalvesSummary {
            half: half.to_owned(),
            other_half: other.to_owned(),
            sites: of_half.len(),
            other_sites: of_other.len(),
            ratio: ratio.into(),
        })
    };
    [split("right", "left", |place| place.x), split("bottom", "top", |place| place.y)].into_iter().flatten().collect()
}

/// Classes with their switching, those without sites left out.
pub(super) fn classes(analysis: &Analysis) -> Vec<ClassSummary> {
    SiteClass::ALL
        .iter()
        .filter_map(|class| {
            let members = members(analysis, *class);
            let switching = analysis.occupancy.together(&members)?;
            let naive = members.iter().map(|site| analysis.naive_switches[*site]).sum();
            Some(ClassSummary { class: class.to_string(), sites: members.len(), rates: Rates::of(&switching, naive) })
        })
        .collect()
}

/// The sites of a class.
pub(super) fn members(analysis: &Analysis, class: SiteClass) -> Vec<usize> {
    (0..analysis.sites.len()).filter(|site| analysis.sites.sites[*site].class == class).collect()
}

/// All sites together.
pub(super) fn total(analysis: &Analysis) -> Rates {
    Rates::of(&analysis.occupancy.total, analysis.naive_switches.iter().sum())
}
