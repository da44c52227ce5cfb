//! Reference sites: the places at which columns are found at some time of a movie.
//!
//! What the mean of all frames shows leads: it has the dose of all of them, so that where single frames leave it open which
//! of two places half a spacing apart is a column, it does not ([`SiteEvidence::in_mean`]).
//!
//! The columns of all frames, brought to the reference frame, are summed ([`SiteDensity`]). Peaks that are there most of
//! the time carry the particle's own lattice; the places of that lattice next to them are candidates, however rarely
//! anything was seen there. Of those, [`Sites::doubtful`] says which ones the density alone cannot call sites: a
//! detector also reports columns just outside a particle, so whether such a place is ever filled is left to the evidence
//! frame by frame (`occupancy`), after which [`Sites::retain`] drops the ones that never are.
//!
//! *Classes.* The coordination of a site is the number of its neighbours, each counted by how often it is filled, over
//! the number that its lattice gives an inner site. Above 0.85 it is interior; about 2/3 of the neighbours are left on a
//! facet, 2/5 to 1/2 at an edge, fewer at a corner. A site next to one of another lattice is at an interface.

mod density;
mod lattice;

use std::collections::BTreeMap;

use atomlens_core::DetectedColumn;
use atomlens_core::glam::DVec2;
use serde::{Deserialize, Serialize};

pub use density::{DensityPeak, SiteDensity};
use lattice::OwnLattice;

use crate::lattice::ColumnPlace;
use crate::lattice::spacing::LatticePlace;
use crate::neighbours::Neighbours;

/// What surrounds a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteClass {
    /// All neighbours are there.
    Interior,
    /// In a flat side of the particle.
    Facet,
    /// Where two sides meet, or an incomplete row.
    Edge,
    /// Hardly held.
    Corner,
    /// Next to another crystal.
    Interface,
}

impl SiteClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [SiteClass; 5] =
        [SiteClass::Interior, SiteClass::Facet, SiteClass::Edge, SiteClass::Corner, SiteClass::Interface];

    /// The class of a coordination, 1 being that of an inner site.
    pub fn of_coordination(coordination: f64) -> SiteClass {
        if coordination > 0.85 {
            SiteClass::Interior
        } else if coordination > 0.55 {
            SiteClass::Facet
        } else if coordination > 0.36 {
            SiteClass::Edge
        } else {
            SiteClass::Corner
        }
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            SiteClass::Interior => "interior",
            SiteClass::Facet => "facet",
            SiteClass::Edge => "edge",
            SiteClass::Corner => "corner",
            SiteClass::Interface => "interface",
        }
    }
}

impl std::fmt::Display for SiteClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReferenceSite {
    /// Its place in the reference frame, in angstrom.
    pub place_angstrom: DVec2,
    /// What surrounds it.
    pub class: SiteClass,
    /// Neighbours, each by how often it is filled, over those of an inner site.
    pub coordination: f64,
    /// Distance to the nearest site that is not interior; 0 for those.
    pub edge_distance_angstrom: f64,
    /// Summed probability of the columns found there, by that of a site that is always filled.
    pub strength: f64,
    /// Standard deviation in each direction of the places of the columns found there, in angstrom.
    pub spread_angstrom: f64,
    /// Index of the commonest species.
    pub species: usize,
    /// Whether the density alone does not make it a site.
    pub doubtful: bool,
}

/// Why there are no sites.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SitesError {
    /// Nothing that stays.
    #[error(
        "no place holds columns most of the time: {frames} frames show {peaks} places, the best with a summed \
         probability of {heaviest:.1}; is the drift right, and the model one for these images?"
    )]
    NothingStays {
        /// Frames that were added.
        frames: usize,
        /// Peaks of the density.
        peaks: usize,
        /// Weight of the heaviest.
        heaviest: f64,
    },
}

/// How sites are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteSettings {
    /// A place whose summed probability is at least this share of that of a filled one is a site without further proof.
    pub sure_strength: f64,
    /// A candidate of at least this strength has its own neighbours looked at.
    pub leading_strength: f64,
    /// Largest distance of a rarely filled site from its place on the lattice, in angstrom.
    pub lattice_tolerance_angstrom: f64,
    /// Most places taken as known to be empty.
    pub vacuum_places: usize,
}

impl Default for SiteSettings {
    fn default() -> Self {
        SiteSettings { sure_strength: 0.5, leading_strength: 0.2, lattice_tolerance_angstrom: 0.45, vacuum_places: 150 }
    }
}

