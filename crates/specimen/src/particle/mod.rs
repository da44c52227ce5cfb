//! Metal nanoparticles: truncated fcc crystals, twins, decahedra and icosahedra, with grown and rough surfaces.
//!
//! A particle begins as a shape (module `crystal`, `decahedron` or `icosahedron`) on a larger set of sites, grows and
//! roughens there (`surface`), is turned onto its zone axis, where its columns are told apart, and is then strained
//! and relaxed. Distances of faces are relative to the radius, each face with a draw of its own.
//!
//! # Zone axes
//! For truncated and twinned crystals `zone_axis = [u, v, w]` is a direction of the cubic cell; a twin plane contains
//! the zone axis if any {111} plane does (as for `[110]` and `[112]`), so that the twin is seen edge-on. For decahedra it is
//! a direction in the first of the five crystals, whose `[110]` is the fivefold axis. Icosahedra are seen along
//! `icosahedron_axis`, a 2-, 3- or 5-fold axis, and `zone_axis` is not used.

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{Atom, ColumnRole, Distribution, SeedPath, Structure};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::zone;
use crate::{Body, SpecimenError};

mod crystal;
mod decahedron;
mod icosahedron;
pub mod metal;
pub(crate) mod orientation;
mod shape;
mod sites;
mod surface;

use crystal::{Crystal, Face};
use decahedron::Decahedron;
pub use shape::{Elements, Shape, ShapeMix, ZoneAxes};
use sites::{BOND_REACH, Cluster, Sites};
pub use surface::{GrowthSettings, RougheningSettings};

/// How a particle is drawn; every number is a distribution.
///
/// ```
/// # use atomlens_specimen::particle::{ParticleSettings, build};
/// # use atomlens_core::SeedPath;
/// let settings: ParticleSettings = toml::from_str(r#"
/// element = "Pt"
/// radius_angstrom = { uniform = [8, 12] }
/// shape = { truncated = 3, decahedron = 1 }
/// zone_axis = [[1, 1, 0], [1, 0, 0]]
/// "#).unwrap();
/// let particle = build(&settings, SeedPath::new(1)).unwrap();
/// assert!(particle.structure.atoms.len() > 100);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticleSettings {
    /// An fcc metal, or a list of which one is drawn.
    pub element: Elements,
    /// Edge of the cubic cell in angstrom; the tabulated one (see [`metal`]) where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lattice_constant_angstrom: Option<Distribution>,
    /// Radius of the bare shape in angstrom, to which the distances of faces are relative.
    #[serde(default = "default_radius")]
    pub radius_angstrom: Distribution,
    /// A shape, a list, or a table of weights.
    #[serde(default = "default_shape")]
    pub shape: ShapeMix,
    /// Zone axis or list of them; see the module for what it means in twinned particles.
    #[serde(default = "default_zone_axis")]
    pub zone_axis: ZoneAxes,
    /// Distance of each {100} face from the centre, relative to the radius.
    #[serde(default = "default_face_distance")]
    pub face_100_distance: Distribution,
    /// Distance of each {111} face from the centre, relative to the radius.
    #[serde(default = "default_face_distance")]
    pub face_111_distance: Distribution,
    /// Distance of each {110} face from the centre, relative to the radius; no such faces where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face_110_distance: Option<Distribution>,
    /// Twinned crystals: number of twin planes.
    #[serde(default = "default_twin_planes")]
    pub twin_planes: Distribution,
    /// Twinned crystals: distance of the first twin plane from the centre, relative to the radius.
    #[serde(default = "default_twin_offset")]
    pub twin_offset: Distribution,
    /// Twinned crystals: number of layers from one twin plane to the next.
    #[serde(default = "default_twin_layers")]
    pub twin_layers: Distribution,
    /// Decahedra: depth of the notch at each twin plane, in rows of atoms.
    #[serde(default = "default_notch_rows")]
    pub notch_rows: Distribution,
    /// Icosahedra: which axis points along the beam: 2, 3 or 5.
    #[serde(default = "default_icosahedron_axis")]
    pub icosahedron_axis: Distribution,
    /// Atoms added to the bare shape.
    #[serde(default)]
    pub growth: GrowthSettings,
    /// Atoms taken away after that.
    #[serde(default)]
    pub roughening: RougheningSettings,
    /// Shortening of the bonds in a {111} face in percent, more where fewer neighbours are left; 0 for none.
    #[serde(default = "zero")]
    pub surface_relaxation_percent: Distribution,
    /// Even strain of the whole particle in percent; positive is expansion.
    #[serde(default = "zero")]
    pub strain_percent: Distribution,
}

