//! Undoing the filters that HDF5 programs put chunks through before they store them.

use std::io::Read;

use hdf5_pure::Filter;

const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
const FLETCHER32: u16 = 3;
const LZF: u16 = 32000;

/// Largest factor by which a filter can have made a chunk smaller: deflate codes 258 bytes with 2 bits.
pub(super) const MOST_EXPANSION: u64 = 1032;

/// A filter that this reader knows nothing of, by name.
pub(super) fn unknown(filters: &[Filter]) -> Option<String> {
    let filter = filters.iter().find(|filter| ![DEFLATE, SHUFFLE, FLETCHER32, LZF].contains(&filter.id))?;
    let name = match filter.id {
        4 => "SZIP",
        5 => "N-bit",
        6 => "scale-offset",
        307 => "bzip2",
        32001 => "Blosc",
        32004 => "LZ4",
        32008 => "bitshuffle",
        32013 => "ZFP",
        32015 => "Zstandard",
        32026 => "Blosc2",
        id => return Some(format!("filter {id}")),
    };
    Some(name.to_owned())
}

/// The chunk as it was before the filters, `expected` bytes; bit i of `mask` says that filter i was left out.
pub(super) fn undo(
    mut bytes: Vec<u8>,
    filters: &[Filter],
    mask: u32,
    element_bytes: usize,
    expected: usize,
) -> Result<Vec<u8>, String> {
    for (place, filter) in filters.iter().enumerate().rev() {
        if place < 32 && mask >> place & 1 == 1 {
            continue;
        }
        bytes = match filter.id {
            DEFLATE => inflate(&bytes, expected + 4)?,
            SHUFFLE => unshuffle(&bytes, filter.client_data.first().map_or(element_bytes, |size| *size as usize)),
            // The check sum stands behind the data; what is damaged shows elsewhere or not at all, as in other readers.
            FLETCHER32 => {
                let length = bytes.len().checked_sub(4).ok_or("a chunk without its check sum")?;
                bytes.truncate(length);
                bytes
            }
            LZF => unpack_lzf(&bytes, expected + 4)?,
            id => return Err(format!("a chunk behind the unknown filter {id}")),
        };
    }
    if bytes.len() != expected {
        return Err(format!("a chunk of {} bytes where {expected} belong", bytes.len()));
    }
    Ok(bytes)
}

/// Unpacks a zlib stream to at most `limit` bytes; room is made as they come.
fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::with_capacity(limit.min(bytes.len().saturating_mul(8)));
    flate2::read::ZlibDecoder::new(bytes)
        .take(limit as u64)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("a damaged chunk ({error})"))?;
    Ok(unpacked)
}

/// Byte 0 of all elements stands first, then byte 1 of all elements, and so on; an incomplete element at the end is as it was.
fn unshuffle(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len().checked_div(size).unwrap_or(0);
    if size < 2 || count < 2 {
        return bytes.to_vec();
    }
    let mut out = vec![0; bytes.len()];
    let (whole, rest) = out.split_at_mut(count * size);
    for (part, plane) in bytes.chunks_exact(count).take(size).enumerate() {
        for (element, value) in whole.chunks_exact_mut(size).zip(plane) {
            element[part] = *value;
        }
    }
    rest.copy_from_slice(&bytes[count * size..]);
    out
}

/// LibLZF's format: runs of literals and references back, M. Lehmann, <http://oldhome.schmorp.de/marc/liblzf.html>.
fn unpack_lzf(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let damaged = || "a damaged chunk (LZF)".to_owned();
    let mut out: Vec<u8> = Vec::with_capacity(limit.min(bytes.len().saturating_mul(4)));
    let mut input = bytes.iter().copied();
    while let Some(control) = input.next() {
        if control < 32 {
            for _ in 0..=control {
                out.push(input.next().ok_or_else(damaged)?);
            }
        } else {
            let mut length = usize::from(control >> 5);
            if length == 7 {
                length += usize::from(input.next().ok_or_else(damaged)?);
            }
            let low = usize::from(input.next().ok_or_else(damaged)?);
            let back = (usize::from(control & 31) << 8 | low) + 1;
            let start = out.len().checked_sub(back).ok_or_else(damaged)?;
            for place in start..start + length + 2 {
                out.push(out[place]);
            }
        }
        if out.len() > limit {
            return Err(damaged());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_bytes_come_back() {
        assert_eq!(unshuffle(&[1, 3, 5, 2, 4, 6, 9], 2), [1, 2, 3, 4, 5, 6, 9]);
        assert_eq!(unshuffle(&[1, 2, 3], 1), [1, 2, 3]);
        assert_eq!(unshuffle(&[1, 2, 3], 0), [1, 2, 3]);
    }

    #[test]
    fn lzf_unpacks_literals_and_runs() {
        // Three literals, then 5 bytes from 3 back.
        assert_eq!(unpack_lzf(&[2, b'a', b'b', b'c', 3 << 5, 2], 100).unwrap(), b"abcabcab");
        // A long run: 7 + 4 + 2 bytes from 1 back.
        assert_eq!(unpack_lzf(&[0, b'x', 7 << 5, 4, 0], 100).unwrap(), [b'x'; 14]);
        assert!(unpack_lzf(&[7 << 5, 4, 9], 100).is_err());
        assert!(unpack_lzf(&[0, b'x', 7 << 5, 255, 0], 100).is_err());
    }
}
