//! The bond graph of a sheet and its faces.
//!
//! Bonds are the edges of the relative neighbourhood graph (G. T. Toussaint, *Pattern Recognit.* 12, 261 (1980),
//! doi:10.1016/0031-3203(80)90066-7) that are not much longer than the sheet's own bonds: two columns are bonded if no
//! third is nearer to both. Such a graph is planar, keeps the three bonds of a honeycomb under any scatter that leaves
//! neighbours neighbours, and has no diagonals in rings of four to seven. Its faces are walked by always taking the
//! next bond clockwise, so that a face that is a ring comes out counter-clockwise (on axes with y upwards) and has a positive area,
//! and the outside of each connected piece clockwise.

use atomlens_core::glam::DVec2;

use crate::neighbours::Neighbours;

/// The longest bond, in units of the usual one; second neighbours are at 1.73.
const LONGEST_BOND: f64 = 1.4;

/// The largest face that is called a ring; a single vacancy leaves one of 12.
pub(super) const LARGEST_RING: usize = 8;

/// The columns' bonds.
#[derive(Debug, Clone)]
pub(super) struct BondGraph {
    pub(super) places: Vec<DVec2>,
    pub(super) bond_angstrom: f64,
    /// Bonded columns of each column, by direction, counter-clockwise.
    pub(super) bonds: Vec<Vec<usize>>,
}

/// A face of the graph without its dangling bonds.
#[derive(Debug, Clone)]
pub(super) struct Face {
    /// Columns in the order of the walk.
    pub(super) columns: Vec<usize>,
    /// Negative for the outside.
    pub(super) area_angstrom2: f64,
    pub(super) middle: DVec2,
}

impl Face {
    pub(super) fn is_ring(&self) -> bool {
        let mut sorted = self.columns.clone();
        sorted.sort_unstable();
        sorted.dedup();
        self.area_angstrom2 > 0.0 && self.columns.len() <= LARGEST_RING && sorted.len() == self.columns.len()
    }
}

/// The median over all columns of the distance to the second nearest other: of the three bonds of a honeycomb the one in the
/// middle, which scatter does not shorten. `None` for fewer than three columns.
pub(super) fn bond_length_angstrom(places: &[DVec2]) -> Option<f64> {
    if places.len() < 3 {
        return None;
    }
    let extent = places
        .iter()
        .fold([DVec2::INFINITY, DVec2::NEG_INFINITY], |[low, high], &place| [low.min(place), high.max(place)]);
    let size = (extent[1] - extent[0]).max(DVec2::splat(1e-3));
    let first_reach = 2.0 * (size.x * size.y / places.len() as f64).sqrt();
    let grid = Neighbours::new(places, first_reach);
    let mut seconds: Vec<f64> = (0..places.len())
        .filter_map(|index| {
            let mut near: Vec<f64> =
                grid.within(places[index], first_reach).filter(|&(other, _)| other != index).map(|(_, d)| d).collect();
            (near.len() > 1).then(|| near.select_nth_unstable_by(1, f64::total_cmp).1.sqrt())
        })
        .collect();
    if seconds.is_empty() {
        return None;
    }
    let middle = seconds.len() / 2;
    Some(*seconds.select_nth_unstable_by(middle, f64::total_cmp).1)
}

impl BondGraph {
    /// Bonds the columns that `take` says; the others keep their index and have no bond.
    pub(super) fn new(places: Vec<DVec2>, bond_angstrom: f64, take: impl Fn(usize) -> bool) -> BondGraph {
        let reach = LONGEST_BOND * bond_angstrom;
        let grid = Neighbours::new(&places, reach);
        let near: Vec<Vec<(usize, f64)>> = (0..places.len())
            .map(|index| {
                if !take(index) {
                    return Vec::new();
                }
                grid.within(places[index], reach).filter(|&(other, _)| other != index && take(other)).collect()
            })
            .collect();
        let bonds = (0..places.len())
            .map(|index| {
                let free = |&&(other, far): &&(usize, f64)| {
                    !near[index].iter().any(|&(third, to_third)| {
                        third != other && to_third < far && places[third].distance_squared(places[other]) < far
                    })
                };
                let mut bonds: Vec<usize> = near[index].iter().filter(free).map(|&(other, _)| other).collect();
                let angle = |other: usize| (places[other] - places[index]).to_angle();
                bonds.sort_by(|&a, &b| angle(a).total_cmp(&angle(b)).then(a.cmp(&b)));
                bonds
            })
            .collect();
        BondGraph { places, bond_angstrom, bonds }
    }

    /// Bonds as pairs, ascending.
    pub(super) fn pairs(&self) -> Vec<[usize; 2]> {
        let mut pairs: Vec<[usize; 2]> = self
            .bonds
            .iter()
            .enumerate()
            .flat_map(|(index, bonds)| bonds.iter().filter(move |&&other| other > index).map(move |&o| [index, o]))
            .collect();
        pairs.sort_unstable();
        pairs
    }

    /// Threefold order of the bonds of a column with three of them: `mean exp(3 i angle)`, as a vector. Of length 1
    /// for angles of 120 degrees.
    pub(super) fn threefold(&self, index: usize) -> Option<DVec2> {
        let bonds = &self.bonds[index];
        if bonds.len() != 3 {
            return None;
        }
        let turn = |other: usize| DVec2::from_angle(3.0 * (self.places[other] - self.places[index]).to_angle());
        Some(bonds.iter().map(|&other| turn(other)).sum::<DVec2>() / 3.0)
    }

