//! `atomlens track MOVIE...`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::detect::PixelSizeFrom;
use atomlens_workflow::track::{TrackSettings, TrackSummary, run as track};
use clap::Args;

use super::positive;
use crate::terminal::Terminal;

/// Options of `atomlens track`.
#[derive(Debug, Args)]
pub(crate) struct TrackArguments {
    /// A movie: a stack, a folder of frames (in natural order of their names), a pattern in quotes, or several files.
    #[arg(required = true, value_name = "MOVIE")]
    movie: Vec<PathBuf>,
    /// A model that comes with the program (metal-particles, single-layers) or the folder of one that you trained;
    /// chosen by the lattice in the image if left out.
    #[arg(long)]
    model: Option<String>,
    /// A model that looks at every frame together with those around it, for doses at which one frame is not enough: a name or a
    /// folder. Drift is found by the other model first.
    #[arg(long, value_name = "MODEL")]
    window_model: Option<String>,
    /// Sites that are known: a table with x_nm and y_nm, or the results of another movie of the same particle.
    #[arg(long, value_name = "SITES")]
    reference: Option<PathBuf>,
    /// Time from one frame to the next in seconds; from the file if left out.
    #[arg(long, value_parser = positive)]
    frame_time_s: Option<f64>,
    /// Distance between pixels in nm; from the file, or else from the lattice in the image, if left out.
    #[arg(long, value_parser = positive)]
    pixel_size_nm: Option<f64>,
    /// What the image shows, such as Au, CeO2, graphene or MoS2: where the file states no pixel size, this lattice tells it.
    #[arg(long)]
    lattice: Option<String>,
    /// A shared library of onnxruntime (libonnxruntime.so, onnxruntime.dll) that is to compute the network instead of the
    /// program itself.
    #[arg(long, value_name = "LIBRARY")]
    onnxruntime: Option<PathBuf>,
    /// Simulated movies like this one by which the result is checked, as `atomlens twin` does; 0 for none. One costs as
    /// much time as detection in up to 200 frames.
    #[arg(long, default_value_t = 1)]
    twin_movies: u32,
    /// Seed of the draws that intervals are made of.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the results; MOVIE_events beside the movie if left out.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on in a folder where the same job was stopped.
    #[arg(long)]
    resume: bool,
}

/// Runs `atomlens track`.
pub(crate) fn run(arguments: TrackArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let out = arguments.out.unwrap_or_else(|| {
        let first = &arguments.movie[0];
        let stem: String = first.file_stem().unwrap_or_default().to_string_lossy().replace(['*', '?', '[', ']'], "");
        first.with_file_name(format!("{stem}_events"))
    });
    let settings = TrackSettings {
        movie: arguments.movie,
        model: arguments.model,
        window_model: arguments.window_model,
        reference: arguments.reference,
        frame_time_s: arguments.frame_time_s,
        pixel_size_nm: arguments.pixel_size_nm,
        lattice: arguments.lattice,
        onnxruntime: arguments.onnxruntime,
        twin_movies: arguments.twin_movies,
        seed: arguments.seed,
        out,
        resume: arguments.resume,
    };
    let summary = track(&settings, terminal.context())?;
    terminal.answer(&text(&summary), &summary);
    Ok(())
}

fn text(summary: &TrackSummary) -> String {
    let movie = &summary.movie;
    let from = match summary.pixel_size_from {
        PixelSizeFrom::User => "as given",
        PixelSizeFrom::File => "from the file",
        PixelSizeFrom::Lattice => "estimated from the lattice",
    };
    let total = &movie.total;
    let mut text = format!(
        "{} frames of {:.5} nm a pixel, {from}; model {}, because {}\n{} sites; filled in {:.1} % of their frames [{:.1}, {:.1}]\n\
         {:.0} switches [{:.0}, {:.0}], {:.4} a site and frame [{:.4}, {:.4}]; counting detections would say {}\n",
        movie.frames,
        movie.pixel_size_nm,
        movie.model,
        summary.model_reason,
        movie.sites,
        100.0 * total.occupancy.value,
        100.0 * total.occupancy.low,
        100.0 * total.occupancy.high,
        total.switches.value,
        total.switches.low,
        total.switches.high,
        total.switch_rate_per_frame.value,
        total.switch_rate_per_frame.low,
        total.switch_rate_per_frame.high,
        total.naive_switches,
    );
    for class in &movie.classes {
        let rate = &class.rates.switch_rate_per_frame;
        text += &format!(
            "  {:9} {:4} sites: {:.4} a site and frame [{:.4}, {:.4}]\n",
            class.class, class.sites, rate.value, rate.low, rate.high
        );
    }
    if let Some(twin) = &summary.twin {
        text += &super::twin::text(twin);
    }
    for warning in &summary.warnings {
        text += &format!("  warning: {warning}\n");
    }
    text + &format!("report: {}", summary.report.display())
}
