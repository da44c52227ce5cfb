//! What the detection of a series leaves behind.
//!
//! In the folder: `columns` and, where there is a sheet, `defects`, `defect_counts`, `edges`, `boundaries` (CSV and Parquet),
//! `species.csv`, `columns.xyz`, `confidence.tif`, `species_map.png` and `.svg`, `report.html`, `summary.json`, `settings.json`. Of several
//! series each has a folder of its name, and the outer one has the columns of all.

use std::path::PathBuf;

use atomlens_formats::{Frames, write_frames};
use atomlens_report::{Defects, SpeciesMap};

use super::tables::{Rows, write_defects, write_species};
use super::{Found, OneSeries, SeriesDetectSettings, SeriesDetectSummary, SpeciesCount, pages};
use crate::WorkflowError;
use crate::detect::structure;
use crate::detect::tables::ColumnRow;
use crate::provenance::{Entered, Provenance, write_json};
use crate::series::SeriesFiles;
use crate::table::write_tables;

/// Writes a job's results.
pub(super) struct Folder<'a> {
    settings: &'a SeriesDetectSettings,
    provenance: &'a Provenance<SeriesDetectSettings>,
    several: bool,
    entered: bool,
    rows: Vec<ColumnRow>,
    refused: Vec<String>,
    done: Vec<OneSeries>,
}

impl<'a> Folder<'a> {
    pub(super) fn new(
        settings: &'a SeriesDetectSettings,
        provenance: &'a Provenance<SeriesDetectSettings>,
        series: usize,
    ) -> Folder<'a> {
        let (rows, refused, done) = (Vec::new(), Vec::new(), Vec::new());
        Folder { settings, provenance, several: series > 1, entered: false, rows, refused, done }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    pub(super) fn refused(&mut self, error: &WorkflowError) {
        self.refused.push(error.to_string());
    }

    /// Makes the folder when there is something to put into it.
    fn enter(&mut self) -> Result<(), WorkflowError> {
        if !self.entered {
            if self.provenance.enter(&self.settings.out, false)? == Entered::New {
                self.provenance.write(&self.settings.out.join("settings.json"))?;
            }
            self.entered = true;
        }
        Ok(())
    }

    /// Writes what was found in a series.
    pub(super) fn add(&mut self, series: &SeriesFiles, found: &Found<'_>) -> Result<(), WorkflowError> {
        self.enter()?;
        let folder = series.folder(&self.settings.out, self.several)?;
        let card = &found.choice.model.card;
        let pixel = found.placed.series.pixel_angstrom;
        let (file, frame) = (series.file.as_str(), series.frame);
        let rows = Rows { file, frame, pixel_angstrom: pixel, species: &card.species };
        let of_column = |(id, column)| ColumnRow::new(file, frame, id as u64, column, (pixel, pixel), &card.species);
        let columns: Vec<ColumnRow> = found.columns.iter().enumerate().map(of_column).collect();
        let tables = || -> Result<(), WorkflowError> {
            write_tables(&folder, "columns", || Ok(Box::new(columns.iter().cloned().map(Ok))))?;
            write_species(&folder.join("species.csv"), &card.species, &found.species, rows)?;
            if let Some(sheet) = &found.sheet {
                write_defects(&folder, sheet, rows)?;
            }
            let estimate = found.placed.pixel_size.estimate.as_ref();
            let elements = structure::elements(&card.species, estimate.map(|estimate| estimate.best.lattice.as_str()));
            structure::write(&folder.join("columns.xyz"), &found.columns, &elements)?;
            let cell = 2.0 * card.pixel_size_angstrom;
            let map = Frames { data: found.map.view().into(), pixel_x_angstrom: cell, pixel_y_angstrom: cell };
            Ok(write_frames(&folder.join("confidence.tif"), &map)?)
        };
        let sheet = found.sheet.as_ref();
        let defects = sheet.map_or_else(Defects::default, |sheet| pages::drawn(sheet, &found.columns, &card.species));
        let background = found.placed.image(found.placed.reference);
        let picture = SpeciesMap::new(background, pixel, &found.columns, &card.species).defects(&defects);
        let report = folder.join("report.html");
        let provenance = serde_json::to_value(self.provenance).unwrap_or_default();
        let pictures = || -> Result<(), WorkflowError> {
            picture.write_png(folder.join("species_map.png"))?;
            Ok(picture.write_svg(folder.join("species_map.svg"))?)
        };
        let page = || pages::write(&report, found, &defects, provenance);
        // Tables, then what is drawn: an error is the first one's, whichever thread was quicker.
        let (written, (drawn, page)) = rayon::join(tables, || rayon::join(pictures, page));
        written.and(drawn).and(page)?;
        let summary = summary(found, report);
        if self.several {
            write_json(&folder.join("summary.json"), &summary)?;
        }
        self.done.push(summary);
        self.rows.extend(columns);
        Ok(())
    }

    /// Writes what concerns all series.
    pub(super) fn finish(self) -> Result<SeriesDetectSummary, WorkflowError> {
        let out = self.settings.out.clone();
        let mut summary = SeriesDetectSummary { out: out.clone(), series: self.done };
        if summary.series.is_empty() {
            return Ok(summary);
        }
        if self.several {
            write_tables(&out, "columns", || Ok(Box::new(self.rows.iter().cloned().map(Ok))))?;
        }
        if let Some(first) = summary.series.first_mut() {
            first.warnings.extend(self.refused);
        }
        write_json(&out.join("summary.json"), &summary)?;
        Ok(summary)
    }
}

fn summary(found: &Found<'_>, report: PathBuf) -> OneSeries {
    let species = &found.choice.model.card.species;
    let count = |(index, name): (usize, &String)| SpeciesCount {
        species: name.clone(),
        columns: found.columns.iter().filter(|column| column.species == index).count(),
        expected: crate::table::rounded(
            found
                .columns
                .iter()
                .zip(found.species.column(index))
                .map(|(column, share)| column.probability * share)
                .sum(),
            2,
        ),
    };
    let placed = found.placed;
    OneSeries {
        series: placed.name.clone(),
        report,
        model: found.choice.name.clone(),
        pixel_size_nm: 0.1 * placed.series.pixel_angstrom,
        pixel_size_from: placed.pixel_size.from,
        images: placed.facts.iter().map(|image| image.number).collect(),
        left_out: placed.left_out.clone(),
        reference_image: placed.facts[placed.reference].number,
        columns: species.iter().enumerate().map(count).filter(|count| count.expected > 0.0).collect(),
        sheet: found.sheet.as_ref().map(|sheet| sheet.summary.clone()),
        warnings: found.warnings.clone(),
    }
}
