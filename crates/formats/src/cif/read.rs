//! From the items of a CIF to a structure.

use std::collections::BTreeMap;

use atomlens_core::glam::{DMat3, DVec3};
use atomlens_core::{Atom, Cell, Element, Structure};

use super::hall::operations_of_hall;
use super::symmetry::{Operation, orbit, shortest};
use super::tokens::{Block, Table, Value, blocks};
use super::{checked_cell, rms_displacement_of_b, rms_displacement_of_u};
use crate::error::shown;
use crate::text::{decode, element, element_of_label, number, occupancy, within_reach};
use crate::{ParseError, Problem};

/// Images of a site closer than this are one: coordinates are often given to three digits only,
/// and no two atoms are this close.
const SAME_PLACE_ANGSTROM: f64 = 0.05;

/// Most atoms that symmetry may make of a file.
const MOST_ATOMS: usize = 20_000_000;

/// Reads the content of a CIF: the first block that has atoms.
pub fn parse_cif(bytes: &[u8]) -> Result<Structure, ParseError> {
    let text = decode(bytes, "CIF")?;
    let blocks = blocks(&text)?;
    let (block, sites) = blocks.iter().find_map(|block| Some((block, site_table(block)?))).ok_or_else(|| {
        Problem::Missing { what: "the list of atoms".to_owned(), advice: "a CIF needs a loop_ with _atom_site_fract_x" }
    })?;
    let cell = cell(block)?;
    let sites = read_sites(block, sites, cell.as_ref())?;
    let operations = operations(block)?;
    let Some(cell) = cell else {
        if operations.len() > 1 {
            return Err(missing_cell().into());
        }
        return Ok(Structure { atoms: sites.into_iter().map(|site| site.atom).collect(), cell: None });
    };
    Ok(Structure { atoms: expand(&sites, &operations, &cell)?, cell: Some(cell) })
}

const FRACTIONAL: [&str; 3] = ["_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"];
const CARTESIAN: [&str; 3] = ["_atom_site_cartn_x", "_atom_site_cartn_y", "_atom_site_cartn_z"];

fn site_table<'b, 'a>(block: &'b Block<'a>) -> Option<&'b Table<'a>> {
    block.table(FRACTIONAL[0]).or_else(|| block.table(CARTESIAN[0]))
}

fn missing_cell() -> Problem {
    Problem::Missing {
        what: "the cell".to_owned(),
        advice: "fractional coordinates need _cell_length_a to c and _cell_angle_alpha to gamma",
    }
}

fn cell(block: &Block<'_>) -> Result<Option<Cell>, ParseError> {
    let mut values = [0.0; 6];
    let mut line = 0;
    let tags = ["length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"];
    for (index, (value, tag)) in values.iter_mut().zip(tags).enumerate() {
        match block.items.get(&format!("_cell_{tag}")).filter(|value| !value.absent) {
            Some(found) => {
                *value = measured(found, "a length or angle of the cell").map_err(|problem| problem.at(found.line))?;
                line = found.line;
            }
            // A file without any of them has no cell; angles alone may be left out where they are right.
            None if index == 0 => return Ok(None),
            None if index < 3 => {
                return Err(
                    Problem::Missing { what: format!("_cell_{tag}"), advice: "a cell has three lengths" }.into()
                );
            }
            None => *value = 90.0,
        }
    }
    let [a, b, c, alpha, beta, gamma] = values;
    checked_cell([a, b, c], [alpha, beta, gamma]).map(Some).map_err(|problem| problem.at(line))
}

/// A number without its standard uncertainty: 3.905 of `3.905(2)`; `1/3` is a number too.
fn measured(value: &Value<'_>, what: &'static str) -> Result<f64, Problem> {
    let text = value.text;
    let (digits, rest) = text.split_once('(').unwrap_or((text, ")"));
    // An exponent may follow the uncertainty, as in 1.2(3)E-4.
    let digits = match rest.split_once(')') {
        Some((_, exponent)) if !exponent.is_empty() => format!("{digits}{exponent}"),
        _ => digits.to_owned(),
    };
    match digits.split_once('/') {
        Some((above, below)) => {
            let quotient = number(above, what)? / number(below, what)?;
            number(&quotient.to_string(), what)
        }
        None => number(&digits, what),
    }
}

