//! `atomlens compare A_DIR B_DIR...`

use std::path::PathBuf;

use atomlens_workflow::WorkflowError;
use atomlens_workflow::compare::{CompareSettings, run as compare};
use clap::Args;

use crate::terminal::Terminal;

/// Options of `atomlens compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// Folders that `atomlens track` wrote, two or more; the others are compared with the first.
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// What the conditions are called, such as vacuum,oxygen; the names of the folders if left out.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    names: Vec<String>,
    /// Permutations of a test.
    #[arg(long, default_value_t = CompareSettings::PERMUTATIONS)]
    permutations: usize,
    /// Seed of the permutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the results.
    #[arg(long)]
    out: PathBuf,
}

/// Runs `atomlens compare`.
pub(crate) fn run(arguments: CompareArguments, terminal: &Terminal) -> Result<(), WorkflowError> {
    let CompareArguments { folders, names, permutations, seed, out } = arguments;
    let summary = compare(&CompareSettings { folders, names, permutations, seed, out }, terminal.context())?;
    terminal.answer(&summary.to_string(), &summary);
    Ok(())
}
