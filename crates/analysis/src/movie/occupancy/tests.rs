use std::io::Write;

use rand::RngExt;

use super::*;

fn normal(random: &mut atomlens_core::RandomStream) -> f64 {
    StandardNormal.sample(random)
}

/// A movie of sites whose evidence, on the logit scale, is normal: 0 when empty, `separation` when filled, of unit width.
struct Simulated {
    evidence: Array2<f32>,
    vacuum: Array2<f32>,
    truth: Vec<DrawnPath>,
    rates: Vec<Switching>,
    class: Vec<usize>,
    known: Vec<bool>,
    intervals: FrameIntervals,
}

/// 40 sites of an interior that never switches, `edge` sites of an edge that does.
fn simulated(edge: usize, frames: usize, separation: f64, switching: Switching, seed: SeedPath) -> Simulated {
    let mut random = seed.stream();
    let interior = 40;
    let sites = interior + edge;
    // A calibration that is wrong: too sure, and shifted.
    let evidence_of = |x: f64| (1.7 * x - 0.4) as f32;
    let mut evidence = Array2::zeros((sites, frames));
    let (mut truth, mut rates) = (Vec::new(), Vec::new());
    for site in 0..sites {
        let switching = if site < interior { Switching { fill: 0.0, empty: 0.0 } } else { switching };
        let mut state = site < interior || random.random::<f64>() < switching.fill / (switching.fill + switching.empty);
        let mut states = Vec::new();
        for frame in 0..frames {
            let change = if state { switching.empty } else { switching.fill };
            state ^= frame > 0 && random.random::<f64>() < change;
            states.push(state);
            evidence[[site, frame]] = evidence_of(f64::from(u8::from(state)) * separation + normal(&mut random));
        }
        truth.push(DrawnPath::of(states));
        rates.push(switching);
    }
    let vacuum = Array2::from_shape_simple_fn((30, frames), || evidence_of(normal(&mut random)));
    Simulated {
        evidence,
        vacuum,
        truth,
        rates,
        class: (0..sites).map(|site| usize::from(site >= interior)).collect(),
        known: (0..sites).map(|site| site < interior).collect(),
        intervals: FrameIntervals::even(frames),
    }
}

impl Simulated {
    fn infer(&self, settings: &OccupancySettings) -> Occupancy {
        let evidence = MovieEvidence {
            sites: self.evidence.view(),
            vacuum: self.vacuum.view(),
            class: &self.class,
            known_filled: &self.known,
            intervals: &self.intervals,
        };
        infer(&evidence, settings, SeedPath::new(77)).unwrap()
    }

    fn switches(&self) -> f64 {
        self.truth.iter().map(|path| path.switches.len() as f64).sum()
    }

    /// Switches to expect per site and frame, for the true time in each state.
    fn rate(&self, sites: &[usize]) -> f64 {
        let frames = self.evidence.ncols();
        let of_site = |site: &usize| {
            let filled = self.truth[*site].filled_frames(frames - 1) as f64;
            filled * self.rates[*site].empty + (frames as f64 - 1.0 - filled) * self.rates[*site].fill
        };
        sites.iter().map(of_site).sum::<f64>() / (sites.len() as f64 * (frames as f64 - 1.0))
    }

    /// Counted at the threshold that is best for the true evidence.
    fn naive(&self, separation: f64) -> f64 {
        let threshold = (1.7 * separation / 2.0 - 0.4) as f32;
        let count = |row: ndarray::ArrayView1<'_, f32>| {
            row.windows(2).into_iter().filter(|pair| (pair[0] >= threshold) != (pair[1] >= threshold)).count()
        };
        self.evidence.rows().into_iter().map(count).sum::<usize>() as f64
    }
}

#[test]
fn where_the_naive_count_is_off_by_more_than_two_the_corrected_is_right() {
    let switching = Switching { fill: 0.05, empty: 0.03 };
    // Means need few draws.
    let settings = OccupancySettings { rate_draws: 200, path_draws: 100, ..OccupancySettings::default() };
    for (separation, tolerance) in [(6.0, 0.03), (4.0, 0.05), (3.0, 0.1), (2.5, 0.1)] {
        let (mut found, mut naive, mut truth) = (0.0, 0.0, 0.0);
        for movie in 0..3 {
            let simulated = simulated(40, 600, separation, switching, SeedPath::new(100 + movie));
            let occupancy = simulated.infer(&settings);
            found += occupancy.total.switches.value;
            naive += simulated.naive(separation);
            truth += simulated.switches();
        }
        assert!((found / truth - 1.0).abs() < tolerance, "{separation}: {found} of {truth}, naive {naive}");
        if separation <= 3.0 {
            assert!(naive > 2.0 * truth, "{separation}: {naive} of {truth}");
        }
    }
}

