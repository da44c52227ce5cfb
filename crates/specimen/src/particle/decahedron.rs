//! Decahedra: five fcc crystals, twinned on {111}, about a common `[110]` axis.
//!
//! Two {111} planes of an fcc crystal meet in `[110]` at 70.53 degrees; five such wedges leave a gap of 7.35 degrees. Here
//! each wedge is stretched evenly to 72 degrees and shrunk to keep its cross-section, so that the density is that of
//! the bulk (the disclination's strain, spread evenly; de Wit 1972, doi:10.1088/0022-3719/5/5/004). A row of atoms is
//! named by its wedge and two counts `i >= 1`, `j >= 0` along the two twin planes; its atoms are one
//! nearest-neighbour distance apart, shifted by half of that where `i + j` is odd. Faces: {100} where `i + j` is
//! constant, the notches of Marks (1984, doi:10.1080/01418618408233431) where `i` or `j` is constant, and {111} caps
//! where the height falls by half a distance with each row outwards.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use atomlens_core::glam::DVec3;

/// The faces of a decahedron, counted in rows and layers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decahedron {
    /// For each wedge the outermost row: `i + j` up to this.
    pub(crate) rows: [i32; 5],
    /// For each twin plane how many rows short of the edge its notch begins; 0 for a sharp edge.
    pub(crate) notches: [i32; 5],
    /// For each wedge the caps above and below: an atom at height `z` nearest-neighbour distances above the middle
    /// stays if `2 z + i + j` is at most the first and `-2 z + i + j` at most the second.
    pub(crate) caps: [[i32; 2]; 5],
}

/// Distance between neighbouring rows along a twin plane, in nearest-neighbour distances.
pub(crate) fn row_spacing() -> f64 {
    // sin(70.53 degrees) = 2 sqrt(2) / 3; unstretched, rows in a {111} plane are sqrt(3) / 2 apart.
    let shrink = (2.0 * 2.0_f64.sqrt() / 3.0 / (2.0 * PI / 5.0).sin()).sqrt();
    shrink * 3.0_f64.sqrt() / 2.0
}

/// Distance between {100} faces one row apart, in nearest-neighbour distances.
pub(crate) fn face_spacing() -> f64 {
    row_spacing() * (PI / 5.0).cos()
}

/// A cap's distance from the centre, in nearest-neighbour distances, if it is moved by one in `caps`.
pub(crate) fn cap_spacing() -> f64 {
    let slope = 0.5 / face_spacing();
    0.5 / (1.0 + slope * slope).sqrt()
}

impl Decahedron {
    /// Sites up to `margin` rows outside the faces, and whether each lies inside them; the fivefold axis is z.
    pub(crate) fn sites(&self, nearest_angstrom: f64, margin: i32) -> (Vec<DVec3>, Vec<bool>) {
        let mut places = Vec::new();
        let mut inside = Vec::new();
        let highest = |side: usize| self.caps.iter().map(|cap| cap[side]).max().unwrap_or(0);
        let mut row = |wedge: usize, i: i32, j: i32| {
            let shell = i + j;
            let limit = self.rows[wedge];
            let (here, next) = (self.notches[wedge], self.notches[(wedge + 1) % 5]);
            let row_inside = shell <= limit && i <= limit - here && j <= limit - next;
            let angle = |step: usize| 2.0 * PI / 5.0 * (wedge + step) as f64;
            let along = |step: usize, count: i32| {
                let (sine, cosine) = angle(step).sin_cos();
                DVec3::new(cosine, sine, 0.0) * f64::from(count) * row_spacing()
            };
            let foot = along(0, i) + along(1, j);
            // Heights in halves, of the parity of the row.
            let [top, bottom] =
                if shell == 0 { [highest(0), highest(1)] } else { self.caps[wedge] }.map(|cap| cap - shell);
            let low = -(bottom + 2 * margin);
            for halves in low..=top + 2 * margin {
                if (halves - shell) % 2 == 0 {
                    places.push((foot + DVec3::Z * (f64::from(halves) / 2.0)) * nearest_angstrom);
                    inside.push(row_inside && halves <= top && -halves <= bottom);
                }
            }
        };
        row(0, 0, 0);
        for wedge in 0..5 {
            let outermost = self.rows[wedge] + margin;
            for i in 1..=outermost {
                for j in 0..=outermost - i {
                    row(wedge, i, j);
                }
            }
        }
        (places, inside)
    }
}

/// Nearest-neighbour distance of an unstrained fcc crystal, in units of the cell's edge.
pub(crate) const NEAREST: f64 = FRAC_1_SQRT_2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::particle::sites::{BOND_REACH, Sites};

    /// The decahedron that ASE calls `Decahedron(symbol, p, q, r)`.
    fn regular(p: i32, q: i32, r: i32) -> Decahedron {
        // On the axis there are p + q + 2 r - 1 atoms, one of them at the middle.
        let axis = p + q + 2 * r - 1;
        let caps = if axis % 2 == 0 { [axis, axis - 2] } else { [axis - 1; 2] };
        Decahedron { rows: [p + 2 * r - 1; 5], notches: [r; 5], caps: [caps; 5] }
    }

    fn count(decahedron: &Decahedron) -> usize {
        decahedron.sites(1.0, 2).1.iter().filter(|inside| **inside).count()
    }

    #[test]
    fn counts_agree_with_ase() {
        // From ASE 3.29: len(Decahedron("Au", p, q, r)).
        for (p, q, r, expected) in [(2, 1, 0, 7), (3, 1, 0, 23), (3, 2, 0, 39), (4, 2, 1, 247), (5, 3, 1, 484)] {
            assert_eq!(count(&regular(p, q, r)), expected, "Decahedron({p}, {q}, {r})");
        }
    }

    #[test]
    fn bonds_differ_by_the_strain_that_closes_the_gap() {
        let (places, inside) = regular(5, 3, 1).sites(1.0, 2);
        let places = places.into_iter().zip(inside).filter(|(_, inside)| *inside).map(|(place, _)| place).collect();
        let sites = Sites::new(places, BOND_REACH);
        let mut most = 0;
        for site in 0..sites.len() {
            for &other in sites.neighbours(site) {
                let bond = sites.places_angstrom()[site].distance(sites.places_angstrom()[other as usize]);
                assert!((0.99..1.02).contains(&bond), "{bond}");
            }
            most = most.max(sites.neighbours(site).len());
        }
        assert_eq!(most, 12);
    }

    #[test]
    fn the_density_is_that_of_the_bulk() {
        let area = row_spacing().powi(2) * (2.0 * PI / 5.0).sin();
        // One atom of an fcc crystal takes a^3 / 4 = nearest^3 / sqrt(2).
        assert!((area - FRAC_1_SQRT_2).abs() < 1e-12);
    }
}
