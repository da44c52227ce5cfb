//! Bodies from structure files: any crystal or molecule, repeated, turned onto a zone axis, cut to shape.
//!
//! The structure comes already read; nothing here opens a file. The steps: the crystal is repeated, or, where a cut is
//! given, continued as far as the cut reaches; partly occupied sites are drawn; it is turned so that the lattice vector
//! `[u, v, w]` points along the beam; what lies outside the cut is left out; the rest is centred, and its columns
//! are told apart (see [`crate::zone`]).

use std::path::PathBuf;

use atomlens_core::glam::{DMat3, DVec2, DVec3};
use atomlens_core::{Atom, Cell, ColumnRole, Distribution, SeedPath, Structure};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::particle::orientation::turned_to_beam;
use crate::zone;
use crate::{Body, SpecimenError};

/// A body from a structure file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The structure file; whoever runs the recipe reads it.
    pub path: PathBuf,
    /// How often the cell is repeated along each of its vectors; once where left out. Not with a cut of a crystal, which
    /// takes as many cells as it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<[u32; 3]>,
    /// The lattice vector `[u, v, w]` that points along the beam; as in the file (z along the beam) where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_axis: Option<[i32; 3]>,
    /// The lattice vector whose part across the beam points along x, before the stage's rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_plane_axis: Option<[i32; 3]>,
    /// What is cut out; everything stays where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Whether the table of columns counts atoms in a column's name (`S2`), as for layered sheets.
    #[serde(default)]
    pub sheet: bool,
    /// Atoms whose projections are closer than this are in one column, in angstrom.
    #[serde(default = "default_tolerance")]
    pub column_tolerance_angstrom: f64,
}

fn default_tolerance() -> f64 {
    zone::TOLERANCE_ANGSTROM
}

/// A volume cut out of a crystal about a random place in its cell. In TOML
/// `cut = { kind = "sphere", radius_angstrom = { uniform = [10, 20] } }` or
/// `cut = { kind = "slab", thickness_angstrom = 50 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Cut {
    /// A sphere.
    Sphere {
        /// Its radius.
        radius_angstrom: Distribution,
    },
    /// A slab across the beam that fills the field of view.
    Slab {
        /// Its thickness along the beam.
        thickness_angstrom: Distribution,
    },
}

/// The most atoms that a body may have before it is cut: more is taken for a slip of the pen.
const MOST_ATOMS: f64 = 2e7;

/// A cut with its numbers drawn, about the origin, the beam along z.
#[derive(Clone, Copy)]
enum Volume {
    Sphere { radius: f64 },
    Slab { half_width: f64, half_thickness: f64 },
}

impl Volume {
    fn contains(&self, place: DVec3) -> bool {
        match *self {
            Volume::Sphere { radius } => place.length_squared() <= radius * radius,
            Volume::Slab { half_width, half_thickness } => {
                place.z.abs() <= half_thickness && place.x.hypot(place.y) <= half_width
            }
        }
    }

    /// Radius of a sphere about the origin that holds the volume.
    fn reach(&self) -> f64 {
        match *self {
            Volume::Sphere { radius } => radius,
            Volume::Slab { half_width, half_thickness } => half_width.hypot(half_thickness),
        }
    }
}

