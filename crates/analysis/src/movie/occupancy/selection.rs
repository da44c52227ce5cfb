//! From readings to occupancies: witnesses weighed, candidates that are never filled dropped.
//!
//! The sites of each lattice are inferred apart: what says that a column of one crystal is there may say that one of
//! another, darker than its surroundings instead of brighter, is not.

use std::borrow::Cow;

use atomlens_core::SeedPath;
use ndarray::{Array2, ArrayView1};

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
/// of a place at which nothing was found, and of one that the density of columns alone makes a site. Between them it falls
/// with the strength, as what the detector says beforehand.
const OF_NOTHING: f64 = 7.0;
const OF_SURE: f64 = 1.0;
const SURE_STRENGTH: f64 = 0.5;

/// Rounds of dropping what the density calls a site and the images do not.
const CLEARINGS: usize = 3;

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

/// Sites that are inferred together.
struct Part<'a> {
    members: Vec<usize>,
    readings: Cow<'a, SiteReadings>,
    class: Vec<usize>,
    known_filled: Vec<bool>,
}

/// A lattice of fewer sites has too little to learn from, and is inferred with the largest.
const LEAST_SITES: usize = 12;

/// The sites that are marked, by lattice.
fn parts<'a>(sites: &Sites, readings: &'a SiteReadings, marked: &[bool]) -> Vec<Part<'a>> {
    let lattices = sites.lattices();
    let count = lattices.iter().max().map_or(0, |lattice| lattice + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (site, lattice) in lattices.iter().enumerate().filter(|(site, _)| marked[*site]) {
        members[*lattice].push(site);
    }
    members.sort_by_key(|members| std::cmp::Reverse(members.len()));
    let few: Vec<usize> =
        members.iter().skip(1).filter(|members| members.len() < LEAST_SITES).flatten().copied().collect();
    let mut index = 0;
    members.retain(|members| {
        index += 1;
        index == 1 || members.len() >= LEAST_SITES
    });
    if let Some(largest) = members.first_mut() {
        largest.extend(few);
        largest.sort_unstable();
    }
    let (class, known) = (sites.class_numbers(), sites.known_filled());
    let all = members.first().is_some_and(|members| members.len() == sites.len());
    let part = |members: Vec<usize>| Part {
        readings: if all {
            Cow::Borrowed(readings)
        } else {
            let mut own = readings.clone();
            let mut keep = vec![false; sites.len()];
            members.iter().for_each(|site| keep[*site] = true);
            own.retain(&keep);
            Cow::Owned(own)
        },
        class: members.iter().map(|site| class[*site]).collect(),
        known_filled: members.iter().map(|site| known[*site]).collect(),
        members,
    };
    members.into_iter().map(part).collect()
}

/// Infers occupancies, drops the sites that are never filled, and infers again with classes that know it.
///
/// Sites and readings are left with the same sites, in the same order. Of several lattices the weights are those of the
/// one of most sites.
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
    let frames: Vec<usize> = (0..readings.frames()).collect();
    let (mut keep, mut share) = (vec![true; sites.len()], vec![0.0; sites.len()]);
    for _ in 0..CLEARINGS {
        let mut never = vec![0.0; sites.len()];
        for part in parts(sites, readings, &keep) {
            let Part { class, known_filled, readings, .. } = &part;
            let discriminant = learned(readings, class, known_filled, intervals, settings)?;
            let heard = Heard::of(&discriminant, readings, &frames);
            let (filled, of_part) = beliefs(&heard.evidence(class, known_filled, intervals), settings)?;
            let mean = |row: ArrayView1<'_, f32>| f64::from(row.sum()) / row.len().max(1) as f64;
            for ((site, row), own) in part.members.iter().zip(filled.rows()).zip(of_part) {
                never[*site] = own;
                share[*site] = mean(row);
            }
        }
        let least = |strength: f64| OF_NOTHING + (OF_SURE - OF_NOTHING) * (strength / SURE_STRENGTH).min(1.0);
        let is_none = |site: usize| -never[site] < least(sites.sites[site].strength);
        // What is wrongly thought to be filled misleads; without it the others are weighed anew.
        let misleads = |site: &usize| keep[*site] && !sites.sites[*site].doubtful && is_none(*site);
        let misleading: Vec<usize> = (0..sites.len()).filter(misleads).collect();
        misleading.iter().for_each(|site| keep[*site] = false);
        if misleading.is_empty() {
            (0..sites.len()).for_each(|site| keep[site] &= !is_none(site));
            break;
        }
    }
    sites.retain(&keep, &share);
    readings.retain(&keep);
    let mut weighed = Vec::new();
    for (index, part) in parts(sites, readings, &vec![true; sites.len()]).into_iter().enumerate() {
        let seed = seed.child("sites").index(index as u64);
        let own = weigh(&part.readings, &part.class, &part.known_filled, intervals, settings, seed)?;
        weighed.push((part.members, own));
    }
    if let [(_, _)] = weighed.as_slice() {
        return Ok(weighed.remove(0).1);
    }
    let none = OccupancyError::TooLittle { sites: 0, frames: frames.len(), observed: 0 };
    let discriminant = weighed.first().ok_or(none.clone())?.1.discriminant.clone();
    let parts = weighed.into_iter().map(|(members, weighed)| (members, weighed.occupancy)).collect();
    Ok(Weighed { occupancy: Occupancy::of_parts(parts).ok_or(none)?, discriminant })
}
