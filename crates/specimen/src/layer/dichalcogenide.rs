//! Dichalcogenides MX2 of molybdenum and tungsten, 2H: a plane of metal between two of chalcogen, in trigonal prisms.
//!
//! | | a | c | z(X) | source |
//! |---|---|---|---|---|
//! | MoS2 | 3.160 | 12.294 | 0.621 | Bronsema, de Boer, Jellinek 1986, doi:10.1002/zaac.19865400904 |
//! | MoSe2 | 3.289 | 12.927 | 0.621 | the same |
//! | WS2 | 3.1532 | 12.323 | 0.6225 | Schutte, de Boer, Jellinek 1987, doi:10.1016/0022-4596(87)90057-0 |
//! | WSe2 | 3.282 | 12.960 | 0.6211 | the same |
//! | MoTe2 | 3.518 | 13.974 | 0.621 | Puotinen and Newnham 1961, doi:10.1107/S0365110X61002084 |
//!
//! in angstrom; the metal is at `z = 3/4` of the next layer's prism, so that the planes of chalcogen are `2 (3/4 - z) c` apart
//! and the layers `c / 2`. In the 2H stacking each layer is turned by 180 degrees against the one before,
//! metal over chalcogen. Seen along the beam a single layer has columns of one metal atom and of two chalcogens.

use atomlens_core::{Distribution, Element, SeedPath};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::boron_nitride::outlined_sites;
use super::deformation::{Deformation, RippleSettings, StrainSettings};
use super::outline::{EdgeSettings, HoleSettings, Outline};
use super::stack::{self, FlatAtom, Honeycomb, Sublattice};
use super::{check_field, check_fraction, check_layers, cover_radius_angstrom};
use crate::{Body, SpecimenError};

/// A crystal of the family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dichalcogenide {
    /// Atomic number of the metal.
    metal: u8,
    /// Atomic number of the chalcogen.
    chalcogen: u8,
    /// Lattice constant in the plane, in angstrom.
    a_angstrom: f64,
    /// Lattice constant across two layers, in angstrom.
    c_angstrom: f64,
    /// Fractional coordinate of the chalcogen.
    z: f64,
}

/// Molybdenum disulfide.
pub const MOS2: Dichalcogenide =
    Dichalcogenide { metal: 42, chalcogen: 16, a_angstrom: 3.160, c_angstrom: 12.294, z: 0.621 };
/// Tungsten disulfide.
pub const WS2: Dichalcogenide =
    Dichalcogenide { metal: 74, chalcogen: 16, a_angstrom: 3.1532, c_angstrom: 12.323, z: 0.6225 };
/// Molybdenum diselenide.
pub const MOSE2: Dichalcogenide =
    Dichalcogenide { metal: 42, chalcogen: 34, a_angstrom: 3.289, c_angstrom: 12.927, z: 0.621 };
/// Tungsten diselenide.
pub const WSE2: Dichalcogenide =
    Dichalcogenide { metal: 74, chalcogen: 34, a_angstrom: 3.282, c_angstrom: 12.960, z: 0.6211 };
/// Molybdenum ditelluride.
pub const MOTE2: Dichalcogenide =
    Dichalcogenide { metal: 42, chalcogen: 52, a_angstrom: 3.518, c_angstrom: 13.974, z: 0.621 };

impl Dichalcogenide {
    /// Distance between the two planes of chalcogen of a layer, in angstrom.
    pub fn thickness_angstrom(&self) -> f64 {
        2.0 * (0.75 - self.z) * self.c_angstrom
    }

    /// Length of the bonds, in angstrom.
    pub fn bond_angstrom(&self) -> f64 {
        (self.a_angstrom / 3.0_f64.sqrt()).hypot(self.thickness_angstrom() / 2.0)
    }
}

/// One of the two kinds of site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// The sites of Mo and W.
    Metal,
    /// The sites of S, Se and Te.
    Chalcogen,
}

/// A foreign element on some of the sites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Substitution {
    /// Which sites.
    pub site: Site,
    /// The element that takes them.
    pub element: Element,
    /// Fraction of these sites' atoms that it takes.
    pub fraction: Distribution,
}

/// A sheet of an MX2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DichalcogenideSettings {
    /// Number of layers, 1 to 4.
    pub layers: Distribution,
    /// Turn of each layer against the one before, in degree, beyond the 180 of the 2H stacking.
    pub twist_degree: Distribution,
    /// Fraction of pairs of chalcogens that have lost one of the two.
    pub single_vacancy_fraction: Distribution,
    /// Fraction of pairs of chalcogens that have lost both.
    pub double_vacancy_fraction: Distribution,
    /// Fraction of metal atoms that are missing.
    pub metal_vacancy_fraction: Distribution,
    /// Foreign elements.
    pub substitutions: Vec<Substitution>,
    /// Edges.
    pub edge: EdgeSettings,
    /// Holes.
    pub hole: HoleSettings,
    /// Ripples.
    pub ripple: RippleSettings,
    /// Strain.
    pub strain: StrainSettings,
}

