//! The operations of a space group from its Hall symbol, such as `-F 4 2 3` for Fm-3m.
//!
//! The symbol lists generators: the centring of the lattice, `-` for an inversion at the origin, up to
//! four rotations with their axes and translations, and a shift of the origin in twelfths. Unlike a
//! Hermann-Mauguin symbol it leaves no choice of origin or axes open. S. R. Hall,
//! doi:10.1107/S0567739481001228; International Tables for Crystallography B, appendix 1.4.2. The form with a full change of basis, `(x-y,x+y,z)`, is not read.

use std::collections::BTreeSet;

use atomlens_core::glam::{DMat3, DVec3};

use super::symmetry::Operation;

/// Most operations that a space group has in its conventional cell (Fm-3m and its like).
const MOST_OPERATIONS: usize = 192;
/// Translations are counted in this part of the cell's edges: all of them are multiples of 1/24.
const PARTS: i32 = 24;

/// A rotation, row after row, and a translation in 24ths, each from 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Symop {
    rotation: [[i32; 3]; 3],
    translation: [i32; 3],
}

const ONE: [[i32; 3]; 3] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];

impl Symop {
    fn new(rotation: [[i32; 3]; 3], translation: [i32; 3]) -> Symop {
        Symop { rotation, translation: translation.map(|t| t.rem_euclid(PARTS)) }
    }

    /// First `other`, then this.
    fn after(&self, other: &Symop) -> Symop {
        let row =
            |i: usize, column: &dyn Fn(usize) -> i32| (0..3).map(|k| self.rotation[i][k] * column(k)).sum::<i32>();
        let rotation = [0, 1, 2].map(|i| [0, 1, 2].map(|j| row(i, &|k| other.rotation[k][j])));
        let translation = [0, 1, 2].map(|i| row(i, &|k| other.translation[k]) + self.translation[i]);
        Symop::new(rotation, translation)
    }
}

/// The operations of a Hall symbol, the identity first; `None` if it cannot be understood.
pub(super) fn operations_of_hall(symbol: &str) -> Option<Vec<Operation>> {
    let (symbol, shift) = match symbol.split_once('(') {
        Some((symbol, shift)) => (symbol, origin_shift(shift.trim().strip_suffix(')')?)?),
        None => (symbol, [0; 3]),
    };
    let mut words = symbol.split_whitespace();
    let lattice = words.next()?;
    let (centric, lattice) = match lattice.strip_prefix('-') {
        Some(letter) => (true, letter),
        None => (false, lattice),
    };
    let mut generators: Vec<Symop> = centring(lattice)?.iter().map(|t| Symop::new(ONE, *t)).collect();
    if centric {
        generators.push(Symop::new(ONE.map(|row| row.map(|v| -v)), [0; 3]));
    }
    let mut previous: Vec<(i32, usize)> = Vec::new();
    for word in words {
        if previous.len() == 4 {
            return None;
        }
        let (operation, order, axis) = rotation(word, &previous)?;
        generators.push(operation);
        previous.push((order, axis));
    }
    for generator in &mut generators {
        let moved = Symop::new(generator.rotation, [0; 3]).after(&Symop::new(ONE, shift.map(|v| -v))).translation;
        let translation = [0, 1, 2].map(|i| generator.translation[i] + shift[i] + moved[i]);
        *generator = Symop::new(generator.rotation, translation);
    }
    close(&generators)
}

/// All products of the generators.
fn close(generators: &[Symop]) -> Option<Vec<Operation>> {
    let identity = Symop::new(ONE, [0; 3]);
    let mut known = BTreeSet::from([identity]);
    let mut ordered = vec![identity];
    let mut next = 0;
    while next < ordered.len() {
        for generator in generators {
            let product = generator.after(&ordered[next]);
            // Rotations that no lattice has together make ever larger numbers.
            if product.rotation.as_flattened().iter().any(|v| v.abs() > 1) {
                return None;
            }
            if known.insert(product) {
                ordered.push(product);
            }
        }
        if ordered.len() > MOST_OPERATIONS {
            return None;
        }
        next += 1;
    }
    let real = |row: [i32; 3]| DVec3::from_array(row.map(f64::from));
    Some(
        ordered
            .iter()
            .map(|symop| Operation {
                rotation: DMat3::from_cols_array_2d(&symop.rotation.map(|row| real(row).to_array())).transpose(),
                translation: real(symop.translation) / f64::from(PARTS),
            })
            .collect(),
    )
}

/// The translations of a lattice, in 24ths.
fn centring(letter: &str) -> Option<&'static [[i32; 3]]> {
    Some(match letter.to_ascii_uppercase().as_str() {
        "P" => &[],
        "A" => &[[0, 12, 12]],
        "B" => &[[12, 0, 12]],
        "C" => &[[12, 12, 0]],
        "I" => &[[12, 12, 12]],
        "R" => &[[16, 8, 8], [8, 16, 16]],
        "S" => &[[8, 8, 16], [16, 16, 8]],
        "T" => &[[8, 16, 8], [16, 8, 16]],
        "H" => &[[16, 8, 0], [8, 16, 0]],
        "F" => &[[0, 12, 12], [12, 0, 12], [12, 12, 0]],
        _ => return None,
    })
}

