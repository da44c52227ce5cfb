//! How long sites stay filled or empty, and how long an occupancy remembers itself.
//!
//! Durations are read from paths drawn given the whole movie, not from the likeliest path, which misses short visits.
//! A visit that goes on when the movie ends is known to last at least so long: the share that lasts longer than a time is
//! the product-limit estimate (E. L. Kaplan and P. Meier, *J. Am. Stat. Assoc.* 53, 457 (1958),
//! doi:10.1080/01621459.1958.10501452). Visits under way in the first frame are left out, as their beginning is unknown.

use serde::{Deserialize, Serialize};

use crate::movie::occupancy::{DrawnPath, Estimate, Occupancy};

/// A step of a survival curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SurvivalStep {
    /// Duration in frames.
    pub frames: usize,
    /// Share of visits that last longer, with the interval over the draws.
    pub share: Estimate,
}

/// How long a state lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Mean duration in frame times: one over the rate of its end.
    pub mean_frames: Estimate,
    /// Mean number of visits that began and ended within the movie.
    pub ended: f64,
    /// Mean number that were still under way at its end.
    pub under_way: f64,
    /// The share that lasts longer, at rising durations.
    pub survival: Vec<SurvivalStep>,
}

/// Draws that the curves are made of.
const DRAWS: usize = 200;

/// Lifetimes of the filled (`filled`) or the empty state at some sites; `None` if there is no such site.
pub fn lifetimes(occupancy: &Occupancy, sites: &[usize], filled: bool) -> Option<Lifetimes> {
    let frames = occupancy.filled.ncols();
    let rates = occupancy.together(sites)?;
    let rate = if filled { rates.empty_per_frame } else { rates.fill_per_frame };
    let draws = &occupancy.paths[..occupancy.paths.len().min(DRAWS)];
    let (mut ended, mut under_way) = (0.0, 0.0);
    let curves: Vec<Vec<f64>> = draws
        .iter()
        .map(|paths| {
            // Visits by duration: ended, still under way.
            let mut visits = vec![[0.0_f64; 2]; frames + 1];
            for site in sites {
                for (start, end, state) in paths[*site].runs(frames) {
                    if state == filled && start > 0 {
                        visits[end - start][usize::from(end == frames)] += 1.0;
                    }
                }
            }
            ended += visits.iter().map(|visit| visit[0]).sum::<f64>();
            under_way += visits.iter().map(|visit| visit[1]).sum::<f64>();
            product_limit(&visits)
        })
        .collect();
    let count = draws.len().max(1) as f64;
    let survival = (1..=frames)
        .take_while(|duration| curves.iter().filter(|curve| curve[*duration].is_finite()).count() * 2 > curves.len())
        .map(|duration| {
            let mut values: Vec<f64> = curves.iter().map(|curve| curve[duration]).filter(|x| x.is_finite()).collect();
            SurvivalStep { frames: duration, share: Estimate::of_draws(&mut values) }
        })
        .collect();
    let inverse = |rate: f64| if rate > 0.0 { 1.0 / rate } else { f64::INFINITY };
    Some(Lifetimes {
        mean_frames: Estimate { value: inverse(rate.value), low: inverse(rate.high), high: inverse(rate.low) },
        ended: ended / count,
        under_way: under_way / count,
        survival,
    })
}

/// Share that lasts longer than each duration, from visits `[duration][ended, under way]`; NaN once none is left.
fn product_limit(visits: &[[f64; 2]]) -> Vec<f64> {
    let mut at_risk: f64 = visits.iter().flatten().sum();
    let mut share = if at_risk > 0.0 { 1.0 } else { f64::NAN };
    visits
        .iter()
        .map(|[ended, under_way]| {
            if at_risk > 0.5 {
                share *= 1.0 - ended / at_risk;
            } else {
                share = f64::NAN;
            }
            at_risk -= ended + under_way;
            share
        })
        .collect()
}

/// Autocorrelation of the occupancy of some sites at lags of 0, 1, .. `most_lag` frames:
/// `sum (n(t) - m)(n(t + k) - m) / sum (n(t) - m)^2` over drawn paths, `m` being each site's mean; errors of single
/// frames, which a naive correlation shows as a drop from lag 0 to lag 1, are not in it. For a chain of two states it is
/// `(1 - f - e)^k`, but for the mean taken from a movie of finite length. NaN where no site ever changes.
pub fn autocorrelation(occupancy: &Occupancy, sites: &[usize], most_lag: usize) -> Vec<f64> {
    const FEW: usize = 20;
    let frames = occupancy.filled.ncols();
    let most_lag = most_lag.min(frames.saturating_sub(1));
    let mut sums = vec![0.0; most_lag + 1];
    let mut counts = vec![0.0; most_lag + 1];
    for paths in occupancy.paths.iter().take(FEW) {
        for path in sites.iter().map(|site| &paths[*site]).filter(|path| !path.switches.is_empty()) {
            let states = centred(path, frames);
            for (lag, (sum, count)) in sums.iter_mut().zip(&mut counts).enumerate() {
                *sum += states.iter().zip(&states[lag..]).map(|(a, b)| a * b).sum::<f64>();
                *count += (frames - lag) as f64;
            }
        }
    }
    let first = sums[0] / counts[0];
    sums.iter().zip(&counts).map(|(sum, count)| sum / count / first).collect()
}

fn centred(path: &DrawnPath, frames: usize) -> Vec<f64> {
    let mean = path.filled_frames(frames) as f64 / frames as f64;
    let mut states = vec![0.0; frames];
    for (start, end, filled) in path.runs(frames) {
        states[start..end].fill(f64::from(u8::from(filled)) - mean);
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survival_of_a_textbook_sample() {
        // Ended at 1, 3, 3, 6; under way at 2 and 6. S(1) = 5/6, S(3) = 5/6 * 2/4, S(6) = S(3) * 1/2.
        let mut visits = vec![[0.0; 2]; 8];
        visits[1][0] = 1.0;
        visits[2][1] = 1.0;
        visits[3][0] = 2.0;
        visits[6] = [1.0, 1.0];
        let curve = product_limit(&visits);
        for (duration, expected) in [(0, 1.0), (1, 5.0 / 6.0), (2, 5.0 / 6.0), (3, 5.0 / 12.0), (6, 5.0 / 24.0)] {
            assert!((curve[duration] - expected).abs() < 1e-12, "{curve:?}");
        }
        assert!(curve[7].is_nan());
    }
}
