//! Chemical elements by atomic number.

use serde::{Deserialize, Serialize};

/// A chemical element, hydrogen (1) to lawrencium (103).
///
/// ```
/// use atomlens_core::Element;
/// let gold: Element = "Au".parse().unwrap();
/// assert_eq!(gold.atomic_number(), 79);
/// assert_eq!(gold.symbol(), "Au");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Element(u8);

/// A chemical symbol that no element has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown element {found:?}: expected a chemical symbol from H to Lr, such as Au, Mo or S")]
pub struct UnknownElement {
    /// What was found where a symbol was expected.
    pub found: String,
}

const SYMBOLS: [&str; 103] = [
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce",
    "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr",
];

impl Element {
    /// Carbon, the commonest support.
    pub const CARBON: Element = Element(6);

    /// The element of an atomic number from 1 to 103.
    pub fn from_atomic_number(atomic_number: u8) -> Option<Element> {
        (1..=SYMBOLS.len() as u8).contains(&atomic_number).then_some(Element(atomic_number))
    }

    /// Number of protons, 1 to 103.
    pub fn atomic_number(self) -> u8 {
        self.0
    }

    /// Chemical symbol, such as `Au`.
    pub fn symbol(self) -> &'static str {
        SYMBOLS[usize::from(self.0) - 1]
    }
}

impl std::str::FromStr for Element {
    type Err = UnknownElement;

    fn from_str(symbol: &str) -> Result<Self, UnknownElement> {
        SYMBOLS
            .iter()
            .position(|s| *s == symbol)
            .map(|index| Element(index as u8 + 1))
            .ok_or_else(|| UnknownElement { found: symbol.to_owned() })
    }
}

impl TryFrom<String> for Element {
    type Error = UnknownElement;
    fn try_from(symbol: String) -> Result<Self, UnknownElement> {
        symbol.parse()
    }
}

impl From<Element> for String {
    fn from(element: Element) -> String {
        element.symbol().to_owned()
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.symbol())
    }
}

impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_numbers_agree() {
        for number in 1..=103 {
            let element = Element::from_atomic_number(number).unwrap();
            assert_eq!(element.symbol().parse(), Ok(element));
        }
        // Anchors of the periodic table, so that a missing entry cannot shift the rest.
        for (symbol, number) in [("C", 6), ("Al", 13), ("Cu", 29), ("Mo", 42), ("Ce", 58), ("Pt", 78), ("U", 92)] {
            assert_eq!(symbol.parse::<Element>().unwrap().atomic_number(), number);
        }
    }

    #[test]
    fn unknown_symbols_are_named() {
        let error = "Xq".parse::<Element>().unwrap_err();
        assert!(error.to_string().contains("\"Xq\""));
        assert!(Element::from_atomic_number(0).is_none());
        assert!(Element::from_atomic_number(104).is_none());
    }
}