/// What sites are found by.
#[derive(Clone, Copy)]
pub struct SiteEvidence<'a> {
    /// Columns of all frames, in the reference frame.
    pub density: &'a SiteDensity,
    /// Columns that the detector finds in the mean of the frames, in the reference frame; may be none.
    pub in_mean: &'a [DetectedColumn],
    /// Whether a place of the reference frame can be seen in most frames.
    pub in_view: &'a dyn Fn(DVec2) -> bool,
}

/// The sites of a movie.
#[derive(Debug, Clone)]
pub struct Sites {
    /// The sites, row by row from the top.
    pub sites: Vec<ReferenceSite>,
    /// Places beside the particle that are empty throughout, in angstrom.
    pub vacuum_angstrom: Vec<DVec2>,
    /// Distance between neighbours, in angstrom.
    pub neighbour_angstrom: f64,
    /// Neighbours of each site among the sites, ascending.
    pub neighbours: Vec<Vec<usize>>,
    /// For each site its lattice and how many neighbours an inner site of it has.
    lattice: Vec<(usize, f64)>,
}

/// A site in the making.
struct Candidate {
    peak: DensityPeak,
    lattice: usize,
    number: Option<LatticePlace>,
    sure: bool,
}

impl Sites {
    /// Finds the sites of a density alone.
    ///
    /// # Errors
    /// If nothing is there most of the time.
    pub fn find(density: &SiteDensity, settings: &SiteSettings) -> Result<Sites, SitesError> {
        Sites::find_all(&SiteEvidence { density, in_mean: &[], in_view: &|_| true }, settings)
    }

    /// Finds the sites.
    ///
    /// # Errors
    /// If nothing is there most of the time.
    pub fn find_all(evidence: &SiteEvidence<'_>, settings: &SiteSettings) -> Result<Sites, SitesError> {
        let SiteEvidence { density, in_mean, in_view } = *evidence;
        let peaks = density.peaks();
        let heaviest = peaks.first().map_or(0.0, |peak| peak.weight);
        let (peaks, level) = match led_by_mean(&peaks, in_mean, density, settings) {
            Some(led) => led,
            None => {
                let level = filled_level(&peaks);
                if level < 1.0 || heaviest < 0.1 * density.frames() as f64 {
                    return Err(SitesError::NothingStays { frames: density.frames(), peaks: peaks.len(), heaviest });
                }
                (peaks, level)
            }
        };
        let peaks = peaks.into_iter().filter(|peak| in_view(peak.place_angstrom));
        let (strong, weak): (Vec<DensityPeak>, Vec<DensityPeak>) =
            peaks.partition(|peak| peak.weight >= settings.sure_strength * level);
        let (lattices, mut found) = numbered(&strong);
        for (index, lattice) in lattices.iter().enumerate() {
            extend(&mut found, index, lattice, evidence, &weak, level, settings);
        }
        if lattices.is_empty() {
            let lead = settings.leading_strength * level;
            let lead = weak.iter().filter(|peak| peak.weight >= lead);
            found.extend(lead.map(|peak| Candidate { peak: *peak, lattice: 0, number: None, sure: false }));
        }
        let row = |candidate: &Candidate| (candidate.peak.place_angstrom.y, candidate.peak.place_angstrom.x);
        found.sort_by(|a, b| row(a).partial_cmp(&row(b)).expect("places are finite"));
        let places: Vec<DVec2> = found.iter().map(|candidate| candidate.peak.place_angstrom).collect();
        let neighbour_angstrom = lattices
            .iter()
            .map(|lattice| lattice.neighbour_angstrom)
            .reduce(f64::min)
            .unwrap_or_else(|| commonest_distance(&places));
        let ideal: Vec<f64> = lattices
            .iter()
            .map(|lattice| lattice.neighbours(LatticePlace { n: 0, m: 0, site: 0 }).count() as f64)
            .collect();
        let mut sites = Sites {
            vacuum_angstrom: vacuum(&places, evidence, neighbour_angstrom, level, settings.vacuum_places),
            neighbour_angstrom,
            neighbours: Vec::new(),
            lattice: found
                .iter()
                .map(|candidate| (candidate.lattice, ideal.get(candidate.lattice).copied().unwrap_or(0.0)))
                .collect(),
            sites: found
                .iter()
                .map(|candidate| ReferenceSite {
                    place_angstrom: candidate.peak.place_angstrom,
                    class: SiteClass::Corner,
                    coordination: 0.0,
                    edge_distance_angstrom: 0.0,
                    strength: (candidate.peak.weight / level).min(1.0),
                    spread_angstrom: candidate.peak.spread_angstrom,
                    species: candidate.peak.species,
                    doubtful: !candidate.sure,
                })
                .collect(),
        };
        sites.classify();
        Ok(sites)
    }

