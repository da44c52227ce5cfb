//! Telling atomic columns apart: atoms that lie over one another along the beam.
//!
//! Done on the zone axis, before the tilt, because a tilt shears columns into one another. The rule:
//!
//! 1. Atoms whose projections are within the tolerance of each other are linked, and linked atoms form a column, of
//!    whatever elements. In a crystal on a zone axis, even a strained one, that is all.
//! 2. Where a chain of links is wider than twice the tolerance (no clean columns: an icosahedron or the far side of
//!    a twin away from its axis, an amorphous region), it is split: the atom with the most unassigned atoms of the chain
//!    within the tolerance takes these as a column, and so on until none is left. Every atom ends in a column, none
//!    farther than the tolerance from that atom.
//!
//! Columns are numbered in the order of their first atom. The work is O(n log n) with a square grid.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use atomlens_core::Structure;
use atomlens_core::glam::DVec2;

/// Tolerance that suits fcc metals, oxides and sheets on low-index zone axes: half of the shortest distance between
/// columns that a microscope resolves, and well above the strains that a surface causes.
pub const TOLERANCE_ANGSTROM: f64 = 0.5;

/// Assigns every atom of a structure to a column, numbered from 0, and returns the number of columns.
pub fn assign(structure: &mut Structure, tolerance_angstrom: f64) -> usize {
    let places: Vec<DVec2> = structure.atoms.iter().map(|atom| atom.position_angstrom.truncate()).collect();
    let (columns, count) = cluster(&places, tolerance_angstrom);
    for (atom, column) in structure.atoms.iter_mut().zip(columns) {
        atom.column = Some(column);
    }
    count
}

/// The column of each place, and the number of columns; see the module for the rule.
pub fn cluster(places_angstrom: &[DVec2], tolerance_angstrom: f64) -> (Vec<u32>, usize) {
    let grid = Squares::new(places_angstrom, tolerance_angstrom);
    let mut chains = Chains::new(places_angstrom.len());
    for (index, &place) in places_angstrom.iter().enumerate() {
        grid.visit(place, |other| {
            // Asking who is already linked first spares most distances in tall columns.
            if other > index
                && !chains.linked(index, other)
                && places_angstrom[other].distance_squared(place) <= tolerance_angstrom.powi(2)
            {
                chains.link(index, other);
            }
        });
    }

    let mut members: Vec<Vec<usize>> = vec![Vec::new(); places_angstrom.len()];
    for index in 0..places_angstrom.len() {
        let root = chains.root(index);
        members[root].push(index);
    }
    let mut label = vec![usize::MAX; places_angstrom.len()];
    for chain in members.iter().filter(|chain| !chain.is_empty()) {
        let low = chain.iter().map(|&index| places_angstrom[index]).reduce(DVec2::min).unwrap_or_default();
        let high = chain.iter().map(|&index| places_angstrom[index]).reduce(DVec2::max).unwrap_or_default();
        if (high - low).max_element() <= 2.0 * tolerance_angstrom {
            for &index in chain {
                label[index] = chain[0];
            }
        } else {
            split(chain, places_angstrom, &grid, &mut label);
        }
    }

    let mut number = vec![u32::MAX; places_angstrom.len()];
    let mut count = 0;
    let columns = label
        .iter()
        .map(|&label| {
            if number[label] == u32::MAX {
                number[label] = count;
                count += 1;
            }
            number[label]
        })
        .collect();
    (columns, count as usize)
}

