//! Sites that are known beforehand, such as those of another movie of the same particle.
//!
//! The places are laid on what was found in this movie by the displacement that most of them have in common; they are not
//! turned. A place at which nothing was found stays a site, so that two movies are compared site by site.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atomlens_analysis::matching::pair;
use atomlens_analysis::movie::sites::Sites;
use atomlens_core::glam::DVec2;
use serde::Deserialize;

use crate::WorkflowError;

/// Sites that belong together lie within this distance, in angstrom.
const REACH_ANGSTROM: f64 = 0.6;

/// At least this share of what was found must lie on known sites.
const LEAST_SHARE: f64 = 0.5;

#[derive(Deserialize)]
struct Row {
    x_nm: f64,
    y_nm: f64,
}

/// Reads places, in angstrom, from a table with `x_nm` and `y_nm`, or from the folder that holds it as `sites.csv`.
///
/// # Errors
/// A file that is no such table.
pub(crate) fn read(path: &Path) -> Result<Vec<DVec2>, WorkflowError> {
    let file: PathBuf = if path.is_dir() { path.join("sites.csv") } else { path.to_owned() };
    let wrong = |reason: String| WorkflowError::Read { path: file.clone(), reason };
    let mut reader = csv::Reader::from_path(&file).map_err(|error| wrong(error.to_string()))?;
    let places = reader
        .deserialize()
        .map(|row: Result<Row, _>| {
            let row = row.map_err(|error| wrong(format!("{error}; expected a table with columns x_nm and y_nm")))?;
            let place = 10.0 * DVec2::new(row.x_nm, row.y_nm);
            if place.is_finite() { Ok(place) } else { Err(wrong("a place is not a finite number".to_owned())) }
        })
        .collect::<Result<Vec<_>, _>>()?;
    if places.is_empty() { Err(wrong("there is no site in it".to_owned())) } else { Ok(places) }
}

/// Known places as the sites of a movie in which `found` was found.
///
/// # Errors
/// If the two have too little in common.
pub(super) fn laid_on(known: &[DVec2], found: Sites) -> Result<Sites, WorkflowError> {
    let sure: Vec<DVec2> = found.sites.iter().filter(|site| !site.doubtful).map(|site| site.place_angstrom).collect();
    let shift = common_displacement(known, &sure);
    let placed: Vec<DVec2> = known.iter().map(|place| *place + shift).collect();
    let matched = pair(&sure, &placed, REACH_ANGSTROM).len();
    if (matched as f64) < LEAST_SHARE * sure.len() as f64 {
        let reason = format!(
            "{matched} of the {} sites that were found lie on the {} sites that were given with --reference: expected most of \
             them. Is it the same particle, at the same rotation and pixel size?",
            sure.len(),
            known.len()
        );
        return Err(WorkflowError::NoMovie { reason });
    }
    let everywhere = found.places_angstrom();
    let mut sites = Sites::of_places(&placed, found.neighbour_angstrom);
    let mut strength = vec![0.0; placed.len()];
    for pair in pair(&placed, &everywhere, REACH_ANGSTROM) {
        let (site, other) = (pair.detected, &found.sites[pair.truth]);
        strength[site] = other.strength;
        sites.sites[site].spread_angstrom = other.spread_angstrom;
        sites.sites[site].species = other.species;
    }
    sites.retain(&vec![true; placed.len()], &strength);
    let far = |place: &DVec2| placed.iter().all(|site| site.distance(*place) > 0.8 * found.neighbour_angstrom);
    sites.vacuum_angstrom = found.vacuum_angstrom.into_iter().filter(far).collect();
    Ok(sites)
}

/// The displacement by which most of the places come to lie on others.
fn common_displacement(from: &[DVec2], to: &[DVec2]) -> DVec2 {
    let cell = REACH_ANGSTROM;
    let key = |shift: DVec2| ((shift.y / cell).round() as i64, (shift.x / cell).round() as i64);
    let mut votes: BTreeMap<(i64, i64), u32> = BTreeMap::new();
    for shift in from.iter().flat_map(|a| to.iter().map(move |b| *b - *a)) {
        *votes.entry(key(shift)).or_default() += 1;
    }
    let around = |(j, i): (i64, i64)| -> u32 {
        (-1..=1).flat_map(|dj| (-1..=1).map(move |di| (j + dj, i + di))).filter_map(|at| votes.get(&at)).sum()
    };
    // Of equal ones the shortest.
    let best = votes.keys().max_by_key(|&&(j, i)| (around((j, i)), -(j * j + i * i))).copied().unwrap_or_default();
    let mut shift = DVec2::new(best.1 as f64, best.0 as f64) * cell;
    for _ in 0..5 {
        let moved: Vec<DVec2> = from.iter().map(|place| *place + shift).collect();
        let pairs = pair(&moved, to, 1.5 * REACH_ANGSTROM);
        let rest: DVec2 = pairs.iter().map(|pair| pair.error).sum();
        shift -= rest / pairs.len().max(1) as f64;
    }
    shift
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A patch of a square lattice of 2.4 angstrom.
    fn patch(columns: i32, rows: i32) -> Vec<DVec2> {
        (0..rows * columns).map(|n| 2.4 * DVec2::new(f64::from(n % columns), f64::from(n / columns))).collect()
    }

    #[test]
    fn known_sites_are_laid_on_what_was_found() {
        let known = patch(6, 5);
        let shift = DVec2::new(13.7, -2.9);
        // One site in four of the last row was never seen in the second movie.
        let seen: Vec<DVec2> = known.iter().take(27).map(|place| *place + shift).collect();
        let sites = laid_on(&known, Sites::of_places(&seen, 2.4)).unwrap();
        assert_eq!(sites.len(), 30);
        for (site, place) in sites.sites.iter().zip(&known) {
            assert!(site.place_angstrom.distance(*place + shift) < 1e-9);
        }
        assert!(sites.sites[..27].iter().all(|site| site.strength == 1.0));
        assert!(sites.sites[27..].iter().all(|site| site.strength == 0.0));
        let elsewhere: Vec<DVec2> = patch(9, 9).iter().map(|place| *place * 1.3).collect();
        assert!(laid_on(&known, Sites::of_places(&elsewhere, 3.1)).is_err());
    }
}
