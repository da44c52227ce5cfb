//! `atomlens detect FILE...`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::detect::{DetectSettings, PixelSizeFrom, run as detect};
use clap::Args;

use crate::terminal::Terminal;

/// Options of `atomlens detect`.
#[derive(Debug, Args)]
pub(crate) struct DetectArguments {
    /// Micrographs or movies, as microscopes and their programs write them (`atomlens info FILE` shows what is in one).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// A model that comes with the program (metal-particles, single-layers) or the folder of one that you trained;
    /// chosen by the lattice in the image if left out.
    #[arg(long)]
    model: Option<String>,
    /// Distance between pixels in nm; from the file, or else from the lattice in the image, if left out.
    #[arg(long)]
    pixel_size_nm: Option<f64>,
    /// What the image shows, such as Au, CeO2, graphene or MoS2: where the file states no pixel size, this lattice tells it.
    #[arg(long)]
    lattice: Option<String>,
    /// Smallest probability of a column that is reported; the model's own, which gives the best F1, if left out.
    #[arg(long)]
    probability: Option<f64>,
    /// A shared library of onnxruntime (libonnxruntime.so, onnxruntime.dll) that is to compute the network instead of the
    /// program itself.
    #[arg(long, value_name = "LIBRARY")]
    onnxruntime: Option<PathBuf>,
    /// Folder for the results; FILE_columns beside the first file if left out.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on in a folder where the same detection was stopped.
    #[arg(long)]
    resume: bool,
}

/// Runs `atomlens detect`.
pub(crate) fn run(arguments: DetectArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let out = arguments.out.unwrap_or_else(|| {
        let first = &arguments.files[0];
        let stem = first.file_stem().unwrap_or_default().to_string_lossy();
        first.with_file_name(format!("{stem}_columns"))
    });
    let settings = DetectSettings {
        files: arguments.files,
        model: arguments.model,
        pixel_size_nm: arguments.pixel_size_nm,
        lattice: arguments.lattice,
        probability: arguments.probability,
        onnxruntime: arguments.onnxruntime,
        out,
        resume: arguments.resume,
    };
    let summary = detect(&settings, terminal.context())?;
    let mut text = String::new();
    for file in &summary.files {
        let from = match file.pixel_size_from {
            PixelSizeFrom::User => "as given",
            PixelSizeFrom::File => "from the file",
            PixelSizeFrom::Lattice => "estimated from the lattice",
        };
        text += &format!(
            "{}: {} columns in {} frame{}; {:.5} nm a pixel, {from}; model {}, because {}\n",
            file.file,
            file.columns,
            file.frames,
            if file.frames == 1 { "" } else { "s" },
            file.pixel_size_nm,
            file.model,
            file.model_reason
        );
        for warning in &file.warnings {
            text += &format!("  warning: {warning}\n");
        }
    }
    text += &format!("report: {}", summary.report.display());
    terminal.answer(&text, &summary);
    Ok(())
}
