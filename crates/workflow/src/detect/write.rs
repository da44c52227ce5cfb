//! What a detection leaves behind.
//!
//! In the folder: `columns.csv`, `columns.parquet`, `report.html`, `settings.json`; for each file, in a folder of its
//! name where there are several: `overlay.png` and `overlay.svg` of its first frame, `confidence.tif`, and its columns as
//! extended XYZ. An image of a sheet has the tables of its defects besides, and `species_map.png` and `.svg`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use atomlens_analysis::columns::probabilities_at;
use atomlens_analysis::defects::{DefectSettings, SheetColumns, find_defects};
use atomlens_analysis::lattice::known::KnownLattice;
use atomlens_analysis::lattice::spacing::{ColumnPlace, fit_lattice};
use atomlens_core::glam::DVec2;
use atomlens_core::{CellGrid, ConfidenceMap, DetectedColumn};
use atomlens_formats::{Frames, PixelData, write_frames};
use atomlens_report::html::{
    DetectionReport, FileReport, FramePicture, FrameReport, SpacingCheck, largest_side_px, picture_step,
};
use atomlens_report::{Overlay, SpeciesMap, overlay::ColourBy};
use ndarray::{Array2, Array4, Axis, stack};

use super::choose::Choice;
use super::journal::{Entry, Journal};
use super::pixel_size::PixelSize;
use super::source::Source;
use super::tables::ColumnRow;
use super::{DetectSettings, structure};
use crate::WorkflowError;
use crate::model;
use crate::provenance::Provenance;
use crate::series::detect::{Rows, drawn, missed_share, write_defects};
use crate::table::write_tables;

/// The most that `confidence.tif` may hold; further frames of a movie are left out of it.
const LARGEST_CONFIDENCE_BYTES: usize = 128 << 20;

/// Writes a job's results.
pub(super) struct Writer {
    settings: DetectSettings,
    provenance: Provenance<DetectSettings>,
    several: bool,
    /// What the tables need to know of a file, by its number.
    files: BTreeMap<usize, FileFacts>,
    report: DetectionReport,
}

/// What the tables need to know of a file.
struct FileFacts {
    name: String,
    pixel_angstrom: (f64, f64),
    species: Vec<String>,
}

impl Writer {
    pub(super) fn new(settings: &DetectSettings, provenance: Provenance<DetectSettings>, files: usize) -> Writer {
        let title = match settings.files.as_slice() {
            [file] => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            files => format!("{} files", files.len()),
        };
        Writer {
            settings: settings.clone(),
            provenance,
            several: files > 1,
            files: BTreeMap::new(),
            report: DetectionReport {
                title: format!("Atomic columns: {title}"),
                program: format!("atomlens {}", env!("CARGO_PKG_VERSION")),
                ..DetectionReport::default()
            },
        }
    }

    pub(super) fn refused(&mut self, source: &Source, error: &WorkflowError) {
        self.report.warnings.push(format!("{}: not analysed: {error}", source.name));
    }

