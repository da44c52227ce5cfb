//! Truth tables: where the atomic columns of an image are.
//!
//! CSV (RFC 4180) with the header `x_px,y_px,x_nm,y_nm,species,atoms`, one row a column. Places in pixels
//! may lie between pixels; whole numbers are pixel centres, (0, 0) is the centre of the first pixel. Opens
//! in spreadsheets and with pandas.

use std::path::Path;

use atomlens_core::{Column, Grid};

use crate::error::shown;
use crate::text::{decode, number};
use crate::whole_file::write_whole_file;
use crate::{FormatError, ParseError, Problem};

const HEADER: [&str; 6] = ["x_px", "y_px", "x_nm", "y_nm", "species", "atoms"];
const ANGSTROM_PER_NM: f64 = 10.0;

/// A row of a truth table.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRow {
    /// Place along x in pixels.
    pub x_px: f64,
    /// Place along y in pixels; row 0 of the image is on top.
    pub y_px: f64,
    /// Place along x in nm from the centre of the first pixel.
    pub x_nm: f64,
    /// Place along y in nm from the centre of the first pixel.
    pub y_nm: f64,
    /// What the column is called, such as `Au` or `S2`.
    pub species: String,
    /// Number of atoms in the column.
    pub atoms: u32,
}

impl TruthRow {
    /// The row of a column in an image whose first pixel is the origin of the specimen. `sheet` as
    /// for [`Column::species`].
    pub fn new(column: &Column, grid: &Grid, sheet: bool) -> TruthRow {
        TruthRow {
            x_px: column.x_angstrom / grid.pixel_x_angstrom,
            y_px: column.y_angstrom / grid.pixel_y_angstrom,
            x_nm: column.x_angstrom / ANGSTROM_PER_NM,
            y_nm: column.y_angstrom / ANGSTROM_PER_NM,
            species: column.species(sheet),
            atoms: column.atom_count(),
        }
    }
}

/// Writes a truth table: pixels to 4 digits after the point, nm to 6.
///
/// # Errors
/// [`FormatError::CannotHold`] for a place that is not finite, [`FormatError::Write`] if the disk refuses.
pub fn write_truth(path: &Path, rows: &[TruthRow]) -> Result<(), FormatError> {
    if let Some(index) =
        rows.iter().position(|row| ![row.x_px, row.y_px, row.x_nm, row.y_nm].iter().all(|value| value.is_finite()))
    {
        return Err(FormatError::cannot_hold(path, format!("column {index} is at no place: {:?}", rows[index])));
    }
    write_whole_file(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(HEADER)?;
        for row in rows {
            table.write_record([
                &fixed(row.x_px, 4),
                &fixed(row.y_px, 4),
                &fixed(row.x_nm, 6),
                &fixed(row.y_nm, 6),
                &row.species,
                &row.atoms.to_string(),
            ])?;
        }
        table.flush()
    })
}

/// A number with a fixed number of digits, without a negative zero.
fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        _ => text,
    }
}

/// Reads a truth table. Columns may be in any order and have others beside them.
///
/// # Errors
/// [`FormatError::Read`] if there is no such file, [`FormatError::Malformed`] with the line.
pub fn read_truth(path: &Path) -> Result<Vec<TruthRow>, FormatError> {
    let bytes = std::fs::read(path).map_err(|error| FormatError::Read { path: path.to_owned(), error })?;
    parse_truth(&bytes).map_err(|error| FormatError::in_file(path, error))
}

/// Reads the content of a truth table.
pub fn parse_truth(bytes: &[u8]) -> Result<Vec<TruthRow>, ParseError> {
    let text = decode(bytes, "a CSV table")?;
    let mut table = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let broken = |error: csv::Error| {
        let line = error.position().map(|position| position.line() as usize);
        let found = shown(&error.to_string());
        ParseError { line, problem: Problem::NotThisFormat { expected: "a CSV table", found } }
    };
    let header = table.headers().map_err(broken)?;
    let mut columns = [0; 6];
    for (column, name) in columns.iter_mut().zip(HEADER) {
        *column = header.iter().position(|found| found == name).ok_or_else(|| {
            Problem::Missing {
                what: format!("the column {name}"),
                advice: "the first line must name x_px,y_px,x_nm,y_nm,species,atoms",
            }
            .at(1)
        })?;
    }
    let mut rows = Vec::new();
    for record in table.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        rows.push(parse_row(&record, columns).map_err(|problem| problem.at(line))?);
    }
    Ok(rows)
}

fn parse_row(record: &csv::StringRecord, columns: [usize; 6]) -> Result<TruthRow, Problem> {
    let mut words = [""; 6];
    for (word, column) in words.iter_mut().zip(columns) {
        *word = record.get(column).ok_or_else(|| Problem::TooFewColumns {
            expected: columns.iter().max().map_or(0, |last| last + 1),
            what: HEADER.join(", "),
            found: record.len(),
        })?;
    }
    let [x_px, y_px, x_nm, y_nm, species, atoms] = words;
    Ok(TruthRow {
        x_px: number(x_px, "x_px")?,
        y_px: number(y_px, "y_px")?,
        x_nm: number(x_nm, "x_nm")?,
        y_nm: number(y_nm, "y_nm")?,
        species: species.to_owned(),
        atoms: atoms.parse().map_err(|_| Problem::Invalid {
            what: "atoms",
            found: shown(atoms),
            expected: "a whole number",
        })?,
    })
}
