//! How often `movie::comparison` calls a difference: between simulated conditions that are the same, and between such of
//! which one switches faster by a factor.
//!
//! ```text
//! cargo run --release -p atomlens-analysis --example comparison_power -- \
//!     --pairs 100 --frames 60,120,240 --factor 1.5 [--separation 3.3] [--known] [--same-sites] [--flicker 0.5] [--bootstrap] [--seed 1]
//! ```
//! A condition is 111 sites, of which about 34 switch, at rates that differ from site to site (a gamma distribution of
//! shape 1.5, so by 0.8 of their mean), most of them at edges and corners; which ones switch is drawn anew. The evidence
//! for a column is normal, `separation` apart for filled and empty, and on a scale that is wrong. Occupancies are inferred
//! from it as from a movie (`--known`: the true paths instead). `--same-sites`: both movies are of the same sites, each with
//! its own rate under both conditions but for the factor, and are compared site by site. `--flicker`: all sites' rates go up and down together, by
//! this standard deviation of their logarithm, over some 10 frames.
#![allow(clippy::print_stdout, reason = "an example is a program")]

use atomlens_analysis::movie::comparison::{Condition, Contrast, Doubt, GroupEstimate, Quantity};
use atomlens_analysis::movie::occupancy::{FrameIntervals, MovieEvidence, OccupancySettings, infer};
use atomlens_core::{RandomStream, SeedPath};
use ndarray::Array2;
use rand::RngExt;
use rand_distr::{Beta, Distribution, Gamma, StandardNormal};

/// Class, sites, and the share of them that switch.
const CLASSES: [(&str, usize, f64); 4] =
    [("interior", 66, 0.06), ("facet", 20, 0.45), ("edge", 16, 0.75), ("corner", 9, 1.0)];

/// Permutations of a test: enough for 5 %.
const PERMUTATIONS: usize = 999;

struct Options {
    pairs: usize,
    frames: Vec<usize>,
    factor: f64,
    separation: f64,
    known: bool,
    same_sites: bool,
    flicker: f64,
    bootstrap: bool,
    seed: u64,
}

fn options() -> Result<Options, Box<dyn std::error::Error>> {
    let mut options = Options {
        pairs: 100,
        frames: vec![60, 120, 240, 500, 1000],
        factor: 1.0,
        separation: 3.3,
        known: false,
        same_sites: false,
        flicker: 0.0,
        bootstrap: false,
        seed: 1,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--pairs" => options.pairs = value()?.parse()?,
            "--frames" => options.frames = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--factor" => options.factor = value()?.parse()?,
            "--separation" => options.separation = value()?.parse()?,
            "--known" => options.known = true,
            "--same-sites" => options.same_sites = true,
            "--flicker" => options.flicker = value()?.parse()?,
            "--bootstrap" => options.bootstrap = true,
            "--seed" => options.seed = value()?.parse()?,
            _ => return Err(format!("{name} is no option").into()),
        }
    }
    Ok(options)
}

/// What is known of a movie.
struct Movie {
    class: Vec<usize>,
    probability: Array2<f32>,
    loss: Array2<f32>,
    gain: Array2<f32>,
    steps: Vec<f64>,
    total: Doubt,
    classes: Vec<Doubt>,
}

impl Movie {
    fn condition(&self) -> Condition<'_> {
        Condition {
            probability: self.probability.view(),
            loss: self.loss.view(),
            gain: self.gain.view(),
            steps: &self.steps,
        }
    }
}

/// How fast each site changes, and its share of time filled; `None` for sites that do not switch.
fn characters(class: &[usize], random: &mut RandomStream) -> Vec<Option<[f64; 2]>> {
    let speed = Gamma::new(1.5, 0.08 / 1.5).expect("a shape and a scale above 0");
    let share = Beta::new(2.0, 1.3).expect("shapes above 0");
    let of_site = |class: &usize| {
        (random.random::<f64>() < CLASSES[*class].2).then(|| [speed.sample(random), share.sample(random)])
    };
    class.iter().map(of_site).collect()
}

/// Filled or not, `[site, frame]`.
fn paths(
    characters: &[Option<[f64; 2]>],
    frames: usize,
    factor: f64,
    flicker: f64,
    random: &mut RandomStream,
) -> Array2<bool> {
    // An autoregressive process that forgets within 10 frames.
    let kept = (-0.1_f64).exp();
    let mut level: f64 = flicker * normal(random);
    let together: Vec<f64> = (0..frames)
        .map(|_| {
            level = kept * level + flicker * (1.0 - kept * kept).sqrt() * normal(random);
            level.exp()
        })
        .collect();
    let mut filled = Array2::from_elem((characters.len(), frames), true);
    for (site, character) in characters.iter().enumerate() {
        let Some([speed, share]) = *character else { continue };
        let mut state = random.random::<f64>() < share;
        for frame in 0..frames {
            let rate = speed * factor * together[frame] * if state { 1.0 - share } else { share };
            state ^= frame > 0 && random.random::<f64>() < rate.min(0.9);
            filled[[site, frame]] = state;
        }
    }
    filled
}

