//! The report of a focal series: its images, the species of its columns, its defects, and how sure all that is.

use std::path::Path;

use askama::Template;
use atomlens_core::DetectedColumn;
use ndarray::ArrayView2;

use super::detection::{ModelCard, SpacingCheck, Warning};
use super::sections::{ModelSection, SpacingRow, SpectrumSection, figure, spacing_row};
use super::series_images::{FocusImage, ImageSection, SeriesFacts};
use super::species_viewer::{SpeciesViewer, species_viewer};
use super::statistics::median_label;
use super::{Figure, Number, STYLE, counted, grouped};
use crate::benchmark::{ReliabilityBin, reliability_plot};
use crate::colour::{Colour, WHITE, from_hex, mix};
use crate::defects::Defects;
use crate::estimate::{Estimate, Kind};
use crate::overlay::species_name;
use crate::plot::Plot;
use crate::series::Series;
use crate::species_map::{SURE, SpeciesMap, sureness};
use crate::species_style::species_colour;
use crate::spectrum::SpectrumFigure;
use crate::{Histogram, ReportError, file, svg};

/// Defects of a name that are listed on the page; a file has all of them.
const LISTED: usize = 100;
/// Side of the part of the map that is shown close up, in nearest distances of columns.
const CLOSE_UP_SPACINGS: f64 = 13.0;

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct FocalSeriesReport<'a> {
    /// What the page is called.
    pub title: String,
    /// The program's name and version.
    pub program: String,
    /// When it was made, as it is to be written; may be empty.
    pub created: String,
    /// What is known of the series.
    pub series: SeriesFacts,
    /// Its images, in the order in which they were looked at.
    pub images: Vec<FocusImage<'a>>,
    /// What the columns are shown on, `[y, x]` on the grid of the images: the sharpest image, their mean, or a phase.
    pub background: ArrayView2<'a, f32>,
    /// What that is, such as `image 1` or `phase of the exit wave`.
    pub background_name: String,
    /// The columns.
    pub columns: &'a [DetectedColumn],
    /// Names of the species that the columns count by.
    pub species: &'a [String],
    /// The defects.
    pub defects: &'a Defects,
    /// How many there are of each kind.
    pub defect_counts: Vec<DefectCount>,
    /// Area of the crystal that was looked at, in nm².
    pub area_nm2: f64,
    /// Spacings of the lattice, each with its check.
    pub spacings: Vec<SpacingCheck>,
    /// How well the model tells species apart, as its card states.
    pub accuracy: Option<SpeciesAccuracy>,
    /// What the images' own spectra say of the optics; may be empty.
    pub spectra: Vec<SpectrumFigure<'a>>,
    /// What can be concluded, sentence by sentence.
    pub can_conclude: Vec<String>,
    /// What cannot.
    pub cannot_conclude: Vec<String>,
    /// Warnings, each with its place.
    pub warnings: Vec<Warning>,
    /// All settings of the run.
    pub settings: serde_json::Value,
    /// The model that was used.
    pub model: Option<ModelCard>,
}

/// How often a kind of defect occurs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DefectCount {
    /// What it is called, such as `S vacancy`.
    pub name: String,
    /// How many are listed.
    pub listed: usize,
    /// How many there are once the errors of the detection are taken into account.
    pub expected: Estimate,
    /// The same per area, in 1/nm².
    pub per_nm2: Estimate,
    /// The same per site where it can be, from 0 to 1; unknown for rings, edges and boundaries.
    pub share_of_sites: Estimate,
}

/// How well a model tells species apart, measured on simulated series with known species.
#[derive(Debug, Clone, Default)]
pub struct SpeciesAccuracy {
    /// On what it was measured, such as `400 simulated series at 3000 e/Å² and more`.
    pub measured_on: String,
    /// How often columns were what they were called, by the probability that was given.
    pub reliability: Vec<ReliabilityBin>,
    /// What columns were taken for.
    pub confusion: Option<Confusion>,
}

/// Counts of columns by true and by found species.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confusion {
    /// What columns truly are: one a row. The last may be `none`, for false columns.
    pub rows: Vec<String>,
    /// What they were taken for: one a column. The last may be `missed`.
    pub columns: Vec<String>,
    /// The counts, a row for every one of `rows`.
    pub counts: Vec<Vec<usize>>,
}

