//! Single layers and stacks of a few: graphene, hexagonal boron nitride, and the dichalcogenides MX2.
//!
//! A sheet is made flat, on its own lattice, wide enough to cover the field of view whichever way the stage turns
//! it and up to a tilt of 19 degrees; holes and edges are cut, point defects set, columns told apart, and
//! only then is it strained and rippled, so that a column keeps the atoms that it has on the flat lattice. The rows
//! of the zigzag direction run along x; the layers are stacked along z, the first at the lowest z, and the middle of the
//! stack is at z = 0.
//!
//! ```
//! use atomlens_core::SeedPath;
//! use atomlens_specimen::layer::{self, LayerSettings};
//! let settings: LayerSettings = toml::from_str(r#"
//! material = "MoS2"
//! single_vacancy_fraction = { uniform = [0.0, 0.1] }
//! edge = { count = 1, direction = "zigzag" }
//! "#).unwrap();
//! let sheet = layer::build(&settings, [40.0, 40.0], SeedPath::new(1)).unwrap();
//! assert!(sheet.fills_field);
//! ```

use atomlens_core::{Distribution, SeedPath};
use serde::{Deserialize, Serialize};

use crate::{Body, SpecimenError};

pub mod boron_nitride;
pub mod deformation;
pub mod dichalcogenide;
pub mod grain;
pub mod graphene;
mod network;
pub mod outline;
pub(crate) mod plane;
mod stack;

pub use boron_nitride::BoronNitrideSettings;
pub use deformation::{RippleSettings, StrainSettings};
pub use dichalcogenide::{DichalcogenideSettings, Site, Substitution};
pub use graphene::GrapheneSettings;
pub use outline::{EdgeDirection, EdgeSettings, HoleSettings};

/// A single layer, or a stack of up to four, by material.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "material")]
pub enum LayerSettings {
    /// Graphene, of one or more grains.
    #[serde(rename = "graphene")]
    Graphene(GrapheneSettings),
    /// Hexagonal boron nitride.
    #[serde(rename = "hBN")]
    BoronNitride(BoronNitrideSettings),
    /// Molybdenum disulfide, 2H.
    MoS2(DichalcogenideSettings),
    /// Tungsten disulfide, 2H.
    WS2(DichalcogenideSettings),
    /// Molybdenum diselenide, 2H.
    MoSe2(DichalcogenideSettings),
    /// Tungsten diselenide, 2H.
    WSe2(DichalcogenideSettings),
    /// Molybdenum ditelluride, 2H.
    MoTe2(DichalcogenideSettings),
}

/// Makes a sheet that covers the field of view.
///
/// # Errors
/// [`SpecimenError::OutOfRange`] for a knob that can leave its range, [`SpecimenError::Empty`] where edges and holes
/// leave nothing.
pub fn build(settings: &LayerSettings, field_angstrom: [f64; 2], seed: SeedPath) -> Result<Body, SpecimenError> {
    match settings {
        LayerSettings::Graphene(settings) => graphene::build(settings, field_angstrom, seed),
        LayerSettings::BoronNitride(settings) => boron_nitride::build(settings, field_angstrom, seed),
        LayerSettings::MoS2(settings) => dichalcogenide::build(&dichalcogenide::MOS2, settings, field_angstrom, seed),
        LayerSettings::WS2(settings) => dichalcogenide::build(&dichalcogenide::WS2, settings, field_angstrom, seed),
        LayerSettings::MoSe2(settings) => dichalcogenide::build(&dichalcogenide::MOSE2, settings, field_angstrom, seed),
        LayerSettings::WSe2(settings) => dichalcogenide::build(&dichalcogenide::WSE2, settings, field_angstrom, seed),
        LayerSettings::MoTe2(settings) => dichalcogenide::build(&dichalcogenide::MOTE2, settings, field_angstrom, seed),
    }
}

/// Radius of the disc that a sheet is made in, in angstrom: half the diagonal of the field, and what a tilt of
/// 19 degrees and the outermost, pruned rows take away.
pub(crate) fn cover_radius_angstrom(field_angstrom: [f64; 2]) -> f64 {
    0.5 * field_angstrom[0].hypot(field_angstrom[1]) * 1.06 + 5.0
}

/// Refuses a knob that can leave the range from `low` to `high`.
pub(crate) fn check(
    key: &'static str,
    knob: &Distribution,
    [low, high]: [f64; 2],
    expected: &'static str,
) -> Result<(), SpecimenError> {
    let (least, most) = knob.range();
    if least < low || most > high {
        let found = if least == most { format!("{least}") } else { format!("{least}..{most}") };
        return Err(SpecimenError::OutOfRange { key, found, expected });
    }
    Ok(())
}

