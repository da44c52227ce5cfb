use atomlens_core::SeedPath;
use atomlens_core::glam::DVec2;
use ndarray::Array2;
use rand::RngExt;

use super::*;
use crate::movie::occupancy::{DrawnPath, FrameIntervals, MovieEvidence, OccupancySettings, infer};
use crate::test_places::column_at;

/// A ring of sites around a core that stays; evidence that leaves little doubt.
fn inferred(paths: &[Vec<bool>], noise: f64, seed: u64) -> Occupancy {
    let mut random = SeedPath::new(seed).stream();
    let frames = paths[0].len();
    let stay = 12;
    let mut value = |filled: bool| {
        let normal: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        (if filled { 6.0 } else { -6.0 } + noise * normal) as f32
    };
    let evidence = Array2::from_shape_fn((stay + paths.len(), frames), |(site, frame)| {
        value(site < stay || paths[site - stay][frame])
    });
    let vacuum = Array2::from_shape_simple_fn((12, frames), || value(false));
    let class: Vec<usize> = (0..evidence.nrows()).map(|site| usize::from(site >= stay)).collect();
    let known: Vec<bool> = class.iter().map(|class| *class == 0).collect();
    let times: Vec<f64> = (0..frames).map(|frame| 0.25 * frame as f64).collect();
    let intervals = FrameIntervals::at_seconds(&times).unwrap();
    let evidence = MovieEvidence {
        sites: evidence.view(),
        vacuum: vacuum.view(),
        class: &class,
        known_filled: &known,
        intervals: &intervals,
    };
    infer(&evidence, &OccupancySettings { rate_draws: 100, ..OccupancySettings::default() }, SeedPath::new(9)).unwrap()
}

fn row(count: usize) -> Sites {
    Sites::of_places(&(0..count).map(|site| DVec2::new(2.5 * site as f64, 0.0)).collect::<Vec<_>>(), 2.5)
}

#[test]
fn losses_gains_and_a_hop() {
    let mut paths = vec![vec![true; 80], vec![false; 80], vec![false; 80]];
    paths[0][30..].fill(false);
    paths[1][30..].fill(true);
    // Far from the others in time.
    paths[2][60..].fill(true);
    let occupancy = inferred(&paths, 1.0, 1);
    let events = find_events(&occupancy, &row(15), &EventSettings::default());
    let found: Vec<(usize, usize, EventKind)> =
        events.switches.iter().map(|event| (event.frame, event.site, event.kind)).collect();
    assert_eq!(found, [(30, 12, EventKind::Loss), (30, 13, EventKind::Gain), (60, 14, EventKind::Gain)]);
    assert!(events.switches.iter().all(|event| event.probability > 0.99));
    assert_eq!(events.switches[2].time_s, Some(15.0));
    assert_eq!((events.hops.len(), events.hops[0].loss, events.hops[0].gain), (1, 0, 1));
    // One loss, one gain next to it, a window of three of 79 steps.
    assert!((events.hops_by_chance - 3.0 / 79.0).abs() < 1e-9, "{}", events.hops_by_chance);
    let rate = occupancy.total.switch_per_frame;
    assert!((per_second(&rate, &occupancy).unwrap().value - 4.0 * rate.value).abs() < 1e-12);
}

#[test]
fn errors_of_a_detector_are_counted_against_the_movie() {
    let mut paths = vec![vec![true; 60], vec![false; 60]];
    paths[0][20..].fill(false);
    let occupancy = inferred(&paths, 1.0, 3);
    let places: Vec<DVec2> = (0..14).map(|site| DVec2::new(2.5 * site as f64, 0.0)).collect();
    let mut readings = SiteReadings::new(&places, &[], 2.5);
    for frame in 0..60 {
        // Misses site 3 in every fourth frame and doubts it in every fourth; sees site 13, which is always empty, in
        // every tenth.
        let found: Vec<_> = (0..14)
            .filter_map(|site| match site {
                3 if frame % 4 == 0 => None,
                3 if frame % 4 == 1 => Some((site, 0.3)),
                13 => (frame % 10 == 0).then_some((site, 0.6)),
                12 => (frame < 20).then_some((site, 0.9)),
                _ => Some((site, 0.9)),
            })
            .map(|(site, probability)| column_at(places[site], probability))
            .collect();
        readings.add(&found, None, |place| place);
    }
    // Filled: twelve sites throughout and one for 20 frames; empty: 40 and 60 frames.
    let errors = detector_errors(&readings, &occupancy, 0.5);
    assert!((errors.missed_share - 30.0 / 740.0).abs() < 1e-3, "{errors:?}");
    assert!((errors.false_share - 6.0 / 100.0).abs() < 1e-3, "{errors:?}");
    let errors = detector_errors(&readings, &occupancy, 0.2);
    assert!((errors.missed_share - 15.0 / 740.0).abs() < 1e-3, "{errors:?}");
}

