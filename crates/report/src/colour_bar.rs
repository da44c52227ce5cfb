//! Colour bars beside a picture, and the range of values that they stand for.

use image::RgbImage;

use crate::axis::{tick_label, ticks};
use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{ColourMap, INK};
use crate::drawing::{Pixels, Shape};
use crate::text::width;

/// Number of colours that a colour bar has, so that marks of one colour can be written together.
pub(crate) const LEVELS: usize = 64;

/// Between which values a quantity is coloured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColourRange {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether there are values below.
    pub(crate) clipped_low: bool,
    /// Whether there are values above.
    pub(crate) clipped: bool,
}

impl ColourRange {
    /// A range that holds all values.
    pub(crate) fn new(low: f64, high: f64) -> ColourRange {
        ColourRange { low, high, clipped_low: false, clipped: false }
    }

    /// Round ends that hold the values, from zero on where none is negative unless `from_lowest`. A few values far
    /// above all others are given the colour of the end, or they alone would have a colour of their own.
    pub(crate) fn of_values(values: &[f64], from_lowest: bool) -> ColourRange {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
            return ColourRange::new(0.0, 1.0);
        };
        let most = sorted[((sorted.len() - 1) as f64 * 0.98).round() as usize];
        let upper = if last > 1.5 * most { most } else { last };
        let low = if from_lowest { first.floor() } else { first.min(0.0) };
        let (_, step) = ticks(low, upper.max(low + 1e-9), 5);
        let high = low + ((upper - low) / step - 1e-6).ceil().max(1.0) * step;
        ColourRange { clipped: last > high, ..ColourRange::new(low, high) }
    }

    /// Round ends that hold all values, from zero on where none is negative: for maps of what is rare, whose few high
    /// values are what there is to see.
    pub(crate) fn of_all(values: &[f64]) -> ColourRange {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
        if low == high {
            return ColourRange::new(low, low + 1.0);
        }
        let (_, step) = ticks(low, high, 5);
        let steps = |length: f64| (length / step - 1e-6).ceil() * step;
        ColourRange::new(-steps(-low), steps(high))
    }

    /// How far along the range a value lies, 0 to 1.
    pub(crate) fn fraction(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The step of the colour bar in which a value lies; what is not a number is taken for the lowest.
    pub(crate) fn level(&self, value: f64) -> usize {
        (self.fraction(value) * (LEVELS - 1) as f64).round() as usize
    }
}

/// A colour bar with its numbers and label.
pub(crate) struct ColourBar {
    pub(crate) shapes: Vec<Shape>,
    /// Its right edge.
    pub(crate) right: f32,
}

impl ColourBar {
    /// A bar that fills `area`, numbers and the label, which runs upwards, to the right of it. `whole` is for quantities
    /// that are counted.
    pub(crate) fn new(
        range: ColourRange,
        map: ColourMap,
        label: &str,
        whole: bool,
        area: Rectangle,
        size: f32,
    ) -> ColourBar {
        let small = 0.85 * size;
        let colours = RgbImage::from_fn(1, 256, |_, y| map.colour(1.0 - y as f32 / 255.0));
        let mut shapes = vec![
            Shape::Picture { pixels: Pixels::Colour(colours), area },
            Shape::Frame { area, thickness: 1.0, colour: INK },
        ];
        let wanted = (area.height / (3.0 * size)).clamp(2.0, 6.0) as usize;
        let (mut values, mut step) = ticks(range.low, range.high, wanted);
        if whole && step < 1.0 {
            step = 1.0;
            values.retain(|value| (value - value.round()).abs() < 1e-6);
        }
        if range.clipped && values.last().is_none_or(|last| range.high - last > 0.01 * step) {
            values.retain(|value| range.high - value > 0.6 * step);
            values.push(range.high);
        }
        if range.clipped_low && values.first().is_none_or(|first| first - range.low > 0.01 * step) {
            values.retain(|value| value - range.low > 0.6 * step);
            values.insert(0, range.low);
        }
        // A number at an end that is not round is written to a tenth of the step.
        let written = |value: f64| {
            let round = (value / step - (value / step).round()).abs() < 0.01;
            tick_label(value, if round { step } else { 0.1 * step })
        };
        let mut widest = 0.0_f32;
        let right = area.x + area.width;
        for value in values {
            let y = area.y + area.height * (1.0 - range.fraction(value) as f32);
            let mark = match value {
                value if range.clipped && range.high - value < 0.01 * step => "≥ ",
                value if range.clipped_low && value - range.low < 0.01 * step => "≤ ",
                _ => "",
            };
            let number = format!("{mark}{}", written(value));
            shapes.push(Shape::rectangle(Rectangle::new(right, y - 0.5, 0.25 * size, 1.0), INK));
            let at = Point::new(right + 0.45 * size, y);
            shapes.push(Shape::text(&number, small, INK, (Horizontal::Left, Vertical::Middle), at));
            widest = widest.max(width(&number, small));
        }
        // Half a line more than the bar is high, as the numbers at its ends reach so far.
        let fit = ((area.height + 0.5 * size) / width(label, size).max(1.0)).min(1.0);
        let middle = right + 0.45 * size + widest + size;
        let at = Point::new(middle, area.y + 0.5 * area.height);
        shapes.push(Shape::text_upwards(label, fit * size, INK, (Horizontal::Centre, Vertical::Middle), at));
        ColourBar { shapes, right: middle + 0.9 * size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_keeps_a_colour_of_its_own() {
        let mut values = vec![0.0003; 53];
        values.push(0.041);
        let range = ColourRange::of_all(&values);
        assert!((range.low, range.clipped) == (0.0, false) && (range.high - 0.05).abs() < 1e-9, "{range:?}");
        assert!(ColourRange::of_values(&values, false).clipped);
        let negative = ColourRange::of_all(&[-0.3, f64::NAN]);
        assert!((negative.low + 0.3).abs() < 1e-9 && negative.high.abs() < 1e-9, "{negative:?}");
        for none in [&[] as &[f64], &[0.0, 0.0], &[f64::NAN]] {
            let range = ColourRange::of_all(none);
            assert!(range.low < range.high && range.level(0.0) == 0, "{range:?}");
        }
    }
}
