//! HDF5 files with a tree of groups and attributes and one large array, written from front to back.
//!
//! HDF5 File Format Specification, version 3.0: superblock of version 2, headers of objects of version 2 with links and attributes
//! inside, and for the array the implicit chunk index (chunks of equal size that follow one another), for which nothing has to
//! be known of a chunk but its number. So the structure is written first and the pixels stream after it. Readable by
//! libhdf5 from 1.10 on.

use std::io::{self, Write};

use crate::signal::PixelType;

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attribute {
    Text(String),
    Integer(i64),
    Real(f64),
    Reals(Vec<f64>),
    Truth(bool),
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) attributes: Vec<(String, Attribute)>,
    pub(super) groups: Vec<(String, Group)>,
    pub(super) array: Option<(String, Array)>,
}

/// The large array: type, lengths, and lengths of a chunk, which divide them.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) pixel: PixelType,
    pub(super) shape: Vec<u64>,
    pub(super) chunk: Vec<u64>,
}

const UNDEFINED: [u8; 8] = [0xff; 8];
const SUPERBLOCK_BYTES: u64 = 48;
/// What a message of a header can hold, less its own fields.
pub(super) const LONGEST_TEXT: usize = 60_000;

/// Writes the structure; the pixels, in C order of the chunks, follow through `pixels`.
pub(super) fn write<W: Write>(
    file: &mut W,
    root: &Group,
    pixels: impl FnOnce(&mut W) -> io::Result<()>,
) -> io::Result<()> {
    /// The pixels begin on a page of their own, for readers that map files.
    const PAGE: u64 = 4096;
    // Lengths do not depend on places, so a first pass finds out where the pixels will be.
    let mut objects = Vec::new();
    put_group(root, 0, &mut objects);
    let data = (SUPERBLOCK_BYTES + objects.len() as u64).next_multiple_of(PAGE);
    objects.clear();
    let root_place = put_group(root, data, &mut objects);
    let end = data + array_bytes(root);
    let mut head = b"\x89HDF\r\n\x1a\n\x02\x08\x08\0".to_vec();
    head.extend(0u64.to_le_bytes());
    head.extend(UNDEFINED);
    head.extend(end.to_le_bytes());
    head.extend(root_place.to_le_bytes());
    head.extend(checksum(&head).to_le_bytes());
    file.write_all(&head)?;
    file.write_all(&objects)?;
    file.write_all(&vec![0; (data - SUPERBLOCK_BYTES) as usize - objects.len()])?;
    pixels(file)
}

fn array_bytes(group: &Group) -> u64 {
    let own =
        group.array.as_ref().map_or(0, |(_, array)| array.shape.iter().product::<u64>() * array.pixel.bytes() as u64);
    own + group.groups.iter().map(|(_, inside)| array_bytes(inside)).sum::<u64>()
}

/// Appends what is inside of a group, then the group; answers with its place.
fn put_group(group: &Group, data: u64, out: &mut Vec<u8>) -> u64 {
    let mut links = Vec::new();
    for (name, inside) in &group.groups {
        links.push((name.as_str(), put_group(inside, data, out)));
    }
    if let Some((name, array)) = &group.array {
        links.push((name.as_str(), put_array(array, data, out)));
    }
    let mut messages = Vec::new();
    // Link information: no heap and no index, all links are here.
    put_message(&mut messages, 0x02, &[&[0, 0][..], &UNDEFINED, &UNDEFINED].concat());
    put_message(&mut messages, 0x0a, &[0, 0]);
    for (name, place) in links {
        // Version 1, length of the name in 2 bytes, the name in UTF-8, a hard link.
        let name = short(name);
        let mut link = vec![1, 0x11, 1];
        link.extend((name.len() as u16).to_le_bytes());
        link.extend(name.as_bytes());
        link.extend(place.to_le_bytes());
        put_message(&mut messages, 0x06, &link);
    }
    for (name, value) in &group.attributes {
        put_attribute(&mut messages, name, value);
    }
    put_object(&messages, out)
}