/// Autocorrelation of known states, each path about its own mean.
fn correlation(paths: &[Vec<bool>], most_lag: usize) -> Vec<f64> {
    let centred: Vec<Vec<f64>> = paths
        .iter()
        .map(|path| {
            let mean = path.iter().filter(|filled| **filled).count() as f64 / path.len() as f64;
            path.iter().map(|filled| f64::from(u8::from(*filled)) - mean).collect()
        })
        .collect();
    let of_lag = |lag: usize| {
        let products = centred.iter().flat_map(|path| path.iter().zip(&path[lag..]).map(|(a, b)| a * b));
        products.sum::<f64>() / (centred.len() * (centred[0].len() - lag)) as f64
    };
    (0..=most_lag).map(|lag| of_lag(lag) / of_lag(0)).collect()
}

/// Standard deviation of the correlation at a lag that is estimated from `count` values of a process with memory `m`: M.
/// Bartlett, *J. R. Stat. Soc. Suppl.* 8, 27 (1946), doi:10.2307/2983611; its formula for a correlation of `m^lag`.
fn scatter(m: f64, lag: f64, count: f64) -> f64 {
    let power = m.powf(2.0 * lag);
    let variance = (1.0 + m * m) * (1.0 - power) / (1.0 - m * m) - 2.0 * lag * power;
    (variance / count).sqrt() + 1e-6
}

#[test]
fn memory_and_lifetimes_of_a_chain() {
    let (fill, empty) = (0.10, 0.05);
    let mut random = SeedPath::new(5).stream();
    let paths: Vec<Vec<bool>> = (0..20)
        .map(|_| {
            let mut state = random.random::<f64>() < fill / (fill + empty);
            (0..600)
                .map(|_| {
                    state ^= random.random::<f64>() < if state { empty } else { fill };
                    state
                })
                .collect()
        })
        .collect();
    let occupancy = inferred(&paths, 2.0, 2);
    let sites: Vec<usize> = (12..32).collect();
    let memory = autocorrelation(&occupancy, &sites, 10);
    let of_truth = correlation(&paths, 10);
    let (memory_of_one, frames) = (1.0 - fill - empty, 600.0);
    // Each site's own mean takes away its variance, (1 + m) / (1 - m) / frames.
    let mean = (1.0 + memory_of_one) / (1.0 - memory_of_one) / frames;
    for (lag, (value, of_truth)) in memory.iter().zip(of_truth).enumerate() {
        assert!((value - of_truth).abs() < 0.01, "{lag}: {value} for {of_truth}");
        let power = memory_of_one.powi(lag as i32);
        let expected = (power - mean) / (1.0 - mean);
        assert!((value - expected).abs() < 4.0 * scatter(memory_of_one, lag as f64, 20.0 * frames), "{lag}: {value}");
    }
    let filled = lifetimes(&occupancy, &sites, true).unwrap();
    assert!(filled.mean_frames.holds(1.0 / empty), "{:?}", filled.mean_frames);
    for step in filled.survival.iter().take(30) {
        let expected = (1.0 - empty).powi(step.frames as i32);
        assert!((step.share.value - expected).abs() < 0.06, "{step:?} for {expected}");
    }
    let whole = |path: &Vec<bool>| {
        let path = DrawnPath::of(path.iter().copied());
        path.runs(600).filter(|(start, end, filled)| *filled && *start > 0 && *end < 600).count()
    };
    let truth = paths.iter().map(whole).sum::<usize>() as f64;
    // No frame's evidence counts for more than e^7, so that a few visits of one frame are taken for errors.
    assert!((filled.ended / truth - 1.0).abs() < 0.04, "{} {truth}", filled.ended);
    assert!(lifetimes(&occupancy, &[], true).is_none());
}
