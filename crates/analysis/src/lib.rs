//! From images and confidence maps to numbers: preparing images for a detector, columns, their scores, lattices.
//!
//! Nothing here knows a learning framework: it takes a `ConfidenceMap`, whoever made it.

pub mod calibration;
pub mod columns;
pub mod cramer_rao;
pub mod defects;
pub mod laplacian;
pub mod lattice;
pub mod matching;
pub mod movie;
pub mod neighbours;
pub mod normalise;
pub mod reliability;
pub mod resample;
pub mod score;
pub mod statistics;

/// Random places for tests.
#[cfg(test)]
mod test_places {
    use atomlens_core::glam::DVec2;
    use atomlens_core::{DetectedColumn, SeedPath};
    use rand::RngExt;

    /// A column whose place is known to 0.1 angstrom.
    pub(crate) fn column_at(place: DVec2, probability: f64) -> DetectedColumn {
        DetectedColumn {
            x_angstrom: place.x,
            y_angstrom: place.y,
            position_sigma_angstrom: 0.1,
            probability,
            species: 0,
            species_probability: 1.0,
            atoms: 4.0,
            atoms_sigma: 1.0,
        }
    }

    /// Places in a square from 0 to `size`.
    pub(crate) fn scattered(count: usize, size: f64, seed: u64) -> Vec<DVec2> {
        let mut random = SeedPath::new(seed).stream();
        (0..count).map(|_| DVec2::new(random.random_range(0.0..size), random.random_range(0.0..size))).collect()
    }

    /// The places that are at least `distance` from all kept before.
    pub(crate) fn apart(places: Vec<DVec2>, distance: f64) -> Vec<DVec2> {
        let mut kept: Vec<DVec2> = Vec::new();
        for place in places {
            if kept.iter().all(|other| other.distance(place) >= distance) {
                kept.push(place);
            }
        }
        kept
    }
}
