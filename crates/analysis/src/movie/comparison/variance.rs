//! The variance of a rate of several sites, and its interval.

use atomlens_core::quantile::{NORMAL_95, gamma_quantile, student_95};
use serde::{Deserialize, Serialize};

use super::{Condition, Doubt, Estimate, GroupEstimate, Quantity, block_length};

/// Variance of a rate or an occupancy, by where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Variance {
    /// What differs from site to site, with all that is correlated within one.
    pub sites: f64,
    /// What sites share in time.
    pub shared: f64,
    /// What the detector leaves open.
    pub detection: f64,
    /// What is missing to the variance of Poisson events.
    pub floor: f64,
}

impl Variance {
    /// All together.
    pub fn total(&self) -> f64 {
        self.sites + self.shared + self.detection + self.floor
    }
}

/// A site's `y` and `x` at a frame.
fn element(condition: &Condition<'_>, quantity: Quantity, site: usize, frame: usize) -> [f64; 2] {
    let at = |of: &ndarray::ArrayView2<'_, f32>, frame: usize| f64::from(of[[site, frame]]);
    if quantity == Quantity::Occupancy {
        return [at(&condition.probability, frame), 1.0];
    }
    if frame == 0 {
        return [0.0; 2];
    }
    let step = condition.steps[frame];
    match quantity {
        Quantity::FillRate => [at(&condition.gain, frame), step * (1.0 - at(&condition.probability, frame - 1))],
        Quantity::EmptyRate => [at(&condition.loss, frame), step * at(&condition.probability, frame - 1)],
        _ => [at(&condition.loss, frame) + at(&condition.gain, frame), step],
    }
}

/// Less exposure than this part of one step at one site is none.
const LEAST_EXPOSURE_STEPS: f64 = 0.5;

pub(super) fn estimated(
    condition: &Condition<'_>,
    members: &[usize],
    quantity: Quantity,
    doubt: &Doubt,
) -> Option<GroupEstimate> {
    let frames = condition.probability.ncols();
    let sums: Vec<[f64; 2]> = members
        .iter()
        .map(|site| {
            (0..frames).fold([0.0; 2], |sum, frame| {
                let [y, x] = element(condition, quantity, *site, frame);
                [sum[0] + y, sum[1] + x]
            })
        })
        .collect();
    let [y, x] = sums.iter().fold([0.0; 2], |sum, site| [sum[0] + site[0], sum[1] + site[1]]);
    let step = if quantity.is_rate() { mean_step(condition)? } else { 1.0 };
    if x < LEAST_EXPOSURE_STEPS * step {
        return None;
    }
    let rate = y / x;
    let count = sums.len() as f64;
    let residuals: Vec<f64> = sums.iter().map(|[y, x]| y - rate * x).collect();
    let squares: f64 = residuals.iter().map(|residual| residual.powi(2)).sum();
    let between = if sums.len() > 1 { squares * count / (count - 1.0) } else { 0.0 };
    let (shared, block_frames) = shared_in_time(condition, members, quantity, &sums);
    let seen = between + shared;
    let (detection, least) = if quantity.is_rate() {
        let chance = y * (1.0 - rate * step).max(0.0);
        (chance * (doubt.open + doubt.open / (1.0 + doubt.open)), chance * (1.0 + doubt.open))
    } else {
        ((doubt.occupancy_sigma * x).powi(2), 0.0)
    };
    let floor = (least - seen - detection).max(0.0);
    let by = |part: f64| part / (x * x);
    let variance = Variance { sites: by(between), shared: by(shared), detection: by(detection), floor: by(floor) };
    let degrees_of_freedom = degrees_of_freedom(&residuals);
    let widening = if sums.len() > 1 { student_95(degrees_of_freedom) / NORMAL_95 } else { 1.0 };
    let widened = variance.total() * widening * widening;
    let value = if quantity.is_rate() {
        // One event at all sites together: the scale where none is known.
        rate_interval(rate, widened, (1.0 + doubt.open) / x)
    } else {
        share_interval(rate, widened)
    };
    let poisson = by(least);
    Some(GroupEstimate { quantity, value, variance, degrees_of_freedom, events: y, block_frames, sums, poisson })
}

fn mean_step(condition: &Condition<'_>) -> Option<f64> {
    let steps = condition.steps.get(1..)?;
    (!steps.is_empty()).then(|| steps.iter().sum::<f64>() / steps.len() as f64)
}

/// Blocks are longer by this than is best for the mean squared error, which leaves out too much of long correlations.
const BLOCKS_LONGER: f64 = 2.0;

