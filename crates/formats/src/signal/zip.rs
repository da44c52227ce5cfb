//! Archives in ZIP (PKWARE's APPNOTE 6.3), as NumPy, HyperSpy and zarr write them: members stored or deflated, with the 64-bit
//! extensions. No encryption, no archives over several files.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::bytes::{Forward, Section};
use super::{Bytes, BytesReader, Input};
use crate::{FormatError, Problem};

/// Members that an archive may have.
const MOST_MEMBERS: u64 = 1 << 20;

/// A file in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Its name, with folders.
    pub(crate) name: String,
    method: u16,
    encrypted: bool,
    crc: u32,
    packed: u64,
    header: u64,
}

/// The list of an archive's members.
pub(crate) fn members(input: &Input) -> Result<Vec<Member>, FormatError> {
    let damaged = |found: &str| {
        let expected = "a sound ZIP archive; is it complete?";
        input.malformed(Problem::NotThisFormat { expected, found: found.to_owned() })
    };
    // The end record is the last thing but for a comment of at most 64 KiB.
    let length = input.bytes.length();
    let tail_start = length.saturating_sub(22 + 65_535);
    let tail = input.read(tail_start, (length - tail_start) as usize)?;
    let end =
        tail.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or_else(|| damaged("it has no end record"))?;
    let record = tail.get(end..end + 22).ok_or_else(|| damaged("its end record is cut short"))?;
    let (mut count, mut size, mut start) =
        (u64::from(u16_at(record, 10)), u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
    let locator = end.checked_sub(20).and_then(|place| tail.get(place..end)).filter(|l| l.starts_with(b"PK\x06\x07"));
    if let Some(locator) = locator {
        let wide = input.read(u64_at(locator, 8), 56)?;
        if !wide.starts_with(b"PK\x06\x06") {
            return Err(damaged("its 64-bit end record is not where it should be"));
        }
        (count, size, start) = (u64_at(&wide, 32), u64_at(&wide, 40), u64_at(&wide, 48));
    }
    if count > MOST_MEMBERS {
        let (found, limit) = (count.into(), MOST_MEMBERS.into());
        return Err(input.malformed(Problem::TooMany { what: "members of an archive", found, limit }));
    }
    let size = usize::try_from(size).map_err(|_| damaged("its directory has no possible size"))?;
    let directory = input.read(start, size)?;
    let mut rest = directory.as_slice();
    let mut members = Vec::new();
    for _ in 0..count {
        let (member, after) = member(rest).ok_or_else(|| damaged("an entry of its directory is damaged"))?;
        members.push(member);
        rest = after;
    }
    Ok(members)
}

/// The first entry of a directory, and the rest of it.
fn member(directory: &[u8]) -> Option<(Member, &[u8])> {
    let head = directory.get(..46).filter(|head| head.starts_with(b"PK\x01\x02"))?;
    let (name_length, extra_length, comment_length) =
        (usize::from(u16_at(head, 28)), usize::from(u16_at(head, 30)), usize::from(u16_at(head, 32)));
    let name = directory.get(46..46 + name_length)?;
    let mut extra = directory.get(46 + name_length..46 + name_length + extra_length)?;
    let after = directory.get(46 + name_length + extra_length + comment_length..)?;
    let (mut packed, unpacked, mut header) =
        (u64::from(u32_at(head, 20)), u32_at(head, 24), u64::from(u32_at(head, 42)));
    // The 64-bit numbers stand in this order, those only whose 32 bits are all ones.
    while extra.len() >= 4 {
        let (kind, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length)?;
        if kind == 1 {
            let mut numbers = field.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            if unpacked == u32::MAX {
                numbers.next()?;
            }
            if packed == u64::from(u32::MAX) {
                packed = numbers.next()?;
            }
            if header == u64::from(u32::MAX) {
                header = numbers.next()?;
            }
        }
        extra = &extra[4 + length..];
    }
    let member = Member {
        name: String::from_utf8_lossy(name).into_owned(),
        method: u16_at(head, 10),
        encrypted: u16_at(head, 8) & 1 == 1,
        crc: u32_at(head, 16),
        packed,
        header,
    };
    Some((member, after))
}

/// The content of a member. A deflated one is unpacked once to see that it is sound.
pub(crate) fn content(input: &Input, member: &Member) -> Result<Arc<dyn Bytes>, FormatError> {
    let damaged = |found: String| {
        let expected = "a member of a ZIP archive that is stored or deflated, and sound";
        input.malformed(Problem::NotThisFormat { expected, found })
    };
    let head = input.read(member.header, 30)?;
    if !head.starts_with(b"PK\x03\x04") {
        return Err(damaged(format!("{} is not where the directory says", member.name)));
    }
    let start = member.header + 30 + u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
    let section = Section::new(input.bytes.clone(), start, member.packed)
        .ok_or_else(|| damaged(format!("{} goes on after the end of the file", member.name)))?;
    match member.method {
        _ if member.encrypted => Err(damaged(format!("{} is encrypted", member.name))),
        0 => Ok(Arc::new(section)),
        8 => {
            let packed: Arc<dyn Bytes> = Arc::new(section);
            let crc = member.crc;
            let start = move || -> io::Result<Box<dyn Read + Send>> {
                let stream = DeflateDecoder::new(BytesReader::new(packed.clone()));
                Ok(Box::new(Checked { stream, crc: Crc::new(), expected: crc }))
            };
            let unpacked = Forward::new(start).map_err(|error| damaged(format!("{}: {error}", member.name)))?;
            Ok(Arc::new(unpacked))
        }
        method => Err(damaged(format!("{} is packed by method {method}", member.name))),
    }
}

/// A stream whose check sum is compared at its end.
struct Checked<R> {
    stream: R,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.crc.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its check sum is wrong"));
        }
        Ok(count)
    }
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([bytes[place], bytes[place + 1]])
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from(u16_at(bytes, place)) | u32::from(u16_at(bytes, place + 2)) << 16
}

fn u64_at(bytes: &[u8], place: usize) -> u64 {
    u64::from(u32_at(bytes, place)) | u64::from(u32_at(bytes, place + 4)) << 32
}
