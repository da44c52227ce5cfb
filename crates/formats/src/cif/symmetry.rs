//! Symmetry operations as CIF writes them, `-x+1/2, y, z`, and the orbits of sites under them.

use atomlens_core::glam::{DMat3, DVec3};

use crate::Problem;
use crate::error::shown;

/// A symmetry operation on fractional coordinates: `r -> rotation r + translation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    /// Rotation, with whole numbers in conventional cells.
    pub rotation: DMat3,
    /// Translation in fractions of the cell.
    pub translation: DVec3,
}

impl Operation {
    /// The operation that changes nothing.
    pub const IDENTITY: Operation = Operation { rotation: DMat3::IDENTITY, translation: DVec3::ZERO };

    /// Where the operation takes a place.
    pub fn apply(&self, fractional: DVec3) -> DVec3 {
        self.rotation * fractional + self.translation
    }
}

impl std::str::FromStr for Operation {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Operation, Problem> {
        let invalid = || Problem::Invalid {
            what: "a symmetry operation",
            found: shown(text),
            expected: "three terms such as -x+1/2, y, z",
        };
        let mut rows = [DVec3::ZERO; 3];
        let mut translation = DVec3::ZERO;
        let mut parts = 0;
        for (axis, part) in text.split(',').enumerate() {
            if axis == 3 {
                return Err(invalid());
            }
            (rows[axis], translation[axis]) = parse_part(part).ok_or_else(invalid)?;
            parts += 1;
        }
        let rotation = DMat3::from_cols(rows[0], rows[1], rows[2]).transpose();
        // Isometries in any cell keep the volume.
        if parts != 3 || (rotation.determinant().abs() - 1.0).abs() > 1e-6 {
            return Err(invalid());
        }
        Ok(Operation { rotation, translation })
    }
}

/// One coordinate of an operation, such as `x-y+1/2`: factors of x, y and z, and a translation.
fn parse_part(part: &str) -> Option<(DVec3, f64)> {
    let mut factors = DVec3::ZERO;
    let mut translation = 0.0;
    let letters: Vec<char> = part.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    let mut rest = letters.as_slice();
    if rest.is_empty() {
        return None;
    }
    let mut first = true;
    while let [c, tail @ ..] = rest {
        let sign = match c {
            '+' => 1.0,
            '-' => -1.0,
            _ if first => 1.0,
            _ => return None,
        };
        if matches!(c, '+' | '-') {
            rest = tail;
        }
        first = false;
        let length = rest.iter().take_while(|c| !matches!(c, '+' | '-')).count();
        let (term, tail) = rest.split_at(length);
        rest = tail;
        let axis = term.last().and_then(|c| "xyz".find(*c));
        let factor = if axis.is_some() { &term[..term.len() - 1] } else { term };
        let factor: String = factor.iter().filter(|c| **c != '*').collect();
        let value = match factor.as_str() {
            "" if axis.is_some() => 1.0,
            factor => fraction(factor)?,
        };
        match axis {
            Some(axis) => factors[axis] += sign * value,
            None => translation += sign * value,
        }
    }
    (factors.is_finite() && translation.is_finite()).then_some((factors, translation))
}

/// `1/2` or `0.5`.
fn fraction(text: &str) -> Option<f64> {
    let number = |word: &str| word.parse::<f64>().ok().filter(|_| word.chars().all(|c| c.is_ascii_digit() || c == '.'));
    match text.split_once('/') {
        Some((above, below)) => Some(number(above)? / number(below).filter(|b| *b != 0.0)?),
        None => number(text),
    }
}

/// The images of a site in the cell, from 0 up to 1 along each axis, the site's own first; images
/// closer than `tolerance_angstrom` (through the cell's faces too) are one.
pub(super) fn orbit(
    site: DVec3,
    operations: &[Operation],
    vectors_angstrom: DMat3,
    tolerance_angstrom: f64,
) -> Vec<DVec3> {
    let mut images: Vec<DVec3> = Vec::new();
    for operation in operations {
        let image = wrapped(operation.apply(site));
        let known =
            images.iter().any(|other| (vectors_angstrom * shortest(image - *other)).length() < tolerance_angstrom);
        if !known {
            images.push(image);
        }
    }
    images
}

/// The same place in the cell, from 0 up to 1; what rounding left just below 1 is 0.
pub(super) fn wrapped(fractional: DVec3) -> DVec3 {
    let inside = fractional - fractional.floor();
    DVec3::from_array(inside.to_array().map(|v| if v > 1.0 - 1e-9 { 0.0 } else { v }))
}

/// A difference of places, taken to the nearest lattice point along each axis.
pub(super) fn shortest(difference: DVec3) -> DVec3 {
    difference - difference.round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_in_every_spelling() {
        for (text, place) in [
            ("x,y,z", [0.1, 0.2, 0.3]),
            ("-x+1/2, y, z+0.5", [0.4, 0.2, 0.8]),
            ("1/2+X,1/2-Y,-Z", [0.6, 0.3, -0.3]),
            ("x-y,x,z+5/6", [-0.1, 0.1, 0.3 + 5.0 / 6.0]),
            (" -y , x - y , +z ", [-0.2, -0.1, 0.3]),
            ("1*x,y,z", [0.1, 0.2, 0.3]),
        ] {
            let found = text.parse::<Operation>().unwrap().apply(DVec3::new(0.1, 0.2, 0.3));
            assert!((found - DVec3::from_array(place)).length() < 1e-12, "{text}: {found}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "x,y", "x,y,z,x", "x,x,z", "x,y,w", "2x,y,z", "x,,z", "x,y,z+1/0", "x+,y,z", "xy,z,x", "x,y,z+1e9"]
        {
            assert!(text.parse::<Operation>().is_err(), "{text}");
        }
    }

    #[test]
    fn special_positions_are_merged() {
        let operations: Vec<Operation> =
            ["x,y,z", "-x,-y,-z", "x+1/2,y+1/2,z", "-x+1/2,-y+1/2,-z"].map(|t| t.parse().unwrap()).to_vec();
        let cell = DMat3::from_diagonal(DVec3::splat(4.0));
        assert_eq!(orbit(DVec3::new(0.1, 0.2, 0.3), &operations, cell, 0.05).len(), 4);
        assert_eq!(orbit(DVec3::ZERO, &operations, cell, 0.05).len(), 2);
        // Through a face of the cell, and with a rounded coordinate.
        assert_eq!(orbit(DVec3::new(0.5, 0.5, 0.4999), &operations, cell, 0.05).len(), 2);
    }
}
