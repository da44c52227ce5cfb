//! Movies: sites that empty and fill, adatoms that hop, and a specimen that drifts and turns.
//!
//! Every atomic column of the specimen is a *site*, and so is every empty place of the lattice beside its surface where a
//! column of adatoms can be; in sheets each atom is a site of its own, since there one atom more or less is another
//! defect. A site is either filled or empty, and switches as a two-state Markov process with a rate of emptying `e` and
//! one of filling `f`, independently of all others. Over a frame of length `t`
//!
//! `P(filled -> empty) = e / (e + f) (1 - exp(-(e + f) t))`, `P(empty -> filled) = f / (e + f) (1 - exp(-(e + f) t))`,
//!
//! which is exact however long the frame is; in the long run a site is filled for `f / (e + f)` of the time. Sites start as
//! the specimen has them, those of adatoms empty. After the sites have switched, each filled adatom site gives its
//! column to a neighbouring empty one with the probability `1 - exp(-h t)`. Then everything is turned about the middle of
//! the box and drifts, as one rigid piece.
//!
//! All of it is drawn beforehand ([`Movie::build`]), so that frames can be made in any order, on any thread.

use atomlens_core::glam::{DVec2, DVec3};
use atomlens_core::{Atom, Column, ColumnRole, Distribution, SeedPath, Structure};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::layer::check;
use crate::{Specimen, SpecimenError};

pub mod drift;
pub mod site;

pub use drift::{Drift, DriftSettings};
pub use site::{Site, SiteKind};

/// How often sites of one kind switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How often a filled site empties, per second; drawn anew for each site.
    pub emptying_per_s: Distribution,
    /// How often an empty site fills, per second; drawn anew for each site.
    pub filling_per_s: Distribution,
}

impl Rate {
    fn of(emptying_per_s: f64, filling_per_s: f64) -> Rate {
        Rate { emptying_per_s: emptying_per_s.into(), filling_per_s: filling_per_s.into() }
    }
}

/// Rates by kind of site; see [`SiteKind`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Inside the crystal or sheet.
    pub interior: Rate,
    /// On flat parts of the surface.
    pub facet: Rate,
    /// Where two facets meet, and along the edge of a sheet.
    pub edge: Rate,
    /// At corners and the ends of rows.
    pub corner: Rate,
    /// On the surface.
    pub adatom: Rate,
    /// At the surface, beside a crystalline support.
    pub interface: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            interior: Rate::of(0.0, 0.0),
            facet: Rate::of(0.01, 0.2),
            edge: Rate::of(0.05, 0.2),
            corner: Rate::of(0.2, 0.2),
            adatom: Rate::of(0.5, 0.02),
            interface: Rate::of(0.01, 0.1),
        }
    }
}

impl Rates {
    fn of(&self, kind: SiteKind) -> &Rate {
        match kind {
            SiteKind::Interior => &self.interior,
            SiteKind::Facet => &self.facet,
            SiteKind::Edge => &self.edge,
            SiteKind::Corner => &self.corner,
            SiteKind::Adatom => &self.adatom,
            SiteKind::Interface => &self.interface,
        }
    }
}

/// What happens in a movie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DynamicsSettings {
    /// Number of frames.
    pub frames: usize,
    /// Time from one frame to the next, in seconds.
    pub frame_time_s: f64,
    /// Rates of emptying and filling.
    pub rates: Rates,
    /// How often a column of adatoms moves to a neighbouring empty site, per second.
    pub hops_per_s: Distribution,
    /// Drift and rotation.
    pub drift: DriftSettings,
}

impl Default for DynamicsSettings {
    fn default() -> Self {
        DynamicsSettings {
            frames: 100,
            frame_time_s: 1.0,
            rates: Rates::default(),
            hops_per_s: 0.1.into(),
            drift: DriftSettings::default(),
        }
    }
}

