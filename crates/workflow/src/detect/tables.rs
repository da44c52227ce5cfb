//! `columns.csv` and `columns.parquet`: a row a column.

use atomlens_core::DetectedColumn;
use parquet_derive::ParquetRecordWriter;
use serde::Serialize;

use crate::table::rounded;

/// A row of the tables.
#[derive(Debug, Clone, PartialEq, Serialize, ParquetRecordWriter)]
pub struct ColumnRow {
    /// The file's name.
    pub file: String,
    /// Number of the frame, from 0.
    pub frame: u64,
    /// Number of the column in its frame, from 0.
    pub column_id: u64,
    /// Place in the file's own pixels; an integer is a pixel's centre.
    pub x_px: f64,
    /// Likewise.
    pub y_px: f64,
    /// Place in nm from the centre of the first pixel.
    pub x_nm: f64,
    /// Likewise.
    pub y_nm: f64,
    /// Standard deviation of the place in each direction.
    pub position_sigma_nm: f64,
    /// Calibrated probability that there is a column.
    pub probability: f64,
    /// Likeliest species.
    pub species: String,
    /// Its probability, given that there is a column.
    pub species_probability: f64,
    /// Number of atoms.
    pub atoms: f64,
    /// Its standard deviation.
    pub atoms_sigma: f64,
}

impl ColumnRow {
    pub(crate) fn new(
        file: &str,
        frame: u64,
        column_id: u64,
        column: &DetectedColumn,
        pixel_angstrom: (f64, f64),
        species: &[String],
    ) -> ColumnRow {
        ColumnRow {
            file: file.to_owned(),
            frame,
            column_id,
            x_px: rounded(column.x_angstrom / pixel_angstrom.0, 4),
            y_px: rounded(column.y_angstrom / pixel_angstrom.1, 4),
            x_nm: rounded(0.1 * column.x_angstrom, 6),
            y_nm: rounded(0.1 * column.y_angstrom, 6),
            position_sigma_nm: rounded(0.1 * column.position_sigma_angstrom, 6),
            probability: rounded(column.probability, 4),
            species: species[column.species].clone(),
            species_probability: rounded(column.species_probability, 4),
            atoms: rounded(column.atoms, 2),
            atoms_sigma: rounded(column.atoms_sigma, 2),
        }
    }
}
