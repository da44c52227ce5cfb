//! Colour bars.

use crate::axis::{tick_label, ticks};
use crate::canvas::{Canvas, Horizontal, Point, Rectangle, Text, Vertical};
use crate::colour::{ColourMap, INK};
use crate::text;

/// Width of a colour bar with its numbers and label, in pixels.
pub(crate) fn bar_width_px(size: f32) -> u32 {
    (6.2 * size) as u32
}

/// Draws a colour bar to the right of a picture, with its ends, round numbers and the label.
pub(crate) fn draw_bar(
    canvas: &mut Canvas,
    picture: Rectangle,
    map: ColourMap,
    (low, high): (f32, f32),
    label: &str,
    size: f32,
) {
    let small = 0.85 * size;
    let left = picture.x + picture.width + 0.5 * size;
    // Half a line of text must fit above and below the ends.
    let bar = Rectangle::new(left, picture.y + 0.5 * size, 0.9 * size, (picture.height - size).max(1.0));
    let rows = bar.height.ceil() as u32;
    for row in 0..rows {
        let fraction = 1.0 - (row as f32 + 0.5) / rows as f32;
        let strip = Rectangle::new(bar.x, bar.y + row as f32, bar.width, 1.0);
        canvas.rectangle(strip, map.colour(fraction), 1.0);
    }
    canvas.frame(bar, 1.0, INK);
    let wanted = (bar.height / (3.0 * size)).clamp(2.0, 6.0) as usize;
    let (values, step) = ticks(f64::from(low), f64::from(high), wanted);
    for value in values {
        let fraction = (value - f64::from(low)) / (f64::from(high) - f64::from(low));
        let y = bar.y + bar.height * (1.0 - fraction as f32);
        canvas.rectangle(Rectangle::new(bar.x + bar.width, y - 0.5, 0.25 * size, 1.0), INK, 1.0);
        let number = tick_label(value, step);
        let (horizontal, vertical) = (Horizontal::Left, Vertical::Middle);
        let text = Text { text: &number, size_px: small, colour: INK, horizontal, vertical };
        canvas.text(text, Point::new(bar.x + bar.width + 0.4 * size, y));
    }
    // The label runs along the bar and is set smaller where it would be longer than the panel.
    let fit = (picture.height / text::width(label, size).max(1.0)).min(1.0);
    let text = Text {
        text: label,
        size_px: size * fit,
        colour: INK,
        horizontal: Horizontal::Centre,
        vertical: Vertical::Middle,
    };
    canvas.text_upwards(text, Point::new(left + 5.1 * size, bar.y + 0.5 * bar.height));
}
