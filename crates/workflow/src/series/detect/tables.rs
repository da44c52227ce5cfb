//! The tables of a series beside `columns`: species by column, defects, edges, grain boundaries, numbers by kind.

use std::path::Path;

use atomlens_analysis::defects::{Boundary, Defect, Edge, KindCount, Region, SheetDefects, Sublattice};
use atomlens_formats::whole_file::write_whole_file;
use ndarray::Array2;
use parquet_derive::ParquetRecordWriter;
use serde::Serialize;

use crate::WorkflowError;
use crate::table::{rounded, write_tables};

/// A row of `defects`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct DefectRow {
    /// The series.
    pub file: String,
    /// Number of the series in a file with several, from 0.
    pub frame: u64,
    /// Number of the defect, from 0.
    pub defect_id: u64,
    /// What it is.
    pub kind: String,
    /// Place in pixels of the image that places are given on; an integer is a pixel's centre.
    pub x_px: f64,
    /// Likewise.
    pub y_px: f64,
    /// Place in nm from the centre of its first pixel.
    pub x_nm: f64,
    /// Likewise.
    pub y_nm: f64,
    /// Probability that it is what is said.
    pub probability: f64,
    /// `interior`, `edge` or `border`; only those inside are counted.
    pub region: String,
    /// Number of the crystal, from 0, largest first.
    pub crystal: Option<u64>,
    /// What the crystal has in this place.
    pub expected_species: Option<String>,
    /// What was found instead.
    pub species: Option<String>,
    /// Direction, from x towards y.
    pub angle_degree: Option<f64>,
    /// Length of a cluster of vacancies.
    pub length_nm: Option<f64>,
    /// Numbers of the columns that make it up, divided by spaces.
    pub column_ids: String,
    /// Empty sites that it is made of.
    pub empty_sites: u64,
}

/// A row of `edges`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct EdgeRow {
    /// The series.
    pub file: String,
    /// Number of the series in a file with several, from 0.
    pub frame: u64,
    /// Number of the edge, from 0.
    pub edge_id: u64,
    /// `zigzag`, `armchair` or `mixed`.
    pub kind: String,
    /// What is outermost.
    pub termination: Option<String>,
    /// Number of the crystal.
    pub crystal: u64,
    /// Whether it is the edge of a hole.
    pub hole: bool,
    /// Its first end, in nm from the centre of the first pixel.
    pub x_start_nm: f64,
    /// Likewise.
    pub y_start_nm: f64,
    /// Its last end.
    pub x_end_nm: f64,
    /// Likewise.
    pub y_end_nm: f64,
    /// Its length along the edge.
    pub length_nm: f64,
    /// Its direction, from x towards y.
    pub direction_degree: f64,
    /// Columns that have lost bonds on it.
    pub columns: u64,
}

/// A row of `boundaries`.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct BoundaryRow {
    /// The series.
    pub file: String,
    /// Number of the series in a file with several, from 0.
    pub frame: u64,
    /// Number of the boundary, from 0.
    pub boundary_id: u64,
    /// One crystal.
    pub crystal: u64,
    /// The other.
    pub other_crystal: u64,
    /// Smallest turn that takes one lattice to the other.
    pub misorientation_degree: f64,
    /// Its standard deviation.
    pub misorientation_sigma_degree: f64,
    /// Its length.
    pub length_nm: f64,
    /// Whether the two are one lattice with its sublattices exchanged.
    pub inversion: bool,
    /// Pairs of five and seven along it.
    pub dislocations: u64,
}

/// A row of `defect_counts`. Intervals are of 95 %.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct CountRow {
    /// The series.
    pub file: String,
    /// Number of the series in a file with several, from 0.
    pub frame: u64,
    /// Which kind.
    pub kind: String,
    /// How many are listed inside the sheet.
    pub count: u64,
    /// How many there are, by the probabilities of all that could be one.
    pub expected: f64,
    /// Its standard deviation.
    pub expected_sigma: f64,
    /// The area in which one could have been seen.
    pub area_nm2: f64,
    /// Expected per area.
    pub per_nm2: f64,
    /// Lower end.
    pub per_nm2_low: f64,
    /// Upper end.
    pub per_nm2_high: f64,
    /// Sites that could have had one.
    pub sites: Option<u64>,
    /// Expected per site.
    pub fraction: Option<f64>,
    /// Lower end.
    pub fraction_low: Option<f64>,
    /// Upper end.
    pub fraction_high: Option<f64>,
}

/// What the rows of one series or image share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) file: &'a str,
    pub(crate) frame: u64,
    pub(crate) pixel_angstrom: f64,
    pub(crate) species: &'a [String],
}

/// Writes the tables of defects into a folder.
///
/// # Errors
/// If one cannot be written.
pub(crate) fn write_defects(folder: &Path, sheet: &SheetDefects, rows: Rows<'_>) -> Result<(), WorkflowError> {
    let numbered = |row: usize| row as u64;
    write_tables(folder, "defects", || {
        Ok(Box::new(sheet.defects.iter().enumerate().map(move |(id, defect)| Ok(rows.defect(numbered(id), defect)))))
    })?;
    write_tables(folder, "edges", || {
        Ok(Box::new(sheet.edges.iter().enumerate().map(move |(id, edge)| Ok(rows.edge(numbered(id), edge)))))
    })?;
    write_tables(folder, "boundaries", || {
        let row = move |(id, boundary): (usize, &Boundary)| Ok(rows.boundary(numbered(id), boundary));
        Ok(Box::new(sheet.boundaries.iter().enumerate().map(row)))
    })?;
    write_tables(folder, "defect_counts", || {
        Ok(Box::new(sheet.summary.counts.iter().map(move |count| Ok(rows.count(count)))))
    })
}

