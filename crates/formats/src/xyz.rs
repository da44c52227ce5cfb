//! XYZ and extended XYZ.
//!
//! A file is a sequence of frames: the number of atoms, a comment, and one line an atom. In the
//! extended form the comment holds `key=value` pairs, of which three matter here:
//! `Lattice="ax ay az bx by bz cx cy cz"` in angstrom, `Properties=name:type:columns:..` that says
//! what the columns are, and `pbc="T T F"`.
//!
//! Compatible with ASE's `extxyz` (written there as a description of the format too,
//! <https://ase-lib.org/ase/io/formatoptions.html#extxyz>) and with <https://github.com/libAtoms/extxyz>,
//! as tolerant as ASE: values in quotes or brackets, columns in any order, `species` or `Z`, columns and
//! keys that are not known. Plain XYZ is the same with the four columns element, x, y, z.
//! As ASE does, the structure of a file with several frames is the last one (of a relaxation: the
//! relaxed one); [`read_xyz_frames`] gives all.
//!
//! Three columns are this program's own: `occupancy` (above 0, up to 1), `column` (index of the
//! atomic column, -1 for none) and `rms_displacement_angstrom` (-1 where not known). They are
//! written only where a structure has something to say in them, and other programs carry them along.

use std::io::{self, Write};
use std::path::Path;

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{Atom, Cell, Structure};

use crate::error::shown;
use crate::text::{decode, element, number, occupancy, within_reach};
use crate::whole_file::write_whole_file;
use crate::{FormatError, ParseError, Problem};

const LATTICE_ADVICE: &str = "nine numbers, ax ay az bx by bz cx cy cz, in angstrom";

/// Reads every frame of an XYZ or extended XYZ file; there is at least one.
///
/// # Errors
/// [`FormatError::Read`] or [`FormatError::Malformed`] with the line.
pub fn read_xyz_frames(path: &Path) -> Result<Vec<Structure>, FormatError> {
    let bytes = std::fs::read(path).map_err(|error| FormatError::Read { path: path.to_owned(), error })?;
    parse_xyz(&bytes).map_err(|error| FormatError::in_file(path, error))
}

/// Reads every frame of an XYZ or extended XYZ file's content; there is at least one.
pub fn parse_xyz(bytes: &[u8]) -> Result<Vec<Structure>, ParseError> {
    let text = decode(bytes, "XYZ")?;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let mut frames: Vec<Structure> = Vec::new();
    let mut atoms_announced = 0;
    while let Some((line, head)) = lines.find(|(_, text)| !text.trim().is_empty()) {
        let Ok(count) = head.trim().parse::<u64>() else {
            // A line too many after a frame is a wrong count; before any, it is another format.
            return Err(if frames.is_empty() {
                Problem::Invalid { what: "the first line", found: shown(head.trim()), expected: "the number of atoms" }
            } else {
                Problem::WrongCount { expected: atoms_announced, found: atoms_announced as usize + 1 }
            }
            .at(line));
        };
        atoms_announced = count;
        let (comment_line, comment) = lines.next().unwrap_or((line, ""));
        let header = Header::parse(comment).map_err(|problem| problem.at(comment_line))?;
        let mut atoms = Vec::new();
        let mut last_line = comment_line;
        for found in 0..count {
            let row = lines.next().filter(|(_, text)| !text.trim().is_empty());
            let Some((line, text)) = row else {
                return Err(Problem::WrongCount { expected: count, found: found as usize }.at(last_line));
            };
            last_line = line;
            atoms.extend(header.atom(text).map_err(|problem| problem.at(line))?);
        }
        frames.push(Structure { atoms, cell: header.cell });
    }
    Ok(frames)
}

/// What a comment line says about the rows below it.
struct Header {
    cell: Option<Cell>,
    layout: Layout,
}

/// In which column of a row each quantity is.
#[derive(Default)]
struct Layout {
    species: Option<usize>,
    atomic_number: Option<usize>,
    position: usize,
    occupancy: Option<usize>,
    column: Option<usize>,
    rms_displacement: Option<usize>,
    columns: usize,
    names: String,
}

