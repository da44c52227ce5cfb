//! `atomlens demo`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::demo::run as demo;
use clap::Args;

use crate::terminal::Terminal;

/// Options of `atomlens demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Folder for the example and its report; it must be empty or new.
    #[arg(long, default_value = "atomlens-demo")]
    out: PathBuf,
}

/// Runs `atomlens demo`.
pub(crate) fn run(arguments: DemoArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let summary = demo(arguments.out, terminal.context())?;
    let file = summary.detection.files.first();
    let (columns, frames) = file.map_or((0, 0), |file| (file.columns, file.frames));
    let text = format!(
        "a movie of a gold particle was simulated ({}) and {columns} columns were found in its {frames} frames\nreport: {}",
        summary.movie.display(),
        summary.detection.report.display()
    );
    terminal.answer(&text, &summary);
    Ok(())
}
