use atomlens_core::SeedPath;
use rand::RngExt;
use rand_distr::{Distribution, Normal};

use super::*;
use crate::matching::pair;
use crate::test_places::{apart, scattered};

fn column(place: DVec2) -> DetectedColumn {
    DetectedColumn {
        x_angstrom: place.x,
        y_angstrom: place.y,
        position_sigma_angstrom: 0.1,
        probability: 0.9,
        species: 0,
        species_probability: 1.0,
        atoms: 4.0,
        atoms_sigma: 1.0,
    }
}

#[test]
fn names_stay_through_gaps_drift_and_false_columns() {
    let sites = apart(scattered(400, 60.0, 3), 2.0);
    let noise = Normal::new(0.0, 0.12).unwrap();
    let mut random = SeedPath::new(8).stream();
    let mut linker = Linker::new(TrackSettings::default());
    let (mut owner, mut switched, mut links) = (std::collections::BTreeMap::new(), 0, 0);
    for frame in 0..60 {
        let drift = DVec2::new(0.05, -0.02) * frame as f64;
        let (mut columns, mut of_site) = (Vec::new(), Vec::new());
        for (site, place) in sites.iter().enumerate() {
            if random.random::<f64>() < 0.93 {
                let shift = DVec2::new(noise.sample(&mut random), noise.sample(&mut random));
                columns.push(column(*place + drift + shift));
                of_site.push(Some(site));
            }
        }
        for _ in 0..5 {
            columns.push(column(DVec2::new(random.random_range(0.0..60.0), random.random_range(0.0..60.0)) + drift));
            of_site.push(None);
        }
        let (points, _) = linker.add(frame, &columns, |place| place - drift);
        assert_eq!(points.len(), columns.len());
        let mut tracks: Vec<u64> = points.iter().map(|point| point.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        assert_eq!(tracks.len(), points.len());
        for point in points {
            if let Some(site) = of_site[point.column] {
                links += 1;
                switched += usize::from(owner.insert(site, point.track).is_some_and(|before| before != point.track));
            }
        }
    }
    assert!((switched as f64) < 0.01 * links as f64, "{switched} of {links}");
    let ended = linker.finish();
    let long: Vec<&TrackSummary> = ended.iter().filter(|track| track.points > 30).collect();
    let means: Vec<DVec2> = long.iter().map(|track| track.mean_angstrom).collect();
    assert!(pair(&means, &sites, 0.1).len() as f64 > 0.95 * sites.len() as f64);
    let spread = long.iter().map(|track| track.spread_angstrom).sum::<f64>() / long.len() as f64;
    assert!((spread - 0.12).abs() < 0.015, "{spread}");
    assert_eq!(linker.open_tracks(), 0);
}

#[test]
fn diffusion_and_the_error_of_localisation_are_told_apart() {
    let mut random = SeedPath::new(21).stream();
    for (diffusion, error) in [(0.005_f64, 0.10_f64), (0.0, 0.15), (0.01, 0.03)] {
        let (step, noise) = (Normal::new(0.0, (2.0 * diffusion).sqrt()).unwrap(), Normal::new(0.0, error).unwrap());
        let mut linker = Linker::new(TrackSettings { largest_step_angstrom: 3.0, ..TrackSettings::default() });
        let mut places: Vec<DVec2> = (0..40).map(|i| DVec2::new(20.0 * f64::from(i), 0.0)).collect();
        for frame in 0..400 {
            let mut columns = Vec::new();
            for place in &mut places {
                *place += DVec2::new(step.sample(&mut random), step.sample(&mut random));
                columns.push(column(*place + DVec2::new(noise.sample(&mut random), noise.sample(&mut random))));
            }
            linker.add(frame, &columns, |place| place);
        }
        let tracks = linker.finish();
        assert_eq!(tracks.len(), 40);
        let motions: Vec<Motion> = tracks.iter().filter_map(|track| track.motion).collect();
        let mean = motions.iter().map(|motion| motion.diffusion_angstrom2).sum::<f64>() / 40.0;
        let stated = motions.iter().map(|motion| motion.diffusion_sigma_angstrom2).sum::<f64>() / 40.0;
        let spread =
            (motions.iter().map(|motion| (motion.diffusion_angstrom2 - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        assert!((mean - diffusion).abs() < 4.0 * stated / 40.0_f64.sqrt() + 1e-5, "{mean} for {diffusion}");
        assert!((0.6..1.6).contains(&(spread / stated)), "{spread} stated {stated}");
        let localisation = motions.iter().map(|motion| motion.localisation_angstrom).sum::<f64>() / 40.0;
        assert!((localisation - error).abs() < 0.01, "{localisation} for {error}");
        for point in linker.mean_square().curve(error).iter().take(5) {
            let expected = 4.0 * diffusion * point.lag_frames as f64;
            assert!((point.corrected_angstrom2 - expected).abs() < 0.05 * expected + 0.003, "{point:?} {expected}");
        }
    }
}

#[test]
fn a_frame_pair_of_a_hundred_thousand_columns_is_linked_at_once() {
    let mut random = SeedPath::new(4).stream();
    let noise = Normal::new(0.0, 0.2).unwrap();
    let columns: Vec<Vec<DetectedColumn>> = (0..2)
        .map(|_| {
            (0..100_000)
                .map(|index| {
                    let site = DVec2::new(f64::from(index % 316), f64::from(index / 316)) * 2.5;
                    column(site + DVec2::new(noise.sample(&mut random), noise.sample(&mut random)))
                })
                .collect()
        })
        .collect();
    let mut linker = Linker::new(TrackSettings::default());
    linker.add(0, &columns[0], |place| place);
    let start = std::time::Instant::now();
    let (points, _) = linker.add(1, &columns[1], |place| place);
    let elapsed = start.elapsed().as_secs_f64();
    let right = points.iter().filter(|point| point.track == point.column as u64).count();
    assert!(right > 99_000, "{right}");
    // A tenth of it on an idle machine; this only sees what grows faster than the number of columns.
    assert!(elapsed < 10.0, "{elapsed} s");
}
