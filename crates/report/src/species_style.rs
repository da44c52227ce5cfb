//! How species of columns look: one colour a species wherever it is drawn, told apart by the colour-blind.
//!
//! Metals and pairs of chalcogens have about the hue of their element in [`crate::element_style`]; a column that lacks
//! an atom of its pair has a red, which no full column has. The colours were chosen so that any two of one list differ
//! by more than 15 units of CIELAB as seen by normal eyes and by those without one of the three kinds of cones, as
//! simulated with the matrices of Machado, Oliveira and Fernandes, *IEEE Trans. Vis. Comput. Graph.* 15, 1291 (2009),
//! DOI 10.1109/TVCG.2009.113 (severity 1).

use atomlens_core::Element;

use crate::colour::{Colour, SERIES, from_hex};

/// Species as the models name them, with their colours.
const KNOWN: [(&str, u32); 8] = [
    ("Mo", 0x4cc3c3),
    ("W", 0x1f6fd0),
    ("S2", 0xffef3c),
    ("Se2", 0xff9a00),
    ("S", 0xe8478b),
    ("Se", 0x9a1040),
    ("SSe", 0x1f8a3c),
    ("C", 0xececec),
];

/// Colours of the species of a list, one each: those that are known, the others in the order of their names in turn.
pub fn species_colours(names: &[String]) -> Vec<Colour> {
    // A list without a known name, as that of a metal and an oxide, has the colours of series.
    let known = |name: &str| KNOWN.iter().find(|(known, _)| *known == name).map(|(_, hex)| from_hex(*hex));
    let mut others = SERIES.iter().cycle();
    names.iter().map(|name| known(name).unwrap_or_else(|| *others.next().expect("a cycle does not end"))).collect()
}

/// The colour of a species by its index, whether the list has a name for it or not.
pub(crate) fn species_colour(names: &[String], index: usize) -> Colour {
    species_colours(names).get(index).copied().unwrap_or(SERIES[index % SERIES.len()])
}

/// The elements of a species' name, such as S and Se of `SSe`; none where it is not made of symbols and numbers.
fn elements(name: &str) -> Vec<Element> {
    let mut found = Vec::new();
    let mut symbol = String::new();
    for letter in name.chars().chain(['.']) {
        if !letter.is_ascii_lowercase() && !symbol.is_empty() {
            match symbol.parse() {
                Ok(element) => found.push(element),
                Err(_) => return Vec::new(),
            }
            symbol.clear();
        }
        if letter.is_ascii_alphabetic() {
            symbol.push(letter);
        } else if !(letter.is_ascii_digit() || letter == '.') {
            return Vec::new();
        }
    }
    found
}

/// Whether a species' name, such as `S2`, `Se` or `SSe`, is made of oxygen, sulphur, selenium and tellurium alone.
pub(crate) fn is_chalcogen(name: &str) -> bool {
    let elements = elements(name);
    !elements.is_empty() && elements.iter().all(|element| matches!(element.atomic_number(), 8 | 16 | 34 | 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linear light of sRGB (IEC 61966-2-1).
    fn linear(colour: Colour) -> [f64; 3] {
        colour.0.map(|value| {
            let value = f64::from(value) / 255.0;
            if value > 0.04045 { ((value + 0.055) / 1.055).powf(2.4) } else { value / 12.92 }
        })
    }

    fn product(matrix: [[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
    }

    fn lab(linear: [f64; 3]) -> [f64; 3] {
        const TO_XYZ: [[f64; 3]; 3] = [
            [0.412_456_4, 0.357_576_1, 0.180_437_5],
            [0.212_672_9, 0.715_152_2, 0.072_175_0],
            [0.019_333_9, 0.119_192_0, 0.950_304_1],
        ];
        let [x, y, z] = product(TO_XYZ, linear.map(|c| c.clamp(0.0, 1.0)));
        let f = |t: f64| if t > 216.0 / 24_389.0 { t.cbrt() } else { (24_389.0 / 27.0 * t + 16.0) / 116.0 };
        let [x, y, z] = [f(x / 0.950_47), f(y), f(z / 1.088_83)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn the_colour_blind_tell_the_species_apart() {
        // Machado et al., Table 1, severity 1: protanopia, deuteranopia, tritanopia.
        const SEEN: [[[f64; 3]; 3]; 4] = [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ];
        for seen in SEEN {
            let places = KNOWN.map(|(name, hex)| (name, lab(product(seen, linear(from_hex(hex))))));
            for (i, (a, first)) in places.iter().enumerate() {
                for (b, second) in &places[i + 1..] {
                    let distance = first.iter().zip(second).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 15.0, "{a} and {b}: {distance}");
                }
            }
        }
    }

    #[test]
    fn a_species_keeps_its_colour_in_every_list() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let long = species_colours(&names(&["Mo", "W", "S2", "S"]));
        let short = species_colours(&names(&["S2", "Mo"]));
        assert_eq!((long[0], long[2]), (short[1], short[0]));
        assert_eq!(species_colours(&names(&["Ce", "O"])), SERIES[..2]);
        assert_eq!(species_colour(&names(&["Mo"]), 9), SERIES[2]);
    }

    #[test]
    fn names_are_read_as_formulae() {
        for (name, chalcogen) in
            [("S2", true), ("SSe", true), ("Te", true), ("Mo", false), ("MoS2", false), ("vacancy", false), ("", false)]
        {
            assert_eq!(is_chalcogen(name), chalcogen, "{name}");
        }
    }
}