fn put_array(array: &Array, data: u64, out: &mut Vec<u8>) -> u64 {
    let mut messages = Vec::new();
    put_message(&mut messages, 0x01, &dataspace(Some(&array.shape)));
    put_message(&mut messages, 0x03, &datatype(array.pixel));
    // Fill value: room is made early, as the implicit index wants it; zeros.
    put_message(&mut messages, 0x05, &[3, 0x09]);
    // Layout of version 4: chunks, their lengths with that of an element last, in as few bytes as the largest needs
    // (libhdf5 refuses more), implicit index.
    let lengths: Vec<u64> = array.chunk.iter().copied().chain([array.pixel.bytes() as u64]).collect();
    let width = lengths.iter().map(|length| length.max(&1).ilog2() as usize / 8 + 1).max().unwrap_or(1);
    let mut layout = vec![4, 2, 0, lengths.len() as u8, width as u8];
    lengths.iter().for_each(|length| layout.extend(&length.to_le_bytes()[..width]));
    layout.push(2);
    layout.extend(data.to_le_bytes());
    put_message(&mut messages, 0x08, &layout);
    put_object(&messages, out)
}

/// A header of version 2 with its messages.
fn put_object(messages: &[u8], out: &mut Vec<u8>) -> u64 {
    let start = out.len();
    // The length of the messages in 4 bytes, no times.
    out.extend(b"OHDR\x02\x02");
    out.extend((messages.len() as u32).to_le_bytes());
    out.extend(messages);
    let sum = checksum(&out[start..]);
    out.extend(sum.to_le_bytes());
    out.resize(out.len().next_multiple_of(8), 0);
    SUPERBLOCK_BYTES + start as u64
}

fn put_message(messages: &mut Vec<u8>, kind: u8, body: &[u8]) {
    messages.push(kind);
    messages.extend((body.len() as u16).to_le_bytes());
    messages.push(0);
    messages.extend(body);
}

fn put_attribute(messages: &mut Vec<u8>, name: &str, value: &Attribute) {
    const TEXT_PADDED_UTF8: u8 = 0x11;
    let (kind, space, data) = match value {
        Attribute::Text(text) => {
            let text = short(text);
            let length = text.len().max(1) as u32;
            let mut kind = vec![0x13, TEXT_PADDED_UTF8, 0, 0];
            kind.extend(length.to_le_bytes());
            let mut data = text.as_bytes().to_vec();
            data.resize(length as usize, 0);
            (kind, dataspace(None), data)
        }
        Attribute::Integer(number) => (datatype(PixelType::I64), dataspace(None), number.to_le_bytes().to_vec()),
        Attribute::Real(number) => (datatype(PixelType::F64), dataspace(None), number.to_le_bytes().to_vec()),
        Attribute::Reals(numbers) => {
            let numbers = &numbers[..numbers.len().min(LONGEST_TEXT / 8)];
            let data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            (datatype(PixelType::F64), dataspace(Some(&[numbers.len() as u64])), data)
        }
        Attribute::Truth(truth) => (datatype(PixelType::Bool), dataspace(None), vec![u8::from(*truth)]),
    };
    let name = short(name);
    let mut body = vec![3, 0];
    body.extend((name.len() as u16 + 1).to_le_bytes());
    body.extend((kind.len() as u16).to_le_bytes());
    body.extend((space.len() as u16).to_le_bytes());
    // The name is UTF-8.
    body.push(1);
    body.extend(name.as_bytes());
    body.push(0);
    body.extend(kind);
    body.extend(space);
    body.extend(data);
    put_message(messages, 0x0c, &body);
}

