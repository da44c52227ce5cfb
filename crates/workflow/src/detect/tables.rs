//! `columns.csv` and `columns.parquet`: a row a column.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use atomlens_core::DetectedColumn;
use atomlens_formats::whole_file::write_whole_file;
use parquet::basic::{Compression, Repetition, Type};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type as SchemaType;
use serde::Serialize;

use crate::WorkflowError;

/// A row of the tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    pub(super) fn new(
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

/// Digits beyond what is known make tables long.
fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

/// Names of the columns, in order.
pub const HEADER: [&str; 13] = [
    "file",
    "frame",
    "column_id",
    "x_px",
    "y_px",
    "x_nm",
    "y_nm",
    "position_sigma_nm",
    "probability",
    "species",
    "species_probability",
    "atoms",
    "atoms_sigma",
];

/// Writes the table as CSV; the header also where there are no rows.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv(
    path: &Path,
    rows: impl IntoIterator<Item = Result<ColumnRow, WorkflowError>>,
) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        writer.write_record(HEADER)?;
        for row in rows {
            writer.serialize(row.map_err(std::io::Error::other)?)?;
        }
        writer.flush()
    })?)
}

/// Writes the table as Parquet.
///
/// # Errors
/// If it cannot be written.
pub fn write_parquet(
    path: &Path,
    rows: impl IntoIterator<Item = Result<ColumnRow, WorkflowError>>,
) -> Result<(), WorkflowError> {
    Ok(write_whole_file(path, |file| parquet_into(file, rows.into_iter()).map_err(std::io::Error::other))?)
}

/// Rows that are in memory at a time, and in a row group of the file.
const GROUP_ROWS: usize = 1 << 17;

fn parquet_into(
    file: &mut BufWriter<File>,
    rows: impl Iterator<Item = Result<ColumnRow, WorkflowError>>,
) -> parquet::errors::Result<()> {
    let kind = |name: &str| match name {
        "file" | "species" => Type::BYTE_ARRAY,
        "frame" | "column_id" => Type::INT64,
        _ => Type::DOUBLE,
    };
    let fields = HEADER
        .iter()
        .map(|name| {
            let mut field = SchemaType::primitive_type_builder(name, kind(name)).with_repetition(Repetition::REQUIRED);
            if kind(name) == Type::BYTE_ARRAY {
                field = field.with_logical_type(Some(parquet::basic::LogicalType::String));
            }
            Ok(Arc::new(field.build()?))
        })
        .collect::<parquet::errors::Result<Vec<_>>>()?;
    let schema = Arc::new(SchemaType::group_type_builder("columns").with_fields(fields).build()?);
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build());
    let mut writer = SerializedFileWriter::new(file, schema, properties)?;
    let mut rows = rows.peekable();
    // A table without rows has one empty group, since some readers stumble over none.
    loop {
        let group: Vec<ColumnRow> = rows
            .by_ref()
            .take(GROUP_ROWS)
            .collect::<Result<_, _>>()
            .map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))?;
        write_group(&mut writer, &group, kind)?;
        if rows.peek().is_none() {
            break;
        }
    }
    writer.close()?;
    Ok(())
}

fn write_group(
    writer: &mut SerializedFileWriter<&mut BufWriter<File>>,
    rows: &[ColumnRow],
    kind: impl Fn(&str) -> Type,
) -> parquet::errors::Result<()> {
    let mut group = writer.next_row_group()?;
    for name in HEADER {
        let mut column = group.next_column()?.expect("as many columns as names");
        match kind(name) {
            Type::BYTE_ARRAY => {
                let value = |row: &ColumnRow| if name == "file" { row.file.clone() } else { row.species.clone() };
                let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(value(row).into_bytes())).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
            Type::INT64 => {
                let value = |row: &ColumnRow| if name == "frame" { row.frame } else { row.column_id };
                let values: Vec<i64> = rows.iter().map(|row| value(row) as i64).collect();
                column.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            _ => {
                let values: Vec<f64> = rows.iter().map(|row| number(row, name)).collect();
                column.typed::<DoubleType>().write_batch(&values, None, None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

fn number(row: &ColumnRow, name: &str) -> f64 {
    match name {
        "x_px" => row.x_px,
        "y_px" => row.y_px,
        "x_nm" => row.x_nm,
        "y_nm" => row.y_nm,
        "position_sigma_nm" => row.position_sigma_nm,
        "probability" => row.probability,
        "species_probability" => row.species_probability,
        "atoms" => row.atoms,
        _ => row.atoms_sigma,
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    fn rows() -> Vec<ColumnRow> {
        let column = DetectedColumn {
            x_angstrom: 12.3456,
            y_angstrom: 7.0,
            position_sigma_angstrom: 0.05,
            probability: 0.987654,
            species: 1,
            species_probability: 0.9,
            atoms: 4.2,
            atoms_sigma: 0.7,
        };
        let species = ["a".to_owned(), "b".to_owned()];
        (0..3).map(|id| ColumnRow::new("näme, \"quoted\".tif", 2, id, &column, (0.1, 0.2), &species)).collect()
    }

    #[test]
    fn both_tables_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (csv_path, parquet_path) = (folder.path().join("c.csv"), folder.path().join("c.parquet"));
        write_csv(&csv_path, rows().into_iter().map(Ok)).unwrap();
        write_parquet(&parquet_path, rows().into_iter().map(Ok)).unwrap();
        let mut csv = csv::Reader::from_path(&csv_path).unwrap();
        assert_eq!(csv.headers().unwrap(), HEADER.as_slice());
        let lines: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(&lines[1][0], "näme, \"quoted\".tif");
        assert_eq!((&lines[1][3], &lines[1][4], &lines[1][9]), ("123.456", "35.0", "b"));
        let reader = SerializedFileReader::new(File::open(&parquet_path).unwrap()).unwrap();
        let parquet: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(parquet.len(), 3);
        for (line, row) in lines.iter().zip(&parquet) {
            for (text, (name, field)) in line.iter().zip(row.get_column_iter()) {
                match field {
                    Field::Double(value) => assert_eq!(text.parse::<f64>().unwrap(), *value, "{name}"),
                    Field::Long(value) => assert_eq!(text.parse::<i64>().unwrap(), *value, "{name}"),
                    Field::Str(value) => assert_eq!(text, value, "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_table_without_rows_has_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.csv");
        write_csv(&path, []).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), HEADER.join(","));
        write_parquet(&folder.path().join("c.parquet"), []).unwrap();
    }
}