/// Builds a body from a structure.
///
/// # Errors
/// If the cell is needed but missing, the axes are parallel, a knob is out of range, or no atom is left.
pub fn build(
    settings: &FileSettings,
    structure: &Structure,
    field_angstrom: [f64; 2],
    seed: SeedPath,
) -> Result<Body, SpecimenError> {
    let mut random = seed.stream();
    if settings.column_tolerance_angstrom.is_nan() || settings.column_tolerance_angstrom <= 0.0 {
        return Err(SpecimenError::OutOfRange {
            key: "column_tolerance_angstrom",
            found: settings.column_tolerance_angstrom.to_string(),
            expected: "a positive number of angstrom",
        });
    }
    let turn = turn(settings, structure.cell.as_ref())?;
    let volume = settings.cut.as_ref().map(|cut| sample(cut, field_angstrom, &mut random)).transpose()?;
    let periodic = structure.cell.as_ref().is_some_and(|cell| cell.periodic.contains(&true));

    let (translations, centre) = match (&structure.cell, volume) {
        (Some(cell), Some(volume)) if periodic && settings.repeat.is_none() => {
            let free = DVec3::new(random.random(), random.random(), random.random());
            // Along directions without repetition the middle of the structure is the middle of the cut.
            let middle = cell.vectors_angstrom.inverse() * structure.centroid_angstrom();
            let place = DVec3::from_array([0, 1, 2].map(|axis| if cell.periodic[axis] { free } else { middle }[axis]));
            let centre = cell.vectors_angstrom * place;
            (covering(cell, structure, centre, volume.reach()), centre)
        }
        (cell, _) => {
            let repeat = settings.repeat.unwrap_or([1; 3]);
            if repeat.contains(&0) {
                let found = format!("{repeat:?}");
                return Err(SpecimenError::OutOfRange { key: "repeat", found, expected: "three counts of at least 1" });
            }
            let translations = match cell {
                Some(cell) => {
                    Translations { vectors: cell.vectors_angstrom, low: [0; 3], counts: repeat.map(i64::from) }
                }
                None if repeat == [1; 3] => Translations { vectors: DMat3::IDENTITY, low: [0; 3], counts: [1; 3] },
                None => return Err(SpecimenError::NoCell { what: "cell", key: "repeat" }),
            };
            let block = translations.middle();
            (translations, structure.centroid_angstrom() + block)
        }
    };
    let atoms = translations.counts.iter().map(|&count| count as f64).product::<f64>() * structure.atoms.len() as f64;
    if atoms > MOST_ATOMS {
        let key = if volume.is_some() { "cut" } else { "repeat" };
        let found = format!("{atoms:.0} atoms");
        return Err(SpecimenError::OutOfRange { key, found, expected: "at most 20 million atoms before the cut" });
    }

    let groups = shared_sites(structure);
    let mut atoms = Vec::new();
    for shift in translations.iter() {
        for group in &groups {
            let Some(atom) = drawn(group, &mut random) else { continue };
            let place = turn * (atom.position_angstrom + shift - centre);
            if volume.is_none_or(|volume| volume.contains(place)) {
                atoms.push(Atom { position_angstrom: place, occupancy: 1.0, column: None, ..atom });
            }
        }
    }
    if atoms.is_empty() {
        return Err(SpecimenError::Empty { reason: "the structure file has none, or the cut leaves none of them" });
    }
    let fills_field = matches!(volume, Some(Volume::Slab { .. }));
    let mut body = Structure { atoms, cell: None };
    if !fills_field {
        body.translate(-body.centroid_angstrom());
    }
    let columns = zone::assign(&mut body, settings.column_tolerance_angstrom);
    Ok(Body { structure: body, roles: vec![ColumnRole::Specimen; columns], sheet: settings.sheet, fills_field })
}