    pub(super) fn begin(
        &mut self,
        source: &Source,
        number: usize,
        choice: &Choice,
        pixel_size: &PixelSize,
    ) -> Result<FileWriter, WorkflowError> {
        self.provenance.write(&self.settings.out.join("settings.json"))?;
        let facts = FileFacts {
            name: source.name.clone(),
            pixel_angstrom: pixel_size.angstrom,
            species: choice.model.card.species.clone(),
        };
        self.files.insert(number, facts);
        let folder = if self.several {
            let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let taken = |name: &str| self.settings.out.join(name).exists();
            let free = (2..).map(|number| format!("{stem} ({number})"));
            let name = std::iter::once(stem.clone()).chain(free).find(|name| !taken(name));
            let folder = self.settings.out.join(name.unwrap_or(stem));
            std::fs::create_dir_all(&folder).map_err(|error| WorkflowError::write(&folder, &error))?;
            folder
        } else {
            self.settings.out.clone()
        };
        if self.report.model.is_none() {
            self.report.model = Some(model::page(&choice.model.card));
        }
        let acquisition = source.acquisition();
        let mut facts = vec![
            ("Format".to_owned(), source.format.to_owned()),
            ("Model".to_owned(), format!("{}, because {}", choice.name, choice.reason)),
        ];
        let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
        fact("Voltage", acquisition.voltage_kv.map(|value| format!("{value} kV")));
        fact("Dose", acquisition.dose_e_per_a2.map(|value| format!("{value:.1} e/Å²")));
        fact("Frame time", acquisition.frame_time_s.map(|value| format!("{value} s")));
        fact("Instrument", acquisition.instrument.clone());
        let frames = source.frames() as usize;
        let step = picture_step(frames);
        Ok(FileWriter {
            folder,
            choice: choice.clone(),
            pixel_size: pixel_size.clone(),
            frame_time_s: acquisition.frame_time_s,
            number,
            columns: 0,
            map_bytes: 0,
            maps_left_out: 0,
            picture_step: step,
            picture_side_px: largest_side_px(frames.div_ceil(step)),
            only_frame: None,
            report: FileReport {
                name: source.name.clone(),
                frames_in_file: frames,
                size_px: source.size_px(),
                pixel_size_nm: 0.1 * pixel_size.angstrom.0,
                pixel_size_source: pixel_size.source(),
                facts,
                species: choice.model.card.species.clone(),
                warnings: source.notes.iter().chain(&pixel_size.warnings).cloned().collect(),
                ..FileReport::default()
            },
        })
    }

    pub(super) fn end(&mut self, mut file: FileWriter, journal: &Journal) -> Result<(), WorkflowError> {
        let maps = journal.maps(file.number)?;
        if let Some((frame, columns)) = file.only_frame.take() {
            file.sheet(&frame, &columns, maps.first())?;
        }
        file.write_confidence(&maps)?;
        self.report.files.push(file.report);
        Ok(())
    }

    /// Writes what concerns all files; gives the report's path.
    pub(super) fn finish(mut self, journal: &Journal) -> Result<PathBuf, WorkflowError> {
        let out = &self.settings.out;
        write_tables(out, "columns", || Ok(Box::new(self.rows(journal)?)))?;
        self.report.settings = serde_json::to_value(&self.provenance).unwrap_or_default();
        let path = out.join("report.html");
        self.report.write(&path)?;
        Ok(path)
    }
}

impl Writer {
    /// Rows of the tables, frame after frame.
    fn rows<'a>(
        &'a self,
        journal: &'a Journal,
    ) -> Result<impl Iterator<Item = Result<ColumnRow, WorkflowError>> + use<'a>, WorkflowError> {
        let of_entry = |entry: Entry| -> Vec<Result<ColumnRow, WorkflowError>> {
            let Some(facts) = self.files.get(&entry.file) else { return Vec::new() };
            let row = |(id, column): (usize, &DetectedColumn)| {
                ColumnRow::new(&facts.name, entry.frame, id as u64, column, facts.pixel_angstrom, &facts.species)
            };
            entry.columns.iter().enumerate().map(|item| Ok(row(item))).collect()
        };
        Ok(journal.entries()?.flat_map(move |entry| match entry {
            Ok(entry) => of_entry(entry),
            Err(error) => vec![Err(error)],
        }))
    }
}

/// Writes the results of one file.
pub(super) struct FileWriter {
    folder: PathBuf,
    choice: Choice,
    pixel_size: PixelSize,
    frame_time_s: Option<f64>,
    number: usize,
    columns: u64,
    map_bytes: usize,
    maps_left_out: usize,
    picture_step: usize,
    picture_side_px: usize,
    /// The frame and its columns, where there is one alone.
    only_frame: Option<(Array2<f32>, Vec<DetectedColumn>)>,
    report: FileReport,
}

