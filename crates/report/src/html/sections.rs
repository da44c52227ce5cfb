//! The parts of a report's page, as the template writes them.

use super::column_viewer::{ColumnViewer, column_viewer};
use super::detection::{FileReport, FrameReport, ModelCard, ModelTable, SpacingCheck};
use super::picture::FramePicture;
use super::statistics::{Statistics, median_label};

use super::{Figure, counted, grouped};
use crate::plot::Plot;
use crate::scale_bar::short_number;
use crate::series::Series;
use crate::spectrum::SpectrumFigure;
use crate::{Histogram, ReportError};

/// Width of the figures of a page.
const FIGURE_PX: u32 = 560;

pub(crate) fn figure(plot: &Plot, caption: String) -> Result<Figure, ReportError> {
    Ok(Figure { svg: plot.drawing(FIGURE_PX)?.to_inline_svg(&caption), caption })
}

/// One file.
#[derive(Debug)]
pub(crate) struct FileSection {
    pub(crate) name: String,
    pub(crate) frames: String,
    pub(crate) columns: String,
    pub(crate) probability: String,
    pub(crate) sigma: String,
    pub(crate) neighbours: String,
    pub(crate) pixel_size: String,
    pub(crate) viewer: Option<ColumnViewer>,
    /// Which frames are shown, where not all are.
    pub(crate) shown: String,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) spacings: Vec<SpacingRow>,
    pub(crate) by_frame: Option<Figure>,
}

/// A spacing and its check.
#[derive(Debug)]
pub(crate) struct SpacingRow {
    pub(crate) name: String,
    pub(crate) measured: String,
    pub(crate) expected: String,
    pub(crate) difference: String,
    pub(crate) class: &'static str,
    pub(crate) verdict: &'static str,
    pub(crate) reason: String,
}

impl FileSection {
    /// A file with every `step`-th of its pictures, or without pictures.
    pub(crate) fn new(
        file: &FileReport,
        statistics: &Statistics,
        with_pictures: bool,
        step: usize,
    ) -> Result<FileSection, ReportError> {
        let pictured: Vec<(&FrameReport, &FramePicture)> =
            file.frames.iter().filter_map(|frame| Some((frame, frame.picture.as_ref()?))).collect();
        let chosen: Vec<(&FrameReport, &FramePicture)> =
            if with_pictures { pictured.iter().copied().step_by(step).collect() } else { Vec::new() };
        Ok(FileSection {
            name: file.name.clone(),
            frames: grouped(file.frames.len()),
            columns: grouped(statistics.columns()),
            probability: median_label(&statistics.probabilities, 3, ""),
            sigma: median_label(&statistics.sigmas_pm, 1, " pm"),
            neighbours: median_label(&statistics.neighbours_nm, 4, " nm"),
            pixel_size: format!("{} nm", short_number(file.pixel_size_nm)),
            viewer: column_viewer(file, &chosen),
            shown: shown_note(file, &chosen),
            facts: facts(file, statistics),
            spacings: file.spacings.iter().map(spacing_row).collect(),
            by_frame: by_frame(file)?,
        })
    }
}

/// Says which frames are shown where not all of them are.
fn shown_note(file: &FileReport, shown: &[(&FrameReport, &FramePicture)]) -> String {
    let looked_at = file.frames.len();
    let mut note = String::new();
    if looked_at < file.frames_in_file {
        let total = grouped(file.frames_in_file);
        note = format!("Columns were looked for in {} of the file's {total} frames. ", grouped(looked_at));
    }
    if shown.is_empty() && looked_at > 0 {
        note.push_str("No frame of this file is shown, so that the page stays small; the numbers are of all of them.");
    } else if shown.len() < looked_at {
        let steps: Vec<usize> = shown.windows(2).map(|pair| pair[1].0.index - pair[0].0.index).collect();
        let which = match steps.first() {
            Some(step) if steps.iter().all(|other| other == step) && *step > 1 => format!("Every {} frame", nth(*step)),
            _ => counted(shown.len(), "frame", "frames"),
        };
        let is = if which.starts_with("Every") || shown.len() == 1 { "is" } else { "are" };
        let of = grouped(looked_at);
        note.push_str(&format!("{which} {is} shown, {} of {of}; the numbers are of all of them.", shown.len()));
    }
    note.trim_end().to_owned()
}

/// 2nd, 3rd, 11th.
pub(crate) fn nth(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn facts(file: &FileReport, statistics: &Statistics) -> Vec<(String, String)> {
    let (width, height) = file.size_px;
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    if width > 0 && height > 0 {
        let [x, y] = [width, height].map(|n| short_number(n as f64 * file.pixel_size_nm));
        let frames = counted(file.frames_in_file, "frame", "frames");
        add("Size", format!("{width} × {height} pixels, {x} × {y} nm, {frames}"));
    }
    add("Pixel size", format!("{} nm, {}", short_number(file.pixel_size_nm), file.pixel_size_source));
    facts.extend(file.facts.iter().cloned());
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    let columns = grouped(statistics.columns());
    if file.frames.len() > 1 {
        let mean = statistics.columns() as f64 / file.frames.len() as f64;
        add("Columns", format!("{columns}, {} a frame in the mean", short_number(mean)));
    } else {
        add("Columns", columns);
    }
    if statistics.columns() > 0 {
        let by_species = species_counts(file);
        if by_species.len() > 1 {
            let counts: Vec<String> =
                by_species.into_iter().map(|(name, n)| format!("{name} {}", grouped(n))).collect();
            add("Species", counts.join(", "));
        }
        add("Probability, median", median_label(&statistics.probabilities, 3, ""));
        add("Position σ, median", median_label(&statistics.sigmas_pm, 1, " pm"));
        add("Atoms in a column, median", median_label(&statistics.atoms, 1, ""));
        if !statistics.neighbours_nm.is_empty() {
            add("Nearest neighbours, median", median_label(&statistics.neighbours_nm, 4, " nm"));
        }
    }
    facts
}

fn species_counts(file: &FileReport) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    for column in file.frames.iter().flat_map(|frame| &frame.columns) {
        *counts.entry(column.species).or_default() += 1;
    }
    counts.into_iter().map(|(index, count)| (crate::overlay::species_name(&file.species, index), count)).collect()
}

