//! Truncated single crystals and twins: sites of an fcc lattice between faces.
//!
//! A particle is the intersection of half-spaces `n . r <= d`, one for each {100} and {111} normal and, where asked
//! for, each {110} normal. A twin plane mirrors all that lies beyond it, lattice and faces alike: for a plane with
//! normal `t` at `t . r = h`, a place `r` beyond it is filled if its mirror image `r - 2 (t . r - h) t` is a site of
//! the lattice. Beyond a second, parallel plane the original orientation comes back, moved along `t`.

use atomlens_core::glam::DVec3;

/// A face of the particle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Face {
    /// Unit normal, outwards.
    pub(crate) normal: DVec3,
    /// Distance from the centre, in angstrom.
    pub(crate) distance_angstrom: f64,
}

/// Unit normals of a family of faces: all permutations and signs of the given indices.
pub(crate) fn family(indices: [i32; 3]) -> Vec<DVec3> {
    let mut normals = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8 {
            let component = |axis: usize| {
                let sign = if signs >> axis & 1 == 0 { 1.0 } else { -1.0 };
                sign * f64::from(indices[order[axis]])
            };
            let normal = DVec3::new(component(0), component(1), component(2)).normalize();
            if !normals.iter().any(|known: &DVec3| known.distance(normal) < 1e-9) {
                normals.push(normal);
            }
        }
    }
    normals
}

/// A particle's lattice, faces and twin planes; the particle's centre is the origin.
#[derive(Debug, Clone)]
pub(crate) struct Crystal {
    /// Edge of the cubic cell, in angstrom.
    pub(crate) lattice_constant_angstrom: f64,
    /// Place of the particle's centre relative to a lattice point, in angstrom.
    pub(crate) centre_angstrom: DVec3,
    /// Faces, among them {100} or {111} on all sides so that the body is closed.
    pub(crate) faces: Vec<Face>,
    /// Normal of the twin planes, a unit {111} normal.
    pub(crate) twin_normal: DVec3,
    /// Places of the twin planes along the normal, in angstrom from the centre, rising; each in an atomic layer.
    pub(crate) twin_planes_angstrom: Vec<f64>,
}

impl Crystal {
    /// The atomic layer nearest to a height above the centre along the twin normal, in angstrom.
    pub(crate) fn layer_near(&self, height_angstrom: f64) -> f64 {
        let spacing = self.layer_spacing();
        let offset = -self.centre_angstrom.dot(self.twin_normal);
        offset + ((height_angstrom - offset) / spacing).round() * spacing
    }

    /// Distance between {111} layers, in angstrom.
    pub(crate) fn layer_spacing(&self) -> f64 {
        self.lattice_constant_angstrom / 3.0_f64.sqrt()
    }

    /// Sites up to `margin_angstrom` outside the faces, and whether each lies inside them.
    pub(crate) fn sites(&self, margin_angstrom: f64) -> (Vec<DVec3>, Vec<bool>) {
        // A face through a layer of atoms keeps them.
        const TOLERANCE_ANGSTROM: f64 = 1e-6;
        let mut places = Vec::new();
        let mut inside = Vec::new();
        for segment in 0..=self.twin_planes_angstrom.len() {
            let below = segment.checked_sub(1).map_or(f64::NEG_INFINITY, |plane| self.twin_planes_angstrom[plane]);
            let above = self.twin_planes_angstrom.get(segment).copied().unwrap_or(f64::INFINITY);
            let mirrored = segment % 2 == 1;
            let reach = self.reach(margin_angstrom);
            self.visit_lattice(reach, segment, |point| {
                let height = point.dot(self.twin_normal);
                // The layer of a twin plane belongs to both sides; it is counted with the side below.
                if height <= below + TOLERANCE_ANGSTROM || height > above + TOLERANCE_ANGSTROM {
                    return;
                }
                let outside = self.outside(point, mirrored);
                if outside <= margin_angstrom {
                    places.push(point);
                    inside.push(outside <= TOLERANCE_ANGSTROM);
                }
            });
        }
        (places, inside)
    }

    /// How far a place lies outside the faces, in angstrom; negative inside.
    fn outside(&self, place: DVec3, mirrored: bool) -> f64 {
        let seen = if mirrored { self.mirror(place, 0.0) } else { place };
        self.faces.iter().map(|face| seen.dot(face.normal) - face.distance_angstrom).fold(f64::NEG_INFINITY, f64::max)
    }

    fn mirror(&self, place: DVec3, height: f64) -> DVec3 {
        place - 2.0 * (place.dot(self.twin_normal) - height) * self.twin_normal
    }

    /// Radius of a sphere about the centre that holds all places up to `margin_angstrom` outside the faces.
    fn reach(&self, margin_angstrom: f64) -> f64 {
        // Such a body lies within the cube of its {100} faces or the octahedron of its {111} faces; the corners of
        // either are sqrt(3) times as far away as its farthest face.
        let farthest = self.faces.iter().map(|face| face.distance_angstrom).fold(0.0, f64::max);
        3.0_f64.sqrt() * (farthest + margin_angstrom)
    }

