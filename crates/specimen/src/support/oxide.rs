//! A particle on a crystalline oxide in profile, as an environmental microscope sees it.
//!
//! The particle is turned about the beam so that a facet of its outline faces the oxide, cut flat parallel to it
//! (a supported particle is truncated by its adhesion: Winterbottom 1967, doi:10.1016/0001-6160(67)90206-4), and set
//! on the surface at the interface's gap. Where the lattices of both are on a zone axis and a close-packed facet meets a
//! close-packed surface, this is the usual epitaxy, such as Pt(111) on CeO2(111) along their common `[110]`. Steps lower the
//! surface beside the particle. Nothing of the support comes nearer to the particle than the gap.

use atomlens_core::glam::{DVec2, DVec3};
use atomlens_core::{ColumnRole, Distribution, SeedPath};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::crystal::{CrystalCell, CrystalName};
use super::seat::seat;
use super::slab::Cut;
use crate::layer::{check, check_field};
use crate::{Body, SpecimenError};

/// The facet that a particle rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Facet {
    /// The longest of its projected outline.
    Longest,
    /// One of those at least half as long, longer ones more often.
    Random,
}

/// A slab of an oxide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OxideSettings {
    /// Which oxide; counts where no cell is given.
    pub crystal: CrystalName,
    /// The cell of another crystal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<CrystalCell>,
    /// Direction `[uvw]` along the beam.
    pub zone_axis: [i32; 3],
    /// Surface `(hkl)`, or in a cubic crystal the family `{hkl}`; must contain the zone axis.
    pub surface: [i32; 3],
    /// Which cut between planes of atoms, 0 being where they are farthest apart.
    pub termination: Distribution,
    /// Length of the slab along the beam, in angstrom.
    pub thickness_angstrom: Distribution,
    /// Distance along the normal between the particle's last row of atoms and the oxide's first, in angstrom.
    pub gap_angstrom: Distribution,
    /// Part of the particle's height that is cut off at the interface.
    pub cut_fraction: Distribution,
    /// The facet that the particle rests on.
    pub facet: Facet,
    /// Number of steps of the surface beside the particle.
    pub steps: Distribution,
}

impl Default for OxideSettings {
    fn default() -> Self {
        OxideSettings {
            crystal: CrystalName::CeO2,
            cell: None,
            zone_axis: [1, 1, 0],
            surface: [1, 1, 1],
            termination: 0.0.into(),
            thickness_angstrom: Distribution::Uniform(20.0, 50.0),
            gap_angstrom: Distribution::Uniform(2.0, 2.5),
            cut_fraction: Distribution::Uniform(0.1, 0.4),
            facet: Facet::Random,
            steps: 0.0.into(),
        }
    }
}

