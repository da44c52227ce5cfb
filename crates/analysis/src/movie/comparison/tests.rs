use atomlens_core::RandomStream;
use ndarray::Array2;
use rand::RngExt;
use rand_distr::{Distribution, Gamma, StandardNormal};

use super::*;

/// Known paths of `sites` sites that differ in how fast they are; `flicker` lets all go faster and slower together.
struct Known {
    probability: Array2<f32>,
    loss: Array2<f32>,
    gain: Array2<f32>,
    steps: Vec<f64>,
}

impl Known {
    fn simulated(speeds: &[f64], frames: usize, flicker: f64, random: &mut RandomStream) -> Known {
        let mut known = Known {
            probability: Array2::zeros((speeds.len(), frames)),
            loss: Array2::zeros((speeds.len(), frames)),
            gain: Array2::zeros((speeds.len(), frames)),
            steps: vec![1.0; frames],
        };
        let mut level = 0.0;
        let together: Vec<f64> = (0..frames)
            .map(|_| {
                let drawn: f64 = StandardNormal.sample(random);
                level = 0.9 * level + 0.436 * flicker * drawn;
                level.exp()
            })
            .collect();
        for (site, speed) in speeds.iter().enumerate() {
            let mut state = random.random::<bool>();
            for (frame, together) in together.iter().enumerate() {
                let before = state;
                state ^= frame > 0 && random.random::<f64>() < (speed * together).min(0.9);
                known.probability[[site, frame]] = f32::from(u8::from(state));
                known.loss[[site, frame]] = f32::from(u8::from(before && !state));
                known.gain[[site, frame]] = f32::from(u8::from(!before && state));
            }
        }
        known
    }

    fn estimate(&self, quantity: Quantity) -> GroupEstimate {
        let members: Vec<usize> = (0..self.probability.nrows()).collect();
        GroupEstimate::of(&self.condition(), &members, quantity, &Doubt::NONE).unwrap()
    }

    fn condition(&self) -> Condition<'_> {
        Condition {
            probability: self.probability.view(),
            loss: self.loss.view(),
            gain: self.gain.view(),
            steps: &self.steps,
        }
    }
}

fn speeds(sites: usize, factor: f64, random: &mut RandomStream) -> Vec<f64> {
    let gamma = Gamma::new(2.0, 0.02).unwrap();
    (0..sites).map(|_| factor * gamma.sample(random)).collect()
}

#[test]
fn stated_variances_are_those_of_repeated_movies() {
    // What sites share is known from few periods of it alone, and rather too small.
    for (flicker, least_shared, least) in [(0.0, 0.0, 0.75), (0.5, 0.1, 0.6)] {
        let (mut rates, mut stated, mut held, mut shared) = (Vec::new(), 0.0, 0, 0.0);
        let movies = 300;
        for movie in 0..movies {
            let mut random = SeedPath::new(3).index(movie).stream();
            let speeds = speeds(25, 1.0, &mut random);
            let estimate = Known::simulated(&speeds, 200, flicker, &mut random).estimate(Quantity::SwitchRate);
            rates.push(estimate.value.value);
            stated += estimate.variance.total() / movies as f64;
            shared += estimate.variance.shared / movies as f64;
            // Of the autoregressive process the mean of exp(level) is exp(variance / 2).
            held += usize::from(estimate.value.holds(0.04 * (0.5 * flicker * flicker).exp()));
        }
        let mean = rates.iter().sum::<f64>() / movies as f64;
        let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (movies - 1) as f64;
        // The variance of 300 values is known to 8 %.
        assert!((least..1.25).contains(&(stated / variance)), "{flicker}: {stated} for {variance}");
        assert!(shared / stated >= least_shared, "{flicker}: {shared} of {stated}");
        assert!(held >= 264, "{flicker}: {held} of {movies}");
    }
}

#[test]
fn conditions_that_are_the_same_are_called_different_in_a_twentieth_of_pairs() {
    let pairs = 300;
    let [mut apart, mut one_by_one, mut power] = [0; 3];
    for pair in 0..pairs {
        let mut random = SeedPath::new(4).index(pair).stream();
        let (first, second) = (speeds(30, 1.0, &mut random), speeds(24, 1.0, &mut random));
        let faster: Vec<f64> = first.iter().map(|speed| 1.5 * speed).collect();
        let mut estimate = |speeds: &[f64], frames: usize| {
            Known::simulated(speeds, frames, 0.0, &mut random).estimate(Quantity::SwitchRate)
        };
        let (a, b, again) = (estimate(&first, 120), estimate(&second, 90), estimate(&first, 120));
        let faster = estimate(&faster, 120);
        let seed = SeedPath::new(5).index(pair);
        apart += usize::from(Contrast::of(&a, &b, 199, seed).p_value < 0.05);
        one_by_one += usize::from(Contrast::of_pairs(&a, &again, 199, seed).p_value < 0.05);
        power += usize::from(Contrast::of_pairs(&a, &faster, 199, seed).p_value < 0.05);
    }
    // Of 300 tests at 5 % fewer than 6 or more than 26 are called once in a thousand.
    assert!((5..=26).contains(&apart), "{apart}");
    assert!((5..=26).contains(&one_by_one), "{one_by_one}");
    assert!(power > 240, "{power}");
}

