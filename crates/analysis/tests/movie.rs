//! A whole movie from columns and images to events, with everything known: a particle whose outer sites come and go, noisy
//! frames, drift, and a detector that misses columns and reports false ones.

use atomlens_analysis::matching::pair;
use atomlens_analysis::movie::events::{EventKind, EventSettings, find_events, naive_switches};
use atomlens_analysis::movie::occupancy::{FrameIntervals, OccupancySettings, Weighed, settle};
use atomlens_analysis::movie::reading::SiteReadings;
use atomlens_analysis::movie::sites::{SiteDensity, SiteSettings, Sites};
use atomlens_core::confidence::DetectedColumn;
use atomlens_core::glam::DVec2;
use atomlens_core::{RandomStream, SeedPath};
use ndarray::Array2;
use rand::RngExt;
use rand_distr::{Distribution, Normal, Poisson};

const PIXEL_ANGSTROM: f64 = 0.25;
const SIZE: usize = 180;

struct Movie {
    sites: Vec<DVec2>,
    /// `[frame][site]`.
    filled: Vec<Vec<bool>>,
    drift: Vec<DVec2>,
    columns: Vec<Vec<DetectedColumn>>,
    images: Vec<Array2<f32>>,
}

fn column(place: DVec2, probability: f64) -> DetectedColumn {
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

/// `electrons` a pixel.
fn movie(frames: usize, electrons: f64, seed: SeedPath) -> Movie {
    let mut random = seed.stream();
    let (mut sites, mut outside, mut rim) = (Vec::new(), Vec::new(), Vec::new());
    let middle = DVec2::splat(0.5 * SIZE as f64 * PIXEL_ANGSTROM);
    for n in -8..=8 {
        for m in -8..=8 {
            let place = DVec2::new(2.77, 0.0) * f64::from(n) + DVec2::new(1.385, 2.3989) * f64::from(m);
            if place.length() < 11.5 {
                rim.push(place.length() > 9.3);
                sites.push(place + middle);
            } else if place.length() < 14.0 {
                outside.push(place + middle);
            }
        }
    }
    let mut state: Vec<bool> = rim.iter().map(|rim| !rim || random.random::<f64>() < 0.6).collect();
    let mut drift = DVec2::ZERO;
    let walk = Normal::new(0.0, 0.15).unwrap();
    let mut result =
        Movie { sites: sites.clone(), filled: Vec::new(), drift: Vec::new(), columns: Vec::new(), images: Vec::new() };
    for _ in 0..frames {
        let change = |filled: bool| if filled { 0.03 } else { 0.045 };
        for (state, _) in state.iter_mut().zip(&rim).filter(|(_, rim)| **rim) {
            *state ^= random.random::<f64>() < change(*state);
        }
        let places: Vec<DVec2> = sites.iter().map(|site| *site + drift).collect();
        result.columns.push(detected(&places, &state, &outside, drift, &mut random));
        result.images.push(image(&places, &state, electrons, &mut random));
        result.filled.push(state.clone());
        result.drift.push(drift);
        drift += DVec2::new(walk.sample(&mut random), walk.sample(&mut random));
    }
    result
}

/// A detector that is right in most cases, and sees something at empty sites in two of five frames and beside the particle
/// in one of seven, with twice the error of place.
fn detected(
    places: &[DVec2],
    state: &[bool],
    outside: &[DVec2],
    drift: DVec2,
    random: &mut RandomStream,
) -> Vec<DetectedColumn> {
    let normal = Normal::new(0.0, 1.0).unwrap();
    let at_sites = |(place, filled): (&DVec2, bool)| if filled { (*place, 1.2, 0.15) } else { (*place, -3.2, 0.3) };
    let all = places.iter().zip(state.iter().copied()).map(at_sites);
    let beside = outside.iter().map(|place| (*place + drift, -4.0, 0.3));
    all.chain(beside)
        .filter_map(|(place, logit, error): (DVec2, f64, f64)| {
            let probability = 1.0 / (1.0 + (-(logit + normal.sample(random))).exp());
            let place = place + error * DVec2::new(normal.sample(random), normal.sample(random));
            (probability > 0.05).then(|| column(place, probability))
        })
        .collect()
}

fn image(places: &[DVec2], state: &[bool], electrons: f64, random: &mut RandomStream) -> Array2<f32> {
    let mut image = Array2::from_elem((SIZE, SIZE), electrons);
    for place in places.iter().zip(state).filter(|(_, filled)| **filled).map(|(place, _)| *place / PIXEL_ANGSTROM) {
        let (low, high) = ((place - 10.0).max(DVec2::ZERO), (place + 10.0).min(DVec2::splat(SIZE as f64 - 1.0)));
        for y in low.y as usize..=high.y as usize {
            for x in low.x as usize..=high.x as usize {
                let radius = DVec2::new(x as f64, y as f64).distance(place) * PIXEL_ANGSTROM;
                image[[y, x]] +=
                    electrons * (0.8 * (-0.5 * (radius / 0.5).powi(2)).exp() - 0.1 * (-0.5 * radius * radius).exp());
            }
        }
    }
    image.mapv(|mean| Poisson::new(mean.max(1e-6)).unwrap().sample(random) as f32)
}

fn analysed(movie: &Movie, seed: u64) -> (Sites, SiteReadings, Weighed) {
    let mut density = SiteDensity::new();
    for (columns, drift) in movie.columns.iter().zip(&movie.drift) {
        density.add(columns, |place| place - *drift);
    }
    let mut sites = Sites::find(&density, &SiteSettings::default()).unwrap();
    let mut readings = SiteReadings::new(&sites.places_angstrom(), &sites.vacuum_angstrom, sites.neighbour_angstrom);
    for ((columns, drift), image) in movie.columns.iter().zip(&movie.drift).zip(&movie.images) {
        readings.add(columns, Some((image.view(), PIXEL_ANGSTROM)), |place| place + *drift);
    }
    let intervals = FrameIntervals::even(movie.columns.len());
    let settings = OccupancySettings { rate_draws: 500, path_draws: 200, ..OccupancySettings::default() };
    let weighed = settle(&mut sites, &mut readings, &intervals, &settings, SeedPath::new(seed)).unwrap();
    (sites, readings, weighed)
}

#[test]
fn a_movie_is_read_back() {
    // Images alone are heard where there are any; at half of these electrons they say too little.
    let movie = movie(80, 2.4, SeedPath::new(31));
    let (sites, readings, weighed) = analysed(&movie, 1);
    let occupancy = &weighed.occupancy;
    let pairs = pair(&sites.places_angstrom(), &movie.sites, 0.5);
    assert_eq!((pairs.len(), sites.len()), (movie.sites.len(), movie.sites.len()));
    let (mut right, mut events) = (0, Vec::new());
    for pair in &pairs {
        for frame in 0..movie.filled.len() {
            let now = movie.filled[frame][pair.truth];
            right += usize::from(occupancy.filled[[pair.detected, frame]] == now);
            if frame > 0 && movie.filled[frame - 1][pair.truth] != now {
                events.push((frame, pair.detected, if now { EventKind::Gain } else { EventKind::Loss }));
            }
        }
    }
    let share = right as f64 / (pairs.len() * movie.filled.len()) as f64;
    assert!(share > 0.995, "{share}");
    let truth = events.len() as f64;
    let total = occupancy.total;
    assert!(total.switches.holds(truth) && (total.switches.value / truth - 1.0).abs() < 0.1, "{total:?} {truth}");
    let naive: usize = naive_switches(&readings, 0.5).iter().sum();
    assert!(naive as f64 > 2.0 * truth, "{naive} {truth}");
    let found = find_events(occupancy, &sites, &EventSettings::default()).switches;
    let near = |event: &&atomlens_analysis::movie::events::Event| {
        events
            .iter()
            .any(|(frame, site, kind)| *site == event.site && *kind == event.kind && frame.abs_diff(event.frame) < 2)
    };
    let hits = found.iter().filter(near).count() as f64;
    assert!(hits / found.len() as f64 > 0.95 && hits / truth > 0.9, "{hits} of {} and {truth}", found.len());
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let movie = movie(40, 2.0, SeedPath::new(5));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (sites, _, weighed) = analysed(&movie, 2);
            (sites.sites, weighed.occupancy.total, weighed.occupancy.probability)
        })
    };
    assert_eq!(with(1), with(3));
}