/// The symmetry operations, the identity first.
fn operations(block: &Block<'_>) -> Result<Vec<Operation>, ParseError> {
    /// The most that a space group has in a conventional cell is 192; this leaves room for supercells.
    const MOST_OPERATIONS: usize = 10_000;
    let tags = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"];
    let mut operations = vec![Operation::IDENTITY];
    let mut add = |value: &Value<'_>| -> Result<(), ParseError> {
        let operation = value.text.parse::<Operation>().map_err(|problem| problem.at(value.line))?;
        if operation != Operation::IDENTITY {
            operations.push(operation);
        }
        if operations.len() > MOST_OPERATIONS {
            let found = operations.len() as u128;
            return Err(
                Problem::TooMany { what: "symmetry operations", found, limit: MOST_OPERATIONS as u128 }.at(value.line)
            );
        }
        Ok(())
    };
    for tag in tags {
        if let Some((table, column)) = block.table(tag).and_then(|table| Some((table, table.column(tag)?))) {
            table.rows().filter(|row| !row[column].absent).try_for_each(|row| add(&row[column]))?;
            return Ok(operations);
        }
        if let Some(value) = block.items.get(tag).filter(|value| !value.absent) {
            add(value)?;
            return Ok(operations);
        }
    }
    for tag in ["_space_group_name_hall", "_symmetry_space_group_name_hall"] {
        let hall = block.items.get(tag).filter(|value| !value.absent);
        if let Some(operations) = hall.and_then(|value| operations_of_hall(value.text)) {
            return Ok(operations);
        }
    }
    // Other names leave origin and axes open; only P 1 has no choice.
    let names = [
        "_space_group_name_h-m_alt",
        "_symmetry_space_group_name_h-m",
        "_space_group_name_hall",
        "_symmetry_space_group_name_hall",
        "_space_group_it_number",
        "_symmetry_int_tables_number",
        "_space_group_name_h-m_full",
    ];
    let given = names.iter().filter_map(|name| block.items.get(*name)).find(|value| {
        let bare: String = value.text.chars().filter(|c| !c.is_whitespace()).collect();
        !value.absent && !["", "P1", "1", "?"].contains(&bare.to_ascii_uppercase().as_str())
    });
    match given {
        Some(value) => Err(Problem::NoOperations { space_group: shown(value.text) }.at(value.line)),
        None => Ok(operations),
    }
}

/// A row of the list of atoms. Its atom sits where the file says, unwrapped.
struct Site<'a> {
    atom: Atom,
    label: &'a str,
    line: usize,
}

