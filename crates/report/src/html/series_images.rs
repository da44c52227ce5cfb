//! The images of a focal series on a page: which focus each was taken at, as stated and as found.

use ndarray::ArrayView2;

use super::Figure;
use super::picture::small_picture;
use crate::ReportError;
use crate::contact_sheet::spread;
use crate::estimate::fixed;
use crate::scale_bar::short_number;

/// More images than these are not all shown.
const MOST_SHOWN: usize = 6;
/// Longest side of a picture of an image.
const SIDE_PX: usize = 400;

/// What is known of a series besides its images.
#[derive(Debug, Clone, Default)]
pub struct SeriesFacts {
    /// The file's or the folder's name, as it is to be written.
    pub name: String,
    /// Width and height of an image, in pixels.
    pub size_px: (usize, usize),
    /// Size of a pixel, in nm.
    pub pixel_size_nm: f64,
    /// Where the pixel size is from, such as `from the file`.
    pub pixel_size_source: String,
    /// Where the focus of the images is from, such as `steps from the file`; may be empty.
    pub focus_source: String,
    /// More that is known, such as voltage and dose: name and value with unit.
    pub facts: Vec<(String, String)>,
}

/// One image of a series. Underfocus is positive.
#[derive(Debug, Clone)]
pub struct FocusImage<'a> {
    /// What it is called, such as `image 0`; by its place in the list where empty.
    pub name: String,
    /// Its values `[y, x]`.
    pub counts: ArrayView2<'a, f32>,
    /// The focus as stated, in nm.
    pub nominal_defocus_nm: Option<f64>,
    /// The focus as estimated from the images, in nm.
    pub defocus_nm: Option<f64>,
    /// Standard deviation of the estimate, in nm.
    pub defocus_sigma_nm: Option<f64>,
    /// How far it was moved to lie on the others, x and y in nm.
    pub shift_nm: Option<[f64; 2]>,
    /// Whether it was left out, and why; empty for one that was used.
    pub left_out: String,
}

/// What the template needs of an image.
#[derive(Debug)]
pub(crate) struct ImageRow {
    pub(crate) name: String,
    pub(crate) stated: String,
    pub(crate) found: String,
    pub(crate) shift: String,
    pub(crate) remark: String,
}

/// What the template needs of all images.
#[derive(Debug)]
pub(crate) struct ImageSection {
    pub(crate) figures: Vec<Figure>,
    /// Which images are shown, where not all are.
    pub(crate) note: String,
    pub(crate) rows: Vec<ImageRow>,
    /// Whether some image was moved.
    pub(crate) shifts: bool,
    /// Whether something is to be said of some image.
    pub(crate) remarks: bool,
}

impl ImageSection {
    pub(crate) fn new(images: &[FocusImage<'_>], pixel_size_nm: f64) -> Result<ImageSection, ReportError> {
        let shown = spread(images.len(), MOST_SHOWN);
        let figures = shown
            .iter()
            .map(|&index| {
                let image = &images[index];
                let name = name(image, index);
                let svg = small_picture(image.counts, 10.0 * pixel_size_nm, SIDE_PX)?.to_inline_svg(&name);
                Ok(Figure { svg, caption: format!("{name}{}", image.words()) })
            })
            .collect::<Result<Vec<_>, ReportError>>()?;
        let rows = images.iter().enumerate().map(|(index, image)| ImageRow {
            name: name(image, index),
            stated: image.nominal_defocus_nm.map_or("–".to_owned(), nm),
            found: image.found().unwrap_or("–".to_owned()),
            shift: image.shift_nm.map_or("–".to_owned(), |[x, y]| format!("{}, {}", fixed(x, 3), fixed(y, 3))),
            remark: if image.left_out.is_empty() { String::new() } else { format!("left out: {}", image.left_out) },
        });
        let note = if shown.len() < images.len() {
            format!("{} of the {} images are shown; the table has all of them.", shown.len(), images.len())
        } else {
            String::new()
        };
        Ok(ImageSection {
            figures,
            note,
            rows: rows.collect(),
            shifts: images.iter().any(|image| image.shift_nm.is_some()),
            remarks: images.iter().any(|image| !image.left_out.is_empty()),
        })
    }
}

/// What an image is called at the beginning of a line, by its name or by its place in the list from 0.
pub(crate) fn name(image: &FocusImage<'_>, index: usize) -> String {
    if image.name.is_empty() { format!("Image {}", index + 1) } else { capital(&image.name) }
}

/// The same with a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn nm(value: f64) -> String {
    fixed(value, if value.abs() < 99.95 { 1 } else { 0 })
}