#[test]
fn occupancies_are_right_and_their_probabilities_are_what_they_say() {
    let simulated = simulated(40, 400, 3.0, Switching { fill: 0.04, empty: 0.04 }, SeedPath::new(7));
    let occupancy = simulated.infer(&OccupancySettings::default());
    let frames = 400;
    let (mut right, mut brier, mut expected, mut naive) = (0.0, 0.0, 0.0, 0.0);
    let threshold = 1.7 * 1.5 - 0.4_f32;
    for (site, path) in simulated.truth.iter().enumerate() {
        for (start, end, filled) in path.runs(frames) {
            for frame in start..end {
                let p = f64::from(occupancy.probability[[site, frame]]);
                right += f64::from(u8::from(occupancy.filled[[site, frame]] == filled));
                naive += f64::from(u8::from((simulated.evidence[[site, frame]] >= threshold) == filled));
                brier += (p - f64::from(u8::from(filled))).powi(2);
                expected += p * (1.0 - p);
            }
        }
    }
    let all = (80 * frames) as f64;
    assert!(right / all > 0.985 && right > naive + 0.03 * all, "{} {}", right / all, naive / all);
    assert!((brier / expected - 1.0).abs() < 0.2, "{brier} {expected}");
}

/// How often intervals of 95 % hold what they are about.
#[derive(Debug, Default)]
struct Coverage {
    movies: usize,
    switches: usize,
    rate: usize,
    class_fill: usize,
    class_empty: usize,
    sites: usize,
    site_rate: usize,
    site_switches: usize,
    /// Mean of found over true numbers of switches, and of rates.
    bias: [f64; 2],
}

/// Movies in which sites differ: in their rates, by about a factor of two about the mean of their class, and in how
/// strong they are, evenly by up to 40 % either way; empty sites are noisier than filled ones.
fn coverage(movies: u64, settings: &OccupancySettings) -> Coverage {
    let mut coverage = Coverage::default();
    let (interior, edge, frames, separation) = (30, 24, 150, 4.0);
    for movie in 0..movies {
        let mut random = SeedPath::new(500 + movie).stream();
        let mut simulated = simulated(0, 2, separation, Switching { fill: 0.0, empty: 0.0 }, SeedPath::new(movie));
        let gamma = rand_distr::Gamma::new(3.0, 1.0 / 3.0).unwrap();
        let (mut truth, mut rates) = (Vec::new(), Vec::new());
        let mut evidence = Array2::zeros((interior + edge, frames));
        for site in 0..interior + edge {
            let rate = |mean: f64, factor: f64| if site < interior { 0.0 } else { (mean * factor).min(0.4) };
            let switching =
                Switching { fill: rate(0.05, gamma.sample(&mut random)), empty: rate(0.03, gamma.sample(&mut random)) };
            let strength = separation * (0.6 + 0.8 * random.random::<f64>());
            let share = switching.fill / (switching.fill + switching.empty).max(1e-9);
            let mut state = site < interior || random.random::<f64>() < share;
            let mut states = Vec::new();
            for frame in 0..frames {
                let change = if state { switching.empty } else { switching.fill };
                state ^= frame > 0 && random.random::<f64>() < change;
                states.push(state);
                let value = if state { strength + 0.8 * normal(&mut random) } else { 1.2 * normal(&mut random) };
                evidence[[site, frame]] = (1.7 * value - 0.4) as f32;
            }
            truth.push(DrawnPath::of(states));
            rates.push(switching);
        }
        simulated.vacuum =
            Array2::from_shape_simple_fn((30, frames), || (1.7 * 1.2 * normal(&mut random) - 0.4) as f32);
        simulated.evidence = evidence;
        simulated.truth = truth;
        simulated.rates = rates;
        simulated.class = (0..interior + edge).map(|site| usize::from(site >= interior)).collect();
        simulated.known = (0..interior + edge).map(|site| site < interior).collect();
        simulated.intervals = FrameIntervals::even(frames);
        coverage.add(&simulated, &simulated.infer(settings));
    }
    coverage
}

