//! `atomlens convert FILE... --to FORMAT`

use std::path::PathBuf;

use atomlens_formats::ExportFormat;
use atomlens_workflow::WorkflowError;
use atomlens_workflow::convert::{ConvertSettings, run as convert};
use clap::{Args, ValueEnum};

use super::positive;
use super::raw::RawArguments;
use crate::terminal::Terminal;

/// Options of `atomlens convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArguments {
    /// Files of any format that `atomlens info` reads.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Format of the new files.
    #[arg(long, value_enum)]
    to: Format,
    /// Folder for the new files, made if it does not exist; that of each file by default. Nothing is overwritten.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Number of the signal, as `atomlens info` counts them from 1; all by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    signal: Option<u32>,
    /// Distance between pixels, instead of what the files say.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    pixel_size_nm: Option<f64>,
    #[command(flatten)]
    raw: RawArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// TIFF with ImageJ's calibration: images and stacks.
    Tiff,
    /// MRC2014: images and stacks.
    Mrc,
    /// NumPy: the numbers alone.
    Npy,
    /// HyperSpy: everything, with the original metadata.
    Hspy,
}

/// Runs `atomlens convert`.
pub(crate) fn run(arguments: ConvertArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let settings = ConvertSettings {
        raw: arguments.raw.description(),
        files: arguments.files,
        to: match arguments.to {
            Format::Tiff => ExportFormat::Tiff,
            Format::Mrc => ExportFormat::Mrc,
            Format::Npy => ExportFormat::Npy,
            Format::Hspy => ExportFormat::Hspy,
        },
        out: arguments.out,
        signal: arguments.signal.map(|number| number as usize),
        pixel_size_nm: arguments.pixel_size_nm,
    };
    let summary = convert(&settings, terminal.context())?;
    let failure = summary.failure();
    if !summary.written.is_empty() {
        terminal.answer(&summary.to_string(), &summary);
    }
    failure.map_or(Ok(()), Err)
}