    /// Sites whose places are known, all of one lattice and always filled as far as is known.
    pub fn of_places(places_angstrom: &[DVec2], neighbour_angstrom: f64) -> Sites {
        let site = |place: &DVec2| ReferenceSite {
            place_angstrom: *place,
            class: SiteClass::Corner,
            coordination: 0.0,
            edge_distance_angstrom: 0.0,
            strength: 1.0,
            spread_angstrom: 0.0,
            species: 0,
            doubtful: false,
        };
        let mut sites = Sites {
            sites: places_angstrom.iter().map(site).collect(),
            vacuum_angstrom: Vec::new(),
            neighbour_angstrom,
            neighbours: Vec::new(),
            lattice: vec![(0, 0.0); places_angstrom.len()],
        };
        sites.classify();
        sites
    }

    /// Number of sites.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// Places of all sites in the reference frame, in angstrom.
    pub fn places_angstrom(&self) -> Vec<DVec2> {
        self.sites.iter().map(|site| site.place_angstrom).collect()
    }

    /// Which sites the density alone does not make sites.
    pub fn doubtful(&self) -> Vec<bool> {
        self.sites.iter().map(|site| site.doubtful).collect()
    }

    /// Sites that are surely filled most of the time: inner ones at which columns are found as often as anywhere.
    pub fn known_filled(&self) -> Vec<bool> {
        let inner = |site: &ReferenceSite| site.class == SiteClass::Interior && !site.doubtful && site.strength > 0.7;
        self.sites.iter().map(inner).collect()
    }

    /// The number of each site's class, those in doubt in a class of their own after the others.
    pub fn class_numbers(&self) -> Vec<usize> {
        self.sites.iter().map(|site| if site.doubtful { SiteClass::ALL.len() } else { site.class as usize }).collect()
    }

    /// The lattice of each site; sites of different crystals may look quite different when filled.
    pub fn lattices(&self) -> Vec<usize> {
        self.lattice.iter().map(|(lattice, _)| *lattice).collect()
    }

    /// Keeps the sites that are marked, and sorts them into classes anew; what is kept is in doubt no longer.
    ///
    /// `occupancy` is the share of frames in which each is filled; it takes the place of the strength, by which
    /// neighbours count.
    ///
    /// # Panics
    /// If there is not one mark and one occupancy a site.
    pub fn retain(&mut self, keep: &[bool], occupancy: &[f64]) {
        assert!(keep.len() == self.len() && occupancy.len() == self.len(), "one mark and one occupancy a site");
        for (site, occupancy) in self.sites.iter_mut().zip(occupancy) {
            site.strength = *occupancy;
            site.doubtful = false;
        }
        let (mut sites, mut lattice) = (keep.iter(), keep.iter());
        self.sites.retain(|_| sites.next() == Some(&true));
        self.lattice.retain(|_| lattice.next() == Some(&true));
        self.classify();
    }

    fn classify(&mut self) {
        let places = self.places_angstrom();
        // Half way between nearest and next-nearest neighbours of the common lattices.
        let reach = 1.25 * self.neighbour_angstrom;
        let near = Neighbours::new(&places, reach);
        self.neighbours = places
            .iter()
            .enumerate()
            .map(|(site, place)| {
                let mut all: Vec<usize> =
                    near.within(*place, reach).map(|(other, _)| other).filter(|other| *other != site).collect();
                all.sort_unstable();
                all
            })
            .collect();
        let most = self.neighbours.iter().map(Vec::len).max().unwrap_or(0) as f64;
        for index in 0..self.len() {
            let (own, ideal) = self.lattice[index];
            let ideal = if ideal > 0.0 { ideal } else { most.max(1.0) };
            let sum: f64 = self.neighbours[index].iter().map(|other| self.sites[*other].strength.min(1.0)).sum();
            let foreign = self.neighbours[index].iter().any(|other| self.lattice[*other].0 != own);
            let site = &mut self.sites[index];
            site.coordination = sum / ideal;
            site.class = if foreign { SiteClass::Interface } else { SiteClass::of_coordination(site.coordination) };
        }
        let edge: Vec<DVec2> =
            self.sites.iter().filter(|s| s.class != SiteClass::Interior).map(|s| s.place_angstrom).collect();
        for site in &mut self.sites {
            let nearest = edge.iter().map(|place| place.distance(site.place_angstrom)).fold(f64::INFINITY, f64::min);
            site.edge_distance_angstrom = if nearest.is_finite() { nearest } else { 0.0 };
        }
    }
}

