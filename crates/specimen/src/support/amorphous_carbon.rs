//! A film of amorphous carbon: atoms at random that keep a least distance (random sequential addition).
//!
//! The default density, 0.0922 atoms per cubic angstrom, is 1.84 g/cm3, that of evaporated films (1.8 to 2.1: Robertson 2002,
//! doi:10.1016/S0927-796X(02)00005-0); the least distance, 1.3 angstrom, is a little below the shortest bonds of
//! carbon. The model has the density and the exclusion that give a film's granular contrast, not its bond network.
//! The film is periodic across the box; its atoms belong to no column.

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{Atom, Cell, Distribution, Element, SeedPath};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::Side;
use crate::layer::check;
use crate::{Specimen, SpecimenError};

/// A film of amorphous carbon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmorphousCarbonSettings {
    /// Thickness, in angstrom; 0 is no film.
    pub thickness_angstrom: Distribution,
    /// Atoms per cubic angstrom.
    pub density_per_cubic_angstrom: Distribution,
    /// Least distance between two atoms, in angstrom.
    pub least_distance_angstrom: Distribution,
    /// Distance between the film's first atoms and the specimen's last, in angstrom.
    pub gap_angstrom: Distribution,
    /// Which side of the specimen it is on.
    pub side: Side,
}

impl Default for AmorphousCarbonSettings {
    fn default() -> Self {
        AmorphousCarbonSettings {
            thickness_angstrom: Distribution::Uniform(10.0, 30.0),
            density_per_cubic_angstrom: 0.0922.into(),
            least_distance_angstrom: 1.3.into(),
            gap_angstrom: 2.0.into(),
            side: Side::Below,
        }
    }
}

/// Lays the film beside the specimen; see [`super::SupportSettings::film`].
pub fn film(
    settings: &AmorphousCarbonSettings,
    mut specimen: Specimen,
    seed: SeedPath,
) -> Result<Specimen, SpecimenError> {
    check("thickness_angstrom", &settings.thickness_angstrom, [0.0, 2000.0], "0 to 2000 angstrom")?;
    let density = &settings.density_per_cubic_angstrom;
    check("density_per_cubic_angstrom", density, [0.0, 0.2], "0 to 0.2 atoms per cubic angstrom")?;
    check("least_distance_angstrom", &settings.least_distance_angstrom, [0.0, 3.0], "0 to 3 angstrom")?;
    check("gap_angstrom", &settings.gap_angstrom, [0.0, 100.0], "0 to 100 angstrom")?;
    // The fraction of space that spheres of this diameter fill; no random addition gets beyond 0.38.
    let filled = density.range().1 * std::f64::consts::FRAC_PI_6 * settings.least_distance_angstrom.range().1.powi(3);
    if filled > 0.3 {
        return Err(SpecimenError::OutOfRange {
            key: "least_distance_angstrom",
            found: format!("up to {}", settings.least_distance_angstrom.range().1),
            expected: "one at which the spheres fill less than 0.3 of space at this density",
        });
    }

    let mut random = seed.stream();
    let above = settings.side.is_above(&mut random);
    let thickness = settings.thickness_angstrom.sample(&mut random);
    let density = density.sample(&mut random);
    let least = settings.least_distance_angstrom.sample(&mut random);
    let gap = settings.gap_angstrom.sample(&mut random);
    let (Some(cell), Some((low, high))) =
        (specimen.structure.cell.and_then(|cell| cell.as_orthorhombic()), specimen.structure.bounds_angstrom())
    else {
        return Ok(specimen);
    };
    if thickness == 0.0 {
        return Ok(specimen);
    }
    let film_low = if above { low.z } else { high.z + gap };
    if above {
        specimen.structure.translate(DVec3::Z * (thickness + gap));
        for column in &mut specimen.columns {
            column.z_low_angstrom += thickness + gap;
            column.z_high_angstrom += thickness + gap;
        }
    }
    let depth = cell.z + thickness + gap;
    specimen.structure.cell = Some(Cell {
        vectors_angstrom: DMat3::from_diagonal(cell.with_z(depth)),
        ..specimen.structure.cell.unwrap_or(Cell::orthorhombic(cell))
    });
    let places = random_places(cell.with_z(thickness), density, least, &mut random);
    let atoms = places.into_iter().map(|place| Atom::new(Element::CARBON, place + DVec3::Z * film_low));
    specimen.structure.atoms.extend(atoms);
    Ok(specimen)
}