pub(crate) fn spacing_row(check: &SpacingCheck) -> SpacingRow {
    let (class, verdict) = match check.agrees() {
        Some(true) => ("agrees", "agrees"),
        Some(false) => ("differs", "differs"),
        None => ("", "not checked"),
    };
    let reason = match (check.agrees(), check.expected_source.is_empty()) {
        (None, true) => "nothing is known to compare with".to_owned(),
        (None, false) => check.expected_source.clone(),
        (Some(_), true) => format!("(limit {:.1} %)", 100.0 * check.tolerance),
        (Some(_), false) => format!("(limit {:.1} %; {})", 100.0 * check.tolerance, check.expected_source),
    };
    let sigma = check.sigma_nm.map_or(String::new(), |sigma| format!(" ± {sigma:.4}"));
    SpacingRow {
        name: check.name.clone(),
        measured: format!("{:.4}{sigma} nm", check.measured_nm),
        expected: check.expected_nm.map_or("–".to_owned(), |expected| format!("{expected:.4} nm")),
        difference: check.difference().map_or("–".to_owned(), |d| format!("{:+.1} %", 100.0 * d).replace('-', "−")),
        class,
        verdict,
        reason,
    }
}

/// The number of columns by frame, for files of several frames.
fn by_frame(file: &FileReport) -> Result<Option<Figure>, ReportError> {
    if file.frames.len() < 2 {
        return Ok(None);
    }
    let most = file.frames.iter().map(|frame| frame.columns.len()).max().unwrap_or(0).max(1);
    let counts = file.frames.iter().map(|frame| (frame.index as f64, frame.columns.len() as f64));
    let plot =
        Plot::new("frame", "columns").x_whole().y_range(0.0, 1.06 * most as f64).series(Series::line("", counts));
    figure(&plot, "Number of columns by frame".to_owned()).map(Some)
}

/// Distributions over all columns; none without columns.
pub(crate) fn histograms(total: &Statistics) -> Result<Vec<Figure>, ReportError> {
    let bins = 40;
    let probability = (total.columns() > 0).then(|| {
        // The best half of the axis is where most are; it begins lower if some do.
        let lowest = total.probabilities.iter().copied().filter(|p| p.is_finite()).fold(0.5, f64::min);
        Histogram::between(total.probabilities.iter().copied(), (10.0 * lowest).floor() / 10.0, 1.0, bins)
    });
    let quantities = [
        ("probability", "Probability that there is a column", probability),
        ("position σ (pm)", "Standard deviation of the position in each direction", of_zero(&total.sigmas_pm, bins)),
        ("atoms in the column", "Number of atoms, rounded", Histogram::whole(total.atoms.iter().copied(), bins)),
        (
            "distance (nm)",
            "Distance to the nearest neighbour in the same frame",
            Histogram::of(total.neighbours_nm.iter().copied(), bins),
        ),
    ];
    let mut figures = Vec::new();
    for (axis, caption, histogram) in quantities {
        if let Some(histogram) = histogram {
            let beyond = match histogram.outside {
                0 => String::new(),
                outside => format!("; {} beyond the ends of the axis", counted(outside, "value", "values")),
            };
            figures.push(figure(&histogram.plot(axis, "columns"), format!("{caption}{beyond}"))?);
        }
    }
    Ok(figures)
}

/// A histogram of what is never negative, from zero on.
fn of_zero(values: &[f64], bins: usize) -> Option<Histogram> {
    let high = *Histogram::of(values.iter().copied(), bins)?.edges.last()?;
    Some(if high > 0.0 {
        Histogram::between(values.iter().copied(), 0.0, high, bins)
    } else {
        Histogram::of(values.iter().copied(), bins)?
    })
}

/// What the spectrum of one image says of the optics.
#[derive(Debug)]
pub(crate) struct SpectrumSection {
    pub(crate) figures: [Figure; 2],
}

impl SpectrumSection {
    pub(crate) fn new(spectrum: &SpectrumFigure<'_>) -> Result<SpectrumSection, ReportError> {
        let says = if spectrum.caption.is_empty() { String::new() } else { format!(". {}", spectrum.caption) };
        let caption = format!("Power spectrum of {}, on the right the rings as fitted{says}", spectrum.name);
        let picture = Figure { svg: spectrum.drawing()?.to_inline_svg(&caption), caption };
        let curve = figure(&spectrum.profile_plot(), format!("Mean power of {} over the rings", spectrum.name))?;
        Ok(SpectrumSection { figures: [picture, curve] })
    }
}

/// The model's card.
#[derive(Debug)]
pub(crate) struct ModelSection {
    pub(crate) name: String,
    pub(crate) paragraphs: Vec<String>,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) tables: Vec<ModelTable>,
    pub(crate) figures: Vec<Figure>,
}

impl ModelSection {
    pub(crate) fn new(card: &ModelCard) -> Result<ModelSection, ReportError> {
        let figures =
            card.figures.iter().map(|(caption, plot)| figure(plot, caption.clone())).collect::<Result<_, _>>()?;
        let ModelCard { name, paragraphs, facts, tables, .. } = card.clone();
        Ok(ModelSection { name, paragraphs, facts, tables, figures })
    }
}