/// The summed probability of a place that is always filled: the median of the weights, each weighing by its square so
/// that the many places at which next to nothing was found do not count.
fn filled_level(peaks: &[DensityPeak]) -> f64 {
    let total: f64 = peaks.iter().map(|peak| peak.weight.powi(2)).sum();
    let mut sum = 0.0;
    for peak in peaks {
        sum += peak.weight.powi(2);
        if 2.0 * sum >= total {
            return peak.weight;
        }
    }
    0.0
}

/// A column of the mean image of at least this probability is a site without further proof.
const SURE_IN_MEAN: f64 = 0.9;

/// Columns of the mean image needed for it to lead.
const FEWEST_IN_MEAN: usize = 6;

/// Peaks with the columns of the mean image among them, and the weight of a place that is always filled; `None` if the
/// mean shows too little.
///
/// A peak between columns that the mean is sure of, nearer than three quarters of their distance, is a frame's other
/// reading of the same lattice and is left out.
fn led_by_mean(
    peaks: &[DensityPeak],
    in_mean: &[DetectedColumn],
    density: &SiteDensity,
    settings: &SiteSettings,
) -> Option<(Vec<DensityPeak>, f64)> {
    let place = |column: &DetectedColumn| DVec2::new(column.x_angstrom, column.y_angstrom);
    let sure: Vec<&DetectedColumn> =
        in_mean.iter().filter(|column| column.probability >= SURE_IN_MEAN && place(column).is_finite()).collect();
    if sure.len() < FEWEST_IN_MEAN {
        return None;
    }
    let places: Vec<DVec2> = sure.iter().map(|column| place(column)).collect();
    let reach = 0.75 * commonest_distance(&places);
    let at = |place: DVec2| density.within(place, density::PEAK_REACH_ANGSTROM);
    let mut weights: Vec<f64> = places.iter().map(|place| at(*place).map_or(0.0, |peak| peak.weight)).collect();
    let of_columns = weights.clone();
    weights.sort_by(f64::total_cmp);
    let level = weights[weights.len() / 2].max(1.0);
    let mut led: Vec<DensityPeak> = places
        .iter()
        .zip(&sure)
        .zip(of_columns)
        .map(|((place, column), weight)| {
            let own = at(*place);
            // Where frames say as much as the mean, they say it of the site's own frames.
            let of_frames = own.filter(|_| weight >= settings.sure_strength * level);
            DensityPeak {
                place_angstrom: of_frames.map_or(*place, |peak| peak.place_angstrom),
                weight: weight.max(settings.sure_strength * level),
                spread_angstrom: own.map_or(0.0, |peak| peak.spread_angstrom),
                species: column.species,
            }
        })
        .collect();
    let near = Neighbours::new(&places, reach.max(density::PEAK_REACH_ANGSTROM));
    let elsewhere = |peak: &&DensityPeak| {
        near.within(peak.place_angstrom, reach.max(density::PEAK_REACH_ANGSTROM)).next().is_none()
    };
    led.extend(peaks.iter().filter(elsewhere));
    led.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    Some((led, level))
}

/// Lattices of the strong peaks, one for all or one a species, and the peaks with their numbers.
fn numbered(strong: &[DensityPeak]) -> (Vec<OwnLattice>, Vec<Candidate>) {
    let column = |peak: &DensityPeak| ColumnPlace {
        place: peak.place_angstrom,
        sigma: (peak.spread_angstrom / peak.weight.max(1.0).sqrt()).max(0.02),
    };
    let candidate = |peak: &DensityPeak, lattice: usize, number: Option<LatticePlace>| Candidate {
        peak: *peak,
        lattice,
        number,
        sure: true,
    };
    let all: Vec<ColumnPlace> = strong.iter().map(column).collect();
    let common = OwnLattice::of(&all);
    let mut species: Vec<usize> = strong.iter().map(|peak| peak.species).collect();
    species.sort_unstable();
    species.dedup();
    if species.len() > 1 && common.as_ref().is_none_or(|lattice| 10 * lattice.numbered() < 8 * strong.len()) {
        let (mut lattices, mut found) = (Vec::new(), Vec::new());
        for species in species {
            let own: Vec<&DensityPeak> = strong.iter().filter(|peak| peak.species == species).collect();
            let places: Vec<ColumnPlace> = own.iter().map(|peak| column(peak)).collect();
            let lattice = OwnLattice::of(&places);
            let number = |at: usize| lattice.as_ref().and_then(|lattice| lattice.numbers[at]);
            found.extend(own.iter().enumerate().map(|(at, peak)| candidate(peak, lattices.len(), number(at))));
            lattices.extend(lattice);
        }
        return (lattices, found);
    }
    let number = |at: usize| common.as_ref().and_then(|lattice| lattice.numbers[at]);
    let found = strong.iter().enumerate().map(|(at, peak)| candidate(peak, 0, number(at))).collect();
    (common.into_iter().collect(), found)
}

