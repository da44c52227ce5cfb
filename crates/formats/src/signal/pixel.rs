//! Types of elements.

/// Type of the elements of a signal, as they leave [`read`](super::Signal::read): little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum PixelType {
    /// One byte, 0 or 1.
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    /// Half precision.
    F16,
    F32,
    F64,
    /// Two single precision numbers, the real part first.
    Complex64,
    /// Two double precision numbers, the real part first.
    Complex128,
    /// Red, green, blue.
    Rgb8,
    /// Red, green, blue, opacity.
    Rgba8,
    Rgb16,
    Rgba16,
}

use PixelType::*;

impl PixelType {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        self.part_bytes() * self.parts()
    }

    /// Numbers in an element: 2 for a complex number, 3 or 4 for a colour.
    pub fn parts(self) -> usize {
        match self {
            Complex64 | Complex128 => 2,
            Rgb8 | Rgb16 => 3,
            Rgba8 | Rgba16 => 4,
            _ => 1,
        }
    }

    /// Bytes of one of its numbers; what is swapped where the byte order differs.
    pub fn part_bytes(self) -> usize {
        match self {
            Bool | U8 | I8 | Rgb8 | Rgba8 => 1,
            U16 | I16 | F16 | Rgb16 | Rgba16 => 2,
            U32 | I32 | F32 | Complex64 => 4,
            U64 | I64 | F64 | Complex128 => 8,
        }
    }

    /// NumPy's name; colours are named by their letters.
    pub fn name(self) -> &'static str {
        match self {
            Bool => "bool",
            U8 => "uint8",
            I8 => "int8",
            U16 => "uint16",
            I16 => "int16",
            U32 => "uint32",
            I32 => "int32",
            U64 => "uint64",
            I64 => "int64",
            F16 => "float16",
            F32 => "float32",
            F64 => "float64",
            Complex64 => "complex64",
            Complex128 => "complex128",
            Rgb8 => "rgb8",
            Rgba8 => "rgba8",
            Rgb16 => "rgb16",
            Rgba16 => "rgba16",
        }
    }

    /// The type of a name as [`PixelType::name`] gives it.
    pub fn of_name(name: &str) -> Option<PixelType> {
        const ALL: [PixelType; 18] = [
            Bool, U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64, Complex64, Complex128, Rgb8, Rgba8, Rgb16,
            Rgba16,
        ];
        ALL.into_iter().find(|pixel| pixel.name() == name)
    }

    /// Appends elements in single precision: complex numbers as their modulus, colours as their luminance.
    pub(crate) fn append_as_f32(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Bool | U8 => values.extend(bytes.iter().map(|value| f32::from(*value))),
            I8 => values.extend(bytes.iter().map(|value| f32::from(*value as i8))),
            U16 => values.extend(each(bytes, u16::from_le_bytes).map(f32::from)),
            I16 => values.extend(each(bytes, i16::from_le_bytes).map(f32::from)),
            U32 => values.extend(each(bytes, u32::from_le_bytes).map(|value| value as f32)),
            I32 => values.extend(each(bytes, i32::from_le_bytes).map(|value| value as f32)),
            U64 => values.extend(each(bytes, u64::from_le_bytes).map(|value| value as f32)),
            I64 => values.extend(each(bytes, i64::from_le_bytes).map(|value| value as f32)),
            F16 => values.extend(each(bytes, u16::from_le_bytes).map(f32_of_half)),
            F32 => values.extend(each(bytes, f32::from_le_bytes)),
            F64 => values.extend(each(bytes, f64::from_le_bytes).map(|value| value as f32)),
            Complex64 => {
                let parts: Vec<f32> = each(bytes, f32::from_le_bytes).collect();
                values.extend(parts.chunks_exact(2).map(|part| part[0].hypot(part[1])));
            }
            Complex128 => {
                let parts: Vec<f64> = each(bytes, f64::from_le_bytes).collect();
                values.extend(parts.chunks_exact(2).map(|part| part[0].hypot(part[1]) as f32));
            }
            Rgb8 | Rgba8 => {
                values.extend(
                    bytes.chunks_exact(self.parts()).map(|c| luminance([c[0].into(), c[1].into(), c[2].into()])),
                );
            }
            Rgb16 | Rgba16 => {
                let parts: Vec<u16> = each(bytes, u16::from_le_bytes).collect();
                values.extend(
                    parts.chunks_exact(self.parts()).map(|c| luminance([c[0].into(), c[1].into(), c[2].into()])),
                );
            }
        }
    }
}

/// Weights of ITU-R BT.601; a grey picture stored in colours keeps its values.
fn luminance([red, green, blue]: [f32; 3]) -> f32 {
    if red == green && green == blue { red } else { 0.299 * red + 0.587 * green + 0.114 * blue }
}

fn each<'a, const N: usize, T>(bytes: &'a [u8], convert: impl Fn([u8; N]) -> T + 'a) -> impl Iterator<Item = T> + 'a {
    bytes.as_chunks::<N>().0.iter().map(move |chunk| convert(*chunk))
}

/// IEEE 754 binary16 in single precision, exactly.
pub(crate) fn f32_of_half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_has_its_textbook_values() {
        // IEEE 754-2008, binary16: one, largest, smallest normal, smallest subnormal.
        for (bits, value) in [(0x3c00, 1.0), (0x7bff, 65504.0), (0x0400, 6.103_515_6e-5), (0x0001, 5.960_464_5e-8)] {
            assert_eq!(f32_of_half(bits), value);
            assert_eq!(f32_of_half(bits | 0x8000), -value);
        }
        assert_eq!(f32_of_half(0x7c00), f32::INFINITY);
        assert!(f32_of_half(0x7c01).is_nan());
    }

    #[test]
    fn every_type_becomes_a_grey_value() {
        let mut values = Vec::new();
        Complex64.append_as_f32(&[3f32.to_le_bytes(), (-4f32).to_le_bytes()].concat(), &mut values);
        Rgba8.append_as_f32(&[7, 7, 7, 255], &mut values);
        Rgb8.append_as_f32(&[255, 0, 0], &mut values);
        I16.append_as_f32(&(-2i16).to_le_bytes(), &mut values);
        assert_eq!(values, [5.0, 7.0, 0.299 * 255.0, -2.0]);
        for pixel in [Bool, F16, Rgba16, Complex128] {
            assert_eq!(PixelType::of_name(pixel.name()), Some(pixel));
        }
    }
}
