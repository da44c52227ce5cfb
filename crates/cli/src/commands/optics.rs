//! `atomlens optics FILE...`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::optics::{OpticsSettings, run as optics};
use clap::Args;

use super::series::folder_beside;
use super::{finite, positive};
use crate::terminal::Terminal;

/// Options of `atomlens optics`.
#[derive(Debug, Args)]
pub(crate) struct OpticsArguments {
    /// Micrographs, stacks or movies of which something amorphous is in the field.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Energy of the electrons; from the file if left out.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    energy_kev: Option<f64>,
    /// Distance between pixels in nm; from the file if left out.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    pixel_size_nm: Option<f64>,
    /// Spherical aberration; fitted if left out, and then the sign of the defocus is that of underfocus.
    #[arg(long, value_parser = finite, allow_negative_numbers = true)]
    cs_um: Option<f64>,
    /// Folder for the results; FILE_optics beside the first file if left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs `atomlens optics`.
pub(crate) fn run(arguments: OpticsArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let settings = OpticsSettings {
        out: arguments.out.unwrap_or_else(|| folder_beside(&arguments.files[0], "optics")),
        files: arguments.files,
        energy_kev: arguments.energy_kev,
        pixel_size_nm: arguments.pixel_size_nm,
        cs_um: arguments.cs_um,
    };
    let summary = optics(&settings, terminal.context())?;
    let mut text = String::new();
    for row in &summary.images {
        text += &format!("{}, image {}: {}\n", row.file, row.frame, row.says());
    }
    for warning in &summary.warnings {
        text += &format!("warning: {warning}\n");
    }
    text += &format!("table: {}", summary.table.display());
    terminal.answer(&text, &summary);
    Ok(())
}