/// Adds the places of a lattice next to those found on it.
fn extend(
    found: &mut Vec<Candidate>,
    index: usize,
    lattice: &OwnLattice,
    evidence: &SiteEvidence<'_>,
    weak: &[DensityPeak],
    level: f64,
    settings: &SiteSettings,
) {
    let weak_places: Vec<DVec2> = weak.iter().map(|peak| peak.place_angstrom).collect();
    let near_weak = Neighbours::new(&weak_places, settings.lattice_tolerance_angstrom);
    let tolerance = settings.lattice_tolerance_angstrom.min(0.22 * lattice.neighbour_angstrom);
    let free = 0.6 * lattice.neighbour_angstrom;
    let mut taken: BTreeMap<LatticePlace, ()> =
        found.iter().filter(|c| c.lattice == index).filter_map(|c| c.number).map(|number| (number, ())).collect();
    let mut front: Vec<LatticePlace> = taken.keys().copied().collect();
    while !front.is_empty() {
        let mut next = Vec::new();
        for from in front {
            for number in lattice.neighbours(from) {
                let at = lattice.at(number);
                if taken.insert(number, ()).is_some()
                    || !(evidence.in_view)(at)
                    || found.iter().any(|c| c.peak.place_angstrom.distance(at) < free)
                {
                    continue;
                }
                let score = |peak: &DensityPeak| peak.weight / (peak.spread_angstrom.powi(2) + 0.01);
                let seen = near_weak
                    .within(at, tolerance)
                    .map(|(peak, _)| weak[peak])
                    .max_by(|a, b| score(a).total_cmp(&score(b)));
                let mut peak = seen.or_else(|| evidence.density.within(at, tolerance)).unwrap_or(DensityPeak {
                    place_angstrom: at,
                    weight: 0.0,
                    spread_angstrom: 0.0,
                    species: 0,
                });
                // What is found at an empty site lies towards its neighbours: the less of it, the more the lattice is
                // believed.
                let own = (peak.weight / level).powi(2);
                let lattice_share = (lattice.residual_angstrom().max(0.05) / 0.25).powi(2).recip() * 0.04;
                peak.place_angstrom = (own * peak.place_angstrom + lattice_share * at) / (own + lattice_share);
                if peak.weight >= settings.leading_strength * level {
                    next.push(number);
                }
                found.push(Candidate { peak, lattice: index, number: Some(number), sure: false });
            }
        }
        front = next;
    }
}

/// The middle of the distances to the nearest other place.
fn commonest_distance(places: &[DVec2]) -> f64 {
    let mut nearest: Vec<f64> = places
        .iter()
        .enumerate()
        .filter_map(|(index, place)| {
            let others = places.iter().enumerate().filter(|(other, _)| *other != index);
            others.map(|(_, other)| other.distance(*place)).reduce(f64::min)
        })
        .collect();
    nearest.sort_by(f64::total_cmp);
    nearest.get(nearest.len() / 2).copied().unwrap_or(2.5)
}

/// Places that are further than a few neighbours' distances from every site and where next to nothing was found.
fn vacuum(places: &[DVec2], evidence: &SiteEvidence<'_>, neighbour: f64, level: f64, most: usize) -> Vec<DVec2> {
    let at = |place: DVec2| evidence.density.within(place, density::PEAK_REACH_ANGSTROM);
    let low = places.iter().copied().reduce(DVec2::min).unwrap_or(DVec2::ZERO);
    let high = places.iter().copied().reduce(DVec2::max).unwrap_or(DVec2::ZERO);
    let margin = 5.0 * neighbour;
    let near = Neighbours::new(places, 1.7 * neighbour);
    let size = (high - low + 2.0 * margin) / neighbour;
    let mut empty = Vec::new();
    for j in 0..=size.y as usize {
        for i in 0..=size.x as usize {
            let place = low - margin + DVec2::new(i as f64, j as f64) * neighbour;
            let beside = near.within(place, 1.7 * neighbour).next().is_none();
            if beside && (evidence.in_view)(place) && at(place).is_none_or(|peak| peak.weight < 0.12 * level) {
                empty.push(place);
            }
        }
    }
    let step = empty.len().div_ceil(most.max(1)).max(1);
    empty.into_iter().step_by(step).collect()
}

#[cfg(test)]
mod tests;
