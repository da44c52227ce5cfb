//! `atomlens twin DIR`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::twin::{TwinCheck, TwinSettings, run as twin};
use clap::Args;

use crate::terminal::Terminal;

/// Options of `atomlens twin`.
#[derive(Debug, Args)]
pub(crate) struct TwinArguments {
    /// A folder that `atomlens track` wrote; the movie must still be where it was.
    #[arg(value_name = "DIR")]
    results: PathBuf,
    /// Number of simulated movies.
    #[arg(long, default_value_t = 3)]
    movies: u32,
    /// Frames of each; as many as the movie has, but no more than 200, if left out.
    #[arg(long)]
    frames: Option<usize>,
    /// Seed of the simulated movies.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the result; `twin` in DIR if left out.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs `atomlens twin`.
pub(crate) fn run(arguments: TwinArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let out = arguments.out.unwrap_or_else(|| arguments.results.join("twin"));
    let settings = TwinSettings {
        results: arguments.results,
        movies: arguments.movies,
        frames: arguments.frames,
        seed: arguments.seed,
        out,
    };
    let summary = twin(&settings, terminal.context())?;
    let text = format!("{}results: {}", text(&summary.check), summary.out.display());
    terminal.answer(&text, &summary);
    Ok(())
}

/// What to expect of a result, in words.
pub(super) fn text(check: &TwinCheck) -> String {
    let mut text = format!("simulated movies like this one: {} of {} frames\n", check.movies, check.frames);
    for row in &check.rows {
        let ends = match (row.low, row.high) {
            (Some(low), Some(high)) => format!(" [{low:.1}, {high:.1}]"),
            _ => String::new(),
        };
        text += &format!("  {:28} {:.1}{ends} {}\n", row.quantity, row.value, row.unit);
    }
    text
}