impl Default for DichalcogenideSettings {
    fn default() -> Self {
        DichalcogenideSettings {
            layers: 1.0.into(),
            twist_degree: 0.0.into(),
            single_vacancy_fraction: 0.0.into(),
            double_vacancy_fraction: 0.0.into(),
            metal_vacancy_fraction: 0.0.into(),
            substitutions: Vec::new(),
            edge: EdgeSettings::default(),
            hole: HoleSettings::default(),
            ripple: RippleSettings::default(),
            strain: StrainSettings::default(),
        }
    }
}

impl DichalcogenideSettings {
    fn check(&self) -> Result<(), SpecimenError> {
        check_layers(&self.layers)?;
        check_fraction("metal_vacancy_fraction", &self.metal_vacancy_fraction)?;
        check_fraction("single_vacancy_fraction", &self.single_vacancy_fraction)?;
        check_fraction("double_vacancy_fraction", &self.double_vacancy_fraction)?;
        let most = self.single_vacancy_fraction.range().1 + self.double_vacancy_fraction.range().1;
        if most > 1.0 {
            return Err(SpecimenError::OutOfRange {
                key: "single_vacancy_fraction + double_vacancy_fraction",
                found: format!("up to {most}"),
                expected: "at most 1 together",
            });
        }
        self.substitutions.iter().try_for_each(|one| check_fraction("substitutions.fraction", &one.fraction))
    }
}

/// The fractions drawn for one sheet.
struct Defects {
    single: f64,
    double: f64,
    metal: f64,
    substitutions: Vec<(Site, Element, f64)>,
}

impl Defects {
    fn sample(settings: &DichalcogenideSettings, random: &mut impl Rng) -> Defects {
        Defects {
            single: settings.single_vacancy_fraction.sample(random),
            double: settings.double_vacancy_fraction.sample(random),
            metal: settings.metal_vacancy_fraction.sample(random),
            substitutions: settings
                .substitutions
                .iter()
                .map(|one| (one.site, one.element, one.fraction.sample(random)))
                .collect(),
        }
    }

    /// The element on a site: its own, or one that has taken it.
    fn element(&self, site: Site, own: Element, random: &mut impl Rng) -> Element {
        let taken = |&&(at, _, fraction): &&(Site, Element, f64)| at == site && random.random::<f64>() < fraction;
        self.substitutions.iter().find(taken).map_or(own, |&(_, element, _)| element)
    }

    /// Which of the two chalcogens of a pair, the lower and the upper, are there.
    fn pair(&self, random: &mut impl Rng) -> [bool; 2] {
        let draw: f64 = random.random();
        let upper: bool = random.random();
        if draw < self.double {
            [false; 2]
        } else if draw < self.double + self.single {
            [!upper, upper]
        } else {
            [true; 2]
        }
    }
}

/// Makes a sheet of an MX2 that covers the field of view; see [`super::build`].
pub fn build(
    crystal: &Dichalcogenide,
    settings: &DichalcogenideSettings,
    field_angstrom: [f64; 2],
    seed: SeedPath,
) -> Result<Body, SpecimenError> {
    check_field(field_angstrom)?;
    settings.check()?;
    let mut random = seed.child("sheet").stream();
    let outline = Outline::sample(&settings.edge, &settings.hole, field_angstrom, &mut random)?;
    let deformation = Deformation::sample(&settings.ripple, &settings.strain, &mut random)?;
    let defects = Defects::sample(settings, &mut random);
    let layers = settings.layers.sample_count(&mut random);
    let mut lattice = Honeycomb::sample(crystal.a_angstrom, &mut random);
    let half_thickness = crystal.thickness_angstrom() / 2.0;
    let radius = deformation.flat_radius_angstrom(cover_radius_angstrom(field_angstrom));
    let mut atoms = Vec::new();
    for layer in 0..layers {
        let mut random = seed.child("layer").index(layer as u64).stream();
        lattice.swapped = layer % 2 == 1;
        if layer > 0 {
            lattice.twist_rad += settings.twist_degree.sample(&mut random).to_radians();
        }
        let middle = crystal.c_angstrom / 2.0 * layer as f64;
        for (place, sublattice) in outlined_sites(&lattice, &outline, radius) {
            match sublattice {
                Sublattice::A => {
                    let element = defects.element(Site::Metal, stack::element(crystal.metal), &mut random);
                    if random.random::<f64>() >= defects.metal {
                        atoms.push(FlatAtom { element, place: place.extend(middle), above_middle: 0.0 });
                    }
                }
                Sublattice::B => {
                    let there = defects.pair(&mut random);
                    for (there, above_middle) in there.into_iter().zip([-half_thickness, half_thickness]) {
                        let element = defects.element(Site::Chalcogen, stack::element(crystal.chalcogen), &mut random);
                        if there {
                            atoms.push(FlatAtom { element, place: place.extend(middle + above_middle), above_middle });
                        }
                    }
                }
            }
        }
    }
    stack::finish(atoms, &deformation)
}
