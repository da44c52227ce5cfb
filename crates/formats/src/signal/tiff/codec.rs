//! Unpacking strips and tiles: LZW, deflate and PackBits, and the predictors in front of them.
//!
//! TIFF 6.0, sections 9 (PackBits), 13 (LZW) and 14 (differencing); Adobe Photoshop TIFF Technical Note 3 for the
//! predictor of floating point numbers.

use std::io::Read;

use super::super::ByteOrder;

/// How the bytes of a strip are packed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Packing {
    None,
    Lzw,
    Deflate,
    PackBits,
}

impl Packing {
    /// By the number in the tag `Compression`; else the name of what is not read.
    pub(super) fn of(number: u64) -> Result<Packing, String> {
        Ok(match number {
            0 | 1 => Packing::None,
            5 => Packing::Lzw,
            8 | 32946 => Packing::Deflate,
            32773 => Packing::PackBits,
            2..=4 => return Err("fax compression".to_owned()),
            6 | 7 => return Err("JPEG compression".to_owned()),
            34712 | 33003..=33005 => return Err("JPEG 2000 compression".to_owned()),
            34925 => return Err("LZMA compression".to_owned()),
            50000 | 34926 => return Err("Zstandard compression".to_owned()),
            other => return Err(format!("compression number {other}")),
        })
    }

    /// No packing makes data smaller by more than this: LZW codes a string of 4094 bytes with 12 bits.
    pub(super) const MOST_EXPANSION: u64 = 4096;

    /// At most `limit` bytes; room is made as they come.
    pub(super) fn unpack(self, bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, String> {
        match self {
            Packing::None => Ok(bytes),
            Packing::Lzw => lzw(&bytes, limit),
            Packing::PackBits => Ok(pack_bits(&bytes, limit)),
            Packing::Deflate => {
                let mut unpacked = Vec::new();
                flate2::read::ZlibDecoder::new(bytes.as_slice())
                    .take(limit as u64)
                    .read_to_end(&mut unpacked)
                    .map_err(|error| format!("a damaged strip ({error})"))?;
                Ok(unpacked)
            }
        }
    }
}

/// What was subtracted before packing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    FloatingPoint,
}

/// Undoes a predictor row by row and turns numbers into little endian.
///
/// `samples` numbers of `part_bytes` bytes belong to a pixel.
pub(super) fn undo_predictor(
    predictor: Predictor,
    bytes: &mut [u8],
    width: usize,
    samples: usize,
    part_bytes: usize,
    order: ByteOrder,
) {
    let row_bytes = width * samples * part_bytes;
    if row_bytes == 0 {
        return;
    }
    match predictor {
        Predictor::None => order.to_little(bytes, part_bytes),
        Predictor::Horizontal => {
            order.to_little(bytes, part_bytes);
            let step = samples * part_bytes;
            for row in bytes.chunks_exact_mut(row_bytes) {
                for at in (step..row_bytes).step_by(part_bytes) {
                    // Numbers of any width are added byte by byte with carry.
                    let mut carry = 0;
                    for byte in at..at + part_bytes {
                        let sum = u16::from(row[byte]) + u16::from(row[byte - step]) + carry;
                        row[byte] = sum as u8;
                        carry = sum >> 8;
                    }
                }
            }
        }
        Predictor::FloatingPoint => {
            let count = width * samples;
            let mut planes = vec![0; row_bytes];
            for row in bytes.chunks_exact_mut(row_bytes) {
                for at in samples..row_bytes {
                    row[at] = row[at].wrapping_add(row[at - samples]);
                }
                // The most significant bytes of all numbers stand first.
                planes.copy_from_slice(row);
                for (part, plane) in planes.chunks_exact(count).enumerate() {
                    for (number, byte) in row.chunks_exact_mut(part_bytes).zip(plane) {
                        number[part_bytes - 1 - part] = *byte;
                    }
                }
            }
        }
    }
}

