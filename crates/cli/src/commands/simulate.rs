//! `atomlens simulate RECIPE.toml`

use std::path::PathBuf;

use atomlens_formats::FrameFormat;
use atomlens_workflow::WorkflowError;
use atomlens_workflow::recipes::RecipeSource;
use atomlens_workflow::simulate::{SimulateSettings, run as simulate};
use clap::{Args, ValueEnum};

use crate::terminal::Terminal;

/// Options of `atomlens simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// A recipe's file, or the name of one that comes with the program (`atomlens recipe list`).
    recipe: String,
    /// Number of images, focal series or movies.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Seed: the same recipe and seed give the same files, byte for byte, on any number of threads.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the results; made if it does not exist.
    #[arg(long)]
    out: PathBuf,
    /// Format of the images.
    #[arg(long, value_enum, default_value_t = Format::Npy)]
    format: Format,
    /// Go on in a folder that the same recipe and seed began.
    #[arg(long)]
    resume: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// NumPy.
    Npy,
    /// TIFF with ImageJ's calibration.
    Tiff,
    /// MRC2014.
    Mrc,
}

/// Runs `atomlens simulate`.
pub(crate) fn run(arguments: SimulateArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let settings = SimulateSettings {
        source: RecipeSource::find(&arguments.recipe)?,
        count: arguments.count,
        seed: arguments.seed,
        out: arguments.out,
        format: match arguments.format {
            Format::Npy => FrameFormat::Npy,
            Format::Tiff => FrameFormat::Tiff,
            Format::Mrc => FrameFormat::Mrc,
        },
        resume: arguments.resume,
    };
    let summary = simulate(&settings, terminal.context())?;
    let sheet =
        summary.contact_sheet.as_ref().map(|path| format!("; contact sheet {}", path.display())).unwrap_or_default();
    terminal.answer(&format!("{} images in {}{sheet}", summary.images, summary.out.display()), &summary);
    Ok(())
}
