//! Seats a particle on a plane: finds a facet of its outline, turns it down, and cuts it flat.

use atomlens_core::glam::{DMat3, DVec2, DVec3};
use atomlens_core::{Atom, Structure};
use rand::{Rng, RngExt};

use super::oxide::Facet;
use crate::layer::plane::PlaneGrid;
use crate::{SpecimenError, zone};

/// A side of the outline is taken to be the facet along the nearest row of columns within this angle, and none beyond it:
/// a rough surface tilts the outline by some degrees.
const SNAP_ANGLE_RAD: f64 = 0.3;
/// Columns this far behind a side of the outline show the direction of its rows, in angstrom.
const ROWS_DEPTH_ANGSTROM: f64 = 8.0;

/// Turns a particle about the beam so that a facet faces +y, cuts off the given fraction of its height on that side, and
/// shifts it so that its lowest row of atoms is at `y = 0`.
pub(super) fn seat(
    particle: &mut Structure,
    facet: Facet,
    cut_fraction: f64,
    random: &mut impl Rng,
) -> Result<(), SpecimenError> {
    let normal = facet_normal(&particle.atoms, facet, random);
    let turn = DMat3::from_rotation_z(DVec2::Y.to_angle() - normal.to_angle());
    particle.rotate(turn, DVec3::ZERO);
    let reason = "the cut at the interface leaves nothing; lower cut_fraction";
    let (low, high) = particle.bounds_angstrom().ok_or(SpecimenError::Empty { reason })?;
    let limit = high.y - cut_fraction * (high.y - low.y);
    particle.atoms.retain(|atom| atom.position_angstrom.y <= limit + 1e-6);
    let row = lowest_full_row(&particle.atoms).ok_or(SpecimenError::Empty { reason })?;
    particle.atoms.retain(|atom| atom.position_angstrom.y <= row + 1e-6);
    particle.translate(-DVec3::Y * row);
    Ok(())
}

/// Outward normal of a facet of the projected outline.
fn facet_normal(atoms: &[Atom], facet: Facet, random: &mut impl Rng) -> DVec2 {
    let columns = column_places(atoms);
    let rows = rows(&columns);
    let outline = convex_outline(columns);
    let mut sides: Vec<(DVec2, bool)> = Vec::new();
    for (index, &corner) in outline.iter().enumerate() {
        let edge = outline[(index + 1) % outline.len()] - corner;
        let inward = edge.perp().normalize_or_zero();
        let mut near = rows.iter().filter(|(middle, _)| (middle - corner).dot(inward) < ROWS_DEPTH_ANGSTROM);
        let turn_to = |row: DVec2| if row.dot(edge) < 0.0 { edge.angle_to(-row) } else { edge.angle_to(row) };
        // Ties go to the first, so that the result does not hang on the last bit of a direction.
        let nearest =
            near.by_ref().map(|&(_, row)| turn_to(row)).reduce(|a, b| if b.abs() < a.abs() - 1e-3 { b } else { a });
        match nearest {
            Some(turn) if turn.abs() < SNAP_ANGLE_RAD => sides.push((DVec2::from_angle(turn).rotate(edge), true)),
            _ => sides.push((edge, false)),
        }
    }
    if sides.iter().any(|&(_, along_row)| along_row) {
        sides.retain(|&(_, along_row)| along_row);
    }
    let mut facets: Vec<DVec2> = Vec::new();
    for (edge, _) in sides {
        // The pieces of a facet that roughness has broken follow each other.
        match facets.iter_mut().find(|facet| facet.angle_to(edge).abs() < 0.5 * SNAP_ANGLE_RAD) {
            Some(facet) => *facet = facet.normalize_or_zero() * (facet.length() + edge.length()),
            None => facets.push(edge),
        }
    }
    let draw: f64 = random.random();
    let longest = facets.iter().copied().max_by(|a, b| a.length().total_cmp(&b.length())).unwrap_or(DVec2::X);
    let chosen = match facet {
        Facet::Longest => longest,
        Facet::Random => {
            // Long facets more often, and none that is hardly one.
            let candidates: Vec<DVec2> =
                facets.into_iter().filter(|edge| edge.length() > 0.5 * longest.length()).collect();
            let mut left = draw * candidates.iter().map(|edge| edge.length()).sum::<f64>();
            let mut candidates = candidates.into_iter();
            candidates
                .find(|edge| {
                    left -= edge.length();
                    left < 0.0
                })
                .unwrap_or(longest)
        }
    };
    // The outline runs counter-clockwise, so that its outside is to the right.
    -chosen.perp().normalize_or(DVec2::Y)
}

/// Mean places of the columns.
fn column_places(atoms: &[Atom]) -> Vec<DVec2> {
    let places: Vec<DVec2> = atoms.iter().map(|atom| atom.position_angstrom.truncate()).collect();
    let (columns, count) = zone::cluster(&places, zone::TOLERANCE_ANGSTROM);
    let mut sums = vec![(DVec2::ZERO, 0.0); count];
    for (place, column) in places.into_iter().zip(columns) {
        sums[column as usize].0 += place;
        sums[column as usize].1 += 1.0;
    }
    sums.into_iter().map(|(sum, atoms)| sum / atoms).collect()
}

