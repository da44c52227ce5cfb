//! Tables of places, as detectors, simulators and spreadsheets write them.
//!
//! CSV (RFC 4180) with a header, or with semicolons or tabs between the fields. Names are read without regard to case, spaces,
//! brackets and underlines:
//!
//! | what | names |
//! |---|---|
//! | places in pixels, whole numbers at pixel centres | `x_px` and `y_px`, `x_pixel`, or `x` and `y` without a unit |
//! | places as lengths from the centre of the first pixel | `x_nm`, `x_angstrom`, `x_A`, `x_Å`, `x_pm`, `x (nm)`, and y alike |
//! | the file, the frame counted from 0 | `file`, `frame` |
//!
//! Other columns are left alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use atomlens_core::glam::DVec2;
use atomlens_formats::{FormatError, ParseError, Problem};

use crate::WorkflowError;

/// A table of places.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceTable {
    /// The file; the first if there are several.
    pub path: PathBuf,
    /// The places.
    pub rows: Vec<PlaceRow>,
    /// The files that are named.
    pub files: BTreeSet<String>,
    /// Whether files are named.
    pub has_file: bool,
    /// Whether frames are numbered.
    pub has_frame: bool,
    /// Whether every row has its place in pixels.
    pub has_px: bool,
    /// Whether every row has its place as a length.
    pub has_nm: bool,
    /// Whether the header has no unit, so that pixels are assumed.
    pub is_without_unit: bool,
}

/// A place.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRow {
    /// Name of the file; empty if the table has none.
    pub file: String,
    /// Number of the frame.
    pub frame: Option<u64>,
    /// x and y in pixels.
    pub px: Option<DVec2>,
    /// x and y in nm.
    pub nm: Option<DVec2>,
}

/// Where in a line the places are, and how many pixels or nm their unit is.
#[derive(Clone, Copy)]
struct Place {
    x: usize,
    y: usize,
    factor: f64,
}

/// Which columns of the table are which.
#[derive(Clone, Copy)]
struct Header {
    px: Option<Place>,
    nm: Option<Place>,
    file: Option<usize>,
    frame: Option<usize>,
    is_without_unit: bool,
}

impl Header {
    /// Reads the names; `None` if there are no places among them.
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Header> {
        const LENGTHS: [(&str, f64); 13] = [
            ("nm", 1.0),
            ("nanometer", 1.0),
            ("nanometre", 1.0),
            ("angstrom", 0.1),
            ("angstroms", 0.1),
            ("ang", 0.1),
            ("a", 0.1),
            ("å", 0.1),
            ("pm", 1e-3),
            ("picometer", 1e-3),
            ("picometre", 1e-3),
            ("um", 1e3),
            ("m", 1e9),
        ];
        const PIXELS: [&str; 4] = ["px", "pix", "pixel", "pixels"];
        let names: Vec<String> = names
            .into_iter()
            .map(|name| name.to_lowercase().chars().filter(|letter| letter.is_alphanumeric()).collect())
            .collect();
        let find = |name: &str| names.iter().position(|found| found == name);
        let place = |unit: &str, factor: f64| {
            Some(Place { x: find(&format!("x{unit}"))?, y: find(&format!("y{unit}"))?, factor })
        };
        let nm = LENGTHS.iter().find_map(|(unit, factor)| place(unit, *factor));
        let mut px = PIXELS.iter().find_map(|unit| place(unit, 1.0));
        let is_without_unit = px.is_none() && nm.is_none();
        if is_without_unit {
            px = place("", 1.0);
        }
        (px.is_some() || nm.is_some()).then(|| Header {
            px,
            nm,
            file: find("file"),
            frame: find("frame"),
            is_without_unit,
        })
    }
}

impl PlaceTable {
    /// Reads a table.
    ///
    /// # Errors
    /// A file that is not there, or is no such table; the line is named.
    pub fn read(path: &Path) -> Result<PlaceTable, WorkflowError> {
        let bytes = std::fs::read(path).map_err(|error| FormatError::Read { path: path.to_owned(), error })?;
        Ok(PlaceTable::parse(path, &bytes).map_err(|error| FormatError::in_file(path, error))?)
    }

