//! Icosahedra: twenty fcc tetrahedra, twinned on {111}, about a point (Mackay 1962, doi:10.1107/S0365110X6200239X).
//!
//! Vertices, edges and faces of each shell hold atoms at even distances. Twenty regular tetrahedra do not quite close;
//! stretched to fit, bonds within a shell are 1 / sin(72 degrees) = 1.051 times those between shells. The scale is
//! chosen so that the density is that of the bulk: bonds within shells 2.6 % longer, between shells 2.4 % shorter.

use atomlens_core::glam::DVec3;

/// Bonds between shells, in bulk nearest-neighbour distances, that keep the bulk's density.
pub(crate) fn radial_bond() -> f64 {
    // N shells with bonds e within them have a volume of 5 (3 + sqrt 5) / 12 (N e)^3 and 10 N^3 / 3 atoms.
    let volume_an_atom = 5.0 * (3.0 + 5.0_f64.sqrt()) / 12.0 / (10.0 / 3.0);
    let tangential = (0.5_f64.sqrt() / volume_an_atom).cbrt();
    tangential * (2.0 * std::f64::consts::PI / 5.0).sin()
}

/// Distance between {111} faces one shell apart, in nearest-neighbour distances.
pub(crate) fn face_spacing() -> f64 {
    let vertices = vertices();
    let [a, b, c] = faces()[0];
    ((vertices[a] + vertices[b] + vertices[c]) / 3.0).length() * radial_bond()
}

/// Unit vectors to the twelve vertices.
pub(crate) fn vertices() -> [DVec3; 12] {
    let golden = (1.0 + 5.0_f64.sqrt()) / 2.0;
    std::array::from_fn(|index| {
        let one = if index & 1 == 0 { 1.0 } else { -1.0 };
        let other = if index & 2 == 0 { golden } else { -golden };
        let vertex = match index / 4 {
            0 => DVec3::new(0.0, one, other),
            1 => DVec3::new(one, other, 0.0),
            _ => DVec3::new(other, 0.0, one),
        };
        vertex.normalize()
    })
}

fn edges() -> Vec<[usize; 2]> {
    let vertices = vertices();
    // Neighbouring vertices are 63.4 degrees apart, the next ones 116.6.
    let near = |a: usize, b: usize| vertices[a].dot(vertices[b]) > 0.0;
    (0..12).flat_map(|a| (a + 1..12).map(move |b| [a, b])).filter(|&[a, b]| near(a, b)).collect()
}

/// The twenty faces, as three vertices each.
pub(crate) fn faces() -> Vec<[usize; 3]> {
    let edges = edges();
    edges
        .iter()
        .flat_map(|&[a, b]| (b + 1..12).map(move |c| [a, b, c]))
        .filter(|&[a, b, c]| edges.contains(&[a, c]) && edges.contains(&[b, c]))
        .collect()
}

/// Sites of all shells up to `margin` outside the faces, and whether each lies inside them. `shells[f]` is the number
/// of shells (0 for the central atom alone) below face `f` of [`faces`]; an atom on an edge or a vertex stays if any of
/// its faces reaches out to it.
pub(crate) fn sites(shells: &[u32], nearest_angstrom: f64, margin: u32) -> (Vec<DVec3>, Vec<bool>) {
    let (vertices, edges, faces) = (vertices(), edges(), faces());
    let bond = radial_bond() * nearest_angstrom;
    let reach = |corners: &[usize]| {
        let touching = |face: &[usize; 3]| corners.iter().all(|corner| face.contains(corner));
        (faces.iter().zip(shells)).filter(|(face, _)| touching(face)).map(|(_, &shells)| shells).max().unwrap_or(0)
    };
    let mut places = vec![DVec3::ZERO];
    let mut inside = vec![true];
    let outermost = shells.iter().max().copied().unwrap_or(0) + margin;
    let mut add = |place: DVec3, shell: u32, reach: u32| {
        if shell <= reach + margin {
            places.push(place * bond);
            inside.push(shell <= reach);
        }
    };
    for shell in 1..=outermost {
        let n = f64::from(shell);
        for (index, &vertex) in vertices.iter().enumerate() {
            add(vertex * n, shell, reach(&[index]));
        }
        for &[a, b] in &edges {
            let limit = reach(&[a, b]);
            for i in 1..shell {
                add(vertices[a] * f64::from(shell - i) + vertices[b] * f64::from(i), shell, limit);
            }
        }
        for &[a, b, c] in &faces {
            let limit = reach(&[a, b, c]);
            for i in 1..shell {
                for j in 1..shell - i {
                    let k = shell - i - j;
                    let place = vertices[a] * f64::from(i) + vertices[b] * f64::from(j) + vertices[c] * f64::from(k);
                    add(place, shell, limit);
                }
            }
        }
    }
    (places, inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::particle::sites::{BOND_REACH, Sites};

    #[test]
    fn shells_have_magic_numbers() {
        assert_eq!((edges().len(), faces().len()), (30, 20));
        for (shells, count) in [(0, 1), (1, 13), (2, 55), (3, 147), (4, 309), (5, 561), (6, 923)] {
            let (places, inside) = sites(&[shells; 20], 2.88, 2);
            assert_eq!(inside.iter().filter(|inside| **inside).count(), count);
            // With the margin it is the icosahedron of two more shells.
            let n = (shells + 2) as usize;
            assert_eq!(places.len(), (10 * n.pow(3) + 15 * n.pow(2) + 11 * n + 3) / 3);
        }
    }

    #[test]
    fn bonds_within_shells_are_longer_than_between_them() {
        let (places, _) = sites(&[5; 20], 1.0, 0);
        let sites = Sites::new(places, BOND_REACH);
        assert_eq!(sites.neighbours(0).len(), 12);
        let mut bonds = Vec::new();
        for site in 0..sites.len() {
            assert!(sites.neighbours(site).len() <= 12);
            for &other in sites.neighbours(site) {
                bonds.push(sites.places_angstrom()[site].distance(sites.places_angstrom()[other as usize]));
            }
        }
        bonds.sort_unstable_by(f64::total_cmp);
        let (shortest, longest) = (bonds[0], bonds[bonds.len() - 1]);
        assert!((longest / shortest - 1.0515).abs() < 1e-4, "{shortest} {longest}");
        assert!((shortest - 0.976).abs() < 1e-3 && (longest - 1.026).abs() < 1e-3, "{shortest} {longest}");
    }
}