#[test]
fn all_deals_enumerated_by_another_program_give_the_same() {
    // scipy.stats.permutation_test of the studentised difference of ratios: all 126 deals of the sites give 0.14286, all
    // 64 of pairs 0.03125. 20,000 random ones know this to 0.0025.
    let a = [[3.0, 100.0], [0.0, 80.0], [7.0, 120.0], [2.0, 100.0], [1.0, 60.0]];
    let b = [[9.0, 100.0], [4.0, 90.0], [12.0, 110.0], [3.0, 100.0]];
    let found = permutation::p_value(&a, &b, 1.907_054_518_919_463, 20_000, SeedPath::new(1));
    assert!((found - 0.142_857).abs() < 0.01, "{found}");
    let a = [[6.0, 100.0], [1.0, 80.0], [9.0, 120.0], [2.0, 100.0], [5.0, 60.0], [4.0, 50.0]];
    let b = [[9.0, 100.0], [4.0, 90.0], [12.0, 110.0], [3.0, 100.0], [6.0, 70.0], [5.0, 60.0]];
    let found = permutation::p_value_of_pairs(&a, &b, 4.319_076_474_892_617, 20_000, SeedPath::new(1));
    assert!((found - 0.031_25).abs() < 0.005, "{found}");
}

#[test]
fn holm_as_in_r() {
    // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    let adjusted = holm(&[0.01, 0.04, f64::NAN, 0.03, 0.005]);
    for (found, expected) in adjusted.iter().zip([0.03, 0.06, f64::NAN, 0.06, 0.02]) {
        assert!((found - expected).abs() < 1e-12 || (found.is_nan() && expected.is_nan()), "{adjusted:?}");
    }
}

#[test]
fn blocks_are_as_long_as_theory_says() {
    // For an autoregressive process of coefficient c, G / g = 2 c / (1 - c^2), so b = (6 c^2 / (1 - c^2)^2 n)^(1/3).
    let mut random = SeedPath::new(6).stream();
    for (coefficient, tolerance) in [(0.6_f64, 0.3), (0.85, 0.3)] {
        let mut value = 0.0;
        let series: Vec<f64> = (0..20_000)
            .map(|_| {
                let drawn: f64 = StandardNormal.sample(&mut random);
                value = coefficient * value + drawn;
                value
            })
            .collect();
        let expected = (6.0 * coefficient.powi(2) / (1.0 - coefficient.powi(2)).powi(2) * 20_000.0).cbrt();
        let found = block_length(&series);
        assert!((found / expected - 1.0).abs() < tolerance, "{coefficient}: {found} for {expected}");
    }
    let noise: Vec<f64> = (0..500).map(|_| StandardNormal.sample(&mut random)).collect();
    assert!(block_length(&noise) < 6.0, "{}", block_length(&noise));
    assert_eq!(block_length(&[1.0; 40]), 1.0);
}

#[test]
fn expected_events_of_a_prior_are_no_evidence() {
    // Sites at which nothing happens: what is expected there is their class's rate, nearly the same at all sites.
    let known = |expected: f32| Known {
        probability: Array2::from_elem((40, 100), 0.999),
        loss: Array2::from_shape_fn((40, 100), |(site, _)| expected * (1.0 + 0.01 * site as f32)),
        gain: Array2::from_elem((40, 100), expected),
        steps: vec![1.0; 100],
    };
    let (a, b) = (known(1e-5).estimate(Quantity::SwitchRate), known(4e-5).estimate(Quantity::SwitchRate));
    assert!(a.variance.floor > 0.9 * a.variance.total());
    let contrast = Contrast::of(&a, &b, 499, SeedPath::new(1));
    assert!(contrast.p_value > 0.3 && contrast.difference.holds(0.0) && contrast.ratio.holds(1.0), "{contrast:?}");
    let pairs = Contrast::of_pairs(&a, &b, 499, SeedPath::new(1));
    assert!(pairs.p_value > 0.3 && pairs.difference.holds(0.0), "{pairs:?}");
}

#[test]
fn what_cannot_be_known_is_not_stated() {
    let mut random = SeedPath::new(8).stream();
    let mut known = Known::simulated(&[0.05; 6], 100, 0.0, &mut random);
    assert!(GroupEstimate::of(&known.condition(), &[], Quantity::SwitchRate, &Doubt::NONE).is_none());
    let of = |known: &Known, members: &[usize]| {
        GroupEstimate::of(&known.condition(), members, Quantity::SwitchRate, &Doubt::NONE).unwrap()
    };
    let (one, others) = (of(&known, &[0]), of(&known, &[1, 2, 3]));
    assert!(Contrast::of(&one, &others, 99, SeedPath::new(1)).p_value.is_nan());
    assert!(one.value.low < one.value.value && one.value.value < one.value.high);
    known.probability.fill(1.0);
    assert!(GroupEstimate::of(&known.condition(), &[0, 1], Quantity::FillRate, &Doubt::NONE).is_none());
    // No event at all: a rate of 0 with the upper end of Poisson's, and a ratio without bound.
    known.loss.fill(0.0);
    known.gain.fill(0.0);
    let none = of(&known, &[0, 1, 2]);
    assert_eq!((none.value.value, none.value.low), (0.0, 0.0));
    assert!((none.value.high * 3.0 * 99.0 - 3.689).abs() < 0.01, "{:?}", none.value);
    assert_eq!(Contrast::of(&none, &others, 99, SeedPath::new(1)).ratio.high, f64::INFINITY);
}