fn normal(random: &mut RandomStream) -> f64 {
    StandardNormal.sample(random)
}

fn simulated(
    options: &Options,
    frames: usize,
    factor: f64,
    sites: SeedPath,
    seed: SeedPath,
) -> Result<Movie, Box<dyn std::error::Error>> {
    let mut random = seed.stream();
    let class: Vec<usize> =
        CLASSES.iter().enumerate().flat_map(|(class, (_, sites, _))| std::iter::repeat_n(class, *sites)).collect();
    let characters = characters(&class, &mut sites.stream());
    let filled = paths(&characters, frames, factor, options.flicker, &mut random);
    let steps = vec![1.0; frames];
    if options.known {
        let change = |from: bool| {
            Array2::from_shape_fn(filled.dim(), |(site, frame)| {
                let changed = frame > 0 && filled[[site, frame - 1]] == from && filled[[site, frame]] != from;
                f32::from(u8::from(changed))
            })
        };
        let probability = filled.mapv(|filled| f32::from(u8::from(filled)));
        let classes = vec![Doubt::NONE; CLASSES.len()];
        return Ok(Movie {
            class,
            probability,
            loss: change(true),
            gain: change(false),
            steps,
            total: Doubt::NONE,
            classes,
        });
    }
    let evidence_of = |mean: f64, random: &mut RandomStream| (1.7 * (mean + normal(random)) - 0.4) as f32;
    let evidence = filled.mapv(|filled| evidence_of(if filled { options.separation } else { 0.0 }, &mut random));
    let vacuum = Array2::from_shape_simple_fn((100, frames), || evidence_of(0.0, &mut random));
    let known_filled: Vec<bool> = class.iter().map(|class| *class == 0).collect();
    let intervals = FrameIntervals::even(frames);
    let evidence = MovieEvidence {
        sites: evidence.view(),
        vacuum: vacuum.view(),
        class: &class,
        known_filled: &known_filled,
        intervals: &intervals,
    };
    let settings = OccupancySettings { rate_draws: 200, path_draws: 100, ..OccupancySettings::default() };
    let occupancy = infer(&evidence, &settings, seed.child("infer"))?;
    let doubt = |switching: &atomlens_analysis::movie::occupancy::SwitchingEstimate| {
        Doubt::of(&switching.switches, &switching.occupancy)
    };
    let classes = occupancy.classes.iter().map(|class| class.switching.as_ref().map_or(Doubt::NONE, doubt)).collect();
    Ok(Movie {
        class,
        probability: occupancy.probability,
        loss: occupancy.loss,
        gain: occupancy.gain,
        steps,
        total: doubt(&occupancy.total),
        classes,
    })
}

/// What was found in the pairs for one group of sites and one quantity.
#[derive(Default)]
struct Found {
    tests: usize,
    called: usize,
    adjusted: usize,
    held: usize,
    ratio: f64,
    shared: f64,
    detection: f64,
    floor: f64,
    bootstrap: usize,
}

/// The interval of a share (E. B. Wilson, *J. Am. Stat. Assoc.* 22, 209 (1927)).
fn wilson(hits: usize, of: usize) -> [f64; 2] {
    let (n, z2) = (of as f64, 3.8415);
    let share = hits as f64 / n;
    let half = (z2 * share * (1.0 - share) / n + z2 * z2 / (4.0 * n * n)).sqrt();
    [-1.0, 1.0].map(|sign| (share + z2 / (2.0 * n) + sign * half) / (1.0 + z2 / n))
}