fn default_radius() -> Distribution {
    Distribution::Uniform(8.0, 20.0)
}
fn default_shape() -> ShapeMix {
    Shape::Truncated.into()
}
fn default_zone_axis() -> ZoneAxes {
    [1, 1, 0].into()
}
fn default_face_distance() -> Distribution {
    Distribution::Uniform(0.8, 1.2)
}
fn default_twin_planes() -> Distribution {
    Distribution::Choice(vec![1.0, 2.0])
}
fn default_twin_offset() -> Distribution {
    Distribution::Uniform(-0.5, 0.5)
}
fn default_twin_layers() -> Distribution {
    Distribution::Choice(vec![2.0, 3.0, 4.0, 5.0, 6.0])
}
fn default_notch_rows() -> Distribution {
    Distribution::Choice(vec![0.0, 1.0, 2.0])
}
fn default_icosahedron_axis() -> Distribution {
    Distribution::Choice(vec![2.0, 3.0, 5.0])
}
fn zero() -> Distribution {
    Distribution::Constant(0.0)
}

/// Farthest face from a particle's centre, in angstrom: some millions of atoms.
const FARTHEST_FACE_ANGSTROM: f64 = 250.0;

impl ParticleSettings {
    /// Particles of an element, all else as when left out of a recipe.
    pub fn new(element: atomlens_core::Element) -> ParticleSettings {
        ParticleSettings {
            element: element.into(),
            lattice_constant_angstrom: None,
            radius_angstrom: default_radius(),
            shape: default_shape(),
            zone_axis: default_zone_axis(),
            face_100_distance: default_face_distance(),
            face_111_distance: default_face_distance(),
            face_110_distance: None,
            twin_planes: default_twin_planes(),
            twin_offset: default_twin_offset(),
            twin_layers: default_twin_layers(),
            notch_rows: default_notch_rows(),
            icosahedron_axis: default_icosahedron_axis(),
            growth: GrowthSettings::default(),
            roughening: RougheningSettings::default(),
            surface_relaxation_percent: zero(),
            strain_percent: zero(),
        }
    }

    fn check(&self) -> Result<(), SpecimenError> {
        let within = |key, knob: &Distribution, low: f64, high: f64, expected| {
            let (least, most) = knob.range();
            if least < low || most > high {
                return Err(SpecimenError::OutOfRange { key, found: format!("{least}..{most}"), expected });
            }
            Ok(())
        };
        within("radius_angstrom", &self.radius_angstrom, 1.0, FARTHEST_FACE_ANGSTROM, "1 to 250 angstrom")?;
        let faces = [("face_100_distance", &self.face_100_distance), ("face_111_distance", &self.face_111_distance)];
        let faces = faces.into_iter().chain(self.face_110_distance.iter().map(|knob| ("face_110_distance", knob)));
        for (key, knob) in faces {
            let farthest = FARTHEST_FACE_ANGSTROM / self.radius_angstrom.range().1;
            within(key, knob, 0.1, farthest, "0.1 radii to 250 angstrom from the centre")?;
        }
        if let Some(knob) = &self.lattice_constant_angstrom {
            within("lattice_constant_angstrom", knob, 2.0, 10.0, "2 to 10 angstrom")?;
        }
        within("twin_planes", &self.twin_planes, 0.0, 100.0, "0 to 100")?;
        within("twin_layers", &self.twin_layers, 1.0, 1000.0, "1 to 1000")?;
        within("notch_rows", &self.notch_rows, 0.0, 1000.0, "0 to 1000")?;
        within("growth.falling_fraction", &self.growth.falling_fraction, 0.0, 5.0, "0 to 5")?;
        within("growth.final_fraction", &self.growth.final_fraction, 0.0, 5.0, "0 to 5")?;
        within("roughening.removed_fraction", &self.roughening.removed_fraction, 0.0, 1.0, "0 to 1")?;
        within("surface_relaxation_percent", &self.surface_relaxation_percent, -10.0, 10.0, "-10 to 10 percent")?;
        within("strain_percent", &self.strain_percent, -20.0, 20.0, "-20 to 20 percent")
    }
}

/// Sites with some filled, and the rotation that takes them to the zone axis.
struct Shaped {
    places: Vec<DVec3>,
    inside: Vec<bool>,
    to_beam: DMat3,
}

