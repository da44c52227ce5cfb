//! Crystals that specimens rest on: named oxides, or a cell given in the recipe.
//!
//! | | structure | lattice constants, angstrom | source |
//! |---|---|---|---|
//! | CeO2 | fluorite | a 5.411 | ICDD PDF 34-0394 (National Bureau of Standards) |
//! | MgO | rock salt | a 4.212 | ICDD PDF 45-0946 gives 4.2112; Hazen 1976 (American Mineralogist 61, 266) 4.2117 |
//! | NiO | rock salt | a 4.177 | ICDD PDF 47-1049 |
//! | SrTiO3 | perovskite | a 3.905 | ICDD PDF 35-0734 |
//! | rutile | TiO2 | a 4.5937, c 2.9587, u 0.3048 | Burdett et al. 1987, doi:10.1021/ja00246a021 |
//! | anatase | TiO2 | a 3.7845, c 9.5143, u 0.2081 | the same |

use atomlens_core::glam::DVec3;
use atomlens_core::{Cell, Element};
use serde::{Deserialize, Serialize};

use crate::SpecimenError;

/// A named crystal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CrystalName {
    /// Ceria.
    CeO2,
    /// Magnesia.
    MgO,
    /// Nickel oxide.
    NiO,
    /// Strontium titanate.
    SrTiO3,
    /// Titania, rutile.
    #[serde(rename = "rutile")]
    Rutile,
    /// Titania, anatase.
    #[serde(rename = "anatase")]
    Anatase,
}

/// A crystal by its cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrystalCell {
    /// Lengths of the cell's edges, in angstrom.
    pub lengths_angstrom: [f64; 3],
    /// Angles between b and c, c and a, a and b, in degree.
    #[serde(default = "right_angles")]
    pub angles_degree: [f64; 3],
    /// All atoms of the cell.
    pub basis: Vec<BasisAtom>,
}

/// An atom of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasisAtom {
    /// Its element.
    pub element: Element,
    /// Its place in fractions of the cell's edges.
    pub at: [f64; 3],
}

fn right_angles() -> [f64; 3] {
    [90.0; 3]
}

const FACE_CENTRES: [[f64; 3]; 4] = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]];

impl CrystalName {
    /// Its cell with all atoms.
    pub fn cell(self) -> CrystalCell {
        let (lengths_angstrom, basis): ([f64; 3], Vec<(&str, [f64; 3])>) = match self {
            CrystalName::CeO2 => ([5.411; 3], face_centred(&[("Ce", [0.0; 3]), ("O", [0.25; 3]), ("O", [0.75; 3])])),
            CrystalName::MgO => ([4.212; 3], face_centred(&[("Mg", [0.0; 3]), ("O", [0.5; 3])])),
            CrystalName::NiO => ([4.177; 3], face_centred(&[("Ni", [0.0; 3]), ("O", [0.5; 3])])),
            CrystalName::SrTiO3 => {
                let oxygen = FACE_CENTRES[1..].iter().map(|&at| ("O", at));
                ([3.905; 3], [("Sr", [0.5; 3]), ("Ti", [0.0; 3])].into_iter().chain(oxygen_on_edges(oxygen)).collect())
            }
            CrystalName::Rutile => {
                let u = 0.3048;
                let oxygen = [[u, u, 0.0], [1.0 - u, 1.0 - u, 0.0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]];
                let titanium = [("Ti", [0.0; 3]), ("Ti", [0.5; 3])];
                ([4.5937, 4.5937, 2.9587], titanium.into_iter().chain(oxygen.map(|at| ("O", at))).collect())
            }
            CrystalName::Anatase => {
                let u = 0.2081;
                let titanium = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.25], [0.5, 0.5, 0.5], [0.0, 0.5, 0.75]];
                let oxygen = titanium.into_iter().flat_map(|[x, y, z]| [("O", [x, y, z + u]), ("O", [x, y, z - u])]);
                ([3.7845, 3.7845, 9.5143], titanium.into_iter().map(|at| ("Ti", at)).chain(oxygen).collect())
            }
        };
        let basis = basis
            .into_iter()
            .filter_map(|(symbol, at)| Some(BasisAtom { element: symbol.parse().ok()?, at }))
            .collect();
        CrystalCell { lengths_angstrom, angles_degree: right_angles(), basis }
    }
}

/// Oxygen half-way along the edges, which is where face centres are half a cell away from the body centre.
fn oxygen_on_edges<'a>(faces: impl Iterator<Item = (&'a str, [f64; 3])>) -> impl Iterator<Item = (&'a str, [f64; 3])> {
    faces.map(|(symbol, at)| (symbol, at.map(|x| (x + 0.5) % 1.0)))
}

