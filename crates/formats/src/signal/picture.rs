//! PNG and JPEG, as screens and cameras save micrographs: grey or colours, 8 or 16 bits, without calibration.
//!
//! PNG (ISO/IEC 15948), JPEG (ISO/IEC 10918-1); decoded by the crate `image`. Palettes become colours, numbers of fewer than 8
//! bits are spread to 8, and the opacity of grey pictures is left out. JPEG is lossy: a note says so. The pixels are
//! unpacked when they are first asked for, and kept.

use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{Axis, Bytes, BytesReader, Elements, Input, PixelType, Signal, SignalFile};
use crate::{FormatError, Problem};

/// A picture is unpacked as a whole, so it has to fit.
const LARGEST_BYTES: u64 = 1 << 32;
/// No picture is smaller in the file by more: deflate codes 258 bytes with 2 bits, JPEG a block of 64 with less than one byte a colour.
const MOST_EXPANSION: u64 = 1032;

pub(super) fn recognises(input: &Input) -> bool {
    format_of(input).is_some()
}

fn format_of(input: &Input) -> Option<ImageFormat> {
    let begins = |magic: &[u8]| input.head.starts_with(magic);
    if begins(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else {
        begins(b"\xff\xd8\xff").then_some(ImageFormat::Jpeg)
    }
}

pub(super) fn open(input: &Input) -> Result<SignalFile, FormatError> {
    let format = format_of(input).unwrap_or(ImageFormat::Png);
    let bytes = input.bytes.clone();
    let (width, height, colour) = guarded(&input.path, || {
        let decoder = decoder(&bytes, format)?;
        let (width, height) = decoder.dimensions();
        Ok((width as usize, height as usize, decoder.color_type()))
    })?;
    let pixel = match colour {
        ColorType::L8 | ColorType::La8 => PixelType::U8,
        ColorType::L16 | ColorType::La16 => PixelType::U16,
        ColorType::Rgb8 => PixelType::Rgb8,
        ColorType::Rgba8 => PixelType::Rgba8,
        ColorType::Rgb16 => PixelType::Rgb16,
        ColorType::Rgba16 => PixelType::Rgba16,
        other => {
            let problem = Problem::NotThisFormat { expected: "8 or 16 bits a colour", found: format!("{other:?}") };
            return Err(input.malformed(problem));
        }
    };
    let unpacked = width as u64 * height as u64 * u64::from(colour.bytes_per_pixel());
    let limit = LARGEST_BYTES.min(bytes.length().saturating_mul(MOST_EXPANSION));
    if unpacked > limit {
        let problem = Problem::TooMany { what: "bytes of the picture", found: unpacked.into(), limit: limit.into() };
        return Err(input.malformed(problem));
    }
    let data = Picture { path: input.path.clone(), bytes, format, unpacked: Mutex::new(None), pixel };
    let axes = vec![Axis::signal("height", height), Axis::signal("width", width)];
    let signal = Signal::new(&input.path, input.stem(), pixel, axes, data)?;
    let (name, notes) = match format {
        ImageFormat::Jpeg => ("JPEG", vec!["JPEG changes grey values; positions and intensities suffer".to_owned()]),
        _ => ("PNG", Vec::new()),
    };
    Ok(SignalFile { path: input.path.clone(), format: name, signals: vec![signal], notes })
}

fn decoder(bytes: &Arc<dyn Bytes>, format: ImageFormat) -> Result<impl ImageDecoder, String> {
    let mut reader = ImageReader::with_format(BufReader::new(BytesReader::new(bytes.clone())), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGEST_BYTES.min(bytes.length().saturating_mul(2 * MOST_EXPANSION)).max(1 << 20));
    reader.limits(limits);
    reader.into_decoder().map_err(|error| error.to_string())
}

/// Decoders answer damaged files with errors; should one of their checks be missing, that must not end the program.
fn guarded<T>(path: &std::path::Path, decode: impl FnOnce() -> Result<T, String>) -> Result<T, FormatError> {
    let done = catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("its content is damaged".to_owned()));
    done.map_err(|found| {
        let found = found.chars().take(160).map(|c| if c.is_control() { ' ' } else { c }).collect();
        FormatError::in_file(path, Problem::NotThisFormat { expected: "a sound picture; copy it again", found })
    })
}

struct Picture {
    path: PathBuf,
    bytes: Arc<dyn Bytes>,
    format: ImageFormat,
    unpacked: Mutex<Option<Arc<Vec<u8>>>>,
    pixel: PixelType,
}

impl Picture {
    fn unpack(&self) -> Result<Vec<u8>, String> {
        let decoder = decoder(&self.bytes, self.format)?;
        let colour = decoder.color_type();
        let mut bytes = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut bytes).map_err(|error| error.to_string())?;
        let size = self.pixel.part_bytes();
        if matches!(colour, ColorType::La8 | ColorType::La16) {
            bytes = bytes.chunks_exact(2 * size).flat_map(|pixel| pixel[..size].to_vec()).collect();
        }
        if size == 2 && cfg!(target_endian = "big") {
            bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.reverse());
        }
        Ok(bytes)
    }
}

impl Elements for Picture {
    fn read(&self, first: u64, count: usize) -> Result<Vec<u8>, FormatError> {
        let mut kept = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match &*kept {
            Some(bytes) => bytes.clone(),
            None => kept.insert(Arc::new(guarded(&self.path, || self.unpack())?)).clone(),
        };
        let size = self.pixel.bytes();
        let (start, length) = (first as usize * size, count * size);
        let found = bytes.len() as u64;
        bytes.get(start..start + length).map(<[u8]>::to_vec).ok_or_else(|| {
            let expected = start as u128 + length as u128;
            FormatError::in_file(&self.path, Problem::CutShort { expected, found })
        })
    }
}