impl FocalSeriesReport<'_> {
    /// The page.
    pub fn to_html(&self) -> Result<String, ReportError> {
        let pixel_angstrom = 10.0 * self.series.pixel_size_nm;
        let settings = if self.settings.is_null() { String::new() } else { format!("{:#}", self.settings) };
        let page = Page {
            title: &self.title,
            program: &self.program,
            created: &self.created,
            summary: self.summary(),
            warnings: &self.warnings,
            viewer: species_viewer(self)?,
            close_up: self.close_up(pixel_angstrom)?,
            images: ImageSection::new(&self.images, self.series.pixel_size_nm)?,
            species: self.species_rows(),
            species_figures: self.species_figures()?,
            measured_on: self.accuracy.as_ref().map_or("", |accuracy| &accuracy.measured_on),
            confusion: self.accuracy.as_ref().and_then(|a| a.confusion.as_ref()).map(ConfusionTable::new),
            defects: self.defect_counts.iter().map(DefectCountRow::new).collect(),
            area: if self.area_nm2 > 0.0 { format!("{:.0}", self.area_nm2) } else { String::new() },
            lists: self.defect_lists(),
            edges: self.edge_rows(),
            boundaries: self.boundary_rows(),
            can_conclude: &self.can_conclude,
            cannot_conclude: &self.cannot_conclude,
            spectra: self.spectra.iter().map(SpectrumSection::new).collect::<Result<_, _>>()?,
            facts: self.series.rows(self.images.len()),
            spacings: self.spacings.iter().map(spacing_row).collect(),
            model: self.model.as_ref().map(ModelSection::new).transpose()?,
            settings,
            style: STYLE,
            script: concat!(include_str!("../../templates/viewer.js"), include_str!("../../templates/species.js")),
        };
        Ok(page.render()?)
    }

    /// Writes the page; an older one is replaced when the new one is complete.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(path.as_ref(), self.to_html()?.as_bytes())
    }

    /// The answer in words.
    fn summary(&self) -> Vec<String> {
        let used = self.images.iter().filter(|image| image.left_out.is_empty()).count();
        let images = counted(used, "image", "images");
        if self.columns.is_empty() {
            return vec![format!("No columns were found in {images} of {}.", self.series.name)];
        }
        let counts: Vec<String> = self
            .by_species()
            .into_iter()
            .map(|(index, c)| format!("{} {}", grouped(c.len()), self.name(index)))
            .collect();
        let sure = self.columns.iter().filter(|column| sureness(column) == 0).count();
        let percent = 100.0 * sure as f64 / self.columns.len() as f64;
        let mut text = vec![format!(
            "{} in {images}: {}. The species of {percent:.0} % of them is at least {:.0} % sure.",
            counted(self.columns.len(), "column", "columns"),
            counts.join(", "),
            100.0 * SURE[0]
        )];
        let found: Vec<String> = self
            .defect_counts
            .iter()
            .filter(|count| count.listed > 0)
            .map(|count| {
                let density = match count.per_nm2.value.is_finite() {
                    true => format!(", {} per nm²", count.per_nm2.phrase(Kind::Any)),
                    false => String::new(),
                };
                format!("{} {}{density}", count.name, grouped(count.listed))
            })
            .collect();
        if !found.is_empty() {
            text.push(format!("Defects: {}. In brackets are intervals of 95 %.", found.join("; ")));
        } else if !self.defect_counts.is_empty() {
            text.push("No defects were found.".to_owned());
        }
        text
    }

    fn name(&self, index: usize) -> String {
        species_name(self.species, index)
    }

    /// The columns of every species that some column has.
    fn by_species(&self) -> std::collections::BTreeMap<usize, Vec<&DetectedColumn>> {
        let mut columns = std::collections::BTreeMap::<usize, Vec<&DetectedColumn>>::new();
        for column in self.columns {
            columns.entry(column.species).or_default().push(column);
        }
        columns
    }

    fn species_rows(&self) -> Vec<SpeciesRow> {
        let all = self.columns.len() as f64;
        let rows = self.by_species().into_iter().map(|(index, columns)| {
            let of = |quantity: fn(&DetectedColumn) -> f64| -> Vec<f64> {
                columns.iter().map(|column| quantity(column)).filter(|value| value.is_finite()).collect()
            };
            let mean = |values: Vec<f64>| match values.len() {
                0 => "–".to_owned(),
                count => format!("{:.3}", values.iter().sum::<f64>() / count as f64),
            };
            SpeciesRow {
                name: self.name(index),
                colour: svg::hex(species_colour(self.species, index)),
                count: grouped(columns.len()),
                share: format!("{:.1}", 100.0 * columns.len() as f64 / all),
                certainty: mean(of(|column| column.species_probability)),
                probability: mean(of(|column| column.probability)),
                unsure: grouped(columns.iter().filter(|column| sureness(column) > 0).count()),
                sigma: median_label(&of(|column| 100.0 * column.position_sigma_angstrom), 1, ""),
            }
        });
        rows.collect()
    }

    /// How sure the species are, and whether that is to be believed.
    fn species_figures(&self) -> Result<Vec<Figure>, ReportError> {
        let mut figures = Vec::new();
        if !self.columns.is_empty() {
            let highest = self.by_species().into_values().map(|columns| columns.len()).max().unwrap_or(1);
            let mut plot = Plot::new("probability of the species", "columns").x_range(0.0, 1.0);
            let mut most = 1;
            for (index, columns) in self.by_species() {
                let histogram = Histogram::between(columns.iter().map(|c| c.species_probability), 0.0, 1.0, 25);
                most = most.max(histogram.counts.iter().copied().max().unwrap_or(0));
                // Steps, as bars of several species would cover each other.
                let steps = histogram.counts.iter().enumerate().flat_map(|(bin, count)| {
                    [histogram.edges[bin], histogram.edges[bin + 1]].map(|x| (x, (*count as f64).max(0.5)))
                });
                // Pale colours are darkened, as lines stand on white.
                let colour = on_white(species_colour(self.species, index));
                plot = plot.series(Series::line(self.name(index), steps).colour(colour));
            }
            let plot = plot.y_range(0.5, 1.3 * most.max(2) as f64);
            let plot = if highest > 20 { plot.y_log() } else { plot };
            figures.push(figure(&plot, "How sure the species of the columns are".to_owned())?);
        }
        if let Some(accuracy) = self.accuracy.as_ref().filter(|accuracy| !accuracy.reliability.is_empty()) {
            let plot = reliability_plot(&accuracy.reliability).y_label("part that are of that species");
            let measured = if accuracy.measured_on.is_empty() { "" } else { ", measured on " };
            let caption = format!("Whether that is to be believed{measured}{}", accuracy.measured_on);
            figures.push(figure(&plot, caption)?);
        }
        Ok(figures)
    }

    /// The part with most defects, with and without marks.
    fn close_up(&self, pixel_angstrom: f64) -> Result<Vec<Figure>, ReportError> {
        if self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let map = SpeciesMap::new(self.background, pixel_angstrom, self.columns, self.species).defects(self.defects);
        let window = map.busiest_window(CLOSE_UP_SPACINGS * map.spacing_angstrom());
        let bare = SpeciesMap::new(self.background, pixel_angstrom, &[], self.species).window(window);
        let of = |map: SpeciesMap<'_>, caption: String| -> Result<Figure, ReportError> {
            Ok(Figure { svg: map.drawing()?.to_inline_svg(&caption), caption })
        };
        Ok(vec![
            of(bare, format!("A part of it close up: {}", self.background_name))?,
            of(map.window(window).without_legend(), "The same part with species and defects".to_owned())?,
        ])
    }

    /// Sites, and rings, by name.
    fn defect_lists(&self) -> Vec<DefectList> {
        let mut lists: Vec<DefectList> = Vec::new();
        let mut add = |name: String, row: DefectRow| match lists.iter_mut().find(|list| list.name == name) {
            Some(list) => list.rows.push(row),
            None => lists.push(DefectList { name, count: String::new(), rows: vec![row], left_out: 0 }),
        };
        let probability = |value: f64| if value.is_finite() { format!("{value:.2}") } else { "–".to_owned() };
        for site in &self.defects.sites {
            let row = DefectRow {
                x: format!("{:.3}", 0.1 * site.x_angstrom),
                y: format!("{:.3}", 0.1 * site.y_angstrom),
                probability: probability(site.probability),
                note: site.note.clone(),
            };
            add(site.name.clone(), row);
        }
        for ring in &self.defects.rings {
            let count = ring.corners_angstrom.len();
            let mean =
                |axis: usize| 0.1 * ring.corners_angstrom.iter().map(|p| p[axis]).sum::<f64>() / count.max(1) as f64;
            let row = DefectRow {
                x: format!("{:.3}", mean(0)),
                y: format!("{:.3}", mean(1)),
                probability: probability(ring.probability),
                note: ring.note.clone(),
            };
            add(format!("ring of {count}"), row);
        }
        for list in &mut lists {
            list.count = grouped(list.rows.len());
            list.left_out = list.rows.len().saturating_sub(LISTED);
            list.rows.truncate(LISTED);
        }
        lists
    }

    /// Length and pieces of every kind of edge.
    fn edge_rows(&self) -> Vec<EdgeRow> {
        let mut kinds = std::collections::BTreeMap::<_, (f64, usize)>::new();
        for edge in &self.defects.edges {
            let entry = kinds.entry((edge.direction, edge.termination.as_str())).or_default();
            *entry = (entry.0 + edge.length_nm(), entry.1 + 1);
        }
        let all: f64 = kinds.values().map(|(length, _)| length).sum();
        let rows = kinds.into_iter().map(|((direction, termination), (length, pieces))| EdgeRow {
            direction: direction.label(),
            termination: if termination.is_empty() { "–".to_owned() } else { termination.to_owned() },
            length: format!("{length:.2}"),
            share: if all > 0.0 { format!("{:.0}", 100.0 * length / all) } else { "–".to_owned() },
            pieces: grouped(pieces),
        });
        rows.collect()
    }

    fn boundary_rows(&self) -> Vec<BoundaryRow> {
        let rows = self.defects.boundaries.iter().map(|boundary| BoundaryRow {
            angle: Number::from(boundary.angle_deg),
            length: format!("{:.2}", boundary.length_nm()),
            note: boundary.note.clone(),
        });
        rows.collect()
    }
}