    /// Reads the content of a table.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<PlaceTable, ParseError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        if text.contains('\0') {
            return Err(Problem::NotText { expected: "a CSV table of columns" }.into());
        }
        // Old spreadsheets end lines with a carriage return alone.
        let text = if text.contains('\r') && !text.contains('\n') { text.replace('\r', "\n").into() } else { text };
        if text.trim().is_empty() {
            return Err(Problem::Empty.into());
        }
        let (header, delimiter, first_line, body) = find_header(&text)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(delimiter)
            .comment(Some(b'#'))
            .from_reader(body.as_bytes());
        let mut table = PlaceTable {
            path: path.to_owned(),
            rows: Vec::new(),
            files: BTreeSet::new(),
            has_file: header.file.is_some(),
            has_frame: header.frame.is_some(),
            has_px: header.px.is_some(),
            has_nm: header.nm.is_some(),
            is_without_unit: header.is_without_unit,
        };
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map(|position| first_line + position.line() as usize);
                ParseError { line, problem: not_a_table(error.to_string()) }
            })?;
            let line = first_line + record.position().map_or(0, |position| line_of(body, position));
            let row =
                row(&record, header, delimiter == b';').map_err(|problem| ParseError { line: Some(line), problem })?;
            if table.has_file && !table.files.contains(&row.file) {
                table.files.insert(row.file.clone());
            }
            table.rows.push(row);
        }
        Ok(table)
    }

    /// Takes in the rows of another table.
    ///
    /// # Errors
    /// If only one of them names its frames, or their places have no unit in common.
    pub(super) fn append(&mut self, other: PlaceTable) -> Result<(), WorkflowError> {
        let differ = |what: &str| {
            let reason = format!(
                "{} and {} differ in {what}: expected tables with the same columns",
                self.path.display(),
                other.path.display()
            );
            Err(WorkflowError::Unscorable { reason })
        };
        if self.has_frame != other.has_frame {
            return differ("whether they have a column `frame`");
        }
        if self.has_file != other.has_file {
            return differ("whether they have a column `file`");
        }
        self.has_px &= other.has_px;
        self.has_nm &= other.has_nm;
        if !self.has_px && !self.has_nm {
            return differ("the unit of their places");
        }
        if let Some(file) = self.files.intersection(&other.files).next() {
            let reason = format!("{} has the truth of {file} once more: expected it once", other.path.display());
            return Err(WorkflowError::Unscorable { reason });
        }
        self.is_without_unit |= other.is_without_unit;
        self.rows.extend(other.rows);
        self.files.extend(other.files);
        Ok(())
    }

    /// A note if pixels are but assumed.
    pub(super) fn assumed_pixels(&self) -> Option<String> {
        self.is_without_unit.then(|| format!("{}: x and y have no unit and are taken as pixels", self.path.display()))
    }

    /// Smallest and largest distance between pixels that the rows' places in both units say; `None` if they do not.
    pub(super) fn pixel_size_range_nm(&self) -> Option<(f64, f64)> {
        /// Nearer to the origin, rounding is all that there is.
        const FAR_PX: f64 = 20.0;
        let mut range: Option<(f64, f64)> = None;
        for row in &self.rows {
            let (Some(px), Some(nm)) = (row.px, row.nm) else { continue };
            for (px, nm) in [(px.x, nm.x), (px.y, nm.y)] {
                if px >= FAR_PX && nm > 0.0 {
                    let size = nm / px;
                    let (low, high) = range.unwrap_or((size, size));
                    range = Some((low.min(size), high.max(size)));
                }
            }
        }
        range
    }
}

/// The header, the character between its fields, the number of lines up to it, and the text after it. Comments may stand before it,
/// and it may be one.
fn find_header(text: &str) -> Result<(Header, u8, usize, &str), ParseError> {
    let mut rest = text;
    let mut seen = None;
    let mut lines = 0;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        lines += 1;
        rest = after;
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let names = line.trim_start_matches('#').trim();
        let count = |delimiter: &u8| names.bytes().filter(|byte| byte == delimiter).count();
        let delimiter = [b',', b';', b'\t'].into_iter().rev().max_by_key(count).unwrap_or(b',');
        let fields = names.split(char::from(delimiter)).map(|name| name.trim().trim_matches('"'));
        if let Some(header) = Header::of(fields) {
            return Ok((header, delimiter, lines, rest));
        }
        seen.get_or_insert((lines, names));
        if !line.starts_with('#') {
            break;
        }
    }
    let (line, found) = seen.unwrap_or((1, ""));
    let problem = Problem::Missing {
        what: format!("a pair of columns with places (found: {})", crate::info::shown(found)),
        advice: "the first line must name them, such as x_px,y_px or x_nm,y_nm or x_angstrom,y_angstrom",
    };
    Err(ParseError { line: Some(line), problem })
}

fn not_a_table(found: String) -> Problem {
    Problem::NotThisFormat { expected: "a CSV table of columns", found: crate::info::shown(&found) }
}

