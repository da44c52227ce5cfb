//! Graphene across the field, at the distance of van der Waals contact, in a random direction.
//!
//! Its atoms belong to no column: under a sheet or a particle their weak, ever-present contrast is a background
//! to be looked through, and a detector that reported them would bury the specimen's columns.

use atomlens_core::{Atom, ColumnRole, Distribution, Element, SeedPath};
use serde::{Deserialize, Serialize};

use super::Side;
use crate::layer::{check, check_field, graphene};
use crate::{Body, SpecimenError};

/// A sheet of graphene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrapheneSupportSettings {
    /// Distance between the graphene and the outermost atoms of the specimen, in angstrom.
    pub distance_angstrom: Distribution,
    /// Direction of its zigzag rows from those of the sheet (or from x), in degree.
    pub rotation_degree: Distribution,
    /// Which side of the specimen it is on.
    pub side: Side,
}

impl Default for GrapheneSupportSettings {
    fn default() -> Self {
        GrapheneSupportSettings {
            // Between carbon and the chalcogen of MX2: 3.3 to 3.4 in experiment and in density functional theory
            // (Ma et al. 2011, doi:10.1039/c1nr10577a, for MoS2).
            distance_angstrom: 3.3.into(),
            rotation_degree: Distribution::Uniform(0.0, 60.0),
            side: Side::Below,
        }
    }
}

pub(super) fn attach(
    settings: &GrapheneSupportSettings,
    mut body: Body,
    field_angstrom: [f64; 2],
    seed: SeedPath,
) -> Result<Body, SpecimenError> {
    check_field(field_angstrom)?;
    check("distance_angstrom", &settings.distance_angstrom, [1.0, 100.0], "1 to 100 angstrom")?;
    let mut random = seed.stream();
    let above = settings.side.is_above(&mut random);
    let distance = settings.distance_angstrom.sample(&mut random);
    let turn = settings.rotation_degree.sample(&mut random).to_radians();
    let Some((low, high)) = body.structure.bounds_angstrom() else { return Ok(body) };
    let z = if above { low.z - distance } else { high.z + distance };
    // A particle may be put anywhere in the field, so that the sheet has to reach twice as far around it.
    let reach = if body.fills_field { 1.0 } else { 2.0 };
    let places = graphene::perfect(field_angstrom.map(|length| reach * length), turn, z, &mut random);
    body.structure.atoms.extend(places.into_iter().map(|place| Atom::new(Element::CARBON, place)));
    // Without atoms: it tells the stage that there is a support to crop, and disappears when the columns are gathered.
    body.roles.push(ColumnRole::Support);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{self, LayerSettings};
    use crate::stage::StageSettings;

    #[test]
    fn graphene_covers_the_field_and_keeps_out_of_the_columns() {
        let field = [50.0, 40.0];
        let layer: LayerSettings = toml::from_str("material = 'MoS2'").unwrap();
        let sheet = layer::build(&layer, field, SeedPath::new(1)).unwrap();
        let body = attach(&Default::default(), sheet, field, SeedPath::new(2)).unwrap();
        let placed = StageSettings::untilted().place(body, field, SeedPath::new(3)).unwrap();
        assert!(placed.columns.iter().all(|column| column.role == ColumnRole::Specimen));
        let carbon: Vec<&Atom> = placed.structure.atoms.iter().filter(|atom| atom.element == Element::CARBON).collect();
        assert!((carbon.len() as f64 / (2000.0 * 0.382) - 1.0).abs() < 0.02);
        let lowest = carbon.iter().map(|atom| atom.position_angstrom.z).fold(f64::INFINITY, f64::min);
        let others = placed.structure.atoms.iter().filter(|atom| atom.column.is_some());
        let highest = others.map(|atom| atom.position_angstrom.z).fold(0.0, f64::max);
        assert!((lowest - highest - 3.3).abs() < 1e-9);
        assert!(carbon.iter().all(|atom| atom.column.is_none()));
    }
}
