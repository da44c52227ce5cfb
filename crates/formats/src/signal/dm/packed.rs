//! Transforms of real images, of which DigitalMicrograph stores the independent half.
//!
//! The transform of a real image has F(-k) = F(k)*. Unfolded, zero frequency is at index n/2 (rounded down) along
//! both axes. Two forms are in use:
//!
//! *By rows* (types 27 and 28): of each row the frequencies from 0 up to n/2 to the left of zero, zero first, so
//! n/2 + 1 complex numbers a row.
//!
//! *In place* (type 5; square, even n = 2 m): as many numbers as the image has, m complex numbers a row. Those of
//! column j > 0 are the frequency j to the right of zero. Column 0 holds what is left: in rows m + 1 to 2 m - 1
//! frequency zero of these rows, in rows 1 to m - 1 the Nyquist frequency of rows m + 1 to 2 m - 1; row 0 holds the two
//! real numbers F(0, -m), F(-m, -m) and row m F(0, 0), F(-m, 0), written (row, column).

use super::super::{ByteOrder, Input, PixelType};
use crate::{FormatError, Problem};

/// Larger transforms are refused: they are unfolded in memory.
const MOST_ELEMENTS: u64 = 1 << 26;

/// Bytes of the file that hold a transform of these lengths, the fastest axis first.
pub(super) fn stored_bytes(sizes: &[usize], pixel: PixelType, in_place: bool) -> u64 {
    let [nx, rest @ ..] = sizes else { return 0 };
    let rows: u64 = rest.iter().map(|size| *size as u64).product();
    let columns = *nx as u64;
    rows.saturating_mul(if in_place { columns.div_ceil(2) } else { columns / 2 + 1 })
        .saturating_mul(pixel.bytes() as u64)
}

/// All frequencies, as little-endian complex numbers in C order.
pub(super) fn unfold(
    input: &Input,
    offset: u64,
    sizes: &[usize],
    pixel: PixelType,
    order: ByteOrder,
    in_place: bool,
) -> Result<Vec<u8>, FormatError> {
    let &[nx, ny] = sizes else {
        return Err(input.malformed(Problem::Invalid {
            what: "a packed transform",
            found: format!("of {} axes", sizes.len()),
            expected: "two axes",
        }));
    };
    if in_place && (nx != ny || nx % 2 == 1) {
        return Err(input.malformed(Problem::Invalid {
            what: "a packed transform",
            found: format!("of {ny} x {nx}"),
            expected: "a square of even length",
        }));
    }
    if nx as u64 * ny as u64 > MOST_ELEMENTS {
        return Err(input.malformed(Problem::TooMany {
            what: "elements of a packed transform",
            found: nx as u128 * ny as u128,
            limit: u128::from(MOST_ELEMENTS),
        }));
    }
    let stored = stored_bytes(sizes, pixel, in_place) as usize;
    let mut half = input.read(offset, stored)?;
    order.to_little(&mut half, pixel.part_bytes());
    let mut full = Full { bytes: vec![0; nx * ny * pixel.bytes()], nx, ny, pixel };
    if in_place {
        full.fill_from_place(&half)
    } else {
        full.fill_from_rows(&half)
    }
    Ok(full.bytes)
}

struct Full {
    bytes: Vec<u8>,
    nx: usize,
    ny: usize,
    pixel: PixelType,
}

impl Full {
    fn fill_from_rows(&mut self, half: &[u8]) {
        let columns = self.nx / 2 + 1;
        for (place, value) in half.chunks_exact(self.pixel.bytes()).enumerate() {
            let (row, column) = (place / columns, self.nx / 2 - place % columns);
            // Of zero and of the Nyquist frequency both signs of the other axis are stored.
            if column == opposite(column, self.nx) {
                self.set(row, column, value);
            } else {
                self.set_both(row, column, value);
            }
        }
    }

    fn fill_from_place(&mut self, half: &[u8]) {
        let m = self.nx / 2;
        let size = self.pixel.bytes();
        for (place, value) in half.chunks_exact(size).enumerate() {
            let (row, column) = (place / m, place % m);
            if column > 0 {
                self.set_both(row, m + column, value);
            } else if row == 0 || row == m {
                let (first, second) = value.split_at(size / 2);
                let column = if row == 0 { 0 } else { m };
                self.set(m, column, first);
                self.set(0, column, second);
            } else if row > m {
                self.set_both(row, m, value);
            } else {
                self.set_both(row + m, 0, value);
            }
        }
    }

