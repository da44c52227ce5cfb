//! Metals that crystallise face-centred cubic, with their lattice constants at room temperature.
//!
//! Source: N. W. Ashcroft and N. D. Mermin, *Solid State Physics* (Saunders, 1976), Table 4.1, the same numbers
//! that ASE keeps in `ase.data.reference_states`. Two decimals: 0.1 %, well below the calibration of a micrograph.

use atomlens_core::Element;

const LATTICE_CONSTANTS_ANGSTROM: [(&str, f64); 15] = [
    ("Al", 4.05),
    ("Ca", 5.58),
    ("Ni", 3.52),
    ("Cu", 3.61),
    ("Sr", 6.08),
    ("Rh", 3.80),
    ("Pd", 3.89),
    ("Ag", 4.09),
    ("Ce", 5.16),
    ("Yb", 5.49),
    ("Ir", 3.84),
    ("Pt", 3.92),
    ("Au", 4.08),
    ("Pb", 4.95),
    ("Th", 5.08),
];

/// Edge of the cubic cell of a face-centred cubic metal, in angstrom; `None` for an element that is not one.
pub fn lattice_constant_angstrom(element: Element) -> Option<f64> {
    LATTICE_CONSTANTS_ANGSTROM.iter().find(|(symbol, _)| *symbol == element.symbol()).map(|(_, constant)| *constant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_an_element_and_gold_is_right() {
        for (symbol, constant) in LATTICE_CONSTANTS_ANGSTROM {
            assert_eq!(lattice_constant_angstrom(symbol.parse().unwrap()), Some(constant));
        }
        // The nearest-neighbour distance in gold is 2.88 angstrom (Pauling's metallic radius, 1.44 angstrom).
        let gold = lattice_constant_angstrom("Au".parse().unwrap()).unwrap();
        assert!((gold / 2.0_f64.sqrt() - 2.88).abs() < 0.01);
        assert!(lattice_constant_angstrom(Element::CARBON).is_none());
    }
}
