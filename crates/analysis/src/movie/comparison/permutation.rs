//! Sites dealt out anew to both conditions.

use atomlens_core::SeedPath;
use rand::RngExt;

/// Ratio of the sums of some sites, and its variance.
fn ratio(sums: impl Iterator<Item = [f64; 2]> + Clone) -> [f64; 2] {
    let (mut y, mut x, mut count) = (0.0, 0.0, 0.0);
    for site in sums.clone() {
        y += site[0];
        x += site[1];
        count += 1.0;
    }
    let ratio = y / x;
    let square: f64 = sums.map(|site| (site[0] - ratio * site[1]).powi(2)).sum();
    [ratio, square * count / (count - 1.0) / (x * x)]
}

/// Difference of the ratios of the same sites under two conditions, and its variance.
pub(super) fn pair_ratios(a: &[[f64; 2]], b: &[[f64; 2]]) -> [f64; 2] {
    let [one, other] = [a, b].map(|sums| sums.iter().fold([0.0; 2], |sum, site| [sum[0] + site[0], sum[1] + site[1]]));
    let [first, second] = [one, other].map(|sum| sum[0] / sum[1]);
    let influence = |(a, b): (&[f64; 2], &[f64; 2])| (b[0] - second * b[1]) / other[1] - (a[0] - first * a[1]) / one[1];
    let square: f64 = a.iter().zip(b).map(influence).map(|influence| influence * influence).sum();
    let count = a.len() as f64;
    [second - first, square * count / (count - 1.0)]
}

/// As [`p_value`] for the same sites under both conditions: deals give each site's two movies to the conditions anew.
pub(super) fn p_value_of_pairs(
    a: &[[f64; 2]],
    b: &[[f64; 2]],
    statistic: f64,
    permutations: usize,
    seed: SeedPath,
) -> f64 {
    if a.len() < 2 || !statistic.is_finite() {
        return f64::NAN;
    }
    let mut random = seed.stream();
    let (mut one, mut other) = (a.to_vec(), b.to_vec());
    let mut extreme = 1_usize;
    for _ in 0..permutations {
        for (one, other) in one.iter_mut().zip(&mut other) {
            if random.random::<bool>() {
                std::mem::swap(one, other);
            }
        }
        let [difference, variance] = pair_ratios(&one, &other);
        extreme += usize::from(as_far(difference / variance.sqrt(), statistic));
    }
    extreme as f64 / (permutations + 1) as f64
}

/// The share of deals whose studentised difference is at least as far from 0 as `statistic`, which counts as one of them.
pub(super) fn p_value(a: &[[f64; 2]], b: &[[f64; 2]], statistic: f64, permutations: usize, seed: SeedPath) -> f64 {
    if a.len() < 2 || b.len() < 2 || !statistic.is_finite() {
        return f64::NAN;
    }
    let mut random = seed.stream();
    let mut pool: Vec<[f64; 2]> = a.iter().chain(b).copied().collect();
    let fewer = a.len().min(b.len());
    let mut extreme = 1_usize;
    for _ in 0..permutations {
        // The first part of a shuffle (Fisher and Yates) is a random choice.
        for place in 0..fewer {
            let other = random.random_range(place..pool.len());
            pool.swap(place, other);
        }
        let (one, other) = pool.split_at(fewer);
        let ([first, first_variance], [second, second_variance]) =
            (ratio(one.iter().copied()), ratio(other.iter().copied()));
        let drawn = (second - first) / (first_variance + second_variance).sqrt();
        extreme += usize::from(as_far(drawn, statistic));
    }
    extreme as f64 / (permutations + 1) as f64
}

/// Whether a drawn statistic is at least as far from 0 as the one found; one that is not defined says nothing against the null.
fn as_far(drawn: f64, found: f64) -> bool {
    drawn.is_nan() || drawn.abs() >= found.abs() - 1e-12
}

/// P-values adjusted for their number (S. Holm, *Scand. J. Stat.* 6, 65 (1979), jstor:4615733): the probability that any
/// difference among true null hypotheses is called at a level is at most that level, whatever their dependence. Those that
/// are NaN stay so and do not count.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|index| p_values[*index].is_finite()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.iter().enumerate() {
        largest = largest.max(p_values[*index] * (order.len() - rank) as f64).min(1.0);
        adjusted[*index] = largest;
    }
    adjusted
}
