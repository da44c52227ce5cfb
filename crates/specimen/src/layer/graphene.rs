//! Graphene: grains, vacancies, Stone-Wales defects, holes and edges; one to four layers.
//!
//! Lattice constant 2.461 angstrom and layer spacing 3.354 angstrom at room temperature: Trucano and Chen 1975,
//! doi:10.1038/258136a0. Layers of a single grain are stacked as in graphite (AB, Bernal): every other layer is
//! shifted by one bond. Layers with grains each have grains of their own.

use atomlens_core::glam::{DVec2, DVec3};
use atomlens_core::{Distribution, Element, SeedPath};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::deformation::{Deformation, RippleSettings, StrainSettings};
use super::network::Network;
use super::outline::{EdgeSettings, HoleSettings, Outline};
use super::stack::{self, FlatAtom, Honeycomb};
use super::{check, check_field, check_fraction, check_layers, cover_radius_angstrom, grain};
use crate::{Body, SpecimenError};

/// Lattice constant of graphite in the plane, in angstrom.
pub const LATTICE_ANGSTROM: f64 = 2.461;
/// Distance between its layers, in angstrom.
pub const SPACING_ANGSTROM: f64 = 3.354;

/// How far a defect bends its surroundings, in bonds.
const RELAXED_BONDS: usize = 10;
const RELAXATION_STEPS: usize = 150;

/// A sheet of graphene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrapheneSettings {
    /// Number of layers, 1 to 4.
    pub layers: Distribution,
    /// Turn of each layer against the one before, in degree, beyond the stacking of the crystal.
    pub twist_degree: Distribution,
    /// Mean number of grains in the field of view; 1 is a single crystal.
    pub grains: Distribution,
    /// Chance that a grain is disordered, with rings of five to seven at random; counts where there is more than one grain.
    pub disordered_fraction: Distribution,
    /// Fraction of atoms that are missing.
    pub vacancy_fraction: Distribution,
    /// Fraction of bonds that are turned by 90 degrees.
    pub stone_wales_fraction: Distribution,
    /// Edges.
    pub edge: EdgeSettings,
    /// Holes.
    pub hole: HoleSettings,
    /// Ripples.
    pub ripple: RippleSettings,
    /// Strain.
    pub strain: StrainSettings,
}

impl Default for GrapheneSettings {
    fn default() -> Self {
        GrapheneSettings {
            layers: 1.0.into(),
            twist_degree: 0.0.into(),
            grains: 1.0.into(),
            disordered_fraction: 0.0.into(),
            vacancy_fraction: 0.0.into(),
            stone_wales_fraction: 0.0.into(),
            edge: EdgeSettings::default(),
            hole: HoleSettings::default(),
            ripple: RippleSettings::default(),
            strain: StrainSettings::default(),
        }
    }
}

/// Makes a sheet of graphene that covers the field of view; see [`super::build`].
pub fn build(settings: &GrapheneSettings, field_angstrom: [f64; 2], seed: SeedPath) -> Result<Body, SpecimenError> {
    check_field(field_angstrom)?;
    check_layers(&settings.layers)?;
    check("grains", &settings.grains, [1.0, 1000.0], "1 to 1000 in the field of view")?;
    check_fraction("disordered_fraction", &settings.disordered_fraction)?;
    check_fraction("vacancy_fraction", &settings.vacancy_fraction)?;
    check_fraction("stone_wales_fraction", &settings.stone_wales_fraction)?;

    let mut random = seed.child("sheet").stream();
    let outline = Outline::sample(&settings.edge, &settings.hole, field_angstrom, &mut random)?;
    let deformation = Deformation::sample(&settings.ripple, &settings.strain, &mut random)?;
    let grains = settings.grains.sample_count(&mut random).max(1);
    let layers = settings.layers.sample_count(&mut random);
    let radius = deformation.flat_radius_angstrom(cover_radius_angstrom(field_angstrom));
    let grain_area = field_angstrom[0] * field_angstrom[1] / grains as f64;
    let mut lattice = Honeycomb::sample(LATTICE_ANGSTROM, &mut random);
    let first_origin = lattice.origin;

    let mut atoms = Vec::new();
    for layer in 0..layers {
        let mut random = seed.child("layer").index(layer as u64).stream();
        if layer > 0 {
            lattice.twist_rad += settings.twist_degree.sample(&mut random).to_radians();
        }
        lattice.origin = first_origin + (layer % 2) as f64 * DVec2::Y * lattice.bond_angstrom();
        let (mut network, mut defects) = if grains > 1 {
            let disordered = settings.disordered_fraction.sample(&mut random);
            grain::grow(LATTICE_ANGSTROM, radius, grain_area, disordered, &mut random)
        } else {
            let places = lattice.sites(radius).into_iter().map(|(place, _)| place).collect();
            (Network::within(places, 1.2 * lattice.bond_angstrom()), Vec::new())
        };
        defects.extend(network.turn_bonds(settings.stone_wales_fraction.sample(&mut random), &mut random));
        relax(&mut network, &defects);
        outlined(&mut network, &outline);
        let vacancies = settings.vacancy_fraction.sample(&mut random);
        remove_vacancies(&mut network, vacancies, &mut random);
        atoms.extend(network.places.iter().map(|place| FlatAtom {
            element: Element::CARBON,
            place: place.extend(SPACING_ANGSTROM * layer as f64),
            above_middle: 0.0,
        }));
    }
    stack::finish(atoms, &deformation)
}

/// A perfect sheet that covers the field, with a random origin and the given turn, all atoms at `z_angstrom`.
pub(crate) fn perfect(field_angstrom: [f64; 2], turn_rad: f64, z_angstrom: f64, random: &mut impl Rng) -> Vec<DVec3> {
    let lattice = Honeycomb { twist_rad: turn_rad, ..Honeycomb::sample(LATTICE_ANGSTROM, random) };
    let sites = lattice.sites(cover_radius_angstrom(field_angstrom));
    sites.into_iter().map(|(place, _)| place.extend(z_angstrom)).collect()
}

fn relax(network: &mut Network, defects: &[usize]) {
    if !defects.is_empty() {
        let mobile = network.reachable(defects, RELAXED_BONDS);
        network.relax(LATTICE_ANGSTROM / 3.0_f64.sqrt(), &mobile, RELAXATION_STEPS);
    }
}

fn outlined(network: &mut Network, outline: &Outline) {
    let keep: Vec<bool> = network.places.iter().map(|&place| outline.keeps(place)).collect();
    let keep = network.without_dangling(keep);
    network.retain(&keep);
}

/// Takes atoms away, lets their neighbours settle, and drops atoms that nothing holds any more.
fn remove_vacancies(network: &mut Network, fraction: f64, random: &mut impl Rng) {
    let keep: Vec<bool> = (0..network.places.len()).map(|_| random.random::<f64>() >= fraction).collect();
    let beside: Vec<bool> =
        network.bonds.iter().map(|bonds| bonds.iter().any(|&other| !keep[other as usize])).collect();
    let kept = network.retain(&keep);
    let seeds: Vec<usize> = kept.iter().enumerate().filter(|&(_, &old)| beside[old]).map(|(new, _)| new).collect();
    relax(network, &seeds);
    let keep: Vec<bool> = network.bonds.iter().map(|bonds| !bonds.is_empty()).collect();
    network.retain(&keep);
}
