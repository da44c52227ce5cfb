//! How often sites switch, with partial pooling by class.
//!
//! A site's probabilities of being filled and emptied in a frame time have beta priors that its class shares; their
//! means and shapes are unknown too. For each site the likelihood of its evidence, the path summed over, is laid out on
//! a grid of both logits that is narrowed until it covers what is likely; no events or a site that is always filled
//! leave it open towards small rates, as they should. The priors' parameters are drawn by Metropolis' algorithm from
//! their distribution given all sites of the class, and for each of these draws every site's rates from its grid
//! (empirical Bayes with the uncertainty of the prior kept: A. Gelman et al., *Bayesian Data Analysis*, 3rd ed. (2013),
//! chapter 5). Quantiles of the draws are the intervals.

use atomlens_core::{RandomStream, SeedPath};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::chain::{FrameIntervals, Switching};

/// Cells along each direction of a grid.
const CELLS: usize = 16;

/// Cells whose log-likelihood is further below the largest are not likely.
const LIKELY: f64 = 10.0;

/// Largest probability of a change on a grid, as logit: 0.9.
const LARGEST: f64 = 2.2;

/// A site's likelihood over the logits of both probabilities.
pub(super) struct SiteLikelihood {
    fill_ends: Vec<f64>,
    empty_ends: Vec<f64>,
    /// By cells `[fill, empty]`, the largest 1.
    likelihood: Vec<f64>,
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn middles(ends: &[f64]) -> Vec<f64> {
    ends.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect()
}

fn even(low: f64, high: f64) -> Vec<f64> {
    (0..=CELLS).map(|cell| low + (high - low) * cell as f64 / CELLS as f64).collect()
}

impl SiteLikelihood {
    /// For a site's likelihood ratios by frame.
    pub(super) fn of(ratio: &[f64], intervals: &FrameIntervals, initial: f64) -> SiteLikelihood {
        let low = -(1e3 * intervals.duration_frames().max(2.0)).ln();
        let (mut fill_ends, mut empty_ends) = (even(low, LARGEST), even(low, LARGEST));
        let mut logs = log_likelihoods(ratio, intervals, initial, &fill_ends, &empty_ends);
        for _ in 0..4 {
            let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (mut rows, mut columns) = ([CELLS, 0], [CELLS, 0]);
            for (cell, _) in logs.iter().enumerate().filter(|(_, log)| **log > largest - LIKELY) {
                let (row, column) = (cell / CELLS, cell % CELLS);
                rows = [rows[0].min(row), rows[1].max(row)];
                columns = [columns[0].min(column), columns[1].max(column)];
            }
            let widened = |range: [usize; 2]| [range[0].saturating_sub(1), (range[1] + 2).min(CELLS)];
            let (rows, columns) = (widened(rows), widened(columns));
            if rows[1] - rows[0] > 3 * CELLS / 4 && columns[1] - columns[0] > 3 * CELLS / 4 {
                break;
            }
            fill_ends = even(fill_ends[rows[0]], fill_ends[rows[1]]);
            empty_ends = even(empty_ends[columns[0]], empty_ends[columns[1]]);
            logs = log_likelihoods(ratio, intervals, initial, &fill_ends, &empty_ends);
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Below the first cell the likelihood is what it is there.
        for ends in [&mut fill_ends, &mut empty_ends] {
            if ends[0] <= low + 1e-9 {
                ends[0] = f64::NEG_INFINITY;
            }
        }
        SiteLikelihood {
            fill_ends,
            empty_ends,
            likelihood: logs.into_iter().map(|log| (log - largest).exp()).collect(),
        }
    }

    fn marginal(&self, fill: &[f64], empty: &[f64]) -> f64 {
        self.likelihood
            .chunks_exact(CELLS)
            .zip(fill)
            .map(|(row, fill)| fill * row.iter().zip(empty).map(|(l, empty)| l * empty).sum::<f64>())
            .sum()
    }

    /// Draws both probabilities, the priors' masses of the cells given.
    fn draw(&self, fill: &[f64], empty: &[f64], random: &mut RandomStream) -> Switching {
        let row_of = |row: usize| -> f64 {
            let cells = &self.likelihood[row * CELLS..(row + 1) * CELLS];
            cells.iter().zip(empty).map(|(l, empty)| l * empty).sum::<f64>() * fill[row]
        };
        let rows: Vec<f64> = (0..CELLS).map(row_of).collect();
        let row = pick(&rows, random);
        let columns: Vec<f64> =
            (0..CELLS).map(|column| self.likelihood[row * CELLS + column] * empty[column]).collect();
        let column = pick(&columns, random);
        let mut within = |ends: &[f64], cell: usize| {
            let (low, high) = (ends[cell], ends[cell + 1]);
            let low = if low.is_finite() { low } else { high - (ends[cell + 2] - high) };
            logistic(low + (high - low) * random.random::<f64>())
        };
        let (fill, empty) = (within(&self.fill_ends, row), within(&self.empty_ends, column));
        // A cell may reach a little over the edge of what is allowed.
        let scale = (Switching::LARGEST_SUM / (fill + empty)).min(1.0);
        Switching { fill: fill * scale, empty: empty * scale }
    }
}

fn pick(weights: &[f64], random: &mut RandomStream) -> usize {
    let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
}

/// The log-likelihood at the middle of every cell. All cells go through the frames together: the unnormalised
/// probabilities need no division, and are scaled now and then.
fn log_likelihoods(
    ratio: &[f64],
    intervals: &FrameIntervals,
    initial: f64,
    fill_ends: &[f64],
    empty_ends: &[f64],
) -> Vec<f64> {
    let (fill, empty) = (middles(fill_ends), middles(empty_ends));
    let lanes: Vec<Switching> =
        fill.iter().flat_map(|f| empty.iter().map(|e| Switching { fill: logistic(*f), empty: logistic(*e) })).collect();
    let steps: Vec<(Vec<f64>, Vec<f64>)> = intervals
        .lengths()
        .iter()
        .map(|length| {
            let [up, down]: [Vec<f64>; 2] =
                std::array::from_fn(|side| lanes.iter().map(|lane| lane.over(*length)[side]).collect());
            (up, down)
        })
        .collect();
    let mut empty_weight = vec![1.0 - initial; lanes.len()];
    let mut filled_weight = vec![initial * ratio.first().copied().unwrap_or(1.0); lanes.len()];
    let mut logs = vec![0.0; lanes.len()];
    for (frame, ratio) in ratio.iter().enumerate().skip(1) {
        let (up, down) = &steps[intervals.index(frame)];
        for (((zero, one), up), down) in empty_weight.iter_mut().zip(&mut filled_weight).zip(up).zip(down) {
            let (gained, lost) = (*zero * up, *one * down);
            let net = gained - lost;
            *zero -= net;
            *one = (*one + net) * ratio;
        }
        if frame % 8 == 7 || frame + 1 == intervals.frames() {
            for ((zero, one), log) in empty_weight.iter_mut().zip(&mut filled_weight).zip(&mut logs) {
                let sum = *zero + *one;
                *log += sum.ln();
                *zero /= sum;
                *one /= sum;
            }
        }
    }
    for (log, lane) in logs.iter_mut().zip(&lanes) {
        if lane.fill + lane.empty > Switching::LARGEST_SUM || !log.is_finite() {
            *log = f64::NEG_INFINITY;
        }
    }
    logs
}

/// A beta prior by the logarithms of its mean and of its first shape.
#[derive(Debug, Clone, Copy)]
struct Beta {
    log_mean: f64,
    log_shape: f64,
}

/// Grid of logits on which priors are summed.
const PRIOR_LOW: f64 = -22.0;
const PRIOR_STEP: f64 = 0.05;
const PRIOR_POINTS: usize = 500;

impl Beta {
    /// A shape of about 2 is expected, rates that differ by a factor of two between sites of a class; from spread over
    /// decades (0.1) to the same everywhere (200) is allowed. The mean's prior is `mean^-0.8`, nearer to that of a scale than Jeffreys' `mean^-1/2`,
    /// with which every class would count half an event of either kind too many: of few sites that switch and many
    /// classes that hardly do that is a share.
    fn log_hyperprior(&self) -> f64 {
        let inside = (0.05_f64.ln()..200.0_f64.ln()).contains(&self.log_shape)
            && (1e-7_f64.ln()..0.5_f64.ln()).contains(&self.log_mean);
        if inside { 0.2 * self.log_mean - 0.5 * ((self.log_shape - 0.7) / 1.3).powi(2) } else { f64::NEG_INFINITY }
    }