impl Header {
    fn parse(comment: &str) -> Result<Header, Problem> {
        let pairs = pairs(comment);
        let value = |key: &str| pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str());
        let cell = match value("lattice") {
            Some(lattice) => Some(parse_lattice(lattice, value("pbc"))?),
            None => None,
        };
        let layout = Layout::parse(value("properties").unwrap_or("species:S:1:pos:R:3"))?;
        Ok(Header { cell, layout })
    }

    /// The atom of a row; `None` for a site with no occupancy.
    fn atom(&self, row: &str) -> Result<Option<Atom>, Problem> {
        let layout = &self.layout;
        let words: Vec<&str> = row.split_whitespace().collect();
        if words.len() < layout.columns {
            return Err(Problem::TooFewColumns {
                expected: layout.columns,
                what: shown(&layout.names),
                found: words.len(),
            });
        }
        let symbol = layout.species.or(layout.atomic_number).map_or("", |column| words[column]);
        let mut atom = Atom::new(element(symbol)?, DVec3::ZERO);
        for (axis, what) in ["the coordinate x", "the coordinate y", "the coordinate z"].into_iter().enumerate() {
            atom.position_angstrom[axis] = within_reach(number(words[layout.position + axis], what)?, what)?;
        }
        if let Some(column) = layout.occupancy {
            let Some(filled) = occupancy(number(words[column], "the occupancy")?)? else { return Ok(None) };
            atom.occupancy = filled;
        }
        if let Some(column) = layout.column {
            // -1, as everything below 0, is an atom in no column.
            let index: i64 = words[column].parse().map_err(|_| Problem::Invalid {
                what: "the column's index",
                found: shown(words[column]),
                expected: "a whole number, or -1 for none",
            })?;
            atom.column = u32::try_from(index).ok();
        }
        if let Some(column) = layout.rms_displacement {
            let rms = number(words[column], "the root-mean-square displacement")?;
            atom.rms_displacement_angstrom =
                (rms >= 0.0).then_some(within_reach(rms, "the root-mean-square displacement")?);
        }
        Ok(Some(atom))
    }
}

impl Layout {
    fn parse(properties: &str) -> Result<Layout, Problem> {
        let invalid = || Problem::Invalid {
            what: "Properties",
            found: shown(properties),
            expected: "triples name:type:columns, such as species:S:1:pos:R:3",
        };
        let parts: Vec<&str> = properties.split(':').collect();
        if !parts.len().is_multiple_of(3) {
            return Err(invalid());
        }
        let mut layout = Layout::default();
        let mut position = None;
        for triple in parts.chunks_exact(3) {
            let [name, kind, width] = [triple[0].trim(), triple[1].trim(), triple[2].trim()];
            // A width that no file has is a damaged header; unlimited, the sum could overflow.
            let width: usize = width.parse().ok().filter(|w| (1..=10_000).contains(w)).ok_or_else(invalid)?;
            if !["S", "R", "I", "L"].contains(&kind) {
                return Err(invalid());
            }
            let here = Some(layout.columns);
            match (name.to_ascii_lowercase().as_str(), width) {
                ("species" | "symbols" | "element", 1) => layout.species = here,
                ("z" | "numbers", 1) => layout.atomic_number = here,
                ("pos" | "positions", 3) => position = here,
                ("occupancy", 1) => layout.occupancy = here,
                ("column", 1) if kind == "I" => layout.column = here,
                ("rms_displacement_angstrom", 1) => layout.rms_displacement = here,
                _ => {}
            }
            if !layout.names.is_empty() {
                layout.names.push_str(", ");
            }
            layout.names.push_str(name);
            layout.columns += width;
        }
        if layout.species.is_none() && layout.atomic_number.is_none() {
            return Err(Problem::Missing {
                what: "species or Z in Properties".to_owned(),
                advice: "the columns must say which element an atom is",
            });
        }
        layout.position = position.ok_or_else(|| Problem::Missing {
            what: "pos:R:3 in Properties".to_owned(),
            advice: "the columns must say where an atom is",
        })?;
        Ok(layout)
    }
}

