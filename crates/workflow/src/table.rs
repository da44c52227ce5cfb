//! Tables: the same rows as CSV, which everybody reads, and as Parquet, which is small and typed.
//!
//! A row is a struct whose fields are the columns, in their order. Rows come from an iterator, so that a table may be
//! larger than memory. What is not known is an `Option`: an empty field in CSV, a null in Parquet.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use atomlens_formats::whole_file::write_whole_file;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RecordWriter;
use serde::Serialize;

use crate::WorkflowError;

/// Rows that are in memory at a time, and in a row group of the file.
const GROUP_ROWS: usize = 1 << 17;

/// Rows on their way into a table.
type Rows<'a, Row> = Box<dyn Iterator<Item = Result<Row, WorkflowError>> + 'a>;

/// Writes `NAME.csv` and `NAME.parquet` into a folder; `rows` is asked for them twice.
///
/// # Errors
/// If a table cannot be written, or what the rows are made of cannot be read.
pub fn write_tables<'a, Row>(
    folder: &Path,
    name: &str,
    rows: impl Fn() -> Result<Rows<'a, Row>, WorkflowError>,
) -> Result<(), WorkflowError>
where
    Row: Serialize,
    for<'r> &'r [Row]: RecordWriter<Row>,
{
    write_csv(&folder.join(format!("{name}.csv")), rows()?)?;
    write_parquet(&folder.join(format!("{name}.parquet")), rows()?)
}

/// Writes a table as CSV; the header also where there are no rows.
///
/// # Errors
/// If it cannot be written.
pub fn write_csv<Row>(
    path: &Path,
    rows: impl IntoIterator<Item = Result<Row, WorkflowError>>,
) -> Result<(), WorkflowError>
where
    Row: Serialize,
    for<'r> &'r [Row]: RecordWriter<Row>,
{
    Ok(write_whole_file(path, |file| {
        let none: &[Row] = &[];
        let schema = none.schema().map_err(std::io::Error::other)?;
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        writer.write_record(schema.get_fields().iter().map(|field| field.name()))?;
        for row in rows {
            writer.serialize(row.map_err(std::io::Error::other)?)?;
        }
        writer.flush()
    })?)
}

/// Writes a table as Parquet.
///
/// # Errors
/// If it cannot be written.
pub fn write_parquet<Row>(
    path: &Path,
    rows: impl IntoIterator<Item = Result<Row, WorkflowError>>,
) -> Result<(), WorkflowError>
where
    for<'r> &'r [Row]: RecordWriter<Row>,
{
    Ok(write_whole_file(path, |file| parquet_into(file, rows.into_iter()).map_err(std::io::Error::other))?)
}

fn parquet_into<Row>(
    file: &mut BufWriter<File>,
    rows: impl Iterator<Item = Result<Row, WorkflowError>>,
) -> parquet::errors::Result<()>
where
    for<'r> &'r [Row]: RecordWriter<Row>,
{
    let none: &[Row] = &[];
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build());
    let mut writer = SerializedFileWriter::new(file, none.schema()?, properties)?;
    let mut rows = rows.peekable();
    // A table without rows has one empty group, since some readers stumble over none.
    loop {
        let group: Vec<Row> = rows
            .by_ref()
            .take(GROUP_ROWS)
            .collect::<Result<_, _>>()
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        let mut writing = writer.next_row_group()?;
        group.as_slice().write_to_row_group(&mut writing)?;
        writing.close()?;
        if rows.peek().is_none() {
            break;
        }
    }
    writer.close()?;
    Ok(())
}

/// A value with so many digits behind the point: more than is known makes tables long.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use parquet_derive::ParquetRecordWriter;

    use super::*;

    #[derive(Debug, Clone, Serialize, ParquetRecordWriter)]
    struct Row {
        name: String,
        number: u64,
        value: f64,
        perhaps: Option<f64>,
    }

    fn rows() -> Vec<Row> {
        (0..3)
            .map(|number| Row {
                name: "näme, \"quoted\".tif".to_owned(),
                number,
                value: rounded(number as f64 / 3.0, 4),
                perhaps: (number == 1).then_some(2.5),
            })
            .collect()
    }

    #[test]
    fn both_tables_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        write_tables(folder.path(), "t", || Ok(Box::new(rows().into_iter().map(Ok)))).unwrap();
        let mut csv = csv::Reader::from_path(folder.path().join("t.csv")).unwrap();
        assert_eq!(csv.headers().unwrap(), ["name", "number", "value", "perhaps"].as_slice());
        let lines: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].iter().eq(["näme, \"quoted\".tif", "1", "0.3333", "2.5"]), "{:?}", lines[1]);
        assert_eq!(&lines[2][3], "");
        let reader = SerializedFileReader::new(File::open(folder.path().join("t.parquet")).unwrap()).unwrap();
        let parquet: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(parquet.len(), 3);
        for (line, row) in lines.iter().zip(&parquet) {
            for (text, (name, field)) in line.iter().zip(row.get_column_iter()) {
                match field {
                    Field::Double(value) => assert_eq!(text.parse::<f64>().unwrap(), *value, "{name}"),
                    Field::Long(value) => assert_eq!(text.parse::<i64>().unwrap(), *value, "{name}"),
                    Field::ULong(value) => assert_eq!(text.parse::<u64>().unwrap(), *value, "{name}"),
                    Field::Str(value) => assert_eq!(text, value, "{name}"),
                    Field::Null => assert_eq!(text, "", "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_table_without_rows_has_its_header() {
        let folder = tempfile::tempdir().unwrap();
        write_tables::<Row>(folder.path(), "t", || Ok(Box::new(std::iter::empty()))).unwrap();
        let text = std::fs::read_to_string(folder.path().join("t.csv")).unwrap();
        assert_eq!(text.trim(), "name,number,value,perhaps");
    }
}