impl Coverage {
    fn add(&mut self, simulated: &Simulated, occupancy: &Occupancy) {
        let frames = simulated.evidence.ncols();
        let all: Vec<usize> = (0..simulated.class.len()).collect();
        let edge: Vec<usize> = all.iter().copied().filter(|site| simulated.class[*site] == 1).collect();
        let (switches, rate) = (simulated.switches(), simulated.rate(&all));
        let total = &occupancy.total;
        self.movies += 1;
        self.switches += usize::from(total.switches.holds(switches));
        self.rate += usize::from(total.switch_per_frame.holds(rate));
        self.bias[0] += total.switches.value / switches;
        self.bias[1] += total.switch_per_frame.value / rate;
        // Rates of a class are means over the time in the state.
        let filled = |site: usize| simulated.truth[site].filled_frames(frames - 1) as f64;
        let mean = |of: &dyn Fn(usize) -> (f64, f64)| {
            let (time, sum) = edge
                .iter()
                .map(|site| of(*site))
                .fold((0.0, 0.0), |(time, sum), (own, rate)| (time + own, sum + own * rate));
            sum / time
        };
        let class = occupancy.classes[1].switching.as_ref().unwrap();
        let fill = mean(&|site| (frames as f64 - 1.0 - filled(site), simulated.rates[site].fill));
        let empty = mean(&|site| (filled(site), simulated.rates[site].empty));
        self.class_fill += usize::from(class.fill_per_frame.holds(fill));
        self.class_empty += usize::from(class.empty_per_frame.holds(empty));
        for site in edge {
            let switching = &occupancy.sites[site].switching;
            self.sites += 1;
            self.site_rate += usize::from(switching.switch_per_frame.holds(simulated.rate(&[site])));
            self.site_switches += usize::from(switching.switches.holds(simulated.truth[site].switches.len() as f64));
        }
    }
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    let settings = OccupancySettings { rate_draws: 400, path_draws: 200, ..OccupancySettings::default() };
    let found = coverage(24, &settings);
    // Of 24 intervals of 95 % fewer than 20 hold in 0.6 % of such tests.
    let least = found.switches.min(found.rate).min(found.class_fill).min(found.class_empty);
    assert!(least >= 20, "{found:?}");
    let of_sites = found.site_rate as f64 / found.sites as f64;
    assert!((0.92..0.98).contains(&of_sites), "{found:?}");
}

/// Minutes long, and its table is what the documentation says of intervals.
#[test]
#[ignore = "takes minutes"]
fn intervals_of_many_movies() {
    let found = coverage(200, &OccupancySettings::default());
    let (movies, sites) = (found.movies as f64, found.sites as f64);
    let names = [
        "switches",
        "rate",
        "filling rate of the edge",
        "emptying rate of the edge",
        "rates of sites",
        "switches of sites",
    ];
    let held = [found.switches, found.rate, found.class_fill, found.class_empty, found.site_rate, found.site_switches];
    let of = [movies, movies, movies, movies, sites, sites];
    let mut text = format!("of {movies} movies, shares of intervals of 95 % that hold the truth:\n");
    for ((name, held), of) in names.iter().zip(held).zip(of) {
        text += &format!("{name}: {:.3}\n", held as f64 / of);
    }
    text +=
        &format!("found over true, switches and rate: {:.3} {:.3}\n", found.bias[0] / movies, found.bias[1] / movies);
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    for share in [found.switches, found.rate, found.class_fill, found.class_empty].map(|holds| holds as f64 / movies) {
        assert!((0.91..0.99).contains(&share), "{found:?}");
    }
    assert!((0.93..0.97).contains(&(found.site_rate as f64 / sites)), "{found:?}");
}

#[test]
fn missing_frames_and_a_bad_frame_are_no_events() {
    let mut simulated = simulated(30, 300, 5.0, Switching { fill: 0.02, empty: 0.02 }, SeedPath::new(9));
    for frame in [50, 51, 52, 200] {
        simulated.evidence.column_mut(frame).fill(f32::NAN);
    }
    let occupancy = simulated.infer(&OccupancySettings::default());
    let truth = simulated.switches();
    assert!((occupancy.total.switches.value / truth - 1.0).abs() < 0.06, "{:?} {truth}", occupancy.total.switches);
    assert!(occupancy.probability.iter().all(|p| (0.0..=1.0001).contains(p)));
}

