//! Histograms: how often values of a quantity occur.

use crate::plot::Plot;
use crate::series::Series;

/// Counts of values in bins of equal width.
///
/// ```
/// use atomlens_report::Histogram;
/// let spread = Histogram::of([2.8, 2.9, 2.9, 3.0, 3.1], 40).unwrap();
/// assert_eq!(spread.counts.iter().sum::<usize>(), 5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Ends of the bins, one more than bins, rising.
    pub edges: Vec<f64>,
    /// Number of values in each bin.
    pub counts: Vec<usize>,
    /// Number of finite values below the first and above the last edge.
    pub outside: usize,
}

impl Histogram {
    /// Counts values in bins between two ends; the upper end belongs to the last bin.
    pub fn between(values: impl IntoIterator<Item = f64>, low: f64, high: f64, bins: usize) -> Histogram {
        let bins = bins.max(1);
        let edges: Vec<f64> = (0..=bins).map(|i| low + (high - low) * i as f64 / bins as f64).collect();
        let mut counts = vec![0; bins];
        let mut outside = 0;
        for value in values.into_iter().filter(|value| value.is_finite()) {
            if (low..=high).contains(&value) && high > low {
                counts[(((value - low) / (high - low) * bins as f64) as usize).min(bins - 1)] += 1;
            } else {
                outside += 1;
            }
        }
        Histogram { edges, counts, outside }
    }

    /// Counts values between the lowest and the highest of them, without the half percent furthest out at either end
    /// where these would stretch the axis to more than twice the length. `None` without finite values.
    pub fn of(values: impl IntoIterator<Item = f64>, bins: usize) -> Option<Histogram> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |fraction: f64| values[(fraction * last as f64).round() as usize];
        let (inner_low, inner_high) = (at(0.005), at(0.995));
        let span = inner_high - inner_low;
        let (low, high) = if span > 0.0 && values[last] - values[0] > 2.0 * span {
            (inner_low - 0.1 * span, inner_high + 0.1 * span)
        } else {
            (values[0], values[last])
        };
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        Some(Histogram::between(values, low, high, bins))
    }

    /// Counts values rounded to whole numbers, one bin a number, or several numbers a bin where there are more than
    /// `most_bins`. `None` without finite values.
    pub fn whole(values: impl IntoIterator<Item = f64>, most_bins: usize) -> Option<Histogram> {
        let values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).map(f64::round).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if values.is_empty() {
            return None;
        }
        let step = ((high - low + 1.0) / most_bins.max(1) as f64).ceil().max(1.0);
        let bins = ((high - low + 1.0) / step).ceil() as usize;
        Some(Histogram::between(values, low - 0.5, low - 0.5 + step * bins as f64, bins))
    }

    /// The histogram as a plot; `quantity` is its name with the unit, `counted` what the counts are of.
    pub fn plot(&self, quantity: &str, counted: &str) -> Plot {
        let heights = self.counts.iter().map(|count| *count as f64);
        let highest = self.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let mut plot = Plot::new(quantity, counted).series(Series::bars("", self.edges.iter().copied(), heights));
        if let (Some(first), Some(last)) = (self.edges.first(), self.edges.last()) {
            plot = plot.x_range(*first, *last);
        }
        plot.y_range(0.0, 1.06 * highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        // numpy.histogram([0, 1, 1.5, 2, 4], bins=4, range=(0, 4)) = [1, 2, 1, 1]
        let histogram = Histogram::between([0.0, 1.0, 1.5, 2.0, 4.0, 9.0, -1.0, f64::NAN], 0.0, 4.0, 4);
        assert_eq!((histogram.counts, histogram.outside), (vec![1, 2, 1, 1], 2));
        assert_eq!(histogram.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_value_far_away_does_not_stretch_the_axis() {
        let values = (0..1000).map(|i| f64::from(i) / 1000.0).chain([1e9]);
        let histogram = Histogram::of(values, 20).unwrap();
        assert!(histogram.edges[20] < 1.2 && histogram.outside == 1, "{histogram:?}");
        assert_eq!(Histogram::of([f64::NAN], 20), None);
        assert_eq!(Histogram::of([3.0], 5).unwrap().counts.iter().sum::<usize>(), 1);
    }

    #[test]
    fn whole_numbers_have_a_bin_each_as_long_as_there_is_room() {
        let histogram = Histogram::whole([1.2, 2.9, 3.1, 5.0], 10).unwrap();
        assert_eq!((histogram.edges[0], histogram.counts), (0.5, vec![1, 0, 2, 0, 1]));
        let wide = Histogram::whole((0..100).map(f64::from), 30).unwrap();
        assert_eq!((wide.counts.len(), wide.outside), (25, 0));
        assert!(wide.counts.iter().all(|count| *count == 4));
        assert!(wide.plot("atoms", "columns").render(300).is_ok());
    }
}
