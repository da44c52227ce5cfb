//! The report of a detection: what was found in the files, with pictures to look at, distributions, checks, warnings,
//! the settings and the model's card.

use std::path::Path;

use askama::Template;
use atomlens_core::DetectedColumn;

use super::picture::{FramePicture, MOST_PICTURES};
use super::sections::{FileSection, ModelSection, histograms};
use super::statistics::{Statistics, median};
use super::{Figure, STYLE, counted, grouped};
use crate::plot::Plot;
use crate::scale_bar::short_number;
use crate::{ReportError, file};

/// A page holds at most so many bytes of pictures and so many columns to point at.
pub(crate) const MOST_PICTURE_BYTES: usize = 40_000_000;
const MOST_COLUMNS: usize = 400_000;

/// What a report is made of.
#[derive(Debug, Clone, Default)]
pub struct DetectionReport {
    /// What the page is called.
    pub title: String,
    /// The program's name and version.
    pub program: String,
    /// When the detection was made, as it is to be written; may be empty.
    pub created: String,
    /// The files that were looked at.
    pub files: Vec<FileReport>,
    /// Warnings that concern no file alone.
    pub warnings: Vec<String>,
    /// All settings of the run.
    pub settings: serde_json::Value,
    /// The model that was used.
    pub model: Option<ModelCard>,
}

/// What was found in one file.
#[derive(Debug, Clone, Default)]
pub struct FileReport {
    /// The file's name, as it is to be written.
    pub name: String,
    /// How many frames the file has, looked at or not.
    pub frames_in_file: usize,
    /// Width and height of a frame, in pixels.
    pub size_px: (usize, usize),
    /// Size of a pixel, in nm.
    pub pixel_size_nm: f64,
    /// Where the pixel size is from, such as `from the file` or `estimated from the lattice`.
    pub pixel_size_source: String,
    /// More that is known of the file, such as its format, voltage and dose: name and value with unit.
    pub facts: Vec<(String, String)>,
    /// Spacings of the lattice, each with its check.
    pub spacings: Vec<SpacingCheck>,
    /// Names of the species that the columns count by.
    pub species: Vec<String>,
    /// Warnings that concern the whole file.
    pub warnings: Vec<String>,
    /// The frames that were looked at, in their order.
    pub frames: Vec<FrameReport>,
}

/// What was found in one frame.
#[derive(Debug, Clone, Default)]
pub struct FrameReport {
    /// Its number in the file, from 0.
    pub index: usize,
    /// When it was taken, in s from the first.
    pub time_s: Option<f64>,
    /// The columns.
    pub columns: Vec<DetectedColumn>,
    /// A picture of it; frames without one are counted but not shown. [`super::picture_step`] says how many a page
    /// holds.
    pub picture: Option<FramePicture>,
    /// Warnings that concern this frame alone.
    pub warnings: Vec<String>,
}

/// A spacing of the lattice, measured between columns, beside the one that is expected.
#[derive(Debug, Clone, PartialEq)]
pub struct SpacingCheck {
    /// What spacing, such as `nearest neighbours` or `(111)`.
    pub name: String,
    /// As measured, in nm.
    pub measured_nm: f64,
    /// Its standard deviation, in nm.
    pub sigma_nm: Option<f64>,
    /// As expected, in nm; `None` where nothing is known.
    pub expected_nm: Option<f64>,
    /// Where the expected value is from, such as `Au, 0.4078 nm (ICSD)`.
    pub expected_source: String,
    /// The relative difference up to which the two agree.
    pub tolerance: f64,
}

impl SpacingCheck {
    /// Relative difference of what is measured from what is expected.
    pub fn difference(&self) -> Option<f64> {
        self.expected_nm.map(|expected| self.measured_nm / expected - 1.0)
    }

    /// Whether they agree; `None` where nothing is expected.
    pub fn agrees(&self) -> Option<bool> {
        self.difference().map(|difference| difference.abs() <= self.tolerance)
    }
}

/// A model, as its card describes it.
#[derive(Debug, Clone, Default)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// What it is for and how it was trained, in paragraphs.
    pub paragraphs: Vec<String>,
    /// Facts: name and value with unit.
    pub facts: Vec<(String, String)>,
    /// Tables, such as scores by dose.
    pub tables: Vec<ModelTable>,
    /// Plots, such as those of [`crate::benchmark`], each with its caption.
    pub figures: Vec<(String, Plot)>,
}

/// A table of a model's card.
#[derive(Debug, Clone, Default)]
pub struct ModelTable {
    /// What it shows.
    pub caption: String,
    /// Names of the columns, with units.
    pub header: Vec<String>,
    /// The rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

/// A warning and where it belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warning {
    /// The file, and the frame if it is one frame's; empty for the whole run.
    pub place: String,
    /// What is wrong.
    pub text: String,
}

impl DetectionReport {
    /// Every warning with its place, in order.
    pub fn all_warnings(&self) -> Vec<Warning> {
        let whole = self.warnings.iter().map(|text| Warning { place: String::new(), text: text.clone() });
        let of_files = self.files.iter().flat_map(|file| {
            let own = file.warnings.iter().map(|text| Warning { place: file.name.clone(), text: text.clone() });
            let of_frames = file.frames.iter().flat_map(|frame| {
                let place = format!("{}, frame {}", file.name, frame.index);
                frame.warnings.iter().map(move |text| Warning { place: place.clone(), text: text.clone() })
            });
            own.chain(of_frames)
        });
        whole.chain(of_files).collect()
    }

