//! The specimen of a recipe: a body, what it rests on, how it stands, how its atoms move.
//!
//! ```
//! # use atomlens_core::SeedPath;
//! # use atomlens_specimen::SpecimenSettings;
//! let settings: SpecimenSettings = toml::from_str(r#"
//! [body]
//! kind = "nanoparticle"                 # or "layer", "file"
//! element = "Au"
//! radius_angstrom = { uniform = [8, 12] }
//!
//! [stage]
//! tilt_degree = { uniform = [0, 2.5] }
//!
//! [thermal]
//! configurations = 4
//! "#).unwrap();
//! let specimen = settings.build([60.0, 60.0], None, SeedPath::new(7)).unwrap();
//! let atoms: u32 = specimen.columns.iter().map(|column| column.atom_count()).sum();
//! assert_eq!(atoms as usize, specimen.structure.atoms.len());
//! ```

use std::path::Path;

use atomlens_core::{SeedPath, Structure};
use serde::{Deserialize, Serialize};

use crate::file::{self, FileSettings};
use crate::layer::{self, LayerSettings};
use crate::particle::{self, ParticleSettings};
use crate::stage::StageSettings;
use crate::support::SupportSettings;
use crate::thermal::ThermalSettings;
use crate::{Specimen, SpecimenError};

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum BodySettings {
    /// A metal nanoparticle.
    Nanoparticle(Box<ParticleSettings>),
    /// A sheet of one or a few layers.
    Layer(Box<LayerSettings>),
    /// A structure file.
    File(FileSettings),
}

/// How specimens are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecimenSettings {
    /// What is looked at.
    pub body: BodySettings,
    /// What it rests on; nothing where left out.
    #[serde(default)]
    pub support: SupportSettings,
    /// Tilt, rotation and place.
    #[serde(default)]
    pub stage: StageSettings,
    /// Thermal motion; atoms at rest where left out. The specimen's structure is at rest in any case; see
    /// [`thermal::configurations`](crate::thermal::configurations).
    #[serde(default)]
    pub thermal: ThermalSettings,
}

impl SpecimenSettings {
    /// The structure file that must be read before a specimen can be built, if the body is one.
    pub fn structure_path(&self) -> Option<&Path> {
        match &self.body {
            BodySettings::File(settings) => Some(&settings.path),
            _ => None,
        }
    }

