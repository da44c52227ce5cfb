//! Contact sheets: many panels on one page.

use std::path::Path;

use image::RgbImage;

use crate::canvas::Canvas;
use crate::colour::{INK, WHITE, from_hex};
use crate::panel::{Panel, text_size, write_centred};
use crate::scale_bar::short_number;
use crate::text::Paragraph;
use crate::{ReportError, png};

/// A grid of panels with a title above and a note below.
///
/// ```
/// use atomlens_report::{ContactSheet, Panel};
/// let image = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| (x as f32 * 0.3).sin() + (y as f32 * 0.2).cos());
/// let sheet = ContactSheet::new("Two images")
///     .columns(2)
///     .panel_width_px(200)
///     .push(Panel::micrograph(image.view(), 0.1).caption("defocus 5 nm"))
///     .push(Panel::micrograph(image.view(), 0.1).caption("defocus 10 nm"));
/// assert!(sheet.render().unwrap().width() > 400);
/// ```
#[derive(Debug, Clone)]
pub struct ContactSheet {
    title: String,
    columns: usize,
    panel_width_px: u32,
    panels: Vec<Panel>,
    note: Option<String>,
}

impl ContactSheet {
    /// A sheet without panels, four to a row, each 360 pixels wide.
    pub fn new(title: impl Into<String>) -> ContactSheet {
        ContactSheet { title: title.into(), columns: 4, panel_width_px: 360, panels: Vec::new(), note: None }
    }

    /// The number of panels in a row, at least 1.
    pub fn columns(mut self, columns: usize) -> ContactSheet {
        self.columns = columns.max(1);
        self
    }

    /// The width of a panel in pixels.
    pub fn panel_width_px(mut self, width_px: u32) -> ContactSheet {
        self.panel_width_px = width_px;
        self
    }

    /// What is written below the panels. The scale of grey is stated there in any case.
    pub fn note(mut self, note: impl Into<String>) -> ContactSheet {
        self.note = Some(note.into());
        self
    }

    /// Adds a panel after the others: rows are filled from left to right.
    pub fn push(mut self, panel: Panel) -> ContactSheet {
        self.panels.push(panel);
        self
    }

    /// How many panels there are.
    pub fn len(&self) -> usize {
        self.panels.len()
    }

    /// Whether there are no panels.
    pub fn is_empty(&self) -> bool {
        self.panels.is_empty()
    }

    /// The sheet.
    pub fn render(&self) -> Result<RgbImage, ReportError> {
        if self.panels.is_empty() {
            return Err(ReportError::Empty { what: "the contact sheet" });
        }
        let size = text_size(self.panel_width_px);
        let gap = size as u32;
        let columns = self.columns.min(self.panels.len());
        let width = columns as u32 * (self.panel_width_px + gap) + gap;
        let text_width = (width - 2 * gap) as f32;

        let pictures: Vec<RgbImage> =
            self.panels.iter().map(|panel| panel.picture(self.panel_width_px)).collect::<Result<_, _>>()?;
        let captions: Vec<Paragraph> = self
            .panels
            .iter()
            .map(|panel| Paragraph::fit(panel.caption_text(), size, self.panel_width_px as f32))
            .collect();
        let title = Paragraph::fit(&self.title, 1.4 * size, text_width);
        let note = Paragraph::fit(&self.full_note(), 0.8 * size, text_width);
        let rows: Vec<(u32, u32)> = pictures
            .chunks(columns)
            .zip(captions.chunks(columns))
            .map(|(pictures, captions)| {
                let highest = pictures.iter().map(RgbImage::height).max().unwrap_or(0);
                let ends = pictures
                    .iter()
                    .zip(captions)
                    .map(|(picture, caption)| caption_top(picture.height(), highest) + gap / 2 + caption.height_px());
                (highest, ends.max().unwrap_or(0))
            })
            .collect();
        let block = |paragraph: &Paragraph| if paragraph.lines.is_empty() { 0 } else { paragraph.height_px() + gap };
        let rows_height: u32 = rows.iter().map(|(_, row_height)| row_height + gap).sum();
        let height = gap + block(&title) + rows_height + block(&note);
        crate::panel::check_size(width, height)?;

        let mut canvas = Canvas::new(width, height, WHITE);
        let middle = 0.5 * width as f32;
        write_centred(&mut canvas, &title, middle, gap as f32, INK);
        let mut top = gap + block(&title);
        for (row, (highest, row_height)) in rows.iter().enumerate() {
            for column in 0..columns {
                let Some(picture) = pictures.get(row * columns + column) else { break };
                let left = gap + column as u32 * (self.panel_width_px + gap);
                canvas.paste(picture, left, top);
                let centre = left as f32 + 0.5 * self.panel_width_px as f32;
                let below = (top + caption_top(picture.height(), *highest) + gap / 2) as f32;
                write_centred(&mut canvas, &captions[row * columns + column], centre, below, INK);
            }
            top += row_height + gap;
        }
        write_centred(&mut canvas, &note, middle, top as f32, from_hex(0x606060));
        Ok(canvas.into_image())
    }