    /// The share below each point of the grid.
    fn cumulative(&self) -> Vec<f64> {
        let mean = self.log_mean.exp();
        let first = self.log_shape.exp();
        let second = first * (1.0 - mean) / mean;
        // Of the logit x the density is p^first (1 - p)^second; ln p = -ln(1 + e^-x), ln(1 - p) = ln p - x.
        let log_density = |x: f64| {
            let log_p = -(-x).exp().ln_1p();
            first * log_p + second * (log_p - x)
        };
        let points = (0..PRIOR_POINTS).map(|point| PRIOR_LOW + PRIOR_STEP * point as f64);
        let logs: Vec<f64> = points.map(log_density).collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let densities: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let mut sum = densities[0] / first;
        let mut cumulative = Vec::with_capacity(PRIOR_POINTS);
        cumulative.push(sum);
        for pair in densities.windows(2) {
            sum += 0.5 * PRIOR_STEP * (pair[0] + pair[1]);
            cumulative.push(sum);
        }
        cumulative.iter_mut().for_each(|value| *value /= sum);
        cumulative
    }
}

/// The masses between ends, from a cumulative table.
fn masses(cumulative: &[f64], ends: &[f64]) -> [f64; CELLS] {
    let below = |x: f64| {
        if x == f64::NEG_INFINITY {
            return 0.0;
        }
        let place = ((x - PRIOR_LOW) / PRIOR_STEP).clamp(0.0, (PRIOR_POINTS - 1) as f64);
        let index = (place as usize).min(PRIOR_POINTS - 2);
        cumulative[index] + (cumulative[index + 1] - cumulative[index]) * (place - index as f64)
    };
    let mut last = below(ends[0]);
    std::array::from_fn(|cell| {
        let next = below(ends[cell + 1]);
        let mass = next - last;
        last = next;
        mass.max(0.0)
    })
}

/// The state of the draws of one class: its two priors (fill, empty), and the masses that they give to each site's cells.
struct ClassState<'a> {
    sites: Vec<&'a SiteLikelihood>,
    priors: [Beta; 2],
    masses: [Vec<[f64; CELLS]>; 2],
    log_posterior: f64,
}

impl<'a> ClassState<'a> {
    fn new(sites: Vec<&'a SiteLikelihood>, priors: [Beta; 2]) -> ClassState<'a> {
        let mut state = ClassState { sites, priors, masses: [Vec::new(), Vec::new()], log_posterior: 0.0 };
        state.masses = [state.masses_of(0, priors[0]), state.masses_of(1, priors[1])];
        state.log_posterior = state.log_posterior_with(&state.masses[0], &state.masses[1], priors);
        state
    }

    fn masses_of(&self, side: usize, prior: Beta) -> Vec<[f64; CELLS]> {
        let cumulative = prior.cumulative();
        let of =
            |site: &&SiteLikelihood| masses(&cumulative, if side == 0 { &site.fill_ends } else { &site.empty_ends });
        self.sites.iter().map(of).collect()
    }

    fn log_posterior_with(&self, fill: &[[f64; CELLS]], empty: &[[f64; CELLS]], priors: [Beta; 2]) -> f64 {
        let sites = self.sites.iter().zip(fill).zip(empty);
        let log_likelihood: f64 = sites.map(|((site, fill), empty)| site.marginal(fill, empty).max(1e-300).ln()).sum();
        log_likelihood + priors.iter().map(Beta::log_hyperprior).sum::<f64>()
    }

    /// Proposes a change of one parameter; answers whether it was taken.
    fn step(&mut self, side: usize, change: [f64; 2], random: &mut RandomStream) -> bool {
        let prior = Beta {
            log_mean: self.priors[side].log_mean + change[0],
            log_shape: self.priors[side].log_shape + change[1],
        };
        let chance: f64 = random.random();
        if prior.log_hyperprior() == f64::NEG_INFINITY {
            return false;
        }
        let proposed = self.masses_of(side, prior);
        let mut priors = self.priors;
        priors[side] = prior;
        let log_posterior = match side {
            0 => self.log_posterior_with(&proposed, &self.masses[1], priors),
            _ => self.log_posterior_with(&self.masses[0], &proposed, priors),
        };
        let taken = chance.ln() < log_posterior - self.log_posterior;
        if taken {
            self.priors = priors;
            self.masses[side] = proposed;
            self.log_posterior = log_posterior;
        }
        taken
    }
}

/// Sweeps before the first draw.
const BURN_IN: usize = 300;

/// Draws of the rates of the sites of one class, `[draw][site]`, from a first guess of both means.
fn class_draws(sites: Vec<&SiteLikelihood>, guess: Switching, draws: usize, seed: SeedPath) -> Vec<Vec<Switching>> {
    let mut random = seed.stream();
    let prior = |mean: f64| Beta { log_mean: mean.clamp(1e-6, 0.4).ln(), log_shape: 0.3 };
    let mut state = ClassState::new(sites, [prior(guess.fill), prior(guess.empty)]);
    // Width of the proposals by side and parameter, adapted before the first draw to be taken in about two of five.
    let mut widths = [[0.5_f64, 0.8]; 2];
    let mut result = Vec::with_capacity(draws);
    for sweep in 0..BURN_IN + draws {
        for (side, widths) in widths.iter_mut().enumerate() {
            for (parameter, width) in widths.iter_mut().enumerate() {
                let mut change = [0.0; 2];
                let step: f64 = StandardNormal.sample(&mut random);
                change[parameter] = *width * step;
                let taken = state.step(side, change, &mut random);
                if sweep < BURN_IN {
                    let factor = if taken { 1.09 } else { 0.945 };
                    *width = (*width * factor).clamp(0.02, 3.0);
                }
            }
        }
        if sweep >= BURN_IN {
            let masses = state.masses[0].iter().zip(&state.masses[1]);
            result.push(
                state
                    .sites
                    .iter()
                    .zip(masses)
                    .map(|(site, (fill, empty))| site.draw(fill, empty, &mut random))
                    .collect(),
            );
        }
    }
    result
}

/// Draws of the rates of all sites, `[site][draw]`. Classes share nothing.
pub(super) fn draws(
    likelihoods: &[SiteLikelihood],
    class: &[usize],
    guess: &[Switching],
    draws: usize,
    seed: SeedPath,
) -> Vec<Vec<Switching>> {
    let mut result = vec![Vec::new(); likelihoods.len()];
    let of_classes: Vec<(Vec<usize>, Vec<Vec<Switching>>)> = guess
        .par_iter()
        .enumerate()
        .map(|(index, guess)| {
            let members: Vec<usize> = (0..class.len()).filter(|site| class[*site] == index).collect();
            let sites: Vec<&SiteLikelihood> = members.iter().map(|site| &likelihoods[*site]).collect();
            let drawn = if members.is_empty() {
                Vec::new()
            } else {
                class_draws(sites, *guess, draws, seed.index(index as u64))
            };
            (members, drawn)
        })
        .collect();
    for (members, drawn) in of_classes {
        for (place, site) in members.into_iter().enumerate() {
            result[site] = drawn.iter().map(|draw| draw[place]).collect();
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site that is known without doubt.
    fn known(path: &[bool]) -> SiteLikelihood {
        let ratio: Vec<f64> = path.iter().map(|filled| if *filled { 1e6 } else { 1e-6 }).collect();
        SiteLikelihood::of(&ratio, &FrameIntervals::even(path.len()), 0.5)
    }

    fn simulated(frames: usize, switching: Switching, seed: u64) -> Vec<bool> {
        let mut random = SeedPath::new(seed).stream();
        let mut state = true;
        (0..frames)
            .map(|frame| {
                let change = if state { switching.empty } else { switching.fill };
                state ^= frame > 0 && random.random::<f64>() < change;
                state
            })
            .collect()
    }

    #[test]
    fn the_prior_is_a_beta_distribution() {
        // Of beta(2, 38) the median is 0.0426 and 0.95 lies below 0.1157 (closed form: 1 - (1 + 38 x)(1 - x)^38 for
        // shapes 2 and 38, checked by hand at both).
        let cumulative = Beta { log_mean: 0.05_f64.ln(), log_shape: 2.0_f64.ln() }.cumulative();
        for x in [0.005_f64, 0.02, 0.0426, 0.1, 0.1157] {
            let exact = 1.0 - (1.0 + 38.0 * x) * (1.0 - x).powi(38);
            let ends: Vec<f64> = std::iter::once(f64::NEG_INFINITY)
                .chain((0..CELLS).map(|cell| (x / (1.0 - x)).ln() + 0.01 * cell as f64))
                .collect();
            assert!((masses(&cumulative, &ends)[0] - exact).abs() < 2e-3, "{x}");
        }
    }

    #[test]
    fn a_grid_covers_a_beta_likelihood() {
        // With the path known the likelihood is that of two binomials; under flat priors on the logits the mean of the
        // probability of being emptied is losses / frames filled.
        let path = simulated(4000, Switching { fill: 0.1, empty: 0.05 }, 1);
        let losses = path.windows(2).filter(|pair| pair[0] && !pair[1]).count() as f64;
        let filled = path[..path.len() - 1].iter().filter(|state| **state).count() as f64;
        let site = known(&path);
        let flat = |ends: &[f64]| -> [f64; CELLS] { std::array::from_fn(|cell| ends[cell + 1] - ends[cell]) };
        let (fill, empty) = (flat(&site.fill_ends), flat(&site.empty_ends));
        let mut random = SeedPath::new(2).stream();
        let drawn: Vec<f64> = (0..20_000).map(|_| site.draw(&fill, &empty, &mut random).empty).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let spread = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / drawn.len() as f64).sqrt();
        let expected = losses / filled;
        assert!((mean / expected - 1.0).abs() < 0.01, "{mean} {expected}");
        assert!((spread / (expected * (1.0 - expected) / filled).sqrt() - 1.0).abs() < 0.05, "{spread}");
    }

    #[test]
    fn a_short_site_borrows_from_its_class() {
        // Thirty sites of 200 frames that switch alike, and one that was seen for 10 frames only.
        let switching = Switching { fill: 0.08, empty: 0.04 };
        let mut sites: Vec<SiteLikelihood> = (0..30).map(|site| known(&simulated(200, switching, 10 + site))).collect();
        sites.push(known(&[true; 10]));
        let class = vec![0; sites.len()];
        let drawn = draws(&sites, &class, &[Switching { fill: 0.01, empty: 0.01 }], 500, SeedPath::new(3));
        let mean = |site: usize| drawn[site].iter().map(|draw| draw.empty).sum::<f64>() / 500.0;
        assert!((mean(30) - 0.04).abs() < 0.012, "{}", mean(30));
        let all: f64 = (0..30).map(mean).sum::<f64>() / 30.0;
        assert!((all - 0.04).abs() < 0.008, "{all}");
    }
}
