//! Cell files of Dr. Probe (`.cel`).
//!
//! A comment line; a line with a number, the cell's lengths in nm and its angles in degree; a line
//! an atom with symbol, fractional coordinates, occupancy and `B_iso` in nm^2 (three more numbers
//! are ignored); a `*` ends the list. Compatible with the files of Dr. Probe and CELSLC 1.x
//! (J. Barthel, doi:10.1016/j.ultramic.2018.06.003), whose manual describes the format.
//!
//! `B_iso = 8 pi^2 <u^2>`, with `<u^2>` the mean square displacement along one direction: strontium
//! in SrTiO3 at room temperature has B = 0.62 angstrom^2, in a cell file 0.0062.

use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Cell, Structure};

use crate::text::{decode, element, number, occupancy, within_reach};
use crate::{ParseError, Problem};

const ANGSTROM_PER_NM: f64 = 10.0;

/// Reads the content of a cell file.
pub fn parse_cel(bytes: &[u8]) -> Result<Structure, ParseError> {
    let text = decode(bytes, "a Dr. Probe cell file")?;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).skip(1);
    let (line, head) = lines.next().ok_or_else(|| {
        ParseError::from(Problem::Missing {
            what: "the cell".to_owned(),
            advice: "the second line gives lengths (nm) and angles (degree)",
        })
    })?;
    let cell = parse_head(head).map_err(|problem| problem.at(line))?;
    let mut atoms = Vec::new();
    for (line, row) in lines {
        let row = row.trim();
        if row.starts_with('*') {
            return Ok(Structure { atoms, cell: Some(cell) });
        }
        if !row.is_empty() {
            atoms.extend(parse_atom(row, &cell).map_err(|problem| problem.at(line))?);
        }
    }
    Err(Problem::Missing { what: "the closing *".to_owned(), advice: "the file is cut short; copy it again" }.into())
}

fn parse_head(head: &str) -> Result<Cell, Problem> {
    let words: Vec<&str> = head.split_whitespace().collect();
    if words.len() < 7 {
        return Err(Problem::TooFewColumns {
            expected: 7,
            what: "0, three lengths in nm, three angles in degree".to_owned(),
            found: words.len(),
        });
    }
    let mut values = [0.0; 6];
    for (value, word) in values.iter_mut().zip(&words[1..]) {
        *value = number(word, "a length or angle of the cell")?;
    }
    let [a, b, c, alpha, beta, gamma] = values;
    crate::cif::checked_cell([a, b, c].map(|length| length * ANGSTROM_PER_NM), [alpha, beta, gamma])
}

fn parse_atom(row: &str, cell: &Cell) -> Result<Option<Atom>, Problem> {
    let words: Vec<&str> = row.split_whitespace().collect();
    if words.len() < 6 {
        return Err(Problem::TooFewColumns {
            expected: 6,
            what: "symbol, x, y, z, occupancy, B_iso".to_owned(),
            found: words.len(),
        });
    }
    let element = element(words[0])?;
    let mut fractional = DVec3::ZERO;
    for axis in 0..3 {
        fractional[axis] =
            within_reach(number(words[1 + axis], "a fractional coordinate")?, "a fractional coordinate")?;
    }
    let Some(occupancy) = occupancy(number(words[4], "the occupancy")?)? else { return Ok(None) };
    let b_square_angstrom = number(words[5], "B_iso")? * ANGSTROM_PER_NM * ANGSTROM_PER_NM;
    Ok(Some(Atom {
        occupancy,
        rms_displacement_angstrom: crate::cif::rms_displacement_of_b(b_square_angstrom),
        ..Atom::new(element, cell.vectors_angstrom * fractional)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRTIO3: &str = "# SrTiO3\r\n 0 0.3905 0.3905 0.3905 90 90 90\r\n\
        Sr2+ 0.0 0.0 0.0 1.0 0.006214 0 0 0\r\nTi4+ 0.5 0.5 0.5 1.0 0.00439 0 0 0\r\nO2- 0.5 0.5 0.0 0.9 0.0073 0 0 0\r\n*\r\n";

    #[test]
    fn strontium_titanate() {
        let structure = parse_cel(SRTIO3.as_bytes()).unwrap();
        let edges = structure.cell.unwrap().as_orthorhombic().unwrap();
        assert!((edges - DVec3::splat(3.905)).length() < 1e-12);
        assert_eq!(structure.atoms.len(), 3);
        assert!((structure.atoms[1].position_angstrom - DVec3::splat(1.9525)).length() < 1e-12);
        assert_eq!(structure.atoms[2].occupancy, 0.9);
        // B(Sr) = 0.6214 angstrom^2 at 296 K (Y. A. Abramov et al., Acta Cryst. B 51, 942 (1995)): sqrt(B / 8 pi^2).
        let rms = structure.atoms[0].rms_displacement_angstrom.unwrap();
        assert!((rms - 0.08871).abs() < 1e-5, "{rms}");
    }

    #[test]
    fn what_is_wrong_is_on_its_line() {
        for (from, to, line, message) in [
            ("Ti4+", "Qq4+", Some(4), "unknown element"),
            ("*", " ", None, "the closing * is missing"),
            ("90 90 90", "90 90", Some(2), "expected 7 columns"),
            ("0.3905 90", "0.0 90", Some(2), "cell"),
            ("0.9 0.0073", "7 0.0073", Some(5), "occupancy"),
        ] {
            let error = parse_cel(SRTIO3.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
