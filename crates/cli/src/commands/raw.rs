//! What a user says about a raw file, for every subcommand that reads images.

use atomlens_formats::signal::{ByteOrder, PixelType, RawDescription};
use clap::Args;

/// Options that describe files without a header.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Raw files")]
pub(crate) struct RawArguments {
    /// Read the files as pixels without a header, of this type: uint8, int16, uint16, int32, float32, ...
    #[arg(long, value_name = "TYPE", value_parser = pixel_type, requires = "raw_width", requires = "raw_height")]
    raw_type: Option<PixelType>,
    /// Pixels of a row.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..), requires = "raw_type")]
    raw_width: Option<u32>,
    /// Rows of a frame.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..), requires = "raw_type")]
    raw_height: Option<u32>,
    /// Number of frames; as many as the file holds if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "raw_type")]
    raw_frames: Option<u32>,
    /// Bytes before the first pixel.
    #[arg(long, value_name = "BYTES", default_value_t = 0, requires = "raw_type")]
    raw_offset: u64,
    /// Bytes between a frame and the next.
    #[arg(long, value_name = "BYTES", default_value_t = 0, requires = "raw_type")]
    raw_gap: u64,
    /// The most significant byte of a number comes first.
    #[arg(long, requires = "raw_type")]
    raw_big_endian: bool,
}

impl RawArguments {
    /// The description, if files are raw.
    pub(crate) fn description(&self) -> Option<RawDescription> {
        let (pixel, width, height) = (self.raw_type?, self.raw_width?, self.raw_height?);
        Some(RawDescription {
            frames: self.raw_frames.map(|frames| frames as usize),
            offset_bytes: self.raw_offset,
            gap_bytes: self.raw_gap,
            byte_order: if self.raw_big_endian { ByteOrder::Big } else { ByteOrder::Little },
            ..RawDescription::new(pixel, width as usize, height as usize)
        })
    }
}

fn pixel_type(text: &str) -> Result<PixelType, String> {
    PixelType::of_name(text).ok_or_else(|| {
        "expected bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float16, float32, float64, complex64, \
         complex128, rgb8, rgba8, rgb16 or rgba16"
            .to_owned()
    })
}