/// The rotation to the zone axis.
fn turn(settings: &FileSettings, cell: Option<&Cell>) -> Result<DMat3, SpecimenError> {
    let lattice = |indices: [i32; 3], key| match cell {
        Some(cell) => Ok(cell.vectors_angstrom * DVec3::from_array(indices.map(f64::from))),
        None => Err(SpecimenError::NoCell { what: "cell", key }),
    };
    let zone = settings.zone_axis.map(|axis| lattice(axis, "zone_axis")).transpose()?;
    let in_plane = settings.in_plane_axis.map(|axis| lattice(axis, "in_plane_axis")).transpose()?;
    let (zone, in_plane) = match (zone, in_plane) {
        (None, None) => return Ok(DMat3::IDENTITY),
        (zone, Some(in_plane)) => (zone.unwrap_or(DVec3::Z), in_plane),
        (Some(zone), None) => {
            // The cell vector farthest from the zone axis: the file's x for the file's z.
            let sine = |vector: DVec3| zone.cross(vector).length() / (zone.length() * vector.length());
            let vectors = cell.map_or(DMat3::IDENTITY, |cell| cell.vectors_angstrom);
            let mut best = vectors.x_axis;
            for vector in [vectors.y_axis, vectors.z_axis] {
                if sine(vector) > sine(best) + 1e-9 {
                    best = vector;
                }
            }
            (zone, best)
        }
    };
    turned_to_beam(zone, in_plane).ok_or_else(|| SpecimenError::OutOfRange {
        key: "zone_axis",
        found: format!("{:?} with in_plane_axis {:?}", settings.zone_axis, settings.in_plane_axis),
        expected: "axes that are not zero and not parallel",
    })
}

fn sample(cut: &Cut, field_angstrom: [f64; 2], random: &mut impl Rng) -> Result<Volume, SpecimenError> {
    let positive = |key, value: f64| {
        if value > 0.0 {
            Ok(value)
        } else {
            let found = value.to_string();
            Err(SpecimenError::OutOfRange { key, found, expected: "a positive number of angstrom" })
        }
    };
    Ok(match cut {
        Cut::Sphere { radius_angstrom } => {
            Volume::Sphere { radius: positive("cut.radius_angstrom", radius_angstrom.sample(random))? }
        }
        Cut::Slab { thickness_angstrom } => {
            let half_thickness = positive("cut.thickness_angstrom", thickness_angstrom.sample(random))? / 2.0;
            // However it is turned and (moderately) tilted, the slab covers the field.
            let diagonal = DVec2::from_array(field_angstrom).length();
            Volume::Slab { half_width: 0.55 * diagonal + half_thickness + 2.0, half_thickness }
        }
    })
}

/// A block of cells.
struct Translations {
    vectors: DMat3,
    low: [i64; 3],
    counts: [i64; 3],
}

impl Translations {
    fn iter(&self) -> impl Iterator<Item = DVec3> {
        let [low, counts] = [self.low, self.counts];
        (0..counts[0]).flat_map(move |i| {
            (0..counts[1]).flat_map(move |j| {
                (0..counts[2]).map(move |k| {
                    self.vectors * DVec3::from_array([i + low[0], j + low[1], k + low[2]].map(|n| n as f64))
                })
            })
        })
    }

    /// Mean of the translations.
    fn middle(&self) -> DVec3 {
        let mean = |axis: usize| self.low[axis] as f64 + (self.counts[axis] - 1) as f64 / 2.0;
        self.vectors * DVec3::new(mean(0), mean(1), mean(2))
    }
}

/// The cells with which a crystal reaches everywhere within `reach` of `centre`.
fn covering(cell: &Cell, structure: &Structure, centre: DVec3, reach: f64) -> Translations {
    let to_fraction = cell.vectors_angstrom.inverse();
    // A sphere of radius R spans R times the length of the reciprocal vector to either side, in cells.
    let reciprocal = to_fraction.transpose();
    let middle = to_fraction * centre;
    let places: Vec<DVec3> = structure.atoms.iter().map(|atom| to_fraction * atom.position_angstrom).collect();
    let (mut low, mut counts) = ([0; 3], [1; 3]);
    for axis in (0..3).filter(|&axis| cell.periodic[axis]) {
        let span = reach * reciprocal.col(axis).length();
        let least = places.iter().map(|place| place[axis]).fold(f64::INFINITY, f64::min);
        let most = places.iter().map(|place| place[axis]).fold(f64::NEG_INFINITY, f64::max);
        let first = (middle[axis] - span - most).ceil() as i64;
        let last = (middle[axis] + span - least).floor() as i64;
        (low[axis], counts[axis]) = (first, (last - first + 1).max(1));
    }
    Translations { vectors: cell.vectors_angstrom, low, counts }
}

