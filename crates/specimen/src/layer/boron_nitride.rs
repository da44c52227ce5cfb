//! Hexagonal boron nitride: boron and nitrogen vacancies, holes and edges; one to four layers.
//!
//! Lattice constants 2.504 and 6.661 angstrom (two layers): Pease 1952, doi:10.1107/S0365110X52001064. The layers are stacked
//! as in the crystal (AA'), boron over nitrogen.

use atomlens_core::{Distribution, SeedPath};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::deformation::{Deformation, RippleSettings, StrainSettings};
use super::network::Network;
use super::outline::{EdgeSettings, HoleSettings, Outline};
use super::stack::{self, FlatAtom, Honeycomb, Sublattice};
use super::{check_field, check_fraction, check_layers, cover_radius_angstrom};
use crate::{Body, SpecimenError};

/// Lattice constant in the plane, in angstrom.
pub const LATTICE_ANGSTROM: f64 = 2.504;
/// Distance between layers, in angstrom.
pub const SPACING_ANGSTROM: f64 = 6.661 / 2.0;

/// A sheet of hexagonal boron nitride.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoronNitrideSettings {
    /// Number of layers, 1 to 4.
    pub layers: Distribution,
    /// Turn of each layer against the one before, in degree, beyond the stacking of the crystal.
    pub twist_degree: Distribution,
    /// Fraction of boron atoms that are missing.
    pub boron_vacancy_fraction: Distribution,
    /// Fraction of nitrogen atoms that are missing.
    pub nitrogen_vacancy_fraction: Distribution,
    /// Edges.
    pub edge: EdgeSettings,
    /// Holes.
    pub hole: HoleSettings,
    /// Ripples.
    pub ripple: RippleSettings,
    /// Strain.
    pub strain: StrainSettings,
}

impl Default for BoronNitrideSettings {
    fn default() -> Self {
        BoronNitrideSettings {
            layers: 1.0.into(),
            twist_degree: 0.0.into(),
            boron_vacancy_fraction: 0.0.into(),
            nitrogen_vacancy_fraction: 0.0.into(),
            edge: EdgeSettings::default(),
            hole: HoleSettings::default(),
            ripple: RippleSettings::default(),
            strain: StrainSettings::default(),
        }
    }
}

/// Makes a sheet of boron nitride that covers the field of view; see [`super::build`].
pub fn build(settings: &BoronNitrideSettings, field_angstrom: [f64; 2], seed: SeedPath) -> Result<Body, SpecimenError> {
    check_field(field_angstrom)?;
    check_layers(&settings.layers)?;
    check_fraction("boron_vacancy_fraction", &settings.boron_vacancy_fraction)?;
    check_fraction("nitrogen_vacancy_fraction", &settings.nitrogen_vacancy_fraction)?;

    let mut random = seed.child("sheet").stream();
    let outline = Outline::sample(&settings.edge, &settings.hole, field_angstrom, &mut random)?;
    let deformation = Deformation::sample(&settings.ripple, &settings.strain, &mut random)?;
    let boron_missing = settings.boron_vacancy_fraction.sample(&mut random);
    let nitrogen_missing = settings.nitrogen_vacancy_fraction.sample(&mut random);
    let layers = settings.layers.sample_count(&mut random);
    let mut lattice = Honeycomb::sample(LATTICE_ANGSTROM, &mut random);
    let radius = deformation.flat_radius_angstrom(cover_radius_angstrom(field_angstrom));
    let mut atoms = Vec::new();
    for layer in 0..layers {
        let mut random = seed.child("layer").index(layer as u64).stream();
        lattice.swapped = layer % 2 == 1;
        if layer > 0 {
            lattice.twist_rad += settings.twist_degree.sample(&mut random).to_radians();
        }
        for (place, sublattice) in outlined_sites(&lattice, &outline, radius) {
            let (element, missing) = match sublattice {
                Sublattice::A => (stack::element(5), boron_missing),
                Sublattice::B => (stack::element(7), nitrogen_missing),
            };
            if random.random::<f64>() >= missing {
                let place = place.extend(SPACING_ANGSTROM * layer as f64);
                atoms.push(FlatAtom { element, place, above_middle: 0.0 });
            }
        }
    }
    stack::finish(atoms, &deformation)
}

/// The sites of a honeycomb within an outline, without those that only one bond holds.
pub(super) fn outlined_sites(
    lattice: &Honeycomb,
    outline: &Outline,
    radius: f64,
) -> Vec<(atomlens_core::glam::DVec2, Sublattice)> {
    let sites = lattice.sites(radius);
    let network = Network::within(sites.iter().map(|(place, _)| *place).collect(), 1.2 * lattice.bond_angstrom());
    let keep = network.without_dangling(sites.iter().map(|&(place, _)| outline.keeps(place)).collect());
    sites.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(site, _)| site).collect()
}
