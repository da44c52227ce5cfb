//! A file as bytes at places, plain or inside gzip (RFC 1952).
//!
//! Reading gives bytes at any place without holding the file; a plain file seeks, a gzip stream unpacks forward and
//! starts again when it has to go back. A gzip stream is unpacked once as it is opened, in a few kilobytes of
//! memory: that is how long its content is, and that its check sum is right, is known before anything is believed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;

/// Bytes at places.
pub trait Bytes: Send + Sync {
    /// How many there are.
    fn length(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are not so many; else what the operating system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// `count` bytes from `offset` on; room is made only for what is there.
pub(crate) fn read_exactly(bytes: &dyn Bytes, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    if offset.checked_add(count as u64).is_none_or(|end| end > bytes.length()) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut buffer = vec![0; count];
    bytes.read_at(offset, &mut buffer)?;
    Ok(buffer)
}

/// A file on a disk.
pub(crate) fn of_file(path: &Path) -> io::Result<Arc<dyn Bytes>> {
    Ok(Arc::new(PlainFile::open(path)?))
}

/// What is inside gzip, if the bytes are a gzip stream; and whether they were.
pub(crate) fn unpacked(bytes: Arc<dyn Bytes>) -> io::Result<(Arc<dyn Bytes>, bool)> {
    let mut head = [0; 3];
    // Magic number and the only method of compression that is defined.
    if bytes.length() >= 18 && bytes.read_at(0, &mut head).is_ok() && head == [0x1f, 0x8b, 8] {
        return Ok((Arc::new(Forward::of_gzip(bytes)?), true));
    }
    Ok((bytes, false))
}

/// A file on a disk.
struct PlainFile {
    length: u64,
    file: Mutex<File>,
}

impl PlainFile {
    fn open(path: &Path) -> io::Result<PlainFile> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("this is a folder"));
        }
        Ok(PlainFile { length: metadata.len(), file: Mutex::new(file) })
    }
}

impl Bytes for PlainFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // A reader that panicked cannot have left the file in a state that matters: the place is set anew.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

type Stream = Box<dyn Read + Send>;

/// A compressed stream, which is unpacked forward and from the start again to go back.
pub(crate) struct Forward {
    start: Box<dyn Fn() -> io::Result<Stream> + Send + Sync>,
    length: u64,
    stream: Mutex<(u64, Stream)>,
}

impl Forward {
    /// Unpacks the stream that `start` gives once, to learn its length and whether it is sound.
    pub(crate) fn new(start: impl Fn() -> io::Result<Stream> + Send + Sync + 'static) -> io::Result<Forward> {
        let length = io::copy(&mut start()?, &mut io::sink())?;
        let stream = Mutex::new((0, start()?));
        Ok(Forward { start: Box::new(start), length, stream })
    }

    fn of_gzip(packed: Arc<dyn Bytes>) -> io::Result<Forward> {
        let start = move || -> io::Result<Stream> {
            Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, BytesReader::new(packed.clone())))))
        };
        Forward::new(start).map_err(|e| io::Error::new(e.kind(), format!("its gzip stream is damaged: {e}")))
    }
}

impl Bytes for Forward {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut guard = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.0 > offset {
            *guard = (0, (self.start)()?);
        }
        let (place, stream) = &mut *guard;
        *place += io::copy(&mut stream.take(offset - *place), &mut io::sink())?;
        // Whatever a failed read leaves, the next one starts from the beginning.
        let after = offset + buffer.len() as u64;
        if let Err(error) = stream.read_exact(buffer) {
            *place = u64::MAX;
            return Err(error);
        }
        *place = after;
        Ok(())
    }
}

/// A part of other bytes.
pub(crate) struct Section {
    bytes: Arc<dyn Bytes>,
    start: u64,
    length: u64,
}

impl Section {
    /// `None` if there are not so many bytes.
    pub(crate) fn new(bytes: Arc<dyn Bytes>, start: u64, length: u64) -> Option<Section> {
        let end = start.checked_add(length)?;
        (end <= bytes.length()).then_some(Section { bytes, start, length })
    }
}

impl Bytes for Section {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.read_at(self.start + offset, buffer)
    }
}

/// Bytes in memory, as the tests and files inside archives have them.
impl Bytes for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let piece = rest.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(piece);
        Ok(())
    }
}

/// Bytes as a stream that seeks, with a buffer, for readers that want one.
pub struct BytesReader {
    bytes: Arc<dyn Bytes>,
    position: u64,
    buffer: Vec<u8>,
    buffer_start: u64,
}

impl BytesReader {
    /// Begins at the first byte.
    pub fn new(bytes: Arc<dyn Bytes>) -> BytesReader {
        BytesReader { bytes, position: 0, buffer: Vec::new(), buffer_start: 0 }
    }
}

impl Read for BytesReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        const BUFFER: u64 = 1 << 14;
        let rest = self.bytes.length().saturating_sub(self.position);
        let wanted = (out.len() as u64).min(rest);
        if wanted == 0 {
            return Ok(0);
        }
        if wanted >= BUFFER {
            let out = &mut out[..wanted as usize];
            self.bytes.read_at(self.position, out)?;
            self.position += wanted;
            return Ok(wanted as usize);
        }
        let inside = self.position.checked_sub(self.buffer_start).filter(|place| *place < self.buffer.len() as u64);
        let place = match inside {
            Some(place) => place as usize,
            None => {
                self.buffer.resize(rest.min(BUFFER) as usize, 0);
                self.buffer_start = self.position;
                if let Err(error) = self.bytes.read_at(self.position, &mut self.buffer) {
                    self.buffer.clear();
                    return Err(error);
                }
                0
            }
        };
        let count = (wanted as usize).min(self.buffer.len() - place);
        out[..count].copy_from_slice(&self.buffer[place..place + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for BytesReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(difference) => self.bytes.length().checked_add_signed(difference),
            SeekFrom::Current(difference) => self.position.checked_add_signed(difference),
        };
        self.position = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_gzip_stream_reads_at_any_place() {
        let content: Vec<u8> = (0..300_000u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // Two members, as `cat a.gz b.gz` makes them.
        for half in content.chunks(700_000) {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(half).unwrap();
            file.write_all(&encoder.finish().unwrap()).unwrap();
        }
        let (bytes, compressed) = unpacked(of_file(file.path()).unwrap()).unwrap();
        assert!(compressed);
        assert_eq!(bytes.length(), content.len() as u64);
        for (offset, count) in [(10, 5), (900_000, 1000), (699_990, 20), (0, 7), (1_199_999, 1)] {
            let read = read_exactly(&*bytes, offset, count).unwrap();
            assert_eq!(read, content[offset as usize..offset as usize + count]);
        }
        assert!(read_exactly(&*bytes, 1_199_999, 2).is_err());
        let mut all = Vec::new();
        BytesReader::new(bytes).read_to_end(&mut all).unwrap();
        assert!(all == content);
    }

    #[test]
    fn a_damaged_gzip_stream_is_an_error() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[7; 5000]).unwrap();
        let good = encoder.finish().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&good[..good.len() - 6]).unwrap();
        let error = unpacked(of_file(file.path()).unwrap()).err().unwrap();
        assert!(error.to_string().contains("gzip stream is damaged"), "{error}");
    }
}
