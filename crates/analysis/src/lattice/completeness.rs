//! Which places of a lattice are filled.
//!
//! The places of a fitted lattice ([`LatticeFit`]) within a region, each with the nearest column that no other place
//! took, if it is near enough. Places are only predicted near columns that were numbered: beyond, a lattice that bends
//! is not known.

use std::collections::BTreeSet;

use atomlens_core::glam::DVec2;

use super::spacing::{ColumnPlace, LatticeFit, LatticePlace, indexed};

/// How far a column may be from its place, in units of the distance between neighbouring places.
pub const TOLERANCE: f64 = 0.35;

/// Places of a lattice in a region.
#[derive(Debug, Clone, PartialEq)]
pub struct Completeness {
    /// Number of places.
    pub places: usize,
    /// Places with a column.
    pub filled: usize,
    /// Places without one: where they are, in the unit of the columns.
    pub vacant: Vec<(LatticePlace, DVec2)>,
    /// Columns in the region that have no place, by index.
    pub extra: Vec<usize>,
}

impl Completeness {
    /// Filled over all places; `None` if there is no place.
    pub fn fraction(&self) -> Option<f64> {
        (self.places > 0).then(|| self.filled as f64 / self.places as f64)
    }
}

/// Compares columns with the places of their lattice in a region, told by `inside`.
///
/// `reach_cells` says how many cells from a numbered column places are still predicted: 1 or 2 to count vacancies,
/// more for large holes that belong to the region.
pub fn completeness(
    columns: &[ColumnPlace],
    fit: &LatticeFit,
    inside: impl Fn(DVec2) -> bool,
    reach_cells: i32,
) -> Completeness {
    let numbered: BTreeSet<LatticePlace> = fit.numbers.iter().flatten().copied().collect();
    let mut cells: BTreeSet<(i32, i32)> = BTreeSet::new();
    for place in &numbered {
        for n in -reach_cells..=reach_cells {
            for m in -reach_cells..=reach_cells {
                cells.insert((place.n + n, place.m + m));
            }
        }
    }
    let tolerance = TOLERANCE * fit.site_distance;
    let (index, _) = indexed(columns);
    let mut taken = vec![false; columns.len()];
    for (column, number) in fit.numbers.iter().enumerate() {
        taken[column] = number.is_some();
    }
    let mut answer = Completeness { places: 0, filled: 0, vacant: vec![], extra: vec![] };
    for (n, m) in cells {
        for site in 0..fit.sites.len() {
            let place = LatticePlace { n, m, site };
            let at = fit.predicted(place);
            if !inside(at) {
                continue;
            }
            answer.places += 1;
            if numbered.contains(&place) {
                answer.filled += 1;
                continue;
            }
            let free = index.within(at, tolerance).filter(|(column, _)| !taken[*column]);
            match free.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))) {
                Some((column, _)) => {
                    taken[column] = true;
                    answer.filled += 1;
                }
                None => answer.vacant.push((place, at)),
            }
        }
    }
    answer.extra = (0..columns.len()).filter(|&column| !taken[column] && inside(columns[column].place)).collect();
    answer
}
