//! From readings to occupancies: witnesses weighed, candidates that are never filled dropped.

use atomlens_core::SeedPath;

use super::discriminant::Discriminant;
use super::{FrameIntervals, MovieEvidence, Occupancy, OccupancyError, OccupancySettings, beliefs, infer};
use crate::movie::reading::SiteReadings;
use crate::movie::sites::Sites;

/// Rounds of weighing the witnesses.
const ROUNDS: usize = 3;

/// A candidate is a site if it is filled in some frame with at least this probability.
const EVER_FILLED: f64 = 0.9;

/// Occupancies and the weights of the witnesses.
#[derive(Debug, Clone)]
pub struct Weighed {
    /// What was inferred.
    pub occupancy: Occupancy,
    /// How much each channel of the readings counted.
    pub discriminant: Discriminant,
}

/// Weighs the witnesses and infers the occupancy of sites whose classes are given; see [`infer`].
///
/// # Errors
/// As [`infer`].
pub fn weigh(
    readings: &SiteReadings,
    class: &[usize],
    known_filled: &[bool],
    intervals: &FrameIntervals,
    settings: &OccupancySettings,
    seed: SeedPath,
) -> Result<Weighed, OccupancyError> {
    let mut discriminant = Discriminant::first(readings, known_filled);
    for round in 0..=ROUNDS {
        let (sites, vacuum) = (discriminant.sites(readings), discriminant.vacuum(readings));
        let evidence = MovieEvidence { sites: sites.view(), vacuum: vacuum.view(), class, known_filled, intervals };
        if round == ROUNDS {
            return Ok(Weighed { occupancy: infer(&evidence, settings, seed)?, discriminant });
        }
        discriminant = discriminant.refined(readings, &beliefs(&evidence, settings)?);
    }
    unreachable!("the last round returns")
}

/// Infers occupancies, drops the doubtful sites that are never filled, and infers again with classes that know it.
///
/// Sites and readings are left with the same sites, in the same order.
///
/// # Errors
/// As [`infer`].
pub fn settle(
    sites: &mut Sites,
    readings: &mut SiteReadings,
    intervals: &FrameIntervals,
    settings: &OccupancySettings,
    seed: SeedPath,
) -> Result<Weighed, OccupancyError> {
    // Enough to see which candidates are ever filled.
    let rough = OccupancySettings { rate_draws: 200, path_draws: 200, ..settings.clone() };
    let (class, known) = (sites.class_numbers(), sites.known_filled());
    let first = weigh(readings, &class, &known, intervals, &rough, seed.child("candidates"))?.occupancy;
    let frames = intervals.frames();
    let ever = |site: usize| {
        let filled = first.paths.iter().filter(|paths| paths[site].filled_frames(frames) > 0).count();
        filled as f64 / first.paths.len().max(1) as f64
    };
    let keep: Vec<bool> =
        sites.doubtful().iter().enumerate().map(|(site, doubtful)| !doubtful || ever(site) >= EVER_FILLED).collect();
    let filled: Vec<f64> = first.sites.iter().map(|site| site.switching.occupancy.value).collect();
    sites.retain(&keep, &filled);
    readings.retain(&keep);
    let (class, known) = (sites.class_numbers(), sites.known_filled());
    weigh(readings, &class, &known, intervals, settings, seed.child("sites"))
}