/// Whether resampling sites and blocks of frames at once, on the logarithm of the ratio, calls a difference.
fn bootstrap_calls(movies: [&Movie; 2], members: [&[usize]; 2], random: &mut RandomStream) -> bool {
    const DRAWS: usize = 200;
    const BLOCK: usize = 10;
    let mut rate = |movie: &Movie, members: &[usize]| -> f64 {
        let frames = movie.steps.len();
        let starts: Vec<usize> = (0..frames.div_ceil(BLOCK)).map(|_| random.random_range(0..frames - BLOCK)).collect();
        let mut sum = 0.0;
        for _ in 0..members.len() {
            let site = members[random.random_range(0..members.len())];
            for start in &starts {
                for frame in start + 1..=start + BLOCK {
                    sum += f64::from(movie.loss[[site, frame]] + movie.gain[[site, frame]]);
                }
            }
        }
        sum / (members.len() * starts.len() * BLOCK) as f64
    };
    let above = (0..DRAWS).filter(|_| rate(movies[1], members[1]) > rate(movies[0], members[0])).count();
    (above.min(DRAWS - above) as f64) < 0.025 * DRAWS as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    println!(
        "frames  group      quantity     called [95 %] of tests          adjusted  held   ratio  shared detection floor"
    );
    for frames in &options.frames {
        let mut found: Vec<((String, Quantity), Found)> = Vec::new();
        for pair in 0..options.pairs {
            let seed = SeedPath::new(options.seed).index(*frames as u64).index(pair as u64);
            let sites = |name: &str| seed.child("sites").child(if options.same_sites { "both" } else { name });
            let a = simulated(&options, *frames, 1.0, sites("a"), seed.child("a"))?;
            let b = simulated(&options, *frames, options.factor, sites("b"), seed.child("b"))?;
            let (first, second) = (a.condition(), b.condition());
            let of_class = |movie: &Movie, class: usize| -> Vec<usize> {
                (0..movie.class.len()).filter(|site| movie.class[*site] == class).collect()
            };
            let all: Vec<usize> = (0..a.class.len()).collect();
            let mut switching = [first.switching_sites(*frames), second.switching_sites(*frames)];
            if options.same_sites {
                let either = |site: &usize| switching.iter().any(|sites| sites.contains(site));
                let both: Vec<usize> = all.iter().copied().filter(either).collect();
                switching = [both.clone(), both];
            }
            let mut groups = vec![
                ("all".to_owned(), [all.clone(), all], [a.total, b.total]),
                ("switching".to_owned(), switching, [a.total, b.total]),
            ];
            for (class, (name, _, _)) in CLASSES.iter().enumerate() {
                let members = [of_class(&a, class), of_class(&b, class)];
                groups.push(((*name).to_owned(), members, [a.classes[class], b.classes[class]]));
            }
            for quantity in Quantity::ALL {
                let mut p_values = Vec::new();
                for (name, members, doubts) in &groups {
                    let of = |condition: &Condition<'_>, side: usize| {
                        GroupEstimate::of(condition, &members[side], quantity, &doubts[side])
                    };
                    let (Some(one), Some(other)) = (of(&first, 0), of(&second, 1)) else {
                        p_values.push(f64::NAN);
                        continue;
                    };
                    let test_seed = seed.child(name).child(quantity.name());
                    let contrast = if options.same_sites {
                        Contrast::of_pairs(&one, &other, PERMUTATIONS, test_seed)
                    } else {
                        Contrast::of(&one, &other, PERMUTATIONS, test_seed)
                    };
                    let key = (name.clone(), quantity);
                    let place = found.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
                        found.push((key, Found::default()));
                        found.len() - 1
                    });
                    let found = &mut found[place].1;
                    found.tests += usize::from(contrast.p_value.is_finite());
                    found.called += usize::from(contrast.p_value < 0.05);
                    let truth = if quantity == Quantity::Occupancy { 1.0 } else { options.factor };
                    found.held += usize::from(contrast.ratio.holds(truth));
                    if contrast.ratio.value > 0.0 && contrast.ratio.value.is_finite() {
                        found.ratio += contrast.ratio.value.ln();
                    }
                    let variance = one.variance;
                    found.shared += variance.shared / variance.total();
                    found.detection += variance.detection / variance.total();
                    found.floor += variance.floor / variance.total();
                    if options.bootstrap && quantity == Quantity::SwitchRate && name == "all" {
                        let mut random = seed.child("bootstrap").stream();
                        let members = [members[0].as_slice(), members[1].as_slice()];
                        found.bootstrap += usize::from(bootstrap_calls([&a, &b], members, &mut random));
                    }
                    p_values.push(contrast.p_value);
                }
                let adjusted = atomlens_analysis::movie::comparison::holm(&p_values[2..]);
                for ((name, _, _), adjusted) in groups[2..].iter().zip(adjusted) {
                    let key = (name.clone(), quantity);
                    if let Some((_, found)) = found.iter_mut().find(|(other, _)| *other == key) {
                        found.adjusted += usize::from(adjusted < 0.05);
                    }
                }
            }
        }
        for ((name, quantity), found) in &found {
            let [low, high] = wilson(found.called, found.tests.max(1));
            let n = found.tests.max(1) as f64;
            println!(
                "{frames:6}  {name:10} {:12} {:5.3} [{low:.3}, {high:.3}] of {:4}  {:5.3}  {:5.3}  {:5.2}  {:.2} {:.2} {:.2} {}",
                quantity.name(),
                found.called as f64 / n,
                found.tests,
                found.adjusted as f64 / n,
                found.held as f64 / n,
                (found.ratio / n).exp(),
                found.shared / n,
                found.detection / n,
                found.floor / n,
                if found.bootstrap > 0 || (options.bootstrap && name == "all") {
                    format!("bootstrap {}", found.bootstrap)
                } else {
                    String::new()
                },
            );
        }
    }
    Ok(())
}