/// Random places in a box that is periodic along x and y, none nearer to another than `least`.
fn random_places(lengths: DVec3, density: f64, least: f64, random: &mut impl Rng) -> Vec<DVec3> {
    let count = (lengths.element_product() * density).round() as usize;
    // Cubes no smaller than the least distance, so that only neighbouring ones need be looked at.
    let cubes = lengths.to_array().map(|length| ((length / least.max(0.5)).floor() as usize).clamp(1, 2048));
    let mut content: Vec<Vec<u32>> = vec![Vec::new(); cubes.iter().product()];
    let mut places: Vec<DVec3> = Vec::with_capacity(count);
    // At the densest that is allowed one in about fifty is accepted towards the end.
    for _ in 0..count.saturating_mul(400) {
        if places.len() == count {
            break;
        }
        let fraction = DVec3::new(random.random(), random.random(), random.random());
        let place = fraction * lengths;
        let cube = [0, 1, 2].map(|axis| ((fraction[axis] * cubes[axis] as f64) as usize).min(cubes[axis] - 1));
        let free = neighbours(cube[0], cubes[0], true).all(|x| {
            neighbours(cube[1], cubes[1], true).all(|y| {
                neighbours(cube[2], cubes[2], false).all(|z| {
                    content[(z * cubes[1] + y) * cubes[0] + x].iter().all(|&other| {
                        let mut apart = place - places[other as usize];
                        apart.x -= lengths.x * (apart.x / lengths.x).round();
                        apart.y -= lengths.y * (apart.y / lengths.y).round();
                        apart.length_squared() >= least * least
                    })
                })
            })
        });
        if free {
            content[(cube[2] * cubes[1] + cube[1]) * cubes[0] + cube[0]].push(places.len() as u32);
            places.push(place);
        }
    }
    places
}

/// A cube and its neighbours along one axis.
fn neighbours(cube: usize, cubes: usize, periodic: bool) -> impl Iterator<Item = usize> {
    (0..3_usize).filter_map(move |step| {
        let shifted = cube + step;
        if (1..=cubes).contains(&shifted) { Some(shifted - 1) } else { periodic.then(|| (shifted + cubes - 1) % cubes) }
    })
}

#[cfg(test)]
mod tests {
    use atomlens_core::{Column, ColumnRole, Structure};

    use super::*;
    use crate::support::SupportSettings;

    fn speck() -> Specimen {
        let atom = Atom { column: Some(0), ..Atom::new(Element::CARBON, DVec3::new(40.0, 30.0, 2.0)) };
        let mut structure =
            Structure { atoms: vec![atom], cell: Some(Cell::orthorhombic(DVec3::new(80.0, 70.0, 5.0))) };
        let columns = Column::gather(&mut structure, &[ColumnRole::Specimen]);
        Specimen { structure, columns, sheet: false }
    }

    fn filmed(recipe: &str, seed: u64) -> Specimen {
        let settings: SupportSettings = toml::from_str(&format!("kind = 'amorphous_carbon'\n{recipe}")).unwrap();
        settings.film(speck(), SeedPath::new(seed)).unwrap()
    }

    #[test]
    fn the_film_has_its_density_everywhere_and_no_overlap_across_the_boundary() {
        let film = filmed("thickness_angstrom = 30", 1);
        let atoms: Vec<DVec3> = film.structure.atoms[1..].iter().map(|atom| atom.position_angstrom).collect();
        let inner = atoms.iter().filter(|place| (10.0..60.0).contains(&place.x) && (9.0..29.0).contains(&place.z));
        assert!((inner.count() as f64 / (50.0 * 70.0 * 20.0) / 0.0922 - 1.0).abs() < 0.03);
        assert!((atoms.len() as f64 / (80.0 * 70.0 * 30.0) / 0.0922 - 1.0).abs() < 1e-4);
        // By a plain search of the film and its periodic images near the boundary.
        let mut images = atoms.clone();
        for shift in [DVec3::X * 80.0, DVec3::Y * 70.0, DVec3::new(80.0, 70.0, 0.0)] {
            images.extend(atoms.iter().map(|place| *place + shift).filter(|place| place.x < 83.0 && place.y < 73.0));
        }
        let entries: Vec<[f64; 3]> = images.iter().map(DVec3::to_array).collect();
        let mut nearest = f64::INFINITY;
        for (index, place) in entries.iter().enumerate().step_by(7) {
            for other in entries.iter().skip(index + 1) {
                let apart = DVec3::from(*place).distance_squared(DVec3::from(*other));
                nearest = nearest.min(apart);
            }
        }
        assert!(nearest.sqrt() >= 1.3 && nearest.sqrt() < 1.32, "{}", nearest.sqrt());
    }

    #[test]
    fn the_film_lies_beside_the_specimen_on_the_side_asked_for() {
        for side in ["above", "below"] {
            let film = filmed(&format!("thickness_angstrom = 12\ngap_angstrom = 1.5\nside = '{side}'"), 2);
            let depth = film.structure.cell.unwrap().as_orthorhombic().unwrap().z;
            assert_eq!(depth, 5.0 + 13.5);
            let speck = film.structure.atoms[0].position_angstrom.z;
            assert_eq!(speck, film.columns[0].z_low_angstrom);
            for atom in &film.structure.atoms[1..] {
                assert_eq!(atom.column, None);
                let z = atom.position_angstrom.z;
                assert!((0.0..depth).contains(&z));
                assert!(if side == "above" { z <= speck - 1.5 } else { z >= speck + 1.5 });
            }
        }
        assert_eq!(filmed("thickness_angstrom = 0", 1), speck());
        assert_eq!(filmed("", 3), filmed("", 3));
        assert_ne!(filmed("", 3), filmed("", 4));
    }

    #[test]
    fn a_film_that_cannot_be_packed_is_refused() {
        let settings = AmorphousCarbonSettings { least_distance_angstrom: 2.0.into(), ..Default::default() };
        let error = film(&settings, speck(), SeedPath::new(1)).unwrap_err().to_string();
        assert!(error.contains("least_distance_angstrom"), "{error}");
    }
}