/// Runs of equal bytes and runs of different ones.
fn pack_bits(bytes: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some((&control, after)) = rest.split_first() {
        if out.len() >= limit {
            break;
        }
        rest = after;
        match control as i8 {
            -128 => {}
            run @ ..0 => {
                let Some((&value, after)) = rest.split_first() else { break };
                out.extend(std::iter::repeat_n(value, usize::from(run.unsigned_abs()) + 1));
                rest = after;
            }
            run => {
                let (literal, after) = rest.split_at(rest.len().min(run as usize + 1));
                out.extend_from_slice(literal);
                rest = after;
            }
        }
    }
    out.truncate(limit);
    out
}

/// Strings in a growing table, codes of 9 to 12 bits, the most significant bit first.
fn lzw(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    const LARGEST: usize = 4096;
    let damaged = || "a damaged strip (LZW)".to_owned();
    // A string is where it was last written: its start in the output, and its length.
    let mut strings: Vec<(usize, usize)> = Vec::with_capacity(LARGEST);
    let mut out: Vec<u8> = Vec::new();
    let (mut width, mut buffer, mut bits) = (9, 0u32, 0);
    let mut before: Option<(usize, usize)> = None;
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        if bits < width {
            continue;
        }
        bits -= width;
        let code = (buffer >> bits) as usize & ((1 << width) - 1);
        if code == END {
            break;
        }
        if code == CLEAR {
            strings.clear();
            (width, before) = (9, None);
            continue;
        }
        let start = out.len();
        if code < CLEAR {
            out.push(code as u8);
        } else {
            let place = code - 258;
            let (from, length) = match strings.get(place) {
                Some(string) => *string,
                // The string that is being defined: the one before and its own first byte.
                None if place == strings.len() => {
                    before.map(|(from, length)| (from, length + 1)).ok_or_else(damaged)?
                }
                None => return Err(damaged()),
            };
            for at in from..from + length {
                out.push(out[at]);
            }
        }
        if let Some((from, length)) = before
            && strings.len() < LARGEST - 258
        {
            // It is followed in the output by the first byte of the string just written.
            strings.push((from, length + 1));
        }
        before = Some((start, out.len() - start));
        // One code early, as TIFF does it.
        width = match strings.len() + 258 {
            ..511 => 9,
            511..1023 => 10,
            1023..2047 => 11,
            _ => 12,
        };
        if out.len() >= limit {
            out.truncate(limit);
            break;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lzw_unpacks_the_example_of_the_specification() {
        // TIFF 6.0, section 13: 7 7 7 8 8 7 7 6 6 becomes the codes 256 7 258 8 8 258 6 6 257.
        let codes = [256u32, 7, 258, 8, 8, 258, 6, 6, 257];
        let bits: String = codes.iter().map(|code| format!("{code:09b}")).collect();
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(&format!("{:0<8}", std::str::from_utf8(byte).unwrap()), 2).unwrap())
            .collect();
        assert_eq!(lzw(&bytes, 100).unwrap(), [7, 7, 7, 8, 8, 7, 7, 6, 6]);
        assert_eq!(lzw(&bytes, 4).unwrap(), [7, 7, 7, 8]);
        assert!(lzw(&[0xff, 0xff, 0xff], 10).is_err());
    }

    #[test]
    fn packed_bits_unpack_as_in_apples_note() {
        // Apple Technical Note TN1023.
        let packed = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let mut expected = vec![0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22];
        expected.extend([0xaa; 10]);
        assert_eq!(pack_bits(&packed, 100), expected);
        assert_eq!(pack_bits(&packed, 5), expected[..5]);
        assert_eq!(pack_bits(&[0x05, 1, 2], 100), [1, 2]);
    }

    #[test]
    fn differences_add_up() {
        let mut bytes = vec![250, 0, 10, 0, 1, 1];
        undo_predictor(Predictor::Horizontal, &mut bytes, 3, 1, 2, ByteOrder::Little);
        assert_eq!(bytes, [250, 0, 4, 1, 5, 2]);
        let mut bytes = vec![1, 2, 3, 10, 20, 30];
        undo_predictor(Predictor::Horizontal, &mut bytes, 2, 3, 1, ByteOrder::Little);
        assert_eq!(bytes, [1, 2, 3, 11, 22, 33]);
    }
}