    /// Draws a specimen for a field of view (x, y, in angstrom). `structure_of_file` is what was read from
    /// [`structure_path`](Self::structure_path).
    ///
    /// # Errors
    /// If a knob is out of range, the body does not fit the field, the file's structure is missing or unsuitable, or
    /// thermal motion is asked for of an element whose displacement is not known.
    pub fn build(
        &self,
        field_angstrom: [f64; 2],
        structure_of_file: Option<&Structure>,
        seed: SeedPath,
    ) -> Result<Specimen, SpecimenError> {
        if !field_angstrom.iter().all(|length| *length > 0.0 && length.is_finite()) {
            return Err(SpecimenError::OutOfRange {
                key: "field of view",
                found: format!("{field_angstrom:?}"),
                expected: "two positive lengths in angstrom",
            });
        }
        let body_seed = seed.child("body");
        let body = match &self.body {
            BodySettings::Nanoparticle(settings) => particle::build(settings, body_seed)?,
            BodySettings::Layer(settings) => layer::build(settings, field_angstrom, body_seed)?,
            BodySettings::File(settings) => {
                let structure = structure_of_file
                    .ok_or_else(|| SpecimenError::NoStructure { path: settings.path.display().to_string() })?;
                file::build(settings, structure, field_angstrom, body_seed)?
            }
        };
        let body = self.support.attach(body, field_angstrom, seed.child("support"))?;
        let specimen = self.stage.place(body, field_angstrom, seed.child("stage"))?;
        let specimen = self.support.film(specimen, seed.child("film"))?;
        if self.thermal.configurations > 0 {
            for atom in &specimen.structure.atoms {
                self.thermal.rms_displacement_angstrom(atom)?;
            }
        }
        Ok(specimen)
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::glam::DVec3;
    use atomlens_core::{Atom, Cell, Column};

    use super::*;

    fn settings(text: &str) -> SpecimenSettings {
        toml::from_str(text).unwrap()
    }

    /// The truth agrees with the atoms, and these lie in the box.
    fn check(specimen: &Specimen, field: [f64; 2]) {
        let cell = specimen.structure.cell.unwrap().as_orthorhombic().unwrap();
        assert_eq!([cell.x, cell.y], field);
        for atom in &specimen.structure.atoms {
            assert!(atom.position_angstrom.cmpge(DVec3::ZERO).all() && atom.position_angstrom.cmplt(cell).all());
        }
        let mut structure = specimen.structure.clone();
        let roles: Vec<_> = specimen.columns.iter().map(|column| column.role).collect();
        assert_eq!(Column::gather(&mut structure, &roles), specimen.columns);
        assert_eq!(structure, specimen.structure);
    }

    #[test]
    fn every_body_and_support_makes_a_specimen_again_and_again() {
        let bodies = [
            "kind = \"nanoparticle\"\nelement = \"Pt\"\nradius_angstrom = 8",
            "kind = \"layer\"\nmaterial = \"MoS2\"",
            "kind = \"layer\"\nmaterial = \"graphene\"",
            "kind = \"file\"\npath = \"cu.cif\"\ncut = { kind = \"sphere\", radius_angstrom = 8 }",
            "kind = \"file\"\npath = \"cu.cif\"\ncut = { kind = \"slab\", thickness_angstrom = 8 }",
        ];
        let copper = Structure {
            atoms: vec![Atom::new("Cu".parse().unwrap(), DVec3::ZERO)],
            cell: Some(Cell::orthorhombic(DVec3::splat(2.5))),
        };
        let field = [50.0, 60.0];
        for body in bodies {
            for support in ["none", "amorphous_carbon", "graphene", "oxide"] {
                if support == "oxide" && !body.contains("nanoparticle") && !body.contains("sphere") {
                    continue;
                }
                let recipe = settings(&format!("[body]\n{body}\n[support]\nkind = \"{support}\""));
                let build = |seed| recipe.build(field, Some(&copper), SeedPath::new(seed)).unwrap();
                let specimen = build(5);
                check(&specimen, field);
                assert_eq!(specimen, build(5), "{body} on {support}");
                assert_ne!(specimen, build(6), "{body} on {support}");
                let written = toml::to_string(&recipe).unwrap();
                assert_eq!(settings(&written), recipe, "{written}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let unknown = |text: &str| toml::from_str::<SpecimenSettings>(text).unwrap_err().message().to_owned();
        assert!(unknown("[body]\nkind = \"nanotube\"").contains("nanotube"));
        assert!(unknown("[body]\nkind = \"nanoparticle\"\nelement = \"Au\"\nsize = 3").contains("size"));
        assert!(
            unknown("[body]\nkind = \"file\"\npath = \"a.cif\"\n[support]\nkind = \"none\"\nheight = 3")
                .contains("height")
        );
        assert!(unknown("[body]\nkind = \"file\"\npath = \"a.cif\"\n[suport]\nkind = \"none\"").contains("suport"));

        let file = settings("[body]\nkind = \"file\"\npath = \"a.cif\"");
        assert_eq!(file.structure_path(), Some(Path::new("a.cif")));
        let error = file.build([50.0; 2], None, SeedPath::new(1)).unwrap_err().to_string();
        assert!(error.contains("a.cif"), "{error}");
        let large = settings("[body]\nkind = \"nanoparticle\"\nelement = \"Au\"\nradius_angstrom = 30");
        assert!(matches!(large.build([40.0; 2], None, SeedPath::new(1)), Err(SpecimenError::TooLarge { .. })));
        assert!(large.build([0.0, 40.0], None, SeedPath::new(1)).is_err());
        let hot = settings(
            "[body]\nkind = \"nanoparticle\"\nelement = \"Ce\"\nradius_angstrom = 8\n[thermal]\nconfigurations = 2",
        );
        let error = hot.build([60.0; 2], None, SeedPath::new(1)).unwrap_err().to_string();
        assert!(error.contains("Ce") && error.contains("rms_displacement_angstrom"), "{error}");
    }
}
