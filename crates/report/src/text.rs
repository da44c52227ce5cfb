//! Setting text: the font, its measures, and the breaking of long lines.
//!
//! The font is DejaVu Sans 2.37 (Bitstream Vera licence, changes in the public domain), embedded in the program, so
//! that pictures look the same on every machine. It has the Greek letters and signs that microscopy needs.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

use crate::canvas::Point;

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).expect("the embedded font is valid"));

/// Height of a capital over the height of a line, in DejaVu Sans: 1493 and 1901 + 483 units.
const CAPITAL_HEIGHT: f32 = 1493.0 / 2384.0;

/// One pixel that a letter covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InkedPixel {
    pub(crate) x: i64,
    pub(crate) y: i64,
    /// 0 for none to 1 for all of it.
    pub(crate) coverage: f32,
}

/// Width of a line of text, in pixels.
pub fn width(text: &str, size_px: f32) -> f32 {
    let font = FONT.as_scaled(PxScale::from(size_px));
    let mut width = 0.0;
    let mut previous = None;
    for letter in text.chars() {
        let glyph = font.glyph_id(letter);
        if let Some(previous) = previous {
            width += font.kern(previous, glyph);
        }
        width += font.h_advance(glyph);
        previous = Some(glyph);
    }
    width
}

/// Height of the top of a line above the line that letters stand on, in pixels.
pub fn ascent(size_px: f32) -> f32 {
    FONT.as_scaled(PxScale::from(size_px)).ascent()
}

/// Height of a capital, in pixels.
pub fn capital_height(size_px: f32) -> f32 {
    CAPITAL_HEIGHT * size_px
}

/// Distance from one line of text to the next, in pixels.
pub fn line_spacing(size_px: f32) -> f32 {
    (1.15 * size_px).ceil()
}

/// The pixels that a line of text covers whose first letter stands at `start`.
pub(crate) fn raster(text: &str, size_px: f32, start: Point) -> Vec<InkedPixel> {
    let scale = PxScale::from(size_px);
    let font = FONT.as_scaled(scale);
    let mut pixels = Vec::new();
    let mut x = start.x;
    let mut previous = None;
    for letter in text.chars() {
        let id = font.glyph_id(letter);
        if let Some(previous) = previous {
            x += font.kern(previous, id);
        }
        if let Some(outline) = FONT.outline_glyph(id.with_scale_and_position(scale, point(x, start.y))) {
            let corner = outline.px_bounds().min;
            outline.draw(|column, row, coverage| {
                pixels.push(InkedPixel {
                    x: corner.x as i64 + i64::from(column),
                    y: corner.y as i64 + i64::from(row),
                    coverage,
                });
            });
        }
        x += font.h_advance(id);
        previous = Some(id);
    }
    pixels
}

/// A block of text, broken into lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Paragraph {
    /// The lines.
    pub lines: Vec<String>,
    /// Height of a line, in pixels.
    pub size_px: f32,
}

impl Paragraph {
    /// Breaks text into lines of at most `width_px`: at its own line breaks, between words, and inside of a word that
    /// is longer than a line. Text of more than three lines is set up to a fifth smaller.
    pub fn fit(text: &str, size_px: f32, width_px: f32) -> Paragraph {
        let mut lines = wrap(text, size_px, width_px);
        let mut size = size_px;
        if lines.len() > 3 {
            size = 0.8 * size_px;
            lines = wrap(text, size, width_px);
        }
        Paragraph { lines, size_px: size }
    }

    /// Height of all lines, in pixels.
    pub fn height_px(&self) -> u32 {
        (self.lines.len() as f32 * line_spacing(self.size_px)) as u32
    }
}

fn wrap(text: &str, size_px: f32, width_px: f32) -> Vec<String> {
    let mut lines = Vec::new();
    for given in text.lines() {
        let mut line = String::new();
        for word in given.split_whitespace() {
            let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if width(&joined, size_px) <= width_px {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if width(&line, size_px) > width_px && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::take(&mut line));
                    line.push(letter);
                }
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_asked_and_no_letter_is_lost() {
        let text = "platinum on ceria, defocus 5.2 nm, dose 1200 e/Å², averylongwordwithoutanyplacetobreakit at all";
        for width_px in [60.0, 150.0, 400.0] {
            let paragraph = Paragraph::fit(text, 16.0, width_px);
            for line in &paragraph.lines {
                assert!(width(line, paragraph.size_px) <= width_px, "{line:?} at {width_px}");
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(letters(&paragraph.lines.concat()), letters(text));
        }
        assert_eq!(Paragraph::fit("a\nb", 16.0, 100.0).lines, ["a", "b"]);
        assert!(Paragraph::fit("", 16.0, 100.0).lines.is_empty());
    }

    #[test]
    fn the_font_has_the_signs_of_microscopy() {
        for letter in "ÅµχΔφλ±·×²³°⁻¹–₂".chars() {
            assert_ne!(FONT.glyph_id(letter).0, 0, "{letter}");
        }
    }

    #[test]
    fn capitals_are_as_high_as_stated() {
        let pixels = raster("H", 100.0, Point::new(0.0, 200.0));
        let dark = || pixels.iter().filter(|p| p.coverage > 0.5).map(|p| p.y);
        let height = dark().max().unwrap() - dark().min().unwrap() + 1;
        assert!((height as f32 - capital_height(100.0)).abs() <= 1.0, "{height}");
        assert!((ascent(100.0) - 100.0 * 1901.0 / 2384.0).abs() < 0.5);
    }
}
