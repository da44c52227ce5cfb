//! The lattice of the particle itself, from the sites that are mostly filled.
//!
//! Vectors come from the columns alone; a lattice with more than one column in its cell is recognised by folding the
//! columns into the cell. The fit bends with the particle (`lattice::spacing`), so its places follow strain.

use atomlens_core::glam::{DMat2, DVec2};

use crate::lattice::spacing::LatticePlace;
use crate::lattice::{ColumnPlace, LatticeFit, Site, Zone, fit_lattice, lattice_vectors};

/// A lattice and which of the strong peaks lie on it.
#[derive(Debug, Clone)]
pub(super) struct OwnLattice {
    fit: LatticeFit,
    motif: usize,
    /// For each of the given places its number, `None` off the lattice.
    pub(super) numbers: Vec<Option<LatticePlace>>,
    /// Steps from a site to its neighbours, by the site's index in the cell.
    steps: Vec<Vec<LatticePlace>>,
    pub(super) neighbour_angstrom: f64,
}

/// Neighbours are as far as this, by the shortest distance.
const NEIGHBOUR_SHARE: f64 = 1.25;

/// Most columns of a cell.
const LARGEST_MOTIF: usize = 6;

impl OwnLattice {
    /// The lattice of most of these places, whose standard deviations are given; `None` if they have none.
    pub(super) fn of(places: &[ColumnPlace]) -> Option<OwnLattice> {
        let vectors = lattice_vectors(places).ok()?.vectors;
        let mut best: Option<OwnLattice> = None;
        for motif in [vec![DVec2::ZERO], folded(places, vectors)] {
            let zone = Zone {
                label: "of the sites".to_owned(),
                cell_angstrom: vectors,
                sites: motif.iter().map(|at| Site { fractional: *at, elements: Vec::new() }).collect(),
                reflections: Vec::new(),
            };
            let Ok(fit) = fit_lattice(places, &zone, 1.0) else { continue };
            // Places that the fit is not near to are not on it, whatever number they got.
            let numbers: Vec<Option<LatticePlace>> = fit
                .numbers
                .iter()
                .zip(places)
                .map(|(number, column)| number.filter(|number| fit.predicted(*number).distance(column.place) < 0.45))
                .collect();
            let count = numbers.iter().flatten().count();
            if best.as_ref().is_none_or(|best| count > best.numbered() + best.numbered() / 10) {
                best = Some(OwnLattice::with(fit, &motif, numbers));
            }
            if 10 * count >= 8 * places.len() {
                break;
            }
        }
        best
    }

    fn with(fit: LatticeFit, motif: &[DVec2], numbers: Vec<Option<LatticePlace>>) -> OwnLattice {
        let [a, b] = fit.vectors;
        let apart = |from: usize, n: i32, m: i32, to: usize| {
            let step = motif[to] - motif[from] + DVec2::new(f64::from(n), f64::from(m));
            (a * step.x + b * step.y).length()
        };
        let range = || (-2..=2).flat_map(|n| (-2..=2).map(move |m| (n, m)));
        let all = |from: usize| {
            range().flat_map(move |(n, m)| (0..motif.len()).map(move |site| (n, m, site))).filter_map(
                move |(n, m, site)| {
                    let length = apart(from, n, m, site);
                    (length > 1e-6).then_some((LatticePlace { n, m, site }, length))
                },
            )
        };
        let steps = (0..motif.len())
            .map(|from| {
                let shortest = all(from).map(|(_, length)| length).fold(f64::MAX, f64::min);
                all(from).filter(|(_, length)| *length < NEIGHBOUR_SHARE * shortest).map(|(step, _)| step).collect()
            })
            .collect();
        let neighbour_angstrom = fit.site_distance;
        OwnLattice { fit, motif: motif.len(), numbers, steps, neighbour_angstrom }
    }

    pub(super) fn numbered(&self) -> usize {
        self.numbers.iter().flatten().count()
    }

    /// Where a place of the lattice lies.
    pub(super) fn at(&self, place: LatticePlace) -> DVec2 {
        self.fit.predicted(place)
    }

    /// How far places lie from the fit, root mean square.
    pub(super) fn residual_angstrom(&self) -> f64 {
        self.fit.residual_rms
    }