fn face_centred(motif: &[(&'static str, [f64; 3])]) -> Vec<(&'static str, [f64; 3])> {
    let shifted = |at: [f64; 3], by: [f64; 3]| [0, 1, 2].map(|axis| (at[axis] + by[axis]) % 1.0);
    motif.iter().flat_map(|&(symbol, at)| FACE_CENTRES.map(|by| (symbol, shifted(at, by)))).collect()
}

impl CrystalCell {
    /// Whether it can be built from.
    pub(super) fn check(&self) -> Result<(), SpecimenError> {
        let refuse = |key, found: String, expected| Err(SpecimenError::OutOfRange { key, found, expected });
        if !self.lengths_angstrom.iter().all(|length| (1.0..=100.0).contains(length)) {
            let found = format!("{:?}", self.lengths_angstrom);
            return refuse("cell.lengths_angstrom", found, "three lengths from 1 to 100 angstrom");
        }
        let volume = self.cell().volume_cubic_angstrom() / self.lengths_angstrom.iter().product::<f64>();
        if !self.angles_degree.iter().all(|angle| (10.0..=170.0).contains(angle)) || volume.is_nan() || volume <= 0.05 {
            let found = format!("{:?}", self.angles_degree);
            return refuse("cell.angles_degree", found, "three angles in degree that a cell can have");
        }
        if self.basis.is_empty() || self.basis.iter().any(|atom| atom.at.iter().any(|x| !x.is_finite())) {
            return refuse("cell.basis", format!("{} atoms", self.basis.len()), "at least one, at finite places");
        }
        Ok(())
    }

    /// The cell.
    pub(super) fn cell(&self) -> Cell {
        Cell::from_lengths_and_angles(self.lengths_angstrom, self.angles_degree)
    }

    /// Whether its edges are equal and at right angles, so that indices may be permuted.
    pub(super) fn is_cubic(&self) -> bool {
        let [a, b, c] = self.lengths_angstrom;
        a == b && b == c && self.angles_degree == [90.0; 3]
    }

    /// Places of the atoms in fractions of the cell.
    pub(super) fn places(&self) -> impl Iterator<Item = (Element, DVec3)> + '_ {
        self.basis.iter().map(|atom| (atom.element, DVec3::from_array(atom.at)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Number and length of the bonds to the nearest atoms of `to` around the first atom of `of`.
    fn bonds(name: CrystalName, of: &str, to: &str, reach: f64) -> Vec<f64> {
        let crystal = name.cell();
        let vectors = crystal.cell().vectors_angstrom;
        let (of, to): (Element, Element) = (of.parse().unwrap(), to.parse().unwrap());
        let (_, centre) = crystal.places().find(|(element, _)| *element == of).unwrap();
        let mut lengths = Vec::new();
        for index in 0..125 {
            let shift = DVec3::new(f64::from(index % 5), f64::from(index / 5 % 5), f64::from(index / 25)) - 2.0;
            for (_, place) in crystal.places().filter(|(element, _)| *element == to) {
                let length = (vectors * (place + shift - centre)).length();
                if length > 0.0 && length < reach {
                    lengths.push(length);
                }
            }
        }
        lengths.sort_unstable_by(f64::total_cmp);
        lengths
    }

    #[test]
    fn atoms_have_the_neighbours_of_the_textbook() {
        let fluorite = 5.411 * 3.0_f64.sqrt() / 4.0;
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.005), "{found:?}");
        };
        close(bonds(CrystalName::CeO2, "Ce", "O", 3.0), &[fluorite; 8]);
        close(bonds(CrystalName::CeO2, "O", "Ce", 3.0), &[fluorite; 4]);
        close(bonds(CrystalName::MgO, "Mg", "O", 2.5), &[2.106; 6]);
        close(bonds(CrystalName::SrTiO3, "Ti", "O", 2.5), &[1.9525; 6]);
        close(bonds(CrystalName::SrTiO3, "Sr", "O", 3.0), &[2.7613; 12]);
        // Burdett et al. print 1.946 (four) and 1.983 (two) for rutile, 1.934 and 1.980 for anatase.
        close(bonds(CrystalName::Rutile, "Ti", "O", 2.3), &[1.946, 1.946, 1.946, 1.946, 1.983, 1.983]);
        close(bonds(CrystalName::Anatase, "Ti", "O", 2.3), &[1.934, 1.934, 1.934, 1.934, 1.980, 1.980]);
    }

    #[test]
    fn cells_have_their_formula() {
        for (name, formula) in [
            (CrystalName::CeO2, vec![("Ce", 4), ("O", 8)]),
            (CrystalName::NiO, vec![("Ni", 4), ("O", 4)]),
            (CrystalName::SrTiO3, vec![("Sr", 1), ("Ti", 1), ("O", 3)]),
            (CrystalName::Anatase, vec![("Ti", 4), ("O", 8)]),
        ] {
            let mut found: BTreeMap<Element, usize> = BTreeMap::new();
            for (element, _) in name.cell().places() {
                *found.entry(element).or_default() += 1;
            }
            let expected = formula.into_iter().map(|(symbol, count)| (symbol.parse().unwrap(), count)).collect();
            assert_eq!(found, expected, "{name:?}");
            name.cell().check().unwrap();
        }
    }
}