    /// The page.
    pub fn to_html(&self) -> Result<String, ReportError> {
        let statistics: Vec<Statistics> = self
            .files
            .iter()
            .map(|file| {
                let mut statistics = Statistics::default();
                file.frames.iter().for_each(|frame| statistics.add(&frame.columns));
                statistics
            })
            .collect();
        let mut total = Statistics::default();
        statistics.iter().for_each(|statistics| total.merge(statistics));
        let step = self.shown_step();
        let files = self
            .files
            .iter()
            .enumerate()
            .map(|(index, file)| FileSection::new(file, &statistics[index], self.shows(index), step))
            .collect::<Result<Vec<_>, _>>()?;
        let model = self.model.as_ref().map(ModelSection::new).transpose()?;
        let settings = if self.settings.is_null() { String::new() } else { format!("{:#}", self.settings) };
        let page = Page {
            title: &self.title,
            program: &self.program,
            created: &self.created,
            summary: self.summary(&total),
            warnings: self.all_warnings(),
            files,
            histograms: histograms(&total)?,
            model,
            settings,
            style: STYLE,
            script: concat!(include_str!("../../templates/viewer.js"), include_str!("../../templates/columns.js")),
        };
        Ok(page.render()?)
    }

    /// Writes the page; an older one is replaced when the new one is complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    /// Of the pictures that there are, every how many one is shown, so that the page stays within bounds.
    fn shown_step(&self) -> usize {
        let pictured: Vec<Vec<(usize, usize)>> = self
            .files
            .iter()
            .map(|file| {
                let shown = file.frames.iter().filter_map(|f| Some((f.picture.as_ref()?.png.len(), f.columns.len())));
                shown.collect()
            })
            .collect();
        let fits = |step: &usize| {
            let shown = pictured.iter().flat_map(|frames| frames.iter().step_by(*step));
            let (count, bytes, columns) =
                shown.fold((0, 0, 0), |(n, b, c), (bytes, columns)| (n + 1, b + bytes, c + columns));
            let files = pictured.iter().filter(|frames| !frames.is_empty()).count();
            // One picture a file is shown in any case.
            count <= files || (count <= MOST_PICTURES && bytes <= MOST_PICTURE_BYTES && columns <= MOST_COLUMNS)
        };
        let most = pictured.iter().map(Vec::len).max().unwrap_or(0).max(1);
        (1..most).find(fits).unwrap_or(most)
    }

    /// Whether a file is shown with pictures: of more files than a page holds pictures, every n-th is.
    fn shows(&self, file: usize) -> bool {
        file.is_multiple_of(self.files.len().div_ceil(MOST_PICTURES).max(1))
    }

    /// The first sentence: how much was found and how sure it is.
    fn summary(&self, total: &Statistics) -> String {
        let frames: usize = self.files.iter().map(|file| file.frames.len()).sum();
        let place = match self.files.len() {
            1 => counted(frames, "frame", "frames"),
            files => format!("{} of {}", counted(frames, "frame", "frames"), counted(files, "file", "files")),
        };
        let columns = total.columns();
        if columns == 0 {
            return format!("No columns were found in {place}.");
        }
        let share = |count: usize| {
            let percent = 100.0 * count as f64 / columns as f64;
            // Rounding says neither all nor none of what is nearly so.
            let decimals = usize::from(count > 0 && count < columns && !(0.5..=99.5).contains(&percent));
            format!("{} ({percent:.decimals$} %)", grouped(count))
        };
        let sure = total.probabilities.iter().filter(|p| **p >= 0.9).count();
        let unsure = total.probabilities.iter().filter(|p| **p < 0.6).count();
        let was = if columns == 1 { "was" } else { "were" };
        let mut text = format!(
            "{} {was} found in {place}; of those, {} with a probability of at least 0.9 and {} with less than 0.6.",
            counted(columns, "column", "columns"),
            share(sure),
            share(unsure)
        );
        let mut medians = Vec::new();
        if let Some(sigma) = median(&total.sigmas_pm) {
            medians.push(format!("position uncertainty {sigma:.1} pm"));
        }
        if let Some(distance) = median(&total.neighbours_nm) {
            medians.push(format!("distance to the nearest neighbour {distance:.4} nm"));
        }
        if !medians.is_empty() {
            text.push_str(&format!(" Medians: {}.", medians.join(", ")));
        }
        if self.files.len() == 1 {
            let file = &self.files[0];
            let size = short_number(file.pixel_size_nm);
            text.push_str(&format!(" A pixel is {size} nm, {}.", file.pixel_size_source));
        }
        text
    }
}

/// What the template needs.
#[derive(Template)]
#[template(path = "detection.html")]
struct Page<'a> {
    title: &'a str,
    program: &'a str,
    created: &'a str,
    summary: String,
    warnings: Vec<Warning>,
    files: Vec<FileSection>,
    histograms: Vec<Figure>,
    model: Option<ModelSection>,
    settings: String,
    style: &'static str,
    script: &'static str,
}