    /// Neighbouring places.
    pub(super) fn neighbours(&self, place: LatticePlace) -> impl Iterator<Item = LatticePlace> + '_ {
        self.steps[place.site.min(self.motif - 1)].iter().map(move |step| LatticePlace {
            n: place.n + step.n,
            m: place.m + step.m,
            site: step.site,
        })
    }
}

/// The columns of a cell, as they repeat around the middle of the places.
fn folded(places: &[ColumnPlace], vectors: [DVec2; 2]) -> Vec<DVec2> {
    let middle = places.iter().map(|column| column.place).sum::<DVec2>() / places.len().max(1) as f64;
    let nearest =
        |to: DVec2| places.iter().min_by(|a, b| a.place.distance_squared(to).total_cmp(&b.place.distance_squared(to)));
    let Some(origin) = nearest(middle) else { return vec![DVec2::ZERO] };
    let cell = DMat2::from_cols(vectors[0], vectors[1]);
    let inverse = cell.inverse();
    let mut clusters: Vec<(DVec2, f64)> = Vec::new();
    // Further out, strain makes a rigid cell lose count.
    let reach = 6.0 * vectors[1].length();
    for column in places.iter().filter(|column| column.place.distance(origin.place) < reach) {
        let at = inverse * (column.place - origin.place);
        let at = at - at.floor();
        let near = clusters.iter_mut().find(|(mean, _)| (cell * wrapped(at - *mean)).length() < 0.5);
        match near {
            Some((mean, count)) => {
                *count += 1.0;
                *mean += wrapped(at - *mean) / *count;
            }
            None => clusters.push((at, 1.0)),
        }
    }
    let most = clusters.iter().map(|cluster| cluster.1).fold(0.0, f64::max);
    clusters.retain(|cluster| cluster.1 > 0.35 * most);
    clusters.sort_by(|a, b| b.1.total_cmp(&a.1));
    clusters.truncate(LARGEST_MOTIF);
    clusters.into_iter().map(|(mean, _)| mean).collect()
}

/// To the nearest equivalent of zero.
fn wrapped(fractional: DVec2) -> DVec2 {
    fractional - fractional.round()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(vectors: [DVec2; 2], motif: &[DVec2], radius: f64) -> Vec<ColumnPlace> {
        let mut places = Vec::new();
        for n in -20..=20 {
            for m in -20..=20 {
                for at in motif {
                    let at = *at + DVec2::new(f64::from(n), f64::from(m));
                    let place = vectors[0] * at.x + vectors[1] * at.y;
                    if place.length() < radius {
                        places.push(ColumnPlace { place: place + 30.0, sigma: 0.05 });
                    }
                }
            }
        }
        places
    }

    #[test]
    fn a_bravais_lattice_and_a_honeycomb() {
        let fcc_110 = [DVec2::new(2.497 * 0.577, 2.497 * 0.8165), DVec2::new(-2.497 * 0.577, 2.497 * 0.8165)];
        let fcc = OwnLattice::of(&patch(fcc_110, &[DVec2::ZERO], 11.0)).unwrap();
        assert_eq!(fcc.numbered(), fcc.numbers.len());
        assert_eq!(fcc.neighbours(LatticePlace { n: 0, m: 0, site: 0 }).count(), 6);
        let hexagonal = [DVec2::new(2.461, 0.0), DVec2::new(-1.2305, 2.1313)];
        let motif = [DVec2::new(1.0 / 3.0, 2.0 / 3.0), DVec2::new(2.0 / 3.0, 1.0 / 3.0)];
        let graphene = OwnLattice::of(&patch(hexagonal, &motif, 11.0)).unwrap();
        assert_eq!(graphene.numbered(), graphene.numbers.len());
        assert!((graphene.neighbour_angstrom - 1.421).abs() < 0.01);
        let first = graphene.numbers.iter().flatten().next().unwrap();
        let bonds: Vec<f64> =
            graphene.neighbours(*first).map(|to| graphene.at(to).distance(graphene.at(*first))).collect();
        assert_eq!(bonds.len(), 3);
        assert!(bonds.iter().all(|bond| (bond - 1.421).abs() < 0.01), "{bonds:?}");
    }
}