#[test]
fn a_site_of_weaker_evidence_is_not_taken_for_one_that_switches() {
    let mut simulated = simulated(30, 400, 5.0, Switching { fill: 0.03, empty: 0.03 }, SeedPath::new(11));
    let mut random = SeedPath::new(12).stream();
    // A filled site at half the usual strength: threshold counting sees it come and go.
    for frame in 0..400 {
        let x = 2.7 + normal(&mut random);
        simulated.evidence[[40, frame]] = (1.7 * x - 0.4) as f32;
    }
    simulated.truth[40] = DrawnPath { filled_at_first: true, switches: Vec::new() };
    let with = simulated.infer(&OccupancySettings::default());
    assert!(with.sites[40].switching.switches.value < 3.0, "{:?}", with.sites[40]);
    assert!((with.sites[40].filled_strength - 0.54).abs() < 0.12, "{:?}", with.sites[40]);
    let without = simulated.infer(&OccupancySettings { offsets_by_site: false, ..OccupancySettings::default() });
    assert!(without.sites[40].switching.switches.value > with.sites[40].switching.switches.value);
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let simulated = simulated(10, 120, 3.0, Switching { fill: 0.05, empty: 0.05 }, SeedPath::new(13));
    let settings = OccupancySettings { rate_draws: 100, path_draws: 100, ..OccupancySettings::default() };
    let (a, b) = (simulated.infer(&settings), simulated.infer(&settings));
    assert_eq!((a.total, a.sites, a.paths), (b.total, b.sites, b.paths));
}

#[test]
fn what_does_not_fit_is_refused() {
    let sites = Array2::from_elem((2, 30), 0.5_f32);
    let vacuum = Array2::zeros((0, 0));
    let intervals = FrameIntervals::even(30);
    let mut evidence = MovieEvidence {
        sites: sites.view(),
        vacuum: vacuum.view(),
        class: &[0, 0],
        known_filled: &[false, false],
        intervals: &intervals,
    };
    let settings = OccupancySettings::default();
    assert_eq!(infer(&evidence, &settings, SeedPath::new(1)).unwrap_err(), OccupancyError::NoContrast);
    evidence.class = &[0];
    assert!(matches!(infer(&evidence, &settings, SeedPath::new(1)), Err(OccupancyError::Shape { .. })));
    let none = Array2::from_elem((2, 30), f32::NAN);
    evidence.class = &[0, 0];
    evidence.sites = none.view();
    assert!(matches!(
        infer(&evidence, &settings, SeedPath::new(1)),
        Err(OccupancyError::TooLittle { observed: 0, .. })
    ));
}

#[test]
fn halves_that_switch_differently_are_told_apart() {
    let frames = 200;
    let parts = [0.06, 0.02].map(|rate| {
        simulated(12, frames, 6.0, Switching { fill: rate, empty: rate }, SeedPath::new(21).child(&rate.to_string()))
    });
    let [mut both, slow] = parts;
    let edge = slow.evidence.slice(ndarray::s![40.., ..]);
    both.evidence = ndarray::concatenate(ndarray::Axis(0), &[both.evidence.view(), edge]).unwrap();
    both.truth.extend(slow.truth[40..].iter().cloned());
    both.class.extend([1; 12]);
    both.known.extend([false; 12]);
    let found = both.infer(&OccupancySettings::default());
    let (fast, slow): (Vec<usize>, Vec<usize>) = ((40..52).collect(), (52..64).collect());
    let count = |sites: &[usize]| sites.iter().map(|site| both.truth[*site].switches.len() as f64).sum::<f64>();
    let truth = count(&fast) / count(&slow);
    let ratio = found.ratio_of_switches(&fast, &slow, SeedPath::new(1)).unwrap();
    assert!(ratio.holds(truth) && ratio.holds(3.0), "{ratio:?}, {truth}");
    assert!((ratio.value / truth - 1.0).abs() < 0.15, "{ratio:?}, {truth}");
    assert!(found.ratio_of_switches(&fast, &[0, 1], SeedPath::new(1)).is_none());
}
