//! From readings to occupancies: witnesses weighed, candidates that are never filled dropped.

use atomlens_core::SeedPath;
use ndarray::Array2;

use super::discriminant::Discriminant;
use super::{FrameIntervals, MovieEvidence, Occupancy, OccupancyError, OccupancySettings, beliefs, infer};
use crate::movie::reading::SiteReadings;
use crate::movie::sites::Sites;

/// Rounds of weighing the witnesses.
const ROUNDS: usize = 3;

/// Site-frames from which the weights are learned; of longer movies some stretches.
const LEARNED_FROM: usize = 1_500_000;
const STRETCHES: usize = 4;

/// The logarithm of the probability that a place is empty throughout is at most so much below 0 of one that is no site:
/// of candidates, of which most are none, and of places that the density of columns calls sites.
const CANDIDATE: f64 = 7.0;
const SURE: f64 = 1.0;

/// Occupancies and the weights of the witnesses.
#[derive(Debug, Clone)]
pub struct Weighed {
    /// What was inferred.
    pub occupancy: Occupancy,
    /// How much each channel of the readings counted.
    pub discriminant: Discriminant,
}

/// The evidence of some frames.
struct Heard {
    sites: Array2<f32>,
    vacuum: Array2<f32>,
}

impl Heard {
    fn of(discriminant: &Discriminant, readings: &SiteReadings, frames: &[usize]) -> Heard {
        Heard { sites: discriminant.sites(readings, frames), vacuum: discriminant.vacuum(readings, frames) }
    }

    fn evidence<'a>(
        &'a self,
        class: &'a [usize],
        known_filled: &'a [bool],
        intervals: &'a FrameIntervals,
    ) -> MovieEvidence<'a> {
        MovieEvidence { sites: self.sites.view(), vacuum: self.vacuum.view(), class, known_filled, intervals }
    }
}

/// The weights of the witnesses.
fn learned(
    readings: &SiteReadings,
    class: &[usize],
    known_filled: &[bool],
    intervals: &FrameIntervals,
    settings: &OccupancySettings,
) -> Result<Discriminant, OccupancyError> {
    let frames = stretches(readings.frames(), LEARNED_FROM / readings.sites().max(1));
    let intervals = if frames.len() < readings.frames() { &intervals.of_frames(&frames) } else { intervals };
    let mut discriminant = Discriminant::first(readings, &frames, known_filled);
    for _ in 0..ROUNDS {
        let heard = Heard::of(&discriminant, readings, &frames);
        let (filled, _) = beliefs(&heard.evidence(class, known_filled, intervals), settings)?;
        discriminant = discriminant.refined(readings, &frames, &filled);
    }
    Ok(discriminant)
}

/// All frames, or stretches at even distances of about so many in sum.
fn stretches(frames: usize, most: usize) -> Vec<usize> {
    let length = (most / STRETCHES).max(50);
    if frames <= length * STRETCHES {
        return (0..frames).collect();
    }
    (0..STRETCHES)
        .flat_map(|stretch| {
            let start = stretch * (frames - length) / (STRETCHES - 1);
            start..start + length
        })
        .collect()
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
    let discriminant = learned(readings, class, known_filled, intervals, settings)?;
    let heard = Heard::of(&discriminant, readings, &(0..readings.frames()).collect::<Vec<usize>>());
    let occupancy = infer(&heard.evidence(class, known_filled, intervals), settings, seed)?;
    Ok(Weighed { occupancy, discriminant })
}

/// Infers occupancies, drops the sites that are never filled, and infers again with classes that know it.
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
    let (class, known) = (sites.class_numbers(), sites.known_filled());
    let discriminant = learned(readings, &class, &known, intervals, settings)?;
    let heard = Heard::of(&discriminant, readings, &(0..readings.frames()).collect::<Vec<usize>>());
    let (filled, never) = beliefs(&heard.evidence(&class, &known, intervals), settings)?;
    drop(heard);
    let least = |doubtful: bool| if doubtful { CANDIDATE } else { SURE };
    let keep: Vec<bool> =
        sites.doubtful().iter().zip(&never).map(|(doubtful, never)| -never >= least(*doubtful)).collect();
    let share = |row: ndarray::ArrayView1<'_, f32>| f64::from(row.sum()) / row.len().max(1) as f64;
    sites.retain(&keep, &filled.rows().into_iter().map(share).collect::<Vec<f64>>());
    drop(filled);
    readings.retain(&keep);
    let (class, known) = (sites.class_numbers(), sites.known_filled());
    weigh(readings, &class, &known, intervals, settings, seed.child("sites"))
}
