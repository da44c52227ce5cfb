//! `atomlens reconstruct SERIES`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::reconstruct::{Lens, Method, ReconstructSettings, run as reconstruct};
use clap::{Args, ValueEnum};

use super::series::{SeriesArguments, folder_beside};
use super::{finite, not_negative, positive};
use crate::terminal::Terminal;

/// Options of `atomlens reconstruct`.
#[derive(Debug, Args)]
pub(crate) struct ReconstructArguments {
    #[command(flatten)]
    series: SeriesArguments,
    /// How the wave is found; both if there are images and a model for it, else iterative.
    #[arg(long, value_enum)]
    method: Option<MethodName>,
    /// Energy of the electrons; from the file if left out.
    #[arg(long, value_parser = positive, allow_negative_numbers = true)]
    energy_kev: Option<f64>,
    /// Spherical aberration, held; refined if left out.
    #[arg(long, value_parser = finite, allow_negative_numbers = true)]
    cs_um: Option<f64>,
    /// Twofold astigmatism, held; refined if left out.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true, requires = "astigmatism_azimuth_degree")]
    astigmatism_angstrom: Option<f64>,
    /// Its azimuth from x towards y.
    #[arg(long, value_parser = finite, allow_negative_numbers = true, requires = "astigmatism_angstrom")]
    astigmatism_azimuth_degree: Option<f64>,
    /// Spread of the focus, half-width at 1/e of the maximum, held; refined if left out.
    #[arg(long, value_parser = not_negative, allow_negative_numbers = true)]
    focal_spread_angstrom: Option<f64>,
    /// Most iterations.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    iterations: Option<u32>,
    /// A model of focal series that comes with the program (layer-series) or the folder of one that you trained.
    #[arg(long)]
    model: Option<String>,
    /// Folder for the results; FILE_wave beside the first file if left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodName {
    /// A network that sees three images: fast.
    Network,
    /// Maximum likelihood from two images or more, focus and lens refined with it.
    Iterative,
    /// The iterative solution, begun with the network's wave.
    Both,
}

/// Runs `atomlens reconstruct`.
pub(crate) fn run(arguments: ReconstructArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let out = arguments.out.unwrap_or_else(|| folder_beside(&arguments.series.files[0], "wave"));
    let settings = ReconstructSettings {
        series: arguments.series.settings(),
        method: arguments.method.map(|name| match name {
            MethodName::Network => Method::Network,
            MethodName::Iterative => Method::Iterative,
            MethodName::Both => Method::Both,
        }),
        energy_kev: arguments.energy_kev,
        lens: Lens {
            cs_um: arguments.cs_um,
            astigmatism_angstrom: arguments.astigmatism_angstrom,
            astigmatism_azimuth_degree: arguments.astigmatism_azimuth_degree,
            focal_spread_angstrom: arguments.focal_spread_angstrom,
        },
        iterations: arguments.iterations,
        model: arguments.model,
        out,
    };
    let summary = reconstruct(&settings, terminal.context())?;
    let mut text = String::new();
    for series in &summary.series {
        text += &format!(
            "{}: wave of {} x {} pixels of {:.5} nm from {} images, {}\n",
            series.series, series.size_px.0, series.size_px.1, series.pixel_size_nm, series.images, series.how
        );
        for image in &series.defocus {
            text += &format!("  {image}\n");
        }
        for warning in &series.warnings {
            text += &format!("  warning: {warning}\n");
        }
        text += &format!("  report: {}\n", series.report.display());
    }
    terminal.answer(text.trim_end(), &summary);
    Ok(())
}