/// Draws a particle, on its zone axis, its atoms centred on the origin, its columns told apart.
///
/// # Errors
/// If the element has no tabulated lattice constant and none is given, a knob is out of range, or no atom is left.
pub fn build(settings: &ParticleSettings, seed: SeedPath) -> Result<Body, SpecimenError> {
    settings.check()?;
    let mut random = seed.child("shape").stream();
    let element = settings.element.sample(&mut random);
    let cell = match &settings.lattice_constant_angstrom {
        Some(knob) => knob.sample(&mut random),
        None => metal::lattice_constant_angstrom(element).ok_or(SpecimenError::NotTabulated {
            what: "fcc lattice constant",
            element,
            key: "lattice_constant_angstrom",
        })?,
    };
    let radius = settings.radius_angstrom.sample(&mut random);
    let shaped = match settings.shape.sample(&mut random) {
        Shape::Truncated => crystal(settings, cell, radius, false, &mut random),
        Shape::Twinned => crystal(settings, cell, radius, true, &mut random),
        Shape::Decahedron => decahedron(settings, cell, radius, &mut random),
        Shape::Icosahedron => icosahedron(settings, cell, radius, &mut random)?,
    };
    let reach = BOND_REACH * cell / 2.0_f64.sqrt();
    let places = shaped.places.iter().map(|&place| shaped.to_beam * place).collect();
    let mut cluster = Cluster::new(Sites::new(places, reach), shaped.inside);

    let mut random = seed.child("surface").stream();
    surface::grow(&mut cluster, &settings.growth, &mut random);
    surface::roughen(&mut cluster, &settings.roughening, &mut random);

    let filled = cluster.filled_sites();
    if filled.is_empty() {
        return Err(SpecimenError::Empty { reason: "the particle is smaller than an atom; raise radius_angstrom" });
    }
    let atoms = filled.iter().map(|&site| Atom::new(element, cluster.sites.places_angstrom()[site])).collect();
    let mut structure = Structure { atoms, cell: None };
    let columns = zone::assign(&mut structure, zone::TOLERANCE_ANGSTROM);

    let mut random = seed.child("strain").stream();
    let relaxation = settings.surface_relaxation_percent.sample(&mut random);
    let stretch = 1.0 + settings.strain_percent.sample(&mut random) / 100.0;
    if relaxation != 0.0 {
        let shifts = surface::relaxation_angstrom(&cluster, relaxation);
        for (atom, shift) in structure.atoms.iter_mut().zip(shifts) {
            atom.position_angstrom += shift;
        }
    }
    let centroid = structure.centroid_angstrom();
    for atom in &mut structure.atoms {
        atom.position_angstrom = (atom.position_angstrom - centroid) * stretch;
    }
    Ok(Body { structure, roles: vec![ColumnRole::Specimen; columns], sheet: false, fills_field: false })
}

/// How far outside the bare shape growth may go, in angstrom: what the added atoms need if spread evenly, and two
/// cells for heaps.
fn margin_angstrom(settings: &ParticleSettings, cell: f64, radius: f64) -> f64 {
    let added = settings.growth.falling_fraction.range().1 + settings.growth.final_fraction.range().1;
    if added <= 0.0 { 0.01 } else { 1.2 * radius * ((1.0 + added).cbrt() - 1.0) + 2.0 * cell }
}

fn crystal(settings: &ParticleSettings, cell: f64, radius: f64, twinned: bool, random: &mut impl Rng) -> Shaped {
    let mut faces = Vec::new();
    let families = [([1, 0, 0], Some(&settings.face_100_distance)), ([1, 1, 1], Some(&settings.face_111_distance))];
    for (indices, knob) in families.into_iter().chain([([1, 1, 0], settings.face_110_distance.as_ref())]) {
        let Some(knob) = knob else { continue };
        for normal in crystal::family(indices) {
            faces.push(Face { normal, distance_angstrom: knob.sample(random) * radius });
        }
    }
    let centre_angstrom = DVec3::new(random.random(), random.random(), random.random()) * cell;
    let zone_axis = settings.zone_axis.sample(random);
    let zone = DVec3::from_array(zone_axis.map(f64::from));
    let normals = crystal::family([1, 1, 1]);
    let edge_on: Vec<DVec3> = normals.iter().copied().filter(|normal| normal.dot(zone).abs() < 1e-9).collect();
    let choices = if edge_on.is_empty() { &normals } else { &edge_on };
    let twin_normal = choices[random.random_range(0..choices.len())];
    let mut crystal =
        Crystal { lattice_constant_angstrom: cell, centre_angstrom, faces, twin_normal, twin_planes_angstrom: vec![] };
    if twinned {
        let first = crystal.layer_near(settings.twin_offset.sample(random) * radius);
        let mut layers = 0.0;
        for _ in 0..settings.twin_planes.sample_count(random) {
            crystal.twin_planes_angstrom.push(first + layers * crystal.layer_spacing());
            layers += settings.twin_layers.sample(random).round().max(1.0);
        }
    }
    let (places, inside) = crystal.sites(margin_angstrom(settings, cell, radius));
    Shaped { places, inside, to_beam: orientation::cubic(zone_axis) }
}