impl FileWriter {
    pub(super) fn columns(&self) -> u64 {
        self.columns
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let of_frames = self.report.frames.iter().flat_map(|frame| frame.warnings.iter());
        let mut warnings: Vec<String> = self.report.warnings.clone();
        for warning in of_frames {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        warnings
    }

    /// Whether `confidence.tif` has room for another map of so many rows and columns.
    pub(super) fn has_room(&self, cells: (usize, usize)) -> bool {
        self.maps_left_out == 0 && self.map_bytes + 4 * cells.0 * cells.1 <= LARGEST_CONFIDENCE_BYTES
    }

    pub(super) fn bad_frame(&mut self, index: u64, error: &WorkflowError) {
        self.report.warnings.push(format!("frame {index} was left out: {error}"));
    }

    pub(super) fn add(&mut self, frame: &Array2<f32>, entry: Entry) -> Result<(), WorkflowError> {
        self.columns += entry.columns.len() as u64;
        if self.report.frames.is_empty() {
            self.first_frame(frame, &entry.columns)?;
        }
        match entry.map_cells {
            Some((rows, columns)) => self.map_bytes += 4 * rows * columns,
            None => self.maps_left_out += 1,
        }
        let wants_picture = (entry.frame as usize).is_multiple_of(self.picture_step);
        let picture = wants_picture
            .then(|| FramePicture::new(frame.view(), self.pixel_size.angstrom.0, self.picture_side_px))
            .transpose()?;
        self.report.frames.push(FrameReport {
            index: entry.frame as usize,
            time_s: self.frame_time_s.map(|time| time * entry.frame as f64),
            columns: entry.columns,
            picture,
            warnings: entry.warnings,
        });
        Ok(())
    }

    /// Pictures, the structure and the check of the lattice.
    fn first_frame(&mut self, frame: &Array2<f32>, columns: &[DetectedColumn]) -> Result<(), WorkflowError> {
        let species = &self.choice.model.card.species;
        let pixel = self.pixel_size.angstrom.0;
        let mut overlay = Overlay::new(frame.view(), pixel).columns(columns, species);
        if species.len() > 1 && columns.iter().any(|column| column.species != columns[0].species) {
            overlay = overlay.colour_by(ColourBy::Species);
        } else {
            overlay = overlay.colour_by(ColourBy::Probability);
        }
        overlay.write_png(self.folder.join("overlay.png"))?;
        overlay.write_svg(self.folder.join("overlay.svg"))?;
        let lattice = self.pixel_size.estimate.as_ref().map(|estimate| estimate.best.lattice.as_str());
        let elements = structure::elements(species, lattice);
        structure::write(&self.folder.join("columns.xyz"), columns, &elements)?;
        self.check_lattice(columns);
        if self.report.frames_in_file == 1 && self.pixel_size.is_even() {
            self.only_frame = Some((frame.clone(), columns.to_vec()));
        }
        Ok(())
    }

    /// The defects of an image of a sheet: tables, a map, and a line in the report. Columns that are no honeycomb are no sheet.
    fn sheet(
        &mut self,
        frame: &Array2<f32>,
        columns: &[DetectedColumn],
        share_of_any: Option<&Array2<f32>>,
    ) -> Result<(), WorkflowError> {
        let card = &self.choice.model.card;
        let pixel = self.pixel_size.angstrom.0;
        let (ny, nx) = frame.dim();
        let confidence = share_of_any.map(|share| {
            let cell_angstrom = 2.0 * card.pixel_size_angstrom;
            let origin = 0.5 * (cell_angstrom - card.pixel_size_angstrom);
            let (ny, nx) = share.dim();
            ConfidenceMap::of_share(CellGrid { nx, ny, cell_angstrom, origin_angstrom: [origin; 2] }, share.clone())
        });
        let probability_at = confidence
            .as_ref()
            .map(|map| move |x: f64, y: f64| probabilities_at(map, &[DVec2::new(x, y)], &card.columns)[0]);
        let seen = SheetColumns {
            columns,
            species: &card.species,
            species_probabilities: None,
            field_angstrom: [[0.0, 0.0], [(nx - 1) as f64 * pixel, (ny - 1) as f64 * pixel]],
            missed_share: missed_share(card),
            column_probability_at: probability_at.as_ref().map(|at| at as &dyn Fn(f64, f64) -> f64),
        };
        let Ok(sheet) = find_defects(&seen, &DefectSettings::default()) else { return Ok(()) };
        let rows = Rows { file: &self.report.name, frame: 0, pixel_angstrom: pixel, species: &card.species };
        write_defects(&self.folder, &sheet, rows)?;
        let defects = drawn(&sheet, columns, &card.species);
        let map = SpeciesMap::new(frame.view(), pixel, columns, &card.species).defects(&defects);
        map.write_png(self.folder.join("species_map.png"))?;
        map.write_svg(self.folder.join("species_map.svg"))?;
        let counted = sheet.summary.counts.iter().filter(|count| count.expected >= 0.5).map(|count| {
            format!(
                "{} {:.1} ± {:.1} ({:.4} per nm²)",
                count.kind.label(),
                count.expected,
                count.expected_sigma,
                count.per_nm2
            )
        });
        let counted: Vec<String> = counted.collect();
        let found = if counted.is_empty() { "none".to_owned() } else { counted.join("; ") };
        self.report.facts.push(("Defects of the sheet".to_owned(), found));
        Ok(())
    }

    /// Compares the columns with the lattice that the image shows.
    fn check_lattice(&mut self, columns: &[DetectedColumn]) {
        let Some(estimate) = &self.pixel_size.estimate else { return };
        let Ok(lattice) = KnownLattice::named(&estimate.best.lattice) else { return };
        let Some(zone) = lattice.zones.iter().find(|zone| zone.label == estimate.best.zone) else { return };
        let (px, py) = self.pixel_size.angstrom;
        // What belongs to a support is on another lattice.
        let of_body = columns.iter().filter(|column| self.choice.model.card.species[column.species] != "support");
        let places: Vec<ColumnPlace> = of_body
            .map(|column| ColumnPlace {
                place: DVec2::new(column.x_angstrom / px, column.y_angstrom / py),
                sigma: column.position_sigma_angstrom / px,
            })
            .collect();
        let Ok(fit) = fit_lattice(&places, zone, px) else { return };
        let check = fit.check(px);
        if check.is_off() {
            self.report.warnings.push(format!("columns laid on {} along {}: {check}", lattice.name, zone.label));
        }
        let known = zone.largest_spacing_angstrom();
        let measured = known * px / fit.scale_angstrom;
        self.report.spacings.push(SpacingCheck {
            name: format!("{} along {}, {} columns", lattice.name, zone.label, fit.numbered()),
            measured_nm: 0.1 * measured,
            sigma_nm: Some(0.1 * measured * fit.scale_sigma_angstrom / fit.scale_angstrom),
            expected_nm: Some(0.1 * known),
            expected_source: "tabulated; the table's sources are in the documentation".to_owned(),
            tolerance: 0.02,
        });
    }

    fn write_confidence(&mut self, maps: &[Array2<f32>]) -> Result<(), WorkflowError> {
        if maps.is_empty() {
            return Ok(());
        }
        if self.maps_left_out > 0 {
            let all = maps.len() + self.maps_left_out;
            self.report.warnings.push(format!("confidence.tif holds the first {} of {all} frames only", maps.len()));
        }
        let views: Vec<_> = maps.iter().map(|map| map.view()).collect();
        let Ok(maps) = stack(Axis(0), &views) else { return Ok(()) };
        let maps: Array4<f32> = maps.insert_axis(Axis(1));
        let cell = 2.0 * self.choice.model.card.pixel_size_angstrom;
        let frames = Frames { data: PixelData::F32(maps.view()), pixel_x_angstrom: cell, pixel_y_angstrom: cell };
        Ok(write_frames(&self.folder.join("confidence.tif"), &frames)?)
    }
}