    /// The faces, dangling bonds left out, each once, in the order of the bonds that they were met at.
    pub(super) fn faces(&self) -> Vec<Face> {
        let bonds = self.without_dangling();
        let starts: Vec<usize> = bonds
            .iter()
            .scan(0, |total, bonds| {
                let start = *total;
                *total += bonds.len();
                Some(start)
            })
            .collect();
        let count: usize = bonds.iter().map(Vec::len).sum();
        let mut walked = vec![false; count];
        let mut faces = Vec::new();
        for from in 0..bonds.len() {
            for nth in 0..bonds[from].len() {
                if walked[starts[from] + nth] {
                    continue;
                }
                let (mut at, mut out) = (from, nth);
                let mut columns = Vec::new();
                while !walked[starts[at] + out] {
                    walked[starts[at] + out] = true;
                    columns.push(at);
                    let next = bonds[at][out];
                    let back = bonds[next].iter().position(|&other| other == at).expect("bonds are mutual");
                    // The next one clockwise from the way back.
                    out = (back + bonds[next].len() - 1) % bonds[next].len();
                    at = next;
                }
                faces.push(self.face(columns));
            }
        }
        faces
    }

    fn face(&self, columns: Vec<usize>) -> Face {
        let origin = self.places[columns[0]];
        let at = |index: usize| self.places[columns[index % columns.len()]] - origin;
        let area = 0.5 * (0..columns.len()).map(|index| at(index).perp_dot(at(index + 1))).sum::<f64>();
        let middle = origin + (0..columns.len()).map(at).sum::<DVec2>() / columns.len() as f64;
        Face { columns, area_angstrom2: area, middle }
    }

    /// The bonds that lie on a cycle or between cycles.
    fn without_dangling(&self) -> Vec<Vec<usize>> {
        let mut degree: Vec<usize> = self.bonds.iter().map(Vec::len).collect();
        let mut queue: Vec<usize> = (0..degree.len()).filter(|&index| degree[index] == 1).collect();
        let mut gone = vec![false; degree.len()];
        while let Some(index) = queue.pop() {
            gone[index] = true;
            for &other in self.bonds[index].iter().filter(|&&other| !gone[other]) {
                degree[other] -= 1;
                if degree[other] == 1 {
                    queue.push(other);
                }
            }
        }
        let kept = |bonds: &Vec<usize>| bonds.iter().copied().filter(|&other| !gone[other]).collect();
        self.bonds.iter().enumerate().map(|(index, bonds)| if gone[index] { Vec::new() } else { kept(bonds) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;
    use rand_distr::{Distribution, Normal};

    use super::*;

    /// Every column of a honeycomb patch of `n` by `n` cells, bonds of `bond`.
    fn honeycomb(n: i32, bond: f64) -> Vec<DVec2> {
        let (a, b) = (bond * DVec2::new(3.0_f64.sqrt(), 0.0), bond * DVec2::new(0.75_f64.sqrt(), 1.5));
        let cell = |u: i32, v: i32| f64::from(u) * a + f64::from(v) * b;
        (0..n).flat_map(|v| (0..n).flat_map(move |u| [cell(u, v), cell(u, v) + (a + b) / 3.0])).collect()
    }

    fn sizes(graph: &BondGraph) -> Vec<usize> {
        let mut sizes: Vec<usize> =
            graph.faces().iter().filter(|face| face.area_angstrom2 > 0.0).map(|face| face.columns.len()).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn a_honeycomb_has_hexagons_whatever_the_scatter() {
        for (scatter, seed) in [(0.0, 1), (0.1, 2), (0.1, 3)] {
            let normal = Normal::new(0.0, scatter).unwrap();
            let mut random = SeedPath::new(seed).stream();
            let places: Vec<DVec2> = honeycomb(12, 1.42)
                .into_iter()
                .map(|place| place + DVec2::new(normal.sample(&mut random), normal.sample(&mut random)))
                .collect();
            let bond = bond_length_angstrom(&places).unwrap();
            assert!((bond - 1.42).abs() < 0.02, "{bond}");
            let graph = BondGraph::new(places, bond, |_| true);
            // Patches of n x n cells enclose (n - 1)^2 hexagons.
            assert_eq!(sizes(&graph), vec![6; 121]);
            // Euler: V - E + F = 1 + C, the outside being one of the faces; two corners are dangling.
            let faces = graph.faces();
            assert_eq!(graph.places.len() - graph.pairs().len() + faces.len(), 2);
            let area: f64 = faces.iter().map(|face| face.area_angstrom2).sum();
            assert!(area.abs() < 1e-9, "inside and outside are the same area: {area}");
        }
    }

    #[test]
    fn a_vacancy_is_a_gap_of_twelve_and_what_is_left_out_has_no_bonds() {
        let places = honeycomb(10, 1.82);
        let gone = 2 * (5 * 10 + 5);
        let graph = BondGraph::new(places, 1.82, |index| index != gone);
        let mut expected = vec![6; 78];
        expected.push(12);
        assert_eq!(sizes(&graph), expected);
        assert!(graph.bonds[gone].is_empty());
        let gap = graph.faces().into_iter().find(|face| face.columns.len() == 12).unwrap();
        assert!(!gap.is_ring() && gap.middle.distance(graph.places[gone]) < 1e-9);
        // Three hexagons of 3 sqrt(3) / 2 b^2.
        assert!((gap.area_angstrom2 - 9.0 * 0.75_f64.sqrt() * 1.82 * 1.82).abs() < 1e-9);
    }

    #[test]
    fn few_columns_have_no_length() {
        assert_eq!(bond_length_angstrom(&[DVec2::ZERO, DVec2::X]), None);
        assert!(BondGraph::new(vec![DVec2::ZERO], 1.0, |_| true).faces().is_empty());
    }
}