fn decahedron(settings: &ParticleSettings, cell: f64, radius: f64, random: &mut impl Rng) -> Shaped {
    let nearest = decahedron::NEAREST * cell;
    let mut steps = |knob: &Distribution, spacing: f64| {
        (knob.sample(random) * radius / (spacing * nearest)).round().max(0.0) as i32
    };
    let rows: [i32; 5] = std::array::from_fn(|_| steps(&settings.face_100_distance, decahedron::face_spacing()).max(1));
    let caps = std::array::from_fn(|_| {
        std::array::from_fn(|_| steps(&settings.face_111_distance, decahedron::cap_spacing()).max(1))
    });
    // A notch deeper than half of the wedges beside it would cut through the axis.
    let notches = std::array::from_fn(|plane| {
        let deepest = (rows[plane].min(rows[(plane + 4) % 5]) - 1) / 2;
        settings.notch_rows.sample_count(random).min(deepest as usize) as i32
    });
    let margin = (margin_angstrom(settings, cell, radius) / (decahedron::face_spacing() * nearest)).ceil() as i32;
    let (places, inside) = Decahedron { rows, notches, caps }.sites(nearest, margin);

    // In the first crystal the fivefold axis is [110], and [001] lies along its bisector; (-11-1) and (1-1-1), the twin
    // planes, meet in [110] and contain [1-12] and [-112], the edges of the wedge.
    let zone = DVec3::from_array(settings.zone_axis.sample(random).map(f64::from));
    let bisector = DVec3::new((std::f64::consts::PI / 5.0).cos(), (std::f64::consts::PI / 5.0).sin(), 0.0);
    let aside = DVec3::Z.cross(bisector);
    let in_particle =
        DVec3::Z * (zone.x + zone.y) / 2.0_f64.sqrt() + bisector * zone.z + aside * (zone.x - zone.y) / 2.0_f64.sqrt();
    let to_beam = orientation::turned_to_beam(in_particle, in_particle.any_orthogonal_vector()).unwrap_or_default();
    Shaped { places, inside, to_beam }
}

fn icosahedron(
    settings: &ParticleSettings,
    cell: f64,
    radius: f64,
    random: &mut impl Rng,
) -> Result<Shaped, SpecimenError> {
    let nearest = decahedron::NEAREST * cell;
    let spacing = icosahedron::face_spacing() * nearest;
    let shells: Vec<u32> = (0..icosahedron::faces().len())
        .map(|_| (settings.face_111_distance.sample(random) * radius / spacing).round().max(1.0) as u32)
        .collect();
    let margin = (margin_angstrom(settings, cell, radius) / spacing).ceil() as u32;
    let (places, inside) = icosahedron::sites(&shells, nearest, margin);
    let vertices = icosahedron::vertices();
    let [a, b, c] = icosahedron::faces()[0];
    let axis = match settings.icosahedron_axis.sample_count(random) {
        2 => vertices[a] + vertices[b],
        3 => vertices[a] + vertices[b] + vertices[c],
        5 => vertices[a],
        other => {
            return Err(SpecimenError::OutOfRange {
                key: "icosahedron_axis",
                found: other.to_string(),
                expected: "2, 3 or 5",
            });
        }
    };
    let to_beam = orientation::turned_to_beam(axis, axis.any_orthogonal_vector()).unwrap_or_default();
    Ok(Shaped { places, inside, to_beam })
}

#[cfg(test)]
mod tests {
    use atomlens_core::glam::DVec2;

    use super::*;

    const GOLD_ANGSTROM: f64 = 4.08;

    fn settings(text: &str) -> ParticleSettings {
        toml::from_str(&format!("element = \"Au\"\n{text}")).unwrap()
    }