impl FocusImage<'_> {
    /// The estimate of the focus and its standard deviation, in nm.
    fn found(&self) -> Option<String> {
        let value = self.defocus_nm.filter(|value| value.is_finite())?;
        let sigma = self.defocus_sigma_nm.filter(|sigma| sigma.is_finite() && *sigma > 0.0);
        Some(sigma.map_or_else(|| nm(value), |sigma| with_sigma(value, sigma)))
    }

    /// Its focus in words.
    fn words(&self) -> String {
        let stated = self.nominal_defocus_nm.map(|value| format!("{} nm stated", nm(value)));
        let found = self.found().map(|value| format!("{value} nm found"));
        let focus: Vec<String> = stated.into_iter().chain(found).collect();
        let focus = if focus.is_empty() { String::new() } else { format!(": defocus {}", focus.join(", ")) };
        let out = if self.left_out.is_empty() { String::new() } else { format!("; left out: {}", self.left_out) };
        format!("{focus}{out}")
    }
}

/// A value and its standard deviation with the two digits of it that count: `3.52 ± 0.14`.
pub(crate) fn with_sigma(value: f64, sigma: f64) -> String {
    if !(sigma.is_finite() && sigma > 0.0) {
        return short_number(value).replace('-', "−");
    }
    let decimals = (1 - sigma.log10().floor() as i32).clamp(0, 9) as usize;
    format!("{} ± {}", fixed(value, decimals), fixed(sigma, decimals))
}

impl SeriesFacts {
    /// All that is known, name and value.
    pub(crate) fn rows(&self, images: usize) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let mut add = |name: &str, value: String| rows.push((name.to_owned(), value));
        add("Series", self.name.clone());
        let (width, height) = self.size_px;
        if width > 0 && height > 0 {
            let [x, y] = [width, height].map(|n| short_number(n as f64 * self.pixel_size_nm));
            add("Size", format!("{images} images of {width} × {height} pixels, {x} × {y} nm"));
        }
        add("Pixel size", format!("{} nm, {}", short_number(self.pixel_size_nm), self.pixel_size_source));
        if !self.focus_source.is_empty() {
            add("Focus", self.focus_source.clone());
        }
        rows.extend(self.facts.iter().cloned());
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_of_the_uncertainty_count() {
        for (value, sigma, written) in [
            (3.5214, 0.1372, "3.52 ± 0.14"),
            (-12.0, 2.0, "−12.0 ± 2.0"),
            (41.2, 33.0, "41 ± 33"),
            (0.5, f64::NAN, "0.5"),
            (-0.5, 0.0, "−0.5"),
        ] {
            assert_eq!(with_sigma(value, sigma), written);
        }
    }

    #[test]
    fn many_images_are_not_all_shown_but_all_listed() {
        let counts = ndarray::Array2::from_shape_fn((24, 24), |(y, x)| (x * y % 7) as f32);
        let image = |index: usize| FocusImage {
            name: if index == 1 { "image 7".to_owned() } else { String::new() },
            counts: counts.view(),
            nominal_defocus_nm: Some(5.0 * index as f64),
            defocus_nm: (index > 0).then_some(5.2 * index as f64),
            defocus_sigma_nm: Some(0.15),
            shift_nm: None,
            left_out: if index == 2 { "too dark".to_owned() } else { String::new() },
        };
        let images: Vec<_> = (0..20).map(image).collect();
        let section = ImageSection::new(&images, 0.01).unwrap();
        assert_eq!((section.figures.len(), section.rows.len()), (MOST_SHOWN, 20));
        assert!(section.note.contains("6 of the 20") && section.remarks && !section.shifts);
        assert_eq!((section.rows[1].name.as_str(), section.rows[1].found.as_str()), ("Image 7", "5.20 ± 0.15"));
        assert_eq!(section.rows[2].name, "Image 3");
        assert_eq!(images[2].words(), ": defocus 10.0 nm stated, 10.40 ± 0.15 nm found; left out: too dark");
    }
}