pub(super) fn attach(
    settings: &OxideSettings,
    body: Body,
    field_angstrom: [f64; 2],
    seed: SeedPath,
) -> Result<Body, SpecimenError> {
    check_field(field_angstrom)?;
    check("thickness_angstrom", &settings.thickness_angstrom, [1.0, 2000.0], "1 to 2000 angstrom")?;
    check("gap_angstrom", &settings.gap_angstrom, [1.0, 20.0], "1 to 20 angstrom")?;
    check("cut_fraction", &settings.cut_fraction, [0.0, 0.9], "0 to 0.9 of the height")?;
    check("steps", &settings.steps, [0.0, 20.0], "0 to 20")?;
    if body.fills_field {
        return Err(SpecimenError::OutOfRange {
            key: "support.kind",
            found: "oxide under a body that fills the field".to_owned(),
            expected: "none, amorphous_carbon or graphene there; an oxide in profile needs a particle",
        });
    }
    let crystal = settings.cell.clone().unwrap_or_else(|| settings.crystal.cell());
    crystal.check()?;

    let mut random = seed.stream();
    let termination = settings.termination.sample_count(&mut random);
    let cut = Cut::new(&crystal, settings.zone_axis, settings.surface, termination)?;
    let gap = settings.gap_angstrom.sample(&mut random);
    let cut_fraction = settings.cut_fraction.sample(&mut random);
    let Body { mut structure, mut roles, sheet, fills_field } = body;
    seat(&mut structure, settings.facet, cut_fraction, &mut random)?;
    structure.translate(-DVec3::Y * gap);

    let (low, high) = structure.bounds_angstrom().unwrap_or_default();
    let middle = (low + high) / 2.0;
    structure.translate(-DVec3::X * middle.x);
    let half_width = (high.x - low.x) / 2.0;
    // The stage may put the particle into any corner of the field and turn it.
    let reach = field_angstrom[0].hypot(field_angstrom[1]) + 5.0;
    let thickness = settings.thickness_angstrom.sample(&mut random);
    let shift = DVec2::new(random.random(), random.random()) * crystal.lengths_angstrom[0];
    let (mut slab, columns) = cut.slab(&crystal, reach, reach, thickness, shift);

    // Terraces only go down, and begin beyond the particle, so that they never come near it.
    let mut ledges = Vec::new();
    for _ in 0..settings.steps.sample_count(&mut random) {
        let right: bool = random.random();
        let beyond = 3.0 + 0.4 * field_angstrom[0].min(field_angstrom[1]) * random.random::<f64>();
        ledges.push((right, if right { half_width + beyond } else { -half_width - beyond }));
    }
    slab.retain(|atom| {
        let place = atom.position_angstrom;
        let down = ledges.iter().filter(|&&(right, x)| if right { place.x > x } else { place.x < x }).count();
        place.y > down as f64 * cut.step_angstrom() - 0.05
    });

    let first = roles.len() as u32;
    for atom in &mut slab {
        atom.column = atom.column.map(|column| column + first);
        // The slab is as far from the middle of the particle along the beam on either side.
        atom.position_angstrom.z += middle.z;
    }
    roles.extend(std::iter::repeat_n(ColumnRole::Support, columns));
    structure.atoms.extend(slab);
    structure.translate(-middle.with_x(0.0));
    Ok(Body { structure, roles, sheet, fills_field })
}

#[cfg(test)]
mod tests {
    use atomlens_core::{Atom, Element, Structure};

    use super::*;
    use crate::layer::{self, LayerSettings};
    use crate::particle::{self, ParticleSettings};
    use crate::stage::StageSettings;
    use crate::support::SupportSettings;

    const FIELD: [f64; 2] = [60.0, 60.0];

    fn particle(seed: u64) -> Body {
        let settings: ParticleSettings = toml::from_str("element = 'Pt'\nradius_angstrom = 12").unwrap();
        particle::build(&settings, SeedPath::new(seed)).unwrap()
    }

    fn support(recipe: &str) -> SupportSettings {
        toml::from_str(&format!("kind = 'oxide'\n{recipe}")).unwrap()
    }

    fn is_platinum(atom: &Atom) -> bool {
        atom.element.symbol() == "Pt"
    }

    #[test]
    fn the_particle_sits_on_the_slab_at_the_gap() {
        for seed in 0..5 {
            let body =
                support("gap_angstrom = 2.3\nsteps = 2").attach(particle(seed), FIELD, SeedPath::new(seed)).unwrap();
            let (metal, oxide): (Vec<&Atom>, Vec<&Atom>) =
                body.structure.atoms.iter().partition(|atom| is_platinum(atom));
            let lowest = metal.iter().map(|atom| atom.position_angstrom.y).fold(f64::NEG_INFINITY, f64::max);
            let top = oxide.iter().map(|atom| atom.position_angstrom.y).fold(f64::INFINITY, f64::min);
            assert!((top - lowest - 2.3).abs() < 1e-6);
            // A flat contact: several columns share the lowest row.
            let mut row: Vec<u32> = metal
                .iter()
                .filter(|atom| atom.position_angstrom.y > lowest - 0.3)
                .filter_map(|atom| atom.column)
                .collect();
            row.sort_unstable();
            row.dedup();
            assert!(row.len() >= 4, "{}", row.len());
            for atom in &oxide {
                assert_eq!(body.roles[atom.column.unwrap() as usize], ColumnRole::Support);
            }
            assert!(metal.iter().all(|atom| body.roles[atom.column.unwrap() as usize] == ColumnRole::Specimen));
        }
    }