/// The variance of the sum over sites and frames that comes of sites being correlated with one another: that of sums over
/// moving blocks of frames, less what single sites give. Residuals are those from a site's own rate. What is within the
/// noise of this estimate is drawn towards 0. Also the length of the blocks.
fn shared_in_time(condition: &Condition<'_>, members: &[usize], quantity: Quantity, sums: &[[f64; 2]]) -> (f64, f64) {
    let frames = condition.probability.ncols();
    let first = usize::from(quantity.is_rate());
    let length = frames.saturating_sub(first);
    if members.len() < 2 || length < 12 {
        return (0.0, 1.0);
    }
    let own_rate: Vec<f64> = sums.iter().map(|[y, x]| if *x > 0.0 { y / x } else { 0.0 }).collect();
    let residual = |member: usize, frame: usize| {
        let [y, x] = element(condition, quantity, members[member], frame);
        y - own_rate[member] * x
    };
    let mut together = vec![0.0; length];
    for member in 0..members.len() {
        for (frame, sum) in together.iter_mut().enumerate() {
            *sum += residual(member, first + frame);
        }
    }
    let block = ((BLOCKS_LONGER * block_length(&together)).round().max(1.0) as usize).min(length / 3);
    // Running sums over all blocks that touch the movie; their squares by the length are Bartlett's estimate.
    let of_blocks = |value: &dyn Fn(usize) -> f64| -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for end in 0..length + block - 1 {
            sum += if end < length { value(end) } else { 0.0 };
            sum -= if end >= block { value(end - block) } else { 0.0 };
            squares += sum * sum;
        }
        squares / block as f64
    };
    let of_all = of_blocks(&|frame| together[frame]);
    let mut of_each = 0.0;
    let mut series = vec![0.0; length];
    for member in 0..members.len() {
        series.iter_mut().enumerate().for_each(|(frame, value)| *value = residual(member, first + frame));
        of_each += of_blocks(&|frame| series[frame]);
    }
    // The mean of each series is taken out, and with it that part of the long correlations.
    let correction = 1.0 / (1.0 - block as f64 / (length as f64 + 1.0));
    let shared = (of_all - of_each) * correction;
    let noise = of_each * correction * (4.0 * block as f64 / (3.0 * length as f64)).sqrt();
    let kept = if shared > noise { shared * (1.0 - (noise / shared).powi(2)) } else { 0.0 };
    (kept, block as f64)
}

/// Of a variance that is estimated from residuals of few sites: `2 V^2 / var(V)`, at most one less than there are.
fn degrees_of_freedom(residuals: &[f64]) -> f64 {
    let count = residuals.len() as f64;
    let moment = |power: i32| residuals.iter().map(|residual| residual.powi(power)).sum::<f64>() / count;
    let (second, fourth) = (moment(2), moment(4));
    let most = (count - 1.0).max(1.0);
    if second <= 0.0 { most } else { (2.0 * count / (fourth / (second * second) - 1.0)).clamp(1.0, most) }
}

/// Of so many events a gamma distribution is a normal one.
const NORMAL_FROM: f64 = 1e4;

/// Interval of 95 % of a rate; `event` is the rate that one event would make.
fn rate_interval(rate: f64, variance: f64, event: f64) -> Estimate {
    let scale = if rate > 0.0 && variance > 0.0 { variance / rate } else { event };
    let effective = rate / scale;
    if effective > NORMAL_FROM {
        let half = NORMAL_95 * variance.sqrt();
        return Estimate { value: rate, low: rate - half, high: rate + half };
    }
    let low = if effective > 1e-6 { scale * gamma_quantile(0.025, effective) } else { 0.0 };
    Estimate { value: rate, low: low.min(rate), high: (scale * gamma_quantile(0.975, effective + 1.0)).max(rate) }
}

/// Interval of 95 % of a share.
fn share_interval(share: f64, variance: f64) -> Estimate {
    let share = share.clamp(0.0, 1.0);
    let slope = share * (1.0 - share);
    if slope <= 0.0 {
        return Estimate { value: share, low: share, high: share };
    }
    let logit = (share / (1.0 - share)).ln();
    let half = NORMAL_95 * variance.sqrt() / slope;
    let back = |x: f64| 1.0 / (1.0 + (-x).exp());
    Estimate { value: share, low: back(logit - half), high: back(logit + half) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_alone_have_the_limits_of_poisson_counts() {
        // F. Garwood, Biometrika 28, 437 (1936).
        for (count, low, high) in
            [(0.0, 0.0, 3.689), (3.0, 0.6187, 8.7673), (20.0, 12.217, 30.888), (100.0, 81.364, 121.627)]
        {
            let found = rate_interval(count, count, 1.0);
            assert!((found.low - low).abs() < 1e-3 && (found.high - high).abs() < 1e-3, "{count}: {found:?}");
        }
    }
}