/// Atoms that share a site, so that at most one of them is there: partly occupied and closer than 0.3 angstrom.
fn shared_sites(structure: &Structure) -> Vec<Vec<Atom>> {
    const CLOSE_ANGSTROM: f64 = 0.3;
    let mut groups: Vec<Vec<Atom>> = Vec::new();
    let mut partial: Vec<usize> = Vec::new();
    for &atom in &structure.atoms {
        if atom.occupancy < 1.0 {
            let near =
                |&&group: &&usize| groups[group][0].position_angstrom.distance(atom.position_angstrom) < CLOSE_ANGSTROM;
            if let Some(&group) = partial.iter().find(near) {
                groups[group].push(atom);
                continue;
            }
            partial.push(groups.len());
        }
        groups.push(vec![atom]);
    }
    groups
}

/// Which atom of a shared site is there, if any.
fn drawn(group: &[Atom], random: &mut impl Rng) -> Option<Atom> {
    if let [atom] = group
        && atom.occupancy >= 1.0
    {
        return Some(*atom);
    }
    let mut left: f64 = random.random();
    group.iter().copied().find(|atom| {
        left -= atom.occupancy;
        left < 0.0
    })
}

#[cfg(test)]
mod tests {
    use atomlens_core::Element;

    use super::*;

    const CELL: f64 = 5.411;