/// Three whole numbers, in twelfths of the cell, as 24ths.
fn origin_shift(text: &str) -> Option<[i32; 3]> {
    let numbers: Vec<i32> =
        text.split_whitespace().map(|word| word.parse::<i8>().ok().map(i32::from)).collect::<Option<_>>()?;
    let [x, y, z] = numbers.as_slice() else { return None };
    Some([x, y, z].map(|v| v * PARTS / 12))
}

/// A rotation such as `-4vw` or `2"`, with its order and principal axis; `previous` are those
/// of the rotations before it.
fn rotation(word: &str, previous: &[(i32, usize)]) -> Option<(Symop, i32, usize)> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(word) => (-1, word),
        None => (1, word),
    };
    let mut letters = word.chars().map(|c| c.to_ascii_lowercase()).filter(|c| *c != '_').peekable();
    let order = letters.next()?.to_digit(10).map(|digit| digit as i32)?;
    let named = letters.next_if(|c| "xyz'\"*".contains(*c));
    let before = previous.last().copied();
    // Where no axis is named, its place in the symbol tells.
    let symbol = named.unwrap_or(match (order, previous.len(), before) {
        (3, 2, _) => '*',
        (2, 1, Some((2 | 4, _))) => 'x',
        (2, 1, Some((3 | 6, _))) => '\'',
        _ => 'z',
    });
    // `'` and `"` lie in the plane perpendicular to the axis before.
    let axis = "xyz".find(symbol).unwrap_or(before.map_or(2, |(_, axis)| axis));
    let about_z = match (symbol, order) {
        ('\'', 2) => [[0, -1, 0], [-1, 0, 0], [0, 0, -1]],
        ('"', 2) => [[0, 1, 0], [1, 0, 0], [0, 0, -1]],
        ('*', 3) => [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        ('\'' | '"' | '*', _) => return None,
        (_, 1) => ONE,
        (_, 2) => [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        (_, 3) => [[0, -1, 0], [1, -1, 0], [0, 0, 1]],
        (_, 4) => [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        (_, 6) => [[1, -1, 0], [1, 0, 0], [0, 0, 1]],
        _ => return None,
    };
    // Cyclic exchange of the axes turns z into the axis that is meant.
    let turn = (axis + 1) % 3;
    let mut matrix = [[0; 3]; 3];
    for (i, row) in about_z.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            matrix[(i + turn) % 3][(j + turn) % 3] = sign * value;
        }
    }
    let mut translation = [0; 3];
    for letter in letters {
        let part: [i32; 3] = match letter {
            'a' => [12, 0, 0],
            'b' => [0, 12, 0],
            'c' => [0, 0, 12],
            'n' => [12, 12, 12],
            'u' => [6, 0, 0],
            'v' => [0, 6, 0],
            'w' => [0, 0, 6],
            'd' => [6, 6, 6],
            // A screw axis: 6 with 1 is a sixth of the cell along the axis.
            '1'..='5' => {
                let step = letter.to_digit(10)? as i32;
                let mut along = [0; 3];
                along[axis] = (step < order).then_some(PARTS * step / order)?;
                along
            }
            _ => return None,
        };
        translation = [0, 1, 2].map(|i| translation[i] + part[i]);
    }
    Some((Symop::new(matrix, translation), order, axis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_operations_as_international_tables_have() {
        // Order of the point group times points of the lattice in the cell.
        for (symbol, count) in [
            ("P 1", 1),
            ("-P 2ybc", 4),      // P2_1/c
            ("-I 4bd 2c 3", 96), // Ia-3d
            ("-F 4 2 3", 192),   // Fm-3m
            ("-R 3 2\"", 36),    // R-3m, hexagonal axes
            ("-P 6c 2c", 24),    // P6_3/mmc
            ("P 31 2 (0 0 4)", 6),
            ("F 4d 2 3 -1d", 192), // Fd-3m, origin 1
        ] {
            assert_eq!(operations_of_hall(symbol).map(|operations| operations.len()), Some(count), "{symbol}");
        }
    }

    #[test]
    fn quartz_has_its_screw_axis() {
        // P3_2 2 1: a third turn with two thirds of the cell along c.
        let operations = operations_of_hall("P 32 2\"").unwrap();
        let place = DVec3::new(0.1, 0.3, 0.05);
        let expected = DVec3::new(-0.3, 0.1 - 0.3, 0.05 + 2.0 / 3.0);
        assert!(operations.iter().any(|operation| (operation.apply(place) - expected).length() < 1e-12));
    }

    #[test]
    fn what_is_no_symbol_is_none() {
        for symbol in
            ["", "-", "X 2", "P 5", "P 2*", "P 66", "P 2q", "P 2 2 2 2 2", "P 2 (0 0)", "P 2 (x-y,x,z)", "P 3 4 6"]
        {
            assert!(operations_of_hall(symbol).is_none(), "{symbol}");
        }
    }
}