/// The lines from each column to its nearest neighbours: their middle and their direction.
fn rows(columns: &[DVec2]) -> Vec<(DVec2, DVec2)> {
    let reach = 6.0;
    let grid = PlaneGrid::from_places(columns, reach);
    let others = |index: usize| grid.near(columns[index], reach).filter(move |&other| other != index);
    let mut nearest: Vec<f64> = (0..columns.len())
        .map(|index| others(index).map(|other| columns[index].distance(columns[other])).fold(reach, f64::min))
        .collect();
    nearest.sort_unstable_by(f64::total_cmp);
    // With a fifth more than the nearest, both kinds of close row of fcc along [110] are among them.
    let limit = nearest.get(nearest.len() / 2).map_or(0.0, |distance| 1.2 * distance);
    (0..columns.len())
        .flat_map(|index| others(index).filter(move |&other| other > index).map(move |other| (index, other)))
        .filter(|&(a, b)| columns[a].distance(columns[b]) < limit)
        .map(|(a, b)| ((columns[a] + columns[b]) / 2.0, columns[b] - columns[a]))
        .collect()
}

/// Corners of the convex hull, counter-clockwise (Andrew 1979, doi:10.1016/0020-0190(79)90072-3).
fn convex_outline(mut places: Vec<DVec2>) -> Vec<DVec2> {
    places.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let half = |places: &mut dyn Iterator<Item = DVec2>| {
        let mut hull: Vec<DVec2> = Vec::new();
        for place in places {
            while let [.., before, last] = hull[..] {
                if (last - before).perp_dot(place - before) > 1e-6 {
                    break;
                }
                hull.pop();
            }
            hull.push(place);
        }
        hull.pop();
        hull
    };
    let mut outline = half(&mut places.iter().copied());
    outline.extend(half(&mut places.iter().rev().copied()));
    outline
}

/// The highest y at which there is a whole row of atoms, rather than a few that a rough surface has left.
fn lowest_full_row(atoms: &[Atom]) -> Option<f64> {
    let mut heights: Vec<f64> = atoms.iter().map(|atom| atom.position_angstrom.y).collect();
    heights.sort_unstable_by(f64::total_cmp);
    let in_row = |y: f64| {
        heights.partition_point(|&other| other <= y + 1e-6) - heights.partition_point(|&other| other < y - 0.6)
    };
    let most = heights.iter().map(|&y| in_row(y)).max()?;
    heights.iter().rev().copied().find(|&y| 3 * in_row(y) >= most)
}

#[cfg(test)]
mod tests {
    use atomlens_core::{Element, SeedPath};

    use super::*;

    /// A hexagon of atoms on a square lattice turned by 20 degrees, whose longest sides face its x axis.
    fn particle() -> Structure {
        let turn = DVec2::from_angle(20.0_f64.to_radians());
        let places = (-8..=8).flat_map(|i| (-12..=12).map(move |j| DVec2::new(f64::from(i), f64::from(j)) * 2.0));
        let inside = places.filter(|place| place.x.abs() + place.y.abs() < 30.0);
        let atoms = inside.map(|place| Atom::new(Element::CARBON, turn.rotate(place).extend(0.0))).collect();
        Structure { atoms, cell: None }
    }

    #[test]
    fn a_facet_is_turned_down_and_cut_flat() {
        let mut seated = particle();
        seat(&mut seated, Facet::Longest, 0.3, &mut SeedPath::new(1).stream()).unwrap();
        let lowest = seated.atoms.iter().filter(|atom| atom.position_angstrom.y.abs() < 1e-6).count();
        // The lattice's rows of 17 to 25 atoms are along the interface.
        assert!(lowest >= 15, "{lowest}");
        let (low, high) = seated.bounds_angstrom().unwrap();
        assert!(high.y.abs() < 1e-6);
        // The height was 32: 22.4 are left, down to a whole row.
        assert!((-low.y - 22.0).abs() < 1e-6, "{}", low.y);
    }

    #[test]
    fn atoms_on_the_facet_are_taken_off() {
        let mut rough = particle();
        let stray = DVec2::from_angle(20.0_f64.to_radians()).rotate(DVec2::new(18.0, 0.0));
        rough.atoms.push(Atom::new(Element::CARBON, stray.extend(0.0)));
        rough.atoms.push(Atom::new(Element::CARBON, (-stray).extend(0.0)));
        let before = rough.atoms.len();
        seat(&mut rough, Facet::Longest, 0.0, &mut SeedPath::new(1).stream()).unwrap();
        assert_eq!(rough.atoms.len(), before - 1);
        let one = Structure { atoms: vec![Atom::new(Element::CARBON, DVec3::ONE)], cell: None };
        seat(&mut one.clone(), Facet::Random, 0.5, &mut SeedPath::new(1).stream()).unwrap();
    }
}