/// A colour that can be seen as a line on white.
fn on_white(colour: Colour) -> Colour {
    let [r, g, b] = colour.0.map(f32::from);
    // Luma of Rec. 601; from three quarters on a line is hard to see.
    let luma = (0.299 * r + 0.587 * g + 0.114 * b) / 255.0;
    if luma > 0.72 { mix(colour, from_hex(0x000000), 0.28) } else { colour }
}

/// A row of the table of species.
struct SpeciesRow {
    name: String,
    colour: String,
    count: String,
    share: String,
    certainty: String,
    probability: String,
    unsure: String,
    sigma: String,
}

/// A row of the table of defects.
struct DefectCountRow {
    name: String,
    listed: String,
    expected: Number,
    per_nm2: Number,
    share: Number,
}

impl DefectCountRow {
    fn new(count: &DefectCount) -> DefectCountRow {
        DefectCountRow {
            name: count.name.clone(),
            listed: grouped(count.listed),
            expected: Number::count(count.expected),
            per_nm2: Number::from(count.per_nm2),
            share: Number::of(count.share_of_sites.scaled(100.0), Kind::Any),
        }
    }
}

/// Defects of one name.
struct DefectList {
    name: String,
    count: String,
    rows: Vec<DefectRow>,
    /// How many are not on the page.
    left_out: usize,
}