impl DynamicsSettings {
    fn check(&self) -> Result<(), SpecimenError> {
        if !(1..=1_000_000).contains(&self.frames) {
            let found = self.frames.to_string();
            return Err(SpecimenError::OutOfRange { key: "frames", found, expected: "1 to 1000000" });
        }
        if !(self.frame_time_s > 0.0 && self.frame_time_s.is_finite()) {
            let found = self.frame_time_s.to_string();
            return Err(SpecimenError::OutOfRange { key: "frame_time_s", found, expected: "a time above 0" });
        }
        let rates = &self.rates;
        for rate in [&rates.interior, &rates.facet, &rates.edge, &rates.corner, &rates.adatom, &rates.interface] {
            check("emptying_per_s", &rate.emptying_per_s, [0.0, 1e12], "a rate that is not negative")?;
            check("filling_per_s", &rate.filling_per_s, [0.0, 1e12], "a rate that is not negative")?;
        }
        check("hops_per_s", &self.hops_per_s, [0.0, 1e12], "a rate that is not negative")
    }
}

/// A column of adatoms that has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The first frame that shows it at its new site.
    pub frame: usize,
    /// Index of the site that it has left.
    pub from: usize,
    /// Index of the site that it has gone to.
    pub to: usize,
}

/// A movie with its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Movie {
    /// All sites, filled at the start or not.
    pub sites: Vec<Site>,
    /// Whether each site is filled, `[frame][site]`.
    pub occupancy: Vec<Vec<bool>>,
    /// Where the specimen is, by frame; not moved in the first.
    pub drift: Vec<Drift>,
    /// Moves of adatoms from one site to another, by frame; the occupancy has them too.
    pub hops: Vec<Hop>,
    /// Time from one frame to the next, in seconds.
    pub frame_time_s: f64,
    /// The specimen with all sites filled.
    atoms: Vec<Atom>,
    /// The site of each of these atoms, if it belongs to one.
    site_of_atom: Vec<Option<u32>>,
    roles: Vec<ColumnRole>,
    cell: atomlens_core::Cell,
    lengths: DVec3,
    sheet: bool,
}

impl Movie {
    /// Finds the sites of a specimen and draws what happens to them.
    ///
    /// The box should be larger than the field that is looked at by [`largest_drift_angstrom`](Self::largest_drift_angstrom),
    /// or what drifts out of it on one side comes in on the other.
    ///
    /// # Errors
    /// [`SpecimenError::OutOfRange`] for settings that make no sense, [`SpecimenError::NoCell`] for a specimen that is
    /// not in a box.
    pub fn build(specimen: Specimen, settings: &DynamicsSettings, seed: SeedPath) -> Result<Movie, SpecimenError> {
        settings.check()?;
        let no_cell = || SpecimenError::NoCell { what: "cell with right angles", key: "dynamics" };
        let cell = specimen.structure.cell.ok_or_else(no_cell)?;
        let lengths = cell.as_orthorhombic().ok_or_else(no_cell)?;
        let drift = settings.drift.sample(settings.frames, seed.child("drift"))?;
        let found = site::find(&specimen, lengths);

        let mut random = seed.child("rates").stream();
        let mut sites = found.sites;
        for site in &mut sites {
            let rate = settings.rates.of(site.kind);
            site.emptying_per_s = rate.emptying_per_s.sample(&mut random);
            site.filling_per_s = rate.filling_per_s.sample(&mut random);
        }
        let hop_probability = -(-settings.hops_per_s.sample(&mut random) * settings.frame_time_s).exp_m1();
        let (occupancy, hops) = switch(
            &sites,
            &found.adatom_neighbours,
            settings.frames,
            settings.frame_time_s,
            hop_probability,
            &mut seed.child("occupancy").stream(),
        );
        Ok(Movie {
            sites,
            occupancy,
            drift,
            hops,
            frame_time_s: settings.frame_time_s,
            atoms: found.atoms,
            site_of_atom: found.site_of_atom,
            roles: found.roles,
            cell,
            lengths,
            sheet: specimen.sheet,
        })
    }

    /// Number of frames.
    pub fn frame_count(&self) -> usize {
        self.occupancy.len()
    }

    /// How far the specimen gets from where it started, in angstrom.
    pub fn largest_drift_angstrom(&self) -> f64 {
        self.drift.iter().map(|drift| drift.x_angstrom.hypot(drift.y_angstrom)).fold(0.0, f64::max)
    }

