//! Scale bars, and lengths as microscopists write them.

use crate::canvas::{Canvas, Horizontal, Point, Rectangle, Vertical};
use crate::colour::{BLACK, INK, WHITE};
use crate::drawing::{self, Shape};
use crate::text;

/// The round length (1, 2 or 5 times a power of ten) that is nearest to `length`, by ratio.
pub fn round_length(length: f64) -> f64 {
    let power = 10.0_f64.powf(length.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .min_by(|a, b| (a / length).ln().abs().total_cmp(&(b / length).ln().abs()))
        .unwrap_or(power)
}

/// A length in the unit that gives it a number from 1 to 1000, with at most three digits: `50 pm`, `0.5 nm`, `20 nm`,
/// `1 µm`. From 0.1 nm on it is written in nm.
pub fn length_label(length_angstrom: f64) -> String {
    let nm = length_angstrom / 10.0;
    let (value, unit) = match nm.abs() {
        // A margin of rounding, so that 0.1 nm given as 0.99999999 A is not 100 pm.
        size if size > 0.0 && size < 0.0999999 => (nm * 1000.0, "pm"),
        size if size < 999.9999 => (nm, "nm"),
        _ => (nm / 1000.0, "µm"),
    };
    format!("{} {unit}", short_number(value))
}

/// A number with three digits that count, without zeros at the end.
pub fn short_number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}").replace("-0", "0");
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let written = format!("{value:.decimals$}");
    if written.contains('.') { written.trim_end_matches('0').trim_end_matches('.').to_owned() } else { written }
}

/// Draws a scale bar into the lower left corner of a picture on the canvas: about a fifth of its width long, on a plate
/// that keeps it legible on any background. `light` is for pictures on white, such as structures.
pub fn draw(canvas: &mut Canvas, picture: Rectangle, pixel_angstrom: f64, size_px: f32, light: bool) {
    for shape in shapes(picture, pixel_angstrom, size_px, light) {
        drawing::draw(canvas, &shape);
    }
}

/// The scale bar of [`draw`] as shapes.
pub(crate) fn shapes(picture: Rectangle, pixel_angstrom: f64, size_px: f32, light: bool) -> [Shape; 3] {
    let length_angstrom = round_length(0.2 * f64::from(picture.width) * pixel_angstrom);
    shapes_of_length(picture, pixel_angstrom, length_angstrom, size_px, light)
}

/// A scale bar of a given length, for pictures beside each other.
pub(crate) fn shapes_of_length(
    picture: Rectangle,
    pixel_angstrom: f64,
    length_angstrom: f64,
    size_px: f32,
    light: bool,
) -> [Shape; 3] {
    let length_px = (length_angstrom / pixel_angstrom) as f32;
    labelled(picture, length_px, &length_label(length_angstrom), size_px, light)
}

/// A scale bar of so many pixels with its label, for pictures of any space.
pub(crate) fn labelled(picture: Rectangle, length_px: f32, label: &str, size_px: f32, light: bool) -> [Shape; 3] {
    let (pad, margin, thickness) = (0.4 * size_px, 0.5 * size_px, (0.28 * size_px).max(2.0).round());
    let inner = length_px.max(text::width(label, size_px));
    let (plate, ink, opacity) = if light { (WHITE, INK, 0.85) } else { (BLACK, WHITE, 0.55) };
    let height = text::capital_height(size_px) + thickness + 2.6 * pad;
    let area = Rectangle::new(
        (picture.x + margin).round(),
        (picture.y + picture.height - margin - height).round(),
        (inner + 2.0 * pad).round(),
        height.round(),
    );
    let middle = area.x + 0.5 * area.width;
    let bar_top = (area.y + area.height - pad - thickness).round();
    let anchor = (Horizontal::Centre, Vertical::Baseline);
    [
        Shape::Rectangle { area, colour: plate, opacity },
        // The length is exact, not rounded to whole pixels: the bar's ends are blended.
        Shape::rectangle(Rectangle::new(middle - 0.5 * length_px, bar_top, length_px, thickness), ink),
        Shape::text(label, size_px, ink, anchor, Point::new(middle, bar_top - 0.5 * pad)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round() {
        for (length, expected) in [(0.9, 1.0), (3.0, 2.0), (3.3, 5.0), (7.5, 10.0), (71.0, 100.0), (0.021, 0.02)] {
            assert!((round_length(length) / expected - 1.0).abs() < 1e-9, "{length}: {}", round_length(length));
        }
    }

    #[test]
    fn lengths_are_written_as_microscopists_do() {
        for (angstrom, label) in [
            (0.5, "50 pm"),
            (1.0, "0.1 nm"),
            (5.0, "0.5 nm"),
            (20.0, "2 nm"),
            (200.0, "20 nm"),
            (10_000.0, "1 µm"),
            (-72.5, "-7.25 nm"),
            (0.0, "0 nm"),
        ] {
            assert_eq!(length_label(angstrom), label);
        }
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, written) in [(1234.5, "1234"), (0.012345, "0.0123"), (2.5, "2.5"), (100.0, "100"), (0.0, "0")] {
            assert_eq!(short_number(value), written);
        }
    }

    #[test]
    fn the_bar_has_the_length_that_it_states() {
        // 0.37 A a pixel, 400 pixels: a fifth is 29.6 A, the round length 20 A, 54.05 pixels.
        let mut canvas = Canvas::new(400, 300, BLACK);
        draw(&mut canvas, Rectangle::new(0.0, 0.0, 400.0, 300.0), 0.37, 16.0, false);
        let image = canvas.into_image();
        let longest = (0..300)
            .map(|y| (0..400).map(|x| f32::from(image.get_pixel(x, y).0[0]) / 255.0).sum::<f32>())
            .fold(0.0, f32::max);
        assert!((longest - 20.0 / 0.37).abs() < 0.5, "{longest}");
    }
}