/// Splits a chain that is too wide; labels its places by the atom that each column is drawn about.
fn split(chain: &[usize], places: &[DVec2], grid: &Squares, label: &mut [usize]) {
    let within = |centre: usize, label: &[usize]| {
        let mut found = Vec::new();
        grid.visit(places[centre], |other| {
            let near = places[other].distance_squared(places[centre]) <= grid.edge.powi(2);
            if near && label[other] == usize::MAX {
                found.push(other);
            }
        });
        found
    };
    let mut queue: BinaryHeap<(usize, Reverse<usize>)> =
        chain.iter().map(|&index| (within(index, label).len(), Reverse(index))).collect();
    while let Some((count, Reverse(centre))) = queue.pop() {
        if label[centre] != usize::MAX {
            continue;
        }
        let found = within(centre, label);
        if found.len() < count {
            // Others have taken some of them meanwhile; it must wait for its turn.
            queue.push((found.len(), Reverse(centre)));
            continue;
        }
        for index in found {
            label[index] = centre;
        }
    }
}

/// Places sorted into squares of a grid.
struct Squares {
    edge: f64,
    ordered: Vec<([i64; 2], u32)>,
}

impl Squares {
    fn new(places: &[DVec2], edge: f64) -> Squares {
        let mut ordered: Vec<_> =
            places.iter().enumerate().map(|(index, &place)| (square(place, edge), index as u32)).collect();
        ordered.sort_unstable();
        Squares { edge, ordered }
    }

    /// Calls `visit` for every place in the square of `place` and the eight around it.
    fn visit(&self, place: DVec2, mut visit: impl FnMut(usize)) {
        let [x, y] = square(place, self.edge);
        for dx in -1..=1 {
            let start = self.ordered.partition_point(|(key, _)| *key < [x + dx, y - 1]);
            for &(_, index) in self.ordered[start..].iter().take_while(|(key, _)| *key <= [x + dx, y + 1]) {
                visit(index as usize);
            }
        }
    }
}

fn square(place: DVec2, edge: f64) -> [i64; 2] {
    (place / edge).to_array().map(|index| index.floor() as i64)
}

/// Disjoint sets with path halving; the lowest member is the root.
struct Chains(Vec<usize>);

impl Chains {
    fn new(count: usize) -> Chains {
        Chains((0..count).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn linked(&mut self, a: usize, b: usize) -> bool {
        self.root(a) == self.root(b)
    }

    fn link(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_of_columns_with_scatter_is_told_apart() {
        // 6 x 6 columns 1.4 apart, ten atoms each, scattered by up to 0.15, in an order that mixes the columns.
        let mut places = Vec::new();
        for layer in 0..10 {
            for i in 0..6 {
                for j in 0..6 {
                    let t = f64::from(layer * 36 + i * 6 + j);
                    let scatter = DVec2::new((t * 0.618).fract() - 0.5, (t * 0.414).fract() - 0.5) * 0.3;
                    places.push(DVec2::new(f64::from(i), f64::from(j)) * 1.4 + scatter);
                }
            }
        }
        let (columns, count) = cluster(&places, 0.5);
        assert_eq!(count, 36);
        for (index, column) in columns.iter().enumerate() {
            assert_eq!(*column as usize, index % 36);
        }
    }

    #[test]
    fn a_smear_is_cut_into_columns_no_wider_than_twice_the_tolerance() {
        let places: Vec<DVec2> = (0..500).map(|i| DVec2::new(f64::from(i) * 0.02, 0.0)).collect();
        let (columns, count) = cluster(&places, 0.5);
        assert!((10..=20).contains(&count), "{count}");
        for column in 0..count as u32 {
            let xs: Vec<f64> =
                places.iter().zip(&columns).filter(|(_, c)| **c == column).map(|(place, _)| place.x).collect();
            assert!(!xs.is_empty());
            let width = xs.iter().copied().fold(f64::MIN, f64::max) - xs.iter().copied().fold(f64::MAX, f64::min);
            assert!(width <= 1.0 + 1e-12);
        }
    }

    #[test]
    fn nothing_and_one_are_no_trouble() {
        assert_eq!(cluster(&[], 0.5), (vec![], 0));
        assert_eq!(cluster(&[DVec2::new(-3.2, 1.0)], 0.5), (vec![0], 1));
    }
}