/// The `key=value` pairs of a comment line. A value may be in quotes, braces or brackets; a key
/// without a value is `T`; a backslash takes the next character as it is.
fn pairs(comment: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = comment.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return pairs;
        }
        let key = word(&mut rest, true);
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let value = if rest.next_if_eq(&'=').is_some() {
            while rest.next_if(|c| c.is_whitespace()).is_some() {}
            word(&mut rest, false)
        } else {
            "T".to_owned()
        };
        pairs.push((key, value));
    }
}

/// Takes a word, which ends at a blank outside of quotes and brackets, or (a key) before `=`.
fn word(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, is_key: bool) -> String {
    let mut word = String::new();
    let mut nested: Vec<char> = Vec::new();
    while let Some(&c) = rest.peek() {
        if nested.is_empty() && (c.is_whitespace() || (is_key && c == '=')) {
            break;
        }
        rest.next();
        match c {
            '\\' => word.extend(rest.next()),
            _ if nested.last() == Some(&c) => {
                nested.pop();
            }
            // Within quotes brackets are only characters; within brackets they nest.
            '"' | '\'' if nested.is_empty() => nested.push(c),
            '{' if !matches!(nested.last(), Some('"' | '\'')) => nested.push('}'),
            '[' if !matches!(nested.last(), Some('"' | '\'')) => nested.push(']'),
            // `[[1, 2], [3, 4]]` becomes words, so that its reader need not know the brackets.
            ',' if !nested.is_empty() => word.push(' '),
            _ => word.push(c),
        }
    }
    word
}

fn parse_lattice(lattice: &str, pbc: Option<&str>) -> Result<Cell, Problem> {
    let words: Vec<&str> = words(lattice).collect();
    let invalid = || Problem::Invalid { what: "Lattice", found: shown(lattice), expected: LATTICE_ADVICE };
    let mut values = Vec::with_capacity(9);
    for word in words.iter().take(10) {
        values.push(within_reach(number(word, "a number of Lattice")?, "a number of Lattice")?);
    }
    let vectors = match values.as_slice() {
        [x, y, z] => DMat3::from_diagonal(DVec3::new(*x, *y, *z)),
        nine if nine.len() == 9 => DMat3::from_cols(
            DVec3::from_slice(&nine[..3]),
            DVec3::from_slice(&nine[3..6]),
            DVec3::from_slice(&nine[6..]),
        ),
        _ => return Err(invalid()),
    };
    let periodic = match pbc {
        None => [true; 3],
        Some(pbc) => parse_pbc(pbc).ok_or_else(|| Problem::Invalid {
            what: "pbc",
            found: shown(pbc),
            expected: "three of T and F, such as \"T T F\"",
        })?,
    };
    // ASE writes a sheet or a wire without a length along the directions that do not repeat.
    if vectors.determinant().abs() < 1e-9 {
        return Err(Problem::OutOfRange {
            what: "the volume of Lattice",
            found: format!("{} cubic angstrom", vectors.determinant()),
            expected: "three vectors that span a volume: give the cell a length along every direction",
        });
    }
    Ok(Cell { vectors_angstrom: vectors, periodic })
}

fn parse_pbc(pbc: &str) -> Option<[bool; 3]> {
    let flags: Option<Vec<bool>> = words(pbc)
        .map(|word| match word {
            "T" | "t" | "true" | "True" | "TRUE" | "1" => Some(true),
            "F" | "f" | "false" | "False" | "FALSE" | "0" => Some(false),
            _ => None,
        })
        .collect();
    match flags?.as_slice() {
        [all] => Some([*all; 3]),
        [a, b, c] => Some([*a, *b, *c]),
        _ => None,
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty())
}

/// A column of an extended XYZ file beside those that a [`Structure`] has.
#[derive(Debug, Clone, Copy)]
pub struct ExtraColumn<'a> {
    /// Name: letters, digits and `_`; with its unit, such as `height_angstrom`.
    pub name: &'a str,
    /// One value an atom.
    pub values: ExtraValues<'a>,
}

