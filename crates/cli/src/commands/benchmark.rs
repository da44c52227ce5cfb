//! `atomlens benchmark MODEL`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::benchmark::{BenchmarkSettings, run as benchmark};
use clap::Args;

use crate::terminal::Terminal;

/// Options of `atomlens benchmark`.
#[derive(Debug, Args)]
pub(crate) struct BenchmarkArguments {
    /// A model that comes with the program, or the folder of one that you trained.
    model: String,
    /// Images at each dose and pixel size.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Doses in electrons per square angstrom.
    #[arg(long = "dose", value_delimiter = ',', default_value = "10,30,100,300,1000,3000,10000")]
    doses_e_per_a2: Vec<f64>,
    /// Pixel sizes of the camera in nm, each with all doses; those that the model was trained on if left out.
    #[arg(long = "pixel-size-nm", value_delimiter = ',')]
    pixel_sizes_nm: Vec<f64>,
    /// Seed of the images; another than that of the training, or the model has seen them.
    #[arg(long, default_value_t = 7_000_000)]
    seed: u64,
    /// Folder for the results.
    #[arg(long)]
    out: PathBuf,
}

/// Runs `atomlens benchmark`.
pub(crate) fn run(arguments: BenchmarkArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let settings = BenchmarkSettings {
        model: arguments.model,
        images: arguments.images as usize,
        doses_e_per_a2: arguments.doses_e_per_a2,
        pixel_sizes_nm: arguments.pixel_sizes_nm,
        seed: arguments.seed,
        out: arguments.out,
    };
    let summary = benchmark(&settings, terminal.context())?;
    let mut text =
        "pixel (nm)  dose (e/A^2)  precision  recall     F1  median error (pm)  times the least\n".to_owned();
    let shown = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    for row in &summary.rows {
        text += &format!(
            "{:>10}  {:>12}  {:>9}  {:>6}  {:>5}  {:>17}  {:>15}\n",
            row.pixel_size_nm.map_or("as trained".to_owned(), |size| format!("{size:.4}")),
            row.dose_e_per_a2,
            shown(row.accuracy.precision, 3),
            shown(row.accuracy.recall, 3),
            shown(row.accuracy.f1, 3),
            shown(row.accuracy.median_position_error_pm, 1),
            shown(row.error_over_cramer_rao, 2)
        );
    }
    text += &format!(
        "stated and observed probabilities differ by {:.3} on average\nplots in {}",
        summary.expected_calibration_error,
        summary.out.display()
    );
    terminal.answer(&text, &summary);
    Ok(())
}
