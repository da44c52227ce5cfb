//! Structure files of any format.

use std::path::Path;

use atomlens_core::Structure;

use crate::FormatError;
use crate::cel::parse_cel;
use crate::cif::{parse_cif, write_cif};
use crate::xyz::{parse_xyz, write_extended_xyz};

/// Formats of structures that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StructureFormat {
    Xyz,
    Cif,
    Cel,
}

/// Reads a structure: XYZ, extended XYZ, CIF or a Dr. Probe cell, by the ending of the name
/// (`.xyz`, `.extxyz`, `.cif`, `.cel`) or, where that says nothing, by the content.
///
/// Of several frames in an XYZ file this is the last, of several blocks in a CIF the first with atoms.
///
/// # Errors
/// [`FormatError::Read`] if there is no such file, [`FormatError::UnknownKind`] if it is of another
/// kind, [`FormatError::Malformed`] with the line of what is wrong.
pub fn read_structure(path: &Path) -> Result<Structure, FormatError> {
    let bytes = std::fs::read(path).map_err(|error| FormatError::Read { path: path.to_owned(), error })?;
    let format = by_name(path).or_else(|| by_content(&bytes)).ok_or_else(|| FormatError::UnknownKind {
        path: path.to_owned(),
        what: "structure file",
        expected: ".xyz, .extxyz, .cif or .cel",
    })?;
    match format {
        StructureFormat::Xyz => parse_xyz(&bytes).map(|frames| frames.into_iter().next_back().unwrap_or_default()),
        StructureFormat::Cif => parse_cif(&bytes),
        StructureFormat::Cel => parse_cel(&bytes),
    }
    .map_err(|error| FormatError::in_file(path, error))
}

/// Writes a structure as extended XYZ (`.xyz`, `.extxyz`) or CIF (`.cif`), by the ending of the name.
///
/// # Errors
/// [`FormatError::UnknownKind`] for another ending; see [`write_extended_xyz`] and [`write_cif`].
pub fn write_structure(path: &Path, structure: &Structure) -> Result<(), FormatError> {
    match by_name(path) {
        Some(StructureFormat::Xyz) => write_extended_xyz(path, structure, &[]),
        Some(StructureFormat::Cif) => write_cif(path, structure),
        _ => Err(FormatError::UnknownKind {
            path: path.to_owned(),
            what: "structure file to write",
            expected: ".xyz, .extxyz or .cif",
        }),
    }
}

fn by_name(path: &Path) -> Option<StructureFormat> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "xyz" | "extxyz" | "exyz" => Some(StructureFormat::Xyz),
        "cif" | "mmcif" | "mcif" => Some(StructureFormat::Cif),
        "cel" => Some(StructureFormat::Cel),
        _ => None,
    }
}

fn by_content(bytes: &[u8]) -> Option<StructureFormat> {
    let text = crate::text::decode(bytes, "").ok()?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().find(|line| !line.starts_with('#'))?;
    if first.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data_")) {
        return Some(StructureFormat::Cif);
    }
    if lines.next()?.parse::<u64>().is_ok() {
        return Some(StructureFormat::Xyz);
    }
    let head: Vec<&str> = lines.next()?.split_whitespace().collect();
    (head.len() == 7 && head[0] == "0" && head.iter().all(|word| word.parse::<f64>().is_ok()))
        .then_some(StructureFormat::Cel)
}
