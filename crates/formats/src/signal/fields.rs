//! Numbers and words of a header, one after the other.

use std::io::{Read, Seek, SeekFrom};

use super::{ByteOrder, BytesReader, Input};
use crate::{FormatError, Problem};

/// Reads fields in the byte order of the file; past its end is an error, never a panic.
pub(crate) struct Fields<'a> {
    input: &'a Input,
    reader: BytesReader,
    position: u64,
    pub(crate) order: ByteOrder,
}

macro_rules! numbers {
    ($($name:ident: $number:ty),*) => {$(
        pub(crate) fn $name(&mut self) -> Result<$number, FormatError> {
            let bytes = self.array()?;
            Ok(match self.order {
                ByteOrder::Little => <$number>::from_le_bytes(bytes),
                ByteOrder::Big => <$number>::from_be_bytes(bytes),
            })
        }
    )*};
}

impl<'a> Fields<'a> {
    pub(crate) fn new(input: &'a Input, order: ByteOrder) -> Fields<'a> {
        Fields { input, reader: BytesReader::new(input.bytes.clone()), position: 0, order }
    }

    numbers!(u8: u8, i8: i8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64, f32: f32, f64: f64);

    /// Where the next field begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes from here to the end of the file.
    pub(crate) fn rest(&self) -> u64 {
        self.input.bytes.length().saturating_sub(self.position)
    }

    pub(crate) fn go_to(&mut self, position: u64) -> Result<(), FormatError> {
        self.position = position;
        self.reader.seek(SeekFrom::Start(position)).map(drop).map_err(|error| self.failed(error))
    }

    pub(crate) fn skip(&mut self, count: u64) -> Result<(), FormatError> {
        self.check(count)?;
        self.go_to(self.position + count)
    }

    /// So many bytes; room is made for what the file holds only.
    pub(crate) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, FormatError> {
        self.check(count)?;
        let mut bytes = vec![0; count as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// So many bytes as text; what is no UTF-8 is taken for Latin-1, and zeros at the end are left out.
    pub(crate) fn text(&mut self, count: u64) -> Result<String, FormatError> {
        Ok(text_of(&self.bytes(count)?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut bytes = [0; N];
        self.check(N as u64)?;
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), FormatError> {
        self.reader.read_exact(bytes).map_err(|error| self.failed(error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn check(&self, count: u64) -> Result<(), FormatError> {
        if count > self.rest() {
            let expected = u128::from(self.position) + u128::from(count);
            let found = self.input.bytes.length();
            return Err(self.input.malformed(Problem::CutShort { expected, found }));
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> FormatError {
        FormatError::Read { path: self.input.path.clone(), error }
    }
}

/// Text of a header: UTF-8, or else Latin-1; ends at the first zero.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let bytes = &bytes[..end];
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}