impl Rows<'_> {
    fn name_of(&self, species: Option<usize>) -> Option<String> {
        species.and_then(|index| self.species.get(index).cloned())
    }

    fn defect(&self, defect_id: u64, defect: &Defect) -> DefectRow {
        let ids: Vec<String> = defect.members.iter().map(usize::to_string).collect();
        DefectRow {
            file: self.file.to_owned(),
            frame: self.frame,
            defect_id,
            kind: defect.kind.name().to_owned(),
            x_px: rounded(defect.x_angstrom / self.pixel_angstrom, 4),
            y_px: rounded(defect.y_angstrom / self.pixel_angstrom, 4),
            x_nm: rounded(0.1 * defect.x_angstrom, 6),
            y_nm: rounded(0.1 * defect.y_angstrom, 6),
            probability: rounded(defect.probability, 4),
            region: region_name(defect.region).to_owned(),
            crystal: defect.crystal.map(|crystal| crystal as u64),
            expected_species: self.name_of(defect.expected_species),
            species: self.name_of(defect.species),
            angle_degree: defect.angle_rad.map(|angle| rounded(angle.to_degrees(), 2)),
            length_nm: defect.length_angstrom.map(|length| rounded(0.1 * length, 4)),
            column_ids: ids.join(" "),
            empty_sites: defect.empty_sites.len() as u64,
        }
    }

    fn edge(&self, edge_id: u64, edge: &Edge) -> EdgeRow {
        let nm = |angstrom: f64| rounded(0.1 * angstrom, 5);
        EdgeRow {
            file: self.file.to_owned(),
            frame: self.frame,
            edge_id,
            kind: edge_name(edge).to_owned(),
            termination: edge.termination.map(|sublattice| sublattice_name(sublattice).to_owned()),
            crystal: edge.crystal as u64,
            hole: edge.hole,
            x_start_nm: nm(edge.start_angstrom[0]),
            y_start_nm: nm(edge.start_angstrom[1]),
            x_end_nm: nm(edge.end_angstrom[0]),
            y_end_nm: nm(edge.end_angstrom[1]),
            length_nm: rounded(edge.length_nm, 4),
            direction_degree: rounded(edge.direction_rad.to_degrees(), 2),
            columns: edge.columns.len() as u64,
        }
    }

    fn boundary(&self, boundary_id: u64, boundary: &Boundary) -> BoundaryRow {
        BoundaryRow {
            file: self.file.to_owned(),
            frame: self.frame,
            boundary_id,
            crystal: boundary.crystals[0] as u64,
            other_crystal: boundary.crystals[1] as u64,
            misorientation_degree: rounded(boundary.misorientation_rad.to_degrees(), 3),
            misorientation_sigma_degree: rounded(boundary.misorientation_sigma_rad.to_degrees(), 3),
            length_nm: rounded(boundary.length_nm, 4),
            inversion: boundary.inversion,
            dislocations: boundary.dislocations as u64,
        }
    }

    fn count(&self, count: &KindCount) -> CountRow {
        let interval = count.fraction_interval;
        CountRow {
            file: self.file.to_owned(),
            frame: self.frame,
            kind: count.kind.name().to_owned(),
            count: count.count as u64,
            expected: rounded(count.expected, 3),
            expected_sigma: rounded(count.expected_sigma, 3),
            area_nm2: rounded(count.area_nm2, 3),
            per_nm2: rounded(count.per_nm2, 6),
            per_nm2_low: rounded(count.per_nm2_low, 6),
            per_nm2_high: rounded(count.per_nm2_high, 6),
            sites: count.sites.map(|sites| sites as u64),
            fraction: count.fraction.map(|value| rounded(value, 6)),
            fraction_low: interval.map(|[low, _]| rounded(low, 6)),
            fraction_high: interval.map(|[_, high]| rounded(high, 6)),
        }
    }
}

/// Writes `species.csv`: a row for each column with the probability of every species, given that there is a column.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write_species(
    path: &Path,
    species: &[String],
    probabilities: &Array2<f64>,
    rows: Rows<'_>,
) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| {
        let mut writer = csv::Writer::from_writer(file);
        let fixed = ["file", "frame", "column_id"].map(str::to_owned);
        writer.write_record(fixed.into_iter().chain(species.iter().map(|name| format!("p_{name}"))))?;
        for (id, of_column) in probabilities.outer_iter().enumerate() {
            let fixed = [rows.file.to_owned(), rows.frame.to_string(), id.to_string()];
            let shares = of_column.iter().map(|value| rounded(*value, 4).to_string());
            writer.write_record(fixed.into_iter().chain(shares))?;
        }
        writer.flush()
    })?)
}

fn region_name(region: Region) -> &'static str {
    match region {
        Region::Interior => "interior",
        Region::Edge => "edge",
        Region::Border => "border",
    }
}

pub(super) fn edge_name(edge: &Edge) -> &'static str {
    match edge.kind {
        atomlens_analysis::defects::EdgeKind::Zigzag => "zigzag",
        atomlens_analysis::defects::EdgeKind::Armchair => "armchair",
        atomlens_analysis::defects::EdgeKind::Mixed => "mixed",
    }
}

fn sublattice_name(sublattice: Sublattice) -> &'static str {
    match sublattice {
        Sublattice::Carbon => "carbon",
        Sublattice::Boron => "boron",
        Sublattice::Nitrogen => "nitrogen",
        Sublattice::Metal => "metal",
        Sublattice::Chalcogen => "chalcogen",
    }
}