/// Refuses a knob that can be anything but a fraction.
pub(crate) fn check_fraction(key: &'static str, knob: &Distribution) -> Result<(), SpecimenError> {
    check(key, knob, [0.0, 1.0], "a fraction from 0 to 1")
}

/// Refuses more than four layers, or none.
pub(crate) fn check_layers(knob: &Distribution) -> Result<(), SpecimenError> {
    check("layers", knob, [1.0, 4.0], "1 to 4 layers")
}

/// Refuses a field of view that is no area, or one so large that the sheet would not fit in memory.
pub(crate) fn check_field([x, y]: [f64; 2]) -> Result<(), SpecimenError> {
    let good = |length: f64| length > 0.0 && length <= 5000.0;
    if good(x) && good(y) {
        return Ok(());
    }
    let found = format!("{x} x {y}");
    Err(SpecimenError::OutOfRange { key: "field of view", found, expected: "above 0 and up to 5000 angstrom" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use atomlens_core::glam::DVec3;
    use atomlens_core::{Column, Element};

    use super::*;
    use crate::stage::StageSettings;

    const FIELD: [f64; 2] = [80.0, 60.0];

    fn sheet(recipe: &str, seed: u64) -> Body {
        build(&toml::from_str(recipe).unwrap(), FIELD, SeedPath::new(seed)).unwrap()
    }

    fn number(body: &Body, symbol: &str) -> usize {
        let element: Element = symbol.parse().unwrap();
        body.structure.atoms.iter().filter(|atom| atom.element == element).count()
    }

    /// Lengths of the bonds of all atoms farther than `rim` inside the sheet's outermost atoms, and their number.
    fn bonds(body: &Body, reach: f64, within: f64) -> Vec<Vec<f64>> {
        let atoms = &body.structure.atoms;
        let places: Vec<_> = atoms.iter().map(|atom| atom.position_angstrom.truncate()).collect();
        let grid = plane::PlaneGrid::from_places(&places, reach);
        let inside = (0..atoms.len()).filter(|&i| places[i].length() < within);
        inside
            .map(|i| {
                let place = atoms[i].position_angstrom;
                let near = grid.near(places[i], reach).filter(|&j| j != i);
                near.map(|j| atoms[j].position_angstrom.distance(place)).filter(|&d| d < reach).collect()
            })
            .collect()
    }

    fn per_area(body: &Body, radius: f64) -> f64 {
        let inside = body.structure.atoms.iter().filter(|atom| atom.position_angstrom.truncate().length() < radius);
        inside.count() as f64 / (std::f64::consts::PI * radius * radius)
    }

    #[test]
    fn crystals_have_the_bonds_and_densities_of_the_textbook() {
        // Graphene: 38.2 atoms per square nanometre, bonds of 1.42.
        let graphene = sheet("material = 'graphene'", 1);
        assert!((per_area(&graphene, 45.0) - 0.382).abs() < 0.003);
        for lengths in bonds(&graphene, 1.7, 45.0) {
            assert!(lengths.len() == 3 && lengths.iter().all(|length| (length - 1.42).abs() < 0.002));
        }
        // Boron nitride: bonds of 1.446.
        for lengths in bonds(&sheet("material = 'hBN'", 1), 1.7, 45.0) {
            assert!(lengths.len() == 3 && lengths.iter().all(|length| (length - 1.446).abs() < 0.001));
        }
        // MX2: bond lengths as the papers of the table (or their reviews) print them.
        for (material, a, bond) in [
            ("MoS2", 3.160, 2.41),
            ("WS2", 3.153, 2.405),
            ("MoSe2", 3.289, 2.527),
            ("WSe2", 3.282, 2.526),
            ("MoTe2", 3.518, 2.72),
        ] {
            let body = sheet(&format!("material = '{material}'"), 2);
            let cell = a * a * 0.75_f64.sqrt();
            assert!((per_area(&body, 45.0) * cell / 3.0 - 1.0).abs() < 0.01);
            for lengths in bonds(&body, 1.1 * bond, 45.0) {
                assert!(lengths.len() == 6 || lengths.len() == 3);
                assert!(lengths.iter().all(|length| (length - bond).abs() < 0.01), "{material}: {lengths:?}");
            }
        }
    }

    #[test]
    fn grains_and_turned_bonds_keep_bonds_near_their_length() {
        let recipe = "material = 'graphene'\ngrains = 5\ndisordered_fraction = 0.3\nstone_wales_fraction = 0.003";
        let body = sheet(recipe, 3);
        let lengths: Vec<f64> = bonds(&body, 1.85, 45.0).concat();
        let near = lengths.iter().filter(|&&length| (length - 1.42).abs() < 0.1).count() as f64;
        assert!(near / lengths.len() as f64 > 0.98, "{}", near / lengths.len() as f64);
        assert!(lengths.iter().all(|&length| length > 1.1));
        assert!((per_area(&body, 45.0) / 0.382 - 1.0).abs() < 0.03);
    }

    #[test]
    fn vacancies_come_in_the_fractions_asked_for() {
        let whole = sheet("material = 'MoS2'", 4);
        let recipe = "material = 'MoS2'
            single_vacancy_fraction = 0.1
            double_vacancy_fraction = 0.04
            metal_vacancy_fraction = 0.03
            substitutions = [
                { site = 'metal', element = 'W', fraction = 0.2 },
                { site = 'chalcogen', element = 'Se', fraction = 0.1 },
            ]";
        let body = sheet(recipe, 4);
        let sites = number(&whole, "Mo") as f64;
        let mut structure = body.structure.clone();
        let mut species: BTreeMap<String, f64> = BTreeMap::new();
        for column in Column::gather(&mut structure, &body.roles) {
            *species.entry(column.species(true)).or_default() += 1.0;
        }
        let count = |names: &[&str]| names.iter().map(|&name| species.get(name).copied().unwrap_or(0.0)).sum::<f64>();
        let pairs = number(&whole, "S") as f64 / 2.0;
        for (found, of, fraction) in [
            (count(&["Mo", "W"]), sites, 0.97),
            (count(&["W"]), sites, 0.97 * 0.2),
            (count(&["S", "Se"]), pairs, 0.1),
            (count(&["S2", "Se2", "SeS"]), pairs, 0.86),
            (count(&["SeS"]), pairs, 0.86 * 0.18),
        ] {
            let error = (fraction * (1.0 - fraction) / of).sqrt();
            assert!((found / of - fraction).abs() < 3.0 * error, "{found} of {of}, expected {fraction}: {species:?}");
        }
        for (recipe, symbol, fraction) in [
            ("material = 'graphene'\nvacancy_fraction = 0.02", "C", 0.02),
            ("material = 'hBN'\nboron_vacancy_fraction = 0.05", "B", 0.05),
            ("material = 'hBN'\nnitrogen_vacancy_fraction = 0.05", "N", 0.05),
        ] {
            let material = recipe.lines().next().unwrap();
            let of = number(&sheet(material, 5), symbol) as f64;
            let found = 1.0 - number(&sheet(recipe, 5), symbol) as f64 / of;
            assert!((found - fraction).abs() < 3.0 * (fraction / of).sqrt() + 1.0 / of, "{recipe}: {found}");
        }
    }

    #[test]
    fn stacks_are_those_of_the_crystals() {
        let species = |recipe: &str| {
            let body = sheet(recipe, 6);
            let placed = StageSettings::untilted().place(body, FIELD, SeedPath::new(1)).unwrap();
            let mut count: BTreeMap<String, usize> = BTreeMap::new();
            for column in &placed.columns {
                *count.entry(column.species(true)).or_default() += 1;
            }
            count
        };
        // 2H: metal over chalcogen in both kinds of column; the rim of the disc lies outside the field.
        assert_eq!(species("material = 'WSe2'\nlayers = 2").into_keys().collect::<Vec<_>>(), ["WSe2"]);
        assert_eq!(species("material = 'WSe2'\nlayers = 3").into_keys().collect::<Vec<_>>(), ["W2Se2", "WSe4"]);
        assert_eq!(species("material = 'hBN'\nlayers = 2").into_keys().collect::<Vec<_>>(), ["NB"]);
        // Bernal: of each four atoms two share a column and two are over a hollow.
        let graphite = species("material = 'graphene'\nlayers = 2");
        let (single, double) = (graphite["C"] as f64, graphite["C2"] as f64);
        assert!((single / double - 2.0).abs() < 0.05, "{graphite:?}");
        // A large twist leaves few of them.
        let twisted = species("material = 'graphene'\nlayers = 2\ntwist_degree = 21.8");
        assert!(twisted["C"] > 4 * twisted["C2"]);
    }

    #[test]
    fn strain_and_ripples_move_atoms_but_not_their_columns() {
        let flat = sheet("material = 'MoS2'", 7);
        let bent = sheet("material = 'MoS2'\nripple = { rms_angstrom = 1.0 }", 7);
        let columns = |body: &Body| body.structure.atoms.iter().map(|atom| atom.column).collect::<Vec<_>>();
        assert!(columns(&flat) == columns(&bent));
        let depth = |body: &Body| body.structure.bounds_angstrom().map(|(low, high)| high.z - low.z).unwrap();
        assert!(depth(&bent) > depth(&flat) + 2.0);

        // The bonds of boron nitride along y are parallel to the strain, those at 30 degrees to x less so.
        let strained = sheet("material = 'hBN'\nstrain = { yy = 0.02 }", 7);
        let bond: f64 = 2.504 / 3.0_f64.sqrt();
        let inclined = (0.75_f64.sqrt() * bond).hypot(0.5 * 1.02 * bond);
        for mut lengths in bonds(&strained, 1.7, 45.0) {
            lengths.sort_unstable_by(f64::total_cmp);
            assert_eq!(lengths.len(), 3);
            let expected = [inclined, inclined, 1.02 * bond];
            assert!(
                lengths.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9),
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn the_sheet_covers_the_field_however_it_is_turned() {
        let stage: StageSettings = toml::from_str("tilt_degree = 15").unwrap();
        for seed in 0..4 {
            let placed = stage.place(sheet("material = 'graphene'", seed), FIELD, SeedPath::new(seed)).unwrap();
            let expected = FIELD[0] * FIELD[1] * 0.382 / 15.0_f64.to_radians().cos();
            assert!((placed.structure.atoms.len() as f64 / expected - 1.0).abs() < 0.01);
        }
        let strained = sheet("material = 'hBN'\nstrain = { xx = -0.15, yy = -0.15 }", 1);
        let placed = stage.place(strained, FIELD, SeedPath::new(1)).unwrap();
        let cell = 2.504 * 2.504 * 0.75_f64.sqrt() * 0.85 * 0.85 * 15.0_f64.to_radians().cos();
        assert!((placed.structure.atoms.len() as f64 / (2.0 * FIELD[0] * FIELD[1] / cell) - 1.0).abs() < 0.01);
    }

    #[test]
    fn an_edge_and_a_hole_take_atoms_and_leave_none_dangling() {
        let recipe = "material = 'graphene'
            edge = { count = 1, distance_fraction = 0.1, roughness_angstrom = 2.0 }
            hole = { count = 1, radius_angstrom = 8.0 }";
        let body = sheet(recipe, 8);
        let whole = sheet("material = 'graphene'", 8);
        assert!(body.structure.atoms.len() as f64 / (whole.structure.atoms.len() as f64) < 0.75);
        assert!(bonds(&body, 1.7, 45.0).iter().all(|lengths| lengths.len() >= 2));
        let error = build(
            &toml::from_str("material = 'graphene'\nedge = { count = 1, distance_fraction = 0.0 }\nhole = { count = 1, radius_angstrom = 500 }").unwrap(),
            FIELD,
            SeedPath::new(1),
        );
        assert!(matches!(error, Err(SpecimenError::Empty { .. })));
    }

    #[test]
    fn the_same_seed_gives_the_same_sheet() {
        let recipe = "material = 'graphene'\ngrains = 3\nvacancy_fraction = 0.01\nhole = { count = 1 }";
        assert_eq!(sheet(recipe, 9), sheet(recipe, 9));
        assert_ne!(sheet(recipe, 9), sheet(recipe, 10));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let parse = |text: &str| toml::from_str::<LayerSettings>(text);
        let error = parse("material = 'MoS2'\nvacancy_fraction = 0.1").unwrap_err();
        assert!(error.message().contains("vacancy_fraction"), "{error}");
        assert!(parse("material = 'MoO3'").unwrap_err().message().contains("MoO3"));
        assert!(parse("material = 'hBN'\nedge = { counts = 1 }").unwrap_err().message().contains("counts"));
        for text in [
            "material = 'MoS2'\nlayers = 5",
            "material = 'MoS2'\nsingle_vacancy_fraction = 0.7\ndouble_vacancy_fraction = 0.5",
            "material = 'graphene'\nvacancy_fraction = -0.1",
            "material = 'graphene'\ngrains = 0",
            "material = 'hBN'\nstrain = { xx = 0.9 }",
        ] {
            let error = build(&parse(text).unwrap(), FIELD, SeedPath::new(1)).unwrap_err();
            assert!(error.to_string().contains("out of range"), "{error}");
        }
        let settings = parse("material = 'hBN'").unwrap();
        assert!(build(&settings, [0.0, 50.0], SeedPath::new(1)).is_err());
        assert_eq!(parse(&toml::to_string(&settings).unwrap()).unwrap(), settings);
        assert!(sheet("material = 'hBN'", 1).structure.centroid_angstrom().distance(DVec3::ZERO) < 1.0);
    }
}