struct DefectRow {
    x: String,
    y: String,
    probability: String,
    note: String,
}

struct EdgeRow {
    direction: &'static str,
    termination: String,
    length: String,
    share: String,
    pieces: String,
}

struct BoundaryRow {
    angle: Number,
    length: String,
    note: String,
}

/// What columns were taken for, in percent of each true species.
struct ConfusionTable {
    columns: Vec<String>,
    rows: Vec<ConfusionRow>,
}

struct ConfusionRow {
    name: String,
    total: String,
    cells: Vec<ConfusionCell>,
}

struct ConfusionCell {
    percent: String,
    colour: String,
}

impl ConfusionTable {
    fn new(confusion: &Confusion) -> ConfusionTable {
        let rows = confusion.rows.iter().zip(&confusion.counts).map(|(name, counts)| {
            let total: usize = counts.iter().sum();
            let cells = (0..confusion.columns.len()).map(|column| {
                let count = counts.get(column).copied().unwrap_or(0);
                let share = count as f64 / total.max(1) as f64;
                let percent = match (count, 100.0 * share) {
                    (0, _) => "0".to_owned(),
                    (_, percent) if percent < 0.1 => "< 0.1".to_owned(),
                    (_, percent) => format!("{percent:.1}"),
                };
                let colour = svg::hex(mix(WHITE, from_hex(0x8cc6e8), share as f32));
                ConfusionCell { percent, colour }
            });
            ConfusionRow { name: name.clone(), total: grouped(total), cells: cells.collect() }
        });
        ConfusionTable { columns: confusion.columns.clone(), rows: rows.collect() }
    }
}

/// What the template needs.
#[derive(Template)]
#[template(path = "focal_series.html")]
struct Page<'a> {
    title: &'a str,
    program: &'a str,
    created: &'a str,
    summary: Vec<String>,
    warnings: &'a [Warning],
    viewer: SpeciesViewer,
    close_up: Vec<Figure>,
    images: ImageSection,
    species: Vec<SpeciesRow>,
    species_figures: Vec<Figure>,
    measured_on: &'a str,
    confusion: Option<ConfusionTable>,
    defects: Vec<DefectCountRow>,
    area: String,
    lists: Vec<DefectList>,
    edges: Vec<EdgeRow>,
    boundaries: Vec<BoundaryRow>,
    can_conclude: &'a [String],
    cannot_conclude: &'a [String],
    spectra: Vec<SpectrumSection>,
    facts: Vec<(String, String)>,
    spacings: Vec<SpacingRow>,
    model: Option<ModelSection>,
    settings: String,
    style: &'static str,
    script: &'static str,
}