    /// Where a site is in a frame: x and y in angstrom.
    ///
    /// # Panics
    /// If there is no such site or frame.
    pub fn site_place_angstrom(&self, frame: usize, site: usize) -> [f64; 2] {
        let site = &self.sites[site];
        self.drift[frame].apply(DVec2::new(site.x_angstrom, site.y_angstrom), self.middle()).to_array()
    }

    /// The specimen of a frame: the atoms of its filled sites, moved and turned, with their columns.
    ///
    /// What has left the box comes back in on the other side, as its periodic images do.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn frame(&self, frame: usize) -> Specimen {
        let filled = &self.occupancy[frame];
        let drift = self.drift[frame];
        let middle = self.middle();
        let present =
            self.atoms.iter().zip(&self.site_of_atom).filter(|(_, site)| site.is_none_or(|s| filled[s as usize]));
        let atoms = present
            .map(|(atom, _)| {
                let place = atom.position_angstrom;
                Atom { position_angstrom: drift.apply(place.truncate(), middle).extend(place.z), ..*atom }
            })
            .collect();
        let mut structure = Structure { atoms, cell: Some(self.cell) };
        let mut columns = Column::gather(&mut structure, &self.roles);
        for column in &mut columns {
            column.x_angstrom = wrap(column.x_angstrom, self.lengths.x);
            column.y_angstrom = wrap(column.y_angstrom, self.lengths.y);
        }
        for atom in &mut structure.atoms {
            atom.position_angstrom.x = wrap(atom.position_angstrom.x, self.lengths.x);
            atom.position_angstrom.y = wrap(atom.position_angstrom.y, self.lengths.y);
        }
        Specimen { structure, columns, sheet: self.sheet }
    }

    fn middle(&self) -> DVec2 {
        self.lengths.truncate() / 2.0
    }
}

fn wrap(x: f64, length: f64) -> f64 {
    let wrapped = x.rem_euclid(length);
    // A tiny negative number plus the length rounds to the length itself.
    if wrapped < length { wrapped } else { 0.0 }
}

/// Probabilities that a filled site is empty, and an empty one filled, one frame later.
fn switch_probabilities(emptying_per_s: f64, filling_per_s: f64, frame_time_s: f64) -> (f64, f64) {
    let sum = emptying_per_s + filling_per_s;
    if sum == 0.0 {
        return (0.0, 0.0);
    }
    let relaxed = -(-sum * frame_time_s).exp_m1();
    (emptying_per_s / sum * relaxed, filling_per_s / sum * relaxed)
}

/// Draws the occupancy of all sites, `[frame][site]`, and the hops.
fn switch(
    sites: &[Site],
    adatom_neighbours: &[Vec<u32>],
    frames: usize,
    frame_time_s: f64,
    hop_probability: f64,
    random: &mut impl Rng,
) -> (Vec<Vec<bool>>, Vec<Hop>) {
    let probabilities: Vec<(f64, f64)> =
        sites.iter().map(|site| switch_probabilities(site.emptying_per_s, site.filling_per_s, frame_time_s)).collect();
    let mut occupancy = vec![sites.iter().map(|site| site.filled_at_start).collect::<Vec<bool>>()];
    let mut hops = Vec::new();
    for frame in 1..frames {
        let mut now: Vec<bool> = occupancy[frame - 1]
            .iter()
            .zip(&probabilities)
            .map(|(&filled, &(empties, fills))| {
                filled != (random.random::<f64>() < if filled { empties } else { fills })
            })
            .collect();
        let mut arrived = vec![false; sites.len()];
        for from in (0..sites.len()).filter(|&site| !adatom_neighbours[site].is_empty()) {
            // A column hops once a frame at most.
            if !now[from] || arrived[from] || random.random::<f64>() >= hop_probability {
                continue;
            }
            let free: Vec<usize> =
                adatom_neighbours[from].iter().map(|&site| site as usize).filter(|&site| !now[site]).collect();
            if free.is_empty() {
                continue;
            }
            let to = free[random.random_range(0..free.len())];
            now[from] = false;
            now[to] = true;
            arrived[to] = true;
            hops.push(Hop { frame, from, to });
        }
        occupancy.push(now);
    }
    (occupancy, hops)
}

#[cfg(test)]
mod tests;
