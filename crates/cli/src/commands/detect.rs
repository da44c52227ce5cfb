//! `atomlens detect FILE...`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::detect::{DetectSettings, PixelSizeFrom, run as detect};
use atomlens_workflow::series::SeriesSettings;
use atomlens_workflow::series::detect::{SeriesDetectSettings, run as detect_series};
use clap::Args;

use super::series::{FocusArguments, folder_beside};
use super::{positive, setting};
use crate::terminal::Terminal;

/// Options of `atomlens detect`.
#[derive(Debug, Args)]
pub(crate) struct DetectArguments {
    /// Micrographs or movies, as microscopes and their programs write them (`atomlens info FILE` shows what is in one); with
    /// --focal-series one stack, several files of one image each in the order of their focus, or several stacks.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// See the images together as a focal series: species with their probabilities, and defects.
    #[arg(long)]
    focal_series: bool,
    #[command(flatten)]
    focus: FocusArguments,
    /// A model that comes with the program (metal-particles, single-layers; layer-series for focal series) or the folder of
    /// one that you trained; chosen by the lattice in the image if left out.
    #[arg(long)]
    model: Option<String>,
    /// Distance between pixels in nm; from the file, or else from the lattice in the image, if left out.
    #[arg(long)]
    pixel_size_nm: Option<f64>,
    /// What the image shows, such as Au, CeO2, graphene or MoS2: where the file states no pixel size, this lattice tells it.
    #[arg(long)]
    lattice: Option<String>,
    /// Energy of the electrons, which helps to lay the images of a focal series on one another; from the file if left out.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, requires = "focal_series")]
    energy_kev: Option<f64>,
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
    if arguments.focal_series {
        return run_on_series(arguments, terminal);
    }
    if arguments.focus.defocus_step_angstrom.is_some() || arguments.focus.defocus_angstrom.is_some() {
        let expected = "--focal-series beside it: single images are looked at whatever their focus is";
        return Err(setting("the focus", "given without --focal-series", expected));
    }
    let out = arguments.out.unwrap_or_else(|| folder_beside(&arguments.files[0], "columns"));
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

/// Runs `atomlens detect --focal-series`.
fn run_on_series(arguments: DetectArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    if arguments.resume {
        let expected = "a new folder: a focal series takes seconds";
        return Err(setting("--resume", "given with --focal-series", expected));
    }
    let out = arguments.out.unwrap_or_else(|| folder_beside(&arguments.files[0], "columns"));
    let settings = SeriesDetectSettings {
        series: SeriesSettings {
            files: arguments.files,
            pixel_size_nm: arguments.pixel_size_nm,
            lattice: arguments.lattice,
            defocus_angstrom: arguments.focus.defocus_angstrom,
            defocus_step_angstrom: arguments.focus.defocus_step_angstrom,
        },
        model: arguments.model,
        energy_kev: arguments.energy_kev,
        probability: arguments.probability,
        onnxruntime: arguments.onnxruntime,
        out,
    };
    let summary = detect_series(&settings, terminal.context())?;
    let mut text = String::new();
    for series in &summary.series {
        let total: usize = series.columns.iter().map(|count| count.columns).sum();
        let by_species: Vec<String> = series
            .columns
            .iter()
            .filter(|count| count.columns > 0)
            .map(|count| format!("{} {}", count.columns, count.species))
            .collect();
        text += &format!(
            "{}: {total} columns ({}) from {} images; {:.5} nm a pixel; model {}\n",
            series.series,
            by_species.join(", "),
            series.images.len(),
            series.pixel_size_nm,
            series.model
        );
        for count in series.sheet.iter().flat_map(|sheet| &sheet.counts).filter(|count| count.expected >= 0.5) {
            text += &format!(
                "  {}: {:.1} ± {:.1}, {:.4} per nm² ({:.4} to {:.4})\n",
                count.kind.label(),
                count.expected,
                count.expected_sigma,
                count.per_nm2,
                count.per_nm2_low,
                count.per_nm2_high
            );
        }
        for warning in &series.warnings {
            text += &format!("  warning: {warning}\n");
        }
        text += &format!("  report: {}\n", series.report.display());
    }
    terminal.answer(text.trim_end(), &summary);
    Ok(())
}