/// Cut to what a header holds, at a letter's end.
fn short(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A single value, or an array.
fn dataspace(shape: Option<&[u64]>) -> Vec<u8> {
    let sizes = shape.unwrap_or_default();
    let mut space = vec![2, sizes.len() as u8, 0, u8::from(shape.is_some())];
    sizes.iter().for_each(|size| space.extend(size.to_le_bytes()));
    space
}

fn datatype(pixel: PixelType) -> Vec<u8> {
    let integer = |bytes: u32, signed: bool| {
        let mut kind = vec![0x10, u8::from(signed) << 3, 0, 0];
        kind.extend(bytes.to_le_bytes());
        kind.extend([0, 0]);
        kind.extend((bytes as u16 * 8).to_le_bytes());
        kind
    };
    // IEEE 754: bytes, bits of the exponent and of the fraction.
    let real = |bytes: u32, exponent: u8, fraction: u8| {
        let mut kind = vec![0x11, 0x20, bytes as u8 * 8 - 1, 0];
        kind.extend(bytes.to_le_bytes());
        kind.extend([0, 0]);
        kind.extend((bytes as u16 * 8).to_le_bytes());
        kind.extend([fraction, exponent, 0, fraction]);
        kind.extend(((1u32 << (exponent - 1)) - 1).to_le_bytes());
        kind
    };
    let record = |names: &[&str], part: Vec<u8>, part_bytes: usize| {
        let mut kind = vec![0x36, names.len() as u8, 0, 0];
        kind.extend(((names.len() * part_bytes) as u32).to_le_bytes());
        for (name, place) in names.iter().zip(0..) {
            kind.extend(name.as_bytes());
            kind.extend([0, (place * part_bytes) as u8]);
            kind.extend(&part);
        }
        kind
    };
    match pixel {
        PixelType::Bool => {
            // An enumeration, which is h5py's way.
            let mut kind = vec![0x38, 2, 0, 0];
            kind.extend(1u32.to_le_bytes());
            kind.extend(integer(1, true));
            kind.extend(b"FALSE\0TRUE\0\0\x01");
            kind
        }
        PixelType::U8 => integer(1, false),
        PixelType::I8 => integer(1, true),
        PixelType::U16 => integer(2, false),
        PixelType::I16 => integer(2, true),
        PixelType::U32 => integer(4, false),
        PixelType::I32 => integer(4, true),
        PixelType::U64 => integer(8, false),
        PixelType::I64 => integer(8, true),
        PixelType::F16 => real(2, 5, 10),
        PixelType::F32 => real(4, 8, 23),
        PixelType::F64 => real(8, 11, 52),
        PixelType::Complex64 => record(&["r", "i"], real(4, 8, 23), 4),
        PixelType::Complex128 => record(&["r", "i"], real(8, 11, 52), 8),
        PixelType::Rgb8 => record(&["R", "G", "B"], integer(1, false), 1),
        PixelType::Rgba8 => record(&["R", "G", "B", "A"], integer(1, false), 1),
        PixelType::Rgb16 => record(&["R", "G", "B"], integer(2, false), 2),
        PixelType::Rgba16 => record(&["R", "G", "B", "A"], integer(2, false), 2),
    }
}

/// Bob Jenkins' lookup3, `hashlittle` with the initial value 0, <http://burtleburtle.net/bob/c/lookup3.c> (public domain).
fn checksum(bytes: &[u8]) -> u32 {
    let word = |piece: &[u8], at: usize| {
        (0..4).rev().fold(0, |word, i| word << 8 | u32::from(piece.get(at + i).copied().unwrap_or(0)))
    };
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    while rest.len() > 12 {
        a = a.wrapping_add(word(rest, 0));
        b = b.wrapping_add(word(rest, 4));
        c = c.wrapping_add(word(rest, 8));
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        rest = &rest[12..];
    }
    if rest.is_empty() {
        return c;
    }
    a = a.wrapping_add(word(rest, 0));
    b = b.wrapping_add(word(rest, 4));
    c = c.wrapping_add(word(rest, 8));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_has_the_values_that_its_author_gives() {
        // Self test of lookup3.c, driver5: hashlittle with an initial value of 0.
        assert_eq!(checksum(b""), 0xdead_beef);
        assert_eq!(checksum(b"Four score and seven years ago"), 0x1777_0551);
    }
}