    /// CeO2, fluorite: 4 Ce and 8 O.
    fn ceria() -> Structure {
        let (cerium, oxygen): (Element, Element) = ("Ce".parse().unwrap(), "O".parse().unwrap());
        let face = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]];
        let mut atoms = Vec::new();
        for corner in face {
            let corner = DVec3::from_array(corner);
            atoms.push(Atom::new(cerium, corner * CELL));
            atoms.push(Atom::new(oxygen, (corner + 0.25) * CELL));
            atoms.push(Atom::new(oxygen, (corner + DVec3::new(0.25, 0.25, 0.75)) * CELL));
        }
        Structure { atoms, cell: Some(Cell::orthorhombic(DVec3::splat(CELL))) }
    }

    fn settings(text: &str) -> FileSettings {
        toml::from_str(&format!("path = \"CeO2.cif\"\n{text}")).unwrap()
    }

    fn built(text: &str, structure: &Structure) -> Result<Body, SpecimenError> {
        build(&settings(text), structure, [40.0, 50.0], SeedPath::new(8))
    }

    #[test]
    fn a_repeated_cell_has_its_atoms_and_columns() {
        let body = built("repeat = [2, 3, 4]", &ceria()).unwrap();
        assert_eq!(body.structure.atoms.len(), 12 * 24);
        // Along [001]: four Ce columns and four O columns a cell.
        assert_eq!(body.roles.len(), 8 * 6);
        assert!(body.structure.centroid_angstrom().length() < 1e-9);
    }

    #[test]
    fn a_slab_on_110_has_the_density_and_the_columns_of_the_crystal() {
        let text =
            "zone_axis = [1, 1, 0]\nin_plane_axis = [0, 0, 1]\ncut = { kind = \"slab\", thickness_angstrom = 61.2 }";
        let body = built(text, &ceria()).unwrap();
        assert!(body.fills_field);
        let half_width = 0.55 * 40.0_f64.hypot(50.0) + 30.6 + 2.0;
        let volume = std::f64::consts::PI * half_width.powi(2) * 61.2;
        let density = body.structure.atoms.len() as f64 / volume;
        assert!((density / (12.0 / CELL.powi(3)) - 1.0).abs() < 0.01);
        // Along [110] each column holds one element: Ce on a centred rectangle a by a / sqrt(2), O on a / 2 by
        // a / (2 sqrt(2)); three columns share half a rectangle.
        let columns = body.roles.len() as f64 / (std::f64::consts::PI * half_width.powi(2));
        assert!((columns / (6.0 / (CELL * CELL / 2.0_f64.sqrt())) - 1.0).abs() < 0.02);
        let cerium: Vec<DVec3> = body
            .structure
            .atoms
            .iter()
            .filter(|atom| atom.element.atomic_number() == 58)
            .map(|a| a.position_angstrom)
            .collect();
        let distances = |along: DVec3| {
            cerium.iter().filter(|place| place.distance(cerium[cerium.len() / 2] + along) < 1e-6).count()
        };
        assert_eq!(distances(DVec3::X * CELL), 1);
        assert_eq!(distances(DVec3::Y * CELL / 2.0_f64.sqrt()), 1);
        assert_eq!(distances(DVec3::Z * CELL / 2.0_f64.sqrt()), 1);
    }

    #[test]
    fn a_sphere_is_filled_from_the_cell() {
        let body = built("cut = { kind = \"sphere\", radius_angstrom = 20 }", &ceria()).unwrap();
        let expected = 4.0 / 3.0 * std::f64::consts::PI * 20.0_f64.powi(3) * 12.0 / CELL.powi(3);
        assert!((body.structure.atoms.len() as f64 / expected - 1.0).abs() < 0.03);
        assert!(!body.fills_field);
        let oblique = Structure {
            cell: Some(Cell::from_lengths_and_angles([3.0, 4.0, 5.0], [70.0, 100.0, 120.0])),
            atoms: vec![Atom::new(Element::CARBON, DVec3::splat(0.3))],
        };
        let body = built("zone_axis = [1, 2, 1]\ncut = { kind = \"sphere\", radius_angstrom = 25 }", &oblique).unwrap();
        let expected =
            4.0 / 3.0 * std::f64::consts::PI * 25.0_f64.powi(3) / oblique.cell.unwrap().volume_cubic_angstrom();
        assert!((body.structure.atoms.len() as f64 / expected - 1.0).abs() < 0.03);
    }

    #[test]
    fn shared_sites_hold_one_atom_at_most() {
        let (gold, copper): (Element, Element) = ("Au".parse().unwrap(), "Cu".parse().unwrap());
        let at = |element, occupancy| Atom { occupancy, ..Atom::new(element, DVec3::ZERO) };
        let alloy = Structure {
            atoms: vec![at(gold, 0.5), at(copper, 0.3)],
            cell: Some(Cell::orthorhombic(DVec3::splat(3.0))),
        };
        let body = built("repeat = [20, 20, 10]", &alloy).unwrap();
        let count = |element| body.structure.atoms.iter().filter(|atom| atom.element == element).count();
        // Binomial, standard deviations 32 and 29 of 4000; four of each.
        assert!((count(gold) as i64 - 2000).abs() < 127, "{}", count(gold));
        assert!((count(copper) as i64 - 1200).abs() < 116, "{}", count(copper));
        assert!(body.structure.atoms.iter().all(|atom| atom.occupancy == 1.0));
    }

    #[test]
    fn what_a_file_lacks_is_named() {
        let free = Structure { cell: None, ..ceria() };
        assert_eq!(built("", &free).unwrap().structure.atoms.len(), 12);
        for text in ["repeat = [2, 1, 1]", "zone_axis = [1, 1, 0]"] {
            assert!(matches!(built(text, &free), Err(SpecimenError::NoCell { .. })), "{text}");
        }
        let parallel = built("zone_axis = [1, 1, 0]\nin_plane_axis = [2, 2, 0]", &ceria()).unwrap_err();
        assert!(parallel.to_string().contains("parallel"), "{parallel}");
        assert!(built("repeat = [0, 1, 1]", &ceria()).is_err());
        assert!(built("repeat = [9999, 9999, 9999]", &ceria()).is_err());
        assert!(toml::from_str::<FileSettings>("path = \"a\"\ncut = { kind = \"cone\" }").is_err());
    }
}
