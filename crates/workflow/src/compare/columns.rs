//! Named columns of a table, from Parquet where it is there and from CSV otherwise.

use std::fs::File;
use std::path::Path;

use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use crate::WorkflowError;

/// What a column holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Numbers(Vec<f64>),
    Words(Vec<String>),
}

/// Columns by the names that were asked for, all of the same length. What is not known is NaN or an empty word.
///
/// # Errors
/// If there is no such table, a column is missing, or the file is damaged.
pub(super) fn columns(folder: &Path, table: &str, names: &[&str]) -> Result<Vec<Values>, WorkflowError> {
    let path = folder.join(format!("{table}.parquet"));
    let csv = folder.join(format!("{table}.csv"));
    let (path, read) = if path.is_file() {
        (path, of_parquet(&folder.join(format!("{table}.parquet")), names))
    } else {
        let read = of_csv(&csv, names);
        (csv, read)
    };
    let damaged = |reason: String| WorkflowError::Read {
        path: path.clone(),
        reason: format!("{reason}; expected the table that `atomlens track` wrote"),
    };
    let columns = read.map_err(damaged)?;
    let length = |values: &Values| match values {
        Values::Numbers(values) => values.len(),
        Values::Words(values) => values.len(),
    };
    match columns.iter().find(|values| length(values) != length(&columns[0])) {
        Some(_) => Err(damaged("its columns are not of the same length".to_owned())),
        None => Ok(columns),
    }
}

fn of_csv(path: &Path, names: &[&str]) -> Result<Vec<Values>, String> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| error.to_string())?;
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    let places = names
        .iter()
        .map(|name| headers.iter().position(|header| header == *name).ok_or(format!("there is no column {name}")))
        .collect::<Result<Vec<usize>, String>>()?;
    let mut words: Vec<Vec<String>> = vec![Vec::new(); names.len()];
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        for (place, words) in places.iter().zip(&mut words) {
            words.push(row.get(*place).unwrap_or_default().to_owned());
        }
    }
    // Numbers where all that is there is one.
    let number = |word: &str| if word.is_empty() { Some(f64::NAN) } else { word.parse().ok() };
    let of = |words: Vec<String>| match words.iter().map(|word| number(word)).collect::<Option<Vec<f64>>>() {
        Some(numbers) if words.iter().any(|word| !word.is_empty()) || words.is_empty() => Values::Numbers(numbers),
        _ => Values::Words(words),
    };
    Ok(words.into_iter().map(of).collect())
}

fn of_parquet(path: &Path, names: &[&str]) -> Result<Vec<Values>, String> {
    let read = || -> Result<Vec<Values>, ParquetError> {
        let reader = SerializedFileReader::new(File::open(path)?)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        names
            .iter()
            .map(|name| {
                let place = schema.columns().iter().position(|column| column.name() == *name);
                let place = place.ok_or_else(|| ParquetError::General(format!("there is no column {name}")))?;
                let nullable = schema.column(place).max_def_level() > 0;
                let (mut numbers, mut words) = (Vec::new(), Vec::new());
                for group in 0..reader.num_row_groups() {
                    let group = reader.get_row_group(group)?;
                    of_group(&*group, place, nullable, &mut numbers, &mut words)?;
                }
                Ok(if words.is_empty() { Values::Numbers(numbers) } else { Values::Words(words) })
            })
            .collect()
    };
    read().map_err(|error| error.to_string())
}

/// Adds a column of a group of rows to what was read before.
fn of_group(
    group: &dyn RowGroupReader,
    place: usize,
    nullable: bool,
    numbers: &mut Vec<f64>,
    words: &mut Vec<String>,
) -> Result<(), ParquetError> {
    let rows = usize::try_from(group.metadata().num_rows())?;
    let mut levels: Vec<i16> = Vec::new();
    /// Reads a column of one type; values are those that are there.
    macro_rules! read {
        ($reader:expr, $number:expr) => {{
            let mut values = Vec::new();
            let levels = if nullable { Some(&mut levels) } else { None };
            let (found, _, _) = $reader.read_records(rows, levels, None, &mut values)?;
            if found != rows {
                return Err(ParquetError::EOF(format!("{found} of {rows} rows are there")));
            }
            values.into_iter().map($number).collect::<Vec<_>>()
        }};
    }
    let values: Vec<f64> = match group.get_column_reader(place)? {
        ColumnReader::DoubleColumnReader(mut reader) => read!(reader, |value| value),
        ColumnReader::FloatColumnReader(mut reader) => read!(reader, f64::from),
        ColumnReader::Int32ColumnReader(mut reader) => read!(reader, f64::from),
        ColumnReader::Int64ColumnReader(mut reader) => read!(reader, |value: i64| value as f64),
        ColumnReader::BoolColumnReader(mut reader) => read!(reader, |value| f64::from(u8::from(value))),
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            let text = |value: parquet::data_type::ByteArray| String::from_utf8_lossy(value.data()).into_owned();
            words.extend(read!(reader, text));
            return Ok(());
        }
        _ => return Err(ParquetError::General("a column is neither of numbers nor of words".to_owned())),
    };
    if levels.is_empty() {
        numbers.extend(values);
    } else {
        let mut values = values.into_iter();
        numbers
            .extend(levels.iter().map(|level| if *level > 0 { values.next().unwrap_or(f64::NAN) } else { f64::NAN }));
    }
    Ok(())
}

impl Values {
    /// As numbers; words are none.
    pub(super) fn numbers(self) -> Vec<f64> {
        match self {
            Values::Numbers(values) => values,
            Values::Words(words) => vec![f64::NAN; words.len()],
        }
    }

    /// As words.
    pub(super) fn words(self) -> Vec<String> {
        match self {
            Values::Numbers(values) => values.into_iter().map(|value| value.to_string()).collect(),
            Values::Words(words) => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use parquet_derive::ParquetRecordWriter;
    use serde::Serialize;

    use super::*;
    use crate::table::write_tables;

    #[derive(Debug, Clone, Serialize, ParquetRecordWriter)]
    struct Row {
        number: u64,
        state: i32,
        value: f64,
        perhaps: Option<f64>,
        class: String,
    }

    #[test]
    fn both_kinds_of_table_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let row = |number: u64| Row {
            number,
            state: number as i32 % 2,
            value: 0.25 * number as f64,
            perhaps: (number == 1).then_some(2.5),
            class: "edge, ä".to_owned(),
        };
        write_tables(folder.path(), "t", || Ok(Box::new((0..3).map(move |number| Ok(row(number)))))).unwrap();
        let names = ["value", "number", "state", "perhaps", "class"];
        let read = || columns(folder.path(), "t", &names).unwrap();
        let of_parquet = read();
        std::fs::remove_file(folder.path().join("t.parquet")).unwrap();
        let of_csv = read();
        // Compared as text, since NaN is not equal to itself.
        assert_eq!(format!("{of_parquet:?}"), format!("{of_csv:?}"));
        assert_eq!(of_csv[0], Values::Numbers(vec![0.0, 0.25, 0.5]));
        assert_eq!(of_csv[4], Values::Words(vec!["edge, ä".to_owned(); 3]));
        assert!(columns(folder.path(), "t", &["colour"]).unwrap_err().to_string().contains("no column colour"));
    }
}