fn read_sites<'a>(block: &Block<'a>, table: &Table<'a>, cell: Option<&Cell>) -> Result<Vec<Site<'a>>, ParseError> {
    let columns_of = |tags: [&str; 3]| -> Option<[usize; 3]> {
        let [x, y, z] = tags.map(|tag| table.column(tag));
        Some([x?, y?, z?])
    };
    let (columns, is_fractional) = match (columns_of(FRACTIONAL), columns_of(CARTESIAN)) {
        (Some(columns), _) => (columns, true),
        (None, Some(columns)) => (columns, false),
        (None, None) => {
            return Err(Problem::Missing {
                what: "one of the three coordinates".to_owned(),
                advice: "the loop of atoms needs _atom_site_fract_x, _y and _z",
            }
            .at(table.line));
        }
    };
    let vectors = match cell {
        Some(cell) => cell.vectors_angstrom,
        None if is_fractional => return Err(missing_cell().into()),
        None => DMat3::IDENTITY,
    };
    let label_column = table.column("_atom_site_label").or_else(|| table.column("_atom_site_id"));
    let symbol_column = table.column("_atom_site_type_symbol");
    let occupancy_column = table.column("_atom_site_occupancy");
    let flag_column = table.column("_atom_site_calc_flag");
    let either = |u: &str, plain: &str| table.column(u).or_else(|| table.column(plain));
    let u_column = either("_atom_site_u_iso_or_equiv", "_atom_site_u_iso");
    let b_column = either("_atom_site_b_iso_or_equiv", "_atom_site_b_iso");
    let equivalents = cell.map(|cell| equivalent_u(block, cell)).transpose()?.unwrap_or_default();
    let formula = formula(block);

    let mut sites = Vec::with_capacity(table.values.len() / table.tags.len());
    for row in table.rows() {
        let line = row[columns[0]].line;
        let here = |problem: Problem| problem.at(line);
        let given = |column: Option<usize>| column.map(|column| &row[column]).filter(|value| !value.absent);
        if given(flag_column).is_some_and(|flag| flag.text.eq_ignore_ascii_case("dum")) {
            continue;
        }
        let label = given(label_column).or_else(|| given(symbol_column)).map_or("", |value| value.text);
        let element = match given(symbol_column) {
            Some(symbol) => element(symbol.text).or_else(|_| element_of_label(symbol.text, &formula)),
            None => element_of_label(label, &formula),
        }
        .map_err(|unknown| here(unknown.into()))?;
        let mut place = DVec3::ZERO;
        for (axis, column) in columns.into_iter().enumerate() {
            if row[column].absent {
                return Err(here(Problem::Missing {
                    what: format!("a coordinate of {}", shown(label)),
                    advice: "give the atom a place, or remove its line",
                }));
            }
            let value = measured(&row[column], "a coordinate").map_err(here)?;
            place[axis] = within_reach(value, "a coordinate").map_err(here)?;
        }
        let mut atom = Atom::new(element, if is_fractional { vectors * place } else { place });
        for coordinate in atom.position_angstrom.to_array() {
            within_reach(coordinate, "a coordinate").map_err(here)?;
        }
        if let Some(value) = given(occupancy_column) {
            let Some(filled) = measured(value, "the occupancy").and_then(occupancy).map_err(here)? else { continue };
            atom.occupancy = filled;
        }
        atom.rms_displacement_angstrom = if let Some(u) = given(u_column) {
            rms_displacement_of_u(measured(u, "U_iso").map_err(here)?)
        } else if let Some(b) = given(b_column) {
            rms_displacement_of_b(measured(b, "B_iso").map_err(here)?)
        } else {
            equivalents.get(label).copied().and_then(rms_displacement_of_u)
        };
        sites.push(Site { atom, label, line });
    }
    Ok(sites)
}

/// `U_equiv` of every label in the loop of anisotropic parameters, in square angstrom:
/// `1/3 sum_ij U_ij a*_i a*_j (a_i . a_j)`.
fn equivalent_u<'a>(block: &Block<'a>, cell: &Cell) -> Result<BTreeMap<&'a str, f64>, ParseError> {
    let mut equivalents = BTreeMap::new();
    let Some(table) = block.table("_atom_site_aniso_label") else { return Ok(equivalents) };
    let indices = ["11", "22", "33", "23", "13", "12"];
    let columns = |kind: &str| indices.map(|index| table.column(&format!("_atom_site_aniso_{kind}_{index}")));
    let (columns, scale) = match (columns("u"), columns("b")) {
        (u, _) if u.iter().all(Option::is_some) => (u, 1.0),
        (_, b) if b.iter().all(Option::is_some) => (b, 1.0 / (8.0 * std::f64::consts::PI * std::f64::consts::PI)),
        _ => return Ok(equivalents),
    };
    let Some(label) = table.column("_atom_site_aniso_label") else { return Ok(equivalents) };
    let vectors = cell.vectors_angstrom;
    let metric = vectors.transpose() * vectors;
    let reciprocal = vectors.inverse().transpose();
    let lengths = [0, 1, 2].map(|axis| reciprocal.col(axis).length());
    'rows: for row in table.rows() {
        let mut sum = 0.0;
        for (column, (i, j)) in columns.into_iter().flatten().zip([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]) {
            if row[column].absent {
                continue 'rows;
            }
            let u = measured(&row[column], "an anisotropic U").map_err(|problem| problem.at(row[column].line))?;
            let both = if i == j { 1.0 } else { 2.0 };
            sum += both * u * lengths[i] * lengths[j] * metric.col(i)[j];
        }
        equivalents.insert(row[label].text, scale * sum / 3.0);
    }
    Ok(equivalents)
}

/// The elements of `_chemical_formula_sum`, such as `Ca Ti O3`.
fn formula(block: &Block<'_>) -> Vec<Element> {
    let text = block.items.get("_chemical_formula_sum").map_or("", |value| value.text);
    text.split_whitespace().filter_map(|word| element(word).ok()).collect()
}