/// The values of an [`ExtraColumn`].
#[derive(Debug, Clone, Copy)]
pub enum ExtraValues<'a> {
    /// Whole numbers.
    Integer(&'a [i64]),
    /// Numbers.
    Real(&'a [f64]),
}

/// Writes one structure as extended XYZ.
///
/// # Errors
/// [`FormatError::CannotHold`] for a coordinate that is not finite or an extra column of another
/// length than the atoms; [`FormatError::Write`] if the disk refuses.
pub fn write_extended_xyz(path: &Path, structure: &Structure, extra: &[ExtraColumn<'_>]) -> Result<(), FormatError> {
    check(path, structure)?;
    for column in extra {
        let length = match column.values {
            ExtraValues::Integer(values) => values.len(),
            ExtraValues::Real(values) => values.len(),
        };
        if length != structure.atoms.len() {
            return Err(FormatError::cannot_hold(
                path,
                format!("column {} has {length} values for {} atoms", column.name, structure.atoms.len()),
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if column.name.is_empty() || !column.name.chars().all(plain) {
            return Err(FormatError::cannot_hold(
                path,
                format!("{:?} cannot name a column: use letters, digits and _", column.name),
            ));
        }
    }
    write_whole_file(path, |file| write_frame(file, structure, extra))
}

/// Writes several structures, such as the frames of a movie, into one extended XYZ file.
///
/// # Errors
/// As [`write_extended_xyz`].
pub fn write_extended_xyz_frames(path: &Path, frames: &[Structure]) -> Result<(), FormatError> {
    for structure in frames {
        check(path, structure)?;
    }
    write_whole_file(path, |file| frames.iter().try_for_each(|structure| write_frame(file, structure, &[])))
}

fn check(path: &Path, structure: &Structure) -> Result<(), FormatError> {
    match structure.atoms.iter().position(|atom| !atom.position_angstrom.is_finite()) {
        Some(index) => Err(FormatError::cannot_hold(
            path,
            format!("atom {index} is at {}, which is no place", structure.atoms[index].position_angstrom),
        )),
        None => Ok(()),
    }
}

fn write_frame(file: &mut impl Write, structure: &Structure, extra: &[ExtraColumn<'_>]) -> io::Result<()> {
    let atoms = &structure.atoms;
    let occupied = atoms.iter().any(|atom| atom.occupancy != 1.0);
    let moving = atoms.iter().any(|atom| atom.rms_displacement_angstrom.is_some());
    let in_columns = atoms.iter().any(|atom| atom.column.is_some());
    writeln!(file, "{}", atoms.len())?;
    let mut periodic = [false; 3];
    if let Some(cell) = &structure.cell {
        let numbers = cell.vectors_angstrom.to_cols_array().map(|v| format!("{v:?}"));
        write!(file, "Lattice=\"{}\" ", numbers.join(" "))?;
        periodic = cell.periodic;
    }
    write!(file, "Properties=species:S:1:pos:R:3")?;
    if occupied {
        write!(file, ":occupancy:R:1")?;
    }
    if moving {
        write!(file, ":rms_displacement_angstrom:R:1")?;
    }
    if in_columns {
        write!(file, ":column:I:1")?;
    }
    for column in extra {
        let kind = if matches!(column.values, ExtraValues::Integer(_)) { 'I' } else { 'R' };
        write!(file, ":{}:{kind}:1", column.name)?;
    }
    let [a, b, c] = periodic.map(|p| if p { 'T' } else { 'F' });
    writeln!(file, " pbc=\"{a} {b} {c}\"")?;
    for (index, atom) in atoms.iter().enumerate() {
        let place = atom.position_angstrom;
        write!(file, "{:<2} {:16.8} {:16.8} {:16.8}", atom.element, place.x, place.y, place.z)?;
        if occupied {
            write!(file, " {:8.6}", atom.occupancy)?;
        }
        if moving {
            write!(file, " {:9.6}", atom.rms_displacement_angstrom.unwrap_or(-1.0))?;
        }
        if in_columns {
            write!(file, " {}", atom.column.map_or(-1, i64::from))?;
        }
        for column in extra {
            match column.values {
                ExtraValues::Integer(values) => write!(file, " {}", values[index])?,
                ExtraValues::Real(values) => write!(file, " {:?}", values[index])?,
            }
        }
        writeln!(file)?;
    }
    Ok(())
}