fn row(record: &csv::StringRecord, header: Header, decimal_comma: bool) -> Result<PlaceRow, Problem> {
    let field = |place: usize| {
        record.get(place).ok_or_else(|| Problem::TooFewColumns {
            expected: place + 1,
            what: "as in the first line".to_owned(),
            found: record.len(),
        })
    };
    let number = |place: usize, what: &'static str| {
        let word = field(place)?;
        let parsed = if decimal_comma { word.replace(',', ".").parse::<f64>() } else { word.parse::<f64>() };
        match parsed {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(Problem::OutOfRange { what, found: crate::info::shown(word), expected: "a finite number" }),
            Err(_) => Err(Problem::NotANumber { what, found: crate::info::shown(word) }),
        }
    };
    let place = |place: Option<Place>| {
        place
            .map(|place| Ok::<DVec2, Problem>(DVec2::new(number(place.x, "x")?, number(place.y, "y")?) * place.factor))
            .transpose()
    };
    let frame = header.frame.map(|place| {
        let word = field(place)?;
        // Programs that know one kind of number write 3.0.
        let value = word.parse::<u64>().ok().or_else(|| {
            let value = word.parse::<f64>().ok()?;
            (value >= 0.0 && value.fract() == 0.0 && value < 1e15).then_some(value as u64)
        });
        value.ok_or_else(|| Problem::Invalid {
            what: "the frame",
            found: crate::info::shown(word),
            expected: "a whole number, counted from 0",
        })
    });
    Ok(PlaceRow {
        file: header.file.map(field).transpose()?.unwrap_or_default().to_owned(),
        frame: frame.transpose()?,
        px: place(header.px)?,
        nm: place(header.nm)?,
    })
}

/// The line of a record, from 1. Its position may be that of the empty lines and comments in front of it.
fn line_of(body: &str, position: &csv::Position) -> usize {
    let rest = body.get(position.byte() as usize..).unwrap_or("");
    let is_skipped = |line: &&str| line.trim().is_empty() || line.starts_with('#');
    position.line() as usize + rest.lines().take_while(is_skipped).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PlaceTable, ParseError> {
        PlaceTable::parse(Path::new("t.csv"), text.as_bytes())
    }

    #[test]
    fn one_place_in_every_spelling() {
        for (text, px, nm) in [
            ("x_px,y_px\n10,20\n", Some([10.0, 20.0]), None),
            ("\u{feff}Y_PX , X_PX\r\n20,10\r\n", Some([10.0, 20.0]), None),
            ("x,y\n10,20", Some([10.0, 20.0]), None),
            ("x_A,y_A,atoms\n1.5,2.5,5\n", None, Some([0.15, 0.25])),
            ("x_angstrom,y_angstrom\n1.5,2.5\n", None, Some([0.15, 0.25])),
            ("x (Å);y (Å)\n1,5;2,5\n", None, Some([0.15, 0.25])),
            ("x [nm]\ty [nm]\n0.15\t0.25\n", None, Some([0.15, 0.25])),
            ("x_pm,y_pm\n150,250\n", None, Some([0.15, 0.25])),
            ("# made by hand\n\n# x_nm,y_nm\n0.15,0.25\n# the end\n", None, Some([0.15, 0.25])),
            ("\"x_nm\",\"y_nm\",\"x_px\",\"y_px\"\n0.15,0.25,10,20", Some([10.0, 20.0]), Some([0.15, 0.25])),
        ] {
            let table = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(table.rows.len(), 1, "{text:?}");
            let close = |found: Option<DVec2>, expected: Option<[f64; 2]>| match (found, expected) {
                (Some(found), Some(expected)) => found.distance(expected.into()) < 1e-12,
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(close(table.rows[0].px, px) && close(table.rows[0].nm, nm), "{text:?}: {:?}", table.rows);
            assert_eq!(table.is_without_unit, text.starts_with("x,y"));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, words) in [
            ("", &["empty"][..]),
            ("\0\u{1}", &["not a text file"]),
            ("1.5,2.5\n3,4\n", &["line 1", "1.5,2.5", "x_nm,y_nm"]),
            ("x_nm,y_px\n1,2\n", &["line 1", "x_nm,y_px"]),
            ("x_nm,y_nm\n1,2\n1\n", &["line 3", "expected 2 columns"]),
            ("# one\nx_nm,y_nm\n\n1,two\n", &["line 4", "y", "two"]),
            ("x_nm,y_nm\n1,nan\n", &["line 2", "finite"]),
            ("x_nm,y_nm,frame\n1,2,-1\n", &["line 2", "frame", "-1"]),
            ("x_nm,y_nm,frame\n1,2,1.5\n", &["line 2", "frame", "1.5"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{text:?}: {error}");
        }
    }

    #[test]
    fn files_frames_and_the_size_of_pixels() {
        let table = parse("file,frame,x_px,y_px,x_nm,y_nm\na.tif,0,100,50,2,1\na.tif,3.0,5,25,0.2,0.5\n").unwrap();
        assert_eq!(table.rows.iter().map(|row| row.frame).collect::<Vec<_>>(), [Some(0), Some(3)]);
        assert_eq!(table.files.iter().collect::<Vec<_>>(), ["a.tif"]);
        // The place at 5 pixels, which says 0.04, is too near to the origin to count.
        assert_eq!(table.pixel_size_range_nm(), Some((0.02, 0.02)));
        assert!(parse("x_px,y_px\n").unwrap().rows.is_empty());
    }
}