/// Every atom of the cell.
fn expand(sites: &[Site<'_>], operations: &[Operation], cell: &Cell) -> Result<Vec<Atom>, ParseError> {
    let most = sites.len().saturating_mul(operations.len());
    if most > MOST_ATOMS {
        return Err(Problem::TooMany {
            what: "atoms (sites times symmetry operations)",
            found: most as u128,
            limit: MOST_ATOMS as u128,
        }
        .into());
    }
    let to_fractional = cell.vectors_angstrom.inverse();
    let mut places = Neighbourhood::new(cell);
    let mut atoms: Vec<Atom> = Vec::new();
    let mut origins: Vec<usize> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let fractional = to_fractional * site.atom.position_angstrom;
        // Without symmetry the atoms stay where the file has them, in the cell or not.
        let images = if operations.len() == 1 {
            vec![fractional]
        } else {
            orbit(fractional, operations, cell.vectors_angstrom, SAME_PLACE_ANGSTROM)
        };
        'images: for image in images {
            let mut filled = site.atom.occupancy;
            let mut rival = None;
            for other in places.near(image) {
                if atoms[other].element == site.atom.element && filled + atoms[other].occupancy > 1.02 {
                    // The file lists an atom and its image both.
                    continue 'images;
                }
                filled += atoms[other].occupancy;
                rival = Some(other);
            }
            if let Some(other) = rival.filter(|_| filled > 1.02) {
                let first = &sites[origins[other]];
                return Err(Problem::Overfilled {
                    first: format!("{} of line {}", shown(first.label), first.line),
                    second: shown(site.label),
                    occupancy: filled,
                }
                .at(site.line));
            }
            places.add(image, atoms.len());
            origins.push(index);
            let position_angstrom = cell.vectors_angstrom * image;
            let position_angstrom = if operations.len() == 1 { site.atom.position_angstrom } else { position_angstrom };
            atoms.push(Atom { position_angstrom, ..site.atom });
        }
    }
    Ok(atoms)
}

/// Finds atoms at the same place, through the cell's faces too.
struct Neighbourhood {
    vectors: DMat3,
    /// Number of boxes along each axis; a box is wider than the distance that counts as the same place.
    boxes: [i64; 3],
    members: BTreeMap<[i64; 3], Vec<(usize, DVec3)>>,
}

impl Neighbourhood {
    fn new(cell: &Cell) -> Neighbourhood {
        let reciprocal = cell.vectors_angstrom.inverse().transpose();
        // The distance between two faces of the cell is 1 / |a*|.
        let boxes = [0, 1, 2].map(|axis| (0.5 / reciprocal.col(axis).length()).clamp(1.0, 1e6) as i64);
        Neighbourhood { vectors: cell.vectors_angstrom, boxes, members: BTreeMap::new() }
    }

    fn home(&self, fractional: DVec3) -> [i64; 3] {
        let inside = fractional - fractional.floor();
        [0, 1, 2].map(|axis| ((inside[axis] * self.boxes[axis] as f64) as i64).clamp(0, self.boxes[axis] - 1))
    }

    fn add(&mut self, fractional: DVec3, index: usize) {
        self.members.entry(self.home(fractional)).or_default().push((index, fractional));
    }

    fn near(&self, fractional: DVec3) -> Vec<usize> {
        let home = self.home(fractional);
        let mut keys: Vec<[i64; 3]> = Vec::with_capacity(27);
        for step in 0..27 {
            let steps = [step % 3 - 1, step / 3 % 3 - 1, step / 9 - 1];
            keys.push([0, 1, 2].map(|axis| (home[axis] + steps[axis]).rem_euclid(self.boxes[axis])));
        }
        keys.sort_unstable();
        keys.dedup();
        let mut near: Vec<usize> = keys
            .iter()
            .filter_map(|key| self.members.get(key))
            .flatten()
            .filter(|(_, other)| (self.vectors * shortest(fractional - *other)).length() < SAME_PLACE_ANGSTROM)
            .map(|(index, _)| *index)
            .collect();
        near.sort_unstable();
        near
    }
}
