//! Text as it comes from editors and programs: byte order marks, line ends, numbers, symbols.

use std::borrow::Cow;

use atomlens_core::Element;
use atomlens_core::element::UnknownElement;

use crate::error::shown;
use crate::{ParseError, Problem};

/// Coordinates and lengths beyond this are taken for damage: a millimetre of atoms.
const LARGEST_ANGSTROM: f64 = 1e7;

/// The text in a file's bytes. UTF-8 and UTF-16 byte order marks are understood; stray bytes of
/// other encodings (names of authors) are replaced.
pub(crate) fn decode<'a>(bytes: &'a [u8], expected: &'static str) -> Result<Cow<'a, str>, ParseError> {
    let wide = |from: fn([u8; 2]) -> u16| -> Cow<'a, str> {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    let mut text = match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    };
    // Control characters other than white space and the end-of-file mark of DOS.
    let binary =
        |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1a}')) || c == '\u{7f}';
    if text.contains(binary) {
        return Err(Problem::NotText { expected }.into());
    }
    if text.contains('\u{1a}') {
        text = Cow::Owned(text.replace('\u{1a}', " "));
    }
    if text.contains('\r') && !text.contains('\n') {
        text = Cow::Owned(text.replace('\r', "\n"));
    }
    if text.trim().is_empty() {
        return Err(Problem::Empty.into());
    }
    Ok(text)
}

/// A finite number; Fortran's `1.5D0` is one.
pub(crate) fn number(word: &str, what: &'static str) -> Result<f64, Problem> {
    let parsed = word
        .parse::<f64>()
        .or_else(|error| if word.contains(['d', 'D']) { word.replace(['d', 'D'], "e").parse() } else { Err(error) });
    match parsed {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(Problem::OutOfRange { what, found: shown(word), expected: "a finite number" }),
        Err(_) => Err(Problem::NotANumber { what, found: shown(word) }),
    }
}

/// A coordinate or length that a structure can have, in angstrom.
pub(crate) fn within_reach(value_angstrom: f64, what: &'static str) -> Result<f64, Problem> {
    if value_angstrom.abs() <= LARGEST_ANGSTROM {
        Ok(value_angstrom)
    } else {
        Err(Problem::OutOfRange { what, found: value_angstrom.to_string(), expected: "at most 1e7 angstrom" })
    }
}

/// An occupancy, or `None` for an empty site. A little above 1, as rounding leaves it, counts as 1.
pub(crate) fn occupancy(value: f64) -> Result<Option<f64>, Problem> {
    match value {
        0.0 => Ok(None),
        v if v > 0.0 && v <= 1.02 => Ok(Some(v.min(1.0))),
        _ => Err(Problem::OutOfRange { what: "the occupancy", found: value.to_string(), expected: "from 0 to 1" }),
    }
}

/// The element of a symbol such as `Au`, `AU`, `Sr2+`, `O2-`, `Au1`, `D` or of an atomic number.
pub(crate) fn element(word: &str) -> Result<Element, UnknownElement> {
    let unknown = || UnknownElement { found: shown(word) };
    if let Ok(number) = word.parse::<u8>() {
        return Element::from_atomic_number(number).ok_or_else(unknown);
    }
    let letters = leading_letters(word);
    if !word[letters.len()..].chars().all(|c| c.is_ascii_digit() || "+-_.*'\"()".contains(c)) {
        return Err(unknown());
    }
    titled(letters).ok_or_else(unknown)
}

/// The element of a site label such as `O1`, `Sr1A`, `OW2` or `CA3`. Where two elements are
/// possible (`CA`: carbon or calcium), `formula` decides if it names one of them only; otherwise
/// the case of the second letter does.
pub(crate) fn element_of_label(label: &str, formula: &[Element]) -> Result<Element, UnknownElement> {
    let letters = leading_letters(label);
    let one = letters.get(..1).and_then(titled);
    let two = letters.get(..2).and_then(titled);
    let lower = letters.chars().nth(1).is_some_and(|c| c.is_ascii_lowercase());
    let chosen = match (one, two) {
        (Some(one), Some(two)) => match (formula.contains(&one), formula.contains(&two)) {
            (true, false) => Some(one),
            (false, true) => Some(two),
            _ => Some(if lower { two } else { one }),
        },
        (one, two) => two.or(one),
    };
    chosen.ok_or_else(|| UnknownElement { found: shown(label) })
}

fn leading_letters(word: &str) -> &str {
    &word[..word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len())]
}

/// The element of a symbol in any case; deuterium and tritium are hydrogen to the beam.
fn titled(symbol: &str) -> Option<Element> {
    let mut symbol = symbol.to_ascii_lowercase();
    symbol.get_mut(..1)?.make_ascii_uppercase();
    if symbol == "D" || symbol == "T" {
        symbol = "H".to_owned();
    }
    symbol.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_labels_and_numbers() {
        for (word, symbol) in
            [("Au", "Au"), ("AU", "Au"), ("Sr2+", "Sr"), ("O2-", "O"), ("Au12", "Au"), ("79", "Au"), ("D", "H")]
        {
            assert_eq!(element(word).unwrap().symbol(), symbol, "{word}");
        }
        for word in ["Xx", "", "0", "104", "Q1", "CX", "Å", "1.0", "-"] {
            assert!(element(word).is_err(), "{word}");
        }
        let calcium: Vec<Element> = vec!["Ca".parse().unwrap(), "O".parse().unwrap()];
        for (label, formula, symbol) in [
            ("O1", &[][..], "O"),
            ("OW1", &[], "O"),
            ("Sr1A", &[], "Sr"),
            ("CA3", &[], "C"),
            ("CA3", &calcium, "Ca"),
            ("Ti", &[], "Ti"),
            ("Ox2", &[], "O"),
        ] {
            assert_eq!(element_of_label(label, formula).unwrap().symbol(), symbol, "{label}");
        }
        assert!(element_of_label("Xx1", &[]).is_err());
        assert!(element_of_label("é", &[]).is_err());
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(number("1.5D+01", "x").unwrap(), 15.0);
        for word in ["nan", "inf", "1e999", "-Infinity"] {
            assert!(matches!(number(word, "x"), Err(Problem::OutOfRange { .. })), "{word}");
        }
        for word in ["", "1,5", "0x10", "d"] {
            assert!(matches!(number(word, "x"), Err(Problem::NotANumber { .. })), "{word}");
        }
    }

    #[test]
    fn encodings() {
        assert_eq!(decode(b"\xef\xbb\xbf2\n", "").unwrap(), "2\n");
        assert_eq!(decode(b"\xff\xfe2\0\n\0", "").unwrap(), "2\n");
        assert_eq!(decode(b"1\r2\r", "").unwrap(), "1\n2\n");
        assert_eq!(decode(b" \r\n\x1a", "").unwrap_err().problem, Problem::Empty);
        assert!(matches!(decode(b"\x93NUMPY\x01\0", "").unwrap_err().problem, Problem::NotText { .. }));
    }
}