    /// A particle without growth and roughening.
    fn bare(text: &str, seed: u64) -> Body {
        let bare = "growth = { falling_fraction = 0, final_fraction = 0 }\nroughening = { removed_fraction = 0 }";
        build(&settings(&format!("{text}\n{bare}")), SeedPath::new(seed)).unwrap()
    }

    fn columns(body: &Body) -> Vec<Vec<DVec2>> {
        let mut columns = vec![Vec::new(); body.roles.len()];
        for atom in &body.structure.atoms {
            columns[atom.column.unwrap() as usize].push(atom.position_angstrom.truncate());
        }
        columns
    }

    fn shortest_bond_angstrom(body: &Body) -> f64 {
        let places: Vec<DVec3> = body.structure.atoms.iter().map(|atom| atom.position_angstrom).collect();
        let near = |i: usize| (0..i).map(|j| places[i].distance(places[j])).collect::<Vec<_>>();
        (1..places.len()).flat_map(near).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn projected_lattices_are_the_textbooks() {
        // Shortest distance between columns and area of a column, in units of a and a^2: centred rectangle a by
        // a / sqrt(2); square a / 2; triangles a / sqrt(6); rectangle a / sqrt(8) by a / sqrt(3).
        let zones = [
            ([1, 1, 0], 0.375_f64.sqrt(), 8.0_f64.sqrt().recip()),
            ([1, 0, 0], 0.5, 0.25),
            ([1, 1, 1], 6.0_f64.sqrt().recip(), 48.0_f64.sqrt().recip()),
            ([1, 1, 2], 8.0_f64.sqrt().recip(), 24.0_f64.sqrt().recip()),
        ];
        for (zone_axis, shortest, area) in zones {
            let text = format!(
                "zone_axis = {zone_axis:?}\nradius_angstrom = 20\nface_100_distance = 1\nface_111_distance = 1"
            );
            let body = bare(&text, 3);
            let columns = columns(&body);
            for column in &columns {
                assert!(column.iter().all(|place| place.distance(column[0]) < 1e-9), "{zone_axis:?}");
            }
            for (index, column) in columns.iter().enumerate() {
                let others = columns.iter().enumerate().filter(|(other, _)| *other != index);
                let found = others.map(|(_, other)| other[0].distance(column[0])).fold(f64::INFINITY, f64::min);
                assert!((found - shortest * GOLD_ANGSTROM).abs() < 1e-9, "{zone_axis:?}: {found}");
            }
            let inner = columns.iter().filter(|column| column[0].length() < 15.0).count() as f64;
            let expected = std::f64::consts::PI * 15.0_f64.powi(2) / (area * GOLD_ANGSTROM * GOLD_ANGSTROM);
            assert!((inner / expected - 1.0).abs() < 0.05, "{zone_axis:?}: {inner}, expected {expected}");
        }
    }

    #[test]
    fn atoms_touch_at_the_distance_of_the_metal() {
        let grown = build(&settings("radius_angstrom = 12\nshape = [\"truncated\", \"twinned\"]"), SeedPath::new(6));
        assert!((shortest_bond_angstrom(&grown.unwrap()) - GOLD_ANGSTROM / 2.0_f64.sqrt()).abs() < 1e-9);
        let strained = bare("radius_angstrom = 12\nstrain_percent = -2", 6);
        assert!((shortest_bond_angstrom(&strained) - 0.98 * GOLD_ANGSTROM / 2.0_f64.sqrt()).abs() < 1e-9);
        let relaxed = bare("radius_angstrom = 12\nsurface_relaxation_percent = 2", 6);
        let shortest = shortest_bond_angstrom(&relaxed) / (GOLD_ANGSTROM / 2.0_f64.sqrt());
        assert!((0.93..0.98).contains(&shortest), "{shortest}");
    }

    #[test]
    fn growth_adds_half_of_the_atoms_by_default() {
        let text = "radius_angstrom = 14";
        let without = bare(text, 5).structure.atoms.len() as f64;
        let grown = build(&settings(&format!("{text}\nroughening = {{ removed_fraction = 0 }}")), SeedPath::new(5));
        assert!((grown.unwrap().structure.atoms.len() as f64 / without - 1.5).abs() < 0.01);
    }

    #[test]
    fn twins_are_seen_edge_on() {
        for zone_axis in [[1, 1, 0], [1, 1, 2]] {
            for seed in 0..5 {
                let body = bare(&format!("shape = \"twinned\"\nzone_axis = {zone_axis:?}\nradius_angstrom = 12"), seed);
                for column in columns(&body) {
                    assert!(column.iter().all(|place| place.distance(column[0]) < 1e-6), "{zone_axis:?}");
                }
            }
        }
    }

    #[test]
    fn a_decahedron_shows_its_fivefold_axis() {
        let text = "shape = \"decahedron\"\nradius_angstrom = 15\nnotch_rows = 1\nface_100_distance = 1\nface_111_distance = 1";
        let body = bare(text, 1);
        let columns = columns(&body);
        assert!(columns.iter().all(|column| column.iter().all(|place| place.distance(column[0]) < 1e-9)));
        let turn = DVec2::from_angle(2.0 * std::f64::consts::PI / 5.0);
        for column in &columns {
            let turned = turn.rotate(column[0]);
            let image = columns.iter().find(|other| other[0].distance(turned) < 1e-6);
            assert_eq!(image.map(Vec::len), Some(column.len()));
        }
        // On [001] of the first crystal, and along no other direction of it shown here, its atoms stand one cell apart.
        let stacked = |body: &Body| {
            let places: Vec<DVec3> = body.structure.atoms.iter().map(|atom| atom.position_angstrom).collect();
            let above = |place: &&DVec3| {
                let expected = **place + DVec3::Z * GOLD_ANGSTROM;
                places.iter().any(|other| other.distance(expected) < 0.02 * GOLD_ANGSTROM)
            };
            places.iter().filter(above).count()
        };
        let across = bare(&format!("{text}\nzone_axis = [0, 0, 1]"), 1);
        assert!(stacked(&across) > across.structure.atoms.len() / 10, "{}", stacked(&across));
        assert_eq!(stacked(&body), 0);
    }

    #[test]
    fn an_icosahedron_has_the_symmetry_of_its_axis() {
        for fold in [2, 3, 5] {
            let text = format!(
                "shape = \"icosahedron\"\nradius_angstrom = 14\nface_111_distance = 1\nicosahedron_axis = {fold}"
            );
            let body = bare(&text, 1);
            assert!([309, 561, 923].contains(&body.structure.atoms.len()));
            let turn = DMat3::from_rotation_z(2.0 * std::f64::consts::PI / f64::from(fold));
            for atom in &body.structure.atoms {
                let image = turn * atom.position_angstrom;
                assert!(body.structure.atoms.iter().any(|other| other.position_angstrom.distance(image) < 1e-6));
                assert!((atom.column.unwrap() as usize) < body.roles.len());
            }
        }
        let refused = build(&settings("shape = \"icosahedron\"\nicosahedron_axis = 4"), SeedPath::new(1)).unwrap_err();
        assert!(refused.to_string().contains("icosahedron_axis = 4"), "{refused}");
    }

    #[test]
    fn the_same_seed_gives_the_same_particle() {
        let mix = settings(
            "shape = { truncated = 1, twinned = 1, decahedron = 1, icosahedron = 1 }\nradius_angstrom = { uniform = [6, 12] }",
        );
        for seed in 0..20 {
            let first = build(&mix, SeedPath::new(seed)).unwrap();
            assert_eq!(first, build(&mix, SeedPath::new(seed)).unwrap());
            assert_ne!(first, build(&mix, SeedPath::new(seed + 1)).unwrap());
        }
        let written = toml::to_string(&mix).unwrap();
        assert_eq!(toml::from_str::<ParticleSettings>(&written).unwrap(), mix);
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let unknown = toml::from_str::<ParticleSettings>("element = \"Au\"\nradius_angstrm = 3").unwrap_err();
        assert!(unknown.message().contains("radius_angstrm"));
        let iron: ParticleSettings = toml::from_str("element = \"Fe\"").unwrap();
        let error = build(&iron, SeedPath::new(1)).unwrap_err().to_string();
        assert!(error.contains("Fe") && error.contains("lattice_constant_angstrom"), "{error}");
        let given: ParticleSettings = toml::from_str("element = \"Fe\"\nlattice_constant_angstrom = 3.65").unwrap();
        assert!(build(&given, SeedPath::new(1)).is_ok());
        for text in ["radius_angstrom = -3", "radius_angstrom = 1e9", "twin_planes = { normal = [0, 1] }"] {
            assert!(build(&settings(text), SeedPath::new(1)).is_err(), "{text}");
        }
    }
}