    /// Sets a frequency (its real part alone if no more is given).
    fn set(&mut self, row: usize, column: usize, value: &[u8]) {
        let start = (row * self.nx + column) * self.pixel.bytes();
        self.bytes[start..start + value.len()].copy_from_slice(value);
    }

    /// Sets a frequency, and its conjugate on the other side of zero.
    fn set_both(&mut self, row: usize, column: usize, value: &[u8]) {
        let size = self.pixel.bytes();
        let (row_beyond, column_beyond) = (opposite(row, self.ny), opposite(column, self.nx));
        self.set(row_beyond, column_beyond, value);
        // The sign is the highest bit of the last byte of the imaginary part.
        self.bytes[(row_beyond * self.nx + column_beyond + 1) * size - 1] ^= 0x80;
        self.set(row, column, value);
    }
}

/// Where -k is, of the frequency k at an index: k = 0 is at n/2. For an even n, index 0 is the Nyquist frequency, which
/// is its own opposite.
fn opposite(index: usize, length: usize) -> usize {
    (2 * (length / 2) + length - index) % length
}

#[cfg(test)]
mod tests {
    use num_complex::Complex64;

    use super::*;

    /// The transform of a real image by the definition, zero in the middle.
    fn transform(ny: usize, nx: usize) -> Vec<Complex64> {
        let value = |y: usize, x: usize| ((y * 7 + x * x * 3) % 11) as f64;
        let angle = |k: usize, n: usize, i: usize| (k as f64 - (n / 2) as f64) * i as f64 / n as f64;
        let at = |row: usize, column: usize| -> Complex64 {
            let terms = (0..ny).flat_map(|y| (0..nx).map(move |x| (y, x)));
            terms
                .map(|(y, x)| {
                    let turn = -std::f64::consts::TAU * (angle(row, ny, y) + angle(column, nx, x));
                    value(y, x) * Complex64::cis(turn)
                })
                .sum()
        };
        (0..ny).flat_map(|row| (0..nx).map(move |column| (row, column))).map(|(row, column)| at(row, column)).collect()
    }

    fn bytes(values: impl IntoIterator<Item = Complex64>) -> Vec<u8> {
        values.into_iter().flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat()).collect()
    }

    fn largest_difference(full: &Full, expected: &[Complex64]) -> f64 {
        let numbers: Vec<f64> = full.bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        numbers.chunks(2).zip(expected).map(|(n, e)| (Complex64::new(n[0], n[1]) - e).norm()).fold(0.0, f64::max)
    }

    #[test]
    fn the_half_by_rows_unfolds_to_the_whole_transform() {
        for (ny, nx) in [(5, 5), (4, 6), (6, 5), (1, 8)] {
            let whole = transform(ny, nx);
            let half = (0..ny).flat_map(|row| (0..nx / 2 + 1).map(move |j| (row, nx / 2 - j)));
            let half = bytes(half.map(|(row, column)| whole[row * nx + column]));
            let mut full = Full { bytes: vec![0; nx * ny * 16], nx, ny, pixel: PixelType::Complex128 };
            full.fill_from_rows(&half);
            assert!(largest_difference(&full, &whole) < 1e-9, "{ny} x {nx}");
        }
    }

    #[test]
    fn the_half_in_place_unfolds_to_the_whole_transform() {
        let (n, m) = (6, 3);
        let whole = transform(n, n);
        let at = |row: usize, column: usize| whole[row * n + column];
        let stored = (0..n).flat_map(|row| (0..m).map(move |column| (row, column))).map(|(row, column)| match column {
            0 if row == 0 => Complex64::new(at(m, 0).re, at(0, 0).re),
            0 if row == m => Complex64::new(at(m, m).re, at(0, m).re),
            0 if row > m => at(row, m),
            0 => at(row + m, 0),
            _ => at(row, m + column),
        });
        let mut full = Full { bytes: vec![0; n * n * 16], nx: n, ny: n, pixel: PixelType::Complex128 };
        full.fill_from_place(&bytes(stored));
        assert!(largest_difference(&full, &whole) < 1e-9);
    }
}
