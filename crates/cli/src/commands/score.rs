//! `atomlens score COLUMNS.csv TRUTH.csv`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::score::{ScoreSettings, run as score};
use clap::Args;

use super::positive;
use crate::terminal::Terminal;

/// Options of `atomlens score`.
#[derive(Debug, Args)]
pub(crate) struct ScoreArguments {
    /// The detected columns, as `atomlens detect` writes them.
    columns: PathBuf,
    /// The true columns: CSV with x_px,y_px or x_nm,y_nm or x_angstrom,y_angstrom, and with file and frame if there are several.
    /// Several tables are those of the files of the same names.
    #[arg(required = true)]
    truth: Vec<PathBuf>,
    /// Distance between pixels; places in pixels are compared then, and lengths otherwise.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    pixel_size_nm: Option<f64>,
    /// A line for every frame instead of one for every file.
    #[arg(long)]
    by_frame: bool,
}

/// Runs `atomlens score`.
pub(crate) fn run(arguments: ScoreArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let summary = score(&ScoreSettings {
        columns: arguments.columns,
        truth: arguments.truth,
        pixel_size_nm: arguments.pixel_size_nm,
        by_frame: arguments.by_frame,
    })?;
    terminal.answer(&summary.to_string(), &summary);
    Ok(())
}