    #[test]
    fn the_slab_reaches_the_edge_of_the_field_wherever_the_stage_puts_it() {
        for seed in 0..5 {
            let body = support("thickness_angstrom = 10").attach(particle(seed), FIELD, SeedPath::new(seed)).unwrap();
            let stage: StageSettings = toml::from_str("tilt_degree = 2").unwrap();
            let placed = stage.place(body, FIELD, SeedPath::new(seed)).unwrap();
            // Below the interface no empty square of 12 angstrom: count by squares that touch oxide or particle or lie
            // above the surface, whose normal is that of the line between the two centroids.
            let (metal, oxide): (Vec<&Atom>, Vec<&Atom>) =
                placed.structure.atoms.iter().partition(|atom| is_platinum(atom));
            let farthest = |sx: f64, sy: f64| {
                let corner = DVec2::new(if sx > 0.0 { 60.0 } else { 0.0 }, if sy > 0.0 { 60.0 } else { 0.0 });
                oxide
                    .iter()
                    .map(|atom| atom.position_angstrom.truncate().distance(corner))
                    .fold(f64::INFINITY, f64::min)
            };
            let near = [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)].map(|(sx, sy)| farthest(sx, sy));
            // At least two corners of the field are on the side of the oxide, unless the particle sits in one.
            assert!(near.iter().filter(|&&distance| distance < 4.0).count() >= 1, "{near:?}");
            assert!(!metal.is_empty() && oxide.len() > 100);
        }
    }

    #[test]
    fn a_cell_of_ones_own_makes_the_same_slab() {
        let own = support(
            "crystal = 'MgO'\nzone_axis = [1, 0, 0]\nsurface = [0, 0, 1]\n[cell]\nlengths_angstrom = [3.905, 3.905, 3.905]\nbasis = [
              { element = 'Sr', at = [0.5, 0.5, 0.5] }, { element = 'Ti', at = [0, 0, 0] },
              { element = 'O', at = [0.5, 0, 0] }, { element = 'O', at = [0, 0.5, 0] }, { element = 'O', at = [0, 0, 0.5] }]",
        );
        let named = support("crystal = 'SrTiO3'\nzone_axis = [1, 0, 0]\nsurface = [0, 0, 1]");
        let atoms = |settings: &SupportSettings| {
            let body = settings.attach(particle(1), FIELD, SeedPath::new(4)).unwrap();
            let mut places: Vec<(Element, [i64; 3])> = body
                .structure
                .atoms
                .iter()
                .map(|atom| (atom.element, (atom.position_angstrom * 1e4).round().to_array().map(|x| x as i64)))
                .collect();
            places.sort_unstable();
            places
        };
        assert_eq!(atoms(&own), atoms(&named));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let parse = |text: &str| toml::from_str::<SupportSettings>(text);
        assert!(parse("kind = 'oxide'\nthicknes_angstrom = 3").unwrap_err().message().contains("thicknes_angstrom"));
        assert!(parse("kind = 'none'\nthickness_angstrom = 3").unwrap_err().message().contains("thickness_angstrom"));
        assert!(parse("kind = 'oxide'\ncrystal = 'CeO3'").unwrap_err().message().contains("CeO3"));
        let layer: LayerSettings = toml::from_str("material = 'MoS2'").unwrap();
        let sheet = layer::build(&layer, FIELD, SeedPath::new(1)).unwrap();
        let error = support("").attach(sheet, FIELD, SeedPath::new(1)).unwrap_err().to_string();
        assert!(error.contains("needs a particle"), "{error}");
        for recipe in [
            "zone_axis = [1, 1, 1]\nsurface = [0, 0, 1]",
            "cut_fraction = 1.5",
            "[cell]\nlengths_angstrom = [4, 4, 0]\nbasis = []",
        ] {
            assert!(support(recipe).attach(particle(1), FIELD, SeedPath::new(1)).is_err(), "{recipe}");
        }
        let empty = Body { structure: Structure::default(), roles: vec![], sheet: false, fills_field: false };
        assert!(support("").attach(empty, FIELD, SeedPath::new(1)).is_err());
    }

    #[test]
    fn the_same_seed_gives_the_same_support() {
        let build = |seed| support("steps = 2").attach(particle(2), FIELD, SeedPath::new(seed)).unwrap();
        assert_eq!(build(1), build(1));
        assert_ne!(build(1), build(2));
    }
}
