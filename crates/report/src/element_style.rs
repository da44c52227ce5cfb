//! How elements look: their colours and sizes.
//!
//! Colours: the element colours of Jmol (<https://jmol.sourceforge.net/jscolors/>), which follow Corey, Pauling and
//! Koltun where those had one. Sizes: the covalent radii of Cordero et al., *Dalton Trans.* 2008, 2832
//! (DOI 10.1039/b801115j), with the low-spin radii of Mn, Fe and Co and the sp3 radius of C; they end at curium, whose
//! radius the elements after it are drawn with.

use atomlens_core::Element;

use crate::colour::{Colour, from_hex};

/// Colour and covalent radius in angstrom, by atomic number from 1.
const STYLES: [(u32, f64); 103] = [
    (0xffffff, 0.31),
    (0xd9ffff, 0.28),
    (0xcc80ff, 1.28),
    (0xc2ff00, 0.96),
    (0xffb5b5, 0.84),
    (0x909090, 0.76),
    (0x3050f8, 0.71),
    (0xff0d0d, 0.66),
    (0x90e050, 0.57),
    (0xb3e3f5, 0.58),
    (0xab5cf2, 1.66),
    (0x8aff00, 1.41),
    (0xbfa6a6, 1.21),
    (0xf0c8a0, 1.11),
    (0xff8000, 1.07),
    (0xffff30, 1.05),
    (0x1ff01f, 1.02),
    (0x80d1e3, 1.06),
    (0x8f40d4, 2.03),
    (0x3dff00, 1.76),
    (0xe6e6e6, 1.70),
    (0xbfc2c7, 1.60),
    (0xa6a6ab, 1.53),
    (0x8a99c7, 1.39),
    (0x9c7ac7, 1.39),
    (0xe06633, 1.32),
    (0xf090a0, 1.26),
    (0x50d050, 1.24),
    (0xc88033, 1.32),
    (0x7d80b0, 1.22),
    (0xc28f8f, 1.22),
    (0x668f8f, 1.20),
    (0xbd80e3, 1.19),
    (0xffa100, 1.20),
    (0xa62929, 1.20),
    (0x5cb8d1, 1.16),
    (0x702eb0, 2.20),
    (0x00ff00, 1.95),
    (0x94ffff, 1.90),
    (0x94e0e0, 1.75),
    (0x73c2c9, 1.64),
    (0x54b5b5, 1.54),
    (0x3b9e9e, 1.47),
    (0x248f8f, 1.46),
    (0x0a7d8c, 1.42),
    (0x006985, 1.39),
    (0xc0c0c0, 1.45),
    (0xffd98f, 1.44),
    (0xa67573, 1.42),
    (0x668080, 1.39),
    (0x9e63b5, 1.39),
    (0xd47a00, 1.38),
    (0x940094, 1.39),
    (0x429eb0, 1.40),
    (0x57178f, 2.44),
    (0x00c900, 2.15),
    (0x70d4ff, 2.07),
    (0xffffc7, 2.04),
    (0xd9ffc7, 2.03),
    (0xc7ffc7, 2.01),
    (0xa3ffc7, 1.99),
    (0x8fffc7, 1.98),
    (0x61ffc7, 1.98),
    (0x45ffc7, 1.96),
    (0x30ffc7, 1.94),
    (0x1fffc7, 1.92),
    (0x00ff9c, 1.92),
    (0x00e675, 1.89),
    (0x00d452, 1.90),
    (0x00bf38, 1.87),
    (0x00ab24, 1.87),
    (0x4dc2ff, 1.75),
    (0x4da6ff, 1.70),
    (0x2194d6, 1.62),
    (0x267dab, 1.51),
    (0x266696, 1.44),
    (0x175487, 1.41),
    (0xd0d0e0, 1.36),
    (0xffd123, 1.36),
    (0xb8b8d0, 1.32),
    (0xa6544d, 1.45),
    (0x575961, 1.46),
    (0x9e4fb5, 1.48),
    (0xab5c00, 1.40),
    (0x754f45, 1.50),
    (0x428296, 1.50),
    (0x420066, 2.60),
    (0x007d00, 2.21),
    (0x70abfa, 2.15),
    (0x00baff, 2.06),
    (0x00a1ff, 2.00),
    (0x008fff, 1.96),
    (0x0080ff, 1.90),
    (0x006bff, 1.87),
    (0x545cf2, 1.80),
    (0x785ce3, 1.69),
    (0x8a4fe3, 1.69),
    (0xa136d4, 1.69),
    (0xb31fd4, 1.69),
    (0xb31fba, 1.69),
    (0xb30da6, 1.69),
    (0xbd0d87, 1.69),
    (0xc70066, 1.69),
];

/// The colour that the element is drawn in.
pub fn colour(element: Element) -> Colour {
    from_hex(STYLES[usize::from(element.atomic_number()) - 1].0)
}

/// Covalent radius in angstrom.
pub fn covalent_radius_angstrom(element: Element) -> f64 {
    STYLES[usize::from(element.atomic_number()) - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_elements_look_as_published() {
        // Jmol's table and Cordero's Table 2, at places that a missing or doubled row would shift.
        for (symbol, hex, radius) in [
            ("H", 0xffffff, 0.31),
            ("C", 0x909090, 0.76),
            ("O", 0xff0d0d, 0.66),
            ("S", 0xffff30, 1.05),
            ("Fe", 0xe06633, 1.32),
            ("Mo", 0x54b5b5, 1.54),
            ("Ce", 0xffffc7, 2.04),
            ("Pt", 0xd0d0e0, 1.36),
            ("Au", 0xffd123, 1.36),
            ("Cm", 0x785ce3, 1.69),
        ] {
            let element = symbol.parse().unwrap();
            assert_eq!(colour(element), from_hex(hex), "{symbol}");
            assert_eq!(covalent_radius_angstrom(element), radius, "{symbol}");
        }
    }
}