    /// Calls `visit` for the lattice points of a twin segment within `reach` of the centre.
    fn visit_lattice(&self, reach: f64, segment: usize, mut visit: impl FnMut(DVec3)) {
        let half = self.lattice_constant_angstrom / 2.0;
        // Undo the segment's mirrors to find the point's place in the lattice of the first segment.
        let untwin = |place: DVec3| {
            self.twin_planes_angstrom[..segment].iter().rev().fold(place, |place, &height| self.mirror(place, height))
        };
        let retwin = |place: DVec3| {
            self.twin_planes_angstrom[..segment].iter().fold(place, |place, &height| self.mirror(place, height))
        };
        let middle = untwin(DVec3::ZERO) + self.centre_angstrom;
        let low = ((middle - reach) / half).to_array().map(|index| index.floor() as i64);
        let high = ((middle + reach) / half).to_array().map(|index| index.ceil() as i64);
        for i in low[0]..=high[0] {
            for j in low[1]..=high[1] {
                for k in low[2]..=high[2] {
                    if (i + j + k) % 2 == 0 {
                        let place = DVec3::new(i as f64, j as f64, k as f64) * half - self.centre_angstrom;
                        let place = retwin(place);
                        if place.length_squared() <= reach * reach {
                            visit(place);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::particle::sites::{BOND_REACH, Sites};

    /// A crystal with all faces of a family at the same distance, in units of half the cell's edge.
    fn crystal(distance_100: f64, distance_111: f64) -> Crystal {
        let faces = family([1, 0, 0])
            .into_iter()
            .map(|normal| Face { normal, distance_angstrom: distance_100 * 2.04 })
            .chain(
                family([1, 1, 1])
                    .into_iter()
                    .map(|normal| Face { normal, distance_angstrom: distance_111 * 2.04 / 3.0_f64.sqrt() }),
            )
            .collect();
        Crystal {
            lattice_constant_angstrom: 4.08,
            centre_angstrom: DVec3::ZERO,
            faces,
            twin_normal: DVec3::ONE.normalize(),
            twin_planes_angstrom: Vec::new(),
        }
    }

    fn atoms(crystal: &Crystal) -> Vec<DVec3> {
        let (places, inside) = crystal.sites(3.0);
        places.into_iter().zip(inside).filter(|(_, inside)| *inside).map(|(place, _)| place).collect()
    }

    #[test]
    fn families_have_their_members() {
        assert_eq!([[1, 0, 0], [1, 1, 1], [1, 1, 0]].map(|indices| family(indices).len()), [6, 8, 12]);
    }

    #[test]
    fn closed_shells_have_magic_numbers() {
        // Cuboctahedra (and icosahedra): (10 n^3 + 15 n^2 + 11 n + 3) / 3. The 923 of six shells is what ASE 3.29 has
        // for FaceCenteredCubic("Au", [(1, 0, 0), (1, 1, 1)], [6, 6]).
        for (shells, count) in [(1, 13), (2, 55), (3, 147), (4, 309), (5, 561), (6, 923)] {
            let shells = f64::from(shells);
            assert_eq!(atoms(&crystal(shells, 2.0 * shells)).len(), count);
        }
        // Octahedra with an even edge are centred on an octahedral hole, those with an odd edge on an atom:
        // n (2 n^2 + 1) / 3, as ASE's Octahedron("Au", n).
        for (edge, count) in [(3, 19), (5, 85)] {
            let edge = f64::from(edge);
            assert_eq!(atoms(&crystal(edge, edge - 1.0)).len(), count);
        }
        for (edge, count) in [(2, 6), (4, 44), (6, 146)] {
            let edge = f64::from(edge);
            let hole = Crystal { centre_angstrom: DVec3::X * 2.04, ..crystal(edge, edge - 1.0) };
            assert_eq!(atoms(&hole).len(), count);
        }
    }

    #[test]
    fn bonds_have_one_length_across_twin_planes() {
        let nearest = 4.08 / 2.0_f64.sqrt();
        let mut twin = Crystal { centre_angstrom: DVec3::new(0.3, 0.7, -0.4), ..crystal(8.0, 13.0) };
        for lamella in [0, 1, 3] {
            let first = twin.layer_near(1.0);
            let second = first + f64::from(lamella) * twin.layer_spacing();
            twin.twin_planes_angstrom = if lamella == 0 { vec![first] } else { vec![first, second] };
            let sites = Sites::new(atoms(&twin), BOND_REACH * nearest);
            let mut full = 0;
            for site in 0..sites.len() {
                let place = sites.places_angstrom()[site];
                for &other in sites.neighbours(site) {
                    assert!((sites.places_angstrom()[other as usize].distance(place) - nearest).abs() < 1e-9);
                }
                assert!(sites.neighbours(site).len() <= 12);
                full += usize::from(sites.neighbours(site).len() == 12);
            }
            assert!(2 * full > sites.len(), "{full} of {} atoms have twelve neighbours", sites.len());
        }
    }
}