    /// Writes the sheet as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        png::write(&self.render()?, path.as_ref())
    }

    /// The note, and how the scales of grey were chosen.
    fn full_note(&self) -> String {
        let mut scales: Vec<(f64, f64)> = Vec::new();
        for percent in self.panels.iter().filter_map(Panel::percent) {
            if !scales.contains(&percent) {
                scales.push(percent);
            }
        }
        let grey = match scales[..] {
            [] => None,
            [(low, high)] => Some(format!(
                "Grey scale of each micrograph: {} % (black) to {} % (white) of its values as shown.",
                short_number(low),
                short_number(high)
            )),
            _ => Some("Grey scale of each micrograph: set by percentiles of its values as shown.".to_owned()),
        };
        self.note.iter().cloned().chain(grey).collect::<Vec<_>>().join("\n")
    }
}

/// Captions of a row start at one height, except below pictures that are much lower than the row's highest.
fn caption_top(picture_height: u32, highest: u32) -> u32 {
    if 4 * picture_height >= 3 * highest { highest } else { picture_height }
}

/// `wanted` indices out of `count`, evenly spread from the first to the last: which frames of a stack to show.
pub fn spread(count: usize, wanted: usize) -> Vec<usize> {
    match (count, wanted) {
        (0, _) | (_, 0) => Vec::new(),
        (_, 1) => vec![0],
        _ if wanted >= count => (0..count).collect(),
        _ => (0..wanted).map(|i| (i * (count - 1) + (wanted - 1) / 2) / (wanted - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn panel(ny: usize, caption: &str) -> Panel {
        Panel::micrograph(Array2::from_elem((ny, 40), 1.0).view(), 0.2).caption(caption)
    }

    #[test]
    fn every_panel_is_on_the_sheet() {
        let sheet = (0..5).fold(ContactSheet::new("Title").columns(3).panel_width_px(120), |sheet, index| {
            sheet.push(panel(40, &format!("panel {index}")))
        });
        let image = sheet.render().unwrap();
        // Flat panels are mid-grey but for their scale bars: two thirds of each is.
        let grey = image.pixels().filter(|pixel| pixel.0 == [127; 3]).count();
        assert!(grey > 5 * 120 * 120 * 2 / 3, "{grey}");
        assert_eq!(image.width(), 3 * 120 + 4 * 12);
    }

    #[test]
    fn a_sheet_grows_with_its_captions_and_leaves_its_margins_white() {
        let short = ContactSheet::new("").push(panel(20, "a")).panel_width_px(150);
        let long = ContactSheet::new("A title that is a good deal longer than the sheet is wide, and then some more")
            .push(panel(20, &"several words ".repeat(20)))
            .panel_width_px(150);
        let (short, long) = (short.render().unwrap(), long.render().unwrap());
        assert!(long.height() > short.height() + 100);
        for (x, y, pixel) in long.enumerate_pixels() {
            let margin = x < 6 || y < 6 || x + 6 >= long.width() || y + 6 >= long.height();
            assert!(!margin || *pixel == WHITE, "({x}, {y})");
        }
    }

    #[test]
    fn the_scale_of_grey_is_stated() {
        let note = |sheet: ContactSheet| sheet.full_note();
        assert!(note(ContactSheet::new("").push(panel(4, ""))).contains("0.5 % (black) to 99.5 % (white)"));
        assert_eq!(note(ContactSheet::new("").push(panel(4, "").limits(0.0, 1.0)).note("seed 3")), "seed 3");
    }

    #[test]
    fn an_empty_sheet_is_refused() {
        assert!(matches!(ContactSheet::new("t").render(), Err(ReportError::Empty { .. })));
    }

    #[test]
    fn frames_are_spread_from_the_first_to_the_last() {
        assert_eq!(spread(120, 4), [0, 40, 79, 119]);
        assert_eq!(spread(3, 8), [0, 1, 2]);
        assert_eq!(spread(9, 1), [0]);
        assert!(spread(0, 4).is_empty());
    }
}
