//! Axes of plots: ranges, round numbers on them, and how these are written, on linear and logarithmic scales.

use crate::scale_bar::short_number;

/// How a quantity is laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal distances are equal differences.
    #[default]
    Linear,
    /// Equal distances are equal ratios; what is not above zero has no place on it.
    Logarithmic,
}

impl Scale {
    /// Where a value lies along the axis; not finite where it has no place.
    pub(crate) fn along(self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            // The logarithm of what is not positive is infinite or not a number.
            Scale::Logarithmic => value.log10(),
        }
    }

    /// Lowest and highest value that has a place, widened on the axis by a part of their distance; a single value is
    /// widened to a range.
    pub(crate) fn extent(self, values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
        let places = values.map(|value| self.along(value)).filter(|place| place.is_finite());
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = match self {
            _ if low < high => (low - margin * (high - low), high + margin * (high - low)),
            Scale::Linear if low == 0.0 => (-1.0, 1.0),
            Scale::Linear => (low - 0.5 * low.abs(), high + 0.5 * low.abs()),
            Scale::Logarithmic => (low - 0.3, high + 0.3),
        };
        match self {
            Scale::Linear => (low, high),
            Scale::Logarithmic => (10.0_f64.powf(low), 10.0_f64.powf(high)),
        }
    }

    /// The numbers to be written along an axis and lines of the grid without a number.
    pub(crate) fn marks(self, low: f64, high: f64, wanted: usize) -> Marks {
        match self {
            Scale::Linear => {
                let (values, step) = ticks(low, high, wanted);
                let labelled = values.into_iter().map(|value| (value, tick_label(value, step))).collect();
                Marks { labelled, minor: Vec::new() }
            }
            Scale::Logarithmic => logarithmic_marks(low, high, wanted),
        }
    }
}

/// Where the lines of a grid are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marks {
    pub(crate) labelled: Vec<(f64, String)>,
    pub(crate) minor: Vec<f64>,
}

fn logarithmic_marks(low: f64, high: f64, wanted: usize) -> Marks {
    let mut marks = Marks { labelled: Vec::new(), minor: Vec::new() };
    if !(low > 0.0 && high.is_finite() && high > low) {
        return marks;
    }
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = (high / low).log10();
    // Numbers at 1, 2 and 5 where there is room for three a decade, else at powers of ten alone, or every few of them.
    let steps: &[f64] = if 3.0 * decades <= wanted as f64 + 1.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let stride = (decades / wanted.max(1) as f64).ceil().max(1.0) as i32;
    for power in first..=last {
        for digit in 1..10 {
            let digit = f64::from(digit);
            let value = digit * 10.0_f64.powi(power);
            // A small margin, so that rounding does not lose a number at an end.
            if value < low * (1.0 - 1e-9) || value > high * (1.0 + 1e-9) {
                continue;
            }
            if steps.contains(&digit) && power.rem_euclid(stride) == 0 {
                marks.labelled.push((value, power_label(value, digit, power)));
            } else if stride == 1 {
                marks.minor.push(value);
            }
        }
    }
    if marks.labelled.len() < 2 {
        // Less than a factor of a few: round numbers as on a linear scale.
        return Scale::Linear.marks(low, high, wanted);
    }
    marks
}

fn power_label(value: f64, digit: f64, power: i32) -> String {
    if (-3..5).contains(&power) {
        return short_number(value);
    }
    let exponent = raised(power);
    if digit == 1.0 { format!("10{exponent}") } else { format!("{digit}·10{exponent}") }
}

/// A whole number as an exponent.
fn raised(power: i32) -> String {
    let letters = power.to_string();
    let raise = |letter: char| match letter {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize],
    };
    letters.chars().map(raise).collect()
}

/// Round numbers between two values, about as many as wanted, and their distance. None where the range is empty.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> (Vec<f64>, f64) {
    if !(low.is_finite() && high.is_finite() && high > low) {
        return (Vec::new(), 1.0);
    }
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= 0.999 * rough).unwrap_or(power);
    // A small margin, so that rounding does not lose a tick at an end.
    let (first, last) = ((low / step - 1e-6).ceil() as i64, (high / step + 1e-6).floor() as i64);
    ((first..=last).map(|index| index as f64 * step).collect(), step)
}

/// A tick's number with as many decimals as the distance between ticks asks for.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    let largest = value.abs().max(step);
    if !(1e-4..1e6).contains(&largest) {
        let rounded = (value / step).round() * step;
        let power = rounded.abs().log10().floor() as i32;
        let digits = short_number(rounded / 10.0_f64.powi(power)).replace('-', "−");
        return format!("{digits}·10{}", raised(power));
    }
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    let written = format!("{value:.decimals$}");
    if written.trim_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { written.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1.0, 5).0, [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(-3.0, 17.0, 4).0, [0.0, 5.0, 10.0, 15.0]);
        assert!(ticks(1.0, 1.0, 4).0.is_empty());
        for (value, step, label) in
            [(0.6000000000000001, 0.2, "0.6"), (-0.0, 0.5, "0"), (-15.0, 5.0, "−15"), (-5e-5, 5e-5, "−5·10⁻⁵")]
        {
            assert_eq!(tick_label(value, step), label);
        }
    }

    #[test]
    fn decades_are_labelled_and_their_parts_are_lines() {
        let labels = |low, high, wanted| -> Vec<String> {
            Scale::Logarithmic.marks(low, high, wanted).labelled.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(10.0, 10_000.0, 6), ["10", "100", "1000", "10000"]);
        assert_eq!(labels(10.0, 100.0, 6), ["10", "20", "50", "100"]);
        assert_eq!(labels(1e-6, 1e-4, 3), ["10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        assert_eq!(labels(3.0, 4.0, 5), ["3.0", "3.2", "3.4", "3.6", "3.8", "4.0"]);
        assert_eq!(Scale::Logarithmic.marks(1.0, 100.0, 4).minor.len(), 16);
        assert!(labels(0.0, 1.0, 5).is_empty());
    }

    #[test]
    fn ranges_hold_their_values() {
        assert_eq!(Scale::Linear.extent([1.0, 3.0].into_iter(), 0.5), (0.0, 4.0));
        let (low, high) = Scale::Logarithmic.extent([-1.0, 0.0, 1.0, 100.0].into_iter(), 0.0);
        assert!((low - 1.0).abs() < 1e-12 && (high - 100.0).abs() < 1e-9, "{low} {high}");
        let (low, high) = Scale::Logarithmic.extent([5.0].into_iter(), 0.1);
        assert!(low > 0.0 && low < 5.0 && high > 5.0);
    }
}
