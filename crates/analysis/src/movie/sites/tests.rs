use atomlens_core::SeedPath;
use atomlens_core::confidence::DetectedColumn;
use rand::RngExt;
use rand_distr::{Distribution, Normal};

use super::*;
use crate::test_places::column_at as column;

/// A disc of a hexagonal lattice, the sites at its rim filled in part, false columns just outside.
fn particle(frames: usize, seed: u64) -> (Vec<DVec2>, Vec<f64>, SiteDensity) {
    let (mut places, mut filling, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for n in -8_i32..=8 {
        for m in -8_i32..=8 {
            let place = DVec2::new(2.77, 0.0) * f64::from(n) + DVec2::new(1.385, 2.3989) * f64::from(m);
            let radius = place.length();
            if radius < 11.5 {
                filling.push(if radius > 9.5 { 0.1 + 0.8 * f64::from((n + 2 * m).rem_euclid(4)) / 3.0 } else { 1.0 });
                places.push(place + 25.0);
            } else if radius < 14.0 {
                outside.push(place * (1.0 - 0.3 / radius) + 25.0);
            }
        }
    }
    let mut random = SeedPath::new(seed).stream();
    let noise = Normal::new(0.0, 0.1).unwrap();
    let shifted = |place: DVec2, random: &mut _| place + DVec2::new(noise.sample(random), noise.sample(random));
    let mut density = SiteDensity::new();
    for _ in 0..frames {
        let mut columns = Vec::new();
        for (place, filling) in places.iter().zip(&filling) {
            if random.random::<f64>() < *filling {
                columns.push(column(shifted(*place, &mut random), 0.85));
            }
        }
        for place in &outside {
            if random.random::<f64>() < 0.3 {
                columns.push(column(shifted(*place, &mut random), 0.15));
            }
        }
        density.add(&columns, |place| place);
    }
    (places, filling, density)
}

#[test]
fn all_sites_are_candidates_and_the_filled_ones_are_sure() {
    let (truth, filling, density) = particle(100, 1);
    let sites = Sites::find(&density, &SiteSettings::default()).unwrap();
    for (place, filling) in truth.iter().zip(&filling) {
        let found = sites.sites.iter().find(|site| site.place_angstrom.distance(*place) < 0.3);
        let found = found.unwrap_or_else(|| panic!("{place} filled {filling} is missing"));
        assert!(found.doubtful == (*filling < 0.5) || (0.4..0.7).contains(filling), "{found:?} {filling}");
        assert!(found.place_angstrom.distance(*place) < 0.12, "{found:?} {place}");
    }
    for site in sites.sites.iter().filter(|site| !site.doubtful) {
        assert!(truth.iter().any(|place| place.distance(site.place_angstrom) < 0.2), "{site:?}");
    }
    assert!((sites.neighbour_angstrom - 2.77).abs() < 0.02);
    assert!(sites.vacuum_angstrom.len() > 50);
    for place in &sites.vacuum_angstrom {
        assert!(truth.iter().all(|other| other.distance(*place) > 4.0));
    }
}

#[test]
fn classes_follow_the_surroundings() {
    let (truth, filling, density) = particle(100, 2);
    let mut sites = Sites::find(&density, &SiteSettings::default()).unwrap();
    let true_at = |place: DVec2| truth.iter().position(|other| other.distance(place) < 0.4);
    let keep: Vec<bool> = sites.sites.iter().map(|site| true_at(site.place_angstrom).is_some()).collect();
    let occupancy: Vec<f64> =
        sites.sites.iter().map(|site| true_at(site.place_angstrom).map_or(0.0, |index| filling[index])).collect();
    sites.retain(&keep, &occupancy);
    assert_eq!(sites.len(), truth.len());
    for site in &sites.sites {
        let radius = (site.place_angstrom - 25.0).length();
        assert!(!site.doubtful);
        if radius < 6.5 {
            assert_eq!(site.class, SiteClass::Interior, "{site:?}");
            assert!(site.edge_distance_angstrom > 2.0);
        }
        if radius > 10.5 {
            assert_ne!(site.class, SiteClass::Interior, "{site:?}");
            assert_eq!(site.edge_distance_angstrom, 0.0);
        }
    }
    assert!(
        sites.neighbours.iter().enumerate().all(|(a, near)| near.iter().all(|b| sites.neighbours[*b].contains(&a)))
    );
}

#[test]
fn nothing_that_stays_is_said() {
    let mut random = SeedPath::new(4).stream();
    let mut density = SiteDensity::new();
    for _ in 0..50 {
        let columns: Vec<DetectedColumn> = (0..20)
            .map(|_| column(DVec2::new(random.random_range(0.0..80.0), random.random_range(0.0..80.0)), 0.1))
            .collect();
        density.add(&columns, |place| place);
    }
    let error = Sites::find(&density, &SiteSettings::default()).unwrap_err();
    assert!(error.to_string().contains("50 frames"), "{error}");
    assert!(Sites::find(&SiteDensity::new(), &SiteSettings::default()).is_err());
}
